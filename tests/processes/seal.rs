//! TLS on the switch's side of a line, with the certificates of the demo.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub type Read = Box<dyn AsyncRead + Send + Unpin>;
pub type Write = Box<dyn AsyncWrite + Send + Unpin>;

/// How long a handshake may take; whoever was killed in its middle does not finish it.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// What the switch's side of a line is under.
pub enum Seal {
    Plain,
    /// The switch dials, and asks who we are.
    Accepts(TlsAcceptor),
    /// The switch is dialled: it shows who it is, and asks who we are.
    Connects(TlsConnector),
}

impl Seal {
    /// The bank's side of a line that the switch dials.
    pub fn of_bank(folder: &Path) -> Seal {
        let (chain, key) = identity(folder, "server");
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Seal::Accepts(TlsAcceptor::from(Arc::new(config)))
    }

    /// A bank that dials, and shows a certificate of its own.
    pub fn of_dialling_bank(folder: &Path) -> Seal {
        let (chain, key) = identity(folder, "merchant");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
        Seal::Connects(TlsConnector::from(Arc::new(config)))
    }

    /// Shakes hands; nothing where that fails.
    pub async fn open(&self, stream: TcpStream) -> Option<(Read, Write)> {
        match self {
            Seal::Plain => {
                let (read, write) = stream.into_split();
                Some((Box::new(read), Box::new(write)))
            }
            Seal::Accepts(acceptor) => {
                let sealed = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await.ok()?.ok()?;
                Some(halves(sealed))
            }
            Seal::Connects(connector) => {
                let name = ServerName::try_from("localhost").unwrap();
                let sealed =
                    tokio::time::timeout(HANDSHAKE_WITHIN, connector.connect(name, stream)).await.ok()?.ok()?;
                Some(halves(sealed))
            }
        }
    }
}

fn halves(sealed: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> (Read, Write) {
    let (read, write) = tokio::io::split(sealed);
    (Box::new(read), Box::new(write))
}

fn identity(folder: &Path, whose: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{whose}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{whose}-key.pem"))).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
