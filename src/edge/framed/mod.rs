//! The door of long-lived connections: frames in place of HTTP, many requests in flight, answers in any order.
//!
//! A frame is four bytes of length, the most significant first, and a JSON envelope; a frame of length zero shows that
//! the client lives and is not answered. A bare document of CAPE stands for itself, and so does its answer. [`question`]
//! turns an envelope into the HTTP request that asks the same and
//! [`answer`] turns its response back, so that one API stands behind both doors. `conversation` reads and writes.
//!
//! What surprises: a client that does not read its answers is not read from either. What it asked was still asked, and
//! its keys find the answers on another connection.

mod answer;
mod conversation;
mod question;

pub(super) use conversation::{converse, write_all};

/// Any bytes as a frame: what asks something asks it of this API.
#[cfg(test)]
pub(super) fn fuzz(frame: &[u8]) {
    if let Ok(asked) = question::read(zeroize::Zeroizing::new(frame.to_vec())) {
        assert!(asked.request.uri().path().starts_with("/v1/"), "{}", asked.request.uri());
    }
}
