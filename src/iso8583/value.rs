//! One value of a message: an element or a part of one.
//!
//! It borrows the message and reads on demand: characters, a number, bytes, or further parts. How far
//! a masked view may show it is decided here too, by the kind of secret the spec names and never by
//! element number, so that a card number is masked wherever it is nested.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::composite::{Division, Key};
use super::element::{Element, Encoding, Sensitivity, Side};
use super::error::DecodeErrorKind;
use super::message::{Message, Span};
use super::spec::{Described, Index, Spec};
use super::wire::{Content, hex_digit, hex_pair, unhex};

/// An element's or part's value.
#[derive(Clone, Copy)]
pub struct Value<'m> {
    message: &'m Message,
    index: Index,
    span: Span,
    unfolded: bool,
    /// Whether something it stands in is hidden as a whole.
    within_hidden: bool,
}

impl<'m> Value<'m> {
    pub(crate) fn new(message: &'m Message, index: Index, span: Span, unfolded: bool) -> Self {
        Self { message, index, span, unfolded, within_hidden: false }
    }

    /// What the spec says about it.
    pub fn element(&self) -> &'m Element {
        &self.described().element
    }

    fn described(&self) -> &'m Described {
        self.message.spec.at(self.index)
    }

    /// The content on the wire: the bytes as they stand in the message.
    pub fn wire(&self) -> &'m [u8] {
        let store: &'m [u8] = match self.unfolded {
            true => &self.message.unfolded,
            false => &self.message.bytes,
        };
        store.get(self.span.range()).unwrap_or_default()
    }

    fn content(&self) -> Content<'m> {
        Content { bytes: self.wire(), units: self.span.units }
    }

    /// The characters, filling taken off where the spec says so; binary content as upper-case
    /// hexadecimal.
    pub fn text(&self) -> Cow<'m, str> {
        let text = self.whole_text();
        let padding = self.element().padding;
        match padding.side {
            Some(side) if padding.trim => trim(text, side, char::from(padding.fill)),
            _ => text,
        }
    }

    /// All characters, with the filling they came with.
    pub fn whole_text(&self) -> Cow<'m, str> {
        self.element().characters(self.content())
    }

    /// The characters as JSON has them: see [`Given::Printed`](super::wire::Given::Printed).
    pub(crate) fn printed(&self) -> Cow<'m, str> {
        match self.element().prints_bytes() {
            true => self.element().charset.read_mixed(self.wire()),
            false => self.whole_text(),
        }
    }

    /// The characters of an element of a message that is still being read.
    pub(crate) fn text_of<'w>(spec: &Spec, index: Index, span: Span, wire: &'w [u8]) -> Cow<'w, str> {
        let bytes = wire.get(span.range()).unwrap_or_default();
        let units = span.units;
        spec.at(index).element.characters(Content { bytes, units })
    }

    /// The digits as a number; `None` where there are none, or others than digits, or too many.
    pub fn number(&self) -> Option<u64> {
        let mut number: Option<u64> = None;
        let mut sound = true;
        let mut push = |character: u8| {
            let digit = character.wrapping_sub(b'0');
            sound &= digit <= 9;
            let tens = number.unwrap_or(0).checked_mul(10);
            match tens.and_then(|tens| tens.checked_add(u64::from(digit))) {
                Some(more) => number = Some(more),
                None => sound = false,
            }
        };
        let element = self.element();
        match element.encoding {
            Encoding::Bcd => element.unpack(self.content(), push),
            Encoding::Text if element.charset.is_single_byte() => {
                self.wire().iter().for_each(|b| push(element.charset.latin(*b)))
            }
            _ => self.whole_text().bytes().for_each(&mut push),
        }
        number.filter(|_| sound)
    }

    /// The bytes of binary content; `None` where it is text.
    pub fn binary(&self) -> Option<Cow<'m, [u8]>> {
        let element = self.element();
        match element.encoding {
            Encoding::Raw => Some(Cow::Borrowed(self.wire())),
            Encoding::Hex => {
                let text: Vec<u8> = self.wire().iter().map(|b| element.charset.latin(*b)).collect();
                unhex(&text).map(Cow::Owned)
            }
            Encoding::Text | Encoding::Bcd => None,
        }
    }

    /// Whether the content is of its class; a scan asks this of the one element it was asked for.
    pub(crate) fn check(&self) -> Result<(), DecodeErrorKind> {
        self.element().check(self.content())
    }

    /// The nibble beside an odd number of packed digits, where it is not the one the spec writes: the
    /// only thing about a value that its text does not tell.
    pub fn filler(&self) -> Option<u8> {
        self.element().odd_filler(self.content())
    }

    /// Whether it was divided into parts.
    pub fn is_divided(&self) -> bool {
        self.span.parts > 0
    }

    /// Its parts in the order they came in.
    pub fn parts(&self) -> impl Iterator<Item = (Key, Value<'m>)> + use<'m> {
        let message = self.message;
        let within_hidden = self.within_hidden || self.element().sensitivity != Sensitivity::Open;
        let parts = message.parts.get(self.span.part_range()).unwrap_or_default();
        parts.iter().map(move |part| {
            let mut value = Value::new(message, part.index, part.span, part.unfolded);
            value.within_hidden = within_hidden;
            (part.key, value)
        })
    }

    /// The part named `key`: "1", "9F26", or "9F26#2" for the second of that name.
    pub fn part(&self, key: &str) -> Option<Value<'m>> {
        let (name, nth) = match key.split_once('#') {
            Some((name, nth)) => (name, nth.parse::<usize>().ok()?.checked_sub(1)?),
            None => (key, 0),
        };
        let key = self.division()?.key(name)?;
        self.parts().filter(|(other, _)| *other == key).map(|(_, value)| value).nth(nth)
    }

    fn division(&self) -> Option<&'m Division<Index>> {
        match self.is_divided() {
            true => self.message.spec.at(self.span.divided_as).division.as_ref(),
            false => None,
        }
    }

    /// The characters as a masked view shows them: a card number as its first six and last four
    /// digits, anything else sensitive as asterisks.
    pub fn masked(&self) -> Cow<'m, str> {
        match self.element().sensitivity {
            _ if self.within_hidden => self.hidden(),
            Sensitivity::Pan => Cow::Owned(mask_pan(&self.whole_text())),
            Sensitivity::Hidden => self.hidden(),
            Sensitivity::Open if self.described().veiled => self.hidden(),
            Sensitivity::Open => self.printed(),
        }
    }

    /// Whether a masked view would change it.
    #[cfg(feature = "dialects")]
    pub(crate) fn is_veiled(&self) -> bool {
        self.within_hidden || self.described().veiled
    }

    /// Where its content lies in the message; `None` where it was unfolded out of packed digits or
    /// hexadecimal text.
    pub fn range(&self) -> Option<Range<usize>> {
        (!self.unfolded).then(|| self.span.range())
    }

    fn hidden(&self) -> Cow<'m, str> {
        Cow::Owned("*".repeat(self.whole_text().chars().count()))
    }
}

