//! Frames of a byte stream: where a message ends, for looking at streams and captures.

use bytes::Bytes;

/// The length in front of each message; it does not count itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Frame {
    /// Two bytes, big-endian
    Binary2,
    /// Four bytes, big-endian
    Binary4,
    /// Two bytes, big-endian, and two more that are zero
    Binary2Zero,
    /// Two bytes of packed digits
    Bcd2,
    /// Four ASCII digits
    Ascii4,
}

/// The whole messages of a stream; one of no length is a keep-alive and left out, an unfinished one at the
/// end as well.
pub(super) fn cut(stream: &[u8], frame: Frame) -> Vec<Bytes> {
    let mut messages = Vec::new();
    let mut rest = stream;
    while let Some((length, after)) = frame.length(rest) {
        let Some((message, next)) = after.split_at_checked(length) else {
            break;
        };
        if !message.is_empty() {
            messages.push(Bytes::copy_from_slice(message));
        }
        rest = next;
    }
    messages
}

impl Frame {
    /// The next message's length and what follows it.
    fn length(self, input: &[u8]) -> Option<(usize, &[u8])> {
        let width = if self == Self::Binary2 || self == Self::Bcd2 { 2 } else { 4 };
        let (length, rest) = input.split_at_checked(width)?;
        let number = |base: usize, digit: fn(u8) -> Option<usize>| {
            length.iter().try_fold(0, |number, byte| Some(number * base + digit(*byte)?))
        };
        let length = match self {
            Self::Binary2 | Self::Binary4 => number(256, |byte| Some(usize::from(byte)))?,
            Self::Binary2Zero => usize::from(*length.first()?) << 8 | usize::from(*length.get(1)?),
            Self::Bcd2 => number(100, |byte| {
                let (tens, ones) = (byte >> 4, byte & 0x0F);
                (tens <= 9 && ones <= 9).then(|| usize::from(tens * 10 + ones))
            })?,
            Self::Ascii4 => number(10, |byte| byte.is_ascii_digit().then(|| usize::from(byte - b'0')))?,
        };
        Some((length, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_and_keep_alives_left_out() {
        let cases: [(Frame, &[u8]); 5] = [
            (Frame::Binary2, b"\0\x03abc\0\0\0\x02de\0\x09x"),
            (Frame::Binary4, b"\0\0\0\x03abc\0\0\0\0\0\0\0\x02de\0"),
            (Frame::Binary2Zero, b"\0\x03\0\0abc\0\0\0\0\0\x02\0\0de"),
            (Frame::Bcd2, b"\0\x03abc\0\0\0\x02de\xFF\xFF"),
            (Frame::Ascii4, b"0003abc00000002dexxxx"),
        ];
        for (frame, stream) in cases {
            assert_eq!(cut(stream, frame), [&b"abc"[..], b"de"], "{frame:?}");
        }
    }
}
