//! Which rule of the scenario applies to a message, and the counting that some of them ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::ledger::PaymentKey;
use super::super::scenario::{Behaviour, Counted, When};
use super::Issuer;

/// The most payments that a rule counts by; the oldest key is forgotten beyond that.
const MOST_COUNTED: usize = 100_000;

/// What rules have counted; by their place, since a scenario in force doesn't change.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How many messages fitted a rule, by rule and, where it counts so, by payment.
    fitted: BTreeMap<(usize, Option<PaymentKey>), u64>,
    /// How many messages a rule was applied to.
    applied: BTreeMap<usize, u64>,
}

impl Issuer {
    /// The first rule that applies, or an ordinary bank.
    pub(super) fn applying(
        &mut self,
        fits: impl Fn(&When) -> bool,
        payment: impl Fn() -> Option<PaymentKey>,
    ) -> Behaviour {
        let scenario = Arc::clone(&self.scenario);
        for (place, rule) in scenario.rules.iter().enumerate() {
            if !fits(&rule.when) || !self.comes_to_it(place, &rule.when, &payment) {
                continue;
            }
            self.counters.by_rule += 1;
            *self.tally.applied.entry(place).or_insert(0) += 1;
            return rule.then.clone();
        }
        Behaviour::ordinary()
    }

    /// Whether count and chance agree to it, where a rule asks them.
    fn comes_to_it(&mut self, place: usize, when: &When, payment: &impl Fn() -> Option<PaymentKey>) -> bool {
        if when.is_counted() {
            let by = match when.counted {
                Counted::All => None,
                Counted::Payment => payment(),
            };
            if !when.counts(self.count(place, by)) {
                return false;
            }
        }
        when.chance_percent.is_none_or(|percent| self.random.u8(0..100) < percent)
    }

    /// How many messages each rule was applied to, in the order of the rules.
    pub fn applied(&self) -> Vec<u64> {
        let of = |place| self.tally.applied.get(&place).copied().unwrap_or(0);
        (0..self.scenario.rules.len()).map(of).collect()
    }

    fn count(&mut self, rule: usize, by: Option<PaymentKey>) -> u64 {
        let count = self.tally.fitted.entry((rule, by)).or_insert(0);
        *count += 1;
        let count = *count;
        if self.tally.fitted.len() > MOST_COUNTED {
            self.tally.fitted.pop_first();
        }
        count
    }
}
