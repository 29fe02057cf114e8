//! Cards at rest: number and expiry, sealed (PCI DSS 3.5.1); the verification code is never stored (3.3.1).
//!
//! Sealing is a value's business here ([`Keys::seal`], [`Keys::open`]); where the sealed bytes lie is the journal's.
//! The surprise: no key seals two cards. Each card has a key of its own, derived from the key-encryption key and the
//! card id, so that a random nonce never meets its bound (NIST SP 800-38D, 8.3: 2^32 messages under one key).

//!
//! The cards of payments lie in the journal, beside the records that name them; those that merchants keep for payments
//! to come lie here ([`Tokens`]), in a file of their own, because they are changed and deleted and a journal is not.

mod keys;
mod known;
pub mod measure;
mod resealed;
mod ring;
mod sealed;
mod tokens;

pub use keys::{KeyFault, KeyId, Keys};
pub use known::{KNOWN_KEYS, mistaken_key};
pub use resealed::Resealed;
pub use ring::KeyRing;
pub use sealed::{SealedCard, VaultError};
pub use tokens::{Created, NewToken, Token, TokenError, Tokens};
