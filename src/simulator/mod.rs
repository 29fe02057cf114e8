//! A bank to talk to: an issuer with accounts, a durable ledger, and a TCP server around it.
//!
//! It is the other side of everything the switch promises, so it is written from the standard's
//! element tables and knows nothing of the switch: only `iso8583`, `framing`, `payment` and
//! `security`. An oracle that borrowed the switch's translation would repeat its mistakes.
//!
//! Reading order: [`Scenario`] (cards, and where the bank misbehaves), [`Profile`] (where things stand
//! in a message), [`Request`], [`Entry`] and [`Ledger`], [`Books`] (a fold over entries), [`Issuer`]
//! (pure: message, scenario and seed to planned answers), [`Store`] (the ledger on disk), [`Server`].

mod answer;
mod books;
mod check;
mod config;
mod decision;
mod entry;
mod issuer;
mod ledger;
mod mistake;
mod profile;
mod request;
mod scenario;
mod server;
mod store;

pub use books::{Books, Purse, REMEMBERED_MESSAGES};
pub use check::{FileKind, check};
pub use config::Config;
pub use entry::{AccountName, Balances, Entry, Kind, Sequence};
pub use issuer::{Action, Counters, Issuer, Link, Planned};
pub use ledger::{Effect, Ledger, PaymentKey};
pub use mistake::Mistake;
pub use profile::{Codes, Practice, Profile, Rest};
pub use request::{Asked, Network, OriginalKey, Request};
pub use scenario::{
    Behaviour, CardRange, Counted, DEMO, ListedCard, Reply, Rule, Scenario, Status, Terms, When, Wrong,
};
pub use server::{Handle, Server, ServerError, Settings};
pub use store::{Store, StoreError, read as read_ledger};
