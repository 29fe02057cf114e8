//! Signing on and off, echoes, and links that are dead.

use super::*;

#[test]
fn no_money_moves_on_a_link_that_has_not_signed_on() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 100);
    assert_eq!(bank.code(&Sent::new("0800", 5).with(70, "002")), "00");
    assert_eq!(bank.code(&sale), "91");
    assert_eq!(bank.money(), (0, 0));
    let echo = bank.ask(&Sent::new("0800", 6).with(70, "301"));
    assert_eq!((echo.mti().to_string().as_str(), echo.number(70)), ("0810", Some(301)));
    assert_eq!(bank.code(&Sent::new("0800", 7).with(70, "001")), "00");
    assert_eq!(bank.code(&sale), "00");
    bank.issuer.link_down(LINK);
    bank.issuer.link_up(LINK);
    assert_eq!(bank.code(&sale), "91");
}

#[test]
fn a_stalled_link_is_open_and_dead_until_it_is_made_anew() {
    let mut bank = Bank::new();
    let scenario = Scenario::demo().unwrap();
    let card = scenario.cards.iter().find(|card| card.about.contains("link dead")).unwrap().number.reveal();
    let sale = Sent::purchase("0200", 1, card, 1_299);
    assert!(bank.send(&sale).is_empty());
    assert!(bank.send(&Sent::new("0800", 2).with(70, "301")).is_empty());
    assert!(bank.send(&sale.reversal(3)).is_empty());
    assert_eq!(bank.money(), (-1_299, 0));
    bank.issuer.link_down(LINK);
    bank.issuer.link_up(LINK);
    assert_eq!(bank.code(&Sent::new("0800", 4).with(70, "001")), "00");
    assert_eq!(bank.code(&sale.reversal(3)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn network_messages_have_rules_of_their_own() {
    let rules = "[[rule]]\nabout = \"refuses the first sign-on\"\n\
                 when = { network = [\"sign-on\"], nth_from = 2, nth_to = 2 }\nthen = { code = \"91\" }\n\
                 [[rule]]\nabout = \"no echo\"\nwhen = { network = [\"echo\"] }\nthen = { reply = \"silence\" }\n";
    let mut bank = Bank::with(Scenario::read("rules.toml", rules).unwrap());
    bank.issuer.link_up(LINK);
    let sign_on = |stan| Sent::new("0800", stan).with(70, "001");
    assert_eq!(bank.code(&sign_on(1)), "91");
    assert!(!bank.issuer.is_signed_on(LINK));
    assert_eq!(bank.code(&sign_on(2)), "00");
    assert!(bank.issuer.is_signed_on(LINK));
    assert!(bank.send(&Sent::new("0800", 3).with(70, "301")).is_empty());
}
