//! The durable journal: every record of every payment, appended once, never changed.
//!
//! Appends wait in a queue; one writer commits all that waits with one sync and reports them together. Behind it a
//! thread fills the views, by which payments are found; what they have not taken yet is indexed in memory, so that a
//! reader sees what was just written. The views can be lost without loss: they are made anew from the journal.
//!
//! ```text
//!  append ─▶ queue ─▶ writer ──commit──▶ journal file (rows, sealed cards)
//!                       │ note                │
//!                       ▼                     │ checkpoint thread
//!                     tail ─▶ filler ─▶ views │
//!                       └────────┴──────┬─────┘
//!                                     reader
//! ```
//!
//! The store is embedded SQLite under an exclusive lock: one process, one writer.

mod admission;
mod checkpoint;
mod error;
mod filler;
mod health;
mod key_filter;
mod lock;
mod log;
pub mod measure;
mod private;
mod reader;
mod resealing;
mod row;
mod settings;
mod tail;
mod views;
mod writer;

pub use error::JournalError;
pub use reader::{FOUND_AT_MOST, Placed, Reader};
pub use resealing::Resealer;
pub use row::RowError;
pub use settings::{Settings, StorePath};

use crate::payment::PaymentId;
use crate::switch::{Entry, HostMark, NotRecorded, NumberBlock, Stored, Ticket};
use crate::vault::KeyRing;
use admission::Admission;
use checkpoint::{Checkpointer, Checkpoints};
use filler::Filler;
use health::Health;
use key_filter::KeyFilter;
use lock::StoreLock;
use log::Log;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use tail::Tail;
use views::Views;
use writer::{Order, Writer};

/// Told once a commit with the fate of each of its tickets, on the writer's thread.
pub type Committed = Box<dyn Fn(Vec<(Ticket, Result<(), NotRecorded>)>) + Send>;

/// Told of each loaded payment, on the loader's thread; `Err` where the store could not be read.
pub type Loaded = Box<dyn Fn(PaymentId, Result<Option<Box<Stored>>, ()>) + Send + Sync>;

/// The open journal. Dropping it commits what waits and ends its threads.
pub struct Journal {
    orders: Sender<Order>,
    keys: KeyRing,
    loads: Option<Sender<PaymentId>>,
    reader: Reader,
    tail: Arc<Tail>,
    health: Arc<Health>,
    writer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    _lock: StoreLock,
}

/// What was in motion when the last run ended.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Every payment that is not at rest, with its card.
    pub open: Vec<Stored>,
    /// How far numbers are reserved, an entry an acquirer.
    pub numbers: Vec<NumberBlock>,
    /// How the hosts stood.
    pub hosts: Vec<HostMark>,
}

/// The state of the journal for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHealth {
    /// Whether it takes appends.
    pub writable: bool,
    /// Records that the views have not taken yet.
    pub view_lag_records: usize,
}

impl Journal {
    /// Takes the lock, reads what is there, and starts the threads.
    pub fn open(
        settings: &Settings,
        keys: impl Into<KeyRing>,
        committed: Committed,
        loaded: Loaded,
    ) -> Result<(Journal, Recovered), JournalError> {
        private::make_directory(settings.store.journal())?;
        let lock = StoreLock::take(&settings.store)?;
        let keys: KeyRing = keys.into();
        let log = Log::create(settings, &keys.now())?;
        let views = catch_up(Views::open(&settings.store, &log)?, &log)?;
        let tail = Arc::new(Tail::default());
        let reader = Reader::new(settings.store.clone(), settings.node, tail.clone(), keys.clone());
        let recovered = recover(&views, &reader)?;

        let health = Arc::new(Health::new(settings.max_journal_mib));
        let (orders, orders_in) = channel();
        let (checkpoints, checkpointer) = checkpoints(settings);
        let filter = Arc::new(KeyFilter::new(settings.key_filter_mib));
        let admission = Admission::new(
            tail.clone(),
            keys.clone(),
            Views::open_reader(&settings.store)?,
            filter.clone(),
            settings.card_retention_days,
        )?;
        let next = log.last_sequence()? + 1;
        let filler = Filler { tail: tail.clone(), views, log: Log::open_reader(&settings.store)? };
        let writer = Writer {
            settings: settings.clone(),
            orders: orders_in,
            log: Some(log),
            admission,
            health: health.clone(),
            checkpoints,
            committed,
            next,
        };
        let (loads, loads_in) = channel();
        let loader = reader.clone();
        let past = Views::open_reader(&settings.store)?;
        let others = vec![
            start("known keys", &settings.store, move || tell_keys(&past, &filter))?,
            start("views", &settings.store, move || filler.run())?,
            start("checkpoint", &settings.store, move || checkpointer.run())?,
            start("loader", &settings.store, move || load_all(&loads_in, &loader, &loaded))?,
        ];
        let writer = Some(start("journal", &settings.store, move || writer.run())?);
        let journal = Journal { orders, keys, loads: Some(loads), reader, tail, health, writer, others, _lock: lock };
        Ok((journal, recovered))
    }

