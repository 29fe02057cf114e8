//! Advices: what has happened already is booked.

use super::*;

#[test]
fn an_advice_is_booked_whatever_the_balance_says_and_acknowledged() {
    let mut bank = Bank::new();
    let advice = Sent::purchase("0120", 1, "4000000000000002", 99_999);
    assert_eq!(bank.ask(&advice).mti().to_string(), "0130");
    assert_eq!(bank.money(), (0, 99_999));
    let sale = Sent::purchase("0220", 2, "4000000000000002", 5_000);
    assert_eq!(bank.ask(&sale).mti().to_string(), "0230");
    assert_eq!(bank.money(), (-5_000, 99_999));
}

#[test]
fn a_stand_in_advice_is_booked_once_and_completed_or_reversed_like_a_request() {
    let mut bank = Bank::new();
    let advice = Sent::purchase("0120", 1, CARD, 10_000).with(38, "STAND1");
    let first = bank.ask(&advice);
    assert_eq!((first.mti().to_string().as_str(), first.text(39).unwrap().as_ref()), ("0130", "00"));
    assert_eq!(bank.ask(&advice.again("0121")).as_bytes(), first.as_bytes());
    assert_eq!(bank.money(), (0, 10_000));
    assert_eq!(bank.code(&advice.capture(2, 4_000)), "00");
    assert_eq!(bank.money(), (-4_000, 6_000));
    assert_eq!(bank.code(&advice.reversal(3)), "00");
    assert_eq!(bank.money(), (-4_000, 0));
}

#[test]
fn a_scenario_refuses_an_advice_and_its_repeat_is_decided_anew() {
    let scenario = "[[rule]]\nabout = \"refused once\"\nwhen = { mti = [\"0120\"], nth = 1 }\n\
                    then = { code = \"57\" }\n";
    let mine = Scenario::read("mine.toml", scenario).unwrap();
    let mut bank = Bank::with(mine.before(Scenario::demo().unwrap()));
    let advice = Sent::purchase("0120", 1, CARD, 10_000);
    assert_eq!(bank.code(&advice), "57");
    assert_eq!((bank.money(), bank.issuer.ledger().entries().len()), ((0, 0), 0));
    assert_eq!(bank.code(&advice.again("0121")), "00");
    assert_eq!(bank.money(), (0, 10_000));
}

#[test]
fn a_refund_comes_as_an_advice_too() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let refund = sale.capture(2, 500).with(3, "200000");
    let answer = bank.ask(&refund);
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("0230", "00"));
    assert_eq!(bank.ask(&refund.again("0221")).as_bytes(), answer.as_bytes());
    assert_eq!(bank.money(), (-799, 0));
    assert_eq!(bank.code(&refund.reversal(3)), "00");
    assert_eq!(bank.money(), (-1_299, 0));
}
