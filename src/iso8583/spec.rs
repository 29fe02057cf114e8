//! A spec: everything a reader and a writer of one dialect have to know, checked once and then shared.
//!
//! It is made by [`SpecBuilder`] in code or by the TOML reader, and never changes afterwards. All its
//! elements and their parts lie in one table; a message refers to them by index.

use std::fmt;
use std::sync::Arc;

use super::bitmap::LAST_ELEMENT;
use super::charset::Charset;
use super::class::Class;
use super::composite::Division;
use super::element::{Element, Encoding, Length, Sensitivity};
use super::error::SpecError;
use super::mti::Mti;
use super::presence::Rule;
use super::short::Short;
use super::tags::TagTable;
use super::total_length::TotalLength;

/// The largest message a spec reads unless it says otherwise: 1 MiB.
pub const DEFAULT_MAX_BYTES: usize = 1 << 20;

/// How the message type is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtiEncoding {
    /// Four digits in a character set.
    Text(Charset),
    /// Two bytes of packed digits.
    Bcd,
}

/// How the bitmap is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitmapEncoding {
    /// 8 bytes a block.
    Raw,
    /// 16 hexadecimal characters a block, written in upper case.
    Hex(Charset),
}

/// How many blocks the bitmap has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// A second one where bit 1 says so.
    Auto,
    /// Always this many, 1 to 3, and bits 1 and 65 are never set.
    Always(u8),
}

/// Where the third block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThirdBitmap {
    /// There is none; bit 65 is an element like others.
    None,
    /// Behind the second, where bit 65 is set.
    Front,
    /// In the place of element 65; `spare` zero bytes of bitmap follow it (a sender that
    /// always writes 16 bytes has 8).
    Element65 {
        /// Bytes of further blocks, which have to be zero.
        spare: u8,
    },
}

/// When a header stands in front of the message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPresence {
    /// Always.
    Required,
    /// Where the first byte is this one.
    WhenFirstByte(u8),
}

/// Where an element's description lies in the spec's table.
pub(crate) type Index = u16;

const UNDEFINED: Index = Index::MAX;

/// An immutable description of one dialect.
pub struct Spec {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) mti: MtiEncoding,
    pub(crate) bitmap: BitmapEncoding,
    pub(crate) blocks: Blocks,
    pub(crate) third: ThirdBitmap,
    pub(crate) header: Option<(HeaderPresence, Index)>,
    /// Two parts of the header that a response has the other way round.
    pub(crate) header_swap: Option<(u16, u16)>,
    pub(crate) total_length: Option<TotalLength>,
    pub(crate) trailing: bool,
    pub(crate) max_bytes: usize,
    pub(crate) rules: Vec<(Mti, Rule)>,
    elements: [Index; LAST_ELEMENT as usize + 1],
    /// By element number: the short way to read and write it. As long as a number can be large.
    pub(crate) short: [Short; 256],
    table: Vec<Described>,
}

/// An element in the table of a spec.
pub(crate) struct Described {
    pub(crate) element: Element,
    pub(crate) division: Option<Division<Index>>,
    /// Of a division into BER tags: what they are.
    pub(crate) tags: TagTable,
    /// Whether its undivided value holds something a masked view must not show.
    pub(crate) veiled: bool,
    /// Whether any bytes of any length are its content, so that there is nothing to check.
    pub(crate) plain: bool,
    /// Whether one of its parts is divided further.
    pub(crate) deep: bool,
}

impl MtiEncoding {
    /// Bytes of a message type.
    pub(crate) fn bytes(self) -> usize {
        match self {
            MtiEncoding::Text(_) => 4,
            MtiEncoding::Bcd => 2,
        }
    }
}

impl Spec {
    /// The dialect's name: "iso8583-1987-ascii".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in a line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The description of an element, where the dialect defines it.
    pub fn element(&self, number: u8) -> Option<&Element> {
        self.index(number).map(|index| &self.at(index).element)
    }

    /// The defined element numbers, ascending.
    pub fn elements(&self) -> impl Iterator<Item = u8> {
        (1..=LAST_ELEMENT).filter(|number| self.index(*number).is_some())
    }

    /// The number of the element with this short name.
    pub fn number_of(&self, name: &str) -> Option<u8> {
        self.elements().find(|number| self.element(*number).is_some_and(|e| e.name() == name))
    }

    #[inline]
    pub(crate) fn index(&self, number: u8) -> Option<Index> {
        match self.elements.get(usize::from(number)) {
            Some(&UNDEFINED) | None => None,
            Some(index) => Some(*index),
        }
    }

    #[inline]
    pub(crate) fn at(&self, index: Index) -> &Described {
        &self.table[usize::from(index)]
    }
}

