//! Authorisations that grow: what the bank is asked, and what is taken back where its answer never comes.

use super::*;
use isthmus::switch::VoidForm;
use isthmus::transaction::{Illegal, PaymentStatus};

const ID: PaymentId = PaymentId(7);

/// An approved authorisation of 10.00.
fn held(forms: Forms) -> Desk {
    let mut settings = Desk::settings();
    settings.hosts[0].forms = forms;
    let mut desk = Desk::with(settings);
    let begin = begin(ID, OperationKind::Authorisation, 1000, false, CARD);
    desk.submit(1, "begin", Command::Begin(Box::new(begin)));
    desk.commit();
    answer(&mut desk, "00");
    desk
}

fn answer(desk: &mut Desk, code: &str) {
    desk.reply(code);
    desk.commit();
}

fn ask(desk: &mut Desk, key: &str, command: Command) {
    desk.submit(desk.answers.len() as u64 + 1, key, command);
    desk.load();
    desk.commit();
}

fn increment(desk: &mut Desk, key: &str, minor: u64) {
    ask(desk, key, Command::Increment { payment: ID, amount: euro(minor) });
}

fn capture(desk: &mut Desk, amount: Option<u64>) {
    let amount = amount.map(euro);
    ask(desk, "capture", Command::Capture { payment: ID, amount, is_final: true });
}

fn text(message: &Message, element: u8) -> String {
    message.text(element).map(|text| text.into_owned()).unwrap_or_default()
}

/// The bank approves only so much of what it was asked last.
fn partly(desk: &mut Desk, amount: &str) {
    let asked = desk.last();
    let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
    for element in [7, 11, 32, 37, 41, 42, 49] {
        reply.set(element, text(&asked, element));
    }
    reply.set(4, amount).set(39, "10");
    let frame = desk.spec.encode_to_bytes(&reply).unwrap();
    desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
    desk.commit();
}

fn refusal(desk: &Desk) -> Option<Refusal> {
    match desk.answers.last() {
        Some((_, Answer::Refused(refusal))) => Some(*refusal),
        _ => None,
    }
}

/// Type, amount and original of what was sent last.
fn sent(desk: &Desk) -> (String, String, String) {
    let last = desk.last();
    (last.mti().to_string(), text(&last, 4)[6..].to_owned(), text(&last, 90).get(..10).unwrap_or_default().to_owned())
}

fn original(frame: &Message) -> String {
    format!("{}{}", frame.mti().without_repeat(), text(frame, 11))
}

#[test]
fn an_increment_names_its_authorisation_and_can_be_captured() {
    let mut desk = held(Forms { release: true, ..Forms::default() });
    let first = desk.last();
    increment(&mut desk, "more", 500);
    assert_eq!(sent(&desk), ("0100".to_owned(), "000500".to_owned(), original(&first)));
    assert_eq!(text(&desk.last(), 37), text(&first, 37), "one payment to the bank");
    assert_ne!(text(&desk.last(), 11), text(&first, 11));
    answer(&mut desk, "00");
    let payment = desk.folded(7);
    assert_eq!((payment.amount, payment.authorized(), payment.is_partial()), (euro(1000), euro(1500), false));
    capture(&mut desk, Some(1200));
    assert_eq!(sent(&desk), ("0220".to_owned(), "001200".to_owned(), original(&first)));
    answer(&mut desk, "00");
    assert_eq!(sent(&desk), ("0420".to_owned(), "001500".to_owned(), original(&first)), "the rest of the sum");
    assert_eq!(text(&desk.last(), 95)[..12], *"000000001200");
    answer(&mut desk, "00");
    assert_eq!(desk.switch.snapshot().payments, 0);
    increment(&mut desk, "late", 1);
    assert_eq!(refusal(&desk), Some(Refusal::Illegal(Illegal::FullyCaptured)));
}

#[test]
fn a_declined_increment_leaves_the_authorisation() {
    let mut desk = held(Forms::default());
    increment(&mut desk, "more", 500);
    answer(&mut desk, "51");
    let payment = desk.told();
    assert_eq!(payment.operations[1].state, OperationState::Declined);
    assert_eq!((payment.status(), payment.authorized()), (PaymentStatus::Authorized, euro(1000)));
    capture(&mut desk, None);
    assert_eq!(sent(&desk).1, "001000");
}

