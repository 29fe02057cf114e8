//! Changes to the register: checked as the switch would check them before they are written.
//!
//! What stands in the configuration is not changed here. Whatever an order would leave behind, the whole register must
//! still be one: a key that another merchant has is refused as it would be in the configuration.

use super::store::{Change, MerchantStore, MerchantStoreError, Order};
use super::{MerchantSettings, Register, RegisterError, Sources};
use std::path::{Path, PathBuf};

/// Whoever changes the register.
#[derive(Debug)]
pub struct Registrar {
    store: MerchantStore,
    configured: Vec<MerchantSettings>,
    folder: PathBuf,
}

/// Where a merchant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration.
    Configuration,
    /// In the store.
    Register,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// The store.
    #[error(transparent)]
    Store(#[from] MerchantStoreError),
    /// There is no such merchant.
    #[error("there is no merchant {0}; `isthmus merchant list` shows all")]
    Unknown(String),
    /// There is one already.
    #[error("there is a merchant {0} already; `isthmus merchant show {0}` shows it")]
    Exists(String),
    /// It stands in the configuration.
    #[error("merchant {0} stands in the configuration, which counts: change it there")]
    Configured(String),
    /// The register would not be one any more.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// What was asked for does not fit the merchant.
    #[error("{0}")]
    Refused(String),
}

impl Registrar {
    /// Opens the store beside these merchants of a configuration.
    pub fn open(
        path: &Path,
        configured: Vec<MerchantSettings>,
        folder: &Path,
    ) -> Result<Registrar, MerchantStoreError> {
        Ok(Registrar { store: MerchantStore::open(path)?, configured, folder: folder.to_owned() })
    }

    /// All merchants that count, the configured ones first.
    pub fn merchants(&self) -> Result<Vec<(Origin, MerchantSettings)>, RegistrarError> {
        let stored = self.store.merchants()?.into_iter().filter(|merchant| !self.is_configured(&merchant.id));
        let configured = self.configured.iter().cloned().map(|merchant| (Origin::Configuration, merchant));
        Ok(configured.chain(stored.map(|merchant| (Origin::Register, merchant))).collect())
    }

    /// One of them.
    pub fn merchant(&self, id: &str) -> Result<(Origin, MerchantSettings), RegistrarError> {
        let found = self.merchants()?.into_iter().find(|(_, merchant)| merchant.id == id);
        found.ok_or_else(|| RegistrarError::Unknown(id.to_owned()))
    }

    /// Adds a merchant.
    pub fn add(&mut self, merchant: &MerchantSettings, order: &Order) -> Result<(), RegistrarError> {
        if self.is_configured(&merchant.id) {
            return Err(RegistrarError::Exists(merchant.id.clone()));
        }
        self.write(order, |stored| match stored.iter().any(|known| known.id == merchant.id) {
            true => Err(RegistrarError::Exists(merchant.id.clone())),
            false => Ok(vec![merchant.clone()]),
        })
    }

    /// Changes a merchant.
    pub fn change(
        &mut self,
        id: &str,
        order: &Order,
        change: impl FnOnce(&mut MerchantSettings) -> Result<(), RegistrarError>,
    ) -> Result<(), RegistrarError> {
        if self.is_configured(id) {
            return Err(RegistrarError::Configured(id.to_owned()));
        }
        self.write(order, |stored| {
            let found = stored.iter().find(|merchant| merchant.id == id).cloned();
            let mut merchant = found.ok_or_else(|| RegistrarError::Unknown(id.to_owned()))?;
            change(&mut merchant)?;
            Ok(vec![merchant])
        })
    }

    /// Removes a merchant that was suspended, so that nobody finds out by this what still used it.
    pub fn remove(&mut self, id: &str, order: &Order) -> Result<(), RegistrarError> {
        if self.is_configured(id) {
            return Err(RegistrarError::Configured(id.to_owned()));
        }
        self.store.remove(order, id, |merchant| match merchant {
            None => Err(RegistrarError::Unknown(id.to_owned())),
            Some(merchant) if !merchant.suspended => {
                Err(RegistrarError::Refused(format!("merchant {id} is active; `isthmus merchant suspend {id}` first")))
            }
            Some(_) => Ok(()),
        })
    }

