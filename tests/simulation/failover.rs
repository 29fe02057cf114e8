//! Two hosts, written out: what moves a request to the second one, what must not, and what is done when none is up.

use crate::journal::Journal;
use crate::merchants::{begin, euro, print_of};
use crate::plan::Plan;
use bytes::Bytes;
use isthmus::host::BreakerSettings;
use isthmus::iso8583::{Message, MessageBuilder, Spec};
use isthmus::payment::{Brand, MerchantId, Monotonic, Name, Now, OperationKind, PaymentId, ResultCode, Wall};
use isthmus::routing::{Health, Routes};
use isthmus::switch::{Answer, Command, Effect, Entry, Event, LinkId, NotRecorded, NumberBlock, OnUnknown};
use isthmus::switch::{
    Forms, Refusal, ReplyOn, SendId, Settings, StandInLimit, StandInSettings, Submission, Switch, Ticket, WaiterId,
};
use isthmus::transaction::{Body, Fingerprint, IdempotencyKey, Operation, OperationState, Payment};
use std::sync::Arc;
use std::time::Duration;

const NOON: i64 = 1_795_348_800_000_000;
const NORTH: LinkId = LinkId(0);
const SOUTH: LinkId = LinkId(1);
const CARD: &str = "4111111111111111";

/// Two hosts of one link each, a store whose commits are given by hand.
struct Desk {
    settings: Settings,
    switch: Switch,
    spec: Arc<Spec>,
    journal: Journal,
    now: u64,
    appends: Vec<(Ticket, Entry)>,
    sent: Vec<(LinkId, SendId, Bytes)>,
    answers: Vec<Answer>,
}

fn settings() -> Settings {
    let mut settings = Plan::with_one_bank().settings;
    settings.credit = 8;
    settings.routes = Routes::default();
    settings.send_budget = Duration::from_secs(6);
    let host = &mut settings.hosts[0];
    host.answer_timeout = Duration::from_secs(5);
    host.send_timeout = Duration::from_secs(2);
    host.on_unknown = OnUnknown::Reverse;
    host.forms = Forms::default();
    host.reply_on = ReplyOn::Same;
    host.share = 2;
    let (rest_min, rest_max) = (Duration::from_secs(10), Duration::from_secs(10));
    host.breaker = BreakerSettings { failures: 2, rest_min, rest_max };
    let mut south = host.clone();
    (host.name, host.acquirer, host.links) = (Name::from("north"), Name::from("111"), vec![NORTH]);
    (south.name, south.acquirer, south.links) = (Name::from("south"), Name::from("222"), vec![SOUTH]);
    settings.hosts.truncate(1);
    settings.hosts.push(south);
    settings
}

impl Desk {
    fn new() -> Desk {
        Desk::with(settings())
    }

    fn with(settings: Settings) -> Desk {
        let mut desk = Desk {
            spec: Arc::clone(settings.hosts[0].translation.spec()),
            switch: Switch::new(settings.clone(), 1),
            settings,
            journal: Journal::default(),
            now: 1_000_000,
            appends: Vec::new(),
            sent: Vec::new(),
            answers: Vec::new(),
        };
        desk.handle(Event::Start);
        desk.commit();
        desk
    }

    fn online(links: &[LinkId]) -> Desk {
        let mut desk = Desk::new();
        links.iter().for_each(|link| desk.sign_on(*link));
        desk
    }

    fn sign_on(&mut self, link: LinkId) {
        self.handle(Event::Connected { link });
        self.reply("00");
    }

