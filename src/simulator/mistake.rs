//! A mistake in a file that somebody wrote: where it stands, and what was expected there.
//!
//! Errors of the TOML reader may quote the value they stumbled over, which may be a card number
//! written without quotes; long runs of digits are blanked before anybody sees them.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;

/// One mistake in a configuration, scenario or profile file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or the name of what is built in.
    pub origin: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, with its tables: `card[2].number`.
    pub key: String,
    /// What should have stood there.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: expected {}", self.origin, self.line, self.key, self.expected)
    }
}

impl std::error::Error for Mistake {}

/// A text under examination: collects every mistake before anything is made of it.
pub(super) struct Examined<'a> {
    origin: &'a str,
    text: &'a str,
    mistakes: Vec<Mistake>,
}

impl<'a> Examined<'a> {
    /// Reads the text's shape; a text of another shape is one mistake.
    pub(super) fn read<T: DeserializeOwned>(origin: &'a str, text: &'a str) -> Result<(Self, T), Vec<Mistake>> {
        let mut examined = Self { origin, text, mistakes: Vec::new() };
        match toml::from_str(text) {
            Ok(value) => Ok((examined, value)),
            Err(error) => {
                let at = error.span().unwrap_or_default();
                let key = examined.key_near(at.start);
                examined.note(at, key, without_numbers(&expected_of(error.message())));
                Err(examined.mistakes)
            }
        }
    }

    /// Notes a mistake at a byte range of the text.
    pub(super) fn note(&mut self, at: Range<usize>, key: impl Into<String>, expected: impl Into<String>) {
        let line = 1 + self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
        let (key, expected) = (key.into(), expected.into());
        self.mistakes.push(Mistake { origin: self.origin.to_owned(), line, key, expected });
    }

    /// Parses a value; a mistake is noted and nothing comes back.
    pub(super) fn parsed<T, V>(
        &mut self,
        value: &Spanned<V>,
        key: impl Into<String>,
        expected: &str,
        parse: impl FnOnce(&V) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(value.get_ref());
        if parsed.is_none() {
            self.note(value.span(), key, expected);
        }
        parsed
    }

    /// The value, unless something was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<Mistake>> {
        match self.mistakes.is_empty() {
            true => Ok(value),
            false => Err(self.mistakes),
        }
    }

    fn key_near(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        without_numbers(if key.is_empty() { "the file" } else { key })
    }
}

/// The reader's message, turned round so that it says what was expected.
fn expected_of(message: &str) -> String {
    match (message.split_once(", expected "), message.strip_prefix("missing field ")) {
        (Some((_, expected)), _) => expected.to_owned(),
        (None, Some(field)) => format!("the key {field} too"),
        (None, None) => format!("TOML that can be read ({message})"),
    }
}

/// Blanks runs of digits as long as a card number.
fn without_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut run = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            run.push(character);
            continue;
        }
        shown.push_str(if run.len() < 12 { &run } else { "..." });
        run.clear();
        if character != '\0' {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_wrong_shape_is_told_by_line_and_key_without_the_value() {
        let text = "good = \"1\"\n\nnumber = 4111111111111111\n";
        let mistakes = Examined::read::<BTreeMap<String, String>>("a.toml", text).err().unwrap();
        assert_eq!((mistakes[0].line, mistakes[0].key.as_str()), (3, "number"));
        assert_eq!(mistakes[0].expected, "a string");
        let text = "number = \"4111111111111111\n";
        let mistakes = Examined::read::<BTreeMap<String, String>>("a.toml", text).err().unwrap();
        assert!(!mistakes[0].to_string().contains("4111"), "{}", mistakes[0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(expected_of("missing field `about`"), "the key `about` too");
        assert_eq!(expected_of("unknown field `x`, expected one of `y`, `z`"), "one of `y`, `z`");
    }

    #[test]
    fn short_numbers_stay() {
        assert_eq!(without_numbers("0210 and 4111111111111111!"), "0210 and ...!");
    }
}
