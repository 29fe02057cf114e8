//! TLS towards a bank, dialled or dialling (RFC 8446, RFC 5246): certificates verified always, pinned where asked.
//!
//! Sessions are not resumed: lines live for hours, and a resumed session would bring its certificate along unchecked.

use super::LinkError;
use super::settings::{MinVersion, TlsSettings};
use super::source::Connection;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// SHA-256 over a SubjectPublicKeyInfo.
pub(super) type Pin = [u8; 32];

/// Reads 64 hex digits.
pub(super) fn pin(text: &str) -> Option<Pin> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Pins of the keys that a peer may have; none admits whoever was verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins(Vec<Pin>);

impl Pins {
    pub(super) fn of(settings: Option<&TlsSettings>) -> Pins {
        let pins = settings.iter().flat_map(|tls| &tls.pin_sha256);
        Pins(pins.filter_map(|text| pin(text)).collect())
    }

    pub(super) fn admit(&self, key: Option<Pin>) -> bool {
        self.0.is_empty() || key.is_some_and(|key| self.0.contains(&key))
    }
}

/// The hash of the key a verified peer has.
fn key_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<Pin> {
    let parsed = ParsedCertificate::try_from(certificates?.first()?).ok()?;
    Some(Sha256::digest(parsed.subject_public_key_info().as_ref()).into())
}

/// Our side of a handshake that we begin.
pub(super) struct Connector {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
    pins: Pins,
}

impl Connector {
    pub(super) fn read(settings: &TlsSettings) -> Result<Connector, LinkError> {
        let roots = roots(settings.ca_file.as_deref())?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(settings.min_version))?
            .with_root_certificates(roots);
        let mut config = match own(settings)? {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        let named = |name: &String| ServerName::try_from(name.clone()).map_err(|_| LinkError::ServerName(name.clone()));
        Ok(Connector {
            connector: TlsConnector::from(Arc::new(config)),
            server_name: settings.server_name.as_ref().map(named).transpose()?,
            pins: Pins::of(Some(settings)),
        })
    }

    /// Shakes hands; the peer is who it should be when this returns.
    pub(super) async fn connect(&self, address: &str, stream: TcpStream, peer: SocketAddr) -> io::Result<Connection> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => host_of(address)?,
        };
        let stream = self.connector.connect(name, stream).await?;
        if !self.pins.admit(key_of(stream.get_ref().1.peer_certificates())) {
            return Err(io::Error::other("the key of the bank's certificate is not the pinned one"));
        }
        Ok(Connection::sealed(stream, peer))
    }
}

/// The name that a certificate must bear: the host of an address.
fn host_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

/// Our side of a handshake that a bank begins.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl Acceptor {
    pub(super) fn read(settings: &TlsSettings) -> Result<Acceptor, LinkError> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions(settings.min_version))?;
        let builder = match &settings.ca_file {
            Some(_) => {
                let roots = Arc::new(roots(settings.ca_file.as_deref())?);
                builder
                    .with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?)
            }
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = own(settings)?.ok_or(LinkError::NoCertificate)?;
        let mut config = builder.with_single_cert(chain, key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands; gives the hash of the key that the bank's certificate has, where it showed one.
    pub(super) async fn accept(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<(Connection, Option<Pin>)> {
        let stream = self.0.accept(stream).await?;
        let key = key_of(stream.get_ref().1.peer_certificates());
        Ok((Connection::sealed(stream, peer), key))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

static FROM_TLS12: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
static FROM_TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

fn versions(oldest: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        MinVersion::Tls12 => &FROM_TLS12,
        MinVersion::Tls13 => &FROM_TLS13,
    }
}

fn roots(path: Option<&Path>) -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    for certificate in path.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate)?;
    }
    Ok(roots)
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(settings: &TlsSettings) -> Result<Option<Own>, LinkError> {
    let (Some(chain), Some(key)) = (&settings.certificate_file, &settings.key_file) else { return Ok(None) };
    let wrong = |_| LinkError::File { path: key.clone(), expected: "a private key in PEM form" };
    Ok(Some((certificates(chain)?, PrivateKeyDer::from_pem_file(key).map_err(wrong)?)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let wrong = || LinkError::File { path: path.to_owned(), expected: "certificates in PEM form" };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|_| wrong())?.collect();
    read.ok().filter(|chain| !chain.is_empty()).ok_or_else(wrong)
}
