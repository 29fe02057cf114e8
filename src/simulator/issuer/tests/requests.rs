//! Requests of classes 1 and 2: what the account says, and the same request again.

use super::*;

#[test]
fn a_sale_is_approved_and_its_answer_echoes_the_request() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let answer = bank.ask(&sale);
    assert_eq!(answer.mti().to_string(), "0210");
    for element in [2, 3, 4, 7, 11, 25, 32, 37, 41, 42, 49] {
        assert_eq!(answer.text(element).unwrap(), sale.text(element), "element {element}");
    }
    assert_eq!(answer.text(15).unwrap(), "1122");
    assert_eq!(answer.text(38).unwrap().len(), 6);
    assert_eq!(bank.money(), (-1_299, 0));
    let entry = &bank.issuer.ledger().entries()[0];
    assert_eq!((entry.sequence, entry.kind, entry.amount), (1, Kind::Sale, 1_299));
    assert!(!format!("{entry:?}").contains(CARD), "a ledger names no card");
}

#[test]
fn every_card_of_the_demo_does_what_it_says() {
    let scenario = Scenario::demo().unwrap();
    for card in &scenario.cards {
        let Some(code) = card.about.strip_prefix("answers ").and_then(|about| about.get(..2)) else { continue };
        if !card.about.contains(": ") || card.about.contains("contradicts") || card.about.contains("code 10") {
            continue;
        }
        let mut bank = Bank::new();
        assert_eq!(bank.code(&Sent::purchase("0200", 1, card.number.reveal(), 1_000)), code, "{}", card.about);
        assert_eq!(bank.money(), (0, 0), "{}", card.about);
    }
}

#[test]
fn the_account_itself_declines() {
    let expects = |card: &str, currency: &str, cents, code: &str| {
        let mut bank = Bank::new();
        let sale = Sent::purchase("0200", 1, card, cents).with(49, currency);
        assert_eq!(bank.code(&sale), code, "{card}");
        assert_eq!(bank.money().0 == 0, code != "00");
    };
    let by_purpose = |words: &str| {
        let scenario = Scenario::demo().unwrap();
        let card = scenario.cards.iter().find(|card| card.about.contains(words)).unwrap();
        card.number.reveal().to_owned()
    };
    expects(&by_purpose("lost"), "978", 100, "41");
    expects(&by_purpose("stolen"), "978", 100, "43");
    expects(&by_purpose("no money"), "978", 100, "51");
    expects(&by_purpose("expired"), "978", 100, "54");
    expects(&by_purpose("euro only"), "840", 100, "57");
    expects(&by_purpose("euro only"), "978", 100, "00");
    expects(&by_purpose("at most 50.00"), "978", 5_001, "61");
    expects(&by_purpose("restricted"), "978", 100, "62");
    expects("4000000000007777", "978", 100, "14");
    expects("4500000012345678", "978", 100, "00");
}

#[test]
fn a_wrong_verification_code_is_told_from_none_and_from_the_right_one() {
    let mut bank = Bank::new();
    let sale = |stan| Sent::purchase("0200", stan, "4242424242424242", 100);
    assert_eq!(bank.code(&sale(1).with(48, "9203124")), "82");
    assert_eq!(bank.code(&sale(2).with(48, "0102ab9203123")), "00");
    assert_eq!(bank.code(&sale(3)), "00");
}

#[test]
fn the_balance_runs_out() {
    let mut bank = Bank::new();
    let sale = |stan| Sent::purchase("0200", stan, "4000000000000002", 6_000);
    assert_eq!(bank.code(&sale(1)), "00");
    assert_eq!(bank.code(&sale(2)), "51");
    // A hold counts as well.
    assert_eq!(bank.code(&Sent::purchase("0100", 3, "4000000000000002", 4_000)), "00");
    assert_eq!(bank.code(&Sent::purchase("0200", 4, "4000000000000002", 1)), "51");
}

#[test]
fn a_duplicate_gets_the_same_answer_and_has_no_second_effect() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let first = bank.ask(&sale);
    for mti in ["0200", "0201"] {
        let again = bank.ask(&sale.again(mti));
        assert_eq!(again.as_bytes(), first.as_bytes());
    }
    assert_eq!(bank.money(), (-1_299, 0));
    assert_eq!(bank.issuer.ledger().entries().len(), 1);
    assert_eq!(bank.issuer.counters().duplicates, 2);
    // The same key with another amount isn't the same message.
    assert_eq!(bank.code(&sale.clone().with(4, "000000001300")), "94");
    assert_eq!(bank.money(), (-1_299, 0));
}

