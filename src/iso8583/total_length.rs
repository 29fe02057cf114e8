//! A header's own word on how long the message is: header and all that follows, without the frame.
//!
//! The writer puts it in when all the rest is written, over whatever the header was given; the reader compares it
//! when all the rest is read, so that a fault elsewhere is told first. Surprising: it is found by its place among
//! the header's bytes, so every part up to it has a fixed length, and the header is not folded.

use super::charset::Charset;
use super::class::Class;
use super::composite::Division;
use super::element::{Element, Encoding, Length, Unit};

/// Where a header tells the length of the whole message, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TotalLength {
    /// The number of the part.
    pub(crate) part: u16,
    /// Where it begins in the header's content.
    pub(crate) start: usize,
    width: usize,
    written: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// Big-endian.
    Binary,
    Digits(Charset),
    Packed,
}

impl TotalLength {
    /// What a header that cannot have it is told.
    pub(crate) const EXPECTED: &str = "the number of a part of one to eight digits or bytes, an even number where packed, with parts of fixed length only in front of it";

    /// The part of this number of a header; `None` where it cannot be found by its place.
    pub(crate) fn of(header: &Element, part: u16) -> Option<Self> {
        let Some(Division::Positional { parts, .. }) = header.division.as_deref() else { return None };
        if !matches!(header.encoding, Encoding::Raw | Encoding::Text) {
            return None;
        }
        let place = usize::from(part).checked_sub(1)?;
        let told = parts.get(place)?;
        let start = parts.iter().take(place).map(fixed_width).sum::<Option<usize>>()?;
        let width = fixed_width(told).filter(|width| (1..=8).contains(width))?;
        let written = match (told.encoding, told.class) {
            (_, Class::Signed | Class::Marked | Class::Track) | (Encoding::Hex, _) => return None,
            (Encoding::Raw, _) => Written::Binary,
            (Encoding::Text, _) => Written::Digits(told.charset),
            (Encoding::Bcd, _) if told.length == Length::Fixed(2 * width as u32) => Written::Packed,
            (Encoding::Bcd, _) => return None,
        };
        Some(Self { part, start, width, written })
    }

    /// Whether the header tells this length, or ends before it would.
    pub(crate) fn agrees(&self, length: usize, header: &[u8]) -> bool {
        match header.get(self.start..self.start + self.width) {
            Some(told) => self.read(told) == Some(length),
            None => true,
        }
    }

    fn read(&self, told: &[u8]) -> Option<usize> {
        told.iter().try_fold(0, |number: usize, byte| match self.written {
            Written::Binary => Some(number << 8 | usize::from(*byte)),
            Written::Digits(charset) => Some(number * 10 + digit(charset.latin(*byte).wrapping_sub(b'0'))?),
            Written::Packed => Some(number * 100 + digit(byte >> 4)? * 10 + digit(byte & 0x0F)?),
        })
    }

    /// Puts the length into the header; `false` where it is wider than its part.
    pub(crate) fn write(&self, length: usize, header: &mut [u8]) -> bool {
        let Some(told) = header.get_mut(self.start..self.start + self.width) else {
            return true;
        };
        let mut left = length;
        for byte in told.iter_mut().rev() {
            (*byte, left) = match self.written {
                Written::Binary => (left as u8, left >> 8),
                Written::Digits(charset) => (charset.byte(b'0' + (left % 10) as u8), left / 10),
                Written::Packed => ((left / 10 % 10) as u8 * 16 + (left % 10) as u8, left / 100),
            };
        }
        left == 0
    }

    /// What stands in its place until it is known, as characters.
    pub(crate) fn blank(&self) -> String {
        "0".repeat(match self.written {
            Written::Digits(_) => self.width,
            Written::Binary | Written::Packed => 2 * self.width,
        })
    }
}

fn digit(value: u8) -> Option<usize> {
    (value <= 9).then_some(usize::from(value))
}

/// How many bytes an element always has.
fn fixed_width(element: &Element) -> Option<usize> {
    let Length::Fixed(length) = element.length else { return None };
    let length = length as usize;
    match element.encoding {
        Encoding::Raw => Some(length),
        Encoding::Hex => Some(2 * length),
        Encoding::Text => (element.charset.is_single_byte() || element.unit == Unit::Bytes).then_some(length),
        Encoding::Bcd if element.class.has_sign() => None,
        Encoding::Bcd => Some(length.div_ceil(2)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header(told: Element) -> Element {
        let parts = vec![Element::fixed(Class::Binary, 1), told, Element::rest(Class::Binary)];
        Element::fixed(Class::Binary, 8).divided(Division::Positional { parts, open_end: false })
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let digits = Element::fixed(Class::Numeric, 4);
        let written = [
            (Element::fixed(Class::Binary, 2), [7, 1, 0x32, 7, 7]),
            (digits.clone(), [7, b'0', b'3', b'0', b'6']),
            (digits.clone().in_charset(Charset::Ebcdic037), [7, 0xF0, 0xF3, 0xF0, 0xF6]),
            (digits.encoded(Encoding::Bcd), [7, 3, 6, 7, 7]),
        ];
        for (told, expected) in written {
            let total = TotalLength::of(&header(told), 2).unwrap();
            let mut bytes = [7; 5];
            assert!(total.write(306, &mut bytes), "{total:?}");
            assert_eq!(bytes, expected);
            assert!(total.agrees(306, &bytes) && !total.agrees(307, &bytes));
        }
    }

    #[test]
    fn what_is_too_long_or_no_number_is_told() {
        let total = TotalLength::of(&header(Element::fixed(Class::Numeric, 2)), 2).unwrap();
        assert!(!total.write(100, &mut [0; 3]));
        assert!(total.agrees(99, b"_99") && !total.agrees(99, b"_9A") && total.agrees(99, b"_9"));
    }

    #[cfg(feature = "dialects")]
    #[test]
    fn a_message_has_the_length_that_its_header_tells() {
        use crate::iso8583::{MessageBuilder, dialects};

        let spec = dialects::builtin("visa-base1").unwrap().unwrap();
        let mut header = [0; 22];
        header[0] = 22;
        let mut request = MessageBuilder::new("0800".parse().unwrap()).header(&header[1..]);
        request.set(11, "000123");
        let wire = spec.encode_to_bytes(&request).unwrap();
        assert_eq!(wire[3..5], (wire.len() as u16).to_be_bytes());
        let mut response = spec.decode(wire.clone()).unwrap().response().unwrap();
        response.set(37, "632601000123");
        let longer = spec.encode_to_bytes(&response).unwrap();
        assert_eq!(longer[3..5], (longer.len() as u16).to_be_bytes());

        let mut wrong = wire.to_vec();
        wrong[4] += 1;
        let error = spec.decode(wrong.into()).unwrap_err();
        assert_eq!((error.code(), error.path().as_str(), error.offset()), ("total_length", "header.3", 3));
        assert_eq!(error.partial().unwrap().text(11).unwrap(), "000123");
    }

    #[test]
    fn a_part_without_a_fixed_place_is_refused() {
        let fixed = header(Element::fixed(Class::Numeric, 4));
        assert!([0, 3, 4].iter().all(|part| TotalLength::of(&fixed, *part).is_none()));
        assert_eq!(TotalLength::of(&Element::fixed(Class::Binary, 8), 1), None);
    }
}
