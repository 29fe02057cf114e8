//! The views: what the journal says, indexed, in a file of their own that can be thrown away at any time.
//!
//! Each batch of rows goes in with the cursor in one transaction, so that each row counts exactly once. A power cut may
//! take the last batches back, and the cursor with them. The surprise: whether a payment is in motion is not counted
//! here, it is asked of the payment's fold.

use super::JournalError;
use super::key_filter::KeyFilter;
use super::log::Log;
use super::private;
use super::row::{Content, Row, decode_host, encode_host};
use super::settings::StorePath;
use crate::payment::{MerchantId, PaymentId, Wall};
use crate::switch::{AuditEntry, HostMark, NumberBlock};
use crate::transaction::{Body, IdempotencyKey, Listing, Page, Payment, PaymentStatus, Place, Record, Requested};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// To be raised with every change of the tables below: the views are then made anew.
const SCHEMA: i64 = 5;

const TABLES: &str = "
    CREATE TABLE cursor (store BLOB NOT NULL, sequence INTEGER NOT NULL);
    CREATE TABLE payments (
        payment BLOB PRIMARY KEY, merchant TEXT NOT NULL, created INTEGER NOT NULL, status TEXT,
        moving INTEGER NOT NULL, history BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX moving ON payments (payment) WHERE moving = 1;
    CREATE INDEX listed ON payments (merchant, created, payment) WHERE status IS NOT NULL;
    CREATE TABLE idempotency_keys (
        merchant TEXT, key TEXT, payment BLOB NOT NULL, PRIMARY KEY (merchant, key)
    ) WITHOUT ROWID;
    CREATE TABLE payment_references (
        merchant TEXT, reference TEXT, created INTEGER, payment BLOB,
        PRIMARY KEY (merchant, reference, created, payment)
    ) WITHOUT ROWID;
    CREATE TABLE periods (
        merchant TEXT, period TEXT, payment BLOB, PRIMARY KEY (merchant, period, payment)
    ) WITHOUT ROWID;
    CREATE TABLE exceptions (payment BLOB, obligation INTEGER, PRIMARY KEY (payment, obligation)) WITHOUT ROWID;
    CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, command TEXT NOT NULL
    );
    CREATE TABLE hosts (host TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE numbers (acquirer TEXT PRIMARY KEY, stans INTEGER NOT NULL, rrns INTEGER NOT NULL) WITHOUT ROWID;
";

/// How many folded payments are kept between batches; one that is not is folded anew when its next record comes.
const FOLDS_KEPT: usize = 65_536;

/// How many payments a page of a list looks at; where its filter leaves few of them, the page is short.
const LOOKED_AT: usize = 5_000;

/// A connection to the views' file.
pub(super) struct Views {
    connection: Connection,
    folds: HashMap<PaymentId, Payment>,
}

/// What the views know of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Version of its last record.
    pub(super) version: u32,
    pub(super) merchant: MerchantId,
}

impl Views {
    /// Opens the views of a journal, made anew where they are missing, unreadable, of another schema or another store.
    pub(super) fn open(store: &StorePath, log: &Log) -> Result<Views, JournalError> {
        let (id, last) = (log.identity()?.id, log.last_sequence()?);
        if let Ok(views) = Views::connect(store)
            && views.belong_to(&id, last).unwrap_or(false)
        {
            return Ok(views);
        }
        tracing::info!(rows = last, "the views are made anew from the journal");
        remove(store)?;
        let mut views = Views::connect(store)?;
        views.make_tables(&id)?;
        Ok(views)
    }

    fn connect(store: &StorePath) -> Result<Views, JournalError> {
        private::make_file(&store.views())?;
        let connection = Connection::open(store.views())?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;")?;
        Ok(Views { connection, folds: HashMap::new() })
    }

    /// Opens them for reading.
    pub(super) fn open_reader(store: &StorePath) -> Result<Views, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(store.views(), flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(Views { connection, folds: HashMap::new() })
    }

