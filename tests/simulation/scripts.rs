//! Conversations written out, for what seeds rarely or never reach: each was a fault once.

use crate::journal::Journal;
use crate::merchants::{begin, euro};
use crate::plan::Plan;
use bytes::Bytes;
use isthmus::host::DaySettings;
use isthmus::iso8583::{Message, MessageBuilder, Spec};
use isthmus::payment::{MerchantId, Monotonic, Now, OperationKind, PaymentId, Wall};
use isthmus::switch::{Answer, Command, Effect, Entry, Event, LinkId, MacVerdict, NotRecorded, OnUnknown, Refusal};
use isthmus::switch::{Forms, OrderRefusal, ReversalStan, Settings, Submission, Switch, Ticket, Told, WaiterId};
use isthmus::switch::{Repeat, SendId};
use isthmus::transaction::{Fingerprint, IdempotencyKey, OperationState, Payment};
use std::sync::Arc;
use std::time::Duration;

mod consent;
mod days;
mod desk;
mod failover;
mod forms;
mod increments;
mod keys;
mod macs;
mod numbers;
mod operators;
mod pins;
mod questions;
mod standing_in;

use desk::Desk;

const CARD: &str = "4111111111111111";
const NOON: i64 = 1_795_348_800_000_000;

#[test]
fn a_sale_goes_out_once_recorded_and_is_told_once_recorded() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    assert_eq!(desk.mti(), "0800", "nothing has left");
    desk.commit();
    assert_eq!(desk.mti(), "0200");
    desk.reply("00");
    assert!(desk.answers.is_empty(), "nothing is told");
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Approved);
    assert_eq!(desk.switch.snapshot().payments, 0);
}

#[test]
fn a_late_approval_reopens_a_reversal_that_found_nothing() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let sale = desk.frames.last().unwrap().clone();
    desk.pass(5);
    desk.commit();
    assert_eq!(desk.mti(), "0420");
    assert_eq!(desk.told().first().state, OperationState::Reversing);
    desk.reply("25");
    desk.commit();
    assert_eq!(desk.folded(7).first().state, OperationState::Reversed);
    assert_eq!(desk.switch.snapshot().payments, 0);
    desk.reply_to(&sale, "00");
    // The store can't be read at first: the reply is kept, not dropped.
    let payment = desk.loads.pop().unwrap();
    desk.handle(Event::Loaded { payment, found: Err(()) });
    desk.pass(3);
    desk.load();
    desk.commit();
    assert_eq!(desk.mti(), "0421", "it was sent before");
    assert_eq!(desk.switch.snapshot().hosts[0].owed, 1);
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.folded(7).first().state, OperationState::Reversed);
    let snapshot = desk.switch.snapshot();
    assert_eq!((snapshot.payments, snapshot.hosts[0].owed, snapshot.hosts[0].stans_in_use), (0, 0, 0));
}

#[test]
fn a_reopened_reversal_is_owed_after_a_restart() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let sale = desk.frames.last().unwrap().clone();
    desk.pass(5);
    desk.commit();
    desk.reply("25");
    desk.commit();
    desk.reply_to(&sale, "00");
    desk.load();
    desk.commit();
    let (resumed, numbers) = (desk.journal.in_motion(), desk.journal.numbers());
    assert_eq!(resumed.len(), 1);
    let mut after = Desk::online();
    after.switch = Switch::new(Plan::with_one_bank().settings, 2);
    after.handle(Event::Resume(resumed));
    after.handle(Event::Numbers(numbers));
    let host = &after.switch.snapshot().hosts[0];
    assert_eq!((host.owed, host.stans_in_use), (1, 1));
}

#[test]
fn an_operation_waits_for_the_first_record_of_its_payment() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    let stored = desk.store();
    // Whoever looks the payment up by its reference finds it before the switch has the store's word.
    desk.submit(2, "void-7", Command::Void { payment: PaymentId(7) });
    desk.load();
    for (ticket, result) in stored {
        desk.handle(Event::Recorded { ticket, result });
    }
    assert_eq!(desk.mti(), "0200");
    desk.reply("00");
    desk.commit();
    assert!(desk.told().is_voided());
    assert_eq!(desk.mti(), "0420");
    assert_eq!(desk.answers.len(), 2);
}

#[test]
fn an_operation_on_a_payment_that_never_begins_finds_nothing() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.submit(2, "void-7", Command::Void { payment: PaymentId(7) });
    let (ticket, _) = desk.appends.pop().unwrap();
    desk.handle(Event::Recorded { ticket, result: Err(NotRecorded::Unavailable) });
    let refusals: Vec<_> = desk.answers.iter().map(|(_, answer)| format!("{answer:?}")).collect();
    assert_eq!(refusals, ["Refused(StoreUnavailable)", "Refused(NotFound)"]);
    assert_eq!((desk.switch.snapshot().in_flight, desk.switch.snapshot().payments), (0, 0));
}

