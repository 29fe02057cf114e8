//! A payload or signature key as an X.509 certificate, for clients that take a key in no other form.
//!
//! It certifies nothing: it is signed by its own key, and whoever takes it from `/v1/keys` trusts the TLS connection it
//! came over. It says the same each time it is made.

use rcgen::{
    CertificateParams, DnType, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use sha2::{Digest, Sha256};

/// Bytes of a serial number taken from the key's name (RFC 5280 section 4.1.2.2 allows 20).
const SERIAL_BYTES: usize = 16;

/// The certificate of a payload key (PKCS#8 PEM) named `kid`, in DER.
pub(super) fn self_signed(pem: &str, kid: &str) -> Result<Vec<u8>, rcgen::Error> {
    certificate(pem, kid, &PKCS_RSA_SHA256, KeyUsagePurpose::KeyEncipherment)
}

/// The same of a signature key on P-256.
pub(in crate::edge) fn self_signed_p256(pem: &str, kid: &str) -> Result<Vec<u8>, rcgen::Error> {
    certificate(pem, kid, &PKCS_ECDSA_P256_SHA256, KeyUsagePurpose::DigitalSignature)
}

fn certificate(
    pem: &str,
    kid: &str,
    algorithm: &'static SignatureAlgorithm,
    usage: KeyUsagePurpose,
) -> Result<Vec<u8>, rcgen::Error> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, algorithm)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Isthmus payload key");
    // Of a serial number's first bit nothing may be said but that it is positive.
    let mut serial = Sha256::digest(kid)[..SERIAL_BYTES].to_vec();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.key_usages = vec![usage];
    Ok(params.self_signed(&key)?.der().to_vec())
}
