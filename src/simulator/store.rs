//! The durable ledger: one SQLite table, a row an entry, kept by one writer.
//!
//! Write-ahead log with full sync: what [`Store::append`] has returned from survives a power cut.
//! Readers may look at the file at any time ([`read`]); a second writer is refused by a lock on a
//! file beside it, which the operating system lets go of when the process ends, however it ends.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row, params};

use crate::iso8583::Mti;
use crate::payment::{BusinessDate, Currency, Wall};

use super::entry::{Balances, Entry, Kind};
use super::request::OriginalKey;

/// The format of the table; another number is another program's file.
const FORMAT: i64 = 2;

/// Formats that are read; the first one had no `pin_tries`.
const READ: std::ops::RangeInclusive<i64> = 1..=FORMAT;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    business_date TEXT NOT NULL,
    kind TEXT NOT NULL,
    mti TEXT NOT NULL,
    key TEXT NOT NULL,
    first_mti TEXT NOT NULL,
    stan TEXT NOT NULL,
    transmission TEXT NOT NULL,
    acquirer TEXT NOT NULL,
    rrn TEXT NOT NULL,
    terminal TEXT NOT NULL,
    account TEXT,
    currency INTEGER,
    amount INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    net INTEGER NOT NULL,
    held INTEGER NOT NULL,
    response_code TEXT NOT NULL,
    approval_code TEXT,
    original INTEGER,
    standing INTEGER NOT NULL,
    booked INTEGER,
    available INTEGER,
    unseen_mti TEXT,
    unseen_stan TEXT,
    unseen_transmission TEXT,
    unseen_acquirer TEXT,
    pin_tries INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS bank (seed INTEGER NOT NULL) STRICT;
";

const INSERT: &str = "INSERT INTO entries VALUES \
    (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29)";

const SELECT: &str = "SELECT * FROM entries WHERE sequence > ?1 ORDER BY sequence";

/// How long the writer waits for somebody who looks at the file with a tool of theirs.
const BUSY: std::time::Duration = std::time::Duration::from_secs(1);

