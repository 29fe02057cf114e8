//! A personal identification number in clear (ISO 9564-1: 4 to 12 digits).
//!
//! It exists here only because this key service is software; in an HSM it never leaves the device. It prints as
//! nothing, has no way out of this module but another PIN block, and is wiped when dropped.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A PIN.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pin {
    digits: [u8; 12],
    length: u8,
}

impl Pin {
    /// From decimal digits as text, as a cardholder types them. `None` where they are not 4 to 12 digits.
    pub fn parse(text: &str) -> Option<Pin> {
        Pin::from_digits(text.bytes().map(|byte| byte.wrapping_sub(b'0')))
    }

    /// From the values of its digits. `None` where they are not 4 to 12 digits.
    pub(super) fn from_digits(values: impl Iterator<Item = u8>) -> Option<Pin> {
        let mut pin = Pin { digits: [0; 12], length: 0 };
        for value in values {
            *pin.digits.get_mut(usize::from(pin.length)).filter(|_| value <= 9)? = value;
            pin.length += 1;
        }
        (pin.length >= 4).then_some(pin)
    }

    /// The values of its digits.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }

    /// Whether two PINs are the same, as an issuer compares them.
    pub fn is_same(&self, other: &Pin) -> bool {
        use subtle::ConstantTimeEq;
        (self.length.ct_eq(&other.length) & self.digits.ct_eq(&other.digits)).into()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn has_four_to_twelve_digits() {
        for wrong in ["", "123", "1234567890123", "12a4", "12 4", "１２３４"] {
            assert!(Pin::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(Pin::parse("0123").unwrap().digits(), [0, 1, 2, 3]);
        assert!(Pin::parse("123456789012").is_some());
    }

    #[test]
    fn does_not_print() {
        assert_eq!(format!("{:?}", Pin::parse("1234").unwrap()), "Pin(***)");
    }

    #[test]
    fn is_the_same_in_length_and_digits() {
        let pin = |text| Pin::parse(text).unwrap();
        assert!(pin("1234").is_same(&pin("1234")));
        assert!(!pin("1234").is_same(&pin("1235")));
        assert!(!pin("1234").is_same(&pin("12340")), "a trailing zero counts");
    }
}
