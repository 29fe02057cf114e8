//! The register in use: built anew when its store changes, without a restart and without losing a request.
//!
//! About once a second the store is asked whether somebody wrote. What cannot be read, or is no register, is logged and
//! changes nothing: the last good register stays. Only at the start, where there is none, merchants that cannot be
//! taken are left out.

use super::measure;
use super::registrar::told;
use super::store::{MerchantStore, MerchantStoreError};
use super::{MerchantSettings, Register, RegisterError, Sources};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);

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
        seen: store.version()?,
        store,
        configured,
        folder: folder.to_owned(),
        register: watch::channel(Arc::default()).0,
        is_troubled: false,
        is_refused: false,
    };
    following.begin()?;
    let live = LiveRegister(following.register.subscribe());
    let (stop, stopped) = mpsc::channel();
    thread::Builder::new().name("merchants".to_owned()).spawn(move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
            following.look();
        }
    })?;
    Ok((live, Follower(stop)))
}

struct Following {
    store: MerchantStore,
    configured: Vec<MerchantSettings>,
    folder: PathBuf,
    register: watch::Sender<Arc<Register>>,
    /// Version of the store that was looked at last.
    seen: i64,
    /// Whether the store could not be read when it was looked at last.
    is_troubled: bool,
    /// Whether it holds something that is not gone by.
    is_refused: bool,
}

impl Following {
    /// The first register: whoever cannot be taken is left out.
    fn begin(&mut self) -> Result<(), LiveError> {
        let mut stored = self.store.merchants()?;
        loop {
            match self.build(&stored) {
                Ok(register) => {
                    self.register.send_replace(Arc::new(register));
                    self.tell_shadowed(&stored);
                    self.show();
                    return Ok(());
                }
                Err(errors) => {
                    let (first, count) = (self.configured.len(), stored.len());
                    let wrong = |place: usize| errors.iter().any(|error| error.merchant == place + first);
                    self.tell(&stored, &errors, "a merchant of the register is left out");
                    self.is_refused = true;
                    stored = (0..).zip(stored).filter(|(place, _)| !wrong(*place)).map(|(_, m)| m).collect();
                    if stored.len() == count {
                        return Err(LiveError::Configuration(errors));
                    }
                }
            }
        }
    }

    /// Takes what was written since it was looked at last.
    fn look(&mut self) {
        let read = self.store.version().and_then(|version| match version == self.seen {
            true => Ok(None),
            false => Ok(Some((version, self.store.merchants()?))),
        });
        match read {
            Ok(None) if self.is_troubled => {
                self.is_troubled = false;
                self.show();
            }
            Ok(None) => {}
            Ok(Some((version, stored))) => {
                (self.seen, self.is_troubled) = (version, false);
                self.take(&stored);
                self.show();
            }
            Err(error) if !self.is_troubled => {
                self.is_troubled = true;
                self.show();
                tracing::error!(%error, "the merchant register cannot be read; merchants stay as they were");
            }
            Err(_known) => {}
        }
    }

    fn take(&mut self, stored: &[MerchantSettings]) {
        match self.build(stored) {
            Ok(register) => {
                self.register.send_replace(Arc::new(register));
                self.is_refused = false;
                tracing::info!(merchants = stored.len(), "the merchant register has changed");
                self.tell_shadowed(stored);
            }
            Err(errors) => {
                self.is_refused = true;
                self.tell(stored, &errors, "the merchant register is not usable; merchants stay as they were");
            }
        }
    }

    fn show(&self) {
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
    use super::super::{Order, Registrar};
    use super::super::settings::sample as merchant;
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
    fn what_is_written_counts_and_what_is_broken_changes_nothing() {
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
        thread::sleep(EVERY + Duration::from_millis(500));
        assert_eq!(ids(&register), ["configured", "stored"]);

        hand.execute(
            "UPDATE merchants SET id = 'third', document = ?1 WHERE id = 'broken'",
            [serde_json::to_string(&merchant("third", 'c')).unwrap()],
        )
        .unwrap();
        until(&register, &["configured", "stored", "third"]);
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
