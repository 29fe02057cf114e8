//! What an element is divided into: positional parts, records, separated values, bitmaps, tags.
//!
//! A division is generic over what stands for a part: an [`Element`](super::Element) where a spec is
//! being written, an index into the spec's table once it is built. The surprise: parts of packed
//! digits or of hexadecimal text are described as if the content were unfolded first (digits become
//! ASCII characters, hexadecimal becomes bytes), because a part may begin in the middle of a byte.

use std::fmt;

use super::charset::Charset;
use super::element::Prefix;
use super::spec::BitmapEncoding;
use super::wire::hex_digit;

/// How an element's content is divided.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// Values with a separator between them, named 1, 2, 3 ...
    Delimited {
        /// The separator, as an ASCII character of the element's character set.
        separator: u8,
        /// What each is, in order; the last one stands for all that follow it.
        parts: Vec<E>,
    },
    /// A bitmap of its own and the parts it names, named by their bits; a part in front of the bitmap
    /// is named 0.
    Bitmapped {
        /// What stands in front of the bitmap.
        lead: Option<E>,
        /// How many bits it has, a multiple of 8, at most 64.
        bits: u8,
        /// How it is written.
        encoding: BitmapEncoding,
        /// The parts by bit, ascending.
        parts: Vec<(u16, E)>,
    },
    /// The bitmap of a 2003 dataset: two bytes, one more while the first bit of the last is set; the
    /// other bits are parts 1, 2, 3 ... save the very last, which says that BER-TLV follows, named
    /// "tlv".
    DatasetBitmap {
        /// The parts in order.
        parts: Vec<E>,
        /// What follows them.
        tlv: E,
    },
    /// Tags and lengths of ISO 8825-1 (BER), named by their tag in hexadecimal. Filler bytes 00
    /// between them are skipped. A constructed tag stays whole unless its part is divided.
    BerTlv {
        /// The known tags, ascending.
        known: Vec<(u32, E)>,
        /// What a tag outside of the list is; `None` refuses it.
        unknown: Option<E>,
    },
    /// Tags of a fixed width, with a length or without; a part in front of them is named 0.
    Tagged(Tagged<E>),
    /// One of several divisions, the first whose condition holds; none: the content stays whole.
    Choice(Vec<(Condition, E)>),
}

/// Tags of a fixed width.
#[derive(Clone, Debug)]
pub struct Tagged<E> {
    /// What stands in front of the tags; where it may be absent it is there when the first
    /// character is not a digit.
    pub lead: Option<(E, Presence)>,
    /// How tags are written.
    pub tag: TagEncoding,
    /// Bytes of a tag, 1 to 7; 1 to 3 where it is binary.
    pub tag_width: u8,
    /// How lengths are written; `None`: each part has a length of its own.
    pub length: Option<Prefix>,
    /// Whether the length stands before the tag.
    pub length_first: bool,
    /// Whether the length counts the tag too.
    pub counts_tag: bool,
    /// The known tags, ascending.
    pub known: Vec<(Key, E)>,
    /// What other tags are, from and up to a tag; a tag in none of them is refused.
    pub others: Vec<(Key, Key, E)>,
}

/// Whether something is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always.
    Required,
    /// Sometimes.
    Optional,
}

/// How a tag of fixed width is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagEncoding {
    /// Letters and digits.
    Text(Charset),
    /// Bytes, named in hexadecimal.
    Raw,
}

/// When a division is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Where no earlier one was.
    Otherwise,
    /// Where the content's first byte is in this range.
    FirstByte(u8, u8),
    /// Where the message type begins with these digits.
    Mti(String),
    /// Where an earlier element's text begins like this.
    Element(u8, String),
}

