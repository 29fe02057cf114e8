//! What a merchant asks of the switch: checked, and with all its values.

use super::event::WaiterId;
use crate::payment::{
    Acceptor, Amount, Card, CardId, CardPrint, Consent, MerchantId, OperationKind, PaymentId, PosEntry, Purchase,
};
use crate::transaction::{Fingerprint, IdempotencyKey, Provenance};
use std::collections::BTreeMap;

/// A merchant's request, checked and with all its values.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whom to answer.
    pub waiter: WaiterId,
    /// Who asks.
    pub merchant: MerchantId,
    /// Under which key.
    pub key: IdempotencyKey,
    /// With which content.
    pub fingerprint: Fingerprint,
    /// What for.
    pub command: Command,
    /// Where it came from, where it says so.
    pub provenance: Option<Box<Provenance>>,
}

/// What a merchant can ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begin a payment.
    Begin(Box<Begin>),
    /// Capture an authorised amount, or all that is left.
    Capture {
        /// Of which payment.
        payment: PaymentId,
        /// How much.
        amount: Option<Amount>,
        /// Whether it is the last capture.
        is_final: bool,
    },
    /// Hold more.
    Increment {
        /// On which payment.
        payment: PaymentId,
        /// How much more.
        amount: Amount,
    },
    /// Take the payment back.
    Void {
        /// Which one.
        payment: PaymentId,
    },
    /// Give money back.
    Refund {
        /// Of which payment.
        payment: PaymentId,
        /// How much; all that is left if absent.
        amount: Option<Amount>,
    },
}

impl Command {
    /// What kind of operation it asks for.
    pub fn kind(&self) -> OperationKind {
        match self {
            Command::Begin(begin) => begin.kind,
            Command::Capture { .. } => OperationKind::Capture,
            Command::Increment { .. } => OperationKind::Increment,
            Command::Void { .. } => OperationKind::Void,
            Command::Refund { .. } => OperationKind::Refund,
        }
    }

    /// Whether it brings what a reader gave of a card.
    pub fn has_reading(&self) -> bool {
        matches!(self, Command::Begin(begin) if begin.card.present.is_some())
    }

    /// The payment it is about.
    pub fn payment(&self) -> PaymentId {
        match self {
            Command::Begin(begin) => begin.payment,
            Command::Capture { payment, .. } | Command::Increment { payment, .. } => *payment,
            Command::Void { payment } | Command::Refund { payment, .. } => *payment,
        }
    }
}

/// The beginning of a payment.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Its name, made by the edge.
    pub payment: PaymentId,
    /// What begins a payment, or only asks.
    pub kind: OperationKind,
    /// How much.
    pub amount: Amount,
    /// Whether an approval for less is welcome.
    pub allow_partial: bool,
    /// The merchant's own reference.
    pub reference: String,
    /// The card.
    pub card: Card,
    /// The name under which the card is sealed, made by the edge.
    pub card_id: CardId,
    /// By what it is told from other cards, made by the edge.
    pub card_print: CardPrint,
    /// The acceptor as the bank is told it.
    pub acceptor: Acceptor,
    /// How the card was entered.
    pub entry: PosEntry,
    /// How the cardholder's consent was established, where that was said.
    pub consent: Option<Consent>,
    /// What one business buys of another, where that was said.
    pub purchase: Option<Purchase>,
    /// What the merchant keeps with it.
    pub metadata: BTreeMap<String, String>,
}
