//! One process a store: an exclusive lock on a file beside it, which names its holder.
//!
//! The system drops the lock when the process ends, however it ends; the file itself stays and means nothing.

use super::JournalError;
use super::settings::StorePath;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::PathBuf;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock, or names who has it.
    pub(super) fn take(store: &StorePath) -> Result<StoreLock, JournalError> {
        let path = store.lock();
        let fail = |source| JournalError::File { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(store.journal().into(), &mut file)),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(fail)?;
        Ok(StoreLock { _file: file })
    }
}

fn held(path: PathBuf, file: &mut File) -> JournalError {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    JournalError::Held { path, holder: read.ok().and_then(|_| text.trim().parse().ok()) }
}
