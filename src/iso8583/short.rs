//! The short way: elements of the common shapes, read and written without asking the whole description.
//!
//! ASCII digits and text, packed digits and raw bytes behind ASCII, packed or binary lengths are nearly
//! all of real traffic. Each element of a spec is compiled into a few bytes that tell whether it has such
//! a shape. The short way never decides that something is wrong: what does not fit takes the long way in
//! `wire`, which knows the fillings that are allowed and the exact error.

use super::charset::Charset;
use super::class::Class;
use super::element::{Element, Encoding, Length, PrefixEncoding, Unit};
use super::message::Span;

/// What an element is on the short way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    head: Head,
    body: Body,
    /// The fixed length, or the longest and shortest.
    max: u32,
    min: u32,
    /// Whether it is divided once it has been taken.
    pub(crate) divides: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// Not of a common shape.
    None,
    Fixed,
    /// That many ASCII digits.
    Ascii(u8),
    /// That many packed bytes.
    Packed(u8),
    /// That many bytes.
    Binary(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Digits,
    Printable,
    Track,
    Class(Class),
    /// Packed digits; an odd number of them takes the long way.
    PackedDigits,
    Raw,
}

impl Short {
    /// For elements that are not defined, and for those of other shapes.
    pub(crate) const NONE: Self = Self { head: Head::None, body: Body::Raw, max: 0, min: 0, divides: false };

    /// The shape of an element.
    pub(crate) fn of(element: &Element) -> Self {
        let (head, min, max) = match element.length {
            Length::Fixed(length) => (Head::Fixed, length, length),
            Length::Rest { .. } => return Self::NONE,
            Length::Variable { prefix, .. } if prefix.counts_itself => return Self::NONE,
            Length::Variable { prefix, min, max } => {
                let head = match prefix.encoding {
                    PrefixEncoding::Text(Charset::Ascii) => Head::Ascii(prefix.width),
                    PrefixEncoding::Bcd => Head::Packed(prefix.width.div_ceil(2)),
                    PrefixEncoding::Binary => Head::Binary(prefix.width),
                    _ => return Self::NONE,
                };
                (head, min, max)
            }
        };
        let body = match (element.encoding, element.class, element.charset) {
            (Encoding::Text, Class::Numeric, Charset::Ascii) => Body::Digits,
            (Encoding::Text, Class::Text, Charset::Ascii) => Body::Printable,
            (Encoding::Text, Class::Track, Charset::Ascii) => Body::Track,
            (Encoding::Text, Class::Signed | Class::Marked, _) => return Self::NONE,
            (Encoding::Text, class, Charset::Ascii) => Body::Class(class),
            (Encoding::Bcd, Class::Numeric, _) if element.unit == Unit::Characters => Body::PackedDigits,
            (Encoding::Raw, ..) => Body::Raw,
            _ => return Self::NONE,
        };
        Self { head, body, max, min, divides: element.is_divided }
    }

    /// Reads the element at `at`; `None`: take the long way.
    #[inline(always)]
    pub(crate) fn take(&self, wire: &[u8], at: usize) -> Option<(Span, usize)> {
        let (start, count) = match self.head {
            Head::None => return None,
            Head::Fixed => (at, self.max),
            head => self.take_length(head, wire, at)?,
        };
        let len = match self.body {
            Body::PackedDigits if count % 2 == 1 => return None,
            Body::PackedDigits => count / 2,
            _ => count,
        };
        let end = start + len as usize;
        let content = wire.get(start..end)?;
        if !self.fits(content) {
            return None;
        }
        let span = Span { start: start as u32, len, units: count, ..Span::default() };
        Some((span, end))
    }

    #[inline(always)]
    fn take_length(&self, head: Head, wire: &[u8], at: usize) -> Option<(usize, u32)> {
        let (width, count) = match head {
            Head::Ascii(width) => (width, ascii_number(wire.get(at..at + usize::from(width))?)?),
            Head::Packed(width) => (width, packed_number(wire.get(at..at + usize::from(width))?)?),
            Head::Binary(width) => {
                let bytes = wire.get(at..at + usize::from(width))?;
                (width, bytes.iter().fold(0, |count, b| count << 8 | u32::from(*b)))
            }
            Head::None | Head::Fixed => return None,
        };
        (count >= self.min && count <= self.max).then_some((at + usize::from(width), count))
    }

