//! MACs of the bank's messages: checked on what arrives, put on what leaves (ISO 8583, elements 64 and 128).
//!
//! The MAC is over the exact bytes from the message type up to the MAC element, the network header left
//! out. Read from the standards anew, not from a dialect's `[keys]`. What surprises: a dialect may write
//! binary elements as hexadecimal text, and then the MAC is over that text and stands there as text itself.

use std::sync::Arc;

use bytes::Bytes;

use crate::iso8583::{Length, Message, MessageBuilder, Spec, to_hex};
use crate::security::{Key, Mac};

use super::profile::MacPractice;

/// Where a message authentication code stands: in the second block where there is one.
pub(super) const MAC_ELEMENTS: [u8; 2] = [128, 64];

/// How MACs are made, and the key.
#[derive(Clone, Copy)]
pub(super) struct Seal<'a> {
    pub(super) practice: &'a MacPractice,
    pub(super) key: &'a Key,
}

impl Seal<'_> {
    /// Whether the MAC of a message is right; `None` where it has none.
    pub(super) fn check(&self, message: &Message) -> Option<bool> {
        // It is the last element, or it covers not all that it should.
        let element = message.elements().last().filter(|last| MAC_ELEMENTS.contains(last))?;
        let is_right = || {
            let found = message.as_bytes().get(message.span(element)?)?;
            let written = self.written(&self.make(message, element)?, found.len(), message.spec(), element)?;
            Some(bool::from(subtle::ConstantTimeEq::ct_eq(written.as_slice(), found)))
        };
        Some(is_right().unwrap_or(false))
    }

    /// The message with its MAC; `None` where it can't be written.
    pub(super) fn put(&self, spec: &Arc<Spec>, builder: &mut MessageBuilder) -> Option<Bytes> {
        let has_second_block = builder.bitmap().into_iter().any(|element| element > 64);
        let element = if has_second_block { 128 } else { 64 };
        let room = vec![0; element_bytes(spec, element)?];
        let message = spec.encode_to_bytes(builder.set_binary(element, &room)).ok()?;
        let message = spec.decode(message).ok()?;
        let (span, made) = (message.span(element)?, self.make(&message, element)?);
        let written = self.written(&made, span.len(), spec, element)?;
        let mut bytes = message.as_bytes().to_vec();
        bytes.get_mut(span)?.copy_from_slice(&written);
        Some(bytes.into())
    }

    fn make(&self, message: &Message, element: u8) -> Option<Mac> {
        let message_type = message.mti_span();
        let mut data = message.as_bytes().get(message_type.start..message.span(element)?.start)?.to_vec();
        if self.practice.leaves_out_repeat {
            // The lowest bit of the type's last digit, in every character set and packed too.
            *data.get_mut(message_type.len().checked_sub(1)?)? &= !1;
        }
        self.practice.method().make(self.key, &data).ok()
    }

    /// The MAC as it stands in an element of so many bytes on the wire.
    fn written(&self, made: &Mac, wire: usize, spec: &Spec, element: u8) -> Option<Vec<u8>> {
        let mut content = vec![0; element_bytes(spec, element)?];
        let significant = self.practice.bytes.min(content.len());
        made.fill(significant, &mut content).then_some(())?;
        match wire {
            _ if wire == content.len() => Some(content),
            _ if wire == 2 * content.len() => Some(to_hex(&content).into_bytes()),
            _ => None,
        }
    }
}

/// Bytes of a MAC element's content.
fn element_bytes(spec: &Spec, element: u8) -> Option<usize> {
    match spec.element(element)?.length() {
        Length::Fixed(bytes) => usize::try_from(bytes).ok(),
        Length::Variable { .. } | Length::Rest { .. } => None,
    }
}
