//! A bank that does so much a second: what comes faster waits its turn, in the order in which it came.
//!
//! Only answers to financial messages wait; they are booked as they come. Network messages are another desk's.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::payment::Wall;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_MICRO: i128 = 1_000;

/// Who is served when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// How long one takes, in nanoseconds; without it, no time at all.
    each: Option<i128>,
    /// When all that has come is served, in nanoseconds of wall time.
    free_at: i128,
}

impl Turns {
    pub(super) fn a_second(count: Option<NonZeroU32>) -> Self {
        Self { each: count.map(|count| NANOS_PER_SECOND / i128::from(count.get())), free_at: 0 }
    }

    /// How long it takes until a message that comes now is served.
    pub(super) fn wait(&mut self, now: Wall) -> Duration {
        let Some(each) = self.each else { return Duration::ZERO };
        let now = i128::from(now.0) * NANOS_PER_MICRO;
        self.free_at = self.free_at.max(now) + each;
        Duration::from_nanos(u64::try_from(self.free_at - now).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_once_is_served_at_its_pace_and_rest_saves_nothing_up() {
        let mut turns = Turns::a_second(NonZeroU32::new(1_000));
        let waits: Vec<u128> = (0..5).map(|_| turns.wait(Wall(0)).as_millis()).collect();
        assert_eq!(waits, [1, 2, 3, 4, 5]);
        assert_eq!(turns.wait(Wall(4_000)), Duration::from_millis(2), "the fifth ends in a millisecond");
        assert_eq!(turns.wait(Wall(60_000_000)), Duration::from_millis(1));
        assert_eq!(turns.wait(Wall(60_000_000)), Duration::from_millis(2));
    }

    #[test]
    fn without_a_bound_nobody_waits() {
        assert_eq!(Turns::default().wait(Wall(1)), Duration::ZERO);
    }
}
