//! Banks that dial in: one listener serves the links of its address.
//!
//! A peer is known for who it is before any link can be chosen for it: its address first, then its certificate. What
//! it says is read only then. A link carries one connection; a further one is refused, or takes the place of the one
//! that stands longest, as the links say.

use super::LinkError;
use super::settings::{Duplicate, LinkSettings};
use super::source::{Connection, prepare};
use super::tls::{Acceptor, Pin, Pins};
use crate::network::Network;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// Peers that may be shaking hands at once; further ones wait in the listener's own queue.
const HANDSHAKES: usize = 16;
/// Pause after an accept that failed, which it does when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listener before it runs.
pub(super) struct Listener {
    listener: TcpListener,
    door: Door,
}

/// Whom a listener lets in, and to which links.
struct Door {
    posts: Vec<Post>,
    acceptor: Option<Acceptor>,
    patience: Duration,
    duplicate: Duplicate,
    /// Connections given to links so far.
    given: AtomicU64,
}

/// A link's place at its listener.
struct Post {
    allow: Vec<Network>,
    pins: Pins,
    connections: mpsc::Sender<Connection>,
    taken: Arc<Taken>,
}

/// Whether a link has a connection: 0, or the number of the one it was given.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

impl Taken {
    /// The connection is over.
    pub(super) fn free(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// A link's end of its place at a listener.
pub(super) struct Dialled {
    pub connections: mpsc::Receiver<Connection>,
    pub taken: Arc<Taken>,
}

impl Listener {
    /// Binds an address for links that agree in their handshake.
    pub(super) async fn bind(address: SocketAddr, first: &LinkSettings) -> Result<Listener, LinkError> {
        let listener = TcpListener::bind(address).await.map_err(|error| LinkError::Listen(address, error))?;
        let door = Door {
            posts: Vec::new(),
            acceptor: first.tls.as_ref().map(Acceptor::read).transpose()?,
            patience: Duration::from_millis(first.connect_timeout_ms),
            duplicate: first.duplicate,
            given: AtomicU64::new(0),
        };
        Ok(Listener { listener, door })
    }

    /// The address it is bound to.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// A place for one more link.
    pub(super) fn add(&mut self, settings: &LinkSettings) -> Dialled {
        let (sender, connections) = mpsc::channel(1);
        let taken = Arc::new(Taken::default());
        self.door.posts.push(Post {
            allow: settings.allow.clone(),
            pins: Pins::of(settings.tls.as_ref()),
            connections: sender,
            taken: Arc::clone(&taken),
        });
        Dialled { connections, taken }
    }

    /// Lets banks in for as long as there is anybody to give them to.
    pub(super) async fn run(self) {
        let (door, handshakes) = (Arc::new(self.door), Arc::new(Semaphore::new(HANDSHAKES)));
        loop {
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let door = Arc::clone(&door);
                    tokio::spawn(async move {
                        door.let_in(stream, peer).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a bank's connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Door {
    async fn let_in(&self, stream: TcpStream, peer: SocketAddr) {
        if !self.posts.iter().any(|post| post.allows(peer)) {
            return tracing::warn!(%peer, "a connection from an address that no link allows");
        }
        let known = match timeout(self.patience, self.authorise(stream, peer)).await {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => return tracing::warn!(%peer, %error, "a bank could not be let in"),
            Err(_) => return tracing::warn!(%peer, "a bank took too long to show who it is"),
        };
        self.give(known.0, known.1);
    }

    async fn authorise(&self, stream: TcpStream, peer: SocketAddr) -> std::io::Result<(Connection, Option<Pin>)> {
        prepare(&stream)?;
        match &self.acceptor {
            Some(acceptor) => acceptor.accept(stream, peer).await,
            None => Ok((Connection::plain(stream, peer), None)),
        }
    }

    /// Gives the connection to a link that may have it.
    fn give(&self, connection: Connection, key: Option<Pin>) {
        let peer = connection.peer;
        let admits = |post: &&Post| post.allows(peer) && post.pins.admit(key);
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.posts.iter().any(|post| admits(&post)) {
            return tracing::warn!(%peer, "a bank with a certificate that no link is pinned to");
        }
        let free = self.posts.iter().filter(admits).find(|post| post.take(number));
        let place = match (free, self.duplicate) {
            (None, Duplicate::Replace) => self.posts.iter().filter(admits).min_by_key(|post| post.since()),
            (free, _) => free,
        };
        match place {
            Some(post) => post.give(number, connection),
            None => tracing::warn!(%peer, "a bank's connection beyond the links there are"),
        }
    }
}

impl Post {
    fn allows(&self, peer: SocketAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.holds(peer.ip()))
    }

    /// Takes the place where it is free.
    fn take(&self, number: u64) -> bool {
        self.taken.0.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn since(&self) -> u64 {
        self.taken.0.load(Ordering::Acquire)
    }

    fn give(&self, number: u64, connection: Connection) {
        let peer = connection.peer;
        self.taken.0.store(number, Ordering::Release);
        if self.connections.try_send(connection).is_err() {
            tracing::warn!(%peer, "a bank's connection while another one waits for the same link");
        }
    }
}
