//! The store of the tokens: cards that merchants have left with us, each sealed under its token's id.
//!
//! An SQLite file beside the journal. Every statement names the merchant, so another's token is not found, which is all
//! that anybody is told of it. The same card (number and expiry) of the same merchant has one token, found by a keyed
//! hash; a card with a new expiry is another card. What is deleted is overwritten in the file and stays in the audit by
//! its id alone. The keys of the requests stay as long as the store, so that a request that was delayed does not bring
//! a deleted card back.

use super::{KNOWN_KEYS, KeyId, KeyRing, Keys, Resealed, SealedCard, VaultError, mistaken_key};
use crate::payment::{Card, CardId, MerchantId, TokenId, Wall};
use crate::transaction::{Fingerprint, IdempotencyKey};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The format of the tables; another number is another program's file, or a later one's.
const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE tokens (
    merchant TEXT NOT NULL, id BLOB NOT NULL, created_at INTEGER NOT NULL,
    key TEXT NOT NULL, search_hash BLOB NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (merchant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_card ON tokens (merchant, search_hash);
CREATE INDEX tokens_by_key ON tokens (key);
CREATE TABLE requests (
    merchant TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, token BLOB NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    token TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END;
PRAGMA user_version = 1;
";

/// How long a connection waits for another.
const BUSY: Duration = Duration::from_secs(2);
/// Connections kept for the next reader.
const IDLE: usize = 8;

/// The store, open. Its calls block.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    keys: KeyRing,
    is_new: bool,
    writer: Mutex<Connection>,
    idle: Mutex<Vec<Connection>>,
}

/// A token with the card that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub id: TokenId,
    /// The card, without a verification code.
    pub card: Card,
    /// When it was made.
    pub created_at: Wall,
}

/// What a merchant asks for.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The name for it, where the card has none yet.
    pub id: TokenId,
    /// Whose it is.
    pub merchant: MerchantId,
    /// The request's key.
    pub key: IdempotencyKey,
    /// What the request says.
    pub fingerprint: Fingerprint,
    /// The card; its verification code is left out.
    pub card: Card,
    /// When.
    pub at: Wall,
}

/// What was made, or had been made already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The token.
    pub token: Token,
    /// Whether the same request was answered before.
    pub replayed: bool,
}

