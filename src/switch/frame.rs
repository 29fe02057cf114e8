//! A message as it stands on the wire, without its length header.
//!
//! It may hold a card number, packed or in clear, so printing says how long it is and nothing of it: whatever holds one
//! may stand in a log or in the text of a panic.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// The bytes of one message.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Its bytes, to be written or read.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Frame {
        Frame(bytes)
    }
}

impl Deref for Frame {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Monotonic;
    use crate::switch::{Effect, Event, LinkId, MacVerdict, Observation, SendId};
    use std::time::Duration;

    #[test]
    fn nothing_of_it_is_printed_wherever_it_stands() {
        let frame = || Frame::from(Bytes::from_static(b"0200 4111111111111111"));
        let (link, mac, payment) = (LinkId(0), MacVerdict::NotAsked, None);
        let (seals, send_by) = (Vec::new(), Monotonic(0));
        let printed = [
            format!("{:?}", Event::Arrived { link, frame: frame(), mac }),
            format!("{:?}", Event::Judged { link, frame: frame(), mac }),
            format!("{:?}", Effect::Send { link, id: SendId(1), frame: frame(), seals, send_by }),
            format!("{:?}", Effect::Judge { link, frame: frame() }),
            format!("{:?}", Observation::Sent { payment, link, frame: frame() }),
            format!("{:?}", Observation::Replied { payment, link, frame: frame(), took: Duration::ZERO }),
        ];
        for text in printed {
            assert!(text.contains("Frame(21 bytes)") && !text.contains("4111"), "{text}");
        }
    }
}
