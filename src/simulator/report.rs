//! What the bank shows of itself: its ledger, accounts, links, rules and messages as lines of JSON.
//!
//! One shape for the command line, the control port and the files, so that a script that reads one of
//! them reads all. No line holds a card number: entries name accounts, messages come masked.

use serde::Serialize;

use crate::payment::Currency;

use super::books::Books;
use super::entry::Entry;
use super::issuer::{Issuer, LinkState};
use super::scenario::{Act, Down, Scenario};

/// An entry of the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct EntryLine {
    /// Its place.
    pub sequence: u64,
    /// Retrieval reference (DE37).
    pub rrn: String,
    /// STAN (DE11).
    pub stan: String,
    /// The message type as received.
    pub mti: String,
    /// What it is about.
    pub kind: &'static str,
    /// What was asked for, in minor units.
    pub amount: i64,
    /// What was approved of it.
    pub approved: i64,
    /// Effect on the cardholder's account, in minor units; a sale is negative.
    pub net: i64,
    /// Effect on what is set aside.
    pub held: i64,
    /// ISO 4217 code.
    pub currency: Option<&'static str>,
    /// The answer (DE39).
    pub response_code: String,
    /// The approval code given (DE38).
    pub approval_code: Option<String>,
    /// The day it is booked on.
    pub business_date: String,
    /// Acquirer (DE32).
    pub acquirer: String,
    /// Terminal (DE41).
    pub terminal: String,
    /// The account touched.
    pub account: Option<String>,
    /// The entry it works on.
    pub original: Option<u64>,
    /// When it was booked, RFC 3339.
    pub at: String,
}

impl EntryLine {
    /// The line of an entry.
    pub fn of(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            rrn: entry.rrn.clone(),
            stan: entry.identity.stan.clone(),
            mti: entry.mti.to_string(),
            kind: entry.kind.name(),
            amount: entry.amount,
            approved: entry.approved,
            net: entry.net,
            held: entry.held,
            currency: entry.currency.map(Currency::code),
            response_code: entry.response_code.clone(),
            approval_code: entry.approval_code.clone(),
            business_date: entry.business_date.to_string(),
            acquirer: entry.identity.acquirer.clone(),
            terminal: entry.terminal.clone(),
            account: entry.account.clone(),
            original: entry.original,
            at: entry.at.rfc3339(),
        }
    }
}

/// An account in one currency.
#[derive(Clone, Debug, Serialize)]
pub struct AccountLine {
    /// Its name.
    pub account: String,
    /// ISO 4217 code.
    pub currency: &'static str,
    /// Sum of what was booked, in minor units.
    pub net: i64,
    /// Set aside.
    pub held: i64,
    /// What may still be taken, where the scenario lists the account by name.
    pub available: Option<i64>,
}

/// The accounts that were touched.
pub fn accounts(books: &Books, scenario: &Scenario) -> Vec<AccountLine> {
    let line = |(account, currency, purse): (&String, Currency, super::Purse)| {
        let listed = scenario.cards.iter().find(|card| card.account == *account);
        let available = listed.map(|card| card.terms.balance.saturating_add(purse.net).saturating_sub(purse.held));
        AccountLine { account: account.clone(), currency: currency.code(), net: purse.net, held: purse.held, available }
    };
    books.purses().map(line).collect()
}

/// A link that is up.
#[derive(Clone, Debug, Serialize)]
pub struct LinkLine {
    /// Its number.
    pub link: u64,
    /// The other end.
    pub peer: Option<String>,
    /// What the bank thinks of it.
    pub state: LinkState,
}

/// A scenario in force.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioReport {
    /// What it is for.
    pub description: String,
    /// How many cards it lists.
    pub cards: usize,
    /// Ranges of cards by their first digits.
    pub ranges: Vec<String>,
    /// Its rules, the first that fits applying.
    pub rules: Vec<RuleLine>,
    /// Times in which the bank is down.
    pub outages: Vec<OutageLine>,
    /// What the bank does by itself.
    pub events: Vec<EventLine>,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleLine {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// To how many messages it was applied since the scenario came into force.
    pub applied: u64,
}

/// An outage of the scenario.
#[derive(Clone, Debug, Serialize)]
pub struct OutageLine {
    /// Why.
    pub about: String,
    /// How it shows.
    pub links: Down,
}

/// Something that the bank does by itself.
#[derive(Clone, Debug, Serialize)]
pub struct EventLine {
    /// Why.
    pub about: String,
    /// What.
    #[serde(rename = "do")]
    pub act: Act,
}

/// The scenario that an issuer follows.
pub fn scenario(issuer: &Issuer) -> ScenarioReport {
    let scenario = issuer.scenario();
    let rules = scenario.rules.iter().zip(issuer.applied());
    ScenarioReport {
        description: scenario.description.clone(),
        cards: scenario.cards.len(),
        ranges: scenario.ranges.iter().map(|range| range.prefix.clone()).collect(),
        rules: rules
            .map(|(rule, applied)| RuleLine { name: rule.name.clone(), about: rule.about.clone(), applied })
            .collect(),
        outages: scenario
            .outages
            .iter()
            .map(|outage| OutageLine { about: outage.about.clone(), links: outage.links })
            .collect(),
        events: scenario.events.iter().map(|event| EventLine { about: event.about.clone(), act: event.act }).collect(),
    }
}
