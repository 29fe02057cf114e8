//! The exchange of the vault's keys while it runs: the newest one seals at once, and what lies under older ones is sealed
//! anew behind it, a few cards at a time.
//!
//! An older key is needed until nothing lies under it. So an exchange that would drop a key before is refused, and the
//! log says from when on it may go.

use crate::journal::{JournalError, Resealer};
use crate::vault::{KeyRing, Keys, TokenError, Tokens, measure};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Cards that are looked at in one go; so many are written with one sync at most.
const STEP: usize = 64;
/// How long payments have the store for themselves between two steps.
const BETWEEN: Duration = Duration::from_millis(50);
/// How often it is looked whether there is something to do.
const IDLE: Duration = Duration::from_secs(5);

/// Why keys are not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeysRefused {
    /// Cards may still lie under a key that would be gone.
    #[error("cards are still being sealed anew; a vault key that is in use now stays until the log says that they are")]
    InUse,
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// It is stopping.
    #[error("the service is stopping")]
    Stopping,
}

/// The thread that does it; it ends when this is dropped.
pub(super) struct Resealing(Sender<Exchange>);

struct Exchange {
    keys: Keys,
    done: oneshot::Sender<Result<(), KeysRefused>>,
}

impl Resealing {
    /// Begins with what the last run left.
    pub(super) fn start(keys: KeyRing, tokens: Arc<Tokens>, journal: Resealer) -> Result<Resealing, std::io::Error> {
        let (orders, ordered) = channel();
        let work = Work { keys, tokens, journal, is_done: false, resealed: 0, stuck: 0, stuck_tokens: 0 };
        thread::Builder::new().name("resealing".to_owned()).spawn(move || work.run(&ordered))?;
        Ok(Resealing(orders))
    }

    /// Takes other keys in place of those that there are.
    pub(super) async fn exchange(&self, keys: Keys) -> Result<(), KeysRefused> {
        let (done, told) = oneshot::channel();
        self.0.send(Exchange { keys, done }).map_err(|_| KeysRefused::Stopping)?;
        told.await.unwrap_or(Err(KeysRefused::Stopping))
    }
}

struct Work {
    keys: KeyRing,
    tokens: Arc<Tokens>,
    journal: Resealer,
    /// Whether everything lies under the current key.
    is_done: bool,
    resealed: usize,
    stuck: usize,
    /// Those of the tokens among them.
    stuck_tokens: usize,
}

