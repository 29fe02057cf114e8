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

/// The demo's bank under one rule of one's own.
fn under(rule: &str) -> Bank {
    let mine = Scenario::read("mine.toml", &format!("[[rule]]\nabout = \"\"\n{rule}")).unwrap();
    Bank::with(mine.before(Scenario::demo().unwrap()))
}

fn stans(bank: &Bank, planned: &[Planned]) -> Vec<String> {
    planned.iter().map(|planned| bank.read(planned).text(11).unwrap().into_owned()).collect()
}

#[test]
fn an_answer_is_overtaken_by_the_next_on_its_link_or_leaves_with_it() {
    for (reply, order) in [("overtaken", ["000002", "000001"]), ("merged", ["000001", "000002"])] {
        let mut bank = under(&format!("when = {{ nth = 1 }}\nthen = {{ reply = \"{reply}\" }}\n"));
        assert!(bank.send(&Sent::purchase("0200", 1, CARD, 100)).is_empty());
        let planned = bank.send(&Sent::purchase("0200", 2, CARD, 100));
        assert_eq!(stans(&bank, &planned), order);
        assert_eq!(planned[0].after, planned[1].after, "in one write");
        assert_eq!(bank.money(), (-200, 0));
    }
}

#[test]
fn an_answer_that_waits_for_another_is_lost_with_its_link() {
    let mut bank = under("when = { nth = 1 }\nthen = { reply = \"overtaken\" }\n");
    assert!(bank.send(&Sent::purchase("0200", 1, CARD, 100)).is_empty());
    bank.issuer.link_down(LINK);
    bank.issuer.link_up(LINK);
    bank.ask(&Sent::new("0800", 5).with(70, "001"));
    let planned = bank.send(&Sent::purchase("0200", 2, CARD, 100));
    assert_eq!(stans(&bank, &planned), ["000002"]);
}

#[test]
fn a_scrambled_answer_is_as_long_and_another() {
    let mut bank = under("when = { nth = 1 }\nthen = { reply = \"scrambled\" }\n");
    let sale = Sent::purchase("0200", 1, CARD, 100);
    let planned = bank.send(&sale);
    let Action::Send(scrambled) = planned[0].action.clone() else { panic!("{planned:?}") };
    let good = bank.ask(&sale);
    assert_eq!((scrambled.len(), &scrambled[..4]), (good.as_bytes().len(), &b"0210"[..]));
    assert_ne!(scrambled, good.as_bytes());
    assert_eq!(bank.money(), (-100, 0));
}

#[test]
fn another_mac_differs_in_the_mac_alone() {
    let bank = Bank::new();
    let pen = Pen { spec: &bank.spec, profile: &bank.issuer.profile, key: None };
    let mut builder = MessageBuilder::new("0210".parse().unwrap());
    builder.set(11, "000001").set(39, "00").set_binary(64, &[0x1A; 8]);
    let good = bank.spec.encode_to_bytes(&builder).unwrap();
    let bad = pen.with_another_mac(good.clone());
    let differing: Vec<usize> = (0..good.len()).filter(|at| good[*at] != bad[*at]).collect();
    let span = bank.spec.decode(good).unwrap().span(64).unwrap();
    assert_eq!(differing, [span.start]);
}

#[test]
fn frames_leave_in_pieces_and_the_link_goes_unread_where_it_is_asked_for() {
    let mut bank = under("then = { pieces = 3, piece_pause_ms = 20, read_pause_ms = 500 }\n");
    let planned = bank.send(&Sent::purchase("0200", 1, CARD, 100));
    assert_eq!(planned[0].manner, Manner { pieces: 3, pause: Duration::from_millis(20) });
    assert_eq!(planned[1].action, Action::PauseReading(Duration::from_millis(500)));
    let mut bank = under("then = { reply = \"reset\" }\n");
    assert_eq!(bank.send(&Sent::purchase("0200", 1, CARD, 100))[0].action, Action::Reset);
    assert_eq!(bank.money(), (-100, 0));
}

#[test]
fn rules_hold_in_their_time_by_chance_or_every_so_often() {
    let mut bank = under("when = { from_ms = 1000, to_ms = 2000 }\nthen = { code = \"91\" }\n");
    let codes: Vec<String> = (0..3)
        .map(|second| {
            bank.now = Wall(NOON.0 + second * 1_000_000);
            bank.code(&Sent::purchase("0200", 1 + second as u32, CARD, 100))
        })
        .collect();
    assert_eq!(codes, ["00", "91", "00"]);
    let mut bank = under("when = { every = 3 }\nthen = { code = \"91\" }\n");
    let codes: Vec<String> = (1..=6).map(|stan| bank.code(&Sent::purchase("0200", stan, CARD, 100))).collect();
    assert_eq!(codes, ["00", "00", "91", "00", "00", "91"]);
    let mut bank = under("when = { chance_percent = 30 }\nthen = { code = \"91\" }\n");
    let refused = (1..=500).filter(|stan| bank.code(&Sent::purchase("0200", *stan, CARD, 100)) == "91").count();
    assert!((110..190).contains(&refused), "{refused} of 500");
    assert_eq!(bank.issuer.applied()[0], refused as u64);
}

#[test]
fn another_scenario_takes_over_while_the_accounts_stay() {
    let mut bank = under("then = { code = \"91\" }\n");
    assert_eq!(bank.code(&Sent::purchase("0200", 1, "4000000000000002", 6_000)), "91");
    bank.issuer.follow(Arc::new(Scenario::demo().unwrap()));
    assert_eq!(bank.code(&Sent::purchase("0200", 2, "4000000000000002", 6_000)), "00");
    bank.issuer.follow(Arc::new(Scenario::demo().unwrap()));
    assert_eq!(bank.code(&Sent::purchase("0200", 3, "4000000000000002", 6_000)), "51");
}
