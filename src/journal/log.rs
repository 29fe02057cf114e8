//! The journal's file: rows by sequence number, sealed cards by the sequence number of the record that brought them.
//!
//! No table here has an index beside its row id: a commit touches the last page and nothing else. What was appended is
//! never changed, save that a commit which was told as lost may be taken back; cards alone may be sealed anew or
//! deleted. The write-ahead log is grown once and kept.

use super::JournalError;
use super::private;
use super::row::Row;
use super::settings::{Settings, StorePath};
use crate::payment::{Card, CardId};
use crate::vault::{self, Keys, SealedCard, VaultError};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

const SCHEMA: i64 = 1;

/// How many cards are looked at in one go, so that no read holds the write-ahead log for long.
const LOOKED_AT: i64 = 4096;

const TABLES: &str = "
    CREATE TABLE store (id BLOB NOT NULL, node INTEGER NOT NULL, fence INTEGER NOT NULL);
    CREATE TABLE records (sequence INTEGER PRIMARY KEY, content BLOB NOT NULL);
    CREATE TABLE cards (
        sequence INTEGER PRIMARY KEY, id BLOB NOT NULL, merchant TEXT NOT NULL, key TEXT NOT NULL,
        search_hash BLOB NOT NULL, sealed BLOB NOT NULL, purge_after INTEGER NOT NULL
    );
    CREATE TABLE probe (content BLOB NOT NULL);
";

/// A connection to the journal's file.
pub(super) struct Log {
    connection: Connection,
}

/// A sealed card on its way into the file.
pub(super) struct CardRow {
    /// Of the first record that names it.
    pub(super) sequence: i64,
    pub(super) id: CardId,
    pub(super) merchant: String,
    pub(super) sealed: SealedCard,
    /// Microseconds since the Unix epoch.
    pub(super) purge_after: i64,
}

/// Cards under older keys.
pub(super) struct OlderCards {
    pub(super) cards: Vec<OlderCard>,
    /// Sequence number up to which there are no others.
    pub(super) to: i64,
    /// Whether there are no others at all.
    pub(super) is_all: bool,
}

/// A card under an older key.
pub(super) struct OlderCard {
    pub(super) sequence: i64,
    pub(super) id: CardId,
    pub(super) key: String,
    pub(super) sealed: Vec<u8>,
}

/// What a store says of itself.
pub(super) struct Identity {
    /// Random, made with the store; its views carry it too.
    pub(super) id: Vec<u8>,
    pub(super) node: u16,
}

/// How far a checkpoint came, in pages of the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) pages: i64,
    pub(super) done: i64,
}

impl Log {
    /// Makes the file where there is none, checks that it is ours, and grows its write-ahead log.
    pub(super) fn create(settings: &Settings, keys: &Keys) -> Result<Log, JournalError> {
        private::make_file(settings.store.journal())?;
        let mut log = Log::open_writer(&settings.store, settings.max_journal_mib)?;
        log.settle()?;
        log.prepare(&settings.store, settings.node)?;
        log.know_keys(keys)?;
        // Of the others it is found out when they are needed: there is no index of keys.
        if let Some(missing) = log.last_key()?.filter(|id| !keys.holds(id)) {
            return Err(VaultError::UnknownKey(missing).into());
        }
        grow(&settings.store, u64::from(settings.wal_mib) << 20)?;
        Ok(log)
    }

