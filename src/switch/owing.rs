//! What is owed to banks: advices and reversals, sent in the order of their payment until they are acknowledged.

use super::bank::Subject;
use super::sending::NotHandedOver;
use super::*;
use crate::iso8583::Message;
use crate::payment::{BusinessDate, Card, OperationKind, ResultClass, ReversalReason};
use crate::transaction::{Body, Discharge, Obligation, ObligationKind, OperationState, Record};
use std::time::Duration;

/// Pause before an owed message is looked at again that could not be handed over just now.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(100);

impl Switch {
    /// Keeps account of obligations that became durable, or ended.
    pub(super) fn note_owed(&mut self, id: PaymentId, records: &[Record]) {
        let Some(payment) = self.motions.get(&id).and_then(|motion| motion.payment.as_ref()) else { return };
        let mut begun = Vec::new();
        let mut ended = Vec::new();
        for record in records {
            match &record.body {
                Body::Requested(requested) => begun.extend(requested.obligations.iter().map(|o| (record.at, o.number))),
                Body::Settled(outcome) => begun.extend(outcome.obligations.iter().map(|o| (record.at, o.number))),
                Body::Reopened { obligation } => {
                    self.resumed.insert((id, *obligation));
                    begun.push((record.at, *obligation));
                }
                Body::Discharged { obligation, .. } => ended.push(*obligation),
                Body::LateReply { .. } | Body::Rerouted(_) => {}
            }
        }
        let open: Vec<u16> = payment.open_obligations().map(|owed| owed.number).collect();
        let owed = |number: &u16| payment.obligations.iter().find(|owed| owed.obligation.number == *number);
        let begun: Vec<_> = begun.into_iter().filter(|(_, number)| open.contains(number)).collect();
        let begun =
            begun.into_iter().filter_map(|(at, number)| Some((at, owed(&number)?.obligation.clone()))).collect();
        // What was reopened has not ended.
        ended.retain(|number| !open.contains(number));
        let ended: Vec<_> = ended.iter().filter_map(|number| Some(owed(number)?.obligation.clone())).collect();
        self.count_owed(id, begun, &ended);
    }

    fn count_owed(&mut self, id: PaymentId, begun: Vec<(Wall, Obligation)>, ended: &[Obligation]) {
        for (at, obligation) in begun {
            let Some(place) = self.bank_named(&obligation.message.host) else { continue };
            let Some(day) = self.day_of(id, &obligation) else { continue };
            self.banks[place].owe(id, &obligation, at, day);
        }
        for obligation in ended {
            let Some(place) = self.bank_named(&obligation.message.host) else { continue };
            self.resumed.remove(&(id, obligation.number));
            self.banks[place].owe_no_more(id, obligation);
        }
    }

    /// The day of what an obligation is about. Records of old do not name it in the message.
    fn day_of(&self, id: PaymentId, obligation: &Obligation) -> Option<BusinessDate> {
        let payment = self.motions.get(&id)?.payment.as_ref()?;
        let operation = || payment.operation(obligation.operation).map(|operation| operation.business_date);
        obligation.message.business_date.or_else(operation)
    }

    /// Puts the first thing a payment owes into the outbox of its bank.
    pub(super) fn queue_owed(&mut self, id: PaymentId) {
        let Some(payment) = self.motions.get(&id).and_then(|motion| motion.payment.as_ref()) else { return };
        let Some(first) = payment.open_obligations().next() else { return };
        let (number, host) = (first.number, first.message.host.clone());
        let takes_back_nothing = first.kind == ObligationKind::Reversal
            && self.never_sent.contains(&(id, first.operation))
            && payment.operation(first.operation).is_some_and(|op| op.state == OperationState::Reversing);
        let Some(place) = self.bank_named(&host) else { return };
        if takes_back_nothing && !self.banks[place].outbox.may_be_sent((id, number)) {
            return self.end_owed(id, number, Discharge::Cancelled);
        }
        let waits = payment.obligations.iter().any(|other| other.is_exception() && first.builds_on(&other.obligation));
        if waits && !self.banks[place].outbox.contains((id, number)) {
            // A person settles both: the bank knows nothing of what it builds on.
            return self.end_owed(id, number, Discharge::Parked(None));
        }
        let (now, sent_before) = (self.now.monotonic, self.resumed.contains(&(id, number)));
        let bank = &mut self.banks[place];
        if !bank.outbox.contains((id, number)) {
            bank.outbox.put((id, number), now, sent_before);
        }
    }

