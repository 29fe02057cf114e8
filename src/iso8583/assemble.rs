//! Values and parts to the content of an element: the opposite of dividing.
//!
//! Parts are joined into the unfolded content first and then written as the one value of the element
//! they belong to, so that a length prefix and the folding of packed digits are done in one place.
//! Tags keep the order they were given in; numbered parts are put in order.

use bytes::{BufMut, BytesMut};

use super::builder::{MessageBuilder, Node};
use super::charset::Charset;
use super::composite::{Condition, Division, Key, Presence, TLV, TagEncoding, Tagged, ber_tag};
use super::divide::DatasetBitmap;
use super::element::{Element, Encoding};
use super::encode::write_bits;
use super::error::{EncodeError, EncodeErrorKind};
use super::spec::{BitmapEncoding, Described, Index, Spec};
use super::tags::TagTable;
use super::wire::{Given, put_ber_length, unhex};

/// Writes the values of one message.
pub(crate) struct Assembler<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) message: &'a MessageBuilder,
}

type Parts = [(Box<str>, Node)];

impl Assembler<'_> {
    /// Writes a value; returns where its content begins.
    pub(crate) fn write(&self, index: Index, node: &Node, out: &mut BytesMut) -> Result<usize, EncodeError> {
        let described = self.spec.at(index);
        let element = &described.element;
        match node {
            Node::Text(text) => element.put(Given::Text(text), out),
            Node::Printed(text) => element.put(Given::Printed(text), out),
            Node::Bytes(bytes) => element.put(Given::Bytes(bytes), out),
            Node::Parts(parts) => {
                if described.division.is_none() {
                    return Err(shape("one undivided value"));
                }
                if let Some(width) = element.plain_prefix() {
                    return self.join_in_place(described, width, parts, out);
                }
                let mut content = BytesMut::with_capacity(256);
                self.join(described, element, parts, &mut content)?;
                self.write_joined(element, &content, out)
            }
        }
    }

    /// Joins parts where they will stay, behind a length of `width` bytes that is known only then.
    fn join_in_place(
        &self,
        described: &Described,
        width: usize,
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<usize, EncodeError> {
        let front = out.len();
        out.put_bytes(0, width);
        self.join(described, &described.element, parts, out)?;
        let end = out.len();
        let count = end - front - width;
        described.element.put_length(count, count, out)?;
        out.copy_within(end.., front);
        out.truncate(end);
        Ok(front + width)
    }

    /// Writes the header, of whose parts the one that tells the total length may be left out.
    pub(crate) fn write_header(&self, index: Index, node: &Node, out: &mut BytesMut) -> Result<usize, EncodeError> {
        if let (Some(total), Node::Parts(given)) = (self.spec.total_length, node) {
            let name = total.part.to_string();
            // A header that ends before it has none.
            let reaches = total.part == 1 || find(given, &(total.part - 1).to_string()).is_some();
            if reaches && find(given, &name).is_none() {
                let mut parts = given.clone();
                parts.push((name.into(), Node::Text(total.blank().into())));
                return self.write(index, &Node::Parts(parts), out);
            }
        }
        self.write(index, node, out)
    }

    /// Writes joined parts as the content of the element they belong to.
    fn write_joined(&self, element: &Element, content: &[u8], out: &mut BytesMut) -> Result<usize, EncodeError> {
        if element.is_binary() || element.prints_bytes() {
            return element.put(Given::Bytes(content), out);
        }
        let text = match element.encoding {
            // Parts of packed digits were written as ASCII characters.
            Encoding::Bcd => Charset::Ascii.read(content),
            _ => element.charset.read(content),
        };
        match text {
            Some(text) => element.put(Given::Text(&text), out),
            None => Err(element.refused(EncodeErrorKind::Content)),
        }
    }

    /// Joins parts as `described` is divided, inside the content of `element`.
    fn join(
        &self,
        described: &Described,
        element: &Element,
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let Some(division) = &described.division else {
            return Ok(());
        };
        match division {
            Division::Positional { parts: places, open_end } => self.positional(places, *open_end, parts, out),
            Division::Repeated { record } => self.in_order(parts, out, |_| Some(*record), |_| {}),
            Division::Delimited { separator, parts: places } => {
                let separator = element.charset.byte(*separator);
                let of = |place: usize| places.get(place).or(places.last()).copied();
                self.in_order(parts, out, of, |out| out.put_u8(separator))
            }
            Division::Bitmapped { lead, bits, encoding, .. } => {
                self.bitmapped(division, *lead, (*bits, *encoding), parts, out)
            }
            Division::DatasetBitmap { parts: places, tlv } => self.dataset(places, *tlv, parts, out),
            Division::BerTlv { .. } => {
                for (name, node) in parts {
                    self.ber(&described.tags, name, node, out).map_err(|error| error.within(name))?;
                }
                Ok(())
            }
            Division::Tagged(tagged) => self.tagged(division, tagged, parts, out),
            Division::Choice(choices) => self.choice(choices, element, parts, out),
        }
    }

    fn positional(
        &self,
        places: &[Index],
        open_end: bool,
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut written = 0;
        for (place, index) in places.iter().enumerate() {
            let name = (place + 1).to_string();
            match (find(parts, &name), open_end) {
                (Some(node), _) => {
                    self.write(*index, node, out).map_err(|error| error.within(&name))?;
                    written += 1;
                }
                (None, true) => break,
                (None, false) => {
                    let missing = self.spec.at(*index).element.refused(EncodeErrorKind::Shape);
                    return Err(missing.within(name));
                }
            }
        }
        no_others(parts, written)
    }

    /// Parts numbered from 1 without a gap.
    fn in_order(
        &self,
        parts: &Parts,
        out: &mut BytesMut,
        index_of: impl Fn(usize) -> Option<Index>,
        between: impl Fn(&mut BytesMut),
    ) -> Result<(), EncodeError> {
        for place in 0..parts.len() {
            let name = (place + 1).to_string();
            let (Some(node), Some(index)) = (find(parts, &name), index_of(place)) else {
                return no_others(parts, place);
            };
            if place > 0 {
                between(out);
            }
            self.write(index, node, out).map_err(|error| error.within(&name))?;
        }
        Ok(())
    }

    fn bitmapped(
        &self,
        division: &Division<Index>,
        lead: Option<Index>,
        (bits, encoding): (u8, BitmapEncoding),
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut places: Vec<(u16, Index, &Node)> = Vec::new();
        for (name, node) in parts {
            let key = division.key(name);
            match (key, key.and_then(|key| division.part(key))) {
                (Some(Key::Number(bit)), Some(index)) if bit <= u16::from(bits) => {
                    places.push((bit, *index, node));
                }
                _ => return Err(undefined().within(name)),
            }
        }
        places.sort_by_key(|(bit, _, _)| *bit);
        if let Some(twice) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(shape("each part once").within(twice[0].0));
        }
        let map = places.iter().filter(|(bit, _, _)| *bit > 0).fold(0, |map, (bit, _, _)| map | 1_u64 << (64 - bit));
        if lead.is_some() && places.first().is_none_or(|(bit, _, _)| *bit != 0) {
            return Err(shape("what stands in front of the bitmap").within(0));
        }
        if lead.is_none() {
            write_bits(encoding, bits, map, out);
        }
        for (bit, index, node) in places {
            self.write(index, node, out).map_err(|error| error.within(bit))?;
            if bit == 0 {
                write_bits(encoding, bits, map, out);
            }
        }
        Ok(())
    }

    fn dataset(&self, places: &[Index], tlv: Index, parts: &Parts, out: &mut BytesMut) -> Result<(), EncodeError> {
        let last = (1..=places.len()).rev().find(|place| find(parts, &place.to_string()).is_some()).unwrap_or(0);
        let Some(mut map) = u16::try_from(last).ok().and_then(DatasetBitmap::for_parts) else {
            return Err(undefined().within(last));
        };
        let mut content = BytesMut::new();
        let mut written = 0;
        for (place, index) in (1..).zip(places) {
            let name = place.to_string();
            if let Some(node) = find(parts, &name) {
                map.set(place);
                self.write(*index, node, &mut content).map_err(|error| error.within(&name))?;
                written += 1;
            }
        }
        if let Some(node) = find(parts, &TLV.to_string()) {
            map.set_tlv();
            self.write(tlv, node, &mut content).map_err(|error| error.within(TLV))?;
            written += 1;
        }
        if written != parts.len() {
            return Err(shape("parts that the dataset defines, each once"));
        }
        out.put_slice(map.as_bytes());
        out.put_slice(&content);
        Ok(())
    }

    fn ber(&self, tags: &TagTable, name: &str, node: &Node, out: &mut BytesMut) -> Result<(), EncodeError> {
        let unwritable = || EncodeError::new(EncodeErrorKind::Tag, "a BER tag that the spec knows");
        let tag = ber_tag(name).ok_or_else(unwritable)?;
        let index = tags.find(tag).ok_or_else(unwritable)?;
        if !is_ber_tag(tag) {
            return Err(unwritable());
        }
        let mut written = BytesMut::new();
        let value = match node {
            Node::Bytes(bytes) if self.spec.at(index).plain => bytes,
            _ => {
                self.write(index, node, &mut written)?;
                &written[..]
            }
        };
        put_ber(tag, value, out);
        Ok(())
    }

    fn tagged(
        &self,
        division: &Division<Index>,
        tagged: &Tagged<Index>,
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut tags = parts;
        if let Some((index, presence)) = tagged.lead {
            match parts.split_first() {
                Some(((name, node), rest)) if **name == *"0" => {
                    self.write(index, node, out).map_err(|error| error.within(0))?;
                    tags = rest;
                }
                _ if presence == Presence::Required => {
                    return Err(shape("what stands in front of the tags, first").within(0));
                }
                _ => {}
            }
        }
        tags.iter().try_for_each(|(name, node)| {
            self.tag(division, tagged, name, node, out).map_err(|error| error.within(name))
        })
    }

    fn tag(
        &self,
        division: &Division<Index>,
        tagged: &Tagged<Index>,
        name: &str,
        node: &Node,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let unwritable = || EncodeError::new(EncodeErrorKind::Tag, "a tag that the spec knows");
        let key = division.key(name).ok_or_else(unwritable)?;
        let index = division.part(key).ok_or_else(unwritable)?;
        let mut tag = BytesMut::new();
        match tagged.tag {
            TagEncoding::Text(charset) => {
                tag.extend(key.name_bytes().iter().map(|b| charset.byte(*b)));
            }
            TagEncoding::Raw => {
                tag.put_slice(&unhex(key.name_bytes()).ok_or_else(unwritable)?);
            }
        }
        let mut value = BytesMut::new();
        self.write(*index, node, &mut value)?;
        let count = value.len() + if tagged.counts_tag { tag.len() } else { 0 };
        let length_fits = |out: &mut BytesMut| match tagged.length {
            Some(prefix) if !prefix.put(count, out) => {
                Err(EncodeError::new(EncodeErrorKind::Length, "a value that its length can tell"))
            }
            _ => Ok(()),
        };
        if tagged.length_first {
            length_fits(out)?;
        }
        out.put_slice(&tag);
        if !tagged.length_first {
            length_fits(out)?;
        }
        out.put_slice(&value);
        Ok(())
    }

    /// The first choice whose condition holds; one that looks at the first byte is tried.
    fn choice(
        &self,
        choices: &[(Condition, Index)],
        element: &Element,
        parts: &Parts,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut last = shape("one undivided value");
        for (condition, index) in choices {
            let holds = match condition {
                Condition::Otherwise | Condition::FirstByte(..) => true,
                Condition::Mti(digits) => self.message.mti().to_string().starts_with(digits),
                Condition::Element(number, text) => match self.message.node(*number) {
                    Some(Node::Text(value) | Node::Printed(value)) => value.starts_with(text),
                    _ => false,
                },
            };
            let chosen = self.spec.at(*index);
            if chosen.division.is_none() || !holds {
                continue;
            }
            let mut content = BytesMut::new();
            let joined = self.join(chosen, element, parts, &mut content);
            let begins_well = match condition {
                Condition::FirstByte(from, to) => content.first().is_some_and(|b| (from..=to).contains(&b)),
                _ => true,
            };
            match joined {
                Ok(()) if begins_well => {
                    out.put_slice(&content);
                    return Ok(());
                }
                Err(error) if !matches!(condition, Condition::FirstByte(..)) => return Err(error),
                Err(error) => last = error,
                Ok(()) => {}
            }
        }
        Err(last)
    }
}