    fn belong_to(&self, id: &[u8], last: i64) -> Result<bool, JournalError> {
        let schema: i64 = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema != SCHEMA {
            return Ok(false);
        }
        let store: Vec<u8> = self.connection.query_row("SELECT store FROM cursor", [], |row| row.get(0))?;
        Ok(store == id && self.cursor()? <= last)
    }

    fn make_tables(&mut self, id: &[u8]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO cursor VALUES (?1, 0)", [id])?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        Ok(transaction.commit()?)
    }

    /// Sequence number of the last row taken.
    pub(super) fn cursor(&self) -> Result<i64, JournalError> {
        Ok(self.connection.query_row("SELECT sequence FROM cursor", [], |row| row.get(0))?)
    }

    /// Takes the rows that follow the cursor. Rows that were taken before are passed over.
    pub(super) fn take<'a>(&mut self, rows: impl IntoIterator<Item = &'a Row>, log: &Log) -> Result<i64, JournalError> {
        let mut folds = std::mem::take(&mut self.folds);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batch = Batch { transaction: &transaction, log, folds: &mut folds, touched: BTreeMap::new() };
        let cursor = batch.take(rows)?;
        transaction.commit()?;
        folds.retain(|_, payment| !payment.is_at_rest());
        if folds.len() <= FOLDS_KEPT {
            self.folds = folds;
        }
        Ok(cursor)
    }

    /// What is known of a payment.
    pub(super) fn head(&self, payment: PaymentId) -> Result<Option<Head>, JournalError> {
        head(&self.connection, payment)
    }

    /// The greatest payment id there is.
    pub(super) fn greatest_payment(&self) -> Result<Option<PaymentId>, JournalError> {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, Option<[u8; 16]>>(0);
        let found = self.connection.query_row("SELECT max(payment) FROM payments", [], read)?;
        Ok(found.map(|id| PaymentId(u128::from_be_bytes(id))))
    }

    /// Sequence numbers of a payment's records, by version.
    pub(super) fn history(&self, payment: PaymentId) -> Result<Vec<(u32, i64)>, JournalError> {
        history(&self.connection, payment)
    }

    /// The payment in which a key was used.
    pub(super) fn by_key(
        &self,
        merchant: &MerchantId,
        key: &IdempotencyKey,
    ) -> Result<Option<PaymentId>, JournalError> {
        let mut statement =
            self.connection.prepare_cached("SELECT payment FROM idempotency_keys WHERE merchant = ?1 AND key = ?2")?;
        Ok(statement.query_row([merchant.as_str(), key.as_str()], payment_id).optional()?)
    }

    /// A page of a list.
    pub(super) fn list(&self, listing: &Listing) -> Result<Page, JournalError> {
        let from = match listing.reference {
            Some(_) => "payment_references JOIN payments USING (merchant, created, payment) WHERE reference = ?5 AND",
            None => "payments WHERE ?5 IS NULL AND",
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT created, payment, status FROM {from} status IS NOT NULL AND merchant = ?1 AND created >= ?2
             AND (created, payment) < (?3, ?4) ORDER BY created DESC, payment DESC"
        ))?;
        let (merchant, ceiling) = (listing.merchant.as_str(), listing.ceiling());
        let bounds = params![merchant, listing.from.0, ceiling.created.0, bytes(ceiling.payment), listing.reference];
        let mut rows = statement.query(bounds)?;
        let (mut page, mut last) = (Page::default(), None);
        for looked_at in 0.. {
            let Some(row) = rows.next()? else { break };
            if page.places.len() == listing.limit || looked_at == LOOKED_AT {
                page.next = last;
                break;
            }
            let payment = PaymentId(u128::from_be_bytes(row.get(1)?));
            let place = Place { created: Wall(row.get(0)?), payment };
            last = Some(place);
            let status = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            if listing.status.is_none_or(|wanted| wanted.name() == status) {
                page.places.push(place);
            }
        }
        Ok(page)
    }

    /// Payments of which an operation counts in a period, at most `limit`.
    pub(super) fn of_period(
        &self,
        merchant: &MerchantId,
        period: &str,
        limit: usize,
    ) -> Result<Vec<PaymentId>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT payment FROM periods WHERE merchant = ?1 AND period = ?2 ORDER BY payment LIMIT ?3",
        )?;
        let found = statement.query_map(params![merchant.as_str(), period, limit as i64], payment_id)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Tells a filter of all keys there are.
    pub(super) fn tell_keys(&self, filter: &KeyFilter) -> Result<(), JournalError> {
        let mut statement = self.connection.prepare("SELECT merchant, key FROM idempotency_keys")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let (merchant, key) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
            filter.add(merchant.map_err(rusqlite::Error::from)?, key.map_err(rusqlite::Error::from)?);
        }
        Ok(())
    }

    /// Obligations that ended as a matter for a person, at most `limit`, oldest payment first.
    pub(super) fn exceptions(&self, limit: usize) -> Result<Vec<(PaymentId, u16)>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT payment, obligation FROM exceptions ORDER BY payment, obligation LIMIT ?1")?;
        let found = statement.query_map([limit as i64], |row| Ok((payment_id(row)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How many obligations are a matter for a person.
    pub(super) fn count_exceptions(&self) -> Result<usize, JournalError> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM exceptions", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// All payments in motion.
    pub(super) fn moving(&self) -> Result<Vec<PaymentId>, JournalError> {
        let mut statement = self.connection.prepare("SELECT payment FROM payments WHERE moving = 1")?;
        let found = statement.query_map([], payment_id)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The last `limit` orders of operators, latest first.
    pub(super) fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT at, who, why, command FROM audit ORDER BY sequence DESC LIMIT ?1")?;
        let found = statement.query_map([limit as i64], |row| {
            Ok(AuditEntry { at: Wall(row.get(0)?), who: row.get(1)?, why: row.get(2)?, order: row.get(3)? })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How the hosts stood last. A state that cannot be read is as good as none: it is found out anew.
    pub(super) fn hosts(&self) -> Result<Vec<HostMark>, JournalError> {
        let mut statement = self.connection.prepare("SELECT state FROM hosts ORDER BY host")?;
        let found = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        let states: Vec<Vec<u8>> = found.collect::<Result<_, _>>()?;
        Ok(states.iter().filter_map(|state| decode_host(state).ok()).collect())
    }

    /// How far numbers are reserved, an entry an acquirer.
    pub(super) fn numbers(&self) -> Result<Vec<NumberBlock>, JournalError> {
        let mut statement = self.connection.prepare("SELECT acquirer, stans, rrns FROM numbers ORDER BY acquirer")?;
        let found = statement.query_map([], |row| {
            let acquirer: String = row.get(0)?;
            let (stans, rrns): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(NumberBlock { acquirer: acquirer.as_str().into(), stans: stans as u64, rrns: rrns as u64 })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

/// How a payment stands after a batch.
#[derive(Default)]
struct Touched {
    is_moving: bool,
    /// Whose it is and since when, of a payment that began in this batch.
    begun: Option<(MerchantId, Wall)>,
    /// How it is listed, where its history folds and it is no inquiry.
    status: Option<PaymentStatus>,
    /// What the batch adds to its history.
    history: Vec<u8>,
}

/// Rows on their way into the views.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    log: &'a Log,
    folds: &'a mut HashMap<PaymentId, Payment>,
    /// Payments of this batch.
    touched: BTreeMap<PaymentId, Touched>,
}

impl Batch<'_> {
    fn take<'r>(&mut self, rows: impl IntoIterator<Item = &'r Row>) -> Result<i64, JournalError> {
        let mut found = self.transaction.prepare_cached("SELECT sequence FROM cursor")?;
        let mut cursor: i64 = found.query_row([], |row| row.get(0))?;
        for row in rows {
            if row.sequence <= cursor {
                continue;
            }
            match &row.content {
                Content::Record(record) => self.record(record, row.sequence)?,
                Content::Numbers(block) => self.numbers(block)?,
                Content::Host(mark) => self.host(mark)?,
                Content::Audit(audit) => self.audit(audit, row.sequence)?,
            }
            cursor = row.sequence;
        }
        self.mark_touched()?;
        self.transaction.prepare_cached("UPDATE cursor SET sequence = ?1")?.execute([cursor])?;
        Ok(cursor)
    }

    fn record(&mut self, record: &Record, sequence: i64) -> Result<(), JournalError> {
        self.fold(record)?;
        let touched = self.touched.entry(record.payment).or_default();
        touched.history.extend(place_in_history(record.version, sequence));
        match &record.body {
            Body::Requested(requested) => self.requested(record, requested)?,
            Body::Discharged { obligation, discharge } => {
                self.exception(record.payment, *obligation, discharge.is_exception())?;
            }
            Body::Reopened { obligation } => self.exception(record.payment, *obligation, false)?,
            Body::Settled(_) | Body::LateReply { .. } | Body::Rerouted(_) => {}
        }
        Ok(())
    }

    /// A history that does not fold stays in motion: it is found at the next start, by whoever can judge it.
    fn fold(&mut self, record: &Record) -> Result<(), JournalError> {
        let payment = record.payment;
        let folded = match self.folds.remove(&payment) {
            _ if record.version == 1 => Payment::begin(record).ok(),
            Some(mut known) => known.apply(record).ok().map(|()| known),
            None => self.fold_stored(record)?,
        };
        if folded.is_none() {
            tracing::error!(%payment, version = record.version, "the history of a payment does not fold");
        }
        let touched = self.touched.entry(payment).or_default();
        touched.is_moving = folded.as_ref().is_none_or(|payment| !payment.is_at_rest());
        touched.status = folded.as_ref().filter(|p| !p.is_inquiry()).map(Payment::status).or(touched.status);
        self.folds.extend(folded.map(|folded| (payment, folded)));
        Ok(())
    }

    fn fold_stored(&self, record: &Record) -> Result<Option<Payment>, JournalError> {
        let mut records = Vec::new();
        for (_, sequence) in history(self.transaction, record.payment)? {
            records.extend(self.log.row(sequence)?.record().cloned());
        }
        records.push(record.clone());
        Ok(Payment::fold(&records).ok())
    }

    fn requested(&mut self, record: &Record, requested: &Requested) -> Result<(), JournalError> {
        let payment = record.payment;
        if let Some(origin) = &requested.origin {
            // Inquiries are in no list.
            if !requested.kind.is_inquiry() {
                let mut insert =
                    self.transaction.prepare_cached("INSERT INTO payment_references VALUES (?1, ?2, ?3, ?4)")?;
                insert.execute(params![origin.merchant.as_str(), origin.reference, record.at.0, bytes(payment)])?;
            }
            let touched = self.touched.entry(payment).or_default();
            touched.begun = Some((origin.merchant.clone(), record.at));
        }
        let Some(merchant) = self.merchant_of(payment)? else { return Ok(()) };
        let mut insert = self.transaction.prepare_cached("INSERT INTO idempotency_keys VALUES (?1, ?2, ?3)")?;
        insert.execute(params![merchant.as_str(), requested.key.as_str(), bytes(payment)])?;
        if let Some(period) = requested.provenance.as_ref().and_then(|from| from.period.as_ref()) {
            let mut insert = self.transaction.prepare_cached("INSERT OR IGNORE INTO periods VALUES (?1, ?2, ?3)")?;
            insert.execute(params![merchant.as_str(), period, bytes(payment)])?;
        }
        Ok(())
    }

    fn merchant_of(&self, payment: PaymentId) -> Result<Option<MerchantId>, JournalError> {
        let begun = self.touched.get(&payment).and_then(|touched| touched.begun.as_ref());
        match (begun, self.folds.get(&payment)) {
            (Some((merchant, _)), _) => Ok(Some(merchant.clone())),
            (None, Some(folded)) => Ok(Some(folded.origin.merchant.clone())),
            (None, None) => Ok(head(self.transaction, payment)?.map(|head| head.merchant)),
        }
    }

    fn exception(&self, payment: PaymentId, obligation: u16, is_one: bool) -> Result<(), JournalError> {
        let change = match is_one {
            true => "INSERT OR IGNORE INTO exceptions VALUES (?1, ?2)",
            false => "DELETE FROM exceptions WHERE payment = ?1 AND obligation = ?2",
        };
        self.transaction.prepare_cached(change)?.execute(params![bytes(payment), obligation])?;
        Ok(())
    }

    fn numbers(&self, block: &NumberBlock) -> Result<(), JournalError> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO numbers VALUES (?1, ?2, ?3) ON CONFLICT (acquirer)
             DO UPDATE SET stans = max(stans, excluded.stans), rrns = max(rrns, excluded.rrns)",
        )?;
        insert.execute(params![block.acquirer.as_str(), block.stans as i64, block.rrns as i64])?;
        Ok(())
    }

    fn host(&self, mark: &HostMark) -> Result<(), JournalError> {
        let mut insert = self.transaction.prepare_cached("INSERT OR REPLACE INTO hosts VALUES (?1, ?2)")?;
        insert.execute(params![mark.host.as_str(), encode_host(mark)])?;
        Ok(())
    }

    fn audit(&self, audit: &AuditEntry, sequence: i64) -> Result<(), JournalError> {
        let mut insert = self.transaction.prepare_cached("INSERT OR IGNORE INTO audit VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute(params![sequence, audit.at.0, audit.who, audit.why, audit.order])?;
        Ok(())
    }

    /// Each payment is written once, however many of its records are in the batch.
    fn mark_touched(&self) -> Result<(), JournalError> {
        let mut insert = self.transaction.prepare_cached("INSERT INTO payments VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut update = self.transaction.prepare_cached(
            "UPDATE payments SET status = coalesce(?2, status), moving = ?3, history = CAST(history || ?4 AS BLOB)
             WHERE payment = ?1",
        )?;
        for (payment, touched) in &self.touched {
            let (payment, status) = (bytes(*payment), touched.status.map(PaymentStatus::name));
            let Touched { is_moving, history, .. } = touched;
            match &touched.begun {
                Some((merchant, at)) => {
                    insert.execute(params![payment, merchant.as_str(), at.0, status, is_moving, history])?
                }
                None => update.execute(params![payment, status, is_moving, history])?,
            };
        }
        Ok(())
    }
}

fn head(connection: &Connection, payment: PaymentId) -> Result<Option<Head>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT merchant, history FROM payments WHERE payment = ?1")?;
    let found = statement.query_row([bytes(payment)], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)));
    let Some((merchant, history)) = found.optional()? else { return Ok(None) };
    let last = places_in_history(&history).last();
    Ok(MerchantId::new(&merchant).zip(last).map(|(merchant, (version, _))| Head { version, merchant }))
}

fn history(connection: &Connection, payment: PaymentId) -> Result<Vec<(u32, i64)>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT history FROM payments WHERE payment = ?1")?;
    let found: Option<Vec<u8>> = statement.query_row([bytes(payment)], |row| row.get(0)).optional()?;
    Ok(places_in_history(&found.unwrap_or_default()).collect())
}

/// Version of a record and its sequence number: twelve bytes, oldest first in a payment's history.
fn place_in_history(version: u32, sequence: i64) -> impl Iterator<Item = u8> {
    version.to_be_bytes().into_iter().chain(sequence.to_be_bytes())
}

fn places_in_history(history: &[u8]) -> impl Iterator<Item = (u32, i64)> {
    let places = history.as_chunks::<12>().0.iter();
    places.map(|[a, b, c, d, sequence @ ..]| (u32::from_be_bytes([*a, *b, *c, *d]), i64::from_be_bytes(*sequence)))
}

fn bytes(payment: PaymentId) -> [u8; 16] {
    payment.0.to_be_bytes()
}

fn payment_id(row: &rusqlite::Row<'_>) -> rusqlite::Result<PaymentId> {
    Ok(PaymentId(u128::from_be_bytes(row.get(0)?)))
}

/// Removes the views' file and what SQLite keeps beside it.
fn remove(store: &StorePath) -> Result<(), JournalError> {
    for ending in ["", "-wal", "-shm"] {
        let mut path = store.views().into_os_string();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::File { path: path.into(), source });
            }
            _ => {}
        }
    }
    Ok(())
}
