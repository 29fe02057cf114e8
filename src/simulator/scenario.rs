//! A scenario: which cards the bank knows, and where it misbehaves on purpose.
//!
//! A TOML file of cards (`[[card]]`), ranges of cards (`[[range]]`) and rules (`[[rule]]`, a `when`
//! and a `then`). The first rule whose conditions hold is the one that applies; where none holds the
//! bank is an ordinary bank. A card that is neither listed nor in a range is unknown and declined.
//!
//! Two things surprise. A rule without `mti` applies to requests only (0100, 0200), so that a silent
//! card still has its reversals answered; one with `network` applies to network messages only. And a
//! message type in a condition stands for its repeats too: 0420 means 0421 as well.

mod file;

pub(super) use file::{CardTable, RangeTable, RuleTable, ScenarioTables};

use std::time::Duration;

use crate::iso8583::Mti;
use crate::payment::{Currency, Cvc, Expiry, Pan};

use super::entry::{AccountName, Kind};
use super::mistake::Mistake;
use super::request::{Network, Request};

/// The scenario of the demo, which also is the one used where none is named.
pub const DEMO: &str = include_str!("../../fixtures/scenarios/demo.toml");

/// Cards and rules, checked.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// What it is for, one line.
    pub description: String,
    /// Cards by number.
    pub cards: Vec<ListedCard>,
    /// Ranges of cards, the longer prefix first.
    pub ranges: Vec<CardRange>,
    /// Rules in the order of the file.
    pub rules: Vec<Rule>,
}

/// Whether a card may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It may.
    #[default]
    Open,
    /// Reported lost.
    Lost,
    /// Reported stolen.
    Stolen,
    /// Not for this use.
    Restricted,
    /// Blocked by the bank.
    Blocked,
    /// The account is closed.
    Closed,
}

/// What the bank knows about a card, or about every card of a range.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What stands on the account when the ledger is empty, in minor units of whichever currency is
    /// asked for: the bank keeps a purse for each and changes no money.
    pub balance: i64,
    /// The one currency the card may be used in.
    pub currency: Option<Currency>,
    /// Expiry to be quoted, where it is compared.
    pub expiry: Option<Expiry>,
    /// Verification code to be quoted, where it is compared.
    pub cvc: Option<Cvc>,
    /// Whether it may be used.
    pub status: Status,
    /// The most that one request may take.
    pub limit: Option<i64>,
}

/// A card by its number.
#[derive(Clone, Debug)]
pub struct ListedCard {
    /// Its number.
    pub number: Pan,
    /// What it does, in plain words.
    pub about: String,
    /// The account behind it.
    pub account: AccountName,
    /// What the bank knows about it.
    pub terms: Terms,
}

/// All cards that begin with some digits, each with an account of its own.
#[derive(Clone, Debug)]
pub struct CardRange {
    /// The digits.
    pub prefix: String,
    /// What its cards do, in plain words.
    pub about: String,
    /// What the bank knows about each of them.
    pub terms: Terms,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it does, in plain words.
    pub about: String,
    /// When it applies.
    pub when: When,
    /// What happens then.
    pub then: Behaviour,
}

/// The conditions of a rule; what isn't said holds always.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// The card is one of these.
    pub cards: Vec<Pan>,
    /// The card begins with one of these.
    pub prefixes: Vec<String>,
    /// The least amount, in minor units.
    pub least: Option<i64>,
    /// The greatest amount, in minor units.
    pub most: Option<i64>,
    /// The currency.
    pub currency: Option<Currency>,
    /// The message type, its repeats included; empty means requests of class 1 and 2.
    pub types: Vec<Mti>,
    /// What is asked for.
    pub kinds: Vec<Kind>,
    /// The terminal.
    pub terminal: Option<String>,
    /// The merchant.
    pub merchant: Option<String>,
    /// For network messages: what they are for. A rule with this touches no money.
    pub network: Vec<Network>,
    /// The first of the messages that fit, from 1, to which it applies.
    pub nth_from: u64,
    /// The last of them.
    pub nth_to: Option<u64>,
    /// What the messages are counted by.
    pub counted: Counted,
}

/// By what a rule counts messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// All that fit the rule.
    #[default]
    All,
    /// Each payment's (acquirer and retrieval reference) by itself.
    Payment,
}

