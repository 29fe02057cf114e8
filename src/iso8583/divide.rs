//! Dividing an element's content into its parts, as a [`Division`] says.
//!
//! Level by level: all parts of an element first, so that they stand together in the message's table,
//! then the parts of each of them. Content that is packed or hexadecimal is unfolded beside the
//! message. The surprise is that offsets in errors are then counted back to the byte on the wire that
//! the unfolded one came from.

use nom::Parser;
use nom::bytes::complete::take;

use super::charset::Charset;
use super::composite::{Condition, Division, Key, Presence, TLV, TagEncoding, Tagged};
use super::decode::{span_at, take_bits};
use super::element::Encoding;
use super::error::{DecodeErrorKind, Fault, Parsed};
use super::message::{Message, Part, Span};
use super::spec::{BitmapEncoding, Index, Spec};
use super::tags::TagTable;
use super::value::{Value, unfold};
use super::wire::{Content, hex_pair, take_ber_length};

/// A fault inside a divided element.
pub(crate) struct Lost {
    pub(crate) kind: DecodeErrorKind,
    pub(crate) offset: usize,
    /// Keys from the innermost outwards; `None` for a part that the spec cannot name.
    pub(crate) keys: Vec<(Option<Key>, usize)>,
    pub(crate) index: Option<Index>,
}

/// Divides elements into the tables of a message, whose bytes are not yet in it.
pub(crate) struct Divider<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) wire: &'a [u8],
    pub(crate) message: &'a mut Message,
}

impl Divider<'_> {
    /// Divides the content at `span`. `origin` is where it lies on the wire, for errors.
    pub(crate) fn divide(
        &mut self,
        index: Index,
        span: &mut Span,
        from_unfolded: bool,
        origin: usize,
    ) -> Result<(), Lost> {
        let spec = self.spec;
        let described = spec.at(index);
        let Some(mut division) = described.division.as_ref() else {
            return Ok(());
        };
        let region = self.region(index, *span, from_unfolded);
        let unfolded = std::mem::take(&mut self.message.unfolded);
        let store = if region.unfolded { &unfolded[..] } else { self.wire };
        let data = store.get(region.start..region.end).unwrap_or_default();
        let mut chosen = Some(index);
        while let (Division::Choice(choices), Some(_)) = (division, chosen) {
            chosen = self.choose(choices, data);
            match chosen.and_then(|index| spec.at(index).division.as_ref()) {
                Some(next) => division = next,
                None => chosen = None,
            }
        }
        let first = self.message.parts.len();
        let result = match chosen {
            None => Ok(()),
            Some(index) => {
                let tags = &spec.at(index).tags;
                let charset = described.element.charset;
                Level { spec, tags, region, charset, parts: &mut self.message.parts }.read(division, data)
            }
        };
        self.message.unfolded = unfolded;
        let scale = Scale::of(described.element.encoding);
        if let Err(mut lost) = result {
            lost.offset = origin + scale.wire(lost.offset);
            lost.index = lost.index.or(Some(index));
            return Err(lost);
        }
        span.first_part = first as u32;
        span.parts = (self.message.parts.len() - first) as u32;
        span.divided_as = chosen.unwrap_or(index);
        let deep = spec.at(span.divided_as).deep;
        for place in span.part_range().filter(|_| deep) {
            self.divide_part(place, region, origin, scale, place - first)?;
        }
        Ok(())
    }

    fn divide_part(
        &mut self,
        place: usize,
        region: Region,
        origin: usize,
        scale: Scale,
        nth: usize,
    ) -> Result<(), Lost> {
        let mut part = self.message.parts[place];
        if self.spec.at(part.index).division.is_none() {
            return Ok(());
        }
        let origin = origin + scale.wire(part.span.start as usize - region.start);
        self.divide(part.index, &mut part.span, part.unfolded, origin).map_err(|mut lost| {
            lost.keys.push((Some(part.key), nth + 1));
            lost
        })?;
        self.message.parts[place] = part;
        Ok(())
    }

    /// Where the content to divide lies: in place, or unfolded into the buffer.
    fn region(&mut self, index: Index, span: Span, from_unfolded: bool) -> Region {
        let element = &self.spec.at(index).element;
        let unfolded = &mut self.message.unfolded;
        let start = unfolded.len();
        let units = span.units;
        let folded = match from_unfolded {
            false => {
                let bytes = self.wire.get(span.range()).unwrap_or_default();
                unfold(element, Content { bytes, units }, unfolded)
            }
            true if matches!(element.encoding, Encoding::Bcd | Encoding::Hex) => {
                let bytes = &unfolded.get(span.range()).unwrap_or_default().to_vec();
                unfold(element, Content { bytes, units }, unfolded)
            }
            true => false,
        };
        let range = match folded {
            true => start..unfolded.len(),
            false => span.range(),
        };
        Region { unfolded: folded || from_unfolded, start: range.start, end: range.end }
    }

    /// The first choice whose condition holds for content that begins like `data`.
    fn choose(&self, choices: &[(Condition, Index)], data: &[u8]) -> Option<Index> {
        choices
            .iter()
            .find(|(condition, _)| match condition {
                Condition::Otherwise => true,
                Condition::FirstByte(from, to) => data.first().is_some_and(|b| (from..=to).contains(&b)),
                Condition::Mti(digits) => self.message.mti.to_string().starts_with(digits),
                Condition::Element(number, text) => self.earlier(*number, text),
            })
            .map(|(_, index)| *index)
    }

    /// Whether an element that has been read begins with `text`.
    fn earlier(&self, number: u8, text: &str) -> bool {
        let message = &*self.message;
        let Some(index) = self.spec.index(number) else {
            return false;
        };
        match message.spans.get(message.bitmap.rank(number)) {
            Some(span) if message.has(number) => Value::text_of(self.spec, index, *span, self.wire).starts_with(text),
            _ => false,
        }
    }
}

