//! What takes back, completes or gives back what a bank was told before: reversals, voids, completions and releases.
//!
//! Every such message names its original (data element 90). A reversal under the trace number of its original is told
//! apart from an earlier one under that number by its transmission time, which is therefore never the same: neither of
//! the same original, nor of another that bore the number before.

use super::submitting::{Planned, next_obligation};
use super::*;
use crate::payment::{
    Amount, ApprovalCode, BusinessDate, MessageKind, MessageValues, OperationKind, ReversalReason, Stan,
};
use crate::transaction::{Delivery, Discharge, Obligation, ObligationKind, Operation, Owed};
use std::time::Duration;

/// Data element 7 tells no more.
const SECOND: Duration = Duration::from_secs(1);

/// A message that a bank was told, and may be asked to take back.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The operation it belongs to.
    operation: u16,
    message: MessageValues,
    approval_code: Option<ApprovalCode>,
    /// What the bank approved of it.
    amount: Amount,
    /// The day it is booked on.
    day: BusinessDate,
}

impl Told {
    pub(super) fn of(operation: &Operation) -> Told {
        Told {
            operation: operation.number,
            message: operation.message.clone(),
            approval_code: operation.approval_code.or(operation.message.approval_code),
            amount: operation.approved.unwrap_or(operation.message.amount),
            day: operation.business_date,
        }
    }
}

impl Switch {
    pub(super) fn plan_void(&mut self, id: PaymentId) -> Result<Planned, Refusal> {
        let (payment, place) = self.standing(id)?;
        let plan = payment.plan_void(self.banks[place].today(self.now.wall))?;
        let payment = Arc::clone(payment);
        let cancelled = self.unsent_advices(place, &payment, &plan.takes_back);
        let told = told_to_bank(&payment, &plan.takes_back, &cancelled);
        let business_date = payment.first().business_date;
        let plain = match self.void_request(place, &payment, &told)? {
            Some((delivery, message)) => {
                Planned { delivery, ..Planned::plain(OperationKind::Void, plan.amount, message) }
            }
            None => {
                let obligations = self.void_advices(place, &payment, &told);
                let message = obligations.last().map_or(&payment.first().message, |owed| &owed.message).clone();
                let plain = Planned::plain(OperationKind::Void, plan.amount, message);
                Planned { delivery: Delivery::Advice, obligations, cancelled, ..plain }
            }
        };
        Ok(Planned { business_date, ..plain })
    }

    /// The message by which the bank is asked for a void, where it is asked. Its answer decides; what else is to be
    /// taken back follows as reversals. What is still owed of the payment cannot be overtaken, and about what it refused
    /// or never acknowledged a bank has nothing to say: then nobody is asked.
    fn void_request(
        &mut self,
        place: usize,
        payment: &Payment,
        told: &[Told],
    ) -> Result<Option<(Delivery, MessageValues)>, Refusal> {
        let owes = payment.open_obligations().next().is_some();
        let Some(first) = told.first().filter(|first| !owes && !is_set_aside(payment, &first.message)) else {
            return Ok(None);
        };
        match self.banks[place].settings.forms.void {
            VoidForm::Advice => Ok(None),
            VoidForm::ReversalRequest => {
                self.must_have_room(place)?;
                let reason = ReversalReason::Cancelled;
                let message = self.reversal_message(place, payment, first, MessageKind::ReversalRequest, reason);
                self.banks[place].numbers.hold(message.stan);
                Ok(Some((Delivery::Awaited, message)))
            }
            VoidForm::Request => {
                self.must_have_room(place)?;
                let (kind, entry) = (void_kind(&first.message, payment), first.message.entry);
                let mut message = self.new_message(place, kind, first.amount, entry, Some(&first.message))?;
                message.rrn = first.message.rrn;
                message.approval_code = first.approval_code;
                message.business_date = Some(first.day);
                Ok(Some((Delivery::Request, message)))
            }
        }
    }

    fn void_advices(&mut self, place: usize, payment: &Payment, told: &[Told]) -> Vec<Obligation> {
        let forms = self.banks[place].settings.forms;
        let kind = if forms.void == VoidForm::Advice { MessageKind::Reversal } else { forms.reversal() };
        self.reversals(place, payment, next_obligation(payment), told, kind)
    }

    fn reversals(
        &mut self,
        place: usize,
        payment: &Payment,
        first: u16,
        told: &[Told],
        kind: MessageKind,
    ) -> Vec<Obligation> {
        let reason = ReversalReason::Cancelled;
        let told = (first..).zip(told);
        told.map(|(number, told)| self.reversal(place, payment, number, told, kind, reason)).collect()
    }

