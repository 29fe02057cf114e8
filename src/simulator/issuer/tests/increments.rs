//! Authorisations that grow.

use super::*;

fn increment(of: &Sent, stan: u32, cents: i64) -> Sent {
    Sent::purchase("0100", stan, CARD, cents).with(90, &of.named())
}

#[test]
fn an_increment_adds_to_the_hold_that_a_capture_takes() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    let approval = bank.ask(&authorisation).text(38).unwrap().into_owned();
    assert_eq!(bank.code(&increment(&authorisation, 2, 2_000).with(38, &approval)), "00");
    assert_eq!(bank.money(), (0, 12_000));
    assert_eq!(bank.code(&authorisation.capture(3, 12_001)), "64");
    assert_eq!(bank.code(&authorisation.capture(4, 12_000)), "00");
    assert_eq!(bank.money(), (-12_000, 0));
    assert_eq!(bank.code(&increment(&authorisation, 5, 1)), "25", "it is captured");
    let mut again = bank.restarted();
    assert_eq!(again.code(&authorisation.capture(6, 1)), "64", "nothing is left");
}

#[test]
fn an_increment_is_taken_back_by_itself() {
    let mut bank = Bank::new();
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    let more = increment(&authorisation, 2, 2_000);
    bank.ask(&more);
    assert_eq!(bank.code(&more.reversal(3)), "00");
    assert_eq!(bank.money(), (0, 10_000), "the authorisation stays");
    assert_eq!(bank.code(&authorisation.capture(4, 10_001)), "64");
    let other = increment(&authorisation, 5, 500);
    bank.ask(&other);
    assert_eq!(bank.code(&other.reversal(6).with(95, &format!("000000000200{:0>30}", ""))), "00");
    assert_eq!(bank.money(), (0, 10_200), "a part of it stands");
    assert_eq!(bank.code(&authorisation.reversal(7)), "00");
    assert_eq!(bank.money(), (0, 0), "with all that was added");
    assert_eq!(bank.code(&other.reversal(8)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn an_increment_is_judged_like_an_authorisation() {
    let mut bank = Bank::new();
    let poor = "4000000000000515";
    let authorisation = Sent::purchase("0100", 1, CARD, 10_000);
    bank.ask(&authorisation);
    assert_eq!(bank.code(&increment(&authorisation, 2, 200_000_000)), "51");
    let stranger = increment(&authorisation, 3, 100).with(2, poor);
    assert_eq!(bank.code(&stranger), "25", "of another account");
    let unseen = Sent::purchase("0100", 9, CARD, 10_000);
    assert_eq!(bank.code(&increment(&unseen, 4, 100)), "25");
    let advice = increment(&authorisation, 5, 300).again("0120");
    assert_eq!(bank.code(&advice), "00");
    assert_eq!(bank.money(), (0, 10_300));
    assert_eq!(bank.code(&increment(&unseen, 6, 100).again("0120")), "25");
}
