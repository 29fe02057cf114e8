//! Authorisations and what completes them.

use super::*;

#[test]
fn an_authorisation_is_held_captured_in_parts_and_released() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    let approval = bank.ask(&authorisation).text(38).unwrap().into_owned();
    assert_eq!(bank.money(), (0, 10_000));
    let first = authorisation.capture(2, 6_000).with(38, &approval);
    assert_eq!(bank.code(&first), "00");
    assert_eq!(bank.money(), (-6_000, 4_000));
    assert_eq!(bank.code(&authorisation.capture(3, 4_001).with(38, &approval)), "64");
    assert_eq!(bank.code(&authorisation.capture(4, 4_000).with(38, "WRONG1")), "25");
    assert_eq!(bank.money(), (-6_000, 4_000));
    // The rest is released: 60.00 is what finally stands.
    let release = authorisation.reversal(5).with(95, &format!("000000006000{:0>30}", ""));
    assert_eq!(bank.code(&release), "00");
    assert_eq!(bank.money(), (-6_000, 0));
}

#[test]
fn a_capture_finds_its_authorisation_by_reference_and_approval_code() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    let approval = bank.ask(&authorisation).text(38).unwrap().into_owned();
    let capture = authorisation.capture(2, 10_000).without(90).with(38, &approval);
    assert_eq!(bank.code(&capture), "00");
    assert_eq!(bank.money(), (-10_000, 0));
}

#[test]
fn a_voided_capture_holds_again_until_the_authorisation_is_reversed_too() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let capture = authorisation.capture(2, 7_000);
    bank.ask(&capture);
    assert_eq!(bank.code(&capture.reversal(3)), "00");
    assert_eq!(bank.money(), (0, 10_000));
    assert_eq!(bank.code(&authorisation.reversal(4)), "00");
    assert_eq!(bank.money(), (0, 0));
    assert_eq!(bank.code(&authorisation.capture(5, 100)), "25");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn an_authorisation_reversed_before_its_capture_stays_released_when_that_is_reversed() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let capture = authorisation.capture(2, 7_000);
    bank.ask(&capture);
    assert_eq!(bank.code(&authorisation.reversal(3)), "00");
    assert_eq!(bank.money(), (-7_000, 0));
    assert_eq!(bank.code(&capture.reversal(4)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_terse_bank_leaves_out_the_day_and_releases_the_rest_at_capture() {
    let mut bank = Bank::of("iso8583-1987-terse", Scenario::demo().unwrap());
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    let answer = bank.ask(&authorisation);
    assert!(!answer.has(15) && !answer.has(2));
    assert_eq!(bank.code(&authorisation.capture(2, 6_000)), "00");
    assert_eq!(bank.money(), (-6_000, 0));
    assert_eq!(bank.code(&authorisation.capture(3, 1)), "13");
    assert_eq!(bank.code(&Sent::purchase("0200", 9, CARD, 1).reversal(4)), "25");
    assert_eq!(bank.code(&Sent::purchase("0200", 9, CARD, 1)), "12");
}

#[test]
fn a_capture_may_be_asked_for_and_declined() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let too_much = bank.ask(&authorisation.capture(2, 10_001).again("0200").with(25, "59"));
    assert_eq!((too_much.mti().to_string().as_str(), too_much.text(39).unwrap().as_ref()), ("0210", "64"));
    assert_eq!(bank.money(), (0, 10_000));
    let capture = authorisation.capture(3, 6_000).again("0200").with(25, "59");
    assert_eq!(bank.code(&capture), "00");
    assert_eq!(bank.money(), (-6_000, 4_000));
    assert_eq!(bank.issuer.ledger().entries().last().unwrap().kind, Kind::Capture);
    assert_eq!(bank.code(&capture.reversal(4).again("0400")), "00");
    assert_eq!(bank.money(), (0, 10_000));
}

#[test]
fn a_capture_by_request_has_a_processing_code_of_its_own_at_some_banks() {
    let mut bank = Bank::of("iso8583-1987-requests", Scenario::demo().unwrap());
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    let approval = bank.ask(&authorisation).text(38).unwrap().into_owned();
    let named_by_approval = Sent::purchase("0200", 2, CARD, 6_000).with(3, "180000").with(38, &approval);
    assert_eq!(bank.code(&named_by_approval), "00");
    assert_eq!(bank.money(), (-6_000, 4_000));
    assert_eq!(bank.code(&authorisation.capture(3, 1).again("0200").with(3, "180000").with(38, "000000")), "25");
}

#[test]
fn a_scenario_declines_a_capture_by_request() {
    let scenario = "[[rule]]\nabout = \"no captures\"\nwhen = { kind = [\"capture\"], mti = [\"0200\"] }\n\
                    then = { code = \"05\" }\n";
    let mine = Scenario::read("mine.toml", scenario).unwrap();
    let mut bank = Bank::with(mine.before(Scenario::demo().unwrap()));
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let capture = authorisation.capture(2, 10_000).again("0200");
    assert_eq!(bank.code(&capture), "05");
    assert_eq!(bank.code(&capture.again("0201")), "05", "the same answer again");
    assert_eq!(bank.money(), (0, 10_000));
    assert_eq!(bank.code(&authorisation.capture(3, 10_000)), "00", "as an advice it goes");
}
