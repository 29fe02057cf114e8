//! The `[codec]` section: layers of TOML to a spec.
//!
//! First all layers are laid over each other, key by key; only then is anything read, so that a
//! dialect which changes one default (digits packed instead of text) changes every element that did
//! not say otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Layer;
use super::division::DIVISIONS;
use super::format::{self, Extent, Format};
use super::presence;
use super::section::{Entry, entries, parse};
use crate::iso8583::charset::Charset;
use crate::iso8583::class::Class;
use crate::iso8583::element::{
    Element, Encoding, Length, Odd, Padding, Prefix, PrefixEncoding, Sensitivity, Side, Unit,
};
use crate::iso8583::error::SpecError;
use crate::iso8583::spec::{BitmapEncoding, Blocks, HeaderPresence, MtiEncoding, Spec, SpecBuilder, ThirdBitmap};

/// Reads the layers, base first.
pub(super) fn read(layers: &[Layer]) -> Result<Arc<Spec>, Vec<SpecError>> {
    let mut documents = Vec::new();
    for layer in layers {
        documents.push((layer, parse(layer).map_err(|error| vec![error])?));
    }
    let mut draft = Draft::default();
    for (layer, document) in &documents {
        for (key, entry) in entries(layer, "", document) {
            draft.top(key, entry);
        }
    }
    draft.build(layers).map_err(|mut faults| {
        let layer = |origin: &str| layers.iter().position(|layer| layer.origin == origin);
        faults.sort_by_key(|fault| (layer(&fault.origin), fault.line));
        faults
    })
}

pub(super) type Keys<'a> = BTreeMap<&'a str, Entry<'a>>;

/// All layers laid over each other.
#[derive(Default)]
struct Draft<'a> {
    name: Option<&'a str>,
    title: Option<&'a str>,
    settings: Keys<'a>,
    header: Keys<'a>,
    elements: BTreeMap<u8, Keys<'a>>,
    rules: BTreeMap<&'a str, Entry<'a>>,
    faults: Vec<SpecError>,
}

impl<'a> Draft<'a> {
    fn top(&mut self, key: &'a str, entry: Entry<'a>) {
        match key {
            "name" => self.name = self.keep(entry.text("the dialect's name")),
            "title" => self.title = self.keep(entry.text("what the dialect is, in a line")),
            "extends" | "about" | "mapping" | "session" | "keys" => {}
            "codec" => {
                for (key, entry) in self.keep(entry.table("a table")).unwrap_or_default() {
                    self.setting(key, entry);
                }
            }
            _ => self
                .faults
                .push(entry.fault("name, title, about, extends, or a section: codec, mapping, session, keys")),
        }
    }

    fn setting(&mut self, key: &'a str, entry: Entry<'a>) {
        match key {
            "elements" => {
                for (key, entry) in self.keep(entry.table("a table")).unwrap_or_default() {
                    self.element(key, entry);
                }
            }
            "messages" if entry.is("none") => self.rules.clear(),
            "messages" => {
                let rules = self.keep(entry.table("a table of message types")).unwrap_or_default();
                self.rules.extend(rules);
            }
            "header" => {
                let keys = self.keep(entry.table("a table")).unwrap_or_default();
                self.header.extend(keys);
            }
            _ => {
                self.settings.insert(key, entry);
            }
        }
    }

    fn element(&mut self, key: &'a str, entry: Entry<'a>) {
        let Some(number) = key.parse().ok().filter(|n| (2..=192).contains(n)) else {
            self.faults.push(entry.fault("an element number from 2 to 192"));
            return;
        };
        if entry.is("undefined") {
            self.elements.remove(&number);
            return;
        }
        let expected = "a table such as { format = \"n6\" }, or \"undefined\"";
        let keys = self.keep(entry.table(expected)).unwrap_or_default();
        let element = self.elements.entry(number).or_default();
        // A division is one thing: a new one takes the place of the old one whole.
        if keys.iter().any(|(key, _)| DIVISIONS.contains(key)) {
            element.retain(|key, _| !DIVISIONS.contains(key));
        }
        element.extend(keys);
    }

