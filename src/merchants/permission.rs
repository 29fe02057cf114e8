//! What a merchant, or one of its API keys, may ask for.

use crate::payment::{Amount, OperationKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What can be permitted: to look, or one kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reading payments.
    Read,
    /// Holding money.
    Authorisation,
    /// Taking money at once.
    Sale,
    /// Taking what was held.
    Capture,
    /// Undoing.
    Void,
    /// Giving money back.
    Refund,
    /// Asking whether a card is good.
    Verification,
    /// Asking what is on an account.
    BalanceInquiry,
}

impl From<OperationKind> for Scope {
    fn from(kind: OperationKind) -> Scope {
        match kind {
            OperationKind::Authorisation => Scope::Authorisation,
            OperationKind::Sale => Scope::Sale,
            OperationKind::Capture => Scope::Capture,
            OperationKind::Void => Scope::Void,
            OperationKind::Refund => Scope::Refund,
            OperationKind::Verification => Scope::Verification,
            OperationKind::BalanceInquiry => Scope::BalanceInquiry,
        }
    }
}

/// A set of scopes; absent, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Scopes(pub Option<BTreeSet<Scope>>);

impl Scopes {
    /// Whether it is one of them.
    pub fn hold(&self, scope: Scope) -> bool {
        self.0.as_ref().is_none_or(|scopes| scopes.contains(&scope))
    }
}

/// The greatest amount of one operation by currency code, in minor units; currencies that are not named are not taken.
/// Absent: any amount of any currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Ceilings(pub Option<BTreeMap<String, u64>>);

/// Why an amount is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Its currency is not taken at all.
    Currency,
    /// It is too much.
    Amount,
}

impl Ceilings {
    /// Whether an amount is taken.
    pub fn check(&self, amount: Amount) -> Result<(), Beyond> {
        let Some(ceilings) = &self.0 else { return Ok(()) };
        match ceilings.get(amount.currency().code()) {
            None => Err(Beyond::Currency),
            Some(most) if amount.minor() > *most => Err(Beyond::Amount),
            Some(_) => Ok(()),
        }
    }

    /// The first code that is no currency.
    pub(super) fn mistake(&self) -> Option<&str> {
        let codes = self.0.iter().flat_map(BTreeMap::keys);
        codes.map(String::as_str).find(|code| crate::payment::Currency::from_code(code).is_none())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::Currency;

    #[test]
    fn what_is_absent_permits_everything() {
        let amount = Amount::new(1_000_000, Currency::from_code("JPY").unwrap()).unwrap();
        assert!(Scopes::default().hold(Scope::Refund) && Ceilings::default().check(amount).is_ok());
        let none = Scopes(Some(BTreeSet::new()));
        assert!(!none.hold(Scope::Read));
    }

    #[test]
    fn a_ceiling_is_of_one_currency_and_may_be_reached() {
        let ceilings = Ceilings(Some(BTreeMap::from([("EUR".to_owned(), 500)])));
        let amount = |minor, code| Amount::new(minor, Currency::from_code(code).unwrap()).unwrap();
        assert_eq!(ceilings.check(amount(500, "EUR")), Ok(()));
        assert_eq!(ceilings.check(amount(501, "EUR")), Err(Beyond::Amount));
        assert_eq!(ceilings.check(amount(1, "USD")), Err(Beyond::Currency));
        assert_eq!(ceilings.mistake(), None);
        assert_eq!(Ceilings(Some(BTreeMap::from([("EURO".to_owned(), 1)]))).mistake(), Some("EURO"));
    }
}
