//! The register's store: a document a merchant, and a row for every change that was ever made.
//!
//! An SQLite file beside the journal, written by whoever administers merchants and read by the switch. It has no
//! write-ahead log: changes are few, and a reader that may only read needs no more than the file. The audit is
//! append-only, and its rows hold what was written, so that every earlier state can be seen. No key is in it that
//! proves or opens anything, only hashes and public halves.

use super::MerchantSettings;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format of the tables; another number is another program's file, or a later one's.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE merchants (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    merchant TEXT NOT NULL,
    why TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
PRAGMA user_version = 1;
";

/// How long one who writes waits for another.
const BUSY: Duration = Duration::from_secs(5);

/// The store, open.
#[derive(Debug)]
pub struct MerchantStore {
    connection: Connection,
    path: PathBuf,
    place: (u64, u64),
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MerchantStoreError {
    /// The file or its directory cannot be made.
    #[error("{}: {fault}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// It is no register, or one of another format.
    #[error("{}: a file of format {found}, expected a merchant register of format {FORMAT}", path.display())]
    Format {
        /// Which one.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// A document is none.
    #[error("{}: merchant {id}: {fault}", path.display())]
    Document {
        /// Where.
        path: PathBuf,
        /// Whose.
        id: String,
        /// What is wrong with it.
        fault: serde_json::Error,
    },
    /// SQLite.
    #[error("{}: {fault}", path.display())]
    Sql {
        /// Where.
        path: PathBuf,
        /// What it says.
        fault: rusqlite::Error,
    },
}

/// Who changes something, and why.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who.
    pub who: String,
    /// What is done, as the command is called.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When (RFC 3339).
    pub at: String,
    /// By whom.
    pub who: String,
    /// What was done.
    pub what: String,
    /// To which merchant.
    pub merchant: String,
    /// Why.
    pub why: String,
}

impl MerchantStore {
    /// Opens the store, or makes an empty one.
    pub fn open(path: &Path) -> Result<MerchantStore, MerchantStoreError> {
        make_private(path).map_err(|fault| MerchantStoreError::File { path: path.into(), fault })?;
        let sql = |fault| MerchantStoreError::Sql { path: path.into(), fault };
        let mut connection = Connection::open(path).map_err(sql)?;
        connection.busy_timeout(BUSY).map_err(sql)?;
        let found = lay_out(&mut connection).map_err(sql)?;
        if found != FORMAT {
            return Err(MerchantStoreError::Format { path: path.into(), found });
        }
        let place = place(path).map_err(|fault| MerchantStoreError::File { path: path.into(), fault })?;
        Ok(MerchantStore { connection, path: path.into(), place })
    }

    /// A number that differs once somebody else has written.
    pub fn version(&self) -> Result<i64, MerchantStoreError> {
        let version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0));
        version.map_err(|fault| self.sql(fault))
    }

    /// All merchants by their identifiers.
    pub fn merchants(&self) -> Result<Vec<MerchantSettings>, MerchantStoreError> {
        self.documents()?.into_iter().collect()
    }

    /// All merchants, each one read or what is wrong with it.
    pub fn documents(&self) -> Result<Vec<Result<MerchantSettings, MerchantStoreError>>, MerchantStoreError> {
        let rows = documents(&self.connection).map_err(|fault| self.sql(fault))?;
        let read = |(id, document): (String, String)| {
            let path = self.path.clone();
            serde_json::from_str(&document).map_err(|fault| MerchantStoreError::Document { path, id, fault })
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Whether its path leads to another file by now, or to none.
    pub fn is_replaced(&self) -> Result<bool, MerchantStoreError> {
        let fault = |fault| MerchantStoreError::File { path: self.path.clone(), fault };
        Ok(place(&self.path).map_err(fault)? != self.place)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes merchants, all or none of them: `change` is given all that there are and says which to write.
    pub fn change<E: From<MerchantStoreError>>(
        &mut self,
        order: &Order,
        change: impl FnOnce(Vec<MerchantSettings>) -> Result<Vec<MerchantSettings>, E>,
    ) -> Result<(), E> {
        let path = self.path.clone();
        let sql = |fault| MerchantStoreError::Sql { path: path.clone(), fault };
        // Taken before anything is read: what is decided on stays so until it is written.
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        let written = self.merchants().map_err(E::from).and_then(change).and_then(|merchants| {
            merchants.iter().try_for_each(|merchant| self.write(order, merchant)).map_err(E::from)
        });
        let end = if written.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.connection.execute_batch(end).map_err(sql)?;
        written
    }

    /// Removes a merchant if `may` says so of it; the audit keeps what it was.
    pub fn remove<E: From<MerchantStoreError>>(
        &mut self,
        order: &Order,
        id: &str,
        may: impl FnOnce(Option<&MerchantSettings>) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path.clone();
        let sql = |fault| MerchantStoreError::Sql { path: path.clone(), fault };
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        let removed = self.merchants().map_err(E::from).and_then(|merchants| {
            let found = merchants.iter().find(|merchant| merchant.id == id);
            may(found)?;
            self.connection.execute("DELETE FROM merchants WHERE id = ?1", [id]).map_err(sql)?;
            found.map_or(Ok(()), |merchant| self.audit(order, merchant)).map_err(E::from)
        });
        let end = if removed.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.connection.execute_batch(end).map_err(sql)?;
        removed
    }

    /// The last changes, newest first.
    pub fn changes(&self, limit: usize) -> Result<Vec<Change>, MerchantStoreError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare("SELECT at, who, what, merchant, why FROM audit ORDER BY number DESC LIMIT ?1")?;
            let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(Change {
                    at: row.get(0)?,
                    who: row.get(1)?,
                    what: row.get(2)?,
                    merchant: row.get(3)?,
                    why: row.get(4)?,
                })
            })?;
            rows.collect::<Result<Vec<Change>, _>>()
        };
        read().map_err(|fault| self.sql(fault))
    }

    fn write(&self, order: &Order, merchant: &MerchantSettings) -> Result<(), MerchantStoreError> {
        let document = self.document(merchant)?;
        let written =
            self.connection.execute("INSERT OR REPLACE INTO merchants VALUES (?1, ?2)", [&merchant.id, &document]);
        written.map_err(|fault| self.sql(fault))?;
        self.audit(order, merchant)
    }

    /// Writes down who did something, why, and what it was done to as it is after it, or was before it went.
    fn audit(&self, order: &Order, merchant: &MerchantSettings) -> Result<(), MerchantStoreError> {
        let (at, document) = (Timestamp::now().to_string(), self.document(merchant)?);
        let written = self.connection.execute(
            "INSERT INTO audit (at, who, what, merchant, why, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![at, order.who, order.what, merchant.id, order.why, document],
        );
        written.map(drop).map_err(|fault| self.sql(fault))
    }

    fn document(&self, merchant: &MerchantSettings) -> Result<String, MerchantStoreError> {
        let fault = |fault| MerchantStoreError::Document { path: self.path.clone(), id: merchant.id.clone(), fault };
        serde_json::to_string(merchant).map_err(fault)
    }

    fn sql(&self, fault: rusqlite::Error) -> MerchantStoreError {
        MerchantStoreError::Sql { path: self.path.clone(), fault }
    }
}

/// Which file a path leads to: its device and its number there.
fn place(path: &Path) -> Result<(u64, u64), std::io::Error> {
    path.metadata().map(|file| (file.dev(), file.ino()))
}

fn documents(connection: &Connection) -> Result<Vec<(String, String)>, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT id, document FROM merchants ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Makes the tables of an empty file; the format that it then has.
fn lay_out(connection: &mut Connection) -> Result<i64, rusqlite::Error> {
    let format = |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let found: i64 = format(connection)?;
    if found != 0 {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    // Somebody else may have been faster; what has tables and no format is not ours.
    if format(&transaction)? == 0 && tables == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.commit()?;
    format(connection)
}

/// An empty file that only its owner may read, where there is none. Whoever owns the folder owns it.
fn make_private(path: &Path) -> Result<(), std::io::Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Root may run this in another user's folder: what is there already, a link above all, is not followed.
    let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(folder) = path.parent().and_then(|folder| folder.metadata().ok()) {
        // Where root is faster than the switch, the switch could not read it. Anybody else is not allowed to do this
        // and has no need to.
        let _ = fchown(&file, Some(folder.uid()), Some(folder.gid()));
    }
    Ok(())
}
