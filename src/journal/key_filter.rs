//! A filter before the index of idempotency keys: tells most new keys as new without a look-up.
//!
//! A Bloom filter. It may take a new key for a known one, and then the views are asked; it never takes a known key for
//! a new one. Until it has been told all keys of the past it takes every key for a known one. When it fills up over the
//! years it spares less, and nothing else changes.

use crate::payment::MerchantId;
use crate::transaction::IdempotencyKey;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bits that a key sets: best at about nine bits a key, and few enough to be quick.
const PROBES: u64 = 6;

/// Which keys may have been used.
pub(super) struct KeyFilter {
    bits: Box<[AtomicU64]>,
    complete: AtomicBool,
}

impl KeyFilter {
    /// An empty filter of this size.
    pub(super) fn new(mib: u32) -> KeyFilter {
        let words = (mib.max(1) as usize) << 17;
        KeyFilter { bits: (0..words).map(|_| AtomicU64::new(0)).collect(), complete: AtomicBool::new(false) }
    }

    /// Takes a key in.
    pub(super) fn add(&self, merchant: &str, key: &str) {
        for (word, bit) in self.places(merchant, key) {
            self.bits[word].fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// All keys of the past are in.
    pub(super) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether a key may have been used; `false` is certain.
    pub(super) fn may_hold(&self, merchant: &MerchantId, key: &IdempotencyKey) -> bool {
        let mut places = self.places(merchant.as_str(), key.as_str());
        !self.complete.load(Ordering::Acquire)
            || places.all(|(word, bit)| self.bits[word].load(Ordering::Relaxed) & bit != 0)
    }

    fn places(&self, merchant: &str, key: &str) -> impl Iterator<Item = (usize, u64)> + use<> {
        let mut hasher = DefaultHasher::new();
        hasher.write(merchant.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(key.as_bytes());
        let hash = hasher.finish();
        let (start, step) = (hash, hash.rotate_left(32) | 1);
        let bits = self.bits.len() as u64 * 64;
        (0..PROBES).map(move |probe| {
            let place = start.wrapping_add(probe.wrapping_mul(step)) % bits;
            ((place / 64) as usize, 1 << (place % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{key, merchant};
    use super::*;

    #[test]
    fn it_takes_every_key_for_known_until_it_is_complete() {
        let filter = KeyFilter::new(1);
        assert!(filter.may_hold(&merchant("acme"), &key("k")));
        filter.complete();
        assert!(!filter.may_hold(&merchant("acme"), &key("k")));
    }

    #[test]
    fn it_never_forgets_and_rarely_mistakes() {
        let filter = KeyFilter::new(1);
        filter.complete();
        let count = 200_000;
        (0..count).for_each(|number| filter.add("acme", &format!("order-{number}")));
        assert!((0..count).all(|number| filter.may_hold(&merchant("acme"), &key(&format!("order-{number}")))));
        let mistakes =
            (0..count).filter(|number| filter.may_hold(&merchant("other"), &key(&format!("order-{number}"))));
        assert!(mistakes.count() < 20, "42 bits a key");
    }
}
