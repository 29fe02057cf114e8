//! The length field: a number in so many bytes, in one of four encodings.

use bytes::{BufMut, BytesMut};

use super::FramingError;
use super::settings::Encoding;

impl Encoding {
    /// The largest number that `width` bytes hold (`width` is 1 to 8).
    pub(super) fn capacity(self, width: usize) -> u64 {
        let (base, digits): (u64, u32) = match self {
            Self::Binary => (256, width as u32),
            Self::Bcd => (100, width as u32),
            Self::Decimal => (10, width as u32),
            Self::Hex => (16, width as u32),
        };
        base.checked_pow(digits).map_or(u64::MAX, |beyond| beyond - 1)
    }

    /// Reads the number in `field` (at most 8 bytes).
    pub(super) fn read(self, field: &[u8]) -> Result<u64, FramingError> {
        let mut value: u64 = 0;
        for (offset, byte) in field.iter().enumerate() {
            let (base, digit) = self.digit(*byte).ok_or(FramingError::LengthUnreadable { offset })?;
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        Ok(value)
    }

    /// One byte's base and value: 256 for a raw byte, 100 for two packed digits, else a character.
    fn digit(self, byte: u8) -> Option<(u64, u64)> {
        match self {
            Self::Binary => Some((256, u64::from(byte))),
            Self::Bcd => {
                let (high, low) = (byte >> 4, byte & 0x0F);
                (high < 10 && low < 10).then(|| (100, u64::from(high * 10 + low)))
            }
            Self::Decimal => char::from(byte).to_digit(10).map(|d| (10, u64::from(d))),
            Self::Hex => char::from(byte).to_digit(16).map(|d| (16, u64::from(d))),
        }
    }

    /// Writes `value`, which fits into `width` bytes, to `out`.
    pub(super) fn write(self, mut value: u64, width: usize, out: &mut BytesMut) {
        let start = out.len();
        out.put_bytes(0, width);
        for byte in out[start..].iter_mut().rev() {
            let (rest, digit) = match self {
                Self::Binary => (value >> 8, (value & 0xFF) as u8),
                Self::Bcd => (value / 100, (((value / 10 % 10) << 4) | (value % 10)) as u8),
                Self::Decimal => (value / 10, b'0' + (value % 10) as u8),
                Self::Hex => (value >> 4, b"0123456789ABCDEF"[(value & 0x0F) as usize]),
            };
            *byte = digit;
            value = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [Encoding; 4] = [Encoding::Binary, Encoding::Bcd, Encoding::Decimal, Encoding::Hex];

    #[test]
    fn reads_what_it_writes_at_every_width() {
        for encoding in ALL {
            for width in 1..=8 {
                let top = encoding.capacity(width);
                for value in [0, 1, 9, top / 3, top - 1, top] {
                    let mut out = BytesMut::new();
                    encoding.write(value, width, &mut out);
                    assert_eq!(out.len(), width);
                    assert_eq!(encoding.read(&out), Ok(value), "{encoding:?} {width}");
                }
            }
        }
    }

    #[test]
    fn known_forms() {
        assert_eq!(Encoding::Binary.read(&[0x01, 0x2C]), Ok(300));
        assert_eq!(Encoding::Bcd.read(&[0x03, 0x00]), Ok(300));
        assert_eq!(Encoding::Decimal.read(b"0300"), Ok(300));
        assert_eq!(Encoding::Hex.read(b"012c"), Ok(300));
        assert_eq!(Encoding::Bcd.capacity(2), 9_999);
        assert_eq!(Encoding::Hex.capacity(4), 65_535);
    }

    #[test]
    fn what_is_no_digit_is_named_by_its_place() {
        let at = |offset| Err(FramingError::LengthUnreadable { offset });
        assert_eq!(Encoding::Bcd.read(&[0x00, 0x0A]), at(1));
        assert_eq!(Encoding::Decimal.read(b"00a0"), at(2));
        assert_eq!(Encoding::Hex.read(b"G000"), at(0));
    }
}
