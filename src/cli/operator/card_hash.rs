//! `isthmus operator card-hash`: the keyed hash of a card number, as a stand-in's negative list holds it.
//!
//! The number comes from standard input and never from the command line, which every user of a machine can read; on a
//! terminal it is not shown. Nothing but the hash is printed, and a line that is no card number is named by its place.

use crate::cli::configuration;
use crate::config::KeyFiles;
use crate::edge::FingerprintKey;
use crate::payment::Pan;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use std::fmt::Write;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The most that is read: some hundred thousand cards.
const LONGEST_LIST: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct File {
    keys: KeyFiles,
}

/// Hashes each line of standard input under the fingerprint key of a configuration.
pub(super) fn run(config: Option<&Path>) -> ExitCode {
    match key(config).and_then(|key| Ok((key, numbers()?))) {
        Err(error) => {
            eprintln!("isthmus operator: {error}");
            ExitCode::from(2)
        }
        Ok((key, numbers)) => match hashes(&key, &numbers) {
            Ok(hashes) => {
                print!("{hashes}");
                ExitCode::SUCCESS
            }
            Err(line) => {
                eprintln!("isthmus operator: line {line} is no card number of 12 to 19 digits; nothing was hashed");
                ExitCode::FAILURE
            }
        },
    }
}

/// The key alone: the list that a configuration names may not be there yet.
fn key(config: Option<&Path>) -> Result<FingerprintKey, String> {
    let path = configuration::named(config)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()))?;
    let keys = file.keys.relative_to(path.parent().unwrap_or(Path::new("")));
    keys.read().map(|keys| keys.fingerprint).map_err(|mistake| mistake.to_string())
}

/// Card numbers, one a line.
fn numbers() -> Result<Zeroizing<String>, String> {
    if std::io::stdin().is_terminal() {
        let number = rpassword::prompt_password("Card number (not shown): ");
        return number.map(Zeroizing::new).map_err(|error| error.to_string());
    }
    read_whole(std::io::stdin())
}

/// All of it into one piece of memory, which is wiped; a list that is cut off would give the hash of half a number.
fn read_whole(from: impl Read) -> Result<Zeroizing<String>, String> {
    let mut numbers = Zeroizing::new(String::with_capacity(LONGEST_LIST + 64));
    let read = from.take(LONGEST_LIST as u64 + 1).read_to_string(&mut numbers);
    match read.map_err(|error| format!("standard input: {error}"))? {
        length if length > LONGEST_LIST => Err(format!("standard input is longer than {LONGEST_LIST} bytes")),
        _ => Ok(numbers),
    }
}

/// A line of 64 hexadecimal digits for each number; the first line that is none otherwise.
fn hashes(key: &FingerprintKey, numbers: &str) -> Result<String, usize> {
    let mut hashes = String::new();
    let numbers = numbers.lines().map(str::trim).zip(1_usize..).filter(|(number, _)| !number.is_empty());
    for (number, line) in numbers {
        let card = Pan::parse(number).map_err(|_| line)?;
        let _ = writeln!(hashes, "{}", HEXLOWER.encode(&key.card_print(&card).0));
    }
    if hashes.is_empty() { Err(1) } else { Ok(hashes) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_card_has_a_hash_under_its_key_and_nothing_of_it_is_shown() {
        let [one, other] = [1, 2].map(|byte| FingerprintKey(Zeroizing::new([byte; 32])));
        let text = hashes(&one, "4111111111111111\n\n 5555555555554444 \n").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0].len()), (2, 64));
        assert_ne!(lines[0], lines[1]);
        assert!(!text.contains("1111111"));
        assert_ne!(hashes(&other, "4111111111111111").unwrap().trim(), lines[0], "another key");
        assert_eq!(hashes(&one, "4111111111111111\n4111-1111\n"), Err(2), "all or none");
        assert_eq!(hashes(&one, "\n"), Err(1));
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let number = "4111111111111111\n".as_bytes();
        let longest = number.repeat(LONGEST_LIST / number.len());
        assert_eq!(read_whole(&longest[..]).unwrap().len(), longest.len());
        assert!(read_whole(&[&longest[..], number].concat()[..]).is_err());
    }
}
