//! `isthmus bank ledger` and `isthmus bank cards`.

use std::io::{self, BufWriter, Write};

use crate::simulator::{Config, EntryLine, read_ledger};

/// Prints the ledger's entries after one of them.
pub(super) fn print(config: &Config, json: bool, after: u64) -> Result<(), String> {
    if !config.ledger.exists() {
        return Err(format!("{}: there is no ledger; the bank hasn't run yet", config.ledger.display()));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if !json {
        let _ = writeln!(
            out,
            "{:>7}  {:10}  {:12}  {:6}  {:4}  {:13} {:>14} {:>14} {:>14} {:3}  {:>4}",
            "#", "day", "reference", "stan", "mti", "kind", "amount", "net", "held", "", "code"
        );
    }
    // A reader that went away wants no more of it; that is no failure.
    let mut wanted = true;
    let read = read_ledger(&config.ledger, after, |entry| {
        let line = EntryLine::of(&entry);
        let line = if json { serde_json::to_string(&line).unwrap_or_default() } else { row(&line) };
        wanted = wanted && writeln!(out, "{line}").is_ok();
    });
    let _ = out.flush();
    read.map_err(|error| error.to_string())
}

fn row(entry: &EntryLine) -> String {
    format!(
        "{:>7}  {}  {:12}  {:6}  {}  {:13} {:>14} {:>14} {:>14} {:3}  {:>4}",
        entry.sequence,
        entry.business_date,
        entry.rrn,
        entry.stan,
        entry.mti,
        entry.kind,
        entry.amount,
        entry.net,
        entry.held,
        entry.currency.unwrap_or("-"),
        entry.response_code,
    )
}

/// Prints the cards that the bank knows.
pub(super) fn print_cards(config: &Config, markdown: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let cards = config.scenario.cards.iter().map(|card| (card.number.reveal().to_owned(), &card.about));
    let ranges = config.scenario.ranges.iter().map(|range| (format!("{}...", range.prefix), &range.about));
    if markdown {
        writeln!(out, "| card | what it does |\n| --- | --- |")?;
    }
    for (number, about) in cards.chain(ranges) {
        match markdown {
            true => writeln!(out, "| `{number}` | {about} |")?,
            false => writeln!(out, "{number:19}  {about}")?,
        }
    }
    out.flush()
}