    #[inline(always)]
    fn fits(&self, content: &[u8]) -> bool {
        match self.body {
            Body::Digits => all_digits(content),
            Body::Printable => all_printable(content),
            // Digits and the marks beside them; letters are rare.
            Body::Track => {
                by_words(content, b'0', |word| word & (0xF0 * ONES) == 0x30 * ONES)
                    || Class::Track.fits(content, Charset::Ascii)
            }
            Body::Class(class) => class.fits(content, Charset::Ascii),
            Body::PackedDigits => all_packed_digits(content),
            Body::Raw => true,
        }
    }

    /// The most bytes that writing `text` takes.
    pub(crate) fn room_for(text: &str) -> usize {
        text.len() + 4
    }

    /// Writes text at the front of `out`; `None`: take the long way. Returns where the content begins
    /// and ends.
    #[inline(always)]
    pub(crate) fn put(&self, text: &str, out: &mut [u8]) -> Option<(usize, usize)> {
        let bytes = text.as_bytes();
        if bytes.len() < self.min as usize || bytes.len() > self.max as usize {
            return None;
        }
        let fits = match self.body {
            Body::PackedDigits => bytes.len().is_multiple_of(2) && all_digits(bytes),
            Body::Raw => false,
            // Characters beyond ASCII are one byte on the wire and two in a string.
            Body::Class(Class::Any) => bytes.is_ascii(),
            _ => self.fits(bytes),
        };
        if !fits {
            return None;
        }
        let start = self.put_length(bytes.len() as u32, out)?;
        let (_, out) = out.split_at_mut_checked(start)?;
        let len = match self.body {
            Body::PackedDigits => {
                let (pairs, _) = bytes.as_chunks::<2>();
                let out = out.get_mut(..pairs.len())?;
                for (packed, [high, low]) in out.iter_mut().zip(pairs) {
                    *packed = high << 4 | low & 0x0F;
                }
                pairs.len()
            }
            _ => {
                copy(bytes, out)?;
                bytes.len()
            }
        };
        Some((start, start + len))
    }

    /// Writes the length prefix; returns how many bytes it has.
    #[inline(always)]
    fn put_length(&self, count: u32, out: &mut [u8]) -> Option<usize> {
        let digit = |place: u32| (count / place % 10) as u8;
        match self.head {
            Head::Fixed => Some(0),
            Head::Ascii(2) if count < 100 => put_bytes([b'0' | digit(10), b'0' | digit(1)], out),
            Head::Ascii(3) if count < 1000 => put_bytes([b'0' | digit(100), b'0' | digit(10), b'0' | digit(1)], out),
            Head::Packed(1) if count < 100 => put_bytes([digit(10) << 4 | digit(1)], out),
            Head::Packed(2) if count < 10_000 => {
                put_bytes([digit(1000) << 4 | digit(100), digit(10) << 4 | digit(1)], out)
            }
            Head::Binary(1) if count < 256 => put_bytes([count as u8], out),
            _ => None,
        }
    }
}

/// Copies to the front of `out`; up to sixteen bytes, as most values have, as two words that overlap.
#[inline(always)]
fn copy(bytes: &[u8], out: &mut [u8]) -> Option<()> {
    let out = out.get_mut(..bytes.len())?;
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => {
            *out.first_chunk_mut()? = *first;
            *out.last_chunk_mut()? = *last;
        }
        _ => out.copy_from_slice(bytes),
    }
    Some(())
}

#[inline(always)]
fn put_bytes<const N: usize>(bytes: [u8; N], out: &mut [u8]) -> Option<usize> {
    *out.first_chunk_mut()? = bytes;
    Some(N)
}

