//! Conversations with the issuer, message by message.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::ledger::Effect;
use super::*;
use crate::iso8583::{MessageBuilder, dialects};

const NOON: Wall = Wall(1_795_348_800_000_000); // 2026-11-22T12:00:00Z
const CARD: &str = "4111111111111111";
const LINK: Link = 7;

/// A message as a switch would build it, by element.
#[derive(Clone)]
struct Sent {
    mti: &'static str,
    elements: BTreeMap<u8, String>,
}

impl Sent {
    fn new(mti: &'static str, stan: u32) -> Self {
        let stan = format!("{stan:06}");
        let time = format!("1122{stan}");
        let mut sent = Self { mti, elements: BTreeMap::new() };
        for (element, text) in [(7, time.as_str()), (11, &stan), (32, "12345"), (37, "RRN000000001"), (41, "TERM0001")]
        {
            sent = sent.with(element, text);
        }
        sent
    }

    /// A purchase of so many cents.
    fn purchase(mti: &'static str, stan: u32, card: &str, cents: i64) -> Self {
        let sent = Self::new(mti, stan).with(2, card).with(3, "000000").with(4, &format!("{cents:012}"));
        sent.with(14, "3012").with(25, "59").with(42, "MERCHANT0000001").with(49, "978")
    }

    fn with(mut self, element: u8, text: &str) -> Self {
        self.elements.insert(element, text.to_owned());
        self
    }

    fn without(mut self, element: u8) -> Self {
        self.elements.remove(&element);
        self
    }

    fn again(&self, mti: &'static str) -> Self {
        Self { mti, ..self.clone() }
    }

    fn text(&self, element: u8) -> &str {
        &self.elements[&element]
    }

    /// What DE90 says of this message.
    fn named(&self) -> String {
        format!("{}{}{}{:0>11}{:0>11}", self.mti, self.text(11), self.text(7), self.text(32), "")
    }

    /// A reversal of this message with a STAN of its own.
    fn reversal(&self, stan: u32) -> Self {
        let mut reversal = Self::new("0420", stan).with(90, &self.named());
        for element in [2, 3, 4, 14, 25, 42, 49] {
            reversal = reversal.with(element, self.text(element));
        }
        reversal
    }

    /// A completion of this authorisation.
    fn capture(&self, stan: u32, cents: i64) -> Self {
        self.reversal(stan).again("0220").with(4, &format!("{cents:012}")).with(25, "06")
    }
}

struct Bank {
    issuer: Issuer,
    spec: Arc<Spec>,
    now: Wall,
}

impl Bank {
    fn new() -> Self {
        Self::with(Scenario::demo().unwrap())
    }

    fn with(scenario: Scenario) -> Self {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let profile = Profile::builtin("iso8583-1987").unwrap().unwrap();
        let mut issuer = Issuer::new(spec.clone(), Arc::new(profile), Arc::new(scenario), 42);
        issuer.link_up(LINK);
        let mut bank = Self { issuer, spec, now: NOON };
        assert_eq!(bank.code(&Sent::new("0800", 999_999).with(70, "001")), "00");
        bank
    }

    fn send(&mut self, sent: &Sent) -> Vec<Planned> {
        let mut builder = MessageBuilder::new(sent.mti.parse().unwrap());
        for (element, text) in &sent.elements {
            builder.set(*element, text);
        }
        let bytes = self.spec.encode_to_bytes(&builder).unwrap();
        self.issuer.receive(LINK, bytes, self.now)
    }

