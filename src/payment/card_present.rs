//! What a reader gives of a card that is there: track 2 (ISO/IEC 7813), chip data (EMV, data element 55) and an
//! enciphered PIN (ISO 9564).
//!
//! All of it is sensitive authentication data (PCI DSS 3.3.1): it lives inside one request, prints masked, is wiped when
//! dropped and is in no record. The PIN is never here in clear: its block lies under the merchant's key, and what is in
//! it only a key service learns.

use super::{Expiry, Pan};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the reader gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPresent {
    /// The magnetic stripe, or its image on the chip.
    pub track2: Track2,
    /// Chip data.
    pub emv: Option<Emv>,
    /// The PIN.
    pub pin: Option<OfferedPin>,
}

/// Track 2: card number, expiry and what the issuer keeps behind them; at most 37 characters.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Track2(String);

impl Track2 {
    /// Digits with one `=` (or `D`, as chips write it) behind the card number. `None` for anything else.
    pub fn parse(text: &str) -> Option<Track2> {
        let track = Track2(text.replace('D', "="));
        let (number, rest) = track.0.split_once('=')?;
        let is_long = text.len() <= 37 && rest.len() >= 7;
        let fits = is_long && rest.bytes().all(|b| b.is_ascii_digit()) && Pan::parse(number).is_ok();
        (fits && track.expiry().is_some()).then_some(track)
    }

    /// The card number.
    pub fn pan(&self) -> Option<Pan> {
        Pan::parse(self.0.split_once('=')?.0).ok()
    }

    /// The month of expiry.
    pub fn expiry(&self) -> Option<Expiry> {
        let digits = self.0.split_once('=')?.1.get(..4)?;
        let (year, month) = digits.split_at_checked(2)?;
        Expiry::new(2000 + year.parse::<u16>().ok()?, month.parse().ok()?).ok()
    }

    /// The characters in clear, for the message to the bank alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Track2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Track2(***)")
    }
}

/// Chip data as it came from the terminal, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Emv(String);

impl Emv {
    /// One to 255 bytes in hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Emv> {
        let fits = (2..=510).contains(&text.len()) && text.len().is_multiple_of(2);
        (fits && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Emv(text.to_ascii_uppercase()))
    }

    /// The digits, for the message to the bank alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Emv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emv(***)")
    }
}

/// A PIN block under a merchant's key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct OfferedPin {
    /// ISO 9564 format: 0, 1, 3 or 4.
    pub format: u8,
    /// The enciphered block.
    pub block: Vec<u8>,
    /// The key it lies under.
    pub key: PinKeyName,
}

/// Which of a merchant's keys.
#[derive(Clone, Debug, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub enum PinKeyName {
    /// One that does not change, by the name it was agreed under.
    Static(String),
    /// One of its own for each transaction, by its key serial number (ANSI X9.24-3): 10 bytes for TDES, 12 for AES.
    Dukpt(Vec<u8>),
}

impl OfferedPin {
    /// `None` where format, block and serial number do not fit each other.
    pub fn new(format: u8, block: Vec<u8>, key: PinKeyName) -> Option<OfferedPin> {
        let length = if format == 4 { 16 } else { 8 };
        let serial_fits = match &key {
            PinKeyName::Static(name) => (1..=64).contains(&name.len()),
            PinKeyName::Dukpt(serial) => serial.len() == 12 || (serial.len() == 10 && format != 4),
        };
        let fits = matches!(format, 0 | 1 | 3 | 4) && block.len() == length && serial_fits;
        fits.then_some(OfferedPin { format, block, key })
    }
}

impl fmt::Debug for OfferedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfferedPin(format {}, ***)", self.format)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn track_2_tells_number_and_expiry() {
        for text in ["4111111111111111=30122010000012345678", "4111111111111111D3012201"] {
            let track = Track2::parse(text).unwrap();
            assert_eq!(track.pan().unwrap().last4(), "1111");
            assert_eq!(track.expiry().unwrap().yymm(), "3012");
            assert!(track.reveal().contains('=') && !format!("{track:?}").contains("4111"));
        }
        let long = format!("4111111111111111=3012201{}", "0".repeat(30));
        for wrong in
            ["", "4111111111111111", "411=3012201", "4111111111111111=3013201", "4111111111111111=30x2201", &long]
        {
            assert_eq!(Track2::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn block_format_and_serial_number_fit_each_other() {
        let dukpt = |length| PinKeyName::Dukpt(vec![7; length]);
        assert!(OfferedPin::new(0, vec![0; 8], dukpt(10)).is_some());
        assert!(OfferedPin::new(4, vec![0; 16], dukpt(12)).is_some());
        for (format, block, serial) in [(2, 8, 10), (0, 16, 10), (4, 8, 12), (4, 16, 10), (3, 8, 9)] {
            assert!(OfferedPin::new(format, vec![0; block], dukpt(serial)).is_none());
        }
        let pin = OfferedPin::new(0, vec![0xAB; 8], PinKeyName::Static("till".to_owned())).unwrap();
        assert_eq!(format!("{pin:?}"), "OfferedPin(format 0, ***)");
    }

    #[test]
    fn chip_data_are_whole_bytes() {
        assert_eq!(Emv::parse("9f2608a1b2").unwrap().reveal(), "9F2608A1B2");
        assert!(Emv::parse("9f2").is_none() && Emv::parse("").is_none() && Emv::parse("zz").is_none());
    }
}
