//! `[[rule]]`: when it applies, and what the bank does then.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::super::super::entry::Kind;
use super::super::super::mistake::Examined;
use super::super::super::request::Network;
use super::super::{Asks, Behaviour, Counted, Delay, Reply, Rule, When, Wrong};
use super::Seen;
use super::times::SpanTable;
use super::values::{count, currency, each, first_type, minor, number, number_of, percent, prefix, response_code};

/// The most a rule may wait, so that a forgotten zero doesn't hold answers for days.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// The most copies of one answer.
const MOST_COPIES: u8 = 10;

/// The most pieces of one frame.
const MOST_PIECES: u8 = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super::super) struct RuleTable {
    name: Option<Spanned<String>>,
    about: String,
    #[serde(default)]
    when: WhenTable,
    then: Spanned<ThenTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WhenTable {
    card: Vec<Spanned<String>>,
    prefix: Vec<Spanned<String>>,
    amount_minor: Option<Spanned<i64>>,
    amount_from_minor: Option<Spanned<i64>>,
    amount_to_minor: Option<Spanned<i64>>,
    currency: Option<Spanned<String>>,
    mti: Vec<Spanned<String>>,
    kind: Vec<Spanned<String>>,
    network: Vec<Network>,
    terminal: Option<String>,
    merchant: Option<String>,
    nth: Option<Spanned<i64>>,
    nth_from: Option<Spanned<i64>>,
    nth_to: Option<Spanned<i64>>,
    every: Option<Spanned<i64>>,
    counted: Counted,
    chance_percent: Option<Spanned<i64>>,
    from_ms: Option<Spanned<i64>>,
    to_ms: Option<Spanned<i64>>,
    day_from_utc: Option<Spanned<String>>,
    day_to_utc: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ThenTable {
    code: Option<Spanned<String>>,
    approve_minor: Option<Spanned<i64>>,
    approve_percent: Option<Spanned<i64>>,
    delay_ms: Option<Spanned<i64>>,
    jitter_ms: Option<Spanned<i64>>,
    delay_mean_ms: Option<Spanned<i64>>,
    delay_p50_ms: Option<Spanned<i64>>,
    delay_p99_ms: Option<Spanned<i64>>,
    delay_most_ms: Option<Spanned<i64>>,
    reply: Reply,
    copies: Option<Spanned<i64>>,
    wrong: Vec<Wrong>,
    pieces: Option<Spanned<i64>>,
    piece_pause_ms: Option<Spanned<i64>>,
    read_pause_ms: Option<Spanned<i64>>,
    asks: Vec<Asks>,
}

pub(super) fn rule(examined: &mut Examined<'_>, place: usize, table: RuleTable, seen: &mut Seen) -> Rule {
    let at = |key: &str| format!("rule[{place}].{key}");
    let name = table.name.as_ref().map_or_else(|| format!("rule-{}", place + 1), |name| name.get_ref().clone());
    let is_new = seen.rules.insert(name.clone());
    if let Some(given) = table.name.as_ref().filter(|_| !is_new) {
        examined.note(given.span(), at("name"), "a name that no rule above has");
    }
    let when = when(examined, &at, table.when);
    let then = then(examined, &at, table.then);
    Rule { name, about: table.about, when, then }
}

fn when(examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String, table: WhenTable) -> When {
    let exact = minor(examined, &table.amount_minor, at("when.amount_minor"));
    let nth = count(examined, &table.nth, at("when.nth"));
    let from = count(examined, &table.nth_from, at("when.nth_from"));
    let to = count(examined, &table.nth_to, at("when.nth_to"));
    let span =
        SpanTable { from: &table.from_ms, to: &table.to_ms, day_from: &table.day_from_utc, day_to: &table.day_to_utc };
    When {
        span: span.read(examined, &|key| at(&format!("when.{key}"))),
        chance_percent: percent(examined, &table.chance_percent, at("when.chance_percent")),
        every: count(examined, &table.every, at("when.every")),
        cards: each(examined, &table.card, at("when.card"), "a card number with a good check digit", number_of),
        prefixes: each(examined, &table.prefix, at("when.prefix"), "1 to 12 digits", prefix),
        least: exact.or(minor(examined, &table.amount_from_minor, at("when.amount_from_minor"))),
        most: exact.or(minor(examined, &table.amount_to_minor, at("when.amount_to_minor"))),
        currency: currency(examined, &table.currency, at("when.currency")),
        types: each(
            examined,
            &table.mti,
            at("when.mti"),
            "a message type such as \"0420\", without repeat",
            first_type,
        ),
        kinds: each(examined, &table.kind, at("when.kind"), "a kind of the ledger, such as \"sale\"", Kind::from_name),
        network: table.network,
        terminal: table.terminal,
        merchant: table.merchant,
        nth_from: nth.or(from).unwrap_or(1),
        nth_to: nth.or(to),
        counted: table.counted,
    }
}

fn then(examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String, table: Spanned<ThenTable>) -> Behaviour {
    let (span, table) = (table.span(), table.into_inner());
    let code = table.code.as_ref().and_then(|code| {
        examined.parsed(code, at("then.code"), "2 to 4 letters or digits", |text| response_code(text))
    });
    let millis = |examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: &str| {
        number(examined, value, at(key), 0..=LONGEST_WAIT_MS).map_or(Duration::ZERO, Duration::from_millis)
    };
    let few = |examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: &str, most: u8| {
        number(examined, value, at(key), 1..=u64::from(most)).and_then(|number| u8::try_from(number).ok()).unwrap_or(1)
    };
    let behaviour = Behaviour {
        code,
        approve: minor(examined, &table.approve_minor, at("then.approve_minor")),
        approve_percent: percent(examined, &table.approve_percent, at("then.approve_percent")),
        delay: delay(examined, at, &table, &span),
        reply: table.reply,
        copies: few(examined, &table.copies, "then.copies", MOST_COPIES),
        wrong: table.wrong,
        pieces: few(examined, &table.pieces, "then.pieces", MOST_PIECES),
        piece_pause: millis(examined, &table.piece_pause_ms, "then.piece_pause_ms"),
        read_pause: millis(examined, &table.read_pause_ms, "then.read_pause_ms"),
        asks: table.asks,
    };
    if behaviour.code.is_some() && (behaviour.approve.is_some() || behaviour.approve_percent.is_some()) {
        examined.note(span.clone(), at("then"), "either a code or an approved part");
    }
    if behaviour == Behaviour::ordinary() {
        examined.note(span, at("then"), "something that differs from an ordinary bank");
    }
    behaviour
}

/// The one delay that is said: fixed with a jitter, a mean, or two percentiles.
fn delay(
    examined: &mut Examined<'_>,
    at: &dyn Fn(&str) -> String,
    table: &ThenTable,
    whole: &std::ops::Range<usize>,
) -> Delay {
    let mut millis = |value: &Option<Spanned<i64>>, key: &str, least: u64| {
        number(examined, value, at(key), least..=LONGEST_WAIT_MS).map(Duration::from_millis)
    };
    let fixed = millis(&table.delay_ms, "then.delay_ms", 0);
    let jitter = millis(&table.jitter_ms, "then.jitter_ms", 0);
    let mean = millis(&table.delay_mean_ms, "then.delay_mean_ms", 1);
    let p50 = millis(&table.delay_p50_ms, "then.delay_p50_ms", 1);
    let p99 = millis(&table.delay_p99_ms, "then.delay_p99_ms", 1);
    let most = millis(&table.delay_most_ms, "then.delay_most_ms", 1);
    let longest = most.unwrap_or(Duration::from_millis(LONGEST_WAIT_MS));
    let kinds = [fixed.or(jitter).is_some(), mean.is_some(), p50.or(p99).is_some()];
    let is_whole = p50.is_some() == p99.is_some() && p50 <= p99;
    if kinds.iter().filter(|said| **said).count() > 1 || !is_whole {
        let expected = "delay_ms with jitter_ms, or delay_mean_ms, or delay_p50_ms with a delay_p99_ms not below it";
        examined.note(whole.clone(), at("then"), expected);
    }
    match (mean, p50.zip(p99)) {
        (Some(mean), _) => Delay::Exponential { mean, most: longest },
        (None, Some((p50, p99))) => Delay::Lognormal { p50, p99, most: longest },
        (None, None) => {
            let least = fixed.unwrap_or_default();
            Delay::Uniform { least, most: least + jitter.unwrap_or_default() }
        }
    }
}
