//! What a message asks of the issuer, taken out of its elements by a profile once, at the border.

use crate::iso8583::Mti;
use crate::payment::{Currency, Cvc, Expiry, Pan};
use crate::security::PinBlock;

use super::entry::Kind;

/// What a message names as its original, or is named by: message type, STAN, transmission time and
/// acquirer. The forwarder of DE90 is not compared, since few hosts send it twice the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginalKey {
    /// Message type without its repeat digit, four digits.
    pub mti: String,
    /// STAN (DE11).
    pub stan: String,
    /// Transmission time (DE7), or the local time of an edition that names originals by it (DE12).
    pub transmission: String,
    /// Acquirer (DE32) without leading zeros; empty where it wasn't said.
    pub acquirer: String,
}

/// A PIN block as it was sent.
#[derive(Clone, Debug)]
pub enum SentPin {
    /// Of a length that blocks have.
    Block(PinBlock),
    /// Of another.
    Malformed,
}

/// What a financial message asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The message type as received.
    pub mti: Mti,
    /// What it is about.
    pub kind: Kind,
    /// Tells it from every other message (the profile's list of elements).
    pub key: String,
    /// How others name it.
    pub identity: OriginalKey,
    /// Retrieval reference (DE37), or empty.
    pub rrn: String,
    /// Terminal (DE41), or empty.
    pub terminal: String,
    /// Merchant (DE42), or empty.
    pub merchant: String,
    /// The card.
    pub pan: Option<Pan>,
    /// Expiry, where it was sent.
    pub expiry: Option<Expiry>,
    /// Card verification code, where it was sent.
    pub cvc: Option<Cvc>,
    /// PIN block, where it was sent.
    pub pin: Option<SentPin>,
    /// Amount in minor units; 0 where there was none.
    pub amount: i64,
    /// Its currency.
    pub currency: Option<Currency>,
    /// The original it names (DE90).
    pub original: Option<OriginalKey>,
    /// The approval code it quotes (DE38).
    pub approval: Option<String>,
    /// For a reversal, how much is to stand afterwards (DE95); 0 takes all back.
    pub replacement: i64,
}

impl Request {
    /// An act of the bank's own, about no card.
    pub(super) fn of_the_bank(kind: Kind, mti: Mti, key: String) -> Self {
        Self {
            mti,
            kind,
            identity: OriginalKey { mti: key.clone(), ..OriginalKey::default() },
            key,
            rrn: String::new(),
            terminal: String::new(),
            merchant: String::new(),
            pan: None,
            expiry: None,
            cvc: None,
            pin: None,
            amount: 0,
            currency: None,
            original: None,
            approval: None,
            replacement: 0,
        }
    }

    /// An advice tells what has happened; it is booked without asking the balance.
    pub fn is_advice(&self) -> bool {
        self.mti.is_advice()
    }
}

/// A message of class 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The peer wants to work.
    SignOn,
    /// The peer stops working.
    SignOff,
    /// The peer asks whether we live.
    Echo,
    /// New keys are wanted.
    KeyChange,
    /// A business day ends.
    Cutover,
    /// Something else, not supported.
    Other,
}

/// What a message turned out to be.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Moves or asks about money.
    Financial(Box<Request>),
    /// About the link.
    Network(Network),
    /// Lacks what its kind can't do without; the element is named.
    Incomplete(&'static str),
    /// A type the issuer has no answer to (a response, or a class it doesn't take).
    Unsupported,
}
