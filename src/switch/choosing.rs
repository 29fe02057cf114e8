//! Which host a new payment goes to, and to which other one when the first certainly did not get it.
//!
//! A request is moved only while no byte of it can have left: no link was online, a link gave it back unsent, or its
//! time to be handed over passed. The move is a record of its own, with numbers of the new host, and is durable before
//! the new host is tried; so a crash in between finds the one host that may have been sent to. Once a link may have
//! written the request, it stays where it is, whatever becomes of it.

use super::bank::Bank;
use super::*;
use crate::payment::{CardPresent, MessageValues, PosEntry, ResultCode};
use crate::routing::{Case, Health, Instrument};
use crate::transaction::{Body, Operation, Rerouted};

impl Switch {
    /// The message of a new payment for the best host that has room for it.
    pub(super) fn first_message(
        &mut self,
        merchant: &crate::payment::MerchantId,
        begin: &Begin,
    ) -> Result<(usize, MessageValues), Refusal> {
        let case = Case {
            pan: &begin.card.pan,
            instrument: Instrument::of(begin.entry),
            operation: begin.kind,
            amount: begin.amount,
            merchant,
            at: self.now.wall,
        };
        let health = self.health();
        let candidates = self.settings.routes.candidates(&case, &health);
        let first = *candidates.first().ok_or(Refusal::NoRoute)?;
        // One that is up and full is passed over for the next that is up, never for one that is down.
        let best = candidates.into_iter().filter(|place| health[*place] == health[first]);
        let mut refused = Refusal::NoRoute;
        for place in best {
            match self.message_at(place, begin) {
                Ok(message) => return Ok((place, message)),
                Err(refusal) => refused = refusal,
            }
        }
        Err(refused)
    }

    /// Whether the bank's dialect can tell how the card came, and takes its PIN where it has one.
    fn takes(&self, place: usize, entry: PosEntry, present: Option<&CardPresent>) -> bool {
        let settings = &self.banks[place].settings;
        let has_pin = present.is_some_and(|present| present.pin.is_some());
        settings.translation.knows_entry(entry) && (!has_pin || settings.keys.pin.is_some())
    }

    fn message_at(&mut self, place: usize, begin: &Begin) -> Result<MessageValues, Refusal> {
        if !self.takes(place, begin.entry, begin.card.present.as_deref()) {
            return Err(Refusal::NotSupported);
        }
        self.must_have_room(place)?;
        let kind = self.banks[place].settings.forms.first_kind(begin.kind);
        let message = self.new_message(place, kind, begin.amount, begin.entry, None)?;
        let (consent, purchase) = (begin.consent.clone(), begin.purchase.clone());
        Ok(MessageValues { consent, purchase, ..message })
    }

    /// A host takes a share of all that may be open, so that a slow one leaves room for the others.
    pub(super) fn must_have_room(&mut self, place: usize) -> Result<(), Refusal> {
        if !self.banks[place].is_full() {
            return Ok(());
        }
        let host = self.banks[place].settings.name.clone();
        self.observe(Observation::HostFull { host });
        Err(Refusal::HostBusy)
    }

    fn health(&self) -> Vec<Health> {
        self.banks.iter().map(Bank::health).collect()
    }

    /// The request of the open operation certainly did not reach its host: it goes to another one, is approved in the
    /// host's place, or is over.
    pub(super) fn not_sent(&mut self, id: PaymentId) {
        if let Some(rerouted) = self.reroute(id) {
            return self.append(id, vec![Body::Rerouted(Box::new(rerouted))], Then::Send);
        }
        let verdict = self.stand_in(id).unwrap_or_else(|| sending::Verdict::plain(ResultCode::NotSent));
        self.settle(id, verdict);
    }