    pub(super) fn send_owed(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        for place in 0..self.banks.len() {
            while self.banks[place].is_online() {
                let requests = self.banks[place].requests();
                let next = self.banks[place].outbox.next(self.now.monotonic, requests);
                let Some(((id, number), repeat)) = next else { break };
                self.send_one(place, id, number, repeat);
            }
        }
    }

    fn send_one(&mut self, place: usize, id: PaymentId, number: u16, repeat: bool) {
        let handed = match self.owed_message(id, number) {
            None => Err(NotHandedOver::NoLink),
            Some((_, None)) => return self.end_owed(id, number, Discharge::Parked(None)),
            Some((obligation, Some(card))) => self.hand_over_owed(place, id, &obligation, &card, repeat),
        };
        match handed {
            Ok(()) => self.banks[place].outbox.sent((id, number)),
            Err(NotHandedOver::NoLink) => self.owed_not_sent(place, id, number),
            Err(NotHandedOver::Unfit) => self.end_owed(id, number, Discharge::Parked(None)),
        }
    }

    /// An obligation that may be sent now, and the card it is about; nothing while its payment is being recorded.
    fn owed_message(&self, id: PaymentId, number: u16) -> Option<(Obligation, Option<Card>)> {
        let motion = self.motions.get(&id).filter(|motion| motion.recording.is_none())?;
        let owed = motion.payment.as_ref()?.open_obligations().find(|owed| owed.number == number)?;
        Some((owed.clone(), motion.card.clone()))
    }

    fn hand_over_owed(
        &mut self,
        place: usize,
        id: PaymentId,
        obligation: &Obligation,
        card: &Card,
        repeat: bool,
    ) -> Result<(), NotHandedOver> {
        let payment = self.motions.get(&id).and_then(|motion| motion.payment.as_ref()).ok_or(NotHandedOver::NoLink)?;
        let operation = payment.operation(obligation.operation).ok_or(NotHandedOver::Unfit)?;
        let kind = obligation.message_kind(operation.kind);
        let time = self.banks[place].numbers.time(self.now.wall);
        let settings = &self.banks[place].settings;
        let send_by = self.now.monotonic.after(settings.send_timeout);
        let flagged = repeat && settings.repeat == Repeat::Flagged;
        let acceptor = &payment.origin.acceptor;
        let (translation, message) = (&settings.translation, &obligation.message);
        let frame = match repeat {
            true => translation.encode_again(kind, message, acceptor, card, flagged, time),
            false => translation.encode(kind, message, acceptor, card, false),
        };
        let frame = frame.map_err(|_| NotHandedOver::Unfit)?;
        self.hand_over(place, Subject::Owed(id, obligation.number), &obligation.message, frame, None, send_by)
    }

    pub(super) fn owed_not_sent(&mut self, place: usize, id: PaymentId, number: u16) {
        let again_at = self.now.monotonic.after(HAND_OVER_PAUSE);
        self.banks[place].outbox.not_sent((id, number), again_at);
    }

    pub(super) fn owed_unanswered(&mut self, place: usize, id: PaymentId, number: u16) {
        if self.owed_open(id, number).is_some() {
            self.banks[place].outbox.missed_one();
            self.owe_again(place, id, number, None);
        }
    }

    /// The bank asked to come later with it. One that says so to everything gets a rest.
    fn owed_put_off(&mut self, place: usize, id: PaymentId, number: u16, code: Option<String>) {
        let (now, jitter) = (self.now.monotonic, self.jitter());
        if let Some(until) = self.banks[place].outbox.put_off_one(now, jitter) {
            let host = self.banks[place].settings.name.clone();
            self.observe(Observation::QueueRests { host, lasts: until.since(now) });
        }
        self.owe_again(place, id, number, code);
    }

