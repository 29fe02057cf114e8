//! The fold: a payment as its records tell it.

use super::obligation::{Discharge, Obligation, ObligationKind, older_kind};
use super::provenance::Provenance;
use super::record::{Body, Delivery, Fingerprint, IdempotencyKey, Origin, Outcome, Record, Requested, Rerouted};
use crate::payment::{
    Amount, ApprovalCode, Balance, BusinessDate, CardPrint, MessageKind, MessageValues, OperationKind, PaymentId,
    ResultClass, ResultCode, Wall,
};
use std::sync::Arc;

/// A payment, folded from its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Which one.
    pub id: PaymentId,
    /// Version of the last record.
    pub version: u32,
    /// What it keeps from its beginning.
    pub origin: Arc<Origin>,
    /// What was asked for at the beginning.
    pub amount: Amount,
    /// When it began.
    pub created_at: Wall,
    /// Its operations in order; never empty.
    pub operations: Vec<Operation>,
    /// All that is or was owed for it, in order.
    pub obligations: Vec<Owed>,
}

/// One operation of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Number within the payment, from 1.
    pub number: u16,
    /// What was asked for.
    pub kind: OperationKind,
    /// How much.
    pub amount: Amount,
    /// Under which key.
    pub key: IdempotencyKey,
    /// With which content.
    pub fingerprint: Fingerprint,
    /// Whether an approval for less is welcome.
    pub allow_partial: bool,
    /// Of a capture: whether it is the last one.
    pub is_final: bool,
    /// How the bank is told.
    pub delivery: Delivery,
    /// What the request is made of.
    pub message: MessageValues,
    /// The day it is booked on.
    pub business_date: BusinessDate,
    /// How far it came.
    pub state: OperationState,
    /// What the outcome means, once there is one.
    pub result: Option<ResultCode>,
    /// The bank's own code.
    pub response_code: Option<String>,
    /// What the bank approved.
    pub approved: Option<Amount>,
    /// Approval code.
    pub approval_code: Option<ApprovalCode>,
    /// The card, where it was approved in the bank's place.
    pub stand_in: Option<CardPrint>,
    /// What a balance inquiry was told.
    pub balances: Vec<Balance>,
    /// Where it came from, where that was said.
    pub provenance: Option<Box<Provenance>>,
    /// When it was asked for.
    pub created_at: Wall,
    /// Version of the record by which its merchant was told: the answer to a repeat is the fold up to here.
    pub told_at: Option<u32>,
}

/// The states of an operation (see the diagram in [`super`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// No outcome yet, or one that the bank's file must tell.
    Pending,
    /// Done.
    Approved,
    /// Refused by the bank.
    Declined,
    /// Certainly not done.
    Failed,
    /// Outcome unknown, being taken back: not done, at once and for ever.
    Reversing,
    /// Taken back, and the bank acknowledged it.
    Reversed,
}

impl Operation {
    /// What kind of message asks the bank for it.
    pub fn message_kind(&self) -> MessageKind {
        self.message.kind.unwrap_or(older_kind(self.kind))
    }

    fn taken_back(&mut self) {
        if self.state == OperationState::Reversing {
            self.state = OperationState::Reversed;
        }
    }

    /// The bank answered a repeat of its message, which ends what was left pending.
    fn answered_at_last(&mut self, discharge: &Discharge) {
        if self.state != OperationState::Pending {
            return;
        }
        match discharge {
            Discharge::Acknowledged(code) => {
                (self.state, self.result) = (OperationState::Approved, Some(ResultCode::Approved));
                (self.response_code, self.approved) = (code.clone(), Some(self.amount));
            }
            Discharge::Declined(result, code) => {
                (self.state, self.result) = (state_of(*result, false), Some(*result));
                self.response_code.clone_from(code);
            }
            _ => {}
        }
    }
}

/// The state that a result brings about.
fn state_of(result: ResultCode, owes_reversal: bool) -> OperationState {
    match result.class() {
        ResultClass::Approved | ResultClass::ApprovedPartly => OperationState::Approved,
        ResultClass::Declined(_) => OperationState::Declined,
        ResultClass::NotDone => OperationState::Failed,
        ResultClass::Unknown if owes_reversal => OperationState::Reversing,
        ResultClass::Unknown => OperationState::Pending,
    }
}

impl OperationState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            OperationState::Pending => "pending",
            OperationState::Approved => "approved",
            OperationState::Declined => "declined",
            OperationState::Failed => "failed",
            OperationState::Reversing => "reversing",
            OperationState::Reversed => "reversed",
        }
    }
}

