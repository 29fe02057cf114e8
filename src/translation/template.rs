//! What an element is made of: literal characters and `{values}` of the payment, with a format behind a colon.
//!
//! `"{transmission_time:MMDDhhmmss}"`, `"{name:25}{city:13}{country}"`, `"[42{eci:LL}][92{cvc:LL}]"`. A template with a
//! value that the payment does not have (no approval code) leaves its element out; a part in brackets leaves out itself
//! alone, and the element where all of its parts are left out.

use super::mapping::Mapping;
use crate::payment::{Acceptor, Card, MessageValues};
use jiff::civil::DateTime;
use std::iter::repeat_n;

/// Bytes that an element rarely outgrows: what holds it is seldom left behind unwiped for a larger one.
pub(super) const ROOM: usize = 256;

/// What templates are filled from.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub values: &'a MessageValues,
    pub acceptor: &'a Acceptor,
    pub card: &'a Card,
    pub mapping: &'a Mapping,
    /// Of the kind of message that is written.
    pub function: Option<&'a str>,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Value, Format),
    /// Left out where one of its values is absent.
    Optional(Vec<Part>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Pan,
    ProcessingCode,
    FunctionCode,
    Amount,
    Currency,
    CurrencyCode,
    TransmissionTime,
    LocalTime,
    Stan,
    Rrn,
    Expiry,
    Cvc,
    Track2,
    Emv,
    CategoryCode,
    EntryMode,
    ConditionCode,
    Acquirer,
    ApprovalCode,
    Reason,
    Terminal,
    Acceptor,
    Name,
    City,
    Country,
    OriginalMti,
    OriginalStan,
    OriginalTime,
    OriginalAcquirer,
    BusinessDate,
    RemainingAmount,
    Eci,
    Authentication,
    Cryptogram,
    StoredCredential,
    NetworkReference,
    CustomerReference,
    Invoice,
    Tax,
}

/// Name in a dialect file, and the value.
const VALUES: &[(&str, Value)] = &[
    ("pan", Value::Pan),
    ("processing_code", Value::ProcessingCode),
    ("function_code", Value::FunctionCode),
    ("amount", Value::Amount),
    ("currency", Value::Currency),
    ("currency_code", Value::CurrencyCode),
    ("transmission_time", Value::TransmissionTime),
    ("local_time", Value::LocalTime),
    ("stan", Value::Stan),
    ("rrn", Value::Rrn),
    ("expiry", Value::Expiry),
    ("cvc", Value::Cvc),
    ("track2", Value::Track2),
    ("emv", Value::Emv),
    ("category_code", Value::CategoryCode),
    ("entry_mode", Value::EntryMode),
    ("condition_code", Value::ConditionCode),
    ("acquirer", Value::Acquirer),
    ("approval_code", Value::ApprovalCode),
    ("reason", Value::Reason),
    ("terminal", Value::Terminal),
    ("acceptor", Value::Acceptor),
    ("name", Value::Name),
    ("city", Value::City),
    ("country", Value::Country),
    ("original_mti", Value::OriginalMti),
    ("original_stan", Value::OriginalStan),
    ("original_time", Value::OriginalTime),
    ("original_acquirer", Value::OriginalAcquirer),
    ("business_date", Value::BusinessDate),
    ("remaining_amount", Value::RemainingAmount),
    ("eci", Value::Eci),
    ("authentication", Value::Authentication),
    ("cryptogram", Value::Cryptogram),
    ("stored_credential", Value::StoredCredential),
    ("network_reference", Value::NetworkReference),
    ("customer_reference", Value::CustomerReference),
    ("invoice", Value::Invoice),
    ("tax", Value::Tax),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    Plain,
    /// Exactly so many characters: text is cut or filled with spaces, digits are filled with zeros in front.
    Width(usize),
    /// A time, by its pattern.
    Time(String),
    /// The value behind its length in so many digits.
    Counted(usize),
}

