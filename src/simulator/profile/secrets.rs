//! What a profile says of MACs, PIN blocks and the exchange of keys; the keys themselves are the bank's.
//!
//! All of it is without effect at a bank that has no `[keys]`.

use serde::Deserialize;

use crate::security::{KeyKind, MacMethod, MethodName, PaddingName, PinBlockFormat};

use super::super::mistake::Examined;

/// How MACs are made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct MacPractice {
    method: MethodName,
    padding: PaddingName,
    /// Bytes of it that are sent, zeros behind them.
    pub(in super::super) bytes: usize,
    /// Classes of message that bear one.
    pub(in super::super) classes: Vec<u8>,
    /// Whether a message of them without a MAC is refused.
    pub(in super::super) required: bool,
    /// Whether the repeat digit isn't covered, so that a repeat bears its original's MAC.
    pub(in super::super) leaves_out_repeat: bool,
    /// What becomes of a message whose MAC is wrong or missing.
    pub(in super::super) wrong: Forged,
}

/// What becomes of a message whose MAC is wrong or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Forged {
    /// It is told so.
    Refused,
    /// It gets no answer.
    Ignored,
}

impl MacPractice {
    pub(in super::super) fn method(&self) -> MacMethod {
        self.method.with(self.padding)
    }

    /// The kind of its keys of so many bytes; `None` where it takes none.
    pub(in super::super) fn key_kind(&self, bytes: usize) -> Option<KeyKind> {
        self.method().key_kind(bytes)
    }
}

/// How PIN blocks travel, and how often a PIN may be wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PinPractice {
    pub(in super::super) element: u8,
    /// Number of the ISO 9564 format.
    format: u8,
    /// So many wrong ones in a row block the account's PIN.
    pub(in super::super) tries: u8,
}

impl PinPractice {
    pub(in super::super) fn format(&self) -> PinBlockFormat {
        PinBlockFormat::of_number(self.format).unwrap_or(PinBlockFormat::Iso0)
    }

    /// The kind of its keys of so many bytes; `None` where it takes none.
    pub(in super::super) fn key_kind(&self, bytes: usize) -> Option<KeyKind> {
        self.format().key_kind(bytes)
    }
}

/// Where new keys stand, and how they are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct KeyExchange {
    pub(in super::super) element: u8,
    /// Whether the answer to a sign-on bears them too.
    pub(in super::super) with_sign_on: bool,
    /// Whether each terminal has keys of its own.
    pub(in super::super) by_terminal: bool,
    pub(in super::super) wrapping: Wrapping,
    pub(in super::super) keys: Vec<KeyPart>,
}

/// How a key is protected by the zone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Wrapping {
    /// Each block by itself (ANSI X9.17).
    Ecb,
    /// As a key block (ANSI X9.143).
    KeyBlock,
}

/// What a working key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum WorkingUse {
    Mac,
    Pin,
}

/// One of the keys that are exchanged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct KeyPart {
    #[serde(rename = "for")]
    pub(in super::super) usage: WorkingUse,
    pub(in super::super) bytes: usize,
    /// Zeros behind the key.
    #[serde(default)]
    pub(in super::super) filler_bytes: usize,
    /// Bytes of its check value; 0 where none comes with it.
    #[serde(default = "three")]
    pub(in super::super) check_bytes: usize,
}

fn three() -> usize {
    3
}

impl super::Profile {
    /// Notes what cannot be in these tables.
    pub(super) fn examine_secrets(&self, examined: &mut Examined<'_>) {
        if !(4..=8).contains(&self.mac.bytes) {
            examined.note_key("mac.bytes", "4 to 8");
        }
        if PinBlockFormat::of_number(self.pin.format).is_none() {
            examined.note_key("pin.format", "0, 1, 3 or 4");
        }
        if self.pin.tries == 0 {
            examined.note_key("pin.tries", "at least 1");
        }
        for part in &self.key_exchange.keys {
            let kind = match part.usage {
                WorkingUse::Mac => self.mac.key_kind(part.bytes),
                WorkingUse::Pin => self.pin.key_kind(part.bytes),
            };
            if kind.is_none_or(|kind| kind.is_aes() && self.key_exchange.wrapping == Wrapping::Ecb) {
                examined.note_key(
                    "key_exchange.keys",
                    "a length in bytes that the method or format takes, and AES in key blocks alone",
                );
            }
            if !matches!(part.check_bytes, 0 | 2..=5) || part.filler_bytes > 64 {
                examined.note_key("key_exchange.keys", "check_bytes 0 or 2 to 5, filler_bytes up to 64");
            }
        }
    }
}
