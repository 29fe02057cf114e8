//! Trace numbers and retrieval references of one acquirer id.
//!
//! Both come from counts that never go back: blocks of them are reserved in the store before use, and a restart goes
//! on behind the last block. The trace number is the count folded into 1 to 999999, so that (acquirer, STAN,
//! transmission second) could repeat only if a million were used within a second, which is refused; the time given
//! out with a number never goes back either.

use crate::payment::{Rrn, Stan, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The numbers of an acquirer.
#[derive(Debug)]
pub struct Numbers {
    next_stan: u64,
    next_rrn: u64,
    reserved: Reservation,
    /// The block that was asked for and is not durable yet.
    asked: Option<Reservation>,
    in_use: BTreeMap<Stan, u32>,
    /// Numbers of others that messages bear, by the second of their transmission; none of a second that is over.
    borrowed: BTreeMap<i64, BTreeSet<Stan>>,
    second: i64,
    first_of_second: u64,
    last_time: Wall,
}

/// Counts up to which numbers are reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Of trace numbers.
    pub stans: u64,
    /// Of retrieval references.
    pub rrns: u64,
}

/// No number can be given out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfNumbers;

/// How many numbers are reserved at a time.
const BLOCK: u64 = 20_000;
/// Trace numbers in use that are skipped before giving up; the switch's credit is far below the space.
const SKIPS: u32 = 100_000;

impl Numbers {
    /// Goes on behind what was reserved before.
    pub fn after(reserved: Reservation) -> Numbers {
        Numbers {
            next_stan: reserved.stans,
            next_rrn: reserved.rrns,
            reserved,
            asked: None,
            in_use: BTreeMap::new(),
            borrowed: BTreeMap::new(),
            second: i64::MIN,
            first_of_second: 0,
            last_time: Wall(i64::MIN),
        }
    }

    /// Goes on behind what was reserved before; what is in use stays so.
    pub fn go_on_behind(&mut self, reserved: Reservation) {
        let (in_use, borrowed) = (std::mem::take(&mut self.in_use), std::mem::take(&mut self.borrowed));
        *self = Numbers { in_use, borrowed, ..Numbers::after(reserved) };
    }

    /// The block to reserve now, if it is time for one; asked for once.
    pub fn wanted(&mut self) -> Option<Reservation> {
        let left = (self.reserved.stans - self.next_stan).min(self.reserved.rrns - self.next_rrn);
        if self.asked.is_some() || left > BLOCK / 2 {
            return None;
        }
        let block = Reservation { stans: self.reserved.stans + BLOCK, rrns: self.reserved.rrns + BLOCK };
        self.asked = Some(block);
        self.asked
    }

    /// The block that was asked for is durable, or could not be made so.
    pub fn reserved(&mut self, durable: bool) {
        if let Some(block) = self.asked.take().filter(|_| durable) {
            self.reserved = block;
        }
    }

    /// A trace number that is not in use, and the transmission time that goes with it. It is in use until
    /// [`Numbers::release`].
    pub fn stan(&mut self, now: Wall) -> Result<(Stan, Wall), OutOfNumbers> {
        let time = self.time(now);
        if time.second() != self.second {
            (self.second, self.first_of_second) = (time.second(), self.next_stan);
        }
        for _ in 0..SKIPS {
            let spent = self.next_stan - self.first_of_second >= u64::from(Stan::SPACE);
            if spent || self.next_stan >= self.reserved.stans {
                return Err(OutOfNumbers);
            }
            let stan = fold(self.next_stan);
            self.next_stan += 1;
            if !self.in_use.contains_key(&stan) {
                self.hold(stan);
                return Ok((stan, time));
            }
        }
        Err(OutOfNumbers)
    }

    /// The time of transmission now: it does not go back.
    pub fn time(&mut self, now: Wall) -> Wall {
        self.last_time = now.max(self.last_time);
        self.last_time
    }

    /// A transmission time, from `earliest` on, for a message that bears the number of another, as a reversal may bear
    /// its original's. Two originals may bear the same number, a million numbers apart; what bears it after them does
    /// so in different seconds.
    pub fn time_under(&mut self, stan: Stan, earliest: Wall, now: Wall) -> Wall {
        let mut time = self.time(now).max(earliest);
        self.borrowed = self.borrowed.split_off(&self.last_time.second());
        while self.borrowed.get(&time.second()).is_some_and(|borrowed| borrowed.contains(&stan)) {
            time = time.after(Duration::from_secs(1));
        }
        self.bears(stan, time);
        time
    }

    /// A message bears the number of another at this time.
    pub fn bears(&mut self, stan: Stan, time: Wall) {
        self.borrowed.entry(time.second()).or_default().insert(stan);
    }

