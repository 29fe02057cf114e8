//! Values of the environment that replace values of the file.

use super::mistake::Mistake;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::{Table, Value};

const PREFIX: &str = "ISTHMUS_";

/// Reads a text under the variables that name a table and a key (`ISTHMUS_EDGE__LISTEN`). Without any, mistakes are
/// told with their line.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<T, Mistake> {
    let plain = toml::from_str(text).map_err(|error| Mistake::in_text(path, text, &error));
    let replaced: Vec<_> = variables.filter_map(|(name, value)| Some((keys(&name)?, name, value))).collect();
    if replaced.is_empty() {
        return plain;
    }
    let mut table: Table = toml::from_str(text).map_err(|error| Mistake::in_text(path, text, &error))?;
    for (keys, name, value) in replaced {
        replace(&mut table, &keys, &value).map_err(|expected| Mistake::in_file(path, &name, &expected))?;
    }
    table
        .try_into()
        .map_err(|error: toml::de::Error| Mistake::in_file(path, "with the variables ISTHMUS_...", error.message()))
}

/// `ISTHMUS_EDGE__LISTEN` is `edge.listen`; a name without a table is not ours to read.
fn keys(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.contains("__").then(|| rest.split("__").map(str::to_ascii_lowercase).collect())
}

fn replace(table: &mut Table, keys: &[String], value: &str) -> Result<(), String> {
    let (last, tables) = keys.split_last().ok_or("a key behind ISTHMUS_")?;
    let mut inner = table;
    for key in tables {
        let entry = inner.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| format!("{key} to be a table"))?;
    }
    inner.insert(last.clone(), literal(value));
    Ok(())
}

/// A value as TOML would write it; anything else is text.
fn literal(value: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        edge: Edge,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Edge {
        listen: String,
        credit: u32,
    }

    fn sample(text: &str, variables: &[(&str, &str)]) -> Result<Sample, Mistake> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(Path::new("isthmus.toml"), text, variables)
    }

    const TEXT: &str = "[edge]\nlisten = \"a:1\"\ncredit = 5\n";

    #[test]
    fn a_variable_replaces_a_value() {
        let read = sample(TEXT, &[("ISTHMUS_EDGE__CREDIT", "9"), ("ISTHMUS_EDGE__LISTEN", "b:2"), ("OTHER", "x")]);
        assert_eq!(read.unwrap().edge, Edge { listen: "b:2".to_owned(), credit: 9 });
    }

    #[test]
    fn mistakes_name_file_line_and_key() {
        let mistake = sample("[edge]\nlisten = \"a:1\"\ncredit = \"many\"\n", &[]).unwrap_err();
        assert_eq!((mistake.line, mistake.key.as_str()), (3, "edge.credit"));
        let mistake = sample(TEXT, &[("ISTHMUS_EDGE__CREDITS", "9")]).unwrap_err();
        assert!(mistake.to_string().contains("ISTHMUS_"), "{mistake}");
    }

    #[test]
    fn names_without_a_table_are_left_alone() {
        assert_eq!(sample(TEXT, &[("ISTHMUS_SEEDS", "300")]).unwrap().edge.credit, 5);
    }
}
