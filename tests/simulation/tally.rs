//! What was injected and what came of it, so that a run that injected nothing is visible.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Everything else that is worth a figure.
    pub figures: BTreeMap<&'static str, u64>,
    /// The highest of something, over all runs.
    pub highest: BTreeMap<&'static str, u64>,
    /// Payments by final status.
    pub payments: BTreeMap<&'static str, u64>,
    /// Operations by the outcome that their merchant was told.
    pub operations: BTreeMap<&'static str, u64>,
}

/// Every kind of fault, by where it happens. A run of a few hundred seeds has to show all of them.
pub const FAULTS: &[(&str, &[&str])] = &[
    (
        "processes",
        &[
            "crashes of the switch at any moment",
            "crashes before a commit was durable",
            "crashes with a torn tail",
            "crashes before a commit was told",
            "crashes between effects",
            "crashes at the record of a request",
            "crashes at the record of an advice",
            "crashes at the record of an outcome",
            "crashes at the end of something owed",
            "crashes at the record of a late reply",
            "crashes at the reservation of numbers",
            "drains and restarts",
            "crashes of the bank",
            "outages of the bank for hours",
            "banks that hang behind their front",
            "messages swallowed by a bank that hangs",
        ],
    ),
    (
        "store",
        &[
            "commits refused",
            "spells of a store that refuses",
            "spells of a slow store",
            "commits told seconds late",
            "reads refused",
        ],
    ),
    (
        "lines",
        &[
            "cuts",
            "cuts of a flapping link",
            "cuts with unsent frames",
            "half-open connections",
            "lines dead towards the bank",
            "lines dead towards the switch",
            "frames over a slow line",
            "peers that stop reading",
            "frames expired before the write",
            "connections refused",
            "sign-ons refused",
            "sign-offs by the bank",
            "echoes by the bank",
            "days ended by the bank",
            "days ended without a word",
        ],
    ),
    (
        "messages",
        &[
            "frames lost after the write",
            "frames of the bank lost",
            "frames duplicated",
            "frames reordered",
            "frames later than anybody waits",
            "frames cut short",
            "frames of noise",
            "replies on another link",
            "replies on a link that settles nothing",
            "requests moved to another host before they left",
            "late replies",
            "second replies",
        ],
    ),
    (
        "keys",
        &[
            "response codes altered under their MAC",
            "bytes altered under their MAC",
            "MACs spoiled",
            "new keys sent by the bank",
            "wrong keys sent by the bank",
            "key changes demanded by the bank",
            "key changes ordered by operators",
        ],
    ),
    (
        "time and numbers",
        &[
            "wall clocks set by an hour",
            "wall clocks set by a day",
            "wall clocks set by some other time",
            "midnights with something in motion",
            "trace numbers that wrap in flight",
            "trace numbers that come round to one in motion",
        ],
    ),
    (
        "operators",
        &[
            "hosts brought up by operators",
            "hosts put in maintenance by operators",
            "hosts taken down by operators",
            "orders to links",
            "days ended by operators",
            "parked items released",
            "parked items taken over",
        ],
    ),
    (
        "merchants",
        &[
            "requests sent again under their key",
            "requests sent twice at once",
            "storms of retries in parallel",
            "requests with another body under a used key",
            "operations on a payment without its first answer",
            "answers that never reached a merchant",
        ],
    ),
];

impl Tally {
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub fn figure(&mut self, kind: &'static str, count: u64) {
        *self.figures.entry(kind).or_default() += count;
    }

    pub fn at_most(&mut self, kind: &'static str, value: u64) {
        let highest = self.highest.entry(kind).or_default();
        *highest = value.max(*highest);
    }

    pub fn add(&mut self, other: &Tally) {
        let pairs = [
            (&mut self.faults, &other.faults),
            (&mut self.figures, &other.figures),
            (&mut self.payments, &other.payments),
            (&mut self.operations, &other.operations),
        ];
        for (sum, more) in pairs {
            more.iter().for_each(|(kind, count)| *sum.entry(*kind).or_default() += count);
        }
        other.highest.iter().for_each(|(kind, value)| self.at_most(kind, *value));
    }

    /// Kinds of faults that never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        kinds().filter(|kind| !self.faults.contains_key(kind)).collect()
    }

    /// Faults that no table knows.
    pub fn unlisted(&self) -> Vec<&'static str> {
        self.faults.keys().copied().filter(|counted| !kinds().any(|kind| kind == *counted)).collect()
    }

    pub fn print(&self) {
        for (place, kinds) in FAULTS {
            println!("\nfaults injected: {place}");
            kinds.iter().for_each(|kind| row(kind, self.faults.get(kind).copied().unwrap_or(0)));
        }
        let tables = [
            ("payments, by how they ended", &self.payments),
            ("operations, by what their merchant was told", &self.operations),
            ("what came of it", &self.figures),
            ("the most in one run", &self.highest),
        ];
        for (title, rows) in tables {
            println!("\n{title}");
            rows.iter().for_each(|(kind, count)| row(kind, *count));
        }
        println!();
    }
}

fn kinds() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().flat_map(|(_, kinds)| kinds.iter().copied())
}

fn row(kind: &str, count: u64) {
    println!("{:>14}  {kind}", grouped(count));
}

/// Digits in threes.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