    fn handle(&mut self, event: Event) {
        let now = Now { monotonic: Monotonic(self.now), wall: Wall(NOON + self.now as i64) };
        for effect in self.switch.handle(now, event) {
            match effect {
                Effect::Append { ticket, entry } => self.appends.push((ticket, entry)),
                Effect::Send { link, id, frame, .. } => self.sent.push((link, id, frame)),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                _ => {}
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds * 1_000_000;
        self.handle(Event::Wake);
    }

    fn store(&mut self) -> Vec<(Ticket, Result<(), NotRecorded>)> {
        for (ticket, entry) in std::mem::take(&mut self.appends) {
            self.journal.append(ticket, entry);
        }
        self.journal.begin();
        self.journal.commit(true).into_iter().map(|(ticket, result)| (ticket, result.map(drop))).collect()
    }

    fn commit(&mut self) {
        while !self.appends.is_empty() {
            for (ticket, result) in self.store() {
                self.handle(Event::Recorded { ticket, result });
            }
        }
    }

    fn reply(&mut self, code: &str) {
        let link = self.sent.last().unwrap().0;
        self.reply_on(link, code);
    }

    fn reply_on(&mut self, link: LinkId, code: &str) {
        let asked = self.last();
        let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
        for element in [3, 4, 7, 11, 32, 37, 41, 42, 49, 70] {
            if let Some(text) = asked.text(element) {
                reply.set(element, &text);
            }
        }
        reply.set(39, code);
        let frame = self.spec.encode_to_bytes(&reply).unwrap();
        self.handle(Event::Arrived { link, frame });
    }

    fn last(&self) -> Message {
        self.spec.decode(self.sent.last().unwrap().2.clone()).unwrap()
    }

    /// Link, message type and acquirer of the last frame.
    fn last_sent(&self) -> (LinkId, String, String) {
        let message = self.last();
        (self.sent.last().unwrap().0, message.mti().to_string(), message.text(32).unwrap_or_default().into_owned())
    }

    fn give_back_last(&mut self) {
        let (link, id, _) = *self.sent.last().as_ref().unwrap();
        self.handle(Event::Unsent { link: *link, sends: vec![*id] });
    }

    fn sale(&mut self, payment: u128) {
        self.begin(payment, OperationKind::Sale, 1000);
    }

    fn begin(&mut self, payment: u128, kind: OperationKind, amount: u64) {
        let begin = begin(PaymentId(payment), kind, amount, false, CARD);
        self.submit(payment, &format!("begin-{payment}"), Command::Begin(Box::new(begin)));
    }

    fn submit(&mut self, waiter: u128, key: &str, command: Command) {
        let submission = Submission {
            waiter: WaiterId(waiter as u64),
            merchant: MerchantId::new("shop").unwrap(),
            key: IdempotencyKey::new(key).unwrap(),
            fingerprint: Fingerprint([0; 32]),
            command,
        };
        self.handle(Event::Submit(Box::new(submission)));
    }

    fn told(&self) -> Operation {
        match self.answers.last().unwrap() {
            Answer::Told { payment, .. } => payment.first().clone(),
            Answer::Refused(refusal) => panic!("refused: {refusal}"),
        }
    }

    fn reroutes(&self, payment: u128) -> usize {
        let records = self.journal.records(PaymentId(payment));
        records.iter().filter(|record| matches!(record.body, Body::Rerouted(_))).count()
    }

    /// The process dies and is started again with the same store.
    fn restart(&mut self) {
        self.switch = Switch::new(self.settings.clone(), 2);
        (self.appends, self.sent, self.answers) = (Vec::new(), Vec::new(), Vec::new());
        let blocks =
            ["111", "222"].map(|acquirer| NumberBlock { acquirer: acquirer.into(), stans: 40_000, rrns: 40_000 });
        self.handle(Event::Numbers(blocks.to_vec()));
        let moving = self.journal.in_motion();
        self.handle(Event::Resume(moving));
        self.handle(Event::Start);
        self.commit();
    }
}

fn to(link: LinkId, mti: &str) -> (LinkId, String, String) {
    let acquirer = if link == NORTH { "111" } else { "222" };
    (link, mti.to_owned(), acquirer.to_owned())
}

#[test]
fn a_host_that_is_down_is_passed_over() {
    let mut desk = Desk::online(&[SOUTH]);
    desk.sale(7);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.told().message.host.as_str(), "south");
    assert_eq!(desk.reroutes(7), 0, "it was chosen before anything was recorded");
}

#[test]
fn what_a_link_gives_back_goes_to_the_other_host_once_that_is_durable() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    desk.sale(7);
    desk.commit();
    assert_eq!(desk.last_sent(), to(NORTH, "0200"));
    let (link, id, _) = desk.sent.last().unwrap().clone();
    desk.handle(Event::Disconnected { link, unsent: vec![id] });
    assert_eq!(desk.last_sent().0, NORTH, "nothing goes to the other host before its record");
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    assert_eq!(desk.reroutes(7), 1);
    desk.reply("00");
    desk.commit();
    assert_eq!((desk.told().state, desk.told().message.acquirer.as_str()), (OperationState::Approved, "222"));
    let history = desk.journal.records(PaymentId(7));
    assert_eq!(Payment::fold(history).unwrap().first().message.host.as_str(), "south");
}

