//! Framing: where one message ends and the next begins on a byte stream.
//!
//! ISO 8583 says nothing about this, so every host chose for itself; what they chose differs in a
//! handful of parameters, and one framer with those parameters speaks nearly all of them: a length
//! of so many bytes, binary, packed or in characters, counting itself or not, fixed bytes before
//! and after it, a trailer, and an empty frame that keeps the line alive.
//!
//! Not here: network headers (TPDU, UnionPay, Visa, BASE24). They carry meaning, belong to the
//! dialect, and reach us as the first bytes of the message.
//!
//! What surprises: the length is judged against [`Settings::max_message_bytes`] before a single
//! byte of the message is buffered for, and a bad length can't be recovered from, since nobody
//! knows any more where the next frame starts. The link has to be closed.

mod codec;
mod error;
mod length;
mod settings;

pub use codec::{Frame, Framer};
pub use error::FramingError;
pub use settings::{Counted, Encoding, Framing, KeepAlive, Settings, SettingsError};
