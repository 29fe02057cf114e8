//! Room for what keys fill in: a frame gets an element for its MAC before it is handed to a link, and the shell that
//! writes it has it filled. No key is ever seen here.

use super::bank::{Bank, Subject};
use super::*;
use crate::security::{Direction, MAC_ELEMENT, Seal, SlotUse};
use bytes::{Bytes, BytesMut};

impl Bank {
    /// The frame with room for its MAC, and what fills it; as it was where messages of its class bear none. `None`
    /// where the dialect has no such element.
    pub(super) fn with_room(&self, frame: Bytes) -> Option<(Bytes, Vec<Seal>)> {
        let Some(mac) = &self.settings.keys.mac else { return Some((frame, Vec::new())) };
        let spec = self.settings.translation.spec();
        let message = spec.decode(frame.clone()).ok()?;
        if !mac.covers(message.mti().class()) {
            return Some((frame, Vec::new()));
        }
        let element = mac.element_after(message.elements().last()?);
        let mut roomy = message.to_builder();
        roomy.set_binary(element, &[0; MAC_ELEMENT]);
        let mut bytes = BytesMut::with_capacity(frame.len() + 32);
        let encoded = spec.encode(&roomy, &mut bytes).ok()?;
        let place = mac.place(message.mti_span(), encoded.span(element)?);
        let slot = self.keying.slot(SlotUse::Mac, Direction::Send);
        Some((bytes.freeze(), vec![Seal { slot, place }]))
    }
}

impl Switch {
    /// Frames that no key could be found for: certainly not sent, and it is of no use to try this host again before
    /// somebody looks at the keys.
    pub(super) fn unsealed(&mut self, link: LinkId, sends: &[SendId]) {
        let Some(place) = self.place_of(link) else { return };
        self.observe(Observation::KeyAlarm { link, fault: "no_key" });
        self.banks[place].keying.mac_error();
        for send in sends {
            match self.banks[place].pending.withdraw(send.0).map(|pending| pending.subject) {
                Some(Subject::Request(payment, _)) => {
                    self.banks[place].breaker.shown_nothing();
                    self.not_sent(payment);
                }
                Some(Subject::Owed(payment, number)) => self.owed_not_sent(place, payment, number),
                None => self.unsent_after_all(place, *send),
            }
        }
    }
}