/// One line of a spec printed as a table: an element, or a part of one.
#[derive(Clone, Debug)]
pub struct SpecRow<'s> {
    /// The path: "90", "90.1", "header".
    pub path: String,
    /// How deep it is nested: 0 for an element.
    pub depth: usize,
    /// The description.
    pub element: &'s Element,
}

impl Spec {
    /// All it defines, in order: the header, then the elements with their parts below each.
    pub fn table(&self) -> Vec<SpecRow<'_>> {
        let mut rows = Vec::new();
        if let Some((_, index)) = self.header {
            self.add_rows(&mut rows, "header".to_owned(), 0, index);
        }
        for number in self.elements() {
            if let Some(index) = self.index(number) {
                self.add_rows(&mut rows, number.to_string(), 0, index);
            }
        }
        rows
    }

    fn add_rows<'s>(&'s self, rows: &mut Vec<SpecRow<'s>>, path: String, depth: usize, at: Index) {
        let described = self.at(at);
        rows.push(SpecRow { path: path.clone(), depth, element: &described.element });
        if let Some(division) = &described.division {
            for (key, part) in division.named_parts() {
                self.add_rows(rows, format!("{path}.{key}"), depth + 1, *part);
            }
        }
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({})", self.name)
    }
}

/// Makes a [`Spec`].
///
/// ```
/// use isthmus::iso8583::{Class, Element, SpecBuilder};
///
/// let spec = SpecBuilder::new("mine")
///     .element(3, Element::fixed(Class::Numeric, 6).named("processing_code", "Processing code"))
///     .element(11, Element::fixed(Class::Numeric, 6).named("stan", "Systems trace audit number"))
///     .build()
///     .unwrap();
/// assert_eq!(spec.element(11).unwrap().title(), "Systems trace audit number");
/// ```
#[derive(Clone, Debug)]
pub struct SpecBuilder {
    name: String,
    title: String,
    mti: MtiEncoding,
    bitmap: BitmapEncoding,
    blocks: Blocks,
    third: ThirdBitmap,
    header: Option<(HeaderPresence, Element)>,
    header_swap: Option<(u16, u16)>,
    total_length: Option<u16>,
    trailing: bool,
    max_bytes: usize,
    elements: Vec<(u8, Element)>,
    rules: Vec<(Mti, Rule)>,
}

impl SpecBuilder {
    /// A spec with no element: message type and bitmap in ASCII, no header, no third bitmap.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: String::new(),
            mti: MtiEncoding::Text(Charset::Ascii),
            bitmap: BitmapEncoding::Hex(Charset::Ascii),
            blocks: Blocks::Auto,
            third: ThirdBitmap::None,
            header: None,
            header_swap: None,
            total_length: None,
            trailing: false,
            max_bytes: DEFAULT_MAX_BYTES,
            elements: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// What the dialect is, in a line.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// How the message type is written.
    pub fn mti(mut self, encoding: MtiEncoding) -> Self {
        self.mti = encoding;
        self
    }

    /// How the bitmap is written.
    pub fn bitmap(mut self, encoding: BitmapEncoding) -> Self {
        self.bitmap = encoding;
        self
    }

    /// How many blocks the bitmap has.
    pub fn blocks(mut self, blocks: Blocks) -> Self {
        self.blocks = blocks;
        self
    }

    /// Where a third block stands.
    pub fn third_bitmap(mut self, third: ThirdBitmap) -> Self {
        self.third = third;
        self
    }

    /// What stands in front of the message type.
    pub fn header(mut self, presence: HeaderPresence, header: Element) -> Self {
        self.header = Some((presence, header));
        self
    }

    /// Two parts of the header that a response has the other way round: where it goes to and where it
    /// comes from.
    pub fn header_swap(mut self, one: u16, other: u16) -> Self {
        self.header_swap = Some((one, other));
        self
    }

    /// The part of the header that tells how long the whole message is, header included: filled in when a message is
    /// written, compared when one is read.
    pub fn total_length(mut self, part: u16) -> Self {
        self.total_length = Some(part);
        self
    }

    /// Whether bytes behind the last element are passed over instead of refused.
    pub fn allow_trailing(mut self, allow: bool) -> Self {
        self.trailing = allow;
        self
    }

    /// The largest message it reads or writes.
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// Defines an element, in place of an earlier definition of the same number.
    pub fn element(mut self, number: u8, element: Element) -> Self {
        self.elements.retain(|(other, _)| *other != number);
        self.elements.push((number, element));
        self
    }

    /// What a message of this type carries, in place of an earlier rule for it.
    pub fn rule(mut self, mti: Mti, rule: Rule) -> Self {
        self.rules.retain(|(other, _)| *other != mti);
        self.rules.push((mti, rule));
        self
    }

    /// Takes an element's definition away.
    pub fn without(mut self, number: u8) -> Self {
        self.elements.retain(|(other, _)| *other != number);
        self
    }

