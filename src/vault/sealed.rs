//! A sealed card: AES-256-GCM with the card id as associated data, so that one row's bytes do not open in another.
//!
//! Format 1 is `01`, a nonce of 12 bytes, then 24 bytes sealed and their tag of 16: the count of digits, 19 places for
//! them, and the expiry as YYMM. Every card takes the same room, so the length tells nothing of the number.

use super::Keys;
use crate::payment::{Card, CardId, Expiry, Pan};
use aes_gcm::aead::KeyInit;
use aes_gcm::{AeadInOut, Aes256Gcm, Nonce};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const CLEAR: usize = 1 + 19 + 4;
const TAG: usize = 16;

/// A card as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCard {
    /// The key under which it is sealed and hashed.
    pub key: String,
    /// Keyed hash of the number, to find a card again.
    pub search_hash: [u8; 32],
    /// Number and expiry.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedCard({})", self.key)
    }
}

/// Why a card could not be sealed or opened. Carries nothing of the card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The system gave no random bytes.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// Sealed under a key that was not handed in.
    #[error("the card is sealed under key {0}, which is not configured")]
    UnknownKey(String),
    /// Not what was sealed under this id, or not a card.
    #[error("a stored card cannot be opened: it is damaged or belongs elsewhere")]
    Damaged,
}

impl Keys {
    /// Seals number and expiry of a card under its id; a verification code is left out.
    pub fn seal(&self, id: CardId, card: &Card) -> Result<SealedCard, VaultError> {
        let (key, associated) = (self.current(), id.0.to_be_bytes());
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
        let mut content = clear_form(card);
        let tag = Aes256Gcm::new((&*key.of_card(associated)).into())
            .encrypt_inout_detached(&Nonce::from(nonce), &associated, content.as_mut_slice().into())
            .expect("24 bytes are not too long");
        let sealed = [&[FORMAT], nonce.as_slice(), content.as_slice(), tag.as_slice()].concat();
        Ok(SealedCard { key: key.id.to_string(), search_hash: key.search_hash(card.pan.reveal().as_bytes()), sealed })
    }

    /// The same card under the current key.
    pub fn seal_anew(&self, id: CardId, key: &str, sealed: &[u8]) -> Result<SealedCard, VaultError> {
        self.seal(id, &self.open(id, key, sealed)?)
    }

    /// Opens what [`Keys::seal`] made for this id, under the key named beside it.
    pub fn open(&self, id: CardId, key: &str, sealed: &[u8]) -> Result<Card, VaultError> {
        let key = self.find(key).ok_or_else(|| VaultError::UnknownKey(key.to_owned()))?;
        let (nonce, content, tag) = parts(sealed).ok_or(VaultError::Damaged)?;
        let associated = id.0.to_be_bytes();
        let mut clear = Zeroizing::new(content);
        Aes256Gcm::new((&*key.of_card(associated)).into())
            .decrypt_inout_detached(&nonce.into(), &associated, clear.as_mut_slice().into(), &tag.into())
            .map_err(|_| VaultError::Damaged)?;
        card_of(&clear).ok_or(VaultError::Damaged)
    }
}

fn parts(sealed: &[u8]) -> Option<([u8; NONCE], [u8; CLEAR], [u8; TAG])> {
    let rest = sealed.strip_prefix(&[FORMAT])?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (content, tag) = rest.split_first_chunk()?;
    Some((*nonce, *content, tag.try_into().ok()?))
}

fn clear_form(card: &Card) -> Zeroizing<[u8; CLEAR]> {
    let digits = card.pan.reveal().as_bytes();
    let expiry = Zeroizing::new(card.expiry.yymm());
    let mut form = Zeroizing::new([0; CLEAR]);
    form[0] = digits.len() as u8;
    form[1..=digits.len()].copy_from_slice(digits);
    form[CLEAR - 4..].copy_from_slice(expiry.as_bytes());
    form
}

