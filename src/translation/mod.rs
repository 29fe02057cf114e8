//! Payment values to ISO 8583 messages and back, driven by the `[mapping]` section of a dialect file.
//!
//! The mapping says for each element what it is made of (a template), for each kind of message which type it has and
//! which elements it carries, and what the bank's codes mean. Nothing about a network stands in code: what one bank
//! does differently from another is a line of its dialect.

mod mapping;
mod reply;
mod template;

pub use mapping::{Mapping, MessageKind};
pub use reply::Reply;

use crate::iso8583::{EncodeError, Message, MessageBuilder, Mti, Spec};
use crate::payment::{Acceptor, Card, MessageValues, Name, ResultCode};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use template::Terms;

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

    /// Message type and processing code of a kind of message; a reversal has the processing code of its original.
    pub fn head(&self, kind: MessageKind) -> (u16, Option<u32>) {
        let message = self.mapping.message(kind);
        (message.mti, message.processing_code)
    }

    /// Writes a message. `repeat` flags it as sent before. [`EncodeError`] names the element that does not fit.
    pub fn encode(
        &self,
        kind: MessageKind,
        values: &MessageValues,
        acceptor: &Acceptor,
        card: &Card,
        repeat: bool,
    ) -> Result<Bytes, EncodeError> {
        let builder = self.builder(kind, values, acceptor, card, repeat);
        let mut frame = BytesMut::with_capacity(256);
        self.spec.encode(&builder, &mut frame)?;
        Ok(frame.freeze())
    }

    fn builder(
        &self,
        kind: MessageKind,
        values: &MessageValues,
        acceptor: &Acceptor,
        card: &Card,
        repeat: bool,
    ) -> MessageBuilder {
        let terms = Terms { values, acceptor, card, mapping: &self.mapping };
        let mti = Mti::new(values.mti).expect("a recorded message type has four digits");
        let mut builder = MessageBuilder::new(if repeat { mti.repeat() } else { mti });
        for (element, template) in self.mapping.elements_of(kind) {
            if let Some(text) = template.fill(&terms) {
                builder.set(element, &text);
            }
        }
        builder
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
        let terms = Terms { values: sent, acceptor, card, mapping: &self.mapping };
        reply::contradiction(&self.mapping, reply, &terms)
    }
}
