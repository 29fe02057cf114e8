//! PINs over the whole way: a terminal enciphers one under its own key, the bank opens it under its zone's and compares
//! it with the one it knows. The block of the derived key is the example of ANSI X9.24-1:2009 (annex A.4), not ours.

use crate::house::House;
use data_encoding::HEXUPPER;
use isthmus::client::{Cipher, Client, Envelope, Form, Target};
use isthmus::payment::Pan;
use isthmus::security::{Key, KeyKind, KeyUsage, Pin, PinBlockFormat, encipher};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const CARD: &str = "4012345678909";
const TRACK: &str = "4012345678909=30122011998877665";
const MAC: &str = "133457799BBCDFF1F0E1D2C3B4A59687";
const ZONE: &str = "1C2B3A495867F6E5D4C3B2A190817263";
const TILL: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
const BASE: &str = "0123456789ABCDEFFEDCBA9876543210";
/// PIN 1234 of the card above under the first key of the base key, and that key's serial number.
const DERIVED: (&str, &str) = ("1B9C1845EB993A7A", "FFFF9876543210E00001");

/// The hosts of the switch: one whose messages bear a MAC and take PINs.
fn hosts(house: &House, pin: &str) -> String {
    let files = [
        ("pin.toml", "extends = \"iso8583-1987-ascii\"\n[keys.mac]\nmethod = \"x9.19\"\n[keys.pin]\nformat = 0\n"),
        ("mac.key", MAC),
        ("zone.key", ZONE),
        ("till.key", TILL),
        ("till-aes.key", TILL),
        ("base.key", BASE),
    ];
    files.iter().for_each(|(name, text)| fs::write(house.file(name), text).unwrap());
    format!(
        "[[hosts]]\nname = \"demo-bank\"\nacquirer = \"123456\"\ndialect = \"pin.toml\"\nanswer_timeout_ms = 3000\n\
         [hosts.keys]\nmac_file = \"mac.key\"\npin_file = \"zone.key\"\n\
         [[hosts.links]]\nconnect = \"{}\"\n\n[pin]\n{pin}\n\
         [[pin.keys]]\nmerchant = \"demo-shop\"\nname = \"till\"\nfile = \"till.key\"\n\
         [[pin.keys]]\nmerchant = \"demo-shop\"\nname = \"till-aes\"\ncipher = \"aes\"\nfile = \"till-aes.key\"\n\
         [[pin.keys]]\nmerchant = \"demo-shop\"\nserial_prefix = \"FFFF98\"\nfile = \"base.key\"\n\n",
        house.bank_addr(0)
    )
}

fn bank(house: &House) -> String {
    format!(
        "listen = \"{}\"\ncontrol = \"{}\"\nledger = {:?}\n[keys]\nmac_key_hex = \"{MAC}\"\npin_key_hex = \"{ZONE}\"\n\
         [[card]]\nnumber = \"{CARD}\"\nabout = \"\"\nbalance_minor = 100000\npin = \"1234\"\n",
        house.bank_addr(0),
        house.bank_control(0),
        house.bank_ledger(0)
    )
}

fn sealing(house: &House) -> Client {
    let demo: Value = serde_json::from_slice(&fs::read(house.file("demo.json")).unwrap()).unwrap();
    let text = |value: &Value| fs::read_to_string(value.as_str().unwrap()).unwrap();
    let own = text(&demo["merchant"]["payload_private_key_pem"]);
    let envelope = Envelope::new(&text(&demo["payload_key"]), &own, Cipher::A256Gcm, Form::Jose).unwrap();
    let target = Target {
        url: demo["edge_url"].as_str().unwrap().to_owned(),
        ca_pem: text(&demo["ca_cert"]).into_bytes(),
        identity_pem: None,
        api_key: demo["merchant"]["api_key"].as_str().map(str::to_owned),
        envelope: Some(envelope),
    };
    Client::new(&target).unwrap()
}

/// A block as a terminal makes it, in digits.
fn block(format: PinBlockFormat, kind: KeyKind, key: &str, pin: &str) -> String {
    let key = Key::parse(kind, KeyUsage::Pin, key).unwrap();
    let (pin, pan) = (Pin::parse(pin).unwrap(), Pan::parse(CARD).unwrap());
    let block = encipher(format, &key, &pin, &pan, &[0x5C; 16]).unwrap();
    HEXUPPER.encode(block.as_bytes())
}

