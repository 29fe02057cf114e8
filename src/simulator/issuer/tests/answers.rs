//! Answers that a scenario withholds, delays or spoils.

use super::*;

#[test]
fn silence_is_for_the_request_and_not_for_its_reversal() {
    let mut bank = Bank::new();
    let scenario = Scenario::demo().unwrap();
    let silent = scenario.cards.iter().find(|card| card.about.contains("never answers;")).unwrap().number.reveal();
    let sale = Sent::purchase("0200", 1, silent, 1_299);
    assert!(bank.send(&sale).is_empty());
    assert_eq!(bank.money(), (-1_299, 0));
    assert_eq!(bank.code(&sale.reversal(2)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn the_first_two_reversals_of_each_payment_can_go_unanswered() {
    let mut bank = Bank::new();
    let scenario = Scenario::demo().unwrap();
    let card = scenario.cards.iter().find(|card| card.about.contains("first two")).unwrap().number.reveal();
    for payment in 1..3 {
        let rrn = format!("RRN00000000{payment}");
        let sale = Sent::purchase("0200", payment, card, 1_299).with(37, &rrn);
        assert!(bank.send(&sale).is_empty());
        let reversal = sale.reversal(10 + payment).with(37, &rrn);
        assert!(bank.send(&reversal).is_empty());
        assert!(bank.send(&reversal.again("0421")).is_empty());
        assert_eq!(bank.code(&reversal.again("0421")), "00");
    }
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_late_answer_comes_with_the_reversal() {
    let scenario = Scenario::demo().unwrap();
    let by = |words: &str| {
        let card = scenario.cards.iter().find(|card| card.about.contains(words)).unwrap();
        card.number.reveal().to_owned()
    };
    for (card, types) in [(by("only after the reversal"), ["0430", "0210"]), (by("just before"), ["0210", "0430"])] {
        let mut bank = Bank::new();
        let sale = Sent::purchase("0200", 1, &card, 1_299);
        assert!(bank.send(&sale).is_empty());
        let planned = bank.send(&sale.reversal(2));
        let seen: Vec<String> = planned.iter().map(|planned| bank.read(planned).mti().to_string()).collect();
        assert_eq!(seen, types);
        assert_eq!(bank.money(), (0, 0));
        assert_eq!(bank.send(&sale.reversal(2).again("0421")).len(), 1, "only once");
    }
}

#[test]
fn answers_can_be_copied_delayed_spoiled_replaced_or_dropped() {
    let planned = |words: &str| {
        let scenario = Scenario::demo().unwrap();
        let card = scenario.cards.iter().find(|card| card.about.contains(words)).unwrap();
        let mut bank = Bank::new();
        let sale = Sent::purchase("0200", 1, card.number.reveal(), 1_299);
        let planned = bank.send(&sale);
        (bank, planned)
    };
    let (_, copies) = planned("three times");
    assert!(copies.len() == 3 && copies[0] == copies[2]);
    assert_eq!(planned("after 2 seconds").1[0].after, Duration::from_secs(2));
    let jitter = planned("after 100 to 600").1[0].after;
    assert!((100..=600).contains(&jitter.as_millis()), "{jitter:?}");
    let (bank, spoiled) = planned("another STAN");
    assert_eq!(bank.read(&spoiled[0]).text(11).unwrap(), "000002");
    let (bank, spoiled) = planned("another amount");
    assert_ne!(bank.read(&spoiled[0]).number(4), Some(1_299));
    let (_, dropped) = planned("closes the link without an answer");
    assert_eq!(dropped[0].action, Action::Close);
    let (bank, unframed) = planned("aren't even a frame");
    assert!(matches!(unframed[0].action, Action::SendUnframed(_)));
    assert_eq!(bank.money(), (-1_299, 0));
    let (bank, unseen) = planned("never sees");
    assert!(unseen.is_empty() && bank.issuer.ledger().entries().is_empty());
    let (bank, truncated) = planned("breaks off");
    let Action::Send(bytes) = &truncated[0].action else { panic!() };
    assert!(bank.spec.decode(bytes.clone()).is_err());
}