fn card_of(form: &[u8; CLEAR]) -> Option<Card> {
    let (length, rest) = form.split_first()?;
    let (digits, expiry) = rest.split_at(19);
    let pan = Pan::parse(std::str::from_utf8(digits.get(..usize::from(*length))?).ok()?).ok()?;
    let expiry = Expiry::from_yymm(std::str::from_utf8(expiry).ok()?).ok()?;
    Some(Card { pan, expiry, cvc: None, cryptogram: None, present: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::KeyId;
    use super::*;
    use crate::payment::Cvc;

    fn keys(name: &str, byte: u8) -> Keys {
        Keys::new(KeyId::new(name).unwrap(), &[byte; 32])
    }

    fn card(number: &str) -> Card {
        let cvc = Some(Cvc::parse("987").unwrap());
        Card {
            pan: Pan::parse(number).unwrap(),
            expiry: Expiry::new(2031, 4).unwrap(),
            cvc,
            cryptogram: None,
            present: None,
        }
    }

    #[test]
    fn a_card_comes_back_without_its_code() {
        let keys = keys("k1", 7);
        for number in ["4111111111111111", "501800000009", "6212345678901234567"] {
            let sealed = keys.seal(CardId(5), &card(number)).unwrap();
            assert_eq!(sealed.sealed.len(), 1 + NONCE + CLEAR + TAG);
            assert_eq!(keys.open(CardId(5), &sealed.key, &sealed.sealed), Ok(card(number).without_cvc()));
        }
    }

    #[test]
    fn the_stored_form_shows_nothing_and_never_repeats() {
        let keys = keys("k1", 7);
        let (first, second) =
            (keys.seal(CardId(5), &card("4111111111111111")), keys.seal(CardId(5), &card("4111111111111111")));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_ne!(first.sealed, second.sealed);
        assert_eq!(first.search_hash, second.search_hash, "the same number is found again");
        assert!(!first.sealed.windows(6).any(|bytes| bytes == b"411111"));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let keys = keys("k1", 7);
        let sealed = keys.seal(CardId(5), &card("4111111111111111")).unwrap();
        for place in 0..sealed.sealed.len() {
            let mut changed = sealed.sealed.clone();
            changed[place] ^= 1;
            assert_eq!(keys.open(CardId(5), "k1", &changed), Err(VaultError::Damaged), "byte {place}");
        }
        for length in 0..sealed.sealed.len() {
            assert_eq!(keys.open(CardId(5), "k1", &sealed.sealed[..length]), Err(VaultError::Damaged));
        }
    }

    #[test]
    fn it_opens_under_its_own_id_and_key_only() {
        let ours = keys("k1", 7);
        let sealed = ours.seal(CardId(5), &card("4111111111111111")).unwrap().sealed;
        assert_eq!(ours.open(CardId(6), "k1", &sealed), Err(VaultError::Damaged));
        assert_eq!(keys("k1", 8).open(CardId(5), "k1", &sealed), Err(VaultError::Damaged));
        assert_eq!(ours.open(CardId(5), "k2", &sealed), Err(VaultError::UnknownKey("k2".to_owned())));
    }

    #[test]
    fn an_older_key_opens_what_it_sealed() {
        let sealed = keys("k1", 7).seal(CardId(5), &card("4111111111111111")).unwrap();
        let rotated = keys("k2", 9).with_older(KeyId::new("k1").unwrap(), &[7; 32]).unwrap();
        assert!(rotated.open(CardId(5), &sealed.key, &sealed.sealed).is_ok());
        let anew = rotated.seal(CardId(5), &card("4111111111111111")).unwrap();
        assert_eq!(anew.key, "k2");
        assert_ne!(anew.search_hash, sealed.search_hash, "the hash is keyed");
        let moved = rotated.seal_anew(CardId(5), &sealed.key, &sealed.sealed).unwrap();
        assert_eq!((&moved.key, moved.search_hash), (&anew.key, anew.search_hash));
        assert!(keys("k2", 9).open(CardId(5), &moved.key, &moved.sealed).is_ok(), "without the older key");
    }
}
