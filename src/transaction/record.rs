//! The records of a payment: what is made durable before anything is sent or told.
//!
//! A record holds every value that its message is made from, save the card number and the expiry, which it names by a
//! card id, and what may never be stored (CVC, track data, PIN block). Field numbers are for ever: a field that is no
//! longer written keeps its number, and a new one takes the next.

use super::obligation::{Discharge, Obligation};
use super::provenance::Provenance;
use crate::payment::{
    Acceptor, Amount, ApprovalCode, Balance, Brand, BusinessDate, CardId, CardPrint, MerchantId, MessageValues,
    OperationKind, PaymentId, ResultCode, Wall,
};
use minicbor::{Decode, Encode};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One entry of a payment's history. `(payment, version)` is unique in the store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Whose history.
    #[n(0)]
    pub payment: PaymentId,
    /// Place in it, from 1 without gaps.
    #[n(1)]
    pub version: u32,
    /// When it was decided.
    #[n(2)]
    pub at: Wall,
    /// What happened.
    #[n(3)]
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// An operation begins. Durable before its message leaves.
    #[n(0)]
    Requested(#[n(0)] Box<Requested>),
    /// The outcome of a request. Durable before it is told.
    #[n(1)]
    Settled(#[n(0)] Outcome),
    /// An obligation ended, one way or another.
    #[n(2)]
    Discharged {
        /// Which one.
        #[n(0)]
        obligation: u16,
        /// How.
        #[n(1)]
        discharge: Discharge,
    },
    /// A reply to a request came after it was settled without it; nothing changes by it.
    #[n(3)]
    LateReply {
        /// Number of the operation.
        #[n(0)]
        operation: u16,
        /// The bank's code, data element 39.
        #[n(1)]
        response_code: Option<String>,
        /// What the dialect takes it for.
        #[n(2)]
        result: ResultCode,
    },
    /// The reversal of an operation was closed because the bank knew no original, and then approved it after all:
    /// the obligation is owed again.
    #[n(4)]
    Reopened {
        /// Which obligation.
        #[n(0)]
        obligation: u16,
    },
    /// The request of an operation was certainly not sent, and goes to another host. Durable before the new message
    /// leaves.
    #[n(5)]
    Rerouted(#[n(0)] Box<Rerouted>),
}

/// The first record of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Requested {
    /// Number of the operation within the payment, from 1.
    #[n(0)]
    pub operation: u16,
    /// What was asked for.
    #[n(1)]
    pub kind: OperationKind,
    /// How much.
    #[n(2)]
    pub amount: Amount,
    /// The merchant's key, unique with the merchant in the store.
    #[n(3)]
    pub key: IdempotencyKey,
    /// Keyed hash of the canonical request.
    #[n(4)]
    pub fingerprint: Fingerprint,
    /// Whether an approval for less is welcome.
    #[n(5)]
    pub allow_partial: bool,
    /// Of a capture: whether it is the last one.
    #[n(6)]
    pub is_final: bool,
    /// How the bank is told.
    #[n(7)]
    pub delivery: Delivery,
    /// What the message is made of.
    #[n(8)]
    pub message: MessageValues,
    /// The host's day when this was recorded.
    #[n(9)]
    pub business_date: BusinessDate,
    /// What this operation owes the bank from the start (an advice, the reversals of a void).
    #[n(10)]
    pub obligations: Vec<Obligation>,
    /// What belongs to the payment as a whole, on its first record only.
    #[cbor(n(11), with = "super::cbor::shared", has_nil)]
    pub origin: Option<Arc<Origin>>,
    /// Where the request came from, where it says so.
    #[n(12)]
    pub provenance: Option<Box<Provenance>>,
}

/// A request on its way to another host.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rerouted {
    /// Number of the operation.
    #[n(0)]
    pub operation: u16,
    /// What the message is made of from now on.
    #[n(1)]
    pub message: MessageValues,
    /// The new host's day when this was recorded.
    #[n(2)]
    pub business_date: BusinessDate,
}

/// What a payment keeps from its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Origin {
    /// Whose payment it is.
    #[n(0)]
    pub merchant: MerchantId,
    /// The merchant's own reference.
    #[n(1)]
    pub reference: String,
    /// What may be shown of the card, and where the rest lies.
    #[n(2)]
    pub card: CardSummary,
    /// The acceptor as the bank is told it.
    #[n(3)]
    pub acceptor: Acceptor,
    /// What the merchant keeps with it.
    #[n(4)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardSummary {
    /// Where number and expiry lie sealed.
    #[n(0)]
    pub id: CardId,
    /// The scheme.
    #[n(1)]
    pub brand: Brand,
    /// First six digits.
    #[cbor(n(2), with = "super::cbor::short_text")]
    pub first6: SmolStr,
    /// Last four digits.
    #[cbor(n(3), with = "super::cbor::short_text")]
    pub last4: SmolStr,
}

/// How the bank is told of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Delivery {
    /// Asked, and its answer awaited: it can be declined.
    #[n(0)]
    Request,
    /// Told once recorded; the message is owed to the bank.
    #[n(1)]
    Advice,
    /// Asked, and its answer awaited; but where that does not come, the message itself is sent again until it does.
    #[n(2)]
    Awaited,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// Number of the operation.
    #[n(0)]
    pub operation: u16,
    /// What it means to us.
    #[n(1)]
    pub result: ResultCode,
    /// The bank's own code (data element 39), kept raw.
    #[n(2)]
    pub response_code: Option<String>,
    /// What the bank approved, where it did.
    #[n(3)]
    pub approved: Option<Amount>,
    /// Approval code (data element 38).
    #[n(4)]
    pub approval_code: Option<ApprovalCode>,
    /// The day the bank books it on, where the host decides that (data element 15).
    #[n(5)]
    pub business_date: Option<BusinessDate>,
    /// What is owed because of it.
    #[n(6)]
    pub obligations: Vec<Obligation>,
    /// The card, where it was approved in the bank's place.
    #[n(7)]
    pub stand_in: Option<CardPrint>,
    /// What a balance inquiry was told (data element 54).
    #[n(8)]
    pub balances: Option<Vec<Balance>>,
}

/// The merchant's `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// `None` where the text is empty, too long or has other characters.
    pub fn new(text: &str) -> Option<IdempotencyKey> {
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        (visible && (1..=255).contains(&text.len())).then(|| IdempotencyKey(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A keyed hash (HMAC-SHA-256) over method, target and canonical values of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}