/// Why a token is not made or not found.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key belongs to another request.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// The key belongs to a request whose token was deleted.
    #[error("the token of this request was deleted")]
    Deleted,
    /// The file cannot be made.
    #[error("{}: {fault}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// It is no store of tokens, or one of another format.
    #[error("{}: a file of format {found}, expected tokens of format {FORMAT}", path.display())]
    Format {
        /// Which one.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// Tokens are sealed under a key that was not handed in.
    #[error("tokens are sealed under key {0}, which is not configured")]
    KeyMissing(String),
    /// A key has the name of another one.
    #[error("key {0} of the vault is another one than the one that bore its name before")]
    WrongKey(KeyId),
    /// A card cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// SQLite.
    #[error("the tokens cannot be read or written: {0}")]
    Sql(#[from] rusqlite::Error),
}

impl Tokens {
    /// Opens the store, or makes an empty one that only its owner may read.
    pub fn open(path: &Path, keys: KeyRing) -> Result<Tokens, TokenError> {
        // Only before SQLite opens it: closing another handle of it would drop SQLite's locks.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|fault| TokenError::File { path: path.into(), fault })?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = OFF;",
        )?;
        let (found, is_new) = lay_out(&mut connection)?;
        if found != FORMAT {
            return Err(TokenError::Format { path: path.into(), found });
        }
        let tokens = Tokens { path: path.into(), keys, is_new, writer: Mutex::new(connection), idle: Mutex::default() };
        tokens.may_use(&tokens.keys.now())?;
        Ok(tokens)
    }

    /// Whether there was no store before this one was opened, and so no earlier run on it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether all that lies here can be opened with these keys, each under the name that it always had.
    pub fn may_use(&self, keys: &Keys) -> Result<(), TokenError> {
        let writer = self.writer();
        let mut statement = writer.prepare_cached("SELECT DISTINCT key FROM tokens")?;
        let used = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        if let Some(missing) = used.into_iter().find(|id| !keys.holds(id)) {
            return Err(TokenError::KeyMissing(missing));
        }
        mistaken_key(&writer, keys)?.map_or(Ok(()), |id| Err(TokenError::WrongKey(id)))
    }

    /// Seals at most so many tokens anew that lie under an older key, passing over the first ones, which were stuck.
    pub fn reseal(&self, most: usize, passed: usize) -> Result<Resealed, TokenError> {
        let keys = self.keys.now();
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let older = Older::read(&transaction, keys.current_id(), most, passed)?;
        let mut step = Resealed { is_done: older.is_empty(), ..Resealed::default() };
        for Older { merchant, id, key, sealed } in &older {
            let Ok(anew) = keys.seal_anew(CardId(id.0), key, sealed) else {
                tracing::error!(token = %id, "a token stays under its older key");
                step.stuck += 1;
                continue;
            };
            let SealedCard { key, search_hash, sealed } = anew;
            transaction
                .prepare_cached(
                    "UPDATE tokens SET key = ?3, search_hash = ?4, sealed = ?5 WHERE merchant = ?1 AND id = ?2",
                )?
                .execute(params![merchant, id.0.to_be_bytes(), key, search_hash, sealed])?;
            step.resealed += 1;
        }
        transaction.commit()?;
        Ok(step)
    }

    /// Gives a card its token. Durable when it returns; the same request again gives the same token.
    pub fn create(&self, new: &NewToken) -> Result<Created, TokenError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some((fingerprint, id)) = request(&transaction, &new.merchant, &new.key)? {
            if fingerprint != new.fingerprint.0 {
                return Err(TokenError::KeyReused);
            }
            let token = self.read(&transaction, &new.merchant, id)?.ok_or(TokenError::Deleted)?;
            return Ok(Created { token, replayed: true });
        }
        let token = match self.of_card(&transaction, &new.merchant, &new.card)? {
            Some(token) => token,
            None => self.insert(&transaction, new)?,
        };
        let id = token.id.0.to_be_bytes();
        transaction.prepare_cached("INSERT INTO requests VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            new.merchant.as_str(),
            new.key.as_str(),
            new.fingerprint.0,
            id
        ])?;
        audit(&transaction, new.at, &new.merchant, "create", token.id)?;
        transaction.commit()?;
        Ok(Created { token, replayed: false })
    }

    /// Whether a merchant has used a key for a token, so that a request with it begins nothing.
    pub fn is_known(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<bool, TokenError> {
        self.reading(|connection| Ok(request(connection, merchant, key)?.is_some()))
    }

    /// A merchant's token; `None` where it has no such one, whoever else may have.
    pub fn find(&self, merchant: &MerchantId, id: TokenId) -> Result<Option<Token>, TokenError> {
        self.reading(|connection| self.read(connection, merchant, id))
    }

    /// A merchant's tokens from the newest on, or from behind one of them.
    pub fn list(&self, merchant: &MerchantId, behind: Option<TokenId>, limit: usize) -> Result<Vec<Token>, TokenError> {
        let behind = behind.map_or([0xff; 16], |id| id.0.to_be_bytes());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, created_at, key, sealed FROM tokens WHERE merchant = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![merchant.as_str(), behind, limit], Row::read)?;
            rows.map(|row| self.opened(row?)).collect()
        })
    }

    /// Deletes a merchant's token. `false` where it has no such one.
    pub fn delete(&self, merchant: &MerchantId, id: TokenId, at: Wall) -> Result<bool, TokenError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = transaction.execute(
            "DELETE FROM tokens WHERE merchant = ?1 AND id = ?2",
            params![merchant.as_str(), id.0.to_be_bytes()],
        )?;
        if deleted > 0 {
            audit(&transaction, at, merchant, "delete", id)?;
        }
        transaction.commit()?;
        // The write-ahead log still shows the pages as they were; a reader may hold it for a moment longer.
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(deleted > 0)
    }

    fn insert(&self, transaction: &Transaction<'_>, new: &NewToken) -> Result<Token, TokenError> {
        let NewToken { id, merchant, at, .. } = new;
        let sealed = self.keys.now().seal(CardId(id.0), &new.card)?;
        let SealedCard { key, search_hash, sealed } = sealed;
        transaction.prepare_cached("INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
            merchant.as_str(),
            id.0.to_be_bytes(),
            at.0,
            key,
            search_hash,
            sealed
        ])?;
        Ok(Token { id: *id, card: new.card.without_cvc(), created_at: *at })
    }

    /// The token that a card has already. There are few cards of one number: one for each expiry.
    fn of_card(
        &self,
        connection: &Connection,
        merchant: &MerchantId,
        card: &Card,
    ) -> Result<Option<Token>, TokenError> {
        let mut statement = connection.prepare_cached(
            "SELECT id, created_at, key, sealed FROM tokens WHERE merchant = ?1 AND search_hash = ?2 ORDER BY id",
        )?;
        for hash in self.keys.now().search_hashes(&card.pan) {
            for row in statement.query_map(params![merchant.as_str(), hash], Row::read)? {
                let token = self.opened(row?)?;
                if token.card == card.without_cvc() {
                    return Ok(Some(token));
                }
            }
        }
        Ok(None)
    }

    fn read(&self, connection: &Connection, merchant: &MerchantId, id: TokenId) -> Result<Option<Token>, TokenError> {
        let mut statement = connection
            .prepare_cached("SELECT id, created_at, key, sealed FROM tokens WHERE merchant = ?1 AND id = ?2")?;
        let row = statement.query_row(params![merchant.as_str(), id.0.to_be_bytes()], Row::read).optional()?;
        row.map(|row| self.opened(row)).transpose()
    }

    fn opened(&self, row: Row) -> Result<Token, TokenError> {
        let card = self.keys.now().open(CardId(row.id.0), &row.key, &row.sealed)?;
        Ok(Token { id: row.id, card, created_at: Wall(row.created_at) })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections go back only after a good read: a bad one may be broken.
    fn reading<T>(&self, read: impl FnOnce(&Connection) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        let found = read(&connection)?;
        let mut idle = idle();
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(found)
    }
}

