//! Connecting: TCP, TLS with a trust of one's own, HTTP/1.1 where it is spoken.

use super::{ClientError, Target};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What reads and writes a connection as long as it is polled.
pub(super) type Wire = http1::Connection<TokioIo<Sealed>, Full<Bytes>>;

/// TLS over TCP.
pub(super) type Sealed = TlsStream<TcpStream>;

/// Knows where to connect, and whom to trust there.
#[derive(Clone)]
pub(super) struct Connector {
    authority: String,
    server_name: ServerName<'static>,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(target: &Target) -> Result<Connector, ClientError> {
        let authority = target.url.strip_prefix("https://").or_else(|| target.url.strip_prefix("tls://"));
        let authority = authority.map(|rest| rest.trim_end_matches('/'));
        let authority = authority.ok_or(ClientError::Target("url"))?.to_owned();
        let (host, _port) = authority.rsplit_once(':').ok_or(ClientError::Target("url"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name = ServerName::try_from(host).map_err(|_| ClientError::Target("url"))?;
        Ok(Connector { authority, server_name, tls: TlsConnector::from(Arc::new(client_config(target)?)) })
    }

    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// A new connection; a task of its own reads and writes it until the sender is dropped.
    pub(super) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let (sender, wire) = self.open().await?;
        // What ends the connection is told to whoever sends next.
        tokio::spawn(wire);
        Ok(sender)
    }

    /// A new connection in its two halves: what takes requests, and the future that reads and writes.
    pub(super) async fn open(&self) -> Result<(SendRequest<Full<Bytes>>, Wire), ClientError> {
        Ok(http1::handshake(TokioIo::new(self.seal().await?)).await?)
    }

    /// A new connection that nothing was said on yet.
    pub(super) async fn seal(&self) -> Result<Sealed, ClientError> {
        let stream = TcpStream::connect(&self.authority).await.map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        self.tls.connect(self.server_name.clone(), stream).await.map_err(ClientError::Connect)
    }
}

fn client_config(target: &Target) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&target.ca_pem) {
        let certificate = certificate.map_err(|_| ClientError::Target("CA"))?;
        roots.add(certificate).map_err(|_| ClientError::Target("CA"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| ClientError::Target("TLS"))?
        .with_root_certificates(roots);
    let Some((chain, key)) = &target.identity_pem else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|_| ClientError::Target("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ClientError::Target("key"))?;
    builder.with_client_auth_cert(chain, key).map_err(|_| ClientError::Target("certificate"))
}
