//! A message as a JSON object, and back: what `isthmus iso` prints and reads.
//!
//! `{"spec", "mti", "header", "fields": {"2": "...", "55": {"9F26": "..."}}}`: element numbers in
//! ascending order, text as text with all its filling, binary as upper-case hexadecimal, digits with
//! their leading zeros, a repeated tag as "9F26#2". The surprise: control characters inside text are
//! written `\x01`, and a backslash that such a thing could be mistaken for as `\x5c`, so that text
//! with bytes in it can be read by people and still comes back unchanged. Where a sender left something
//! odd in a filler nibble, a member `fillers` keeps it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::builder::{MessageBuilder, Node};
use super::error::{EncodeError, EncodeErrorKind};
use super::message::Message;
use super::mti::Mti;
use super::spec::Spec;
use super::value::Value;

/// A message to serialise.
#[derive(Clone, Copy, Debug)]
pub struct View<'m> {
    message: &'m Message,
    shown: Shown,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    masked: bool,
    raw: bool,
}

/// The message as an object: `masked` hides what the spec calls sensitive, `raw` leaves divided
/// elements as one value.
pub fn view(message: &Message, masked: bool, raw: bool) -> View<'_> {
    let shown = Shown { masked, raw };
    View { message, shown }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("spec", self.message.spec().name())?;
        map.serialize_entry("mti", &self.message.mti().to_string())?;
        if let Some(header) = self.message.header_value() {
            let shown = self.shown;
            map.serialize_entry("header", &Field { value: header, shown })?;
        }
        map.serialize_entry("fields", &Fields(*self))?;
        let fillers = self.fillers();
        if !fillers.is_empty() {
            map.serialize_entry("fillers", &fillers)?;
        }
        map.end()
    }
}

impl View<'_> {
    /// Nibbles that the values do not tell and that are needed to write the same bytes.
    fn fillers(&self) -> BTreeMap<u8, String> {
        let message = self.message;
        let filler = |number| Some((number, format!("{:X}", message.value(number)?.filler()?)));
        message.elements().filter_map(filler).collect()
    }
}

struct Fields<'m>(View<'m>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let View { message, shown } = self.0;
        let mut map = serializer.serialize_map(None)?;
        for number in message.elements() {
            if let Some(value) = message.value(number) {
                map.serialize_entry(&number.to_string(), &Field { value, shown })?;
            }
        }
        map.end()
    }
}

struct Field<'m> {
    value: Value<'m>,
    shown: Shown,
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, shown } = self;
        if value.is_divided() && !shown.raw {
            return Parts(self).serialize(serializer);
        }
        let text = match shown.masked {
            true => value.masked(),
            false => value.printed(),
        };
        serializer.serialize_str(&escape(&text))
    }
}

struct Parts<'m>(&'m Field<'m>);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Field { value, shown } = *self.0;
        let mut map = serializer.serialize_map(None)?;
        let mut seen = BTreeMap::new();
        for (key, value) in value.parts() {
            let nth = seen.entry(key).and_modify(|n| *n += 1).or_insert(1);
            let name = match nth {
                1 => key.to_string(),
                nth => format!("{key}#{nth}"),
            };
            map.serialize_entry(&name, &Field { value, shown })?;
        }
        map.end()
    }
}

/// Writes control characters as `\xNN`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control()) && !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for (place, character) in text.char_indices() {
        let ambiguous = character == '\\' && escaped_byte(&text[place..]).is_some();
        match character.is_control() || ambiguous {
            true => escaped.push_str(&format!("\\x{:02x}", u32::from(character))),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Takes `\xNN` back to the character.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match escaped_byte(rest) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[4..];
            }
            None => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Cow::Owned(plain)
}

fn escaped_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("\\x")?.as_bytes().get(..2)?;
    let lower = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if !digits.iter().all(lower) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// That object as it was read, before a spec has been asked about it.
