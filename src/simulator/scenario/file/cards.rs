//! `[[card]]` and `[[range]]`: what the bank knows of a card, or of all that begin alike.

use serde::Deserialize;
use toml::Spanned;

use crate::payment::{Cvc, Expiry};
use crate::security::Pin;

use super::super::super::mistake::Examined;
use super::super::{CardRange, ListedCard, Status, Terms};
use super::Seen;
use super::values::{currency, minor, pan, prefix};

/// A table with keys of its own and the terms of a card. Not a table within a table: serde's `flatten`
/// would let unknown keys pass and lose the lines of wrong ones.
macro_rules! with_terms {
    ($(#[$doc:meta])* $name:ident { $($own:ident: $shape:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(in super::super::super) struct $name {
            $($own: $shape,)*
            about: String,
            balance_minor: Option<Spanned<i64>>,
            currency: Option<Spanned<String>>,
            expiry_yymm: Option<Spanned<String>>,
            cvc: Option<Spanned<String>>,
            pin: Option<Spanned<String>>,
            #[serde(default)]
            status: Status,
            limit_minor: Option<Spanned<i64>>,
        }

        impl $name {
            fn terms(&self, examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String) -> Terms {
                Terms {
                    balance: minor(examined, &self.balance_minor, at("balance_minor")).unwrap_or(0),
                    currency: currency(examined, &self.currency, at("currency")),
                    expiry: self.expiry_yymm.as_ref().and_then(|text| {
                        let expected = "four digits YYMM";
                        examined.parsed(text, at("expiry_yymm"), expected, |text| Expiry::from_yymm(text).ok())
                    }),
                    cvc: self.cvc.as_ref().and_then(|text| {
                        examined.parsed(text, at("cvc"), "three or four digits", |text| Cvc::parse(text).ok())
                    }),
                    pin: self.pin.as_ref().and_then(|text| {
                        examined.parsed(text, at("pin"), "4 to 12 digits", |text| Pin::parse(text))
                    }),
                    status: self.status,
                    limit: minor(examined, &self.limit_minor, at("limit_minor")),
                }
            }
        }
    };
}

with_terms! {
    /// A card by its number.
    CardTable {
        number: Spanned<String>,
        account: Option<Spanned<String>>,
    }
}

with_terms! {
    /// All cards that begin alike.
    RangeTable {
        prefix: Spanned<String>,
    }
}

pub(super) fn card(examined: &mut Examined<'_>, place: usize, table: CardTable, seen: &mut Seen) -> Option<ListedCard> {
    let at = |key: &str| format!("card[{place}].{key}");
    let number =
        examined.parsed(&table.number, at("number"), "12 to 19 digits with a good check digit", |text| pan(text))?;
    if !seen.numbers.insert(number.reveal().to_owned()) {
        examined.note(table.number.span(), at("number"), "a number that isn't listed above");
    }
    let named = table.account.as_ref().map(|account| account.get_ref().clone());
    let account = named.unwrap_or_else(|| format!("{}-{}", number.first6(), number.last4()));
    // Two cards may share an account when both say so; a shared first six and last four is an accident.
    if !seen.accounts.insert(account.clone()) && table.account.is_none() {
        examined.note(table.number.span(), at("account"), format!("a name, as {account} is taken"));
    }
    let terms = table.terms(examined, &at);
    Some(ListedCard { number, about: table.about, account, terms })
}

pub(super) fn range(examined: &mut Examined<'_>, place: usize, table: RangeTable) -> Option<CardRange> {
    let at = |key: &str| format!("range[{place}].{key}");
    let prefix = examined.parsed(&table.prefix, at("prefix"), "1 to 12 digits", |text| prefix(text))?;
    let terms = table.terms(examined, &at);
    Some(CardRange { prefix, about: table.about, terms })
}