/// The states of a payment as a merchant sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PaymentStatus {
    Pending,
    Authorized,
    Captured,
    PartiallyRefunded,
    Refunded,
    Voided,
    Declined,
    Failed,
    Reversing,
    Reversed,
}

impl PaymentStatus {
    /// All of them.
    pub const ALL: [PaymentStatus; 10] = [
        PaymentStatus::Pending,
        PaymentStatus::Authorized,
        PaymentStatus::Captured,
        PaymentStatus::PartiallyRefunded,
        PaymentStatus::Refunded,
        PaymentStatus::Voided,
        PaymentStatus::Declined,
        PaymentStatus::Failed,
        PaymentStatus::Reversing,
        PaymentStatus::Reversed,
    ];

    /// By its name in the API.
    pub fn from_name(name: &str) -> Option<PaymentStatus> {
        PaymentStatus::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            PaymentStatus::Pending => "pending",
            PaymentStatus::Authorized => "authorized",
            PaymentStatus::Captured => "captured",
            PaymentStatus::PartiallyRefunded => "partially_refunded",
            PaymentStatus::Refunded => "refunded",
            PaymentStatus::Voided => "voided",
            PaymentStatus::Declined => "declined",
            PaymentStatus::Failed => "failed",
            PaymentStatus::Reversing => "reversing",
            PaymentStatus::Reversed => "reversed",
        }
    }
}

/// Something owed, and how it ended if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The message that is owed.
    pub obligation: Obligation,
    /// How it ended; `None` while it is open.
    pub discharge: Option<Discharge>,
}

impl Owed {
    /// Whether it was given up or refused, and nobody has settled it.
    pub fn is_exception(&self) -> bool {
        self.discharge.as_ref().is_some_and(Discharge::is_exception)
    }
}

/// Why records are not a payment's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// No records, or the first does not begin a payment.
    #[error("the history does not begin with a payment's first request")]
    Beginning,
    /// A version is missing or stands twice.
    #[error("version {found} stands where {expected} is expected")]
    Version {
        /// What should have come.
        expected: u32,
        /// What came.
        found: u32,
    },
    /// A record speaks of an operation or obligation that is not there.
    #[error("a record speaks of something that is not there")]
    Dangling,
}

impl Payment {
    /// Folds a whole history, oldest first.
    pub fn fold(records: &[Record]) -> Result<Payment, FoldError> {
        let (first, rest) = records.split_first().ok_or(FoldError::Beginning)?;
        let mut payment = Payment::begin(first)?;
        rest.iter().try_for_each(|record| payment.apply(record))?;
        Ok(payment)
    }

    /// The payment right after its first record.
    pub fn begin(first: &Record) -> Result<Payment, FoldError> {
        let Body::Requested(requested) = &first.body else { return Err(FoldError::Beginning) };
        let origin = requested.origin.as_ref().ok_or(FoldError::Beginning)?;
        let mut payment = Payment {
            id: first.payment,
            version: 0,
            origin: Arc::clone(origin),
            amount: requested.amount,
            created_at: first.at,
            operations: Vec::with_capacity(1),
            obligations: Vec::new(),
        };
        payment.apply(first)?;
        Ok(payment)
    }

    /// Takes the next record in.
    pub fn apply(&mut self, record: &Record) -> Result<(), FoldError> {
        let expected = self.version + 1;
        if record.version != expected {
            return Err(FoldError::Version { expected, found: record.version });
        }
        match &record.body {
            Body::Requested(requested) => self.request(requested, record),
            Body::Settled(outcome) => self.settle(outcome, record.version)?,
            Body::Discharged { obligation, discharge } => self.discharge(*obligation, discharge)?,
            Body::LateReply { operation, .. } => drop(self.operation_mut(*operation)?),
            Body::Reopened { obligation } => self.reopen(*obligation)?,
            Body::Rerouted(rerouted) => self.reroute(rerouted)?,
        }
        self.version = expected;
        Ok(())
    }

    fn request(&mut self, requested: &Requested, record: &Record) {
        let told = requested.delivery == Delivery::Advice;
        self.operations.push(Operation {
            number: requested.operation,
            kind: requested.kind,
            amount: requested.amount,
            key: requested.key.clone(),
            fingerprint: requested.fingerprint,
            allow_partial: requested.allow_partial,
            is_final: requested.is_final,
            delivery: requested.delivery,
            message: requested.message.clone(),
            business_date: requested.business_date,
            state: if told { OperationState::Approved } else { OperationState::Pending },
            result: told.then_some(ResultCode::Approved),
            response_code: None,
            approved: told.then_some(requested.amount),
            approval_code: None,
            stand_in: None,
            balances: Vec::new(),
            provenance: requested.provenance.clone(),
            created_at: record.at,
            told_at: told.then_some(record.version),
        });
        self.owe(&requested.obligations);
    }

