//! `isthmus iso specs`: the built-in dialects, or one dialect as a table.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::dialect;
use super::failure::{Failure, print_json};
use crate::iso8583::{Element, Encoding, Length, PrefixEncoding, Sensitivity, Side, Spec, SpecRow, Unit, dialects};

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
            (Some(name), false) => table(dialect::find(name)?.as_ref(), &mut out),
            (Some(name), true) => print_json(&mut out, &object(dialect::find(name)?.as_ref())),
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

fn object(spec: &Spec) -> Value {
    let elements: Vec<_> = spec.table().iter().map(row).collect();
    json!({ "name": spec.name(), "title": spec.title(), "elements": elements })
}

fn row(row: &SpecRow<'_>) -> Value {
    let element = row.element;
    let (min, max) = match element.length() {
        Length::Fixed(length) => (length, length),
        Length::Variable { min, max, .. } | Length::Rest { min, max } => (min, max),
    };
    let odd = element.odd_filling();
    json!({
        "path": row.path,
        "name": element.name(),
        "title": element.title(),
        "format": element.format(),
        "written": element.written(),
        "class": element.class().notation(),
        "encoding": encoding(element.encoding()),
        "charset": element.charset().name(),
        "min": min,
        "max": max,
        "length": prefix(element),
        "odd": format!("{} {:X}", if odd.side == Side::Left { "lead" } else { "trail" }, odd.filler),
        "divided": element.is_divided(),
        "sensitive": element.sensitivity() != Sensitivity::Open,
    })
}

fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Text => "text",
        Encoding::Bcd => "bcd",
        Encoding::Raw => "raw",
        Encoding::Hex => "hex",
    }
}

/// How the length prefix is written, or null where there is none.
fn prefix(element: &Element) -> Value {
    let Length::Variable { prefix, .. } = element.length() else {
        return Value::Null;
    };
    let written = match prefix.encoding {
        PrefixEncoding::Text(charset) => charset.name(),
        PrefixEncoding::Bcd => "bcd",
        PrefixEncoding::Binary => "binary",
        PrefixEncoding::Ber => "ber",
    };
    let counts = if element.unit() == Unit::Bytes { "bytes" } else { "characters" };
    json!({ "written": written, "width": prefix.width, "counts": counts })
}
