//! Message to bytes.
//!
//! Everything goes into one buffer, front to back; where each element's content landed is told, so
//! that a MAC or a PIN block can be filled in afterwards. On an error the buffer is as it was. The
//! caller's `.bytes` count from the message's first byte, whatever the buffer held before.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::bitmap::Bitmap;
use super::builder::{MessageBuilder, Node};
use super::composite::{Division, Key};
use super::element::Encoding;
use super::error::{EncodeError, EncodeErrorKind};
use super::mti::Mti;
use super::spec::{BitmapEncoding, Blocks, HeaderPresence, Index, MtiEncoding, Spec, ThirdBitmap};
use super::wire::{Given, HEX_DIGITS, hex_pair, put_ber_length};

/// Where the elements of an encoded message lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    bitmap: Bitmap,
    spans: Vec<(u32, u32)>,
    len: usize,
}

impl Encoded {
    /// The byte range of an element's content, counted from the message's first byte.
    pub fn span(&self, number: u8) -> Option<Range<usize>> {
        if !self.bitmap.has(number) {
            return None;
        }
        let (start, end) = *self.spans.get(self.bitmap.rank(number))?;
        Some(start as usize..end as usize)
    }

    /// The elements written.
    pub fn bitmap(&self) -> Bitmap {
        self.bitmap
    }

    /// How many bytes the message has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a message has at least a type.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Spec {
    /// Appends the message to `out`.
    pub fn encode(&self, message: &MessageBuilder, out: &mut BytesMut) -> Result<Encoded, EncodeError> {
        let base = out.len();
        let written = self.write(message, out, base);
        if written.is_err() {
            out.truncate(base);
        }
        written
    }

