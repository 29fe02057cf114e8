//! An RSA key pair for payloads, in the forms that clients want: PEM for most, JWK (RFC 7517, 7518 section 6.3) for JOSE.

use super::material::MaterialError;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A payload key pair of 2048 bits.
pub struct PayloadPair {
    key: RsaPrivateKey,
    kid: String,
}

impl PayloadPair {
    /// Makes one.
    pub fn generate() -> Result<PayloadPair, MaterialError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| MaterialError::Key)?;
        let der = pair.as_der().map_err(|_| MaterialError::Key)?;
        let key = RsaPrivateKey::from_pkcs8_der(der.as_ref()).map_err(|_| MaterialError::Key)?;
        let public = key.to_public_key().to_public_key_der().map_err(|_| MaterialError::Key)?;
        let kid = HEXLOWER.encode(&Sha256::digest(public.as_bytes()));
        Ok(PayloadPair { key, kid })
    }

    /// PKCS#8 in PEM.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, MaterialError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| MaterialError::Key)?;
        Ok(Zeroizing::new(pem.to_string()))
    }

    /// SubjectPublicKeyInfo in PEM.
    pub fn public_pem(&self) -> Result<String, MaterialError> {
        self.key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|_| MaterialError::Key)
    }

    /// The public half as JWK.
    pub fn public_jwk(&self) -> Value {
        json!({
            "kty": "RSA", "use": "enc", "alg": "RSA-OAEP-256", "kid": self.kid,
            "n": number(self.key.n()), "e": number(self.key.e()),
        })
    }

    /// Both halves as JWK.
    pub fn private_jwk(&self) -> Result<Value, MaterialError> {
        let (Some(dp), Some(dq)) = (self.key.dp(), self.key.dq()) else { return Err(MaterialError::Key) };
        let qi = self.key.qinv().and_then(|qinv| qinv.to_biguint()).ok_or(MaterialError::Key)?;
        let [p, q] = self.key.primes() else { return Err(MaterialError::Key) };
        let mut jwk = self.public_jwk();
        for (name, value) in [("d", self.key.d()), ("p", p), ("q", q), ("dp", dp), ("dq", dq), ("qi", &qi)] {
            jwk[name] = Value::String(number(value));
        }
        Ok(jwk)
    }
}

/// Base64urlUInt.
fn number(value: &BigUint) -> String {
    BASE64URL_NOPAD.encode(&value.to_bytes_be())
}