#[test]
fn a_second_acknowledgement_changes_nothing() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.pass(5);
    desk.commit();
    let reversal = desk.frames.last().unwrap().clone();
    // Its answer is late, and comes twice before the first is recorded.
    desk.pass(5);
    desk.reply_to(&reversal, "00");
    desk.reply_to(&reversal, "12");
    desk.commit();
    let payment = desk.folded(7);
    assert_eq!(payment.first().state, OperationState::Reversed);
    assert_eq!(payment.version, 3, "requested, settled, discharged once");
}

#[test]
fn a_request_that_could_not_leave_in_time_is_known_as_not_sent() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let unsent = |desk: &Desk| Event::Unsent { link: LinkId(0), sends: vec![desk.last_way().1] };
    desk.pass(1);
    desk.handle(unsent(&desk));
    assert_eq!(desk.frames.len(), 3, "there is time for another try");
    desk.pass(1);
    desk.handle(unsent(&desk));
    desk.commit();
    assert_eq!(desk.frames.len(), 3, "and now there is none");
    assert_eq!(desk.told().first().state, OperationState::Failed);
    assert_eq!(desk.switch.snapshot().payments, 0, "nothing is owed");
}

#[test]
fn repeats_that_wait_for_the_store_take_credit() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply("00");
    desk.commit();
    for (waiter, payment) in [(2, 8), (3, 9)] {
        let again = begin(PaymentId(payment), OperationKind::Sale, 1000, false, CARD);
        desk.submit(waiter, "sale-7", Command::Begin(Box::new(again)));
        desk.commit();
    }
    assert_eq!(desk.switch.snapshot().in_flight, 2);
    desk.sale(4, 10);
    assert!(matches!(desk.answers.last().unwrap().1, Answer::Refused(Refusal::Overloaded)));
    desk.load();
    assert_eq!((desk.answers.len(), desk.switch.snapshot().in_flight), (4, 0));
}

#[test]
fn a_late_reply_is_recorded_once() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let sale = desk.frames.last().unwrap().clone();
    desk.pass(5);
    desk.commit();
    desk.reply("00");
    desk.commit();
    for _ in 0..3 {
        desk.reply_to(&sale, "00");
        desk.load();
        desk.commit();
    }
    assert_eq!(desk.folded(7).version, 4, "requested, settled, discharged, and one late reply");
    assert_eq!(desk.told().first().state, OperationState::Reversing, "as it was told");
}

#[test]
fn an_outcome_that_cannot_be_recorded_is_told_as_such_until_it_is() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply("00");
    let (ticket, _) = desk.appends.pop().unwrap();
    desk.handle(Event::Recorded { ticket, result: Err(NotRecorded::Unavailable) });
    assert!(matches!(desk.answers[0].1, Answer::Refused(Refusal::OutcomeNotRecorded)));
    // Asked again under the same key, as another payment would begin.
    let again = begin(PaymentId(8), OperationKind::Sale, 1000, false, CARD);
    desk.submit(2, "sale-7", Command::Begin(Box::new(again)));
    assert!(matches!(desk.answers[1].1, Answer::Refused(Refusal::OutcomeNotRecorded)), "{:?}", desk.answers[1]);
    desk.pass(3);
    let again = begin(PaymentId(9), OperationKind::Sale, 1000, false, CARD);
    desk.submit(3, "sale-7", Command::Begin(Box::new(again)));
    assert!(matches!(desk.answers[2].1, Answer::Refused(Refusal::OutcomeNotRecorded)), "{:?}", desk.answers[2]);
    desk.commit();
    let again = begin(PaymentId(10), OperationKind::Sale, 1000, false, CARD);
    desk.submit(4, "sale-7", Command::Begin(Box::new(again)));
    desk.commit();
    desk.load();
    assert_eq!(desk.told().first().state, OperationState::Approved);
    assert_eq!(desk.told().id, PaymentId(7));
}

#[test]
fn a_drain_answers_a_repeat_that_waits_for_its_payment() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    desk.reply("00");
    desk.commit();
    let again = begin(PaymentId(8), OperationKind::Sale, 1000, false, CARD);
    desk.submit(2, "sale-7", Command::Begin(Box::new(again)));
    desk.commit();
    desk.handle(Event::Drain);
    assert_eq!(desk.frames.len(), 2, "no sign-off yet");
    desk.load();
    assert_eq!(desk.answers.len(), 2);
    desk.reply("00");
    desk.handle(Event::Disconnected { link: LinkId(0), unsent: Vec::new() });
    assert!(desk.drained);
}

