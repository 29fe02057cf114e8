//! What keys fill in a frame: a PIN block, and a MAC over given bytes; the frame's author says where.
//!
//! The MAC is the last element, 64 or 128 (ISO 8583-1, 4.4.21), and covers all bytes from the message type up to
//! itself. The surprise: some networks leave the repeat digit out, so that a repeat bears its original's MAC
//! (AS 2805.4.1); the digit is then taken as that of a first message, whatever stands in the frame.

use super::hex;
use super::key::{Key, KeyFault};
use super::mac::MacMethod;
use super::slot::KeySlot;
use crate::payment::{MerchantId, OfferedPin, Pan};
use std::ops::Range;
use zeroize::Zeroizing;

/// Bytes of a MAC element's content.
pub const MAC_ELEMENT: usize = 8;

/// What a key is to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// A PIN block, translated from the merchant's key.
    Pin(Box<PinSeal>),
    /// A MAC.
    Mac(MacSeal),
}

/// A MAC that is to be filled in under a working key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacSeal {
    /// The key.
    pub slot: KeySlot,
    /// The place.
    pub place: MacPlace,
}

/// A PIN block that is to be translated to a host's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSeal {
    /// The host's key.
    pub slot: KeySlot,
    /// The element's content.
    pub element: Range<usize>,
    /// Whose PIN it is.
    pub merchant: MerchantId,
    /// The card, which the block is bound to before and after.
    pub pan: Pan,
    /// The block as the merchant gave it.
    pub offered: OfferedPin,
}

impl Seal {
    /// The host's key that it needs.
    pub fn slot(&self) -> &KeySlot {
        match self {
            Seal::Pin(pin) => &pin.slot,
            Seal::Mac(mac) => &mac.slot,
        }
    }
}

/// The place of a MAC in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacPlace {
    /// How it is made.
    pub method: MacMethod,
    /// Bytes of it that count; the rest of the element is zeros.
    pub significant: usize,
    /// First byte it covers: that of the message type.
    pub start: usize,
    /// The element's content, in bytes or in hexadecimal digits; what it covers ends here.
    pub element: Range<usize>,
    /// The byte whose lowest bit tells a repeat, where it is left out.
    pub repeat_digit: Option<usize>,
}

impl MacPlace {
    /// Fills the MAC in. [`KeyFault::Kind`] where key, method and place do not fit each other.
    pub fn fill(&self, key: &Key, frame: &mut [u8]) -> Result<(), KeyFault> {
        let mut content = [0; MAC_ELEMENT];
        let mac = self.method.make(key, &self.covered(frame).ok_or(KeyFault::Kind)?)?;
        let element = frame.get_mut(self.element.clone()).ok_or(KeyFault::Kind)?;
        if !mac.fill(self.significant, &mut content) {
            return Err(KeyFault::Kind);
        }
        match element.len() {
            MAC_ELEMENT => element.copy_from_slice(&content),
            length if length == 2 * MAC_ELEMENT => element.copy_from_slice(&hex::digits(&content)),
            _ => return Err(KeyFault::Kind),
        }
        Ok(())
    }

    /// Whether the MAC that stands there is right.
    pub fn check(&self, key: &Key, frame: &[u8]) -> bool {
        let (Some(covered), Some(element)) = (self.covered(frame), frame.get(self.element.clone())) else {
            return false;
        };
        let Ok(mac) = self.method.make(key, &covered) else { return false };
        match element.len() {
            MAC_ELEMENT => mac.is_in(self.significant, element),
            length if length == 2 * MAC_ELEMENT => {
                let content = std::str::from_utf8(element).ok().and_then(hex::bytes);
                content.is_some_and(|content| mac.is_in(self.significant, &content))
            }
            _ => false,
        }
    }

    fn covered(&self, frame: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut covered = Zeroizing::new(frame.get(self.start..self.element.start)?.to_vec());
        if let Some(digit) = self.repeat_digit {
            *covered.get_mut(digit.checked_sub(self.start)?)? &= !1;
        }
        Some(covered)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{KeyKind, KeyUsage, Padding};
    use super::*;

    fn key(digits: &str) -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Mac, digits).unwrap()
    }

    fn own() -> Key {
        key("0123456789ABCDEFFEDCBA9876543210")
    }

    fn place(element: Range<usize>) -> MacPlace {
        let method = MacMethod::Retail(Padding::Zeros);
        MacPlace { method, significant: 8, start: 2, element, repeat_digit: None }
    }

    #[test]
    fn what_was_filled_in_is_right_under_its_key_only() {
        for length in [8, 16] {
            let mut frame = [b"HH0200".as_slice(), &[7; 20], &vec![b'0'; length]].concat();
            let place = place(26..26 + length);
            place.fill(&own(), &mut frame).unwrap();
            assert!(place.check(&own(), &frame));
            assert!(!place.check(&key("133457799BBCDFF1F0E1D2C3B4A59687"), &frame));
            frame[0] ^= 1;
            assert!(place.check(&own(), &frame), "what stands before the message type is not covered");
            for byte in 2..frame.len() {
                frame[byte] ^= 1;
                assert!(!place.check(&own(), &frame), "byte {byte} is covered");
                frame[byte] ^= 1;
            }
        }
    }

    #[test]
    fn a_repeat_may_bear_its_originals_mac() {
        let place = MacPlace { repeat_digit: Some(5), start: 2, ..place(26..34) };
        let mut frame = [b"HH0420".as_slice(), &[7; 20], &[0; 8]].concat();
        place.fill(&own(), &mut frame).unwrap();
        frame[5] = b'1';
        assert!(place.check(&own(), &frame));
        frame[5] = b'2';
        assert!(!place.check(&own(), &frame));
    }

    #[test]
    fn a_place_outside_of_the_frame_is_no_place() {
        for element in [30..38, 8..16, 4..9, 0..8, Range { start: 20, end: 12 }] {
            let mut frame = b"HH0200123456".to_vec();
            assert!(place(element.clone()).fill(&own(), &mut frame).is_err());
            assert!(!place(element).check(&own(), &frame));
        }
    }
}
