//! Reversals and voids: what was done is taken back.

use super::*;

#[test]
fn a_reversal_takes_back_once_however_often_it_comes() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let reversal = sale.reversal(2);
    let first = bank.ask(&reversal);
    assert_eq!((first.mti().to_string().as_str(), first.text(39).unwrap().as_ref()), ("0430", "00"));
    assert_eq!(bank.ask(&reversal.again("0421")).as_bytes(), first.as_bytes());
    // A second reversal with a STAN of its own, and one by request.
    assert_eq!(bank.code(&sale.reversal(3)), "00");
    assert_eq!(bank.code(&sale.reversal(4).again("0400")), "00");
    assert_eq!(bank.money(), (0, 0));
    let effects = bank.issuer.ledger().entries().iter().filter(|entry| entry.has_effect()).count();
    assert_eq!((effects, bank.issuer.ledger().entries().len()), (2, 4), "each is booked, one has an effect");
}

#[test]
fn a_reversal_with_its_originals_stan_is_told_apart_by_its_class() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    assert_eq!(bank.code(&sale.reversal(1)), "00");
    assert_eq!(bank.money(), (0, 0));
    assert_eq!(bank.code(&sale.reversal(1).without(90)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn without_original_data_the_reference_finds_the_original() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    assert_eq!(bank.code(&sale.reversal(9).without(90)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn original_data_alone_will_do() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let bare = [2, 3, 4, 14, 25, 42, 49].iter().fold(sale.reversal(2), |bare, element| bare.without(*element));
    assert_eq!(bank.code(&bare), "00");
    assert_eq!(bank.money(), (0, 0));
    assert_eq!(bank.issuer.books().purses().next().unwrap().2.net, 0);
}

#[test]
fn a_reversal_of_something_else_has_no_effect() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    assert_eq!(bank.code(&sale.reversal(2).with(4, "000000001298")), "64");
    let elsewhere = sale.clone().with(32, "54321");
    assert_eq!(bank.code(&elsewhere.reversal(3)), "00");
    assert_eq!(bank.money(), (-1_299, 0));
}

#[test]
fn an_original_that_comes_after_its_reversal_is_refused() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    assert_eq!(bank.code(&sale.reversal(2)), "00");
    assert_eq!(bank.code(&sale.reversal(3)), "00");
    let mut bank = bank.restarted();
    assert_eq!(bank.code(&sale), "05");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_partial_reversal_leaves_what_it_says() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let partly = sale.reversal(2).with(95, &format!("000000000300{:0>30}", ""));
    assert_eq!(bank.code(&partly), "00");
    assert_eq!(bank.money(), (-300, 0));
    assert_eq!(bank.code(&sale.reversal(3)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_void_by_request_takes_back_and_its_reversal_restores() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let void = sale.reversal(2).again("0200").with(3, "020000");
    assert_eq!(bank.code(&void), "00");
    assert_eq!(bank.money(), (0, 0));
    assert_eq!(bank.code(&sale.reversal(3).again("0200").with(3, "020000")), "25");
    assert_eq!(bank.code(&void.reversal(4)), "00");
    assert_eq!(bank.money(), (-1_299, 0));
    assert_eq!(bank.code(&sale.reversal(5)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_reversal_by_request_is_answered_by_its_own_type() {
    let mut bank = Bank::new();
    for (stan, mti) in [(1, "0100"), (2, "0200")] {
        let original = Sent::purchase(mti, stan, CARD, 1_299);
        bank.ask(&original);
        let reversal = original.reversal(stan + 10).again("0400");
        let answer = bank.ask(&reversal);
        assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("0410", "00"));
        assert_eq!(bank.ask(&reversal.again("0401")).as_bytes(), answer.as_bytes());
        assert_eq!(bank.money(), (0, 0));
    }
}

#[test]
fn a_hold_shrinks_to_what_a_release_leaves() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let leaving =
        |stan, mti, cents: i64| authorisation.reversal(stan).again(mti).with(95, &format!("{cents:012}{:0>30}", ""));
    assert_eq!(bank.code(&leaving(2, "0420", 7_000)), "00");
    assert_eq!(bank.money(), (0, 7_000));
    assert_eq!(bank.code(&authorisation.capture(3, 7_001)), "64");
    assert_eq!(bank.code(&leaving(4, "0400", 4_000)), "00");
    assert_eq!(bank.money(), (0, 4_000));
    // One that would leave more than stands changes nothing.
    assert_eq!(bank.code(&leaving(5, "0420", 9_000)), "00");
    assert_eq!(bank.money(), (0, 4_000));
    assert_eq!(bank.code(&authorisation.capture(6, 4_000)), "00");
    assert_eq!(bank.money(), (-4_000, 0));
}

#[test]
fn a_lesser_reversal_takes_back_its_amount_where_the_bank_means_it_so() {
    let mut bank = Bank::of("iso8583-1987-requests", Scenario::demo().unwrap());
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    assert_eq!(bank.code(&sale.reversal(2).with(4, "000000000300")), "00");
    assert_eq!(bank.money(), (-999, 0));
    assert_eq!(bank.code(&sale.reversal(3).with(4, "000000000300")), "00");
    assert_eq!(bank.money(), (-699, 0));
    assert_eq!(bank.code(&sale.reversal(4).with(4, "000000000999")), "64", "more than stands, and never said");
    assert_eq!(bank.code(&sale.reversal(5)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_void_by_request_names_its_original_in_any_of_three_ways() {
    for mti in ["0100", "0200"] {
        let mut bank = Bank::new();
        let original = Sent::purchase(mti, 1, CARD, 1_299);
        let approval = bank.ask(&original).text(38).unwrap().into_owned();
        let void = |stan| original.reversal(stan).again(mti).with(3, "020000");
        assert_eq!(bank.code(&void(2).without(90).with(38, "000000")), "25", "another approval code");
        assert_eq!(bank.code(&void(3).without(90).with(37, "RRN000000009")), "25", "another reference");
        assert_ne!(bank.money(), (0, 0));
        let by_reference = void(4).without(90);
        assert_eq!(bank.code(&by_reference), "00");
        assert_eq!(bank.money(), (0, 0));
        assert_eq!(bank.code(&by_reference.reversal(5).again("0400")), "00", "the void itself is taken back");
        assert_eq!(bank.code(&void(6).without(90).with(38, &approval)), "00");
        assert_eq!(bank.money(), (0, 0));
    }
}

#[test]
fn a_void_of_a_capture_holds_again() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let capture = authorisation.capture(2, 10_000);
    bank.ask(&capture);
    assert_eq!(bank.code(&capture.reversal(3).again("0200").with(3, "020000")), "00");
    assert_eq!(bank.money(), (0, 10_000));
    assert_eq!(bank.code(&authorisation.reversal(4).again("0100").with(3, "020000")), "00");
    assert_eq!(bank.money(), (0, 0));
}