#[test]
fn what_may_have_been_written_stays_with_its_host() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    desk.sale(7);
    desk.commit();
    desk.handle(Event::Disconnected { link: NORTH, unsent: vec![] });
    desk.commit();
    assert_eq!(desk.told().state, OperationState::Reversing);
    assert_eq!(desk.reroutes(7), 0);
    let southward = desk.sent.iter().filter(|(link, ..)| *link == SOUTH).count();
    assert_eq!(southward, 1, "nothing but the sign-on");
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(NORTH, "0420"));
}

#[test]
fn each_host_is_tried_once() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    desk.sale(7);
    desk.commit();
    desk.now += 2_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    desk.now += 2_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!((desk.told().state, desk.told().result), (OperationState::Failed, Some(ResultCode::NotSent)));
    assert_eq!(desk.reroutes(7), 1);
}

#[test]
fn time_spent_is_not_given_again() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    desk.sale(7);
    desk.commit();
    desk.now += 6_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!(desk.told().result, Some(ResultCode::NotSent));
    assert_eq!(desk.reroutes(7), 0);
}

#[test]
fn a_crash_after_the_move_is_recorded_reverses_at_the_new_host() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    desk.sale(7);
    desk.commit();
    let (link, id, _) = desk.sent.last().unwrap().clone();
    desk.handle(Event::Disconnected { link, unsent: vec![id] });
    desk.store();
    desk.restart();
    desk.sign_on(NORTH);
    assert_eq!(desk.last_sent().1, "0800", "nothing is owed to the first host");
    desk.sign_on(SOUTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(SOUTH, "0420"));
}

#[test]
fn a_full_host_leaves_room_for_the_others() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    (1..=5).for_each(|payment| desk.sale(payment));
    desk.commit();
    let carried = |link| desk.sent.iter().filter(|(on, ..)| *on == link).count() - 1;
    assert_eq!((carried(NORTH), carried(SOUTH)), (2, 2));
    assert!(matches!(desk.answers.last(), Some(Answer::Refused(Refusal::HostBusy))));
    desk.reply("00");
    desk.commit();
    desk.sale(6);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"), "an outcome makes room");
}

#[test]
fn a_silent_host_is_spared_until_its_rest_is_over() {
    let mut desk = Desk::online(&[NORTH, SOUTH]);
    (1..=2).for_each(|payment| desk.sale(payment));
    desk.commit();
    desk.pass(5);
    desk.commit();
    assert_eq!(desk.switch.snapshot().hosts[0].health, Health::Resting);
    desk.sale(3);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
}

#[test]
fn a_reply_on_another_link_settles_nothing_where_links_answer_for_themselves() {
    let mut settings = settings();
    settings.hosts.truncate(1);
    settings.hosts[0].links = vec![NORTH, SOUTH];
    let mut desk = Desk { switch: Switch::new(settings.clone(), 1), settings, ..Desk::new() };
    desk.sent.clear();
    desk.handle(Event::Start);
    desk.commit();
    desk.sign_on(NORTH);
    desk.sign_on(SOUTH);
    desk.sale(7);
    desk.commit();
    let other = if desk.last_sent().0 == NORTH { SOUTH } else { NORTH };
    desk.reply_on(other, "00");
    assert!(desk.appends.is_empty(), "it goes on waiting");
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.told().state, OperationState::Approved);
}

// -- in the bank's place ----------------------------------------------------------------------------------------------

/// Stand-in at both hosts: up to 10.00 a payment, two payments and 15.00 a card and hour.
fn agreed() -> Settings {
    let mut settings = settings();
    let limit = StandInLimit {
        brands: vec![Brand::Visa],
        merchants: vec![MerchantId::new("shop").unwrap()],
        currency: euro(1).currency(),
        amount_max: 1000,
        count_max: 2,
        sum_max: 1500,
        window: Duration::from_secs(3600),
    };
    let agreed = Arc::new(StandInSettings { limits: vec![limit], ..StandInSettings::default() });
    settings.hosts.iter_mut().for_each(|host| host.stand_in = Some(Arc::clone(&agreed)));
    settings
}

