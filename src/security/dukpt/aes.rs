//! DUKPT with AES (ANSI X9.24-3:2017, clause 6).
//!
//! Every step is one AES of a block that spells out what is derived: for what, for which cipher, of which terminal and
//! transaction. The surprise: the block holds the right half of the terminal's id only, so that its counter has room.

use super::super::cipher::Cipher;
use super::super::key::{Key, KeyFault, KeyKind, KeyUsage};
use super::{DukptFault, WorkingKey};
use std::fmt;
use zeroize::Zeroizing;

/// The most bits a counter has set (clause 6.3: it skips the others).
const MOST_BITS: u32 = 16;

/// Key usage indicators of the derivation data (table 2).
const PIN: u16 = 0x1000;
const MAC_GENERATION: u16 = 0x2000;
const MAC_VERIFICATION: u16 = 0x2001;
const DERIVATION: u16 = 0x8000;
const INITIAL_KEY: u16 = 0x8001;

/// A key serial number: id of the initial key (key set and terminal), then a counter of 32 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SerialNumber([u8; 12]);

impl SerialNumber {
    /// From its twelve bytes.
    pub fn new(bytes: [u8; 12]) -> SerialNumber {
        SerialNumber(bytes)
    }

    fn counter(&self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    fn initial_key_id(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }

    /// Right half of the terminal's id, then a counter.
    fn with_counter(&self, counter: u32) -> [u8; 8] {
        let [_, _, _, _, a, b, c, d, ..] = self.0;
        let [e, f, g, h] = counter.to_be_bytes();
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

/// Derives the key of one transaction from an AES base key. `kind` is the derived key's: AES of at most the base key's
/// length, or TDES where the terminal still enciphers PINs in formats 0 or 3.
pub fn derive(base: &Key, serial: SerialNumber, kind: KeyKind, purpose: WorkingKey) -> Result<Key, DukptFault> {
    let base = base.for_use(KeyUsage::Derivation)?;
    let algorithm = algorithm(kind).filter(|_| base.kind().is_aes() && kind.length() <= base.kind().length());
    let (algorithm, own) = algorithm.zip(self::algorithm(base.kind())).ok_or(DukptFault::Key(KeyFault::Kind))?;
    if serial.counter() == 0 || serial.counter().count_ones() > MOST_BITS {
        return Err(DukptFault::Counter);
    }
    let derivation = derivation_key(base, own, serial)?;
    let (usage, indicator) = match purpose {
        WorkingKey::Pin => (KeyUsage::Pin, PIN),
        WorkingKey::TerminalMac => (KeyUsage::Mac, MAC_GENERATION),
        WorkingKey::HostMac => (KeyUsage::Mac, MAC_VERIFICATION),
    };
    let context = serial.with_counter(serial.counter());
    let bytes = derived(&derivation, indicator, (algorithm, kind), context);
    Ok(Key::new(kind, usage, &bytes)?)
}

/// The key from which the working keys of the transaction are derived: one step for each bit set in the counter.
fn derivation_key(base: &Key, algorithm: u16, serial: SerialNumber) -> Result<Key, KeyFault> {
    let kind = base.kind();
    let next = |key: &Key, indicator, context| {
        Key::new(kind, KeyUsage::Derivation, &derived(key, indicator, (algorithm, kind), context))
    };
    let mut key = next(base, INITIAL_KEY, serial.initial_key_id())?;
    let mut reached = 0;
    for bit in (0..32).rev().map(|place| 1 << place).filter(|bit| serial.counter() & bit != 0) {
        reached |= bit;
        key = next(&key, DERIVATION, serial.with_counter(reached))?;
    }
    Ok(key)
}

/// Derives key bytes: as many blocks of derivation data (clause 6.3.2) as the key needs, each enciphered.
fn derived(key: &Key, indicator: u16, (algorithm, kind): (u16, KeyKind), context: [u8; 8]) -> Zeroizing<Vec<u8>> {
    let bits = (kind.length() * 8) as u16;
    let mut bytes = Zeroizing::new(Vec::with_capacity(32));
    for count in 1..=kind.length().div_ceil(16) as u8 {
        let head = [[1, count], indicator.to_be_bytes(), algorithm.to_be_bytes(), bits.to_be_bytes()];
        bytes.extend(head.as_flattened());
        bytes.extend(context);
    }
    Cipher::of(key).encrypt(&mut bytes);
    bytes.truncate(kind.length());
    bytes
}

/// Algorithm indicator of the derivation data (table 3).
fn algorithm(kind: KeyKind) -> Option<u16> {
    match kind {
        KeyKind::Des => None,
        KeyKind::Tdes2 => Some(0),
        KeyKind::Tdes3 => Some(1),
        KeyKind::Aes128 => Some(2),
        KeyKind::Aes192 => Some(3),
        KeyKind::Aes256 => Some(4),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::hex;
    use super::*;

    // Supplement to ANSI X9.24-3-2017, test vectors: its base key, initial key id and the keys printed there.
    fn base() -> Key {
        Key::parse(KeyKind::Aes128, KeyUsage::Derivation, "FEDCBA9876543210F1F1F1F1F1F1F1F1").unwrap()
    }

    fn serial(counter: u32) -> SerialNumber {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&hex::bytes("1234567890123456").unwrap());
        bytes[8..].copy_from_slice(&counter.to_be_bytes());
        SerialNumber::new(bytes)
    }

    fn made(counter: u32, purpose: WorkingKey) -> Vec<u8> {
        hex::digits(derive(&base(), serial(counter), KeyKind::Aes128, purpose).unwrap().bytes())
    }

    #[test]
    fn keys_as_published() {
        let derivation = derivation_key(&base(), 2, serial(1)).unwrap();
        assert_eq!(hex::digits(derivation.bytes()), b"4F21B565BAD9835E112B6465635EAE44");
        assert_eq!(made(1, WorkingKey::Pin), b"AF8CB133A78F8DC2D1359F18527593FB");
        assert_eq!(made(1, WorkingKey::TerminalMac), b"A2DC23DE6FDE0824A2BC321E08E4B8B7");
        assert_eq!(made(1, WorkingKey::HostMac), b"DBB463945B286C07CD3AD82EE96FD9C9");
        assert_eq!(made(3, WorkingKey::Pin), b"7D69F01F3B45449F62C7816ECE723268");
        assert_eq!(made(8, WorkingKey::TerminalMac), b"6FD572E5D59E618875F193484F9178FB");
    }

    #[test]
    fn counters_that_no_terminal_reaches() {
        for counter in [0, 0x1_FFFF, u32::MAX] {
            let derived = derive(&base(), serial(counter), KeyKind::Aes128, WorkingKey::Pin);
            assert_eq!(derived.unwrap_err(), DukptFault::Counter);
        }
        assert!(derive(&base(), serial(0xFFFF_0000), KeyKind::Aes128, WorkingKey::Pin).is_ok());
    }

    #[test]
    fn a_key_is_not_stronger_than_its_base() {
        let of = |kind| derive(&base(), serial(1), kind, WorkingKey::Pin).map(|key| key.kind());
        assert_eq!(of(KeyKind::Aes256), Err(DukptFault::Key(KeyFault::Kind)));
        assert_eq!(of(KeyKind::Tdes2), Ok(KeyKind::Tdes2));
        assert_eq!(of(KeyKind::Des), Err(DukptFault::Key(KeyFault::Kind)));
    }
}
