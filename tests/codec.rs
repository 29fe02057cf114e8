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
    let targets: [(&str, fn(&[u8])); 4] = [
        ("message", fuzzing::message),
        ("valid", fuzzing::valid),
        ("tlv", fuzzing::tlv),
        ("dialect", fuzzing::dialect),
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