    /// Queues an entry; its fate is reported with its commit. Never waits: the queue is bounded by the switch's
    /// credit, not here.
    pub fn append(&self, ticket: Ticket, entry: Entry) {
        let _only_when_closed = self.orders.send(Order::Append(ticket, entry));
    }

    /// Queues the reading of a payment. Never waits.
    pub fn load(&self, payment: PaymentId) {
        if let Some(loads) = &self.loads {
            let _only_when_closed = loads.send(payment);
        }
    }

    /// What seals its cards anew when the keys are exchanged.
    pub fn resealer(&self) -> Result<Resealer, JournalError> {
        let log = Log::open_reader(self.reader.store())?;
        Ok(Resealer::new(log, self.orders.clone(), self.keys.clone()))
    }

    /// For reading and finding payments.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Whether it takes appends, and how far the views are behind.
    pub fn health(&self) -> JournalHealth {
        let alive = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        JournalHealth { writable: alive && self.health.takes_writes(), view_lag_records: self.tail.len() }
    }

    /// Changes the bound of the journal file, in MiB; 0 is no bound. A full store is tried again with it.
    pub fn set_max_journal_mib(&self, mib: u32) {
        self.health.set_max_journal_mib(mib);
    }

    /// Commits what waits, lets the views take it, and ends the threads.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _only_when_dead = self.orders.send(Order::Close);
        self.loads = None;
        join(self.writer.take());
        self.tail.close();
        self.others.drain(..).for_each(|thread| join(Some(thread)));
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the journal died");
    }
}

fn start(name: &str, store: &StorePath, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, JournalError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|source| JournalError::File { path: store.journal().into(), source })
}

/// Lets the views take all that the journal holds.
fn catch_up(mut views: Views, log: &Log) -> Result<Views, JournalError> {
    let mut cursor = views.cursor()?;
    loop {
        let rows = log.rows_after(cursor, filler::BATCH)?;
        if rows.is_empty() {
            return Ok(views);
        }
        cursor = views.take(&rows, log)?;
    }
}

fn recover(views: &Views, reader: &Reader) -> Result<Recovered, JournalError> {
    let mut open = Vec::new();
    for payment in views.moving()? {
        open.extend(reader.stored(payment)?.map(|stored| *stored));
    }
    Ok(Recovered { open, numbers: views.numbers()?, hosts: views.hosts()? })
}

fn checkpoints(settings: &Settings) -> (Checkpoints, Checkpointer) {
    let (wake, asked) = sync_channel(1);
    let done = Arc::new(AtomicBool::new(false));
    let threshold = (settings.wal_mib.max(1) as usize) << 19;
    let checkpoints = Checkpoints { wake, done: done.clone(), written: 0, threshold };
    (checkpoints, Checkpointer { store: settings.store.clone(), asked, done })
}

/// Until it is done, each key is looked up.
fn tell_keys(past: &Views, filter: &KeyFilter) {
    match past.tell_keys(filter) {
        Ok(()) => filter.complete(),
        Err(error) => tracing::error!(code = error.code(), %error, "known idempotency keys cannot be read"),
    }
}

fn load_all(asked: &Receiver<PaymentId>, reader: &Reader, loaded: &Loaded) {
    for payment in asked {
        let found = reader.stored(payment).map_err(|error| {
            tracing::error!(code = error.code(), %payment, %error, "a payment cannot be read");
        });
        loaded(payment, found);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod crash_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod samples;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
