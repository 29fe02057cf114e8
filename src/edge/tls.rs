//! TLS of the door: 1.2 and 1.3 with AEAD suites only (rustls has no others), client certificates taken where offered,
//! no early data, because early data can be replayed.

use super::settings::Settings;
use crate::merchants::Sha256Hash;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ParsedCertificate, ServerSessionMemoryCache, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The most sessions that are kept for resumption.
const SESSIONS: usize = 16_384;

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

/// The server's side of TLS.
#[derive(Clone)]
pub(super) struct Tls {
    config: ServerConfig,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Tls {
    /// Reads certificate, key and client issuers.
    pub fn read(settings: &Settings) -> Result<Tls, SetupError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let verifier = settings.client_ca_file.as_deref().map(|path| client_verifier(path, provider)).transpose()?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let chain = certificates(&settings.tls_certificate_file)?;
        let mut config = builder.with_single_cert(chain, private_key(&settings.tls_key_file)?)?;
        config.max_early_data_size = 0;
        config.session_storage = ServerSessionMemoryCache::new(settings.limits.connections.min(SESSIONS));
        Ok(Tls { config, verifier })
    }

    /// For a listener on which these protocols (ALPN) can be chosen; without any, whatever a client offers is ignored.
    pub fn acceptor(&self, protocols: &[&[u8]]) -> Acceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Acceptor { acceptor: TlsAcceptor::from(Arc::new(config)), verifier: self.verifier.clone() }
    }
}

/// Shakes hands on one listener.
#[derive(Clone)]
pub(super) struct Acceptor {
    acceptor: TlsAcceptor,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Acceptor {
    /// Shakes hands.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.acceptor.accept(stream).await?;
        self.verify_again(stream.get_ref().1).map_err(std::io::Error::other)?;
        Ok(stream)
    }

    /// A resumed session brings its client certificate along unchecked, however long ago it was checked.
    fn verify_again(&self, connection: &ServerConnection) -> Result<(), rustls::Error> {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        match (&self.verifier, connection.peer_certificates()) {
            (Some(verifier), Some([own, issuers @ ..])) if resumed => {
                verifier.verify_client_cert(own, issuers, UnixTime::now()).map(|_| ())
            }
            _ => Ok(()),
        }
    }
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
