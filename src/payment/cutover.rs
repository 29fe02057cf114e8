//! When a business day ends by the clock: a time of day in a time zone.
//!
//! The zone comes in as a value, so that the same moments give the same days everywhere. The surprise: a cutover from
//! noon on ends the day of its own date (from 23:00 on it is tomorrow's business), one before noon ends the day before.

use super::time::{BusinessDate, Wall};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// Ends a day at the same local time each day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutoverClock {
    at: Time,
    zone: TimeZone,
}

impl CutoverClock {
    /// A cutover at a local time, written `hh:mm`; `None` where the text is no such time.
    pub fn new(at: &str, zone: TimeZone) -> Option<CutoverClock> {
        let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let (hour, minute) = at.split_once(':').filter(|(hour, minute)| two_digits(hour) && two_digits(minute))?;
        let at = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
        Some(CutoverClock { at, zone })
    }

    /// The calendar's days, UTC.
    pub fn calendar() -> CutoverClock {
        CutoverClock { at: Time::midnight(), zone: TimeZone::UTC }
    }

    /// The business day at a moment.
    pub fn day_at(&self, wall: Wall) -> BusinessDate {
        let (date, _) = self.next(wall.timestamp());
        match self.at.hour() >= 12 {
            true => BusinessDate(date),
            false => BusinessDate(date).plus(-1),
        }
    }

    /// When that day ends.
    pub fn ends_at(&self, wall: Wall) -> Wall {
        Wall(self.next(wall.timestamp()).1.as_microsecond())
    }

    /// The first cutover behind a moment, with its local date.
    fn next(&self, after: Timestamp) -> (Date, Timestamp) {
        let today = self.zone.to_datetime(after).date();
        let yesterday = today.yesterday().unwrap_or(today);
        let cutover = |date: Date| Some((date, self.zone.to_timestamp(date.to_datetime(self.at)).ok()?));
        let next = yesterday.series(jiff::Span::new().days(1)).take(4).filter_map(cutover).find(|(_, at)| *at > after);
        // Only the last days of the calendar have no cutover behind them.
        next.unwrap_or((today, Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn clock(at: &str, zone: &str) -> CutoverClock {
        CutoverClock::new(at, TimeZone::get(zone).unwrap()).unwrap()
    }

    fn wall(text: &str) -> Wall {
        Wall(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn day(clock: &CutoverClock, at: &str) -> String {
        clock.day_at(wall(at)).to_string()
    }

    #[test]
    fn an_evening_cutover_begins_tomorrow() {
        let berlin = clock("23:00", "Europe/Berlin");
        assert_eq!(day(&berlin, "2026-11-22T21:59:59Z"), "2026-11-22");
        assert_eq!(day(&berlin, "2026-11-22T22:00:00Z"), "2026-11-23");
        assert_eq!(berlin.ends_at(wall("2026-11-22T22:00:00Z")), wall("2026-11-23T22:00:00Z"));
    }

    #[test]
    fn a_morning_cutover_ends_yesterday() {
        let panama = clock("03:30", "America/Panama");
        assert_eq!(day(&panama, "2026-11-22T08:29:59Z"), "2026-11-21");
        assert_eq!(day(&panama, "2026-11-22T08:30:00Z"), "2026-11-22");
        assert_eq!(day(&CutoverClock::calendar(), "2026-11-22T00:00:00Z"), "2026-11-22");
        assert_eq!(day(&CutoverClock::calendar(), "2026-11-22T23:59:59Z"), "2026-11-22");
    }

    #[test]
    fn a_day_ends_once_where_the_clock_is_set() {
        let berlin = clock("02:30", "Europe/Berlin");
        // 02:30 does not exist on 2026-03-29 and comes twice on 2026-10-25.
        for date in ["2026-03-29", "2026-10-25"] {
            let mut at = wall(&format!("{date}T00:00:00Z"));
            let mut changes = 0;
            for _ in 0..240 {
                let next = Wall(at.0 + 60_000_000);
                changes += usize::from(berlin.day_at(at) != berlin.day_at(next));
                at = next;
            }
            assert_eq!(changes, 1, "{date}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "24:00", "9:00", "09.00", "09:60", "+9:00"] {
            assert_eq!(CutoverClock::new(text, TimeZone::UTC), None, "{text}");
        }
    }
}
