//! Room for what keys fill in: a frame gets elements for its PIN block and its MAC before it is handed to a link, and the
//! shell that writes it has them filled. No key is ever seen here, and no PIN block that a bank could read.

use super::bank::{Bank, Subject};
use super::*;
use crate::payment::{Card, MerchantId, OfferedPin, Pan};
use crate::security::{Direction, MAC_ELEMENT, MacSeal, PinSeal, Seal, SlotUse};
use bytes::{Bytes, BytesMut};

/// A PIN that goes with a request, as the merchant gave it.
#[derive(Debug)]
pub(super) struct GivenPin {
    merchant: MerchantId,
    pan: Pan,
    offered: OfferedPin,
}

/// The PIN of a card that a reader gave.
pub(super) fn pin_of(merchant: &MerchantId, card: Card) -> Option<GivenPin> {
    let offered = card.present?.pin?;
    Some(GivenPin { merchant: merchant.clone(), pan: card.pan, offered })
}

impl Bank {
    /// The frame with room for its PIN block and its MAC, and what fills it; as it was where it has neither. `None`
    /// where the dialect has no such element.
    pub(super) fn with_room(&self, frame: Bytes, pin: Option<GivenPin>) -> Option<(Bytes, Vec<Seal>)> {
        let keys = &self.settings.keys;
        if keys.mac.is_none() && pin.is_none() {
            return Some((frame, Vec::new()));
        }
        let spec = self.settings.translation.spec();
        let message = spec.decode(frame.clone()).ok()?;
        let mac = keys.mac.as_ref().filter(|mac| mac.covers(message.mti().class()));
        if mac.is_none() && pin.is_none() {
            return Some((frame, Vec::new()));
        }
        let mut roomy = message.to_builder();
        let mut last = message.elements().last()?;
        let pin = match pin {
            Some(given) => Some((keys.pin.as_ref()?, given)),
            None => None,
        };
        if let Some((settings, _)) = &pin {
            roomy.set_binary(settings.element, &vec![0; settings.format.length()]);
            last = last.max(settings.element);
            if let Some((element, text)) = &settings.control {
                roomy.set(*element, text);
                last = last.max(*element);
            }
        }
        let mac = mac.map(|mac| (mac, mac.element_after(last)));
        if let Some((_, element)) = mac {
            roomy.set_binary(element, &[0; MAC_ELEMENT]);
        }
        let mut bytes = BytesMut::with_capacity(frame.len() + 48);
        let encoded = spec.encode(&roomy, &mut bytes).ok()?;
        let mut seals = Vec::with_capacity(2);
        // The MAC covers the PIN block, so that is filled first.
        if let Some((settings, GivenPin { merchant, pan, offered })) = pin {
            let (slot, element) = (self.keying.slot(SlotUse::Pin, Direction::Send), encoded.span(settings.element)?);
            seals.push(Seal::Pin(Box::new(PinSeal { slot, element, merchant, pan, offered })));
        }
        if let Some((mac, element)) = mac {
            let place = mac.place(message.mti_span(), encoded.span(element)?);
            seals.push(Seal::Mac(MacSeal { slot: self.keying.slot(SlotUse::Mac, Direction::Send), place }));
        }
        Some((bytes.freeze(), seals))
    }
}

impl Switch {
    /// Frames that could not be sealed: certainly not sent. Without a key it is of no use to try this host again before
    /// somebody looks at the keys; a PIN that cannot be translated is the merchant's.
    pub(super) fn unsealed(&mut self, link: LinkId, sends: &[SendId], fault: &'static str) {
        let Some(place) = self.place_of(link) else { return };
        self.observe(Observation::KeyAlarm { link, fault });
        if fault == NO_KEY {
            self.banks[place].keying.mac_error();
        }
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
