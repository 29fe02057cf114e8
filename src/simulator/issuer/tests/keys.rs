//! Key exchange: asked for by a peer, brought by a peer, sent by the bank; overlap and restart.

use super::super::super::exchange::Carrier;
use super::super::super::keys::{Keys, Working};
use super::super::super::profile::MacPractice;
use super::super::super::sealing::Seal;
use super::macs::mac_key;
use super::*;
use crate::security::{Key, KeyFault, KeyKind, KeyUsage};
use std::time::Duration;

const ZONE: &str = "133457799BBCDFF1F0E1D2C3B4A59687";
const FIRST: &str = "0123456789ABCDEFFEDCBA9876543210";
const OVERLAP_S: i64 = 60;

/// A bank with keys, and a peer that has the same.
struct Zone {
    bank: Bank,
    profile: Arc<Profile>,
    zone: Key,
    /// The peer's key for MACs.
    mac: Arc<Key>,
    stan: u32,
}

impl Zone {
    fn new() -> Self {
        Self::under(Scenario::demo().unwrap())
    }

    fn under(scenario: Scenario) -> Self {
        let zone = Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, ZONE).unwrap();
        Self::of("extends = \"iso8583-1987\"\n", zone, scenario)
    }

    fn of(profile: &str, zone: Key, scenario: Scenario) -> Self {
        let profile = Arc::new(Profile::read("mine.toml", profile).unwrap());
        let kind = if zone.kind().is_aes() { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        let mac = mac_key(kind, FIRST);
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let issuer = Self::issuer(&spec, &profile, &zone, &mac, scenario);
        Self { bank: Bank { issuer, spec, now: NOON }, profile, zone, mac, stan: 0 }
    }

    fn issuer(spec: &Arc<Spec>, profile: &Arc<Profile>, zone: &Key, mac: &Arc<Key>, scenario: Scenario) -> Issuer {
        let first = Working { mac: Some(mac.clone()), pin: None };
        let keys = Keys { zone: Some(zone.clone()), first, overlap: Duration::from_secs(OVERLAP_S as u64) };
        let mut issuer = Issuer::new(spec.clone(), profile.clone(), Arc::new(scenario), 42).with_keys(Some(keys));
        issuer.links.insert(LINK, Session::Working);
        issuer
    }

    fn practice(&self) -> &MacPractice {
        &self.profile.mac
    }

    fn carrier(&self) -> Carrier<'_> {
        Carrier { profile: &self.profile, zone: &self.zone }
    }

    /// A sale under a key: its code, and whether the answer is under the same key.
    fn pay(&mut self, key: &Key) -> (String, bool) {
        self.stan += 1;
        let sale = Sent::purchase("0200", self.stan, CARD, 100);
        let mut builder = MessageBuilder::new(sale.mti.parse().unwrap());
        sale.elements.iter().for_each(|(element, text)| {
            builder.set(*element, text);
        });
        let seal = Seal { practice: &self.profile.mac, key };
        let planned = self.bank.issuer.receive(LINK, seal.put(&self.bank.spec, &mut builder).unwrap(), self.bank.now);
        let answer = self.bank.read(&planned[0]);
        let is_same = Seal { practice: self.practice(), key }.check(&answer) == Some(true);
        (answer.text(39).unwrap().into_owned(), is_same)
    }

    fn is_taken(&mut self, key: &Key) -> bool {
        match self.pay(key) {
            (code, true) if code == "00" => true,
            (code, false) if code == "98" => false,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for new keys, and gives what the answer brings.
    fn request(&mut self) -> Result<Working, KeyFault> {
        let answer = self.bank.ask(&Sent::new("0800", 500).with(70, "101"));
        assert_eq!(answer.text(39).unwrap(), "00");
        self.carrier().read(&self.carrier().find(&answer).unwrap())
    }

    fn pass(&mut self, seconds: i64) {
        self.bank.now = Wall(self.bank.now.0 + seconds * 1_000_000);
    }

    fn answer(&mut self, question: &Message, code: &str) {
        let mut builder = MessageBuilder::new("0810".parse().unwrap());
        builder.set(11, question.text(11).unwrap()).set(39, code).set(70, "101");
        let bytes = self.bank.spec.encode_to_bytes(&builder).unwrap();
        assert!(self.bank.issuer.receive(LINK, bytes, self.bank.now).is_empty());
    }

    /// What the bank sends of its own accord.
    fn sent_by_the_bank(&mut self, act: crate::simulator::Act) -> Message {
        let planned = self.bank.issuer.act(act, self.bank.now);
        assert_eq!(planned.len(), 1);
        self.bank.read(&planned[0])
    }
}

#[test]
fn a_peer_that_asks_gets_new_keys_and_the_old_ones_are_taken_for_a_while() {
    let mut zone = Zone::new();
    let old = zone.mac.clone();
    assert!(zone.is_taken(&old));
    let new = zone.request().unwrap().mac.unwrap();
    assert_ne!(new, old);
    assert!(zone.is_taken(&new) && zone.is_taken(&old) && zone.is_taken(&new));
    zone.pass(OVERLAP_S);
    assert!(zone.is_taken(&new) && !zone.is_taken(&old));
    let newer = zone.request().unwrap().mac.unwrap();
    assert!(zone.is_taken(&newer) && zone.is_taken(&new) && !zone.is_taken(&old));
    let lines = zone.bank.issuer.keys();
    assert_eq!((lines.len(), lines[0].number, lines[0].offered), (1, 2, false));
    assert_eq!(lines[0].mac, Some(crate::security::CheckValue::of(&newer).to_string()));
}

#[test]
fn keys_outlive_the_bank() {
    let mut zone = Zone::new();
    let old = zone.mac.clone();
    let new = zone.request().unwrap().mac.unwrap();
    let entries = zone.bank.issuer.take_entries();
    assert_eq!(entries[0].kind, Kind::KeyChange);
    assert!(!format!("{entries:?}").contains(FIRST));
    let mut again = Zone::new();
    entries.iter().for_each(|entry| again.bank.issuer.restore(entry));
    again.pass(OVERLAP_S);
    assert!(again.is_taken(&new) && !again.is_taken(&old));
    assert_ne!(again.request().unwrap().mac.unwrap(), new, "the next ones are others");
}

#[test]
fn keys_that_a_peer_brings_are_taken_where_their_check_values_agree() {
    let mut zone = Zone::new();
    let mut brought = Working { mac: Some(mac_key(KeyKind::Tdes2, "89ABCDEF0123456776543210FEDCBA98")), pin: None };
    let pin = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "1C2B3A495867F6E5D4C3B2A190817263").unwrap();
    brought.pin = Some(Arc::new(pin));
    let old = zone.mac.clone();
    let bring = |spoiled| zone.carrier().write(&brought, spoiled, &[0; 32]).unwrap();
    let (right, wrong) = (bring(false), bring(true));
    let change = Sent::new("0800", 500).with(70, "101");
    assert_eq!(zone.bank.code(&change.clone().with(48, &wrong)), "97");
    assert_eq!(zone.bank.code(&change.clone().with(48, "00")), "97");
    assert!(zone.is_taken(&old));
    let answer = zone.bank.ask(&change.with(48, &right));
    assert_eq!((answer.text(39).unwrap().as_ref(), answer.has(48)), ("00", false));
    assert!(zone.is_taken(&brought.mac.unwrap()));
    let counters = zone.bank.issuer.counters();
    assert_eq!((counters.keys_changed, counters.keys_refused), (1, 2));
}