#[test]
fn an_unknown_increment_is_taken_back_by_itself() {
    let mut desk = held(Forms::default());
    increment(&mut desk, "more", 500);
    let request = desk.last();
    desk.pass(5);
    desk.commit();
    assert_eq!(desk.told().operations[1].state, OperationState::Reversing);
    assert_eq!((desk.told().status(), desk.told().authorized()), (PaymentStatus::Authorized, euro(1000)));
    assert_eq!(sent(&desk), ("0420".to_owned(), "000500".to_owned(), original(&request)));
    // What was approved in the meantime counts for nothing.
    let frames = desk.frames.len();
    let reversal = desk.frames[frames - 1].clone();
    desk.reply_to(&desk.frames[frames - 2].clone(), "00");
    desk.reply_to(&reversal, "00");
    desk.commit();
    assert_eq!(desk.folded(7).operations[1].state, OperationState::Reversed);
    capture(&mut desk, None);
    assert_eq!(sent(&desk).1, "001000");
}

#[test]
fn a_crash_takes_an_open_increment_back() {
    let mut desk = held(Forms::default());
    increment(&mut desk, "more", 500);
    let request = desk.last();
    let mut after = desk.restarted();
    after.commit();
    assert_eq!(sent(&after), ("0420".to_owned(), "000500".to_owned(), original(&request)));
    answer(&mut after, "00");
    let payment = after.folded(7);
    assert_eq!((payment.operations[1].state, payment.authorized()), (OperationState::Reversed, euro(1000)));
}

#[test]
fn less_than_an_increment_is_not_taken() {
    let mut desk = held(Forms::default());
    increment(&mut desk, "more", 500);
    partly(&mut desk, "000000000200");
    assert_eq!(desk.told().operations[1].state, OperationState::Declined);
    assert_eq!((desk.mti().as_str(), desk.told().authorized()), ("0420", euro(1000)));
}

#[test]
fn a_void_takes_increments_back_before_their_authorisation() {
    let mut desk = held(Forms::default());
    let first = desk.last();
    increment(&mut desk, "more", 500);
    let second = desk.last();
    answer(&mut desk, "00");
    ask(&mut desk, "void", Command::Void { payment: ID });
    assert_eq!((desk.told().status(), desk.told().operations[2].amount), (PaymentStatus::Voided, euro(1500)));
    assert_eq!(sent(&desk), ("0420".to_owned(), "000500".to_owned(), original(&second)));
    answer(&mut desk, "00");
    assert_eq!(sent(&desk), ("0420".to_owned(), "001000".to_owned(), original(&first)));
    answer(&mut desk, "00");
    assert_eq!(desk.switch.snapshot().payments, 0);
}

#[test]
fn a_void_by_request_asks_about_the_increment_first() {
    let mut desk = held(Forms { void: VoidForm::Request, ..Forms::default() });
    let first = desk.last();
    increment(&mut desk, "more", 500);
    let second = desk.last();
    answer(&mut desk, "00");
    ask(&mut desk, "void", Command::Void { payment: ID });
    assert_eq!(sent(&desk), ("0100".to_owned(), "000500".to_owned(), original(&second)));
    assert_eq!(text(&desk.last(), 3), "220000");
    answer(&mut desk, "00");
    assert_eq!(sent(&desk), ("0420".to_owned(), "001000".to_owned(), original(&first)));
    assert_eq!(desk.told().status(), PaymentStatus::Voided);
}

#[test]
fn what_cannot_grow_is_told_so() {
    let mut desk = held(Forms::default());
    let refused = |desk: &mut Desk, key: &str, minor: u64| {
        increment(desk, key, minor);
        refusal(desk)
    };
    let illegal = |illegal| Some(Refusal::Illegal(illegal));
    assert_eq!(refused(&mut desk, "none", 0), illegal(Illegal::Zero));
    assert_eq!(refused(&mut desk, "huge", 999_999_999_999), illegal(Illegal::TooLarge));
    ask(&mut desk, "part", Command::Capture { payment: ID, amount: Some(euro(1)), is_final: false });
    answer(&mut desk, "00");
    assert_eq!(refused(&mut desk, "after", 1), illegal(Illegal::CapturedAlready));
    ask(&mut desk, "void", Command::Void { payment: ID });
    answer(&mut desk, "00");
    answer(&mut desk, "00");
    assert_eq!(refused(&mut desk, "gone", 1), illegal(Illegal::Voided));
}

/// A client that asks again under a new key each time it is declined: it costs no money and grows the payment.
#[test]
fn a_payment_has_only_so_many_operations_and_can_then_be_voided() {
    let mut desk = held(Forms::default());
    for number in 2..=500 {
        increment(&mut desk, &format!("again-{number}"), 1);
        answer(&mut desk, "51");
    }
    increment(&mut desk, "too-many", 1);
    assert_eq!(refusal(&desk), Some(Refusal::Illegal(Illegal::TooManyOperations)));
    ask(&mut desk, "void", Command::Void { payment: ID });
    answer(&mut desk, "00");
    assert_eq!(desk.told().status(), PaymentStatus::Voided);
}