impl Template {
    /// Reads a template; the error says what was expected.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once('[') {
            let (inside, tail) = tail.split_once(']').ok_or("a closing ] behind [")?;
            parts.extend(Template::without_brackets(before)?);
            parts.push(Part::Optional(Template::without_brackets(inside)?));
            rest = tail;
        }
        parts.extend(Template::without_brackets(rest)?);
        Ok(Template(parts))
    }

    fn without_brackets(text: &str) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (literal, tail) = rest.split_at(open);
            let close = tail.find('}').ok_or("a closing } behind {")?;
            push_literal(&mut parts, literal)?;
            parts.push(Part::parse(&tail[1..close])?);
            rest = &tail[close + 1..];
        }
        push_literal(&mut parts, rest)?;
        Ok(parts)
    }

    /// Writes the characters of the element into `text`, which is empty; `None` where a value is absent. The caller
    /// wipes it: it may hold a card number.
    pub(super) fn fill(&self, terms: &Terms<'_>, text: &mut String) -> Option<()> {
        self.0.iter().try_for_each(|part| part.write(terms, text))?;
        let only_optional = self.0.iter().all(|part| matches!(part, Part::Optional(_)));
        (!only_optional || !text.is_empty()).then_some(())
    }

    /// Takes an element apart as it would have been written: each value with its characters. `None` where it was written
    /// in another way. Zeros that stand for nothing of ours may be other digits: a peer may have something to say there.
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<Vec<(Value, &'t str)>> {
        let mut taken = Vec::new();
        let rest = read_all(&self.0, text, &mut taken)?;
        rest.trim_end().is_empty().then_some(taken)
    }

    /// Whether a value has its place in it.
    pub(super) fn holds(&self, wanted: Value) -> bool {
        fn any(parts: &[Part], wanted: Value) -> bool {
            parts.iter().any(|part| match part {
                Part::Value(value, _) => *value == wanted,
                Part::Optional(parts) => any(parts, wanted),
                Part::Literal(_) => false,
            })
        }
        any(&self.0, wanted)
    }

    /// The characters of a time, where it is all that the element holds.
    pub(super) fn time(&self, time: DateTime) -> Option<String> {
        let [Part::Value(_, format @ Format::Time(_))] = &self.0[..] else { return None };
        let mut out = String::new();
        put_time(&mut out, format, time);
        Some(out)
    }
}

