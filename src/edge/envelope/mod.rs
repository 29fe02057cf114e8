//! Sealed payloads: a merchant seals to one of the gateway's RSA keys, and its answer is sealed to its own.
//!
//! [`jwe`] and [`xml_enc`] know the forms, `keyring` the keys, `opener` gives the private-key operations threads of their own, so
//! that a flood of envelopes cannot starve the rest. Every failure to open is the same failure, reached by the same way:
//! a key that does not unwrap is replaced by a random one and the content fails instead (RFC 7516 section 11.5).

mod certificate;
pub mod jwe;
mod keyring;
mod opener;
mod seal;
pub mod xml_enc;

pub(super) use certificate::self_signed_p256;
pub use keyring::Keyring;
pub(super) use opener::{Opener, Sealed};
pub(super) use seal::{seal, seal_xml};

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aes::{Aes128, Aes256};
use aes_gcm::{AesGcm, KeyInit, Nonce};
use jwe::{ContentCipher, IV_BYTES, LONG_IV_BYTES};
use zeroize::Zeroizing;

/// What was in an envelope.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The content.
    pub content: Zeroizing<Vec<u8>>,
    /// When it was sealed, in seconds since 1970, where its sender says.
    pub issued_at: Option<i64>,
    /// The name that is used once, where it has one.
    pub name: Option<String>,
}

/// Deciphers in place and takes the tag off; `Err` for a key or vector of another length, and for what was changed.
pub fn decipher(
    cipher: ContentCipher,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), jwe::Unreadable> {
    match (cipher, iv.len()) {
        (ContentCipher::A128GCM, IV_BYTES) => decipher_by::<AesGcm<Aes128, U12>>(key, iv, aad, buffer),
        (ContentCipher::A256GCM, IV_BYTES) => decipher_by::<AesGcm<Aes256, U12>>(key, iv, aad, buffer),
        (ContentCipher::A128GCM, LONG_IV_BYTES) => decipher_by::<AesGcm<Aes128, U16>>(key, iv, aad, buffer),
        (ContentCipher::A256GCM, LONG_IV_BYTES) => decipher_by::<AesGcm<Aes256, U16>>(key, iv, aad, buffer),
        _ => Err(jwe::Unreadable),
    }
}

fn decipher_by<A: AeadInOut + KeyInit>(
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), jwe::Unreadable> {
    let gcm = A::new_from_slice(key).map_err(|_| jwe::Unreadable)?;
    let nonce = aes_gcm::aead::Nonce::<A>::try_from(iv).map_err(|_| jwe::Unreadable)?;
    gcm.decrypt_in_place(&nonce, aad, buffer).map_err(|_| jwe::Unreadable)
}