/// Why the ledger can't be opened, read or written.
#[derive(Debug)]
pub enum StoreError {
    /// Another process keeps this ledger.
    Taken(PathBuf),
    /// The file is a ledger of another format, or none.
    Format(PathBuf, i64),
    /// The ledger was begun with another seed, so its accounts would have other names.
    Seed {
        /// The one it was begun with.
        ledger: u64,
        /// The one asked for.
        wanted: u64,
    },
    /// The lock file.
    Lock(PathBuf, std::io::Error),
    /// SQLite.
    Sql(PathBuf, rusqlite::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(path) => {
                write!(f, "{}: another bank keeps this ledger; stop it, or name another file", path.display())
            }
            Self::Format(path, found) => {
                write!(f, "{}: a file of format {found}, expected a ledger of format {FORMAT}", path.display())
            }
            Self::Seed { ledger, wanted } => {
                write!(f, "the ledger was begun with seed {ledger} and can't go on with {wanted}")
            }
            Self::Lock(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Sql(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

/// The ledger's one writer.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    _lock: File,
}

impl Store {
    /// Opens the ledger for writing, and makes it where there is none. The seed is kept in it.
    pub fn open(path: &Path, seed: u64) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let sql = |error| StoreError::Sql(path.to_owned(), error);
        let connection = Connection::open(path).map_err(sql)?;
        let format = format(&connection).map_err(sql)?;
        let empty = is_empty(&connection).map_err(sql)?;
        let is_new = format == 0 && empty;
        if !is_new && !READ.contains(&format) {
            return Err(StoreError::Format(path.to_owned(), format));
        }
        prepare(&connection, format).map_err(sql)?;
        let store = Self { path: path.to_owned(), connection, _lock: lock };
        store.keep_seed(seed)?;
        Ok(store)
    }

    /// Appends entries in one commit; afterwards they are durable.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        append(&mut self.connection, entries).map_err(|error| StoreError::Sql(self.path.clone(), error))
    }

    /// Gives every entry, oldest first.
    pub fn each(&self, give: impl FnMut(Entry)) -> Result<(), StoreError> {
        each(&self.connection, 0, give).map_err(|error| StoreError::Sql(self.path.clone(), error))
    }

    fn keep_seed(&self, wanted: u64) -> Result<(), StoreError> {
        let sql = |error| StoreError::Sql(self.path.clone(), error);
        let mut statement = self.connection.prepare("SELECT seed FROM bank").map_err(sql)?;
        let kept = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(sql)?.next().transpose().map_err(sql)?;
        match kept.map(i64::cast_unsigned) {
            Some(ledger) if ledger != wanted => Err(StoreError::Seed { ledger, wanted }),
            Some(_) => Ok(()),
            None => {
                let seed = wanted.cast_signed();
                self.connection.execute("INSERT INTO bank VALUES (?1)", [seed]).map(|_| ()).map_err(sql)
            }
        }
    }
}

/// Gives the entries after a sequence of a ledger that a bank may be writing to; 0 gives all.
pub fn read(path: &Path, after: u64, give: impl FnMut(Entry)) -> Result<(), StoreError> {
    let sql = |error| StoreError::Sql(path.to_owned(), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    match format(&connection).map_err(sql)? {
        known if READ.contains(&known) => each(&connection, after, give).map_err(sql),
        other => Err(StoreError::Format(path.to_owned(), other)),
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(&beside);
    let file = options.map_err(|error| StoreError::Lock(beside.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::Lock(beside, error)),
    }
}

fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn prepare(connection: &Connection, format: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(SCHEMA)?;
    if format == 1 {
        connection.execute_batch("ALTER TABLE entries ADD COLUMN pin_tries INTEGER")?;
    }
    connection.pragma_update(None, "user_version", FORMAT)
}

fn append(connection: &mut Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare_cached(INSERT)?;
        for entry in entries {
            insert_one(&mut insert, entry)?;
        }
    }
    transaction.commit()
}

fn insert_one(insert: &mut rusqlite::CachedStatement<'_>, entry: &Entry) -> rusqlite::Result<usize> {
    let unseen = entry.unseen.as_ref();
    insert.execute(params![
        entry.sequence.cast_signed(),
        entry.at.0,
        entry.business_date.to_string(),
        entry.kind.name(),
        entry.mti.to_string(),
        entry.key,
        entry.identity.mti,
        entry.identity.stan,
        entry.identity.transmission,
        entry.identity.acquirer,
        entry.rrn,
        entry.terminal,
        entry.account,
        entry.currency.map(Currency::numeric),
        entry.amount,
        entry.approved,
        entry.net,
        entry.held,
        entry.response_code,
        entry.approval_code,
        entry.original.map(u64::cast_signed),
        entry.standing,
        entry.balances.map(|balances| balances.booked),
        entry.balances.map(|balances| balances.available),
        unseen.map(|unseen| &unseen.mti),
        unseen.map(|unseen| &unseen.stan),
        unseen.map(|unseen| &unseen.transmission),
        unseen.map(|unseen| &unseen.acquirer),
        entry.pin_tries,
    ])
}

fn each(connection: &Connection, after: u64, mut give: impl FnMut(Entry)) -> rusqlite::Result<()> {
    let mut select = connection.prepare(SELECT)?;
    let mut rows = select.query([after.cast_signed()])?;
    while let Some(row) = rows.next()? {
        give(entry(row)?);
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let balances = match (row.get("booked")?, row.get("available")?) {
        (Some(booked), Some(available)) => Some(Balances { booked, available }),
        _ => None,
    };
    Ok(Entry {
        sequence: row.get::<_, i64>("sequence")?.cast_unsigned(),
        at: Wall(row.get("at_us")?),
        business_date: parsed(row, "business_date", BusinessDate::parse)?,
        kind: parsed(row, "kind", Kind::from_name)?,
        mti: parsed(row, "mti", |text| text.parse::<Mti>().ok())?,
        key: row.get("key")?,
        identity: identity(row)?,
        rrn: row.get("rrn")?,
        terminal: row.get("terminal")?,
        account: row.get("account")?,
        currency: row.get::<_, Option<u16>>("currency")?.and_then(Currency::from_numeric),
        amount: row.get("amount")?,
        approved: row.get("approved")?,
        net: row.get("net")?,
        held: row.get("held")?,
        response_code: row.get("response_code")?,
        approval_code: row.get("approval_code")?,
        original: row.get::<_, Option<i64>>("original")?.map(i64::cast_unsigned),
        standing: row.get("standing")?,
        balances,
        pin_tries: row.get("pin_tries").unwrap_or(None),
        unseen: unseen(row)?,
    })
}

fn identity(row: &Row<'_>) -> rusqlite::Result<OriginalKey> {
    Ok(OriginalKey {
        mti: row.get("first_mti")?,
        stan: row.get("stan")?,
        transmission: row.get("transmission")?,
        acquirer: row.get("acquirer")?,
    })
}

fn unseen(row: &Row<'_>) -> rusqlite::Result<Option<OriginalKey>> {
    let Some(mti) = row.get("unseen_mti")? else { return Ok(None) };
    Ok(Some(OriginalKey {
        mti,
        stan: row.get("unseen_stan")?,
        transmission: row.get("unseen_transmission")?,
        acquirer: row.get("unseen_acquirer")?,
    }))
}

fn parsed<T>(row: &Row<'_>, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        let place = row.as_ref().column_index(column).unwrap_or_default();
        rusqlite::Error::InvalidColumnType(place, column.to_owned(), Type::Text)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A directory of one test, gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("isthmus-store-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn entries() -> Vec<Entry> {
        let key = |mti: &str| OriginalKey { mti: mti.into(), stan: "000001".into(), ..OriginalKey::default() };
        let sale = Entry {
            sequence: 1,
            at: Wall(1_795_348_800_000_000),
            business_date: BusinessDate::parse("2026-11-22").unwrap(),
            kind: Kind::Sale,
            mti: "0201".parse().unwrap(),
            key: "0200|1".into(),
            identity: key("0200"),
            rrn: "RRN".into(),
            terminal: "T".into(),
            account: Some("411111-1111".into()),
            currency: Currency::from_code("EUR"),
            amount: 1_299,
            approved: 1_299,
            net: -1_299,
            held: 0,
            response_code: "00".into(),
            approval_code: Some("123456".into()),
            original: None,
            standing: 0,
            balances: Some(Balances { booked: -1, available: -2 }),
            pin_tries: Some(2),
            unseen: None,
        };
        let unseen = Some(key("0100"));
        let reversal =
            Entry { sequence: 2, kind: Kind::Reversal, account: None, unseen, balances: None, ..sale.clone() };
        vec![sale, reversal]
    }

    fn all(store: &Store) -> Vec<Entry> {
        let mut all = Vec::new();
        store.each(|entry| all.push(entry)).unwrap();
        all
    }

    #[test]
    fn entries_come_back_as_they_were_and_others_may_read_them() {
        let directory = Scratch::new("back");
        let path = directory.file("ledger.sqlite");
        let mut store = Store::open(&path, u64::MAX).unwrap();
        store.append(&entries()).unwrap();
        assert_eq!(all(&store), entries());
        let mut later = Vec::new();
        read(&path, 1, |entry| later.push(entry)).unwrap();
        assert_eq!(later, entries()[1..]);
        drop(store);
        assert_eq!(all(&Store::open(&path, u64::MAX).unwrap()), entries());
    }

    #[test]
    fn a_ledger_of_the_first_format_is_read_and_goes_on() {
        let directory = Scratch::new("first");
        let path = directory.file("ledger.sqlite");
        Store::open(&path, 1).unwrap().append(&entries()).unwrap();
        let first = "ALTER TABLE entries DROP COLUMN pin_tries; PRAGMA user_version = 1";
        Connection::open(&path).unwrap().execute_batch(first).unwrap();
        let mut lines = 0;
        read(&path, 0, |_| lines += 1).unwrap();
        let mut store = Store::open(&path, 1).unwrap();
        let without: Vec<Entry> = entries().into_iter().map(|entry| Entry { pin_tries: None, ..entry }).collect();
        assert_eq!((lines, all(&store)), (2, without));
        let next = Entry { sequence: 3, pin_tries: Some(1), ..entries()[0].clone() };
        store.append(std::slice::from_ref(&next)).unwrap();
        assert_eq!(all(&store).last(), Some(&next));
    }

    #[test]
    fn a_second_writer_another_seed_and_another_file_are_refused() {
        let directory = Scratch::new("refused");
        let path = directory.file("ledger.sqlite");
        let store = Store::open(&path, 1).unwrap();
        assert!(matches!(Store::open(&path, 1), Err(StoreError::Taken(_))));
        drop(store);
        assert!(matches!(Store::open(&path, 2), Err(StoreError::Seed { ledger: 1, wanted: 2 })));
        let other = directory.file("other.sqlite");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(Store::open(&other, 1), Err(StoreError::Format(_, 0))));
    }

    #[test]
    fn a_commit_is_whole_or_nothing() {
        let directory = Scratch::new("whole");
        let mut store = Store::open(&directory.file("ledger.sqlite"), 1).unwrap();
        let mut twice = entries();
        twice.extend(entries());
        assert!(store.append(&twice).is_err());
        assert_eq!(all(&store), []);
    }
}
