//! One connection to a bank host: its session (TCP up is not online), epoch, echo and network management.
//!
//! Knows bytes only as network management messages (class 8); what else travels is the host's business.

mod network;
mod session;
mod settings;

pub use network::{Function, Network};
pub use session::{Goal, Session, SessionState, Step};
pub use settings::{NetworkSettings, SessionOverrides, SessionSettings};
