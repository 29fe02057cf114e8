//! Checkpoints: moving committed pages from the write-ahead log into the file, from a second connection, so that no
//! commit waits for it. When that is done the writer moves the few pages that came meanwhile, and the log starts anew
//! at its beginning instead of growing.

use super::log::Log;
use super::measure;
use super::settings::StorePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

const PAGE: usize = 4096;

/// The writer's side: counts, asks for a checkpoint, completes it.
pub(super) struct Checkpoints {
    pub(super) wake: SyncSender<()>,
    pub(super) done: Arc<AtomicBool>,
    /// Bytes written since the log started anew, by estimate: what was appended and two pages a commit.
    pub(super) written: usize,
    /// From how many bytes on a checkpoint is wanted.
    pub(super) threshold: usize,
}

impl Checkpoints {
    /// After each commit.
    pub(super) fn committed(&mut self, bytes: usize) {
        self.written += bytes + 2 * PAGE;
        if self.written >= self.threshold {
            let _asked_already = self.wake.try_send(());
        }
    }

    /// When nobody waits for the writer: moves the last pages, if the thread beside it has moved the others.
    pub(super) fn complete(&mut self, log: &Log) {
        if !self.done.swap(false, Ordering::AcqRel) {
            return;
        }
        match log.checkpoint() {
            Ok(checkpoint) if checkpoint.done == checkpoint.pages => self.written = 0,
            Ok(_) => {}
            Err(error) => tracing::warn!(code = error.code(), %error, "a checkpoint was not completed"),
        }
    }
}

/// The thread beside the writer.
pub(super) struct Checkpointer {
    pub(super) store: StorePath,
    pub(super) asked: Receiver<()>,
    pub(super) done: Arc<AtomicBool>,
}

impl Checkpointer {
    /// Works until the writer is gone, and then once more so that the file holds all there is.
    pub(super) fn run(self) {
        let mut log = None;
        while self.asked.recv().is_ok() {
            self.checkpoint(&mut log);
        }
        self.checkpoint(&mut log);
    }

    fn checkpoint(&self, log: &mut Option<Log>) {
        let began = Instant::now();
        let opened = match log.take() {
            Some(log) => Ok(log),
            None => Log::open_writer(&self.store, 0),
        };
        match opened.and_then(|log| Ok((log.checkpoint()?, log))) {
            Ok((checkpoint, opened)) => {
                metrics::histogram!(measure::CHECKPOINT_SECONDS).record(began.elapsed());
                metrics::gauge!(measure::WAL_BYTES).set(checkpoint.pages as f64 * PAGE as f64);
                self.done.store(true, Ordering::Release);
                *log = Some(opened);
            }
            Err(error) => tracing::warn!(code = error.code(), %error, "a checkpoint failed"),
        }
    }
}
