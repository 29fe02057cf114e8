//! Conversations in each form in which a host may want its operations told: what leaves, what waits for an answer, and
//! what is owed where that is a no or never comes.

use super::*;
use isthmus::iso8583::dialects;
use isthmus::payment::{Name, ResultCode};
use isthmus::switch::{CaptureForm, Operate, OperatorId, Order, RefundForm, ReversalForm, SaleForm, VoidForm};
use isthmus::transaction::{Discharge, PaymentStatus};
use isthmus::translation::{Mapping, Translation};

const ID: PaymentId = PaymentId(7);

fn plain() -> Forms {
    Forms::default()
}

impl Desk {
    /// One link to a bank that wants to be told in these forms.
    fn of_host(forms: Forms) -> Desk {
        let mut settings = Desk::settings();
        settings.hosts[0].forms = forms;
        Desk::with(settings)
    }

    /// A payment of 10.00 that the bank has approved.
    fn approved(forms: Forms, kind: OperationKind) -> Desk {
        let mut desk = Desk::of_host(forms);
        let begin = begin(ID, kind, 1000, false, CARD);
        desk.ask("begin", Command::Begin(Box::new(begin)));
        desk.answer("00");
        desk
    }

    /// Submits, reads and commits what that takes.
    fn ask(&mut self, key: &str, command: Command) {
        self.submit(self.answers.len() as u64 + 1, key, command);
        self.load();
        self.commit();
    }

    fn capture(&mut self, key: &str, amount: Option<u64>, is_final: bool) {
        self.ask(key, Command::Capture { payment: ID, amount: amount.map(euro), is_final });
    }

    fn void(&mut self, key: &str) {
        self.ask(key, Command::Void { payment: ID });
    }

    fn refund(&mut self, key: &str) {
        self.ask(key, Command::Refund { payment: ID, amount: None });
    }

    /// The bank answers the last frame.
    fn answer(&mut self, code: &str) {
        self.reply(code);
        self.commit();
    }

    /// Nobody answers in time.
    fn silence(&mut self) {
        self.pass(5);
        self.commit();
    }

    /// Type and first digits of the processing code of what was sent last.
    fn sent(&self) -> (String, String) {
        let last = self.last();
        (last.mti().to_string(), text(&last, 3)[..2].to_owned())
    }

    /// State of the last operation, as it is now.
    fn last_state(&self) -> OperationState {
        self.now_of(ID).operations.last().unwrap().state
    }

    fn now_of(&self, id: PaymentId) -> Payment {
        self.folded(id.0)
    }

    /// Nothing waits, nothing is owed, no number is held.
    fn is_at_rest(&self) {
        let snapshot = self.switch.snapshot();
        let host = &snapshot.hosts[0];
        assert_eq!((snapshot.payments, host.pending, host.owed, host.stans_in_use), (0, 0, 0, 0));
    }
}

fn text(message: &Message, element: u8) -> String {
    message.text(element).map(|text| text.into_owned()).unwrap_or_default()
}

fn pair(mti: &str, processing: &str) -> (String, String) {
    (mti.to_owned(), processing.to_owned())
}

/// A dialect of these lines.
fn dialect(text: &str) -> Arc<Translation> {
    let layers = dialects::layers("test", text).unwrap();
    let (spec, mapping) = (dialects::spec_of(&layers).unwrap(), Mapping::read(&layers).unwrap());
    Arc::new(Translation::new(spec, mapping, Name::from("test")))
}

// -- reversals ----------------------------------------------------------------------------------------------------

#[test]
fn a_reversal_by_request_is_owed_and_repeated_like_an_advice() {
    let forms = Forms { reversal: ReversalForm::Request, ..plain() };
    let mut desk = Desk::of_host(forms);
    desk.sale(1, 7);
    desk.commit();
    desk.silence();
    assert_eq!(desk.sent(), pair("0400", "00"));
    desk.pass(5);
    desk.pass(1);
    assert_eq!(desk.sent(), pair("0401", "00"));
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Reversed);
    desk.is_at_rest();
}

