//! Names that are used once: the `jti` of what was sealed or signed, the nonce of what was signed.
//!
//! A name belongs to the idempotency key that it first came with. It is remembered for as long as what bears it could
//! still be taken for fresh, in two generations, so that forgetting costs nothing. What surprises: nothing of this is
//! stored. What was made before the last start is not fresh, and then only a key that is known is answered.

use crate::payment::MerchantId;
use crate::transaction::IdempotencyKey;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The most names of a generation.
const MOST: usize = 1_000_000;

type Hash = [u8; 16];

/// The names that were used lately.
pub(in crate::edge) struct Nonces {
    started_at: i64,
    window: i64,
    most: usize,
    used: Mutex<Generations>,
}

struct Generations {
    turn_at: i64,
    current: BTreeMap<Hash, Hash>,
    previous: BTreeMap<Hash, Hash>,
}

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Refused {
    /// It belongs to another key.
    Used,
    /// More names than can be remembered.
    Full,
}

impl Nonces {
    /// Of a door that opens at `now`; what was made longer ago than `window` is not fresh. Both in seconds.
    pub fn new(now: i64, window: i64) -> Nonces {
        let used = Generations { turn_at: now, current: BTreeMap::new(), previous: BTreeMap::new() };
        Nonces { started_at: now, window, most: MOST, used: Mutex::new(used) }
    }

    /// Whether something that says when it was made, and bears a name or not, was made just now.
    pub fn is_fresh(&self, now: i64, issued_at: Option<i64>, is_named: bool) -> bool {
        match issued_at {
            Some(at) => at.saturating_sub(now).saturating_abs() <= self.window && (!is_named || at >= self.started_at),
            // Nobody can say for how long its name has to be remembered.
            None => !is_named,
        }
    }

    /// Gives a name to a key, where it is not another one's.
    pub fn take(&self, now: i64, merchant: &MerchantId, name: &str, key: &IdempotencyKey) -> Result<(), Refused> {
        let name = hash(&[merchant.as_str(), name]);
        let key = hash(&[key.as_str()]);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= used.turn_at {
            // From the earliest to the latest moment at which it may come: twice the window.
            used.turn_at = now.saturating_add(self.window.saturating_mul(2).max(1));
            used.previous = std::mem::take(&mut used.current);
        }
        match used.current.get(&name).or(used.previous.get(&name)) {
            Some(owner) if *owner == key => Ok(()),
            Some(_) => Err(Refused::Used),
            None if used.current.len() >= self.most => Err(Refused::Full),
            None => {
                used.current.insert(name, key);
                Ok(())
            }
        }
    }
}

fn hash(texts: &[&str]) -> Hash {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    let whole: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn take(nonces: &Nonces, now: i64, merchant: &str, name: &str, key: &str) -> Result<(), Refused> {
        nonces.take(now, &MerchantId::new(merchant).unwrap(), name, &IdempotencyKey::new(key).unwrap())
    }

    #[test]
    fn a_name_belongs_to_its_first_key() {
        let nonces = Nonces::new(1000, 300);
        assert_eq!(take(&nonces, 1000, "a", "n", "k"), Ok(()));
        assert_eq!(take(&nonces, 1300, "a", "n", "k"), Ok(()), "an honest repeat");
        assert_eq!(take(&nonces, 1300, "a", "n", "l"), Err(Refused::Used));
        assert_eq!(take(&nonces, 1300, "b", "n", "l"), Ok(()), "another merchant's");
        for now in [1599, 1600, 1601, 2000] {
            assert_eq!(take(&nonces, now, "a", "n", "l"), Err(Refused::Used), "{now}");
        }
        assert_eq!(take(&nonces, 2900, "a", "n", "l"), Ok(()), "forgotten, long after anything that bears it is fresh");
    }

    #[test]
    fn what_cannot_be_remembered_is_refused() {
        let nonces = Nonces { most: 2, ..Nonces::new(0, 10) };
        assert_eq!(take(&nonces, 0, "a", "1", "k"), Ok(()));
        assert_eq!(take(&nonces, 0, "a", "2", "k"), Ok(()));
        assert_eq!(take(&nonces, 0, "a", "3", "k"), Err(Refused::Full));
        assert_eq!(take(&nonces, 0, "a", "2", "k"), Ok(()));
        assert_eq!(take(&nonces, 20, "a", "3", "k"), Ok(()));
    }

    #[test]
    fn what_is_older_than_the_door_is_not_fresh() {
        let nonces = Nonces::new(1000, 300);
        assert!(nonces.is_fresh(1010, Some(1000), true) && nonces.is_fresh(1010, Some(1310), true));
        assert!(!nonces.is_fresh(1010, Some(999), true), "its name may have been used before the start");
        assert!(nonces.is_fresh(1010, Some(999), false) && nonces.is_fresh(1010, None, false));
        assert!(!nonces.is_fresh(1010, None, true));
        assert!(!nonces.is_fresh(1301, Some(1000), true) && !nonces.is_fresh(1000, Some(i64::MIN), false));
    }
}
