//! The merchant register: who may ask, how they prove who they are, and how a bank is told of their terminals.
//!
//! Merchants are read from the configuration and from a store of their own, which may change while the switch runs, and
//! are then looked up by what a request proves: the SHA-256 of an API key, or of the public key of a client
//! certificate. Nothing here decides whether a request is allowed; the doors do.

mod certificate_key;
mod live;
pub mod measure;
mod merchant;
mod payload_key;
mod permission;
mod public_part;
mod register;
mod registrar;
mod settings;
mod share;
mod signature_key;
mod store;

pub use certificate_key::{CertificateKeyError, certificate_key};
pub use live::{Follower, LiveError, LiveRegister, follow};
pub use merchant::{ApiKey, Merchant, Proof, Sealing, Signing, TrustedKey};
pub use payload_key::{PayloadKey, PayloadKeyError};
pub use permission::{Beyond, Ceilings, NotAScope, Scope, Scopes};
pub use register::{Fault, Register, RegisterError, Sha256Hash, Sources};
pub use registrar::{Origin, Registrar, RegistrarError};
pub use settings::{ApiKeySettings, MerchantSettings, SignatureKeySettings, TerminalSettings};
pub use share::{Exceeded, Place, Share, ShareSettings};
pub use signature_key::{SignatureKey, SignatureKeyError};
pub use store::{Change, MerchantStore, MerchantStoreError, Order};
