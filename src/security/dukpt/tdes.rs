//! DUKPT with TDES (ANSI X9.24-3:2017 annex C, before it X9.24-1:2009 annex A).
//!
//! The key of a transaction is reached from the initial key of the terminal in one step for each bit that is set in
//! its counter; what travels under it is a variant of that key.

use super::super::cipher::{Cipher, xor};
use super::super::key::{Key, KeyFault, KeyKind, KeyUsage};
use super::{DukptFault, WorkingKey};
use std::fmt;
use zeroize::Zeroizing;

/// The most bits a counter has set (annex C.3: it skips the others).
const MOST_BITS: u32 = 10;
const COUNTER: u32 = 0x1F_FFFF;
/// Added to a key to get its other half's key.
const OTHER_HALF: [u8; 16] = [0xC0, 0xC0, 0xC0, 0xC0, 0, 0, 0, 0, 0xC0, 0xC0, 0xC0, 0xC0, 0, 0, 0, 0];

type Bytes16 = Zeroizing<[u8; 16]>;

/// A key serial number: key set and terminal, then a counter of 21 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SerialNumber([u8; 10]);

impl SerialNumber {
    /// From its ten bytes; shorter ones are filled with F from the left by who reads them.
    pub fn new(bytes: [u8; 10]) -> SerialNumber {
        SerialNumber(bytes)
    }

    fn counter(&self) -> u32 {
        let [.., high, middle, low] = self.0;
        u32::from_be_bytes([0, high, middle, low]) & COUNTER
    }

    /// The same terminal with another counter.
    fn with_counter(&self, counter: u32) -> SerialNumber {
        let [_, high, middle, low] = (counter & COUNTER).to_be_bytes();
        let mut bytes = self.0;
        bytes[7] = bytes[7] & 0xE0 | high;
        (bytes[8], bytes[9]) = (middle, low);
        SerialNumber(bytes)
    }

    fn left(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }

    fn right(&self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        [a, b, c, d, e, f, g, h]
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SerialNumber(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
        f.write_str(")")
    }
}

/// Derives the key of one transaction from a base key of double length.
pub fn derive(base: &Key, serial: SerialNumber, purpose: WorkingKey) -> Result<Key, DukptFault> {
    if base.for_use(KeyUsage::Derivation)?.kind() != KeyKind::Tdes2 {
        return Err(DukptFault::Key(KeyFault::Kind));
    }
    let counter = serial.counter();
    if counter == 0 || counter.count_ones() > MOST_BITS {
        return Err(DukptFault::Counter);
    }
    let mut key = transaction_key(initial_key(base, serial)?, serial);
    let (usage, place) = match purpose {
        WorkingKey::Pin => (KeyUsage::Pin, 7),
        WorkingKey::TerminalMac => (KeyUsage::Mac, 6),
        WorkingKey::HostMac => (KeyUsage::Mac, 4),
    };
    key[place] ^= 0xFF;
    key[place + 8] ^= 0xFF;
    Ok(Key::new(KeyKind::Tdes2, usage, &*key)?)
}

/// The initial key of the terminal: the left bytes of its number without counter, under the base key and under a
/// variant of it.
fn initial_key(base: &Key, serial: SerialNumber) -> Result<Bytes16, DukptFault> {
    let mut variant = Zeroizing::new([0; 16]);
    variant.copy_from_slice(base.bytes());
    xor(&mut *variant, &OTHER_HALF);
    let variant = Key::new(KeyKind::Tdes2, KeyUsage::Derivation, &*variant)?;
    let terminal = serial.with_counter(0).left();
    let mut key = Zeroizing::new([0; 16]);
    let (left, right) = key.split_at_mut(8);
    left.copy_from_slice(&terminal);
    right.copy_from_slice(&terminal);
    Cipher::of(base).encrypt(left);
    Cipher::of(&variant).encrypt(right);
    Ok(key)
}

fn transaction_key(initial: Bytes16, serial: SerialNumber) -> Bytes16 {
    let (wanted, mut reached, mut key) = (serial.counter(), 0, initial);
    for bit in (0..21).rev().map(|place| 1 << place).filter(|bit| wanted & bit != 0) {
        reached |= bit;
        key = next_key(&key, serial.with_counter(reached).right());
    }
    key
}

/// The non-reversible key generation process of annex C.
fn next_key(key: &Bytes16, register: [u8; 8]) -> Bytes16 {
    let mut variant = key.clone();
    xor(&mut *variant, &OTHER_HALF);
    let mut next = Zeroizing::new([0; 16]);
    let (left, right) = next.split_at_mut(8);
    mix(&variant, register, left);
    mix(key, register, right);
    next
}

/// One half of the next key: the register, enciphered under the key's left half between two additions of its right.
fn mix(key: &[u8; 16], register: [u8; 8], half: &mut [u8]) {
    let [a, b, c, d, e, f, g, h, right @ ..] = key;
    let left = Zeroizing::new([*a, *b, *c, *d, *e, *f, *g, *h]);
    half.copy_from_slice(&register);
    xor(half, right);
    Cipher::single_des(&left).encrypt(half);
    xor(half, right);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::hex;
    use super::*;

    // The base key and terminal of X9.24-1:2009 annex A.4.
    fn base() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Derivation, "0123456789ABCDEFFEDCBA9876543210").unwrap()
    }

    fn serial(counter: u32) -> SerialNumber {
        SerialNumber::new(hex::bytes("FFFF9876543210E00000").unwrap().try_into().unwrap()).with_counter(counter)
    }

    #[test]
    fn keys_as_published() {
        assert_eq!(hex::digits(&*initial_key(&base(), serial(1)).unwrap()), b"6AC292FAA1315B4D858AB3A3D7D5933A");
        let of = |purpose| hex::digits(derive(&base(), serial(1), purpose).unwrap().bytes());
        assert_eq!(of(WorkingKey::Pin), b"042666B49184CF5C68DE9628D0397B36");
        assert_eq!(of(WorkingKey::TerminalMac), b"042666B4918430A368DE9628D03984C9");
        let far = derive(&base(), serial(0xFF800), WorkingKey::Pin).unwrap();
        assert_eq!(hex::digits(far.bytes()), b"F9CDFEBF4F5B1D61B3EC12454527E189");
    }

    #[test]
    fn each_transaction_has_its_key() {
        let keys: Vec<_> = (1..20)
            .map(|counter| hex::digits(derive(&base(), serial(counter), WorkingKey::Pin).unwrap().bytes()))
            .collect();
        assert!(keys.iter().enumerate().all(|(place, key)| !keys[..place].contains(key)));
    }

    #[test]
    fn counters_that_no_terminal_reaches() {
        for counter in [0, 0x7FF, COUNTER] {
            assert_eq!(derive(&base(), serial(counter), WorkingKey::Pin).unwrap_err(), DukptFault::Counter);
        }
        assert!(derive(&base(), serial(0x3FF), WorkingKey::Pin).is_ok());
    }

    #[test]
    fn a_derived_key_does_what_it_is_for() {
        let derived = |purpose| derive(&base(), serial(1), purpose).unwrap().usage();
        assert_eq!(derived(WorkingKey::Pin), KeyUsage::Pin);
        assert_eq!(derived(WorkingKey::HostMac), KeyUsage::Mac);
        let other = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "0123456789ABCDEFFEDCBA9876543210").unwrap();
        assert!(derive(&other, serial(1), WorkingKey::Pin).is_err());
    }
}
