//! A merchant's public payload key: RSA of 2048 to 4096 bits, as JWK (RFC 7517) or PEM (SubjectPublicKeyInfo).

use super::public_part::{PRIVATE, holds_private_key, pem_of};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A public key to which payloads are sealed, and the name by which its owner finds the private one.
#[derive(Debug)]
pub struct PayloadKey {
    /// Key id (`kid`): of the JWK, or the hexadecimal SHA-256 of the SubjectPublicKeyInfo.
    pub kid: String,
    /// The key.
    pub key: PublicEncryptingKey,
}

/// Why a payload key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadKeyError {
    /// Neither a JWK nor PEM.
    #[error("neither an RSA public key in JWK form nor in PEM form")]
    Form,
    /// There is a private key with it.
    #[error("{PRIVATE}")]
    Private,
    /// Not an RSA key, or one of a size that is not used here.
    #[error("not an RSA key of 2048 to 4096 bits")]
    Key,
}

/// Of a JWK what is kept of it.
#[derive(Deserialize, Serialize)]
struct RsaJwk {
    kty: String,
    n: String,
    e: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

impl PayloadKey {
    /// Reads a public key from the content of a file.
    pub fn read(content: &[u8]) -> Result<PayloadKey, PayloadKeyError> {
        if holds_private_key(content) {
            return Err(PayloadKeyError::Private);
        }
        let start = content.iter().find(|b| !b.is_ascii_whitespace());
        let (kid, key) = match start {
            Some(b'{') => from_jwk(content)?,
            _ => (None, from_pem(content)?),
        };
        if !(2048..=4096).contains(&key.key_size_bits()) {
            return Err(PayloadKeyError::Key);
        }
        let kid = kid.map_or_else(|| spki_sha256(&key), Ok)?;
        Ok(PayloadKey { kid, key })
    }
}

/// What is written down of the content of a file: the key, and its name where it has one, in the form that it came in.
pub(super) fn public_part(content: &[u8]) -> Result<String, PayloadKeyError> {
    let PayloadKey { key, .. } = PayloadKey::read(content)?;
    if let Ok(jwk) = serde_json::from_slice::<RsaJwk>(content) {
        return serde_json::to_string(&jwk).map_err(|_| PayloadKeyError::Form);
    }
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| PayloadKeyError::Key)?;
    Ok(pem_of(der.as_ref()))
}

fn from_jwk(content: &[u8]) -> Result<(Option<String>, PublicEncryptingKey), PayloadKeyError> {
    let jwk: RsaJwk = serde_json::from_slice(content).map_err(|_| PayloadKeyError::Form)?;
    if jwk.kty != "RSA" {
        return Err(PayloadKeyError::Key);
    }
    let number = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| PayloadKeyError::Form);
    let components = RsaPublicKeyComponents { n: number(&jwk.n)?, e: number(&jwk.e)? };
    let key = components.try_into().map_err(|_| PayloadKeyError::Key)?;
    Ok((jwk.kid, key))
}

fn from_pem(content: &[u8]) -> Result<PublicEncryptingKey, PayloadKeyError> {
    let info = SubjectPublicKeyInfoDer::from_pem_slice(content).map_err(|_| PayloadKeyError::Form)?;
    PublicEncryptingKey::from_der(&info).map_err(|_| PayloadKeyError::Key)
}

fn spki_sha256(key: &PublicEncryptingKey) -> Result<String, PayloadKeyError> {
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| PayloadKeyError::Key)?;
    Ok(HEXLOWER.encode(&Sha256::digest(der.as_ref())))
}
