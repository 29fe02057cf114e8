//! The scenario file: text becomes cards and rules once, and every mistake is told with its line.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::iso8583::Mti;
use crate::payment::{Currency, Cvc, Expiry, Pan};

use super::super::entry::Kind;
use super::super::mistake::{Examined, Mistake};
use super::super::profile::minute_of_day;
use super::super::request::Network;
use super::{
    Act, Asks, Behaviour, CardRange, Counted, Delay, Down, Due, Event, ListedCard, Outage, Reply, Rule, Scenario, Span,
    Status, Terms, When, Wrong,
};

/// The most a rule may wait, so that a forgotten zero doesn't hold answers for days.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// The latest moment after the start that a scenario may name: four weeks.
const LONGEST_RUN_MS: u64 = 28 * 24 * 3_600_000;

/// How often the bank looks at the clock bounds how often something can happen by it.
const SHORTEST_PERIOD_MS: u64 = 100;

/// The most copies of one answer.
const MOST_COPIES: u8 = 10;

/// The most pieces of one frame.
const MOST_PIECES: u8 = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    #[serde(default)]
    description: String,
    #[serde(default)]
    card: Vec<CardTable>,
    #[serde(default)]
    range: Vec<RangeTable>,
    #[serde(default)]
    rule: Vec<RuleTable>,
    #[serde(default)]
    outage: Vec<OutageTable>,
    #[serde(default)]
    event: Vec<EventTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CardTable {
    number: Spanned<String>,
    about: String,
    account: Option<Spanned<String>>,
    balance_minor: Option<Spanned<i64>>,
    currency: Option<Spanned<String>>,
    expiry_yymm: Option<Spanned<String>>,
    cvc: Option<Spanned<String>>,
    #[serde(default)]
    status: Status,
    limit_minor: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RangeTable {
    prefix: Spanned<String>,
    about: String,
    balance_minor: Option<Spanned<i64>>,
    currency: Option<Spanned<String>>,
    expiry_yymm: Option<Spanned<String>>,
    cvc: Option<Spanned<String>>,
    #[serde(default)]
    status: Status,
    limit_minor: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RuleTable {
    name: Option<Spanned<String>>,
    about: String,
    #[serde(default)]
    when: WhenTable,
    then: Spanned<ThenTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct OutageTable {
    about: String,
    from_ms: Option<Spanned<i64>>,
    to_ms: Option<Spanned<i64>>,
    day_from_utc: Option<Spanned<String>>,
    day_to_utc: Option<Spanned<String>>,
    links: Down,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct EventTable {
    about: String,
    #[serde(rename = "do")]
    act: Spanned<Act>,
    at_ms: Option<Spanned<i64>>,
    every_ms: Option<Spanned<i64>>,
    daily_utc: Option<Spanned<String>>,
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

/// Cards, ranges and rules as they stand in a file.
pub(in super::super) struct ScenarioTables {
    pub(in super::super) card: Vec<CardTable>,
    pub(in super::super) range: Vec<RangeTable>,
    pub(in super::super) rule: Vec<RuleTable>,
    pub(in super::super) outage: Vec<OutageTable>,
    pub(in super::super) event: Vec<EventTable>,
}

/// Reads a scenario file.
pub(super) fn read(origin: &str, text: &str) -> Result<Scenario, Vec<Mistake>> {
    let (mut examined, file) = Examined::read::<ScenarioFile>(origin, text)?;
    let tables =
        ScenarioTables { card: file.card, range: file.range, rule: file.rule, outage: file.outage, event: file.event };
    let scenario = Scenario { description: file.description, ..tables.read(&mut examined) };
    examined.finish(scenario)
}

impl ScenarioTables {
    /// Makes cards and rules of them, noting every mistake.
    pub(in super::super) fn read(self, examined: &mut Examined<'_>) -> Scenario {
        let mut scenario = Scenario::default();
        let mut seen = Seen::default();
        for (place, table) in self.card.into_iter().enumerate() {
            scenario.cards.extend(card(examined, place, table, &mut seen));
        }
        for (place, table) in self.range.into_iter().enumerate() {
            scenario.ranges.extend(range(examined, place, table));
        }
        for (place, table) in self.rule.into_iter().enumerate() {
            scenario.rules.push(rule(examined, place, table, &mut seen));
        }
        for (place, table) in self.outage.into_iter().enumerate() {
            scenario.outages.push(outage(examined, place, table));
        }
        for (place, table) in self.event.into_iter().enumerate() {
            scenario.events.extend(event(examined, place, table));
        }
        scenario.put_in_order();
        scenario
    }
}

/// Numbers, accounts and names of rules met so far.
#[derive(Default)]
struct Seen {
    numbers: BTreeSet<String>,
    accounts: BTreeSet<String>,
    rules: BTreeSet<String>,
}

fn card(examined: &mut Examined<'_>, place: usize, table: CardTable, seen: &mut Seen) -> Option<ListedCard> {
    let at = |key: &str| format!("card[{place}].{key}");
    let number =
        examined.parsed(&table.number, at("number"), "12 to 19 digits with a good check digit", |text| pan(text))?;
    if !seen.numbers.insert(number.reveal().to_owned()) {
        examined.note(table.number.span(), at("number"), "a number that isn't listed above");
    }
    let named = table.account.as_ref().map(|account| account.get_ref().clone());
    let account = named.unwrap_or_else(|| format!("{}-{}", number.first6(), number.last4()));
    // Two cards may share an account when both say so; a shared first six and last four is an accident.
    if !seen.accounts.insert(account.clone()) && table.account.is_none() {
        examined.note(table.number.span(), at("account"), format!("a name, as {account} is taken"));
    }
    let terms = TermsTable {
        balance: table.balance_minor,
        currency: table.currency,
        expiry: table.expiry_yymm,
        cvc: table.cvc,
        status: table.status,
        limit: table.limit_minor,
    };
    let terms = terms.read(examined, &at);
    Some(ListedCard { number, about: table.about, account, terms })
}

fn range(examined: &mut Examined<'_>, place: usize, table: RangeTable) -> Option<CardRange> {
    let at = |key: &str| format!("range[{place}].{key}");
    let prefix = examined.parsed(&table.prefix, at("prefix"), "1 to 12 digits", |text| prefix(text))?;
    let terms = TermsTable {
        balance: table.balance_minor,
        currency: table.currency,
        expiry: table.expiry_yymm,
        cvc: table.cvc,
        status: table.status,
        limit: table.limit_minor,
    };
    let terms = terms.read(examined, &at);
    Some(CardRange { prefix, about: table.about, terms })
}

struct TermsTable {
    balance: Option<Spanned<i64>>,
    currency: Option<Spanned<String>>,
    expiry: Option<Spanned<String>>,
    cvc: Option<Spanned<String>>,
    status: Status,
    limit: Option<Spanned<i64>>,
}

impl TermsTable {
    fn read(self, examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String) -> Terms {
        Terms {
            balance: minor(examined, &self.balance, at("balance_minor")).unwrap_or(0),
            currency: currency(examined, &self.currency, at("currency")),
            expiry: self.expiry.as_ref().and_then(|text| {
                examined.parsed(text, at("expiry_yymm"), "four digits YYMM", |text| Expiry::from_yymm(text).ok())
            }),
            cvc: self.cvc.as_ref().and_then(|text| {
                examined.parsed(text, at("cvc"), "three or four digits", |text| Cvc::parse(text).ok())
            }),
            status: self.status,
            limit: minor(examined, &self.limit, at("limit_minor")),
        }
    }
}

fn rule(examined: &mut Examined<'_>, place: usize, table: RuleTable, seen: &mut Seen) -> Rule {
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

fn outage(examined: &mut Examined<'_>, place: usize, table: OutageTable) -> Outage {
    let at = |key: &str| format!("outage[{place}].{key}");
    let span =
        SpanTable { from: &table.from_ms, to: &table.to_ms, day_from: &table.day_from_utc, day_to: &table.day_to_utc };
    Outage { about: table.about, span: span.read(examined, &at), links: table.links }
}

fn event(examined: &mut Examined<'_>, place: usize, table: EventTable) -> Option<Event> {
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
struct SpanTable<'a> {
    from: &'a Option<Spanned<i64>>,
    to: &'a Option<Spanned<i64>>,
    day_from: &'a Option<Spanned<String>>,
    day_to: &'a Option<Spanned<String>>,
}

impl SpanTable<'_> {
    fn read(&self, examined: &mut Examined<'_>, at: &dyn Fn(&str) -> String) -> Span {
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

fn each<T>(
    examined: &mut Examined<'_>,
    values: &[Spanned<String>],
    key: String,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    values.iter().filter_map(|value| examined.parsed(value, key.clone(), expected, |text| parse(text))).collect()
}

fn minor(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<i64> {
    let value = value.as_ref()?;
    examined.parsed(value, key, "minor units, 0 to 999999999999", |minor| {
        (0..=999_999_999_999).contains(minor).then_some(*minor)
    })
}

fn count(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<u64> {
    number(examined, value, key, 1..=u64::from(u32::MAX))
}

fn number(
    examined: &mut Examined<'_>,
    value: &Option<Spanned<i64>>,
    key: String,
    within: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let expected = format!("a number from {} to {}", within.start(), within.end());
    examined.parsed(value.as_ref()?, key, &expected, |number| {
        u64::try_from(*number).ok().filter(|number| within.contains(number))
    })
}

fn percent(examined: &mut Examined<'_>, value: &Option<Spanned<i64>>, key: String) -> Option<u8> {
    number(examined, value, key, 1..=99).and_then(|percent| u8::try_from(percent).ok())
}

/// A time of day as minutes after midnight.
fn minute(examined: &mut Examined<'_>, value: &Option<Spanned<String>>, key: String) -> Option<u32> {
    examined.parsed(value.as_ref()?, key, "a time of day, 00:00 to 23:59", |text| minute_of_day(text))
}

fn currency(examined: &mut Examined<'_>, value: &Option<Spanned<String>>, key: String) -> Option<Currency> {
    examined.parsed(value.as_ref()?, key, "an ISO 4217 code such as \"EUR\"", |code| Currency::from_code(code))
}

fn pan(text: &str) -> Option<Pan> {
    Pan::parse(text).ok().filter(Pan::luhn_valid)
}

fn number_of(text: &str) -> Option<String> {
    pan(text).map(|pan| pan.reveal().to_owned())
}

fn prefix(text: &str) -> Option<String> {
    let good = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.to_owned())
}

fn first_type(text: &str) -> Option<Mti> {
    text.parse::<Mti>().ok().filter(|mti| !mti.is_repeat())
}

fn response_code(text: &str) -> Option<String> {
    let good = (2..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mistakes(text: &str) -> Vec<(usize, String)> {
        let mistakes = Scenario::read("scenario.toml", text).unwrap_err();
        mistakes.into_iter().map(|mistake| (mistake.line, mistake.key)).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_key() {
        let text = r#"
[[card]]
number = "4111111111111112"
about = "wrong check digit"
[[card]]
number = "4111111111111111"
about = ""
balance_minor = -1
currency = "EURO"
expiry_yymm = "3013"
cvc = "12"
[[range]]
prefix = "45x"
about = ""
[[rule]]
about = ""
when = { card = ["1"], mti = ["0421"], kind = ["gift"], nth = 0, amount_minor = -5 }
then = { code = "0", delay_ms = 99999999, copies = 0 }
[[rule]]
about = ""
then = {}
[[rule]]
about = ""
then = { code = "05", approve_percent = 50 }
[[rule]]
name = "rule-1"
about = ""
when = { from_ms = 5, to_ms = 5, day_from_utc = "24:00", chance_percent = 100 }
then = { delay_ms = 1, delay_p50_ms = 2, pieces = 65 }
[[outage]]
about = ""
day_from_utc = "10:00"
links = "closed"
[[event]]
about = ""
do = "echo"
at_ms = 5
every_ms = 500
"#;
        let told = mistakes(text);
        let told: Vec<(usize, &str)> = told.iter().map(|(line, key)| (*line, key.as_str())).collect();
        let expected = [
            (3, "card[0].number"),
            (8, "card[1].balance_minor"),
            (9, "card[1].currency"),
            (10, "card[1].expiry_yymm"),
            (11, "card[1].cvc"),
            (13, "range[0].prefix"),
            (17, "rule[0].when.amount_minor"),
            (17, "rule[0].when.nth"),
            (17, "rule[0].when.card"),
            (17, "rule[0].when.mti"),
            (17, "rule[0].when.kind"),
            (18, "rule[0].then.code"),
            (18, "rule[0].then.delay_ms"),
            (18, "rule[0].then.copies"),
            (18, "rule[0].then"),
            (21, "rule[1].then"),
            (24, "rule[2].then"),
            (26, "rule[3].name"),
            (28, "rule[3].when.to_ms"),
            (28, "rule[3].when.day_from_utc"),
            (28, "rule[3].when.day_from_utc"),
            (28, "rule[3].when.chance_percent"),
            (29, "rule[3].then"),
            (29, "rule[3].then.pieces"),
            (32, "outage[0].day_from_utc"),
            (36, "event[0].do"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_card_is_listed_once_and_accounts_are_shared_on_purpose_only() {
        let card = |number: &str, account: &str| format!("[[card]]\nnumber = \"{number}\"\nabout = \"\"\n{account}");
        let twice = card("4111111111111111", "") + &card("4111111111111111", "account = \"other\"\n");
        assert_eq!(mistakes(&twice), [(5, "card[1].number".to_owned())]);
        let shared = card("4111111111111111", "account = \"a\"\n") + &card("4242424242424242", "account = \"a\"\n");
        assert!(Scenario::read("scenario.toml", &shared).is_ok());
    }

    #[test]
    fn an_unknown_behaviour_names_the_known_ones() {
        let text = "[[rule]]\nabout = \"\"\nthen = { reply = \"sulk\" }\n";
        let mistakes = Scenario::read("scenario.toml", text).unwrap_err();
        assert!(mistakes[0].expected.contains("silence"), "{}", mistakes[0]);
        assert_eq!(mistakes[0].line, 3);
    }
}
