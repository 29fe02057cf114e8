//! The keys of messages that are being asked: a repeat waits for the first one's answer, and a reversal for its original's.
//!
//! A key is entered when its message is read, before anything is asked, so that the order on the wire is the order here.

use crate::payment::MerchantId;
use crate::transaction::IdempotencyKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

type Name = (MerchantId, IdempotencyKey);
type Map = BTreeMap<Name, watch::Receiver<()>>;

/// All of a door; bounded by what its connections may have in flight.
#[derive(Clone, Default)]
pub(super) struct OpenKeys(Arc<Mutex<Map>>);

/// A key that is being asked, until this is dropped.
pub(super) struct Entered {
    keys: OpenKeys,
    name: Name,
    _asking: watch::Sender<()>,
}

/// What was asked before under some keys.
#[derive(Default)]
pub(super) struct Before(Vec<watch::Receiver<()>>);

impl OpenKeys {
    /// Enters a key; says what goes on under it and under some others.
    pub fn enter(&self, merchant: &MerchantId, key: &IdempotencyKey, others: &[IdempotencyKey]) -> (Entered, Before) {
        let (asking, asked) = watch::channel(());
        let name = (merchant.clone(), key.clone());
        let mut map = self.map();
        let open = |key: &IdempotencyKey| map.get(&(merchant.clone(), key.clone())).cloned();
        let before = others.iter().chain([key]).filter_map(open).collect();
        map.insert(name.clone(), asked);
        drop(map);
        (Entered { keys: self.clone(), name, _asking: asking }, Before(before))
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Before {
    /// Waits until all of it is over; `false` where that takes too long.
    pub async fn over(self, limit: Duration) -> bool {
        let all = async {
            for mut asked in self.0 {
                // It never changes: its end is that nobody can change it any more.
                while asked.changed().await.is_ok() {}
            }
        };
        tokio::time::timeout(limit, all).await.is_ok()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut map = self.keys.map();
        // A repeat may have entered the same key since.
        let is_own = map.get(&self.name).is_some_and(|asked| asked.same_channel(&self._asking.subscribe()));
        if is_own {
            map.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_repeat_and_a_reversal_wait_for_what_was_asked_before() {
        let keys = OpenKeys::default();
        let (acme, other) = (MerchantId::new("acme").unwrap(), MerchantId::new("other").unwrap());
        let key = |text: &str| IdempotencyKey::new(text).unwrap();
        let (first, before) = keys.enter(&acme, &key("sale"), &[]);
        assert!(before.over(Duration::ZERO).await);
        let (repeat, before) = keys.enter(&acme, &key("sale"), &[]);
        assert!(!before.over(Duration::from_millis(20)).await);
        let (_reversal, before) = keys.enter(&acme, &key("reversal"), &[key("sale"), key("nothing")]);
        assert!(keys.enter(&other, &key("sale"), &[]).1.over(Duration::ZERO).await, "another merchant's");
        let waiting = tokio::spawn(before.over(Duration::from_secs(20)));
        drop(first);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished(), "the repeat is still asked");
        drop(repeat);
        assert!(waiting.await.unwrap());
        assert_eq!(keys.map().len(), 1);
    }
}
