//! What is on an account, as a bank tells it (data element 54, additional amounts).
//!
//! The numbers of account and amount types are kept as they came: each network adds some of its own.

use super::{Amount, Currency};

/// One amount of data element 54.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Account type, two digits (00 is unspecified, 10 savings, 20 cheque, 30 credit).
    pub account_type: u8,
    /// Amount type, two digits.
    pub amount_type: u8,
    /// How much.
    pub amount: Amount,
    /// Whether it is below zero: the account owes it.
    pub is_negative: bool,
}

impl Balance {
    /// The name of its amount type in the API.
    pub fn kind(&self) -> &'static str {
        match self.amount_type {
            1 => "ledger",
            2 => "available",
            3 => "owed",
            4 => "due",
            _ => "other",
        }
    }

    /// Reads the amounts of data element 54: account type (2), amount type (2), numeric currency (3), in the 2003
    /// edition its decimals (1), C or D, twelve digits. An amount in another form is left out.
    pub fn read_all(element: &str) -> Vec<Balance> {
        let width = if element.len().is_multiple_of(20) { 20 } else { 21 };
        let whole = element.is_ascii() && element.len().is_multiple_of(width);
        let texts = (0..element.len() / width).filter_map(|place| element.get(place * width..(place + 1) * width));
        texts.filter(|_| whole).filter_map(Balance::read).collect()
    }

    /// Writes amounts as data element 54 holds them before the edition of 2003.
    pub fn write_all(balances: &[Balance]) -> String {
        let mut element = String::with_capacity(20 * balances.len());
        for Balance { account_type, amount_type, amount, is_negative } in balances {
            let (currency, sign) = (amount.currency().numeric(), if *is_negative { 'D' } else { 'C' });
            let text = format!("{account_type:02}{amount_type:02}{currency:03}{sign}{:012}", amount.minor());
            element.push_str(&text);
        }
        element
    }

    fn read(text: &str) -> Option<Balance> {
        let digits =
            |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        let currency = Currency::from_numeric(digits(4, 7)?.parse().ok()?)?;
        let sign = text.len() - 13;
        let is_negative = match text.get(sign..=sign)? {
            "C" => false,
            "D" => true,
            _ => return None,
        };
        Some(Balance {
            account_type: digits(0, 2)?.parse().ok()?,
            amount_type: digits(2, 4)?.parse().ok()?,
            amount: Amount::new(digits(sign + 1, text.len())?.parse().ok()?, currency).ok()?,
            is_negative,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_amounts_of_both_editions_are_read() {
        let read = Balance::read_all("0001978C0000001000000002978D000000002500");
        let told: Vec<_> = read.iter().map(|b| (b.kind(), b.amount.minor(), b.is_negative)).collect();
        assert_eq!(told, [("ledger", 100_000, false), ("available", 2_500, true)]);
        let later = Balance::read_all("10029782C000000002500");
        assert_eq!((later.len(), later[0].account_type, later[0].amount.minor()), (1, 10, 2_500));
    }

    #[test]
    fn what_is_no_balance_is_left_out() {
        for text in ["", "0001978", "0001978X000000100000", "0001000C000000100000", "0001978C00000010000é"] {
            assert_eq!(Balance::read_all(text), [], "{text}");
        }
        assert_eq!(Balance::read_all("xx01978C0000001000000002978C000000002500").len(), 1);
    }
}
