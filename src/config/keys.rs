//! The keys of a node, each in a file of its own: 32 bytes as 64 hexadecimal digits.

use super::mistake::Mistake;
use crate::edge::FingerprintKey;
use crate::vault;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The `[keys]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFiles {
    /// Name of the key that seals cards; it stands beside what it sealed.
    pub vault_key_id: String,
    /// File of the key that seals cards.
    pub vault_key_file: PathBuf,
    /// Keys that sealed before, as long as cards lie under them.
    #[serde(default)]
    pub older_vault_keys: Vec<OlderKey>,
    /// File of the key of the requests' fingerprints. Under another key, repeats of earlier requests are refused.
    pub fingerprint_key_file: PathBuf,
}

/// A key that sealed before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OlderKey {
    /// Its name.
    pub id: String,
    /// Its file.
    pub file: PathBuf,
}

/// The keys, read.
#[derive(Debug)]
pub struct Secrets {
    /// Seals cards.
    pub vault: vault::Keys,
    /// Tells repeated requests.
    pub fingerprint: FingerprintKey,
}

impl KeyFiles {
    /// The same with its files looked for from `folder`.
    pub fn relative_to(mut self, folder: &Path) -> KeyFiles {
        self.vault_key_file = folder.join(&self.vault_key_file);
        self.older_vault_keys.iter_mut().for_each(|older| older.file = folder.join(&older.file));
        self.fingerprint_key_file = folder.join(&self.fingerprint_key_file);
        self
    }

    /// Reads the keys.
    pub fn read(&self) -> Result<Secrets, Mistake> {
        let id = key_id(&self.vault_key_id, &self.vault_key_file, "keys.vault_key_id")?;
        let mut vault = vault::Keys::new(id, &*key(&self.vault_key_file)?);
        for OlderKey { id, file } in &self.older_vault_keys {
            let older = key_id(id, file, "keys.older_vault_keys.id")?;
            vault = vault.with_older(older, &*key(file)?).map_err(|_taken| {
                Mistake::in_file(file, "keys.older_vault_keys.id", "a name that no other vault key has")
            })?;
        }
        Ok(Secrets { vault, fingerprint: FingerprintKey(key(&self.fingerprint_key_file)?) })
    }
}

fn key_id(text: &str, file: &Path, key: &str) -> Result<vault::KeyId, Mistake> {
    let id = vault::KeyId::new(text);
    id.ok_or_else(|| Mistake::in_file(file, key, "1 to 32 letters, digits, dots, dashes"))
}

fn key(path: &Path) -> Result<Zeroizing<[u8; 32]>, Mistake> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| Mistake::about_file(path, &format!("a readable key file ({error})")))?;
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map(Zeroizing::new).ok();
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()).map(Zeroizing::new);
    key.ok_or_else(|| Mistake::about_file(path, "64 hexadecimal digits"))
}