#[test]
fn a_repeat_bears_its_own_time_where_the_dialect_says_so() {
    let mut settings = Desk::settings();
    settings.hosts[0].translation = dialect("extends = \"iso8583-1987-ascii\"\n[mapping]\nrefreshed = [7]\n");
    let mut desk = Desk::with(settings);
    desk.sale(1, 7);
    desk.commit();
    desk.silence();
    let first = desk.last();
    let frame = desk.frames.last().unwrap().clone();
    desk.pass(5);
    desk.pass(1);
    let again = desk.last();
    assert_eq!((first.mti().to_string(), again.mti().to_string()), ("0420".to_owned(), "0421".to_owned()));
    assert_ne!(text(&first, 7), text(&again, 7));
    let others: Vec<u8> = (2..=128).filter(|element| *element != 7).collect();
    assert!(others.iter().all(|element| text(&first, *element) == text(&again, *element)), "nothing else changes");
    // The answer to the first copy ends it all the same.
    desk.reply_to(&frame, "00");
    desk.commit();
    desk.pass(5);
    desk.is_at_rest();
}

#[test]
fn codes_end_or_delay_what_is_owed_as_the_dialect_says() {
    let rules = "[mapping.acknowledgements]\nretry = [\"12\"]\ndone = [\"51\"]\npark = [\"96\"]\n";
    for (code, end) in [
        ("51", Some(Discharge::Acknowledged(Some("51".to_owned())))),
        ("96", Some(Discharge::Parked(Some("96".to_owned())))),
        ("57", Some(Discharge::Refused(Some("57".to_owned())))),
        ("12", None),
    ] {
        let mut settings = Desk::settings();
        settings.hosts[0].translation = dialect(&format!("extends = \"iso8583-1987-ascii\"\n{rules}"));
        let mut desk = Desk::with(settings);
        desk.sale(1, 7);
        desk.commit();
        desk.silence();
        desk.answer(code);
        assert_eq!(desk.folded(7).obligations[0].discharge, end, "{code}");
    }
}

#[test]
fn a_code_that_no_repeat_can_mend_is_parked_at_once() {
    let mut desk = Desk::of_host(plain());
    desk.sale(1, 7);
    desk.commit();
    desk.silence();
    desk.answer("30");
    let owed = &desk.folded(7).obligations[0];
    assert_eq!(owed.discharge, Some(Discharge::Parked(Some("30".to_owned()))));
    desk.is_at_rest();
}

#[test]
fn a_reversal_of_a_request_that_never_left_is_cancelled() {
    let mut desk = Desk::of_host(plain());
    desk.sale(1, 7);
    desk.commit();
    let (_, send) = desk.last_way();
    desk.pass(5);
    // The shell finds it in its queue after all, before anything else was written.
    desk.handle(Event::Unsent { link: LinkId(0), sends: vec![send] });
    desk.commit();
    let payment = desk.folded(7);
    assert_eq!(payment.obligations[0].discharge, Some(Discharge::Cancelled));
    assert_eq!(payment.first().state, OperationState::Reversed);
    let classes = desk.frames.iter().map(|frame| desk.spec.decode(frame.clone()).unwrap().mti().class());
    assert_eq!(classes.filter(|class| *class == 4).count(), 0, "no reversal left");
    desk.is_at_rest();
}

#[test]
fn the_rest_is_released_after_a_final_partial_capture() {
    let mut desk = Desk::approved(Forms { release: true, ..plain() }, OperationKind::Authorisation);
    desk.capture("part", Some(300), false);
    assert_eq!(desk.sent(), pair("0220", "00"));
    desk.answer("00");
    desk.is_at_rest();
    desk.capture("last", Some(400), true);
    desk.answer("00");
    assert_eq!(desk.sent(), pair("0420", "00"));
    assert_eq!(text(&desk.last(), 4), "000000001000", "of the authorisation");
    assert_eq!(text(&desk.last(), 95)[..12], *"000000000700", "what stays");
    desk.answer("00");
    desk.is_at_rest();
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Captured);
}

