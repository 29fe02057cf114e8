//! A bank with keys over a socket: MACs both ways, keys at its own word, PINs, and a restart between.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use isthmus::framing::Framing;
use isthmus::iso8583::{Message, MessageBuilder};
use isthmus::payment::Pan;
use isthmus::security::{Key, KeyKind, KeyUsage, MacMethod, Padding, Pin, PinBlockFormat, Wrapped, encipher};
use isthmus::simulator::{Config, Handle, Server};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::peer::*;

const ZONE: &str = "133457799BBCDFF1F0E1D2C3B4A59687";
const MAC: &str = "0123456789ABCDEFFEDCBA9876543210";
const PIN: &str = "1C2B3A495867F6E5D4C3B2A190817263";

fn key(usage: KeyUsage, digits: &str) -> Key {
    Key::parse(KeyKind::Tdes2, usage, digits).unwrap()
}

async fn bank(directory: &Path) -> Handle {
    let text = format!(
        "listen = \"127.0.0.1:0\"\ncontrol = \"127.0.0.1:0\"\nledger = \"ledger.sqlite\"\nscenario = \"none\"\n\
         [keys]\nzone_key_hex = \"{ZONE}\"\nmac_key_hex = \"{MAC}\"\npin_key_hex = \"{PIN}\"\noverlap_ms = 0\n\
         [[card]]\nnumber = \"{CARD}\"\nabout = \"\"\nbalance_minor = 100000\npin = \"1234\"\n"
    );
    let config = Config::read("bank.toml", &text, directory).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    Server::open(&config).await.unwrap()
}

/// A message with a MAC as ANSI X9.19 has it, made here from the bytes on the wire.
fn sealed(peer: &Peer, key: &Key, mti: &str, elements: &[(u8, &str)]) -> Bytes {
    let mut builder = MessageBuilder::new(mti.parse().unwrap());
    for (element, text) in elements {
        builder.set(*element, text);
    }
    let last = if elements.iter().any(|(element, _)| *element > 64) { 128 } else { 64 };
    builder.set_binary(last, &[0; 8]);
    let bytes = peer.spec.encode_to_bytes(&builder).unwrap();
    let mac = made(key, &bytes[..bytes.len() - 16]);
    [&bytes[..bytes.len() - 16], mac.as_bytes()].concat().into()
}

/// Sixteen hexadecimal digits, since the dialect writes binary elements so.
fn made(key: &Key, data: &[u8]) -> String {
    let mac = MacMethod::Retail(Padding::Zeros).make(key, data).unwrap();
    data_encoding::HEXUPPER.encode(mac.as_bytes())
}

fn is_under(message: &Message, key: &Key) -> bool {
    let (data, mac) = message.as_bytes().split_at(message.as_bytes().len() - 16);
    (message.has(64) || message.has(128)) && made(key, data).as_bytes() == mac
}

async fn ask(peer: &mut Peer, key: &Key, elements: &[(u8, &str)]) -> Message {
    let mut frame = BytesMut::new();
    Framing::default().put(&sealed(peer, key, "0200", elements), &mut frame).unwrap();
    peer.stream.write_all(&frame).await.unwrap();
    peer.receive().await
}

/// The key for MACs in DE48: the first of two keys, each with three bytes of check value.
fn brought(message: &Message) -> Result<Key, isthmus::security::KeyFault> {
    let digits = message.text(48).unwrap().into_owned();
    let check = data_encoding::HEXUPPER.decode(&digits.as_bytes()[32..38]).unwrap();
    let zone = key(KeyUsage::KeyWrapping, ZONE);
    Wrapped::parse(&digits[..32]).unwrap().unwrap(&zone, KeyKind::Tdes2, KeyUsage::Mac, Some(&check))
}

