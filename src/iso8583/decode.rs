//! Bytes to message.
//!
//! One walk from front to back: header, type, bitmap, then the elements the bitmap names, each of
//! which leaves a span in the message's table; divided elements leave a span for each part. Content
//! is checked on the way and not copied. A failure keeps what was read before it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use nom::Parser;
use nom::bytes::complete::take;

use super::bitmap::{Bitmap, Elements};
use super::composite::Key;
use super::divide::Divider;
use super::error::{DecodeError, DecodeErrorKind, Fault, Parsed};
use super::message::{Message, Span};
use super::mti::Mti;
use super::spec::{BitmapEncoding, Blocks, HeaderPresence, Index, MtiEncoding, Spec, ThirdBitmap};
use super::total_length::TotalLength;
use super::wire::{Content, hex_digit};

impl Spec {
    /// Reads one whole message, without its frame.
    pub fn decode(self: &Arc<Self>, bytes: Bytes) -> Result<Message, DecodeError> {
        self.decode_owned(bytes, true)
    }

    /// Like [`decode`](Self::decode), leaving every element as its undivided value.
    pub fn decode_undivided(self: &Arc<Self>, bytes: Bytes) -> Result<Message, DecodeError> {
        self.decode_owned(bytes, false)
    }

    /// Reads into a message whose room is used again: no allocation once it has been filled with
    /// messages of this size. After an error `message` holds what was read before the fault.
    pub fn decode_into(self: &Arc<Self>, bytes: Bytes, message: &mut Message) -> Result<(), DecodeError> {
        self.read_into(bytes, message, true).map_err(|broken| broken.into_error(self))
    }

    fn decode_owned(self: &Arc<Self>, bytes: Bytes, divide: bool) -> Result<Message, DecodeError> {
        let mut message = Message::empty(self);
        match self.read_into(bytes, &mut message, divide) {
            Ok(()) => Ok(message),
            Err(broken) => {
                let typed = broken.typed;
                let mut error = broken.into_error(self);
                error.partial = typed.then(|| Box::new(message));
                Err(error)
            }
        }
    }

    fn read_into(self: &Arc<Self>, bytes: Bytes, message: &mut Message, divide: bool) -> Result<(), Broken> {
        message.clear();
        if !Arc::ptr_eq(&message.spec, self) {
            message.spec = Arc::clone(self);
        }
        let read = Reader { spec: self, wire: &bytes, message, divide }.read();
        message.bytes = bytes;
        read
    }
}

/// A fault with its place.
pub(crate) struct Broken {
    kind: DecodeErrorKind,
    offset: usize,
    place: Place,
    /// Keys below the element, innermost first; `None` for a part the spec cannot name.
    keys: Vec<(Option<Key>, usize)>,
    pub(crate) index: Option<Index>,
    /// Whether the message type had been read.
    typed: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Place {
    Message,
    Header,
    Mti,
    Bitmap,
    Element(u8),
}

impl Broken {
    pub(crate) fn new(kind: DecodeErrorKind, offset: usize, place: Place) -> Self {
        Self { kind, offset, place, keys: Vec::new(), index: None, typed: !matches!(place, Place::Mti | Place::Header) }
    }

    #[cold]
    pub(crate) fn into_error(self, spec: &Spec) -> DecodeError {
        DecodeError {
            kind: self.kind,
            path: self.path(),
            offset: self.offset,
            expected: self.expected(spec),
            partial: None,
        }
    }

    fn path(&self) -> String {
        let mut path = match self.place {
            Place::Message => return String::new(),
            Place::Header => "header".to_owned(),
            Place::Mti => "mti".to_owned(),
            Place::Bitmap => "bitmap".to_owned(),
            Place::Element(number) => number.to_string(),
        };
        for (key, place) in self.keys.iter().rev() {
            match key {
                Some(key) => path.push_str(&format!(".{key}")),
                None => path.push_str(&format!(".?{place}")),
            }
        }
        path
    }

