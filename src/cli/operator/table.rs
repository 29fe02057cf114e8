//! What the switch said, as a table for people.

use crate::cli::columns::{aligned, cell};
use crate::control::Command;
use serde_json::Value;
use std::fmt::Write;

/// The text for what came of a command.
pub(super) fn of(command: &Command, result: &Value) -> String {
    match command {
        Command::Hosts => hosts(result),
        Command::Queues { .. } => queues(result),
        Command::Parked => parked(result),
        Command::Audit { .. } => table(
            &["when", "who", "what", "why"],
            rows(result, "audit", |order| fields(order, &["at", "who", "command", "why"])),
            "no orders were given yet",
        ),
        Command::LinkEcho { link } => format!("link {link}: the bank answered after {} ms\n", cell(&result["took_ms"])),
        Command::Release { payment, obligation } => {
            format!("obligation {obligation} of {payment} is owed again; `isthmus operator queues` follows it\n")
        }
        Command::Expire { payment, obligation } => {
            format!("obligation {obligation} of {payment} is yours to settle with the bank\n")
        }
        Command::Drain => "the switch stops: it finishes what is in flight and signs off\n".to_owned(),
        _ if result["unchanged"] == true => "it was so already\n".to_owned(),
        _ => "done; `isthmus operator hosts` shows how it goes on\n".to_owned(),
    }
}

fn hosts(result: &Value) -> String {
    let head = ["host", "mode", "business day", "pending", "owed", "oldest owed", "most tries", "links"];
    table(&head, rows(result, "hosts", host), "there are no hosts")
}

fn host(host: &Value) -> Vec<String> {
    let links = list(&host["links"]).iter().map(|link| format!("{} {}", cell(&link["link"]), cell(&link["state"])));
    let day = match host["open_days"].as_u64() {
        Some(0) | None => cell(&host["business_date"]),
        Some(open) => format!("{} (+{open} open)", cell(&host["business_date"])),
    };
    let owed = match host["owed_rests_seconds"].as_u64() {
        Some(seconds) => format!("{} (rests {seconds} s)", cell(&host["owed"])),
        None => cell(&host["owed"]),
    };
    let links = links.collect::<Vec<_>>().join(", ");
    let mut cells = fields(host, &["host", "mode"]);
    cells.extend([day, cell(&host["pending"]), owed]);
    cells.extend(fields(host, &["owed_since", "owed_attempts"]));
    cells.push(links);
    cells
}

fn queues(result: &Value) -> String {
    let head = ["host", "payment", "no.", "what", "type", "day", "since", "tries", "next in"];
    let keys = ["host", "payment", "obligation", "kind", "mti", "business_date", "since", "attempts"];
    let line = |owed: &Value| {
        let due = owed["due_in_seconds"].as_f64().map_or_else(|| "-".to_owned(), |due| format!("{due:.0} s"));
        fields(owed, &keys).into_iter().chain([due]).collect()
    };
    let mut text = table(&head, rows(result, "owed", line), "nothing is owed");
    if let Some(more) = result["more"].as_u64().filter(|more| *more > 0) {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

fn parked(result: &Value) -> String {
    let head = ["payment", "no.", "why", "code", "host", "what", "amount", "day", "reference", "since"];
    let line = |item: &Value| {
        let amount = format!("{} {}", cell(&item["amount"]), cell(&item["currency"]));
        let mut cells = fields(item, &["payment", "obligation", "why", "response_code", "host", "kind"]);
        cells.push(amount);
        cells.extend(fields(item, &["business_date", "reference", "since"]));
        cells
    };
    table(&head, rows(result, "parked", line), "nothing waits for a person")
}

fn rows(result: &Value, key: &str, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list(&result[key]).iter().map(row).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn fields(value: &Value, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| cell(&value[key])).collect()
}

/// A sentence where there are no rows.
fn table(head: &[&str], rows: Vec<Vec<String>>, none: &str) -> String {
    match rows.is_empty() {
        true => format!("{none}\n"),
        false => aligned(head.iter().map(|title| (*title).to_owned()).collect(), rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_emptiness_is_said() {
        let result = json!({ "audit": [
            { "at": "2026-11-22T12:00:00.000Z", "who": "root as ada", "command": "host down north", "why": "line work" },
        ]});
        let shown = of(&Command::Audit { limit: 1 }, &result);
        assert_eq!(shown.lines().count(), 2);
        let column = |line: Option<&str>, word: &str| line.and_then(|line| line.find(word));
        assert_eq!(column(shown.lines().next(), "what"), column(shown.lines().nth(1), "host down"));
        assert_eq!(of(&Command::Parked, &json!({ "parked": [] })), "nothing waits for a person\n");
    }

    #[test]
    fn a_host_shows_its_days_and_rests() {
        let result = json!({ "hosts": [{
            "host": "north", "mode": "up", "business_date": "2026-11-23", "open_days": 1, "pending": 2, "owed": 7,
            "owed_since": null, "owed_attempts": 3, "owed_rests_seconds": 9,
            "links": [{ "link": 0, "state": "online" }, { "link": 1, "state": "down" }],
        }]});
        let shown = of(&Command::Hosts, &result);
        for part in ["2026-11-23 (+1 open)", "7 (rests 9 s)", "0 online, 1 down"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}
