//! A message as it was read: shared bytes, the spec, and a table of where each element lies.
//!
//! Nothing is copied out until it is asked for, and a message can be kept, cloned and sent to another
//! task. It is read-only; [`Message::to_builder`] starts a changed copy. The surprise: parts of packed
//! or hexadecimal elements do not lie in the message's bytes but in a small buffer beside them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::bitmap::{Bitmap, Elements};
use super::builder::MessageBuilder;
use super::composite::Key;
use super::mti::Mti;
use super::spec::{Index, Spec};
use super::value::Value;

/// Where something lies and what was found in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Digits, characters, or bytes of binary content.
    pub(crate) units: u32,
    /// Its parts, in the table of parts.
    pub(crate) first_part: u32,
    pub(crate) parts: u32,
    /// Whose division they are: the element's own, or the one that was chosen.
    pub(crate) divided_as: Index,
}

impl Span {
    pub(crate) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    pub(crate) fn part_range(self) -> Range<usize> {
        let first = self.first_part as usize;
        first..first + self.parts as usize
    }
}

/// A part of an element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) key: Key,
    pub(crate) index: Index,
    /// Whether the span is in the unfolded buffer and not in the message.
    pub(crate) unfolded: bool,
    pub(crate) span: Span,
}

/// A message read under a spec.
#[derive(Clone)]
pub struct Message {
    pub(crate) spec: Arc<Spec>,
    pub(crate) bytes: Bytes,
    pub(crate) mti: Mti,
    pub(crate) bitmap: Bitmap,
    pub(crate) header: Option<Span>,
    /// One for each element of the bitmap, ascending.
    pub(crate) spans: Vec<Span>,
    pub(crate) parts: Vec<Part>,
    pub(crate) unfolded: Vec<u8>,
}

impl Message {
    /// An empty one, to be filled by `decode_into` again and again.
    pub fn empty(spec: &Arc<Spec>) -> Self {
        Self {
            spec: Arc::clone(spec),
            bytes: Bytes::new(),
            mti: Mti::from_digits([0; 4]).expect("zeros are digits"),
            bitmap: Bitmap::new(),
            header: None,
            spans: Vec::new(),
            parts: Vec::new(),
            unfolded: Vec::new(),
        }
    }

    /// The spec it was read under.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// The message type.
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// All of its bytes, header included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The header in front of the message type, where there is one.
    pub fn header(&self) -> Option<&[u8]> {
        self.bytes.get(self.header?.range())
    }

    /// The header as a value, to be asked for its parts.
    pub fn header_value(&self) -> Option<Value<'_>> {
        let (_, index) = self.spec.header?;
        Some(Value::new(self, index, self.header?, false))
    }

    /// Which elements it carries.
    pub fn bitmap(&self) -> Bitmap {
        self.bitmap
    }

    /// Whether it carries this element.
    #[inline]
    pub fn has(&self, number: u8) -> bool {
        self.bitmap.has(number)
    }

    /// The numbers of its elements, ascending.
    pub fn elements(&self) -> Elements {
        self.bitmap.iter()
    }

    /// The byte range of the message type in [`as_bytes`](Self::as_bytes).
    pub fn mti_span(&self) -> Range<usize> {
        let start = self.header.map_or(0, |header| header.range().end);
        start..start + self.spec.mti.bytes()
    }

    /// The byte range of an element's content (without its length prefix) in
    /// [`as_bytes`](Self::as_bytes).
    pub fn span(&self, number: u8) -> Option<Range<usize>> {
        self.find(number).map(|(_, span)| span.range())
    }

    /// An element's value.
    pub fn value(&self, number: u8) -> Option<Value<'_>> {
        let (index, span) = self.find(number)?;
        Some(Value::new(self, index, span, false))
    }

    /// An element's characters: filling taken off where the spec says so, digits with their leading
    /// zeros, binary content as upper-case hexadecimal.
    pub fn text(&self, number: u8) -> Option<Cow<'_, str>> {
        self.value(number).map(|value| value.text())
    }

    /// An element's digits as a number; `None` where it is absent, not all digits, or too large.
    pub fn number(&self, number: u8) -> Option<u64> {
        self.value(number)?.number()
    }

    /// The bytes of a binary element; `None` where it is absent or text.
    pub fn binary(&self, number: u8) -> Option<Cow<'_, [u8]>> {
        self.value(number)?.binary()
    }

    /// The value at a path: "11", "90.1", "55.9F26"; a repeated tag as "55.9F26#2".
    pub fn get(&self, path: &str) -> Option<Value<'_>> {
        let mut keys = path.split('.');
        let mut value = self.value(keys.next()?.parse().ok()?)?;
        for key in keys {
            value = value.part(key)?;
        }
        Some(value)
    }

    /// A builder that holds the same message: type, header and every element, divided ones in parts. The length that
    /// a header tells of the whole message is left out: it is counted when the message is written.
    pub fn to_builder(&self) -> MessageBuilder {
        let mut builder = MessageBuilder::new(self.mti);
        if let Some(header) = self.header_value() {
            builder.copy_header(header);
        }
        if let Some(total) = self.spec.total_length {
            builder.leave_out_of_header(total.part);
        }
        for number in self.elements() {
            if let Some(value) = self.value(number) {
                builder.copy(number, value);
            }
        }
        builder
    }

    #[inline]
    fn find(&self, number: u8) -> Option<(Index, Span)> {
        if !self.bitmap.has(number) {
            return None;
        }
        let span = self.spans.get(self.bitmap.rank(number))?;
        Some((self.spec.index(number)?, *span))
    }

    /// Forgets its content and keeps its room.
    pub(crate) fn clear(&mut self) {
        self.bitmap = Bitmap::new();
        self.header = None;
        self.spans.clear();
        self.parts.clear();
        self.unfolded.clear();
    }
}

impl fmt::Debug for Message {
    /// The type and the element numbers: never content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} {} ", self.spec.name(), self.mti)?;
        f.debug_list().entries(self.elements()).finish()?;
        f.write_str(")")
    }
}
