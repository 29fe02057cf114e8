//! Requests on their way to a bank: handed to a link, given back unsent, expired, or lost with a link.

use super::bank::Subject;
use super::sealing::{GivenPin, pin_of};
use super::submitting::card_for;
use super::*;
use crate::host::Pending;
use crate::payment::{
    Amount, ApprovalCode, Balance, BusinessDate, MessageValues, OperationKind, ResultCode, ReversalReason,
};
use crate::transaction::{Body, Delivery, Obligation, ObligationKind, Operation, Outcome};
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
    /// What the bank says of the account.
    pub balances: Vec<Balance>,
    /// What was promised in the bank's place, where it was.
    pub stand_in: Option<Box<super::standing_in::StandIn>>,
}

impl Verdict {
    pub(super) fn plain(result: ResultCode) -> Verdict {
        let (response_code, approved, approval_code, business_date) = (None, None, None, None);
        Verdict {
            result,
            response_code,
            approved,
            approval_code,
            business_date,
            reverse: None,
            balances: Vec::new(),
            stand_in: None,
        }
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
        if !self.banks[place].breaker.admits() {
            return self.not_sent(id);
        }
        let kind = operation.message_kind();
        let card = card_for(card, Some(open));
        let subject = Subject::Request(id, open.operation);
        let translation = &self.banks[place].settings.translation;
        let frame = translation.encode(kind, &operation.message, &payment.origin.acceptor, &card, false);
        let message = operation.message.clone();
        let frame = frame.map_err(|_| NotHandedOver::Unfit);
        let pin = pin_of(&open.merchant, card);
        let handed = frame.and_then(|frame| self.hand_over(place, subject, &message, frame, pin, send_by));
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
        pin: Option<GivenPin>,
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
        let key = bank.key_of_frame(&frame).ok_or(NotHandedOver::Unfit)?;
        let (frame, seals) = bank.with_room(frame, pin).ok_or(NotHandedOver::Unfit)?;
        let deadline = now.after(bank.settings.answer_timeout);
        let pending = Pending { key, subject, link: (link.0, epoch), sent_at: now, deadline };
        bank.pending.insert(id.0, pending).map_err(|_| NotHandedOver::Unfit)?;
        let frame = Frame::from(frame);
        self.observe(Observation::Sent { payment: Some(subject.payment()), link, frame: frame.clone() });
        self.effects.push(Effect::Send { link, id, frame, seals, send_by });
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
                None => self.unsent_after_all(place, *send),
            }
        }
    }

    /// A request that nobody waits for any more turns out not to have left: nothing of it has to be taken back.
    pub(super) fn unsent_after_all(&mut self, place: usize, send: SendId) {
        let Some(Subject::Request(id, operation)) = self.banks[place].pending.given_up(send.0).copied() else { return };
        if self.motions.contains_key(&id) {
            self.never_sent.insert((id, operation));
            self.ready.push_back(id);
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
    pub(super) fn settle(&mut self, id: PaymentId, mut verdict: Verdict) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let (Some(open), Some(payment)) = (&mut motion.open, &motion.payment) else { return };
        if std::mem::replace(&mut open.decided, true) {
            return;
        }
        (open.cvc, open.cryptogram, open.present) = (None, None, None);
        let mut operation = payment.operation(open.operation).expect("the open operation is recorded").clone();
        open.held = Some(operation.message.stan);
        operation.business_date = verdict.business_date.unwrap_or(operation.business_date);
        let payment = Arc::clone(payment);
        let (obligations, stand_in) = match verdict.stand_in.take() {
            Some(promise) => (vec![promise.advice], Some(promise.card)),
            None => (self.owed_by(&payment, &operation, &verdict), None),
        };
        let outcome = Outcome {
            operation: operation.number,
            result: verdict.result,
            response_code: verdict.response_code,
            approved: verdict.approved,
            approval_code: verdict.approval_code,
            business_date: verdict.business_date,
            obligations,
            stand_in,
            balances: (operation.kind == OperationKind::BalanceInquiry).then_some(verdict.balances),
        };
        self.append(id, vec![Body::Settled(outcome)], Then::Tell);
    }

    /// What an outcome leaves to be told to the bank.
    fn owed_by(&mut self, payment: &Payment, operation: &Operation, verdict: &Verdict) -> Vec<Obligation> {
        if operation.kind.is_inquiry() {
            return Vec::new();
        }
        let Some(place) = self.bank_named(&operation.message.host) else { return Vec::new() };
        let on_unknown = self.banks[place].settings.on_unknown;
        match (verdict.reverse, verdict.approved) {
            (Some(ReversalReason::PartialRefused), _) => {
                vec![self.reversal_of(place, payment, operation, ReversalReason::PartialRefused)]
            }
            (Some(_), _) if operation.delivery == Delivery::Awaited => self.repeat_of(place, payment, operation),
            (Some(reason), _) if on_unknown == OnUnknown::Reverse => {
                vec![self.reversal_of(place, payment, operation, reason)]
            }
            (None, Some(approved)) => self.owed_by_approval(place, payment, operation, approved, verdict.approval_code),
            _ => Vec::new(),
        }
    }

    /// Its message once more, which may have been sent before; and behind it what follows if the bank agrees.
    fn repeat_of(&mut self, place: usize, payment: &Payment, operation: &Operation) -> Vec<Obligation> {
        let number = submitting::next_obligation(payment);
        self.resumed.insert((payment.id, number));
        let message = operation.message.clone();
        let repeat = Obligation { number, kind: ObligationKind::Repeat, operation: operation.number, message };
        let rest = match operation.kind {
            OperationKind::Void => self.rest_of_void(place, payment, number + 1, operation),
            _ => Vec::new(),
        };
        std::iter::once(repeat).chain(rest).collect()
    }
}
