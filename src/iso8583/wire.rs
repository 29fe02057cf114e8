//! One element's content, off the wire and onto it.
//!
//! Everything an element's description says is done here and nowhere else, in both directions:
//! length prefix, encoding, class check, filling. It knows neither bitmaps nor parts. The surprise is
//! the order when reading: the length is judged before the bytes are looked for, so that a misread
//! prefix is told as a wrong length and not as a missing tail.

use bytes::{BufMut, BytesMut};
use nom::Parser;
use nom::bytes::complete::take;

use super::class::Class;
use super::element::{Element, Encoding, Length, Odd, Prefix, PrefixEncoding, Side, Unit};
use super::error::{DecodeErrorKind, EncodeError, EncodeErrorKind, Fault, Parsed};

/// An element's content on the wire, without its prefix.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) bytes: &'a [u8],
    /// Digits, characters, or bytes of binary content.
    pub(crate) units: u32,
}

/// A value to write.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    /// Text; of a binary element hexadecimal.
    Text(&'a str),
    /// Text as JSON has it: hexadecimal where it is bytes that are not text.
    Printed(&'a str),
    /// Bytes of a binary element.
    Bytes(&'a [u8]),
}

impl Element {
    /// Takes this element off the front of `input`.
    #[inline]
    pub(crate) fn take<'a>(&self, input: &'a [u8]) -> Parsed<'a, Content<'a>> {
        let (rest, content) = self.skip(input)?;
        match self.check(content) {
            Ok(()) => Ok((rest, content)),
            Err(kind) => {
                let left = rest.len() + content.bytes.len();
                Err(nom::Err::Error(Fault { kind, left }))
            }
        }
    }

    /// Like [`take`](Self::take) without looking at the content: what a forward scan does.
    #[inline]
    pub(crate) fn skip<'a>(&self, input: &'a [u8]) -> Parsed<'a, Content<'a>> {
        let (rest, count) = match self.length {
            Length::Fixed(length) => (input, length as usize),
            Length::Variable { prefix, .. } => prefix.take(input)?,
            Length::Rest { .. } => return self.skip_rest(input),
        };
        let Some((length, units)) = self.measure(count, rest) else {
            return Err(Fault::at(input, DecodeErrorKind::LengthOutOfRange));
        };
        if let Length::Variable { min, max, .. } = self.length
            && (units < min || units > max)
        {
            return Err(Fault::at(input, DecodeErrorKind::LengthOutOfRange));
        }
        let (rest, bytes) = take(length).parse(rest)?;
        Ok((rest, Content { bytes, units }))
    }

    fn skip_rest<'a>(&self, input: &'a [u8]) -> Parsed<'a, Content<'a>> {
        let units = self.units_of(input);
        if let Length::Rest { min, max } = self.length
            && (units < min || units > max)
        {
            return Err(Fault::at(input, DecodeErrorKind::LengthOutOfRange));
        }
        let (bytes, rest) = input.split_at(input.len());
        Ok((rest, Content { bytes, units }))
    }

    /// The bytes on the wire and the units of a content whose length says `count`.
    #[inline]
    fn measure(&self, count: usize, input: &[u8]) -> Option<(usize, u32)> {
        let units = u32::try_from(count).ok()?;
        Some(match (self.encoding, self.unit) {
            (Encoding::Text, Unit::Characters) if !self.charset.is_single_byte() => (utf8_length(input, count), units),
            (Encoding::Text | Encoding::Raw, _) => (count, units),
            (Encoding::Bcd, Unit::Characters) if self.class.has_sign() => match count {
                0 => (0, 0),
                _ => (1 + count / 2, units),
            },
            (Encoding::Bcd, Unit::Characters) => (count.div_ceil(2), units),
            (Encoding::Bcd, Unit::Bytes) => (count, units.checked_mul(2)?),
            (Encoding::Hex, Unit::Bytes) => (count.checked_mul(2)?, units),
            (Encoding::Hex, Unit::Characters) if count.is_multiple_of(2) => (count, units / 2),
            (Encoding::Hex, Unit::Characters) => return None,
        })
    }

    fn units_of(&self, bytes: &[u8]) -> u32 {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        match self.encoding {
            Encoding::Bcd => length.saturating_mul(2),
            Encoding::Hex => length / 2,
            Encoding::Text if !self.charset.is_single_byte() && self.unit == Unit::Characters => {
                bytes.iter().filter(|b| starts_character(**b)).count() as u32
            }
            Encoding::Text | Encoding::Raw => length,
        }
    }

    /// Whether the content is of the element's class.
    #[inline]
    pub(crate) fn check(&self, content: Content<'_>) -> Result<(), DecodeErrorKind> {
        let fits = match self.encoding {
            Encoding::Raw => true,
            Encoding::Hex => content.bytes.len().is_multiple_of(2) && Class::Binary.fits(content.bytes, self.charset),
            Encoding::Bcd => return self.check_packed(content),
            Encoding::Text if self.charset.is_single_byte() => {
                content.bytes.is_empty()
                    || self.class.fits(content.bytes, self.charset)
                    || self.fits_padded(content.bytes)
            }
            Encoding::Text if self.class == Class::Any => true,
            Encoding::Text => match self.charset.read(content.bytes) {
                Some(text) => text.chars().all(|c| self.class.fits_character(c, self.charset)),
                None => false,
            },
        };
        match fits {
            true => Ok(()),
            false => Err(DecodeErrorKind::Content),
        }
    }

    /// Filling may stand where the class alone would not allow it: spaces after an `an`.
    #[cold]
    fn fits_padded(&self, bytes: &[u8]) -> bool {
        let Some(side) = self.padding.side else {
            return false;
        };
        let fill = self.charset.byte(self.padding.fill);
        let value = match side {
            Side::Left => trim_start(bytes, fill),
            Side::Right => trim_end(bytes, fill),
        };
        matches!(self.length, Length::Fixed(_)) && (value.is_empty() || self.class.fits(value, self.charset))
    }

    fn check_packed(&self, content: Content<'_>) -> Result<(), DecodeErrorKind> {
        let (digits, units) = match (self.class, content.bytes.split_first()) {
            (_, None) => return Ok(()),
            (class, Some((sign, digits))) if class.has_sign() => match self.class.is_sign(self.charset.latin(*sign)) {
                true => (digits, content.units - 1),
                false => return Err(DecodeErrorKind::Content),
            },
            _ => (content.bytes, content.units),
        };
        let digits = match units % 2 {
            0 => digits,
            _ => self.odd.check_filler(digits, self.class)?,
        };
        match packed_digits(digits) || self.class == Class::Track {
            true => Ok(()),
            false => Err(DecodeErrorKind::Content),
        }
    }

    /// Writes this element: prefix and content. Returns where the content begins.
    pub(crate) fn put(&self, value: Given<'_>, out: &mut BytesMut) -> Result<usize, EncodeError> {
        self.put_filled(value, self.odd.filler, out)
    }

    /// Like [`put`](Self::put), with another filler beside an odd number of packed digits.
    pub(crate) fn put_filled(&self, value: Given<'_>, filler: u8, out: &mut BytesMut) -> Result<usize, EncodeError> {
        match (self.class, value) {
            (Class::Binary, value) => self.put_binary(value, out),
            (Class::Any, Given::Bytes(bytes)) => self.put_any(bytes, out),
            (Class::Any, Given::Printed(text)) if self.prints_bytes() => {
                let bytes = self.charset.mixed_bytes(text);
                self.put_any(&bytes.ok_or_else(|| self.refused(EncodeErrorKind::Content))?, out)
            }
            (_, Given::Text(text) | Given::Printed(text)) => self.put_text(text, filler, out),
            (_, Given::Bytes(bytes)) => self.put_wire(bytes, out),
        }
    }

    /// Writes content that is already as it stands on the wire.
    fn put_wire(&self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, EncodeError> {
        let units = match self.length {
            Length::Fixed(length) => length,
            _ => self.units_of(bytes),
        };
        let counted = match (self.encoding, self.unit) {
            (Encoding::Bcd, Unit::Bytes) => bytes.len(),
            _ => units as usize,
        };
        match self.measure(counted, bytes) {
            Some((length, _)) if length == bytes.len() => {}
            _ => return Err(self.refused(EncodeErrorKind::Length)),
        }
        if self.check(Content { bytes, units }).is_err() {
            return Err(self.refused(EncodeErrorKind::Content));
        }
        self.put_length(units as usize, counted, out)?;
        let start = out.len();
        out.put_slice(bytes);
        Ok(start)
    }

    /// Whether its content may be bytes that its character set has no text for.
    pub(crate) fn prints_bytes(&self) -> bool {
        self.class == Class::Any && !self.charset.is_single_byte()
    }

    /// Writes content as it stands on the wire.
    fn put_any(&self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, EncodeError> {
        let units = self.units_of(bytes) as usize;
        let filling = self.filling(units)?;
        self.put_length(units + filling, units + filling, out)?;
        let start = out.len();
        let fill = self.charset.byte(self.padding.fill);
        if self.padding.side == Some(Side::Left) {
            out.put_bytes(fill, filling);
        }
        out.put_slice(bytes);
        if self.padding.side == Some(Side::Right) {
            out.put_bytes(fill, filling);
        }
        Ok(start)
    }

    /// What this element wants, as an error.
    pub(crate) fn refused(&self, kind: EncodeErrorKind) -> EncodeError {
        EncodeError::new(kind, self.format())
    }

    fn put_binary(&self, value: Given<'_>, out: &mut BytesMut) -> Result<usize, EncodeError> {
        let scratch;
        let bytes = match value {
            Given::Bytes(bytes) => bytes,
            Given::Text(text) | Given::Printed(text) => {
                scratch = unhex(text.as_bytes()).ok_or_else(|| self.refused(EncodeErrorKind::Content))?;
                &scratch
            }
        };
        let doubled = self.encoding == Encoding::Hex && self.unit == Unit::Characters;
        self.put_length(bytes.len(), if doubled { 2 * bytes.len() } else { bytes.len() }, out)?;
        let start = out.len();
        match self.encoding {
            Encoding::Hex => bytes.iter().for_each(|b| {
                out.put_slice(&hex_pair(*b).map(|c| self.charset.byte(c)));
            }),
            _ => out.extend_from_slice(bytes),
        }
        Ok(start)
    }

    fn put_text(&self, text: &str, filler: u8, out: &mut BytesMut) -> Result<usize, EncodeError> {
        let units = match self.counts_bytes_of_text() {
            _ if text.is_ascii() => text.len(),
            true => self.charset.length(text),
            false => text.chars().count(),
        };
        let filling = self.filling(units)?;
        let count = units + filling;
        let counted = match (self.encoding, self.unit) {
            (Encoding::Bcd, Unit::Bytes) => count.div_ceil(2),
            _ => count,
        };
        self.put_length(count, counted, out)?;
        let start = out.len();
        match self.encoding {
            Encoding::Bcd => self.put_packed(text, filling, filler, out)?,
            _ => self.put_characters(text, filling, out)?,
        }
        Ok(start)
    }

    /// How many filling characters a value of `units` needs; an error where it is too long or short.
    fn filling(&self, units: usize) -> Result<usize, EncodeError> {
        match self.length {
            Length::Fixed(length) => match (length as usize).checked_sub(units) {
                Some(0) => Ok(0),
                Some(missing) if self.padding.side.is_some() => Ok(missing),
                _ => Err(self.refused(EncodeErrorKind::Length)),
            },
            _ => Ok(0),
        }
    }

    /// The bytes of the length in front of raw bytes, where it has always as many.
    pub(crate) fn plain_prefix(&self) -> Option<usize> {
        match (self.encoding, self.length) {
            (Encoding::Raw, Length::Variable { prefix, .. }) => prefix.bytes(),
            _ => None,
        }
    }

    pub(crate) fn put_length(&self, units: usize, counted: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        let (min, max) = match self.length {
            Length::Fixed(length) => (length, length),
            Length::Variable { min, max, .. } | Length::Rest { min, max } => (min, max),
        };
        if units < min as usize || units > max as usize {
            return Err(self.refused(EncodeErrorKind::Length));
        }
        match self.length {
            Length::Variable { prefix, .. } if !prefix.put(counted, out) => Err(self.refused(EncodeErrorKind::Length)),
            _ => Ok(()),
        }
    }

    fn put_characters(&self, text: &str, filling: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
        let fill = self.charset.byte(self.padding.fill);
        if self.padding.side == Some(Side::Left) {
            out.put_bytes(fill, filling);
        }
        let start = out.len();
        if !self.charset.write(text, out) || !self.accepts(text, &out[start..]) {
            return Err(self.refused(EncodeErrorKind::Content));
        }
        if self.padding.side == Some(Side::Right) {
            out.put_bytes(fill, filling);
        }
        Ok(())
    }

    fn accepts(&self, text: &str, written: &[u8]) -> bool {
        match self.charset.is_single_byte() {
            true => written.is_empty() || self.class.fits(written, self.charset) || self.fits_padded(written),
            false => text.chars().all(|c| self.class.fits_character(c, self.charset)),
        }
    }

    fn put_packed(&self, text: &str, filling: usize, filler: u8, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut digits = text.as_bytes();
        if self.class.has_sign()
            && let Some((sign, rest)) = digits.split_first()
        {
            if !self.class.is_sign(*sign) {
                return Err(self.refused(EncodeErrorKind::Content));
            }
            out.put_u8(self.charset.byte(*sign));
            digits = rest;
        }
        let mut nibbles = Nibbles { half: None, out };
        if (digits.len() + filling) % 2 == 1 && self.odd.side == Side::Left {
            nibbles.push(filler);
        }
        let zero = self.padding.fill.wrapping_sub(b'0') & 0x0F;
        if self.padding.side == Some(Side::Left) {
            (0..filling).for_each(|_| nibbles.push(zero));
        }
        for digit in digits {
            let nibble = self.nibble(*digit).ok_or_else(|| self.refused(EncodeErrorKind::Content))?;
            nibbles.push(nibble);
        }
        if self.padding.side == Some(Side::Right) {
            (0..filling).for_each(|_| nibbles.push(zero));
        }
        if nibbles.half.is_some() {
            nibbles.push(filler);
        }
        Ok(())
    }

    fn nibble(&self, character: u8) -> Option<u8> {
        match character {
            b'0'..=b'9' => Some(character - b'0'),
            b'=' if self.class == Class::Track => Some(0xD),
            b'A'..=b'F' if self.class == Class::Track => Some(character - b'A' + 10),
            _ => None,
        }
    }

    fn counts_bytes_of_text(&self) -> bool {
        self.encoding == Encoding::Text && self.unit == Unit::Bytes && !self.charset.is_single_byte()
    }

    /// The nibble beside an odd number of packed digits, where it is not the one that is written.
    pub(crate) fn odd_filler(&self, content: Content<'_>) -> Option<u8> {
        let signed = u32::from(self.class.has_sign());
        let digits = content.units.checked_sub(signed)?;
        if self.encoding != Encoding::Bcd || digits % 2 == 0 {
            return None;
        }
        let filler = match self.odd.side {
            Side::Left => content.bytes.get(signed as usize)? >> 4,
            Side::Right => content.bytes.last()? & 0x0F,
        };
        (filler != self.odd.filler).then_some(filler)
    }

    /// The characters of packed content.
    pub(crate) fn unpack(&self, content: Content<'_>, mut push: impl FnMut(u8)) {
        let mut digits = content.bytes;
        let mut units = content.units as usize;
        if self.class.has_sign()
            && let Some((sign, rest)) = digits.split_first()
        {
            push(self.charset.latin(*sign));
            digits = rest;
            units = units.saturating_sub(1);
        }
        let lead = usize::from(units % 2 == 1 && self.odd.side == Side::Left);
        for place in lead..lead + units {
            let Some(byte) = digits.get(place / 2) else {
                break;
            };
            let nibble = if place % 2 == 0 { byte >> 4 } else { byte & 0x0F };
            push(HEX_DIGITS[usize::from(nibble)]);
        }
    }
}

impl Prefix {
    /// Takes the number off the front of `input`.
    #[inline]
    pub(crate) fn take(self, input: &[u8]) -> Parsed<'_, usize> {
        let (rest, count) = self.take_number(input)?;
        if !self.counts_itself {
            return Ok((rest, count));
        }
        match count.checked_sub(input.len() - rest.len()) {
            Some(count) => Ok((rest, count)),
            None => Err(Fault::at(input, DecodeErrorKind::LengthOutOfRange)),
        }
    }

    #[inline]
    fn take_number(self, input: &[u8]) -> Parsed<'_, usize> {
        let width = usize::from(self.width);
        match self.encoding {
            PrefixEncoding::Text(charset) => {
                let (rest, digits) = take(width).parse(input)?;
                let zero = charset.byte(b'0');
                let mut count = 0;
                for digit in digits {
                    let digit = digit.wrapping_sub(zero);
                    if digit > 9 {
                        return Err(Fault::at(input, DecodeErrorKind::LengthUnreadable));
                    }
                    count = count * 10 + usize::from(digit);
                }
                Ok((rest, count))
            }
            PrefixEncoding::Bcd => {
                let (rest, packed) = take(width.div_ceil(2)).parse(input)?;
                if !packed_digits(packed) {
                    return Err(Fault::at(input, DecodeErrorKind::LengthUnreadable));
                }
                let count = packed
                    .iter()
                    .fold(0, |count, byte| count * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F));
                Ok((rest, count))
            }
            PrefixEncoding::Binary => {
                let (rest, bytes) = take(width).parse(input)?;
                let count = bytes.iter().fold(0, |count, b| count << 8 | usize::from(*b));
                Ok((rest, count))
            }
            PrefixEncoding::Ber => take_ber_length(input),
        }
    }

    /// How many bytes it has; `None` where that depends on the count.
    fn bytes(self) -> Option<usize> {
        let width = usize::from(self.width);
        match self.encoding {
            PrefixEncoding::Text(_) | PrefixEncoding::Binary => Some(width),
            PrefixEncoding::Bcd => Some(width.div_ceil(2)),
            PrefixEncoding::Ber => None,
        }
    }

    /// Writes `count`; `false` where it is wider than the prefix.
    pub(crate) fn put(self, count: usize, out: &mut BytesMut) -> bool {
        let width = usize::from(self.width);
        let count = match (self.counts_itself, self.encoding) {
            (false, _) => count,
            (true, PrefixEncoding::Bcd) => count + width.div_ceil(2),
            (true, _) => count + width,
        };
        match self.encoding {
            PrefixEncoding::Text(charset) => {
                let Some(digits) = decimal(count, width) else {
                    return false;
                };
                for digit in &digits[6 - width..] {
                    out.put_u8(charset.byte(b'0' + digit));
                }
            }
            PrefixEncoding::Bcd => {
                let Some(digits) = decimal(count, width) else {
                    return false;
                };
                for pair in digits[6 - width.next_multiple_of(2)..].chunks(2) {
                    out.put_u8(pair.iter().fold(0, |packed, digit| packed << 4 | digit));
                }
            }
            PrefixEncoding::Binary => {
                if width < 8 && count >> (8 * width) != 0 {
                    return false;
                }
                out.put_uint(count as u64, width);
            }
            PrefixEncoding::Ber => put_ber_length(count, out),
        }
        true
    }
}

