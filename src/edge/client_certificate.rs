//! Which client certificates are taken: those of the operator's CA, and those that are bound to a merchant by themselves.
//!
//! A self-signed certificate proves that its sender has the key. That is all the register needs where the key's hash is
//! bound to a merchant there; it must be in its time and made for clients all the same.

use super::settings::Settings;
use super::tls::{SetupError, certificates};
use crate::merchants::{LiveRegister, Sha256Hash};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Judges client certificates.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    issued: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether the issuer takes certificates back. One that signed itself cannot be taken back, and whoever stole the
    /// key of one that was would make another: none of them is taken then.
    revokes: bool,
    register: LiveRegister,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    /// Reads who may issue certificates, and which of them were taken back.
    pub fn read(
        settings: &Settings,
        register: LiveRegister,
        provider: Arc<CryptoProvider>,
    ) -> Result<ClientVerifier, SetupError> {
        let issued = match &settings.client_ca_file {
            None => None,
            Some(path) => {
                let roots = Arc::new(roots(certificates(path)?)?);
                let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let builder = builder.allow_unauthenticated().with_crls(revocations(&settings.client_crl_files)?);
                Some(builder.only_check_end_entity_revocation().build()?)
            }
        };
        Ok(ClientVerifier { issued, revokes: !settings.client_crl_files.is_empty(), register, provider })
    }

    fn is_bound(&self, certificate: &CertificateDer<'_>) -> bool {
        let key = key_hash(certificate);
        key.is_some_and(|key| self.register.now().by_certificate_key(&key).is_some())
    }

    /// Judges a certificate as its own issuer's.
    fn verify_alone(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<ClientCertVerified, Error> {
        let itself = roots(vec![certificate.clone().into_owned()])?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(itself), Arc::clone(&self.provider));
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_client_cert(certificate, &[], now)
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// Where nobody can prove anything by a certificate, none is asked for.
    fn offer_client_auth(&self) -> bool {
        self.issued.is_some() || self.register.now().has_certificates()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issued.as_ref().map_or(&[], |issued| issued.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let judged = match &self.issued {
            Some(issued) => issued.verify_client_cert(end_entity, intermediates, now),
            None => Err(unknown.clone()),
        };
        match judged {
            Err(error) if error == unknown && !self.revokes && self.is_bound(end_entity) => {
                self.verify_alone(end_entity, now)
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// SHA-256 over the SubjectPublicKeyInfo of a certificate.
pub(super) fn key_hash(certificate: &CertificateDer<'_>) -> Option<Sha256Hash> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    certificates.into_iter().try_for_each(|certificate| roots.add(certificate))?;
    Ok(roots)
}

fn revocations(files: &[impl AsRef<Path>]) -> Result<Vec<CertificateRevocationListDer<'static>>, SetupError> {
    let mut lists = Vec::new();
    for path in files.iter().map(AsRef::as_ref) {
        let wrong = || SetupError::File { path: path.to_owned(), expected: "certificate revocation lists in PEM form" };
        let read = CertificateRevocationListDer::pem_file_iter(path).map_err(|_| wrong())?;
        let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|_| wrong())?;
        // An empty file would take nothing back, and nobody would notice.
        lists.extend(Some(read).filter(|read| !read.is_empty()).ok_or_else(wrong)?);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::merchants::{MerchantSettings, Register};
    use data_encoding::HEXLOWER;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
        date_time_ymd,
    };
    use std::path::PathBuf;

    fn params(name: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        params
    }

    fn client(name: &str) -> CertificateParams {
        params(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn ca() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "operator");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn register(bound: &[&CertificateDer<'_>]) -> LiveRegister {
        let hashes: Vec<_> = bound.iter().map(|c| format!("'{}'", HEXLOWER.encode(&key_hash(c).unwrap()))).collect();
        let shop: MerchantSettings = toml::from_str(&format!(
            "id = 'shop'\napi_key_sha256 = ['{}']\nclient_cert_spki_sha256 = [{}]\nterminals = [{{ terminal = 'T', \
             acceptor = 'A', category_code = '5999', city = 'Bonn', country = 'DE' }}]",
            "a".repeat(64),
            hashes.join(", ")
        ))
        .unwrap();
        Register::build(&[shop], Path::new(".")).unwrap().into()
    }

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("isthmus-client-certificate-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    fn verifier(ca: Option<&PathBuf>, crls: &[&PathBuf], register: LiveRegister) -> ClientVerifier {
        let mut settings: Settings = toml::from_str("tls_certificate_file = 'a'\ntls_key_file = 'b'").unwrap();
        settings.client_ca_file = ca.cloned();
        settings.client_crl_files = crls.iter().map(|path| (*path).clone()).collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientVerifier::read(&settings, register, provider).unwrap()
    }

    fn takes(verifier: &ClientVerifier, certificate: &CertificateDer<'_>) -> bool {
        verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn a_self_signed_certificate_is_taken_where_its_key_is_bound() {
        let (ours, theirs) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let bound = client("shop").self_signed(&ours).unwrap();
        let unbound = client("shop").self_signed(&theirs).unwrap();
        let mut past = client("shop");
        past.not_after = date_time_ymd(2001, 1, 1);
        let past = past.self_signed(&ours).unwrap();
        let server = params("shop", ExtendedKeyUsagePurpose::ServerAuth).self_signed(&ours).unwrap();
        let ca_file = file("pinned-ca.pem", &ca().pem());
        for ca in [None, Some(&ca_file)] {
            let verifier = verifier(ca, &[], register(&[bound.der()]));
            assert!(verifier.offer_client_auth() && takes(&verifier, bound.der()));
            assert!(!takes(&verifier, unbound.der()), "a key that nobody has bound");
            assert!(!takes(&verifier, past.der()), "the right key in a certificate that has expired");
            assert!(!takes(&verifier, server.der()), "the right key in a certificate for servers");
        }
        let foreign = client("shop").signed_by(&ours, &ca()).unwrap();
        assert!(!takes(&verifier(None, &[], register(&[bound.der()])), foreign.der()), "by a CA that nobody knows");
        assert!(!verifier(None, &[], register(&[])).offer_client_auth());
        std::fs::remove_file(ca_file).unwrap();
    }

    #[test]
    fn what_the_ca_has_taken_back_is_refused_though_it_is_bound() {
        let (ca, key) = (ca(), KeyPair::generate().unwrap());
        let issue = |serial: u64| {
            let mut params = client("shop");
            params.serial_number = Some(SerialNumber::from(serial));
            params.signed_by(&key, &ca).unwrap()
        };
        let (good, bad) = (issue(1), issue(2));
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(2),
                revocation_time: date_time_ymd(2025, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let ca_file = file("ca.pem", &ca.pem());
        let crl_file = file("crl.pem", &list.signed_by(&ca).unwrap().pem().unwrap());
        let register = register(&[good.der()]);
        let without = verifier(Some(&ca_file), &[], register.clone());
        assert!(takes(&without, good.der()) && takes(&without, bad.der()));
        let with = verifier(Some(&ca_file), &[&crl_file], register);
        assert!(takes(&with, good.der()) && !takes(&with, bad.der()));
        let alone = client("shop").self_signed(&key).unwrap();
        assert!(takes(&without, alone.der()) && !takes(&with, alone.der()), "no list could name it");
        assert!(revocations(&[&ca_file]).is_err(), "a file without a list");
        for path in [ca_file, crl_file] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
