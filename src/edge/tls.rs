//! TLS of the door: 1.2 and 1.3 with AEAD suites only (rustls has no others), client certificates taken where offered,
//! no early data, because early data can be replayed.

use super::client_certificate::{ClientVerifier, key_hash};
use super::settings::Settings;
use crate::merchants::{LiveRegister, Sha256Hash};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ServerSessionMemoryCache, danger::ClientCertVerifier};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::watch;
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

/// The server's side of TLS on all listeners, which share no session.
#[derive(Debug)]
pub(super) struct Tls {
    files: Files,
    listeners: Vec<(watch::Sender<Hands>, &'static [&'static [u8]])>,
}

/// What TLS is read from, each time it is.
#[derive(Debug)]
struct Files {
    settings: Settings,
    register: LiveRegister,
}

/// What a handshake is made with.
#[derive(Clone, Debug)]
struct Hands {
    config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
}

impl Tls {
    /// Reads certificate, key and client issuers, to see whether they are usable.
    pub fn read(settings: &Settings, register: LiveRegister) -> Result<Tls, SetupError> {
        let files = Files { settings: settings.clone(), register };
        files.read(&[])?;
        Ok(Tls { files, listeners: Vec::new() })
    }

    /// For a listener on which these protocols (ALPN) can be chosen; without any, whatever a client offers is ignored.
    pub fn acceptor(&mut self, protocols: &'static [&'static [u8]]) -> Result<Acceptor, SetupError> {
        let (hands, held) = watch::channel(self.files.read(protocols)?);
        self.listeners.push((hands, protocols));
        Ok(Acceptor(held))
    }

    /// Reads all files again: later handshakes go by what they hold now, on all listeners or on none. Connections that
    /// are open go on.
    pub fn reload(&self) -> Result<(), SetupError> {
        let read: Result<Vec<_>, _> = self.listeners.iter().map(|(_, protocols)| self.files.read(protocols)).collect();
        for ((hands, _), new) in self.listeners.iter().zip(read?) {
            hands.send_replace(new);
        }
        Ok(())
    }
}

impl Files {
    fn read(&self, protocols: &[&[u8]]) -> Result<Hands, SetupError> {
        let settings = &self.settings;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(ClientVerifier::read(settings, self.register.clone(), Arc::clone(&provider))?);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<dyn ClientCertVerifier>);
        let chain = certificates(&settings.tls_certificate_file)?;
        let mut config = builder.with_single_cert(chain, private_key(&settings.tls_key_file)?)?;
        config.max_early_data_size = 0;
        config.session_storage = ServerSessionMemoryCache::new(settings.limits.connections.min(SESSIONS));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Hands { config: Arc::new(config), verifier })
    }
}

/// Shakes hands on one listener.
#[derive(Clone)]
pub(super) struct Acceptor(watch::Receiver<Hands>);

impl Acceptor {
    /// Shakes hands.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let hands = self.0.borrow().clone();
        let stream = TlsAcceptor::from(hands.config).accept(stream).await?;
        verify_again(&hands.verifier, stream.get_ref().1).map_err(std::io::Error::other)?;
        Ok(stream)
    }
}

/// A resumed session brings its client certificate along unchecked, however long ago it was checked.
fn verify_again(verifier: &ClientVerifier, connection: &ServerConnection) -> Result<(), rustls::Error> {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    match connection.peer_certificates() {
        Some([own, issuers @ ..]) if resumed => verifier.verify_client_cert(own, issuers, UnixTime::now()).map(|_| ()),
        _ => Ok(()),
    }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
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
    key_hash(connection.peer_certificates()?.first()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::merchants::Register;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsConnector, client};

    /// Writes a certificate that signs itself, with its key, over what was there.
    fn renew(folder: &Path) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.join("door.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.join("door-key.pem"), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    struct Pair {
        door: TlsStream<TcpStream>,
        client: client::TlsStream<TcpStream>,
    }

    impl Pair {
        async fn says(&mut self, word: &[u8; 4]) {
            self.client.write_all(word).await.unwrap();
            let mut heard = [0; 4];
            self.door.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, word);
        }
    }

    async fn connect(acceptor: &Acceptor, trusted: &CertificateDer<'static>) -> Option<Pair> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = tokio::join!(
            async { acceptor.accept(listener.accept().await.unwrap().0).await },
            connector.connect(ServerName::try_from("localhost").unwrap(), stream)
        );
        match shaken {
            (Ok(door), Ok(client)) => Some(Pair { door, client }),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_new_certificate_is_shown_to_new_connections_and_closes_none() {
        let folder = std::env::temp_dir().join(format!("isthmus-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = "tls_certificate_file = 'door.pem'\ntls_key_file = 'door-key.pem'";
        let settings = toml::from_str::<Settings>(text).unwrap().relative_to(&folder);
        let first = renew(&folder);
        let mut tls = Tls::read(&settings, Register::default().into()).unwrap();
        let acceptor = tls.acceptor(&[]).unwrap();
        let mut before = connect(&acceptor, &first).await.unwrap();
        before.says(b"ping").await;

        let second = renew(&folder);
        assert!(connect(&acceptor, &second).await.is_none(), "nobody has asked for it yet");
        tls.reload().unwrap();
        assert!(connect(&acceptor, &first).await.is_none());
        let mut after = connect(&acceptor, &second).await.unwrap();
        before.says(b"pong").await;

        std::fs::write(folder.join("door.pem"), "nothing").unwrap();
        assert!(tls.reload().is_err());
        assert!(connect(&acceptor, &second).await.is_some(), "what cannot be read changes nothing");
        after.says(b"ping").await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
