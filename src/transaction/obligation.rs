//! What we owe a bank: a message it must acknowledge, recorded before it is sent, and never dropped in silence.

use crate::payment::MessageValues;
use minicbor::{Decode, Encode};

/// A message that is owed until the bank acknowledges it, or an operator takes it over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Obligation {
    /// Number within the payment, from 1; a payment's obligations are sent in this order.
    #[n(0)]
    pub number: u16,
    /// What kind of message.
    #[n(1)]
    pub kind: ObligationKind,
    /// The operation it is about.
    #[n(2)]
    pub operation: u16,
    /// What the message is made of. A repeat is made of the same values.
    #[n(3)]
    pub message: MessageValues,
}

/// The kinds of owed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ObligationKind {
    /// Takes a message back (0400, 0420).
    #[n(0)]
    Reversal,
    /// Tells what was done (0220).
    #[n(1)]
    Advice,
}

/// How an obligation ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Discharge {
    /// The bank acknowledged it; its code (data element 39), where it gave one.
    #[n(0)]
    Acknowledged(#[n(0)] Option<String>),
    /// The bank acknowledged that it knows no original, so nothing is to be undone.
    #[n(1)]
    OriginalUnknown(#[n(0)] Option<String>),
    /// The bank refused it: an exception that a person must settle.
    #[n(2)]
    Refused(#[n(0)] Option<String>),
    /// Given up after too many tries or too long a time: a person must settle it.
    #[n(3)]
    Parked(#[n(0)] Option<String>),
    /// It was never sent, and what it was about was taken back.
    #[n(4)]
    Cancelled,
    /// It was given up or refused, and an operator, named here, settles it with the bank in another way.
    #[n(6)]
    TakenOver(#[n(0)] String),
}

impl Discharge {
    /// Whether a person has to look at it.
    pub fn is_exception(&self) -> bool {
        matches!(self, Discharge::Refused(_) | Discharge::Parked(_))
    }
}
