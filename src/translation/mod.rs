//! Payment values to ISO 8583 messages and back, driven by the `[mapping]` section of a dialect file.
//!
//! The mapping says for each element what it is made of (a template), for each kind of message which type it has and
//! which elements it carries, and what the bank's codes mean. Nothing about a network stands in code: what one bank
//! does differently from another is a line of its dialect.

mod answer;
mod asked;
mod inbound;
mod mapping;
mod reply;
mod template;

pub use answer::Said;
pub use asked::{Asked, AskedOriginal, Fault, Unasked};
pub use mapping::Mapping;
pub use reply::Reply;

use crate::iso8583::{EncodeError, Message, MessageBuilder, Mti, Spec};
use crate::payment::{Acceptor, Card, MessageKind, MessageValues, Name, PosEntry, ResultCode, Wall};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use template::Terms;
use zeroize::Zeroizing;

/// Why a message cannot be written in a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The dialect does not describe this kind of message.
    #[error("the dialect does not describe mapping.messages.{}", .0.name())]
    Undescribed(MessageKind),
    /// An element cannot hold its value.
    #[error(transparent)]
    Element(#[from] EncodeError),
}

/// A dialect as the switch speaks it: the codec's spec and the mapping of payment values onto it.
#[derive(Debug)]
pub struct Translation {
    spec: Arc<Spec>,
    mapping: Mapping,
    name: Name,
}

impl Translation {
    /// Joins a spec and a mapping; `name` tells the dialect and the digest of its definition.
    pub fn new(spec: Arc<Spec>, mapping: Mapping, name: Name) -> Translation {
        Translation { spec, mapping, name }
    }

    /// The spec messages are read and written under.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Dialect and digest of its definition, as records keep it.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Message type and processing code of a kind of message, where the dialect describes it; a reversal has the
    /// processing code of its original.
    pub fn head(&self, kind: MessageKind) -> Option<(u16, Option<u32>)> {
        self.mapping.message(kind).map(|message| (message.mti, message.processing_code))
    }

    /// Whether the dialect has codes for how the card came.
    pub fn knows_entry(&self, entry: PosEntry) -> bool {
        self.mapping.knows_entry(entry)
    }

    /// Writes a message. `repeat` flags it as sent before. An error names what does not fit.
    pub fn encode(
        &self,
        kind: MessageKind,
        values: &MessageValues,
        acceptor: &Acceptor,
        card: &Card,
        repeat: bool,
    ) -> Result<Bytes, Unwritable> {
        self.write(kind, &Terms { values, acceptor, card, mapping: &self.mapping, function: None }, repeat, None)
    }

    /// Writes a message that may have been sent before: the same once more, save for the elements that the dialect
    /// refreshes, which are of `now`. `flagged`: the message type tells that it is a repeat.
    pub fn encode_again(
        &self,
        kind: MessageKind,
        values: &MessageValues,
        acceptor: &Acceptor,
        card: &Card,
        flagged: bool,
        now: Wall,
    ) -> Result<Bytes, Unwritable> {
        self.write(kind, &Terms { values, acceptor, card, mapping: &self.mapping, function: None }, flagged, Some(now))
    }

    /// Whether a repeat differs from the first message by more than its message type.
    pub fn refreshes(&self) -> bool {
        self.mapping.refreshes()
    }

    fn write(
        &self,
        kind: MessageKind,
        terms: &Terms<'_>,
        flagged: bool,
        refreshed_at: Option<Wall>,
    ) -> Result<Bytes, Unwritable> {
        let message = self.mapping.message(kind).ok_or(Unwritable::Undescribed(kind))?;
        let terms = &Terms { function: message.function(), ..*terms };
        let mti = Mti::new(terms.values.mti).expect("a recorded message type has four digits");
        let mut builder = MessageBuilder::new(if flagged { mti.repeat() } else { mti });
        builder.reserve(message.elements.len());
        let fresh = refreshed_at.map(|now| MessageValues { transmitted_at: now, ..terms.values.clone() });
        let fresh = fresh.as_ref().map(|values| Terms { values, ..*terms });
        let mut text = Zeroizing::new(String::with_capacity(template::ROOM));
        for (element, template) in self.mapping.elements_of(message) {
            let terms = fresh.as_ref().filter(|_| self.mapping.is_refreshed(element)).unwrap_or(terms);
            text.clear();
            if template.fill(terms, &mut text).is_some() {
                builder.set(element, &*text);
            }
        }
        let mut frame = BytesMut::with_capacity(256);
        self.spec.encode(&builder, &mut frame)?;
        Ok(frame.freeze())
    }

    /// Reads what a reply says. `around` lies near the time of the request, for dates without a year.
    pub fn read(&self, reply: &Message, sent: &MessageValues) -> Reply {
        reply::read(&self.mapping, reply, sent)
    }

    /// The bank's code in a reply, and what it means by itself.
    pub fn code(&self, reply: &Message) -> (Option<String>, ResultCode) {
        reply::code(&self.mapping, reply)
    }

    /// The element of a reply that contradicts what was sent, if one does: currency, terminal or card number that is
    /// present and differs. The amount is judged with the code, by [`Reply`].
    pub fn contradiction(&self, reply: &Message, sent: &MessageValues, acceptor: &Acceptor, card: &Card) -> Option<u8> {
        let terms = Terms { values: sent, acceptor, card, mapping: &self.mapping, function: None };
        reply::contradiction(&self.mapping, reply, &terms)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::dialects;

    /// A built-in dialect.
    pub(super) fn speaking(dialect: &str) -> Translation {
        let layers = dialects::builtin_layers(dialect).unwrap().unwrap();
        let spec = dialects::spec_of(&layers).unwrap();
        Translation::new(spec, Mapping::read(&layers).unwrap(), Name::from(dialect))
    }

    /// An acquirer's message, with some elements more or otherwise.
    pub(super) fn request(translation: &Translation, mti: &str, more: &[(u8, &str)]) -> Message {
        let mut builder = MessageBuilder::new(mti.parse().unwrap());
        let later = mti.starts_with('1');
        let usual = [
            (2, "4111111111111111"),
            (3, "000000"),
            (4, "000000001299"),
            (7, "1122174500"),
            (11, "000123"),
            (12, if later { "261122184500" } else { "184500" }),
            (14, "3012"),
            (32, "123456"),
            (41, "TERM0001"),
            (42, "ACME00000000001"),
            (49, "978"),
        ];
        for (element, text) in usual {
            builder.set(element, text);
        }
        if !later {
            builder.set(13, "1122").set(22, "012").set(25, "08");
        }
        for (element, text) in more {
            builder.set(*element, *text);
        }
        translation.spec().decode(translation.spec().encode_to_bytes(&builder).unwrap()).unwrap()
    }
}
