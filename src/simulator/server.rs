//! The bank host as a TCP server: links in, one booking thread in the middle, links out.
//!
//! Every link is a reading and a writing task. Messages of all links meet in one bounded queue before
//! one thread that owns the issuer and the ledger; it takes what waits, books it in one commit, and
//! only then hands the answers to the writers. Each bound pushes back to the peer: a full queue stops
//! the reading, and a peer that doesn't read its answers loses its link.

mod booking;
mod control;
mod desk;
mod dialling;
mod line;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::framing::Framing;
use crate::iso8583::Spec;
use crate::payment::Wall;

use super::books::REMEMBERED_MESSAGES;
use super::config::Config;
use super::issuer::{Counters, Issuer, Link};
use super::keys::Keys;
use super::profile::Profile;
use super::scenario::Scenario;
use super::store::{Store, StoreError};
use super::tape::{Recording, Tape};
use super::tls::Tls;
use booking::{Arrival, Booking, WayOut};
use desk::{Desk, Order, Peers};
use line::Track;

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
    /// Financial messages that it answers a second at most; the others wait their turn.
    pub capacity: Option<NonZeroU32>,
    /// How often the bank asks its peers whether they live; `None` never.
    pub echo_every: Option<Duration>,
    /// Peers that the bank dials, and dials again when they are gone.
    pub connect: Vec<SocketAddr>,
    /// Whether the bank signs on by itself where it has dialled.
    pub signs_on: bool,
    /// Where it takes orders while it runs; loopback.
    pub control: Option<SocketAddr>,
    /// The keys it shares with its peers; without them it looks at no MAC and at no PIN.
    pub keys: Option<Keys>,
    /// What seals its links.
    pub tls: Tls,
    /// Where its messages are recorded.
    pub recording: Option<Recording>,
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
    /// It can't listen there.
    Listen(SocketAddr, std::io::Error),
    /// The file it records its messages in.
    Recording(PathBuf, std::io::Error),
    /// The system gave it no thread.
    Thread(std::io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Socket(error) => write!(f, "the bank's socket: {error}"),
            Self::Listen(addr, error) => write!(f, "{addr}: {error}; set `listen` or `control` to a free port"),
            Self::Recording(path, error) => write!(f, "{}: {error}", path.display()),
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
    addrs: Vec<SocketAddr>,
    control: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
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
    /// Binds what a configuration names and starts the bank on it.
    pub async fn open(config: &Config) -> Result<Handle, ServerError> {
        let mut listeners = Vec::with_capacity(config.listen.len());
        for addr in &config.listen {
            listeners.push(TcpListener::bind(addr).await.map_err(|error| ServerError::Listen(*addr, error))?);
        }
        Server::start_on(config.settings(), listeners)
    }

    /// Starts the bank on one listener.
    pub fn start(settings: Settings, listener: TcpListener) -> Result<Handle, ServerError> {
        Server::start_on(settings, vec![listener])
    }

    /// Opens the ledger, books its entries again, and begins to take links on any number of listeners
    /// and to dial where it is to.
    pub fn start_on(settings: Settings, listeners: Vec<TcpListener>) -> Result<Handle, ServerError> {
        let addrs: Result<Vec<SocketAddr>, _> = listeners.iter().map(TcpListener::local_addr).collect();
        let addrs = addrs.map_err(ServerError::Socket)?;
        let control = settings.control.map(bind_control).transpose()?;
        let tape = tape_of(&settings)?;
        let store = Store::open(&settings.ledger, settings.seed).map_err(ServerError::Store)?;
        let mut issuer =
            Issuer::new(settings.spec.clone(), settings.profile.clone(), settings.scenario.clone(), settings.seed)
                .remembering(settings.remembered_messages)
                .holding_to(settings.capacity)
                .with_keys(settings.keys.clone());
        store.each(|entry| issuer.restore(&entry)).map_err(ServerError::Store)?;
        let (inbox, arrivals) = mpsc::channel(WAITING_MESSAGES);
        let (stop, shown) = (CancellationToken::new(), Arc::new(Shown::default()));
        let booking = Booking::new(issuer, store, arrivals, stop.clone(), shown.clone());
        let thread = std::thread::Builder::new().name("bank".into()).spawn(move || booking.run());
        let thread = thread.map_err(ServerError::Thread)?;

        let lines = Lines::new(&settings, inbox.clone(), tape, stop.clone());
        let mut tasks = vec![tokio::spawn(remind(TICK, || Arrival::Tick, inbox.clone(), stop.clone()))];
        if let Some(every) = settings.echo_every {
            tasks.push(tokio::spawn(remind(every, || Arrival::Echo, inbox.clone(), stop.clone())));
        }
        tasks.extend(listeners.into_iter().map(|listener| tokio::spawn(accept(listener, lines.clone()))));
        let dialled = settings.connect.iter().map(|peer| tokio::spawn(dialling::dial(*peer, lines.clone())));
        tasks.extend(dialled);
        let control_addr = control.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = control {
            let desk = lines.desk(&settings, addrs.clone());
            tasks.push(tokio::spawn(serve_control(listener, desk, stop.clone())));
        }
        tracing::info!(?addrs, "the bank takes links");
        Ok(Handle { addrs, control: control_addr, stop, tasks, booking: Some(thread), shown })
    }
}

