//! Keys and certificates for a system on one machine: a CA of our own, the door's certificate, a merchant's client
//! certificate, payload key pairs of both sides, an API key.
//!
//! Nothing of it is for production. What is secret has mode 0600. A folder that has all of it is used again.

use super::payload_pair::PayloadPair;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where each piece lies, and the values that a configuration needs.
#[derive(Clone, Debug)]
pub struct Material {
    /// The CA's certificate, PEM: for whoever trusts this machine.
    pub ca_certificate: PathBuf,
    /// The CA's private key, PEM: `isthmus merchant add` issues with it.
    pub ca_key: PathBuf,
    /// The door's certificate, PEM: localhost, 127.0.0.1, ::1.
    pub server_certificate: PathBuf,
    /// The door's private key, PEM.
    pub server_key: PathBuf,
    /// The merchant's client certificate, PEM.
    pub client_certificate: PathBuf,
    /// The merchant's client key, PEM.
    pub client_key: PathBuf,
    /// The private key that opens what merchants seal, PEM.
    pub gateway_payload_private_key: PathBuf,
    /// Its public half, JWK.
    pub gateway_payload_key: PathBuf,
    /// The private key that signs answers, PEM.
    pub gateway_signature_key: PathBuf,
    /// The merchant's private signature key, RSA, PEM.
    pub merchant_signature_key: PathBuf,
    /// Its public half, PEM.
    pub merchant_signature_public_key: PathBuf,
    /// The private key that opens what the door seals, JWK.
    pub merchant_payload_private_key: PathBuf,
    /// The same, PEM.
    pub merchant_payload_private_key_pem: PathBuf,
    /// Its public half, JWK.
    pub merchant_payload_key: PathBuf,
    /// The file that holds the API key.
    pub api_key_file: PathBuf,
    /// The file that holds the hash of the client certificate's public key.
    pub client_spki_sha256_file: PathBuf,
}

/// Why material could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A file cannot be written or read.
    #[error("{}: {fault}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A key cannot be made.
    #[error("an RSA key cannot be made")]
    Key,
    /// The calendar has no such day.
    #[error("the validity of a certificate cannot be told: {0}")]
    Date(#[from] jiff::Error),
}

impl Material {
    /// Uses what lies in `folder`, or makes all of it anew.
    pub fn prepare(folder: &Path) -> Result<Material, MaterialError> {
        fs::create_dir_all(folder).map_err(|fault| MaterialError::File { path: folder.to_owned(), fault })?;
        let material = Material::in_folder(folder);
        if !material.paths().iter().all(|path| path.is_file()) {
            material.make_certificates()?;
            material.make_payload_keys()?;
            material.make_signature_keys()?;
            write_secret(&material.api_key_file, &format!("isk_{}", BASE64URL_NOPAD.encode(&random())))?;
        }
        Ok(material)
    }

    /// The same material in the folder's absolute form.
    pub fn in_absolute(&self, folder: &Path) -> Material {
        Material::in_folder(folder)
    }

    fn in_folder(folder: &Path) -> Material {
        let at = |name: &str| folder.join(name);
        Material {
            ca_certificate: at("ca.pem"),
            ca_key: at("ca-key.pem"),
            server_certificate: at("server.pem"),
            server_key: at("server-key.pem"),
            client_certificate: at("merchant.pem"),
            client_key: at("merchant-key.pem"),
            gateway_payload_private_key: at("payload-private.pem"),
            gateway_payload_key: at("payload.jwk.json"),
            gateway_signature_key: at("signature-private.pem"),
            merchant_signature_key: at("merchant-signature-private.pem"),
            merchant_signature_public_key: at("merchant-signature.pem"),
            merchant_payload_private_key: at("merchant-payload-private.jwk.json"),
            merchant_payload_private_key_pem: at("merchant-payload-private.pem"),
            merchant_payload_key: at("merchant-payload.jwk.json"),
            api_key_file: at("merchant-api-key"),
            client_spki_sha256_file: at("merchant-spki-sha256"),
        }
    }

    fn paths(&self) -> [&Path; 16] {
        [
            &self.ca_certificate,
            &self.ca_key,
            &self.server_certificate,
            &self.server_key,
            &self.client_certificate,
            &self.client_key,
            &self.gateway_payload_private_key,
            &self.gateway_payload_key,
            &self.gateway_signature_key,
            &self.merchant_signature_key,
            &self.merchant_signature_public_key,
            &self.merchant_payload_private_key,
            &self.merchant_payload_private_key_pem,
            &self.merchant_payload_key,
            &self.api_key_file,
            &self.client_spki_sha256_file,
        ]
    }

    /// The merchant's API key.
    pub fn api_key(&self) -> Result<String, MaterialError> {
        read(&self.api_key_file)
    }

