//! Valid messages out of arbitrary bytes, for fuzz targets and property tests.
//!
//! Every byte is a choice: which elements, how long, which characters, which parts. The same bytes give
//! the same message. It knows the spec from inside, so that divided elements get parts that fit.

use super::builder::{MessageBuilder, Node};
use super::class::Class;
use super::composite::{Division, Key};
use super::element::{Element, Length};
use super::mti::Mti;
use super::spec::{HeaderPresence, Index, Spec};

/// A message of this spec, told by `choices`.
pub(crate) fn sample(spec: &Spec, choices: &[u8]) -> MessageBuilder {
    let mut sampler = Sampler { spec, choices };
    let mti = Mti::from_digits([0, 0, 0, 0].map(|_| sampler.next() % 10));
    let mut builder = MessageBuilder::new(mti.unwrap_or_else(|| Mti::new(200).expect("four digits")));
    if let Some((HeaderPresence::Required, index)) = spec.header {
        builder.put_header(sampler.node(index));
    }
    for number in spec.elements() {
        if sampler.next() >= 0xC0
            && let Some(index) = spec.index(number)
        {
            builder.put(number, sampler.node(index));
        }
    }
    builder
}

struct Sampler<'a> {
    spec: &'a Spec,
    choices: &'a [u8],
}

impl Sampler<'_> {
    /// The next choice; zeros when they have run out.
    fn next(&mut self) -> u8 {
        match self.choices.split_first() {
            Some((first, rest)) => {
                self.choices = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.next()) % limit.max(1)
    }

    fn node(&mut self, index: Index) -> Node {
        let spec = self.spec;
        let described = spec.at(index);
        match &described.division {
            Some(Division::Choice(_)) | None => self.value(&described.element),
            Some(division) => Node::Parts(self.parts(division)),
        }
    }

    fn parts(&mut self, division: &Division<Index>) -> Vec<(Box<str>, Node)> {
        match division {
            Division::Positional { parts, open_end } => {
                let count = match open_end {
                    true => 1 + self.below(parts.len()),
                    false => parts.len(),
                };
                self.numbered(parts.iter().take(count))
            }
            Division::Repeated { record } => {
                let count = 1 + self.below(3);
                self.numbered(std::iter::repeat_n(record, count))
            }
            Division::Delimited { parts, .. } => self.numbered(parts.iter()),
            Division::Bitmapped { lead, parts, .. } => {
                let mut chosen = Vec::new();
                if let Some(index) = lead {
                    chosen.push(("0".into(), self.node(*index)));
                }
                for (bit, index) in parts {
                    if self.next() >= 0x80 {
                        chosen.push((bit.to_string().into(), self.node(*index)));
                    }
                }
                chosen
            }
            Division::DatasetBitmap { parts, .. } => self.numbered(parts.iter()),
            Division::BerTlv { known, .. } => self.some_of(known, |tag| Key::Tag(*tag)),
            Division::Tagged(tagged) => {
                let mut chosen = Vec::new();
                if let Some((index, _)) = tagged.lead {
                    chosen.push(("0".into(), self.node(index)));
                }
                chosen.extend(self.some_of(&tagged.known, |key| *key));
                if let Some((from, _, index)) = tagged.others.first() {
                    let width = tagged.name_width();
                    let from = String::from_utf8_lossy(from.name_bytes()).into_owned();
                    let name = if from.len() == width { from } else { "7".repeat(width) };
                    chosen.push((name.into(), self.node(*index)));
                }
                chosen
            }
            Division::Choice(_) => Vec::new(),
        }
    }

    fn numbered<'p>(&mut self, parts: impl Iterator<Item = &'p Index>) -> Vec<(Box<str>, Node)> {
        let mut chosen = Vec::new();
        for (place, index) in parts.enumerate() {
            chosen.push(((place + 1).to_string().into(), self.node(*index)));
        }
        chosen
    }

    /// A few of the known tags, in any order and possibly twice.
    fn some_of<K>(&mut self, known: &[(K, Index)], key: impl Fn(&K) -> Key) -> Vec<(Box<str>, Node)> {
        let mut chosen = Vec::new();
        for _ in 0..self.below(4) {
            if let Some((tag, index)) = known.get(self.below(known.len())) {
                chosen.push((key(tag).to_string().into(), self.node(*index)));
            }
        }
        chosen
    }

    fn value(&mut self, element: &Element) -> Node {
        let length = match element.length {
            Length::Fixed(length) => length as usize,
            Length::Variable { min, max, .. } => self.between(min, max.min(min + 24)),
            // Not empty: the end of an open list could not be told from it.
            Length::Rest { min, max } => self.between(min.max(1), max.min(min + 8)),
        };
        if element.class == Class::Binary {
            let bytes: Vec<u8> = (0..length).map(|_| self.next()).collect();
            return Node::Bytes(bytes.into());
        }
        let text: String = (0..length).map(|place| self.character(element.class, place)).collect();
        Node::Text(text.into())
    }

    fn between(&mut self, min: u32, max: u32) -> usize {
        min as usize + self.below(max.saturating_sub(min) as usize + 1)
    }

    fn character(&mut self, class: Class, place: usize) -> char {
        let choices: &[u8] = match class {
            Class::Signed if place == 0 => b"CD",
            Class::Marked if place == 0 => b"0X",
            Class::Letters => b"ABCXYZabcxyz",
            Class::Alphanumeric => b"0123456789ABCxyz",
            Class::Text | Class::Any => b"0123456789 ABCxyz-/.,",
            Class::NumericSpecial => b"0123456789-/",
            Class::Track => b"0123456789D",
            _ => b"0123456789",
        };
        let choice = self.below(choices.len());
        choices.get(choice).map_or('0', |byte| char::from(*byte))
    }
}