#[test]
fn nothing_is_released_where_all_was_taken() {
    let mut desk = Desk::approved(Forms { release: true, ..plain() }, OperationKind::Authorisation);
    desk.capture("part", Some(300), false);
    desk.answer("00");
    desk.capture("all", None, true);
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn a_void_after_a_release_is_not_taken_for_it() {
    let mut desk = Desk::approved(Forms { release: true, ..plain() }, OperationKind::Authorisation);
    desk.capture("part", Some(300), true);
    desk.answer("00");
    let release = desk.last();
    desk.answer("00");
    desk.void("void");
    desk.answer("00");
    let void = desk.last();
    assert_eq!((text(&release, 11), text(&release, 90)), (text(&void, 11), text(&void, 90)), "of the same original");
    assert_ne!(text(&release, 7), text(&void, 7), "within one second");
    desk.answer("00");
    desk.is_at_rest();
}

// -- captures, refunds and sales ----------------------------------------------------------------------------------

#[test]
fn a_capture_by_request_can_be_declined() {
    let mut desk = Desk::approved(Forms { capture: CaptureForm::Request, ..plain() }, OperationKind::Authorisation);
    desk.capture("one", Some(300), true);
    assert_eq!(desk.sent(), pair("0200", "00"));
    assert_eq!(text(&desk.last(), 90)[..4], *"0100");
    desk.answer("51");
    assert_eq!(desk.last_state(), OperationState::Declined);
    assert_eq!(desk.now_of(ID).captured().minor(), 0);
    desk.is_at_rest();
}

#[test]
fn an_unknown_capture_by_request_is_reversed() {
    let forms = Forms { capture: CaptureForm::Request, release: true, ..plain() };
    let mut desk = Desk::approved(forms, OperationKind::Authorisation);
    desk.capture("one", Some(300), true);
    desk.silence();
    assert_eq!(desk.told().status(), PaymentStatus::Authorized, "the payment keeps its status");
    assert_eq!(desk.sent(), pair("0420", "00"));
    assert_eq!(text(&desk.last(), 90)[..4], *"0200");
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Reversed);
    desk.is_at_rest();
    // And the rest is released only once a capture is known.
    desk.capture("two", Some(300), true);
    desk.answer("00");
    assert_eq!(text(&desk.last(), 95)[..12], *"000000000300");
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn a_refund_by_advice_is_told_once_recorded() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Advice, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    assert_eq!(desk.told().status(), PaymentStatus::Refunded);
    assert_eq!(desk.sent(), pair("0220", "20"));
    desk.silence();
    desk.pass(1);
    assert_eq!(desk.sent(), pair("0221", "20"));
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn an_awaited_refund_can_be_declined() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Awaited, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    assert_eq!(desk.sent(), pair("0220", "20"));
    assert_eq!(desk.answers.len(), 1, "nothing is told yet");
    desk.answer("57");
    assert_eq!(desk.last_state(), OperationState::Declined);
    desk.is_at_rest();
}

#[test]
fn an_unknown_awaited_refund_is_sent_again_until_it_is_answered() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Awaited, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    let first = desk.last();
    desk.silence();
    assert_eq!(desk.told().operations.last().unwrap().state, OperationState::Pending);
    assert_eq!(desk.sent(), pair("0221", "20"));
    assert_eq!(text(&desk.last(), 11), text(&first, 11));
    desk.refund("more");
    assert_eq!(desk.answers.len(), 3, "what may be refunded is not refunded again");
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Approved);
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Refunded);
    desk.is_at_rest();
}

#[test]
fn an_awaited_refund_that_is_to_come_later_comes_again() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Awaited, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    desk.answer("96");
    assert_eq!(desk.last_state(), OperationState::Pending, "told as unknown, not as failed");
    assert_eq!(desk.sent(), pair("0221", "20"));
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Approved);
    desk.is_at_rest();
}

#[test]
fn a_repeat_that_is_declined_ends_what_was_pending() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Awaited, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    desk.silence();
    desk.answer("57");
    let refund = desk.now_of(ID).operations.last().unwrap().clone();
    assert_eq!((refund.state, refund.result), (OperationState::Declined, Some(ResultCode::NotAllowed)));
    desk.is_at_rest();
    desk.refund("again");
    assert_eq!(desk.sent(), pair("0220", "20"), "and it may be asked anew");
}

#[test]
fn a_late_answer_to_the_first_copy_ends_the_repeat() {
    let mut desk = Desk::approved(Forms { refund: RefundForm::Awaited, ..plain() }, OperationKind::Sale);
    desk.refund("refund");
    let first = desk.frames.last().unwrap().clone();
    desk.silence();
    desk.pass(5);
    desk.reply_to(&first, "00");
    desk.commit();
    assert_eq!(desk.last_state(), OperationState::Approved);
    desk.is_at_rest();
}

