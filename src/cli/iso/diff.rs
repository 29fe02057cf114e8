//! `isthmus iso diff`: what two messages have different.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::failure::{Failure, print_json};
use super::{dialect, input};
use crate::iso8583::describe::{Row, rows};
use crate::iso8583::{Message, Spec};

/// Compare two messages of a dialect, element by element and part by part.
///
/// Each is given in hexadecimal or as a file. Exit code 0 where they are the same, 1 where they differ.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  isthmus iso diff --spec iso8583-1987-ascii request.hex response.hex")]
pub(super) struct Diff {
    /// A built-in dialect, or a dialect file
    #[arg(long, value_name = "NAME_OR_FILE")]
    spec: String,
    /// The first message: hexadecimal digits, or a file
    left: String,
    /// The second message
    right: String,
    /// Show card numbers and other secrets
    #[arg(long)]
    unmasked: bool,
    /// Print JSON, an object a line for each difference
    #[arg(long)]
    json: bool,
}

/// A path with its two values; one of them may be missing.
struct Difference {
    path: String,
    title: String,
    left: Option<String>,
    right: Option<String>,
}

impl Diff {
    pub(super) fn run(self) -> Result<(), Failure> {
        let spec = dialect::find(&self.spec)?;
        let left = read(&spec, &self.left)?;
        let right = read(&spec, &self.right)?;
        let differences = self.compare(&left, &right);
        let mut out = io::stdout().lock();
        for difference in &differences {
            self.print(difference, &mut out)?;
        }
        match differences.is_empty() {
            true => Ok(()),
            false => Err(Failure::Told(Vec::new())),
        }
    }

    fn compare(&self, left: &Message, right: &Message) -> Vec<Difference> {
        let mut differences = Vec::new();
        if left.mti() != right.mti() {
            differences.push(Difference {
                path: "mti".to_owned(),
                title: "Message type".to_owned(),
                left: Some(left.mti().to_string()),
                right: Some(right.mti().to_string()),
            });
        }
        // Compared in clear and shown masked: two card numbers may differ in their middle.
        let (left_clear, right_clear) = (rows(left, true), rows(right, true));
        let mut right_rows: BTreeMap<String, (Row, String)> = BTreeMap::new();
        for (row, clear) in rows(right, self.unmasked).into_iter().zip(right_clear) {
            right_rows.insert(row.path.clone(), (row, clear.value));
        }
        for (row, clear) in rows(left, self.unmasked).into_iter().zip(left_clear) {
            match right_rows.remove(&row.path) {
                Some((_, other)) if other == clear.value => {}
                Some((other, _)) => differences.push(difference(row, Some(other.value))),
                None => differences.push(difference(row, None)),
            }
        }
        let rest = rows(right, self.unmasked).into_iter().filter(|row| right_rows.contains_key(&row.path));
        differences.extend(rest.map(|row| Difference {
            path: row.path,
            title: row.title,
            left: None,
            right: Some(row.value),
        }));
        differences
    }

    fn print(&self, difference: &Difference, out: &mut impl Write) -> Result<(), Failure> {
        let Difference { path, title, left, right } = difference;
        if self.json {
            return print_json(out, &json!({ "path": path, "title": title, "left": left, "right": right }));
        }
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(out, "{path:<10} {title:<44} {}  |  {}", shown(left), shown(right))?;
        Ok(())
    }
}

fn difference(left: Row, right: Option<String>) -> Difference {
    Difference { path: left.path, title: left.title, left: Some(left.value), right }
}

/// A message from hexadecimal digits or from a file of that name.
fn read(spec: &std::sync::Arc<Spec>, given: &str) -> Result<Message, Failure> {
    let bytes = match std::path::Path::new(given).exists() {
        true => input::from_file(given)?,
        false => input::from_hex(given)?,
    };
    Ok(spec.decode(bytes)?)
}