    /// SHA-256 of the API key, hexadecimal, as the register wants it.
    pub fn api_key_sha256(&self) -> Result<String, MaterialError> {
        Ok(HEXLOWER.encode(&Sha256::digest(self.api_key()?)))
    }

    /// SHA-256 of the client certificate's SubjectPublicKeyInfo, hexadecimal, as the register wants it.
    pub fn client_spki_sha256(&self) -> Result<String, MaterialError> {
        read(&self.client_spki_sha256_file)
    }

    fn make_certificates(&self) -> Result<(), MaterialError> {
        let ca = CertifiedIssuer::self_signed(ca_params()?, KeyPair::generate()?)?;
        write(&self.ca_certificate, &ca.pem())?;
        write_secret(&self.ca_key, &ca.key().serialize_pem())?;
        let server_key = KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let server = leaf_params(names.to_vec(), "localhost", ExtendedKeyUsagePurpose::ServerAuth)?;
        write(&self.server_certificate, &server.signed_by(&server_key, &ca)?.pem())?;
        write_secret(&self.server_key, &server_key.serialize_pem())?;
        let client_key = KeyPair::generate()?;
        let client = leaf_params(Vec::new(), "demo merchant", ExtendedKeyUsagePurpose::ClientAuth)?;
        write(&self.client_certificate, &client.signed_by(&client_key, &ca)?.pem())?;
        write_secret(&self.client_key, &client_key.serialize_pem())?;
        let hash = HEXLOWER.encode(&Sha256::digest(client_key.subject_public_key_info()));
        write(&self.client_spki_sha256_file, &hash)
    }

    fn make_payload_keys(&self) -> Result<(), MaterialError> {
        let gateway = PayloadPair::generate()?;
        write_secret(&self.gateway_payload_private_key, &gateway.private_pem()?)?;
        write(&self.gateway_payload_key, &gateway.public_jwk().to_string())?;
        let merchant = PayloadPair::generate()?;
        write_secret(&self.merchant_payload_private_key, &merchant.private_jwk()?.to_string())?;
        write_secret(&self.merchant_payload_private_key_pem, &merchant.private_pem()?)?;
        write(&self.merchant_payload_key, &merchant.public_jwk().to_string())
    }

    fn make_signature_keys(&self) -> Result<(), MaterialError> {
        write_secret(&self.gateway_signature_key, &KeyPair::generate()?.serialize_pem())?;
        let merchant = PayloadPair::generate()?;
        write_secret(&self.merchant_signature_key, &merchant.private_pem()?)?;
        write(&self.merchant_signature_public_key, &merchant.public_pem()?)
    }
}

fn ca_params() -> Result<CertificateParams, MaterialError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Isthmus development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params)?;
    Ok(params)
}

fn leaf_params(
    names: Vec<String>,
    common_name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, MaterialError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params)?;
    Ok(params)
}

/// From yesterday, for clocks that differ, for two years.
fn valid(params: &mut CertificateParams) -> Result<(), MaterialError> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(today.yesterday()?);
    params.not_after = day(today.checked_add(jiff::Span::new().days(730))?);
    Ok(())
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn read(path: &Path) -> Result<String, MaterialError> {
    let text = fs::read_to_string(path).map_err(|fault| MaterialError::File { path: path.to_owned(), fault })?;
    Ok(text.trim().to_owned())
}

pub(in crate::cli) fn write(path: &Path, text: &str) -> Result<(), MaterialError> {
    write_with_mode(path, text, 0o644)
}

pub(in crate::cli) fn write_secret(path: &Path, text: &str) -> Result<(), MaterialError> {
    write_with_mode(path, text, 0o600)
}

/// Removes what was there first: the mode is only given to a new file.
fn write_with_mode(path: &Path, text: &str, mode: u32) -> Result<(), MaterialError> {
    let write = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        writeln!(file, "{}", text.trim_end())
    };
    write().map_err(|fault| MaterialError::File { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn material_is_made_once_and_its_secrets_are_private() {
        let folder = std::env::temp_dir().join(format!("isthmus-material-{}", std::process::id()));
        let made = Material::prepare(&folder).unwrap();
        let key = made.api_key().unwrap();
        assert_eq!(Material::prepare(&folder).unwrap().api_key().unwrap(), key);
        let signing = [&made.gateway_signature_key, &made.merchant_signature_key];
        let others = [&made.server_key, &made.client_key, &made.gateway_payload_private_key, &made.api_key_file];
        for secret in signing.into_iter().chain(others) {
            assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600, "{}", secret.display());
        }
        let jwk = fs::read(&made.merchant_payload_key).unwrap();
        assert!(crate::merchants::PayloadKey::read(&jwk).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }
}
