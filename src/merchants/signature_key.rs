//! A merchant's public signature key: RSA of 2048 to 4096 bits or a point on P-256, as PEM, bare or in a certificate.
//!
//! Of a certificate only the key is taken: it is pinned by standing in the register, whoever issued it and until when.

use super::Sha256Hash;
use super::public_part::{PRIVATE, holds_private_key, pem_of};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

/// A key by which a merchant's signatures are verified, as SubjectPublicKeyInfo.
#[derive(Clone, PartialEq, Eq)]
pub enum SignatureKey {
    /// RSA.
    Rsa(Vec<u8>),
    /// ECDSA on P-256.
    P256(Vec<u8>),
}

/// Why a signature key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureKeyError {
    /// Neither of them.
    #[error("no certificate or public key in PEM form, of RSA with 2048 to 4096 bits or on P-256")]
    Form,
    /// There is a private key with it.
    #[error("{PRIVATE}")]
    Private,
}

impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_rsa() { "SignatureKey::Rsa" } else { "SignatureKey::P256" })
    }
}

impl SignatureKey {
    /// Reads a key from the content of a file.
    pub fn read(content: &[u8]) -> Result<SignatureKey, SignatureKeyError> {
        if holds_private_key(content) {
            return Err(SignatureKeyError::Private);
        }
        let spki = match CertificateDer::from_pem_slice(content) {
            Ok(certificate) => {
                let parsed = ParsedCertificate::try_from(&certificate).map_err(|_| SignatureKeyError::Form)?;
                parsed.subject_public_key_info().as_ref().to_vec()
            }
            Err(_) => {
                SubjectPublicKeyInfoDer::from_pem_slice(content).map_err(|_| SignatureKeyError::Form)?.as_ref().to_vec()
            }
        };
        if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &spki).is_ok() {
            return Ok(SignatureKey::P256(spki));
        }
        // Of 4096 bits it has some 550 bytes; a longer one costs whoever verifies more than it is worth.
        let is_rsa = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki).is_ok() && spki.len() < 600;
        if is_rsa { Ok(SignatureKey::Rsa(spki)) } else { Err(SignatureKeyError::Form) }
    }

    /// The hash of it by which it is named.
    pub fn sha256(&self) -> Sha256Hash {
        let (SignatureKey::Rsa(spki) | SignatureKey::P256(spki)) = self;
        Sha256::digest(spki).into()
    }

    /// It alone, as PEM (SubjectPublicKeyInfo), whatever it was read from.
    pub fn pem(&self) -> String {
        let (SignatureKey::Rsa(spki) | SignatureKey::P256(spki)) = self;
        pem_of(spki)
    }

    /// Whether it is of RSA.
    pub fn is_rsa(&self) -> bool {
        matches!(self, SignatureKey::Rsa(_))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_read_bare_and_out_of_certificates() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let bare = SignatureKey::read(pair.public_key_pem().as_bytes()).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        assert_eq!(SignatureKey::read(certificate.pem().as_bytes()).unwrap(), bare);
        assert!(!bare.is_rsa());
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert_eq!(SignatureKey::read(other.public_key_pem().as_bytes()), Err(SignatureKeyError::Form));
        assert_eq!(SignatureKey::read(pair.serialize_pem().as_bytes()), Err(SignatureKeyError::Private));
        assert_eq!(SignatureKey::read(b""), Err(SignatureKeyError::Form));
        assert_eq!(bare.pem(), pair.public_key_pem().replace("\r\n", "\n"));
        let combined = [certificate.pem(), pair.serialize_pem()].concat();
        assert_eq!(SignatureKey::read(combined.as_bytes()), Err(SignatureKeyError::Private));
    }
}
