//! The values of a message to a bank, whatever its dialect: what a record keeps of it and `translation` writes.
//!
//! The kind says which description of the dialect writes it, so that a repeat after a change of the host's settings is
//! still the same message. Records older than the kind lack it; whoever writes them knows it from the operation. Field
//! numbers are those of the stored record: a field that is no longer written keeps its number.

use super::{Amount, ApprovalCode, BusinessDate, Consent, Name, Purchase, Rrn, Stan, Wall};
use minicbor::{Decode, Encode};

/// The values of one message to a bank, whatever its dialect.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MessageValues {
    /// The host it goes to.
    #[n(0)]
    pub host: Name,
    /// The dialect it is written in: name and digest of its definition.
    #[n(1)]
    pub dialect: Name,
    /// Message type as first sent, four digits.
    #[n(2)]
    pub mti: u16,
    /// Processing code (data element 3).
    #[n(3)]
    pub processing_code: u32,
    /// Transaction amount (data elements 4 and 49).
    #[n(4)]
    pub amount: Amount,
    /// Trace number (data element 11).
    #[n(5)]
    pub stan: Stan,
    /// Transmission time (data element 7), also the local time of the transaction where it has no other.
    #[n(6)]
    pub transmitted_at: Wall,
    /// Retrieval reference (data element 37).
    #[n(7)]
    pub rrn: Rrn,
    /// How the card was entered (data elements 22 and 25).
    #[n(8)]
    pub entry: PosEntry,
    /// Acquiring institution (data element 32).
    #[n(9)]
    pub acquirer: Name,
    /// Approval code of the original (data element 38).
    #[n(10)]
    pub approval_code: Option<ApprovalCode>,
    /// The original this message is about (data element 90).
    #[n(11)]
    pub original: Option<Original>,
    /// Why it is reversed (data element 39 of a reversal).
    #[n(12)]
    pub reason: Option<ReversalReason>,
    /// When the cardholder's transaction took place (data elements 12 and 13).
    #[n(13)]
    pub local_time: Wall,
    /// Link and its epoch as chosen when recorded; none for what is sent on whichever link there is.
    #[n(14)]
    pub link: Option<(u16, u32)>,
    /// What kind of message it is; none in records that are older than the kinds.
    #[n(15)]
    pub kind: Option<MessageKind>,
    /// What of the original is to stand (data element 95), where it is taken back in part.
    #[n(16)]
    pub remains: Option<Amount>,
    /// The business day it belongs to (data element 15): of a reversal, its original's.
    #[n(17)]
    pub business_date: Option<BusinessDate>,
    /// How the cardholder's consent was established, where that was said.
    #[n(18)]
    pub consent: Option<Consent>,
    /// What one business buys of another, where that was said.
    #[n(19)]
    pub purchase: Option<Purchase>,
}

/// The kinds of messages the switch writes; a dialect describes each that its bank is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum MessageKind {
    /// Holds an amount (x100).
    #[n(0)]
    Authorisation,
    /// Authorises and captures (x200).
    #[n(1)]
    Sale,
    /// Tells that what is held was taken (x220).
    #[n(2)]
    Capture,
    /// Asks to take what is held (x200).
    #[n(3)]
    CaptureRequest,
    /// Asks to give back (x200).
    #[n(4)]
    Refund,
    /// Tells that something was given back (x220).
    #[n(5)]
    RefundAdvice,
    /// Takes a message back (x420).
    #[n(6)]
    Reversal,
    /// Takes a message back by request (x400).
    #[n(7)]
    ReversalRequest,
    /// Takes the rest of an authorisation back (x420 with data element 95).
    #[n(8)]
    Release,
    /// Takes the rest of an authorisation back by request (x400 with data element 95).
    #[n(9)]
    ReleaseRequest,
    /// Asks to undo an authorisation (x100 with a processing code of its own).
    #[n(10)]
    VoidAuthorisation,
    /// Asks to undo a sale (x200 with a processing code of its own).
    #[n(11)]
    VoidSale,
    /// Asks to undo a capture (x200 with a processing code of its own).
    #[n(12)]
    VoidCapture,
    /// Tells of an amount that was held in the bank's place (x120).
    #[n(13)]
    StandInAdvice,
    /// Tells of a sale that was approved in the bank's place (x220).
    #[n(14)]
    StandInSale,
    /// Asks whether a card is good (x100 for a zero amount).
    #[n(15)]
    Verification,
    /// Asks what is on an account (x100).
    #[n(16)]
    BalanceInquiry,
    /// Asks to hold more on top of an authorisation (x100 with data element 90).
    #[n(17)]
    Increment,
}

