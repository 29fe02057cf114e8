//! What can be wrong with a stream of frames. None of it says what the message contained.

use std::fmt;
use std::io;

/// Why a byte stream can't be cut into frames, or a message can't be put into one.
///
/// Every variant but [`FramingError::MessageTooLong`] ends the link: the reader has lost its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// Peer: the length field holds something that isn't a digit of its encoding.
    LengthUnreadable {
        /// Which byte of the length field, from 0.
        offset: usize,
    },
    /// Peer: a length that counts its own bytes says less than those bytes take.
    LengthTooShort {
        /// The length as received.
        length: u64,
    },
    /// Peer: the announced message is longer than the link takes; nothing was buffered for it.
    FrameTooLong {
        /// The message's length as announced, or the bytes seen without a trailer.
        length: u64,
        /// The longest message the link takes.
        max: usize,
    },
    /// Peer: the bytes where the trailer belongs are something else.
    TrailerMissing,
    /// Peer: an empty frame where the link doesn't take them.
    EmptyFrame,
    /// Peer: the stream ended within a frame.
    Unfinished {
        /// Bytes that were left over.
        bytes: usize,
    },
    /// Ours: the message doesn't fit into a frame of this link; nothing was written.
    MessageTooLong {
        /// The message's length.
        length: usize,
        /// The longest message the framing can carry.
        max: usize,
    },
    /// Ours: an empty message, which the peer would take for a keep-alive.
    MessageEmpty,
    /// Ours: the message holds the trailer, by which alone this framing tells where it ends.
    TrailerInMessage,
    /// The stream beneath failed.
    Stream(io::ErrorKind),
}

impl FramingError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LengthUnreadable { .. } => "length_unreadable",
            Self::LengthTooShort { .. } => "length_too_short",
            Self::FrameTooLong { .. } => "frame_too_long",
            Self::TrailerMissing => "trailer_missing",
            Self::EmptyFrame => "empty_frame",
            Self::Unfinished { .. } => "frame_unfinished",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::MessageEmpty => "message_empty",
            Self::TrailerInMessage => "trailer_in_message",
            Self::Stream(_) => "stream",
        }
    }
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthUnreadable { offset } => {
                write!(f, "byte {offset} of the length is no digit")
            }
            Self::LengthTooShort { length } => {
                write!(f, "the length {length} is less than what it counts of itself")
            }
            Self::FrameTooLong { length, max } => {
                write!(f, "a message of {length} bytes, the link takes {max}")
            }
            Self::TrailerMissing => write!(f, "the frame doesn't end with its trailer"),
            Self::EmptyFrame => write!(f, "an empty frame, which this link doesn't take"),
            Self::Unfinished { bytes } => {
                write!(f, "the stream ended {bytes} bytes into a frame")
            }
            Self::MessageTooLong { length, max } => {
                write!(f, "a message of {length} bytes, the framing carries {max}")
            }
            Self::MessageEmpty => write!(f, "an empty message would read as a keep-alive"),
            Self::TrailerInMessage => write!(f, "the message contains the trailer"),
            Self::Stream(kind) => write!(f, "the stream failed: {kind}"),
        }
    }
}

impl std::error::Error for FramingError {}

impl From<io::Error> for FramingError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error.kind())
    }
}
