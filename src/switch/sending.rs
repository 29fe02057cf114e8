//! Requests on their way to a bank: handed to a link, given back unsent, expired, or lost with a link.

use super::bank::Subject;
use super::submitting::card_for;
use super::*;
use crate::host::{CorrelationKey, Pending};
use crate::payment::{Amount, ApprovalCode, BusinessDate, MessageValues, OperationKind, ResultCode, ReversalReason};
use crate::transaction::{Body, Obligation, ObligationKind, Operation, Outcome};
use crate::translation::MessageKind;
use bytes::Bytes;

/// Why a message was not handed to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotHandedOver {
    /// No link is online.
    NoLink,
    /// The dialect cannot carry its values, or its key is in use.
    Unfit,
}

/// What an outcome is made of.
pub(super) struct Verdict {
    pub result: ResultCode,
    pub response_code: Option<String>,
    pub approved: Option<Amount>,
    pub approval_code: Option<ApprovalCode>,
    pub business_date: Option<BusinessDate>,
    /// Why the request is taken back, where it is.
    pub reverse: Option<ReversalReason>,
}

impl Verdict {
    pub(super) fn plain(result: ResultCode) -> Verdict {
        let (response_code, approved, approval_code, business_date) = (None, None, None, None);
        Verdict { result, response_code, approved, approval_code, business_date, reverse: None }
    }
}

impl Switch {
    /// Sends the request of the open operation, which is durable. What could not be handed over in its time, on
    /// whichever links were tried, is never sent and known as such.
    pub(super) fn send_request(&mut self, id: PaymentId) {
        let Some(send_by) = self.send_by(id).filter(|send_by| *send_by > self.now.monotonic) else {
            return self.not_sent(id);
        };
        let Some(motion) = self.motions.get(&id) else { return };
        let (Some(open), Some(payment), Some(card)) = (&motion.open, &motion.payment, &motion.card) else { return };
        let operation = payment.operation(open.operation).expect("the open operation is recorded");
        let Some(place) = self.bank_named(&operation.message.host) else {
            return self.not_sent(id);
        };
        if !self.banks[place].breaker.admits(self.now.monotonic) {
            return self.not_sent(id);
        }
        let kind = message_kind(operation.kind);
        let card = card_for(card, Some(open));
        let subject = Subject::Request(id, open.operation);
        let translation = &self.banks[place].settings.translation;
        let frame = translation.encode(kind, &operation.message, &payment.origin.acceptor, &card, false);
        let message = operation.message.clone();
        let frame = frame.map_err(|_| NotHandedOver::Unfit);
        let handed = frame.and_then(|frame| self.hand_over(place, subject, &message, frame, send_by));
        match handed {
            Ok(()) => self.banks[place].breaker.sent(),
            Err(_) => self.not_sent(id),
        }
    }

    /// When the request of the open operation must have been handed over.
    fn send_by(&mut self, id: PaymentId) -> Option<Monotonic> {
        let motion = self.motions.get_mut(&id)?;
        let (open, payment) = (motion.open.as_mut()?, motion.payment.as_ref()?);
        let host = &payment.operation(open.operation)?.message.host;
        let bank = self.banks.iter().find(|bank| bank.settings.name == *host)?;
        let give_up_at = *open.give_up_at.get_or_insert(self.now.monotonic.after(self.settings.send_budget));
        let limit = self.now.monotonic.after(bank.settings.send_timeout).min(give_up_at);
        Some(*open.send_by.get_or_insert(limit))
    }

    /// Hands a message to a link and waits for its reply.
    pub(super) fn hand_over(
        &mut self,
        place: usize,
        subject: Subject,
        message: &MessageValues,
        frame: Bytes,
        send_by: Monotonic,
    ) -> Result<(), NotHandedOver> {
        let now = self.now.monotonic;
        self.last_send += 1;
        let id = SendId(self.last_send);
        let bank = &mut self.banks[place];
        if matches!(subject, Subject::Request(..)) && !bank.takes_requests() {
            return Err(NotHandedOver::NoLink);
        }
        let (link, epoch) = bank.choose_link(message.link).ok_or(NotHandedOver::NoLink)?;
        let key = key_of_frame(bank, &frame).ok_or(NotHandedOver::Unfit)?;
        let deadline = now.after(bank.settings.answer_timeout);
        let pending = Pending { key, subject, link: (link.0, epoch), sent_at: now, deadline };
        bank.pending.insert(id.0, pending).map_err(|_| NotHandedOver::Unfit)?;
        self.observe(Observation::Sent { payment: Some(subject.payment()), link, frame: frame.clone() });
        self.effects.push(Effect::Send { link, id, frame, send_by });
        Ok(())
    }

