//! MACs on what arrives and on what leaves.

use super::super::super::keys::{Keys, Working};
use super::super::super::sealing::Seal;
use super::*;
use crate::security::{Key, KeyKind, KeyUsage};
use std::time::Duration;

const DIGITS: &str = "0123456789ABCDEFFEDCBA9876543210";

pub(super) fn mac_key(kind: KeyKind, digits: &str) -> Arc<Key> {
    Arc::new(Key::parse(kind, KeyUsage::Mac, digits).unwrap())
}

/// A bank whose profile says this of MACs, and the seal of its peers.
struct Sealed {
    bank: Bank,
    profile: Arc<Profile>,
    key: Arc<Key>,
}

impl Sealed {
    fn new(dialect: &str, mac: &str, scenario: Scenario) -> Self {
        let is_aes = mac.contains("aes");
        let key = mac_key(if is_aes { KeyKind::Aes128 } else { KeyKind::Tdes2 }, DIGITS);
        // AES keys aren't exchanged this way.
        let exchange = if is_aes { "[key_exchange]\nkeys = []\n" } else { "" };
        let text = format!("extends = \"iso8583-1987\"\n[mac]\n{mac}\n{exchange}");
        let profile = Arc::new(Profile::read("mine.toml", &text).unwrap());
        let first = Working { mac: Some(key.clone()), pin: None };
        let keys = Keys { zone: None, first, overlap: Duration::ZERO };
        let mut bank = Bank::speaking(dialect, "iso8583-1987", Scenario::default());
        bank.issuer = Issuer::new(bank.spec.clone(), profile.clone(), Arc::new(scenario), 42).with_keys(Some(keys));
        bank.issuer.links.insert(LINK, Session::Working);
        Self { bank, profile, key }
    }

    fn seal(&self) -> Seal<'_> {
        Seal { practice: &self.profile.mac, key: &self.key }
    }

    fn sealed(&self, sent: &Sent) -> Bytes {
        let mut builder = MessageBuilder::new(sent.mti.parse().unwrap());
        for (element, text) in &sent.elements {
            builder.set(*element, text);
        }
        self.seal().put(&self.bank.spec, &mut builder).unwrap()
    }

    fn ask(&mut self, sent: &Sent) -> Message {
        let bytes = self.sealed(sent);
        let planned = self.bank.issuer.receive(LINK, bytes, self.bank.now);
        self.bank.read(&planned[0])
    }

    fn bad_macs(&self) -> u64 {
        self.bank.issuer.counters().bad_macs
    }
}

#[test]
fn what_arrives_is_checked_and_what_leaves_is_sealed() {
    for dialect in ["iso8583-1987-ascii", "iso8583-1987-bcd"] {
        for method in ["x9.9", "x9.19", "aes-cmac", "unionpay-ecb"] {
            let mut sealed = Sealed::new(dialect, &format!("method = \"{method}\""), Scenario::demo().unwrap());
            let sale = Sent::purchase("0200", 1, CARD, 1_299);
            let answer = sealed.ask(&sale);
            assert_eq!(answer.text(39).unwrap(), "00", "{method}");
            assert_eq!(sealed.seal().check(&answer), Some(true), "{method}");
            let reversal = sealed.ask(&sale.reversal(2));
            assert!(reversal.has(64) && sealed.seal().check(&reversal) == Some(true));
            assert_eq!(sealed.bank.money(), (0, 0));
        }
    }
}

#[test]
fn a_wrong_or_missing_mac_moves_no_money() {
    let mut sealed = Sealed::new("iso8583-1987-ascii", "method = \"x9.19\"", Scenario::demo().unwrap());
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let refused = sealed.bank.ask(&sale);
    assert_eq!(refused.text(39).unwrap(), "98", "without");
    assert_eq!(sealed.seal().check(&refused), Some(true), "the refusal itself is sealed");
    let own = std::mem::replace(&mut sealed.key, mac_key(KeyKind::Tdes2, "133457799BBCDFF1F0E1D2C3B4A59687"));
    assert_eq!(sealed.ask(&sale).text(39).unwrap(), "98", "under another key");
    sealed.key = own;
    let mut bytes = sealed.sealed(&sale).to_vec();
    let at = bytes.windows(12).position(|digits| digits == b"000000001299").unwrap();
    bytes[at + 11] = b'8';
    let planned = sealed.bank.issuer.receive(LINK, bytes.into(), NOON);
    assert_eq!(sealed.bank.read(&planned[0]).text(39).unwrap(), "98", "with another amount");
    assert_eq!((sealed.bank.money(), sealed.bad_macs()), ((0, 0), 3));
    assert_eq!(sealed.bank.code(&Sent::new("0800", 2).with(70, "301")), "00", "network messages have none");
}

#[test]
fn a_bank_may_say_nothing_to_a_forger_or_ask_no_mac() {
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let mut ignoring = Sealed::new("iso8583-1987-ascii", "wrong = \"ignored\"", Scenario::demo().unwrap());
    assert!(ignoring.bank.send(&sale).is_empty());
    assert_eq!(ignoring.bad_macs(), 1);
    let mut lenient = Sealed::new("iso8583-1987-ascii", "required = false", Scenario::demo().unwrap());
    assert_eq!(lenient.bank.code(&sale), "00");
    let forged = sale.again("0220").with(64, "0000000000000000");
    assert_eq!(lenient.bank.code(&forged), "98", "a wrong one is worse than none");
    let mut network = Sealed::new("iso8583-1987-ascii", "classes = [8]", Scenario::demo().unwrap());
    assert_eq!(network.bank.code(&sale), "00");
    let echo = Sent::new("0800", 2).with(70, "301");
    assert_eq!(network.bank.code(&echo), "98");
    let answer = network.ask(&echo);
    assert!(answer.has(128) && network.seal().check(&answer) == Some(true));
}

#[test]
fn a_scenario_spoils_the_mac_of_an_answer_alone() {
    let rule = "[[rule]]\nabout = \"\"\nthen = { wrong = [\"mac\"] }\n";
    let scenario = Scenario::read("mine.toml", rule).unwrap().before(Scenario::demo().unwrap());
    let mut sealed = Sealed::new("iso8583-1987-ascii", "method = \"x9.19\"", scenario);
    let answer = sealed.ask(&Sent::purchase("0200", 1, CARD, 1_299));
    assert_eq!(answer.text(39).unwrap(), "00");
    assert_eq!(sealed.seal().check(&answer), Some(false));
    assert_eq!(sealed.bank.money(), (-1_299, 0));
}

#[test]
fn a_repeat_may_bear_its_originals_mac() {
    let mut macs = Vec::new();
    for leaves_out_repeat in [true, false] {
        let said = format!("leaves_out_repeat = {leaves_out_repeat}");
        let sealed = Sealed::new("iso8583-1987-ascii", &said, Scenario::default());
        for mti in ["0420", "0421"] {
            let message = sealed.bank.spec.decode(sealed.sealed(&Sent::new(mti, 1))).unwrap();
            assert_eq!(sealed.seal().check(&message), Some(true));
            macs.push(message.text(64).unwrap().into_owned());
        }
    }
    assert_eq!(macs[0], macs[1]);
    assert_ne!(macs[2], macs[3]);
}

#[test]
fn four_bytes_leave_zeros_behind_them() {
    let mut half = Sealed::new("iso8583-1987-ascii", "bytes = 4", Scenario::demo().unwrap());
    let answer = half.ask(&Sent::purchase("0200", 1, CARD, 100));
    assert!(answer.text(64).unwrap().ends_with("00000000"));
    assert_eq!(half.seal().check(&answer), Some(true));
}