impl<E> Division<E> {
    /// The same division with every part replaced.
    pub(crate) fn map<F>(self, mut each: impl FnMut(E) -> F) -> Division<F> {
        fn all<K, E, F>(parts: Vec<(K, E)>, mut each: impl FnMut(E) -> F) -> Vec<(K, F)> {
            parts.into_iter().map(|(key, e)| (key, each(e))).collect()
        }
        match self {
            Self::Positional { parts, open_end } => {
                Division::Positional { parts: parts.into_iter().map(each).collect(), open_end }
            }
            Self::Repeated { record } => Division::Repeated { record: each(record) },
            Self::Delimited { separator, parts } => {
                Division::Delimited { separator, parts: parts.into_iter().map(each).collect() }
            }
            Self::Bitmapped { lead, bits, encoding, mut parts } => {
                parts.sort_by_key(|(bit, _)| *bit);
                Division::Bitmapped { lead: lead.map(&mut each), bits, encoding, parts: all(parts, each) }
            }
            Self::DatasetBitmap { parts, tlv } => {
                Division::DatasetBitmap { parts: parts.into_iter().map(&mut each).collect(), tlv: each(tlv) }
            }
            Self::BerTlv { mut known, unknown } => {
                known.sort_by_key(|(tag, _)| *tag);
                Division::BerTlv { known: all(known, &mut each), unknown: unknown.map(each) }
            }
            Self::Tagged(tagged) => Division::Tagged(tagged.map(each)),
            Self::Choice(choices) => Division::Choice(all(choices, each)),
        }
    }

    /// All parts it can have, in order, with their keys as text; "n" for any number, "*" for any
    /// other tag, "?" for a choice.
    pub(crate) fn named_parts(&self) -> Vec<(String, &E)> {
        let numbered =
            |parts: &'_ Vec<E>| -> Vec<String> { (1..=parts.len()).map(|place| place.to_string()).collect() };
        match self {
            Self::Positional { parts, .. } | Self::Delimited { parts, .. } => {
                numbered(parts).into_iter().zip(parts).collect()
            }
            Self::Repeated { record } => vec![("n".to_owned(), record)],
            Self::Bitmapped { lead, parts, .. } => {
                let lead = lead.iter().map(|part| ("0".to_owned(), part));
                lead.chain(parts.iter().map(|(bit, part)| (bit.to_string(), part))).collect()
            }
            Self::DatasetBitmap { parts, tlv } => {
                numbered(parts).into_iter().zip(parts).chain([(TLV.to_string(), tlv)]).collect()
            }
            Self::BerTlv { known, unknown } => known
                .iter()
                .map(|(tag, part)| (Key::Tag(*tag).to_string(), part))
                .chain(unknown.iter().map(|part| ("*".to_owned(), part)))
                .collect(),
            Self::Tagged(tagged) => tagged.named_parts(),
            Self::Choice(choices) => choices.iter().map(|(_, part)| ("?".to_owned(), part)).collect(),
        }
    }

    /// The part named `key`.
    pub(crate) fn part(&self, key: Key) -> Option<&E> {
        match (self, key) {
            (Self::Positional { parts, .. }, Key::Number(number)) => parts.get(usize::from(number).checked_sub(1)?),
            (Self::Delimited { parts, .. }, Key::Number(1..)) => {
                let Key::Number(number) = key else { return None };
                parts.get(usize::from(number) - 1).or(parts.last())
            }
            (Self::Repeated { record }, Key::Number(_)) => Some(record),
            (Self::Bitmapped { lead, .. }, Key::Number(0)) => lead.as_ref(),
            (Self::Bitmapped { parts, .. }, Key::Number(bit)) => find(parts, bit),
            (Self::DatasetBitmap { parts, .. }, Key::Number(number)) => parts.get(usize::from(number).checked_sub(1)?),
            (Self::DatasetBitmap { tlv, .. }, TLV) => Some(tlv),
            (Self::BerTlv { known, unknown }, Key::Tag(tag)) => find(known, tag).or(unknown.as_ref()),
            (Self::Tagged(tagged), key) => tagged.part(key),
            _ => None,
        }
    }

    /// Reads a key as it is written in paths and JSON: "1", "9F26", "PZ".
    pub(crate) fn key(&self, text: &str) -> Option<Key> {
        match self {
            Self::BerTlv { .. } => ber_tag(text).map(Key::Tag),
            Self::DatasetBitmap { .. } if text == "tlv" => Some(TLV),
            Self::Tagged(_) if text == "0" => Some(Key::Number(0)),
            Self::Tagged(tagged) => Key::name(text.as_bytes()).filter(|_| text.len() == tagged.name_width()),
            Self::Bitmapped { .. } if text == "0" => Some(Key::Number(0)),
            _ => match text.parse() {
                Ok(number @ 1..) if !text.starts_with(['+', '0']) => Some(Key::Number(number)),
                _ => None,
            },
        }
    }
}

