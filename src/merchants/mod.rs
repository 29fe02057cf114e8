//! The merchant register: who may ask, how they prove who they are, and how a bank is told of their terminals.
//!
//! Merchants are read from the configuration once and then looked up by what a request proves: the SHA-256 of an API
//! key, or of the public key of a client certificate. Nothing here decides whether a request is allowed; the doors do.

mod merchant;
mod payload_key;
mod register;
mod settings;
mod signature_key;

pub use merchant::{Merchant, Proof, Sealing, Signing};
pub use payload_key::{PayloadKey, PayloadKeyError};
pub use register::{Register, RegisterError, Sha256Hash};
pub use settings::{MerchantSettings, TerminalSettings};
pub use signature_key::{SignatureKey, SignatureKeyError};
