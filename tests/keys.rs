//! Keys, MACs, PIN blocks, DUKPT and key blocks against cases that other implementations made.
//!
//! `fixtures/keys/judged.jsonl` is a frozen run of `tests/judges/keys_judge.py`; `tests/parts/judges-keys` makes new cases
//! each time (`ISTHMUS_KEY_CASES`) and has the judges read the blocks written here (`ISTHMUS_KEY_BLOCKS`).

#![allow(clippy::unwrap_used, clippy::panic)]

use isthmus::payment::Pan;
use isthmus::security::dukpt::{WorkingKey, tdes};
use isthmus::security::{
    CheckValue, Key, KeyBlock, KeyKind, KeyUsage, MacMethod, Padding, Pin, PinBlock, PinBlockFormat, decipher, encipher,
};
use serde_json::{Value, json};
use std::path::PathBuf;

fn cases() -> Vec<Value> {
    let frozen = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys/judged.jsonl");
    let path = std::env::var_os("ISTHMUS_KEY_CASES").map_or(frozen, PathBuf::from);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"))
}

fn bytes(case: &Value, name: &str) -> Vec<u8> {
    let digits = text(case, name);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn des(usage: KeyUsage, bytes: &[u8]) -> Key {
    Key::new(KeyKind::des(bytes.len()).unwrap(), usage, bytes).unwrap()
}

fn aes(usage: KeyUsage, bytes: &[u8]) -> Key {
    Key::new(KeyKind::aes(bytes.len()).unwrap(), usage, bytes).unwrap()
}

/// Bytes that stand for randomness: other ones for each case.
fn filler<const N: usize>(place: usize) -> [u8; N] {
    std::array::from_fn(|at| (place * 31 + at * 17 + 5) as u8)
}

fn judge_check_value(case: &Value) {
    let value = CheckValue::of(&des(KeyUsage::Mac, &bytes(case, "key")));
    assert_eq!(value.shown().to_vec(), bytes(case, "value"), "{case}");
}

fn judge_mac(case: &Value) {
    let padding = if case["padding"] == 1 { Padding::Zeros } else { Padding::Bit };
    let key = bytes(case, "key");
    let (method, key) = match text(case, "method") {
        "x9.9" => (MacMethod::Chained(padding), des(KeyUsage::Mac, &key)),
        "x9.19" => (MacMethod::Retail(padding), des(KeyUsage::Mac, &key)),
        "unionpay-ecb" => (MacMethod::UnionPayEcb, des(KeyUsage::Mac, &key)),
        "cmac" => (MacMethod::Cmac, aes(KeyUsage::Mac, &key)),
        other => panic!("{other}"),
    };
    let mac = method.make(&key, &bytes(case, "data")).unwrap();
    assert_eq!(mac.as_bytes(), bytes(case, "mac"), "{case}");
}

/// Reads the judge's block, and writes one of our own for the judge.
fn judge_pin_block(case: &Value, place: usize) -> Value {
    let format = PinBlockFormat::of_number(case["format"].as_u64().unwrap() as u8).unwrap();
    let key = bytes(case, "key");
    let key = if format == PinBlockFormat::Iso4 { aes(KeyUsage::Pin, &key) } else { des(KeyUsage::Pin, &key) };
    let (pin, pan) = (Pin::parse(text(case, "pin")).unwrap(), Pan::parse(text(case, "pan")).unwrap());
    let block = PinBlock::new(&bytes(case, "block")).unwrap();
    assert!(decipher(format, &key, &block, &pan).unwrap().is_same(&pin), "{case}");
    let own = encipher(format, &key, &pin, &pan, &filler(place)).unwrap();
    let mut answer = case.clone();
    answer["block"] = json!(own.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    answer
}

fn judge_dukpt(case: &Value) {
    let serial = tdes::SerialNumber::new(bytes(case, "serial").try_into().unwrap());
    let (purpose, usage) = match text(case, "purpose") {
        "pin" => (WorkingKey::Pin, KeyUsage::Pin),
        "terminal_mac" => (WorkingKey::TerminalMac, KeyUsage::Mac),
        _ => (WorkingKey::HostMac, KeyUsage::Mac),
    };
    let derived = tdes::derive(&des(KeyUsage::Derivation, &bytes(case, "base")), serial, purpose).unwrap();
    assert!(derived == des(usage, &bytes(case, "key")), "{case}");
}

/// Reads the judge's block, and writes the same key in one of our own.
fn judge_key_block(case: &Value, place: usize) -> Value {
    let protection = bytes(case, "protection");
    let is_aes = text(case, "block").starts_with('D');
    let protection = if is_aes { aes(KeyUsage::KeyBlocks, &protection) } else { des(KeyUsage::KeyBlocks, &protection) };
    let read = KeyBlock::unwrap(&protection, text(case, "block")).unwrap_or_else(|fault| panic!("{fault} in {case}"));
    let usage = match text(case, "usage") {
        "P0" => KeyUsage::Pin,
        "B0" => KeyUsage::Derivation,
        "K0" => KeyUsage::KeyWrapping,
        _ => KeyUsage::Mac,
    };
    let key = bytes(case, "key");
    let key = if text(case, "algorithm") == "A" { aes(usage, &key) } else { des(usage, &key) };
    assert!(read.key == key, "{case}");
    assert_eq!(read.header.usage, text(case, "usage"));
    let mut answer = case.clone();
    answer["block"] = json!(read.wrap(&protection, &filler(place)).unwrap());
    answer
}

#[test]
fn other_implementations_agree() {
    let (mut judged, mut written) = (std::collections::BTreeMap::new(), Vec::new());
    for (place, case) in cases().iter().enumerate() {
        *judged.entry(text(case, "kind").to_owned()).or_insert(0) += 1;
        match text(case, "kind") {
            "check_value" => judge_check_value(case),
            "mac" => judge_mac(case),
            "pin_block" => written.push(judge_pin_block(case, place)),
            "dukpt" => judge_dukpt(case),
            "key_block" => written.push(judge_key_block(case, place)),
            other => panic!("{other}"),
        }
    }
    assert!(judged.len() == 5 && judged.values().all(|count| *count >= 10), "{judged:?}");
    if let Some(path) = std::env::var_os("ISTHMUS_KEY_BLOCKS") {
        let lines: Vec<String> = written.iter().map(Value::to_string).collect();
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }
}