/// A token as it lies there.
struct Row {
    id: TokenId,
    created_at: i64,
    key: String,
    sealed: Vec<u8>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> Result<Row, rusqlite::Error> {
        let id = TokenId(u128::from_be_bytes(row.get(0)?));
        Ok(Row { id, created_at: row.get(1)?, key: row.get(2)?, sealed: row.get(3)? })
    }
}

/// A token that is to be sealed anew.
struct Older {
    merchant: String,
    id: TokenId,
    key: String,
    sealed: Vec<u8>,
}

impl Older {
    fn read(
        connection: &Connection,
        current: &KeyId,
        most: usize,
        passed: usize,
    ) -> Result<Vec<Older>, rusqlite::Error> {
        let mut statement = connection.prepare_cached(
            "SELECT merchant, id, key, sealed FROM tokens WHERE key <> ?1 ORDER BY key, merchant, id LIMIT ?2 OFFSET ?3",
        )?;
        let bound = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![current.as_str(), bound(most), bound(passed)], |row| {
            let id = TokenId(u128::from_be_bytes(row.get(1)?));
            Ok(Older { merchant: row.get(0)?, id, key: row.get(2)?, sealed: row.get(3)? })
        })?;
        rows.collect()
    }
}

fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// What a key was used for.
fn request(
    connection: &Connection,
    merchant: &MerchantId,
    key: &IdempotencyKey,
) -> Result<Option<([u8; 32], TokenId)>, rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("SELECT fingerprint, token FROM requests WHERE merchant = ?1 AND key = ?2")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, TokenId(u128::from_be_bytes(row.get(1)?))));
    statement.query_row([merchant.as_str(), key.as_str()], read).optional()
}

fn audit(
    connection: &Connection,
    at: Wall,
    who: &MerchantId,
    what: &str,
    token: TokenId,
) -> Result<(), rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("INSERT INTO audit (at, who, what, token) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute([&at.rfc3339(), who.as_str(), what, &token.to_string()]).map(drop)
}

