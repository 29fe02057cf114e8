//! The keys shared with banks, behind an interface: what an HSM would do, and what the shipped software does instead.
//!
//! Nobody above this room sees a key. The switch names keys by [`crate::security::KeySlot`] and says where in a frame
//! they have work; the bank shell asks a [`KeyService`] just before it writes, and for each frame it read.

mod merchant_pins;
mod software;

pub use merchant_pins::{MerchantPinKey, MerchantPins, PinKeySource};
pub use software::{HostKeys, SoftwareKeys};

use crate::payment::Name;
use crate::security::dukpt::DukptFault;
use crate::security::{KeyBlockFault, KeyFault, KeySlot, OfferedKey, PinFault, Seal};
use crate::switch::{LinkId, MacVerdict, NO_KEY};
use std::fmt;

/// Why a frame was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// There is no such key.
    #[error("there is no key number {} shared with {}", .0.epoch, .0.host)]
    NoKey(KeySlot),
    /// The key does not fit what it should do.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The merchant has no such PIN key.
    #[error("the merchant has no such PIN key")]
    NoPinKey,
    /// The PIN block is not what it is said to be.
    #[error(transparent)]
    Pin(#[from] PinFault),
    /// No terminal has this key serial number.
    #[error(transparent)]
    Dukpt(#[from] DukptFault),
    /// The service cannot be reached.
    #[error("the key service cannot be reached")]
    Unreachable,
}

impl SealFault {
    /// A stable name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoKey(_) => NO_KEY,
            Self::Key(fault) => fault.code(),
            Self::NoPinKey => "no_pin_key",
            Self::Pin(fault) => fault.code(),
            Self::Dukpt(fault) => fault.code(),
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why keys that a host sent were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeFault {
    /// There is no key that they could be deciphered with.
    #[error("there is no zone key shared with this host")]
    NoZoneKey,
    /// A key, or its check value.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A key block.
    #[error(transparent)]
    Block(#[from] KeyBlockFault),
    /// The service cannot be reached.
    #[error("the key service cannot be reached")]
    Unreachable,
}

impl TakeFault {
    /// A stable name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoZoneKey => "no_zone_key",
            Self::Key(fault) => fault.code(),
            Self::Block(fault) => fault.code(),
            Self::Unreachable => "unreachable",
        }
    }
}

/// Does with keys what has to be done with them. Called by the tasks of links: it must not wait for long.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// Fills in what the seals say, in their order.
    fn seal(&self, frame: &mut [u8], seals: &[Seal]) -> Result<(), SealFault>;

    /// Judges a frame that came on a link.
    fn verify(&self, link: LinkId, frame: &[u8]) -> MacVerdict;

    /// Takes all keys that a host offers, under this number, or none of them. May take its time: it is called apart.
    fn take(&self, host: &Name, number: u32, offered: &[OfferedKey]) -> Result<(), TakeFault>;

    /// Forgets a key that is good no longer.
    fn forget(&self, slot: &KeySlot);
}