    fn expected(&self, spec: &Spec) -> Cow<'static, str> {
        let format = self.index.map(|index| spec.at(index).element.format());
        match (self.kind, format) {
            (DecodeErrorKind::TrailingBytes, _) => match self.keys.is_empty() {
                true if self.index.is_none() => "the end of the message".into(),
                _ => "the end of the element".into(),
            },
            (DecodeErrorKind::TooLarge, _) => format!("at most {} bytes", spec.max_bytes).into(),
            (DecodeErrorKind::UndefinedElement, _) => "an element that the spec defines".into(),
            (DecodeErrorKind::TotalLength, _) => "the number of bytes of the whole message, header included".into(),
            (DecodeErrorKind::Tag, _) => "a tag that the spec knows".into(),
            (_, Some(format)) => format.into(),
            (_, None) => match self.place {
                Place::Mti => "four digits".into(),
                Place::Bitmap => match spec.bitmap {
                    BitmapEncoding::Raw => "8 bytes a block".into(),
                    BitmapEncoding::Hex(_) => "16 hexadecimal characters a block".into(),
                },
                _ => "a whole message".into(),
            },
        }
    }
}

struct Reader<'a> {
    spec: &'a Spec,
    wire: &'a [u8],
    message: &'a mut Message,
    divide: bool,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<(), Broken> {
        if self.wire.len() > self.spec.max_bytes {
            let mut broken = Broken::new(DecodeErrorKind::TooLarge, 0, Place::Message);
            broken.typed = false;
            return Err(broken);
        }
        let rest = self.header(self.wire)?;
        let (rest, mti) = take_mti(self.spec, rest).map_err(|e| self.broken(e, Place::Mti))?;
        self.message.mti = mti;
        let (rest, bitmap) = take_bitmap(self.spec, rest).map_err(|e| self.broken(e, Place::Bitmap))?;
        let start = self.wire.len() - rest.len();
        let end = self.elements(start, bitmap)?;
        if end < self.wire.len() && !self.spec.trailing {
            return Err(Broken::new(DecodeErrorKind::TrailingBytes, end, Place::Message));
        }
        match (&self.spec.total_length, &self.message.header) {
            (Some(total), Some(header)) => self.total_length(total, *header),
            _ => Ok(()),
        }
    }

    /// Compares the length that the header tells, last of all: what else is wrong says more.
    fn total_length(&self, total: &TotalLength, header: Span) -> Result<(), Broken> {
        let content = self.wire.get(header.range()).unwrap_or_default();
        if total.agrees(self.wire.len(), content) {
            return Ok(());
        }
        let offset = header.start as usize + total.start;
        let mut broken = Broken::new(DecodeErrorKind::TotalLength, offset, Place::Header);
        broken.keys.push((Some(Key::Number(total.part)), usize::from(total.part)));
        broken.typed = true;
        Err(broken)
    }

    fn header(&mut self, input: &'a [u8]) -> Result<&'a [u8], Broken> {
        let Some(index) = self.spec.header_of(input) else {
            return Ok(input);
        };
        let (rest, span) = self.one(input, index, Place::Header)?;
        self.message.header = Some(span);
        Ok(rest)
    }

    /// Takes all elements from byte `at` on; returns where they end.
    fn elements(&mut self, mut at: usize, bitmap: Bitmap) -> Result<usize, Broken> {
        self.message.bitmap = bitmap;
        self.message.spans.reserve(bitmap.len());
        let mut numbers = bitmap.iter();
        while let Some(number) = numbers.next() {
            let short = &self.spec.short[usize::from(number)];
            let taken = match short.take(self.wire, at) {
                Some((span, end)) if !short.divides => Ok((span, end)),
                Some((span, end)) => self.divided(number, span, end),
                None if number == 65 && self.third_bitmap(&mut at, &mut numbers)? => continue,
                None => self.long(number, at),
            };
            match taken {
                Ok((span, end)) => {
                    self.message.spans.push(span);
                    at = end;
                }
                Err(broken) => {
                    self.message.bitmap.keep_below(number);
                    return Err(broken);
                }
            }
        }
        Ok(at)
    }

    /// Takes a third block that stands in the place of element 65; `false` where the spec has none.
    fn third_bitmap(&mut self, at: &mut usize, numbers: &mut Elements) -> Result<bool, Broken> {
        let ThirdBitmap::Element65 { spare } = self.spec.third else {
            return Ok(false);
        };
        self.message.bitmap.keep_below(65);
        let (after, block) =
            take_third(self.spec, spare, &self.wire[*at..]).map_err(|e| self.broken(e, Place::Bitmap))?;
        numbers.add_third(block);
        for number in *numbers {
            self.message.bitmap.insert(number);
        }
        *at = self.wire.len() - after.len();
        Ok(true)
    }

    /// Divides an element that was taken the short way.
    fn divided(&mut self, number: u8, mut span: Span, end: usize) -> Result<(Span, usize), Broken> {
        if let (Some(index), true) = (self.spec.index(number), self.divide) {
            self.divide_element(index, &mut span, Place::Element(number))?;
        }
        Ok((span, end))
    }

    /// Takes an element the long way.
    #[inline(never)]
    fn long(&mut self, number: u8, at: usize) -> Result<(Span, usize), Broken> {
        let place = Place::Element(number);
        let Some(index) = self.spec.index(number) else {
            return Err(Broken::new(DecodeErrorKind::UndefinedElement, at, place));
        };
        let (rest, span) = self.one(&self.wire[at..], index, place)?;
        Ok((span, self.wire.len() - rest.len()))
    }

    /// Takes one element and divides it.
    fn one(&mut self, input: &'a [u8], index: Index, place: Place) -> Result<(&'a [u8], Span), Broken> {
        let described = self.spec.at(index);
        let (rest, content) = match described.element.take(input) {
            Ok(taken) => taken,
            Err(error) => {
                let mut broken = self.broken(error, place);
                broken.index = Some(index);
                return Err(broken);
            }
        };
        let start = self.wire.len() - rest.len() - content.bytes.len();
        let mut span = span_at(start, content);
        if described.division.is_some() && self.divide {
            self.divide_element(index, &mut span, place)?;
        }
        Ok((rest, span))
    }

    fn divide_element(&mut self, index: Index, span: &mut Span, place: Place) -> Result<(), Broken> {
        let mut divider = Divider { spec: self.spec, wire: self.wire, message: &mut *self.message };
        let origin = span.start as usize;
        divider.divide(index, span, false, origin).map_err(|lost| Broken {
            kind: lost.kind,
            offset: lost.offset,
            place,
            keys: lost.keys,
            index: lost.index,
            typed: !matches!(place, Place::Header),
        })
    }

    #[cold]
    fn broken(&self, error: nom::Err<Fault>, place: Place) -> Broken {
        let fault = Fault::of(error);
        Broken::new(fault.kind, self.wire.len() - fault.left, place)
    }
}

