//! The composition root: the shells around the switch, and the order in which all of it starts and stops.
//!
//! Start: store (locked, recovered), switch (what is owed is replayed), links, operations' door, merchants' doors. Stop:
//! the merchants' doors close first and wait for their answers, the switch finishes or reverses what is in flight and
//! signs off, the journal is closed last.

mod operations;
mod owner;
mod resealing;
mod store;
mod trail;

pub use resealing::KeysRefused;
pub use trail::{Step, Trail, What};

use crate::bank::{LinkError, Links};
use crate::clock::Clock;
use crate::config::{Config, Mistake};
use crate::control;
use crate::edge::{self, Switchboard, Waiters};
use crate::journal::{JournalError, Reader};
use crate::merchants::{self, LiveError, LiveRegister};
use crate::switch::{Event, Switch};
use crate::telemetry;
use crate::vault::{self, KeyRing, TokenError, Tokens};
use resealing::Resealing;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// A running switch with all of its shells.
pub struct App {
    edge_addr: SocketAddr,
    acquirer_addrs: Vec<SocketAddr>,
    operations_addr: SocketAddr,
    edge: edge::Doors,
    events: mpsc::Sender<Event>,
    owner: JoinHandle<owner::Ended>,
    operations: JoinHandle<()>,
    status: watch::Receiver<operations::Status>,
    reader: Reader,
    control: JoinHandle<()>,
    parked: JoinHandle<()>,
    _merchants: merchants::Follower,
    resealing: Resealing,
    stop_ordered: Arc<Notify>,
}

