//! Message authentication codes of payment messages.
//!
//! ISO/IEC 9797-1 algorithm 1 (ANSI X9.9: the last block of a chain), algorithm 3 (ANSI X9.19, the retail MAC: the
//! chain under one half of a key, its last block through both), algorithm 5 (CMAC), and the ECB method of UnionPay's
//! terminals, in which blocks are added before anything is enciphered. The surprise: under algorithm 1 a message of
//! another length can be forged from two others, so it is safe only where the message's length is fixed by its spec.

use super::cipher::{Cipher, cmac, xor};
use super::hex;
use super::key::{Key, KeyFault, KeyKind, KeyUsage};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How data is brought to whole blocks (ISO/IEC 9797-1, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Method 1: zeros, none where the last block is whole.
    Zeros,
    /// Method 2: one bit set, then zeros; always.
    Bit,
}

/// How a MAC is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacMethod {
    /// ISO/IEC 9797-1 algorithm 1 with the key's cipher (ANSI X9.9 with DES).
    Chained(Padding),
    /// ISO/IEC 9797-1 algorithm 3 under a double-length key (ANSI X9.19).
    Retail(Padding),
    /// CMAC with the key's cipher.
    Cmac,
    /// UnionPay's ECB method: eight hexadecimal digits as text.
    UnionPayEcb,
}

impl MacMethod {
    /// The kind of a key of this many bytes for it; `None` where it takes none so long.
    pub fn key_kind(self, length: usize) -> Option<KeyKind> {
        match self {
            MacMethod::Cmac => KeyKind::aes(length),
            MacMethod::Retail(_) => KeyKind::des(length).filter(|kind| *kind == KeyKind::Tdes2),
            MacMethod::Chained(_) | MacMethod::UnionPayEcb => KeyKind::des(length),
        }
    }

    /// The MAC of data, as long as the method makes it: 8 bytes, or 16 with AES. [`KeyFault::Usage`] where the key is
    /// for something else, [`KeyFault::Kind`] where the method has no use for its cipher.
    pub fn make(self, key: &Key, data: &[u8]) -> Result<Mac, KeyFault> {
        let key = key.for_use(KeyUsage::Mac)?;
        match self {
            MacMethod::Chained(padding) => Ok(chained(&Cipher::of(key), padding, data)),
            MacMethod::Retail(padding) => retail(key, padding, data),
            MacMethod::Cmac => Ok(Mac::of(&cmac(key, &[data]))),
            MacMethod::UnionPayEcb => union_pay(key, data),
        }
    }
}

fn chained(cipher: &Cipher, padding: Padding, data: &[u8]) -> Mac {
    let mut padded = pad(data, padding, cipher.size());
    cipher.encrypt_chained(&vec![0; cipher.size()], &mut padded);
    Mac::of(&padded[padded.len() - cipher.size()..])
}

fn retail(key: &Key, padding: Padding, data: &[u8]) -> Result<Mac, KeyFault> {
    if key.kind() != KeyKind::Tdes2 {
        return Err(KeyFault::Kind);
    }
    let halves: (Option<&[u8; 8]>, Option<&[u8; 8]>) = (key.bytes().first_chunk(), key.bytes().last_chunk());
    let (Some(left), Some(right)) = halves else { return Err(KeyFault::Kind) };
    let (left, right) = (Cipher::single_des(left), Cipher::single_des(right));
    let mut last = chained(&left, padding, data);
    right.decrypt(last.all_mut());
    left.encrypt(last.all_mut());
    Ok(last)
}

fn union_pay(key: &Key, data: &[u8]) -> Result<Mac, KeyFault> {
    if key.kind().is_aes() {
        return Err(KeyFault::Kind);
    }
    let (cipher, mut sum) = (Cipher::of(key), [0; 8]);
    data.chunks(8).for_each(|block| xor(&mut sum, block));
    let text = hex::digits(&sum);
    let (left, right) = text.split_at(8);
    let mut block = left.to_vec();
    cipher.encrypt(&mut block);
    xor(&mut block, right);
    cipher.encrypt(&mut block);
    Ok(Mac::of(&hex::digits(&block)[..8]))
}

fn pad(data: &[u8], padding: Padding, size: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(data.len() + size));
    padded.extend_from_slice(data);
    if padding == Padding::Bit {
        padded.push(0x80);
    }
    // Under method 1 an empty string is one block of zeros.
    let whole = padded.len().next_multiple_of(size).max(size);
    padded.resize(whole, 0);
    padded
}

/// A message authentication code; no secret, but compared as if it were.
#[derive(Clone, Copy)]
pub struct Mac {
    bytes: [u8; 16],
    length: usize,
}

impl Mac {
    fn of(made: &[u8]) -> Mac {
        let (mut bytes, length) = ([0; 16], made.len().min(16));
        bytes[..length].copy_from_slice(&made[..length]);
        Mac { bytes, length }
    }

