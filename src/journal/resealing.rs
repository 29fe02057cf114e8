//! Sealing anew: after an exchange of keys the cards of older payments move under the current one, a few at a time.
//!
//! Reading, opening and sealing happen here, beside the writer; the writer only puts the new bytes in place, between two
//! commits, so that there is still one who writes. A card can be opened at every moment of it: under the older key until
//! then, under the current one from then on. What is appended meanwhile lies behind the place that this has come to.

use super::JournalError;
use super::log::{Log, OlderCard};
use super::writer::{Errand, Order};
use crate::payment::CardId;
use crate::vault::{KeyRing, Keys, Resealed, SealedCard};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long the writer may take for its part.
const PATIENCE: Duration = Duration::from_secs(10);

/// Seals the journal's cards anew. Its calls block.
pub struct Resealer {
    log: Log,
    orders: Sender<Order>,
    keys: KeyRing,
    /// The key under which all cards up to `at` lie.
    current: String,
    /// Sequence number up to which it has come.
    at: i64,
}

impl Resealer {
    pub(super) fn new(log: Log, orders: Sender<Order>, keys: KeyRing) -> Resealer {
        Resealer { log, orders, keys, current: String::new(), at: 0 }
    }

    /// Looks at the next cards, at most so many, and seals anew those that lie under an older key.
    pub fn step(&mut self, most: usize) -> Result<Resealed, JournalError> {
        let keys = self.keys.now();
        if keys.current_id().as_str() != self.current {
            (self.current, self.at) = (keys.current_id().to_string(), 0);
        }
        if !keys.has_older() {
            return Ok(Resealed { is_done: true, ..Resealed::default() });
        }
        let older = self.log.older_cards(&self.current, self.at, most)?;
        let count = older.cards.len();
        let anew = sealed_anew(&keys, older.cards);
        let step = Resealed { resealed: anew.len(), stuck: count - anew.len(), is_done: older.is_all };
        if !anew.is_empty() {
            self.ask(|done| Errand::Reseal(anew, done))?;
        }
        self.at = older.to;
        Ok(step)
    }

    /// Lets the store know keys by their names, before any of them is used. Refused where one bore its name already.
    pub fn know(&self, keys: Keys) -> Result<(), JournalError> {
        self.ask(|done| Errand::Know(keys, done))
    }

    fn ask(&self, errand: impl FnOnce(Sender<Result<(), JournalError>>) -> Errand) -> Result<(), JournalError> {
        let (done, told) = channel();
        // Where the writer is gone nobody tells, which is told below.
        let _only_when_closed = self.orders.send(Order::Errand(errand(done)));
        match told.recv_timeout(PATIENCE) {
            Ok(told) => told,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(JournalError::NoWriter),
        }
    }
}

fn sealed_anew(keys: &Keys, older: Vec<OlderCard>) -> Vec<(i64, CardId, SealedCard)> {
    let anew = older.into_iter().filter_map(|OlderCard { sequence, id, key, sealed }| {
        let anew = keys.seal_anew(id, &key, &sealed);
        let anew = anew.inspect_err(|error| tracing::error!(sequence, %error, "a card stays under its older key"));
        Some((sequence, id, anew.ok()?))
    });
    anew.collect()
}
