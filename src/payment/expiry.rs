//! The month in which a card expires; valid to its last day.

use super::CardError;
use std::fmt;

/// Year and month of expiry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    year: u16,
    month: u8,
}

impl Expiry {
    /// A month 1 to 12 of a year 2000 to 2099; [`CardError::Expiry`] otherwise.
    pub fn new(year: u16, month: u8) -> Result<Expiry, CardError> {
        match (year, month) {
            (2000..=2099, 1..=12) => Ok(Expiry { year, month }),
            _ => Err(CardError::Expiry),
        }
    }

    /// Reads the four digits YYMM of data element 14.
    pub fn from_yymm(text: &str) -> Result<Expiry, CardError> {
        let number: u16 = match text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse().map_err(|_| CardError::Expiry)?,
            false => return Err(CardError::Expiry),
        };
        Expiry::new(2000 + number / 100, (number % 100) as u8)
    }

    /// The four digits YYMM of data element 14.
    pub fn yymm(self) -> String {
        format!("{:02}{:02}", self.year % 100, self.month)
    }

    /// Full year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// Month, 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }
}

/// An expiry is cardholder data once it stands beside a number: it prints masked.
impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expiry(**/**)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn yymm_goes_both_ways() {
        let expiry = Expiry::new(2031, 4).unwrap();
        assert_eq!(expiry.yymm(), "3104");
        assert_eq!(Expiry::from_yymm("3104"), Ok(expiry));
        for wrong in ["3113", "3100", "310", "31 4", "+104"] {
            assert_eq!(Expiry::from_yymm(wrong), Err(CardError::Expiry), "{wrong}");
        }
    }
}
