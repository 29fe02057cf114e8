//! A message to be: a type and values by element number, not yet bytes.
//!
//! It knows no spec: whether a value fits is judged when it is encoded. An element holds either one
//! undivided value or named parts; giving one replaces the other. Part order matters where the wire
//! has tags, so parts keep the order they were given in.

use std::fmt;

use bytes::Bytes;
use smol_str::SmolStr;

use super::bitmap::Bitmap;
use super::mti::Mti;
use super::short::Short;
use super::value::Value;

/// Collects the values of a message.
///
/// ```
/// use isthmus::iso8583::{MessageBuilder, Mti};
///
/// let mut builder = MessageBuilder::new(Mti::new(200).unwrap());
/// builder.set(3, "000000").set(11, "000123").set_path("90.1", "0200");
/// builder.unset(3);
/// assert!(builder.has(11) && !builder.has(3));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MessageBuilder {
    mti: Mti,
    header: Option<Node>,
    present: Bitmap,
    /// One for each element of the bitmap, ascending.
    nodes: Vec<Node>,
    /// Filler nibbles other than the spec's, by element.
    fillers: Vec<(u8, u8)>,
}

/// A value: undivided, or in parts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(SmolStr),
    /// Text as JSON has it.
    #[cfg_attr(not(feature = "dialects"), expect(dead_code, reason = "only JSON is read into it"))]
    Printed(SmolStr),
    Bytes(Bytes),
    Parts(Vec<(Box<str>, Node)>),
}

impl MessageBuilder {
    /// A message of this type with no element.
    pub fn new(mti: Mti) -> Self {
        Self { mti, header: None, present: Bitmap::new(), nodes: Vec::new(), fillers: Vec::new() }
    }

    /// The message type.
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// Changes the message type.
    pub fn set_mti(&mut self, mti: Mti) -> &mut Self {
        self.mti = mti;
        self
    }

    /// The header's bytes, as they stand in front of the message type.
    pub fn header(mut self, header: &[u8]) -> Self {
        self.header = Some(Node::Bytes(Bytes::copy_from_slice(header)));
        self
    }

    /// Sets an element to text: characters of a text element, hexadecimal of a binary one. Numbers
    /// outside of 2..=192 are ignored.
    pub fn set(&mut self, number: u8, text: impl AsRef<str>) -> &mut Self {
        self.put(number, Node::Text(text.as_ref().into()))
    }

    /// Sets a binary element; of an element that is text, its content as it stands on the wire.
    pub fn set_binary(&mut self, number: u8, bytes: &[u8]) -> &mut Self {
        self.put(number, Node::Bytes(Bytes::copy_from_slice(bytes)))
    }

    /// Sets a part: "90.1", "55.9F26"; of a repeated tag the second is "55.9F26#2". An undivided
    /// value given before is replaced. A path that does not begin with an element number is ignored.
    pub fn set_path(&mut self, path: &str, text: impl AsRef<str>) -> &mut Self {
        self.put_path(path, Node::Text(text.as_ref().into()))
    }

    /// Sets a binary part.
    pub fn set_path_binary(&mut self, path: &str, bytes: &[u8]) -> &mut Self {
        self.put_path(path, Node::Bytes(Bytes::copy_from_slice(bytes)))
    }

    /// Puts another filler nibble than the spec's beside an odd number of packed digits, so that a
    /// message can be repeated as it came. Setting the element again takes it back.
    pub fn set_filler(&mut self, number: u8, nibble: u8) -> &mut Self {
        self.fillers.retain(|(other, _)| *other != number);
        self.fillers.push((number, nibble & 0x0F));
        self
    }

    /// Takes an element out.
    pub fn unset(&mut self, number: u8) -> &mut Self {
        if self.present.has(number) {
            self.nodes.remove(self.present.rank(number));
            self.present.remove(number);
        }
        self
    }

    /// Whether an element is set.
    pub fn has(&self, number: u8) -> bool {
        self.present.has(number)
    }

    /// The elements that are set.
    pub fn bitmap(&self) -> Bitmap {
        self.present
    }

    /// Makes room for so many elements at once.
    #[cfg(feature = "switch")]
    pub(crate) fn reserve(&mut self, elements: usize) {
        self.nodes.reserve(elements);
    }

    pub(crate) fn filler(&self, number: u8) -> Option<u8> {
        let found = self.fillers.iter().find(|(other, _)| *other == number);
        found.map(|(_, nibble)| *nibble)
    }

    pub(crate) fn header_node(&self) -> Option<&Node> {
        self.header.as_ref()
    }