/// Makes the tables of an empty file; the format that it then has, and whether it was empty.
fn lay_out(connection: &mut Connection) -> Result<(i64, bool), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let format = || transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = format()? == 0 && tables == 0;
    if is_new {
        transaction.execute_batch(KNOWN_KEYS)?;
        transaction.execute_batch(TABLES)?;
    }
    let found = format()?;
    transaction.commit()?;
    Ok((found, is_new))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::{Cvc, Expiry, Pan};
    use std::sync::atomic::{AtomicU32, Ordering};

    const NUMBER: &str = "4111111111111111";

    /// A store in a folder of its own, which goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("isthmus-tokens-{}-{number}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Place(path)
        }

        fn open(&self, keys: &KeyRing) -> Tokens {
            Tokens::open(&self.0.join("tokens"), keys.clone()).unwrap()
        }

        /// Whether bytes stand in one of its files.
        fn holds(&self, wanted: &[u8]) -> bool {
            let files = std::fs::read_dir(&self.0).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
            files.into_iter().any(|content| content.windows(wanted.len()).any(|bytes| bytes == wanted))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn keys(name: &str, byte: u8) -> Keys {
        Keys::new(KeyId::new(name).unwrap(), &[byte; 32])
    }

    fn new(id: u128, merchant: &str, year: u16) -> NewToken {
        NewToken {
            id: TokenId(id),
            merchant: MerchantId::new(merchant).unwrap(),
            key: IdempotencyKey::new(&format!("key-{id}")).unwrap(),
            fingerprint: Fingerprint([year as u8; 32]),
            card: Card {
                pan: Pan::parse(NUMBER).unwrap(),
                expiry: Expiry::new(year, 12).unwrap(),
                cvc: Some(Cvc::parse("987").unwrap()),
                cryptogram: None,
                present: None,
            },
            at: Wall(1_798_761_599_000_000),
        }
    }

    #[test]
    fn a_card_comes_back_by_its_token_without_its_code() {
        let place = Place::new();
        let tokens = place.open(&keys("k1", 7).into());
        let asked = new(1, "acme", 2030);
        let made = tokens.create(&asked).unwrap();
        assert_eq!((made.token.id, made.replayed, tokens.is_new()), (TokenId(1), false, true));
        let found = tokens.find(&asked.merchant, TokenId(1)).unwrap().unwrap();
        assert_eq!((&found, &found.card.cvc), (&made.token, &None));
        drop(tokens);
        let again = place.open(&keys("k1", 7).into());
        assert!(!again.is_new());
        assert_eq!(again.find(&asked.merchant, TokenId(1)).unwrap(), Some(found));
        assert!(place.holds(b"acme") && !place.holds(NUMBER.as_bytes()) && !place.holds(b"\x41\x11\x11\x11\x11"));
    }

    #[test]
    fn a_token_is_its_merchants_alone() {
        let place = Place::new();
        let tokens = place.open(&keys("k1", 7).into());
        tokens.create(&new(1, "acme", 2030)).unwrap();
        let other = MerchantId::new("other").unwrap();
        assert_eq!(tokens.find(&other, TokenId(1)).unwrap(), None);
        assert!(!tokens.delete(&other, TokenId(1), Wall(0)).unwrap());
        assert_eq!(tokens.list(&other, None, 9).unwrap(), []);
        assert_eq!(tokens.create(&new(2, "other", 2030)).unwrap().token.id, TokenId(2), "the card's token is another");
        assert!(tokens.find(&MerchantId::new("acme").unwrap(), TokenId(1)).unwrap().is_some());
    }

    #[test]
    fn a_card_has_one_token_and_a_renewed_one_another() {
        let place = Place::new();
        let tokens = place.open(&keys("k1", 7).into());
        let first = tokens.create(&new(1, "acme", 2030)).unwrap();
        assert_eq!(tokens.create(&new(2, "acme", 2030)).unwrap(), first);
        assert_eq!(tokens.create(&new(3, "acme", 2034)).unwrap().token.id, TokenId(3));
        let listed = |behind| -> Vec<TokenId> {
            let page = tokens.list(&new(1, "acme", 2030).merchant, behind, 1).unwrap();
            page.iter().map(|token| token.id).collect()
        };
        assert_eq!(
            (listed(None), listed(Some(TokenId(3))), listed(Some(TokenId(1)))),
            (vec![TokenId(3)], vec![TokenId(1)], vec![])
        );
        drop(tokens);
        let rotated = keys("k2", 9).with_older(KeyId::new("k1").unwrap(), &[7; 32]).unwrap();
        let tokens = place.open(&rotated.into());
        assert_eq!(tokens.create(&new(4, "acme", 2030)).unwrap(), first, "under whichever key it is sealed");
    }

    #[test]
    fn a_request_is_answered_as_the_first_time() {
        let place = Place::new();
        let tokens = place.open(&keys("k1", 7).into());
        let first = new(1, "acme", 2030);
        let made = tokens.create(&first).unwrap();
        let again = NewToken { id: TokenId(2), ..first.clone() };
        assert_eq!(tokens.create(&again).unwrap(), Created { replayed: true, ..made });
        let changed = NewToken { fingerprint: Fingerprint([1; 32]), ..again.clone() };
        assert!(matches!(tokens.create(&changed), Err(TokenError::KeyReused)));
        assert!(tokens.is_known(&first.merchant, &first.key).unwrap());
        assert!(!tokens.is_known(&MerchantId::new("other").unwrap(), &first.key).unwrap());
        tokens.delete(&first.merchant, TokenId(1), Wall(0)).unwrap();
        assert!(matches!(tokens.create(&again), Err(TokenError::Deleted)), "a late repeat brings nothing back");
    }

    #[test]
    fn a_deleted_token_is_gone_from_the_file() {
        let place = Place::new();
        let ring: KeyRing = keys("k1", 7).into();
        let tokens = place.open(&ring);
        let asked = new(1, "acme", 2030);
        tokens.create(&asked).unwrap();
        let sealed: Vec<u8> = tokens.writer().query_row("SELECT sealed FROM tokens", [], |row| row.get(0)).unwrap();
        assert!(place.holds(&sealed));
        assert!(tokens.delete(&asked.merchant, TokenId(1), Wall(0)).unwrap());
        assert!(!tokens.delete(&asked.merchant, TokenId(1), Wall(0)).unwrap());
        assert_eq!(tokens.find(&asked.merchant, TokenId(1)).unwrap(), None);
        assert!(!place.holds(&sealed));
        let writer = tokens.writer();
        let mut audit = writer.prepare("SELECT who || ' ' || what || ' ' || token FROM audit ORDER BY number").unwrap();
        let rows: Vec<String> = audit.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [format!("acme create {}", TokenId(1)), format!("acme delete {}", TokenId(1))]);
        assert!(
            writer.execute("DELETE FROM audit", []).is_err()
                && writer.execute("UPDATE audit SET who = ''", []).is_err()
        );
    }

    #[test]
    fn tokens_move_to_the_newest_key_and_need_the_older_one_no_more() {
        let place = Place::new();
        let tokens = place.open(&keys("k1", 7).into());
        let made: Vec<Token> =
            (1..=5).map(|n| tokens.create(&new(n, "acme", 2030 + n as u16)).unwrap().token).collect();
        drop(tokens);
        let path = place.0.join("tokens");
        assert!(matches!(Tokens::open(&path, keys("k2", 9).into()), Err(TokenError::KeyMissing(id)) if id == "k1"));
        let ring: KeyRing = keys("k1", 7).into();
        let tokens = place.open(&ring);
        let rotated = keys("k2", 9).with_older(KeyId::new("k1").unwrap(), &[7; 32]).unwrap();
        tokens.may_use(&rotated).unwrap();
        ring.replace(rotated);
        tokens.writer().execute("UPDATE tokens SET sealed = x'01' WHERE id = ?1", [5_u128.to_be_bytes()]).unwrap();
        let step = |resealed, stuck, is_done| Resealed { resealed, stuck, is_done };
        assert_eq!(tokens.reseal(2, 0).unwrap(), step(2, 0, false));
        assert_eq!(tokens.reseal(9, 0).unwrap(), step(2, 1, false), "one is damaged");
        assert_eq!(tokens.reseal(9, 1).unwrap(), step(0, 0, true));
        assert!(matches!(tokens.may_use(&keys("k2", 9)), Err(TokenError::KeyMissing(_))), "it lies there still");
        tokens.writer().execute("DELETE FROM tokens WHERE key = 'k1'", []).unwrap();
        let found =
            tokens.create(&NewToken { key: IdempotencyKey::new("x").unwrap(), ..new(9, "acme", 2031) }).unwrap();
        assert_eq!(found.token, made[0], "found by its new hash");
        drop(tokens);
        let tokens = place.open(&keys("k2", 9).into());
        for token in made.into_iter().take(4) {
            assert_eq!(tokens.find(&MerchantId::new("acme").unwrap(), token.id).unwrap(), Some(token));
        }
    }

    #[test]
    fn another_key_by_the_same_name_and_a_strange_file_are_refused() {
        let place = Place::new();
        place.open(&keys("k1", 7).into());
        let path = place.0.join("tokens");
        assert!(matches!(Tokens::open(&path, keys("k1", 8).into()), Err(TokenError::WrongKey(_))));
        let strange = place.0.join("strange");
        Connection::open(&strange).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
        assert!(matches!(Tokens::open(&strange, keys("k1", 7).into()), Err(TokenError::Format { found: 9, .. })));
    }
}