    /// Opens the file for writing.
    pub(super) fn open_writer(store: &StorePath, max_mib: u32) -> Result<Log, JournalError> {
        let connection = Connection::open(store.journal())?;
        connection.busy_timeout(Duration::from_secs(2))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = OFF;",
        )?;
        connection.file_control(None::<&str>, rusqlite::FileControl::PersistWal(&mut 1))?;
        let log = Log { connection };
        log.limit(max_mib)?;
        Ok(log)
    }

    /// Opens the file for reading.
    pub(super) fn open_reader(store: &StorePath) -> Result<Log, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(store.journal(), flags)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        Ok(Log { connection })
    }

    /// Bounds the size of the file; 0 is no bound.
    pub(super) fn limit(&self, max_mib: u32) -> Result<(), JournalError> {
        let pages = if max_mib == 0 { i64::from(u32::MAX - 1) } else { i64::from(max_mib) * 256 };
        self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok(())
    }

    /// Makes durable all that can be read here, whatever became of earlier syncs: every page of the write-ahead log is
    /// written anew into the file, and that is synced.
    ///
    /// A sync that failed is never tried again and believed: the system may have dropped the pages that it could not
    /// write and call them clean, and then the next sync succeeds without them. Reading proves nothing either, because
    /// it is the same pages in memory that are read.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Checkpoint { pages: row.get(1)?, done: row.get(2)? }));
        let (busy, checkpoint): (bool, _) = self.connection.query_row("PRAGMA wal_checkpoint(FULL)", [], read)?;
        match busy || checkpoint.done != checkpoint.pages {
            true => Err(JournalError::Unsettled),
            false => Ok(()),
        }
    }

    fn prepare(&mut self, store: &StorePath, node: u16) -> Result<(), JournalError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (found, tables) {
            (0, 0) => make_tables(&transaction, node)?,
            (SCHEMA, _) => {}
            _ => return Err(JournalError::Schema { path: store.journal().into(), found, expected: SCHEMA }),
        }
        transaction.commit()?;
        let found = self.identity()?.node;
        if found != node {
            return Err(JournalError::Node { found, configured: node });
        }
        Ok(())
    }

    /// Holds each key's name to the key that first bore it, so that no card is sealed under a key mistaken for another.
    pub(super) fn know_keys(&self, keys: &Keys) -> Result<(), JournalError> {
        match vault::mistaken_key(&self.connection, keys)? {
            Some(id) => Err(JournalError::WrongKey(id)),
            None => Ok(()),
        }
    }

    /// What the store says of itself.
    pub(super) fn identity(&self) -> Result<Identity, JournalError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Identity { id: row.get(0)?, node: row.get(1)? });
        Ok(self.connection.query_row("SELECT id, node FROM store", [], read)?)
    }

    /// Sequence number of the last row; 0 where there is none.
    pub(super) fn last_sequence(&self) -> Result<i64, JournalError> {
        Ok(self.connection.query_row("SELECT coalesce(max(sequence), 0) FROM records", [], |row| row.get(0))?)
    }

    /// Appends rows and cards in one transaction and syncs it: when this returns `Ok`, they are durable.
    pub(super) fn append(&mut self, rows: &[(i64, Vec<u8>)], cards: &[CardRow]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert(&transaction, rows, cards)?;
        Ok(transaction.commit()?)
    }

    /// Proves that the file takes writes, with a transaction that needs room, and that no failed commit is left in
    /// the write-ahead log: this one overwrites its pages, so that no crash can bring it back.
    pub(super) fn probe(&mut self) -> Result<(), JournalError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "INSERT INTO probe VALUES (zeroblob(65536)); DELETE FROM probe; UPDATE store SET fence = fence + 1;",
        )?;
        Ok(transaction.commit()?)
    }

    /// Takes back the rows and cards behind a sequence number, of which nobody was ever told that they are durable.
    /// Gives how many rows there were.
    pub(super) fn take_back(&mut self, after: i64) -> Result<usize, JournalError> {
        if self.last_sequence()? <= after {
            return Ok(0);
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = transaction.execute("DELETE FROM records WHERE sequence > ?1", [after])?;
        transaction.execute("DELETE FROM cards WHERE sequence > ?1", [after])?;
        transaction.commit()?;
        Ok(rows)
    }

    /// At most `limit` rows behind a sequence number; an error names the first that is missing or damaged.
    pub(super) fn rows_after(&self, after: i64, limit: usize) -> Result<Vec<Row>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sequence, content FROM records WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")?;
        let mut found = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut rows = Vec::new();
        let mut expected = after + 1;
        while let Some(row) = found.next()? {
            let sequence: i64 = row.get(0)?;
            if sequence != expected {
                return Err(JournalError::Missing { sequence: expected });
            }
            rows.push(read_row(sequence, row.get_ref(1)?)?);
            expected += 1;
        }
        Ok(rows)
    }

    /// One row.
    pub(super) fn row(&self, sequence: i64) -> Result<Row, JournalError> {
        let mut statement = self.connection.prepare_cached("SELECT content FROM records WHERE sequence = ?1")?;
        let mut found = statement.query([sequence])?;
        let row = found.next()?.ok_or(JournalError::Missing { sequence })?;
        read_row(sequence, row.get_ref(0)?)
    }

    /// The card that came with the record of a sequence number; `None` once it was purged.
    pub(super) fn card(&self, sequence: i64, id: CardId, keys: &Keys) -> Result<Option<Card>, JournalError> {
        let mut statement = self.connection.prepare_cached("SELECT id, key, sealed FROM cards WHERE sequence = ?1")?;
        let mut found = statement.query([sequence])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let (stored, key, sealed) = (row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?);
        if stored != id.0.to_be_bytes() {
            return Ok(None);
        }
        Ok(Some(keys.open(id, &key, &sealed)?))
    }

    /// At most `most` cards behind a sequence number that lie under another key than this one.
    pub(super) fn older_cards(&self, current: &str, after: i64, most: usize) -> Result<OlderCards, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, id, key, sealed FROM cards WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, LOOKED_AT])?;
        let mut found = OlderCards { cards: Vec::new(), to: after, is_all: false };
        for _ in 0..LOOKED_AT {
            let Some(row) = rows.next()? else { return Ok(OlderCards { is_all: true, ..found }) };
            found.to = row.get(0)?;
            if row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)? != current {
                let id = CardId(u128::from_be_bytes(row.get(1)?));
                found.cards.push(OlderCard { sequence: found.to, id, key: row.get(2)?, sealed: row.get(3)? });
            }
            if found.cards.len() == most {
                break;
            }
        }
        Ok(found)
    }

    /// The key under which the last card lies.
    fn last_key(&self) -> Result<Option<String>, JournalError> {
        let read = |row: &rusqlite::Row<'_>| row.get(0);
        let key = self.connection.query_row("SELECT key FROM cards ORDER BY sequence DESC LIMIT 1", [], read);
        Ok(key.optional()?)
    }

    /// Puts cards in place of the same ones under other keys, in one transaction.
    pub(super) fn reseal(&mut self, cards: &[(i64, CardId, SealedCard)]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut update = transaction.prepare_cached(
            "UPDATE cards SET key = ?3, search_hash = ?4, sealed = ?5 WHERE sequence = ?1 AND id = ?2",
        )?;
        for (sequence, id, SealedCard { key, search_hash, sealed }) in cards {
            update.execute(params![sequence, id.0.to_be_bytes(), key, search_hash, sealed])?;
        }
        drop(update);
        Ok(transaction.commit()?)
    }

    /// Moves committed pages from the write-ahead log into the file, without ever making a writer wait.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, JournalError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Checkpoint { pages: row.get(1)?, done: row.get(2)? });
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], read)?)
    }
}