fn find<'p>(parts: &'p Parts, name: &str) -> Option<&'p Node> {
    parts.iter().find(|(key, _)| **key == *name).map(|(_, node)| node)
}

fn shape(expected: &'static str) -> EncodeError {
    EncodeError::new(EncodeErrorKind::Shape, expected)
}

fn undefined() -> EncodeError {
    EncodeError::new(EncodeErrorKind::Undefined, "a part that the spec defines")
}

#[inline]
fn put_ber(tag: u32, value: &[u8], out: &mut BytesMut) {
    let skip = tag.leading_zeros() / 8;
    out.reserve(16 + value.len());
    match value.len() {
        // Nearly all values are short: tag and length go out in one piece, of which the front is kept.
        short @ ..0x80 => {
            let head = (u64::from(tag) << 8 | short as u64) << (8 * (3 + skip));
            let end = out.len() + 5 - skip as usize;
            out.put_u64(head);
            out.truncate(end);
        }
        long => {
            out.put_slice(&tag.to_be_bytes()[skip as usize..]);
            put_ber_length(long, out);
        }
    }
    out.put_slice(value);
}

/// Whether the bytes of this number read back as one tag.
fn is_ber_tag(tag: u32) -> bool {
    let [first, second, third, last] = tag.to_be_bytes();
    let more = |byte: u8| byte & 0x80 != 0;
    match (first, second, third) {
        (0, 0, 0) => last != 0 && last & 0x1F != 0x1F,
        (0, 0, _) => third & 0x1F == 0x1F && !more(last),
        (0, _, _) => second & 0x1F == 0x1F && more(third) && !more(last),
        _ => first & 0x1F == 0x1F && more(second) && more(third) && !more(last),
    }
}

/// An error where more parts were given than were written.
fn no_others(parts: &Parts, written: usize) -> Result<(), EncodeError> {
    if parts.len() == written {
        return Ok(());
    }
    let beyond = |key: &&str| match key.parse::<usize>() {
        Ok(place) => place > written || place == 0,
        Err(_) => true,
    };
    let name = parts.iter().map(|(key, _)| &**key).find(beyond);
    Err(shape("parts numbered from 1 without a gap, each once").within(name.unwrap_or_default()))
}