    fn all_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// All of it: 8 or 16 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Writes the first `significant` bytes into an element, and zeros behind them. `false`, and nothing written,
    /// where the MAC has not so many bytes or the element has no room for them.
    pub fn fill(&self, significant: usize, element: &mut [u8]) -> bool {
        let (Some(own), true) = (self.as_bytes().get(..significant), significant <= element.len()) else {
            return false;
        };
        let (front, rest) = element.split_at_mut(significant);
        front.copy_from_slice(own);
        rest.fill(0);
        true
    }

    /// Whether an element holds what [`Mac::fill`] would write. Takes as long for a wrong one as for a right one.
    pub fn is_in(&self, significant: usize, element: &[u8]) -> bool {
        let mut expected = vec![0; element.len()];
        self.fill(significant, &mut expected) && bool::from(expected.ct_eq(element))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // ISO/IEC 9797-1:1999 annex B: its keys, its two strings and the values printed there.
    const LEFT: &str = "0123456789ABCDEF";
    const BOTH: &str = "0123456789ABCDEFFEDCBA9876543210";
    const WHOLE: &[u8] = b"Now is the time for all ";
    const PARTIAL: &[u8] = b"Now is the time for it";

    fn key(kind: KeyKind, digits: &str) -> Key {
        Key::parse(kind, KeyUsage::Mac, digits).unwrap()
    }

    fn made(method: MacMethod, key: &Key, data: &[u8]) -> String {
        String::from_utf8(hex::digits(method.make(key, data).unwrap().as_bytes())).unwrap()
    }

    #[test]
    fn algorithm_1_as_published() {
        let key = key(KeyKind::Des, LEFT);
        assert_eq!(made(MacMethod::Chained(Padding::Zeros), &key, WHOLE), "70A30640CC76DD8B");
        assert_eq!(made(MacMethod::Chained(Padding::Zeros), &key, PARTIAL), "E45B3AD2B7CC0856");
        assert_eq!(made(MacMethod::Chained(Padding::Bit), &key, WHOLE), "10E1F0F108341B6D");
    }

    #[test]
    fn algorithm_3_as_published() {
        let key = key(KeyKind::Tdes2, BOTH);
        assert_eq!(made(MacMethod::Retail(Padding::Zeros), &key, WHOLE), "A1C72E74EA3FA9B6");
        assert_eq!(made(MacMethod::Retail(Padding::Zeros), &key, PARTIAL), "2E2B1428CC78254F");
        assert_eq!(made(MacMethod::Retail(Padding::Bit), &key, WHOLE), "E9086230CA3BE796");
    }

    #[test]
    fn the_ecb_method_adds_blocks_before_it_enciphers() {
        let key = key(KeyKind::Tdes2, BOTH);
        let one = made(MacMethod::UnionPayEcb, &key, b"12345678ABCDEFGH");
        let swapped = made(MacMethod::UnionPayEcb, &key, b"ABCDEFGH12345678");
        assert_eq!(one, swapped);
        assert_ne!(one, made(MacMethod::UnionPayEcb, &key, b"12345678ABCDEFGI"));
        assert_eq!(one.len(), 16, "eight digits as text");
    }

    #[test]
    fn an_empty_message_has_a_mac_too() {
        let key = key(KeyKind::Des, LEFT);
        assert_eq!(
            made(MacMethod::Chained(Padding::Zeros), &key, b""),
            made(MacMethod::Chained(Padding::Zeros), &key, &[0; 8]),
        );
    }

    #[test]
    fn only_keys_for_macs_of_the_right_kind() {
        let pin = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, BOTH).unwrap();
        assert_eq!(MacMethod::Cmac.make(&pin, WHOLE).unwrap_err(), KeyFault::Usage);
        let aes = key(KeyKind::Aes128, BOTH);
        assert_eq!(MacMethod::Retail(Padding::Zeros).make(&aes, WHOLE).unwrap_err(), KeyFault::Kind);
        assert_eq!(MacMethod::UnionPayEcb.make(&aes, WHOLE).unwrap_err(), KeyFault::Kind);
    }

    #[test]
    fn an_element_holds_as_much_of_it_as_the_host_wants() {
        let mac = MacMethod::Retail(Padding::Zeros).make(&key(KeyKind::Tdes2, BOTH), WHOLE).unwrap();
        let mut element = [0xFF; 8];
        assert!(mac.fill(4, &mut element));
        assert_eq!(element, [0xA1, 0xC7, 0x2E, 0x74, 0, 0, 0, 0]);
        assert!(mac.is_in(4, &element));
        assert!(!mac.is_in(8, &element));
        element[7] = 1;
        assert!(!mac.is_in(4, &element), "what stands behind it belongs to it");
        assert!(!mac.fill(16, &mut [0; 16]), "it has eight bytes");
        assert!(!mac.is_in(8, &element[..4]));
        assert!(!mac.is_in(8, &[]));
    }
}
