//! Isthmus, a payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
//!
//! The house has four floors; a module may use what lies below it, never what lies above
//! (`tests/tidy.rs` holds this). Read it from the bottom up.
//!
//! **Floor 0, values and codecs**: no IO, no clock, no randomness, no hidden order.
//! - [`iso8583`]: the standard without any meaning, bytes to message and back under a spec.
//! - [`framing`]: where one message ends and the next begins on a byte stream.
//! - [`payment`]: what a payment is, without any wire.
//!
//! **Floor 2, shells**:
//! - [`simulator`]: a bank to talk to, apart from everything it is an oracle for.
//!
//! **Floor 3, composition**:
//! - [`cli`]: one file a command.

#[cfg(feature = "switch")]
pub mod cli;
#[cfg(feature = "switch")]
pub mod framing;
pub mod iso8583;
#[cfg(feature = "switch")]
pub mod payment;
#[cfg(feature = "switch")]
pub mod simulator;