fn till(format: PinBlockFormat, number: u8, pin: &str) -> Value {
    json!({"format": number, "block": block(format, KeyKind::Tdes2, TILL, pin), "key": "till"})
}

fn sale(pin: &Value) -> Value {
    let card = json!({"entry_mode": "chip", "track2": TRACK, "emv": "9F2608A1B2C3D4E5F60718", "pin": pin});
    json!({"reference": "till", "amount": {"value": 1000, "currency": "EUR"}, "card_present": card})
}

/// Every file of a folder that has one of these in it, as text, in digits or as the bytes that the digits are of.
fn found(folder: &Path, secrets: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let content = HEXUPPER.encode(&fs::read(&file).unwrap());
        for secret in secrets {
            let as_text = [secret.clone(), secret.to_lowercase()].map(|text| HEXUPPER.encode(text.as_bytes()));
            if content.contains(secret) || as_text.iter().any(|digits| content.contains(digits)) {
                found.push((file.display().to_string(), secret.clone()));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_reach_the_bank_under_its_own_key_and_stand_nowhere() {
    let house = House::build();
    house.configure_hosts(&hosts(&house, "accept_software_pin = true"));
    house.configure_bank(0, &bank(&house));
    let _bank = house.bank();
    let mut serve = house.serve();
    house.until_at_rest().await;

    let aes =
        |pin| json!({"format": 4, "block": block(PinBlockFormat::Iso4, KeyKind::Aes128, TILL, pin), "key": "till-aes"});
    let derived = json!({"format": 0, "block": DERIVED.0, "ksn": DERIVED.1});
    let unknown = json!({"format": 0, "block": DERIVED.0, "key": "none"});
    let cases = [
        ("static-0", till(PinBlockFormat::Iso0, 0, "1234"), "captured"),
        ("wrong", till(PinBlockFormat::Iso0, 0, "4321"), "declined"),
        ("static-1", till(PinBlockFormat::Iso1, 1, "1234"), "captured"),
        ("static-3", till(PinBlockFormat::Iso3, 3, "1234"), "captured"),
        ("wrong-aes", aes("4321"), "declined"),
        ("aes", aes("1234"), "captured"),
        ("derived", derived, "captured"),
        ("unknown-key", unknown, "failed"),
        ("none", Value::Null, "captured"),
    ];
    let mut client = sealing(&house);
    for (key, pin, status) in &cases {
        let trip = client.post("/v1/payments", key, &sale(pin)).await.unwrap();
        assert_eq!((trip.status.as_u16(), trip.body["status"].as_str()), (201, Some(*status)), "{key}: {}", trip.body);
        if *status == "declined" {
            assert_eq!(trip.body["operations"][0]["response_code"], "55", "{key}");
        }
    }
    let entries = house.ledger();
    let of_card = entries.iter().filter(|entry| entry["account"] == "401234-8909").count();
    assert_eq!(of_card, cases.len() - 1, "what had no key was never sent: {entries:?}");

    assert!(serve.terminate(), "SIGTERM drains and exits 0");
    let blocks = cases.iter().filter_map(|(_, pin, _)| pin["block"].as_str().map(str::to_owned));
    let in_zone = ["1234", "4321"].map(|pin| block(PinBlockFormat::Iso0, KeyKind::Tdes2, ZONE, pin));
    let rest = ["1998877665", CARD, "9F2608A1B2C3D4E5F60718", DERIVED.1].map(str::to_owned);
    let secrets: Vec<String> = blocks.chain(in_zone).chain(rest).collect();
    let found = found(&house.folder(), &secrets);
    let own = |(file, secret): &&(String, String)| !(file.ends_with("bank.toml") && secret == CARD);
    assert_eq!(found.iter().find(own), None, "the bank's own configuration names the card, and nothing else does");
    assert_eq!(found.len(), 1, "the search finds what is there");
}

#[test]
fn software_is_refused_for_pins_unless_it_is_meant() {
    let house = House::build();
    house.configure_hosts(&hosts(&house, ""));
    let (code, said) = house.serve_refused();
    assert_eq!(code, Some(2), "{said}");
    let config = fs::read_to_string(house.path("config")).unwrap();
    let line = 1 + config.lines().position(|line| line.starts_with("pin_file")).unwrap();
    let expected =
        format!("{}:{line}: hosts[0].keys.pin_file: expected pin.accept_software_pin = true", house.path("config"));
    assert!(said.contains(&expected), "{said}");
}