    fn read(&self, planned: &Planned) -> Message {
        match &planned.action {
            Action::Send(bytes) => self.spec.decode(bytes.clone()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The one answer.
    fn ask(&mut self, sent: &Sent) -> Message {
        let planned = self.send(sent);
        assert_eq!(planned.len(), 1, "{planned:?}");
        self.read(&planned[0])
    }

    /// The code of the one answer.
    fn code(&mut self, sent: &Sent) -> String {
        self.ask(sent).text(39).unwrap().into_owned()
    }

    fn effect(&self) -> Effect {
        let key = ("12345".to_owned(), "RRN000000001".to_owned());
        self.issuer.ledger().effects().get(&key).copied().unwrap_or_default()
    }

    fn money(&self) -> (i64, i64) {
        (self.effect().net, self.effect().held)
    }

    /// The same bank after a restart.
    fn restarted(&self) -> Self {
        let (spec, profile) = (self.spec.clone(), self.issuer.profile.clone());
        let mut issuer = Issuer::new(spec.clone(), profile, self.issuer.scenario.clone(), 42);
        for entry in self.issuer.ledger().entries() {
            issuer.restore(entry);
            issuer.ledger.append(entry.clone());
        }
        issuer.links.insert(LINK, Session::Working);
        Self { issuer, spec, now: self.now }
    }
}

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
    expects("4999999999999996", "978", 100, "14");
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

#[test]
fn a_restart_gives_the_same_bank() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let answer = bank.ask(&sale);
    let authorisation = Sent::purchase("0100", 2, CARD, 5_000);
    bank.ask(&authorisation);
    bank.ask(&authorisation.capture(3, 2_000));
    bank.ask(&sale.reversal(4));
    let mut restarted = bank.restarted();
    assert_eq!(restarted.ask(&sale).as_bytes(), answer.as_bytes());
    let purses = |bank: &Bank| format!("{:?}", bank.issuer.books().purses().collect::<Vec<_>>());
    assert_eq!(purses(&restarted), purses(&bank));
    assert_eq!(restarted.code(&authorisation.capture(5, 3_001)), "64");
    assert_eq!(restarted.code(&authorisation.capture(6, 3_000)), "00");
    assert_eq!(restarted.money(), (-5_000, 0));
}

#[test]
fn a_day_ends_at_the_cutover_and_a_reversal_carries_its_originals_day() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    assert_eq!(bank.ask(&sale).text(15).unwrap(), "1122");
    bank.now = Wall(NOON.0 + 13 * 3_600_000_000);
    assert_eq!(bank.ask(&Sent::purchase("0200", 2, CARD, 1)).text(15).unwrap(), "1123");
    assert_eq!(bank.ask(&sale.reversal(3)).text(15).unwrap(), "1122");
}

#[test]
fn any_bytes_are_answered_or_passed_over() {
    let mut bank = Bank::new();
    let mut random = fastrand::Rng::with_seed(11);
    let sale = Sent::purchase("0200", 1, CARD, 1_299).with(90, &"0".repeat(42)).with(48, "92");
    let mut builder = MessageBuilder::new(sale.mti.parse().unwrap());
    for (element, text) in &sale.elements {
        builder.set(*element, text);
    }
    let good = bank.spec.encode_to_bytes(&builder).unwrap();
    for _ in 0..5_000 {
        let mut bytes = good.to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = if random.u8(..8) == 0 { random.u8(..) } else { random.u8(b'0'..=b'9') };
        }
        if random.bool() {
            bytes.truncate(random.usize(..=bytes.len()));
        }
        bank.issuer.receive(LINK, bytes.into(), NOON);
    }
    let counters = bank.issuer.counters();
    assert!(counters.unreadable > 1_000 && counters.answers > 100, "{counters:?}");
}

#[test]
fn memory_is_bounded_and_balances_survive_it() {
    let mut bank = Bank::new();
    bank.issuer = bank.issuer.remembering(10);
    bank.issuer.link_up(LINK);
    bank.ask(&Sent::new("0800", 999_999).with(70, "001"));
    for stan in 1..=100 {
        bank.ask(&Sent::purchase("0200", stan, CARD, 1));
    }
    assert_eq!(bank.money(), (-100, 0));
    let (_, _, purse) = bank.issuer.books().purses().next().unwrap();
    assert_eq!(purse.net, -100);
    assert_eq!(bank.code(&Sent::purchase("0200", 1, CARD, 1).reversal(200)), "00", "forgotten, so unseen");
    assert_eq!(bank.money(), (-100, 0));
}

/// A bank under random, valid and repeated messages, with what must hold after each of them.
struct Drill {
    bank: Bank,
    random: fastrand::Rng,
    sent: Vec<Sent>,
    stan: u32,
}