#[test]
fn a_refund_gives_back_and_can_be_reversed() {
    let mut bank = Bank::new();
    let refund = Sent::purchase("0200", 1, CARD, 500).with(3, "200000");
    assert_eq!(bank.code(&refund), "00");
    assert_eq!(bank.money(), (500, 0));
    assert_eq!(bank.code(&refund.reversal(2)), "00");
    assert_eq!(bank.money(), (0, 0));
    assert_eq!(bank.code(&refund.capture(3, 500).with(3, "200000").without(90).with(37, "OTHER0000001")), "00");
}

#[test]
fn a_partial_approval_says_how_much() {
    let mut bank = Bank::new();
    let scenario = Scenario::demo().unwrap();
    let card = scenario.cards.iter().find(|card| card.about.contains("half")).unwrap().number.reveal();
    let sale = Sent::purchase("0200", 1, card, 1_001);
    let answer = bank.ask(&sale);
    assert_eq!((answer.text(39).unwrap().as_ref(), answer.number(4)), ("10", Some(500)));
    assert_eq!(answer.text(54).unwrap(), "0057978C000000001001");
    assert_eq!(bank.money(), (-500, 0));
    assert_eq!(bank.ask(&sale.again("0201")).as_bytes(), answer.as_bytes());
    assert_eq!(bank.code(&sale.reversal(2)), "00");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn a_balance_is_told_with_what_is_held() {
    let mut bank = Bank::new();
    bank.ask(&Sent::purchase("0200", 1, "4000000000000002", 1_000));
    bank.ask(&Sent::purchase("0100", 2, "4000000000000002", 2_000));
    let inquiry = Sent::purchase("0100", 3, "4000000000000002", 0).with(3, "310000");
    let answer = bank.ask(&inquiry);
    assert_eq!(answer.text(54).unwrap(), "0001978C0000000090000002978C000000007000");
    let verification = Sent::purchase("0100", 4, CARD, 0);
    assert_eq!(bank.code(&verification), "85");
}

#[test]
fn packed_messages_read_the_same() {
    let mut bank = Bank::speaking("iso8583-1987-bcd", "iso8583-1987", Scenario::demo().unwrap());
    let sale = Sent::purchase("0200", 1, "378282246310005", 1_299).with(48, "92041234");
    let answer = bank.ask(&sale);
    assert_eq!((answer.text(39).unwrap().as_ref(), answer.text(2).unwrap().as_ref()), ("00", sale.text(2)));
    assert_eq!(bank.code(&Sent::purchase("0200", 2, "378282246310005", 1).with(48, "92041235")), "82");
    assert_eq!(bank.code(&sale.reversal(3)), "00");
    let authorisation = Sent::purchase("0100", 4, CARD, 10_000);
    bank.ask(&authorisation);
    assert_eq!(bank.code(&authorisation.capture(5, 6_000)), "00");
    let release = authorisation.reversal(6).with(95, &format!("000000006000{:0>30}", ""));
    assert_eq!(bank.code(&release), "00");
    assert_eq!(bank.money(), (-6_000, 0));
}

#[test]
fn every_dialect_of_1987_can_buy() {
    for name in dialects::names().iter().filter(|name| Profile::suiting(name) == "iso8583-1987") {
        let spec = dialects::builtin(name).unwrap().unwrap();
        let mut probe = MessageBuilder::new("0800".parse().unwrap());
        probe.set(11, "000001").set(70, "001");
        // Those that need a header or have no DE70 are other hosts' business.
        if spec.encode_to_bytes(&probe).is_err() {
            continue;
        }
        let mut bank = Bank::speaking(name, "iso8583-1987", Scenario::demo().unwrap());
        let sale = Sent::purchase("0200", 1, CARD, 1_299);
        assert_eq!(bank.code(&sale), "00", "{name}");
        assert_eq!(bank.code(&sale.reversal(2)), "00", "{name}");
        assert_eq!(bank.money(), (0, 0), "{name}");
    }
}

#[test]
fn a_bank_of_bounded_capacity_lets_what_comes_faster_wait_its_turn() {
    let mut bank = Bank::new();
    bank.issuer = bank.issuer.clone().holding_to(NonZeroU32::new(100));
    let mut wait = |stan: u32| {
        let sale = Sent::purchase("0200", stan, CARD, 100).with(37, &format!("RRN{stan:09}"));
        bank.send(&sale)[0].after.as_millis()
    };
    assert_eq!([wait(1), wait(2), wait(3)], [10, 20, 30]);
    let echo = bank.send(&Sent::new("0800", 9).with(70, "301"));
    assert_eq!(echo[0].after, Duration::ZERO, "network messages are another desk's");
}
