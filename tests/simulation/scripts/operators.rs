//! Operators, told in conversations: what is recorded before it is done, what waits for answers, what outlives a run.

use super::*;
use isthmus::payment::Name;
use isthmus::switch::{HostMode, LinkOrder, Operate, OperatorId, Order};
use isthmus::transaction::Discharge;

impl Desk {
    fn order(&mut self, order: Order) {
        let (waiter, who, why) = (OperatorId(1), "ada".to_owned(), "a test".to_owned());
        self.handle(Event::Operate(Box::new(Operate { waiter, who, why, order })));
    }

    fn host(&mut self, mode: HostMode) {
        self.order(Order::Host { host: Name::from("bank"), mode });
    }

    fn link(&mut self, what: LinkOrder) {
        self.order(Order::Link { link: LinkId(0), what });
    }

    fn state(&self) -> &'static str {
        self.switch.snapshot().hosts[0].links[0].1
    }

    fn last_said(&self) -> &Result<Told, OrderRefusal> {
        self.said.last().unwrap()
    }

    /// A sale whose reversal the bank refuses.
    fn with_a_parked_reversal() -> Desk {
        let mut desk = Desk::online();
        desk.sale(1, 7);
        desk.commit();
        desk.pass(5);
        desk.commit();
        desk.reply("05");
        desk.commit();
        assert!(matches!(desk.folded(7).obligations[0].discharge, Some(Discharge::Refused(_))));
        assert_eq!(desk.switch.snapshot().payments, 0, "nobody works on it");
        desk
    }
}

#[test]
fn an_order_is_carried_out_once_it_is_recorded() {
    let mut desk = Desk::online();
    desk.host(HostMode::Maintenance);
    assert!(desk.said.is_empty());
    assert_eq!(desk.switch.snapshot().hosts[0].mode, HostMode::Up);
    desk.commit();
    assert!(matches!(desk.last_said(), Ok(Told::Done)));
    let kept = desk.journal.audit.last().unwrap();
    assert_eq!((kept.who.as_str(), kept.why.as_str(), kept.order.as_str()), ("ada", "a test", "host maintenance bank"));
    assert_eq!(desk.journal.hosts()[0].mode, HostMode::Maintenance);
    desk.host(HostMode::Maintenance);
    desk.commit();
    assert!(matches!(desk.last_said(), Ok(Told::Unchanged)));
}

#[test]
fn nothing_changes_while_the_store_refuses() {
    let mut desk = Desk::online();
    desk.host(HostMode::Down);
    let (ticket, _) = desk.appends.pop().unwrap();
    desk.handle(Event::Recorded { ticket, result: Err(NotRecorded::Unavailable) });
    assert!(matches!(desk.last_said(), Err(OrderRefusal::StoreUnavailable)));
    assert_eq!((desk.switch.snapshot().hosts[0].mode, desk.state()), (HostMode::Up, "online"));
}

#[test]
fn a_host_in_maintenance_takes_no_requests_and_what_it_is_owed() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.host(HostMode::Maintenance);
    desk.commit();
    desk.pass(5);
    desk.commit();
    assert_eq!((desk.mti().as_str(), desk.state()), ("0420", "online"), "the reversal goes out");
    desk.sale(2, 8);
    desk.commit();
    assert_eq!(desk.mti(), "0420", "the sale does not");
    assert_eq!(desk.told().first().state, OperationState::Failed);
}

#[test]
fn a_host_that_goes_down_waits_for_its_answers_and_stays_down() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let sale = desk.frames.last().unwrap().clone();
    desk.host(HostMode::Down);
    desk.commit();
    assert_eq!((desk.mti().as_str(), desk.state()), ("0200", "draining"), "not signed off yet");
    desk.reply_to(&sale, "00");
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Approved);
    assert_eq!((desk.mti().as_str(), desk.last().text(70).as_deref()), ("0800", Some("002")));
    desk.reply("00");
    desk.handle(Event::Disconnected { link: LinkId(0), unsent: vec![] });
    assert_eq!(
        (desk.state(), desk.switch.next_deadline().is_none_or(|at| at.0 > desk.now + 60_000_000)),
        ("down", true)
    );

    let mut after = Desk::offline(Desk::settings());
    after.handle(Event::Hosts(desk.journal.hosts()));
    after.handle(Event::Start);
    assert_eq!((after.switch.snapshot().hosts[0].mode, after.state()), (HostMode::Down, "down"));
    after.host(HostMode::Up);
    after.commit();
    assert_eq!(after.state(), "connecting");
}

#[test]
fn a_link_that_was_taken_off_stays_off_over_a_restart_and_over_its_host() {
    for (what, rests) in [(LinkOrder::SignOff, "signed_off"), (LinkOrder::Drain, "down")] {
        let mut desk = Desk::online();
        desk.link(what);
        desk.commit();
        assert!(matches!(desk.last_said(), Ok(Told::Done)), "said once it is durable");
        desk.link(what);
        desk.commit();
        assert!(matches!(desk.last_said(), Ok(Told::Unchanged)));

        let mut after = Desk::offline(Desk::settings());
        after.handle(Event::Hosts(desk.journal.hosts()));
        after.handle(Event::Start);
        if what == LinkOrder::SignOff {
            after.handle(Event::Connected { link: LinkId(0) });
        }
        assert_eq!((after.state(), after.frames.len()), (rests, 0), "nothing is said on it");
        after.host(HostMode::Down);
        after.commit();
        after.handle(Event::Disconnected { link: LinkId(0), unsent: vec![] });
        after.host(HostMode::Up);
        after.commit();
        if what == LinkOrder::SignOff {
            after.handle(Event::Connected { link: LinkId(0) });
        }
        assert_eq!((after.state(), after.frames.len()), (rests, 0), "the host is up, this link is not");
        after.link(LinkOrder::SignOn);
        after.commit();
        assert_ne!(after.state(), rests);
    }
}

