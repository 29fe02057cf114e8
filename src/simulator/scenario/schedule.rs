//! What happens by the clock and not by a message: outages, events, and when a rule holds.
//!
//! Two clocks are meant. "Since the start" counts from the bank's first moment in this run; a time of
//! day is UTC and comes every day. A span of the day may reach over midnight.

use std::time::Duration;

use crate::payment::Wall;

use super::super::request::Network;

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * MINUTE;
const MINUTE: i64 = 60_000_000;

/// A moment as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub now: Wall,
    /// When the bank started.
    pub started: Wall,
}

impl Moment {
    fn since_start(self) -> Duration {
        self.now.since(self.started)
    }
}

/// When something holds; both spans have to, where both are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// From this long after the start.
    pub from: Duration,
    /// Until this long after the start, which is not in it any more.
    pub to: Option<Duration>,
    /// Minutes of the day, UTC: from, and until.
    pub of_day: Option<(u32, u32)>,
}

impl Span {
    /// Whether it holds at a moment.
    pub fn holds(&self, at: Moment) -> bool {
        let elapsed = at.since_start();
        elapsed >= self.from && self.to.is_none_or(|to| elapsed < to) && self.is_of_day(at.now)
    }

    fn is_of_day(&self, now: Wall) -> bool {
        let Some((from, to)) = self.of_day else { return true };
        let minute = now.0.rem_euclid(DAY) / MINUTE;
        let (from, to) = (i64::from(from), i64::from(to));
        match from <= to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        }
    }
}

/// What a peer sees of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Down {
    /// Links are closed, and new ones too.
    Closed,
    /// Links stay and nothing is answered on them.
    Deaf,
}

/// A time in which the bank is down.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Why, in plain words.
    pub about: String,
    /// When.
    pub span: Span,
    /// How it shows.
    pub links: Down,
}

/// What the bank does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Asks every peer whether it lives.
    Echo,
    /// Demands of every peer that it ask for new keys.
    KeyChange,
    /// Sends new keys to a peer.
    NewKeys,
    /// Sends new keys to a peer with check values that are those of others.
    WrongKeys,
    /// Begins the next business day.
    Cutover,
    /// Signs off from every peer, which leaves the link up and without a sign-on.
    SignOff,
    /// Closes every link.
    CloseLinks,
    /// Resets every link.
    ResetLinks,
    /// Leaves every link open and dead.
    HalfOpenLinks,
}

impl Act {
    /// The network message that it is, where it is one.
    pub(in super::super) fn question(self) -> Option<Network> {
        match self {
            Self::Echo => Some(Network::Echo),
            Self::KeyChange => Some(Network::KeyChange),
            Self::Cutover => Some(Network::Cutover),
            Self::SignOff => Some(Network::SignOff),
            Self::NewKeys | Self::WrongKeys | Self::CloseLinks | Self::ResetLinks | Self::HalfOpenLinks => None,
        }
    }
}

/// Something the bank does at its time.
#[derive(Clone, Debug)]
pub struct Event {
    /// Why, in plain words.
    pub about: String,
    /// What.
    pub act: Act,
    /// When.
    pub due: Due,
}

/// When an event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Once, so long after the start.
    At(Duration),
    /// Again and again after so long.
    Every(Duration),
    /// Every day at this minute, UTC.
    Daily(u32),
}

impl Due {
    /// How often it came due after `before` and up to `at`. Where much time has passed it is once.
    pub(in super::super) fn came(self, before: Moment, at: Moment) -> bool {
        let (earlier, later) = (before.since_start(), at.since_start());
        match self {
            Self::At(moment) => earlier < moment && moment <= later,
            Self::Every(period) => {
                let periods = |elapsed: Duration| elapsed.as_micros() / period.as_micros().max(1);
                periods(earlier) < periods(later)
            }
            Self::Daily(minute) => {
                let days = |now: Wall| (now.0 - i64::from(minute) * MINUTE).div_euclid(DAY);
                days(before.now) < days(at.now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Wall = Wall(1_795_348_800_000_000); // 2026-11-22T12:00:00Z

    fn after(seconds: i64) -> Moment {
        Moment { now: Wall(NOON.0 + seconds * 1_000_000), started: NOON }
    }

    #[test]
    fn a_span_counts_from_the_start_or_by_the_day() {
        let seconds =
            |from, to| Span { from: Duration::from_secs(from), to: Some(Duration::from_secs(to)), of_day: None };
        let held: Vec<i64> = (0..6).filter(|second| seconds(2, 4).holds(after(*second))).collect();
        assert_eq!(held, [2, 3]);
        let day = |from: u32, to: u32| Span { of_day: Some((from * 60, to * 60)), ..Span::default() };
        let hours = |span: Span| {
            (0..24).filter(|hour| span.holds(after(hour * 3_600))).map(|hour| (hour + 12) % 24).collect::<Vec<i64>>()
        };
        assert_eq!(hours(day(13, 15)), [13, 14]);
        assert_eq!(hours(day(23, 1)), [23, 0]);
    }

    #[test]
    fn an_event_comes_due_once_between_two_looks_at_the_clock() {
        let came = |due: Due, from, to| due.came(after(from), after(to));
        let at = Due::At(Duration::from_secs(10));
        assert_eq!([came(at, 0, 9), came(at, 9, 10), came(at, 10, 11)], [false, true, false]);
        let every = Due::Every(Duration::from_secs(5));
        assert_eq!(
            [came(every, 0, 4), came(every, 4, 5), came(every, 6, 9), came(every, 9, 30)],
            [false, true, false, true]
        );
        let daily = Due::Daily(12 * 60 + 1);
        assert_eq!(
            [came(daily, 0, 59), came(daily, 59, 60), came(daily, 60, 86_000), came(daily, 86_000, 86_460)],
            [false, true, false, true]
        );
    }
}