    pub(crate) fn node(&self, number: u8) -> Option<&Node> {
        match self.present.has(number) {
            true => self.nodes.get(self.present.rank(number)),
            false => None,
        }
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (u8, &Node)> {
        self.present.iter().zip(&self.nodes)
    }

    /// The room that all elements need which can be written the short way.
    pub(crate) fn short_room(&self) -> usize {
        self.nodes.iter().map(Node::short_room).sum()
    }

    #[cfg(feature = "dialects")]
    pub(crate) fn put_header(&mut self, node: Node) {
        self.header = Some(node);
    }

    pub(crate) fn put(&mut self, number: u8, node: Node) -> &mut Self {
        if !(2..=super::bitmap::LAST_ELEMENT).contains(&number) {
            return self;
        }
        self.fillers.retain(|(other, _)| *other != number);
        let rank = self.present.rank(number);
        match self.present.has(number) {
            true => self.nodes[rank] = node,
            false => {
                self.nodes.insert(rank, node);
                self.present.insert(number);
            }
        }
        self
    }

    /// Exchanges two parts of a divided header.
    pub(crate) fn swap_header(&mut self, one: u16, other: u16) {
        let Some(Node::Parts(parts)) = &mut self.header else {
            return;
        };
        let place = |number: u16| parts.iter().position(|(key, _)| **key == *number.to_string());
        if let (Some(one), Some(other)) = (place(one), place(other)) {
            let (first, second) = (parts[one].1.clone(), parts[other].1.clone());
            parts[one].1 = second;
            parts[other].1 = first;
        }
    }

    pub(crate) fn copy_header(&mut self, value: Value<'_>) {
        self.header = Some(Node::of(value));
    }

    /// Takes a part out of a divided header.
    pub(crate) fn leave_out_of_header(&mut self, part: u16) {
        if let Some(Node::Parts(parts)) = &mut self.header {
            parts.retain(|(key, _)| **key != *part.to_string());
        }
    }

    pub(crate) fn copy(&mut self, number: u8, value: Value<'_>) {
        self.put(number, Node::of(value));
        if let Some(nibble) = value.filler() {
            self.set_filler(number, nibble);
        }
    }

    fn put_path(&mut self, path: &str, node: Node) -> &mut Self {
        let (number, keys) = match path.split_once('.') {
            Some((number, keys)) => (number, Some(keys)),
            None => (path, None),
        };
        let Ok(number) = number.parse() else {
            return self;
        };
        let Some(keys) = keys else {
            return self.put(number, node);
        };
        if !matches!(self.node(number), Some(Node::Parts(_))) {
            self.put(number, Node::Parts(Vec::new()));
        }
        if self.present.has(number) {
            self.nodes[self.present.rank(number)].put(keys, node);
        }
        self
    }
}

impl Node {
    /// The room it needs where it can be written the short way.
    fn short_room(&self) -> usize {
        match self {
            Self::Text(text) => Short::room_for(text),
            _ => 0,
        }
    }

    /// A copy of a value, in parts where it has any.
    pub(crate) fn of(value: Value<'_>) -> Self {
        if value.is_divided() {
            let mut parts: Vec<(Box<str>, Self)> = Vec::new();
            for (key, part) in value.parts() {
                let key = key.to_string().into_boxed_str();
                parts.push((key, Self::of(part)));
            }
            return Self::Parts(parts);
        }
        match value.binary() {
            Some(bytes) => Self::Bytes(Bytes::copy_from_slice(&bytes)),
            None if value.element().prints_bytes() => Self::Bytes(Bytes::copy_from_slice(value.wire())),
            None => Self::Text(value.whole_text().into()),
        }
    }

    fn put(&mut self, keys: &str, node: Self) {
        let (key, below) = match keys.split_once('.') {
            Some((key, below)) => (key, Some(below)),
            None => (keys, None),
        };
        if !matches!(self, Self::Parts(_)) {
            *self = Self::Parts(Vec::new());
        }
        let Self::Parts(parts) = self else {
            return;
        };
        let place = find(parts, key).unwrap_or_else(|| {
            let name = key.split('#').next().unwrap_or(key);
            parts.push((name.into(), Self::Parts(Vec::new())));
            parts.len() - 1
        });
        match below {
            Some(below) => parts[place].1.put(below, node),
            None => parts[place].1 = node,
        }
    }
}

/// The place of "9F26" or, the second of that name, "9F26#2".
fn find(parts: &[(Box<str>, Node)], key: &str) -> Option<usize> {
    let (name, nth) = match key.split_once('#') {
        Some((name, nth)) => (name, nth.parse::<usize>().ok()?.checked_sub(1)?),
        None => (key, 0),
    };
    parts.iter().enumerate().filter(|(_, (other, _))| &**other == name).map(|(place, _)| place).nth(nth)
}

impl fmt::Debug for MessageBuilder {
    /// The type and the element numbers: never content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBuilder({} ", self.mti)?;
        f.debug_list().entries(self.present.iter()).finish()?;
        f.write_str(")")
    }
}
