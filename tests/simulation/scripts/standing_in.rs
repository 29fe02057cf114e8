//! In a bank's place, written out: what is promised, how the bank learns of it, and what waits until it has.

use super::failover::{NORTH, SOUTH, settings, started, to};
use super::*;
use crate::merchants::print_of;
use isthmus::payment::{Brand, PosEntry, ResultCode};
use isthmus::security::KeySettings;
use isthmus::switch::{CaptureForm, Operate, OperatorId, Order, StandInLimit, StandInSettings};
use isthmus::transaction::{Discharge, Operation};

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
fn alone(desk: &mut Desk, payment: u64, kind: OperationKind, amount: u64) -> Operation {
    desk.begin(payment, kind, amount);
    desk.commit();
    desk.told_first()
}

#[test]
fn a_bank_that_is_down_is_stood_in_for_and_told_without_the_code() {
    let mut desk = started(agreed());
    let told = alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    assert_eq!((told.state, told.stand_in.is_some()), (OperationState::Approved, true));
    assert!(desk.frames.is_empty());
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
    let mut desk = started(agreed());
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
fn nothing_is_promised_to_a_card_with_a_pin() {
    let mut settings = agreed();
    let keys = Arc::new(KeySettings::read(["[keys.pin]\nformat = 0"].into_iter()).unwrap());
    settings.hosts.iter_mut().for_each(|host| host.keys = Arc::clone(&keys));
    let mut desk = started(settings);
    for (payment, entry) in [(7, PosEntry::Chip), (8, PosEntry::Ecommerce)] {
        let mut with_pin = begin(PaymentId(payment), OperationKind::Sale, 500, false, CARD);
        with_pin.entry = entry;
        with_pin.card.present = Some(Box::new(super::pins::reading()));
        desk.submit(payment as u64, &format!("sale-{payment}"), Command::Begin(Box::new(with_pin)));
        desk.commit();
        let told = desk.told_first();
        assert_eq!((told.state, told.stand_in.is_some()), (OperationState::Failed, false), "{entry:?}");
    }
    let told = alone(&mut desk, 9, OperationKind::Sale, 500);
    assert_eq!((told.state, told.stand_in.is_some()), (OperationState::Approved, true), "without one it is");
}

#[test]
fn nothing_is_promised_beyond_the_limits() {
    let mut desk = started(agreed());
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
    let mut desk = started(settings);
    assert_eq!(alone(&mut desk, 1, OperationKind::Sale, 100).result, Some(ResultCode::NotSent));
}

#[test]
fn what_may_have_been_sent_and_what_another_bank_takes_is_not_stood_in_for() {
    let mut desk = started(agreed());
    desk.sign_on(NORTH);
    desk.sale(1, 1);
    desk.commit();
    desk.handle(Event::Disconnected { link: NORTH, unsent: vec![] });
    desk.commit();
    assert_eq!(desk.told_first().state, OperationState::Reversing, "it may have been written");
    desk.sign_on(SOUTH);
    desk.sale(2, 2);
    desk.commit();
    assert_eq!(desk.last_sent(), to(SOUTH, "0200"), "another one is up");
}

#[test]
fn a_void_before_the_bank_knows_leaves_nothing_to_be_said() {
    let mut desk = started(agreed());
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
    let mut desk = started(agreed());
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

/// An authorisation in the bank's place whose advice the bank refuses, and a capture of it that came meanwhile.
fn with_a_refused_promise(settings: Settings) -> Desk {
    let mut desk = started(settings);
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    assert_eq!(desk.last_sent(), to(NORTH, "0120"));
    desk.completes(8);
    assert_eq!(desk.last_sent(), to(NORTH, "0120"), "the completion waits for it");
    desk.reply("05");
    desk.commit();
    desk
}

impl Desk {
    fn completes(&mut self, waiter: u64) {
        let (payment, amount) = (PaymentId(7), Some(euro(400)));
        self.submit(waiter, &format!("capture-{waiter}"), Command::Capture { payment, amount, is_final: false });
        self.load();
        self.commit();
    }

    fn settle_item(&mut self, order: Order) -> Option<OrderRefusal> {
        let (waiter, who, why) = (OperatorId(1), "ada".to_owned(), "a test".to_owned());
        self.handle(Event::Operate(Box::new(Operate { waiter, who, why, order })));
        self.commit();
        self.load();
        self.commit();
        self.said.last().and_then(|said| said.as_ref().err().copied())
    }

    fn ends_of(&self, payment: u128) -> Vec<Option<Discharge>> {
        self.folded(payment).obligations.into_iter().map(|owed| owed.discharge).collect()
    }
}

const REFUSED: u16 = 1;
const COMPLETION: u16 = 2;

fn release(obligation: u16) -> Order {
    Order::Release { payment: PaymentId(7), obligation }
}

#[test]
fn a_completion_waits_with_the_promise_that_it_builds_on() {
    let mut desk = with_a_refused_promise(agreed());
    let refused = || Some(Discharge::Refused(Some("05".to_owned())));
    assert_eq!(desk.ends_of(7), [refused(), Some(Discharge::Parked(None))], "both for a person");
    desk.completes(9);
    desk.pass(60);
    assert_eq!(desk.ends_of(7)[2], Some(Discharge::Parked(None)), "one that comes later too");
    assert!(desk.carried(NORTH) > 0 && !desk.sent_any("0220"), "the bank was told of none");
    assert_eq!(desk.told().operations.last().unwrap().state, OperationState::Approved, "as its merchant was told");
    assert_eq!(desk.switch.snapshot().payments, 0, "nothing is held for it");

    assert_eq!(desk.settle_item(release(COMPLETION)), Some(OrderRefusal::Behind));
    assert_eq!(desk.settle_item(release(REFUSED)), None);
    assert_eq!(desk.last_sent(), to(NORTH, "0121"));
    desk.pass(3);
    assert!(!desk.sent_any("0220") && !desk.sent_any("0221"), "not before the bank has said yes");
    for _ in 0..3 {
        desk.reply("00");
        desk.commit();
    }
    let all_done = desk.ends_of(7).into_iter().flatten().filter(Discharge::is_done).count();
    assert_eq!((all_done, desk.switch.snapshot().payments), (3, 0), "{:?}", desk.ends_of(7));
}

#[test]
fn a_completion_goes_out_once_a_person_has_settled_its_promise() {
    let mut desk = with_a_refused_promise(agreed());
    assert_eq!(desk.settle_item(Order::Expire { payment: PaymentId(7), obligation: REFUSED }), None);
    desk.pass(60);
    assert_eq!(desk.ends_of(7)[1], Some(Discharge::Parked(None)), "it stays in the list");
    assert_eq!(desk.settle_item(release(COMPLETION)), None);
    assert!(desk.sent_any("0221"));
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.switch.snapshot().payments, 0);
}

#[test]
fn a_capture_that_is_recorded_while_its_promise_is_refused_does_not_overtake_it() {
    let mut desk = started(agreed());
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    let capture = Command::Capture { payment: PaymentId(7), amount: None, is_final: true };
    desk.submit(8, "capture", capture);
    // The bank refuses the advice while the capture is on its way to the store; then the process dies, at times.
    desk.reply("05");
    desk.commit();
    assert!(!desk.sent_any("0220"));
    assert_eq!(desk.ends_of(7)[1], Some(Discharge::Parked(None)));
    desk.restart();
    desk.sign_on(NORTH);
    desk.pass(60);
    assert!(!desk.sent_any("0220") && !desk.sent_any("0221"));
}

#[test]
fn a_bank_is_asked_for_nothing_before_it_knows_of_the_promise() {
    let mut settings = agreed();
    for host in &mut settings.hosts {
        host.forms.capture = CaptureForm::Request;
    }
    let mut desk = started(settings);
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    desk.completes(8);
    let last = |desk: &Desk| desk.answers.last().map(|(_, answer)| format!("{answer:?}")).unwrap();
    assert_eq!(last(&desk), "Refused(Illegal(OutcomeOpen))", "ask again later");
    desk.reply("00");
    desk.commit();
    desk.completes(9);
    assert_eq!(desk.last_sent(), to(NORTH, "0200"));
}

#[test]
fn nothing_more_is_held_on_a_promise_that_the_bank_refused() {
    let mut desk = started(agreed());
    alone(&mut desk, 7, OperationKind::Authorisation, 1000);
    desk.sign_on(NORTH);
    desk.pass(1);
    desk.reply("05");
    desk.commit();
    desk.submit(9, "increment", Command::Increment { payment: PaymentId(7), amount: euro(100) });
    desk.load();
    desk.commit();
    let last = desk.answers.last().map(|(_, answer)| format!("{answer:?}"));
    assert_eq!(last.as_deref(), Some("Refused(Illegal(OutcomeOpen))"));
}
