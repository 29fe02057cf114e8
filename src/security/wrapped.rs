//! A key enciphered under a zone master key the old way: each block of it by itself (ECB, ANSI X9.17).
//!
//! Many hosts still exchange working keys like this. It binds neither the key's use nor its parts to each other, which
//! is why a check value should come with it and why key blocks exist; see [`super::KeyBlock`].

use super::check_value::CheckValue;
use super::cipher::Cipher;
use super::hex;
use super::key::{Key, KeyFault, KeyKind, KeyUsage};
use zeroize::Zeroizing;

/// An enciphered key; no secret by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl Wrapped {
    /// From its bytes.
    pub fn new(bytes: &[u8]) -> Wrapped {
        Wrapped(bytes.to_vec())
    }

    /// From hexadecimal digits. [`KeyFault::NotHex`] where there is something else.
    pub fn parse(digits: &str) -> Result<Wrapped, KeyFault> {
        hex::bytes(digits).map(Wrapped).ok_or(KeyFault::NotHex)
    }

    /// Enciphers a key under a TDES zone master key.
    pub fn wrap(zone: &Key, key: &Key) -> Result<Wrapped, KeyFault> {
        let mut bytes = Wrapped(key.bytes().to_vec());
        for_zone(zone, key.kind())?.encrypt(&mut bytes.0);
        Ok(bytes)
    }

    /// Deciphers the key, which the sender says is of this kind and for this use. Where a check value came with it,
    /// [`KeyFault::CheckValue`] if it is another's.
    pub fn unwrap(
        &self,
        zone: &Key,
        kind: KeyKind,
        usage: KeyUsage,
        check_value: Option<&[u8]>,
    ) -> Result<Key, KeyFault> {
        let cipher = for_zone(zone, kind)?;
        if self.0.len() != kind.length() {
            return Err(KeyFault::Length);
        }
        let mut bytes = Zeroizing::new(self.0.clone());
        cipher.decrypt(&mut bytes);
        let key = Key::new(kind, usage, &bytes)?;
        check_value.map_or(Ok(()), |received| CheckValue::of_zeros(&key).check(received))?;
        Ok(key)
    }

    /// Its bytes, for a wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn for_zone(zone: &Key, kind: KeyKind) -> Result<Cipher, KeyFault> {
    let zone = zone.for_use(KeyUsage::KeyWrapping)?;
    // AES keys travel in key blocks only (PCI PIN 18-3).
    if zone.kind().is_aes() || kind.is_aes() { Err(KeyFault::Kind) } else { Ok(Cipher::of(zone)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn zone() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, "133457799BBCDFF1F0E1D2C3B4A59687").unwrap()
    }

    fn pin_key() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "0123456789ABCDEFFEDCBA9876543210").unwrap()
    }

    #[test]
    fn the_key_comes_back_where_its_check_value_agrees() {
        let wrapped = Wrapped::wrap(&zone(), &pin_key()).unwrap();
        assert_ne!(wrapped.as_bytes(), pin_key().bytes());
        let unwrap = |check| wrapped.unwrap(&zone(), KeyKind::Tdes2, KeyUsage::Pin, check);
        assert_eq!(unwrap(None).unwrap(), pin_key());
        assert_eq!(unwrap(Some(&[0x08, 0xD7, 0xB4])).unwrap(), pin_key());
        assert_eq!(unwrap(Some(&[0x08, 0xD7, 0xB5])).unwrap_err(), KeyFault::CheckValue);
        assert_eq!(unwrap(Some(&[])).unwrap_err(), KeyFault::CheckValue);
    }

    #[test]
    fn only_under_a_zone_key_and_at_its_length() {
        assert_eq!(Wrapped::wrap(&pin_key(), &pin_key()).unwrap_err(), KeyFault::Usage);
        let short = Wrapped::new(&[0; 8]);
        assert_eq!(short.unwrap(&zone(), KeyKind::Tdes2, KeyUsage::Pin, None).unwrap_err(), KeyFault::Length);
        assert_eq!(short.unwrap(&zone(), KeyKind::Aes128, KeyUsage::Pin, None).unwrap_err(), KeyFault::Kind);
    }
}