    fn keep<T>(&mut self, read: Result<T, SpecError>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn build(mut self, layers: &[Layer]) -> Result<Arc<Spec>, Vec<SpecError>> {
        let Some(name) = self.name else {
            let origin = layers.last().map_or("", |layer| &layer.origin).to_owned();
            self.faults.push(SpecError {
                origin,
                line: 1,
                key: "name".to_owned(),
                expected: "the dialect's name".to_owned(),
            });
            return Err(self.faults);
        };
        let mut builder = SpecBuilder::new(name).title(self.title.unwrap_or_default());
        let mut defaults = Defaults::default();
        for (key, entry) in std::mem::take(&mut self.settings) {
            match defaults.set(key, &entry) {
                Ok(true) => {}
                Ok(false) => match framed(builder.clone(), key, &entry) {
                    Ok(changed) => builder = changed,
                    Err(fault) => self.faults.push(fault),
                },
                Err(fault) => self.faults.push(fault),
            }
        }
        builder = builder.mti(match defaults.mti {
            Some(mti) => mti,
            None => MtiEncoding::Text(defaults.charset),
        });
        builder = builder.bitmap(match defaults.bitmap {
            Encoding::Raw => BitmapEncoding::Raw,
            _ => BitmapEncoding::Hex(defaults.charset),
        });
        let swap = self.header.remove("swap").map(|entry| header_swap(&entry));
        if let Some((one, other)) = swap.and_then(|read| self.keep(read)) {
            builder = builder.header_swap(one, other);
        }
        let total = self.header.remove("total_length").filter(|entry| !entry.is("none"));
        let expected = "the number of a part of the header, or \"none\"";
        let total = total.map(|entry| u16::try_from(entry.number(expected)?).map_err(|_| entry.fault(expected)));
        if let Some(part) = total.and_then(|read| self.keep(read)) {
            builder = builder.total_length(part);
        }
        if let Some((presence, header)) = self.build_header(&defaults) {
            builder = builder.header(presence, header);
        }
        for (number, keys) in std::mem::take(&mut self.elements) {
            let read = describe(&keys, &defaults, &format!("codec.elements.{number}"));
            match read {
                Ok(element) => builder = builder.element(number, element),
                Err(faults) => self.faults.extend(faults),
            }
        }
        for (mti, entry) in std::mem::take(&mut self.rules) {
            match presence::rule(mti, &entry) {
                Ok((mti, rule)) => builder = builder.rule(mti, rule),
                Err(fault) => self.faults.push(fault),
            }
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        builder.build()
    }

    fn build_header(&mut self, defaults: &Defaults) -> Option<(HeaderPresence, Element)> {
        let mut keys = std::mem::take(&mut self.header);
        let Some(presence) = keys.remove("presence") else {
            if let Some((_, entry)) = keys.first_key_value() {
                let mut fault = entry.fault("\"none\" or \"required\" or \"optional\"");
                fault.key = "codec.header.presence".to_owned();
                self.faults.push(fault);
            }
            return None;
        };
        let first_byte = keys.remove("first_byte");
        let choices = [("none", 0), ("required", 1), ("optional", 2)];
        let presence = match self.keep(presence.choice(&choices))? {
            0 => return None,
            1 => HeaderPresence::Required,
            _ => match first_byte {
                Some(entry) => {
                    let byte = self.keep(entry.number("a byte"))?;
                    HeaderPresence::WhenFirstByte(self.keep(u8::try_from(byte).map_err(|_| entry.fault("a byte")))?)
                }
                None => {
                    self.faults.push(presence.fault("a first_byte beside an optional header"));
                    return None;
                }
            },
        };
        match describe(&keys, defaults, "codec.header") {
            Ok(header) => Some((presence, header)),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }
}

/// What elements are unless they say otherwise.
#[derive(Clone)]
pub(super) struct Defaults {
    pub(super) charset: Charset,
    /// Of text alone, where it differs.
    text: Option<Charset>,
    digits: Encoding,
    track: Encoding,
    binary: Encoding,
    /// Of variable length, where it differs.
    binary_variable: Option<Encoding>,
    bitmap: Encoding,
    mti: Option<MtiEncoding>,
    length: LengthStyle,
    odd_fixed: Odd,
    odd_variable: Odd,
}

#[derive(Clone, Copy)]
pub(super) enum LengthStyle {
    Text,
    Bcd,
    Binary,
    Ber,
}

const CHARSETS: &[(&str, Charset)] = &[
    ("ascii", Charset::Ascii),
    ("ebcdic-037", Charset::Ebcdic037),
    ("ebcdic-500", Charset::Ebcdic500),
    ("ebcdic-1047", Charset::Ebcdic1047),
    ("utf-8", Charset::Utf8),
    ("gbk", Charset::Gbk),
];
const TEXT_OR_BCD: &[(&str, Encoding)] = &[("text", Encoding::Text), ("bcd", Encoding::Bcd)];
pub(super) const RAW_OR_HEX: &[(&str, Encoding)] = &[("raw", Encoding::Raw), ("hex", Encoding::Hex)];
const ENCODINGS: &[(&str, Encoding)] =
    &[("text", Encoding::Text), ("bcd", Encoding::Bcd), ("raw", Encoding::Raw), ("hex", Encoding::Hex)];
pub(super) const LENGTHS: &[(&str, LengthStyle)] = &[
    ("text", LengthStyle::Text),
    ("bcd", LengthStyle::Bcd),
    ("binary", LengthStyle::Binary),
    ("ber", LengthStyle::Ber),
];
const UNITS: &[(&str, Unit)] =
    &[("digits", Unit::Characters), ("characters", Unit::Characters), ("bytes", Unit::Bytes)];
const SENSITIVITIES: &[(&str, Sensitivity)] =
    &[("open", Sensitivity::Open), ("pan", Sensitivity::Pan), ("hidden", Sensitivity::Hidden)];

impl Default for Defaults {
    fn default() -> Self {
        Self {
            charset: Charset::Ascii,
            text: None,
            digits: Encoding::Text,
            track: Encoding::Text,
            binary: Encoding::Hex,
            binary_variable: None,
            bitmap: Encoding::Hex,
            mti: None,
            length: LengthStyle::Text,
            odd_fixed: Odd::of(Length::Fixed(0)),
            odd_variable: Odd::of(Length::Rest { min: 0, max: 0 }),
        }
    }
}

impl Defaults {
    /// Takes a setting; `false` where it is not one of these.
    fn set(&mut self, key: &str, entry: &Entry<'_>) -> Result<bool, SpecError> {
        match key {
            "charset" => self.charset = entry.choice(CHARSETS)?,
            "text_charset" => self.text = Some(entry.choice(CHARSETS)?),
            "digits" => self.digits = entry.choice(TEXT_OR_BCD)?,
            "track" => self.track = entry.choice(TEXT_OR_BCD)?,
            "binary" => self.binary = entry.choice(RAW_OR_HEX)?,
            "binary_variable" => self.binary_variable = Some(entry.choice(RAW_OR_HEX)?),
            "bitmap" => self.bitmap = entry.choice(RAW_OR_HEX)?,
            "length" => self.length = entry.choice(LENGTHS)?,
            "odd_fixed" => self.odd_fixed = odd(entry)?,
            "odd_variable" => self.odd_variable = odd(entry)?,
            "mti" => {
                self.mti = match entry.text("\"bcd\", or a character set") {
                    Ok("bcd") => Some(MtiEncoding::Bcd),
                    _ => Some(MtiEncoding::Text(entry.choice(CHARSETS)?)),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn bitmap(&self) -> Encoding {
        self.bitmap
    }

    pub(super) fn length(&self) -> LengthStyle {
        self.length
    }

    /// What the parts of packed digits or hexadecimal text are: text and bytes, unfolded.
    ///
    /// Parts of text are text too, and parts of raw bytes are what elements are, their binary
    /// parts raw as well.
    pub(super) fn within(&self, element: &Element) -> Self {
        let text = Self {
            charset: Charset::Ascii,
            text: None,
            digits: Encoding::Text,
            track: Encoding::Text,
            binary: Encoding::Raw,
            binary_variable: None,
            length: LengthStyle::Text,
            ..self.clone()
        };
        match element.encoding {
            Encoding::Raw => Self { binary: Encoding::Raw, binary_variable: None, ..self.clone() },
            Encoding::Bcd | Encoding::Hex => text,
            Encoding::Text => Self { charset: element.charset, binary: Encoding::Hex, ..text },
        }
    }
}

/// The two parts that a response's header has the other way round.
fn header_swap(entry: &Entry<'_>) -> Result<(u16, u16), SpecError> {
    let expected = "two numbers of parts, such as [2, 3]";
    let number = |entry: &Entry<'_>| u16::try_from(entry.number(expected)?).map_err(|_| entry.fault(expected));
    match &entry.array(expected)?[..] {
        [one, other] => Ok((number(one)?, number(other)?)),
        _ => Err(entry.fault(expected)),
    }
}

/// The settings that are no default of elements.
fn framed(builder: SpecBuilder, key: &str, entry: &Entry<'_>) -> Result<SpecBuilder, SpecError> {
    match key {
        "trailing" => Ok(builder.allow_trailing(entry.choice(&[("refuse", false), ("ignore", true)])?)),
        "max_bytes" => Ok(builder.max_bytes(entry.number("a number of bytes")? as usize)),
        "blocks" => Ok(builder.blocks(entry.choice(&[
            ("auto", Blocks::Auto),
            ("one", Blocks::Always(1)),
            ("two", Blocks::Always(2)),
            ("three", Blocks::Always(3)),
        ])?)),
        "third_bitmap" => Ok(builder.third_bitmap(entry.choice(&[
            ("none", ThirdBitmap::None),
            ("front", ThirdBitmap::Front),
            ("element-65", ThirdBitmap::Element65 { spare: 0 }),
            ("element-65-double", ThirdBitmap::Element65 { spare: 8 }),
        ])?)),
        _ => Err(entry.fault(
            "charset, text_charset, digits, track, binary, binary_variable, bitmap, mti, length, odd_fixed, odd_variable, \
             trailing, max_bytes, blocks, third_bitmap, header, messages or elements",
        )),
    }
}

/// Makes an element of its keys.
fn describe(keys: &Keys<'_>, defaults: &Defaults, path: &str) -> Result<Element, Vec<SpecError>> {
    let mut reading = Reading { defaults, faults: Vec::new() };
    match reading.element(keys, path) {
        Some(element) if reading.faults.is_empty() => Ok(element),
        _ => Err(reading.faults),
    }
}

/// Reads one element, collecting all that is wrong with it.
pub(super) struct Reading<'d> {
    pub(super) defaults: &'d Defaults,
    pub(super) faults: Vec<SpecError>,
}

impl Reading<'_> {
    pub(super) fn element(&mut self, keys: &Keys<'_>, path: &str) -> Option<Element> {
        let Some(format) = keys.get("format") else {
            if let Some((_, entry)) = keys.first_key_value() {
                let mut fault = entry.fault(format::EXPECTED);
                fault.key = format!("{path}.format");
                self.faults.push(fault);
            }
            return None;
        };
        let parsed = format
            .text(format::EXPECTED)
            .and_then(|text| format::parse(text).ok_or_else(|| format.fault(format::EXPECTED)));
        let format = self.keep(parsed)?;
        let mut element = self.basic(format);
        for (key, entry) in keys {
            if let Err(fault) = self.change(&mut element, key, entry) {
                self.faults.push(fault);
            }
        }
        if let Some(division) = self.division(&element, keys) {
            element = element.divided(division);
        }
        Some(element)
    }

    pub(super) fn keep<T>(&mut self, read: Result<T, SpecError>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// What the format and the dialect's defaults make of it.
    fn basic(&self, format: Format) -> Element {
        let class = format.class;
        let (length, odd) = match format.extent {
            Extent::Fixed(length) => (Length::Fixed(length), self.defaults.odd_fixed),
            Extent::Variable(width, max) => {
                let prefix = self.prefix(self.defaults.length, width, max);
                (Length::Variable { prefix, min: 0, max }, self.defaults.odd_variable)
            }
            Extent::Rest(max) => (Length::Rest { min: 0, max }, self.defaults.odd_variable),
        };
        let charset = match class {
            Class::Text | Class::Any => self.defaults.text.unwrap_or(self.defaults.charset),
            _ => self.defaults.charset,
        };
        let in_bytes = match class {
            Class::Binary => matches!(length, Length::Fixed(_)),
            _ => charset == Charset::Gbk,
        };
        let unit = match in_bytes {
            true => Unit::Bytes,
            false => Unit::Characters,
        };
        Element::new(class, length)
            .encoded(match class {
                Class::Binary => match (length, self.defaults.binary_variable) {
                    (Length::Variable { .. }, Some(encoding)) => encoding,
                    _ => self.defaults.binary,
                },
                Class::Numeric | Class::Signed | Class::Marked => self.defaults.digits,
                Class::Track => self.defaults.track,
                _ => Encoding::Text,
            })
            .in_charset(charset)
            .counted_in(unit)
            .odd(odd)
    }

    /// A prefix of `width` digits; where it is binary, of as many bytes as the longest length needs.
    pub(super) fn prefix(&self, style: LengthStyle, width: u8, max: u32) -> Prefix {
        let encoding = match style {
            LengthStyle::Text => PrefixEncoding::Text(self.defaults.charset),
            LengthStyle::Bcd => PrefixEncoding::Bcd,
            LengthStyle::Ber => PrefixEncoding::Ber,
            LengthStyle::Binary => {
                let width = if max > 255 { 2 } else { 1 };
                return Prefix::new(PrefixEncoding::Binary, width);
            }
        };
        Prefix::new(encoding, width)
    }

    fn change(&self, element: &mut Element, key: &str, entry: &Entry<'_>) -> Result<(), SpecError> {
        match key {
            "name" => element.name = entry.text("a short name")?.to_owned().into(),
            "title" => element.title = entry.text("a title")?.to_owned().into(),
            "encoding" => element.encoding = entry.choice(ENCODINGS)?,
            "charset" => {
                element.charset = entry.choice(CHARSETS)?;
            }
            "count" => element.unit = entry.choice(UNITS)?,
            "sensitive" => element.sensitivity = entry.choice(SENSITIVITIES)?,
            "pad" => element.padding = padding(entry, element.padding)?,
            "trim" => element.padding.trim = entry.flag()?,
            "odd" => element.odd = odd(entry)?,
            "length" => {
                let style = entry.choice(LENGTHS)?;
                if let Length::Variable { prefix, max, .. } = &mut element.length {
                    let digits = u8::try_from(prefix.digits()).unwrap_or(u8::MAX);
                    let counts_itself = prefix.counts_itself;
                    *prefix = Prefix { counts_itself, ..self.prefix(style, digits, *max) };
                }
            }
            "length_width" => {
                let expected = "a number of digits, or of bytes where the length is binary";
                let width = entry.number(expected)?;
                if let Length::Variable { prefix, .. } = &mut element.length {
                    prefix.width = u8::try_from(width).map_err(|_| entry.fault(expected))?;
                }
            }
            "min" => {
                let shortest = entry.number("the shortest length")?;
                match &mut element.length {
                    Length::Variable { min, .. } | Length::Rest { min, .. } => *min = shortest,
                    Length::Fixed(_) => return Err(entry.fault("no shortest fixed length")),
                }
            }
            "counts_itself" => {
                let flag = entry.flag()?;
                if let Length::Variable { prefix, .. } = &mut element.length {
                    prefix.counts_itself = flag;
                }
            }
            "values" => {
                for (value, meaning) in entry.table("a table of values and what they mean")? {
                    let meaning = meaning.text("what the value means")?.to_owned();
                    element.values.push((value.to_owned(), meaning));
                }
            }
            "format" => {}
            _ if DIVISIONS.contains(&key) => {}
            _ => {
                return Err(entry.fault(format!(
                    "name, title, format, encoding, charset, length, length_width, \
                     counts_itself, count, min, pad, trim, odd, sensitive, values, {}",
                    DIVISIONS.join(", "),
                )));
            }
        }
        Ok(())
    }
}

/// "lead 0", "trail F": where the filler nibble stands and what it is; "lead 0 any" where a sender
/// leaves something else there.
fn odd(entry: &Entry<'_>) -> Result<Odd, SpecError> {
    let expected = "a side and a nibble, such as \"lead 0\", \"trail F\" or \"lead 0 any\"";
    let words: Vec<&str> = entry.text(expected)?.split(' ').collect();
    let (side, filler, any) = match words[..] {
        [side, filler] => (side, filler, false),
        [side, filler, "any"] => (side, filler, true),
        _ => return Err(entry.fault(expected)),
    };
    let side = match side {
        "lead" => Side::Left,
        "trail" => Side::Right,
        _ => return Err(entry.fault(expected)),
    };
    match u8::from_str_radix(filler, 16) {
        Ok(filler @ 0..=15) => Ok(Odd { side, filler, any }),
        _ => Err(entry.fault(expected)),
    }
}

/// "left 0", "right space", "none": where the filling stands and what it is.
fn padding(entry: &Entry<'_>, default: Padding) -> Result<Padding, SpecError> {
    let expected = "\"none\", or a side and a character, such as \"left 0\" or \"right space\"";
    let text = entry.text(expected)?;
    if text == "none" {
        return Ok(Padding { side: None, ..default });
    }
    let (side, fill) = text.split_once(' ').ok_or_else(|| entry.fault(expected))?;
    let side = match side {
        "left" => Side::Left,
        "right" => Side::Right,
        _ => return Err(entry.fault(expected)),
    };
    let fill = match fill.as_bytes() {
        b"space" => b' ',
        [fill] if fill.is_ascii_graphic() => *fill,
        _ => return Err(entry.fault(expected)),
    };
    Ok(Padding { side: Some(side), fill, trim: default.trim })
}