    /// Advices about what is taken back of which no byte can have left.
    fn unsent_advices(&self, place: usize, payment: &Payment, takes_back: &[u16]) -> Vec<u16> {
        let outbox = &self.banks[place].outbox;
        let is_advice = |owed: &&Obligation| matches!(owed.kind, ObligationKind::Advice | ObligationKind::Release);
        let open = payment.open_obligations().filter(is_advice);
        let taken_back = open.filter(|owed| takes_back.contains(&owed.operation));
        let may_be_sent = |number: u16| {
            let subject = (payment.id, number);
            outbox.may_be_sent(subject) || self.resumed.contains(&subject)
        };
        taken_back.map(|owed| owed.number).filter(|number| !may_be_sent(*number)).collect()
    }

    /// What is owed once the bank has approved an operation.
    pub(super) fn owed_by_approval(
        &mut self,
        place: usize,
        payment: &Payment,
        operation: &Operation,
        approved: Amount,
        approval_code: Option<ApprovalCode>,
    ) -> Vec<Obligation> {
        let number = next_obligation(payment);
        let is_dual = operation.kind == OperationKind::Sale && operation.message_kind() == MessageKind::Authorisation;
        match operation.kind {
            OperationKind::Sale if is_dual => {
                vec![self.completion(place, number, operation, approved, approval_code)]
            }
            OperationKind::Capture if operation.is_final => {
                self.release(place, payment, number, payment.capture_claims()).into_iter().collect()
            }
            OperationKind::Void => self.rest_of_void(place, payment, number, operation),
            _ => Vec::new(),
        }
    }

    /// What a void that was asked for by one message leaves to be taken back.
    pub(super) fn rest_of_void(
        &mut self,
        place: usize,
        payment: &Payment,
        number: u16,
        void: &Operation,
    ) -> Vec<Obligation> {
        let mut told = told_to_bank(payment, &payment.taken_back_by_void(), &[]);
        told.retain(|told| void.message.original != Some(told.message.as_original()));
        let kind = self.banks[place].settings.forms.reversal();
        self.reversals(place, payment, number, &told, kind)
    }

    /// Completes the authorisation of a sale that is told in two messages.
    fn completion(
        &mut self,
        place: usize,
        number: u16,
        sale: &Operation,
        amount: Amount,
        approval_code: Option<ApprovalCode>,
    ) -> Obligation {
        let (stan, transmitted_at) = self.numbers_after(place, sale.message.stan, sale.message.transmitted_at);
        let bank = &self.banks[place];
        let head = bank.settings.translation.head(MessageKind::Capture);
        let (mti, processing_code) = head.expect("every dialect describes a capture");
        let message = MessageValues {
            kind: Some(MessageKind::Capture),
            mti,
            processing_code: processing_code.unwrap_or(sale.message.processing_code),
            amount,
            stan,
            transmitted_at,
            approval_code,
            original: Some(sale.message.as_original()),
            business_date: Some(sale.business_date),
            ..sale.message.clone()
        };
        Obligation { number, kind: ObligationKind::Advice, operation: sale.number, message }
    }

    /// A trace number of one's own, or an earlier one at a later second where none is left.
    fn numbers_after(&mut self, place: usize, earlier: Stan, sent_at: Wall) -> (Stan, Wall) {
        let numbers = &mut self.banks[place].numbers;
        match numbers.stan(self.now.wall) {
            Ok((stan, time)) => {
                // It is held again with the obligation, once that is durable.
                numbers.release(stan);
                (stan, time)
            }
            Err(_) => (earlier, numbers.time_under(earlier, sent_at.after(SECOND), self.now.wall)),
        }
    }

    /// Gives back what is not captured of an authorisation, where the host wants to be told and `captured` leaves
    /// something.
    pub(super) fn release(
        &mut self,
        place: usize,
        payment: &Payment,
        number: u16,
        captured: Amount,
    ) -> Option<Obligation> {
        let forms = self.banks[place].settings.forms;
        if !forms.release || captured.minor() >= payment.authorized().minor() {
            return None;
        }
        let told = Told::of(payment.first());
        let (kind, reason) = (forms.release_kind(), ReversalReason::PartlyCompleted);
        let mut release = self.reversal(place, payment, number, &told, kind, reason);
        release.kind = ObligationKind::Release;
        if payment.authorized().minor() > release.message.amount.minor() {
            // With its increments; a replacement above the original's own amount would contradict it.
            release.message.amount = payment.authorized();
        }
        release.message.remains = Some(captured);
        Some(release)
    }