fn find<K: Ord + Copy, E>(parts: &[(K, E)], key: K) -> Option<&E> {
    let place = parts.binary_search_by_key(&key, |(other, _)| *other).ok()?;
    Some(&parts[place].1)
}

impl<E> Tagged<E> {
    fn map<F>(self, mut each: impl FnMut(E) -> F) -> Tagged<F> {
        let mut known = self.known;
        known.sort_by_key(|(key, _)| *key);
        Tagged {
            lead: self.lead.map(|(part, presence)| (each(part), presence)),
            tag: self.tag,
            tag_width: self.tag_width,
            length: self.length,
            length_first: self.length_first,
            counts_tag: self.counts_tag,
            known: known.into_iter().map(|(key, e)| (key, each(e))).collect(),
            others: self.others.into_iter().map(|(from, to, e)| (from, to, each(e))).collect(),
        }
    }

    /// How many characters the name of a tag has.
    pub(crate) fn name_width(&self) -> usize {
        match self.tag {
            TagEncoding::Text(_) => usize::from(self.tag_width),
            TagEncoding::Raw => 2 * usize::from(self.tag_width),
        }
    }

    fn named_parts(&self) -> Vec<(String, &E)> {
        let lead = self.lead.iter().map(|(part, _)| ("0".to_owned(), part));
        let known = self.known.iter().map(|(key, part)| (key.to_string(), part));
        let others = self.others.iter().map(|(_, _, part)| ("*".to_owned(), part));
        lead.chain(known).chain(others).collect()
    }

    fn part(&self, key: Key) -> Option<&E> {
        if key == Key::Number(0) {
            return self.lead.as_ref().map(|(part, _)| part);
        }
        find(&self.known, key)
            .or_else(|| self.others.iter().find(|(from, to, _)| (from..=to).contains(&&key)).map(|(_, _, part)| part))
    }
}

/// The name of a part within its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A place or a bit, counted from 1; 0 for what stands in front.
    Number(u16),
    /// A BER tag of up to four bytes, without leading zero bytes.
    Tag(u32),
    /// A tag of fixed width: up to seven letters and digits, zero-filled.
    Name([u8; 7]),
}

/// The key of the BER-TLV behind a dataset's bitmap.
pub(crate) const TLV: Key = Key::Name(*b"tlv\0\0\0\0");

impl Key {
    /// A tag of letters and digits; `None` where it is something else or longer than seven.
    pub(crate) fn name(tag: &[u8]) -> Option<Self> {
        let mut name = [0; 7];
        name.get_mut(..tag.len())?.copy_from_slice(tag);
        let sound = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
        sound.then_some(Self::Name(name))
    }

    /// The bytes of a tag of fixed width.
    pub(crate) fn name_bytes(&self) -> &[u8] {
        match self {
            Self::Name(name) => {
                let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
                &name[..end]
            }
            _ => &[],
        }
    }
}

/// The number of a BER tag: two to eight hexadecimal digits, the first two not zero unless they are the only ones.
#[inline]
pub(crate) fn ber_tag(text: &str) -> Option<u32> {
    let byte = |high: u8, low: u8| Some(u32::from(hex_digit(high)? << 4 | hex_digit(low)?));
    match text.as_bytes() {
        &[a, b] => byte(a, b),
        [b'0', b'0', ..] => None,
        &[a, b, c, d] => Some(byte(a, b)? << 8 | byte(c, d)?),
        &[a, b, c, d, ref rest @ ..] if matches!(rest.len(), 2 | 4) => {
            let (pairs, _) = rest.as_chunks::<2>();
            let front = byte(a, b)? << 8 | byte(c, d)?;
            pairs.iter().try_fold(front, |tag, [high, low]| Some(tag << 8 | byte(*high, *low)?))
        }
        _ => None,
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Tag(tag) => {
                let width = 2 * (4 - tag.leading_zeros() as usize / 8).max(1);
                write!(f, "{tag:0width$X}")
            }
            Self::Name(_) => f.write_str(std::str::from_utf8(self.name_bytes()).unwrap_or_default()),
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
