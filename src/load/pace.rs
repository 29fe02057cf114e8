//! When requests are due: pure logic, time comes in as an argument.
//!
//! A closed loop asks again when it was answered, so a server that stalls is asked less, and the percentiles show none
//! of what waiting customers would have felt ("coordinated omission"). An open loop has a timetable: the request of a
//! place is due at its time, whether or not the earlier ones are answered, and its latency counts from there. The
//! timetable is one for all connections; whichever is free takes the next place.

use std::time::Duration;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each connection asks again as soon as it was answered.
    Closed,
    /// So many requests a second are due, answered or not.
    Open {
        /// A second; above 0.
        rate: f64,
    },
}

/// The times at which the requests of an open loop are due, from the start of the run. The rate grows evenly from
/// nothing over the ramp and stays what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timetable {
    rate: f64,
    ramp: f64,
}

impl Timetable {
    /// A timetable; the rate is a second and above 0.
    pub fn new(rate: f64, ramp: Duration) -> Timetable {
        Timetable { rate, ramp: ramp.as_secs_f64() }
    }

    /// When the request of a place is due, the first one is place 0.
    pub fn due_at(&self, place: u64) -> Duration {
        let (place, within_ramp) = (place as f64, self.rate * self.ramp / 2.0);
        let seconds = match place < within_ramp {
            true => (2.0 * place * self.ramp / self.rate).sqrt(),
            false => self.ramp + (place - within_ramp) / self.rate,
        };
        Duration::from_secs_f64(seconds)
    }

    /// How many are due once so much time has passed.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        let t = elapsed.as_secs_f64();
        let reached = match t < self.ramp {
            true => self.rate * t * t / (2.0 * self.ramp),
            false => self.rate * self.ramp / 2.0 + self.rate * (t - self.ramp),
        };
        // The estimate can be off by one where rounding meets a due time; the due times themselves decide.
        let mut count = reached as u64;
        while self.due_at(count) <= elapsed {
            count += 1;
        }
        while count > 0 && self.due_at(count - 1) > elapsed {
            count -= 1;
        }
        count
    }
}

/// Lets requests go as they fall due, each exactly once.
#[derive(Clone, Debug)]
pub struct Pacer {
    timetable: Timetable,
    end: Duration,
    released: u64,
}

/// What a [`Pacer`] says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// So many more may go.
    pub count: usize,
    /// Ask again then; `None` once nothing more falls due.
    pub next: Option<Duration>,
}

impl Pacer {
    /// A pacer up to an end: what would be due then or later is never due.
    pub fn new(timetable: Timetable, end: Duration) -> Pacer {
        Pacer { timetable, end, released: 0 }
    }

    /// What has fallen due since it was last asked.
    pub fn release(&mut self, elapsed: Duration) -> Release {
        let last = self.end.saturating_sub(Duration::from_nanos(1));
        let due = self.timetable.due_by(elapsed.min(last)).max(self.released);
        let count = usize::try_from(due - self.released).unwrap_or(usize::MAX);
        self.released = due;
        let next = self.timetable.due_at(due);
        Release { count, next: (next < self.end).then_some(next) }
    }

    /// How many have fallen due.
    pub fn released(&self) -> u64 {
        self.released
    }
}

/// The three times of a request, from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// When it was due; in a closed loop, when it began.
    pub intended: Duration,
    /// When a connection took it.
    pub begun: Duration,
    /// When its answer was there.
    pub ended: Duration,
}

impl Timing {
    /// What whoever asked has waited: from when it was due.
    pub fn latency(&self) -> Duration {
        self.ended.saturating_sub(self.intended)
    }

    /// What the server and the way there took.
    pub fn service(&self) -> Duration {
        self.ended.saturating_sub(self.begun)
    }

