//! The name of a client certificate in the register: the hash of its public key.
//!
//! A certificate that is renewed under the same key keeps the name; under another key, both are bound for a while.

use super::Sha256Hash;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

/// It holds neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a certificate nor a public key in PEM form")]
pub struct CertificateKeyError;

/// SHA-256 of the SubjectPublicKeyInfo of a certificate, or of a bare public key, both PEM.
pub fn certificate_key(content: &[u8]) -> Result<Sha256Hash, CertificateKeyError> {
    if let Ok(certificate) = CertificateDer::from_pem_slice(content) {
        let parsed = ParsedCertificate::try_from(&certificate).map_err(|_| CertificateKeyError)?;
        return Ok(Sha256::digest(parsed.subject_public_key_info().as_ref()).into());
    }
    let info = SubjectPublicKeyInfoDer::from_pem_slice(content).map_err(|_| CertificateKeyError)?;
    Ok(Sha256::digest(info.as_ref()).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_certificate_goes_by_its_key() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let name = certificate_key(certificate.pem().as_bytes()).unwrap();
        assert_eq!(certificate_key(pair.public_key_pem().as_bytes()), Ok(name));
        assert_eq!(certificate_key(pair.serialize_pem().as_bytes()), Err(CertificateKeyError));
    }
}
