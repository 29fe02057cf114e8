//! The codec as a whole: properties over all dialects, seeds of the fuzz targets, the project's own messages.
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "dialects")]

use std::path::{Path, PathBuf};

use isthmus::fuzzing;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_valid_message_of_any_dialect_comes_back_byte_for_byte(data in choices()) {
        fuzzing::valid(&data);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::message(&data);
        fuzzing::tlv(&data);
    }
}

/// A dialect and many choices.
fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..4000)
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has files", folder.display());
    files
}

#[test]
fn the_seeds_of_the_fuzz_targets_run() {
    type Body = fn(&[u8]);
    let targets: &[(&str, Body)] = &[
        #[cfg(feature = "framing")]
        ("frame", fuzzing::frame),
        ("message", fuzzing::message),
        ("valid", fuzzing::valid),
        ("tlv", fuzzing::tlv),
        ("dialect", fuzzing::dialect),
        #[cfg(feature = "xml")]
        ("xml", fuzzing::xml),
    ];
    for (folder, body) in targets {
        for file in fixtures(&format!("fuzz/seeds/{folder}")) {
            body(&std::fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_dialect_file_of_the_fixtures_reads() {
    for file in fixtures("fixtures/dialects") {
        let text = std::fs::read_to_string(&file).unwrap();
        let read = isthmus::iso8583::dialects::read(&file.display().to_string(), &text);
        assert!(read.is_ok(), "{:?}", read.unwrap_err());
    }
}

/// A line of `fixtures/wire`: bytes and what they say.
#[derive(serde::Deserialize)]
struct Fixture {
    hex: String,
    message: serde_json::Value,
}

/// The same line, its message as it is given to be written.
#[derive(serde::Deserialize)]
struct Written {
    message: isthmus::iso8583::view::MessageJson,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_messages_of_every_dialect_read_and_write_as_they_say() {
    use isthmus::iso8583::{dialects, view};

    for name in dialects::names() {
        let spec = dialects::builtin(name).unwrap().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/wire/{name}.jsonl"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.lines().count() >= 5, "{name} has at least five messages");
        for line in text.lines() {
            let fixture: Fixture = serde_json::from_str(line).unwrap();
            let wire = unhex(&fixture.hex);
            let message = spec.decode(wire.clone().into()).unwrap_or_else(|error| panic!("{name}: {error} in {line}"));
            let mut shown = serde_json::to_value(view(&message, false, false)).unwrap();
            shown.as_object_mut().unwrap().remove("spec");
            assert_eq!(shown, fixture.message, "{name}: reading {}", fixture.hex);
            // Once more, because a value of JSON does not keep the order of tags.
            let Written { message, .. } = serde_json::from_str(line).unwrap();
            let builder = message.into_builder(&spec).unwrap();
            assert_eq!(spec.encode_to_bytes(&builder).unwrap(), wire, "{name}: writing {line}");
            every_cut_and_every_flipped_bit(&spec, &wire);
        }
    }
}

/// Gives a message or an error whose place lies within the bytes, and never panics.
fn every_cut_and_every_flipped_bit(spec: &std::sync::Arc<isthmus::iso8583::Spec>, wire: &[u8]) {
    for end in 0..wire.len() {
        if let Err(error) = spec.decode(wire[..end].to_vec().into()) {
            assert!(error.offset() <= end, "{error}");
        }
    }
    let mut flipped = wire.to_vec();
    for bit in 0..8 * wire.len() {
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = spec.decode(flipped.clone().into());
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn nothing_sensitive_is_shown_masked_in_any_dialect() {
    use isthmus::iso8583::describe::{Drawing, describe};
    use isthmus::iso8583::{dialects, view};

    // The card number, its bytes in ASCII and EBCDIC, and the PIN block of the fixtures.
    let secrets = ["4242424242424242", "F4F2F4F2F4F2F4F2", "34323432343234323432", "0123456789ABCDEF"];
    for name in dialects::names() {
        let spec = dialects::builtin(name).unwrap().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/wire/{name}.jsonl"));
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let fixture: Fixture = serde_json::from_str(line).unwrap();
            for divide in [true, false] {
                let wire = unhex(&fixture.hex).into();
                let message = if divide { spec.decode(wire) } else { spec.decode_undivided(wire) }.unwrap();
                let drawn = describe(&message, Drawing::default());
                let packed: String = drawn.chars().filter(|c| !c.is_whitespace()).collect();
                let json = serde_json::to_string(&view(&message, true, !divide)).unwrap();
                for secret in secrets {
                    assert!(!packed.contains(secret), "{name} draws {secret}:\n{drawn}");
                    assert!(!json.contains(secret), "{name} prints {secret}: {json}");
                }
            }
        }
    }
}
