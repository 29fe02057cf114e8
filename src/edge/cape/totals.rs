//! What happened in a reconciliation period, and whether the acceptor counted the same (`caaa.009` and `010`).
//!
//! A period is a name that the acceptor gives (`RcncltnId`): what was asked under it counts in it, by the same
//! initiating party and, where one is named, at the same point of interaction. Counted is what moved money, and what
//! was refused or failed; that something was only held is neither. What surprises: a period is never closed here. What
//! comes later under its name counts too, and asking again tells more.

use super::answer::tag;
use super::form::Form;
use super::question::{Question, minor_units};
use crate::edge::problem::{Code, Problem};
use crate::payment::{Amount, Currency, OperationKind};
use crate::transaction::{Operation, OperationState, Payment};
use crate::xml::Element;
use std::collections::BTreeMap;

/// What is counted together (TypeTransactionTotals).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Debit,
    DebitReversal,
    Credit,
    CreditReversal,
    Declined,
    Failed,
}

impl Kind {
    const ALL: [(Kind, &'static str); 6] = [
        (Kind::Debit, "DEBT"),
        (Kind::DebitReversal, "DBTR"),
        (Kind::Credit, "CRDT"),
        (Kind::CreditReversal, "CRDR"),
        (Kind::Declined, "DECL"),
        (Kind::Failed, "FAIL"),
    ];

    fn code(self) -> &'static str {
        Kind::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, code)| code)
    }

    /// An acceptor that leaves out what moved nothing has still counted right.
    fn moves_money(self) -> bool {
        !matches!(self, Kind::Declined | Kind::Failed)
    }
}

/// How many, and how much in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    minor: u64,
}

/// What counts by brand, currency and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    sums: BTreeMap<(&'static str, Currency, Kind), Sum>,
    /// Whether the outcome of something is not known yet, so that it counts nowhere.
    pub open: bool,
}

/// A total as the acceptor says it. What it does not say is not told apart.
#[derive(Debug)]
struct Claim {
    brand: Option<String>,
    currency: Option<Currency>,
    kind: Kind,
    count: u64,
    amount: String,
}

impl Totals {
    /// Counts what a question asks for among the payments of its period.
    pub fn count(question: &Question, payments: &[Payment]) -> Totals {
        let mut totals = Totals::default();
        for payment in payments {
            let terminal = question.terminal().is_none_or(|terminal| payment.origin.acceptor.terminal == terminal);
            let asked = |operation: &&Operation| {
                let from = operation.provenance.as_deref();
                let is = |said: Option<&String>, wanted: Option<&str>| said.map(String::as_str) == wanted;
                from.is_some_and(|from| {
                    is(from.period.as_ref(), question.period())
                        && is(from.initiator.as_ref(), Some(question.initiator()))
                })
            };
            payment.operations.iter().filter(|_| terminal).filter(asked).for_each(|it| totals.add(payment, it));
        }
        totals
    }

    fn add(&mut self, payment: &Payment, operation: &Operation) {
        use OperationKind::{Capture, Refund, Sale, Void};
        let done = operation.approved.unwrap_or(operation.amount);
        let (kind, amount) = match (operation.state, operation.kind) {
            (OperationState::Pending, _) => return self.open = true,
            (OperationState::Declined, _) => (Kind::Declined, operation.amount),
            (OperationState::Approved, Sale | Capture) => (Kind::Debit, done),
            (OperationState::Approved, Refund) => (Kind::Credit, done),
            (OperationState::Approved, Void) => match taken_back(payment) {
                Some(amount) => (Kind::DebitReversal, amount),
                None => return,
            },
            (OperationState::Approved, _) => return,
            _ => (Kind::Failed, operation.amount),
        };
        let sum = self.sums.entry((payment.origin.card.brand.name(), amount.currency(), kind)).or_default();
        (sum.count, sum.minor) = (sum.count + 1, sum.minor.saturating_add(amount.minor()));
    }