#[test]
fn keys_that_the_bank_sends_are_in_force_when_the_peer_agrees_or_uses_them() {
    for uses_them in [false, true] {
        let mut zone = Zone::new();
        let old = zone.mac.clone();
        let question = zone.sent_by_the_bank(crate::simulator::Act::NewKeys);
        assert_eq!((question.mti().to_string().as_str(), question.text(70).unwrap().as_ref()), ("0800", "101"));
        let new = zone.carrier().read(&question.text(48).unwrap()).unwrap().mac.unwrap();
        zone.pass(OVERLAP_S);
        assert!(zone.is_taken(&old), "nobody has agreed");
        match uses_them {
            true => assert!(zone.is_taken(&new)),
            false => zone.answer(&question, "00"),
        }
        assert!(zone.is_taken(&new) && zone.is_taken(&old));
        zone.pass(OVERLAP_S);
        assert!(zone.is_taken(&new) && !zone.is_taken(&old));
    }
}

#[test]
fn keys_that_a_peer_refuses_never_come_into_force() {
    let mut zone = Zone::new();
    let old = zone.mac.clone();
    let question = zone.sent_by_the_bank(crate::simulator::Act::WrongKeys);
    let content = question.text(48).unwrap().into_owned();
    assert_eq!(zone.carrier().read(&content).unwrap_err(), KeyFault::CheckValue);
    zone.answer(&question, "97");
    zone.pass(OVERLAP_S);
    assert!(zone.is_taken(&old));
    let counters = zone.bank.issuer.counters();
    assert_eq!((counters.keys_changed, counters.keys_refused), (0, 1));
    zone.answer(&question, "00");
    assert_eq!(zone.bank.issuer.counters().keys_changed, 0, "it was taken back");
}