    fn settle(&mut self, outcome: &Outcome, version: u32) -> Result<(), FoldError> {
        let takes_it_back =
            |owed: &Obligation| owed.kind == ObligationKind::Reversal && owed.operation == outcome.operation;
        let owes_reversal = outcome.obligations.iter().any(takes_it_back);
        let operation = self.operation_mut(outcome.operation)?;
        operation.state = match state_of(outcome.result, owes_reversal) {
            // Nothing can have been done by it, so nothing remains open.
            OperationState::Pending | OperationState::Reversing if operation.kind.is_inquiry() => {
                OperationState::Failed
            }
            state => state,
        };
        operation.result = Some(outcome.result);
        operation.response_code.clone_from(&outcome.response_code);
        operation.approved = outcome.approved;
        operation.approval_code = outcome.approval_code;
        operation.stand_in = outcome.stand_in;
        operation.balances = outcome.balances.clone().unwrap_or_default();
        if let (Some(_), Some(advice)) = (outcome.stand_in, outcome.obligations.first()) {
            // The bank will know it by its advice: what follows names that as its original.
            operation.message = advice.message.clone();
        }
        operation.business_date = outcome.business_date.unwrap_or(operation.business_date);
        operation.told_at.get_or_insert(version);
        self.owe(&outcome.obligations);
        Ok(())
    }

    fn owe(&mut self, obligations: &[Obligation]) {
        self.obligations.extend(obligations.iter().map(|owed| Owed { obligation: owed.clone(), discharge: None }));
    }

    fn discharge(&mut self, number: u16, discharge: &Discharge) -> Result<(), FoldError> {
        let owed = self.owed_mut(number)?;
        owed.discharge = Some(discharge.clone());
        let (kind, operation) = (owed.obligation.kind, owed.obligation.operation);
        let operation = self.operation_mut(operation)?;
        match kind {
            ObligationKind::Reversal if discharge.is_done() => operation.taken_back(),
            ObligationKind::Repeat => operation.answered_at_last(discharge),
            _ => {}
        }
        Ok(())
    }

    fn reopen(&mut self, number: u16) -> Result<(), FoldError> {
        let owed = self.owed_mut(number)?;
        owed.discharge = None;
        let operation = owed.obligation.operation;
        let operation = self.operation_mut(operation)?;
        if operation.state == OperationState::Reversed {
            operation.state = OperationState::Reversing;
        }
        Ok(())
    }

    /// Only a request without outcome can go elsewhere.
    fn reroute(&mut self, rerouted: &Rerouted) -> Result<(), FoldError> {
        let operation = self.operation_mut(rerouted.operation)?;
        if operation.told_at.is_some() {
            return Err(FoldError::Dangling);
        }
        operation.message = rerouted.message.clone();
        operation.business_date = rerouted.business_date;
        Ok(())
    }

    fn operation_mut(&mut self, number: u16) -> Result<&mut Operation, FoldError> {
        self.operations.iter_mut().find(|operation| operation.number == number).ok_or(FoldError::Dangling)
    }

    fn owed_mut(&mut self, number: u16) -> Result<&mut Owed, FoldError> {
        self.obligations.iter_mut().find(|owed| owed.obligation.number == number).ok_or(FoldError::Dangling)
    }

    /// The operation that began the payment.
    pub fn first(&self) -> &Operation {
        self.operations.first().expect("a payment begins with an operation")
    }

