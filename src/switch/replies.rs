//! What banks say: each frame finds its request, or a home as late, second or unknown.

use super::bank::Subject;
use super::sending::Verdict;
use super::*;
use crate::host::{DayKeeper, Pending, Settled};
use crate::iso8583::Message;
use crate::payment::{Card, OperationKind, ResultClass, ResultCode, ReversalReason, Rrn, Stan};
use crate::transaction::{Body, Delivery, Discharge, ObligationKind};
use crate::translation::Reply;

/// A reply to a request that was settled without it.
#[derive(Clone, Debug)]
pub(super) struct LateReply {
    operation: u16,
    response_code: Option<String>,
    result: ResultCode,
}

impl Switch {
    pub(super) fn arrived(&mut self, link: LinkId, frame: Frame, mac: MacVerdict) {
        let Some(place) = self.place_of(link) else { return };
        let now = self.now.monotonic;
        if let Some(session) = self.banks[place].sessions.get_mut(&link) {
            session.heard(now);
        }
        if mac != MacVerdict::Bad {
            return self.judged(link, frame, mac);
        }
        // It may be made under a key that came after it was looked at.
        let keying = &mut self.banks[place].keying;
        if keying.is_changing() {
            if let Some(frame) = keying.put_aside(link, frame) {
                self.judged(link, frame, mac);
            }
        } else if keying.changed_lately() {
            self.effects.push(Effect::Judge { link, frame });
        } else {
            self.judged(link, frame, mac);
        }
    }

    /// A frame of which its MAC says this and nothing else.
    pub(super) fn judged(&mut self, link: LinkId, frame: Frame, mac: MacVerdict) {
        let Some(place) = self.place_of(link) else { return };
        if !mac.is_trusted() {
            self.observe(Observation::KeyAlarm { link, fault: mac.name() });
            self.banks[place].keying.mac_error();
        }
        match self.banks[place].settings.translation.spec().decode(frame.into_bytes()) {
            Ok(message) if message.mti().class() == 8 && !mac.is_trusted() => {}
            Ok(message) if message.mti().class() == 8 => self.network_message(place, link, &message),
            // What is not authentic says which request it was meant for, and nothing else.
            Ok(message) if message.mti().is_response() => {
                self.note_complaint(place, link, &message);
                self.reply(place, link, &message, mac.is_trusted());
            }
            Ok(_) => self.observe(Observation::Unreadable { link, code: "unexpected_request" }),
            Err(error) => self.unreadable(place, link, &error),
        }
    }

    /// The host says that a MAC of ours was wrong: its key is another one.
    fn note_complaint(&mut self, place: usize, link: LinkId, message: &Message) {
        if self.complains(place, message) {
            self.banks[place].keying.mac_error();
            self.observe(Observation::KeyAlarm { link, fault: "complaint" });
        }
    }

    /// Whether it says so.
    pub(super) fn complains(&self, place: usize, message: &Message) -> bool {
        let bank = &self.banks[place];
        let code = message.text(bank.settings.session.network.response_code);
        let both = bank.keying.settings().zip(code);
        both.is_some_and(|(settings, code)| settings.complaints.iter().any(|complaint| *complaint == *code))
    }

    /// A frame that cannot be read whole may still say which request it was meant for.
    fn unreadable(&mut self, place: usize, link: LinkId, error: &crate::iso8583::DecodeError) {
        self.observe(Observation::Unreadable { link, code: error.code() });
        if let Some(partial) = error.partial().filter(|partial| partial.mti().is_response()) {
            self.reply(place, link, partial, false);
        }
    }

    fn reply(&mut self, place: usize, link: LinkId, message: &Message, readable: bool) {
        let bank = &mut self.banks[place];
        let key = bank.key_of(message);
        let same_only = bank.settings.reply_on == ReplyOn::Same;
        let sent_on = key.as_ref().and_then(|key| bank.pending.get(key)).map(|pending| LinkId(pending.link.0));
        if same_only && sent_on.is_some_and(|sent_on| sent_on != link) {
            return self.on_other_link(link, message);
        }
        match key.as_ref().and_then(|key| bank.pending.answer(key)) {
            Some(pending) => self.matched(place, link, pending, message, readable),
            None if readable => self.stray(place, link, key.as_ref(), message),
            None => {}
        }
    }