/// Each kind with its name in dialect files.
const MESSAGE_KINDS: &[(MessageKind, &str)] = &[
    (MessageKind::Authorisation, "authorisation"),
    (MessageKind::Sale, "sale"),
    (MessageKind::Capture, "capture"),
    (MessageKind::CaptureRequest, "capture_request"),
    (MessageKind::Refund, "refund"),
    (MessageKind::RefundAdvice, "refund_advice"),
    (MessageKind::Reversal, "reversal"),
    (MessageKind::ReversalRequest, "reversal_request"),
    (MessageKind::Release, "release"),
    (MessageKind::ReleaseRequest, "release_request"),
    (MessageKind::VoidAuthorisation, "void_authorisation"),
    (MessageKind::VoidSale, "void_sale"),
    (MessageKind::VoidCapture, "void_capture"),
    (MessageKind::StandInAdvice, "stand_in_advice"),
    (MessageKind::StandInSale, "stand_in_sale"),
    (MessageKind::Verification, "verification"),
    (MessageKind::BalanceInquiry, "balance_inquiry"),
    (MessageKind::Increment, "increment"),
];

impl MessageKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = MessageKind> {
        MESSAGE_KINDS.iter().map(|(kind, _)| *kind)
    }

    /// By its name in dialect files.
    pub fn from_name(name: &str) -> Option<MessageKind> {
        MESSAGE_KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Name in dialect files.
    pub fn name(self) -> &'static str {
        MESSAGE_KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// How the card came to the merchant, in the words of data elements 22 and 25 (1987).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PosEntry {
    /// Keyed in on a web page.
    #[n(0)]
    Ecommerce,
    /// By mail or telephone.
    #[n(1)]
    MailOrder,
    /// Read from its chip by contact.
    #[n(2)]
    Chip,
    /// Read from its chip without contact.
    #[n(3)]
    Contactless,
    /// Read from its magnetic stripe.
    #[n(4)]
    Swipe,
}

/// Names an earlier message (data element 90).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Original {
    /// Its message type.
    #[n(0)]
    pub mti: u16,
    /// Its trace number.
    #[n(1)]
    pub stan: Stan,
    /// Its transmission time.
    #[n(2)]
    pub transmitted_at: Wall,
}

impl MessageValues {
    /// This message as the original of another.
    pub fn as_original(&self) -> Original {
        Original { mti: self.mti, stan: self.stan, transmitted_at: self.transmitted_at }
    }
}

/// Why something is reversed; a dialect writes it in its own code (1987: data element 39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ReversalReason {
    /// No answer came in time, or the line broke.
    #[n(0)]
    Timeout,
    /// The merchant or cardholder cancelled.
    #[n(1)]
    Cancelled,
    /// The answer did not fit the request.
    #[n(2)]
    InvalidResponse,
    /// Approved for less than was asked, and that was not wanted.
    #[n(3)]
    PartialRefused,
    /// The last capture took less than was authorised: the rest is not needed.
    #[n(4)]
    PartlyCompleted,
}

impl ReversalReason {
    /// Name in dialect files.
    pub fn name(self) -> &'static str {
        match self {
            ReversalReason::Timeout => "timeout",
            ReversalReason::Cancelled => "cancelled",
            ReversalReason::InvalidResponse => "invalid_response",
            ReversalReason::PartialRefused => "partial_refused",
            ReversalReason::PartlyCompleted => "partly_completed",
        }
    }
}