#[test]
fn a_capture_gives_its_trace_number_back() {
    let mut desk = Desk::online();
    let begin = begin(PaymentId(7), OperationKind::Authorisation, 1000, false, CARD);
    desk.submit(1, "auth", Command::Begin(Box::new(begin)));
    desk.commit();
    desk.reply("00");
    desk.commit();
    let capture = Command::Capture { payment: PaymentId(7), amount: Some(euro(400)), is_final: true };
    desk.submit(2, "capture", capture);
    desk.load();
    desk.commit();
    assert_eq!(desk.mti(), "0220");
    assert_eq!(desk.switch.snapshot().hosts[0].stans_in_use, 1);
    desk.reply("00");
    desk.commit();
    assert_eq!(desk.switch.snapshot().hosts[0].stans_in_use, 0);
}

#[test]
fn a_store_that_refuses_numbers_is_not_pressed() {
    let mut switch = Switch::new(Plan::with_one_bank().settings, 3);
    let now = |micros| Now { monotonic: Monotonic(micros), wall: Wall(NOON) };
    let appends = |effects: &[Effect]| effects.iter().filter(|e| matches!(e, Effect::Append { .. })).count();
    assert_eq!(appends(&switch.handle(now(5), Event::Start)), 1);
    let refused = Event::Recorded { ticket: Ticket(1), result: Err(NotRecorded::Unavailable) };
    assert_eq!(appends(&switch.handle(now(6), refused)), 0, "not at once");
    let due = switch.next_deadline().unwrap();
    assert!(due > Monotonic(6));
    assert_eq!(appends(&switch.handle(now(due.0), Event::Wake)), 1);
}

/// The bank asks whether we live.
fn echo_of_the_bank(desk: &mut Desk) -> bool {
    let mut request = MessageBuilder::new("0800".parse().unwrap());
    request.set(7, "1122120000").set(11, "000777").set(70, "301");
    let frame = desk.spec.encode_to_bytes(&request).unwrap();
    let before = desk.frames.len();
    desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
    let last = desk.last();
    let text = |element| last.text(element).map(|text| text.into_owned()).unwrap_or_default();
    let answer = [text(11), text(39), text(70)];
    desk.frames.len() == before + 1 && desk.mti() == "0810" && answer == ["000777", "00", "301"]
}

#[test]
fn the_bank_is_answered_in_every_state() {
    let mut desk = Desk::offline(Desk::settings());
    desk.handle(Event::Start);
    desk.commit();
    let state = |desk: &Desk| desk.switch.snapshot().hosts[0].links[0].1;
    desk.handle(Event::Connected { link: LinkId(0) });
    let sign_on = desk.frames.last().unwrap().clone();
    assert_eq!((state(&desk), echo_of_the_bank(&mut desk)), ("signing_on", true));
    desk.reply_to(&sign_on, "00");
    assert_eq!((state(&desk), echo_of_the_bank(&mut desk)), ("online", true));
    desk.sale(1, 7);
    desk.commit();
    desk.handle(Event::Drain);
    let name = state(&desk);
    assert!(echo_of_the_bank(&mut desk), "{name}");
    desk.pass(5);
    desk.commit();
    let name = state(&desk);
    assert!(name != "online" && echo_of_the_bank(&mut desk), "{name}");
}

#[test]
fn thousands_of_malformed_frames_settle_nothing() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let sent = desk.frames.last().unwrap().clone();
    for frame in malformed(&desk.spec, &sent) {
        desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
        assert_eq!(desk.switch.snapshot().in_flight, 1, "the sale still waits");
    }
    assert!(desk.appends.is_empty() && desk.answers.is_empty(), "nothing is recorded, nothing told");
    desk.reply_to(&sent, "00");
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Approved);
}

/// Noise, and the reply to somebody else's request with every bit flipped and every end cut off.
fn malformed(spec: &Arc<Spec>, sent: &Bytes) -> Vec<Bytes> {
    let mut other = spec.decode(sent.clone()).unwrap().to_builder();
    other.set_mti("0210".parse().unwrap()).set(11, "777777").set(39, "00").unset(48);
    let other = spec.encode_to_bytes(&other).unwrap();
    let flipped = (0..other.len() * 8).map(|bit| {
        let mut frame = other.to_vec();
        frame[bit / 8] ^= 1 << (bit % 8);
        frame.into()
    });
    let cut = (0..other.len()).map(|end| other.slice(..end));
    let mut random = fastrand::Rng::with_seed(1);
    let noise = (0..2000).map(|_| {
        let length = random.usize(0..300);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    });
    flipped.chain(cut).chain(noise).collect()
}
