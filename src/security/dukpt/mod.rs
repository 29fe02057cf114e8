//! Derived unique key per transaction (ANSI X9.24-3): a terminal never uses a key twice, and names each one by a key
//! serial number that travels with the message. The host derives the same key from its base key and that number.
//!
//! [`tdes`] has serial numbers of 10 bytes, [`aes`] of 12. Both only derive what a host needs: the terminal's own
//! registers of future keys are not kept here.

pub mod aes;
pub mod tdes;

use super::key::KeyFault;

/// Why no key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DukptFault {
    /// The base key is for something else, or of another kind.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A counter that no terminal reaches: zero, or with more bits set than the standard lets it have.
    #[error("no terminal has this transaction counter")]
    Counter,
}

impl DukptFault {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key(fault) => fault.code(),
            Self::Counter => "dukpt_counter",
        }
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkingKey {
    /// Enciphers the PIN block of the terminal's message.
    Pin,
    /// The MAC that the terminal makes: of its request.
    TerminalMac,
    /// The MAC that the host makes: of its answer.
    HostMac,
}