/// A stretch of the message or of the unfolded buffer.
#[derive(Clone, Copy)]
struct Region {
    unfolded: bool,
    start: usize,
    end: usize,
}

/// How many bytes on the wire a byte of unfolded content stands for.
#[derive(Clone, Copy)]
enum Scale {
    Same,
    Half,
    Double,
}

impl Scale {
    fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Bcd => Self::Half,
            Encoding::Hex => Self::Double,
            Encoding::Text | Encoding::Raw => Self::Same,
        }
    }

    fn wire(self, offset: usize) -> usize {
        match self {
            Self::Same => offset,
            Self::Half => offset / 2,
            Self::Double => offset * 2,
        }
    }
}

/// One level of parts: reads them all and divides none.
struct Level<'a> {
    spec: &'a Spec,
    tags: &'a TagTable,
    region: Region,
    charset: Charset,
    parts: &'a mut Vec<Part>,
}

impl Level<'_> {
    fn read(mut self, division: &Division<Index>, data: &[u8]) -> Result<(), Lost> {
        match division {
            Division::Positional { parts, open_end } => self.positional(parts, *open_end, data),
            Division::Repeated { record } => self.repeated(*record, data),
            Division::Delimited { separator, parts } => self.delimited(*separator, parts, data),
            Division::Bitmapped { lead, bits, encoding, .. } => self.bitmapped(division, *lead, *bits, *encoding, data),
            Division::DatasetBitmap { parts, tlv } => self.dataset(parts, *tlv, data),
            Division::BerTlv { .. } => self.ber(division, data),
            Division::Tagged(tagged) => self.tagged(division, tagged, data),
            // Resolved before.
            Division::Choice(_) => Ok(()),
        }
    }

    fn positional(&mut self, parts: &[Index], open_end: bool, data: &[u8]) -> Result<(), Lost> {
        let mut rest = data;
        for (place, index) in parts.iter().enumerate() {
            if rest.is_empty() && open_end {
                break;
            }
            rest = self.part(Key::Number(place as u16 + 1), *index, rest, data)?;
        }
        at_end(rest, data)
    }

    fn repeated(&mut self, record: Index, data: &[u8]) -> Result<(), Lost> {
        let mut rest = data;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let before = rest.len();
            rest = self.part(Key::Number(number), record, rest, data)?;
            if rest.len() == before || number == u16::MAX {
                return Err(Lost::at(DecodeErrorKind::LengthOutOfRange, rest, data));
            }
        }
        Ok(())
    }

    fn delimited(&mut self, separator: u8, parts: &[Index], data: &[u8]) -> Result<(), Lost> {
        if data.is_empty() {
            return Ok(());
        }
        let separator = self.charset.byte(separator);
        let mut start = 0;
        for (place, value) in data.split(|b| *b == separator).enumerate() {
            let key = u16::try_from(place + 1).ok().map(Key::Number);
            let index = parts.get(place).or(parts.last());
            let (Some(key), Some(index)) = (key, index) else {
                return Err(Lost::at(DecodeErrorKind::TrailingBytes, &data[start..], data));
            };
            self.whole(key, *index, start..start + value.len(), data)?;
            start += value.len() + 1;
        }
        Ok(())
    }

    fn bitmapped(
        &mut self,
        division: &Division<Index>,
        lead: Option<Index>,
        bits: u8,
        encoding: BitmapEncoding,
        data: &[u8],
    ) -> Result<(), Lost> {
        let mut rest = data;
        if let Some(index) = lead {
            rest = self.part(Key::Number(0), index, rest, data)?;
        }
        let (after, bitmap) = take_bits(encoding, bits, rest).map_err(|error| Lost::of(error, data))?;
        rest = after;
        for bit in (1..=u16::from(bits)).filter(|bit| bitmap >> (64 - bit) & 1 == 1) {
            let key = Key::Number(bit);
            let Some(index) = division.part(key) else {
                let lost = Lost::at(DecodeErrorKind::UndefinedElement, rest, data);
                return Err(lost.named(Some(key), None));
            };
            rest = self.part(key, *index, rest, data)?;
        }
        at_end(rest, data)
    }

    /// The bitmap of a dataset: see [`Division::DatasetBitmap`].
    fn dataset(&mut self, parts: &[Index], tlv: Index, data: &[u8]) -> Result<(), Lost> {
        let (mut rest, map) = take_dataset_bitmap(data).map_err(|error| Lost::of(error, data))?;
        for number in map.parts() {
            let key = Key::Number(number);
            let Some(index) = parts.get(usize::from(number) - 1) else {
                let lost = Lost::at(DecodeErrorKind::UndefinedElement, rest, data);
                return Err(lost.named(Some(key), None));
            };
            rest = self.part(key, *index, rest, data)?;
        }
        match map.tlv_follows() {
            true => self.whole(TLV, tlv, data.len() - rest.len()..data.len(), data),
            false => at_end(rest, data),
        }
    }

    fn ber(&mut self, division: &Division<Index>, data: &[u8]) -> Result<(), Lost> {
        let first = self.parts.len();
        let mut rest = skip_filler(data);
        while !rest.is_empty() {
            let lost = |error| Lost::of(error, data);
            let (after, tag) = take_ber_tag(rest).map_err(lost)?;
            let key = Key::Tag(tag);
            let Some(index) = self.tags.find(tag) else {
                let lost = Lost::at(DecodeErrorKind::Tag, rest, data);
                return Err(lost.named(None, Some(self.parts.len() - first + 1)));
            };
            let named = |error| self.about(lost(error), division, key, first, index);
            let (after, length) = take_ber_length(after).map_err(named)?;
            let (after, value) = take(length).parse(after).map_err(named)?;
            let end = data.len() - after.len();
            self.whole(key, index, end - value.len()..end, data)?;
            rest = skip_filler(after);
        }
        Ok(())
    }

    /// Names a fault after its tag where the spec knows the tag, and else after its place: an unknown
    /// tag may be content that was misread.
    fn about(&self, mut lost: Lost, division: &Division<Index>, key: Key, first: usize, index: Index) -> Lost {
        lost.index = Some(index);
        match division.knows(key) {
            true => lost.named(Some(key), None),
            false => lost.named(None, Some(self.parts.len() - first + 1)),
        }
    }

    fn tagged(&mut self, division: &Division<Index>, tagged: &Tagged<Index>, data: &[u8]) -> Result<(), Lost> {
        let first = self.parts.len();
        let mut rest = data;
        if let Some((index, presence)) = tagged.lead
            && (presence == Presence::Required || !self.begins_with_digit(data))
            && !data.is_empty()
        {
            rest = self.part(Key::Number(0), index, rest, data)?;
        }
        while !rest.is_empty() {
            let head = tagged.take_head(rest).map_err(|error| Lost::of(error, data));
            let (after, (key, length)) = head.map_err(|lost| {
                let place = self.parts.len() - first + 1;
                lost.named(None, Some(place))
            })?;
            let Some(index) = division.part(key) else {
                let lost = Lost::at(DecodeErrorKind::Tag, rest, data);
                return Err(lost.named(None, Some(self.parts.len() - first + 1)));
            };
            let Some(length) = length else {
                rest = self.part(key, *index, after, data)?;
                continue;
            };
            let taken: Parsed<'_, &[u8]> = take(length).parse(after);
            let (after, value) =
                taken.map_err(|error| self.about(Lost::of(error, data), division, key, first, *index))?;
            let end = data.len() - after.len();
            self.whole(key, *index, end - value.len()..end, data)?;
            rest = after;
        }
        Ok(())
    }

    fn begins_with_digit(&self, data: &[u8]) -> bool {
        data.first().is_some_and(|b| self.charset.latin(*b).is_ascii_digit())
    }

    /// A part that takes its length from its own description.
    fn part<'d>(&mut self, key: Key, index: Index, input: &'d [u8], data: &'d [u8]) -> Result<&'d [u8], Lost> {
        let (rest, content) = self.spec.at(index).element.take(input).map_err(|error| {
            let mut lost = Lost::of(error, data);
            lost.index = Some(index);
            lost.named(Some(key), None)
        })?;
        let start = self.region.start + (data.len() - rest.len() - content.bytes.len());
        self.parts.push(Part { key, index, unfolded: self.region.unfolded, span: span_at(start, content) });
        Ok(rest)
    }

    /// A part that is all of a stretch of `data`.
    fn whole(&mut self, key: Key, index: Index, stretch: std::ops::Range<usize>, data: &[u8]) -> Result<(), Lost> {
        if self.spec.at(index).plain {
            let content = Content { bytes: &data[stretch.clone()], units: stretch.len() as u32 };
            let span = span_at(self.region.start + stretch.start, content);
            self.parts.push(Part { key, index, unfolded: self.region.unfolded, span });
            return Ok(());
        }
        let upto = &data[..stretch.end];
        let rest = self.part(key, index, &upto[stretch.start..], upto)?;
        match rest.is_empty() {
            true => Ok(()),
            false => {
                let mut lost = Lost::at(DecodeErrorKind::TrailingBytes, rest, upto);
                lost.index = Some(index);
                Err(lost.named(Some(key), None))
            }
        }
    }
}