/// Why it does not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Mistake>),
    /// The store.
    #[error(transparent)]
    Store(#[from] JournalError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The merchant register.
    #[error(transparent)]
    Merchants(LiveError),
    /// The links to the banks.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The merchants' doors.
    #[error(transparent)]
    Edge(#[from] edge::SetupError),
    /// A thread.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The operators' door.
    #[error(transparent)]
    Control(#[from] control::DoorError),
    /// An address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The owner of the switch ended by itself.
    #[error("the switch ended unexpectedly")]
    Ended,
}

/// Room for events beside one for each open operation: frames and reports of the links.
const EVENT_RESERVE: usize = 4096;

impl App {
    /// Starts everything; returns once the doors are open.
    pub async fn start(config: &Config, trail: Option<Trail>) -> Result<App, AppError> {
        let path = config.folder.as_path();
        let hosts = config.build_hosts(path).map_err(AppError::Config)?;
        let acquirers = config.build_acquirers(path).map_err(AppError::Config)?;
        let secrets = config.keys.read().map_err(|mistake| AppError::Config(vec![mistake]))?;
        let (events, received) = mpsc::channel(config.switch.credit + EVENT_RESERVE);
        let keys: KeyRing = secrets.vault.into();
        let (journal, recovered, commits) = store::open(&config.journal, keys.clone(), &events)?;
        let tokens = Arc::new(Tokens::open(&config.journal.store.tokens(), keys.clone())?);
        let resealing = Resealing::start(keys, Arc::clone(&tokens), journal.resealer()?);
        let resealing = resealing.map_err(AppError::Thread)?;
        let (register, merchants) = register(config, path)?;
        let https = bind(config.edge.listen).await?;
        let framed = match config.edge.framed_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let mut doors = Vec::with_capacity(acquirers.len());
        for door in acquirers {
            doors.push((bind(door.settings.listen).await?, door));
        }
        let operations_listener = bind(config.operations.listen).await?;
        let control_door = control::Door::open(&config.journal.store.control())?;

        let clock = Clock::start();
        let (switch, resumed) = store::resume(Switch::new(hosts.settings, seed()), recovered, clock);
        let queue = config.switch.credit + EVENT_RESERVE;
        let links = Links::start(hosts.links, &events, clock, &hosts.keys, queue).await?;
        let reader = journal.reader();
        let waiters = Waiters::default();
        let (operators, stop_ordered) = (control::Waiters::default(), Arc::new(Notify::new()));
        let (status_out, status) = watch::channel(operations::Status::default());
        let (waiting, ordering) = (waiters.clone(), operators.clone());
        let shells = owner::Shells { journal, links, waiters: waiting, operators: ordering, status: status_out, trail };
        let inputs = owner::Inputs { events: received, commits };
        let owner = tokio::spawn(owner::own(switch, resumed, inputs, shells, clock));

        let parts = edge::Parts {
            register,
            switchboard: Switchboard::new(events.clone(), waiters, config.switch.credit),
            archive: Arc::new(store::Reading(reader.clone())),
            tokens,
            fingerprint_key: secrets.fingerprint,
        };
        let (edge_addr, operations_addr) = (local(&https), local(&operations_listener));
        let acquirer_addrs = doors.iter().map(|(listener, _)| local(listener)).collect();
        let listeners = edge::Listeners { https, framed, acquirers: doors };
        let edge = edge::serve(&config.edge, listeners, parts)?;
        let requires_bank = config.operations.ready_requires_bank;
        let operations = tokio::spawn(operations::serve(operations_listener, status.clone(), requires_bank));
        let control = control_door.serve(events.clone(), operators, reader.clone(), Arc::clone(&stop_ordered));
        let control = tokio::spawn(control);
        let parked = tokio::spawn(store::show_parked(reader.clone()));
        Ok(App {
            edge_addr,
            acquirer_addrs,
            operations_addr,
            edge,
            events,
            owner,
            operations,
            status,
            reader,
            control,
            parked,
            _merchants: merchants,
            resealing,
            stop_ordered,
        })
    }

    /// Where merchants connect.
    pub fn edge_addr(&self) -> SocketAddr {
        self.edge_addr
    }

    /// Where acquirers connect, in the order of their tables.
    pub fn acquirer_addrs(&self) -> &[SocketAddr] {
        &self.acquirer_addrs
    }

    /// Where health and metrics are served.
    pub fn operations_addr(&self) -> SocketAddr {
        self.operations_addr
    }

    /// The store, for reading.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Waits until a bank is online.
    pub async fn bank_online(&mut self) -> Result<(), AppError> {
        let online = self.status.wait_for(|status| status.is_bank_online()).await;
        online.map(|_| ()).map_err(|_| AppError::Ended)
    }

    /// Reads the files of the doors' TLS again, all or none of them, without closing a connection.
    pub fn reload_tls(&self) -> Result<(), edge::SetupError> {
        self.edge.reload_tls()
    }

    /// Takes other keys of the vault in place of those that there are: the first one seals from now on, and what lies
    /// under the others is sealed anew.
    pub async fn exchange_vault_keys(&self, keys: vault::Keys) -> Result<(), KeysRefused> {
        self.resealing.exchange(keys).await
    }

    /// Waits until an operator orders it to stop.
    pub fn stop_ordered(&self) -> impl Future<Output = ()> + use<> {
        let ordered = Arc::clone(&self.stop_ordered);
        async move { ordered.notified().await }
    }

    /// Waits until it ends by itself, which it should not.
    pub async fn ended(&mut self) -> AppError {
        let _ = (&mut self.owner).await;
        AppError::Ended
    }

    /// Stops taking work, finishes or reverses what is in flight, signs off, closes the store.
    pub async fn drain(self) -> Result<(), AppError> {
        tracing::info!("draining");
        self.edge.drain().await;
        drop(self.resealing);
        // The owner outlives the door: it still answers what the door waits for.
        let _ = self.events.send(Event::Drain).await;
        let ended = self.owner.await;
        self.operations.abort();
        self.control.abort();
        self.parked.abort();
        match ended {
            Ok(owner::Ended::Drained) => Ok(()),
            _ => Err(AppError::Ended),
        }
    }
}

/// Opened once the store is ours: the register's file stands beside it.
fn register(config: &Config, path: &Path) -> Result<(LiveRegister, merchants::Follower), AppError> {
    let store = config.journal.store.merchants();
    merchants::follow(config.merchants.clone(), &config.folder, &store).map_err(|error| match error {
        LiveError::Configuration(errors) => {
            let mistakes = errors.iter().map(|error| Mistake::in_file(path, "merchants", &error.to_string()));
            AppError::Config(mistakes.collect())
        }
        error => AppError::Merchants(error),
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|error| AppError::Listen(address, error))
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound listener has an address")
}

/// Feeds the jitter of pauses, nothing else: it need not be secret, only different on each start.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => u64::from(std::process::id()),
    }
}

/// Installs the metrics recorder; the handle renders them. Once a process.
pub fn install_metrics() -> Option<metrics_exporter_prometheus::PrometheusHandle> {
    let handle = operations::install();
    telemetry::describe();
    edge::measure::describe();
    merchants::measure::describe();
    vault::measure::describe();
    handle
}