    /// The message as bytes of its own.
    pub fn encode_to_bytes(&self, message: &MessageBuilder) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::with_capacity(512);
        self.encode(message, &mut out)?;
        Ok(out.freeze())
    }

    fn write(&self, message: &MessageBuilder, out: &mut BytesMut, base: usize) -> Result<Encoded, EncodeError> {
        self.write_header(message, out)?;
        self.write_mti(message.mti(), out);
        let bitmap = message.bitmap();
        self.write_bitmap(&bitmap, out)?;
        let mut spans = Vec::with_capacity(bitmap.len());
        let [_, _, third] = bitmap.blocks();
        let mut third_due = third != 0;
        for (number, node) in message.nodes() {
            if number > 65 && third_due {
                self.write_third(third, out);
                third_due = false;
            }
            let at = |error: EncodeError| error.within(number);
            let index = self
                .index(number)
                .ok_or_else(|| at(EncodeError::new(EncodeErrorKind::Undefined, "an element that the spec defines")))?;
            let start = self.write_node(index, node, out).map_err(at)?;
            spans.push(((start - base) as u32, (out.len() - base) as u32));
        }
        let len = out.len() - base;
        if len > self.max_bytes {
            let most = format!("at most {} bytes", self.max_bytes);
            return Err(EncodeError::new(EncodeErrorKind::TooLarge, most));
        }
        Ok(Encoded { bitmap, spans, len })
    }

    fn write_header(&self, message: &MessageBuilder, out: &mut BytesMut) -> Result<(), EncodeError> {
        let fault = |expected: &'static str| Err(EncodeError::new(EncodeErrorKind::Header, expected).within("header"));
        match (&self.header, message.header_node()) {
            (None, None) | (Some((HeaderPresence::WhenFirstByte(_), _)), None) => Ok(()),
            (None, Some(_)) => fault("no header"),
            (Some((HeaderPresence::Required, _)), None) => fault("a header"),
            (Some((presence, index)), Some(node)) => {
                let start = out.len();
                self.write_node(*index, node, out).map_err(|error| error.within("header"))?;
                match presence {
                    HeaderPresence::WhenFirstByte(byte) if out.get(start) != Some(byte) => {
                        fault("a header that begins with its first byte")
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn write_mti(&self, mti: Mti, out: &mut BytesMut) {
        let [version, class, function, origin] = mti.digits();
        match self.mti {
            MtiEncoding::Text(charset) => {
                out.put_slice(&mti.digits().map(|digit| charset.byte(b'0' + digit)));
            }
            MtiEncoding::Bcd => out.put_slice(&[version << 4 | class, function << 4 | origin]),
        }
    }

    fn write_bitmap(&self, elements: &Bitmap, out: &mut BytesMut) -> Result<(), EncodeError> {
        const MORE: u64 = 1 << 63;
        let [mut first, mut second, third] = elements.blocks();
        if third != 0 && self.third != ThirdBitmap::None && self.blocks == Blocks::Auto {
            second |= MORE;
        }
        let in_front = third != 0 && !matches!(self.third, ThirdBitmap::Element65 { .. });
        let needed = match (second, in_front) {
            (_, true) => 3,
            (0, false) => 1,
            _ => 2,
        };
        let written = match self.blocks {
            Blocks::Always(count) => count,
            Blocks::Auto => needed,
        };
        let untold = in_front && self.third == ThirdBitmap::None && self.blocks == Blocks::Auto;
        if written < needed || untold {
            let expected = "elements that the bitmap of this spec can tell";
            return Err(EncodeError::new(EncodeErrorKind::Undefined, expected).within("bitmap"));
        }
        if self.blocks == Blocks::Auto && written > 1 {
            first |= MORE;
        }
        for block in [first, second, third].into_iter().take(usize::from(written)) {
            self.write_block(block, out);
        }
        Ok(())
    }

    fn write_third(&self, third: u64, out: &mut BytesMut) {
        if let ThirdBitmap::Element65 { spare } = self.third {
            self.write_block(third, out);
            for _ in 0..spare.div_ceil(8) {
                self.write_block(0, out);
            }
        }
    }

    fn write_block(&self, block: u64, out: &mut BytesMut) {
        match self.bitmap {
            BitmapEncoding::Raw => out.put_u64(block),
            BitmapEncoding::Hex(charset) => {
                let digit = |place: u64| HEX_DIGITS[(block >> (60 - 4 * place) & 0x0F) as usize];
                let text: [u8; 16] = std::array::from_fn(|place| charset.byte(digit(place as u64)));
                out.put_slice(&text);
            }
        }
    }

    /// Writes a value; returns where its content begins.
    fn write_node(&self, index: Index, node: &Node, out: &mut BytesMut) -> Result<usize, EncodeError> {
        let described = self.at(index);
        let element = &described.element;
        match node {
            Node::Text(text) => element.put(Given::Text(text), out),
            Node::Bytes(bytes) if element.is_binary() => element.put(Given::Bytes(bytes), out),
            Node::Bytes(_) => Err(element.refused(EncodeErrorKind::Content)),
            Node::Parts(parts) => {
                let Some(division) = &described.division else {
                    return Err(EncodeError::new(EncodeErrorKind::Shape, "one undivided value"));
                };
                let mut content = BytesMut::new();
                self.write_parts(division, parts, &mut content)?;
                self.write_divided(index, &content, out)
            }
        }
    }

    /// Writes joined parts as the content of the element they belong to.
    fn write_divided(&self, index: Index, content: &[u8], out: &mut BytesMut) -> Result<usize, EncodeError> {
        let element = &self.at(index).element;
        if element.is_binary() {
            return element.put(Given::Bytes(content), out);
        }
        let text = match element.encoding {
            // Parts of packed digits were written as ASCII characters.
            Encoding::Bcd => super::charset::Charset::Ascii.read(content),
            _ => element.charset.read(content),
        };
        match text {
            Some(text) => element.put(Given::Text(&text), out),
            None => Err(element.refused(EncodeErrorKind::Content)),
        }
    }

    fn write_parts(
        &self,
        division: &Division<Index>,
        parts: &[(Box<str>, Node)],
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        match division {
            Division::Positional { parts: places, open_end } => self.write_places(places, *open_end, parts, out),
            Division::Repeated { record } => self.write_records(*record, parts, out),
            Division::BerTlv { .. } => parts.iter().try_for_each(|(name, node)| {
                self.write_tag(division, name, node, out).map_err(|error| error.within(name))
            }),
        }
    }

    fn write_places(
        &self,
        places: &[Index],
        open_end: bool,
        parts: &[(Box<str>, Node)],
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut written = 0;
        for (place, index) in places.iter().enumerate() {
            let name = (place + 1).to_string();
            let node = parts.iter().find(|(key, _)| **key == *name);
            let Some((_, node)) = node else {
                match open_end {
                    true => break,
                    false => {
                        let missing = self.at(*index).element.refused(EncodeErrorKind::Shape);
                        return Err(missing.within(name));
                    }
                }
            };
            self.write_node(*index, node, out).map_err(|error| error.within(&name))?;
            written += 1;
        }
        no_others(parts, written)
    }

    fn write_records(&self, record: Index, parts: &[(Box<str>, Node)], out: &mut BytesMut) -> Result<(), EncodeError> {
        for place in 1..=parts.len() {
            let name = place.to_string();
            let Some((_, node)) = parts.iter().find(|(key, _)| **key == *name) else {
                return no_others(parts, place - 1);
            };
            self.write_node(record, node, out).map_err(|error| error.within(&name))?;
        }
        Ok(())
    }

    fn write_tag(
        &self,
        division: &Division<Index>,
        name: &str,
        node: &Node,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let unwritable = || EncodeError::new(EncodeErrorKind::Tag, "a BER tag that the spec knows");
        let Some(key @ Key::Tag(tag)) = division.key(name) else {
            return Err(unwritable());
        };
        let index = division.part(key).ok_or_else(unwritable)?;
        let mut value = BytesMut::new();
        self.write_node(*index, node, &mut value)?;
        let skip = tag.leading_zeros() as usize / 8;
        let bytes = &tag.to_be_bytes()[skip.min(3)..];
        if !is_ber_tag(bytes) {
            return Err(unwritable());
        }
        out.put_slice(bytes);
        put_ber_length(value.len(), out);
        out.put_slice(&value);
        Ok(())
    }
}

/// Whether the bytes read back as one tag.
fn is_ber_tag(bytes: &[u8]) -> bool {
    match bytes {
        [0] | [] => false,
        [one] => one & 0x1F != 0x1F,
        [first, middle @ .., last] => first & 0x1F == 0x1F && last & 0x80 == 0 && middle.iter().all(|b| b & 0x80 != 0),
    }
}

/// An error where more parts were given than were written.
fn no_others(parts: &[(Box<str>, Node)], written: usize) -> Result<(), EncodeError> {
    if parts.len() == written {
        return Ok(());
    }
    let name = parts
        .iter()
        .map(|(key, _)| &**key)
        .find(|key| key.parse::<usize>().map_or(true, |place| place > written || place == 0))
        .unwrap_or("");
    let expected = "parts numbered from 1 without a gap, each once";
    Err(EncodeError::new(EncodeErrorKind::Shape, expected).within(name))
}

/// Upper-case hexadecimal of encoded bytes, for people and files.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| hex_pair(*b).map(char::from)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::iso8583::class::Class;
    use crate::iso8583::element::Element;
    use crate::iso8583::spec::SpecBuilder;

    fn small() -> std::sync::Arc<Spec> {
        SpecBuilder::new("small")
            .element(2, Element::variable(Class::Numeric, 19))
            .element(11, Element::fixed(Class::Numeric, 6))
            .element(41, Element::fixed(Class::Text, 8))
            .element(52, Element::fixed(Class::Binary, 8))
            .element(70, Element::fixed(Class::Numeric, 3))
            .build()
            .unwrap()
    }

    fn builder(mti: &str) -> MessageBuilder {
        MessageBuilder::new(mti.parse().unwrap())
    }

    #[test]
    fn short_values_are_filled_and_long_ones_refused() {
        let spec = small();
        let mut message = builder("0800");
        message.set(11, "123").set(41, "T1").set(70, "301");
        let bytes = spec.encode_to_bytes(&message).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(text, "080080200000008000000400000000000000000123T1      301");
        message.set(11, "1234567");
        let error = spec.encode_to_bytes(&message).unwrap_err();
        assert_eq!((error.code(), error.path().as_str()), ("length", "11"));
        message.set(11, "12345x");
        let error = spec.encode_to_bytes(&message).unwrap_err();
        assert_eq!((error.code(), error.expected()), ("content", "n6"));
    }

    #[test]
    fn the_spans_tell_where_content_landed_and_an_error_leaves_the_buffer_alone() {
        let spec = small();
        let mut message = builder("0200");
        message.set(2, "4242424242424242").set_binary(52, &[0; 8]);
        let mut out = BytesMut::from(&b"before"[..]);
        let encoded = spec.encode(&message, &mut out).unwrap();
        let wire = &out[6..];
        assert_eq!(&wire[encoded.span(2).unwrap()], b"4242424242424242");
        assert_eq!(&wire[encoded.span(52).unwrap()], [0; 8]);
        assert_eq!((encoded.span(11), encoded.len()), (None, wire.len()));
        message.set(3, "000000");
        let before = out.clone();
        let error = spec.encode(&message, &mut out).unwrap_err();
        assert_eq!((error.code(), error.path().as_str()), ("undefined_element", "3"));
        assert_eq!(out, before);
    }
}
