//! Money: an integer count of minor units with an ISO 4217 currency. Never a float, never without its currency.

use std::fmt;

/// An ISO 4217 currency that has a minor unit (fund and metal codes have none and are refused).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u16);

impl Currency {
    /// By alphabetic code, upper case ("EUR").
    pub fn from_code(code: &str) -> Option<Currency> {
        iso_currency::Currency::from_code(code).and_then(Currency::usable)
    }

    /// By numeric code (978), as data element 49 carries it.
    pub fn from_numeric(numeric: u16) -> Option<Currency> {
        iso_currency::Currency::from_numeric(numeric).and_then(Currency::usable)
    }

    fn usable(currency: iso_currency::Currency) -> Option<Currency> {
        currency.exponent().map(|_| Currency(currency.numeric()))
    }

    /// The numeric code, 1 to 999.
    pub fn numeric(self) -> u16 {
        self.0
    }

    /// The alphabetic code.
    pub fn code(self) -> &'static str {
        self.entry().code()
    }

    /// How many decimal places the minor unit stands behind (2 for EUR, 0 for JPY, 3 for KWD).
    pub fn exponent(self) -> u16 {
        self.entry().exponent().expect("checked where the currency was made")
    }

    fn entry(self) -> iso_currency::Currency {
        iso_currency::Currency::from_numeric(self.0).expect("checked where the currency was made")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of money, zero or more minor units, at most twelve digits (data element 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    minor: u64,
    currency: Currency,
}

/// Why an amount was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// More than twelve digits of minor units.
    #[error("an amount has at most 12 digits of minor units")]
    TooLarge,
    /// Two amounts of different currencies met.
    #[error("the amounts have different currencies")]
    Currency,
    /// The result would be below zero.
    #[error("the amount would be below zero")]
    Negative,
}

impl Amount {
    /// The largest amount that data element 4 can carry.
    pub const MAX_MINOR: u64 = 999_999_999_999;

    /// `minor` units of `currency`; [`AmountError::TooLarge`] above twelve digits.
    pub fn new(minor: u64, currency: Currency) -> Result<Amount, AmountError> {
        match minor {
            0..=Self::MAX_MINOR => Ok(Amount { minor, currency }),
            _ => Err(AmountError::TooLarge),
        }
    }

    /// Nothing of a currency.
    pub fn zero(currency: Currency) -> Amount {
        Amount { minor: 0, currency }
    }

    /// The count of minor units.
    pub fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The sum; refused across currencies and above twelve digits.
    pub fn plus(self, other: Amount) -> Result<Amount, AmountError> {
        self.same_currency(other)?;
        Amount::new(self.minor + other.minor, self.currency)
    }

    /// The difference; refused across currencies and below zero.
    pub fn minus(self, other: Amount) -> Result<Amount, AmountError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(AmountError::Negative)?;
        Amount::new(minor, self.currency)
    }

    fn same_currency(self, other: Amount) -> Result<(), AmountError> {
        (self.currency == other.currency).then_some(()).ok_or(AmountError::Currency)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.currency.exponent());
        if places == 0 {
            return write!(f, "{} {}", self.minor, self.currency);
        }
        let unit = 10_u64.pow(u32::from(self.currency.exponent()));
        write!(f, "{}.{:0places$} {}", self.minor / unit, self.minor % unit, self.currency)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn eur(minor: u64) -> Amount {
        Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap()
    }

    #[test]
    fn amounts_print_by_their_currency() {
        assert_eq!(eur(1299).to_string(), "12.99 EUR");
        let yen = Currency::from_code("JPY").unwrap();
        assert_eq!(Amount::new(1299, yen).unwrap().to_string(), "1299 JPY");
        let dinar = Currency::from_numeric(414).unwrap();
        assert_eq!(Amount::new(1299, dinar).unwrap().to_string(), "1.299 KWD");
    }

    #[test]
    fn arithmetic_refuses_what_is_not_money() {
        let usd = Amount::zero(Currency::from_code("USD").unwrap());
        assert_eq!(eur(1).plus(usd), Err(AmountError::Currency));
        assert_eq!(eur(1).minus(eur(2)), Err(AmountError::Negative));
        assert_eq!(eur(Amount::MAX_MINOR).plus(eur(1)), Err(AmountError::TooLarge));
        assert_eq!(eur(5).plus(eur(6)), Ok(eur(11)));
    }

    #[test]
    fn unknown_currencies_are_refused() {
        assert_eq!(Currency::from_code("XYZ"), None);
        assert_eq!(Currency::from_code("eur"), None);
        assert_eq!(Currency::from_code("XAU"), None, "gold has no minor unit");
    }
}