    /// Whether there is a trace number and a retrieval reference to give out.
    pub fn has_any(&self) -> bool {
        self.next_stan < self.reserved.stans && self.next_rrn < self.reserved.rrns
    }

    /// A retrieval reference.
    pub fn rrn(&mut self) -> Result<Rrn, OutOfNumbers> {
        if self.next_rrn >= self.reserved.rrns {
            return Err(OutOfNumbers);
        }
        self.next_rrn += 1;
        Ok(Rrn::from_sequence(self.next_rrn))
    }

    /// Another message in motion bears this trace number.
    pub fn hold(&mut self, stan: Stan) {
        *self.in_use.entry(stan).or_insert(0) += 1;
    }

    /// A message that bore this trace number is no longer in motion.
    pub fn release(&mut self, stan: Stan) {
        if let Some(count) = self.in_use.get_mut(&stan) {
            *count -= 1;
            if *count == 0 {
                self.in_use.remove(&stan);
            }
        }
    }

    /// How many trace numbers are held.
    pub fn in_use(&self) -> usize {
        self.in_use.len()
    }
}

fn fold(count: u64) -> Stan {
    let number = count % u64::from(Stan::SPACE) + 1;
    Stan::new(number as u32).expect("folded into 1 to 999999")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fresh(stans: u64) -> Numbers {
        let mut numbers = Numbers::after(Reservation { stans, rrns: 0 });
        reserve(&mut numbers);
        numbers
    }

    fn reserve(numbers: &mut Numbers) {
        while numbers.wanted().is_some() {
            numbers.reserved(true);
        }
    }

    const NOON: Wall = Wall(1_800_000_000_000_000);

    #[test]
    fn nothing_is_given_out_before_it_is_reserved() {
        let mut numbers = Numbers::after(Reservation::default());
        assert_eq!(numbers.stan(NOON), Err(OutOfNumbers));
        assert!(numbers.wanted().is_some());
        assert_eq!(numbers.wanted(), None, "asked once");
        assert_eq!(numbers.rrn(), Err(OutOfNumbers));
        numbers.reserved(false);
        assert_eq!(numbers.stan(NOON), Err(OutOfNumbers));
        reserve(&mut numbers);
        assert_eq!(numbers.stan(NOON).unwrap().0.number(), 1);
    }

    #[test]
    fn the_space_wraps_without_zero() {
        let mut numbers = fresh(999_998);
        let drawn: Vec<u32> = (0..3).map(|_| numbers.stan(NOON).unwrap().0.number()).collect();
        assert_eq!(drawn, [999_999, 1, 2]);
    }

    #[test]
    fn a_number_in_motion_is_skipped() {
        let mut numbers = fresh(0);
        numbers.hold(Stan::new(1).unwrap());
        numbers.hold(Stan::new(1).unwrap());
        numbers.release(Stan::new(1).unwrap());
        assert_eq!(numbers.stan(NOON).unwrap().0.number(), 2);
    }

    #[test]
    fn a_number_and_its_second_never_repeat() {
        let mut numbers = fresh(0);
        for _ in 0..999_999 {
            reserve(&mut numbers);
            let (stan, _) = numbers.stan(NOON).unwrap();
            numbers.release(stan);
        }
        reserve(&mut numbers);
        assert_eq!(numbers.stan(NOON), Err(OutOfNumbers), "the space is spent within this second");
        let later = Wall(NOON.0 + 1_000_000);
        assert_eq!(numbers.stan(later).unwrap(), (Stan::new(1).unwrap(), later));
        assert_eq!(numbers.stan(NOON).unwrap().1, later, "time given out does not go back");
    }

    #[test]
    fn what_bears_the_number_of_another_does_so_once_a_second() {
        let mut numbers = fresh(0);
        let (stan, second) = (Stan::new(7).unwrap(), Duration::from_secs(1));
        let (one, two) = (numbers.time_under(stan, NOON, NOON), numbers.time_under(stan, NOON, NOON));
        assert_eq!((one, two), (NOON, NOON.after(second)));
        assert_eq!(numbers.time_under(Stan::new(8).unwrap(), NOON, NOON), NOON, "another number");
        numbers.go_on_behind(Reservation { stans: 20_000, rrns: 20_000 });
        let later = NOON.after(second);
        assert_eq!(numbers.time_under(stan, NOON, later), later.after(second), "and after a restart");
        assert_eq!(numbers.borrowed.len(), 2, "seconds that are over are forgotten");
    }

    #[test]
    fn retrieval_references_count_on() {
        let mut numbers = fresh(0);
        let (one, two) = (numbers.rrn().unwrap(), numbers.rrn().unwrap());
        assert_ne!(one, two);
    }
}
