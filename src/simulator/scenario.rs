//! A scenario: which cards the bank knows, and where it misbehaves on purpose.
//!
//! A TOML file of cards (`[[card]]`), ranges of cards (`[[range]]`), rules (`[[rule]]`, a `when` and a
//! `then`), outages (`[[outage]]`) and things the bank does by itself (`[[event]]`). The first rule whose
//! conditions hold is the one that applies; where none holds the bank is an ordinary bank. A card that is
//! neither listed nor in a range is unknown and declined.
//!
//! Two things surprise. A rule without `mti` applies to requests only (0100, 0200), so that a silent
//! card still has its reversals answered; one with `network` applies to network messages only. And a
//! message type in a condition stands for its repeats too: 0420 means 0421 as well.

mod delay;
mod file;
mod schedule;

pub use delay::Delay;
pub(super) use file::{CardTable, EventTable, OutageTable, RangeTable, RuleTable, ScenarioTables};
pub use schedule::{Act, Down, Due, Event, Moment, Outage, Span};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::iso8583::Mti;
use crate::payment::{Currency, Cvc, Expiry, Pan};
use crate::security::Pin;

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
    /// Times in which the bank is down.
    pub outages: Vec<Outage>,
    /// What the bank does by itself.
    pub events: Vec<Event>,
    /// Places in `cards` by number. Test cards are no secrets and are looked up as text.
    by_number: BTreeMap<String, usize>,
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
    /// PIN to be given, where it is compared.
    pub pin: Option<Pin>,
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
    /// Its name, by which it can be taken away while the bank runs.
    pub name: String,
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
    pub cards: Vec<String>,
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
    /// When it holds at all.
    pub span: Span,
    /// It applies to one in a hundred, or more of them, by chance.
    pub chance_percent: Option<u8>,
    /// It applies to every so manieth of the messages that fit.
    pub every: Option<u64>,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behaviour {
    /// The response code, whatever the account says.
    pub code: Option<String>,
    /// Approve no more than this, in minor units.
    pub approve: Option<i64>,
    /// Approve no more than this share of what is asked.
    pub approve_percent: Option<u8>,
    /// How long the answer waits.
    pub delay: Delay,
    /// What becomes of the answer.
    pub reply: Reply,
    /// How often the answer is sent.
    pub copies: u8,
    /// What the answer gets wrong.
    pub wrong: Vec<Wrong>,
    /// The answer's frame leaves in so many pieces; 0 and 1 are one.
    pub pieces: u8,
    /// Between two pieces.
    pub piece_pause: Duration,
    /// For so long nothing more is read from the link.
    pub read_pause: Duration,
    /// What the bank asks of its own accord, on this link, after the answer.
    pub asks: Vec<Asks>,
}

/// What the bank asks of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// Whether the peer lives.
    Echo,
    /// That the peer ask for new keys.
    KeyChange,
    /// Nothing: it brings new keys.
    NewKeys,
    /// Nothing: it tells that the next business day begins.
    Cutover,
    /// Nothing: it signs off.
    SignOff,
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
    /// Booked; the answer with some of its bytes changed.
    Scrambled,
    /// Booked; the answer leaves after the next one on its link: the two change places.
    Overtaken,
    /// Booked; the answer waits for the next one on its link, and both leave as one piece.
    Merged,
    /// Booked; bytes that aren't even a frame, then the link is closed.
    Unframed,
    /// Booked; the link is closed in place of an answer.
    Drop,
    /// Not booked; the link is closed.
    DropUnseen,
    /// Booked; the link is reset in place of an answer, and what hasn't been read of it is lost.
    Reset,
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
    /// Another message authentication code.
    Mac,
    /// New keys whose check values are those of others.
    CheckValue,
}

impl Scenario {
    /// The outage there is at a moment.
    pub fn outage(&self, at: Moment) -> Option<&Outage> {
        self.outages.iter().find(|outage| outage.span.holds(at))
    }

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
        self.description = other.description.clone();
        let mut other = other;
        for rule in &mut other.rules {
            if self.rules.iter().any(|own| own.name == rule.name) {
                rule.name = format!("scenario-{}", rule.name);
            }
        }
        self.cards.extend(other.cards);
        self.ranges.extend(other.ranges);
        self.rules.extend(other.rules);
        self.outages.extend(other.outages);
        self.events.extend(other.events);
        self.put_in_order();
        self
    }

    /// This one's cards and rules before another's that goes on. Rules without a name of their own get
    /// one that isn't taken.
    pub(super) fn added_to(mut self, other: &Scenario) -> Scenario {
        let mut number = 0;
        for (place, rule) in self.rules.iter_mut().enumerate() {
            while rule.name == format!("rule-{}", place + 1) || other.rules.iter().any(|other| other.name == rule.name)
            {
                number += 1;
                rule.name = format!("added-{number}");
            }
        }
        self.before(other.clone())
    }

    /// Ranges with the longer prefix first, of equal ones the earlier; of equal cards the first.
    fn put_in_order(&mut self) {
        for (place, card) in self.cards.iter().enumerate() {
            self.by_number.entry(card.number.reveal().to_owned()).or_insert(place);
        }
        self.ranges.sort_by_key(|range| std::cmp::Reverse(range.prefix.len()));
    }

    /// What the bank knows about a card, and the account behind it where it is listed.
    pub fn card(&self, number: &Pan) -> Option<(Option<&AccountName>, &Terms)> {
        if let Some(card) = self.by_number.get(number.reveal()).and_then(|place| self.cards.get(*place)) {
            return Some((Some(&card.account), &card.terms));
        }
        let range = self.ranges.iter().find(|range| number.reveal().starts_with(&range.prefix))?;
        Some((None, &range.terms))
    }
}

impl When {
    /// Whether all conditions but the count hold.
    pub(super) fn fits(&self, request: &Request, at: Moment) -> bool {
        self.network.is_empty()
            && self.span.holds(at)
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
    pub(super) fn fits_network(&self, network: Network, at: Moment) -> bool {
        self.network.contains(&network) && self.span.holds(at)
    }

    /// Whether the rule applies to the `nth` message that fits, from 1.
    pub(super) fn counts(&self, nth: u64) -> bool {
        let within = nth >= self.nth_from.max(1) && self.nth_to.is_none_or(|last| nth <= last);
        within && self.every.is_none_or(|every| nth.is_multiple_of(every))
    }

    /// Whether the rule has to count at all.
    pub(super) fn is_counted(&self) -> bool {
        self.nth_from > 1 || self.nth_to.is_some() || self.every.is_some()
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
        let number = pan.reveal();
        self.cards.iter().any(|card| card == number)
            || self.prefixes.iter().any(|prefix| number.starts_with(prefix.as_str()))
    }
}

impl Behaviour {
    /// What every bank does.
    pub(super) fn ordinary() -> Self {
        Self { copies: 1, pieces: 1, ..Self::default() }
    }

    /// What is approved of `asked` at most.
    pub(super) fn cap(&self, asked: i64) -> i64 {
        let by_share = self
            .approve_percent
            .map(|percent| asked / 100 * i64::from(percent) + asked % 100 * i64::from(percent) / 100);
        [self.approve, by_share].into_iter().flatten().fold(asked, i64::min)
    }
}
