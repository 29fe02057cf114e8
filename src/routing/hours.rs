//! The hours of a route: a part of the day, on some days of the week, on the clock of a zone.

use crate::payment::Wall;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

const MINUTES: u16 = 24 * 60;

/// From one minute of the day up to and without another; it may pass midnight, and the day is then the one on which
/// the moment lies, not the one on which the part of the day began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hours {
    pub zone: TimeZone,
    /// Empty: all of them.
    pub days: Vec<Weekday>,
    /// Minutes since midnight.
    pub from: u16,
    pub to: u16,
}

impl Hours {
    pub(super) fn hold(&self, at: Wall) -> bool {
        let local = at.local(&self.zone);
        let day = self.days.is_empty() || self.days.contains(&local.weekday());
        day && self.holds_minute(minute(local.time()))
    }

    fn holds_minute(&self, minute: u16) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }

    /// Whether every moment of `other` is one of these.
    pub(super) fn cover(&self, other: &Hours) -> bool {
        let days = self.days.is_empty() || (!other.days.is_empty() && other.days.iter().all(|d| self.days.contains(d)));
        let minutes = (0..MINUTES).all(|minute| !other.holds_minute(minute) || self.holds_minute(minute));
        // What two zones have in common changes with the season.
        self.zone == other.zone && days && minutes
    }
}

/// `hh:mm`, and `24:00` for the end of a day.
pub(super) fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let minutes = number(hour)? * 60 + number(minute).filter(|minute| *minute < 60)?;
    (minutes <= MINUTES).then_some(minutes % MINUTES)
}

/// By the first three letters of its English name.
pub(super) fn day_of(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

fn minute(time: Time) -> u16 {
    // A time of day has no negative parts.
    time.hour().unsigned_abs() as u16 * 60 + time.minute().unsigned_abs() as u16
}