/// Enciphers in place under A256GCM and appends the tag.
fn encipher(key: &[u8; 32], iv: [u8; IV_BYTES], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), aes_gcm::Error> {
    let nonce: Nonce<U12> = iv.into();
    AesGcm::<Aes256, U12>::new(key.into()).encrypt_in_place(&nonce, aad, buffer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::jwe::{IV_BYTES, Unreadable};
    use super::*;
    use crate::cli::demo::PayloadPair;
    use crate::client::{Cipher, Envelope, Form};
    use crate::merchants::PayloadKey;
    use serde_json::json;
    use std::sync::OnceLock;
    use zeroize::Zeroizing;

    /// Gateway and merchant; RSA keys are slow to make.
    fn pairs() -> &'static (PayloadPair, PayloadPair) {
        static PAIRS: OnceLock<(PayloadPair, PayloadPair)> = OnceLock::new();
        PAIRS.get_or_init(|| (PayloadPair::generate().unwrap(), PayloadPair::generate().unwrap()))
    }

    fn keyring() -> Keyring {
        let mut keyring = Keyring::default();
        keyring.add(pairs().0.private_pem().unwrap().as_bytes()).unwrap();
        keyring
    }

    fn merchant(cipher: Cipher) -> Envelope {
        let jwk = keyring().jwks()["keys"][0].to_string();
        Envelope::new(&jwk, &pairs().1.private_pem().unwrap(), cipher, Form::Jose).unwrap()
    }

    #[test]
    fn the_published_key_is_the_one_that_was_made() {
        let mut published = keyring().jwks()["keys"][0].clone();
        let certificate = published.as_object_mut().unwrap().remove("x5c").unwrap();
        assert_eq!(published, pairs().0.public_jwk());
        assert_eq!(keyring().jwks()["keys"][0]["x5c"], certificate, "the same each time");
    }

    #[test]
    fn what_a_merchant_seals_is_opened() {
        for cipher in [Cipher::A128Gcm, Cipher::A256Gcm] {
            for content in ["", "{}", &"x".repeat(50_000)] {
                let token = merchant(cipher).seal(content.as_bytes()).unwrap();
                assert_eq!(keyring().open(token.as_bytes(), None).unwrap().content.as_slice(), content.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_sealed_to_a_merchant_is_opened_by_it_alone() {
        let key = PayloadKey::read(pairs().1.public_jwk().to_string().as_bytes()).unwrap();
        let token = seal(&key, 1, Zeroizing::new(b"{\"a\":1}".to_vec())).unwrap();
        assert_eq!(merchant(Cipher::A256Gcm).open(&token).unwrap(), b"{\"a\":1}");
        assert_eq!(keyring().open(token.as_bytes(), None), Err(Unreadable), "named for another key");
        let again = seal(&key, 1, Zeroizing::new(b"{\"a\":1}".to_vec())).unwrap();
        assert_ne!(token.split('.').nth(1), again.split('.').nth(1));
        let pem = PayloadKey::read(pairs().1.public_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(pem.kid, key.kid);
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_unreadable() {
        let keyring = keyring();
        let token = merchant(Cipher::A256Gcm).seal(b"{\"amount\":1}").unwrap();
        let segments: Vec<&str> = token.split('.').collect();
        for (place, segment) in segments.iter().enumerate() {
            let middle = segment.len() / 2;
            let other = if segment.as_bytes()[middle] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &segment[..middle], &segment[middle + 1..]);
            let shorter = &segment[..segment.len() - 4];
            for odd in [changed.as_str(), shorter, ""] {
                let mut segments = segments.clone();
                segments[place] = odd;
                assert_eq!(keyring.open(segments.join(".").as_bytes(), None), Err(Unreadable), "segment {place}");
            }
        }
    }

    #[test]
    fn a_token_for_another_key_or_with_another_header_is_unreadable() {
        let envelope = merchant(Cipher::A256Gcm);
        let kid = keyring().jwks()["keys"][0]["kid"].clone();
        let opens = |header| keyring().open(envelope.seal_under(&header, b"{}").unwrap().as_bytes(), None).is_ok();
        assert!(opens(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": kid})));
        assert!(opens(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": kid, "jti": "1", "iat": "1"})));
        assert!(!opens(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "other"})));
        assert!(!opens(json!({"alg": "RSA-OAEP-256", "enc": "A128GCM", "kid": kid})), "a key of the wrong length");
        assert!(!opens(json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": kid})));
        assert!(!opens(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": kid, "zip": "DEF"})));
        let mut other = Keyring::default();
        other.add(pairs().1.private_pem().unwrap().as_bytes()).unwrap();
        let header = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": other.jwks()["keys"][0]["kid"]});
        let token = envelope.seal_under(&header, b"{}").unwrap();
        assert_eq!(other.open(token.as_bytes(), None), Err(Unreadable), "unwraps to nothing, and fails in the content");
    }

    fn open_xml(document: &str) -> Result<Opened, Unreadable> {
        let root = crate::xml::Element::parse(document.as_bytes()).map_err(|_| Unreadable)?;
        keyring().open_xml(xml_enc::EncryptedData::parse(&root)?, None)
    }

    #[test]
    fn an_encrypted_data_is_opened_by_whom_it_is_for_and_unchanged() {
        let key = PayloadKey::read(pairs().0.public_pem().unwrap().as_bytes()).unwrap();
        let document = seal_xml(&key, Zeroizing::new(b"<a/>".to_vec())).unwrap();
        assert_eq!(open_xml(&document).unwrap().content.as_slice(), b"<a/>");
        assert!(open_xml(&document.replace(&key.kid, "another")).is_err());
        let certificate = keyring().jwks()["keys"][0]["x5c"][0].as_str().unwrap().to_owned();
        let named = format!("<ds:KeyName>{}</ds:KeyName>", key.kid);
        let by_certificate = format!("<ds:X509Certificate>{certificate}</ds:X509Certificate>");
        assert!(open_xml(&document.replace(&named, &by_certificate)).is_ok());
        assert!(open_xml(&document.replace(&named, "")).is_ok(), "none is named: the first");
        for (place, _) in document.match_indices("CipherValue>").step_by(2) {
            let at = place + "CipherValue>".len() + 5;
            let other = if &document[at..=at] == "A" { "B" } else { "A" };
            assert!(open_xml(&format!("{}{other}{}", &document[..at], &document[at + 1..])).is_err());
        }
        let other = PayloadKey::read(pairs().1.public_pem().unwrap().as_bytes()).unwrap();
        let document = seal_xml(&other, Zeroizing::new(b"<a/>".to_vec())).unwrap();
        assert!(open_xml(&document.replace(&other.kid, &key.kid)).is_err(), "unwraps to nothing");
    }

    #[test]
    fn a_wrapped_key_that_is_no_ciphertext_is_unreadable() {
        let protected =
            jwe::protected_header(ContentCipher::A256GCM, keyring().jwks()["keys"][0]["kid"].as_str().unwrap(), 1);
        for wrapped in [&[0_u8; 256][..], &[255; 256], &[1; 255], &[1; 257], &[]] {
            let token = jwe::compose(&protected, wrapped, &[0; IV_BYTES], &[0; 32]);
            assert_eq!(keyring().open(token.as_bytes(), None), Err(Unreadable), "{} bytes", wrapped.len());
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let mut keyring = Keyring::default();
        assert!(keyring.add(b"nonsense").is_err());
        assert!(keyring.add(pairs().0.public_pem().unwrap().as_bytes()).is_err());
        let mut jwk = pairs().0.public_jwk();
        jwk["n"] = json!("AQAB");
        assert!(PayloadKey::read(jwk.to_string().as_bytes()).is_err());
        assert!(PayloadKey::read(b"{}").is_err() && PayloadKey::read(b"").is_err());
    }
}
