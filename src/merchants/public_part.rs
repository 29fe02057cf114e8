//! Public keys as they are written down, and what must not be written down with them.
//!
//! The register and its audit are kept for ever and read by many, so a private key is never taken there: a file that
//! holds both is refused, and of what holds more than the key (a certificate, a JWK with comments) the key alone is kept.

use data_encoding::BASE64;
use serde_json::{Map, Value};

/// What whoever offers a private key is told.
pub(super) const PRIVATE: &str =
    "a private key: only the public one belongs here, and the private one should be changed";

/// The members of a JWK that are secret (RFC 7518 section 6.2.2, 6.3.2 and 6.4.1).
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Whether it is, or has in it, a private key: PEM of any kind, or JWK.
pub(super) fn holds_private_key(content: &[u8]) -> bool {
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    let in_pem = content.windows(LABEL.len()).any(|text| text == LABEL);
    let jwk = serde_json::from_slice::<Map<String, Value>>(content);
    in_pem || jwk.is_ok_and(|jwk| SECRET.iter().any(|member| jwk.contains_key(*member)))
}

/// A SubjectPublicKeyInfo as PEM (RFC 7468 section 13).
pub(super) fn pem_of(spki: &[u8]) -> String {
    let encoded = BASE64.encode(spki);
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in encoded.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|b| char::from(*b)).chain(['\n']));
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_known_in_any_form() {
        for label in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
            let pem =
                format!("something before\n-----BEGIN {label}PRIVATE KEY-----\nAAAA\n-----END {label}PRIVATE KEY-----");
            assert!(holds_private_key(pem.as_bytes()), "{label}");
        }
        assert!(holds_private_key(br#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#));
        assert!(!holds_private_key(br#"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"d"}"#));
        assert!(!holds_private_key(pem_of(&[7; 100]).as_bytes()));
    }
}