    fn matched(&mut self, place: usize, link: LinkId, pending: Pending<Subject>, message: &Message, readable: bool) {
        let payment = pending.subject.payment();
        self.banks[place].breaker.answered();
        let took = self.now.monotonic.since(pending.sent_at);
        let frame = message.as_bytes().clone().into();
        self.observe(Observation::Replied { payment: Some(payment), link, frame, took });
        match pending.subject {
            Subject::Request(id, _) if !readable => {
                self.settle_unknown(id, ResultCode::InvalidResponse, ReversalReason::InvalidResponse);
            }
            Subject::Request(id, number) => self.request_answered(place, id, number, message),
            Subject::Owed(id, number) if !readable => self.owed_unanswered(place, id, number),
            Subject::Owed(id, number) => self.owed_answered(place, id, number, message),
        }
    }

    fn request_answered(&mut self, place: usize, id: PaymentId, number: u16, message: &Message) {
        let Some(motion) = self.motions.get(&id) else { return };
        let (Some(payment), Some(card)) = (&motion.payment, &motion.card) else { return };
        let operation = payment.operation(number).expect("a pending request is an operation of its payment");
        let allow_partial = operation.allow_partial;
        let (kind, amount, is_awaited) = (operation.kind, operation.amount, operation.delivery == Delivery::Awaited);
        let mut reply = self.read_reply(place, message, &operation.message, &payment.origin.acceptor, card);
        if kind == OperationKind::Void {
            // There is no half of it.
            let is_half = reply.result.class() == ResultClass::ApprovedPartly;
            reply.result = if is_half { ResultCode::InvalidResponse } else { reply.result };
            reply.approved = reply.approved.filter(|_| !is_half).map(|_| amount);
            // Its day is the original's, which says nothing of today.
            let keeper = self.banks[place].settings.day.keeper;
            reply.business_date = reply.business_date.filter(|_| keeper == DayKeeper::Host);
        } else {
            reply.business_date = reply.business_date.and_then(|day| self.day_named(place, day));
        }
        if is_awaited && reply.wants_retry {
            // An advice that is to come again later was not refused: it comes again.
            (reply.result, reply.approved) = (ResultCode::InProgress, None);
        }
        self.settle(id, verdict(reply, allow_partial));
    }

    /// A reply as it is meant, or as invalid where it contradicts what was sent or answers another kind of message.
    fn read_reply(
        &self,
        place: usize,
        message: &Message,
        sent: &crate::payment::MessageValues,
        acceptor: &crate::payment::Acceptor,
        card: &Card,
    ) -> Reply {
        let translation = &self.banks[place].settings.translation;
        let mut reply = translation.read(message, sent);
        // As of what is owed: it comes again.
        reply.wants_retry |= self.complains(place, message);
        let expected = crate::iso8583::Mti::new(sent.mti).and_then(|mti| mti.response());
        let contradicts = translation.contradiction(message, sent, acceptor, card).is_some();
        if contradicts || expected != Some(message.mti()) {
            (reply.result, reply.approved) = (ResultCode::InvalidResponse, None);
        }
        reply
    }

    /// A reply that no pending message waits for.
    fn stray(&mut self, place: usize, link: LinkId, key: Option<&crate::host::CorrelationKey>, message: &Message) {
        let table = &mut self.banks[place].pending;
        let recalled = key.and_then(|key| table.recall(key)).map(|(subject, how)| (*subject, how));
        if let Some(key) = key {
            table.answered_late(key);
        }
        let kind = match recalled {
            Some((_, Settled::Unanswered)) => Stray::Late,
            Some((_, Settled::Answered)) => Stray::Duplicate,
            None => Stray::Unmatched,
        };
        self.observe_stray(kind, link, message);
        match recalled {
            Some((Subject::Request(id, operation), Settled::Unanswered)) => match self.repeat_owed(id, operation) {
                Some(number) => self.owed_answered(place, id, number, message),
                None => self.late(place, id, operation, message),
            },
            Some((Subject::Owed(id, number), Settled::Unanswered)) => self.owed_answered(place, id, number, message),
            _ => {}
        }
    }