#[test]
fn a_repeat_that_is_given_up_leaves_the_next_refund_alone() {
    let mut settings = Desk::settings();
    settings.hosts[0].forms = Forms { refund: RefundForm::Awaited, ..plain() };
    // A bank that is spared after one silence would not be asked for the second refund.
    settings.hosts[0].breaker.failures = 0;
    let mut desk = Desk::with(settings);
    desk.ask("begin", Command::Begin(Box::new(begin(ID, OperationKind::Sale, 1000, false, CARD))));
    desk.answer("00");
    let part = |amount| Command::Refund { payment: ID, amount: Some(euro(amount)) };
    desk.ask("one", part(300));
    desk.silence();
    let one = desk.frames.last().unwrap().clone();
    assert_eq!(desk.sent(), pair("0221", "20"));
    desk.ask("two", part(400));
    assert_eq!(desk.sent(), pair("0220", "20"), "it does not wait for the first");
    desk.silence();
    desk.reply_to(&one, "30");
    desk.commit();
    let ends = |desk: &Desk| desk.now_of(ID).obligations.iter().map(|o| o.discharge.clone()).collect::<Vec<_>>();
    assert_eq!(ends(&desk), [Some(Discharge::Parked(Some("30".to_owned()))), None]);
    assert_eq!((desk.sent(), text(&desk.last(), 4)), (pair("0221", "20"), "000000000400".to_owned()));
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Approved);
    assert_eq!(desk.now_of(ID).refunded().minor(), 400, "the first stays open, for a person");
    desk.is_at_rest();
}

#[test]
fn a_sale_in_two_messages_is_one_operation() {
    let mut desk = Desk::of_host(Forms { sale: SaleForm::Dual, ..plain() });
    desk.sale(1, 7);
    desk.commit();
    assert_eq!(desk.sent(), pair("0100", "00"));
    desk.reply("00");
    assert!(desk.answers.is_empty(), "nothing is told before its record");
    desk.commit();
    assert_eq!((desk.told().status(), desk.told().operations.len()), (PaymentStatus::Captured, 1));
    assert_eq!(desk.sent(), pair("0220", "00"));
    assert_eq!(text(&desk.last(), 90)[..4], *"0100");
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn a_declined_sale_in_two_messages_is_not_completed() {
    let mut desk = Desk::of_host(Forms { sale: SaleForm::Dual, ..plain() });
    desk.sale(1, 7);
    desk.commit();
    desk.answer("51");
    assert_eq!((desk.last_state(), desk.sent()), (OperationState::Declined, pair("0100", "00")));
    desk.is_at_rest();
}

#[test]
fn an_unknown_sale_in_two_messages_has_its_authorisation_reversed() {
    let mut desk = Desk::of_host(Forms { sale: SaleForm::Dual, ..plain() });
    desk.sale(1, 7);
    desk.commit();
    desk.silence();
    assert_eq!(desk.told().status(), PaymentStatus::Reversing);
    assert_eq!((desk.sent(), text(&desk.last(), 90)[..4].to_owned()), (pair("0420", "00"), "0100".to_owned()));
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn the_void_of_a_sale_in_two_messages_takes_both_back() {
    let mut desk = Desk::approved(Forms { sale: SaleForm::Dual, ..plain() }, OperationKind::Sale);
    desk.answer("00");
    desk.void("void");
    assert_eq!(text(&desk.last(), 90)[..4], *"0220");
    desk.answer("00");
    assert_eq!(text(&desk.last(), 90)[..4], *"0100");
    desk.answer("00");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided);
    desk.is_at_rest();
}

#[test]
fn a_completion_that_never_left_is_cancelled_by_the_void() {
    let mut desk = Desk::of_host(Forms { sale: SaleForm::Dual, void: VoidForm::ReversalRequest, ..plain() });
    desk.sale(1, 7);
    desk.commit();
    desk.reply("00");
    // The line goes before the completion can.
    desk.handle(Event::Disconnected { link: LinkId(0), unsent: Vec::new() });
    desk.commit();
    desk.void("void");
    let payment = desk.now_of(ID);
    assert_eq!(payment.status(), PaymentStatus::Voided, "told once recorded: there is nothing to ask about");
    let ends: Vec<_> = payment.obligations.iter().map(|owed| owed.discharge.clone()).collect();
    assert_eq!(ends, [Some(Discharge::Cancelled), None], "the authorisation alone is owed a reversal");
}

// -- voids --------------------------------------------------------------------------------------------------------

#[test]
fn a_void_by_0400_waits_and_can_be_declined() {
    let mut desk = Desk::approved(Forms { void: VoidForm::ReversalRequest, ..plain() }, OperationKind::Sale);
    desk.void("void");
    assert_eq!(desk.sent(), pair("0400", "00"));
    assert_eq!(desk.answers.len(), 1, "nothing is told yet");
    desk.answer("57");
    assert_eq!((desk.last_state(), desk.now_of(ID).status()), (OperationState::Declined, PaymentStatus::Captured));
    desk.is_at_rest();
    let first = desk.last();
    desk.void("again");
    assert_ne!(text(&desk.last(), 7), text(&first, 7), "another question, within the same second");
    desk.answer("00");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided);
    desk.is_at_rest();
}

