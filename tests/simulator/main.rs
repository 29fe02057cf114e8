//! The bank host simulator over loopback: bytes in, bytes out, and a ledger that outlives it.
#![cfg(feature = "switch")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod command;
mod control;
mod conversations;
mod keys;
mod load;
mod misbehaviour;
mod peer;
mod sealed;
mod serving;
mod terminals;
