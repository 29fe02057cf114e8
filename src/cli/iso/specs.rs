//! `isthmus iso specs`: the built-in dialects, or one dialect as a table.

use std::io::{self, Write};

use serde_json::json;

use super::dialect;
use super::failure::{Failure, print_json};
use crate::iso8583::{Sensitivity, Spec, dialects};

/// Print the built-in dialects, one name a line; or one dialect as a table of its elements.
#[derive(Debug, clap::Args)]
pub(super) struct Specs {
    /// A built-in dialect or a dialect file, to print as a table
    #[arg(value_name = "NAME_OR_FILE")]
    spec: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Specs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match (&self.spec, self.json) {
            (None, false) => {
                for name in dialects::names() {
                    writeln!(out, "{name}")?;
                }
                Ok(())
            }
            (None, true) => print_json(&mut out, &dialects::names()),
            (Some(name), false) => table(&*dialect::find(name)?, &mut out),
            (Some(name), true) => print_json(&mut out, &object(&*dialect::find(name)?)),
        }
    }
}

fn table(spec: &Spec, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{}  {}", spec.name(), spec.title())?;
    for row in spec.table() {
        let path = format!("{}{}", "  ".repeat(row.depth), row.path);
        let shown = match row.element.sensitivity() {
            Sensitivity::Open => "",
            Sensitivity::Pan => "first 6, last 4",
            Sensitivity::Hidden => "hidden",
        };
        let line = format!(
            "{path:<12} {:<18} {:<34} {:<44} {shown}",
            row.element.format(),
            row.element.written(),
            row.element.title(),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn object(spec: &Spec) -> serde_json::Value {
    let rows = spec.table();
    let elements: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "path": row.path,
                "name": row.element.name(),
                "title": row.element.title(),
                "format": row.element.format(),
                "written": row.element.written(),
                "sensitive": row.element.sensitivity() != Sensitivity::Open,
            })
        })
        .collect();
    json!({ "name": spec.name(), "title": spec.title(), "elements": elements })
}