    /// Takes merchants as they are written down, new ones and other ones in place of those that there are: all or none.
    /// The identifiers of those that differ from what there was.
    pub fn import(&mut self, merchants: Vec<MerchantSettings>, order: &Order) -> Result<Vec<String>, RegistrarError> {
        if let Some(merchant) = merchants.iter().find(|merchant| self.is_configured(&merchant.id)) {
            return Err(RegistrarError::Configured(merchant.id.clone()));
        }
        let mut changed = Vec::new();
        self.write(order, |stored| {
            let new: Vec<_> = merchants.into_iter().filter(|merchant| !stored.contains(merchant)).collect();
            changed = new.iter().map(|merchant| merchant.id.clone()).collect();
            Ok(new)
        })?;
        Ok(changed)
    }

    /// The last changes, newest first.
    pub fn changes(&self, limit: usize) -> Result<Vec<Change>, RegistrarError> {
        Ok(self.store.changes(limit)?)
    }

    /// What keeps merchants of the store from being taken, each in a line.
    pub fn faults(&self) -> Result<Vec<String>, MerchantStoreError> {
        let (stored, unreadable): (Vec<_>, Vec<_>) = self.store.documents()?.into_iter().partition(Result::is_ok);
        let stored: Vec<MerchantSettings> = stored.into_iter().flatten().collect();
        let mut faults: Vec<String> = unreadable.into_iter().filter_map(Result::err).map(|e| e.to_string()).collect();
        let sources = Sources { configured: &self.configured, folder: &self.folder, stored: &stored, previous: None };
        if let Err(errors) = Register::of(sources) {
            faults.extend(told(&sources, &errors));
        }
        Ok(faults)
    }

    fn is_configured(&self, id: &str) -> bool {
        self.configured.iter().any(|merchant| merchant.id == id)
    }

    fn write(
        &mut self,
        order: &Order,
        change: impl FnOnce(&[MerchantSettings]) -> Result<Vec<MerchantSettings>, RegistrarError>,
    ) -> Result<(), RegistrarError> {
        let (configured, folder) = (&self.configured, &self.folder);
        self.store.change(order, |mut stored| {
            let new = change(&stored)?;
            stored.retain(|merchant| new.iter().all(|other| other.id != merchant.id));
            stored.extend(new.iter().cloned());
            let sources = Sources { configured, folder, stored: &stored, previous: None };
            Register::of(sources).map_err(|errors| RegistrarError::Faults(told(&sources, &errors)))?;
            Ok(new)
        })
    }
}

