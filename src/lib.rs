//! Isthmus, a payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
//!
//! The house has four floors; a module may use what lies below it, never what lies above
//! (`tests/tidy.rs` holds this). Read it from the bottom up.
//!
//! **Floor 0, values and codecs**: no IO, no clock, no randomness, no hidden order.
//! - [`iso8583`]: the standard without any meaning, bytes to message and back under a spec.
//!
//! **Floor 3, composition**.
//! - `cli`: the commands, one file each.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "switch")]
pub mod cli;
#[cfg(feature = "dialects")]
#[doc(hidden)]
pub mod fuzzing;
pub mod iso8583;
