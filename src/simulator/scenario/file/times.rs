//! `[[outage]]` and `[[event]]`, and the keys that say when something holds.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::super::super::mistake::Examined;
use super::super::{Act, Down, Due, Event, Outage, Span};
use super::values::{minute, number};

/// The latest moment after the start that a scenario may name: four weeks.
const LONGEST_RUN_MS: u64 = 28 * 24 * 3_600_000;

/// How often the bank looks at the clock bounds how often something can happen by it.
const SHORTEST_PERIOD_MS: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super::super) struct OutageTable {
    about: String,
    from_ms: Option<Spanned<i64>>,
    to_ms: Option<Spanned<i64>>,
    day_from_utc: Option<Spanned<String>>,
    day_to_utc: Option<Spanned<String>>,
    links: Down,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super::super) struct EventTable {
    about: String,
    #[serde(rename = "do")]
    act: Spanned<Act>,
    at_ms: Option<Spanned<i64>>,
    every_ms: Option<Spanned<i64>>,
    daily_utc: Option<Spanned<String>>,
}

pub(super) fn outage(examined: &mut Examined<'_>, place: usize, table: OutageTable) -> Outage {
    let at = |key: &str| format!("outage[{place}].{key}");
    let span =
        SpanTable { from: &table.from_ms, to: &table.to_ms, day_from: &table.day_from_utc, day_to: &table.day_to_utc };
    Outage { about: table.about, span: span.read(examined, &at), links: table.links }
}

pub(super) fn event(examined: &mut Examined<'_>, place: usize, table: EventTable) -> Option<Event> {
    let at = |key: &str| format!("event[{place}].{key}");
    let moment = number(examined, &table.at_ms, at("at_ms"), 1..=LONGEST_RUN_MS);
    let period = number(examined, &table.every_ms, at("every_ms"), SHORTEST_PERIOD_MS..=LONGEST_RUN_MS);
    let daily = minute(examined, &table.daily_utc, at("daily_utc"));
    let all = [
        moment.map(|at| Due::At(Duration::from_millis(at))),
        period.map(|every| Due::Every(Duration::from_millis(every))),
        daily.map(Due::Daily),
    ];
    let said = [table.at_ms.is_some(), table.every_ms.is_some(), table.daily_utc.is_some()];
    if said.iter().filter(|said| **said).count() != 1 {
        examined.note(table.act.span(), at("do"), "one of at_ms, every_ms and daily_utc beside it");
        return None;
    }
    let due = all.into_iter().flatten().next()?;
    Some(Event { about: table.about, act: table.act.into_inner(), due })
}

/// The keys that say when something holds.
pub(super) struct SpanTable<'a> {
    pub(super) from: &'a Option<Spanned<i64>>,
    pub(super) to: &'a Option<Spanned<i64>>,
    pub(super) day_from: &'a Option<Spanned<String>>,
    pub(super) day_to: &'a Option<Spanned<String>>,
}

impl SpanTable<'_> {
    pub(super) fn read(&self, examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String) -> Span {
        let millis = |examined: &mut Examined<'_>, value, key: &str| {
            number(examined, value, at(key), 0..=LONGEST_RUN_MS).map(Duration::from_millis)
        };
        let from = millis(examined, self.from, "from_ms").unwrap_or_default();
        let to = millis(examined, self.to, "to_ms");
        if let (Some(said), Some(to)) = (self.to, to)
            && to <= from
        {
            examined.note(said.span(), at("to_ms"), "more than from_ms");
        }
        let day_from = minute(examined, self.day_from, at("day_from_utc"));
        let day_to = minute(examined, self.day_to, at("day_to_utc"));
        match (self.day_from, self.day_to) {
            (Some(said), None) => examined.note(said.span(), at("day_from_utc"), "day_to_utc beside it"),
            (None, Some(said)) => examined.note(said.span(), at("day_to_utc"), "day_from_utc beside it"),
            _ => {}
        }
        Span { from, to, of_day: day_from.zip(day_to) }
    }
}