    /// Frames that were certainly not handed to the connection: they may go out on another one, in what is left of
    /// their time.
    pub(super) fn unsent(&mut self, link: LinkId, sends: &[SendId]) {
        let Some(place) = self.place_of(link) else { return };
        for send in sends {
            match self.banks[place].pending.withdraw(send.0).map(|pending| pending.subject) {
                Some(Subject::Request(payment, _)) => {
                    self.banks[place].breaker.shown_nothing();
                    self.send_request(payment);
                }
                Some(Subject::Owed(payment, number)) => self.owed_not_sent(place, payment, number),
                None => {}
            }
        }
    }

    pub(super) fn expire_pending(&mut self) {
        for place in 0..self.banks.len() {
            let expired = self.banks[place].pending.expire(self.now.monotonic);
            for pending in expired {
                self.doubt_link(place, pending.link, pending.sent_at);
                self.unanswered(place, pending, ResultCode::Timeout);
            }
        }
    }

    /// No answer will be waited for any longer.
    pub(super) fn unanswered(&mut self, place: usize, pending: Pending<Subject>, why: ResultCode) {
        match why {
            ResultCode::Timeout => self.banks[place].breaker.unanswered(self.now.monotonic),
            // A line that broke is seen by its links.
            _ => self.banks[place].breaker.shown_nothing(),
        }
        match pending.subject {
            Subject::Request(payment, _) => self.settle_unknown(payment, why, ReversalReason::Timeout),
            Subject::Owed(payment, number) => self.owed_unanswered(place, payment, number),
        }
    }

    pub(super) fn settle_unknown(&mut self, id: PaymentId, why: ResultCode, reason: ReversalReason) {
        self.settle(id, Verdict { reverse: Some(reason), ..Verdict::plain(why) });
    }

    /// Decides the open operation of a payment; it is told when that is durable.
    pub(super) fn settle(&mut self, id: PaymentId, verdict: Verdict) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let (Some(open), Some(payment)) = (&mut motion.open, &motion.payment) else { return };
        if std::mem::replace(&mut open.decided, true) {
            return;
        }
        open.cvc = None;
        let mut operation = payment.operation(open.operation).expect("the open operation is recorded").clone();
        operation.business_date = verdict.business_date.unwrap_or(operation.business_date);
        let number = submitting::next_obligation(payment);
        let obligations = self.reversals_of(number, &operation, verdict.reverse);
        if let Some(place) = self.bank_named(&operation.message.host) {
            self.banks[place].numbers.release(operation.message.stan);
        }
        let outcome = Outcome {
            operation: operation.number,
            result: verdict.result,
            response_code: verdict.response_code,
            approved: verdict.approved,
            approval_code: verdict.approval_code,
            business_date: verdict.business_date,
            obligations,
        };
        self.append(id, vec![Body::Settled(outcome)], Then::Tell);
    }

    fn reversals_of(&mut self, number: u16, operation: &Operation, reason: Option<ReversalReason>) -> Vec<Obligation> {
        let place = self.bank_named(&operation.message.host);
        match (reason, place) {
            (Some(ReversalReason::PartialRefused), Some(place)) => {
                vec![self.reversal(place, number, operation, ReversalReason::PartialRefused)]
            }
            (Some(reason), Some(place)) if self.banks[place].settings.on_unknown == OnUnknown::Reverse => {
                vec![self.reversal(place, number, operation, reason)]
            }
            _ => Vec::new(),
        }
    }

    /// The reversal of an operation's message.
    pub(super) fn reversal(
        &mut self,
        place: usize,
        number: u16,
        operation: &Operation,
        reason: ReversalReason,
    ) -> Obligation {
        let bank = &mut self.banks[place];
        let original = &operation.message;
        let own = match bank.settings.reversal_stan {
            ReversalStan::Same => None,
            ReversalStan::New => bank.numbers.stan(self.now.wall).ok(),
        };
        let (stan, transmitted_at) = own.unwrap_or((original.stan, bank.numbers.time(self.now.wall)));
        if own.is_some() {
            // It is held again with the obligation, once that is durable.
            bank.numbers.release(stan);
        }
        let (mti, _) = bank.settings.translation.head(MessageKind::Reversal);
        let message = MessageValues {
            mti,
            stan,
            transmitted_at,
            approval_code: operation.approval_code.or(original.approval_code),
            original: Some(original.as_original()),
            reason: Some(reason),
            business_date: Some(operation.business_date),
            ..original.clone()
        };
        Obligation { number, kind: ObligationKind::Reversal, operation: operation.number, message }
    }
}

/// The key under which a frame's reply will come, read from the frame itself.
fn key_of_frame(bank: &bank::Bank, frame: &Bytes) -> Option<CorrelationKey> {
    let message = bank.settings.translation.spec().decode(frame.clone()).ok()?;
    bank.key_of(&message)
}

pub(super) fn message_kind(kind: OperationKind) -> MessageKind {
    match kind {
        OperationKind::Authorisation => MessageKind::Authorisation,
        OperationKind::Sale => MessageKind::Sale,
        OperationKind::Capture => MessageKind::Capture,
        OperationKind::Refund => MessageKind::Refund,
        OperationKind::Void => MessageKind::Reversal,
    }
}
