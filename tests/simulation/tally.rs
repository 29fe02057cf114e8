//! What was injected and what came of it, so that a run that injected nothing is visible.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Everything else that is worth a figure.
    pub figures: BTreeMap<&'static str, u64>,
    /// Payments by final status.
    pub payments: BTreeMap<&'static str, u64>,
}

/// Every kind of fault that a default run has to show.
pub const FAULTS: &[&str] = &[
    "crashes of the switch",
    "crashes at a commit, made durable",
    "crashes at a commit, lost",
    "drains and restarts",
    "crashes of the bank",
    "cuts",
    "cuts with unsent frames",
    "half-open connections",
    "peers that stop reading",
    "frames expired before the write",
    "requests lost after the write",
    "replies lost",
    "replies on another link",
    "frames duplicated",
    "frames reordered",
    "frames later than anybody waits",
    "connections refused",
    "sign-ons refused",
    "sign-offs by the bank",
    "echoes by the bank",
    "commits refused",
    "spells of a slow store",
    "reads refused",
    "answers that never reached a merchant",
    "wall clocks set",
    "submissions with another body under a used key",
    "submissions sent twice at once",
    "operations on a payment without its first answer",
    "late replies",
    "second replies",
];

impl Tally {
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub fn figure(&mut self, kind: &'static str, count: u64) {
        *self.figures.entry(kind).or_default() += count;
    }

    pub fn add(&mut self, other: &Tally) {
        let pairs = [
            (&mut self.faults, &other.faults),
            (&mut self.figures, &other.figures),
            (&mut self.payments, &other.payments),
        ];
        for (sum, more) in pairs {
            more.iter().for_each(|(kind, count)| *sum.entry(*kind).or_default() += count);
        }
    }

    pub fn print(&self) {
        for (title, rows) in [("injected", &self.faults), ("seen", &self.figures), ("payments", &self.payments)] {
            println!("-- {title}");
            rows.iter().for_each(|(kind, count)| println!("{count:>9}  {kind}"));
        }
    }
}
