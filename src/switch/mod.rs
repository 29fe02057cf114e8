//! The roof of the protocol logic: everything in motion as one deterministic value, [`Event`] in, [`Effect`]s out.

mod event;

pub use event::*;
