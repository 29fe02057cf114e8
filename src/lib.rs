//! Isthmus, a payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
//!
//! The house has four floors; a module may use what lies below it, never what lies above
//! (`tests/tidy.rs` holds this). Read it from the bottom up.
//!
//! **Floor 0, values and codecs**: no IO, no clock, no randomness, no hidden order.
//! - [`iso8583`]: the standard without any meaning, bytes to message and back under a spec.
//! - [`payment`]: what a payment is, without any wire.
//!
//! **Floor 1, protocol logic**: deterministic; time and randomness are arguments.
//! - [`transaction`]: one payment's life, as records and their fold.
//! - [`switch`]: everything in motion as one value, events in, effects out.
//!
//! **Floor 2, shells**: clocks, files, sockets and keys.
//! - [`vault`]: cards at rest, sealed.
//! - [`journal`]: durable append with group commit, replay, and the views by which payments are found.

pub mod iso8583;
#[cfg(feature = "switch")]
pub mod journal;
#[cfg(feature = "switch")]
pub mod payment;
#[cfg(feature = "switch")]
pub mod switch;
#[cfg(feature = "switch")]
pub mod transaction;
#[cfg(feature = "switch")]
pub mod vault;
