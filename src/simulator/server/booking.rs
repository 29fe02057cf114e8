//! The booking thread: owns the issuer and the ledger, and lets no answer out before its entry lasts.
//!
//! It takes whatever waits, lets the issuer decide it all, commits the entries with one sync, and then
//! hands out the answers. While it syncs, the next messages gather: group commit without a timer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::issuer::{Action, Issuer, Link, Manner, Planned};
use super::super::scenario::Down;
use super::super::store::{Store, StoreError};
use super::desk::Order;
use super::line::{Leaving, Outbox};
use super::{Shown, now};

/// Messages decided and committed at once.
const BATCH: usize = 512;

/// What happens on a link, as the booking thread hears of it.
pub(super) enum Arrival {
    /// It is up, and this is its way out.
    Up(Link, WayOut),
    /// A message arrived.
    Message(Link, Bytes),
    /// It is gone.
    Down(Link),
    /// It is time to ask the peers whether they live.
    Echo,
    /// The clock went on.
    Tick,
    /// Somebody wants something done.
    Order(Order),
}

/// How the booking thread reaches a link.
pub(super) struct WayOut {
    /// Takes its answers.
    pub(super) outbox: Outbox,
    /// Stops its reading until a moment.
    pub(super) pause: watch::Sender<Option<Instant>>,
    /// Ends it.
    pub(super) end: CancellationToken,
}

/// The thread's own.
pub(super) struct Booking {
    issuer: Issuer,
    store: Store,
    arrivals: mpsc::Receiver<Arrival>,
    ways_out: BTreeMap<Link, WayOut>,
    stop: CancellationToken,
    shown: Arc<Shown>,
}

impl Booking {
    pub(super) fn new(
        issuer: Issuer,
        store: Store,
        arrivals: mpsc::Receiver<Arrival>,
        stop: CancellationToken,
        shown: Arc<Shown>,
    ) -> Self {
        Self { issuer, store, arrivals, ways_out: BTreeMap::new(), stop, shown }
    }

    /// Runs until nobody can send any more.
    ///
    /// When the ledger can't be written it stops the whole server: what the issuer decided and could
    /// not keep must not be answered, and only a restart forgets it.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH);
        while self.arrivals.blocking_recv_many(&mut batch, BATCH) > 0 {
            let planned = self.decide(&mut batch);
            let entries = self.issuer.take_entries();
            if !entries.is_empty()
                && let Err(error) = self.store.append(&entries)
            {
                tracing::error!(%error, "the ledger can't be written; the bank stops");
                self.shown.failed.store(true, Ordering::Relaxed);
                self.stop.cancel();
                return Err(error);
            }
            self.hand_out(planned);
            *self.shown.counters.lock().unwrap_or_else(PoisonError::into_inner) = self.issuer.counters();
        }
        Ok(())
    }

    fn decide(&mut self, batch: &mut Vec<Arrival>) -> Vec<Planned> {
        let now = now();
        let mut planned = Vec::with_capacity(batch.len());
        for arrival in batch.drain(..) {
            match arrival {
                Arrival::Up(link, way_out) => {
                    self.issuer.link_up(link);
                    self.ways_out.insert(link, way_out);
                    if self.issuer.outage(now) == Some(Down::Closed) {
                        planned.push(Planned::now(link, Action::Close));
                    }
                }
                Arrival::Down(link) => {
                    self.issuer.link_down(link);
                    self.ways_out.remove(&link);
                }
                Arrival::Echo => planned.extend(self.issuer.ask_echo(now)),
                Arrival::Tick => planned.extend(self.issuer.tick(now)),
                Arrival::Order(order) => planned.extend(order(&mut self.issuer, now)),
                Arrival::Message(link, message) => planned.extend(self.issuer.receive(link, message, now)),
            }
        }
        planned
    }

    /// Gives each link its answers in one piece. A link whose outbox is full isn't read by its peer
    /// and is let go of, which closes it.
    fn hand_out(&mut self, planned: Vec<Planned>) {
        let arrived = Instant::now();
        let mut by_link: BTreeMap<Link, Vec<Leaving>> = BTreeMap::new();
        for Planned { link, after, action, manner } in planned {
            if let (Action::PauseReading(pause), Some(way_out)) = (&action, self.ways_out.get(&link)) {
                way_out.pause.send_replace(Some(arrived + *pause));
            }
            let at = (after > Duration::ZERO).then(|| arrived + after);
            by_link.entry(link).or_default().push(Leaving { at, action, manner });
        }
        for (link, leaving) in by_link {
            let Some(WayOut { outbox, end, .. }) = self.ways_out.get(&link) else { continue };
            if let Err(TrySendError::Full(_)) = outbox.try_send(leaving) {
                tracing::warn!(link, "the peer doesn't read its answers; the link is closed");
                end.cancel();
            }
        }
    }
}

impl Leaving {
    /// An answer or an act that is due at once.
    pub(super) fn now(action: Action) -> Self {
        Self { at: None, action, manner: Manner::default() }
    }
}