#[test]
fn an_unknown_void_by_0400_owes_its_repeat_and_then_the_rest() {
    let mut desk = Desk::approved(Forms { void: VoidForm::ReversalRequest, ..plain() }, OperationKind::Authorisation);
    desk.capture("capture", Some(300), true);
    desk.answer("00");
    desk.void("void");
    assert_eq!((desk.sent().0, text(&desk.last(), 90)[..4].to_owned()), ("0400".to_owned(), "0220".to_owned()));
    desk.silence();
    assert_eq!(desk.told().operations.last().unwrap().state, OperationState::Pending);
    assert_eq!(desk.sent().0, "0401");
    desk.refund("refund");
    assert_eq!(desk.answers.len(), 4, "no refund of what may be voided");
    desk.answer("00");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided);
    assert_eq!((desk.sent().0, text(&desk.last(), 90)[..4].to_owned()), ("0420".to_owned(), "0100".to_owned()));
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn an_unknown_void_that_is_declined_at_last_leaves_the_rest_alone() {
    let mut desk = Desk::approved(Forms { void: VoidForm::ReversalRequest, ..plain() }, OperationKind::Authorisation);
    desk.capture("capture", Some(300), true);
    desk.answer("00");
    desk.void("void");
    desk.silence();
    desk.answer("57");
    assert_eq!((desk.last_state(), desk.now_of(ID).status()), (OperationState::Declined, PaymentStatus::Captured));
    desk.is_at_rest();
}

#[test]
fn a_void_whose_repeat_finds_nothing_is_for_a_person() {
    let mut desk = Desk::approved(Forms { void: VoidForm::ReversalRequest, ..plain() }, OperationKind::Sale);
    desk.void("void");
    desk.silence();
    desk.answer("25");
    assert_eq!(desk.last_state(), OperationState::Pending, "done and forgotten, or never done");
    let owed = desk.now_of(ID).obligations;
    assert!(owed[0].discharge.as_ref().is_some_and(Discharge::is_exception));
}

#[test]
fn a_void_that_an_operator_sends_again_is_followed_by_the_rest() {
    let mut desk = Desk::approved(Forms { void: VoidForm::ReversalRequest, ..plain() }, OperationKind::Authorisation);
    desk.capture("capture", Some(300), true);
    desk.answer("00");
    desk.void("void");
    desk.silence();
    desk.answer("30");
    let parked = desk.now_of(ID).obligations.iter().map(|owed| owed.discharge.clone()).collect::<Vec<_>>();
    assert_eq!(parked[1..], [Some(Discharge::Parked(Some("30".to_owned()))), Some(Discharge::Cancelled)]);
    let order = Order::Release { payment: ID, obligation: 2 };
    let (who, why) = ("ada".to_owned(), "the bank is mended".to_owned());
    desk.handle(Event::Operate(Box::new(Operate { waiter: OperatorId(1), who, why, order })));
    desk.commit();
    desk.load();
    desk.commit();
    assert_eq!(desk.sent().0, "0401");
    desk.answer("00");
    assert_eq!(text(&desk.last(), 90)[..4], *"0100", "the authorisation goes with it");
    desk.answer("00");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided);
    desk.is_at_rest();
}

