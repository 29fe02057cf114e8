//! The parameters of a framing, and the check that they make sense together.

use std::fmt;

use serde::Deserialize;

/// How the length is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Raw bytes, the most significant first.
    #[default]
    Binary,
    /// Two decimal digits a byte.
    Bcd,
    /// ASCII digits 0 to 9.
    Decimal,
    /// ASCII digits 0 to 9 and A to F, either case on receipt.
    Hex,
}

/// What the length counts besides the message and its trailer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Nothing else.
    #[default]
    Message,
    /// Its own bytes too.
    Itself,
    /// Its own bytes and the fixed bytes around it: the whole frame.
    Frame,
}

/// What an empty frame means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAlive {
    /// The peer shows that it lives; nothing is answered.
    #[default]
    Ignore,
    /// The peer polls and expects an empty frame back. Set on one side of a link only: two sides
    /// that both answer each other's empty frames never stop.
    Answer,
    /// A fault: the link is closed.
    Refuse,
}

/// A link's framing as written in a configuration file. The default is the commonest one: two
/// binary bytes that count the message alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Width of the length field, 0 to 8; 0 means that the trailer alone ends a message.
    pub length_bytes: usize,
    /// How the length is written.
    pub length_encoding: Encoding,
    /// What it counts besides the message.
    pub length_counts: Counted,
    /// Whether it counts the trailer.
    pub length_counts_trailer: bool,
    /// Fixed bytes in front of the length, in hex; written as they are, skipped on receipt.
    pub before_hex: String,
    /// Fixed bytes between length and message, in hex; written as they are, skipped on receipt.
    pub after_hex: String,
    /// Bytes after the message, in hex.
    pub trailer_hex: String,
    /// What an empty frame means.
    pub keep_alive: KeepAlive,
    /// The longest message taken or sent, without what the framing adds.
    pub max_message_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            length_bytes: 2,
            length_encoding: Encoding::Binary,
            length_counts: Counted::Message,
            length_counts_trailer: true,
            before_hex: String::new(),
            after_hex: String::new(),
            trailer_hex: String::new(),
            keep_alive: KeepAlive::Ignore,
            max_message_bytes: 8_192,
        }
    }
}

/// A setting that makes no sense, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The key within the framing table.
    pub key: &'static str,
    /// What it should have been.
    pub expected: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.key, self.expected)
    }
}

impl std::error::Error for SettingsError {}

/// The most that [`Settings::max_message_bytes`] may be: a peer's word never makes us buffer more.
const MESSAGE_CEILING: usize = 1 << 20;

/// Fixed bytes before, after or behind are a few; more is a network header, which is the dialect's.
const FIXED_CEILING: usize = 16;

/// A framing that was checked: [`Settings`] whose parts fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    pub(super) width: usize,
    pub(super) encoding: Encoding,
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
    pub(super) trailer: Vec<u8>,
    /// What the length says beyond the message's own bytes, trailer aside.
    pub(super) counted_head: u64,
    /// What the length says for the trailer.
    pub(super) counted_trailer: u64,
    pub(super) keep_alive: KeepAlive,
    pub(super) max: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            width: 2,
            encoding: Encoding::Binary,
            before: Vec::new(),
            after: Vec::new(),
            trailer: Vec::new(),
            counted_head: 0,
            counted_trailer: 0,
            keep_alive: KeepAlive::Ignore,
            max: 8_192,
        }
    }
}

impl Framing {
    /// Checks the settings; the first that makes no sense is named.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let width = settings.length_bytes;
        if width > 8 {
            return Err(mistake("length_bytes", "0 to 8"));
        }
        let before = fixed("before_hex", &settings.before_hex)?;
        let after = fixed("after_hex", &settings.after_hex)?;
        let trailer = fixed("trailer_hex", &settings.trailer_hex)?;
        if width == 0 && trailer.is_empty() {
            return Err(mistake("trailer_hex", "a trailer, as there is no length"));
        }
        let counted_head = match settings.length_counts {
            _ if width == 0 => 0,
            Counted::Message => 0,
            Counted::Itself => width as u64,
            Counted::Frame => (before.len() + width + after.len()) as u64,
        };
        let counted_trailer = match settings.length_counts_trailer {
            true => trailer.len() as u64,
            false => 0,
        };
        let framing = Self {
            width,
            encoding: settings.length_encoding,
            before,
            after,
            trailer,
            counted_head,
            counted_trailer,
            keep_alive: settings.keep_alive,
            max: settings.max_message_bytes,
        };
        framing.check_maximum()?;
        Ok(framing)
    }

    /// The longest message that a frame carries.
    pub fn max_message_bytes(&self) -> usize {
        self.max
    }

    /// What an empty frame means here.
    pub fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    fn check_maximum(&self) -> Result<(), SettingsError> {
        let key = "max_message_bytes";
        if self.max == 0 || self.max > MESSAGE_CEILING {
            return Err(mistake(key, format!("1 to {MESSAGE_CEILING}")));
        }
        if self.width == 0 {
            return Ok(());
        }
        // A length that wrapped round silently is how a known switch corrupts its long messages.
        let capacity = self.encoding.capacity(self.width);
        let room = capacity.saturating_sub(self.counted_head + self.counted_trailer);
        match self.max as u64 > room {
            true => Err(mistake(key, format!("at most {room}, which the length can say"))),
            false => Ok(()),
        }
    }
}

fn mistake(key: &'static str, expected: impl Into<String>) -> SettingsError {
    SettingsError { key, expected: expected.into() }
}

fn fixed(key: &'static str, hex: &str) -> Result<Vec<u8>, SettingsError> {
    let bytes =
        data_encoding::HEXUPPER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| mistake(key, "pairs of hex digits"))?;
    match bytes.len() > FIXED_CEILING {
        true => Err(mistake(key, format!("at most {FIXED_CEILING} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key_of(settings: Settings) -> &'static str {
        Framing::new(&settings).unwrap_err().key
    }

    #[test]
    fn the_two_defaults_are_one() {
        assert_eq!(Framing::new(&Settings::default()).unwrap(), Framing::default());
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_key() {
        let base = Settings::default;
        assert_eq!(key_of(Settings { length_bytes: 9, ..base() }), "length_bytes");
        assert_eq!(key_of(Settings { length_bytes: 0, ..base() }), "trailer_hex");
        assert_eq!(key_of(Settings { before_hex: "0".into(), ..base() }), "before_hex");
        assert_eq!(key_of(Settings { after_hex: "zz".into(), ..base() }), "after_hex");
        assert_eq!(key_of(Settings { trailer_hex: "00".repeat(17), ..base() }), "trailer_hex");
        assert_eq!(key_of(Settings { max_message_bytes: 0, ..base() }), "max_message_bytes");
    }

    #[test]
    fn a_length_too_narrow_for_the_maximum_is_refused() {
        let narrow = |max| Settings {
            length_encoding: Encoding::Bcd,
            length_counts: Counted::Itself,
            max_message_bytes: max,
            ..Settings::default()
        };
        assert!(Framing::new(&narrow(9_997)).is_ok());
        assert_eq!(key_of(narrow(9_998)), "max_message_bytes");
    }
}