    /// Takes back what is of unknown outcome, or not wanted.
    pub(super) fn reversal_of(
        &mut self,
        place: usize,
        payment: &Payment,
        operation: &Operation,
        reason: ReversalReason,
    ) -> Obligation {
        let kind = self.banks[place].settings.forms.reversal();
        self.reversal(place, payment, next_obligation(payment), &Told::of(operation), kind, reason)
    }

    fn reversal(
        &mut self,
        place: usize,
        payment: &Payment,
        number: u16,
        told: &Told,
        kind: MessageKind,
        reason: ReversalReason,
    ) -> Obligation {
        let message = self.reversal_message(place, payment, told, kind, reason);
        Obligation { number, kind: ObligationKind::Reversal, operation: told.operation, message }
    }

    fn reversal_message(
        &mut self,
        place: usize,
        payment: &Payment,
        told: &Told,
        kind: MessageKind,
        reason: ReversalReason,
    ) -> MessageValues {
        let original = &told.message;
        let (stan, transmitted_at) = match self.banks[place].settings.reversal_stan {
            ReversalStan::New => self.numbers_after(place, original.stan, taken_back_at(payment, original)),
            ReversalStan::Same => {
                let earliest = taken_back_at(payment, original).after(SECOND);
                (original.stan, self.banks[place].numbers.time_under(original.stan, earliest, self.now.wall))
            }
        };
        let translation = &self.banks[place].settings.translation;
        let head = translation.head(kind).map(|(mti, _)| (kind, mti));
        let (kind, mti) = head
            .or(translation.head(MessageKind::Reversal).map(|(mti, _)| (MessageKind::Reversal, mti)))
            .expect("every dialect describes a reversal");
        MessageValues {
            kind: Some(kind),
            mti,
            stan,
            transmitted_at,
            approval_code: told.approval_code,
            original: Some(original.as_original()),
            reason: Some(reason),
            business_date: Some(told.day),
            ..original.clone()
        }
    }
}

/// The messages that these operations told the bank, in their order: a sale in two messages has its completion before
/// its authorisation. What is cancelled unsent was told to nobody.
fn told_to_bank(payment: &Payment, operations: &[u16], cancelled: &[u16]) -> Vec<Told> {
    let mut told = Vec::new();
    for number in operations {
        let operation = payment.operation(*number).expect("a plan names operations of its payment");
        let about =
            |owed: &&Owed| owed.obligation.operation == *number && owed.obligation.kind == ObligationKind::Advice;
        let mut unsent = false;
        for owed in payment.obligations.iter().filter(about) {
            let is_cancelled = cancelled.contains(&owed.obligation.number);
            let is_own = owed.obligation.message == operation.message;
            unsent |= is_own && is_cancelled;
            if !is_own && !is_cancelled {
                let message = owed.obligation.message.clone();
                let (approval_code, amount) = (message.approval_code, message.amount);
                let day = operation.business_date;
                told.push(Told { operation: *number, message, approval_code, amount, day });
            }
        }
        if !unsent {
            told.push(Told::of(operation));
        }
    }
    told
}

/// Whether the advice of this message was given up or refused: the bank may never have had it.
fn is_set_aside(payment: &Payment, message: &MessageValues) -> bool {
    let about = |owed: &&Owed| owed.obligation.kind == ObligationKind::Advice && owed.obligation.message == *message;
    let mut ends = payment.obligations.iter().filter(about).filter_map(|owed| owed.discharge.as_ref());
    ends.any(Discharge::is_exception)
}

/// When this message was last taken back, wholly or in part; long ago if never.
fn taken_back_at(payment: &Payment, original: &MessageValues) -> Wall {
    let named = Some(original.as_original());
    let owed = payment.obligations.iter().map(|owed| &owed.obligation.message);
    let asked = payment.operations.iter().map(|operation| &operation.message);
    let earlier = owed.chain(asked).filter(|message| message.original == named && message.stan == original.stan);
    earlier.map(|message| message.transmitted_at).max().unwrap_or(Wall(i64::MIN))
}

/// By which kind of message a host is asked to undo this one.
fn void_kind(message: &MessageValues, payment: &Payment) -> MessageKind {
    let first = payment.first();
    match message.kind.unwrap_or_else(|| first.message_kind()) {
        MessageKind::Authorisation | MessageKind::Increment => MessageKind::VoidAuthorisation,
        MessageKind::Sale => MessageKind::VoidSale,
        _ => MessageKind::VoidCapture,
    }
}
