//! The business days of a host: the current one, and earlier ones that are open until nothing of them is owed.
//!
//! Either the host decides the day (it says so by network message, data element 15 of its answers, or its clock as we
//! know it) or we do (our clock). Every operation keeps the day it was recorded on; this only says which day is current.
//! The surprise: a day that the host named is believed for 24 hours. A quiet host has surely begun another one by then,
//! and until it names that, we presume it, without treating the presumption as a cutover.

use crate::payment::{BusinessDate, CutoverClock, Wall};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Who decides which day it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayKeeper {
    /// The host does.
    #[default]
    Host,
    /// We do.
    Ours,
}

/// How the business day of a host is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySettings {
    /// Who decides it.
    pub keeper: DayKeeper,
    /// When it ends by the clock. Where we keep the day and nothing is said, it is the calendar's, UTC.
    pub cutover: Option<CutoverClock>,
}

/// The days of a host as they are made durable; the last one written counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayMark {
    /// The current day.
    pub current: BusinessDate,
    /// When it began, as far as we know.
    pub since: Wall,
    /// Whether the host named it by its date; what we reckoned ourselves gives way to what the host says.
    pub named: bool,
    /// Whether we saw it begin, or only found it begun.
    pub seen_to_begin: bool,
    /// Earlier days that are still open, oldest first.
    pub open: Vec<BusinessDate>,
}

/// A day ended and another began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutover {
    /// The day that ended; none where no day was known before.
    pub ended: Option<BusinessDate>,
    /// The day that began.
    pub begun: BusinessDate,
}

/// The business days of a host.
#[derive(Debug)]
pub struct BusinessDays {
    settings: DaySettings,
    current: Option<Current>,
    open: BTreeSet<BusinessDate>,
    /// Whether more is known than the clock would say again.
    worth_keeping: bool,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    day: BusinessDate,
    since: Wall,
    named: bool,
    seen_to_begin: bool,
    /// When it ends by the clock.
    ends_at: Option<Wall>,
    /// When it is presumed to have ended.
    doubted_at: Wall,
}

/// A host cuts over once a day: word of another cutover within this time is word of the same one.
const SAME_CUTOVER: Duration = Duration::from_secs(6 * 3600);
/// How long a day stands unquestioned.
const ONE_DAY: Duration = Duration::from_secs(24 * 3600);
/// From when on the host's word beats a day that we reckoned: answers on their way at the cutover name the day before.
const UNDER_WAY: Duration = Duration::from_secs(3600);
/// A day further than this from the calendar is no business day but a mistake.
const PLAUSIBLE_DAYS: u64 = 10;

impl BusinessDays {
    /// Nothing is known yet.
    pub fn new(settings: DaySettings) -> BusinessDays {
        BusinessDays { settings, current: None, open: BTreeSet::new(), worth_keeping: false }
    }

    /// Goes on where an earlier run ended.
    pub fn resume(&mut self, mark: &DayMark) {
        let current = self.beginning(mark.current, mark.since, mark.named);
        self.current = Some(Current { seen_to_begin: mark.seen_to_begin, ..current });
        self.open = mark.open.iter().copied().collect();
        self.worth_keeping = true;
    }

    fn beginning(&self, day: BusinessDate, since: Wall, named: bool) -> Current {
        let ends_at = self.clock().map(|clock| clock.ends_at(since));
        Current { day, since, named, seen_to_begin: false, ends_at, doubted_at: since.after(ONE_DAY) }
    }

    /// The clock that ends days, where one does.
    fn clock(&self) -> Option<CutoverClock> {
        match self.settings.keeper {
            DayKeeper::Ours => Some(self.settings.cutover.clone().unwrap_or_else(CutoverClock::calendar)),
            DayKeeper::Host => self.settings.cutover.clone(),
        }
    }

    /// The current day.
    pub fn today(&self, now: Wall) -> BusinessDate {
        match self.current {
            Some(current) if current.ends_at.is_none() && now >= current.doubted_at => {
                let days = now.since(current.since).as_secs() / ONE_DAY.as_secs();
                current.day.plus(i64::try_from(days).unwrap_or(1))
            }
            Some(current) => current.day,
            None => self.clock().map_or_else(|| BusinessDate::of(now), |clock| clock.day_at(now)),
        }
    }