/// What the bank does in place of the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// The response code, whatever the account says.
    pub code: Option<String>,
    /// Approve no more than this, in minor units.
    pub approve: Option<i64>,
    /// Approve no more than this share of what is asked.
    pub approve_percent: Option<u8>,
    /// Wait so long before the answer.
    pub delay: Duration,
    /// Wait up to so long beyond that.
    pub jitter: Duration,
    /// What becomes of the answer.
    pub reply: Reply,
    /// How often the answer is sent.
    pub copies: u8,
    /// What the answer gets wrong.
    pub wrong: Vec<Wrong>,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is sent.
    #[default]
    Sent,
    /// The message is booked and never answered.
    Silence,
    /// The message might as well not have arrived: neither booked nor answered.
    Unseen,
    /// Booked; the answer follows once a reversal of it has been answered.
    Late,
    /// Booked; the answer comes once a reversal has arrived, just before the reversal's own.
    LateFirst,
    /// Booked; some bytes that mean nothing come in the answer's place, in a frame.
    Garbage,
    /// Booked; the answer breaks off in the middle, in a frame of that length.
    Truncated,
    /// Booked; bytes that aren't even a frame, then the link is closed.
    Unframed,
    /// Booked; the link is closed in place of an answer.
    Drop,
    /// Not booked; the link is closed.
    DropUnseen,
    /// Booked; the link stays open and nothing ever comes over it again, as when a cable was pulled.
    Stall,
}

impl Reply {
    /// Whether the message reaches the bank's books.
    pub fn is_booked(self) -> bool {
        !matches!(self, Self::Unseen | Self::DropUnseen)
    }
}

/// What an answer gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Another STAN.
    Stan,
    /// Another amount.
    Amount,
    /// Another terminal.
    Terminal,
    /// Another currency.
    Currency,
    /// Another retrieval reference.
    Rrn,
}

impl Scenario {
    /// The built-in scenario of the demo.
    pub fn demo() -> Result<Scenario, Vec<Mistake>> {
        Scenario::read("demo.toml", DEMO)
    }

    /// Reads a scenario; `origin` is the file's name for the mistakes, all of which come back.
    pub fn read(origin: &str, text: &str) -> Result<Scenario, Vec<Mistake>> {
        file::read(origin, text)
    }

    /// Both scenarios in one; where they differ, this one holds.
    pub(super) fn before(mut self, other: Scenario) -> Scenario {
        self.description = other.description;
        self.cards.extend(other.cards);
        self.ranges.extend(other.ranges);
        self.sort_ranges();
        self.rules.extend(other.rules);
        self
    }

    /// The longer prefix first; of equal ones the earlier.
    fn sort_ranges(&mut self) {
        self.ranges.sort_by_key(|range| std::cmp::Reverse(range.prefix.len()));
    }

    /// What the bank knows about a card, and the account behind it where it is listed.
    pub fn card(&self, number: &Pan) -> Option<(Option<&AccountName>, &Terms)> {
        if let Some(card) = self.cards.iter().find(|card| card.number == *number) {
            return Some((Some(&card.account), &card.terms));
        }
        let range = self.ranges.iter().find(|range| number.reveal().starts_with(&range.prefix))?;
        Some((None, &range.terms))
    }
}

impl When {
    /// Whether all conditions but the count hold.
    pub(super) fn fits(&self, request: &Request) -> bool {
        self.network.is_empty()
            && self.fits_type(request.mti)
            && self.fits_card(request.pan.as_ref())
            && self.least.is_none_or(|least| request.amount >= least)
            && self.most.is_none_or(|most| request.amount <= most)
            && self.currency.is_none_or(|currency| request.currency == Some(currency))
            && (self.kinds.is_empty() || self.kinds.contains(&request.kind))
            && self.terminal.as_ref().is_none_or(|terminal| request.terminal == *terminal)
            && self.merchant.as_ref().is_none_or(|merchant| request.merchant == *merchant)
    }

    /// Whether it is a rule for this network message.
    pub(super) fn fits_network(&self, network: Network) -> bool {
        self.network.contains(&network)
    }

    /// Whether the rule applies to the `nth` message that fits, from 1.
    pub(super) fn counts(&self, nth: u64) -> bool {
        nth >= self.nth_from.max(1) && self.nth_to.is_none_or(|last| nth <= last)
    }

    /// Whether the rule has to count at all.
    pub(super) fn is_counted(&self) -> bool {
        self.nth_from > 1 || self.nth_to.is_some()
    }

    fn fits_type(&self, mti: Mti) -> bool {
        match self.types.is_empty() {
            true => matches!(mti.class(), 1 | 2) && mti.is_request(),
            false => self.types.contains(&mti.without_repeat()),
        }
    }

    fn fits_card(&self, pan: Option<&Pan>) -> bool {
        if self.cards.is_empty() && self.prefixes.is_empty() {
            return true;
        }
        let Some(pan) = pan else { return false };
        self.cards.contains(pan) || self.prefixes.iter().any(|prefix| pan.reveal().starts_with(prefix.as_str()))
    }
}

impl Behaviour {
    /// What is approved of `asked` at most.
    pub(super) fn cap(&self, asked: i64) -> i64 {
        let by_share = self
            .approve_percent
            .map(|percent| asked / 100 * i64::from(percent) + asked % 100 * i64::from(percent) / 100);
        [self.approve, by_share].into_iter().flatten().fold(asked, i64::min)
    }
}
