//! The conditions of a route: each names the values it admits, an empty one admits all.

use super::hours::Hours;
use super::{Case, Instrument};
use crate::payment::{Brand, Currency, MerchantId, OperationKind};

/// Digits of a card number that a BIN range can tell apart: every card number has as many.
const BIN_DIGITS: usize = 12;

/// All of them have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conditions {
    /// Sorted, and apart from each other.
    pub bins: Vec<BinRange>,
    pub brands: Vec<Brand>,
    pub instruments: Vec<Instrument>,
    pub operations: Vec<OperationKind>,
    pub currencies: Vec<Currency>,
    pub merchants: Vec<MerchantId>,
    /// In minor units of the one currency.
    pub amounts: Option<(u64, u64)>,
    pub hours: Option<Hours>,
}

impl Conditions {
    pub(super) fn hold(&self, case: &Case<'_>) -> bool {
        let lead = BinRange::lead(case.pan.reveal());
        (self.bins.is_empty() || self.bins.iter().any(|range| range.holds(lead)))
            && admits(&self.brands, &case.brand())
            && admits(&self.instruments, &case.instrument)
            && admits(&self.operations, &case.operation)
            && admits(&self.currencies, &case.amount.currency())
            && admits(&self.merchants, case.merchant)
            && self.amounts.is_none_or(|(least, most)| (least..=most).contains(&case.amount.minor()))
            && self.hours.as_ref().is_none_or(|hours| hours.hold(case.at))
    }

    /// Whether whatever meets `other` meets these too.
    pub(super) fn cover(&self, other: &Conditions) -> bool {
        self.covers_bins(other)
            && covers(&self.brands, &other.brands)
            && covers(&self.instruments, &other.instruments)
            && covers(&self.operations, &other.operations)
            && covers(&self.currencies, &other.currencies)
            && covers(&self.merchants, &other.merchants)
            && self.covers_amounts(other)
            && self.covers_hours(other)
    }

    fn covers_bins(&self, other: &Conditions) -> bool {
        let merged = merged(&self.bins);
        let inside = |range: &BinRange| merged.iter().any(|outer| outer.contains(range));
        self.bins.is_empty() || (!other.bins.is_empty() && other.bins.iter().all(inside))
    }

    fn covers_amounts(&self, other: &Conditions) -> bool {
        match (self.amounts, other.amounts) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((least, most)), Some(inner)) => least <= inner.0 && inner.1 <= most,
        }
    }

    fn covers_hours(&self, other: &Conditions) -> bool {
        match (&self.hours, &other.hours) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => outer.cover(inner),
        }
    }

    /// A range that crosses one of `other`, neither lying inside the other, where all else is the same: which of the
    /// two routes was meant for the common part cannot be told.
    pub(super) fn crosses(&self, other: &Conditions) -> bool {
        let all_else = Conditions { bins: other.bins.clone(), ..self.clone() };
        let crossing = |a: &BinRange| other.bins.iter().any(|b| a.meets(b) && !a.contains(b) && !b.contains(a));
        all_else == *other && self.bins.iter().any(crossing)
    }
}

fn admits<T: PartialEq>(admitted: &[T], value: &T) -> bool {
    admitted.is_empty() || admitted.contains(value)
}

fn covers<T: PartialEq>(outer: &[T], inner: &[T]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|value| outer.contains(value)))
}

/// Card numbers by their leading digits, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BinRange {
    first: u64,
    last: u64,
}

impl BinRange {
    /// `411111`, or `400000-419999` with as many digits on both sides; up to twelve digits.
    pub(super) fn parse(text: &str) -> Option<BinRange> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && (1..=BIN_DIGITS).contains(&text.len());
        if low.len() != high.len() || !digits(low) || !digits(high) {
            return None;
        }
        let filled = |text: &str, with: char| -> Option<u64> {
            let padding: String = std::iter::repeat_n(with, BIN_DIGITS - text.len()).collect();
            format!("{text}{padding}").parse().ok()
        };
        let range = BinRange { first: filled(low, '0')?, last: filled(high, '9')? };
        (range.first <= range.last).then_some(range)
    }

    /// The leading digits of a card number, as ranges count them.
    fn lead(digits: &str) -> u64 {
        digits.get(..BIN_DIGITS).and_then(|lead| lead.parse().ok()).expect("a card number has twelve digits and more")
    }

    fn holds(&self, lead: u64) -> bool {
        (self.first..=self.last).contains(&lead)
    }

    fn contains(&self, other: &BinRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(super) fn meets(&self, other: &BinRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Neighbours made one. The ranges are sorted.
fn merged(ranges: &[BinRange]) -> Vec<BinRange> {
    let mut merged: Vec<BinRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(before) if before.last + 1 >= range.first => before.last = before.last.max(range.last),
            _ => merged.push(*range),
        }
    }
    merged
}
