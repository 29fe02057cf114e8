//! One line of the bank's ledger: what a message did, or why it did nothing.
//!
//! The entries are all that the bank keeps: accounts, holds, remembered reversals and the answers to
//! duplicates are a fold over them, so a bank that was killed is the same bank afterwards.
//! No entry holds a card number; it names an account.

use std::fmt;

use crate::iso8583::Mti;
use crate::payment::{BusinessDate, Currency, Wall};

use super::request::OriginalKey;

/// The place of an entry in the ledger, from 1.
pub type Sequence = u64;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Money set aside on the account (class 1).
    Authorisation,
    /// More money set aside for an earlier authorisation (class 1).
    Increment,
    /// Money taken at once (class 2).
    Sale,
    /// A hold, or a part of it, turned into money taken.
    Capture,
    /// Money given back.
    Refund,
    /// A question for the balance.
    Balance,
    /// A question whether the card is good.
    Verification,
    /// An earlier message taken back because somebody asked, by an ordinary request.
    Void,
    /// An earlier message taken back as a whole or in part (class 4).
    Reversal,
    /// The bank began a new business day before the clock did; touches no account.
    Cutover,
    /// New keys came into force; touches no account.
    KeyChange,
}

impl Kind {
    const NAMES: [(Kind, &'static str); 11] = [
        (Kind::Authorisation, "authorisation"),
        (Kind::Increment, "increment"),
        (Kind::Sale, "sale"),
        (Kind::Capture, "capture"),
        (Kind::Refund, "refund"),
        (Kind::Balance, "balance"),
        (Kind::Verification, "verification"),
        (Kind::Void, "void"),
        (Kind::Reversal, "reversal"),
        (Kind::Cutover, "cutover"),
        (Kind::KeyChange, "key-change"),
    ];

    /// Its name in the ledger and in scenario files.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An account of the bank by its name, never by a card number.
pub type AccountName = String;

/// What a balance inquiry was told, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Booked.
    pub booked: i64,
    /// Booked less what is set aside.
    pub available: i64,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1 without gaps.
    pub sequence: Sequence,
    /// When the bank booked it.
    pub at: Wall,
    /// The bank's day; a reversal carries its original's.
    pub business_date: BusinessDate,
    /// What it is about.
    pub kind: Kind,
    /// The message type as received first.
    pub mti: Mti,
    /// Names the message among all others, so that the same one again is told as a duplicate.
    pub key: String,
    /// How a later message names this one as its original.
    pub identity: OriginalKey,
    /// Retrieval reference (DE37), empty where the message had none.
    pub rrn: String,
    /// Card acceptor terminal (DE41).
    pub terminal: String,
    /// The account touched, where the card was known.
    pub account: Option<AccountName>,
    /// The currency of everything below.
    pub currency: Option<Currency>,
    /// What was asked for, in minor units.
    pub amount: i64,
    /// What was approved of it.
    pub approved: i64,
    /// Effect on the cardholder's booked balance; a sale is negative.
    pub net: i64,
    /// Effect on what is set aside.
    pub held: i64,
    /// The answer (DE39).
    pub response_code: String,
    /// The approval code given (DE38).
    pub approval_code: Option<String>,
    /// The entry that this one works on.
    pub original: Option<Sequence>,
    /// What then stands of that original, in minor units.
    pub standing: i64,
    /// What a balance inquiry was told.
    pub balances: Option<Balances>,
    /// How many wrong PINs in a row the account has had then, where a PIN was looked at.
    pub pin_tries: Option<u8>,
    /// The original that a reversal named and that the bank has never seen.
    pub unseen: Option<OriginalKey>,
}

impl Entry {
    /// Whether it moved or set aside money.
    pub fn has_effect(&self) -> bool {
        self.net != 0 || self.held != 0
    }
}
