//! Cards at rest: number and expiry, sealed (PCI DSS 3.5.1); the verification code is never stored (3.3.1).
//!
//! Sealing is a value's business here ([`Keys::seal`], [`Keys::open`]); where the sealed bytes lie is the journal's.
//! The surprise: no key seals two cards. Each card has a key of its own, derived from the key-encryption key and the
//! card id, so that a random nonce never meets its bound (NIST SP 800-38D, 8.3: 2^32 messages under one key).

mod keys;
mod sealed;

pub use keys::{KeyFault, KeyId, Keys};
pub use sealed::{SealedCard, VaultError};