#[test]
fn a_link_is_signed_off_and_on_over_one_connection() {
    let mut desk = Desk::online();
    desk.link(LinkOrder::SignOff);
    desk.commit();
    assert_eq!(desk.last().text(70).as_deref(), Some("002"));
    desk.reply("00");
    assert_eq!(desk.state(), "signed_off");
    desk.link(LinkOrder::SignOn);
    desk.commit();
    assert_eq!(desk.last().text(70).as_deref(), Some("001"));
    desk.reply("00");
    assert_eq!(desk.state(), "online");
}

#[test]
fn an_echo_is_answered_with_its_time_or_with_silence() {
    let mut desk = Desk::online();
    desk.link(LinkOrder::Echo);
    assert_eq!(desk.last().text(70).as_deref(), Some("301"));
    desk.now += 7_000;
    desk.reply("00");
    assert!(matches!(desk.last_said(), Ok(Told::Echoed { took }) if *took == Duration::from_millis(7)));
    desk.link(LinkOrder::Echo);
    desk.pass(10);
    assert!(matches!(desk.last_said(), Err(OrderRefusal::NoAnswer)));
    assert!(desk.journal.audit.is_empty(), "looking leaves no trace");
}

#[test]
fn a_parked_reversal_is_released_and_sent_as_a_repeat() {
    let mut desk = Desk::with_a_parked_reversal();
    desk.order(Order::Release { payment: PaymentId(7), obligation: 1 });
    desk.commit();
    assert_eq!(desk.mti(), "0420", "its payment is loaded first");
    desk.load();
    desk.commit();
    assert!(matches!(desk.last_said(), Ok(Told::Done)));
    assert_eq!((desk.mti().as_str(), desk.switch.snapshot().hosts[0].owed), ("0421", 1));
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.folded(7).first().state, OperationState::Reversed);
    assert_eq!(desk.switch.snapshot().hosts[0].stans_in_use, 0);
}

#[test]
fn a_parked_reversal_is_taken_over_once() {
    let mut desk = Desk::with_a_parked_reversal();
    let before = desk.frames.len();
    for refusal in [None, Some(OrderRefusal::NotParked)] {
        desk.order(Order::Expire { payment: PaymentId(7), obligation: 1 });
        desk.commit();
        desk.load();
        desk.commit();
        assert_eq!(desk.last_said().as_ref().err(), refusal.as_ref());
    }
    let payment = desk.folded(7);
    assert_eq!(payment.obligations[0].discharge, Some(Discharge::TakenOver("ada".to_owned())));
    assert_eq!(payment.first().state, OperationState::Reversing, "not paid, and not ours to say more");
    assert_eq!((desk.frames.len(), desk.switch.snapshot().payments), (before, 0));
}

#[test]
fn what_was_voided_is_not_told_to_the_bank_any_more() {
    let mut desk = Desk::online();
    let begin = begin(PaymentId(7), OperationKind::Authorisation, 1000, false, CARD);
    desk.submit(1, "auth", Command::Begin(Box::new(begin)));
    desk.commit();
    desk.reply("00");
    desk.commit();
    desk.submit(2, "capture", Command::Capture { payment: PaymentId(7), amount: None, is_final: true });
    desk.load();
    desk.commit();
    desk.reply("30");
    desk.commit();
    desk.submit(3, "void", Command::Void { payment: PaymentId(7) });
    desk.load();
    desk.commit();
    for code in ["25", "00"] {
        desk.reply(code);
        desk.commit();
    }
    let sent = desk.frames.len();
    let release = Order::Release { payment: PaymentId(7), obligation: 1 };
    let expire = Order::Expire { payment: PaymentId(7), obligation: 1 };
    for (order, refusal) in [(release, Some(OrderRefusal::TakenBack)), (expire, None)] {
        desk.order(order);
        desk.commit();
        desk.load();
        desk.commit();
        assert_eq!(desk.last_said().as_ref().err(), refusal.as_ref());
    }
    assert_eq!(
        (desk.frames.len(), desk.switch.snapshot().payments),
        (sent, 0),
        "it could be booked after its reversal"
    );
}

#[test]
fn orders_about_nothing_are_refused() {
    let mut desk = Desk::online();
    desk.order(Order::Host { host: Name::from("nobody"), mode: HostMode::Down });
    assert!(matches!(desk.last_said(), Err(OrderRefusal::NoSuchHost)));
    desk.order(Order::Link { link: LinkId(9), what: LinkOrder::Drain });
    assert!(matches!(desk.last_said(), Err(OrderRefusal::NoSuchLink)));
    desk.order(Order::Release { payment: PaymentId(99), obligation: 1 });
    desk.commit();
    desk.load();
    assert!(matches!(desk.last_said(), Err(OrderRefusal::NoSuchItem)));
    assert_eq!(desk.switch.snapshot().payments, 0);
}

#[test]
fn a_request_without_answer_makes_for_an_echo() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.pass(5);
    desk.commit();
    let frames = desk.frames.iter().map(|frame| desk.spec.decode(frame.clone()).unwrap());
    let echoes = frames.filter(|message| message.text(70).as_deref() == Some("301")).count();
    assert_eq!(echoes, 1, "the line may be dead");
}