impl Tagged<Index> {
    /// Takes tag and length, in their order; no length where the parts have their own.
    fn take_head<'a>(&self, input: &'a [u8]) -> Parsed<'a, (Key, Option<usize>)> {
        let mut rest = input;
        let mut length = None;
        if let (Some(prefix), true) = (self.length, self.length_first) {
            let (after, count) = prefix.take(rest)?;
            (rest, length) = (after, Some(count));
        }
        let (after, tag) = take(usize::from(self.tag_width)).parse(rest)?;
        let Some(key) = self.read_tag(tag) else {
            return Err(Fault::at(rest, DecodeErrorKind::Tag));
        };
        rest = after;
        if let (Some(prefix), false) = (self.length, self.length_first) {
            let (after, count) = prefix.take(rest)?;
            (rest, length) = (after, Some(count));
        }
        if let (Some(count), true) = (length, self.counts_tag) {
            match count.checked_sub(tag.len()) {
                Some(count) => length = Some(count),
                None => return Err(Fault::at(input, DecodeErrorKind::LengthOutOfRange)),
            }
        }
        Ok((rest, (key, length)))
    }

    fn read_tag(&self, tag: &[u8]) -> Option<Key> {
        let mut name = [0; 8];
        let width = match self.tag {
            TagEncoding::Text(charset) => {
                let place = name.get_mut(..tag.len())?;
                place.iter_mut().zip(tag).for_each(|(n, b)| *n = charset.latin(*b));
                tag.len()
            }
            TagEncoding::Raw => {
                let place = name.get_mut(..2 * tag.len())?;
                for (pair, byte) in place.chunks_exact_mut(2).zip(tag) {
                    pair.copy_from_slice(&hex_pair(*byte));
                }
                2 * tag.len()
            }
        };
        Key::name(&name[..width])
    }
}