    /// The operation of a number.
    pub fn operation(&self, number: u16) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.number == number)
    }

    /// The operation that came under a key.
    pub fn operation_by_key(&self, key: &IdempotencyKey) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.key == *key)
    }

    /// What is still owed, in order.
    pub fn open_obligations(&self) -> impl Iterator<Item = &Obligation> {
        self.obligations.iter().filter(|owed| owed.discharge.is_none()).map(|owed| &owed.obligation)
    }

    /// Whether the bank is still to learn of what was approved in its place: it is owed that, or did not take it and
    /// nobody has settled it since.
    pub fn bank_is_to_learn_of_it(&self) -> bool {
        let told = &self.first().message;
        let is_advice =
            |owed: &&Owed| owed.obligation.kind == ObligationKind::Advice && owed.obligation.message == *told;
        let mut advices = self.obligations.iter().filter(is_advice);
        self.first().stand_in.is_some() && advices.any(|owed| owed.discharge.is_none() || owed.is_exception())
    }

    /// The request that has no outcome record yet.
    pub fn unsettled(&self) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.told_at.is_none())
    }

    /// Whether it only asks: no payment to merchants, and nothing may follow.
    pub fn is_inquiry(&self) -> bool {
        self.first().kind.is_inquiry()
    }

    /// What the bank authorised, increments included.
    pub fn authorized(&self) -> Amount {
        match self.first().state {
            OperationState::Approved => {
                let increments = self.total(OperationKind::Increment, &[OperationState::Approved]);
                self.authorized_at_first().plus(increments).expect("increments stay within what an amount can say")
            }
            _ => Amount::zero(self.amount.currency()),
        }
    }

    /// What the bank authorised of what was asked for at the beginning.
    pub(super) fn authorized_at_first(&self) -> Amount {
        self.first().approved.unwrap_or(self.first().amount)
    }

    /// What is or may be held by increments.
    pub(super) fn increment_claims(&self) -> Amount {
        self.total(OperationKind::Increment, &[OperationState::Approved, OperationState::Pending])
    }

    /// What was captured and not voided.
    pub fn captured(&self) -> Amount {
        let first = self.first();
        match first.kind {
            _ if self.is_voided() => Amount::zero(self.amount.currency()),
            OperationKind::Sale => self.authorized(),
            _ => self.total(OperationKind::Capture, &[OperationState::Approved]),
        }
    }

    /// What was given back.
    pub fn refunded(&self) -> Amount {
        self.total(OperationKind::Refund, &[OperationState::Approved])
    }

    /// What captures have taken or may have taken.
    pub fn capture_claims(&self) -> Amount {
        self.total(OperationKind::Capture, &[OperationState::Approved, OperationState::Pending])
    }

    /// What refunds have given back or may have given back.
    pub(super) fn refund_claims(&self) -> Amount {
        self.total(OperationKind::Refund, &[OperationState::Approved, OperationState::Pending])
    }

    fn total(&self, kind: OperationKind, states: &[OperationState]) -> Amount {
        let counted = self.operations.iter().filter(|op| op.kind == kind && states.contains(&op.state));
        let minor = counted.map(|op| op.approved.unwrap_or(op.amount).minor()).sum();
        Amount::new(minor, self.amount.currency())
            .expect("captures and refunds stay below what was authorised, and that within an amount")
    }

    /// Whether a void was done.
    pub fn is_voided(&self) -> bool {
        self.has_approved(|op| op.kind == OperationKind::Void)
    }

    /// Whether no capture may follow.
    pub fn is_fully_captured(&self) -> bool {
        self.first().kind == OperationKind::Sale
            || self.has_approved(|op| op.kind == OperationKind::Capture && op.is_final)
            || self.captured() == self.authorized()
    }

    fn has_approved(&self, which: impl Fn(&Operation) -> bool) -> bool {
        self.operations.iter().any(|op| op.state == OperationState::Approved && which(op))
    }

    /// Whether the bank authorised less than was asked at the beginning.
    pub fn is_partial(&self) -> bool {
        self.first().state == OperationState::Approved && self.authorized_at_first() != self.amount
    }

    /// The payment's status as a merchant sees it.
    pub fn status(&self) -> PaymentStatus {
        match self.first().state {
            OperationState::Pending => PaymentStatus::Pending,
            OperationState::Declined => PaymentStatus::Declined,
            OperationState::Failed => PaymentStatus::Failed,
            OperationState::Reversing => PaymentStatus::Reversing,
            OperationState::Reversed => PaymentStatus::Reversed,
            OperationState::Approved if self.is_voided() => PaymentStatus::Voided,
            OperationState::Approved => self.status_of_money(),
        }
    }

    fn status_of_money(&self) -> PaymentStatus {
        match (self.refunded().minor(), self.captured().minor()) {
            (0, _) if self.is_fully_captured() => PaymentStatus::Captured,
            (0, _) => PaymentStatus::Authorized,
            (refunded, captured) if refunded == captured => PaymentStatus::Refunded,
            _ => PaymentStatus::PartiallyRefunded,
        }
    }

    /// Whether nothing about it is in motion: no request without outcome, nothing owed.
    pub fn is_at_rest(&self) -> bool {
        self.unsettled().is_none() && self.open_obligations().next().is_none()
    }
}
