//! The circuit breaker of a host: one that leaves requests unanswered is spared for a while.
//!
//! ```text
//!            so many unanswered in a row              rest is over, one request goes out
//!   closed ─────────────────────────────▶ resting ─────────────────────────────────────▶ half open
//!     ▲                                      ▲                     unanswered: rest doubles   │
//!     │                                      └────────────────────────────────────────────────┤
//!     └──────────────────────────────────────── any answer ───────────────────────────────────┘
//! ```
//!
//! A decline is an answer: this is about whether the host speaks, not about what it says. An answer that comes after
//! nobody waits for it any more is none. What is owed to the host (advices, reversals) does not ask the breaker, and
//! its answers close it.

use crate::payment::Monotonic;
use std::time::Duration;

/// When a host is spared, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Unanswered in a row before it is spared; 0: never.
    pub failures: u32,
    /// First rest; doubles each time the host is found silent again.
    pub rest_min: Duration,
    /// Longest rest.
    pub rest_max: Duration,
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { unanswered: u32 },
    Resting { until: Monotonic, rest: Duration },
    HalfOpen { rest: Duration, probing: bool },
}

impl Breaker {
    /// One that is closed.
    pub fn new(settings: BreakerSettings) -> Breaker {
        Breaker { settings, state: State::Closed { unanswered: 0 } }
    }

    /// Whether a request may go to the host now.
    pub fn admits(&self, now: Monotonic) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Resting { until, .. } => until <= now,
            State::HalfOpen { probing, .. } => !probing,
        }
    }

    /// A request was handed to a link: after a rest it is the probe.
    pub fn sent(&mut self) {
        if let State::Resting { rest, .. } | State::HalfOpen { rest, .. } = self.state {
            self.state = State::HalfOpen { rest, probing: true };
        }
    }

    /// It was given back without a byte of it sent, or its line was lost: it shows nothing about the host.
    pub fn shown_nothing(&mut self) {
        if let State::HalfOpen { rest, .. } = self.state {
            self.state = State::HalfOpen { rest, probing: false };
        }
    }

    /// The host answered something in time.
    pub fn answered(&mut self) {
        self.state = State::Closed { unanswered: 0 };
    }

    /// The host left something unanswered.
    pub fn unanswered(&mut self, now: Monotonic) {
        self.state = match self.state {
            State::Closed { unanswered } if unanswered + 1 == self.settings.failures => self.rest(now, None),
            State::Closed { unanswered } => State::Closed { unanswered: unanswered.saturating_add(1) },
            State::HalfOpen { rest, .. } => self.rest(now, Some(rest)),
            resting @ State::Resting { .. } => resting,
        };
    }

    fn rest(&self, now: Monotonic, before: Option<Duration>) -> State {
        let longer = before.map_or(self.settings.rest_min, |rest| rest.saturating_mul(2));
        let rest = longer.min(self.settings.rest_max);
        State::Resting { until: now.after(rest), rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        let (rest_min, rest_max) = (Duration::from_secs(1), Duration::from_secs(3));
        Breaker::new(BreakerSettings { failures: 3, rest_min, rest_max })
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    fn resting() -> Breaker {
        let mut breaker = breaker();
        (0..3).for_each(|_| breaker.unanswered(at(0)));
        breaker
    }

    #[test]
    fn silence_in_a_row_opens_it_and_any_answer_starts_anew() {
        let mut breaker = breaker();
        breaker.unanswered(at(0));
        breaker.unanswered(at(0));
        breaker.answered();
        breaker.unanswered(at(0));
        breaker.unanswered(at(0));
        assert!(breaker.admits(at(0)));
        breaker.unanswered(at(0));
        assert!(!breaker.admits(at(0)));
    }

    #[test]
    fn after_a_rest_one_request_goes_out() {
        let mut breaker = resting();
        assert!(!breaker.admits(Monotonic(999_999)));
        assert!(breaker.admits(at(1)));
        breaker.sent();
        assert!(!breaker.admits(at(1)), "one only");
        breaker.shown_nothing();
        assert!(breaker.admits(at(1)), "the probe was not sent");
        breaker.sent();
        breaker.answered();
        assert!(breaker.admits(at(1)));
    }

    #[test]
    fn rests_double_to_their_bound() {
        let mut breaker = resting();
        for (asked, over) in [(1, 3), (3, 6), (6, 9)] {
            assert!(breaker.admits(at(asked)));
            breaker.sent();
            breaker.unanswered(at(asked));
            breaker.unanswered(at(asked));
            assert!(!breaker.admits(at(over - 1)), "{over}");
            assert!(breaker.admits(at(over)), "{over}");
        }
    }

    #[test]
    fn without_a_bound_it_never_opens() {
        let (rest_min, rest_max) = (Duration::from_secs(1), Duration::from_secs(3));
        let mut breaker = Breaker::new(BreakerSettings { failures: 0, rest_min, rest_max });
        (0..1000).for_each(|_| breaker.unanswered(at(0)));
        assert!(breaker.admits(at(0)));
    }
}
