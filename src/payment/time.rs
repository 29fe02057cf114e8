//! Time as a value. Nothing below the shells reads a clock: events bring both times with them.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::fmt;
use std::time::Duration;

/// Microseconds of a clock that never goes back, meaningful within one run only: for deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The moment `wait` later.
    pub fn after(self, wait: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Microseconds since the Unix epoch, UTC: for stamps, and for deadlines that outlive a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall(pub i64);

impl Wall {
    /// The whole second this lies in.
    pub fn second(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Calendar date and time, UTC.
    pub fn utc(self) -> DateTime {
        self.timestamp().to_zoned(TimeZone::UTC).datetime()
    }

    /// Calendar date and time on the clock of a zone.
    pub fn local(self, zone: &TimeZone) -> DateTime {
        self.timestamp().to_zoned(zone.clone()).datetime()
    }

    /// Reads RFC 3339, with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Wall> {
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Wall(timestamp.as_microsecond()))
    }

    /// RFC 3339 text with milliseconds, UTC.
    pub fn rfc3339(self) -> String {
        format!("{:.3}", self.timestamp())
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `wait` later.
    pub fn after(self, wait: Duration) -> Wall {
        Wall(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    pub(super) fn timestamp(self) -> Timestamp {
        let out_of_range = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_microsecond(self.0).unwrap_or(out_of_range)
    }
}

/// Both times of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines within this run.
    pub monotonic: Monotonic,
    /// For stamps.
    pub wall: Wall,
}

/// The day a bank books an operation on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BusinessDate(pub(super) Date);

impl BusinessDate {
    /// The UTC calendar day of a moment.
    pub fn of(wall: Wall) -> BusinessDate {
        BusinessDate(wall.utc().date())
    }

    /// Reads ISO 8601, YYYY-MM-DD.
    pub fn parse(text: &str) -> Option<BusinessDate> {
        text.parse().ok().map(BusinessDate)
    }

    /// Reads the MMDD of data element 15, which has no year: the day nearest to `around`.
    pub fn from_mmdd(text: &str, around: Wall) -> Option<BusinessDate> {
        if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (month, day): (i8, i8) = (text[..2].parse().ok()?, text[2..].parse().ok()?);
        let today = around.utc().date();
        let candidates = (-1..=1).filter_map(|years| Date::new(today.year() + years, month, day).ok());
        candidates.min_by_key(|date| date.duration_since(today).abs()).map(BusinessDate)
    }

    /// Reads data element 15 in any edition: MMDD (1987, the day nearest to `around`), YYMMDD (1993), YYYYMMDD (2003).
    pub fn from_element(text: &str, around: Wall) -> Option<BusinessDate> {
        match text.len() {
            4 => BusinessDate::from_mmdd(text, around),
            6 => BusinessDate::from_yyyymmdd(&format!("20{text}")),
            _ => BusinessDate::from_yyyymmdd(text),
        }
    }

    fn from_yyyymmdd(text: &str) -> Option<BusinessDate> {
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (year, month, day) = (text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
        Date::new(year, month, day).ok().map(BusinessDate)
    }

    /// The MMDD of data element 15.
    pub fn mmdd(self) -> String {
        format!("{:02}{:02}", self.0.month(), self.0.day())
    }

    /// The day of the calendar, at its beginning: for patterns that write parts of it.
    pub fn midnight(self) -> DateTime {
        self.0.to_datetime(Time::midnight())
    }

    /// How many days lie between this and another, whichever comes first.
    pub fn days_from(self, other: BusinessDate) -> u64 {
        self.0.duration_since(other.0).as_hours().unsigned_abs() / 24
    }

    /// The day after.
    pub fn next(self) -> BusinessDate {
        self.plus(1)
    }

    /// So many days later.
    pub fn plus(self, days: i64) -> BusinessDate {
        BusinessDate(self.0.saturating_add(SignedDuration::from_hours(24_i64.saturating_mul(days))))
    }
}

impl fmt::Display for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR: Wall = Wall(1_798_761_599_000_000); // 2026-12-31T23:59:59Z

    #[test]
    fn a_day_without_a_year_is_the_nearest_one() {
        let text = |mmdd| BusinessDate::from_mmdd(mmdd, NEW_YEAR).map(|date| date.to_string());
        assert_eq!(text("0101"), Some("2027-01-01".to_owned()));
        assert_eq!(text("1231"), Some("2026-12-31".to_owned()));
        assert_eq!(text("0229"), None, "neither year has that day");
        assert_eq!(text("1301"), None);
        assert_eq!(text("+1+1"), None);
    }

    #[test]
    fn each_edition_writes_the_day_in_its_own_way() {
        let read = |text| BusinessDate::from_element(text, NEW_YEAR).map(|date| date.to_string());
        assert_eq!(read("0101"), Some("2027-01-01".to_owned()));
        assert_eq!(read("270101"), Some("2027-01-01".to_owned()));
        assert_eq!(read("20270101"), Some("2027-01-01".to_owned()));
        assert_eq!(read("270132"), None);
        assert_eq!(read("2701 1"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn stamps_print_in_utc() {
        assert_eq!(NEW_YEAR.rfc3339(), "2026-12-31T23:59:59.000Z");
        assert_eq!(BusinessDate::of(NEW_YEAR).next().to_string(), "2027-01-01");
    }

    #[test]
    fn deadlines_saturate() {
        assert_eq!(Monotonic(u64::MAX).after(Duration::MAX), Monotonic(u64::MAX));
        assert_eq!(Monotonic(5).since(Monotonic(9)), Duration::ZERO);
    }
}