    /// Checks it all and makes the spec; every mistake is reported.
    pub fn build(self) -> Result<Arc<Spec>, Vec<SpecError>> {
        let mut spec = Spec {
            name: self.name,
            title: self.title,
            mti: self.mti,
            bitmap: self.bitmap,
            blocks: self.blocks,
            third: self.third,
            header: None,
            header_swap: self.header_swap,
            total_length: None,
            trailing: self.trailing,
            max_bytes: self.max_bytes.min(u32::MAX as usize / 2),
            rules: self.rules,
            elements: [UNDEFINED; LAST_ELEMENT as usize + 1],
            short: [Short::NONE; 256],
            table: Vec::new(),
        };
        let mut faults = Vec::new();
        for (number, element) in self.elements {
            let key = format!("element {number}");
            let allowed = match number {
                2..=64 | 66..=128 | 130..=LAST_ELEMENT => true,
                65 => spec.third == ThirdBitmap::None,
                _ => false,
            };
            if !allowed {
                faults.push((key, "a number from 2 to 192 that is not a bitmap's".to_owned()));
                continue;
            }
            check(&element, &key, false, &mut faults);
            spec.short[usize::from(number)] = Short::of(&element);
            spec.elements[usize::from(number)] = spec.file(element);
        }
        if let Some((presence, header)) = self.header {
            check(&header, "header", false, &mut faults);
            spec.total_length = self.total_length.and_then(|part| TotalLength::of(&header, part));
            if self.total_length.is_some() && spec.total_length.is_none() {
                faults.push(("header.total_length".to_owned(), TotalLength::EXPECTED.to_owned()));
            }
            let index = spec.file(header);
            spec.header = Some((presence, index));
        }
        if spec.table.len() >= usize::from(UNDEFINED) {
            faults.push(("elements".to_owned(), "fewer than 65535 parts in all".to_owned()));
        }
        if faults.is_empty() {
            return Ok(Arc::new(spec));
        }
        let origin = spec.name;
        Err(faults
            .into_iter()
            .map(|(key, expected)| SpecError { origin: origin.clone(), line: 0, key, expected })
            .collect())
    }
}

impl Spec {
    /// Files an element and its parts in the table, parts first.
    fn file(&mut self, mut element: Element) -> Index {
        let division = element.division.take().map(|division| division.map(|part| self.file(part)));
        let veiled = element.sensitivity != Sensitivity::Open
            || division.as_ref().is_some_and(|d| d.named_parts().iter().any(|(_, part)| self.at(**part).veiled));
        let index = Index::try_from(self.table.len()).unwrap_or(UNDEFINED);
        if index != UNDEFINED {
            let plain = element.encoding == Encoding::Raw && element.length == (Length::Rest { min: 0, max: u32::MAX });
            let deep = division
                .as_ref()
                .is_some_and(|d| d.named_parts().iter().any(|(_, part)| self.at(**part).division.is_some()));
            let tags = match &division {
                Some(Division::BerTlv { known, unknown }) => TagTable::new(known, *unknown),
                _ => TagTable::default(),
            };
            self.table.push(Described { element, division, tags, veiled, plain, deep });
        }
        // Too many parts are reported by the caller; the spec is then never used.
        index.min(Index::try_from(self.table.len().saturating_sub(1)).unwrap_or(0))
    }
}

type Faults = Vec<(String, String)>;

/// Checks that the axes of an element fit together.
fn check(element: &Element, key: &str, is_part: bool, faults: &mut Faults) {
    let mut fault = |expected: &str| faults.push((key.to_owned(), expected.to_owned()));
    let binary = element.class == Class::Binary;
    match element.encoding {
        Encoding::Raw | Encoding::Hex if !binary => fault("raw and hex only for class b"),
        Encoding::Text | Encoding::Bcd if binary => fault("raw or hex for class b"),
        Encoding::Bcd if !matches!(element.class, Class::Numeric | Class::Track | Class::Signed | Class::Marked) => {
            fault("bcd only for classes n, z and x+n");
        }
        _ => {}
    }
    match element.length {
        Length::Fixed(0) => fault("a length above 0"),
        Length::Variable { prefix, min, max } => {
            let widest = match prefix.encoding {
                super::element::PrefixEncoding::Binary => 4,
                _ => 6,
            };
            if prefix.width == 0 || prefix.width > widest {
                fault("a length prefix of 1 to 6 digits, or 1 to 4 bytes where it is binary");
            }
            if min > max {
                fault("a shortest length that is not above the longest");
            }
        }
        Length::Rest { .. } if !is_part => fault("a length of its own"),
        _ => {}
    }
    let Some(division) = &element.division else {
        return;
    };
    if let Division::Repeated { record } = division.as_ref()
        && matches!(record.length, Length::Rest { .. })
    {
        fault("records of a length of their own");
    }
    for (_, part) in division.named_parts() {
        check(part, key, true, faults);
    }
}
