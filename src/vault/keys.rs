//! The key-encryption keys of a store and what is derived from them.
//!
//! Keys are handed in (from a file, or made by the composition root); this file knows no place where they lie.
//! New cards are sealed under the current key; older keys stay so that what they sealed can be read (PCI DSS 3.7).

use crate::payment::Pan;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The name of a key-encryption key: 1 to 32 of the characters `a-z A-Z 0-9 . _ -`. It stands beside what it sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// `None` where the text is not a key id.
    pub fn new(text: &str) -> Option<KeyId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=32).contains(&text.len()) && text.bytes().all(allowed)).then(|| KeyId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Two keys under one name.
    #[error("there is a key {0} already")]
    Twice(KeyId),
}

/// All keys of a store.
#[derive(Clone, Debug)]
pub struct Keys {
    current: Key,
    older: Vec<Key>,
}

/// One key-encryption key, as the two keys derived from it; the key itself is not kept.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: KeyId,
    secrets: Secrets,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Secrets {
    sealing: [u8; 32],
    searching: [u8; 32],
}

impl Keys {
    /// Keys with this one for all that is sealed from now on.
    pub fn new(id: KeyId, key_encryption_key: &[u8; 32]) -> Keys {
        Keys { current: Key::derive(id, key_encryption_key), older: Vec::new() }
    }

    /// Adds a key that only opens what it sealed earlier; refused where its name is taken.
    pub fn with_older(mut self, id: KeyId, key_encryption_key: &[u8; 32]) -> Result<Keys, KeyFault> {
        if self.find(id.as_str()).is_some() {
            return Err(KeyFault::Twice(id));
        }
        self.older.push(Key::derive(id, key_encryption_key));
        Ok(self)
    }

    /// Ids of all keys with their check values, the current one first.
    pub fn check_values(&self) -> impl Iterator<Item = (&KeyId, [u8; 4])> {
        std::iter::once(&self.current).chain(&self.older).map(|key| (&key.id, key.check_value()))
    }

    /// Id of the key that seals.
    pub fn current_id(&self) -> &KeyId {
        &self.current.id
    }

    /// Whether anything may be sealed under another key than the current one.
    pub fn has_older(&self) -> bool {
        !self.older.is_empty()
    }

    /// Whether there is a key of this id.
    pub fn holds(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// The hashes of a number under each key: whichever of them a card was sealed under, it is found by one of these.
    pub(super) fn search_hashes<'a>(&'a self, pan: &'a Pan) -> impl Iterator<Item = [u8; 32]> + 'a {
        std::iter::once(&self.current).chain(&self.older).map(|key| key.search_hash(pan.reveal().as_bytes()))
    }

    pub(super) fn current(&self) -> &Key {
        &self.current
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        std::iter::once(&self.current).chain(&self.older).find(|key| key.id.as_str() == id)
    }
}

impl Key {
    fn derive(id: KeyId, key_encryption_key: &[u8; 32]) -> Key {
        let subkey = |label| *keyed_hash(key_encryption_key, &[label]);
        let secrets =
            Secrets { sealing: subkey(b"isthmus card sealing"), searching: subkey(b"isthmus card searching") };
        Key { id, secrets }
    }

    /// The key that seals the card of this id and no other.
    pub(super) fn of_card(&self, card: [u8; 16]) -> Zeroizing<[u8; 32]> {
        keyed_hash(&self.secrets.sealing, &[b"card", &card])
    }

    /// The keyed hash by which a card number is found again (PCI DSS 3.5.1.1).
    pub(super) fn search_hash(&self, digits: &[u8]) -> [u8; 32] {
        *keyed_hash(&self.secrets.searching, &[b"number", digits])
    }

    /// Tells one key from another without telling anything of it.
    fn check_value(&self) -> [u8; 4] {
        let hash = keyed_hash(&self.secrets.sealing, &[b"check value"]);
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ***)", self.id)
    }
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hash = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| hash.update(part));
    Zeroizing::new(hash.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_do_not_print() {
        let keys = Keys::new(KeyId::new("k1").unwrap(), &[7; 32]);
        assert_eq!(format!("{:?}", keys.current()), "Key(k1, ***)");
    }

    #[test]
    fn a_name_stands_for_one_key() {
        let id = KeyId::new("k1").unwrap();
        let keys = Keys::new(id.clone(), &[7; 32]);
        assert_eq!(keys.with_older(id.clone(), &[8; 32]).unwrap_err(), KeyFault::Twice(id));
        assert!(KeyId::new("").is_none());
        assert!(KeyId::new("a key").is_none());
    }

    #[test]
    fn check_values_tell_keys_apart() {
        let of = |byte: u8| Keys::new(KeyId::new("k").unwrap(), &[byte; 32]).check_values().next().unwrap().1;
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn each_card_has_a_key_of_its_own() {
        let keys = Keys::new(KeyId::new("k").unwrap(), &[7; 32]);
        assert_ne!(keys.current().of_card([1; 16]), keys.current().of_card([2; 16]));
    }
}