impl Division<Index> {
    /// Whether the spec lists this very tag.
    fn knows(&self, key: Key) -> bool {
        match (self, key) {
            (Self::BerTlv { known, .. }, Key::Tag(tag)) => known.binary_search_by_key(&tag, |(tag, _)| *tag).is_ok(),
            (Self::Tagged(tagged), key) => tagged.known.binary_search_by_key(&key, |(key, _)| *key).is_ok(),
            _ => true,
        }
    }
}

impl Lost {
    fn at(kind: DecodeErrorKind, rest: &[u8], data: &[u8]) -> Self {
        Self { kind, offset: data.len() - rest.len(), keys: Vec::new(), index: None }
    }

    fn of(error: nom::Err<Fault>, data: &[u8]) -> Self {
        let fault = Fault::of(error);
        Self { kind: fault.kind, offset: data.len() - fault.left.min(data.len()), keys: Vec::new(), index: None }
    }

    fn named(mut self, key: Option<Key>, place: Option<usize>) -> Self {
        self.keys.push((key, place.unwrap_or(0)));
        self
    }
}

fn at_end(rest: &[u8], data: &[u8]) -> Result<(), Lost> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(Lost::at(DecodeErrorKind::TrailingBytes, rest, data)),
    }
}

/// The bitmap of a 2003 dataset: its bytes, 2 to 9.
#[derive(Clone, Copy, Default)]
pub(crate) struct DatasetBitmap {
    bytes: [u8; 9],
    len: usize,
}

