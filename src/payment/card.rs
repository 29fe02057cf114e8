//! A payment card as the cardholder gives it: number (PAN, ISO/IEC 7812-1), expiry and card verification code.
//!
//! The number and the code are secrets: they print masked, compare without early exit where that matters, and are
//! wiped when dropped. The surprise: equality of two [`Pan`]s is meant for matching a bank's echo, not for look-ups.

use super::{CardPresent, Cryptogram, Expiry};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A card as used by one payment. The code, where there is one, lives only as long as the request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The card number.
    pub pan: Pan,
    /// Month of expiry, as embossed.
    pub expiry: Expiry,
    /// CVC2/CVV2/CID; absent for stored credentials, never stored after authorisation (PCI DSS 3.3.1).
    pub cvc: Option<Cvc>,
    /// What 3-D Secure proves an authentication by; as short-lived as the code.
    pub cryptogram: Option<Cryptogram>,
    /// What a reader gave of it, where it was there; lives as long as the code does.
    pub present: Option<Box<CardPresent>>,
}

impl Card {
    /// The same card without its verification code, its cryptogram and what a reader gave: what may be kept.
    pub fn without_cvc(&self) -> Card {
        Card { pan: self.pan.clone(), expiry: self.expiry, cvc: None, cryptogram: None, present: None }
    }
}

/// A primary account number: 12 to 19 digits.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pan {
    digits: [u8; 19],
    length: u8,
}

/// Why a card value was refused. Carries no digit of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not 12 to 19 characters long.
    #[error("a card number has 12 to 19 digits")]
    Length,
    /// Something other than a decimal digit.
    #[error("a card number has digits only")]
    NotDigits,
    /// Not three or four digits.
    #[error("a card verification code has 3 or 4 digits")]
    Cvc,
    /// Month outside 1 to 12 or year outside 2000 to 2099.
    #[error("an expiry has a month from 1 to 12 and a year from 2000 to 2099")]
    Expiry,
}

impl Pan {
    /// Parses digits without separators. [`CardError::Length`] or [`CardError::NotDigits`] otherwise.
    pub fn parse(text: &str) -> Result<Pan, CardError> {
        let bytes = text.as_bytes();
        if !(12..=19).contains(&bytes.len()) {
            return Err(CardError::Length);
        }
        if !bytes.iter().all(u8::is_ascii_digit) {
            return Err(CardError::NotDigits);
        }
        let mut digits = [0; 19];
        digits[..bytes.len()].copy_from_slice(bytes);
        Ok(Pan { digits, length: bytes.len() as u8 })
    }

    /// The digits in clear, for a wire or a sealing key; never for a log.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("a Pan holds ASCII digits")
    }

    /// The first six digits, which may be shown (PCI DSS 3.4.1).
    pub fn first6(&self) -> &str {
        &self.reveal()[..6]
    }

    /// The last four digits, which may be shown.
    pub fn last4(&self) -> &str {
        &self.reveal()[usize::from(self.length) - 4..]
    }

    /// Whether the check digit is right (ISO/IEC 7812-1 annex B).
    pub fn luhn_valid(&self) -> bool {
        let sum: u32 = self.as_bytes().iter().rev().enumerate().map(|(place, digit)| luhn_term(place, *digit)).sum();
        sum.is_multiple_of(10)
    }

    /// The scheme the number belongs to, by its leading digits.
    pub fn brand(&self) -> Brand {
        Brand::of(self)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }
}

fn luhn_term(place: usize, digit: u8) -> u32 {
    let value = u32::from(digit - b'0');
    match place % 2 {
        0 => value,
        _ if value > 4 => value * 2 - 9,
        _ => value * 2,
    }
}

impl PartialEq for Pan {
    fn eq(&self, other: &Pan) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Pan {}

impl fmt::Display for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.first6(), "*".repeat(usize::from(self.length) - 10), self.last4())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({self})")
    }
}

/// A card verification code, three or four digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Cvc {
    digits: [u8; 4],
    length: u8,
}

impl Cvc {
    /// Parses three or four digits; [`CardError::Cvc`] otherwise.
    pub fn parse(text: &str) -> Result<Cvc, CardError> {
        let bytes = text.as_bytes();
        if !(3..=4).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(CardError::Cvc);
        }
        let mut digits = [0; 4];
        digits[..bytes.len()].copy_from_slice(bytes);
        Ok(Cvc { digits, length: bytes.len() as u8 })
    }

    /// The digits in clear, for the message to the bank alone.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).expect("a Cvc holds ASCII digits")
    }
}