fn make_tables(transaction: &Transaction<'_>, node: u16) -> Result<(), JournalError> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(vault::KNOWN_KEYS)?;
    let id = uuid::Uuid::now_v7();
    transaction.execute("INSERT INTO store VALUES (?1, ?2, 0)", params![id.as_bytes(), node])?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, rows: &[(i64, Vec<u8>)], cards: &[CardRow]) -> Result<(), JournalError> {
    let mut record = transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2)")?;
    for (sequence, content) in rows {
        record.execute(params![sequence, content])?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO cards VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for card in cards {
        let CardRow { sequence, id, merchant, sealed, purge_after } = card;
        let SealedCard { key, search_hash, sealed } = sealed;
        insert.execute(params![sequence, id.0.to_be_bytes(), merchant, key, search_hash, sealed, purge_after])?;
    }
    Ok(())
}

fn read_row(sequence: i64, stored: rusqlite::types::ValueRef<'_>) -> Result<Row, JournalError> {
    let stored = stored.as_blob().map_err(rusqlite::Error::from)?;
    Row::decode(sequence, stored).map_err(|fault| JournalError::Damaged { sequence, fault })
}

/// Fills the write-ahead log with zeros behind what it holds. SQLite stops reading it where no valid page follows.
fn grow(store: &StorePath, size: u64) -> Result<(), JournalError> {
    let path = store.wal();
    let fill = || {
        let mut wal = OpenOptions::new().write(true).open(&path)?;
        let mut length = wal.seek(SeekFrom::End(0))?;
        let zeros = vec![0; 1 << 20];
        while length < size {
            let part = (size - length).min(zeros.len() as u64) as usize;
            wal.write_all(&zeros[..part])?;
            length += part as u64;
        }
        wal.sync_all()
    };
    fill().map_err(|source| JournalError::File { path: path.clone(), source })
}