impl Odd {
    /// The digits beside the filler, which has to be the one declared, or a 0 or F.
    fn check_filler(self, packed: &[u8], class: Class) -> Result<&[u8], DecodeErrorKind> {
        let (filler, digit, rest) = match self.side {
            Side::Left => match packed.split_first() {
                Some((byte, rest)) => (byte >> 4, byte & 0x0F, rest),
                None => return Ok(packed),
            },
            Side::Right => match packed.split_last() {
                Some((byte, rest)) => (byte & 0x0F, byte >> 4, rest),
                None => return Ok(packed),
            },
        };
        if !self.any && filler != self.filler && filler != 0 && filler != 0x0F {
            return Err(DecodeErrorKind::Filler);
        }
        match digit <= 9 || class == Class::Track {
            true => Ok(rest),
            false => Err(DecodeErrorKind::Content),
        }
    }
}

/// A BER length (ISO 8825-1, 8.1.3, definite form) of at most four bytes.
pub(crate) fn take_ber_length(input: &[u8]) -> Parsed<'_, usize> {
    match input {
        [short @ 0..=0x7F, rest @ ..] => Ok((rest, usize::from(*short))),
        [long @ 0x81..=0x84, rest @ ..] => {
            let (rest, bytes) = take(usize::from(long & 0x7F)).parse(rest)?;
            let count = bytes.iter().fold(0, |count, b| count << 8 | usize::from(*b));
            Ok((rest, count))
        }
        [] => Err(Fault::at(input, DecodeErrorKind::Truncated)),
        _ => Err(Fault::at(input, DecodeErrorKind::LengthUnreadable)),
    }
}

