//! Where a link's connections come from: dialled by us, or by a bank that was let in.

use super::settings::LinkSettings;
use super::tls::Connector;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The two halves of a connection, whatever lies beneath.
pub(super) struct Connection {
    pub read: Box<dyn AsyncRead + Send + Sync + Unpin>,
    pub write: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    pub peer: SocketAddr,
}

impl Connection {
    /// Over plain TCP.
    pub(super) fn plain(stream: TcpStream, peer: SocketAddr) -> Connection {
        let (read, write) = stream.into_split();
        Connection { read: Box::new(read), write: Box::new(write), peer }
    }

    /// Over TLS.
    pub(super) fn sealed<S>(stream: S, peer: SocketAddr) -> Connection
    where
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        Connection { read: Box::new(read), write: Box::new(write), peer }
    }
}

/// Dials a list of addresses, another one each time.
pub(super) struct Dialler {
    addresses: Vec<String>,
    next: usize,
    patience: Duration,
    tls: Option<Connector>,
}

impl Dialler {
    pub(super) fn new(settings: &LinkSettings, tls: Option<Connector>) -> Dialler {
        let patience = Duration::from_millis(settings.connect_timeout_ms);
        Dialler { addresses: settings.connect.0.clone(), next: 0, patience, tls }
    }

    /// One attempt at the next address; its peer is known for who it is when this returns.
    pub(super) async fn dial(&mut self) -> Result<Connection, (String, io::Error)> {
        let address = self.addresses.get(self.next % self.addresses.len().max(1)).cloned().unwrap_or_default();
        self.next = self.next.wrapping_add(1);
        let attempt = timeout(self.patience, self.reach(&address)).await;
        let attempt = attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        // The one that answered is the first to be tried again.
        self.next = if attempt.is_ok() { self.next.wrapping_sub(1) } else { self.next };
        attempt.map_err(|error| (address, error))
    }

    async fn reach(&self, address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        let peer = prepare(&stream)?;
        match &self.tls {
            None => Ok(Connection::plain(stream, peer)),
            Some(tls) => tls.connect(address, stream, peer).await,
        }
    }
}

/// Small frames must not wait for each other; that we gather them ourselves is enough.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    stream.peer_addr()
}
