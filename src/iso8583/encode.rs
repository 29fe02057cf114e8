//! Message to bytes.
//!
//! Everything goes into one buffer, front to back; where each element's content landed is told, so
//! that a MAC or a PIN block can be filled in afterwards. On an error the buffer is as it was. The
//! caller's `.bytes` count from the message's first byte, whatever the buffer held before.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::assemble::Assembler;
use super::bitmap::Bitmap;
use super::builder::{MessageBuilder, Node};
use super::error::{EncodeError, EncodeErrorKind};
use super::mti::Mti;
use super::spec::{BitmapEncoding, Blocks, HeaderPresence, MtiEncoding, Spec, ThirdBitmap};
use super::wire::{Given, hex_pair};

/// Where the elements of an encoded message lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        let mut encoded = Encoded::default();
        self.encode_into(message, out, &mut encoded)?;
        Ok(encoded)
    }

    /// Like [`encode`](Self::encode), telling where the elements lie in a table whose room is used again.
    pub fn encode_into(
        &self,
        message: &MessageBuilder,
        out: &mut BytesMut,
        encoded: &mut Encoded,
    ) -> Result<(), EncodeError> {
        let base = out.len();
        let written = self.write(message, out, base, encoded);
        if written.is_err() {
            out.truncate(base);
            *encoded = Encoded::default();
        }
        written
    }

    /// The message as bytes of its own.
    pub fn encode_to_bytes(&self, message: &MessageBuilder) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::with_capacity(512);
        self.encode(message, &mut out)?;
        Ok(out.freeze())
    }

    fn write(
        &self,
        message: &MessageBuilder,
        out: &mut BytesMut,
        base: usize,
        encoded: &mut Encoded,
    ) -> Result<(), EncodeError> {
        let assembler = Assembler { spec: self, message };
        let header = self.write_header(&assembler, out)?;
        self.write_mti(message.mti(), out);
        let bitmap = message.bitmap();
        self.write_bitmap(&bitmap, out)?;
        encoded.bitmap = bitmap;
        encoded.spans = self.write_elements(&assembler, base, out, std::mem::take(&mut encoded.spans))?;
        let len = out.len() - base;
        if len > self.max_bytes {
            let most = format!("at most {} bytes", self.max_bytes);
            return Err(EncodeError::new(EncodeErrorKind::TooLarge, most));
        }
        if let (Some(total), Some(header)) = (self.total_length, header)
            && !total.write(len, out.get_mut(header..).unwrap_or_default())
        {
            let expected = "a message no longer than the header can tell";
            return Err(EncodeError::new(EncodeErrorKind::TooLarge, expected).within(total.part).within("header"));
        }
        encoded.len = len;
        Ok(())
    }

    fn write_elements(
        &self,
        assembler: &Assembler<'_>,
        base: usize,
        out: &mut BytesMut,
        mut spans: Vec<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>, EncodeError> {
        let message = assembler.message;
        spans.clear();
        spans.reserve(message.bitmap().len());
        let [_, _, third] = message.bitmap().blocks();
        let mut third_due = third != 0;
        // Room for all elements of the short way at once; what is left of it is cut off at the end.
        let room = message.short_room();
        let mut at = out.len();
        out.resize(at + room, 0);
        for (number, node) in message.nodes() {
            if third_due && number > 65 {
                out.truncate(at);
                self.write_third(third, out);
                at = out.len();
                third_due = false;
            }
            let short = match (node, out.get_mut(at..)) {
                (Node::Text(text), Some(free)) => self.short[usize::from(number)].put(text, free),
                _ => None,
            };
            let (start, end) = match short {
                Some((start, end)) => (at + start, at + end),
                None => {
                    out.truncate(at);
                    let start = self.write_long(assembler, number, node, out)?;
                    let end = out.len();
                    out.resize(end + room, 0);
                    (start, end)
                }
            };
            spans.push(((start - base) as u32, (end - base) as u32));
            at = end;
        }
        out.truncate(at);
        Ok(spans)
    }

    /// Writes an element the long way; returns where its content begins.
    #[inline(never)]
    fn write_long(
        &self,
        assembler: &Assembler<'_>,
        number: u8,
        node: &Node,
        out: &mut BytesMut,
    ) -> Result<usize, EncodeError> {
        let Some(index) = self.index(number) else {
            let expected = "an element that the spec defines";
            return Err(EncodeError::new(EncodeErrorKind::Undefined, expected).within(number));
        };
        let written = match (assembler.message.filler(number), node) {
            (Some(filler), Node::Text(text) | Node::Printed(text)) => {
                self.at(index).element.put_filled(Given::Text(text), filler, out)
            }
            _ => assembler.write(index, node, out),
        };
        written.map_err(|error| error.within(number))
    }

    /// Writes the header where there is one; returns where its content begins.
    fn write_header(&self, assembler: &Assembler<'_>, out: &mut BytesMut) -> Result<Option<usize>, EncodeError> {
        let fault = |expected: &'static str| Err(EncodeError::new(EncodeErrorKind::Header, expected).within("header"));
        match (&self.header, assembler.message.header_node()) {
            (None, None) | (Some((HeaderPresence::WhenFirstByte(_), _)), None) => Ok(None),
            (None, Some(_)) => fault("no header"),
            (Some((HeaderPresence::Required, _)), None) => fault("a header"),
            (Some((presence, index)), Some(node)) => {
                let start = out.len();
                let content = assembler.write_header(*index, node, out).map_err(|error| error.within("header"))?;
                match presence {
                    HeaderPresence::WhenFirstByte(byte) if out.get(start) != Some(byte) => {
                        fault("a header that begins with its first byte")
                    }
                    _ => Ok(Some(content)),
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
        write_bits(self.bitmap, 64, block, out);
    }
}

/// Writes the first `bits` bits of `block`, a multiple of 8.
pub(crate) fn write_bits(encoding: BitmapEncoding, bits: u8, block: u64, out: &mut BytesMut) {
    let bytes = block.to_be_bytes();
    let bytes = &bytes[..usize::from(bits / 8).min(8)];
    match encoding {
        BitmapEncoding::Raw => out.put_slice(bytes),
        BitmapEncoding::Hex(charset) => {
            let mut text = [0; 16];
            for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
                pair.copy_from_slice(&hex_pair(*byte).map(|digit| charset.byte(digit)));
            }
            out.put_slice(&text[..2 * bytes.len()]);
        }
    }
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
    fn a_character_beyond_ascii_is_one_byte_where_any_may_stand() {
        let spec = SpecBuilder::new("any").element(48, Element::variable(Class::Any, 99)).build().unwrap();
        let mut message = builder("0200");
        message.set(48, "\u{99}é");
        let bytes = spec.encode_to_bytes(&message).unwrap();
        assert_eq!(bytes[20..], [b'0', b'2', 0x99, 0xE9]);
        let read = spec.decode(bytes).unwrap();
        assert_eq!(read.text(48).as_deref(), Some("\u{99}é"));
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