/// Writes a BER length in its shortest form.
pub(crate) fn put_ber_length(count: usize, out: &mut BytesMut) {
    if count < 0x80 {
        return out.put_u8(count as u8);
    }
    let width = (1..8).find(|width| count >> (8 * width) == 0).unwrap_or(8);
    out.put_u8(0x80 | width as u8);
    out.put_uint(count as u64, width);
}

/// Collects nibbles into bytes.
struct Nibbles<'a> {
    half: Option<u8>,
    out: &'a mut BytesMut,
}

impl Nibbles<'_> {
    fn push(&mut self, nibble: u8) {
        match self.half.take() {
            None => self.half = Some(nibble << 4),
            Some(high) => self.out.put_u8(high | nibble & 0x0F),
        }
    }
}

pub(crate) const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

pub(crate) fn hex_pair(byte: u8) -> [u8; 2] {
    [HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 0x0F)]]
}

/// The bytes of hexadecimal characters in ASCII; `None` where they are not.
pub(crate) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?)).collect()
}

#[inline]
pub(crate) fn hex_digit(character: u8) -> Option<u8> {
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[HEX_DIGITS[value as usize] as usize] = value;
            values[HEX_DIGITS[value as usize].to_ascii_lowercase() as usize] = value;
            value += 1;
        }
        values
    };
    const NONE: u8 = 0xFF;
    let value = VALUES[usize::from(character)];
    (value != NONE).then_some(value)
}

