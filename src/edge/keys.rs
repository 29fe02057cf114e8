//! `GET /v1/keys`: the public keys to which merchants seal and by which they verify, for anyone, as a JWK set (RFC 7517
//! section 5).

use super::Door;
use super::envelope::{Keyring, self_signed_p256};
use super::tls::SetupError;
use super::xml::Signer;
use axum::extract::State;
use axum::http::{HeaderName, header};
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Answers the key set.
pub(super) async fn read(State(door): State<Arc<Door>>) -> ([(HeaderName, &'static str); 2], Bytes) {
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, door.jwks.clone())
}

/// Reads the private keys from their files.
pub(super) fn keyring(files: &[PathBuf]) -> Result<Keyring, SetupError> {
    let mut keyring = Keyring::default();
    for path in files {
        let refused = || SetupError::File { path: path.clone(), expected: "an RSA private key in PKCS#8 PEM form" };
        let pem = Zeroizing::new(std::fs::read(path).map_err(|_| refused())?);
        keyring.add(&pem).map_err(|_| refused())?;
    }
    Ok(keyring)
}

/// Reads the key that signs answers, with its public half as JWK (RFC 7518 section 6.2).
pub(super) fn signer(path: &Path) -> Result<(Signer, Value), SetupError> {
    let expected = "a private key on P-256 in PKCS#8 PEM form";
    let read = || {
        let pem = Zeroizing::new(std::fs::read_to_string(path).ok()?);
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_ECDSA_P256_SHA256).ok()?;
        let kid = HEXLOWER.encode(&Sha256::digest(pair.subject_public_key_info()));
        let certificate = self_signed_p256(&pem, &kid).ok()?;
        let signer = Signer::new(&Zeroizing::new(pair.serialize_der()), &kid, &certificate).ok()?;
        // An uncompressed point: 4, x, y.
        let (x, y) = pair.der_bytes().strip_prefix(&[4])?.split_at_checked(32)?;
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
            "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y), "x5c": [BASE64.encode(&certificate)],
        });
        Some((signer, jwk))
    };
    read().ok_or_else(|| SetupError::File { path: path.to_owned(), expected })
}
