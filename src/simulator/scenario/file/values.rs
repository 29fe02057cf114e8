//! Values behind the keys of a scenario file: amounts, counts, times, numbers of cards.
//!
//! Each is read once and is either a value or a noted mistake with its line.

use toml::Spanned;

use crate::iso8583::Mti;
use crate::payment::{Currency, Pan};

use super::super::super::mistake::Examined;
use super::super::super::profile::minute_of_day;

pub(super) fn each<T>(
    examined: &mut Examined<'_>,
    values: &[Spanned<String>],
    key: String,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    values.iter().filter_map(|value| examined.parsed(value, key.clone(), expected, |text| parse(text))).collect()
}

pub(super) fn minor(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<i64> {
    let value = value.as_ref()?;
    examined.parsed(value, key, "minor units, 0 to 999999999999", |minor| {
        (0..=999_999_999_999).contains(minor).then_some(*minor)
    })
}

pub(super) fn count(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<u64> {
    number(examined, value, key, 1..=u64::from(u32::MAX))
}

pub(super) fn number(
    examined: &mut Examined<'_>,
    value: &Option<Spanned<i64>>,
    key: String,
    within: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let expected = format!("a number from {} to {}", within.start(), within.end());
    examined.parsed(value.as_ref()?, key, &expected, |number| {
        u64::try_from(*number).ok().filter(|number| within.contains(number))
    })
}

pub(super) fn percent(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<u8> {
    number(examined, value, key, 1..=99).and_then(|percent| u8::try_from(percent).ok())
}

/// A time of day as minutes after midnight.
pub(super) fn minute(examined: &mut Examined<'_>, value: &Option<Spanned<String>>, key: String) -> Option<u32> {
    examined.parsed(value.as_ref()?, key, "a time of day, 00:00 to 23:59", |text| minute_of_day(text))
}

pub(super) fn currency(examined: &mut Examined<'_>, value: &Option<Spanned<String>>, key: String) -> Option<Currency> {
    examined.parsed(value.as_ref()?, key, "an ISO 4217 code such as \"EUR\"", |code| Currency::from_code(code))
}

pub(super) fn pan(text: &str) -> Option<Pan> {
    Pan::parse(text).ok().filter(Pan::luhn_valid)
}

pub(super) fn number_of(text: &str) -> Option<String> {
    pan(text).map(|pan| pan.reveal().to_owned())
}

pub(super) fn prefix(text: &str) -> Option<String> {
    let good = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.to_owned())
}

pub(super) fn first_type(text: &str) -> Option<Mti> {
    text.parse::<Mti>().ok().filter(|mti| !mti.is_repeat())
}

pub(super) fn response_code(text: &str) -> Option<String> {
    let good = (2..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| text.to_owned())
}
