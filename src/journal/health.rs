//! Whether the store takes writes, as the readiness of the service wants to know it.

use super::measure;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Shared by the threads of the journal.
pub(super) struct Health {
    store: AtomicBool,
    room: AtomicBool,
    max_journal_mib: AtomicU32,
}

impl Health {
    pub(super) fn new(max_journal_mib: u32) -> Health {
        let (store, room) = (AtomicBool::new(true), AtomicBool::new(true));
        Health { store, room, max_journal_mib: AtomicU32::new(max_journal_mib) }
    }

    /// Whether the last write went well and the views keep up.
    pub(super) fn takes_writes(&self) -> bool {
        self.store.load(Ordering::Acquire) && self.room.load(Ordering::Acquire)
    }

    pub(super) fn set_store(&self, takes_writes: bool) {
        self.store.store(takes_writes, Ordering::Release);
        self.show();
    }

    pub(super) fn set_room(&self, room: bool) {
        self.room.store(room, Ordering::Release);
        self.show();
    }

    fn show(&self) {
        metrics::gauge!(measure::WRITABLE).set(if self.takes_writes() { 1.0 } else { 0.0 });
    }

    pub(super) fn max_journal_mib(&self) -> u32 {
        self.max_journal_mib.load(Ordering::Acquire)
    }

    pub(super) fn set_max_journal_mib(&self, mib: u32) {
        self.max_journal_mib.store(mib, Ordering::Release);
    }
}
