//! The gateway's payload keys: RSA, the private halves only ever used by aws-lc-rs, whose operations take the same time
//! whatever they find (RUSTSEC-2023-0071 is about those that do not).

use super::jwe::{self, Unreadable};
use super::xml_enc::EncryptedData;
use super::{Opened, certificate, decipher};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::KeyPair as _;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The keys to which merchants seal. The first is the one to use; the others still open.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<GatewayKey>,
}

struct GatewayKey {
    kid: String,
    key: OaepPrivateDecryptingKey,
    jwk: Value,
}

/// Not an RSA private key of 2048 to 4096 bits in PKCS#8 PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an RSA private key of 2048 to 4096 bits in PKCS#8 PEM form")]
pub struct KeyRefused;

impl Keyring {
    /// Adds a key in PKCS#8 PEM. Its name (`kid`) is the hexadecimal SHA-256 of its SubjectPublicKeyInfo.
    pub fn add(&mut self, pem: &[u8]) -> Result<(), KeyRefused> {
        self.keys.push(GatewayKey::read(pem)?);
        Ok(())
    }

    /// The public halves as a JWK set (RFC 7517 section 5), the one to use first.
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
    }

    /// Opens a token under the key that it names, or that its sender names beside it. Takes the time of an RSA
    /// operation: not for an async thread.
    pub fn open(&self, token: &[u8], named: Option<&str>) -> Result<Opened, Unreadable> {
        let jwe = jwe::parse(token)?;
        let kid = jwe.kid.as_deref().or(named).ok_or(Unreadable)?;
        let key = self.keys.iter().find(|key| key.kid == kid).ok_or(Unreadable)?;
        let content_key = key.unwrap(&OAEP_SHA256_MGF1SHA256, &jwe.encrypted_key, jwe.cipher.key_bytes())?;
        let mut content = Zeroizing::new(jwe.content_and_tag);
        decipher(jwe.cipher, &content_key, &jwe.iv, jwe.protected, &mut content)?;
        Ok(Opened { content, issued_at: jwe.issued_at, name: jwe.name })
    }

    /// The same of an `EncryptedData`. One that names no key is for the key to use first.
    pub fn open_xml(&self, data: EncryptedData, named: Option<&str>) -> Result<Opened, Unreadable> {
        let names: Vec<&str> = data.names.iter().map(String::as_str).chain(named).collect();
        let key = self.keys.iter().find(|key| names.is_empty() || names.contains(&key.kid.as_str()));
        let content_key =
            key.ok_or(Unreadable)?.unwrap(data.oaep.algorithm(), &data.encrypted_key, data.cipher.key_bytes())?;
        let mut content = Zeroizing::new(data.content_and_tag);
        decipher(data.cipher, &content_key, &data.iv, b"", &mut content)?;
        Ok(Opened { content, issued_at: None, name: None })
    }
}

impl GatewayKey {
    fn read(pem: &[u8]) -> Result<GatewayKey, KeyRefused> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyRefused)?;
        let private = PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| KeyRefused)?;
        if !(2048..=4096).contains(&private.key_size_bits()) {
            return Err(KeyRefused);
        }
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| KeyRefused)?;
        let public = pair.public_key();
        let info: PublicKeyX509Der<'_> = public.as_der().map_err(|_| KeyRefused)?;
        let kid = HEXLOWER.encode(&Sha256::digest(info.as_ref()));
        let number = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let pem = std::str::from_utf8(pem).map_err(|_| KeyRefused)?;
        let certificate = certificate::self_signed(pem, &kid).map_err(|_| KeyRefused)?;
        let jwk = json!({
            "kty": "RSA", "use": "enc", "alg": "RSA-OAEP-256", "kid": kid,
            "n": number(public.modulus().big_endian_without_leading_zero()),
            "e": number(public.exponent().big_endian_without_leading_zero()),
            "x5c": [BASE64.encode(&certificate)],
        });
        let key = OaepPrivateDecryptingKey::new(private).map_err(|_| KeyRefused)?;
        Ok(GatewayKey { kid, key, jwk })
    }

    /// The content encryption key, or a random one where there is none of that length to be had.
    fn unwrap(
        &self,
        oaep: &'static OaepAlgorithm,
        encrypted_key: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let mut substitute = Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut substitute).map_err(|_| Unreadable)?;
        let mut space = Zeroizing::new(vec![0; self.key.min_output_size()]);
        let unwrapped = self.key.decrypt(oaep, encrypted_key, &mut space, None);
        Ok(match unwrapped {
            Ok(key) if key.len() == length => Zeroizing::new(key.to_vec()),
            _ => substitute,
        })
    }
}
