//! Which working key of which host: the name under which a key service keeps it.

use crate::payment::Name;

/// What a working key of a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotUse {
    /// The MACs of messages.
    Mac,
    /// The PIN blocks in messages.
    Pin,
}

/// Which way the messages go; many hosts have one key for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From us to the host.
    Send,
    /// From the host to us.
    Receive,
}

/// The name of a working key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySlot {
    /// The host it is shared with.
    pub host: Name,
    /// What it is for.
    pub usage: SlotUse,
    /// Which way.
    pub direction: Direction,
    /// Counts the key changes; the key that stands in a file is number 0.
    pub epoch: u32,
}
