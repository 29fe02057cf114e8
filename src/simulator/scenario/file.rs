//! The scenario file: text becomes cards and rules once, and every mistake is told with its line.
//!
//! Cards are read in `cards`, rules in `rules`, what goes by the clock in `times`, and single values in
//! `values`.

mod cards;
mod rules;
mod times;
mod values;

pub(in super::super) use cards::{CardTable, RangeTable};
pub(in super::super) use rules::RuleTable;
pub(in super::super) use times::{EventTable, OutageTable};

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::mistake::{Examined, Mistake};
use super::Scenario;

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
            scenario.cards.extend(cards::card(examined, place, table, &mut seen));
        }
        for (place, table) in self.range.into_iter().enumerate() {
            scenario.ranges.extend(cards::range(examined, place, table));
        }
        for (place, table) in self.rule.into_iter().enumerate() {
            scenario.rules.push(rules::rule(examined, place, table, &mut seen));
        }
        for (place, table) in self.outage.into_iter().enumerate() {
            scenario.outages.push(times::outage(examined, place, table));
        }
        for (place, table) in self.event.into_iter().enumerate() {
            scenario.events.extend(times::event(examined, place, table));
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