#[test]
fn a_scenario_gives_keys_a_wrong_check_value_or_none_at_all() {
    let rules = "[[rule]]\nabout = \"\"\nwhen = { network = [\"key-change\"], nth = 1 }\n\
                 then = { wrong = [\"check-value\"] }\n\
                 [[rule]]\nabout = \"\"\nwhen = { network = [\"key-change\"], nth = 1 }\nthen = { code = \"96\" }\n\
                 [[rule]]\nabout = \"\"\nwhen = { nth = 3 }\nthen = { asks = [\"new-keys\"] }\n";
    let scenario = Scenario::read("mine.toml", rules).unwrap().before(Scenario::demo().unwrap());
    let mut zone = Zone::under(scenario);
    assert_eq!(zone.request().unwrap_err(), KeyFault::CheckValue);
    let old = zone.mac.clone();
    assert!(zone.is_taken(&old), "a peer that refuses them goes on");
    let refused = zone.bank.ask(&Sent::new("0800", 500).with(70, "101"));
    assert_eq!((refused.text(39).unwrap().as_ref(), refused.has(48)), ("96", false));
    assert!(zone.is_taken(&old));
    zone.stan += 1;
    let sale = Sent::purchase("0200", zone.stan, CARD, 100);
    let mut builder = MessageBuilder::new("0200".parse().unwrap());
    sale.elements.iter().for_each(|(element, text)| {
        builder.set(*element, text);
    });
    let bytes = Seal { practice: zone.practice(), key: &old }.put(&zone.bank.spec, &mut builder).unwrap();
    let planned = zone.bank.issuer.receive(LINK, bytes, NOON);
    assert_eq!(planned.len(), 2);
    assert!(zone.bank.read(&planned[1]).has(48), "and then the bank brings new ones");
}

#[test]
fn aes_keys_travel_in_key_blocks() {
    let profile = "extends = \"iso8583-1987\"\n[mac]\nmethod = \"aes-cmac\"\n[pin]\nformat = 4\n\
                   [key_exchange]\nwrapping = \"key-block\"\n\
                   keys = [{ for = \"mac\", bytes = 16, check_bytes = 0 }, { for = \"pin\", bytes = 16 }]\n";
    let zone = Key::parse(KeyKind::Aes128, KeyUsage::KeyBlocks, ZONE).unwrap();
    let mut zone = Zone::of(profile, zone, Scenario::demo().unwrap());
    let keys = zone.request().unwrap();
    assert_eq!(keys.pin.unwrap().kind(), KeyKind::Aes128);
    let new = keys.mac.unwrap();
    assert!(zone.is_taken(&new));
    let question = zone.sent_by_the_bank(crate::simulator::Act::WrongKeys);
    assert_eq!(zone.carrier().read(&question.text(48).unwrap()).unwrap_err(), KeyFault::CheckValue);
}

