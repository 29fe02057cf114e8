//! Key check values (KCV): tell one key from another without telling anything of it.
//!
//! TDES keys have one way: the first bytes of zeros enciphered (ANSI X9.24-1). AES keys have two: the legacy way, and
//! CMAC over a block of zeros (ANSI X9.24-1-2017 annex A); which one a host means, its dialect says.

use super::cipher::{Cipher, cmac};
use super::key::{Key, KeyFault};
use std::fmt;
use subtle::ConstantTimeEq;

/// A key's check value: at most five bytes of it are ever shown, and three are usual.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CheckValue([u8; 5]);

impl CheckValue {
    /// First bytes of a block of zeros enciphered under the key.
    pub fn of_zeros(key: &Key) -> CheckValue {
        let mut block = vec![0; key.kind().block()];
        Cipher::of(key).encrypt(&mut block);
        CheckValue::first_of(&block)
    }

    /// First bytes of the CMAC of a block of zeros, as AES keys have it.
    pub fn of_cmac(key: &Key) -> CheckValue {
        CheckValue::first_of(&cmac(key, &[&vec![0; key.kind().block()]]))
    }

    /// The way that is usual for the key's cipher.
    pub fn of(key: &Key) -> CheckValue {
        if key.kind().is_aes() { CheckValue::of_cmac(key) } else { CheckValue::of_zeros(key) }
    }

    fn first_of(block: &[u8]) -> CheckValue {
        let mut value = [0; 5];
        value.copy_from_slice(&block[..5]);
        CheckValue(value)
    }

    /// Three bytes of it, for people.
    pub fn shown(&self) -> [u8; 3] {
        [self.0[0], self.0[1], self.0[2]]
    }

    /// Its first bytes, at most five, as many as a host sends.
    pub fn first(&self, bytes: usize) -> Option<&[u8]> {
        self.0.get(..bytes)
    }

    /// Whether the two to five bytes that came with a key are its check value; [`KeyFault::CheckValue`] otherwise.
    pub fn check(&self, received: &[u8]) -> Result<(), KeyFault> {
        let own = self.0.get(..received.len()).filter(|own| own.len() >= 2).ok_or(KeyFault::CheckValue)?;
        if bool::from(own.ct_eq(received)) { Ok(()) } else { Err(KeyFault::CheckValue) }
    }
}

impl fmt::Display for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckValue({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::key::{KeyKind, KeyUsage};
    use super::*;

    #[test]
    fn of_a_tdes_key() {
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "0123456789ABCDEFFEDCBA9876543210").unwrap();
        assert_eq!(CheckValue::of(&key).to_string(), "08D7B4");
    }

    #[test]
    fn of_an_aes_key_both_ways() {
        // The key of RFC 4493; the AES of a block of zeros under it is printed in its section 4.
        let key = Key::parse(KeyKind::Aes128, KeyUsage::Pin, "2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        assert_eq!(CheckValue::of_zeros(&key).to_string(), "7DF76B");
        assert_ne!(CheckValue::of(&key), CheckValue::of_zeros(&key));
    }

    #[test]
    fn too_little_checks_nothing() {
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "0123456789ABCDEFFEDCBA9876543210").unwrap();
        let value = CheckValue::of(&key);
        assert!(value.check(&[0x08, 0xD7]).is_ok());
        assert!(value.check(&[0x08, 0xD7, 0xB4]).is_ok());
        for wrong in [&[][..], &[0x08], &[0x08, 0xD8], &[0x08, 0xD7, 0xB5], &[0; 9]] {
            assert_eq!(value.check(wrong), Err(KeyFault::CheckValue));
        }
    }
}
