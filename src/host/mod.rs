//! One bank host: the requests it owes an answer to, the numbers they bear, the messages that are owed to it, and its
//! business day.
//!
//! These parts move messages and know no money; who they belong to is a subject of the caller's choosing.

mod breaker;
mod day;
mod key;
mod numbers;
mod outbox;
mod pending;

pub use breaker::{Breaker, BreakerSettings};
pub use day::{BusinessDays, Cutover, DayKeeper, DayMark, DaySettings};
pub use key::CorrelationKey;
pub use numbers::{Numbers, OutOfNumbers, Reservation};
pub use outbox::{Outbox, RetrySettings, Standing};
pub use pending::{Pending, PendingTable, Settled};
