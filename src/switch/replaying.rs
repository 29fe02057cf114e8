//! What was before: payments that were in motion when the last run ended, payments at rest, and keys used before.

use super::*;
use crate::payment::{ResultCode, ReversalReason};
use crate::transaction::{Operation, Record};

impl Switch {
    /// A payment that was in motion when the last run ended. A request without outcome may have been sent.
    pub(super) fn resume(&mut self, stored: Stored) {
        let Ok(payment) = Payment::fold(&stored.records) else {
            // The store gives whole histories; one that does not fold was refused when it was opened.
            return;
        };
        let id = payment.id;
        let unsettled = payment.unsettled().cloned();
        self.resumed.extend(payment.open_obligations().map(|owed| (id, owed.number)));
        payment.operations.iter().for_each(|operation| self.recall_promise(operation));
        let motion = self.motions.entry(id).or_default();
        motion.card = stored.card;
        motion.payment = Some(Arc::new(payment));
        self.note_owed(id, &stored.records);
        if let Some(operation) = unsettled {
            self.resume_request(id, &operation);
        }
        self.ready.push_back(id);
    }

    fn resume_request(&mut self, id: PaymentId, operation: &Operation) {
        let merchant = match self.motions.get(&id).and_then(|motion| motion.payment.as_ref()) {
            Some(payment) => payment.origin.merchant.clone(),
            None => return,
        };
        let place = self.opened_at(&operation.message.host);
        let open = Open {
            operation: operation.number,
            merchant,
            key: operation.key.clone(),
            waiter: None,
            cvc: None,
            cryptogram: None,
            present: None,
            card_print: None,
            submission: None,
            decided: false,
            send_by: None,
            give_up_at: None,
            place,
            held: None,
            tried: Vec::new(),
        };
        if let Some(motion) = self.motions.get_mut(&id) {
            motion.open = Some(open);
        }
        self.in_flight += 1;
        if let Some(place) = self.bank_named(&operation.message.host) {
            self.banks[place].numbers.hold(operation.message.stan);
        }
        self.settle_unknown(id, ResultCode::Restarted, ReversalReason::Timeout);
    }

    /// Answers a submission whose key was used before, once its payment is loaded.
    pub(super) fn replay(&mut self, id: PaymentId, submission: Submission) {
        self.in_flight += 1;
        let waiting = self.replays.entry(id).or_default();
        waiting.push(submission);
        if waiting.len() == 1 {
            self.effects.push(Effect::Load { payment: id });
        }
    }

    pub(super) fn loaded(&mut self, id: PaymentId, found: Result<Option<Box<Stored>>, ()>) {
        let records = found.as_ref().map(|stored| stored.as_ref().map_or(&[][..], |stored| &stored.records));
        for submission in self.replays.remove(&id).unwrap_or_default() {
            let answer =
                records.map_or(Answer::Refused(Refusal::StoreUnavailable), |records| repeat(&submission, records));
            self.in_flight -= 1;
            self.answer(submission.waiter, answer);
        }
        if self.motions.get(&id).is_some_and(|motion| motion.loading) {
            self.loaded_for_motion(id, found);
        }
        self.order_items(id);
        self.note_late(id);
    }

    fn loaded_for_motion(&mut self, id: PaymentId, found: Result<Option<Box<Stored>>, ()>) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        motion.loading = false;
        let found_nothing = found.is_ok();
        let refusal = match found {
            Ok(Some(stored)) => match Payment::fold(&stored.records) {
                Ok(payment) => {
                    motion.payment = Some(Arc::new(payment));
                    motion.card = stored.card;
                    self.ready.push_back(id);
                    return;
                }
                Err(_) => Refusal::StoreUnavailable,
            },
            Ok(None) => Refusal::NotFound,
            Err(()) => Refusal::StoreUnavailable,
        };
        let waiting = std::mem::take(&mut motion.queue);
        if found_nothing || !self.late.contains_key(&id) {
            self.motions.remove(&id);
            self.late.remove(&id);
        } else {
            // A late reply may reopen a reversal: it waits until the payment can be read.
            motion.loading = true;
            self.retries.insert((self.now.monotonic.after(recording::RETRY_MAX), id));
        }
        let why = if found_nothing { OrderRefusal::NoSuchItem } else { OrderRefusal::StoreUnavailable };
        self.order_items_failed(id, why);
        for submission in waiting {
            self.in_flight -= 1;
            self.refuse(submission.waiter, refusal);
        }
    }
}

/// The answer to a repeat: the payment as its records told it when the first answer was given.
fn repeat(submission: &Submission, records: &[Record]) -> Answer {
    let whole = match Payment::fold(records) {
        Ok(whole) if whole.origin.merchant == submission.merchant => whole,
        _ => return Answer::Refused(Refusal::StoreUnavailable),
    };
    let Some(operation) = whole.operation_by_key(&submission.key) else {
        return Answer::Refused(Refusal::StoreUnavailable);
    };
    if operation.fingerprint != submission.fingerprint {
        return Answer::Refused(Refusal::KeyReused);
    }
    let Some(told_at) = operation.told_at else { return Answer::Refused(Refusal::KeyInFlight) };
    let told = records.get(..told_at as usize).unwrap_or(records);
    match Payment::fold(told) {
        Ok(payment) => Answer::Told { payment: Arc::new(payment), operation: operation.number, replayed: true },
        Err(_) => Answer::Refused(Refusal::StoreUnavailable),
    }
}
