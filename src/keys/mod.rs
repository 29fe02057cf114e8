//! The keys shared with banks, behind an interface: what an HSM would do, and what the shipped software does instead.
//!
//! Nobody above this room sees a key. The switch names keys by [`crate::security::KeySlot`] and says where in a frame
//! they have work; the bank shell asks a [`KeyService`] just before it writes, and for each frame it read.

mod software;

pub use software::{HostKeys, SoftwareKeys};

use crate::security::{KeyFault, KeySlot, Seal};
use crate::switch::{LinkId, MacVerdict};
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
    /// The service cannot be reached.
    #[error("the key service cannot be reached")]
    Unreachable,
}

/// Does with keys what has to be done with them. Called by the tasks of links: it must not wait for long.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// Fills in what the seals say, in their order.
    fn seal(&self, frame: &mut [u8], seals: &[Seal]) -> Result<(), SealFault>;

    /// Judges a frame that came on a link.
    fn verify(&self, link: LinkId, frame: &[u8]) -> MacVerdict;

    /// Whether keys lie in the memory of this process, which no acquirer allows for PINs.
    fn is_software(&self) -> bool;
}
