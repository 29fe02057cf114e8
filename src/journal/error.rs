//! What can go wrong with the store, split by whose fault it is.

use super::row::RowError;
use crate::vault::{KeyId, VaultError};
use std::path::PathBuf;

/// Why the store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process serves on this store.
    #[error("the store {} is in use by {}; stop it first, or give this one a store of its own", path.display(), holder_name(*holder))]
    Held {
        /// The journal file.
        path: PathBuf,
        /// Process id of the holder, where it could be read.
        holder: Option<u32>,
    },
    /// A file cannot be made, opened or grown.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database engine refuses.
    #[error("the store cannot be used: {0}")]
    Engine(#[from] rusqlite::Error),
    /// Somebody reads or writes the file, so that not all of it can be made durable anew.
    #[error("the store is in use, and what it holds cannot be made durable anew")]
    Unsettled,
    /// The file is no journal, or one that a later version wrote.
    #[error("{} is no journal of this version (its schema is {found}, not {expected})", path.display())]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Schema number found.
        found: i64,
        /// Schema number of this version.
        expected: i64,
    },
    /// The store belongs to another node.
    #[error("the store belongs to node {found}, not to node {configured}")]
    Node {
        /// Node that wrote it.
        found: u16,
        /// Node of the configuration.
        configured: u16,
    },
    /// A key of this name sealed the stored cards, but it was another key.
    #[error("key {0} is not the key of this name that sealed the stored cards")]
    WrongKey(KeyId),
    /// A row is not what was written. Nothing behind it may be trusted, and it is never skipped.
    #[error("row {sequence} of the journal is damaged ({fault}); restore the store from a copy")]
    Damaged {
        /// Which row.
        sequence: i64,
        /// What is wrong with it.
        fault: RowError,
    },
    /// A row that was there is gone.
    #[error("row {sequence} of the journal is missing; restore the store from a copy")]
    Missing {
        /// Which row.
        sequence: i64,
    },
    /// The writer does not do what it is asked, in time or at all.
    #[error("the journal's writer does not answer")]
    NoWriter,
    /// A stored card.
    #[error(transparent)]
    Card(#[from] VaultError),
}

impl JournalError {
    /// Stable name of the fault.
    pub fn code(&self) -> &'static str {
        match self {
            JournalError::Held { .. } => "store_held",
            JournalError::File { .. } => "store_file",
            JournalError::Engine(_) => "store_engine",
            JournalError::Unsettled => "store_unsettled",
            JournalError::Schema { .. } => "store_schema",
            JournalError::Node { .. } => "store_node",
            JournalError::WrongKey(_) => "store_wrong_key",
            JournalError::Damaged { .. } => "store_damaged",
            JournalError::Missing { .. } => "store_row_missing",
            JournalError::NoWriter => "store_no_writer",
            JournalError::Card(_) => "store_card",
        }
    }
}

fn holder_name(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
