//! The one writer: gathers what waits, commits it with one sync, then answers all of it at once.
//!
//! There is no batch timer: while one commit is under way the next batch gathers by itself. The surprise is what
//! follows a failed commit: nothing of it is trusted, neither that it failed nor that it could be tried again. Writing
//! halts; the connection is made anew, all that the file holds is written and synced once more ([`Log::settle`]), then
//! read, and a transaction of our own seals the end of the log. Until all of that went well nothing is appended.

use super::admission::{Admission, Staged};
use super::checkpoint::Checkpoints;
use super::health::Health;
use super::log::Log;
use super::measure;
use super::settings::Settings;
use super::{Committed, JournalError};
use crate::payment::CardId;
use crate::switch::{Entry, NotRecorded, Ticket};
use crate::vault::{Keys, SealedCard};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

/// What the writer is asked for.
pub(super) enum Order {
    Append(Ticket, Entry),
    Errand(Errand),
    Close,
}

/// Something beside the records that only the writer may do; done between two commits.
pub(super) enum Errand {
    /// Cards under the current key in place of the same ones under older keys.
    Reseal(Vec<(i64, CardId, SealedCard)>, Sender<Result<(), JournalError>>),
    /// Keys that the store is to know by their names.
    Know(Keys, Sender<Result<(), JournalError>>),
}

/// What became of each append of a commit.
pub(super) type Results = Vec<(Ticket, Result<(), NotRecorded>)>;

/// How often a store that takes no writes is tried while nothing is asked of it.
const RETRY: Duration = Duration::from_millis(500);

/// The writer's thread.
pub(super) struct Writer {
    pub(super) settings: Settings,
    pub(super) orders: Receiver<Order>,
    pub(super) log: Option<Log>,
    pub(super) admission: Admission,
    pub(super) health: Arc<Health>,
    pub(super) checkpoints: Checkpoints,
    pub(super) committed: Committed,
    /// Sequence number of the next row.
    pub(super) next: i64,
}

impl Writer {
    /// Works until it is closed, and has committed all that was asked before that.
    pub(super) fn run(mut self) {
        let mut closed = false;
        while !closed {
            let (mut batch, mut errands) = (Vec::new(), Vec::new());
            closed = self.gather(&mut batch, &mut errands);
            let is_idle = batch.is_empty() && errands.is_empty();
            if !batch.is_empty() {
                let results = self.record(batch);
                count(&results);
                (self.committed)(results);
                self.log.iter().for_each(|log| self.checkpoints.complete(log));
            } else if is_idle && !closed {
                self.try_again();
            }
            errands.into_iter().for_each(|errand| self.run_errand(errand));
        }
    }

