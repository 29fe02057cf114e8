//! What came of one step of sealing a store's cards anew.

/// How far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Cards that lie under the current key now.
    pub resealed: usize,
    /// Cards that cannot be opened, and were left as they are.
    pub stuck: usize,
    /// Whether it has looked at everything there is.
    pub is_done: bool,
}
