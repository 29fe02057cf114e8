//! Isthmus, a payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
//!
//! The house has four floors; a module may use what lies below it, never what lies above
//! (`tests/tidy.rs` holds this). Read it from the bottom up.
//!
//! **Floor 0, values and codecs**: no IO, no clock, no randomness, no hidden order.
//! - [`payment`]: what a payment is, without any wire.
//! - [`iso8583`]: the standard without any meaning, bytes to message and back under a spec.
//! - [`framing`]: where one message ends and the next begins on a byte stream.
//! - [`xml`]: documents as trees within bounds, and elements as values.
//! - [`security`]: keys, MACs, PIN blocks and key blocks.
//!
//! **Floor 1, protocol logic**: deterministic; time and randomness are arguments.
//! - [`translation`]: payment values to ISO 8583 messages and back, by a dialect's mapping.
//! - [`routing`]: which hosts a new payment may go to, best first.
//! - [`link`]: one connection to a bank, its session and network management.
//! - [`host`]: one bank, its pending requests, numbers and owed messages.
//! - [`transaction`]: one payment's life, as records and their fold.
//! - [`switch`]: everything in motion as one value, events in, effects out.
//!
//! **Floor 2, shells**: sockets, files and threads around the logic.
//! - [`clock`]: both times of an event.
//! - [`edge`]: the merchants' doors: TLS, HTTPS, envelopes, JSON to payment values and back.
//! - [`bank`]: the banks' side of the wire.
//! - [`keys`]: the keys shared with banks, behind an interface that an HSM can stand behind too.
//! - [`journal`]: the durable log, its views, and what is read back.
//! - [`vault`]: cards at rest.
//! - [`merchants`]: the merchant register.
//! - [`control`]: operators' commands to a running switch, over a socket of their own.
//! - [`client`]: a merchant's side of the door, for the demo and for load.
//! - [`load`]: many customers at once, and what they would have felt.
//! - [`simulator`]: a bank to talk to, from its own reading of the standard.
//! - [`telemetry`]: every metric by name.
//!
//! **Floor 3, composition**
//! - [`config`]: reads, merges and reports.
//! - [`app`]: shells around the switch, drain order.
//! - [`cli`]: one file a command.
// The map names what smaller builds leave out; their modules hold their own links.
#![cfg_attr(not(feature = "switch"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "switch")]
pub mod app;
#[cfg(feature = "switch")]
pub mod bank;
#[cfg(feature = "switch")]
pub mod cli;
#[cfg(feature = "switch")]
pub mod client;
#[cfg(feature = "switch")]
pub mod clock;
#[cfg(feature = "switch")]
pub mod config;
#[cfg(feature = "switch")]
pub mod control;
#[cfg(feature = "switch")]
pub mod edge;
#[cfg(feature = "framing")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
#[warn(rustdoc::broken_intra_doc_links)]
pub mod framing;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
#[cfg(feature = "dialects")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod host;
#[warn(rustdoc::broken_intra_doc_links)]
pub mod iso8583;
#[cfg(feature = "switch")]
pub mod journal;
#[cfg(feature = "switch")]
pub mod keys;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod link;
#[cfg(feature = "switch")]
pub mod load;
#[cfg(feature = "switch")]
pub mod merchants;
#[cfg(feature = "switch")]
pub mod network;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod payment;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod routing;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod security;
#[cfg(feature = "switch")]
pub mod simulator;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod switch;
#[cfg(feature = "switch")]
pub mod telemetry;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod transaction;
#[cfg(feature = "switch")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod translation;
#[cfg(feature = "switch")]
pub mod vault;
#[cfg(feature = "xml")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod xml;
