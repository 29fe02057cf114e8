//! Files that only their owner may read.
//!
//! The surprise: a file is made here only before SQLite opens it. Closing another handle of an open database drops the
//! locks that SQLite holds on it in this process.

use super::JournalError;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes the directory of a file where it is missing.
pub(super) fn make_directory(of: &Path) -> Result<(), JournalError> {
    match of.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| JournalError::File { path: directory.into(), source }),
        _ => Ok(()),
    }
}

/// Makes an empty file where it is missing. SQLite gives its companions the same permissions.
pub(super) fn make_file(path: &Path) -> Result<(), JournalError> {
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|source| JournalError::File { path: path.into(), source })
}