    /// How long it waited for a free connection, or for this program.
    pub fn delay(&self) -> Duration {
        self.begun.saturating_sub(self.intended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A server under a virtual clock: how long it takes for a request that begins at a time.
    type Server = fn(Duration) -> Duration;

    /// Takes a millisecond, and stands still for a second from the fifth on.
    fn stalls(begun: Duration) -> Duration {
        let stalled = begun >= ms(5_000) && begun < ms(6_000);
        ms(1) + if stalled { ms(6_000) - begun } else { ms(0) }
    }

    /// Runs an open loop without a machine: each request goes to the connection that is free first.
    fn open(rate: f64, ramp: Duration, end: Duration, connections: usize, server: Server) -> Vec<Timing> {
        let timetable = Timetable::new(rate, ramp);
        let mut pacer = Pacer::new(timetable, end);
        let mut free_at = vec![Duration::ZERO; connections];
        let (mut timings, mut now) = (Vec::new(), Duration::ZERO);
        loop {
            let release = pacer.release(now);
            for _ in 0..release.count {
                let intended = timetable.due_at(timings.len() as u64);
                let free = free_at.iter_mut().min().expect("there are connections");
                let begun = now.max(*free);
                *free = begun + server(begun);
                timings.push(Timing { intended, begun, ended: *free });
            }
            let Some(next) = release.next else { return timings };
            assert!(next > now, "the clock goes on");
            now = next;
        }
    }

    fn closed(end: Duration, connections: usize, server: Server) -> Vec<Timing> {
        let mut timings = Vec::new();
        for _ in 0..connections {
            let mut now = Duration::ZERO;
            while now < end {
                let ended = now + server(now);
                timings.push(Timing { intended: now, begun: now, ended });
                now = ended;
            }
        }
        timings
    }

    fn share_above(timings: &[Timing], bound: Duration, of: fn(&Timing) -> Duration) -> f64 {
        timings.iter().filter(|timing| of(timing) > bound).count() as f64 / timings.len() as f64
    }

    #[test]
    fn a_stall_counts_for_everybody_who_was_due_during_it() {
        let timings = open(1_000.0, ms(0), ms(10_000), 4, stalls);
        assert_eq!(timings.len(), 10_000);
        // A tenth was due while the server stood still; those due in its first half waited longer than half of it.
        let half = share_above(&timings, ms(500), Timing::latency);
        assert!((0.05..0.08).contains(&half), "{half}");
        // The server itself was slow for four of them only: that is what a closed loop, or no schedule, would show.
        assert_eq!(timings.iter().filter(|timing| timing.service() > ms(2)).count(), 4);
        let closed = closed(ms(10_000), 4, stalls);
        assert_eq!(closed.iter().filter(|timing| timing.latency() > ms(2)).count(), 4);
    }

    #[test]
    fn a_server_that_keeps_up_is_charged_nothing_but_its_own_time() {
        let timings = open(900.0, ms(0), ms(2_000), 1, |_| ms(1));
        assert!(timings.iter().all(|timing| timing.latency() == ms(1) && timing.delay() == ms(0)));
    }

    #[test]
    fn overload_grows_the_wait_and_does_not_slow_the_timetable() {
        let timings = open(2_000.0, ms(0), ms(1_000), 1, |_| ms(1));
        assert_eq!(timings.len(), 2_000);
        let last = timings.last().expect("some were due");
        assert!(last.latency() > ms(990) && last.service() == ms(1), "{last:?}");
    }

    #[test]
    fn places_and_times_agree_with_and_without_a_ramp() {
        for (rate, ramp) in [(1.0, 0), (3.0, 0), (997.0, 0), (20_000.0, 0), (7.0, 1_500), (1_234.5, 10_000)] {
            let timetable = Timetable::new(rate, ms(ramp));
            let mut before = None;
            for place in (0..5_000).chain([1_000_000, 123_456_789]) {
                let at = timetable.due_at(place);
                assert!(before < Some(at), "times go on");
                before = Some(at);
                assert_eq!(timetable.due_by(at), place + 1, "{rate} {ramp} {place}");
                if let Some(just_before) = at.checked_sub(Duration::from_nanos(1)) {
                    assert_eq!(timetable.due_by(just_before), place);
                }
            }
        }
    }

    #[test]
    fn a_ramp_is_half_the_requests_of_its_time() {
        let timetable = Timetable::new(1_000.0, ms(2_000));
        assert_eq!(timetable.due_by(ms(2_000)), 1_001);
        assert_eq!(timetable.due_by(ms(1_000)), 251);
        assert_eq!(timetable.due_by(ms(3_000)) - timetable.due_by(ms(2_000)), 1_000);
    }

    #[test]
    fn a_pacer_that_was_asleep_makes_up_for_it_and_lets_each_go_once() {
        let mut pacer = Pacer::new(Timetable::new(100.0, ms(0)), ms(1_000));
        assert_eq!(pacer.release(ms(0)), Release { count: 1, next: Some(ms(10)) });
        assert_eq!(pacer.release(ms(5)), Release { count: 0, next: Some(ms(10)) });
        assert_eq!(pacer.release(ms(505)), Release { count: 50, next: Some(ms(510)) });
        assert_eq!(pacer.release(ms(60_000)), Release { count: 49, next: None });
        assert_eq!((pacer.release(ms(70_000)).count, pacer.released()), (0, 100));
    }
}
