//! What we owe a bank: a message it must acknowledge, recorded before it is sent, and never dropped in silence.

use crate::payment::{MessageKind, MessageValues, OperationKind, ResultCode};
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
    /// Gives back what the last capture left of an authorisation (0420 with data element 95).
    #[n(2)]
    Release,
    /// Sends an operation's own message again, whose answer was awaited and did not come (0221, 0401).
    #[n(3)]
    Repeat,
}

impl Obligation {
    /// Whether it tells of what another tells the bank of first: a completion, a refund or a release behind the advice
    /// of what was approved in the bank's place. It may not overtake that one.
    pub fn builds_on(&self, other: &Obligation) -> bool {
        let tells = matches!(self.kind, ObligationKind::Advice | ObligationKind::Release);
        tells && other.kind == ObligationKind::Advice && self.message.original == Some(other.message.as_original())
    }

    /// What kind of message it is, where the operation it is about is of `kind`. Records older than the kinds of
    /// messages knew a single one for each.
    pub fn message_kind(&self, kind: OperationKind) -> MessageKind {
        let older = match self.kind {
            ObligationKind::Reversal | ObligationKind::Release => MessageKind::Reversal,
            ObligationKind::Advice | ObligationKind::Repeat => older_kind(kind),
        };
        self.message.kind.unwrap_or(older)
    }
}

/// The kind of message by which an operation was told before there was a choice.
pub(super) fn older_kind(kind: OperationKind) -> MessageKind {
    match kind {
        OperationKind::Authorisation => MessageKind::Authorisation,
        OperationKind::Sale => MessageKind::Sale,
        OperationKind::Capture => MessageKind::Capture,
        OperationKind::Refund => MessageKind::Refund,
        OperationKind::Increment => MessageKind::Increment,
        OperationKind::Void => MessageKind::Reversal,
        OperationKind::Verification => MessageKind::Verification,
        OperationKind::BalanceInquiry => MessageKind::BalanceInquiry,
    }
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
    /// It was never sent, and need not be: what it was about was taken back, or was never sent itself.
    #[n(4)]
    Cancelled,
    /// The bank declined what was asked, after its answer had been unknown: the operation ends by it.
    #[n(5)]
    Declined(#[n(0)] ResultCode, #[n(1)] Option<String>),
    /// It was given up or refused, and an operator, named here, settles it with the bank in another way.
    #[n(6)]
    TakenOver(#[n(0)] String),
}

impl Discharge {
    /// Whether the bank has what it was owed, or needs it no more.
    pub fn is_done(&self) -> bool {
        !self.is_exception() && !matches!(self, Discharge::TakenOver(_))
    }

    /// Whether a person has to look at it.
    pub fn is_exception(&self) -> bool {
        matches!(self, Discharge::Refused(_) | Discharge::Parked(_))
    }
}