impl fmt::Debug for Cvc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cvc(***)")
    }
}

/// A card scheme, told from the issuer identification number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Brand {
    Visa,
    Mastercard,
    Maestro,
    Amex,
    Discover,
    Diners,
    Jcb,
    UnionPay,
    Unknown,
}

/// Ranges of the first four digits, the first match wins. Public ranges only; a bank's own BIN table belongs to routing.
const BRAND_RANGES: &[(u16, u16, Brand)] = &[
    (3000, 3059, Brand::Diners),
    (3400, 3499, Brand::Amex),
    (3528, 3589, Brand::Jcb),
    (3600, 3699, Brand::Diners),
    (3700, 3799, Brand::Amex),
    (3800, 3999, Brand::Diners),
    (4000, 4999, Brand::Visa),
    (5018, 5018, Brand::Maestro),
    (5020, 5020, Brand::Maestro),
    (5038, 5038, Brand::Maestro),
    (5100, 5599, Brand::Mastercard),
    (2221, 2720, Brand::Mastercard),
    (6011, 6011, Brand::Discover),
    (6200, 6299, Brand::UnionPay),
    (6304, 6304, Brand::Maestro),
    (6440, 6599, Brand::Discover),
    (6700, 6799, Brand::Maestro),
    (8100, 8199, Brand::UnionPay),
];

impl Brand {
    fn of(pan: &Pan) -> Brand {
        let lead: u16 = pan.reveal()[..4].parse().expect("four digits");
        let row = BRAND_RANGES.iter().find(|(from, to, _)| (*from..=*to).contains(&lead));
        row.map_or(Brand::Unknown, |(_, _, brand)| *brand)
    }

    const ALL: [Brand; 9] = [
        Brand::Visa,
        Brand::Mastercard,
        Brand::Maestro,
        Brand::Amex,
        Brand::Discover,
        Brand::Diners,
        Brand::Jcb,
        Brand::UnionPay,
        Brand::Unknown,
    ];

    /// By lower-case name.
    pub fn from_name(name: &str) -> Option<Brand> {
        Brand::ALL.into_iter().find(|brand| brand.name() == name)
    }

    /// The lower-case name used in the API and in records.
    pub fn name(self) -> &'static str {
        match self {
            Brand::Visa => "visa",
            Brand::Mastercard => "mastercard",
            Brand::Maestro => "maestro",
            Brand::Amex => "amex",
            Brand::Discover => "discover",
            Brand::Diners => "diners",
            Brand::Jcb => "jcb",
            Brand::UnionPay => "unionpay",
            Brand::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_card_number_shows_first_six_and_last_four_only() {
        let pan = Pan::parse("4111111111111111").unwrap();
        assert_eq!(pan.to_string(), "411111******1111");
        assert_eq!(format!("{pan:?}"), "Pan(411111******1111)");
        let short = Pan::parse("501800000009").unwrap();
        assert_eq!(short.to_string(), "501800**0009");
    }

    #[test]
    fn the_check_digit_is_checked() {
        for good in ["4111111111111111", "5555555555554444", "378282246310005", "6212345678901265"] {
            assert!(Pan::parse(good).unwrap().luhn_valid(), "{good}");
        }
        assert!(!Pan::parse("4111111111111112").unwrap().luhn_valid());
    }

    #[test]
    fn other_things_are_no_card_numbers() {
        assert_eq!(Pan::parse("41111111111"), Err(CardError::Length));
        assert_eq!(Pan::parse("41111111111111111111"), Err(CardError::Length));
        assert_eq!(Pan::parse("4111 1111 1111 1111"), Err(CardError::NotDigits));
        assert_eq!(Pan::parse("٤١١١١١"), Err(CardError::NotDigits));
    }

    #[test]
    fn brands_follow_the_leading_digits() {
        let brand = |digits: &str| Pan::parse(digits).unwrap().brand();
        assert_eq!(brand("4111111111111111"), Brand::Visa);
        assert_eq!(brand("5555555555554444"), Brand::Mastercard);
        assert_eq!(brand("2223000048400011"), Brand::Mastercard);
        assert_eq!(brand("6200000000000005"), Brand::UnionPay);
        assert_eq!(brand("9999999999999995"), Brand::Unknown);
    }

    #[test]
    fn a_verification_code_never_prints() {
        assert_eq!(format!("{:?}", Cvc::parse("123").unwrap()), "Cvc(***)");
        assert_eq!(Cvc::parse("12"), Err(CardError::Cvc));
        assert_eq!(Cvc::parse("12a"), Err(CardError::Cvc));
    }
}
