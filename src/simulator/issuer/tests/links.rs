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

fn planned_by_the_clock(bank: &mut Bank, seconds: i64) -> Vec<Planned> {
    bank.now = Wall(NOON.0 + seconds * 1_000_000);
    bank.issuer.tick(bank.now)
}

#[test]
fn an_outage_closes_links_or_leaves_them_deaf_for_its_time() {
    let outage = "[[outage]]\nabout = \"\"\nfrom_ms = 1000\nto_ms = 2000\nlinks = ";
    for links in ["closed", "deaf"] {
        let mine = Scenario::read("mine.toml", &format!("{outage}\"{links}\"\n")).unwrap();
        let mut bank = Bank::with(mine.before(Scenario::demo().unwrap()));
        let sale = Sent::purchase("0200", 1, CARD, 100);
        assert!(planned_by_the_clock(&mut bank, 0).is_empty());
        let planned = planned_by_the_clock(&mut bank, 1);
        let closed = planned.iter().any(|planned| planned.action == Action::Close);
        assert_eq!(closed, links == "closed");
        if links == "deaf" {
            assert!(bank.send(&sale).is_empty() && bank.send(&Sent::new("0800", 2).with(70, "301")).is_empty());
        }
        assert!(planned_by_the_clock(&mut bank, 2).is_empty());
        assert_eq!(bank.code(&sale), "00");
        assert_eq!(bank.money(), (-100, 0));
    }
}

#[test]
fn an_ordered_outage_lasts_until_it_is_ended() {
    let mut bank = Bank::new();
    bank.issuer.order_outage(Some(Down::Deaf));
    assert!(bank.send(&Sent::new("0800", 2).with(70, "301")).is_empty());
    bank.issuer.order_outage(None);
    assert_eq!(bank.code(&Sent::new("0800", 3).with(70, "301")), "00");
}

#[test]
fn events_happen_at_their_time() {
    let events = "[[event]]\nabout = \"\"\ndo = \"cutover\"\nat_ms = 1000\n\
                  [[event]]\nabout = \"\"\ndo = \"key-change\"\nevery_ms = 2000\n\
                  [[event]]\nabout = \"\"\ndo = \"sign-off\"\nat_ms = 3000\n";
    let mine = Scenario::read("mine.toml", events).unwrap();
    let mut bank = Bank::with(mine.before(Scenario::demo().unwrap()));
    let mut codes = Vec::new();
    for second in 0..=3 {
        let planned = planned_by_the_clock(&mut bank, second);
        codes.extend(planned.iter().map(|planned| bank.read(planned).text(70).unwrap().into_owned()));
    }
    assert_eq!(codes, ["201", "101", "002"]);
    assert_eq!(bank.code(&Sent::purchase("0200", 1, CARD, 100)), "91", "the bank has signed off");
}

#[test]
fn a_rule_has_the_bank_ask_something_after_its_answer() {
    let rule = "[[rule]]\nabout = \"\"\nwhen = { nth = 1 }\nthen = { asks = [\"key-change\", \"cutover\"] }\n";
    let mut bank = Bank::with(Scenario::read("mine.toml", rule).unwrap().before(Scenario::demo().unwrap()));
    let planned = bank.send(&Sent::purchase("0200", 1, CARD, 100));
    let types: Vec<String> = planned.iter().map(|planned| bank.read(planned).mti().to_string()).collect();
    assert_eq!(types, ["0210", "0800", "0800"]);
    assert_eq!(bank.read(&planned[1]).text(70).unwrap(), "101");
    assert_eq!(bank.ask(&Sent::purchase("0200", 2, CARD, 100)).text(15).unwrap(), "1123");
}

#[test]
fn a_bank_that_dials_out_may_sign_on_itself() {
    for (code, expected) in [("00", LinkState::SignedOn), ("91", LinkState::SignedOff)] {
        let mut bank = Bank::new();
        bank.issuer.link_up(8);
        let planned = bank.issuer.sign_on(8, NOON);
        let question = bank.read(&planned[0]);
        assert_eq!((planned[0].link, question.text(70).unwrap().as_ref()), (8, "001"));
        let answer = Sent::new("0810", 0).with(11, &question.text(11).unwrap()).with(39, code).with(70, "001");
        let mut builder = MessageBuilder::new("0810".parse().unwrap());
        answer.elements.iter().for_each(|(element, text)| {
            builder.set(*element, text);
        });
        bank.issuer.receive(8, bank.spec.encode_to_bytes(&builder).unwrap(), NOON);
        let state = bank.issuer.links().find(|(link, _)| *link == 8).unwrap().1;
        assert_eq!(state, expected);
    }
}

#[test]
fn a_bank_without_sign_on_takes_money_at_once() {
    let text = "extends = \"iso8583-1987\"\n[practice]\nneeds_sign_on = false\n";
    let mut bank = Bank::new();
    let profile = Arc::new(Profile::read("mine.toml", text).unwrap());
    bank.issuer = Issuer::new(bank.spec.clone(), profile, Arc::new(Scenario::demo().unwrap()), 1);
    bank.issuer.link_up(LINK);
    assert_eq!(bank.code(&Sent::purchase("0200", 1, CARD, 100)), "00");
}
