//! What becomes durable, and what follows once it is.
//!
//! One append a payment is on its way at a time, so its versions follow one another; the fold in memory is always
//! what the store has. Nothing is sent and nothing told before [`Event::Recorded`].

use super::motion::Recording;
use super::*;
use crate::payment::{Card, CardId, ResultCode};
use crate::transaction::{Body, Delivery, Record};
use std::time::Duration;

/// Whose an append is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appending {
    Payment(PaymentId),
    /// Place of the bank whose numbers it reserves.
    Numbers(usize),
    /// Place of the bank whose state it keeps.
    Host(usize),
    /// An operator's.
    Order,
}

const RETRY_MIN: Duration = Duration::from_millis(100);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(2);
pub(super) const RESERVE_PAUSE: Duration = Duration::from_millis(250);

impl Switch {
    /// Makes records durable after those that are on their way.
    pub(super) fn append(&mut self, id: PaymentId, bodies: Vec<Body>, then: Then) {
        let motion = self.motions.entry(id).or_default();
        match motion.recording {
            Some(_) => motion.backlog.push_back((bodies, then)),
            None => self.append_first(id, bodies, then, None),
        }
    }

    /// Makes records durable now, with the card they name.
    pub(super) fn append_first(
        &mut self,
        id: PaymentId,
        bodies: Vec<Body>,
        then: Then,
        card: Option<(CardId, Box<Card>)>,
    ) {
        let (ticket, at) = (self.next_ticket(), self.now.wall);
        let motion = self.motions.entry(id).or_default();
        let record = |(version, body)| Record { payment: id, version, at, body };
        let records: Vec<Record> = (motion.next_version()..).zip(bodies).map(record).collect();
        assert!(motion.recording.is_none(), "one append a payment at a time");
        motion.recording = Some(Recording { ticket, records: records.clone(), then, retry_at: None, attempts: 0 });
        self.appends.insert(ticket, Appending::Payment(id));
        self.effects.push(Effect::Append { ticket, entry: Entry::Payment { records, card } });
    }

    pub(super) fn recorded(&mut self, ticket: Ticket, result: Result<(), NotRecorded>) {
        match (self.appends.remove(&ticket), result) {
            (Some(Appending::Numbers(place)), result) => self.numbers_reserved(place, result.is_ok()),
            (Some(Appending::Host(place)), result) => self.host_recorded(place, result.is_ok()),
            (Some(Appending::Order), result) => self.order_recorded(ticket, result.is_ok()),
            (Some(Appending::Payment(id)), Ok(())) => self.durable(id),
            (Some(Appending::Payment(id)), Err(why)) => self.not_durable(id, why),
            (None, _) => {}
        }
    }

    /// A refused block is asked for again after a pause: a store in trouble is not helped by haste.
    fn numbers_reserved(&mut self, place: usize, durable: bool) {
        let again_at = self.now.monotonic.after(RESERVE_PAUSE);
        let bank = &mut self.banks[place];
        bank.numbers.reserved(durable);
        bank.reserve_at = (!durable).then_some(again_at);
    }

    fn durable(&mut self, id: PaymentId) {
        self.stuck.remove(&id);
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let Some(recording) = motion.recording.take() else { return };
        for record in &recording.records {
            match &mut motion.payment {
                Some(payment) => Arc::make_mut(payment).apply(record).expect("records are made to follow the fold"),
                None => {
                    let begun = Payment::begin(record).expect("the first record begins the payment");
                    motion.payment = Some(Arc::new(begun));
                }
            }
        }
        if let Some(open) = &mut motion.open {
            open.submission = None;
        }
        self.note_owed(id, &recording.records);
        self.ready.push_back(id);
        match recording.then {
            Then::Send => self.send_request(id),
            Then::Tell => self.tell(id),
            Then::Inform(waiter) => self.say_to(waiter, Ok(Told::Done)),
            Then::Rest => {}
        }
    }

