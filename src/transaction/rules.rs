//! What may follow what: the legality of increments, captures, voids and refunds, and what each comes to.

use super::payment::{Operation, OperationState, Payment};
use crate::payment::{Amount, BusinessDate, OperationKind};

/// Why an operation is not legal on a payment as it stands. Nothing is recorded and the key is not used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Illegal {
    #[error("the payment was not authorised")]
    NotAuthorized,
    #[error("the payment is fully captured")]
    FullyCaptured,
    #[error("the amount is above what is left to capture")]
    AboveAuthorized,
    #[error("the payment was voided")]
    Voided,
    #[error("a payment that was refunded cannot be voided")]
    RefundedAlready,
    #[error("the day on which it was captured is closed; refund it instead")]
    DayClosed,
    #[error("nothing was captured")]
    NothingCaptured,
    #[error("the amount is above what is left to refund")]
    AboveCaptured,
    #[error("everything was refunded")]
    FullyRefunded,
    #[error("the amount is in another currency than the payment")]
    Currency,
    #[error("the amount must be above zero")]
    Zero,
    #[error("the outcome of an earlier operation is not known yet")]
    OutcomeOpen,
    #[error("something of the payment was captured")]
    CapturedAlready,
    #[error("the authorised amount would be above what an amount can say")]
    TooLarge,
    #[error("the payment has had as many operations as one can have")]
    TooManyOperations,
}

impl Illegal {
    /// The stable code in the API.
    pub fn code(self) -> &'static str {
        match self {
            Illegal::NotAuthorized => "payment_not_authorized",
            Illegal::FullyCaptured => "payment_fully_captured",
            Illegal::AboveAuthorized => "amount_above_authorized",
            Illegal::Voided => "payment_voided",
            Illegal::RefundedAlready => "payment_refunded",
            Illegal::DayClosed => "business_day_closed",
            Illegal::NothingCaptured => "nothing_captured",
            Illegal::AboveCaptured => "amount_above_captured",
            Illegal::FullyRefunded => "payment_fully_refunded",
            Illegal::Currency => "currency_mismatch",
            Illegal::Zero => "amount_zero",
            Illegal::OutcomeOpen => "outcome_open",
            Illegal::CapturedAlready => "payment_captured",
            Illegal::TooLarge => "authorized_too_large",
            Illegal::TooManyOperations => "too_many_operations",
        }
    }
}

/// Operations of a payment, declined ones too: each is loaded, told and listed with every one that follows.
const MOST_OPERATIONS: usize = 500;

/// With its voids, which must still be possible behind all others.
const MOST_WITH_VOIDS: usize = 2 * MOST_OPERATIONS;

/// What a legal operation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How much.
    pub amount: Amount,
    /// Numbers of the operations it takes back, in the order in which their reversals are sent.
    pub takes_back: Vec<u16>,
}

impl Payment {
    /// An increment of `amount`, legal while nothing is captured and the bank knows of what there is.
    pub fn plan_increment(&self, amount: Amount) -> Result<Plan, Illegal> {
        self.must_stand()?;
        self.must_have_fewer(MOST_OPERATIONS)?;
        if self.is_fully_captured() {
            return Err(Illegal::FullyCaptured);
        }
        if self.capture_claims().minor() > 0 {
            return Err(Illegal::CapturedAlready);
        }
        let is_owed = self.first().stand_in.is_some() && self.open_obligations().next().is_some();
        if is_owed || self.bank_is_to_learn_of_it() {
            return Err(Illegal::OutcomeOpen);
        }
        if amount.currency() != self.amount.currency() {
            return Err(Illegal::Currency);
        }
        if amount.minor() == 0 {
            return Err(Illegal::Zero);
        }
        let held = self.authorized_at_first().plus(self.increment_claims());
        held.and_then(|held| held.plus(amount)).map_err(|_| Illegal::TooLarge)?;
        Ok(Plan { amount, takes_back: Vec::new() })
    }