    /// Sends it again after a pause, or leaves it to a person where it was tried often or long enough.
    fn owe_again(&mut self, place: usize, id: PaymentId, number: u16, code: Option<String>) {
        let (now, jitter) = (self.now, self.jitter());
        let bank = &mut self.banks[place];
        let age = bank.owed_since(id, number).map_or(Duration::ZERO, |since| now.wall.since(since));
        if !bank.outbox.retry((id, number), now.monotonic, age, jitter) {
            self.end_owed(id, number, Discharge::Parked(code));
        }
    }

    /// The bank answered an advice or a reversal: any answer ends it, save a code that asks to come again, or one that
    /// leaves open what was awaited.
    pub(super) fn owed_answered(&mut self, place: usize, id: PaymentId, number: u16, message: &Message) {
        let Some(obligation) = self.owed_open(id, number) else { return };
        let reply = self.banks[place].settings.translation.read(message, &obligation.message);
        let code = reply.response_code.clone();
        let named = self.banks[place].settings.translation.code(message).1;
        use ObligationKind::{Release, Repeat, Reversal};
        let discharge = match (obligation.kind, named.class()) {
            // What the host did not believe it did not look at either: under another key it may.
            _ if reply.wants_retry || self.complains(place, message) => {
                return self.owed_put_off(place, id, number, code);
            }
            _ if reply.is_poison => Discharge::Parked(code),
            (Reversal | Release, _) if reply.original_unknown => Discharge::OriginalUnknown(code),
            (_, ResultClass::Approved) => Discharge::Acknowledged(code),
            (_, ResultClass::ApprovedPartly) if obligation.kind != Repeat => Discharge::Acknowledged(code),
            // A bank that has it already has what it is owed.
            _ if reply.is_duplicate || reply.is_done => Discharge::Acknowledged(code),
            (Repeat, ResultClass::Unknown) => return self.owed_unanswered(place, id, number),
            // Whether the first copy was done and forgotten, or never was, a person must find out.
            (Repeat, ResultClass::Declined(_) | ResultClass::NotDone) if !reply.original_unknown => {
                Discharge::Declined(named, code)
            }
            _ => Discharge::Refused(code),
        };
        self.banks[place].outbox.settled_one();
        self.end_owed(id, number, discharge);
    }

    /// An obligation that is open and not about to end.
    fn owed_open(&self, id: PaymentId, number: u16) -> Option<Obligation> {
        let motion = self.motions.get(&id).filter(|motion| !motion.ends(number))?;
        motion.payment.as_ref()?.open_obligations().find(|owed| owed.number == number).cloned()
    }

    fn end_owed(&mut self, id: PaymentId, obligation: u16, discharge: Discharge) {
        let Some(owed) = self.owed_open(id, obligation) else { return };
        if discharge.is_exception() {
            self.observe(Observation::Exception { payment: id, obligation });
        }
        if let Some(place) = self.bank_named(&owed.message.host) {
            self.banks[place].outbox.hold((id, obligation));
        }
        let mut ended = vec![Body::Discharged { obligation, discharge: discharge.clone() }];
        if owed.kind == ObligationKind::Repeat && !matches!(discharge, Discharge::Acknowledged(_)) {
            ended.extend(self.not_to_follow(id, &owed));
        }
        self.append(id, ended, Then::Rest);
    }

    /// The rest of a void whose first message the bank did not agree to. None of it was sent, for a payment's
    /// obligations go out in their order. Behind any other repeat stands what is owed for itself.
    fn not_to_follow(&self, id: PaymentId, repeat: &Obligation) -> Vec<Body> {
        let Some(payment) = self.motions.get(&id).and_then(|motion| motion.payment.as_ref()) else { return Vec::new() };
        if payment.operation(repeat.operation).is_none_or(|operation| operation.kind != OperationKind::Void) {
            return Vec::new();
        }
        let behind = payment.open_obligations().filter(|owed| owed.number > repeat.number && is_rest_of_void(owed));
        behind.map(|owed| Body::Discharged { obligation: owed.number, discharge: Discharge::Cancelled }).collect()
    }
}

/// Whether it takes back what a void left beside the message that it asked about.
pub(super) fn is_rest_of_void(owed: &Obligation) -> bool {
    owed.kind == ObligationKind::Reversal && owed.message.reason == Some(ReversalReason::Cancelled)
}
