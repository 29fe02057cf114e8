//! The merchant's half of sealed payloads, on the `rsa` and `aes-gcm` crates: seals to the gateway, opens its answers.
//!
//! Written from RFC 7516 without a look at the door's half, because a mistake that both halves share is one that no test
//! of the two would find. Its private-key operation is blinded, and runs on the merchant's own machine on answers that
//! came over TLS; the gateway, which strangers can ask to open things, does not use this crate (RUSTSEC-2023-0071).

use super::ClientError;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use data_encoding::BASE64URL_NOPAD;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::{OsRng, RngCore};
use rsa::sha2::Sha256;
use rsa::{BigUint, Oaep, RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How a sealed body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/jose`.
    Jose,
    /// `{"encData": "..."}`.
    EncData,
}

/// Content encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// A128GCM.
    A128Gcm,
    /// A256GCM.
    A256Gcm,
}

/// The keys of a merchant that seals.
#[derive(Clone)]
pub struct Envelope {
    gateway: RsaPublicKey,
    kid: String,
    own: RsaPrivateKey,
    cipher: Cipher,
    form: Form,
}

impl Envelope {
    /// From the gateway's public key as JWK and the merchant's private key as PKCS#8 PEM.
    pub fn new(gateway_jwk: &str, own_pem: &str, cipher: Cipher, form: Form) -> Result<Envelope, ClientError> {
        let (gateway, kid) = public_key(gateway_jwk).ok_or(ClientError::Target("gateway's payload key"))?;
        let own = RsaPrivateKey::from_pkcs8_pem(own_pem).map_err(|_| ClientError::Target("payload key"))?;
        Ok(Envelope { gateway, kid, own, cipher, form })
    }

    /// How bodies are sent.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Seals to the gateway.
    pub fn seal(&self, content: &[u8]) -> Result<String, ClientError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let enc = match self.cipher {
            Cipher::A128Gcm => "A128GCM",
            Cipher::A256Gcm => "A256GCM",
        };
        let header = json!({"alg": "RSA-OAEP-256", "enc": enc, "kid": self.kid, "iat": now});
        self.seal_under(&header, content)
    }

    /// Seals under a header of one's own making, however wrong; for tests of the other side.
    pub fn seal_under(&self, header: &Value, content: &[u8]) -> Result<String, ClientError> {
        let unsealed = |_| ClientError::Target("gateway's payload key");
        let mut key = Zeroizing::new(vec![0; if self.cipher == Cipher::A128Gcm { 16 } else { 32 }]);
        let mut iv = [0; 12];
        OsRng.fill_bytes(&mut key);
        OsRng.fill_bytes(&mut iv);
        let wrapped = self.gateway.encrypt(&mut OsRng, Oaep::new::<Sha256>(), &key).map_err(unsealed)?;
        let protected = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let mut sealed = gcm(&key, &iv, content, protected.as_bytes(), Direction::Seal)
            .ok_or(ClientError::Target("gateway's payload key"))?;
        let tag = sealed.split_off(sealed.len() - 16);
        let rest = [&wrapped[..], &iv, &sealed, &tag].map(|part| BASE64URL_NOPAD.encode(part));
        Ok(format!("{protected}.{}", rest.join(".")))
    }

    /// Opens an answer.
    pub fn open(&self, token: &str) -> Result<Vec<u8>, ClientError> {
        self.opened(token).ok_or(ClientError::Answer("the envelope cannot be opened"))
    }

    fn opened(&self, token: &str) -> Option<Vec<u8>> {
        let segments: Vec<&str> = token.split('.').collect();
        let [protected, wrapped, iv, content, tag] = segments[..] else { return None };
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let header: Value = serde_json::from_slice(&decode(protected)?).ok()?;
        let key_bytes = match (header["alg"].as_str()?, header["enc"].as_str()?) {
            ("RSA-OAEP-256", "A128GCM") => 16,
            ("RSA-OAEP-256", "A256GCM") => 32,
            _ => return None,
        };
        let key = self.own.decrypt_blinded(&mut OsRng, Oaep::new::<Sha256>(), &decode(wrapped)?).ok()?;
        let key = Zeroizing::new(key);
        let sealed = [decode(content)?, decode(tag)?].concat();
        let direction = Direction::Open;
        gcm(&key, &decode(iv)?, &sealed, protected.as_bytes(), direction).filter(|_| key.len() == key_bytes)
    }
}

enum Direction {
    Seal,
    Open,
}

fn gcm(key: &[u8], iv: &[u8], msg: &[u8], aad: &[u8], direction: Direction) -> Option<Vec<u8>> {
    let nonce = <[u8; 12]>::try_from(iv).ok()?.into();
    let payload = Payload { msg, aad };
    match (key.len(), direction) {
        (16, Direction::Seal) => Aes128Gcm::new_from_slice(key).ok()?.encrypt(&nonce, payload).ok(),
        (16, Direction::Open) => Aes128Gcm::new_from_slice(key).ok()?.decrypt(&nonce, payload).ok(),
        (_, Direction::Seal) => Aes256Gcm::new_from_slice(key).ok()?.encrypt(&nonce, payload).ok(),
        (_, Direction::Open) => Aes256Gcm::new_from_slice(key).ok()?.decrypt(&nonce, payload).ok(),
    }
}

fn public_key(jwk: &str) -> Option<(RsaPublicKey, String)> {
    let jwk: Value = serde_json::from_str(jwk).ok()?;
    let number = |name: &str| {
        let bytes = BASE64URL_NOPAD.decode(jwk[name].as_str()?.as_bytes()).ok()?;
        Some(BigUint::from_bytes_be(&bytes))
    };
    let key = RsaPublicKey::new(number("n")?, number("e")?).ok()?;
    Some((key, jwk["kid"].as_str()?.to_owned()))
}