    /// Whether the acceptor says the same, where it says anything.
    pub fn agree_with(&self, claimed: &Claimed) -> bool {
        let counted = |(known, _): (&(&'static str, Currency, Kind), &Sum)| {
            !known.2.moves_money() || claimed.0.iter().any(|claim| claim.covers(known))
        };
        claimed.0.is_empty() || (claimed.0.iter().all(|claim| claim.holds(self)) && self.sums.iter().all(counted))
    }

    /// As the elements of a response.
    pub fn write(&self) -> String {
        let each = self.sums.iter().map(|((brand, currency, kind), sum)| {
            let parts = [
                tag("CardBrnd", brand),
                tag("Ccy", currency.code()),
                tag("Tp", kind.code()),
                tag("TtlNb", &sum.count.to_string()),
                tag("CmltvAmt", &decimal(sum.minor, currency.exponent())),
            ];
            tag("TxTtls", &parts.concat())
        });
        each.collect()
    }
}

/// What a void took back of what had moved; nothing where all was only held.
fn taken_back(payment: &Payment) -> Option<Amount> {
    let first = payment.first();
    let moved = match first.kind {
        OperationKind::Sale => first.approved.unwrap_or(first.amount),
        _ => payment.capture_claims(),
    };
    (moved.minor() > 0).then_some(moved)
}

/// A sum with its decimal point; it may be more than an amount can say.
fn decimal(minor: u64, exponent: u16) -> String {
    let digits = format!("{minor:0>width$}", width = usize::from(exponent) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(exponent));
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

/// All that the acceptor says.
#[derive(Debug)]
pub(super) struct Claimed(Vec<Claim>);

impl Claimed {
    /// Reads the totals of a request.
    pub fn read(form: &'static Form, root: &Element) -> Result<Claimed, Problem> {
        let found = root.all().into_iter().filter(|element| element.name == "TxTtls");
        found.map(|element| Claim::read(form, element)).collect::<Result<_, _>>().map(Claimed)
    }
}

impl Claim {
    fn read(form: &'static Form, element: &Element) -> Result<Claim, Problem> {
        let at = |code, name: &str| form.at(code, &format!("Body/Tx/TxTtls/{name}"));
        let mut texts = BTreeMap::new();
        for child in &element.children {
            let known = ["CardBrnd", "Ccy", "Tp", "TtlNb", "CmltvAmt"]
                .into_iter()
                .find(|name| child.is(&element.namespace, name));
            let name = known.ok_or_else(|| form.at(Code::FieldUnknown, "Body/Tx/TxTtls"))?;
            if texts.insert(name, child.text.trim()).is_some() {
                return Err(at(Code::FieldDuplicate, name));
            }
        }
        let needed = |name| texts.get(name).copied().ok_or_else(|| at(Code::FieldMissing, name));
        let kind = Kind::ALL.into_iter().find(|(_, code)| texts.get("Tp") == Some(code)).map(|(kind, _)| kind);
        needed("Tp")?;
        let currency = texts.get("Ccy").map(|code| Currency::from_code(code));
        let currency = currency.map(|known| known.ok_or_else(|| at(Code::CurrencyUnknown, "Ccy"))).transpose()?;
        let count = needed("TtlNb")?;
        let is_count = (1..=18).contains(&count.len()) && count.bytes().all(|b| b.is_ascii_digit());
        let count = count.parse().ok().filter(|_| is_count).ok_or_else(|| at(Code::FieldType, "TtlNb"))?;
        let amount = needed("CmltvAmt")?.to_owned();
        minor_units(&amount, currency.map_or(5, Currency::exponent)).ok_or_else(|| at(Code::FieldType, "CmltvAmt"))?;
        Ok(Claim {
            brand: texts.get("CardBrnd").map(|brand| brand.to_ascii_lowercase()),
            currency,
            kind: kind.ok_or_else(|| at(Code::ValueUnsupported, "Tp"))?,
            count,
            amount,
        })
    }

    fn covers(&self, (brand, currency, kind): &(&'static str, Currency, Kind)) -> bool {
        let brand = self.brand.as_deref().is_none_or(|said| said == *brand);
        brand && self.currency.is_none_or(|said| said == *currency) && self.kind == *kind
    }

    /// Whether it is what counts in its place. Amounts of several currencies have no sum.
    fn holds(&self, totals: &Totals) -> bool {
        let covered: Vec<_> = totals.sums.iter().filter(|(known, _)| self.covers(known)).collect();
        let count: u64 = covered.iter().map(|(_, sum)| sum.count).sum();
        let minor = covered.iter().fold(0_u64, |minor, (_, sum)| minor.saturating_add(sum.minor));
        let currency = self.currency.or_else(|| covered.first().map(|((_, currency, _), _)| *currency));
        let one_currency = covered.iter().all(|((_, other, _), _)| Some(*other) == currency);
        let claimed = minor_units(&self.amount, currency.map_or(5, Currency::exponent));
        one_currency && count == self.count && claimed == Some(minor)
    }
}