#[inline(always)]
fn ascii_number(digits: &[u8]) -> Option<u32> {
    let mut number = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u32::from(digit);
    }
    Some(number)
}

#[inline(always)]
fn packed_number(packed: &[u8]) -> Option<u32> {
    let mut number = 0;
    for byte in packed {
        if byte >> 4 > 9 || byte & 0x0F > 9 {
            return None;
        }
        number = number * 100 + u32::from(byte >> 4) * 10 + u32::from(byte & 0x0F);
    }
    Some(number)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Applies a check of eight bytes at once to all of `bytes`, the last eight overlapping the ones before;
/// fewer than eight are made up with `filler`, which passes the check.
#[inline(always)]
fn by_words(bytes: &[u8], filler: u8, word_fits: impl Fn(u64) -> bool) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return word_fits(short_word(bytes, filler));
    };
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().all(|word| word_fits(u64::from_le_bytes(*word))) && word_fits(u64::from_le_bytes(*last))
}

/// Fewer than eight bytes as a word.
#[inline(always)]
fn short_word(bytes: &[u8], filler: u8) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        return half(first) | half(last) << 32;
    }
    let at = |place: usize| bytes.get(place).copied().unwrap_or(filler);
    u64::from_le_bytes([at(0), at(1), at(2), filler, filler, filler, filler, filler])
}

/// Whether all bytes are ASCII digits.
#[inline(always)]
pub(crate) fn all_digits(bytes: &[u8]) -> bool {
    by_words(bytes, b'0', |word| {
        // The high nibble of each is 3, and stays so when 6 is added to the low one.
        let high = word & (0xF0 * ONES);
        let moved = word.wrapping_add(0x06 * ONES) & (0xF0 * ONES);
        high == 0x30 * ONES && moved == 0x30 * ONES
    })
}

/// Whether all bytes are ASCII from space to tilde.
#[inline(always)]
fn all_printable(bytes: &[u8]) -> bool {
    by_words(bytes, b' ', |word| {
        let high = word & (0x80 * ONES);
        // Below 80, adding 60 sets the top bit of all from 20 on, and adding 1 that of 7F alone.
        let from_space = word.wrapping_add(0x60 * ONES) & (0x80 * ONES);
        let delete = word.wrapping_add(ONES) & (0x80 * ONES);
        high == 0 && from_space == 0x80 * ONES && delete == 0
    })
}

/// Whether all nibbles are digits.
#[inline(always)]
fn all_packed_digits(bytes: &[u8]) -> bool {
    by_words(bytes, 0, |word| {
        // Adding 6 to a nibble carries out of it from ten on.
        let low = (word & (0x0F * ONES)).wrapping_add(0x06 * ONES) & (0x10 * ONES);
        let high = (word >> 4 & (0x0F * ONES)).wrapping_add(0x06 * ONES) & (0x10 * ONES);
        low | high == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_are_copied_whole() {
        let value: Vec<u8> = (1..40).collect();
        for length in 0..value.len() {
            let mut out = [0; 40];
            assert_eq!(copy(&value[..length], &mut out), Some(()));
            assert!(out[..length] == value[..length] && out[length..].iter().all(|byte| *byte == 0), "{length}");
            assert_eq!(copy(&value[..length + 1], &mut out[..length]), None);
        }
    }

    #[test]
    fn checks_of_words_agree_with_checks_of_bytes() {
        for byte in 0..=255_u8 {
            for length in 1..20 {
                for place in 0..length {
                    let with = |filler: u8| {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        bytes
                    };
                    assert_eq!(all_digits(&with(b'7')), byte.is_ascii_digit(), "{byte:02X}");
                    assert_eq!(all_printable(&with(b'~')), (b' '..=b'~').contains(&byte), "{byte:02X}");
                    let packed = byte >> 4 <= 9 && byte & 0x0F <= 9;
                    assert_eq!(all_packed_digits(&with(0x99)), packed, "{byte:02X}");
                }
            }
        }
        assert!(all_digits(b"") && all_printable(b"") && all_packed_digits(b""));
    }
}
