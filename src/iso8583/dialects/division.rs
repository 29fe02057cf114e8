//! What an element is divided into, out of its keys in a dialect file.

use super::codec::{Defaults, Keys, LENGTHS, LengthStyle, RAW_OR_HEX, Reading};
use super::section::Entry;
use crate::iso8583::class::Class;
use crate::iso8583::composite::{Condition, Division, Key, Presence, TagEncoding, Tagged};
use crate::iso8583::element::{Element, Encoding, Length, Prefix, Sensitivity};
use crate::iso8583::emv::emv_tags;
use crate::iso8583::error::SpecError;
use crate::iso8583::spec::BitmapEncoding;

/// The keys of an element that tell how it is divided. A dialect that gives one of them replaces the
/// division of its base; `whole = true` takes it away.
pub(super) const DIVISIONS: [&str; 13] = [
    "parts",
    "open_end",
    "separator",
    "repeat",
    "tlv",
    "tags",
    "unknown",
    "bitmap",
    "tagged",
    "dataset",
    "choice",
    "when",
    "whole",
];

impl Reading<'_> {
    /// The division of an element with these keys, where they name one.
    pub(super) fn division(&mut self, element: &Element, keys: &Keys<'_>) -> Option<Division<Element>> {
        let defaults: Defaults = self.defaults.within(element);
        let mut inner = Reading { defaults: &defaults, faults: Vec::new() };
        let division = inner.divide(element, keys);
        self.faults.append(&mut inner.faults);
        division
    }

    fn divide(&mut self, element: &Element, keys: &Keys<'_>) -> Option<Division<Element>> {
        if let Some(entry) = keys.get("parts") {
            return self.in_order(entry, keys);
        }
        if let Some(entry) = keys.get("repeat") {
            return self.repeated(entry);
        }
        if let Some(entry) = keys.get("tlv") {
            return self.ber(entry, keys);
        }
        if let Some(entry) = keys.get("bitmap") {
            return self.bitmapped(entry);
        }
        if let Some(entry) = keys.get("tagged") {
            return self.tagged(element, entry);
        }
        if let Some(entry) = keys.get("dataset") {
            let parts = self.parts(entry);
            let tlv = Element::rest(Class::Binary).named("tlv", "Tags behind the dataset").divided(emv(Some(())));
            return Some(Division::DatasetBitmap { parts, tlv });
        }
        if let Some(entry) = keys.get("choice") {
            return self.choice(element, entry);
        }
        None
    }

    fn in_order(&mut self, entry: &Entry<'_>, keys: &Keys<'_>) -> Option<Division<Element>> {
        let parts = self.parts(entry);
        if let Some(entry) = keys.get("separator") {
            let expected = "one ASCII character";
            let text = self.keep(entry.text(expected))?;
            let [separator @ 0..=0x7F] = text.as_bytes() else {
                self.faults.push(entry.fault(expected));
                return None;
            };
            let separator = *separator;
            return Some(Division::Delimited { separator, parts });
        }
        let open_end = match keys.get("open_end") {
            Some(entry) => self.keep(entry.flag())?,
            None => false,
        };
        Some(Division::Positional { parts, open_end })
    }

    fn repeated(&mut self, entry: &Entry<'_>) -> Option<Division<Element>> {
        let parts = self.parts(entry);
        let length = parts.iter().map(|part| match part.length {
            Length::Fixed(length) => length,
            _ => 0,
        });
        let record = Element::fixed(Class::Any, length.sum())
            .in_charset(self.defaults.charset)
            .named("record", "Record")
            .divided(Division::Positional { parts, open_end: false });
        Some(Division::Repeated { record })
    }

    fn ber(&mut self, entry: &Entry<'_>, keys: &Keys<'_>) -> Option<Division<Element>> {
        let named = match entry.choice(&[("emv", true), ("plain", false)]) {
            Ok(named) => named,
            Err(mut fault) => {
                fault.expected.push_str(" (tags that are not BER: tagged = { tag = 2, length = 2, tags = { } })");
                self.faults.push(fault);
                return None;
            }
        };
        let keep = match keys.get("unknown") {
            Some(entry) => self.keep(entry.choice(&[("keep", Some(())), ("refuse", None)]))?,
            None => Some(()),
        };
        let Division::BerTlv { mut known, unknown } = emv(keep) else {
            return None;
        };
        if !named {
            known.clear();
        }
        for (tag, entry) in self.table(keys.get("tags")) {
            let expected = "a tag of two to eight hexadecimal digits";
            let Ok(number) = u32::from_str_radix(tag, 16) else {
                self.faults.push(entry.fault(expected));
                continue;
            };
            known.retain(|(other, _)| *other != number);
            known.extend(self.one(&entry).map(|part| (number, part)));
        }
        Some(Division::BerTlv { known, unknown })
    }

    fn bitmapped(&mut self, entry: &Entry<'_>) -> Option<Division<Element>> {
        let keys = self.keep(entry.table("a table"))?;
        let (mut bits, mut encoding, mut lead, mut parts) = (64, self.defaults_bitmap(), None, vec![]);
        for (key, entry) in keys {
            match key {
                "bits" => {
                    let expected = "8, 16, 24 ... 64";
                    let number = self.keep(entry.number(expected))?;
                    bits = match u8::try_from(number) {
                        Ok(bits @ 8..=64) if bits % 8 == 0 => bits,
                        _ => {
                            self.faults.push(entry.fault(expected));
                            return None;
                        }
                    };
                }
                "encoding" => {
                    encoding = match self.keep(entry.choice(RAW_OR_HEX))? {
                        Encoding::Hex => BitmapEncoding::Hex(self.defaults.charset),
                        _ => BitmapEncoding::Raw,
                    }
                }
                "lead" => lead = self.one(&entry),
                "parts" => {
                    for (bit, entry) in self.table(Some(&entry)) {
                        match bit.parse() {
                            Ok(bit @ 1..=64) => {
                                parts.extend(self.one(&entry).map(|part| (bit, part)));
                            }
                            _ => self.faults.push(entry.fault("a bit from 1 to 64")),
                        }
                    }
                }
                _ => self.faults.push(entry.fault("bits, encoding, lead or parts")),
            }
        }
        Some(Division::Bitmapped { lead, bits, encoding, parts })
    }

    fn defaults_bitmap(&self) -> BitmapEncoding {
        match self.defaults.bitmap() {
            Encoding::Hex => BitmapEncoding::Hex(self.defaults.charset),
            _ => BitmapEncoding::Raw,
        }
    }

    fn tagged(&mut self, element: &Element, entry: &Entry<'_>) -> Option<Division<Element>> {
        let keys: Keys<'_> = self.keep(entry.table("a table"))?.into_iter().collect();
        let mut tagged = Tagged {
            lead: None,
            tag: TagEncoding::Text(self.defaults.charset),
            tag_width: 2,
            length: None,
            length_first: false,
            counts_tag: false,
            known: Vec::new(),
            others: Vec::new(),
        };
        let mut length = None;
        let mut style = self.defaults.length();
        let mut keep_unknown = true;
        for (key, entry) in &keys {
            let read = self.tagged_key(&mut tagged, (&mut length, &mut style, &mut keep_unknown), key, entry);
            self.keep(read);
        }
        tagged.length = length.map(|width| match style {
            LengthStyle::Binary => Prefix::new(crate::iso8583::element::PrefixEncoding::Binary, width),
            style => self.prefix(style, width, u32::MAX),
        });
        for (tag, entry) in self.table(keys.get("tags")) {
            let width = tagged.name_width();
            match Key::name(tag.as_bytes()).filter(|_| tag.len() == width) {
                Some(key) => tagged.known.extend(self.one(&entry).map(|part| (key, part))),
                None => self.faults.push(entry.fault(format!("a tag of {width} letters and digits"))),
            }
        }
        if let Some(entry) = keys.get("ranges") {
            self.ranges(&mut tagged, entry);
        }
        if keep_unknown {
            let unknown = match element.is_binary() {
                true => Element::rest(Class::Binary),
                false => Element::rest(Class::Any).in_charset(element.charset),
            };
            let unknown = unknown.named("unknown", "Unknown tag").sensitive(Sensitivity::Hidden);
            tagged.others.push((Key::Name([0; 7]), Key::Name([0xFF; 7]), unknown));
        }
        Some(Division::Tagged(tagged))
    }

    fn tagged_key(
        &mut self,
        tagged: &mut Tagged<Element>,
        (length, style, keep_unknown): (&mut Option<u8>, &mut LengthStyle, &mut bool),
        key: &str,
        entry: &Entry<'_>,
    ) -> Result<(), SpecError> {
        let width = |expected: &str| match u8::try_from(entry.number(expected)?) {
            Ok(width @ 1..=7) => Ok(width),
            _ => Err(entry.fault(expected)),
        };
        match key {
            "tag" => tagged.tag_width = width("the bytes of a tag, 1 to 7")?,
            "tag_encoding" => {
                tagged.tag =
                    entry.choice(&[("text", TagEncoding::Text(self.defaults.charset)), ("raw", TagEncoding::Raw)])?;
            }
            "length" => *length = Some(width("the digits of a length, 1 to 6")?),
            "length_encoding" => *style = entry.choice(LENGTHS)?,
            "length_first" => tagged.length_first = entry.flag()?,
            "counts_tag" => tagged.counts_tag = entry.flag()?,
            "unknown" => *keep_unknown = entry.choice(&[("keep", true), ("refuse", false)])?,
            "lead" | "optional_lead" => {
                let presence = match key {
                    "lead" => Presence::Required,
                    _ => Presence::Optional,
                };
                tagged.lead = self.one(entry).map(|part| (part, presence));
            }
            "tags" | "ranges" => {}
            _ => {
                return Err(entry.fault(
                    "tag, tag_encoding, length, length_encoding, length_first, counts_tag, lead, \
                     optional_lead, tags, ranges or unknown",
                ));
            }
        }
        Ok(())
    }

    /// Parts for all tags from one to another.
    fn ranges(&mut self, tagged: &mut Tagged<Element>, entry: &Entry<'_>) {
        for entry in self.keep(entry.array("an array of parts")).unwrap_or_default() {
            let Some(keys) = self.keep(entry.table("a part with from and to")) else {
                continue;
            };
            let mut keys: Keys<'_> = keys.into_iter().collect();
            let mut end = |key| keys.remove(key)?.text("").ok();
            let (from, to) = (end("from"), end("to"));
            let name = |text: Option<&str>| Key::name(text?.as_bytes());
            let (Some(from), Some(to)) = (name(from), name(to)) else {
                self.faults.push(entry.fault("a tag at from and at to"));
                continue;
            };
            let part = self.element(&keys, &entry.key);
            tagged.others.extend(part.map(|part| (from, to, part)));
        }
    }

    fn choice(&mut self, element: &Element, entry: &Entry<'_>) -> Option<Division<Element>> {
        let mut choices = Vec::new();
        for entry in self.keep(entry.array("an array of divisions"))? {
            let Some(keys) = self.keep(entry.table("a division with when")) else {
                continue;
            };
            let keys: Keys<'_> = keys.into_iter().collect();
            let expected = "\"otherwise\", \"first 71-FE\", \"mti 08\" or \"element 3 is 31\"";
            let condition = keys.get("when").ok_or_else(|| entry.fault(expected)).and_then(|when| {
                let text = when.text(expected)?;
                condition(text).ok_or_else(|| when.fault(expected))
            });
            let Some(condition) = self.keep(condition) else {
                continue;
            };
            let Some(division) = self.divide(element, &keys) else {
                self.faults.push(entry.fault("a division: parts, repeat, tlv, bitmap, tagged or dataset"));
                continue;
            };
            let whole = Element { length: Length::Rest { min: 0, max: u32::MAX }, ..element.clone() };
            choices.push((condition, whole.divided(division)));
        }
        Some(Division::Choice(choices))
    }

    fn one(&mut self, entry: &Entry<'_>) -> Option<Element> {
        let keys = self.keep(entry.table("a part such as { format = \"n6\" }"))?;
        self.element(&keys.into_iter().collect(), &entry.key)
    }

    fn parts(&mut self, entry: &Entry<'_>) -> Vec<Element> {
        let entries = self.keep(entry.array("an array of parts")).unwrap_or_default();
        entries.iter().filter_map(|entry| self.one(entry)).collect()
    }

    fn table<'a>(&mut self, entry: Option<&Entry<'a>>) -> Vec<(&'a str, Entry<'a>)> {
        match entry {
            Some(entry) => self.keep(entry.table("a table of parts")).unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

/// BER-TLV with the EMV names; unknown tags are kept or refused.
fn emv(keep_unknown: Option<()>) -> Division<Element> {
    let (known, unknown) = emv_tags();
    let unknown = keep_unknown.map(|()| unknown);
    Division::BerTlv { known, unknown }
}

pub(super) fn condition(text: &str) -> Option<Condition> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["otherwise"] => Some(Condition::Otherwise),
        ["first", range] => {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let byte = |text| u8::from_str_radix(text, 16).ok();
            Some(Condition::FirstByte(byte(from)?, byte(to)?))
        }
        ["mti", digits] => Some(Condition::Mti(digits.to_owned())),
        ["element", number, "is", text] => Some(Condition::Element(number.parse().ok()?, text.to_owned())),
        _ => None,
    }
}
