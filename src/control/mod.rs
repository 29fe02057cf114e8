//! The control socket: operators' commands to a running switch.
//!
//! A Unix socket beside the store, for the user who runs the switch alone (mode 0600). One JSON object a line goes in,
//! one comes back. Who asks is told by the kernel, not by the caller; what changes something needs a reason, and both
//! are durable before it is done. What an order means is decided by the switch; the lists of what is parked and of the
//! audit are read from the books.

mod caller;
mod desk;
mod door;
mod parked;
mod person;
mod reply;
mod request;

pub use caller::{CallError, call};
pub use desk::Waiters;
pub use door::{Door, DoorError};
pub use parked::Parked;
pub use person::own_name;
pub use reply::Reply;
pub use request::{Command, Request};

use std::time::Duration;

/// How long an operator waits for an answer: longer than the longest echo.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The longest line taken.
const LONGEST_LINE: u64 = 16 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
