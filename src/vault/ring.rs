//! The keys in use, shared by all who seal and open, and exchanged for others while they do.

use super::Keys;
use std::sync::{Arc, PoisonError, RwLock};

/// Keys that may be exchanged; clones see the exchange.
#[derive(Clone, Debug)]
pub struct KeyRing(Arc<RwLock<Arc<Keys>>>);

impl KeyRing {
    /// The keys as they stand now; whoever holds on to them keeps working with them.
    pub fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges them for all who ask from now on.
    pub fn replace(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

impl From<Keys> for KeyRing {
    fn from(keys: Keys) -> KeyRing {
        KeyRing(Arc::new(RwLock::new(Arc::new(keys))))
    }
}
