//! Translation of a PIN block from one zone to the next (PCI PIN security, requirement 3-3; ISO 9564-1, 9.2).
//!
//! Formats 0, 3 and 4 go to each other with the same card number; format 1 goes to 0, 3 and 4; nothing goes to
//! format 1, which would take the card number's protection away. There is one card number on both sides, so the
//! forbidden change of it cannot even be asked for.

use super::key::Key;
use super::pin_block::{PinBlock, PinBlockFormat, PinFault, decipher, encipher};
use crate::payment::Pan;

/// A zone in which PIN blocks have one format and lie under one key.
#[derive(Clone, Copy, Debug)]
pub struct PinZone<'a> {
    /// Layout of its blocks.
    pub format: PinBlockFormat,
    /// Key of its blocks.
    pub key: &'a Key,
}

/// Takes a PIN block from one zone to another. `random` as for [`encipher`].
pub fn translate(
    block: &PinBlock,
    pan: &Pan,
    from: PinZone<'_>,
    to: PinZone<'_>,
    random: &[u8; 16],
) -> Result<PinBlock, PinFault> {
    if to.format == PinBlockFormat::Iso1 {
        return Err(PinFault::Translation);
    }
    let pin = decipher(from.format, from.key, block, pan)?;
    encipher(to.format, to.key, &pin, pan, random)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{KeyKind, KeyUsage, Pin};
    use super::*;

    const FORMATS: [PinBlockFormat; 4] =
        [PinBlockFormat::Iso0, PinBlockFormat::Iso1, PinBlockFormat::Iso3, PinBlockFormat::Iso4];

    fn key(format: PinBlockFormat, digits: &str) -> Key {
        let kind = if format == PinBlockFormat::Iso4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        Key::parse(kind, KeyUsage::Pin, digits).unwrap()
    }

    #[test]
    fn every_way_but_to_format_1() {
        let (pin, pan) = (Pin::parse("90210").unwrap(), Pan::parse("4111111111111111").unwrap());
        for from in FORMATS {
            for to in FORMATS {
                let keys = (key(from, "0123456789ABCDEFFEDCBA9876543210"), key(to, "133457799BBCDFF1F0E1D2C3B4A59687"));
                let block = encipher(from, &keys.0, &pin, &pan, &[3; 16]).unwrap();
                let (source, target) = (PinZone { format: from, key: &keys.0 }, PinZone { format: to, key: &keys.1 });
                match translate(&block, &pan, source, target, &[9; 16]) {
                    Ok(block) => assert!(decipher(to, &keys.1, &block, &pan).unwrap().is_same(&pin)),
                    Err(fault) => assert_eq!((fault, to), (PinFault::Translation, PinBlockFormat::Iso1)),
                }
            }
        }
    }
}
