//! Two hosts, written out: what moves a request to the second one and what must not.

use super::*;
use isthmus::host::BreakerSettings;
use isthmus::payment::{Name, ResultCode};
use isthmus::routing::{Health, Routes};
use isthmus::switch::{NumberBlock, ReplyOn};
use isthmus::transaction::{Body, Operation};

pub(super) const NORTH: LinkId = LinkId(0);
pub(super) const SOUTH: LinkId = LinkId(1);

pub(super) fn settings() -> Settings {
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

/// Two hosts, with these links online.
fn online(links: &[LinkId]) -> Desk {
    let mut desk = started(settings());
    links.iter().for_each(|link| desk.sign_on(*link));
    desk
}

/// A switch that has numbers and no link.
pub(super) fn started(settings: Settings) -> Desk {
    let mut desk = Desk::offline(settings);
    desk.handle(Event::Start);
    desk.commit();
    desk
}

impl Desk {
    pub(super) fn sign_on(&mut self, link: LinkId) {
        self.handle(Event::Connected { link });
        self.reply("00");
    }

    /// Link, message type and acquirer of the last frame.
    pub(super) fn last_sent(&self) -> (LinkId, String, String) {
        let message = self.last();
        (self.last_way().0, message.mti().to_string(), message.text(32).unwrap_or_default().into_owned())
    }

    pub(super) fn sent_any(&self, mti: &str) -> bool {
        self.frames.iter().any(|frame| self.spec.decode(frame.clone()).unwrap().mti().to_string() == mti)
    }

    /// How many frames a link was given.
    pub(super) fn carried(&self, link: LinkId) -> usize {
        self.ways.iter().filter(|(on, _)| *on == link).count()
    }

    /// The first host answers the last echo on its link.
    fn answer_echo(&mut self) {
        let is_echo = |frame: &Bytes| self.spec.decode(frame.clone()).unwrap().text(70).as_deref() == Some("301");
        let on_north = self.ways.iter().zip(&self.frames).filter(|((link, _), _)| *link == NORTH);
        let echo = on_north.map(|(_, frame)| frame).filter(|frame| is_echo(frame)).last().unwrap().clone();
        self.reply_by(NORTH, &echo, "00");
    }

    fn give_back_last(&mut self) {
        let (link, id) = self.last_way();
        self.handle(Event::Unsent { link, sends: vec![id] });
    }

    pub(super) fn begin(&mut self, payment: u64, kind: OperationKind, amount: u64) {
        let begin = begin(PaymentId(payment.into()), kind, amount, false, CARD);
        self.submit(payment, &format!("begin-{payment}"), Command::Begin(Box::new(begin)));
    }

    pub(super) fn told_first(&self) -> Operation {
        self.told().first().clone()
    }

    fn reroutes(&self, payment: u128) -> usize {
        let records = self.journal.records(PaymentId(payment));
        records.iter().filter(|record| matches!(record.body, Body::Rerouted(_))).count()
    }

    /// The process dies and is started again with the same store.
    pub(super) fn restart(&mut self) {
        self.switch = Switch::new(self.settings.clone(), 2);
        (self.appends, self.frames, self.ways) = (Vec::new(), Vec::new(), Vec::new());
        self.answers = Vec::new();
        let blocks =
            ["111", "222"].map(|acquirer| NumberBlock { acquirer: acquirer.into(), stans: 40_000, rrns: 40_000 });
        self.handle(Event::Numbers(blocks.to_vec()));
        let moving = self.journal.in_motion();
        self.handle(Event::Resume(moving));
        self.handle(Event::Start);
        self.commit();
    }
}

pub(super) fn to(link: LinkId, mti: &str) -> (LinkId, String, String) {
    let acquirer = if link == NORTH { "111" } else { "222" };
    (link, mti.to_owned(), acquirer.to_owned())
}

#[test]
fn a_host_that_is_down_is_passed_over() {
    let mut desk = online(&[SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.told_first().message.host.as_str(), "south");
    assert_eq!(desk.reroutes(7), 0, "it was chosen before anything was recorded");
}

#[test]
fn what_a_link_gives_back_goes_to_the_other_host_once_that_is_durable() {
    let mut desk = online(&[NORTH, SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    assert_eq!(desk.last_sent(), to(NORTH, "0200"));
    let (link, id) = desk.last_way();
    desk.handle(Event::Disconnected { link, unsent: vec![id] });
    assert_eq!(desk.last_sent().0, NORTH, "nothing goes to the other host before its record");
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    assert_eq!(desk.reroutes(7), 1);
    desk.reply("00");
    desk.commit();
    assert_eq!(
        (desk.told_first().state, desk.told_first().message.acquirer.as_str()),
        (OperationState::Approved, "222")
    );
    let history = desk.journal.records(PaymentId(7));
    assert_eq!(Payment::fold(history).unwrap().first().message.host.as_str(), "south");
}

#[test]
fn what_may_have_been_written_stays_with_its_host() {
    let mut desk = online(&[NORTH, SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    desk.handle(Event::Disconnected { link: NORTH, unsent: vec![] });
    desk.commit();
    assert_eq!(desk.told_first().state, OperationState::Reversing);
    assert_eq!(desk.reroutes(7), 0);
    assert_eq!(desk.carried(SOUTH), 1, "nothing but the sign-on");
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(NORTH, "0420"));
}

#[test]
fn each_host_is_tried_once() {
    let mut desk = online(&[NORTH, SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    desk.now += 2_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));
    desk.now += 2_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!(
        (desk.told_first().state, desk.told_first().result),
        (OperationState::Failed, Some(ResultCode::NotSent))
    );
    assert_eq!(desk.reroutes(7), 1);
}

#[test]
fn time_spent_is_not_given_again() {
    let mut desk = online(&[NORTH, SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    desk.now += 6_000_001;
    desk.give_back_last();
    desk.commit();
    assert_eq!(desk.told_first().result, Some(ResultCode::NotSent));
    assert_eq!(desk.reroutes(7), 0);
}

#[test]
fn a_crash_after_the_move_is_recorded_reverses_at_the_new_host() {
    let mut desk = online(&[NORTH, SOUTH]);
    desk.sale(7, 7);
    desk.commit();
    let (link, id) = desk.last_way();
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
    let mut desk = online(&[NORTH, SOUTH]);
    (1..=5).for_each(|payment| desk.sale(payment, payment.into()));
    desk.commit();
    assert_eq!((desk.carried(NORTH) - 1, desk.carried(SOUTH) - 1), (2, 2), "beside the sign-on");
    assert!(matches!(desk.answers.last(), Some((_, Answer::Refused(Refusal::HostBusy)))));
    desk.reply("00");
    desk.commit();
    desk.sale(6, 6);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"), "an outcome makes room");
}

#[test]
fn a_silent_host_is_spared_until_its_rest_is_over() {
    let mut desk = online(&[NORTH, SOUTH]);
    (1..=2).for_each(|payment| desk.sale(payment, payment.into()));
    desk.commit();
    desk.pass(5);
    desk.commit();
    assert_eq!(desk.switch.snapshot().hosts[0].health, Health::Resting);
    desk.sale(3, 3);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"));

    // The rest is over: an echo goes out first, then one request, and all of them once that is answered.
    desk.answer_echo();
    desk.pass(10);
    desk.sale(4, 4);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"), "no payment is risked yet");
    desk.answer_echo();
    desk.sale(5, 5);
    desk.commit();
    assert_eq!(desk.last_sent(), to(NORTH, "0200"));
    let probe = desk.frames.last().unwrap().clone();
    assert_eq!(desk.switch.snapshot().hosts[0].health, Health::Resting, "one only");
    desk.reply_by(NORTH, &probe, "00");
    assert_eq!(desk.switch.snapshot().hosts[0].health, Health::Up);
}

#[test]
fn a_reply_on_another_link_settles_nothing_where_links_answer_for_themselves() {
    let mut settings = settings();
    settings.hosts.truncate(1);
    settings.hosts[0].links = vec![NORTH, SOUTH];
    let mut desk = started(settings);
    desk.sign_on(NORTH);
    desk.sign_on(SOUTH);
    desk.sale(7, 7);
    desk.commit();
    let other = if desk.last_sent().0 == NORTH { SOUTH } else { NORTH };
    let frame = desk.frames.last().unwrap().clone();
    desk.reply_by(other, &frame, "00");
    assert!(desk.appends.is_empty(), "it goes on waiting");
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.told_first().state, OperationState::Approved);
}

#[test]
fn of_two_links_the_one_with_less_to_wait_for_is_taken() {
    let mut settings = settings();
    settings.hosts.truncate(1);
    (settings.hosts[0].links, settings.hosts[0].share) = (vec![NORTH, SOUTH], 8);
    let mut desk = started(settings);
    desk.sign_on(NORTH);
    desk.sign_on(SOUTH);
    let mut taken = Vec::new();
    for payment in 1..=4 {
        desk.sale(payment, payment.into());
        desk.commit();
        taken.push(desk.last_way().0);
    }
    assert_eq!(taken, [NORTH, SOUTH, NORTH, SOUTH]);
    // Both sales of the second link are answered: it has nothing to wait for.
    for sale in [1, 3] {
        let frame = desk.frames[desk.frames.len() - 4 + sale].clone();
        desk.reply_by(SOUTH, &frame, "00");
    }
    desk.commit();
    desk.sale(5, 5);
    desk.commit();
    assert_eq!(desk.last_way().0, SOUTH);
}