    /// Time has passed: a day may have ended by the clock. Days by the clock never go back, whatever is done to it.
    pub fn pass(&mut self, now: Wall) -> Option<Cutover> {
        if self.current.is_some_and(|current| current.ends_at.is_none_or(|end| end > now)) {
            return None;
        }
        let clock = self.clock()?;
        match self.current {
            None => {
                self.current = Some(self.beginning(clock.day_at(now), now, false));
                None
            }
            Some(current) if clock.day_at(now) > current.day => Some(self.begin(clock.day_at(now), now, false)),
            Some(current) => {
                self.current = Some(Current { ends_at: Some(clock.ends_at(now)), ..current });
                None
            }
        }
    }

    /// When [`BusinessDays::pass`] has something to do.
    pub fn next_end(&self) -> Option<Wall> {
        self.current.and_then(|current| current.ends_at)
    }

    /// The host named its day in an answer. Gives the day back where it counts, and whether it begins with that.
    pub fn named(&mut self, day: BusinessDate, now: Wall) -> (Option<BusinessDate>, Option<Cutover>) {
        let plausible = day.days_from(BusinessDate::of(now)) <= PLAUSIBLE_DAYS;
        if self.settings.keeper == DayKeeper::Ours || !plausible {
            return (None, None);
        }
        let begins = match &mut self.current {
            None => true,
            Some(current) if day == current.day => {
                if !current.named || now >= current.doubted_at {
                    (current.named, current.doubted_at) = (true, now.after(ONE_DAY));
                    self.worth_keeping = true;
                }
                false
            }
            Some(current) if day > current.day => true,
            Some(current) => !current.named && now.since(current.since) > UNDER_WAY,
        };
        (Some(day), begins.then(|| self.begin(day, now, true)))
    }

    /// The host said that a day has begun, and which one, if it said so.
    pub fn announced(&mut self, day: Option<BusinessDate>, now: Wall) -> Option<Cutover> {
        if self.settings.keeper == DayKeeper::Ours {
            return None;
        }
        if let Some(day) = day {
            return self.named(day, now).1;
        }
        let heard = |current: Current| current.seen_to_begin && now.since(current.since) < SAME_CUTOVER;
        let heard = self.current.is_some_and(heard);
        (!heard).then(|| self.begin(self.today(now).next(), now, false))
    }

    /// An operator says that a day has begun: the next one, or this one, whatever was believed before.
    pub fn ordered(&mut self, day: Option<BusinessDate>, now: Wall) -> Option<Cutover> {
        let day = day.unwrap_or(self.today(now).next());
        let is_current = self.current.is_some_and(|current| current.day == day);
        (!is_current).then(|| self.begin(day, now, day < self.today(now)))
    }

    fn begin(&mut self, day: BusinessDate, now: Wall, named: bool) -> Cutover {
        let ended = self.current.map(|current| current.day);
        self.open.extend(ended);
        self.open.retain(|open| *open < day);
        self.worth_keeping = true;
        let seen_to_begin = ended.is_some();
        self.current = Some(Current { seen_to_begin, ..self.beginning(day, now, named) });
        Cutover { ended, begun: day }
    }

    /// Something is owed of this day: if it is an earlier one, it is open until that is done.
    pub fn owes(&mut self, day: BusinessDate) {
        if self.current.is_some_and(|current| day < current.day) {
            self.open.insert(day);
        }
    }

    /// The oldest of the earlier days that are open.
    pub fn oldest_open(&self) -> Option<BusinessDate> {
        self.open.first().copied()
    }

    /// How many earlier days are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Nothing of this day is owed any more.
    pub fn close(&mut self, day: BusinessDate) {
        self.open.remove(&day);
    }