    /// Whoever asked for it and does not wait any longer will see what came of it.
    fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Reseal(cards, done) => drop(done.send(self.write(|log| log.reseal(&cards)))),
            Errand::Know(keys, done) => drop(done.send(self.write(|log| log.know_keys(&keys)))),
        }
    }

    /// Writes something beside the records. A connection on which that failed is no better than after a failed commit.
    fn write(&mut self, write: impl FnOnce(&mut Log) -> Result<(), JournalError>) -> Result<(), JournalError> {
        if !self.has_log() {
            return Err(rusqlite::Error::InvalidQuery.into());
        }
        let log = self.log.as_mut().ok_or(rusqlite::Error::InvalidQuery)?;
        let written = write(log);
        if matches!(written, Err(JournalError::Engine(_))) {
            self.health.set_store(false);
            self.log = None;
            self.try_again();
        }
        written
    }

    /// Waits for one order and takes all that wait with it. Whether the writer was closed.
    fn gather(&self, batch: &mut Vec<(Ticket, Entry)>, errands: &mut Vec<Errand>) -> bool {
        let first = match self.health.takes_writes() {
            true => self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => self.orders.recv_timeout(RETRY),
        };
        let mut records = 0;
        let mut order = match first {
            Ok(order) => order,
            Err(error) => return error == RecvTimeoutError::Disconnected,
        };
        loop {
            match order {
                Order::Close => return true,
                Order::Errand(errand) => errands.push(errand),
                Order::Append(ticket, entry) => {
                    records += size(&entry);
                    batch.push((ticket, entry));
                }
            }
            if records >= self.settings.max_batch_records.get() {
                return false;
            }
            order = match self.orders.try_recv() {
                Ok(order) => order,
                Err(error) => return error == TryRecvError::Disconnected,
            };
        }
    }

    fn record(&mut self, batch: Vec<(Ticket, Entry)>) -> Results {
        if !self.wait_for_views() || !self.has_log() {
            return batch.into_iter().map(|(ticket, _)| (ticket, Err(NotRecorded::Unavailable))).collect();
        }
        let staged = self.admission.stage(batch, self.next);
        if staged.rows.is_empty() {
            return staged.results;
        }
        match self.commit(&staged) {
            Ok(()) => self.accept(staged),
            Err(error) => self.recover(staged, &error),
        }
    }

    /// Waits while the views are too far behind. `false` where they take nothing at all.
    fn wait_for_views(&self) -> bool {
        let began = Instant::now();
        let room = self.admission.tail.wait_for_room(self.settings.max_view_lag_records.get());
        metrics::histogram!(measure::VIEW_WAIT_SECONDS).record(began.elapsed());
        self.health.set_room(room);
        room
    }

    fn commit(&mut self, staged: &Staged) -> Result<(), JournalError> {
        let log = self.log.as_mut().ok_or(rusqlite::Error::InvalidQuery)?;
        let rows: Vec<_> = staged.rows.iter().map(|noted| (noted.row.sequence, noted.row.encode())).collect();
        let bytes: usize = rows.iter().map(|(_, content)| content.len()).sum();
        let began = Instant::now();
        log.append(&rows, &staged.cards)?;
        metrics::histogram!(measure::COMMIT_SECONDS).record(began.elapsed());
        metrics::histogram!(measure::BATCH_RECORDS).record(rows.len() as f64);
        self.checkpoints.committed(bytes);
        Ok(())
    }

    fn accept(&mut self, staged: Staged) -> Results {
        self.next += staged.rows.len() as i64;
        let results = self.admission.committed(staged);
        metrics::gauge!(measure::VIEW_LAG_RECORDS).set(self.admission.tail.len() as f64);
        self.health.set_store(true);
        results
    }

    /// After a failed commit: finds out what is in the file. There alone stands what became of it.
    fn recover(&mut self, staged: Staged, error: &JournalError) -> Results {
        tracing::error!(code = error.code(), %error, "a commit failed");
        self.health.set_store(false);
        self.log = None;
        let found = self.reopen().and_then(|log| Ok((log.rows_after(self.next - 1, usize::MAX)?, log)));
        match found {
            Ok((rows, log)) if staged.is_all_of(&rows) => {
                self.log = Some(log);
                self.accept(staged)
            }
            Ok(_) => {
                self.try_again();
                staged.lost()
            }
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the store cannot be opened again");
                staged.lost()
            }
        }
    }

    fn has_log(&mut self) -> bool {
        if self.log.is_none() {
            self.try_again();
        }
        self.log.is_some()
    }

    /// Tries a store that took no writes.
    fn try_again(&mut self) {
        if self.log.is_none() {
            match self.reopen().and_then(|log| self.take_back(log)) {
                Ok(log) => self.log = Some(log),
                Err(error) => tracing::warn!(code = error.code(), %error, "the store is still not usable"),
            }
        }
        self.prove();
        self.wait_for_views();
    }

    fn reopen(&self) -> Result<Log, JournalError> {
        let log = Log::open_writer(&self.settings.store, self.health.max_journal_mib())?;
        log.settle()?;
        Ok(log)
    }

    /// Takes back what a commit left in the file after its connection had failed altogether. Its tickets were told that
    /// nothing is recorded: merchants were refused, and what was to follow was not sent. That must stay true.
    fn take_back(&self, mut log: Log) -> Result<Log, JournalError> {
        let rows = log.take_back(self.next - 1)?;
        if rows > 0 {
            tracing::warn!(rows, from = self.next, "what a failed commit had left in the store is taken back");
        }
        Ok(log)
    }

    /// Proves that the store takes writes. A connection that cannot is given up.
    fn prove(&mut self) {
        let Some(log) = &mut self.log else { return };
        let proof = log.limit(self.health.max_journal_mib()).and_then(|()| log.probe());
        self.health.set_store(proof.is_ok());
        if let Err(error) = proof {
            tracing::warn!(code = error.code(), %error, "the store takes no writes");
            self.log = None;
        }
    }
}

fn size(entry: &Entry) -> usize {
    match entry {
        Entry::Payment { records, .. } => records.len(),
        Entry::Numbers(_) | Entry::Host(_) | Entry::Audit(_) => 1,
    }
}

fn count(results: &Results) {
    let mut counts = [0; 4];
    for (_, result) in results {
        counts[match result {
            Ok(()) => 0,
            Err(NotRecorded::KeyUsed(_)) => 1,
            Err(NotRecorded::VersionTaken) => 2,
            Err(NotRecorded::Unavailable) => 3,
        }] += 1;
    }
    for (name, count) in ["recorded", "key_used", "version_taken", "unavailable"].into_iter().zip(counts) {
        metrics::counter!(measure::APPENDS_TOTAL, "result" => name).increment(count);
    }
}
