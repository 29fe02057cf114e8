//! Questions about a card: a verification for a zero amount, and a balance inquiry. Nothing is ever owed for one.

use super::*;
use isthmus::payment::ResultCode;
use isthmus::switch::Refusal;

/// A question on its way to the bank.
fn asked(kind: OperationKind) -> Desk {
    let mut desk = Desk::online();
    let question = begin(PaymentId(7), kind, 0, false, CARD);
    desk.submit(1, "question", Command::Begin(Box::new(question)));
    desk.commit();
    desk
}

fn text(message: &Message, element: u8) -> String {
    message.text(element).map(|text| text.into_owned()).unwrap_or_default()
}

fn is_at_rest(desk: &Desk) {
    let snapshot = desk.switch.snapshot();
    let host = &snapshot.hosts[0];
    assert_eq!((snapshot.payments, host.pending, host.owed, host.stans_in_use), (0, 0, 0, 0));
}

#[test]
fn a_verification_is_an_inquiry_for_a_zero_amount() {
    for code in ["00", "85"] {
        let mut desk = asked(OperationKind::Verification);
        let last = desk.last();
        let sent = (desk.mti(), text(&last, 3), text(&last, 4));
        assert_eq!(sent, ("0100".to_owned(), "380000".to_owned(), "000000000000".to_owned()));
        desk.reply(code);
        desk.commit();
        let told = desk.told().first();
        assert_eq!((told.state, told.result), (OperationState::Approved, Some(ResultCode::Approved)));
        assert_eq!(told.response_code.as_deref(), Some(code), "the bank's own word is kept");
        is_at_rest(&desk);
    }
}

#[test]
fn a_balance_inquiry_tells_what_is_on_the_account() {
    let mut desk = asked(OperationKind::BalanceInquiry);
    assert_eq!(text(&desk.last(), 3), "310000");
    let asked = desk.last();
    let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
    for element in [3, 4, 7, 11, 41, 49] {
        reply.set(element, text(&asked, element));
    }
    reply.set(39, "00");
    reply.set(54, "0001978C0000001000000002978D000000002500");
    let frame = desk.spec.encode_to_bytes(&reply).unwrap();
    desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac: MacVerdict::NotAsked });
    desk.commit();
    let told = &desk.told().first().balances;
    let told: Vec<_> = told.iter().map(|b| (b.kind(), b.amount.minor(), b.is_negative)).collect();
    assert_eq!(told, [("ledger", 100_000, false), ("available", 2_500, true)]);
    assert_eq!(desk.folded(7).first().balances.len(), 2, "and it is recorded");
    is_at_rest(&desk);
}

#[test]
fn without_an_answer_an_inquiry_has_failed_and_nothing_is_owed() {
    for kind in [OperationKind::Verification, OperationKind::BalanceInquiry] {
        let mut desk = asked(kind);
        let frames = desk.frames.len();
        desk.pass(5);
        desk.commit();
        let told = desk.told().first();
        assert_eq!((told.state, told.result), (OperationState::Failed, Some(ResultCode::Timeout)));
        desk.pass(60);
        let later = desk.frames[frames..].iter().map(|frame| desk.spec.decode(frame.clone()).unwrap().mti().class());
        assert!(later.into_iter().all(|class| class == 8), "nothing but echoes leaves");
        is_at_rest(&desk);
    }
}

#[test]
fn a_restart_fails_an_inquiry_without_sending_anything() {
    let mut desk = asked(OperationKind::Verification).restarted();
    desk.commit();
    assert_eq!(desk.folded(7).first().state, OperationState::Failed);
    assert_eq!(desk.mti(), "0800", "nothing but the sign-on has left");
    is_at_rest(&desk);
}

#[test]
fn nothing_follows_an_inquiry() {
    let mut desk = asked(OperationKind::Verification);
    desk.reply("00");
    desk.commit();
    desk.submit(2, "capture", Command::Capture { payment: PaymentId(7), amount: None, is_final: true });
    desk.load();
    desk.commit();
    let last = desk.answers.last().map(|(_, answer)| answer);
    assert!(matches!(last, Some(Answer::Refused(Refusal::NotFound))), "{last:?}");
}