/// Mistakes under the names of those whose they are.
pub(super) fn told(sources: &Sources<'_>, errors: &[RegisterError]) -> Vec<String> {
    let all: Vec<&MerchantSettings> = sources.configured.iter().chain(sources.stored).collect();
    let name = |place: usize| all.get(place).map_or("?", |merchant| merchant.id.as_str());
    errors.iter().map(|error| format!("merchant {}: {}: {}", name(error.merchant), error.key, error.fault)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::settings::sample as merchant;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn order(what: &str) -> Order {
        Order { who: "ada".to_owned(), what: what.to_owned(), why: "a test".to_owned() }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("isthmus-registrar-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Folder(path)
        }

        fn registrar(&self, configured: Vec<MerchantSettings>) -> Registrar {
            Registrar::open(&self.0.join("store-merchants"), configured, &self.0).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_there_for_the_next_one_and_audited() {
        let folder = Folder::new("written");
        folder.registrar(Vec::new()).add(&merchant("shop", 'a'), &order("add")).unwrap();
        let mut registrar = folder.registrar(Vec::new());
        registrar
            .change("shop", &order("suspend"), |merchant| {
                merchant.suspended = true;
                Ok(())
            })
            .unwrap();
        assert!(registrar.merchant("shop").unwrap().1.suspended);
        let changes = registrar.changes(10).unwrap();
        let told: Vec<_> = changes.iter().map(|c| (c.what.as_str(), c.merchant.as_str(), c.who.as_str())).collect();
        assert_eq!(told, [("suspend", "shop", "ada"), ("add", "shop", "ada")]);
        let mode = std::fs::metadata(folder.0.join("store-merchants")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_would_break_the_register_is_refused_where_it_is_written() {
        let folder = Folder::new("refused");
        let mut registrar = folder.registrar(vec![merchant("configured", 'a')]);
        let refused = registrar.add(&merchant("shop", 'a'), &order("add")).unwrap_err();
        assert_eq!(refused.to_string(), "merchant shop: api_key_sha256: used by another merchant too");
        assert!(registrar.faults().unwrap().is_empty());
        let hand = rusqlite::Connection::open(folder.0.join("store-merchants")).unwrap();
        hand.execute("INSERT INTO merchants VALUES ('broken', '{}')", []).unwrap();
        let clash = serde_json::to_string(&merchant("clash", 'a')).unwrap();
        hand.execute("INSERT INTO merchants VALUES ('clash', ?1)", [clash]).unwrap();
        assert_eq!(registrar.faults().unwrap().len(), 2, "{:?}", registrar.faults());
        hand.execute("DELETE FROM merchants", []).unwrap();
        let terse = MerchantSettings { terminals: Vec::new(), ..merchant("shop", 'b') };
        assert!(matches!(registrar.add(&terse, &order("add")), Err(RegistrarError::Faults(_))));
        assert!(matches!(registrar.add(&merchant("configured", 'c'), &order("add")), Err(RegistrarError::Exists(_))));
        assert!(matches!(
            registrar.change("configured", &order("suspend"), |_| Ok(())),
            Err(RegistrarError::Configured(_))
        ));
        assert!(matches!(registrar.change("none", &order("suspend"), |_| Ok(())), Err(RegistrarError::Unknown(_))));
        assert!(registrar.changes(10).unwrap().is_empty());
        assert_eq!(registrar.merchants().unwrap().len(), 1);
    }

    #[test]
    fn an_import_is_taken_as_a_whole_and_tells_what_it_changed() {
        let folder = Folder::new("import");
        let mut registrar = folder.registrar(Vec::new());
        registrar.add(&merchant("one", 'a'), &order("add")).unwrap();
        let clash = vec![merchant("two", 'b'), merchant("three", 'b')];
        assert!(registrar.import(clash, &order("import")).is_err());
        assert_eq!(registrar.merchants().unwrap().len(), 1);
        let changed = registrar.import(vec![merchant("one", 'a'), merchant("two", 'b')], &order("import")).unwrap();
        assert_eq!(changed, ["two"]);
        let again = registrar.import(vec![merchant("one", 'c'), merchant("two", 'a')], &order("import")).unwrap();
        assert_eq!(again, ["one", "two"], "keys may change hands within one order");
    }

    #[test]
    fn a_merchant_goes_once_it_is_suspended() {
        let folder = Folder::new("removed");
        let mut registrar = folder.registrar(vec![merchant("configured", 'a')]);
        registrar.add(&merchant("shop", 'b'), &order("add")).unwrap();
        let mut removed = |id: &str| registrar.remove(id, &order("remove"));
        assert!(matches!(removed("shop"), Err(RegistrarError::Refused(_))));
        assert!(matches!(removed("none"), Err(RegistrarError::Unknown(_))));
        assert!(matches!(removed("configured"), Err(RegistrarError::Configured(_))));
        let suspended = MerchantSettings { suspended: true, ..merchant("shop", 'b') };
        registrar.import(vec![suspended], &order("import")).unwrap();
        registrar.remove("shop", &order("remove")).unwrap();
        assert!(matches!(registrar.merchant("shop"), Err(RegistrarError::Unknown(_))));
        let changes = registrar.changes(1).unwrap();
        assert_eq!((changes[0].what.as_str(), changes[0].merchant.as_str()), ("remove", "shop"));
        registrar.add(&merchant("shop", 'b'), &order("add")).unwrap();
    }

    #[test]
    fn the_audit_cannot_be_rewritten() {
        let folder = Folder::new("audit");
        folder.registrar(Vec::new()).add(&merchant("shop", 'a'), &order("add")).unwrap();
        let connection = rusqlite::Connection::open(folder.0.join("store-merchants")).unwrap();
        assert!(connection.execute("DELETE FROM audit", []).is_err());
        assert!(connection.execute("UPDATE audit SET who = 'nobody'", []).is_err());
    }

    #[test]
    fn another_programs_file_is_left_alone() {
        let folder = Folder::new("foreign");
        std::fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join("store-merchants");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let refused = MerchantStore::open(&path).unwrap_err();
        assert!(matches!(refused, MerchantStoreError::Format { found: 0, .. }), "{refused}");
    }
}
