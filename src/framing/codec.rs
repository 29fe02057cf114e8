//! The framer: frames out of a byte stream, and into one.
//!
//! Too few bytes is not an error but `None`. A frame is cut off the read buffer without a copy.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::FramingError;
use super::settings::{Framing, KeepAlive};

/// What stands between two frame borders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, network header included, framing taken off.
    Message(Bytes),
    /// An empty frame. Received only where the framing says [`KeepAlive::Answer`].
    KeepAlive,
}

/// Cuts frames out of what was read and puts frames into what will be written.
#[derive(Clone, Debug)]
pub struct Framer {
    framing: Framing,
    /// How much of the buffer was searched for the trailer already, where there is no length.
    searched: usize,
}

/// What one step over the buffer found.
enum Step {
    Message(Bytes),
    Empty,
    Short,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(framing: Framing) -> Self {
        Self { framing, searched: 0 }
    }

    /// The framing it follows.
    pub fn framing(&self) -> &Framing {
        &self.framing
    }

    fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, FramingError> {
        match self.framing.width {
            0 => self.step_to_trailer(buffer),
            _ => self.framing.step_by_length(buffer),
        }
    }

    fn step_to_trailer(&mut self, buffer: &mut BytesMut) -> Result<Step, FramingError> {
        let framing = &self.framing;
        let head = framing.before.len() + framing.after.len();
        let from = self.searched.max(head);
        let found = buffer.get(from..).and_then(|rest| position(rest, &framing.trailer)).map(|at| from + at);
        let length = found.unwrap_or(buffer.len()).saturating_sub(head);
        // Without the trailer in sight, its first bytes may be at the end of the buffer.
        let slack = if found.is_some() { 0 } else { framing.trailer.len() - 1 };
        if length > framing.max + slack {
            return Err(too_long(length as u64, framing.max));
        }
        let Some(end) = found else {
            self.searched = buffer.len().saturating_sub(framing.trailer.len() - 1);
            return Ok(Step::Short);
        };
        self.searched = 0;
        let mut frame = buffer.split_to(end + framing.trailer.len());
        frame.advance(head);
        frame.truncate(end - head);
        Ok(message_or_empty(frame))
    }
}

impl Framing {
    fn step_by_length(&self, buffer: &mut BytesMut) -> Result<Step, FramingError> {
        let head = self.before.len() + self.width + self.after.len();
        let Some(field) = buffer.get(self.before.len()..self.before.len() + self.width) else {
            return Ok(Step::Short);
        };
        let said = self.encoding.read(field)?;
        let length = self.message_length(said)?;
        let trailer = if length == 0 { 0 } else { self.trailer.len() };
        let whole = head + length + trailer;
        if buffer.len() < whole {
            buffer.reserve(whole - buffer.len());
            return Ok(Step::Short);
        }
        let mut frame = buffer.split_to(whole);
        frame.advance(head);
        let tail = frame.split_off(length);
        match tail == self.trailer[..trailer] {
            true => Ok(message_or_empty(frame)),
            false => Err(FramingError::TrailerMissing),
        }
    }

    /// The message's own length, from what the length field says.
    fn message_length(&self, said: u64) -> Result<usize, FramingError> {
        let short = FramingError::LengthTooShort { length: said };
        let body = match said {
            // A keep-alive is a bare zero at many hosts that otherwise count the field itself.
            0 => 0,
            said => said.checked_sub(self.counted_head).ok_or(short)?,
        };
        if body == 0 {
            return Ok(0);
        }
        match body.checked_sub(self.counted_trailer).ok_or(short)? {
            length if length > self.max as u64 => Err(too_long(length, self.max)),
            length => Ok(length as usize),
        }
    }

    /// Appends `message` to `out` as one frame.
    ///
    /// Errors: too long for the link, empty, or containing the trailer where only the trailer ends
    /// a message. `out` is untouched then.
    pub fn put(&self, message: &[u8], out: &mut BytesMut) -> Result<(), FramingError> {
        let (length, max) = (message.len(), self.max);
        if length > max {
            return Err(FramingError::MessageTooLong { length, max });
        }
        if length == 0 {
            return Err(FramingError::MessageEmpty);
        }
        if self.width == 0 && position(message, &self.trailer).is_some() {
            return Err(FramingError::TrailerInMessage);
        }
        out.reserve(self.before.len() + self.width + self.after.len() + length + self.trailer.len());
        self.put_head(length as u64 + self.counted_head + self.counted_trailer, out);
        out.put_slice(message);
        out.put_slice(&self.trailer);
        Ok(())
    }

