//! What an element is divided into: positional parts, repeated records, BER-TLV.
//!
//! A division is generic over what stands for a part: an [`Element`](super::Element) where a spec is
//! being written, an index into the spec's table once it is built. The surprise: parts of packed
//! digits or of hexadecimal text are described as if the content were unfolded first (digits become
//! ASCII characters, hexadecimal becomes bytes), because a part may begin in the middle of a byte.

use std::fmt;

/// How an element's content is divided.
#[derive(Clone, Debug)]
pub enum Division<E> {
    /// One part after the other, named 1, 2, 3 ...
    Positional {
        /// The parts in order.
        parts: Vec<E>,
        /// Whether the content may end before the last part.
        open_end: bool,
    },
    /// The same record until the content ends, named 1, 2, 3 ...
    Repeated {
        /// The record, of a length of its own.
        record: E,
    },
    /// Tags and lengths of ISO 8825-1 (BER), named by their tag in hexadecimal. Filler bytes 00
    /// between them are skipped. A constructed tag stays whole unless its part is divided.
    BerTlv {
        /// The known tags, ascending.
        known: Vec<(u32, E)>,
        /// What a tag outside of the list is; `None` refuses it.
        unknown: Option<E>,
    },
}

impl<E> Division<E> {
    /// The same division with every part replaced.
    pub(crate) fn map<F>(self, mut each: impl FnMut(E) -> F) -> Division<F> {
        match self {
            Self::Positional { parts, open_end } => {
                Division::Positional { parts: parts.into_iter().map(each).collect(), open_end }
            }
            Self::Repeated { record } => Division::Repeated { record: each(record) },
            Self::BerTlv { mut known, unknown } => {
                known.sort_by_key(|(tag, _)| *tag);
                Division::BerTlv {
                    known: known.into_iter().map(|(tag, e)| (tag, each(e))).collect(),
                    unknown: unknown.map(each),
                }
            }
        }
    }

    /// All parts it can have, in order, with their keys as text; "n" for any number and "*" for any
    /// other tag.
    pub(crate) fn named_parts(&self) -> Vec<(String, &E)> {
        match self {
            Self::Positional { parts, .. } => {
                (1..).zip(parts).map(|(place, part)| (Key::Number(place).to_string(), part)).collect()
            }
            Self::Repeated { record } => vec![("n".to_owned(), record)],
            Self::BerTlv { known, unknown } => known
                .iter()
                .map(|(tag, part)| (Key::Tag(*tag).to_string(), part))
                .chain(unknown.iter().map(|part| ("*".to_owned(), part)))
                .collect(),
        }
    }

    /// The part named `key`.
    pub(crate) fn part(&self, key: Key) -> Option<&E> {
        match (self, key) {
            (Self::Positional { parts, .. }, Key::Number(number)) => parts.get(usize::from(number).checked_sub(1)?),
            (Self::Repeated { record }, Key::Number(_)) => Some(record),
            (Self::BerTlv { known, unknown }, Key::Tag(tag)) => {
                known.binary_search_by_key(&tag, |(tag, _)| *tag).ok().map(|place| &known[place].1).or(unknown.as_ref())
            }
            _ => None,
        }
    }

    /// Reads a key as it is written in paths and JSON: "1", "9F26".
    pub(crate) fn key(&self, text: &str) -> Option<Key> {
        match self {
            Self::Positional { .. } | Self::Repeated { .. } => match text.parse() {
                Ok(number @ 1..) if !text.starts_with(['+', '0']) => Some(Key::Number(number)),
                _ => None,
            },
            Self::BerTlv { .. } => {
                let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
                let whole = matches!(text.len(), 2 | 4 | 6 | 8);
                let tag = u32::from_str_radix(text, 16).ok()?;
                (digits && whole && Key::Tag(tag).to_string().len() == text.len()).then_some(Key::Tag(tag))
            }
        }
    }
}

/// The name of a part within its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A place, counted from 1.
    Number(u16),
    /// A binary tag of up to four bytes, without leading zero bytes.
    Tag(u32),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Tag(tag) => {
                let width = 2 * (4 - tag.leading_zeros() as usize / 8).max(1);
                write!(f, "{tag:0width$X}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_they_are_written() {
        let tlv: Division<u8> = Division::BerTlv { known: vec![], unknown: None };
        for text in ["82", "9F26", "9F8101", "DF8180FF"] {
            assert_eq!(tlv.key(text).map(|k| k.to_string()).as_deref(), Some(text));
        }
        for text in ["", "8", "009F", "XX", "+9", "9F26A1B2C3"] {
            assert_eq!(tlv.key(text), None, "{text}");
        }
        let places = Division::Repeated { record: 0 };
        assert_eq!(places.key("12"), Some(Key::Number(12)));
        for text in ["0", "01", "+1", "A", "70000"] {
            assert_eq!(places.key(text), None, "{text}");
        }
    }
}