///
/// The members `mti` and `fields` are required, `header` where the dialect wants one and `fillers` where
/// nibbles are odd; `spec` is not looked at. Unknown members are refused.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageJson {
    #[serde(default, rename = "spec")]
    _spec: Option<String>,
    mti: String,
    #[serde(default)]
    header: Option<Tree>,
    fields: Tree,
    #[serde(default)]
    fillers: BTreeMap<String, String>,
}

impl MessageJson {
    /// The builder of this message, to be encoded under `spec`.
    pub fn into_builder(self, spec: &Spec) -> Result<MessageBuilder, EncodeError> {
        let wrong = |kind, expected: &'static str| EncodeError::new(kind, expected);
        let mti: Mti =
            self.mti.parse().map_err(|_| wrong(EncodeErrorKind::Content, "four decimal digits").within("mti"))?;
        let mut builder = MessageBuilder::new(mti);
        if let Some(header) = self.header {
            builder.put_header(header.0);
        }
        let Tree(Node::Parts(fields)) = self.fields else {
            return Err(wrong(EncodeErrorKind::Shape, "an object of elements").within("fields"));
        };
        for (key, node) in fields {
            let number = key.parse().ok().filter(|number| spec.element(*number).is_some());
            let Some(number) = number else {
                let expected = "the number of an element that the spec defines";
                return Err(wrong(EncodeErrorKind::Undefined, expected).within(key));
            };
            if builder.has(number) {
                return Err(wrong(EncodeErrorKind::Shape, "each element once").within(number));
            }
            builder.put(number, node);
        }
        for (number, nibble) in self.fillers {
            match (number.parse(), u8::from_str_radix(&nibble, 16)) {
                (Ok(number), Ok(nibble @ 0..=15)) => builder.set_filler(number, nibble),
                _ => return Err(wrong(EncodeErrorKind::Content, "a nibble").within("fillers")),
            };
        }
        Ok(builder)
    }
}

/// Reads that object into a builder, to be encoded under `spec`.
pub fn builder_from<'de, D: Deserializer<'de>>(spec: &Spec, deserializer: D) -> Result<MessageBuilder, D::Error> {
    let read = MessageJson::deserialize(deserializer)?;
    read.into_builder(spec).map_err(D::Error::custom)
}

/// Text or an object of the same, in the order it was written.
struct Tree(Node);

const TEXT_WANTED: &str = "expected text in quotes or an object of parts, not a number";

/// Objects nested deeper than this are refused.
const MAX_DEPTH: usize = 16;

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seed(usize);

        impl<'de> serde::de::DeserializeSeed<'de> for Seed {
            type Value = Node;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for Seed {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or an object of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Printed(unescape(text).into()))
            }

            // Without these the error would repeat the value.
            fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
                Err(E::custom(TEXT_WANTED))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
                Err(E::custom(TEXT_WANTED))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
                Err(E::custom(TEXT_WANTED))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                if self.0 >= MAX_DEPTH {
                    return Err(A::Error::custom("expected parts nested less deep"));
                }
                let mut parts = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    // "9F26#2" is the second 9F26: the order tells it as well.
                    let name = key.split('#').next().unwrap_or(&key).into();
                    parts.push((name, map.next_value_seed(Self(self.0 + 1))?));
                }
                Ok(Node::Parts(parts))
            }
        }

        deserializer.deserialize_any(Seed(0)).map(Tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_readable_and_come_back() {
        for text in ["plain", "a\u{1}b\u{c}", "C:\\x", "\\x41", "\\", "\\\\x0a\\x", "é\u{9f}"] {
            let escaped = escape(text);
            assert!(!escaped.chars().any(char::is_control));
            assert_eq!(unescape(&escaped), text, "{escaped}");
        }
        assert_eq!(escape("SI\u{1}\u{c}0"), "SI\\x01\\x0c0");
        assert_eq!(escape("a\\b"), "a\\b");
    }
}