fn ctl(bank: &Handle, arguments: &[&str]) -> Value {
    let control = bank.control().unwrap().to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus"));
    let done = command.args(["bank", "ctl", "--json", "--control", &control]).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

async fn agree(peer: &mut Peer, question: &Message, code: &str) {
    let stan = question.text(11).unwrap().into_owned();
    peer.send("0810", &[(7, "1122120000"), (11, &stan), (39, code), (70, "101")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_at_a_word_and_outlive_the_bank() {
    let scratch = Scratch::new("keys");
    let bank_before = bank(&scratch.0).await;
    let mut peer = Peer::signed_on(bank_before.addr()).await;
    let old = key(KeyUsage::Mac, MAC);
    let answer = ask(&mut peer, &old, &purchase(CARD, "700000000001", "000000000100")).await;
    assert_eq!((answer.text(39).unwrap().as_ref(), is_under(&answer, &old)), ("00", true));
    assert_eq!(peer.code("0200", &purchase(CARD, "700000000002", "000000000100")).await, "98", "without a MAC");

    // Keys with wrong check values are refused by the peer, and right ones taken.
    ctl(&bank_before, &["act", "wrong-keys"]);
    let question = peer.receive().await;
    assert!(brought(&question).is_err());
    agree(&mut peer, &question, "97").await;
    assert!(is_under(&ask(&mut peer, &old, &purchase(CARD, "700000000003", "000000000100")).await, &old));
    ctl(&bank_before, &["act", "new-keys"]);
    let question = peer.receive().await;
    let new = brought(&question).unwrap();
    agree(&mut peer, &question, "00").await;
    let answer = ask(&mut peer, &new, &purchase(CARD, "700000000004", "000000000100")).await;
    assert_eq!((answer.text(39).unwrap().as_ref(), is_under(&answer, &new)), ("00", true));
    let refused = ask(&mut peer, &old, &purchase(CARD, "700000000005", "000000000100")).await;
    assert_eq!(refused.text(39).unwrap(), "98", "there is no overlap here");
    let keys = ctl(&bank_before, &["keys"]);
    assert_eq!((keys[0]["number"].as_u64(), keys[0]["mac"].as_str().map(str::len)), (Some(1), Some(6)));
    bank_before.shutdown().await.unwrap();

    let bank_after = bank(&scratch.0).await;
    let mut peer = Peer::signed_on(bank_after.addr()).await;
    let answer = ask(&mut peer, &new, &purchase(CARD, "700000000006", "000000000100")).await;
    assert_eq!((answer.text(39).unwrap().as_ref(), is_under(&answer, &new)), ("00", true));
    // Asked for new ones, it gives others.
    let answer = peer.ask("0800", &[(7, "1122120000"), (11, "900002"), (70, "101")]).await;
    let newest = brought(&answer).unwrap();
    assert_ne!(newest, new);
    assert!(is_under(&ask(&mut peer, &newest, &purchase(CARD, "700000000007", "000000000100")).await, &newest));
    assert_eq!(ctl(&bank_after, &["state"])["counters"]["keys_changed"], 1);
    bank_after.shutdown().await.unwrap();
    let ledger = std::fs::read(scratch.ledger()).unwrap();
    let holds = |digits: &str| ledger.windows(digits.len()).any(|window| window == digits.as_bytes());
    assert!(!holds(MAC) && !holds(ZONE) && !holds(CARD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_looked_at_and_stands_nowhere() {
    let scratch = Scratch::new("pins");
    let bank = bank(&scratch.0).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let (mac, pin_key) = (key(KeyUsage::Mac, MAC), key(KeyUsage::Pin, PIN));
    let pan = Pan::parse(CARD).unwrap();
    for (number, pin, code) in [(1, "1234", "00"), (2, "0000", "55"), (3, "1234", "00")] {
        let block = encipher(PinBlockFormat::Iso0, &pin_key, &Pin::parse(pin).unwrap(), &pan, &[0; 16]).unwrap();
        let block = data_encoding::HEXUPPER.encode(block.as_bytes());
        let rrn = format!("80000000{number:04}");
        let sale = with(&purchase(CARD, &rrn, "000000000100"), 52, &block);
        assert_eq!(ask(&mut peer, &mac, &sale).await.text(39).unwrap(), code);
        let messages = ctl(&bank, &["messages"]).to_string();
        assert!(!messages.contains(&block) && !messages.contains(CARD));
    }
    bank.shutdown().await.unwrap();
}
