//! Where the store lies and how much room it takes.

use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Settings of the journal. All have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `sqlite:PATH`: the journal file. Its views, its lock and its write-ahead log stand beside it.
    pub store: StorePath,
    /// Number of this node; a store belongs to the node that made it.
    pub node: u16,
    /// Size of the write-ahead log in MiB: made at once and kept, so that no commit waits for a file to grow.
    pub wal_mib: u32,
    /// Bound of the journal file in MiB; beyond it nothing is recorded and the service is not ready. 0 is no bound.
    pub max_journal_mib: u32,
    /// Records that one commit takes at most.
    pub max_batch_records: NonZeroUsize,
    /// How many records the views may be behind before commits wait for them.
    pub max_view_lag_records: NonZeroUsize,
    /// Size in MiB of the filter that spares new idempotency keys a look-up; 16 are good for ten million keys.
    pub key_filter_mib: u32,
    /// How long a card is kept after the payment that brought it.
    pub card_retention_days: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: StorePath("isthmus.db".into()),
            node: 1,
            wal_mib: 64,
            max_journal_mib: 0,
            max_batch_records: const { NonZeroUsize::new(1024).unwrap() },
            max_view_lag_records: const { NonZeroUsize::new(100_000).unwrap() },
            key_filter_mib: 16,
            card_retention_days: 180,
        }
    }
}

impl Settings {
    /// Defaults with the journal file at a path.
    pub fn at(path: impl Into<PathBuf>) -> Settings {
        Settings { store: StorePath(path.into()), ..Settings::default() }
    }
}

impl Settings {
    /// The same settings with the store's path taken from `folder` where it is relative.
    pub fn relative_to(mut self, folder: &Path) -> Settings {
        self.store = StorePath(folder.join(self.store.journal()));
        self
    }
}

/// Path of the journal file, written `sqlite:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StorePath(PathBuf);

impl TryFrom<String> for StorePath {
    type Error = &'static str;

    fn try_from(text: String) -> Result<StorePath, &'static str> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(StorePath(path.into())),
            _ => Err("a store is written sqlite:PATH"),
        }
    }
}

impl StorePath {
    /// The journal file.
    pub fn journal(&self) -> &Path {
        &self.0
    }

    /// The views' file.
    pub fn views(&self) -> PathBuf {
        self.beside("views")
    }

    /// The lock file.
    pub fn lock(&self) -> PathBuf {
        self.beside("lock")
    }

    /// The socket of the operators.
    pub fn control(&self) -> PathBuf {
        self.beside("control")
    }

    /// The store of the merchant register.
    pub fn merchants(&self) -> PathBuf {
        self.beside("merchants")
    }

    /// The store of the tokens.
    pub fn tokens(&self) -> PathBuf {
        self.beside("tokens")
    }

    /// The journal's write-ahead log.
    pub(super) fn wal(&self) -> PathBuf {
        self.beside("wal")
    }

    fn beside(&self, what: &str) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push("-");
        name.push(what);
        name.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_settings_have_defaults_and_unknown_ones_are_refused() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        let given: Settings = toml::from_str("store = \"sqlite:/var/lib/isthmus/isthmus.db\"\nwal_mib = 8").unwrap();
        assert_eq!(given.store.views(), Path::new("/var/lib/isthmus/isthmus.db-views"));
        assert_eq!(given.wal_mib, 8);
        assert!(toml::from_str::<Settings>("wal_mb = 8").is_err());
        assert!(toml::from_str::<Settings>("max_view_lag_records = 0").is_err(), "commits would wait for ever");
        assert!(toml::from_str::<Settings>("store = \"isthmus.db\"").is_err());
    }
}