fn read_all<'t>(parts: &[Part], mut rest: &'t str, taken: &mut Vec<(Value, &'t str)>) -> Option<&'t str> {
    for part in parts {
        rest = part.read(rest, taken)?;
    }
    Some(rest)
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) -> Result<(), String> {
    if literal.contains('}') {
        return Err("an opening { before }".to_owned());
    }
    if literal.contains(['[', ']']) {
        return Err("brackets in pairs, and none within another".to_owned());
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
    Ok(())
}

impl Part {
    fn parse(inside: &str) -> Result<Part, String> {
        let (name, format) = inside.split_once(':').unwrap_or((inside, ""));
        let value =
            VALUES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).ok_or_else(known_values)?;
        Ok(Part::Value(value, Format::parse(value, format)?))
    }

    fn write(&self, terms: &Terms<'_>, text: &mut String) -> Option<()> {
        match self {
            Part::Literal(literal) => text.push_str(literal),
            Part::Value(value, format) => value.write(format, terms, text)?,
            Part::Optional(parts) => {
                let before = text.len();
                if parts.iter().try_for_each(|part| part.write(terms, text)).is_none() {
                    text.truncate(before);
                }
            }
        }
        Some(())
    }
}

impl Part {
    /// What follows this part.
    fn read<'t>(&self, rest: &'t str, taken: &mut Vec<(Value, &'t str)>) -> Option<&'t str> {
        match self {
            Part::Literal(zeros) if zeros.bytes().all(|b| b == b'0') => {
                let (instead, rest) = rest.split_at_checked(zeros.len())?;
                instead.bytes().all(|b| b.is_ascii_digit()).then_some(rest)
            }
            Part::Literal(literal) => rest.strip_prefix(literal.as_str()),
            Part::Value(value, format) => {
                let (text, rest) = format.split(*value, rest)?;
                taken.push((*value, text));
                Some(rest)
            }
            Part::Optional(parts) => {
                let before = taken.len();
                let behind = read_all(parts, rest, taken);
                if behind.is_none() {
                    taken.truncate(before);
                }
                behind.or(Some(rest))
            }
        }
    }
}

fn known_values() -> String {
    let names: Vec<&str> = VALUES.iter().map(|(name, _)| *name).collect();
    format!("one of the values {}", names.join(", "))
}

impl Format {
    fn parse(value: Value, text: &str) -> Result<Format, String> {
        let is_time =
            matches!(value, Value::TransmissionTime | Value::LocalTime | Value::OriginalTime | Value::BusinessDate);
        match text {
            "" if is_time => Err("a pattern such as MMDDhhmmss behind the colon".to_owned()),
            "" => Ok(Format::Plain),
            pattern if is_time => Format::time(pattern),
            "L" | "LL" | "LLL" => Ok(Format::Counted(text.len())),
            width => match width.parse() {
                Ok(width @ 1..=999) => Ok(Format::Width(width)),
                _ => Err("a width from 1 to 999, or L, LL or LLL, behind the colon".to_owned()),
            },
        }
    }

    /// The characters of a value and what follows them; filling that was taken off the end of the element is not missed.
    fn split<'t>(&self, value: Value, rest: &'t str) -> Option<(&'t str, &'t str)> {
        match self {
            Format::Time(pattern) => rest.split_at_checked(pattern.len()),
            Format::Width(width) => rest.split_at_checked((*width).min(rest.len())),
            Format::Counted(digits) => {
                let (count, rest) = rest.split_at_checked(*digits)?;
                rest.split_at_checked(count.parse().ok()?)
            }
            Format::Plain => rest.split_at_checked(value.width().unwrap_or(rest.len())),
        }
    }

    fn time(pattern: &str) -> Result<Format, String> {
        let known = pattern.replace("YYYY", "").replace("YY", "").replace("MM", "").replace("DD", "");
        match known.replace("hh", "").replace("mm", "").replace("ss", "").is_empty() {
            true => Ok(Format::Time(pattern.to_owned())),
            false => Err("a pattern of YYYY, YY, MM, DD, hh, mm and ss".to_owned()),
        }
    }
}

impl Value {
    /// Characters that it always has; `None` where it is as long as its element.
    fn width(self) -> Option<usize> {
        match self {
            Value::Amount | Value::RemainingAmount | Value::Tax => Some(12),
            Value::ProcessingCode | Value::Stan | Value::OriginalStan => Some(6),
            Value::Expiry | Value::CategoryCode | Value::OriginalMti => Some(4),
            Value::Currency | Value::CurrencyCode => Some(3),
            Value::Country => Some(2),
            _ => None,
        }
    }

    fn write(self, format: &Format, terms: &Terms<'_>, out: &mut String) -> Option<()> {
        let values = terms.values;
        match self {
            Value::Pan => put(out, format, terms.card.pan.reveal(), ' '),
            Value::ProcessingCode => put_number(out, format, u64::from(values.processing_code), 6),
            Value::FunctionCode => put(out, format, terms.function?, ' '),
            Value::Amount => put_number(out, format, values.amount.minor(), 12),
            Value::Currency => put_number(out, format, u64::from(values.amount.currency().numeric()), 3),
            Value::CurrencyCode => put(out, format, values.amount.currency().code(), ' '),
            Value::TransmissionTime => put_time(out, format, values.transmitted_at.utc()),
            Value::LocalTime => put_time(out, format, values.local_time.utc()),
            Value::Stan => put_number(out, format, u64::from(values.stan.number()), 6),
            Value::Rrn => put(out, format, values.rrn.as_str(), ' '),
            Value::Expiry => put(out, format, &terms.card.expiry.yymm(), ' '),
            Value::Cvc => put(out, format, terms.card.cvc.as_ref()?.reveal(), ' '),
            Value::Track2 => put(out, format, terms.card.present.as_ref()?.track2.reveal(), ' '),
            Value::Emv => put(out, format, terms.card.present.as_ref()?.emv.as_ref()?.reveal(), ' '),
            Value::CategoryCode => put(out, format, &terms.acceptor.category_code, ' '),
            Value::EntryMode => put(out, format, terms.mapping.entry(values.entry)?.0, ' '),
            Value::ConditionCode => put(out, format, terms.mapping.entry(values.entry)?.1, ' '),
            Value::Acquirer => put(out, format, values.acquirer.as_str(), '0'),
            Value::ApprovalCode => put(out, format, values.approval_code.as_ref()?.as_str(), ' '),
            Value::Reason => put(out, format, terms.mapping.reason(values.reason?), ' '),
            Value::Terminal => put(out, format, &terms.acceptor.terminal, ' '),
            Value::Acceptor => put(out, format, &terms.acceptor.identification, ' '),
            Value::Name => put(out, format, &terms.acceptor.name, ' '),
            Value::City => put(out, format, &terms.acceptor.city, ' '),
            Value::Country => put(out, format, &terms.acceptor.country, ' '),
            Value::OriginalMti => put_number(out, format, u64::from(values.original?.mti), 4),
            Value::OriginalStan => put_number(out, format, u64::from(values.original?.stan.number()), 6),
            Value::OriginalTime => put_time(out, format, values.original?.transmitted_at.utc()),
            Value::BusinessDate => put_time(out, format, values.business_date?.midnight()),
            Value::RemainingAmount => put_number(out, format, values.remains?.minor(), 12),
            Value::Eci => put(out, format, values.consent.as_ref()?.eci.as_ref()?, ' '),
            Value::Authentication => put(out, format, values.consent.as_ref()?.authentication.as_ref()?, ' '),
            Value::Cryptogram => put(out, format, terms.card.cryptogram.as_ref()?.reveal(), ' '),
            Value::StoredCredential => {
                put(out, format, terms.mapping.stored_credential(values.consent.as_ref()?.stored?)?, ' ');
            }
            Value::CustomerReference => {
                put(out, format, values.purchase.as_ref()?.customer_reference.as_ref()?, ' ');
            }
            Value::Invoice => put(out, format, values.purchase.as_ref()?.invoice.as_ref()?, ' '),
            Value::Tax => put_number(out, format, values.purchase.as_ref()?.tax?.minor(), 12),
            Value::NetworkReference => put(out, format, values.consent.as_ref()?.network_reference.as_ref()?, ' '),
            Value::OriginalAcquirer => values.original.map(|_| put(out, format, values.acquirer.as_str(), '0'))?,
        }
        Some(())
    }
}

fn put(out: &mut String, format: &Format, text: &str, filler: char) {
    match format {
        Format::Width(width) if filler == '0' => {
            out.extend(repeat_n('0', width.saturating_sub(text.len())));
            out.push_str(text);
        }
        Format::Width(width) => {
            let end = text.char_indices().nth(*width).map_or(text.len(), |(at, _)| at);
            out.push_str(&text[..end]);
            out.extend(repeat_n(filler, width.saturating_sub(text.chars().count())));
        }
        Format::Counted(digits) => {
            put_digits(out, text.len() as u64, *digits);
            out.push_str(text);
        }
        Format::Plain | Format::Time(_) => out.push_str(text),
    }
}

fn put_number(out: &mut String, format: &Format, number: u64, digits: usize) {
    let width = if let Format::Width(width) = format { *width } else { digits };
    put_digits(out, number, width);
}

/// At least so many digits, with zeros in front.
fn put_digits(out: &mut String, number: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.extend(repeat_n('0', width.saturating_sub(digits.len())));
    out.push_str(digits);
}

fn put_time(out: &mut String, format: &Format, time: DateTime) {
    let Format::Time(pattern) = format else { return };
    let mut rest = pattern.as_str();
    while !rest.is_empty() {
        let (token, number) = match rest.as_bytes() {
            [b'Y', b'Y', b'Y', b'Y', ..] => (4, time.year()),
            [b'Y', ..] => (2, time.year() % 100),
            [b'M', ..] => (2, i16::from(time.month())),
            [b'D', ..] => (2, i16::from(time.day())),
            [b'h', ..] => (2, i16::from(time.hour())),
            [b'm', ..] => (2, i16::from(time.minute())),
            _ => (2, i16::from(time.second())),
        };
        put_digits(out, u64::from(number.unsigned_abs()), token);
        rest = rest.get(token..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::Wall;

    #[test]
    fn mistakes_say_what_was_expected() {
        let expected = |text| Template::parse(text).err().unwrap_or_default();
        assert!(expected("{pan").contains("closing"));
        assert!(expected("pan}").contains("opening"));
        assert!(expected("{nonsense}").contains("transmission_time"));
        assert!(expected("{transmission_time}").contains("MMDDhhmmss"));
        assert!(expected("{transmission_time:MMXX}").contains("YYYY"));
        assert!(expected("{name:0}").contains("width"));
        assert!(expected("[{pan}").contains("closing ]"));
        assert!(expected("{pan}]").contains("in pairs"));
        assert!(expected("[[{pan}]]").contains("in pairs"));
    }

    #[test]
    fn what_is_written_is_taken_apart_again() {
        let read = |template: &str, text: &'static str| Template::parse(template).unwrap().read(text);
        let texts =
            |template, text| read(template, text).map(|found| found.into_iter().map(|(_, text)| text).collect());
        let original = "{original_mti}{original_stan}{original_time:MMDDhhmmss}{original_acquirer:11}00000000000";
        let whole: Option<Vec<&str>> = texts(original, "020000012311221745000000012345600000999999");
        assert_eq!(whole.unwrap(), ["0200", "000123", "1122174500", "00000123456"]);
        assert_eq!(read(original, "0200000123"), None);
        let tags = "[11{customer_reference:LL}][42{eci:LL}][92{cvc:LL}]";
        assert_eq!(read(tags, "4202059203123"), Some(vec![(Value::Eci, "05"), (Value::Cvc, "123")]));
        for wrong in ["4203", "42", "920312", "4202059203123X", "92031234202"] {
            assert_eq!(read(tags, wrong), None, "{wrong}");
        }
        assert_eq!(read("{terminal:8}", "T1"), Some(vec![(Value::Terminal, "T1")]), "its filling was taken off");
        assert_eq!(read("{amount}", "00000000129"), None);
    }

    #[test]
    fn times_follow_their_pattern() {
        let mut out = String::new();
        put_time(&mut out, &Format::Time("YYMMDDhhmmss".to_owned()), Wall(1_798_761_599_000_000).utc());
        assert_eq!(out, "261231235959");
    }

    #[test]
    fn text_is_cut_and_filled_and_counted() {
        let mut out = String::new();
        put(&mut out, &Format::Width(5), "Zürich Oerlikon", ' ');
        put(&mut out, &Format::Width(5), "Ulm", ' ');
        put(&mut out, &Format::Width(5), "12", '0');
        put(&mut out, &Format::Counted(2), "123", ' ');
        assert_eq!(out, "ZüricUlm  0001203123");
    }
}
