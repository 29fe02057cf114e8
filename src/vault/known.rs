//! The keys that a store has seen, each by a check value: the same name never stands for another key.

use super::{KeyId, Keys};
use rusqlite::{Connection, OptionalExtension, params};

/// The table of them.
pub const KNOWN_KEYS: &str = "CREATE TABLE vault_keys (id TEXT PRIMARY KEY, check_value BLOB NOT NULL) WITHOUT ROWID;";

/// The first of these keys whose name the store knows from another one; otherwise all of them are known from now on.
pub fn mistaken_key(connection: &Connection, keys: &Keys) -> Result<Option<KeyId>, rusqlite::Error> {
    for (id, value) in keys.check_values() {
        let known = connection.query_row("SELECT check_value FROM vault_keys WHERE id = ?1", [id.as_str()], |row| {
            row.get::<_, Vec<u8>>(0)
        });
        match known.optional()? {
            Some(known) if known == value => {}
            Some(_) => return Ok(Some(id.clone())),
            None => {
                connection.execute("INSERT INTO vault_keys VALUES (?1, ?2)", params![id.as_str(), value])?;
            }
        }
    }
    Ok(None)
}