impl Element {
    /// The characters of this element's content.
    fn characters<'c>(&self, content: Content<'c>) -> Cow<'c, str> {
        match self.encoding {
            Encoding::Text if self.prints_bytes() => {
                let text = self.charset.read(content.bytes);
                text.unwrap_or_else(|| Cow::Owned(hex(content.bytes)))
            }
            Encoding::Text => self.charset.read(content.bytes).unwrap_or_default(),
            Encoding::Raw => Cow::Owned(hex(content.bytes)),
            Encoding::Hex => {
                let latin = content.bytes.iter().map(|b| self.charset.latin(*b));
                Cow::Owned(latin.map(|b| char::from(b.to_ascii_uppercase())).collect())
            }
            Encoding::Bcd => {
                let mut digits = String::with_capacity(content.units as usize);
                self.unpack(content, |digit| digits.push(char::from(digit)));
                Cow::Owned(digits)
            }
        }
    }
}

impl fmt::Debug for Value<'_> {
    /// Its name: never content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.element().name())
    }
}

/// A card number as it may be shown: everything hidden below 13 digits, where six and four would
/// leave too little.
fn mask_pan(pan: &str) -> String {
    let digits = pan.chars().count();
    let shown = |place: usize| digits >= 13 && (place < 6 || place + 4 >= digits);
    pan.chars().enumerate().map(|(place, digit)| if shown(place) { digit } else { '*' }).collect()
}

fn trim(text: Cow<'_, str>, side: Side, fill: char) -> Cow<'_, str> {
    let cut = |text: &str| match side {
        Side::Left => text.len() - text.trim_start_matches(fill).len()..text.len(),
        Side::Right => 0..text.trim_end_matches(fill).len(),
    };
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[cut(text)]),
        Cow::Owned(text) => Cow::Owned(text[cut(&text)].to_owned()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend(hex_pair(*byte).map(char::from));
    }
    text
}

/// Unfolds packed digits into ASCII, or hexadecimal characters into bytes; `None` where the element
/// needs no unfolding.
pub(crate) fn unfold(element: &Element, content: Content<'_>, out: &mut Vec<u8>) -> bool {
    match element.encoding {
        Encoding::Bcd => element.unpack(content, |digit| out.push(digit)),
        Encoding::Hex => out.extend(content.bytes.chunks_exact(2).map(|pair| {
            let nibble = |b: u8| hex_digit(element.charset.latin(b)).unwrap_or(0);
            nibble(pair[0]) << 4 | nibble(pair[1])
        })),
        Encoding::Text | Encoding::Raw => return false,
    }
    true
}
