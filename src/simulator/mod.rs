//! A bank to talk to: an issuer with accounts, a durable ledger, and a TCP server around it.
//!
//! It is the other side of everything the switch promises, so it is written from the standard's
//! element tables and knows nothing of the switch: only `iso8583`, `framing`, `payment` and
//! `security`. An oracle that borrowed the switch's translation would repeat its mistakes.
//!
//! Reading order: [`Scenario`] (cards, and where the bank misbehaves), [`Profile`] (where things stand
//! in a message), [`Request`], [`Entry`] and [`Ledger`], [`Books`] (a fold over entries), [`Issuer`]
//! (pure: message, scenario and seed to planned answers), [`Store`] (the ledger on disk), [`Tape`] (every
//! message), [`Server`] (links, and a control port), [`replay`] (a recorded conversation once more).

#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod answer;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod books;
mod check;
mod config;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod decision;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod entry;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod exchange;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod issuer;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod keyring;
mod keys;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod ledger;
mod mistake;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod profile;
pub mod replay;
mod report;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod request;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod scenario;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod sealing;
mod server;
mod store;
mod tape;
mod tls;

pub use books::{Books, Purse, REMEMBERED_MESSAGES};
pub use check::{FileKind, check};
pub use config::Config;
pub use entry::{AccountName, Balances, Entry, Kind, Sequence};
pub use issuer::{Action, Counters, Issuer, Link, LinkState, Manner, Planned};
pub use keyring::KeyLine;
pub use keys::Keys;
pub use ledger::{Effect, Ledger, PaymentKey};
pub use mistake::Mistake;
pub use profile::{Codes, LesserReversal, Practice, Profile, Rest};
pub use report::{AccountLine, EntryLine, EventLine, LinkLine, OutageLine, RuleLine, ScenarioReport};
pub use request::{Asked, Network, OriginalKey, Request, SentPin};
pub use scenario::{
    Act, Asks, Behaviour, CardRange, Counted, DEMO, Delay, Down, Due, Event, ListedCard, Moment, Outage, Reply, Rule,
    Scenario, Span, Status, Terms, When, Wrong,
};
pub use server::{Handle, Server, ServerError, Settings};
pub use store::{Store, StoreError, read as read_ledger};
pub use tape::{Direction, MessageLine, Recording, Seen, Tape, read_recording};
pub use tls::Tls;