    /// Moves the open operation to another host that is up, while there is time and room for it.
    fn reroute(&mut self, id: PaymentId) -> Option<Rerouted> {
        let motion = self.motions.get(&id)?;
        let (open, payment) = (motion.open.as_ref()?, motion.payment.as_ref()?);
        let operation = payment.operation(open.operation).filter(|operation| may_move(operation, open))?.clone();
        let in_time = open.give_up_at.is_some_and(|at| at > self.now.monotonic);
        let from = self.bank_named(&operation.message.host)?;
        let place = self.another_host(id, from).filter(|_| in_time)?;
        let kind = self.banks[place].settings.forms.first_kind(operation.kind);
        let message = self.new_message(place, kind, operation.amount, operation.message.entry, None).ok()?;
        self.banks[from].numbers.release(operation.message.stan);
        self.move_open(id, from, place);
        let business_date = self.banks[place].today(self.now.wall);
        let MessageValues { local_time, consent, purchase, .. } = operation.message;
        let message = MessageValues { local_time, consent, purchase, ..message };
        Some(Rerouted { operation: operation.number, message, business_date })
    }

    /// The next best host for a payment: one that is up, has room, was not tried and can tell how the card came.
    fn another_host(&self, id: PaymentId, from: usize) -> Option<usize> {
        let motion = self.motions.get(&id)?;
        let (open, entry) = (motion.open.as_ref()?, motion.payment.as_ref()?.first().message.entry);
        let untried = |place: &usize| *place != from && !open.tried.contains(place);
        let takes = |place: &usize| !self.banks[*place].is_full() && self.takes(*place, entry, open.present.as_deref());
        let up = self.candidates_of(id)?.into_iter().filter(|(_, health)| *health == Health::Up);
        up.map(|(place, _)| place).filter(untried).find(takes)
    }

    /// The hosts that may take a payment that has begun, best first.
    pub(super) fn candidates_of(&self, id: PaymentId) -> Option<Vec<(usize, Health)>> {
        let motion = self.motions.get(&id)?;
        let (payment, card) = (motion.payment.as_ref()?, motion.card.as_ref()?);
        let case = Case {
            pan: &card.pan,
            instrument: Instrument::of(payment.first().message.entry),
            operation: payment.first().kind,
            amount: payment.amount,
            merchant: &payment.origin.merchant,
            at: payment.created_at,
        };
        let health = self.health();
        let candidates = self.settings.routes.candidates(&case, &health);
        Some(candidates.into_iter().map(|place| (place, health[place])).collect())
    }

    fn move_open(&mut self, id: PaymentId, from: usize, to: usize) {
        let Some(open) = self.motions.get_mut(&id).and_then(|motion| motion.open.as_mut()) else { return };
        open.tried.push(from);
        open.send_by = None;
        open.place = Some(to);
        self.banks[from].open -= 1;
        self.banks[to].open += 1;
        let (from, to) = (self.banks[from].settings.name.clone(), self.banks[to].settings.name.clone());
        self.observe(Observation::Rerouted { payment: id, from, to });
    }

    /// An operation is open at a host from now on.
    pub(super) fn opened_at(&mut self, host: &crate::payment::Name) -> Option<usize> {
        let place = self.bank_named(host)?;
        self.banks[place].open += 1;
        Some(place)
    }

    /// An operation is open no longer.
    pub(super) fn closed(&mut self, open: &Open) {
        if let Some(place) = open.place {
            self.banks[place].open -= 1;
            open.held.into_iter().for_each(|stan| self.banks[place].numbers.release(stan));
        }
    }
}

/// Only what begins a payment can begin it elsewhere, or what only asks, and only while its outcome is open.
fn may_move(operation: &Operation, open: &Open) -> bool {
    (operation.kind.begins_payment() || operation.kind.is_inquiry()) && operation.told_at.is_none() && !open.decided
}

impl Bank {
    /// How the host is, as routing sees it.
    pub(super) fn health(&self) -> Health {
        match self.takes_requests() {
            false => Health::Down,
            true if self.breaker.admits() => Health::Up,
            true => Health::Resting,
        }
    }

    fn is_full(&self) -> bool {
        self.open >= self.settings.share
    }
}