impl DatasetBitmap {
    /// The smallest one that can tell `parts` parts.
    pub(crate) fn for_parts(parts: u16) -> Option<Self> {
        let len = (2..=9).find(|len| Self::room(*len) >= parts)?;
        let mut map = Self { bytes: [0; 9], len };
        if len > 2 {
            map.bytes[0] |= 0x80;
            map.bytes[2..len - 1].fill(0x80);
        }
        Some(map)
    }

    /// How many parts `len` bytes can tell: all bits but the continuations and the last.
    fn room(len: usize) -> u16 {
        (8 * len - 1 - (len - 1)) as u16
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn set(&mut self, part: u16) {
        if let Some(bit) = self.bit_of(part) {
            self.bytes[bit / 8] |= 0x80 >> (bit % 8);
        }
    }

    pub(crate) fn set_tlv(&mut self) {
        self.bytes[self.len - 1] |= 1;
    }

    fn tlv_follows(&self) -> bool {
        self.bytes[self.len - 1] & 1 == 1
    }

    fn parts(self) -> impl Iterator<Item = u16> {
        (1..=Self::room(self.len))
            .filter(move |part| self.bit_of(*part).is_some_and(|bit| self.bytes[bit / 8] & (0x80 >> (bit % 8)) != 0))
    }

    /// The place of a part's bit among all bits, counted from 0.
    fn bit_of(&self, part: u16) -> Option<usize> {
        (0..8 * self.len - 1)
            .filter(|bit| *bit != 0 && (*bit < 16 || bit % 8 != 0))
            .nth(usize::from(part).checked_sub(1)?)
    }
}

fn take_dataset_bitmap(input: &[u8]) -> Parsed<'_, DatasetBitmap> {
    let (mut rest, first) = take(2usize).parse(input)?;
    let mut map = DatasetBitmap { len: 2, ..DatasetBitmap::default() };
    map.bytes[..2].copy_from_slice(first);
    let mut more = first[0] & 0x80 != 0;
    while more {
        let (after, next) = take(1usize).parse(rest)?;
        let Some(place) = map.bytes.get_mut(map.len) else {
            return Err(Fault::at(rest, DecodeErrorKind::Bitmap));
        };
        *place = next[0];
        map.len += 1;
        more = next[0] & 0x80 != 0;
        rest = after;
    }
    Ok((rest, map))
}

/// A BER tag of at most four bytes, as the number its bytes make.
#[inline]
fn take_ber_tag(input: &[u8]) -> Parsed<'_, u32> {
    match input {
        [one, rest @ ..] if one & 0x1F != 0x1F => Ok((rest, u32::from(*one))),
        [first, last @ 0..=0x7F, rest @ ..] => Ok((rest, u32::from(*first) << 8 | u32::from(*last))),
        _ => take_long_tag(input),
    }
}

/// A tag of three or four bytes.
fn take_long_tag(input: &[u8]) -> Parsed<'_, u32> {
    let (mut rest, first) = take(1usize).parse(input)?;
    let mut tag = u32::from(first[0]);
    for _ in 0..3 {
        let next;
        (rest, next) = take(1usize).parse(rest)?;
        tag = tag << 8 | u32::from(next[0]);
        if next[0] & 0x80 == 0 {
            return Ok((rest, tag));
        }
    }
    Err(Fault::at(input, DecodeErrorKind::Tag))
}

fn skip_filler(data: &[u8]) -> &[u8] {
    let first = data.iter().position(|b| *b != 0).unwrap_or(data.len());
    &data[first..]
}
