//! Reading values out of TOML with their place, so that every mistake can be told where it stands.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Layer;
use crate::iso8583::error::SpecError;

/// A value in a dialect file, and where it stands.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) layer: &'a Layer,
    pub(super) key: String,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    pub(super) fn fault(&self, expected: impl Into<String>) -> SpecError {
        fault(self.layer, self.value.span().start, &self.key, expected)
    }

    pub(super) fn text(&self, expected: &str) -> Result<&'a str, SpecError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.fault(expected)),
        }
    }

    /// Whether it is this text.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self.value.get_ref(), DeValue::String(text) if text == word)
    }

    pub(super) fn number(&self, expected: &str) -> Result<u32, SpecError> {
        match self.value.get_ref() {
            DeValue::Integer(number) => {
                u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| self.fault(expected))
            }
            _ => Err(self.fault(expected)),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, SpecError> {
        match self.value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.fault("true or false")),
        }
    }

    /// One of some words, each standing for a value.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, SpecError> {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let expected = words.join(" or ");
        let text = self.text(&expected)?;
        choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| self.fault(expected))
    }

    /// The entries of a table.
    pub(super) fn table(&self, expected: &str) -> Result<Vec<(&'a str, Entry<'a>)>, SpecError> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(entries(self.layer, &self.key, table)),
            _ => Err(self.fault(expected)),
        }
    }

    /// The entries of an array, their keys counted from 1 as parts are.
    pub(super) fn array(&self, expected: &str) -> Result<Vec<Entry<'a>>, SpecError> {
        match self.value.get_ref() {
            DeValue::Array(values) => Ok(values
                .iter()
                .enumerate()
                .map(|(place, value)| Entry { layer: self.layer, key: format!("{}.{}", self.key, place + 1), value })
                .collect()),
            _ => Err(self.fault(expected)),
        }
    }
}

/// The document of a layer.
pub(super) fn parse(layer: &Layer) -> Result<DeTable<'_>, SpecError> {
    match DeTable::parse(&layer.text) {
        Ok(table) => Ok(table.into_inner()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            Err(fault(layer, at, "toml", error.message()))
        }
    }
}

/// The entries of a table that stands under `prefix`.
pub(super) fn entries<'a>(layer: &'a Layer, prefix: &str, table: &'a DeTable<'a>) -> Vec<(&'a str, Entry<'a>)> {
    table
        .iter()
        .map(|(key, value)| {
            let key: &'a str = key.get_ref();
            let path = match prefix {
                "" => key.to_owned(),
                _ => format!("{prefix}.{key}"),
            };
            let entry = Entry { layer, key: path, value };
            (key, entry)
        })
        .collect()
}

/// What a layer extends, with the error to tell where there is no such dialect.
pub(super) fn extends(layer: &Layer) -> Result<Option<(String, SpecError)>, Vec<SpecError>> {
    let document = parse(layer).map_err(|error| vec![error])?;
    let found = entries(layer, "", &document).into_iter().find(|(key, _)| *key == "extends");
    let Some((_, entry)) = found else {
        return Ok(None);
    };
    let expected = format!("one of {}", super::names().join(", "));
    let base = entry.text(&expected).map_err(|error| vec![error])?;
    Ok(Some((base.to_owned(), entry.fault(expected))))
}

fn fault(layer: &Layer, at: usize, key: &str, expected: impl Into<String>) -> SpecError {
    let before = layer.text.as_bytes().get(..at).unwrap_or_default();
    SpecError {
        origin: layer.origin.to_string(),
        line: 1 + before.iter().filter(|b| **b == b'\n').count(),
        key: key.to_owned(),
        expected: expected.into(),
    }
}