/// Binds the control port; it works within a runtime only, like everything here.
fn bind_control(addr: SocketAddr) -> Result<TcpListener, ServerError> {
    let bind = || {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    bind().map_err(|error| ServerError::Listen(addr, error))
}

fn tape_of(settings: &Settings) -> Result<Tape, ServerError> {
    let recording = settings.recording.as_ref();
    Tape::new(&settings.spec, recording).map_err(|error| {
        let path = recording.map(|recording| recording.path.clone()).unwrap_or_default();
        ServerError::Recording(path, error)
    })
}

async fn serve_control(listener: TcpListener, desk: Desk, stop: CancellationToken) {
    let served = axum::serve(listener, control::router(desk)).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::warn!(%error, "the control port is gone");
    }
}

impl Handle {
    /// Where it listens; the first address where there are several.
    pub fn addr(&self) -> SocketAddr {
        self.addrs.first().copied().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Everywhere it listens; nowhere where it only dials.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Where it takes orders.
    pub fn control(&self) -> Option<SocketAddr> {
        self.control
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
        for task in self.tasks.drain(..) {
            // A task of ours ends by itself or with the runtime; neither is worth more than waiting.
            let _ = task.await;
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
async fn accept(listener: TcpListener, lines: Lines) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = lines.stop.cancelled() => break,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match lines.admit(peer) {
                Some(link) => {
                    let lines = lines.clone();
                    open.spawn(async move { lines.converse(link, stream, peer, false).await });
                }
                None => tracing::warn!(%peer, max = lines.max, "one link too many, closed"),
            },
            Err(error) => {
                tracing::warn!(%error, "a link could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, lines));
    while open.join_next().await.is_some() {}
}

/// What every link is made with.
#[derive(Clone)]
struct Lines {
    framing: Framing,
    inbox: mpsc::Sender<Arrival>,
    tape: Tape,
    peers: Peers,
    last: Arc<AtomicU64>,
    max: usize,
    signs_on: bool,
    tls: Tls,
    stop: CancellationToken,
}

impl Lines {
    fn new(settings: &Settings, inbox: mpsc::Sender<Arrival>, tape: Tape, stop: CancellationToken) -> Lines {
        Lines {
            framing: settings.framing.clone(),
            inbox,
            tape,
            peers: Peers::default(),
            last: Arc::default(),
            max: settings.max_links,
            signs_on: settings.signs_on,
            tls: settings.tls.clone(),
            stop,
        }
    }

    fn desk(&self, settings: &Settings, addresses: Vec<SocketAddr>) -> Desk {
        Desk {
            inbox: self.inbox.clone(),
            spec: settings.spec.clone(),
            tape: self.tape.clone(),
            peers: self.peers.clone(),
            ledger: settings.ledger.clone(),
            addresses,
        }
    }

    /// A number for a new link, unless there are too many.
    fn admit(&self, peer: SocketAddr) -> Option<Link> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= self.max {
            return None;
        }
        let link = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        peers.insert(link, peer);
        tracing::info!(link, %peer, "link up");
        Some(link)
    }

    /// One link from its beginning to its end.
    async fn converse(&self, link: Link, stream: TcpStream, peer: SocketAddr, dialled: bool) {
        // Answers are gathered before they are written; waiting for more would only add delay.
        let _ = stream.set_nodelay(true);
        let reason = match self.tls.seals(dialled) {
            false => self.carry(link, stream.into_split(), reset_plain, dialled).await,
            true => match self.tls.shake_hands(stream, peer, dialled).await {
                Ok(stream) => self.carry(link, tokio::io::split(stream), reset_sealed, dialled).await,
                Err(error) => {
                    tracing::info!(link, %peer, %error, "no TLS");
                    "the handshake failed"
                }
            },
        };
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(&link);
        tracing::info!(link, reason, "link down");
    }

    async fn carry<R, W>(&self, link: Link, (read, write): (R, W), reset: fn(R, W), dialled: bool) -> &'static str
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (outbox, leaving) = line::outbox();
        let (pause, paused) = watch::channel(None);
        let stop = self.stop.child_token();
        let way_out = WayOut { outbox: outbox.clone(), pause, end: stop.clone() };
        if self.inbox.send(Arrival::Up(link, way_out)).await.is_err() {
            return "the bank is gone";
        }
        if dialled && self.signs_on {
            let sign_on: Order = Box::new(move |issuer, now| issuer.sign_on(link, now));
            let _ = self.inbox.send(Arrival::Order(sign_on)).await;
        }
        let track = Track { link, tape: self.tape.clone() };
        let writing = tokio::spawn(line::write(write, leaving, self.framing.clone(), track.clone(), stop.clone()));
        let mut read = read;
        let reason = line::read(track, &mut read, self.framing.clone(), &self.inbox, &outbox, paused, &stop).await;
        // After this the booking thread lets go of the link's outbox, which ends the writing.
        let _ = self.inbox.send(Arrival::Down(link)).await;
        drop(outbox);
        if let Ok(Some(write)) = writing.await {
            reset(read, write);
        }
        reason
    }
}

/// The link ends without a farewell, as nothing lingers when its halves are gone.
fn reset_plain(read: OwnedReadHalf, write: OwnedWriteHalf) {
    if let Ok(stream) = read.reunite(write) {
        let _ = stream.set_zero_linger();
    }
}

type Sealed = tokio_rustls::TlsStream<TcpStream>;

fn reset_sealed(read: tokio::io::ReadHalf<Sealed>, write: tokio::io::WriteHalf<Sealed>) {
    let _ = read.unsplit(write).get_ref().0.set_zero_linger();
}

/// The wall clock.
fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
