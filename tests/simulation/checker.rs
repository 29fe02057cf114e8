//! The checker: it knows the truth from the bank's ledger, from what was made durable and from what merchants were
//! told, never from what the switch thinks.

use crate::accounts;
use crate::journal::{Committed, Journal};
use crate::merchants::{Market, cvc_of};
use crate::plan::{MILLI, Micros, Plan, SECOND};
use crate::promises::Promises;
use crate::tally::Tally;
use bytes::Bytes;
use isthmus::host::DayKeeper;
use isthmus::iso8583::{Message, Spec};
use isthmus::payment::{Amount, Balance, MerchantId, MessageValues, Name, OperationKind, PaymentId, Wall};
use isthmus::simulator::Entry as BankEntry;
use isthmus::switch::{Answer, Command, Entry, Event, LinkId, OnUnknown, Repeat, SendId, Snapshot};
use isthmus::switch::{Stored, Submission, Ticket, WaiterId};
use isthmus::transaction::{self, Body, Delivery, Discharge, IdempotencyKey, ObligationKind, OperationState};
use isthmus::transaction::{Owed, Payment, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// More appends than this within a virtual second, of one payment or of numbers, are a storm.
const MOST_APPENDS: u32 = 40;
/// Fewer digits in a row are no card number.
const SHORTEST_CARD: usize = 13;
/// Violations beyond these only repeat the first.
const ENOUGH: usize = 8;

/// What tells a message from every other: acquirer, type without its repeat digit, trace number, transmission time.
type Identity = (String, u16, String, String);

/// What an answer says, as far as it may never change.
type Facts = (PaymentId, u16, OperationKind, OperationState, Amount, Option<Amount>, Vec<Balance>);

/// A message in flight, as the checker sees it.
struct Flying {
    id: SendId,
    link: LinkId,
    until: Micros,
    is_owed: bool,
    bank: usize,
}

pub struct Checker {
    spec: Arc<Spec>,
    match_on: Vec<u8>,
    mti_bytes: usize,
    credit: usize,
    /// The links of each bank.
    banks: Vec<Vec<LinkId>>,
    names: Vec<Name>,
    window: usize,
    answer_timeout: Micros,
    send_timeout: Micros,
    pub repeat: Repeat,
    pub on_unknown: OnUnknown,
    pub bank_keeps_day: bool,
    /// Whether the bank is told what a final capture leaves.
    pub release: bool,
    /// Messages whose record is durable, by when the switch was told so.
    may_leave: BTreeMap<Identity, Option<Micros>>,
    /// Those of an append that the switch was not told of yet.
    untold: BTreeMap<Ticket, Vec<Identity>>,
    durable_now: Vec<Identity>,
    /// Whose a trace number with its time is.
    numbers: BTreeMap<(String, String, String), (PaymentId, u16)>,
    references: BTreeMap<String, PaymentId>,
    /// Requests that were written, by their operation: a second one is the first sent again.
    requests: BTreeMap<(PaymentId, u16), Identity>,
    /// Whose a request is.
    asked: BTreeMap<Identity, (PaymentId, u16)>,
    /// Messages that are owed, whatever their type, and whose they are.
    owed: BTreeMap<Identity, (PaymentId, u16)>,
    obligations: BTreeMap<PaymentId, Vec<Owed>>,
    written: BTreeMap<Identity, Bytes>,
    sends: BTreeMap<SendId, Identity>,
    flying: BTreeMap<String, Flying>,
    waiting: BTreeMap<WaiterId, (MerchantId, IdempotencyKey)>,
    answers: BTreeMap<(MerchantId, IdempotencyKey), Facts>,
    /// Keys whose first answer was given as new.
    fresh: BTreeSet<(MerchantId, IdempotencyKey)>,
    pub cards: BTreeMap<PaymentId, String>,
    card_numbers: BTreeSet<String>,
    appends: BTreeMap<Option<PaymentId>, (u64, u32)>,
    resumed: usize,
    promises: Promises,
    /// The last trace number that was taken in this run.
    last_number: Option<u32>,
    pub tally: Tally,
    violations: Vec<String>,
}

impl Checker {
    pub fn new(plan: &Plan) -> Checker {
        let host = &plan.settings.hosts[0];
        Checker {
            spec: Arc::clone(host.translation.spec()),
            match_on: host.session.match_on.clone(),
            mti_bytes: if plan.dialect.ends_with("ascii") { 4 } else { 2 },
            credit: plan.settings.credit,
            banks: plan.settings.hosts.iter().map(|host| host.links.clone()).collect(),
            names: plan.settings.hosts.iter().map(|host| host.name.clone()).collect(),
            window: host.retry.window,
            answer_timeout: host.answer_timeout.as_micros() as Micros,
            send_timeout: host.send_timeout.as_micros() as Micros,
            repeat: host.repeat,
            on_unknown: host.on_unknown,
            bank_keeps_day: host.day.keeper == DayKeeper::Host,
            release: host.forms.release,
            may_leave: BTreeMap::new(),
            untold: BTreeMap::new(),
            durable_now: Vec::new(),
            numbers: BTreeMap::new(),
            references: BTreeMap::new(),
            requests: BTreeMap::new(),
            asked: BTreeMap::new(),
            owed: BTreeMap::new(),
            obligations: BTreeMap::new(),
            written: BTreeMap::new(),
            sends: BTreeMap::new(),
            flying: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            fresh: BTreeSet::new(),
            cards: BTreeMap::new(),
            card_numbers: BTreeSet::new(),
            appends: BTreeMap::new(),
            resumed: 0,
            promises: Promises::agreed_by(&plan.settings.hosts),
            last_number: None,
            tally: Tally::default(),
            violations: Vec::new(),
        }
    }

    pub fn violation(&mut self, now: Micros, invariant: &str, what: &str) {
        if self.violations.len() < ENOUGH {
            self.violations.push(format!("at {}.{:06} [{invariant}] {what}", now / SECOND, now % SECOND));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    pub fn violations(self) -> Vec<String> {
        self.violations
    }

    /// How many wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn run_begins(&mut self, in_motion: &[Stored]) {
        self.resumed = in_motion.len();
        self.promises.run_begins(in_motion);
    }

    pub fn run_ends(&mut self) {
        self.waiting.clear();
        self.untold.clear();
        self.last_number = None;
        self.sends.clear();
        self.flying.clear();
    }

    // -- what goes in -------------------------------------------------------------------------------------------

    fn submitted(&mut self, submission: &Submission) {
        self.waiting.insert(submission.waiter, (submission.merchant.clone(), submission.key.clone()));
        if let Command::Begin(begin) = &submission.command {
            self.cards.insert(begin.payment, begin.card.pan.reveal().to_owned());
            self.card_numbers.insert(begin.card.pan.reveal().to_owned());
        }
    }

    /// What a log would show of something holds no card number.
    pub fn printed(&mut self, now: Micros, what: &str, shown: &impl std::fmt::Debug) {
        let text = format!("{shown:?}");
        let runs = text.split(|character: char| !character.is_ascii_digit()).filter(|run| run.len() >= SHORTEST_CARD);
        let shows = |run: &str| self.card_numbers.iter().any(|number| run.contains(number.as_str()));
        if runs.into_iter().any(shows) {
            self.violation(now, "no card number is printed", what);
        }
    }

    pub fn told(&mut self, now: Micros, event: &Event) {
        match event {
            Event::Submit(submission) => self.submitted(submission),
            Event::Arrived { link, frame, .. } => {
                let message = match self.spec.decode(Bytes::clone(frame)) {
                    Ok(message) => message,
                    Err(error) => match error.partial() {
                        Some(partial) => partial.clone(),
                        None => return,
                    },
                };
                if let Some(key) = self.key_of(self.bank_of(*link), &message) {
                    self.flying.remove(&key);
                }
            }
            Event::Recorded { ticket, .. } => {
                for identity in self.untold.remove(ticket).unwrap_or_default() {
                    self.may_leave.insert(identity, Some(now));
                }
            }
            Event::Disconnected { link, .. } => self.flying.retain(|_, flying| flying.link != *link),
            Event::Unsent { sends, .. } | Event::Unsealed { sends, .. } => {
                self.flying.retain(|_, flying| !sends.contains(&flying.id))
            }
            _ => {}
        }
        self.flying.retain(|_, flying| flying.until > now);
    }

    // -- the store ----------------------------------------------------------------------------------------------

    pub fn appended(&mut self, now: Micros, entry: &Entry) {
        let whose = match entry {
            Entry::Payment { records, .. } => records.first().map(|record| record.payment),
            Entry::Numbers(_) | Entry::Host(_) | Entry::Audit(_) => None,
        };
        let (second, count) = self.appends.get(&whose).copied().unwrap_or_default();
        let count = if second == now / SECOND { count + 1 } else { 1 };
        self.appends.insert(whose, (now / SECOND, count));
        if count > MOST_APPENDS {
            self.violation(now, "no append storm", &format!("{count} appends within a second of {whose:?}"));
        }
        if let Entry::Payment { records, card } = entry {
            records.iter().for_each(|record| self.search(now, record));
            if card.as_ref().is_some_and(|(_, card)| card.cvc.is_some()) {
                self.violation(now, "no verification code is kept", "one stands with a card to be stored");
            }
            let asks = |record: &Record| matches!(&record.body, Body::Requested(r) if r.kind.is_inquiry());
            if card.is_some() && records.iter().any(asks) {
                self.violation(now, "no card is kept for a question", "one is to be stored");
            }
        }
    }

    /// Looks for the card in a record as it would be stored, and as it would be printed.
    fn search(&mut self, now: Micros, record: &Record) {
        let Some(card) = self.cards.get(&record.payment).cloned() else { return };
        let stored = transaction::encode(record);
        let printed = format!("{record:?}");
        let packed: Vec<u8> = packed(&card);
        let code = cvc_of(&card).reveal().to_owned();
        let as_item = [&[0x60 + code.len() as u8], code.as_bytes()].concat();
        let as_element = format!("92{:02}{code}", code.len());
        let found = holds(&stored, card.as_bytes())
            || holds(&stored, &packed)
            || holds(&stored, &as_item)
            || holds(&stored, as_element.as_bytes())
            || printed.contains(&card);
        if found {
            self.violation(
                now,
                "no card number and no code in a record",
                &format!("{} v{}", record.payment, record.version),
            );
        }
    }

    pub fn durable(&mut self, now: Micros, committed: &Committed) {
        for (ticket, result) in committed {
            if let Ok(Entry::Payment { records, .. }) = result {
                records.iter().for_each(|record| self.record_is_durable(now, record));
                let messages = std::mem::take(&mut self.durable_now);
                self.untold.insert(*ticket, messages);
            }
        }
    }

    fn may_leave(&mut self, message: &MessageValues) {
        let identity = identity(message);
        self.may_leave.entry(identity.clone()).or_default();
        self.durable_now.push(identity);
    }

    fn record_is_durable(&mut self, now: Micros, record: &Record) {
        match &record.body {
            Body::Requested(requested) => {
                if let Some(origin) = &requested.origin {
                    self.promises.begins(record.payment, origin, requested.amount, record.at);
                }
                let shares = |message: &MessageValues| message.original.is_some_and(|o| o.stan == message.stan);
                if requested.delivery != Delivery::Advice {
                    self.may_leave(&requested.message);
                    self.asked.insert(identity(&requested.message), (record.payment, requested.operation));
                }
                let is_told = requested.delivery == Delivery::Advice && requested.kind == OperationKind::Void;
                if !is_told && !shares(&requested.message) {
                    self.number_is_taken(now, record.payment, requested.operation, &requested.message);
                }
                requested.obligations.iter().for_each(|owed| self.owed_is_durable(now, record.payment, owed));
            }
            Body::Rerouted(moved) => {
                self.may_leave(&moved.message);
                self.asked.insert(identity(&moved.message), (record.payment, moved.operation));
                self.number_is_taken(now, record.payment, moved.operation, &moved.message);
            }
            Body::Settled(outcome) => {
                self.promise_is_durable(now, record, outcome);
                outcome.obligations.iter().for_each(|owed| self.owed_is_durable(now, record.payment, owed));
            }
            Body::Discharged { obligation, discharge } => {
                self.ends(record.payment, *obligation, Some(discharge.clone()));
            }
            Body::Reopened { obligation } => self.ends(record.payment, *obligation, None),
            Body::LateReply { .. } => {}
        }
    }

    fn ends(&mut self, payment: PaymentId, number: u16, discharge: Option<Discharge>) {
        let owed = self.obligations.get_mut(&payment).into_iter().flatten();
        owed.filter(|owed| owed.obligation.number == number).for_each(|owed| owed.discharge.clone_from(&discharge));
    }

    /// Nothing goes to a bank that builds on an advice which the bank has not acknowledged, nor a person settled.
    fn check_order(&mut self, now: Micros, message: &Message, identity: &Identity) {
        let owed = |(payment, number): (PaymentId, u16)| {
            let all = self.obligations.get(&payment)?;
            Some((all, all.iter().find(|owed| owed.obligation.number == number)?))
        };
        let Some((all, own)) = self.owed.get(identity).copied().and_then(owed) else { return };
        let builds_on = |other: &&Owed| {
            let tells = message.mti().class() == 2 || message.has(95);
            let original = own.obligation.message.original;
            let is_told = other.obligation.kind == ObligationKind::Advice;
            tells && is_told && original == Some(other.obligation.message.as_original())
        };
        let is_settled = |owed: &Owed| {
            owed.discharge.as_ref().is_some_and(|end| end.is_done() || matches!(end, Discharge::TakenOver(_)))
        };
        if let Some(other) = all.iter().filter(builds_on).find(|other| !is_settled(other)) {
            let what = format!("{identity:?} overtook obligation {}, {:?}", other.obligation.number, other.discharge);
            self.violation(now, "nothing overtakes what it builds on", &what);
        }
    }

    /// Only what was certainly never sent is promised in a bank's place, and only within what was agreed with it.
    fn promise_is_durable(&mut self, now: Micros, record: &Record, outcome: &transaction::Outcome) {
        if outcome.stand_in.is_none() {
            return;
        }
        self.tally.figure("payments approved in their bank's place", 1);
        if self.requests.contains_key(&(record.payment, outcome.operation)) {
            let what = format!("{} was sent to its bank", record.payment);
            self.violation(now, "what was sent is not promised", &what);
        }
        let number = self.cards.get(&record.payment).map(String::as_str);
        if let Some(broken) = self.promises.made(record.payment, outcome, record.at, number) {
            self.violation(now, "what is promised keeps to its limits", &format!("{}: {broken}", record.payment));
        }
    }

    fn owed_is_durable(&mut self, now: Micros, payment: PaymentId, owed: &transaction::Obligation) {
        self.may_leave(&owed.message);
        self.owed.insert(identity(&owed.message), (payment, owed.number));
        let (obligation, discharge) = (owed.clone(), None);
        self.obligations.entry(payment).or_default().push(Owed { obligation, discharge });
        let shares = owed.message.original.is_some_and(|original| original.stan == owed.message.stan);
        if matches!(owed.kind, ObligationKind::Reversal | ObligationKind::Release) && !shares {
            self.number_is_taken(now, payment, 1000 + owed.number, &owed.message);
        }
    }

    fn number_is_taken(&mut self, now: Micros, payment: PaymentId, whose: u16, message: &MessageValues) {
        let (acquirer, _, stan, time) = identity(message);
        let number = message.stan.number();
        if self.last_number.replace(number).is_some_and(|last| last > 900_000 && number < 100_000)
            && !self.waiting.is_empty()
        {
            self.tally.fault("trace numbers that wrap in flight");
        }
        let before = self.numbers.insert((acquirer, stan.clone(), time.clone()), (payment, whose));
        if before.is_some_and(|before| before != (payment, whose)) {
            self.violation(now, "a trace number and its time never repeat", &format!("{stan} at {time}: {payment}"));
        }
        let before = self.references.insert(message.rrn.to_string(), payment);
        if before.is_some_and(|before| before != payment) {
            self.violation(now, "a retrieval reference is one payment's", &format!("{}: {payment}", message.rrn));
        }
    }

    // -- the wire -----------------------------------------------------------------------------------------------

    /// The switch hands a frame over.
    pub fn sent(&mut self, now: Micros, link: LinkId, id: SendId, frame: &Bytes) {
        let Ok(message) = self.spec.decode(frame.clone()) else {
            return self.violation(now, "what is sent can be read", "a frame that cannot be decoded");
        };
        if message.mti().class() == 8 {
            let is_ours = message.mti().response().is_some() && message.text(70).as_deref() == Some("201");
            self.tally.figure("days of ours told to a bank", u64::from(is_ours));
            return;
        }
        let Some(identity) = identity_of(&message) else {
            return self.violation(now, "what is sent has a number and a time", "one without");
        };
        if !self.may_leave.contains_key(&identity) {
            self.violation(now, "recorded before sent", &format!("{identity:?} has no durable record"));
        }
        self.count_message(&message);
        self.check_repeat(now, &message, &identity, frame);
        self.check_order(now, &message, &identity);
        self.check_flying(now, link, id, &message, self.owed.contains_key(&identity));
        self.sends.insert(id, identity);
    }

    /// A bank is told of the day that is durable, and only where it wants to be.
    pub fn word_of_day(&mut self, now: Micros, link: LinkId, frame: &Bytes, journal: &Journal) {
        let Ok(message) = self.spec.decode(frame.clone()) else { return };
        let is_ours = message.mti().class() == 8 && message.mti().response().is_some();
        if !is_ours || message.text(70).as_deref() != Some("201") {
            return;
        }
        let named = message.text(15).map(|day| day.into_owned());
        let host = &self.names[self.bank_of(link)];
        let mark = journal.hosts().into_iter().find(|mark| mark.host == *host);
        let durable = mark.and_then(|mark| mark.untold).map(|day| day.mmdd());
        if named.is_none() || named != durable {
            self.violation(now, "a day is told once it is durable", &format!("{host}: {named:?}, not {durable:?}"));
        }
    }

    fn count_message(&mut self, message: &Message) {
        let again = message.mti() != message.mti().without_repeat();
        let figure = match (message.mti().class(), message.mti().function(), again) {
            (4, _, false) => "reversals sent",
            (4, _, true) => "reversals sent again, flagged as repeats",
            (_, 2, false) => "advices sent",
            (_, 2, true) => "advices sent again, flagged as repeats",
            _ => "requests sent",
        };
        self.tally.figure(figure, 1);
    }

    fn check_repeat(&mut self, now: Micros, message: &Message, identity: &Identity, frame: &Bytes) {
        let Some(first) = self.written.get(identity) else { return };
        if message.mti().is_request() && matches!(message.mti().class(), 1 | 2) {
            return self.violation(now, "a request is never sent again", &format!("{identity:?}"));
        }
        let same = first.get(self.mti_bytes..) == frame.get(self.mti_bytes..);
        let flagged = message.mti() != message.mti().without_repeat();
        if !same {
            self.violation(now, "a repeat is the same message", &format!("{identity:?}"));
        }
        if flagged != (self.repeat == Repeat::Flagged) {
            self.violation(now, "a repeat is flagged where the host wants it", &format!("{identity:?} {flagged}"));
        }
    }

    fn check_flying(&mut self, now: Micros, link: LinkId, id: SendId, message: &Message, is_owed: bool) {
        let bank = self.bank_of(link);
        let Some(key) = self.key_of(bank, message) else {
            return self.violation(now, "what is sent can be answered", "a message without a key");
        };
        let flying = Flying { id, link, until: now + self.answer_timeout, is_owed, bank };
        if let Some(before) = self.flying.insert(key.clone(), flying) {
            self.violation(now, "no two in flight share a key", &format!("{key}, before {:?}", before.id));
        }
        let owed = self.flying.values().filter(|flying| flying.is_owed && flying.bank == bank).count();
        if owed > self.window {
            self.violation(now, "the window of owed messages holds", &format!("{owed} of {}", self.window));
        }
    }

    fn bank_of(&self, link: LinkId) -> usize {
        self.banks.iter().position(|links| links.contains(&link)).expect("a link of some bank")
    }

    fn key_of(&self, bank: usize, message: &Message) -> Option<String> {
        let mut key = format!("{bank}|{}|{}", message.mti().class(), message.text(11)?);
        for element in &self.match_on {
            key.push('|');
            key.push_str(message.text(*element)?.trim_end());
        }
        Some(key)
    }

    /// The connection took the frame: it may reach the bank.
    pub fn written(&mut self, now: Micros, id: SendId, frame: &Bytes) {
        let Some(identity) = self.sends.get(&id).cloned() else { return };
        let is_request = matches!(identity.1 / 100, 1 | 2) && identity.1 / 10 % 10 == 0;
        if self.written.insert(identity.clone(), frame.clone()).is_some() && is_request {
            self.violation(now, "a request is never sent again", &format!("{identity:?}"));
        }
        let told = self.may_leave.get(&identity).copied().flatten().unwrap_or(0);
        if is_request && now > told + MILLI + self.send_timeout {
            self.violation(now, "a request leaves in its time or never", &format!("{identity:?}"));
        }
        let Some(whose) = self.asked.get(&identity).copied().filter(|_| is_request) else { return };
        let before = self.requests.insert(whose, identity.clone());
        if let Some(before) = before.filter(|before| *before != identity) {
            let what = format!("{} operation {}: {before:?}, then {identity:?}", whose.0, whose.1);
            self.violation(now, "a request is never sent again", &what);
        }
    }

    // -- what comes out -----------------------------------------------------------------------------------------

    pub fn answered(&mut self, now: Micros, waiter: WaiterId, answer: &Answer, journal: &Journal) {
        let Some(key) = self.waiting.remove(&waiter) else {
            return self.violation(now, "one answer to each who waits", &format!("{waiter:?} a second time"));
        };
        if let Answer::Told { payment, operation, replayed } = answer {
            self.told_about(now, key, payment, *operation, *replayed, journal);
        }
    }

    fn told_about(
        &mut self,
        now: Micros,
        key: (MerchantId, IdempotencyKey),
        payment: &Payment,
        number: u16,
        replayed: bool,
        journal: &Journal,
    ) {
        let Some(operation) = payment.operation(number) else {
            return self.violation(now, "an answer is about its operation", "no such operation");
        };
        if operation.key != key.1 || payment.origin.merchant != key.0 {
            self.violation(now, "an answer is about its operation", &format!("{key:?} was told of another"));
        }
        let recorded = journal.records(payment.id);
        let outcome = |record: &Record| match &record.body {
            Body::Requested(r) => r.operation == number && r.delivery == Delivery::Advice,
            Body::Settled(s) => s.operation == number,
            _ => false,
        };
        if payment.version as usize > recorded.len() || !recorded.iter().any(outcome) {
            self.violation(now, "recorded before told", &format!("{} operation {number}", payment.id));
        }
        let waits = self.on_unknown == OnUnknown::Nothing || operation.delivery == Delivery::Awaited;
        if operation.state == OperationState::Pending && !waits {
            self.violation(now, "an answer has an outcome", &format!("{} operation {number}", payment.id));
        }
        let (kind, state) = (operation.kind, operation.state);
        let said = operation.balances.clone();
        let facts = (payment.id, number, kind, state, operation.amount, operation.approved, said);
        let first = self.answers.entry(key.clone()).or_insert(facts.clone()).clone();
        if first != facts {
            self.violation(now, "one key, one answer", &format!("{}: {first:?}, then {facts:?}", key.1.as_str()));
        }
        if !replayed && !self.fresh.insert(key.clone()) {
            self.violation(now, "one key, one effect", &format!("{} was done twice", key.1.as_str()));
        }
    }

    pub fn bounds(&mut self, now: Micros, snapshot: &Snapshot) {
        let most = self.credit.max(self.resumed);
        if snapshot.in_flight > most {
            self.violation(now, "credit holds", &format!("{} of {most}", snapshot.in_flight));
        }
        let pending: usize = snapshot.hosts.iter().map(|host| host.pending).sum();
        if pending > most + self.window * self.banks.len() {
            self.violation(now, "what is pending is bounded", &format!("{pending}"));
        }
    }

    pub fn at_rest(&mut self, now: Micros, snapshot: &Snapshot) {
        let held: usize = snapshot.hosts.iter().map(|host| host.stans_in_use).sum();
        if held > 0 {
            self.violation(now, "trace numbers come back", &format!("{held} are still held at rest"));
        }
        if snapshot.loose_ends > 0 {
            self.violation(now, "nothing stays in memory at rest", &format!("{} entries do", snapshot.loose_ends));
        }
    }

    pub fn settle_accounts(
        &mut self,
        now: Micros,
        market: &Market,
        journal: &Journal,
        bank: &[BankEntry],
        tally: &mut Tally,
    ) {
        for difference in accounts::compare(self, market, journal, bank, tally) {
            self.violation(now, difference.0, &difference.1);
        }
    }
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// Two digits a byte.
fn packed(digits: &str) -> Vec<u8> {
    digits.as_bytes().chunks_exact(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect()
}

fn identity_of(message: &Message) -> Option<Identity> {
    let mti = message.mti().without_repeat().to_string().parse().ok()?;
    Some((message.text(32)?.into_owned(), mti, message.text(11)?.into_owned(), message.text(7)?.into_owned()))
}

fn identity(message: &MessageValues) -> Identity {
    (message.acquirer.to_string(), message.mti, message.stan.to_string(), month_to_second(message.transmitted_at))
}

/// Data element 7.
pub fn month_to_second(wall: Wall) -> String {
    let t = wall.utc();
    format!("{:02}{:02}{:02}{:02}{:02}", t.month(), t.day(), t.hour(), t.minute(), t.second())
}