/// Begins a payment while no bank is up, and gives what was told.
fn alone(desk: &mut Desk, payment: u128, kind: OperationKind, amount: u64) -> Operation {
    desk.begin(payment, kind, amount);
    desk.commit();
    desk.told()
}

#[test]
fn a_bank_that_is_down_is_stood_in_for_and_told_without_the_code() {
    let mut desk = Desk::with(agreed());
    let told = alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    assert_eq!((told.state, told.stand_in.is_some()), (OperationState::Approved, true));
    assert!(desk.sent.is_empty());
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(NORTH, "0120"));
    assert!(!desk.last().has(48), "the verification code");
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.switch.snapshot().payments, 0);
}

#[test]
fn a_sale_in_the_banks_place_is_told_as_one_that_moves_money() {
    let mut desk = Desk::with(agreed());
    alone(&mut desk, 7, OperationKind::Sale, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(NORTH, "0220"));
    desk.reply("51");
    desk.commit();
    let payment = Payment::fold(desk.journal.records(PaymentId(7))).unwrap();
    assert_eq!(payment.first().state, OperationState::Approved, "no decline is told afterwards");
    assert!(payment.obligations[0].discharge.as_ref().unwrap().is_exception());
}

#[test]
fn nothing_is_promised_beyond_the_limits() {
    let mut desk = Desk::with(agreed());
    let state = |desk: &mut Desk, payment, amount| alone(desk, payment, OperationKind::Sale, amount).state;
    assert_eq!(state(&mut desk, 1, 1001), OperationState::Failed, "the amount");
    assert_eq!(state(&mut desk, 2, 1000), OperationState::Approved);
    assert_eq!(state(&mut desk, 3, 501), OperationState::Failed, "the sum");
    assert_eq!(state(&mut desk, 4, 500), OperationState::Approved);
    assert_eq!(state(&mut desk, 5, 1), OperationState::Failed, "the count");
    desk.restart();
    assert_eq!(state(&mut desk, 6, 1), OperationState::Failed, "a restart forgets nothing the bank does not know");
    desk.pass(3601);
    assert_eq!(state(&mut desk, 7, 1), OperationState::Approved, "the window is over");
}

#[test]
fn a_card_on_the_negative_list_is_promised_nothing() {
    let mut settings = agreed();
    let negative = std::collections::BTreeSet::from([print_of(CARD)]);
    let limits = settings.hosts[0].stand_in.as_ref().unwrap().limits.clone();
    settings.hosts[0].stand_in = Some(Arc::new(StandInSettings { limits, negative }));
    let mut desk = Desk::with(settings);
    assert_eq!(alone(&mut desk, 1, OperationKind::Sale, 100).result, Some(ResultCode::NotSent));
}

#[test]
fn what_may_have_been_sent_and_what_another_bank_takes_is_not_stood_in_for() {
    let mut desk = Desk::with(agreed());
    desk.sign_on(NORTH);
    desk.sale(1);
    desk.commit();
    desk.handle(Event::Disconnected { link: NORTH, unsent: vec![] });
    desk.commit();
    assert_eq!(desk.told().state, OperationState::Reversing, "it may have been written");
    desk.sign_on(SOUTH);
    desk.sale(2);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"), "another one is up");
}

#[test]
fn a_void_before_the_bank_knows_leaves_nothing_to_be_said() {
    let mut desk = Desk::with(agreed());
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.submit(8, "void", Command::Void { payment: PaymentId(7) });
    desk.commit();
    let payment = Payment::fold(desk.journal.records(PaymentId(7))).unwrap();
    assert!(payment.is_voided() && payment.is_at_rest());
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent().1, "0800");
}

#[test]
fn a_void_after_the_bank_knows_names_the_advice() {
    let mut desk = Desk::with(agreed());
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    let advice = desk.last().text(11).unwrap().into_owned();
    desk.submit(8, "void", Command::Void { payment: PaymentId(7) });
    desk.commit();
    assert_eq!(desk.last_sent().1, "0120", "the order of a payment is kept");
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.last_sent(), to(NORTH, "0420"));
    let original = desk.last().text(90).unwrap().into_owned();
    assert!(original.starts_with(&format!("0120{advice}")), "{original}");
}
