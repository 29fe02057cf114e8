//! What was promised to cards while their bank was down: the velocity of stand-in.
//!
//! Counted by host and card over the window of each limit, on the wall clock. It is rebuilt after a restart from the
//! payments that are still in motion, which are those of which the bank does not know yet; what it has acknowledged
//! counts until the restart and no longer. A clock that is set back makes a window longer, never shorter than it is by
//! the stamps. What may be held is bounded: beyond it nothing is promised.

use super::settings::StandInLimit;
use crate::payment::{Amount, CardPrint, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The most promises that are remembered for all hosts together.
const MOST: usize = 100_000;

/// What was promised, by host and card.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    promises: BTreeMap<(usize, CardPrint), VecDeque<(Wall, Amount)>>,
    count: usize,
}

impl Exposure {
    /// Whether one more promise to a card keeps within a limit.
    pub(super) fn admits(&self, card: (usize, CardPrint), amount: Amount, now: Wall, limit: &StandInLimit) -> bool {
        let of_card = self.promises.get(&card).into_iter().flatten();
        let within =
            of_card.filter(|(at, promised)| now.since(*at) < limit.window && promised.currency() == amount.currency());
        let (count, sum) = within.fold((0, 0), |(count, sum), (_, promised)| (count + 1, sum + promised.minor()));
        self.count < MOST && count < limit.count_max && sum + amount.minor() <= limit.sum_max
    }

    /// Something was promised to a card.
    pub(super) fn add(&mut self, card: (usize, CardPrint), amount: Amount, at: Wall) {
        self.promises.entry(card).or_default().push_back((at, amount));
        self.count += 1;
    }

    /// Forgets what lies further back than any window of its host.
    pub(super) fn forget(&mut self, now: Wall, longest: impl Fn(usize) -> Duration) {
        self.promises.retain(|(place, _), promises| {
            promises.retain(|(at, _)| now.since(*at) < longest(*place));
            !promises.is_empty()
        });
        self.count = self.promises.values().map(VecDeque::len).sum();
    }

    /// Whether it is time to forget.
    pub(super) fn is_full(&self) -> bool {
        self.count >= MOST
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::Currency;

    const CARD: (usize, CardPrint) = (0, CardPrint([7; 32]));

    fn eur(minor: u64) -> Amount {
        Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap()
    }

    fn limit() -> StandInLimit {
        StandInLimit {
            brands: Vec::new(),
            merchants: Vec::new(),
            currency: eur(0).currency(),
            amount_max: 1_000,
            count_max: 3,
            sum_max: 2_000,
            window: Duration::from_secs(60),
        }
    }

    fn at(second: i64) -> Wall {
        Wall(second * 1_000_000)
    }

    #[test]
    fn count_and_sum_of_a_card_are_bounded_within_the_window() {
        let mut exposure = Exposure::default();
        let admits = |exposure: &Exposure, minor, second| exposure.admits(CARD, eur(minor), at(second), &limit());
        exposure.add(CARD, eur(900), at(0));
        exposure.add(CARD, eur(900), at(10));
        assert!(admits(&exposure, 200, 20) && !admits(&exposure, 201, 20), "the sum");
        exposure.add(CARD, eur(1), at(20));
        assert!(!admits(&exposure, 1, 59), "the count");
        assert!(admits(&exposure, 1_000, 60), "the first has left the window");
        assert!(exposure.admits((0, CardPrint([8; 32])), eur(1_000), at(20), &limit()), "another card");
        assert!(exposure.admits((1, CARD.1), eur(1_000), at(20), &limit()), "another host");
        exposure.forget(at(75), |_| Duration::from_secs(60));
        assert_eq!(exposure.count, 1);
    }
}