    /// The open operation ends with what is durable now: its merchant is told.
    fn tell(&mut self, id: PaymentId) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let (Some(open), Some(payment)) = (motion.open.take(), motion.payment.as_ref()) else { return };
        self.in_flight -= 1;
        let operation = payment.operation(open.operation).expect("the open operation is recorded");
        let settled = Observation::Settled {
            kind: operation.kind,
            result: operation.result.unwrap_or(ResultCode::Approved),
            response_code: operation.response_code.clone(),
        };
        let told = Answer::Told { payment: Arc::clone(payment), operation: open.operation, replayed: false };
        self.closed(&open);
        self.observe(settled);
        if let Some(waiter) = open.waiter {
            self.answer(waiter, told);
        }
    }

    fn not_durable(&mut self, id: PaymentId, why: NotRecorded) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let Some(recording) = motion.recording.as_mut() else { return };
        if begins_operation(&recording.records) {
            return self.drop_request(id, why);
        }
        recording.attempts += 1;
        let pause = RETRY_MIN.saturating_mul(1 << recording.attempts.min(6)).min(RETRY_MAX);
        let retry_at = self.now.monotonic.after(pause);
        recording.retry_at = Some(retry_at);
        let untold = motion.open.as_mut().filter(|open| open.decided).and_then(|open| open.waiter.take());
        self.retries.insert((retry_at, id));
        self.stuck.insert(id);
        if let Some(waiter) = untold {
            self.refuse(waiter, Refusal::OutcomeNotRecorded);
        }
    }

    /// The first record of an operation is not in the store: nothing was sent, nothing happened.
    fn drop_request(&mut self, id: PaymentId, why: NotRecorded) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        let (Some(recording), Some(open)) = (motion.recording.take(), motion.open.take()) else { return };
        self.in_flight -= 1;
        self.closed(&open);
        self.release_numbers(&recording.records);
        self.ready.push_back(id);
        if why == NotRecorded::VersionTaken {
            // Another writer was first: what is held here is not what the store has.
            self.forget(id);
        }
        match (why, open.submission, open.waiter) {
            (NotRecorded::KeyUsed(earlier), Some(submission), _) => self.replay(earlier, *submission),
            (_, _, Some(waiter)) => self.refuse(waiter, Refusal::StoreUnavailable),
            _ => {}
        }
    }

    fn forget(&mut self, id: PaymentId) {
        let Some(motion) = self.motions.remove(&id) else { return };
        for waiting in motion.queue {
            self.in_flight -= 1;
            self.refuse(waiting.waiter, Refusal::StoreUnavailable);
        }
    }

    /// Tries appends again that the store refused, and reads that could not be done without.
    pub(super) fn retry_appends(&mut self) {
        while let Some(&(at, id)) = self.retries.first() {
            if at > self.now.monotonic {
                return;
            }
            self.retries.remove(&(at, id));
            let ticket = self.next_ticket();
            let Some(motion) = self.motions.get_mut(&id) else { continue };
            let Some(recording) = motion.recording.as_mut() else {
                self.effects.extend(motion.loading.then_some(Effect::Load { payment: id }));
                continue;
            };
            recording.ticket = ticket;
            recording.retry_at = None;
            let entry = Entry::Payment { records: recording.records.clone(), card: None };
            self.appends.insert(ticket, Appending::Payment(id));
            self.effects.push(Effect::Append { ticket, entry });
        }
    }

    pub(super) fn reserve_numbers(&mut self) {
        for place in 0..self.banks.len() {
            if self.banks[place].reserve_at.is_some_and(|at| at > self.now.monotonic) {
                continue;
            }
            self.banks[place].reserve_at = None;
            let Some(block) = self.banks[place].numbers.wanted() else { continue };
            let acquirer = self.banks[place].settings.acquirer.clone();
            let ticket = self.next_ticket();
            self.appends.insert(ticket, Appending::Numbers(place));
            let entry = Entry::Numbers(NumberBlock { acquirer, stans: block.stans, rrns: block.rrns });
            self.effects.push(Effect::Append { ticket, entry });
        }
    }

    pub(super) fn go_on_behind(&mut self, blocks: &[NumberBlock]) {
        for bank in &mut self.banks {
            let of_acquirer = blocks.iter().filter(|block| block.acquirer == bank.settings.acquirer);
            let highest = of_acquirer.fold(Reservation::default(), |highest, block| Reservation {
                stans: highest.stans.max(block.stans),
                rrns: highest.rrns.max(block.rrns),
            });
            bank.numbers.go_on_behind(highest);
        }
    }

    /// Gives back the numbers of requests that will not be sent; those of advices are held by what is owed alone.
    fn release_numbers(&mut self, records: &[Record]) {
        for record in records {
            if let Body::Requested(requested) = &record.body
                && requested.delivery != Delivery::Advice
                && let Some(place) = self.bank_named(&requested.message.host)
            {
                self.banks[place].numbers.release(requested.message.stan);
            }
        }
    }
}

fn begins_operation(records: &[Record]) -> bool {
    records.iter().any(|record| matches!(record.body, Body::Requested(_)))
}