pub(crate) fn span_at(start: usize, content: Content<'_>) -> Span {
    // Neither can exceed 32 bits: a spec reads at most half of that.
    Span { start: start as u32, len: content.bytes.len() as u32, units: content.units, ..Span::default() }
}

impl Spec {
    /// The header's description, where one stands in front of `input`.
    pub(crate) fn header_of(&self, input: &[u8]) -> Option<Index> {
        match self.header? {
            (HeaderPresence::Required, index) => Some(index),
            (HeaderPresence::WhenFirstByte(byte), index) => (input.first() == Some(&byte)).then_some(index),
        }
    }
}

pub(crate) fn take_mti<'a>(spec: &Spec, input: &'a [u8]) -> Parsed<'a, Mti> {
    let (rest, digits) = match spec.mti {
        MtiEncoding::Text(charset) => {
            let (rest, text) = take(4usize).parse(input)?;
            let zero = charset.byte(b'0');
            let digit = |place: usize| text[place].wrapping_sub(zero);
            (rest, [digit(0), digit(1), digit(2), digit(3)])
        }
        MtiEncoding::Bcd => {
            let (rest, packed) = take(2usize).parse(input)?;
            let (high, low) = (packed[0], packed[1]);
            (rest, [high >> 4, high & 0x0F, low >> 4, low & 0x0F])
        }
    };
    match Mti::from_digits(digits) {
        Some(mti) => Ok((rest, mti)),
        None => Err(Fault::at(input, DecodeErrorKind::MessageType)),
    }
}

