//! The circuit breaker of a host: one that leaves requests unanswered is spared for a while.
//!
//! ```text
//!          so many unanswered in a row          rest is over, an echo goes out
//!   closed ───────────────────────────▶ resting ──────────────────────────────▶ testing
//!     ▲                                  ▲   ▲        no echo: rest doubles        │  │ the echo came back
//!     │                                  │   └─────────────────────────────────────┘  ▼
//!     │                                  └─────── unanswered: rest doubles ─────── half open: one request goes out
//!     └───────────────────────────────────────────── any answer ─────────────────────┘
//! ```
//!
//! An echo is tried before a payment is risked. It shows that the line's far end lives, not that the host behind it
//! does, so that one request follows before all of them do.
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
    Closed {
        unanswered: u32,
    },
    Resting {
        until: Monotonic,
        rest: Duration,
    },
    /// An echo is waited for.
    Testing {
        until: Monotonic,
        rest: Duration,
    },
    HalfOpen {
        rest: Duration,
        probing: bool,
    },
}

impl Breaker {
    /// One that is closed.
    pub fn new(settings: BreakerSettings) -> Breaker {
        Breaker { settings, state: State::Closed { unanswered: 0 } }
    }

    /// Whether a request may go to the host now.
    pub fn admits(&self) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Resting { .. } | State::Testing { .. } => false,
            State::HalfOpen { probing, .. } => !probing,
        }
    }

    /// Whether its rest is over, so that an echo is due.
    pub fn wants_echo(&self, now: Monotonic) -> bool {
        matches!(self.state, State::Resting { until, .. } if until <= now)
    }

    /// An echo went out and is waited for until then.
    pub fn testing(&mut self, until: Monotonic) {
        if let State::Resting { rest, .. } = self.state {
            self.state = State::Testing { until, rest };
        }
    }

    /// It came back. One that comes back during the rest was not asked for by us, and does not end it.
    pub fn echoed(&mut self) {
        if let State::Testing { rest, .. } = self.state {
            self.state = State::HalfOpen { rest, probing: false };
        }
    }

    /// Time has passed: an echo that was waited for in vain makes the rest longer.
    pub fn pass(&mut self, now: Monotonic) {
        if let State::Testing { until, rest } = self.state
            && until <= now
        {
            self.state = self.rest(now, Some(rest));
        }
    }

    /// No line to the host is left: an echo on it shows nothing, and another one is due when there is a line.
    pub fn line_lost(&mut self, now: Monotonic) {
        if let State::Testing { rest, .. } = self.state {
            self.state = State::Resting { until: now, rest };
        }
    }

    /// When an echo is due, or is waited for no longer.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        match self.state {
            State::Resting { until, .. } | State::Testing { until, .. } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// A request was handed to a link: after a rest it is the probe.
    pub fn sent(&mut self) {
        if let State::HalfOpen { rest, .. } = self.state {
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
            resting @ (State::Resting { .. } | State::Testing { .. }) => resting,
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

    /// The rest is over and an echo has come back.
    fn echoed(breaker: &mut Breaker, now: Monotonic) {
        assert!(breaker.wants_echo(now));
        breaker.testing(now.after(Duration::from_secs(1)));
        breaker.echoed();
    }

    #[test]
    fn silence_in_a_row_opens_it_and_any_answer_starts_anew() {
        let mut breaker = breaker();
        breaker.unanswered(at(0));
        breaker.unanswered(at(0));
        breaker.answered();
        breaker.unanswered(at(0));
        breaker.unanswered(at(0));
        assert!(breaker.admits());
        breaker.unanswered(at(0));
        assert!(!breaker.admits());
    }

    #[test]
    fn after_a_rest_an_echo_goes_out_and_then_one_request() {
        let mut breaker = resting();
        breaker.echoed();
        assert!(!breaker.wants_echo(Monotonic(999_999)) && !breaker.admits(), "not by an echo of the session's own");
        assert!(breaker.wants_echo(at(1)) && !breaker.admits());
        breaker.testing(at(2));
        assert!(!breaker.wants_echo(at(1)) && !breaker.admits(), "no request before the echo is back");
        breaker.echoed();
        assert!(breaker.admits());
        breaker.sent();
        assert!(!breaker.admits(), "one only");
        breaker.shown_nothing();
        assert!(breaker.admits(), "the probe was not sent");
        breaker.sent();
        breaker.answered();
        assert!(breaker.admits());
    }

    #[test]
    fn an_echo_in_vain_makes_the_rest_longer_unless_its_line_was_lost() {
        let mut breaker = resting();
        breaker.testing(at(2));
        assert_eq!(breaker.next_deadline(), Some(at(2)));
        breaker.pass(at(2));
        assert_eq!(breaker.next_deadline(), Some(at(4)), "two seconds in place of one");
        breaker.testing(at(5));
        breaker.line_lost(at(4));
        assert!(breaker.wants_echo(at(4)), "as soon as there is a line");
    }

    #[test]
    fn rests_double_to_their_bound() {
        let mut breaker = resting();
        for (asked, over) in [(1, 3), (3, 6), (6, 9)] {
            echoed(&mut breaker, at(asked));
            breaker.sent();
            breaker.unanswered(at(asked));
            breaker.unanswered(at(asked));
            assert!(!breaker.wants_echo(at(over - 1)), "{over}");
            assert!(breaker.wants_echo(at(over)), "{over}");
        }
    }

    #[test]
    fn without_a_bound_it_never_opens() {
        let (rest_min, rest_max) = (Duration::from_secs(1), Duration::from_secs(3));
        let mut breaker = Breaker::new(BreakerSettings { failures: 0, rest_min, rest_max });
        (0..1000).for_each(|_| breaker.unanswered(at(0)));
        assert!(breaker.admits());
    }
}