    /// Appends an empty frame to `out`.
    pub fn put_keep_alive(&self, out: &mut BytesMut) {
        self.put_head(self.counted_head, out);
        if self.width == 0 {
            out.put_slice(&self.trailer);
        }
    }

    fn put_head(&self, said: u64, out: &mut BytesMut) {
        out.put_slice(&self.before);
        self.encoding.write(said, self.width, out);
        out.put_slice(&self.after);
    }
}

fn message_or_empty(frame: BytesMut) -> Step {
    match frame.is_empty() {
        true => Step::Empty,
        false => Step::Message(frame.freeze()),
    }
}

fn too_long(length: u64, max: usize) -> FramingError {
    FramingError::FrameTooLong { length, max }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Decoder for Framer {
    type Item = Frame;
    type Error = FramingError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FramingError> {
        loop {
            match (self.step(buffer)?, self.framing.keep_alive) {
                (Step::Message(message), _) => return Ok(Some(Frame::Message(message))),
                (Step::Short, _) => return Ok(None),
                (Step::Empty, KeepAlive::Answer) => return Ok(Some(Frame::KeepAlive)),
                (Step::Empty, KeepAlive::Ignore) => {}
                (Step::Empty, KeepAlive::Refuse) => return Err(FramingError::EmptyFrame),
            }
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FramingError> {
        match self.decode(buffer)? {
            None if buffer.is_empty() => Ok(None),
            None => Err(FramingError::Unfinished { bytes: buffer.len() }),
            frame => Ok(frame),
        }
    }
}

impl Encoder<Frame> for Framer {
    type Error = FramingError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), FramingError> {
        match frame {
            Frame::Message(message) => self.framing.put(&message, out),
            Frame::KeepAlive => {
                self.framing.put_keep_alive(out);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::settings::{Counted, Encoding, Settings};
    use super::*;

    fn framings() -> Vec<Framing> {
        let base = Settings::default;
        let wide = |width, encoding| Settings { length_bytes: width, length_encoding: encoding, ..base() };
        [
            base(),
            wide(4, Encoding::Decimal),
            wide(4, Encoding::Hex),
            wide(2, Encoding::Bcd),
            wide(4, Encoding::Binary),
            wide(3, Encoding::Binary),
            // Counting itself; two zero bytes after, and in front.
            Settings { length_counts: Counted::Itself, ..base() },
            Settings { after_hex: "0000".into(), ..base() },
            Settings { before_hex: "0000".into(), length_counts: Counted::Frame, ..base() },
            // A length and an end-of-text mark, counted and not; the mark alone.
            Settings { trailer_hex: "03".into(), ..base() },
            Settings { trailer_hex: "03".into(), length_counts_trailer: false, ..base() },
            Settings { trailer_hex: "0D0A".into(), length_bytes: 0, ..base() },
        ]
        .iter()
        .map(|settings| Framing::new(&Settings { keep_alive: KeepAlive::Answer, ..settings.clone() }).unwrap())
        .collect()
    }

    fn stream(framing: &Framing) -> (Vec<Frame>, BytesMut) {
        let mut out = BytesMut::new();
        let mut frames = Vec::new();
        for length in [1usize, 2, 41, 255, 256, 257, 8_192] {
            let message: Vec<u8> = (0..length).map(|at| b'A' + (at % 26) as u8).collect();
            framing.put(&message, &mut out).unwrap();
            frames.push(Frame::Message(message.into()));
            framing.put_keep_alive(&mut out);
            frames.push(Frame::KeepAlive);
        }
        (frames, out)
    }

    /// Feeds the stream in pieces of the sizes that `size` gives and collects what comes out.
    fn fed(framing: &Framing, bytes: &[u8], mut size: impl FnMut() -> usize) -> Vec<Frame> {
        let mut framer = Framer::new(framing.clone());
        let (mut buffer, mut frames, mut rest) = (BytesMut::new(), Vec::new(), bytes);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(size().clamp(1, rest.len()));
            buffer.put_slice(now);
            rest = later;
            while let Some(frame) = framer.decode(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(framer.decode_eof(&mut buffer), Ok(None));
        frames
    }

    #[test]
    fn any_cutting_of_the_stream_gives_the_same_frames() {
        for framing in framings() {
            let (frames, bytes) = stream(&framing);
            assert_eq!(fed(&framing, &bytes, || 1), frames, "{framing:?}");
            assert_eq!(fed(&framing, &bytes, || usize::MAX), frames, "{framing:?}");
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..20 {
                assert_eq!(fed(&framing, &bytes, || random.usize(1..700)), frames);
            }
        }
    }

    #[test]
    fn any_bytes_give_frames_or_an_error_and_no_more_memory_than_the_bound() {
        let mut random = fastrand::Rng::with_seed(20);
        for framing in framings() {
            for _ in 0..300 {
                let mut framer = Framer::new(framing.clone());
                let mut buffer = BytesMut::new();
                for _ in 0..8 {
                    buffer.extend((0..random.usize(0..64)).map(|_| random.u8(..)));
                    while let Ok(Some(_)) = framer.decode(&mut buffer) {}
                    assert!(buffer.capacity() <= 4 * 8_192);
                }
            }
        }
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_it_is_buffered_for() {
        let mut framer = Framer::new(Framing::default());
        let mut buffer = BytesMut::from(&[0xFF, 0xFF][..]);
        let before = buffer.capacity();
        let error = FramingError::FrameTooLong { length: 65_535, max: 8_192 };
        assert_eq!(framer.decode(&mut buffer), Err(error));
        assert!(buffer.capacity() <= before);
    }

    #[test]
    fn an_endless_message_without_length_is_refused_at_the_bound() {
        let settings =
            Settings { length_bytes: 0, trailer_hex: "03".into(), max_message_bytes: 16, ..Settings::default() };
        let mut framer = Framer::new(Framing::new(&settings).unwrap());
        let mut buffer = BytesMut::from(&[b'A'; 16][..]);
        assert_eq!(framer.decode(&mut buffer), Ok(None));
        buffer.put_u8(b'A');
        assert!(matches!(framer.decode(&mut buffer), Err(FramingError::FrameTooLong { .. })));
    }

    #[test]
    fn an_empty_frame_is_swallowed_given_or_refused_as_the_link_says() {
        let with = |keep_alive| {
            let settings = Settings { keep_alive, ..Settings::default() };
            Framer::new(Framing::new(&settings).unwrap())
        };
        let bytes = || BytesMut::from(&[0, 0, 0, 0, 0, 1, b'A'][..]);
        let message = Frame::Message(Bytes::from_static(b"A"));
        assert_eq!(with(KeepAlive::Ignore).decode(&mut bytes()), Ok(Some(message)));
        assert_eq!(with(KeepAlive::Answer).decode(&mut bytes()), Ok(Some(Frame::KeepAlive)));
        assert_eq!(with(KeepAlive::Refuse).decode(&mut bytes()), Err(FramingError::EmptyFrame));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let counting = Settings { length_counts: Counted::Frame, after_hex: "0000".into(), ..Settings::default() };
        let mut framer = Framer::new(Framing::new(&counting).unwrap());
        let short = FramingError::LengthTooShort { length: 3 };
        assert_eq!(framer.decode(&mut BytesMut::from(&[0, 3, 0, 0, 0][..])), Err(short));

        let trailed = Settings { trailer_hex: "03".into(), ..Settings::default() };
        let mut framer = Framer::new(Framing::new(&trailed).unwrap());
        let mut wrong = BytesMut::from(&[0, 2, b'A', b'B'][..]);
        assert_eq!(framer.decode(&mut wrong), Err(FramingError::TrailerMissing));
    }

    #[test]
    fn a_message_that_cannot_be_told_from_something_else_is_not_written() {
        let framing = Framing::default();
        let mut out = BytesMut::new();
        let long = FramingError::MessageTooLong { length: 8_193, max: 8_192 };
        assert_eq!(framing.put(&[0; 8_193], &mut out), Err(long));
        assert_eq!(framing.put(&[], &mut out), Err(FramingError::MessageEmpty));
        let delimited = Settings { length_bytes: 0, trailer_hex: "03".into(), ..Settings::default() };
        let delimited = Framing::new(&delimited).unwrap();
        assert_eq!(delimited.put(&[1, 3, 1], &mut out), Err(FramingError::TrailerInMessage));
        assert!(out.is_empty());
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_says_so() {
        let mut framer = Framer::new(Framing::default());
        let mut buffer = BytesMut::from(&[0, 9, b'A'][..]);
        assert_eq!(framer.decode_eof(&mut buffer), Err(FramingError::Unfinished { bytes: 3 }));
    }
}