#[test]
fn a_bank_without_keys_gives_none() {
    let mut bank = Bank::new();
    assert_eq!(bank.code(&Sent::new("0800", 5).with(70, "101")), "12");
    assert!(bank.issuer.act(crate::simulator::Act::NewKeys, NOON).is_empty());
    assert!(bank.issuer.keys().is_empty());
    let with_mac = Sent::purchase("0200", 1, CARD, 100).with(64, "0000000000000000").with(52, "0000000000000000");
    assert_eq!(bank.code(&with_mac), "00", "it looks at nothing");
}

/// A terminal's sign-in: the layout of UnionPay, each terminal with keys of its own.
#[test]
fn terminals_sign_in_for_keys_of_their_own() {
    let spec = dialects::builtin("unionpay-pos").unwrap().unwrap();
    let profile = Arc::new(Profile::builtin("unionpay-pos").unwrap().unwrap());
    let zone = Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, ZONE).unwrap();
    let keys = Keys { zone: Some(zone.clone()), first: Working::default(), overlap: Duration::ZERO };
    let scenario = Arc::new(Scenario::demo().unwrap());
    let mut issuer = Issuer::new(spec.clone(), profile.clone(), scenario, 42).with_keys(Some(keys));
    issuer.link_up(LINK);
    let mut ask = |terminal: &str, mti: &str, elements: &[(u8, &str)], key: Option<&Key>| {
        let header = [0x60, 0x00, 0x03, 0x00, 0x00, 0x60, 0x31, 0x00, 0x31, 0x01, 0x00];
        let mut builder = MessageBuilder::new(mti.parse().unwrap()).header(&header);
        builder.set(41, terminal).set(42, "MERCHANT0000001");
        elements.iter().for_each(|(element, text)| {
            builder.set(*element, text);
        });
        let bytes = match key {
            Some(key) => Seal { practice: &profile.mac, key }.put(&spec, &mut builder).unwrap(),
            None => spec.encode_to_bytes(&builder).unwrap(),
        };
        let planned = issuer.receive(LINK, bytes, NOON);
        let Action::Send(bytes) = &planned[0].action else { panic!("{planned:?}") };
        spec.decode(bytes.clone()).unwrap()
    };
    let sale = [(2, CARD), (3, "000000"), (4, "000000000100"), (11, "000002"), (25, "00"), (49, "156")];
    let sale: Vec<(u8, &str)> = sale.into_iter().chain([(60, "22000001000601")]).collect();
    assert_eq!(ask("TERM0001", "0200", &sale, None).text(39).unwrap(), "A0", "it has to sign in first");
    let mut keys = Vec::new();
    for terminal in ["TERM0001", "TERM0002"] {
        let answer = ask(terminal, "0800", &[(11, "000001"), (60, "00000001003")], None);
        assert_eq!((answer.text(39).unwrap().as_ref(), answer.binary(62).unwrap().len()), ("00", 40));
        let carrier = Carrier { profile: &profile, zone: &zone };
        keys.push(carrier.read(&carrier.find(&answer).unwrap()).unwrap());
    }
    let mac = |at: usize| keys[at].mac.clone().unwrap();
    assert_eq!((mac(0).kind(), keys[0].pin.as_ref().unwrap().kind()), (KeyKind::Des, KeyKind::Tdes2));
    let answer = ask("TERM0001", "0200", &sale, Some(&mac(0)));
    assert_eq!(answer.text(39).unwrap(), "00");
    assert_eq!(Seal { practice: &profile.mac, key: &mac(0) }.check(&answer), Some(true));
    assert_eq!(ask("TERM0001", "0200", &sale, Some(&mac(1))).text(39).unwrap(), "A0");
    assert_eq!(ask("TERM0002", "0200", &sale, Some(&mac(1))).text(39).unwrap(), "00");
}
