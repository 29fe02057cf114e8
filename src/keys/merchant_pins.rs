//! The keys under which merchants' terminals encipher PINs: one that stays, or one for each transaction (DUKPT).

use super::SealFault;
use crate::payment::{MerchantId, OfferedPin, PinKeyName};
use crate::security::dukpt::{WorkingKey, aes, tdes};
use crate::security::{Key, KeyFault, KeyKind, PinBlock, PinBlockFormat, PinFault};

/// The PIN keys of all merchants.
#[derive(Debug, Default)]
pub struct MerchantPins(Vec<MerchantPinKey>);

/// A PIN key of a merchant.
#[derive(Debug)]
pub struct MerchantPinKey {
    /// Whose.
    pub merchant: MerchantId,
    /// How it is found.
    pub source: PinKeySource,
}

/// How the key of a PIN block is found.
#[derive(Debug)]
pub enum PinKeySource {
    /// By the name it was agreed under.
    Static {
        /// The name.
        name: String,
        /// The key.
        key: Key,
    },
    /// Derived from a base key, for serial numbers that begin so.
    Dukpt {
        /// The first bytes of the serial numbers.
        prefix: Vec<u8>,
        /// The base derivation key.
        base: Key,
    },
}

impl MerchantPins {
    /// Adds one.
    pub fn add(&mut self, key: MerchantPinKey) {
        self.0.push(key);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The block that a merchant gave, its format, and the key it lies under.
    pub(super) fn find(
        &self,
        merchant: &MerchantId,
        offered: &OfferedPin,
    ) -> Result<(PinBlock, PinBlockFormat, Key), SealFault> {
        let format = PinBlockFormat::of_number(offered.format).ok_or(PinFault::Translation)?;
        let block = PinBlock::new(&offered.block).ok_or(PinFault::Length)?;
        let own = self.0.iter().filter(|key| key.merchant == *merchant).map(|key| &key.source);
        let key = match &offered.key {
            PinKeyName::Static(wanted) => own.into_iter().find_map(|source| match source {
                PinKeySource::Static { name, key } if name == wanted => Some(Ok(key.clone())),
                _ => None,
            }),
            PinKeyName::Dukpt(serial) => own.into_iter().find_map(|source| match source {
                PinKeySource::Dukpt { prefix, base } if serial.starts_with(prefix) => {
                    Some(derived(base, serial, format))
                }
                _ => None,
            }),
        };
        Ok((block, format, key.ok_or(SealFault::NoPinKey)??))
    }
}

/// The key of one transaction. How long the serial number is says which cipher the terminal has.
fn derived(base: &Key, serial: &[u8], format: PinBlockFormat) -> Result<Key, SealFault> {
    if let Ok(serial) = <[u8; 10]>::try_from(serial) {
        return Ok(tdes::derive(base, tdes::SerialNumber::new(serial), WorkingKey::Pin)?);
    }
    let serial = <[u8; 12]>::try_from(serial).map_err(|_| KeyFault::Length)?;
    let kind = if format == PinBlockFormat::Iso4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
    Ok(aes::derive(base, aes::SerialNumber::new(serial), kind, WorkingKey::Pin)?)
}