/// The bits of the elements: those that only say where blocks are, are cleared.
pub(crate) fn take_bitmap<'a>(spec: &Spec, input: &'a [u8]) -> Parsed<'a, Bitmap> {
    const FIRST: u64 = 1 << 63;
    let (mut rest, mut first) = take_block(spec.bitmap, input)?;
    let mut blocks = [0; 3];
    match spec.blocks {
        Blocks::Auto => {
            if first & FIRST != 0 {
                (rest, blocks[1]) = take_block(spec.bitmap, rest)?;
                first &= !FIRST;
            }
            if spec.third == ThirdBitmap::Front && blocks[1] & FIRST != 0 {
                (rest, blocks[2]) = take_block(spec.bitmap, rest)?;
                blocks[1] &= !FIRST;
            }
        }
        Blocks::Always(count) => {
            for block in blocks.iter_mut().take(usize::from(count)).skip(1) {
                (rest, *block) = take_block(spec.bitmap, rest)?;
            }
        }
    }
    blocks[0] = first;
    if first & FIRST != 0 || blocks[2] & FIRST != 0 {
        return Err(Fault::at(input, DecodeErrorKind::Bitmap));
    }
    Ok((rest, Bitmap::from_blocks(blocks)))
}

/// The third block in the place of element 65, and the zeros behind it.
pub(crate) fn take_third<'a>(spec: &Spec, spare: u8, input: &'a [u8]) -> Parsed<'a, u64> {
    let (mut rest, block) = take_block(spec.bitmap, input)?;
    for _ in 0..spare.div_ceil(8) {
        let (after, none) = take_block(spec.bitmap, rest)?;
        if none != 0 {
            return Err(Fault::at(rest, DecodeErrorKind::Bitmap));
        }
        rest = after;
    }
    match block >> 63 {
        0 => Ok((rest, block)),
        _ => Err(Fault::at(input, DecodeErrorKind::Bitmap)),
    }
}

fn take_block(encoding: BitmapEncoding, input: &[u8]) -> Parsed<'_, u64> {
    take_bits(encoding, 64, input)
}

