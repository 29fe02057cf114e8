//! Names that are used once: the `jti` of what was sealed or signed, the nonce of what was signed.
//!
//! A name belongs to the idempotency key that it first came with. It is remembered for as long as what bears it could
//! still be taken for fresh, in two generations, so that forgetting costs nothing. A merchant that uses up its share of
//! what can be remembered shuts out nobody else. What surprises: nothing of this is stored. What an earlier run may have
//! taken is not fresh after a start, that is anything up to the moment of the start and as much later as a sender's
//! clock may be ahead; and then only a key that is known is answered.

use crate::payment::MerchantId;
use crate::transaction::IdempotencyKey;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The most names of a generation that all merchants may fill together, before each is held to its share.
const MOST: usize = 1_000_000;

/// How far a sender's clock may be ahead, in seconds. It is short because nothing that bears a name begins anything for
/// so long after a start.
const AHEAD: i64 = 5;

type Hash = [u8; 16];

/// The names that were used lately.
pub(in crate::edge) struct Nonces {
    /// What was made up to this moment may have been taken by an earlier run.
    unknown_to: i64,
    window: i64,
    most: usize,
    used: Mutex<Generations>,
}

struct Generations {
    turn_at: i64,
    current: Names,
    previous: Names,
}

/// Names with their keys, of each merchant.
#[derive(Default)]
struct Names {
    merchants: BTreeMap<MerchantId, BTreeMap<Hash, Hash>>,
    count: usize,
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
    /// Of a door that opens at `now`, for the first time on its store or not; what was made longer ago than `window` is
    /// not fresh. Both in seconds.
    pub fn new(now: i64, is_first: bool, window: i64) -> Nonces {
        let used = Generations { turn_at: now, current: Names::default(), previous: Names::default() };
        let unknown_to = if is_first { i64::MIN } else { now.saturating_add(AHEAD) };
        Nonces { unknown_to, window, most: MOST, used: Mutex::new(used) }
    }

    /// Whether something that says when it was made, and bears a name or not, was made just now.
    pub fn is_fresh(&self, now: i64, issued_at: Option<i64>, is_named: bool) -> bool {
        // Nobody can say for how long the name of something without a time has to be remembered.
        let Some(at) = issued_at else { return !is_named };
        match is_named {
            true => at > self.unknown_to && at >= now.saturating_sub(self.window) && at <= now.saturating_add(AHEAD),
            false => at.saturating_sub(now).saturating_abs() <= self.window,
        }
    }

    /// Gives a name to a key, where it is not another one's.
    pub fn take(&self, now: i64, merchant: &MerchantId, name: &str, key: &IdempotencyKey) -> Result<(), Refused> {
        let (name, key) = (hash(name), hash(key.as_str()));
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= used.turn_at {
            // From the earliest to the latest moment at which it may come, and more.
            used.turn_at = now.saturating_add(self.window.saturating_mul(2).max(1));
            used.previous = std::mem::take(&mut used.current);
        }
        match used.current.owner(merchant, &name).or(used.previous.owner(merchant, &name)) {
            Some(owner) if *owner == key => Ok(()),
            Some(_) => Err(Refused::Used),
            None => used.current.add(merchant, name, key, self.most),
        }
    }
}

impl Names {
    fn owner(&self, merchant: &MerchantId, name: &Hash) -> Option<&Hash> {
        self.merchants.get(merchant)?.get(name)
    }

    /// Once there are `most` of them, whoever has its equal share of that gets no more: so there are never twice as many.
    fn add(&mut self, merchant: &MerchantId, name: Hash, key: Hash, most: usize) -> Result<(), Refused> {
        let own = self.merchants.get(merchant).map_or(0, BTreeMap::len);
        let merchants = self.merchants.len() + usize::from(own == 0);
        if self.count >= most && own >= most / merchants {
            return Err(Refused::Full);
        }
        self.merchants.entry(merchant.clone()).or_default().insert(name, key);
        self.count += 1;
        Ok(())
    }
}

fn hash(text: &str) -> Hash {
    let whole: [u8; 32] = Sha256::digest(text).into();
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
        let nonces = Nonces::new(1000, true, 300);
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
        let nonces = Nonces { most: 2, ..Nonces::new(0, true, 10) };
        assert_eq!(take(&nonces, 0, "a", "1", "k"), Ok(()));
        assert_eq!(take(&nonces, 0, "a", "2", "k"), Ok(()));
        assert_eq!(take(&nonces, 0, "a", "3", "k"), Err(Refused::Full));
        assert_eq!(take(&nonces, 0, "a", "2", "k"), Ok(()));
        assert_eq!(take(&nonces, 20, "a", "3", "k"), Ok(()));
    }

    #[test]
    fn a_merchant_with_many_names_shuts_out_no_other() {
        let nonces = Nonces { most: 100, ..Nonces::new(0, true, 10) };
        let taken =
            |merchant: &str| (0..1000).filter(|n| take(&nonces, 0, merchant, &n.to_string(), "k").is_ok()).count();
        assert_eq!([taken("greedy"), taken("b"), taken("c")], [100, 50, 33], "each its share of what there is");
        assert_eq!(take(&nonces, 0, "greedy", "1000", "k"), Err(Refused::Full));
        assert_eq!(take(&nonces, 0, "greedy", "7", "l"), Err(Refused::Used), "what it had is remembered");
    }

    #[test]
    fn what_an_earlier_run_may_have_taken_is_not_fresh() {
        let earlier = Nonces::new(0, true, 300);
        // As far ahead as a clock may be, taken in the second of the end.
        let latest = (900..2000).filter(|at| earlier.is_fresh(1000, Some(*at), true)).max().unwrap();
        assert_eq!(latest, 1000 + AHEAD);
        let nonces = Nonces::new(1000, false, 300);
        for now in 1000..1400 {
            assert!((0..=latest).all(|at| !nonces.is_fresh(now, Some(at), true)), "{now}");
        }
        assert!(nonces.is_fresh(1010, Some(latest + 1), true) && !nonces.is_fresh(1010, Some(1016), true));
        assert!(nonces.is_fresh(1010, Some(999), false) && nonces.is_fresh(1010, None, false));
        assert!(nonces.is_fresh(1010, Some(1300), false), "what has no name may be replayed anyway: its key may not");
        assert!(!nonces.is_fresh(1010, None, true));
        assert!(!nonces.is_fresh(1311, Some(1010), true) && !nonces.is_fresh(1000, Some(i64::MIN), false));
        assert!(!nonces.is_fresh(1000, Some(i64::MAX), true));
    }

    #[test]
    fn on_a_new_store_nothing_was_taken_before() {
        let nonces = Nonces::new(1000, true, 300);
        assert!(nonces.is_fresh(1000, Some(1000), true) && nonces.is_fresh(1000, Some(990), true));
    }
}
