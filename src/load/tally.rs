//! What came of the requests: outcomes by name, and times as histograms of microseconds.

use super::pace::Timing;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time that is told apart: an hour. What took longer counts as that.
const LONGEST_US: u64 = 3_600_000_000;
/// Times are right to three digits.
const DIGITS: u8 = 3;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered as asked, whatever the bank said: the status of the payment, or the bank's code.
    Answered(String),
    /// Refused by the server: its status and code.
    Refused(String),
    /// No answer: why.
    Failed(&'static str),
}

/// Times of requests.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

/// What came of the requests of a run, or of a part of it.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were answered as asked.
    pub answered: u64,
    /// Requests that the server refused.
    pub refused: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// Requests that ended within the time that is measured: those of its end may end later.
    pub ended_within: u64,
    /// Those of them that were answered.
    pub answered_within: u64,
    /// How often each outcome came.
    pub outcomes: BTreeMap<String, u64>,
    /// From when a request was due to its answer.
    pub latency: Times,
    /// From when a connection took it to its answer.
    pub service: Times,
    /// From when it was due to when a connection took it.
    pub delay: Times,
    /// Latency of the answered ones, by operation.
    pub operations: BTreeMap<&'static str, Times>,
    /// How long refusals took once they were asked for, by status and code.
    pub refusals: BTreeMap<String, Times>,
}

impl Default for Times {
    fn default() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("bounds and digits are in range"))
    }
}

impl Times {
    /// Adds one.
    pub fn record(&mut self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(microseconds);
    }

    /// Takes in those of another.
    pub fn add(&mut self, other: &Times) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that so many percent of them stay within, in microseconds.
    pub fn percentile(&self, percent: f64) -> u64 {
        self.0.value_at_quantile(percent / 100.0)
    }

    /// Microseconds by percentile.
    pub fn to_json(&self) -> Value {
        json!({
            "count": self.count(),
            "min": self.0.min(),
            "mean": self.0.mean(),
            "p50": self.percentile(50.0),
            "p90": self.percentile(90.0),
            "p99": self.percentile(99.0),
            "p99_9": self.percentile(99.9),
            "p99_99": self.percentile(99.99),
            "max": self.0.max(),
        })
    }
}

impl Tally {
    /// Counts a request, and whether it ended within the time that is measured. Times of refusals and failures stay out
    /// of the percentiles: a quick refusal would improve them.
    pub fn count(&mut self, operation: &'static str, timing: Timing, outcome: Outcome, within: bool) {
        self.ended_within += u64::from(within);
        self.answered_within += u64::from(within && matches!(outcome, Outcome::Answered(_)));
        let name = match outcome {
            Outcome::Answered(status) => {
                self.answered += 1;
                self.latency.record(timing.latency());
                self.service.record(timing.service());
                self.delay.record(timing.delay());
                self.operations.entry(operation).or_default().record(timing.latency());
                status
            }
            Outcome::Refused(code) => {
                self.refused += 1;
                self.refusals.entry(code.clone()).or_default().record(timing.service());
                code
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                format!("no answer: {why}")
            }
        };
        *self.outcomes.entry(name).or_default() += 1;
    }

    /// Takes in what another one counted.
    pub fn add(&mut self, other: Tally) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.ended_within += other.ended_within;
        self.answered_within += other.answered_within;
        other.outcomes.into_iter().for_each(|(name, count)| *self.outcomes.entry(name).or_default() += count);
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        self.delay.add(&other.delay);
        for (operation, times) in &other.operations {
            self.operations.entry(operation).or_default().add(times);
        }
        for (code, times) in &other.refusals {
            self.refusals.entry(code.clone()).or_default().add(times);
        }
    }

    /// All requests that ended.
    pub fn ended(&self) -> u64 {
        self.answered + self.refused + self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(latency_ms: u64) -> Timing {
        let intended = Duration::from_secs(1);
        let ended = intended + Duration::from_millis(latency_ms);
        Timing { intended, begun: intended, ended }
    }

    #[test]
    fn quick_refusals_do_not_improve_the_percentiles() {
        let mut tally = Tally::default();
        for _ in 0..10 {
            tally.count("sale", timing(20), Outcome::Answered("captured".to_owned()), true);
            tally.count("sale", timing(1), Outcome::Refused("503 overloaded".to_owned()), true);
        }
        tally.count("sale", timing(1), Outcome::Failed("timeout"), false);
        assert_eq!((tally.answered_within, tally.ended_within), (10, 20));
        assert_eq!((tally.answered, tally.refused, tally.failed, tally.ended()), (10, 10, 1, 21));
        assert_eq!((tally.latency.count(), tally.latency.percentile(50.0) / 1_000), (10, 20));
        assert_eq!(tally.outcomes["no answer: timeout"], 1);
    }

    #[test]
    fn parts_add_up() {
        let mut whole = Tally::default();
        for latency in [5, 10] {
            let mut part = Tally::default();
            part.count("sale", timing(latency), Outcome::Answered("captured".to_owned()), true);
            whole.add(part);
        }
        assert_eq!((whole.answered, whole.outcomes["captured"], whole.operations["sale"].count()), (2, 2, 2));
        assert_eq!(whole.latency.percentile(100.0) / 1_000, 10);
    }

    #[test]
    fn times_beyond_the_longest_count_as_the_longest() {
        let mut times = Times::default();
        times.record(Duration::from_secs(1_000_000));
        times.record(Duration::ZERO);
        assert_eq!(times.count(), 2);
        assert!(times.percentile(100.0) >= LONGEST_US);
    }
}