    /// What waits under its key goes on waiting: a link answers for what it carried.
    fn on_other_link(&mut self, link: LinkId, message: &Message) {
        self.observe_stray(Stray::OtherLink, link, message);
    }

    fn observe_stray(&mut self, kind: Stray, link: LinkId, message: &Message) {
        let stan = message.text(bank::STAN_ELEMENT).and_then(|text| Stan::parse(&text).ok());
        let rrn = message.text(37).and_then(|text| Rrn::parse(&text).ok());
        self.observe(Observation::Stray { kind, link, stan, rrn });
    }

    /// The repeat that is owed of an operation's own message: the answer to the first copy is the answer to it.
    fn repeat_owed(&self, id: PaymentId, operation: u16) -> Option<u16> {
        let payment = self.motions.get(&id)?.payment.as_ref()?;
        let mut open = payment.open_obligations();
        open.find(|owed| owed.kind == ObligationKind::Repeat && owed.operation == operation).map(|owed| owed.number)
    }

    /// The answer to a request that was settled without it: recorded, and never told.
    fn late(&mut self, place: usize, id: PaymentId, operation: u16, message: &Message) {
        let mapping = &self.banks[place].settings.translation;
        let (response_code, result) = mapping.code(message);
        self.late.entry(id).or_default().push(LateReply { operation, response_code, result });
        match self.motions.get_mut(&id) {
            Some(motion) if motion.payment.is_some() => self.note_late(id),
            Some(motion) if motion.loading => {}
            _ => {
                self.motions.entry(id).or_default().loading = true;
                self.effects.push(Effect::Load { payment: id });
            }
        }
    }

    /// Records the late replies of a payment that is loaded.
    pub(super) fn note_late(&mut self, id: PaymentId) {
        let Some(payment) = self.motions.get(&id).and_then(|motion| motion.payment.as_ref()) else { return };
        let mut bodies = Vec::new();
        for late in self.late.remove(&id).unwrap_or_default() {
            let reopened = reopened_by(payment, &late);
            let LateReply { operation, response_code, result } = late;
            bodies.push(Body::LateReply { operation, response_code, result });
            bodies.extend(reopened.map(|obligation| Body::Reopened { obligation }));
        }
        if !bodies.is_empty() {
            self.append(id, bodies, Then::Rest);
        }
    }
}

/// The reversal that was closed because the bank knew no original, and which it approved after all.
fn reopened_by(payment: &Payment, late: &LateReply) -> Option<u16> {
    let approved = matches!(late.result.class(), ResultClass::Approved | ResultClass::ApprovedPartly);
    let mut owed = payment.obligations.iter().filter(|owed| owed.obligation.operation == late.operation);
    let closed = owed.find(|owed| matches!(owed.discharge, Some(Discharge::OriginalUnknown(_))));
    closed.filter(|_| approved).map(|owed| owed.obligation.number)
}

fn verdict(reply: Reply, allow_partial: bool) -> Verdict {
    let plain = Verdict {
        result: reply.result,
        response_code: reply.response_code,
        approved: reply.approved,
        approval_code: reply.approval_code,
        business_date: reply.business_date,
        reverse: None,
        balances: reply.balances,
        stand_in: None,
    };
    match reply.result.class() {
        ResultClass::Unknown => Verdict { reverse: Some(reason_of(reply.result)), ..plain },
        ResultClass::ApprovedPartly if !allow_partial => Verdict {
            result: ResultCode::PartialRefused,
            approved: None,
            reverse: Some(ReversalReason::PartialRefused),
            ..plain
        },
        _ => plain,
    }
}

fn reason_of(result: ResultCode) -> ReversalReason {
    match result {
        ResultCode::InvalidResponse => ReversalReason::InvalidResponse,
        _ => ReversalReason::Timeout,
    }
}