/// Six decimal digits of `count`; `None` where it has more than `width` of them.
fn decimal(count: usize, width: usize) -> Option<[u8; 6]> {
    let mut digits = [0; 6];
    let mut left = count;
    for digit in digits.iter_mut().rev() {
        *digit = (left % 10) as u8;
        left /= 10;
    }
    let fits = left == 0 && width <= 6 && digits[..6 - width].iter().all(|d| *d == 0);
    fits.then_some(digits)
}

#[inline]
fn packed_digits(packed: &[u8]) -> bool {
    packed.iter().fold(true, |fits, byte| fits & (byte >> 4 <= 9) & (byte & 0x0F <= 9))
}

fn utf8_length(input: &[u8], characters: usize) -> usize {
    let mut starts = input.iter().enumerate().filter(|(_, byte)| starts_character(**byte)).map(|(place, _)| place);
    // One more start than characters wanted ends the text; too few of them end with the input, or
    // lie beyond it where the input has too few characters.
    match starts.nth(characters) {
        Some(end) => end,
        None if characters == 0 => 0,
        None => {
            let present = input.iter().filter(|b| starts_character(**b)).count();
            input.len() + characters.saturating_sub(present)
        }
    }
}

const fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

fn trim_start(bytes: &[u8], fill: u8) -> &[u8] {
    let first = bytes.iter().position(|b| *b != fill).unwrap_or(bytes.len());
    &bytes[first..]
}

fn trim_end(bytes: &[u8], fill: u8) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != fill).map_or(0, |last| last + 1);
    &bytes[..end]
}
