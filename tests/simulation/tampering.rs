//! Broken switches: the stream of events and effects between switch and world, spoiled on purpose.
//!
//! The checker has to fail on each (`canaries`). Nothing of this is in the product: the switch is the real one, and
//! what stands between it and the world lies.

use crate::journal::Journal;
use crate::plan::Plan;
use bytes::Bytes;
use isthmus::iso8583::{Message, Spec};
use isthmus::payment::{BusinessDate, MerchantId, MessageKind, Monotonic, OperationKind, Wall};
use isthmus::switch::{Answer, Effect, Entry, Event, LinkId, MacVerdict, SendId, Settings, Stored, Ticket, WaiterId};
use isthmus::transaction::{Body, Delivery, Discharge, IdempotencyKey, OperationState, Payment, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How the switch is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breakage {
    #[default]
    None,
    /// Reversals are taken for acknowledged and never sent.
    ForgetsReversals,
    /// Captures are taken for acknowledged and never sent.
    ForgetsCaptures,
    /// Merchants are told as soon as an outcome is on its way to the store.
    TellsEarly,
    /// Requests are sent as soon as they are on their way to the store.
    SendsEarly,
    /// Outcomes are never stored.
    SkipsOutcomes,
    /// A reply is taken for the answer to anything that bears its trace number.
    MatchesByNumberAlone,
    /// What was on a lost link goes out again on another.
    SendsRequestsAgain,
    /// Numbers begin where the first run began.
    ReusesNumbers,
    /// Repeats look like first messages.
    HidesRepeats,
    /// The card number stands in a record.
    RecordsTheCard,
    /// A verification code is stored with the card.
    StoresTheCode,
    /// Some merchants are never answered.
    ForgetsMerchants,
    /// A payment of unknown outcome is told as approved.
    Guesses,
    /// What is given up is recorded as acknowledged, and stands in no list.
    DropsParked,
    /// What is owed when the process dies is owed no more.
    ForgetsAtCrash,
    /// A void is booked on another day than what it takes back.
    WrongDay,
    /// What was on a lost link is taken for unsent, and so is moved to another host.
    MovesWhatWasSent,
    /// Voids by 0400 are taken for agreed to and never sent.
    ForgetsVoids,
    /// Repeats of a refund are taken for approved and never sent.
    ForgetsRepeatedRefunds,
    /// What a final capture leaves is taken for released, and nobody is told.
    ForgetsReleases,
    /// More is promised in a bank's place than was agreed.
    PromisesTooMuch,
    /// A card that nothing is promised to is trusted all the same.
    TrustsEverybody,
    /// What a bank refused of a promise is taken for acknowledged, and what builds on it is sent.
    Overtakes,
    /// A MAC is good whatever it is.
    BelievesEverybody,
}

#[derive(Default)]
pub struct Tampering {
    breakage: Breakage,
    waiters: BTreeMap<(MerchantId, IdempotencyKey), WaiterId>,
    /// Who was told early, and what was sent early.
    told: BTreeSet<WaiterId>,
    sent: BTreeSet<String>,
    /// Reversals without an answer, by trace number.
    reversals: BTreeMap<String, Message>,
    /// Requests without an answer.
    requests: BTreeMap<String, (LinkId, Bytes)>,
    last_send: u64,
    answers: u64,
    pending_resends: Vec<(LinkId, Bytes)>,
    /// Frames handed to a link since its connection began.
    handed: BTreeMap<LinkId, Vec<SendId>>,
}

/// What comes out in place of the switch's effects.
#[derive(Default)]
pub struct Tampered {
    pub now: Vec<Effect>,
    /// Forged events for the switch.
    pub events: Vec<Event>,
}

impl Tampering {
    pub fn with(breakage: Breakage) -> Tampering {
        Tampering { breakage, ..Tampering::default() }
    }

    pub fn event(&mut self, event: Event, plan: &Plan) -> Event {
        match (&event, self.breakage) {
            (Event::Submit(submission), _) => {
                self.waiters.insert((submission.merchant.clone(), submission.key.clone()), submission.waiter);
            }
            (Event::Numbers(blocks), Breakage::ReusesNumbers) => {
                let mut blocks = blocks.clone();
                for block in &mut blocks {
                    (block.stans, block.rrns) = (plan.numbers_used, plan.numbers_used);
                }
                return Event::Numbers(blocks);
            }
            (Event::Resume(stored), Breakage::ForgetsAtCrash) => {
                let is_asked = |stored: &Stored| Payment::fold(&stored.records).is_ok_and(|p| p.unsettled().is_some());
                return Event::Resume(stored.iter().filter(|stored| is_asked(stored)).cloned().collect());
            }
            (Event::Arrived { link, frame, mac }, Breakage::MatchesByNumberAlone) => {
                let frame = self.mistaken(frame, spec(plan)).unwrap_or_else(|| Bytes::clone(frame));
                return Event::Arrived { link: *link, frame: frame.into(), mac: *mac };
            }
            (
                Event::Arrived { link, frame, mac: MacVerdict::Bad | MacVerdict::Absent },
                Breakage::BelievesEverybody,
            ) => {
                return Event::Arrived { link: *link, frame: frame.clone(), mac: MacVerdict::Good };
            }
            (Event::Arrived { frame, .. }, Breakage::SendsRequestsAgain) => {
                if let Ok(Some(stan)) =
                    spec(plan).decode(Bytes::clone(frame)).map(|m| m.text(11).map(|s| s.into_owned()))
                {
                    self.requests.remove(&stan);
                }
            }
            (Event::Disconnected { link, .. }, Breakage::MovesWhatWasSent) => {
                return Event::Disconnected { link: *link, unsent: self.handed.remove(link).unwrap_or_default() };
            }
            (Event::Disconnected { link, .. }, Breakage::SendsRequestsAgain) => {
                let (again, kept) = std::mem::take(&mut self.requests).into_iter().partition(|(_, (on, _))| on == link);
                self.requests = kept;
                let again: BTreeMap<_, _> = again;
                self.pending_resends.extend(again.into_values());
            }
            _ => {}
        }
        event
    }

    /// What the switch is told of its hosts.
    pub fn settings(&self, plan: &Plan) -> Settings {
        let mut settings = plan.settings.clone();
        for host in &mut settings.hosts {
            let Some(agreed) = host.stand_in.as_deref() else { continue };
            let mut agreed = agreed.clone();
            match self.breakage {
                Breakage::PromisesTooMuch => agreed.limits.iter_mut().for_each(|limit| limit.count_max = 1_000),
                Breakage::TrustsEverybody => agreed.negative.clear(),
                _ => continue,
            }
            host.stand_in = Some(Arc::new(agreed));
        }
        settings
    }

    /// An approval of the request, mistaken for the acknowledgement of its reversal.
    fn mistaken(&mut self, frame: &Bytes, spec: &Arc<Spec>) -> Option<Bytes> {
        let reply = spec.decode(frame.clone()).ok()?;
        let reversal = match reply.mti().class() {
            1 | 2 => self.reversals.remove(reply.text(11)?.as_ref())?,
            _ => return None,
        };
        acknowledgement(spec, &reversal)
    }

    pub fn effects(&mut self, effects: Vec<Effect>, journal: &Journal, plan: &Plan) -> Tampered {
        let mut out = Tampered::default();
        for effect in effects {
            self.effect(effect, journal, plan, &mut out);
        }
        for (link, frame) in std::mem::take(&mut self.pending_resends) {
            let links = plan.settings.hosts[0].links.len() as u16;
            let other = LinkId((link.0 + 1) % links);
            out.now.push(self.send(other, frame));
        }
        out
    }

    fn effect(&mut self, effect: Effect, journal: &Journal, plan: &Plan, out: &mut Tampered) {
        match (effect, self.breakage) {
            (Effect::Send { link, frame, .. }, breakage) if is_forgotten(&frame, plan, breakage) => {
                out.events.extend(acknowledged(link, &frame, plan));
            }
            (Effect::Send { link, id, frame, seals, send_by }, Breakage::HidesRepeats) if is(&frame, plan, 4, None) => {
                let frame = without_flag(frame.into_bytes(), plan).into();
                out.now.push(Effect::Send { link, id, frame, seals, send_by });
            }
            (Effect::Send { frame, .. }, Breakage::SendsEarly) if self.was_sent(&frame, plan) => {}
            (Effect::Send { link, id, frame, seals, send_by }, breakage) => {
                self.handed.entry(link).or_default().push(id);
                self.remember(breakage, link, &frame, plan);
                out.now.push(Effect::Send { link, id, frame, seals, send_by });
            }
            (Effect::Append { ticket, entry: Entry::Payment { records, .. } }, Breakage::SkipsOutcomes)
                if records.iter().any(|record| matches!(record.body, Body::Settled(_))) =>
            {
                out.events.push(Event::Recorded { ticket, result: Ok(()) });
            }
            (Effect::Append { ticket, entry: Entry::Payment { mut records, card } }, breakage) => {
                let mut card = card;
                self.append(breakage, &mut records, &mut card, journal, plan, out);
                out.now.push(Effect::Append { ticket: Ticket(ticket.0), entry: Entry::Payment { records, card } });
            }
            (Effect::Answer { waiter, .. }, Breakage::TellsEarly) if self.told.contains(&waiter) => {}
            (Effect::Answer { .. }, Breakage::ForgetsMerchants) if self.every_fifth() => {}
            (Effect::Answer { waiter, answer }, Breakage::Guesses) => {
                out.now.push(Effect::Answer { waiter, answer: guessed(answer) });
            }
            (other, _) => out.now.push(other),
        }
    }

    fn append(
        &mut self,
        breakage: Breakage,
        records: &mut [Record],
        card: &mut Option<(isthmus::payment::CardId, Box<isthmus::payment::Card>)>,
        journal: &Journal,
        plan: &Plan,
        out: &mut Tampered,
    ) {
        match breakage {
            Breakage::TellsEarly => self.tell_early(records, journal, out),
            Breakage::SendsEarly => self.send_early(records, card.as_ref().map(|(_, card)| card.as_ref()), plan, out),
            Breakage::RecordsTheCard => {
                if let (Some(Body::Requested(first)), Some((_, card))) =
                    (records.first_mut().map(|record| &mut record.body), card.as_ref())
                    && let Some(origin) = &mut first.origin
                {
                    Arc::make_mut(origin).reference = card.pan.reveal().to_owned();
                }
            }
            Breakage::DropsParked => records.iter_mut().for_each(drop_parked),
            Breakage::Overtakes => records.iter_mut().for_each(|record| refuse_promise(record, journal)),
            Breakage::WrongDay => records.iter_mut().for_each(book_on_another_day),
            Breakage::StoresTheCode => {
                if let Some((_, card)) = card {
                    card.cvc = Some(crate::merchants::cvc_of(card.pan.reveal()));
                }
            }
            _ => {}
        }
    }

    fn tell_early(&mut self, records: &[Record], journal: &Journal, out: &mut Tampered) {
        let settled = records.iter().find_map(|record| match &record.body {
            Body::Settled(outcome) => Some(outcome.operation),
            _ => None,
        });
        let (Some(operation), Some(first)) = (settled, records.first()) else { return };
        let whole: Vec<Record> = journal.records(first.payment).iter().chain(records).cloned().collect();
        let Ok(payment) = Payment::fold(&whole) else { return };
        let Some(key) = payment.operation(operation).map(|operation| operation.key.clone()) else { return };
        let Some(waiter) = self.waiters.get(&(payment.origin.merchant.clone(), key)).copied() else { return };
        if self.told.insert(waiter) {
            let answer = Answer::Told { payment: payment.into(), operation, replayed: false };
            out.now.push(Effect::Answer { waiter, answer });
        }
    }

    fn send_early(
        &mut self,
        records: &[Record],
        card: Option<&isthmus::payment::Card>,
        plan: &Plan,
        out: &mut Tampered,
    ) {
        let (Some(Body::Requested(first)), Some(card)) = (records.first().map(|record| &record.body), card) else {
            return;
        };
        let (Some(origin), Delivery::Request) = (&first.origin, first.delivery) else { return };
        let kind = match first.kind {
            OperationKind::Sale => MessageKind::Sale,
            _ => MessageKind::Authorisation,
        };
        let translation = &plan.settings.hosts[0].translation;
        if let Ok(frame) = translation.encode(kind, &first.message, &origin.acceptor, card, false) {
            self.sent.insert(first.message.stan.to_string());
            out.now.push(self.send(LinkId(0), frame));
        }
    }

    fn send(&mut self, link: LinkId, frame: Bytes) -> Effect {
        self.last_send += 1;
        let id = SendId(u64::MAX - self.last_send);
        Effect::Send { link, id, frame: frame.into(), seals: Vec::new(), send_by: Monotonic(u64::MAX) }
    }

    fn was_sent(&self, frame: &Bytes, plan: &Plan) -> bool {
        let stan = spec(plan).decode(frame.clone()).ok().and_then(|m| m.text(11).map(|stan| stan.into_owned()));
        (is(frame, plan, 1, Some(0)) || is(frame, plan, 2, Some(0)))
            && stan.is_some_and(|stan| self.sent.contains(&stan))
    }

    fn remember(&mut self, breakage: Breakage, link: LinkId, frame: &Bytes, plan: &Plan) {
        let Ok(message) = spec(plan).decode(frame.clone()) else { return };
        let Some(stan) = message.text(11).map(|stan| stan.into_owned()) else { return };
        match (breakage, message.mti().class()) {
            (Breakage::MatchesByNumberAlone, 4) => drop(self.reversals.insert(stan, message)),
            (Breakage::SendsRequestsAgain, 1 | 2) if message.mti().is_request() => {
                self.requests.insert(stan, (link, frame.clone()));
            }
            _ => {}
        }
    }

    fn every_fifth(&mut self) -> bool {
        self.answers += 1;
        self.answers.is_multiple_of(5)
    }

    pub fn run_ends(&mut self) {
        self.waiters.clear();
        self.handed.clear();
        self.requests.clear();
        self.reversals.clear();
    }
}

/// Whether a switch broken so would forget this message.
fn is_forgotten(frame: &Bytes, plan: &Plan, breakage: Breakage) -> bool {
    let Ok(message) = spec(plan).decode(frame.clone()) else { return false };
    let mti = message.mti();
    let is_refund = || message.text(3).is_some_and(|processing| processing.starts_with("20"));
    match (breakage, mti.class(), mti.function()) {
        (Breakage::ForgetsReversals, 4, _) => true,
        (Breakage::ForgetsCaptures, 2, 2) => true,
        (Breakage::ForgetsVoids, 4, 0) => true,
        (Breakage::ForgetsReleases, 4, _) => message.has(95),
        (Breakage::ForgetsRepeatedRefunds, 2, 2) => is_refund() && mti != mti.without_repeat(),
        _ => false,
    }
}

fn is(frame: &Bytes, plan: &Plan, class: u8, function: Option<u8>) -> bool {
    let Ok(message) = spec(plan).decode(frame.clone()) else { return false };
    let mti = message.mti();
    mti.class() == class && function.is_none_or(|function| mti.function() == function)
}

fn spec(plan: &Plan) -> &Arc<Spec> {
    plan.settings.hosts[0].translation.spec()
}

fn drop_parked(record: &mut Record) {
    if let Body::Discharged { discharge, .. } = &mut record.body
        && matches!(discharge, Discharge::Parked(_))
    {
        *discharge = Discharge::Acknowledged(None);
    }
}

/// The bank's yes to the advice of a promise was a no, which the switch did not see.
fn refuse_promise(record: &mut Record, journal: &Journal) {
    let Ok(payment) = Payment::fold(journal.records(record.payment)) else { return };
    let is_promise = |number: u16| {
        let mut owed = payment.obligations.iter().filter(|owed| owed.obligation.number == number);
        payment.first().stand_in.is_some() && owed.any(|owed| owed.obligation.message == payment.first().message)
    };
    if let Body::Discharged { obligation, discharge } = &mut record.body
        && is_promise(*obligation)
        && matches!(discharge, Discharge::Acknowledged(_))
    {
        *discharge = Discharge::Refused(None);
    }
}

fn book_on_another_day(record: &mut Record) {
    if let Body::Requested(requested) = &mut record.body
        && requested.kind == OperationKind::Void
    {
        requested.business_date = BusinessDate::of(Wall(0));
    }
}

/// The bank's yes to a message that it never saw.
fn acknowledged(link: LinkId, frame: &Bytes, plan: &Plan) -> Option<Event> {
    let message = spec(plan).decode(frame.clone()).ok()?;
    let frame = acknowledgement(spec(plan), &message)?;
    Some(Event::Arrived { link, frame: frame.into(), mac: MacVerdict::NotAsked })
}

fn acknowledgement(spec: &Arc<Spec>, message: &Message) -> Option<Bytes> {
    let mut builder = isthmus::iso8583::MessageBuilder::new(message.mti().response()?);
    for element in [2, 3, 4, 7, 11, 32, 37, 41, 42, 49] {
        if let Some(value) = message.text(element) {
            builder.set(element, &value);
        }
    }
    builder.set(39, "00");
    spec.encode_to_bytes(&builder).ok()
}

fn without_flag(frame: Bytes, plan: &Plan) -> Bytes {
    let mut bytes = frame.to_vec();
    match plan.dialect.ends_with("ascii") {
        true => bytes[3] = b'0',
        false => bytes[1] &= 0xf0,
    }
    bytes.into()
}

/// What is unknown is told as done.
fn guessed(answer: Answer) -> Answer {
    match answer {
        Answer::Told { mut payment, operation, replayed } => {
            for told in std::sync::Arc::make_mut(&mut payment)
                .operations
                .iter_mut()
                .filter(|told| told.state == OperationState::Reversing)
            {
                (told.state, told.approved) = (OperationState::Approved, Some(told.amount));
            }
            Answer::Told { payment, operation, replayed }
        }
        refused => refused,
    }
}
