//! ISO 8583 in: the door of acquirers and terminal networks, each with a dialect of its own.
//!
//! Their messages become the same payments as those of every other door, and are answered in the dialect in which they
//! came; where the bank speaks another one, the switch stands between two editions of the standard. `question` says what a
//! message asks for, `original` finds the payment that it is about, `answer` what is told; `conversation` reads and writes.
//! There is no idempotency key on this wire: acquirer, terminal, message type, trace number and time are one, and by it a
//! repeat is answered as before and a reversal finds its original.
//!
//! What surprises: nothing is better than something wrong. Where an outcome cannot be told (it is not recorded, or the
//! switch took too long), there is no answer, and the acquirer does what its own rules say of silence: it repeats or
//! reverses, and both are understood. A message with an element that is not taken here is refused by that element's number.
//!
//! What it does not do: PINs (52) and MACs (64, 128) of acquirers, reversals in part (95), reversals of completions and
//! refunds, sales that a terminal approved by itself (0120, 0220 without an original), totals (class 5), files (class 3).

mod answer;
mod conversation;
mod listener;
mod open;
mod original;
mod question;
mod settings;

pub use settings::{AcquirerDoor, AcquirerSettings, UnknownOriginal};

use super::Door;
use super::connections::Handle;
use super::tls::Acceptor;
use open::OpenKeys;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What every connection of one door works with.
struct Desk {
    door: Arc<Door>,
    /// How this door is kept.
    own: AcquirerDoor,
    open: OpenKeys,
}

/// Opens a door; with TLS where its settings say so.
pub(super) fn serve(
    door: Arc<Door>,
    own: AcquirerDoor,
    listener: TcpListener,
    tls: Option<Acceptor>,
) -> std::io::Result<Handle> {
    let desk = Desk { door, own, open: OpenKeys::default() };
    listener::accept(listener, tls, Arc::new(desk))
}
