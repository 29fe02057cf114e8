//! `GET /v1/keys`: the public keys to which merchants seal, for anyone, as a JWK set (RFC 7517 section 5).

use super::Door;
use super::envelope::Keyring;
use super::tls::SetupError;
use axum::extract::State;
use axum::http::{HeaderName, header};
use bytes::Bytes;
use std::path::PathBuf;
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
