//! A symmetric key by kind and usage (ISO 11568, ANSI X9.24-1).
//!
//! A key does what it is for and nothing else: a PIN key makes no MAC. It prints as its kind and usage and is wiped
//! when dropped. The surprise: a double-length DES key whose halves are equal is single DES in disguise, and refused.

use super::hex;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The cipher of a key and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Single-length DES, 8 bytes: only for MACs of hosts that still have it.
    Des,
    /// Double-length TDES, 16 bytes.
    Tdes2,
    /// Triple-length TDES, 24 bytes.
    Tdes3,
    /// AES with 16 bytes.
    Aes128,
    /// AES with 24 bytes.
    Aes192,
    /// AES with 32 bytes.
    Aes256,
}

impl KeyKind {
    /// The DES or TDES kind of this many bytes.
    pub fn des(length: usize) -> Option<KeyKind> {
        [KeyKind::Des, KeyKind::Tdes2, KeyKind::Tdes3].into_iter().find(|kind| kind.length() == length)
    }

    /// The AES kind of this many bytes.
    pub fn aes(length: usize) -> Option<KeyKind> {
        [KeyKind::Aes128, KeyKind::Aes192, KeyKind::Aes256].into_iter().find(|kind| kind.length() == length)
    }

    /// Bytes of a key.
    pub fn length(self) -> usize {
        match self {
            KeyKind::Des => 8,
            KeyKind::Tdes2 | KeyKind::Aes128 => 16,
            KeyKind::Tdes3 | KeyKind::Aes192 => 24,
            KeyKind::Aes256 => 32,
        }
    }

    /// Whether the cipher is AES.
    pub fn is_aes(self) -> bool {
        matches!(self, KeyKind::Aes128 | KeyKind::Aes192 | KeyKind::Aes256)
    }

    /// Bytes of a block of the cipher.
    pub fn block(self) -> usize {
        if self.is_aes() { 16 } else { 8 }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    /// Enciphers other keys as they are (zone master key, key-encrypting key).
    KeyWrapping,
    /// Protects key blocks (KBPK of ANSI X9.143).
    KeyBlocks,
    /// Enciphers PIN blocks.
    Pin,
    /// Makes and checks message authentication codes.
    Mac,
    /// Base derivation key of DUKPT (ANSI X9.24-3).
    Derivation,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Its bytes are not as many as its kind has.
    #[error("the key has another length than its kind")]
    Length,
    /// Something other than hexadecimal digits.
    #[error("a key is written in hexadecimal digits")]
    NotHex,
    /// Two neighbouring parts of a TDES key are equal, which leaves single DES.
    #[error("parts of the TDES key are equal, which leaves single DES")]
    Degenerate,
    /// Single DES for something other than a MAC.
    #[error("single-length DES is for message authentication codes only")]
    TooShort,
    /// A key for something else.
    #[error("the key is for another use")]
    Usage,
    /// The method wants another cipher or length.
    #[error("the method wants a key of another kind")]
    Kind,
    /// It is not the key that its check value stands for.
    #[error("the key does not have the check value that came with it")]
    CheckValue,
}

impl KeyFault {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "key_length",
            Self::NotHex => "key_not_hex",
            Self::Degenerate => "key_degenerate",
            Self::TooShort => "key_too_short",
            Self::Usage => "key_usage",
            Self::Kind => "key_kind",
            Self::CheckValue => "key_check_value",
        }
    }
}

/// A key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key {
    #[zeroize(skip)]
    kind: KeyKind,
    #[zeroize(skip)]
    usage: KeyUsage,
    bytes: [u8; 32],
}

impl Key {
    /// A key from its bytes. Parity bits of DES are taken as they come.
    pub fn new(kind: KeyKind, usage: KeyUsage, bytes: &[u8]) -> Result<Key, KeyFault> {
        if bytes.len() != kind.length() {
            return Err(KeyFault::Length);
        }
        if kind == KeyKind::Des && usage != KeyUsage::Mac {
            return Err(KeyFault::TooShort);
        }
        if !kind.is_aes() && bytes.chunks(8).zip(bytes.chunks(8).skip(1)).any(|(one, next)| same_des_key(one, next)) {
            return Err(KeyFault::Degenerate);
        }
        let mut padded = [0; 32];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Key { kind, usage, bytes: padded })
    }

    /// A key from hexadecimal digits, as key files hold it.
    pub fn parse(kind: KeyKind, usage: KeyUsage, digits: &str) -> Result<Key, KeyFault> {
        let bytes = Zeroizing::new(hex::bytes(digits).ok_or(KeyFault::NotHex)?);
        Key::new(kind, usage, &bytes)
    }

    /// Its cipher and length.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What it is for.
    pub fn usage(&self) -> KeyUsage {
        self.usage
    }

    /// [`KeyFault::Usage`] where it is for something else.
    pub(super) fn for_use(&self, usage: KeyUsage) -> Result<&Key, KeyFault> {
        if self.usage == usage { Ok(self) } else { Err(KeyFault::Usage) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.kind.length()]
    }
}

/// Whether two parts are the same DES key; the lowest bit of each byte is parity and no part of it.
fn same_des_key(one: &[u8], other: &[u8]) -> bool {
    let bare = |part: &[u8]| Zeroizing::new(part.iter().map(|byte| byte & 0xFE).collect::<Vec<u8>>());
    bare(one).ct_eq(&bare(other)).into()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?}, ***)", self.kind, self.usage)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.kind == other.kind && self.usage == other.usage && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIGITS: &str = "0123456789ABCDEFFEDCBA9876543210";

    #[test]
    fn a_key_does_not_print() {
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, DIGITS).unwrap();
        assert_eq!(format!("{key:?}"), "Key(Tdes2, Pin, ***)");
    }

    #[test]
    fn single_des_in_disguise_is_refused() {
        let halves = |right: u8| Key::new(KeyKind::Tdes2, KeyUsage::Mac, &[[0x10; 8], [right; 8]].concat());
        assert_eq!(halves(0x10).unwrap_err(), KeyFault::Degenerate);
        assert_eq!(halves(0x11).unwrap_err(), KeyFault::Degenerate, "they differ in parity only");
        assert!(halves(0x12).is_ok());
        assert!(Key::new(KeyKind::Aes128, KeyUsage::Mac, &[0x10; 16]).is_ok());
    }

    #[test]
    fn single_des_makes_macs_only() {
        let of = |usage| Key::parse(KeyKind::Des, usage, "0123456789ABCDEF").map(|_| ());
        assert_eq!(of(KeyUsage::Mac), Ok(()));
        assert_eq!(of(KeyUsage::Pin), Err(KeyFault::TooShort));
        assert_eq!(of(KeyUsage::KeyWrapping), Err(KeyFault::TooShort));
    }

    #[test]
    fn length_and_digits_are_checked() {
        let of = |digits| Key::parse(KeyKind::Tdes2, KeyUsage::Pin, digits).unwrap_err();
        assert_eq!(of("0123456789ABCDEF"), KeyFault::Length);
        assert_eq!(of("0123456789ABCDEFFEDCBA987654321"), KeyFault::NotHex);
        assert_eq!(of(""), KeyFault::Length);
    }

    #[test]
    fn a_key_serves_its_use() {
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, DIGITS).unwrap();
        assert!(key.for_use(KeyUsage::Pin).is_ok());
        assert_eq!(key.for_use(KeyUsage::Mac).unwrap_err(), KeyFault::Usage);
    }
}
