//! What a bank's control port says, as tables for people.

use crate::cli::columns::{aligned, cell};
use serde_json::Value;

/// Columns in the order in which people look for them; others follow by name.
const COLUMNS: [&str; 21] = [
    "sequence",
    "link",
    "name",
    "account",
    "at",
    "business_date",
    "rrn",
    "stan",
    "mti",
    "kind",
    "currency",
    "amount",
    "approved",
    "net",
    "held",
    "available",
    "response_code",
    "peer",
    "direction",
    "applied",
    "length",
];

/// Objects as rows under their keys, an object as a key a line.
pub(super) fn of(answer: &Value) -> String {
    match answer {
        Value::Array(rows) => rows_of(rows),
        Value::Object(members) => {
            let mut text = String::new();
            for (key, value) in members {
                match value {
                    Value::Array(rows) if rows.iter().any(Value::is_object) => {
                        text.push_str(&format!("{key}:\n{}", indented(&rows_of(rows))));
                    }
                    Value::Object(_) => text.push_str(&format!("{key}:\n{}", indented(&of(value)))),
                    _ => text.push_str(&format!("{key}: {}\n", cell(value))),
                }
            }
            text
        }
        other => format!("{}\n", cell(other)),
    }
}

fn rows_of(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else { return "none\n".to_owned() };
    let mut keys: Vec<&String> = first.keys().collect();
    keys.sort_by_key(|key| COLUMNS.iter().position(|column| column == key).unwrap_or(COLUMNS.len()));
    let cells = |row: &Value| keys.iter().map(|key| cell(&row[key.as_str()])).collect();
    aligned(keys.iter().map(|key| (*key).clone()).collect(), rows.iter().map(cells).collect())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_stand_under_their_keys() {
        let links = json!([{"link": 1, "peer": null}, {"link": 12, "peer": "127.0.0.1:5"}]);
        assert_eq!(of(&links), "link  peer\n1     -\n12    127.0.0.1:5\n");
        assert_eq!(of(&json!([])), "none\n");
        let state = json!({"day": "2026-11-22", "counters": {"received": 3}, "rules": [{"name": "a"}]});
        assert_eq!(of(&state), "counters:\n  received: 3\nday: 2026-11-22\nrules:\n  name\n  a\n");
    }
}