    /// A capture of `amount`, or of all that is left.
    pub fn plan_capture(&self, amount: Option<Amount>) -> Result<Plan, Illegal> {
        self.must_stand()?;
        self.must_have_fewer(MOST_OPERATIONS)?;
        if self.is_fully_captured() {
            return Err(Illegal::FullyCaptured);
        }
        let left = self.authorized().minus(self.capture_claims()).map_err(|_| Illegal::FullyCaptured)?;
        within(amount, left, Illegal::FullyCaptured, Illegal::AboveAuthorized)
    }

    /// A refund of `amount`, or of all that was captured and not refunded.
    pub fn plan_refund(&self, amount: Option<Amount>) -> Result<Plan, Illegal> {
        self.must_stand()?;
        self.must_have_fewer(MOST_OPERATIONS)?;
        if self.captured().minor() == 0 {
            return Err(Illegal::NothingCaptured);
        }
        let left = self.captured().minus(self.refund_claims()).map_err(|_| Illegal::FullyRefunded)?;
        within(amount, left, Illegal::FullyRefunded, Illegal::AboveCaptured)
    }

    /// A void of everything, legal while nothing is refunded and what was captured is still of the host's day `today`.
    pub fn plan_void(&self, today: BusinessDate) -> Result<Plan, Illegal> {
        self.must_stand()?;
        self.must_have_fewer(MOST_WITH_VOIDS)?;
        if self.refund_claims().minor() > 0 {
            return Err(Illegal::RefundedAlready);
        }
        if self.operations.iter().any(|op| op.state == OperationState::Pending) {
            return Err(Illegal::OutcomeOpen);
        }
        if self.operations.iter().any(|op| took_money(op) && op.business_date != today) {
            return Err(Illegal::DayClosed);
        }
        Ok(Plan { amount: self.authorized(), takes_back: self.taken_back_by_void() })
    }

    /// Numbers of the operations that a void takes back: captures first, then increments, then what began the payment.
    pub fn taken_back_by_void(&self) -> Vec<u16> {
        let first = self.first().number;
        let captures = self.operations.iter().filter(|op| took_money(op) && op.number != first);
        let increments = self.operations.iter().filter(|op| is_approved_increment(op));
        captures.chain(increments).map(|op| op.number).chain([first]).collect()
    }

    fn must_have_fewer(&self, most: usize) -> Result<(), Illegal> {
        if self.operations.len() < most { Ok(()) } else { Err(Illegal::TooManyOperations) }
    }

    fn must_stand(&self) -> Result<(), Illegal> {
        match self.first().state {
            _ if self.is_inquiry() => Err(Illegal::NotAuthorized),
            OperationState::Approved if self.is_voided() => Err(Illegal::Voided),
            OperationState::Approved if self.may_be_voided() => Err(Illegal::OutcomeOpen),
            OperationState::Approved => Ok(()),
            OperationState::Pending => Err(Illegal::OutcomeOpen),
            _ => Err(Illegal::NotAuthorized),
        }
    }

    /// Whether a void was asked for whose outcome is not known.
    fn may_be_voided(&self) -> bool {
        self.operations.iter().any(|op| op.kind == OperationKind::Void && op.state == OperationState::Pending)
    }

    /// Whether the bank was told of a void, or may have been and does not know yet that there was none.
    pub fn may_be_taken_back(&self) -> bool {
        use OperationState::{Approved, Pending, Reversing};
        let may_stand = |state| matches!(state, Approved | Pending | Reversing);
        self.operations.iter().any(|op| op.kind == OperationKind::Void && may_stand(op.state))
    }
}

fn took_money(operation: &Operation) -> bool {
    let takes = matches!(operation.kind, OperationKind::Sale | OperationKind::Capture);
    takes && operation.state == OperationState::Approved
}

fn is_approved_increment(operation: &Operation) -> bool {
    operation.kind == OperationKind::Increment && operation.state == OperationState::Approved
}

fn within(wanted: Option<Amount>, left: Amount, none_left: Illegal, too_much: Illegal) -> Result<Plan, Illegal> {
    if left.minor() == 0 {
        return Err(none_left);
    }
    let amount = wanted.unwrap_or(left);
    if amount.currency() != left.currency() {
        return Err(Illegal::Currency);
    }
    match amount.minor() {
        0 => Err(Illegal::Zero),
        minor if minor > left.minor() => Err(too_much),
        _ => Ok(Plan { amount, takes_back: Vec::new() }),
    }
}
