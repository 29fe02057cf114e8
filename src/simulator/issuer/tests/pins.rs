//! PIN blocks: right, wrong once too often, and unreadable.

use super::super::super::keys::{Keys, Working};
use super::*;
use crate::security::{Key, KeyKind, KeyUsage, Pin, PinBlockFormat, encipher};
use std::time::Duration;

const DIGITS: &str = "1C2B3A495867F6E5D4C3B2A190817263";
const OTHER: &str = "133457799BBCDFF1F0E1D2C3B4A59687";

struct Zone {
    bank: Bank,
    format: PinBlockFormat,
    stan: u32,
}

impl Zone {
    /// A bank with one card whose PIN is 1234, and PIN blocks of a format; blocks of 16 bytes need a
    /// dialect with room for them.
    fn new(format: u8) -> Self {
        let kind = if format == 4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        let text = format!("extends = \"iso8583-1987\"\n[pin]\nformat = {format}\n[key_exchange]\nkeys = []\n");
        let profile = Arc::new(Profile::read("mine.toml", &text).unwrap());
        let wide = "name = \"wide\"\ntitle = \"wide\"\nextends = \"iso8583-1987-ascii\"\n\
                    [codec.elements]\n52 = { format = \"LL b..16\" }\n";
        let spec = dialects::read("wide.toml", wide).unwrap();
        let card = format!("[[card]]\nnumber = \"{CARD}\"\nabout = \"\"\nbalance_minor = 100000\npin = \"1234\"\n");
        let scenario = Arc::new(Scenario::read("mine.toml", &card).unwrap());
        let pin = Some(Arc::new(Key::parse(kind, KeyUsage::Pin, DIGITS).unwrap()));
        let keys = Keys { zone: None, first: Working { mac: None, pin }, overlap: Duration::ZERO };
        let mut issuer = Issuer::new(spec.clone(), profile, scenario, 42).with_keys(Some(keys));
        issuer.links.insert(LINK, Session::Working);
        let format = PinBlockFormat::of_number(format).unwrap();
        Self { bank: Bank { issuer, spec, now: NOON }, format, stan: 0 }
    }

    fn pay(&mut self, pin: &str, key: &str) -> String {
        let kind = if self.format == PinBlockFormat::Iso4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        let key = Key::parse(kind, KeyUsage::Pin, key).unwrap();
        let (pin, pan) = (Pin::parse(pin).unwrap(), Pan::parse(CARD).unwrap());
        let block = encipher(self.format, &key, &pin, &pan, &[0x5A; 16]).unwrap();
        self.pay_with(&data_encoding::HEXUPPER.encode(block.as_bytes()))
    }

    fn pay_with(&mut self, block: &str) -> String {
        self.stan += 1;
        let sale = Sent::purchase("0200", self.stan, CARD, 100).with(37, &format!("RRN{:09}", self.stan));
        self.bank.code(&sale.with(52, block))
    }
}

#[test]
fn a_pin_is_read_in_each_format() {
    for format in [0, 1, 3, 4] {
        let mut zone = Zone::new(format);
        assert_eq!(zone.pay("1234", DIGITS), "00", "format {format}");
        assert_eq!(zone.pay("4321", DIGITS), "55", "format {format}");
        assert_eq!(zone.pay("12345", DIGITS), "55", "format {format}");
    }
}

#[test]
fn a_block_that_cannot_be_read_is_no_wrong_pin() {
    for format in [0, 3, 4] {
        let mut zone = Zone::new(format);
        for _ in 0..4 {
            assert_eq!(zone.pay("1234", OTHER), "81", "format {format}");
        }
        assert_eq!(zone.pay_with("0102"), "81", "too short");
        assert_eq!(zone.pay("1234", DIGITS), "00", "none of them counted as a try");
    }
}

#[test]
fn the_third_wrong_pin_in_a_row_blocks_it_across_restarts() {
    let mut zone = Zone::new(0);
    assert_eq!([zone.pay("1111", DIGITS), zone.pay("2222", DIGITS)], ["55", "55"]);
    assert_eq!(zone.pay("1234", DIGITS), "00", "a right one begins anew");
    let codes: Vec<String> = ["1111", "2222", "3333", "1234"].iter().map(|pin| zone.pay(pin, DIGITS)).collect();
    assert_eq!(codes, ["55", "55", "75", "75"]);
    let effects: Vec<i64> = zone.bank.issuer.ledger().entries().iter().map(|entry| entry.net).collect();
    assert_eq!(effects.iter().sum::<i64>(), -100);
    let books = zone.bank.restarted().issuer.books().clone();
    let account = zone.bank.issuer.ledger().entries()[0].account.clone().unwrap();
    assert_eq!(books.pin_tries(&account), 3);
    let without = Sent::purchase("0200", 900, CARD, 100);
    assert_eq!(zone.bank.code(&without), "00", "the card itself is good");
}

#[test]
fn a_repeat_with_a_wrong_pin_is_one_try() {
    let mut zone = Zone::new(0);
    for _ in 0..5 {
        zone.stan = 0;
        assert_eq!(zone.pay("1111", DIGITS), "55");
    }
}
