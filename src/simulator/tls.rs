//! TLS on the bank's links (RFC 8446, RFC 5246): on those it takes, on those it dials, or on neither.
//!
//! `[tls]` seals the links that peers dial, with client certificates asked for where `client_ca_file` says
//! whose; `[connect_tls]` seals those that the bank dials. Files are read with the configuration, so a bank
//! that starts has them. A link whose handshake fails was never up: no session, no message, no line in the
//! ledger. What surprises: one configuration seals all of the bank's listeners, or none.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use toml::Spanned;

use super::mistake::Examined;

/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// TLS of a bank's links; the default is none.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    taken: Option<Arc<ServerConfig>>,
    dialled: Option<Dialled>,
}

#[derive(Clone, Debug)]
struct Dialled {
    config: Arc<ClientConfig>,
    /// The name that the peer's certificate must bear; without it, its address.
    name: Option<ServerName<'static>>,
}

/// `[tls]`: the bank's own side of links that it takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakenTable {
    certificate_file: Spanned<PathBuf>,
    key_file: Spanned<PathBuf>,
    client_ca_file: Option<Spanned<PathBuf>>,
}

/// `[connect_tls]`: the bank's own side of links that it dials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DialledTable {
    ca_file: Spanned<PathBuf>,
    server_name: Option<Spanned<String>>,
    certificate_file: Option<Spanned<PathBuf>>,
    key_file: Option<Spanned<PathBuf>>,
}

impl Tls {
    /// Reads what the two tables name, seen from a directory; every mistake is noted.
    pub(super) fn read(
        examined: &mut Examined<'_>,
        directory: &Path,
        taken: Option<&TakenTable>,
        dialled: Option<&DialledTable>,
    ) -> Tls {
        let mut files = Files { examined, directory };
        Tls {
            taken: taken.and_then(|table| files.taken(table)),
            dialled: dialled.and_then(|table| files.dialled(table)),
        }
    }

    /// Whether links are sealed that are dialled by the bank, or by a peer.
    pub(super) fn seals(&self, dialled: bool) -> bool {
        if dialled { self.dialled.is_some() } else { self.taken.is_some() }
    }

    /// Shakes hands on a link; the peer is who it should be when this returns.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        dialled: bool,
    ) -> io::Result<TlsStream<TcpStream>> {
        let handshake = async {
            match (dialled, &self.taken, &self.dialled) {
                (false, Some(taken), _) => Ok(TlsAcceptor::from(taken.clone()).accept(stream).await?.into()),
                (true, _, Some(dialled)) => {
                    let name = dialled.name.clone().unwrap_or_else(|| ServerName::from(peer.ip()));
                    Ok(TlsConnector::from(dialled.config.clone()).connect(name, stream).await?.into())
                }
                _ => Err(io::Error::other("these links are not sealed")),
            }
        };
        tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await?
    }
}

/// A certificate with its issuers, its key, and where the configuration names the key.
type Own<'t> = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, &'t Spanned<PathBuf>);

/// Files that a configuration names.
struct Files<'a, 'b> {
    examined: &'a mut Examined<'b>,
    directory: &'a Path,
}

impl Files<'_, '_> {
    fn taken(&mut self, table: &TakenTable) -> Option<Arc<ServerConfig>> {
        let chain = self.certificates(&table.certificate_file, "tls.certificate_file");
        let key = self.key(&table.key_file, "tls.key_file");
        let clients = table.client_ca_file.as_ref().map(|file| self.roots(file, "tls.client_ca_file"));
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().ok()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots?), provider()).build().ok()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let Ok(mut config) = builder.with_single_cert(chain?, key?) else {
            return self.note(&table.key_file, "tls.key_file", "the key of the certificate");
        };
        // A resumed session would bring its client certificate along unchecked.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Some(Arc::new(config))
    }

    fn dialled(&mut self, table: &DialledTable) -> Option<Dialled> {
        let roots = self.roots(&table.ca_file, "connect_tls.ca_file");
        let name = table.server_name.as_ref().map(|text| {
            let parse = |text: &String| ServerName::try_from(text.clone()).ok();
            self.examined.parsed(text, "connect_tls.server_name", "a host's name or address", parse)
        });
        let own = self.own(table);
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().ok()?;
        let builder = builder.with_root_certificates(roots?);
        let mut config = match own? {
            None => builder.with_no_client_auth(),
            Some((chain, key, at)) => match builder.with_client_auth_cert(chain, key) {
                Ok(config) => config,
                Err(_) => return self.note(at, "connect_tls.key_file", "the key of the certificate"),
            },
        };
        config.resumption = Resumption::disabled();
        let name = match name {
            None => None,
            Some(name) => Some(name?),
        };
        Some(Dialled { config: Arc::new(config), name })
    }

    /// The certificate that the bank shows where it dials: both files, or neither.
    fn own<'t>(&mut self, table: &'t DialledTable) -> Option<Option<Own<'t>>> {
        match (&table.certificate_file, &table.key_file) {
            (None, None) => Some(None),
            (Some(chain), Some(key)) => {
                let certificates = self.certificates(chain, "connect_tls.certificate_file");
                Some(Some((certificates?, self.key(key, "connect_tls.key_file")?, key)))
            }
            (Some(alone), None) => self.note(alone, "connect_tls.certificate_file", "key_file beside it"),
            (None, Some(alone)) => self.note(alone, "connect_tls.key_file", "certificate_file beside it"),
        }
    }

    fn roots(&mut self, file: &Spanned<PathBuf>, key: &str) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(file, key)? {
            if roots.add(certificate).is_err() {
                return self.note(file, key, "certificates of an authority");
            }
        }
        Some(roots)
    }

    fn certificates(&mut self, file: &Spanned<PathBuf>, key: &str) -> Option<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(self.directory.join(file.get_ref()));
        let read = read.ok().and_then(|all| all.collect::<Result<Vec<_>, _>>().ok());
        match read.filter(|chain| !chain.is_empty()) {
            Some(chain) => Some(chain),
            None => self.note(file, key, "a file of certificates in PEM form"),
        }
    }

    fn key(&mut self, file: &Spanned<PathBuf>, key: &str) -> Option<PrivateKeyDer<'static>> {
        match PrivateKeyDer::from_pem_file(self.directory.join(file.get_ref())) {
            Ok(read) => Some(read),
            Err(_) => self.note(file, key, "a file with a private key in PEM form"),
        }
    }

    fn note<T>(&mut self, at: &Spanned<PathBuf>, key: &str, expected: &str) -> Option<T> {
        let file = self.directory.join(at.get_ref());
        self.examined.note(at.span(), key, format!("{expected} ({})", file.display()));
        None
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