    /// What is to be durable of them. A day that nobody named and that has not ended is the clock's, and needs no
    /// record.
    pub fn mark(&self) -> Option<DayMark> {
        let current = self.current.filter(|_| self.worth_keeping)?;
        let open = self.open.iter().copied().collect();
        let Current { day, since, named, seen_to_begin, .. } = current;
        Some(DayMark { current: day, since, named, seen_to_begin, open })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    /// 2026-11-22T12:00:00Z.
    const NOON: i64 = 1_795_348_800_000_000;

    fn at(hours: i64) -> Wall {
        Wall(NOON + hours * HOUR)
    }

    fn day(text: &str) -> BusinessDate {
        BusinessDate::parse(&format!("2026-11-{text}")).unwrap()
    }

    fn host() -> BusinessDays {
        BusinessDays::new(DaySettings::default())
    }

    fn ours() -> BusinessDays {
        BusinessDays::new(DaySettings { keeper: DayKeeper::Ours, cutover: None })
    }

    #[test]
    fn a_named_day_is_not_believed_for_ever() {
        let mut days = host();
        assert_eq!(days.today(at(0)), day("22"), "the calendar's, before anything was said");
        assert_eq!(days.named(day("23"), at(0)), (Some(day("23")), Some(Cutover { ended: None, begun: day("23") })));
        assert_eq!(days.today(at(23)), day("23"));
        assert_eq!(days.today(at(24)), day("24"));
        assert_eq!(days.today(at(49)), day("25"));
        assert_eq!(days.named(day("23"), at(30)).1, None, "a long weekend");
        assert_eq!(days.today(at(30)), day("23"));
    }

    #[test]
    fn an_answer_of_the_day_before_does_not_bring_it_back() {
        let mut days = host();
        days.named(day("22"), at(0));
        assert_eq!(days.named(day("23"), at(5)).1, Some(Cutover { ended: Some(day("22")), begun: day("23") }));
        assert_eq!(days.named(day("22"), at(6)), (Some(day("22")), None), "it keeps its own day");
        assert_eq!(days.today(at(6)), day("23"));
        assert_eq!(days.oldest_open(), Some(day("22")));
    }

    #[test]
    fn an_announced_cutover_counts_once() {
        let mut days = host();
        days.named(day("22"), at(-1));
        assert_eq!(days.announced(None, at(0)).unwrap().begun, day("23"));
        assert_eq!(days.announced(None, at(1)), None, "the same on another link");
        assert_eq!(days.named(day("22"), at(0)).1, None, "an answer that was under way");
        assert_eq!(days.named(day("25"), at(1)).unwrap_begun(), day("25"), "the host counts no weekend");
        assert_eq!(days.announced(Some(day("25")), at(2)), None);
        assert_eq!(days.announced(Some(day("26")), at(3)).unwrap().begun, day("26"), "named, so believed");
    }

    #[test]
    fn the_host_corrects_what_we_reckoned() {
        let mut days = host();
        days.named(day("22"), at(-12));
        days.announced(None, at(0));
        assert_eq!(days.named(day("22"), at(2)).unwrap_begun(), day("22"));
        assert_eq!(days.oldest_open(), None);
    }

    #[test]
    fn days_out_of_reason_are_not_believed() {
        let mut days = host();
        assert_eq!(days.named(BusinessDate::parse("2027-06-01").unwrap(), at(0)), (None, None));
        assert_eq!(ours().named(day("24"), at(0)), (None, None), "we keep the day");
    }

    #[test]
    fn our_own_days_end_by_the_clock_and_never_go_back() {
        let mut days = ours();
        assert_eq!(days.pass(at(0)), None);
        assert_eq!(days.mark(), None, "the clock says it again");
        assert_eq!(days.next_end(), Some(at(12)));
        assert_eq!(days.pass(at(11)), None);
        assert_eq!(days.pass(at(12)), Some(Cutover { ended: Some(day("22")), begun: day("23") }));
        assert_eq!(days.pass(at(-30)), None);
        assert_eq!(days.today(at(-30)), day("23"));
        assert_eq!(days.announced(None, at(20)), None);
    }

    #[test]
    fn an_operator_is_obeyed() {
        let mut days = ours();
        days.pass(at(0));
        assert_eq!(days.ordered(None, at(1)).unwrap().begun, day("23"));
        assert_eq!(days.pass(at(12)), None, "it has begun already");
        assert_eq!(days.pass(at(36)).unwrap().begun, day("24"));
        assert_eq!(days.ordered(Some(day("20")), at(37)).unwrap().begun, day("20"));
        assert_eq!(days.ordered(Some(day("20")), at(38)), None);
    }

    #[test]
    fn earlier_days_stay_open_until_they_are_closed() {
        let mut days = host();
        days.named(day("22"), at(0));
        days.named(day("23"), at(1));
        days.named(day("24"), at(2));
        assert_eq!((days.open(), days.oldest_open()), (2, Some(day("22"))));
        days.close(day("22"));
        assert_eq!(days.oldest_open(), Some(day("23")));
        days.owes(day("21"));
        assert_eq!(days.oldest_open(), Some(day("21")), "something of it is owed again");
    }

    #[test]
    fn what_is_durable_survives() {
        let mut days = host();
        days.named(day("22"), at(0));
        days.named(day("23"), at(1));
        let mark = days.mark().unwrap();
        let mut after = host();
        after.resume(&mark);
        assert_eq!(after.mark(), Some(mark));
        assert_eq!((after.today(at(3)), after.oldest_open()), (day("23"), Some(day("22"))));
        assert_eq!(after.today(at(26)), day("24"));
    }

    trait Begun {
        fn unwrap_begun(self) -> BusinessDate;
    }

    impl Begun for (Option<BusinessDate>, Option<Cutover>) {
        fn unwrap_begun(self) -> BusinessDate {
            self.1.unwrap().begun
        }
    }
}