/// A bitmap of up to 64 bits, a multiple of 8, its first bit the highest of the result.
pub(crate) fn take_bits(encoding: BitmapEncoding, bits: u8, input: &[u8]) -> Parsed<'_, u64> {
    let unused = 64_u32.saturating_sub(u32::from(bits));
    let (rest, block) = match encoding {
        BitmapEncoding::Raw => {
            let (rest, bytes) = take(usize::from(bits / 8)).parse(input)?;
            let block = bytes.iter().fold(0, |block, b| block << 8 | u64::from(*b));
            (rest, block)
        }
        BitmapEncoding::Hex(charset) => {
            let (rest, text) = take(usize::from(bits / 4)).parse(input)?;
            let mut block = 0;
            for character in text {
                match hex_digit(charset.latin(*character)) {
                    Some(digit) => block = block << 4 | u64::from(digit),
                    None => return Err(Fault::at(input, DecodeErrorKind::Bitmap)),
                }
            }
            (rest, block)
        }
    };
    Ok((rest, block.checked_shl(unused).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::iso8583::class::Class;
    use crate::iso8583::composite::Division;
    use crate::iso8583::element::Element;
    use crate::iso8583::emv::emv_tags;
    use crate::iso8583::spec::SpecBuilder;

    fn small() -> Arc<Spec> {
        let (known, unknown) = emv_tags();
        let tlv = Division::BerTlv { known, unknown: Some(unknown) };
        SpecBuilder::new("small")
            .element(2, Element::variable(Class::Numeric, 19))
            .element(11, Element::fixed(Class::Numeric, 6))
            .element(37, Element::fixed(Class::Alphanumeric, 12))
            .element(55, Element::variable(Class::Binary, 255).divided(tlv))
            .build()
            .unwrap()
    }

    #[test]
    fn a_message_is_read_without_copying_and_its_room_is_used_again() {
        let spec = small();
        let mut message = Message::empty(&spec);
        for (stan, reference) in [("000123", "63A         "), ("999999", "123456789012")] {
            let wire = format!("02000020000008000000{stan}{reference}");
            spec.decode_into(Bytes::from(wire), &mut message).unwrap();
            assert_eq!(message.text(11).as_deref(), Some(stan));
            assert_eq!(message.text(37).as_deref(), Some(reference.trim_end()));
            assert!(matches!(message.text(11), Some(Cow::Borrowed(_))));
            assert_eq!(message.elements().collect::<Vec<_>>(), [11, 37]);
            assert_eq!(message.span(37), Some(26..38));
        }
        assert_eq!(message.number(11), Some(999_999));
        assert_eq!(message.number(37), Some(123_456_789_012));
        assert_eq!((message.text(2), message.number(192)), (None, None));
    }

    #[test]
    fn a_failure_names_field_and_offset_and_keeps_what_came_before() {
        let spec = small();
        let error = spec.decode(Bytes::from_static(b"02004020000000000000064242420001x3")).unwrap_err();
        assert_eq!((error.code(), error.path().as_str()), ("content", "11"));
        assert_eq!((error.offset(), error.expected()), (28, "n6"));
        let partial = error.into_partial().unwrap();
        assert_eq!(partial.mti(), "0200".parse().unwrap());
        assert_eq!(partial.text(2).as_deref(), Some("424242"));
        assert!(!partial.has(11));
    }

    #[test]
    fn tags_are_parts_and_their_faults_have_a_path() {
        let spec = small();
        let wire = |tlv: &[u8]| {
            let mut wire = b"02000000000000000200".to_vec();
            wire.extend(format!("{:03}", tlv.len()).bytes());
            wire.extend(tlv);
            Bytes::from(wire)
        };
        let message = spec.decode(wire(&[0x9F, 0x27, 1, 0x80, 0, 0, 0x8A, 2, 0x30, 0x35])).unwrap();
        assert_eq!(message.get("55.8A").unwrap().text(), "05");
        assert_eq!(&*message.get("55.9F27").unwrap().binary().unwrap(), [0x80]);
        assert!(message.get("55.9F26").is_none() && message.get("55.x").is_none());
        let error = spec.decode(wire(&[0x9F, 0x27, 1, 0x80, 0x82, 4, 0])).unwrap_err();
        assert_eq!((error.code(), error.path().as_str()), ("truncated", "55.82"));
        assert_eq!(error.offset(), 29);
    }

    #[test]
    fn no_cut_and_no_flipped_bit_makes_it_panic() {
        let spec = small();
        let mut wire = b"0200402000000800020016424242424242424200012363A         010".to_vec();
        wire.extend([0x9F, 0x27, 1, 0x80, 0, 0, 0x8A, 2, 0x30, 0x35]);
        let whole = Bytes::from(wire.clone());
        spec.decode(whole.clone()).unwrap();
        for end in 0..whole.len() {
            let error = spec.decode(whole.slice(..end)).unwrap_err();
            assert!(error.offset() <= end);
        }
        for bit in 0..wire.len() * 8 {
            let mut flipped = wire.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = spec.decode(Bytes::from(flipped));
        }
        wire.push(b' ');
        let error = spec.decode(Bytes::from(wire)).unwrap_err();
        assert_eq!(error.code(), "trailing_bytes");
    }
}
