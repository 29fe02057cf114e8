//! The bank host as a TCP server: links in, one booking thread in the middle, links out.
//!
//! Every link is a reading and a writing task. Messages of all links meet in one bounded queue before
//! one thread that owns the issuer and the ledger; it takes what waits, books it in one commit, and
//! only then hands the answers to the writers. Each bound pushes back to the peer: a full queue stops
//! the reading, and a peer that doesn't read its answers loses its link.

mod booking;
mod line;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::framing::Framing;
use crate::iso8583::Spec;

use super::books::REMEMBERED_MESSAGES;
use super::issuer::{Counters, Issuer, Link};
use super::profile::Profile;
use super::scenario::Scenario;
use super::store::{Store, StoreError};
use booking::{Arrival, Booking, WayOut};

/// Messages of all links that wait for the booking thread.
const WAITING_MESSAGES: usize = 4_096;

/// How long a peer may take to read what was written for it.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// How often the booking thread looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// How long after a failed accept the next is tried; out of file handles is the usual reason.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything that makes a bank host.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The dialect it speaks.
    pub spec: Arc<Spec>,
    /// How messages are framed.
    pub framing: Framing,
    /// Where things stand in a message.
    pub profile: Arc<Profile>,
    /// Its cards, and where it misbehaves.
    pub scenario: Arc<Scenario>,
    /// Approval codes, jitter, garbage, account names; a ledger keeps the one it was begun with.
    pub seed: u64,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// Links at a time; one more is closed at once.
    pub max_links: usize,
    /// Messages remembered for duplicates and reversals.
    pub remembered_messages: usize,
    /// How often the bank asks its peers whether they live; `None` never.
    pub echo_every: Option<Duration>,
}

impl Settings {
    /// The built-in dialect, profile and scenario of the demo, with a ledger in this file.
    pub fn demo(ledger: PathBuf) -> Result<Settings, Vec<super::Mistake>> {
        let config = super::Config { ledger, ..super::Config::demo()? };
        Ok(config.settings())
    }

    /// Links at a time where nothing else is said.
    pub const MAX_LINKS: usize = 64;

    /// See [`REMEMBERED_MESSAGES`].
    pub const REMEMBERED_MESSAGES: usize = REMEMBERED_MESSAGES;
}

/// Why a bank host doesn't start or had to stop.
#[derive(Debug)]
pub enum ServerError {
    /// Its ledger.
    Store(StoreError),
    /// Its socket.
    Socket(std::io::Error),
    /// The system gave it no thread.
    Thread(std::io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Socket(error) => write!(f, "the bank's socket: {error}"),
            Self::Thread(error) => write!(f, "the bank's thread: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

/// The bank host.
#[derive(Debug)]
pub struct Server;

/// A bank host that runs. Dropping it stops it; [`Handle::shutdown`] also waits.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    stop: CancellationToken,
    accepting: Option<tokio::task::JoinHandle<()>>,
    booking: Option<JoinHandle<Result<(), StoreError>>>,
    shown: Arc<Shown>,
}

/// What the booking thread shows of itself.
#[derive(Debug, Default)]
struct Shown {
    counters: Mutex<Counters>,
    failed: AtomicBool,
}

impl Server {
    /// Opens the ledger, books its entries again, and begins to take links.
    pub fn start(settings: Settings, listener: TcpListener) -> Result<Handle, ServerError> {
        let addr = listener.local_addr().map_err(ServerError::Socket)?;
        let store = Store::open(&settings.ledger, settings.seed).map_err(ServerError::Store)?;
        let mut issuer =
            Issuer::new(settings.spec.clone(), settings.profile.clone(), settings.scenario.clone(), settings.seed)
                .remembering(settings.remembered_messages);
        store.each(|entry| issuer.restore(&entry)).map_err(ServerError::Store)?;
        let (inbox, arrivals) = mpsc::channel(WAITING_MESSAGES);
        let (stop, shown) = (CancellationToken::new(), Arc::new(Shown::default()));
        let booking = Booking::new(issuer, store, arrivals, stop.clone(), shown.clone());
        let thread = std::thread::Builder::new().name("bank".into()).spawn(move || booking.run());
        let thread = thread.map_err(ServerError::Thread)?;
        if let Some(every) = settings.echo_every {
            tokio::spawn(remind(every, || Arrival::Echo, inbox.clone(), stop.clone()));
        }
        tokio::spawn(remind(TICK, || Arrival::Tick, inbox.clone(), stop.clone()));
        let accepting = tokio::spawn(accept(listener, settings, inbox, stop.clone()));
        tracing::info!(%addr, "the bank takes links");
        Ok(Handle { addr, stop, accepting: Some(accepting), booking: Some(thread), shown })
    }
}

impl Handle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often what happened so far.
    pub fn counters(&self) -> Counters {
        *self.shown.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it had to stop because its ledger can't be written.
    pub fn has_failed(&self) -> bool {
        self.shown.failed.load(Ordering::Relaxed)
    }

    /// Resolves when it stops by itself, which only a ledger that can't be written makes it do.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Takes no more, answers what has arrived, closes the links and the ledger.
    pub async fn shutdown(mut self) -> Result<(), ServerError> {
        self.stop.cancel();
        if let Some(accepting) = self.accepting.take() {
            // A task of ours ends by itself or with the runtime; neither is worth more than waiting.
            let _ = accepting.await;
        }
        let Some(booking) = self.booking.take() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || booking.join()).await;
        match ended {
            Ok(Ok(result)) => result.map_err(ServerError::Store),
            _ => Err(ServerError::Thread(std::io::Error::other("it ended before its time"))),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reminds the booking thread of something until the stop.
async fn remind(every: Duration, of: fn() -> Arrival, inbox: mpsc::Sender<Arrival>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        if inbox.send(of()).await.is_err() {
            return;
        }
    }
}

/// Takes links until the stop, then waits for those that are open.
async fn accept(listener: TcpListener, settings: Settings, inbox: mpsc::Sender<Arrival>, stop: CancellationToken) {
    let mut lines = JoinSet::new();
    let mut link: Link = 0;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = lines.join_next(), if !lines.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((_, peer)) if lines.len() >= settings.max_links => {
                tracing::warn!(%peer, max = settings.max_links, "one link too many, closed");
            }
            Ok((stream, peer)) => {
                link += 1;
                tracing::info!(link, %peer, "link up");
                lines.spawn(converse(link, stream, settings.framing.clone(), inbox.clone(), stop.child_token()));
            }
            Err(error) => {
                tracing::warn!(%error, "a link could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, inbox));
    while lines.join_next().await.is_some() {}
}

/// One link from its beginning to its end.
async fn converse(
    link: Link,
    stream: TcpStream,
    framing: Framing,
    inbox: mpsc::Sender<Arrival>,
    stop: CancellationToken,
) {
    // Answers are gathered before they are written; waiting for more would only add delay.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (outbox, leaving) = line::outbox();
    let (pause, paused) = watch::channel(None);
    let way_out = WayOut { outbox: outbox.clone(), pause, end: stop.clone() };
    if inbox.send(Arrival::Up(link, way_out)).await.is_err() {
        return;
    }
    let writing = tokio::spawn(line::write(write, leaving, framing.clone(), stop.clone()));
    let reason = line::read(link, read, framing, &inbox, &outbox, paused, &stop).await;
    tracing::info!(link, reason, "link down");
    // After this the booking thread lets go of the link's outbox, which ends the writing.
    let _ = inbox.send(Arrival::Down(link)).await;
    drop((inbox, outbox));
    let _ = writing.await;
}