#[test]
fn a_void_by_request_has_a_processing_code_of_its_own() {
    let forms = Forms { void: VoidForm::Request, ..plain() };
    let mut desk = Desk::approved(forms, OperationKind::Sale);
    desk.void("declined");
    assert_eq!(desk.sent(), pair("0200", "02"));
    desk.answer("57");
    assert_eq!((desk.last_state(), desk.now_of(ID).status()), (OperationState::Declined, PaymentStatus::Captured));
    desk.void("void");
    desk.answer("00");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided);
    desk.is_at_rest();
    let mut desk = Desk::approved(forms, OperationKind::Authorisation);
    desk.void("void");
    assert_eq!(desk.sent(), pair("0100", "22"));
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn an_unknown_void_by_request_is_reversed_and_did_not_happen() {
    let mut desk = Desk::approved(Forms { void: VoidForm::Request, ..plain() }, OperationKind::Sale);
    desk.void("void");
    desk.silence();
    assert_eq!(desk.told().status(), PaymentStatus::Captured);
    assert_eq!((desk.sent(), text(&desk.last(), 90)[..4].to_owned()), (pair("0420", "02"), "0200".to_owned()));
    desk.answer("00");
    assert_eq!((desk.last_state(), desk.now_of(ID).status()), (OperationState::Reversed, PaymentStatus::Captured));
    desk.is_at_rest();
}

#[test]
fn a_capture_after_a_void_that_nobody_took_back_is_for_a_person() {
    let mut desk = Desk::approved(Forms { void: VoidForm::Request, ..plain() }, OperationKind::Authorisation);
    desk.void("void");
    desk.silence();
    desk.capture("capture", None, true);
    assert_eq!(desk.sent().0, "0420", "the reversal of the void goes first");
    desk.answer("30");
    assert_eq!(desk.sent().0, "0220", "and the capture is tried all the same: the void may have been lost");
    desk.answer("25");
    let payment = desk.now_of(ID);
    let ends: Vec<_> = payment.obligations.iter().map(|owed| owed.discharge.clone()).collect();
    let refused = Discharge::Refused(Some("25".to_owned()));
    assert_eq!(ends, [Some(Discharge::Parked(Some("30".to_owned()))), Some(refused)]);
    assert_eq!(payment.status(), PaymentStatus::Captured, "as its merchant was told");
    desk.is_at_rest();
}

#[test]
fn a_void_never_overtakes_what_it_is_about() {
    let mut desk = Desk::approved(Forms { void: VoidForm::Request, ..plain() }, OperationKind::Authorisation);
    desk.capture("capture", None, true);
    assert_eq!(desk.sent(), pair("0220", "00"));
    desk.void("void");
    assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided, "told once recorded");
    assert_eq!(desk.sent(), pair("0220", "00"), "and not before its capture");
    desk.answer("00");
    assert_eq!(text(&desk.last(), 90)[..4], *"0220");
    desk.answer("00");
    assert_eq!(text(&desk.last(), 90)[..4], *"0100");
    desk.answer("00");
    desk.is_at_rest();
}

#[test]
fn the_void_of_what_the_bank_refused_asks_it_nothing() {
    for void in [VoidForm::ReversalRequest, VoidForm::Request] {
        let mut desk = Desk::approved(Forms { sale: SaleForm::Dual, void, ..plain() }, OperationKind::Sale);
        desk.answer("30");
        assert_eq!(desk.now_of(ID).obligations[0].discharge, Some(Discharge::Parked(Some("30".to_owned()))));
        desk.void("void");
        assert_eq!(desk.now_of(ID).status(), PaymentStatus::Voided, "told once recorded");
        assert_eq!((desk.sent().0, text(&desk.last(), 90)[..4].to_owned()), ("0420".to_owned(), "0220".to_owned()));
        desk.answer("25");
        assert_eq!(text(&desk.last(), 90)[..4], *"0100", "which the bank does have");
        desk.answer("00");
        desk.is_at_rest();
    }
}

#[test]
fn an_awaited_message_that_a_crash_cut_short_is_sent_again() {
    let forms = Forms { refund: RefundForm::Awaited, ..plain() };
    let mut desk = Desk::approved(forms, OperationKind::Sale);
    desk.refund("refund");
    let sent = desk.last();
    let mut desk = desk.restarted();
    assert_eq!(desk.sent(), pair("0221", "20"));
    assert_eq!((text(&desk.last(), 7), text(&desk.last(), 11)), (text(&sent, 7), text(&sent, 11)));
    desk.answer("00");
    assert_eq!(desk.last_state(), OperationState::Approved);
    desk.is_at_rest();
}
