//! The register in use: built anew when its store changes, without a restart and without losing a request.
//!
//! About once a second the store is asked whether somebody wrote. A merchant that cannot be taken is left out, and told
//! of: what was written of all others counts, so that no mistake in one place keeps a proof good that was taken back in
//! another. A store that cannot be read changes nothing.

use super::measure;
use super::registrar::told;
use super::store::{MerchantStore, MerchantStoreError};
use super::{MerchantSettings, Register, RegisterError, Sources};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);
/// After how many looks figures are shown anew: keys come to their end by themselves.
const SHOW_EVERY: u32 = 60;

/// The register as it is at any time.
#[derive(Clone, Debug)]
pub struct LiveRegister(watch::Receiver<Arc<Register>>);

impl LiveRegister {
    /// As it is now.
    pub fn now(&self) -> Arc<Register> {
        Arc::clone(&self.0.borrow())
    }
}

impl From<Register> for LiveRegister {
    /// One that never changes.
    fn from(register: Register) -> LiveRegister {
        LiveRegister(watch::channel(Arc::new(register)).1)
    }
}

/// What keeps a register up to date; it ends when this is dropped.
#[derive(Debug)]
pub struct Follower(#[allow(dead_code)] mpsc::Sender<()>);

/// Why there is no register to begin with.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The merchants of the configuration.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Configuration(Vec<RegisterError>),
    /// The store.
    #[error(transparent)]
    Store(#[from] MerchantStoreError),
    /// The thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Builds the register of a configuration and a store, and follows the store.
pub fn follow(
    configured: Vec<MerchantSettings>,
    folder: &Path,
    store: &Path,
) -> Result<(LiveRegister, Follower), LiveError> {
    // Alone first: its mistakes are a reason not to start, those of the store are not.
    Register::build(&configured, folder).map_err(LiveError::Configuration)?;
    let store = MerchantStore::open(store)?;
    let mut following = Following {
        seen: Some(store.version()?),
        store,
        configured,
        folder: folder.to_owned(),
        register: watch::channel(Arc::default()).0,
        is_troubled: false,
        is_refused: false,
    };
    following.take()?;
    let live = LiveRegister(following.register.subscribe());
    let (stop, stopped) = mpsc::channel();
    thread::Builder::new().name("merchants".to_owned()).spawn(move || {
        let mut looks = 0_u32;
        while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
            following.look();
            looks = (looks + 1) % SHOW_EVERY;
            if looks == 0 {
                following.show();
            }
        }
    })?;
    Ok((live, Follower(stop)))
}

struct Following {
    store: MerchantStore,
    configured: Vec<MerchantSettings>,
    folder: PathBuf,
    register: watch::Sender<Arc<Register>>,
    /// Version of the store that was taken last.
    seen: Option<i64>,
    /// Whether the store could not be read when it was looked at last.
    is_troubled: bool,
    /// Whether it holds something that is not gone by.
    is_refused: bool,
}

impl Following {
    /// A register of all that can be taken: whoever cannot is left out.
    fn take(&mut self) -> Result<(), LiveError> {
        let (stored, unreadable): (Vec<_>, Vec<_>) = self.store.documents()?.into_iter().partition(Result::is_ok);
        unreadable.iter().filter_map(|read| read.as_ref().err()).for_each(|error| {
            tracing::error!(%error, "a merchant of the register is left out");
        });
        self.is_refused = !unreadable.is_empty();
        let mut stored: Vec<MerchantSettings> = stored.into_iter().flatten().collect();
        let register = loop {
            let errors = match self.build(&stored) {
                Ok(register) => break register,
                Err(errors) => errors,
            };
            let (first, count) = (self.configured.len(), stored.len());
            let wrong = |place: usize| errors.iter().any(|error| error.merchant == place + first);
            self.tell(&stored, &errors, "a merchant of the register is left out");
            self.is_refused = true;
            stored = (0..).zip(stored).filter(|(place, _)| !wrong(*place)).map(|(_, merchant)| merchant).collect();
            if stored.len() == count {
                return Err(LiveError::Configuration(errors));
            }
        };
        self.register.send_replace(Arc::new(register));
        self.tell_shadowed(&stored);
        self.show();
        Ok(())
    }

    /// Takes what was written since it was looked at last.
    fn look(&mut self) {
        match self.refresh() {
            Ok(None) if self.is_troubled => {
                self.is_troubled = false;
                self.show();
            }
            Ok(None) => {}
            Ok(Some(version)) => {
                self.is_troubled = false;
                match self.take() {
                    Ok(()) => {
                        self.seen = Some(version);
                        tracing::info!(
                            merchants = self.register.borrow().merchants().len(),
                            "the merchants have changed"
                        );
                    }
                    Err(error) => self.trouble(&error),
                }
            }
            Err(error) => self.trouble(&error.into()),
        }
    }

    /// The version of the store, where it is another one than was taken last; of the file that is there now.
    fn refresh(&mut self) -> Result<Option<i64>, MerchantStoreError> {
        if self.store.is_replaced()? {
            self.store = MerchantStore::open(self.store.path())?;
            self.seen = None;
        }
        let version = self.store.version()?;
        Ok(Some(version).filter(|version| self.seen != Some(*version)))
    }

    fn trouble(&mut self, error: &LiveError) {
        if !self.is_troubled {
            self.is_troubled = true;
            self.show();
            tracing::error!(%error, "the merchant register cannot be read; merchants stay as they were");
        }
    }

    fn show(&self) {
        measure::show_ends(&self.register.borrow(), Timestamp::now());
        measure::show(self.register.borrow().merchants().len(), self.is_troubled || self.is_refused);
    }

    fn build(&self, stored: &[MerchantSettings]) -> Result<Register, Vec<RegisterError>> {
        let previous = Arc::clone(&self.register.borrow());
        Register::of(Sources { previous: Some(&previous), ..self.sources(stored) })
    }

    fn sources<'a>(&'a self, stored: &'a [MerchantSettings]) -> Sources<'a> {
        Sources { configured: &self.configured, folder: &self.folder, stored, previous: None }
    }

    fn tell(&self, stored: &[MerchantSettings], errors: &[RegisterError], what: &str) {
        for error in told(&self.sources(stored), errors) {
            tracing::error!(error, "{what}");
        }
    }

    fn tell_shadowed(&self, stored: &[MerchantSettings]) {
        let is_configured = |id: &str| self.configured.iter().any(|merchant| merchant.id == id);
        for merchant in stored.iter().filter(|merchant| is_configured(&merchant.id)) {
            tracing::warn!(merchant = merchant.id, "stands in the register and in the configuration, which counts");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::settings::sample as merchant;
    use super::super::{Order, Registrar};
    use super::*;

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("isthmus-live-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn ids(register: &LiveRegister) -> Vec<String> {
        register.now().merchants().iter().map(|merchant| merchant.id.to_string()).collect()
    }

    fn until(register: &LiveRegister, wanted: &[&str]) {
        for _ in 0..100 {
            if ids(register) == wanted {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(ids(register), wanted);
    }

    #[test]
    fn what_is_written_counts_and_what_is_broken_is_left_out() {
        let path = path("follow");
        let folder = Path::new(".");
        let (register, _follower) = follow(vec![merchant("configured", 'a')], folder, &path).unwrap();
        assert_eq!(ids(&register), ["configured"]);
        let order = Order { who: "ada".to_owned(), what: "add".to_owned(), why: "a test".to_owned() };
        let mut registrar = Registrar::open(&path, vec![merchant("configured", 'a')], folder).unwrap();
        registrar.add(&merchant("stored", 'b'), &order).unwrap();
        until(&register, &["configured", "stored"]);

        let hand = rusqlite::Connection::open(&path).unwrap();
        hand.execute("INSERT INTO merchants VALUES ('broken', '{}')", []).unwrap();
        registrar.change("stored", &order, |_| Ok(())).unwrap_err();
        let suspended = MerchantSettings { suspended: true, ..merchant("stored", 'b') };
        let suspended = serde_json::to_string(&suspended).unwrap();
        hand.execute("UPDATE merchants SET document = ?1 WHERE id = 'stored'", [suspended]).unwrap();
        let is_suspended = || register.now().merchants().iter().any(|merchant| merchant.suspended);
        (0..100).take_while(|_| !is_suspended()).for_each(|_| thread::sleep(Duration::from_millis(50)));
        assert!(is_suspended() && ids(&register) == ["configured", "stored"], "whatever else stands there");

        hand.execute(
            "UPDATE merchants SET id = 'third', document = ?1 WHERE id = 'broken'",
            [serde_json::to_string(&merchant("third", 'c')).unwrap()],
        )
        .unwrap();
        until(&register, &["configured", "stored", "third"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_proof_that_is_taken_back_is_no_good_whatever_another_merchant_has() {
        let path = path("revoked");
        let (configured, folder) = (vec![merchant("configured", 'a')], Path::new("."));
        let order = Order { who: "ada".to_owned(), what: "add".to_owned(), why: "a test".to_owned() };
        // The configuration has changed since the start, so this takes what the running switch cannot.
        let mut registrar = Registrar::open(&path, Vec::new(), folder).unwrap();
        registrar.add(&merchant("stored", 'b'), &order).unwrap();
        let (register, _follower) = follow(configured, folder, &path).unwrap();
        registrar.add(&merchant("clashes", 'a'), &order).unwrap();
        let revoke = |merchant: &mut MerchantSettings| {
            merchant.api_key_sha256 = vec!["c".repeat(64)];
            Ok(())
        };
        registrar.change("stored", &order, revoke).unwrap();
        let before = register.now().merchants()[1].clone();
        let is_new = || register.now().merchants().get(1).is_some_and(|merchant| !Arc::ptr_eq(merchant, &before));
        (0..100).take_while(|_| !is_new()).for_each(|_| thread::sleep(Duration::from_millis(50)));
        assert_eq!(ids(&register), ["configured", "stored"]);
        assert!(is_new(), "what was written after the clash counts");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_put_in_place_of_the_register_is_noticed() {
        let (path, other) = (path("replaced"), path("replacing"));
        let folder = Path::new(".");
        let order = Order { who: "ada".to_owned(), what: "add".to_owned(), why: "a test".to_owned() };
        Registrar::open(&path, Vec::new(), folder).unwrap().add(&merchant("first", 'a'), &order).unwrap();
        Registrar::open(&other, Vec::new(), folder).unwrap().add(&merchant("second", 'b'), &order).unwrap();
        let (register, _follower) = follow(Vec::new(), folder, &path).unwrap();
        assert_eq!(ids(&register), ["first"]);
        std::fs::rename(&other, &path).unwrap();
        until(&register, &["second"]);
        std::fs::remove_file(&path).unwrap();
        thread::sleep(EVERY + Duration::from_millis(500));
        assert_eq!(ids(&register), ["second"], "a file that is gone changes nothing");
        Registrar::open(&path, Vec::new(), folder).unwrap().add(&merchant("third", 'c'), &order).unwrap();
        until(&register, &["third"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn at_the_start_whoever_cannot_be_taken_is_left_out() {
        let path = path("start");
        let order = Order { who: "ada".to_owned(), what: "add".to_owned(), why: "a test".to_owned() };
        let mut registrar = Registrar::open(&path, Vec::new(), Path::new(".")).unwrap();
        registrar.add(&merchant("clashes", 'a'), &order).unwrap();
        registrar.add(&merchant("same", 'b'), &order).unwrap();
        registrar.add(&merchant("well", 'c'), &order).unwrap();
        let configured = vec![merchant("configured", 'a'), merchant("same", 'd')];
        let (register, _follower) = follow(configured, Path::new("."), &path).unwrap();
        assert_eq!(ids(&register), ["configured", "same", "well"]);
        let wrong = MerchantSettings { terminals: Vec::new(), ..merchant("configured", 'a') };
        assert!(matches!(follow(vec![wrong], Path::new("."), &path), Err(LiveError::Configuration(_))));
        std::fs::remove_file(path).unwrap();
    }
}