impl Drill {
    fn new(seed: u64) -> Self {
        Self { bank: Bank::new(), random: fastrand::Rng::with_seed(seed), sent: Vec::new(), stan: 0 }
    }

    fn next_stan(&mut self) -> u32 {
        self.stan += 1;
        self.stan
    }

    fn some_sent(&mut self) -> Option<Sent> {
        let at = (!self.sent.is_empty()).then(|| self.random.usize(..self.sent.len()))?;
        self.sent.get(at).cloned()
    }

    fn next(&mut self) -> Sent {
        let stan = self.next_stan();
        let amount = self.random.i64(1..5_000);
        let first = |mti| Sent::purchase(mti, stan, CARD, amount).with(37, &format!("RRN{stan:09}"));
        match (self.random.u8(..9), self.some_sent()) {
            (0, _) | (_, None) => first("0200"),
            (1, _) => first("0100"),
            (2, _) => first("0200").with(3, "200000"),
            (3, _) => first("0120"),
            (4, Some(sent)) => sent.capture(stan, amount).with(37, sent.text(37)),
            (5, Some(sent)) => sent.reversal(stan).with(37, sent.text(37)),
            (6, Some(sent)) => {
                let rest = format!("{amount:012}{:0>30}", "");
                sent.reversal(stan).with(37, sent.text(37)).with(95, &rest)
            }
            (7, Some(sent)) => sent.reversal(stan).again("0200").with(3, "020000").with(37, sent.text(37)),
            (_, Some(sent)) => sent,
        }
    }

    fn step(&mut self) {
        let message = self.next();
        let repeated = self.sent.iter().any(|sent| sent.text(11) == message.text(11) && sent.mti == message.mti);
        let before = self.bank.issuer.ledger().entries().len();
        self.bank.ask(&message);
        if repeated {
            assert_eq!(self.bank.issuer.ledger().entries().len(), before, "a repeat books nothing");
        }
        self.sent.push(message);
        self.check();
    }

    fn check(&self) {
        let (books, entries) = (self.bank.issuer.books(), self.bank.issuer.ledger().entries());
        let Some((_, _, purse)) = books.purses().next() else { return };
        let sums = entries.iter().fold((0, 0), |(net, held), entry| (net + entry.net, held + entry.held));
        assert_eq!((purse.net, purse.held), sums);
        for effect in self.bank.issuer.ledger().effects().values() {
            assert!(effect.held >= 0, "{effect:?}");
        }
        for entry in entries {
            let handled = books.handled(entry.sequence).unwrap();
            assert!(handled.held >= 0 && handled.captured >= 0 && handled.standing >= 0, "{handled:?}");
        }
    }

    /// Takes everything back: voids first, since a void's reversal restores.
    fn take_all_back(&mut self) {
        let entries = self.bank.issuer.ledger().entries().to_vec();
        let order = |kind| [Kind::Void, Kind::Capture].iter().position(|first| *first == kind).unwrap_or(2);
        let mut originals: Vec<Entry> = entries.into_iter().filter(|entry| entry.kind != Kind::Reversal).collect();
        originals.sort_by_key(|entry| (order(entry.kind), std::cmp::Reverse(entry.sequence)));
        for entry in originals {
            let stan = self.next_stan();
            let sent = self.sent.iter().find(|sent| sent.text(11) == entry.identity.stan).unwrap().clone();
            self.bank.ask(&sent.reversal(stan).with(37, sent.text(37)));
            self.check();
        }
    }
}

#[test]
fn whatever_comes_the_books_add_up_and_everything_can_be_taken_back() {
    for seed in 0..20 {
        let mut drill = Drill::new(seed);
        for _ in 0..120 {
            drill.step();
        }
        let restarted = drill.bank.restarted();
        assert_eq!(format!("{:?}", restarted.issuer.books()), format!("{:?}", drill.bank.issuer.books()));
        drill.take_all_back();
        let (_, _, purse) = drill.bank.issuer.books().purses().next().unwrap();
        assert_eq!((purse.net, purse.held), (0, 0), "seed {seed}");
    }
}
