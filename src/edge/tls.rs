//! TLS of the door: 1.2 and 1.3 with AEAD suites only (rustls has no others), client certificates taken where offered,
//! no early data, because early data can be replayed.

use super::settings::Settings;
use crate::merchants::Sha256Hash;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the door cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read, or is not what it should be.
    #[error("{}: expected {expected}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key are not usable together.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The issuers of client certificates are not usable.
    #[error("client certificates: {0}")]
    ClientVerifier(#[from] rustls::server::VerifierBuilderError),
    /// The listener is not usable, or a thread cannot be started.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads certificate, key and client issuers and makes the server's side of TLS of them.
pub(super) fn server_config(settings: &Settings) -> Result<Arc<ServerConfig>, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match &settings.client_ca_file {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let chain = certificates(&settings.tls_certificate_file)?;
    let mut config = builder.with_single_cert(chain, private_key(&settings.tls_key_file)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn client_verifier(
    path: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, SetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(builder.allow_unauthenticated().build()?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let wrong = || SetupError::File { path: path.to_owned(), expected: "certificates in PEM form" };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|_| wrong())?.collect();
    read.ok().filter(|chain| !chain.is_empty()).ok_or_else(wrong)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|_| SetupError::File { path: path.to_owned(), expected: "a private key in PEM form" })
}

/// SHA-256 over the SubjectPublicKeyInfo of the client certificate that the handshake verified, if there was one.
pub(super) fn client_key_hash(connection: &ServerConnection) -> Option<Sha256Hash> {
    let certificate = connection.peer_certificates()?.first()?;
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}