impl Work {
    fn run(mut self, orders: &Receiver<Exchange>) {
        let mut pause = Duration::ZERO;
        loop {
            match orders.recv_timeout(pause) {
                // Whoever asked and is gone reads of it in the log.
                Ok(Exchange { keys, done }) => drop(done.send(self.exchange(keys))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            pause = match self.step() {
                Ok(true) => IDLE,
                Ok(false) => BETWEEN,
                Err(error) => {
                    tracing::warn!(%error, "cards cannot be sealed anew now");
                    IDLE
                }
            };
        }
    }

    fn exchange(&mut self, keys: Keys) -> Result<(), KeysRefused> {
        let now = self.keys.now();
        let is_over = self.is_done && self.stuck == 0;
        let mut dropped = now.check_values().map(|(id, _)| id).filter(|id| !keys.holds(id.as_str()));
        if dropped.any(|id| !is_over || id == now.current_id()) {
            return Err(KeysRefused::InUse);
        }
        self.tokens.may_use(&keys)?;
        self.journal.know(keys.clone())?;
        if keys.current_id() != now.current_id() {
            (self.is_done, self.resealed, self.stuck, self.stuck_tokens) = (false, 0, 0, 0);
        }
        self.keys.replace(keys);
        Ok(())
    }

    /// The next cards of each store. Whether that was all.
    fn step(&mut self) -> Result<bool, KeysRefused> {
        let tokens = self.tokens.reseal(STEP, self.stuck_tokens)?;
        let cards = self.journal.step(STEP)?;
        measure::resealed("tokens", tokens.resealed);
        measure::resealed("journal", cards.resealed);
        let before = self.resealed;
        self.resealed += tokens.resealed + cards.resealed;
        self.stuck += tokens.stuck + cards.stuck;
        self.stuck_tokens += tokens.stuck;
        let is_done = tokens.is_done && cards.is_done;
        measure::show(!is_done, self.stuck);
        self.tell(before, is_done);
        self.is_done = is_done;
        Ok(is_done)
    }

    fn tell(&self, before: usize, is_done: bool) {
        let (resealed, stuck, key) = (self.resealed, self.stuck, self.keys.now().current_id().to_string());
        if is_done && !self.is_done && self.keys.now().has_older() {
            tracing::info!(%key, resealed, stuck, "all cards lie under this key; older vault keys are needed no more");
        } else if resealed / 10_000 > before / 10_000 {
            tracing::info!(%key, resealed, stuck, "cards are sealed anew");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::journal::{Journal, Settings};
    use crate::payment::{Card, Expiry, MerchantId, Pan, TokenId, Wall};
    use crate::transaction::{Fingerprint, IdempotencyKey};
    use crate::vault::{KeyId, NewToken};
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn id(name: &str) -> KeyId {
        KeyId::new(name).unwrap()
    }

    fn token() -> NewToken {
        NewToken {
            id: TokenId(1),
            merchant: MerchantId::new("acme").unwrap(),
            key: IdempotencyKey::new("k").unwrap(),
            fingerprint: Fingerprint([0; 32]),
            card: Card {
                pan: Pan::parse("4111111111111111").unwrap(),
                expiry: Expiry::new(2031, 4).unwrap(),
                cvc: None,
                cryptogram: None,
                present: None,
            },
            at: Wall(0),
        }
    }

    #[test]
    fn a_key_goes_when_nothing_lies_under_it() {
        let folder = Folder(std::env::temp_dir().join(format!("isthmus-resealing-{}", std::process::id())));
        let ring: KeyRing = Keys::new(id("k1"), &[1; 32]).into();
        let settings = Settings { wal_mib: 1, key_filter_mib: 1, ..Settings::at(folder.0.join("store.db")) };
        let opened = Journal::open(&settings, ring.clone(), Box::new(|_| {}), Box::new(|_, _| {}));
        let (journal, _) = opened.unwrap();
        let tokens = Arc::new(Tokens::open(&settings.store.tokens(), ring.clone()).unwrap());
        let made = tokens.create(&token()).unwrap().token;
        let (resealer, kept) = (journal.resealer().unwrap(), Arc::clone(&tokens));
        let mut work = Work {
            keys: ring.clone(),
            tokens: kept,
            journal: resealer,
            is_done: false,
            resealed: 0,
            stuck: 0,
            stuck_tokens: 0,
        };
        assert!(work.step().unwrap());
        let alone = || Keys::new(id("k2"), &[2; 32]);
        assert!(matches!(work.exchange(alone()), Err(KeysRefused::InUse)), "all lies under the one that would be gone");
        work.exchange(alone().with_older(id("k1"), &[1; 32]).unwrap()).unwrap();
        assert_eq!(ring.now().current_id(), &id("k2"));
        assert!(matches!(work.exchange(alone()), Err(KeysRefused::InUse)), "not yet");
        assert!(!work.step().unwrap() && work.step().unwrap());
        assert_eq!((work.resealed, work.stuck), (1, 0));
        work.exchange(alone()).unwrap();
        assert_eq!(tokens.find(&token().merchant, made.id).unwrap(), Some(made));
        let other = Keys::new(id("k1"), &[9; 32]).with_older(id("k2"), &[2; 32]).unwrap();
        assert!(matches!(work.exchange(other), Err(KeysRefused::Tokens(TokenError::WrongKey(_)))), "another k1");
        journal.close();
    }
}
