//! What a merchant, or one of its API keys, may ask for.

use crate::payment::{Amount, OperationKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// What can be permitted: to look, to keep cards, or one kind of operation, each by its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Scope {
    /// Reading payments and tokens.
    Read,
    /// Making and deleting tokens. Paying by one is the operation's own.
    Tokens,
    /// Asking for operations of this kind.
    Of(OperationKind),
}

/// What a text that is no scope is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected read, tokens or an operation ({})", OperationKind::ALL.map(OperationKind::name).join(", "))]
pub struct NotAScope;

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(name: &str) -> Result<Scope, NotAScope> {
        match name {
            "read" => Ok(Scope::Read),
            "tokens" => Ok(Scope::Tokens),
            name => OperationKind::from_name(name).map(Scope::Of).ok_or(NotAScope),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NotAScope;

    fn try_from(name: String) -> Result<Scope, NotAScope> {
        name.parse()
    }
}

impl From<Scope> for &'static str {
    fn from(scope: Scope) -> &'static str {
        match scope {
            Scope::Read => "read",
            Scope::Tokens => "tokens",
            Scope::Of(kind) => kind.name(),
        }
    }
}

impl From<OperationKind> for Scope {
    fn from(kind: OperationKind) -> Scope {
        Scope::Of(kind)
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
        assert!(Scopes::default().hold(OperationKind::Refund.into()) && Ceilings::default().check(amount).is_ok());
        let none = Scopes(Some(BTreeSet::new()));
        assert!(!none.hold(Scope::Read));
    }

    #[test]
    fn a_scope_is_read_by_the_name_it_is_written_by() {
        for kind in OperationKind::ALL {
            assert_eq!(kind.name().parse(), Ok(Scope::Of(kind)));
            assert_eq!(<&str>::from(Scope::from(kind)), kind.name());
        }
        for scope in [Scope::Read, Scope::Tokens] {
            assert_eq!(<&str>::from(scope).parse(), Ok(scope));
        }
        let told = serde_json::from_str::<Scopes>(r#"["read", "steal"]"#).unwrap_err().to_string();
        assert!(told.contains("balance_inquiry"), "{told}");
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
