//! `isthmus demo`: everything on one machine with no set-up.

pub mod material;
mod payload_pair;

pub use payload_pair::PayloadPair;
