//! The keys shared with a host, as the switch knows them: by number. Which one is used, when they are changed, and how
//! long the one before is good still.
//!
//! ```text
//!   not fresh ──begin──▶ asked, or awaited ──offered──▶ taking ──taken──▶ fresh ──age, errors, order──▶ asked ...
//!       ▲                      │ no, silence              │ not taken        │ all links down
//!       └──────────────────────┴──────────────────────────┴──────────────────┘
//! ```
//!
//! One exchange is under way at a time; what a host offers is taken whenever it comes, since from then on it may use
//! it. The surprise: a frame whose MAC is wrong is put aside while keys change, because it may be made under one that
//! the key service does not have yet.

use super::event::LinkId;
use super::frame::Frame;
use crate::payment::{Monotonic, Name, Stan};
use crate::security::{Direction, ExchangeSettings, KeySlot, Renewed, SlotUse};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Offers that may be with the key service at once.
const MOST_TAKINGS: usize = 8;
/// Frames that are put aside at once; one more is judged as it is.
const MOST_ASIDE: usize = 256;
/// Keys before the present one that are kept at once; the oldest goes before its time.
const MOST_RETIRING: usize = 16;

/// A use and a way: what has a key of its own.
type Slot = (SlotUse, Direction);

/// The keys shared with a host.
#[derive(Debug)]
pub(super) struct Keying {
    settings: Option<ExchangeSettings>,
    host: Name,
    in_use: BTreeMap<Slot, u32>,
    last_number: u32,
    /// What was brought since everything had to be exchanged.
    brought: BTreeSet<Slot>,
    asking: Option<Asking>,
    takings: BTreeMap<u32, Taking>,
    retiring: Vec<(Monotonic, KeySlot)>,
    taken_at: Option<Monotonic>,
    /// Wrong and missing MACs since keys were last taken.
    errors: u32,
    /// No change is asked for before this.
    not_before: Monotonic,
    aside: Vec<(LinkId, Frame)>,
}

/// A change that was asked for, or is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asking {
    /// On which link, and in which of its epochs.
    link: (LinkId, u32),
    stan: Option<Stan>,
    deadline: Monotonic,
}

/// What is with the key service.
#[derive(Debug)]
struct Taking {
    slots: BTreeSet<Slot>,
    deadline: Monotonic,
    answers: Option<Owed>,
}

/// The answers that a host is owed for a request of its own, once it is known whether its keys were taken.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    /// On which link, and in which of its epochs.
    pub link: (LinkId, u32),
    /// Where they were taken.
    pub yes: Option<Bytes>,
    /// Where they were not.
    pub no: Option<Bytes>,
}

/// What became of keys that were offered.
#[derive(Debug)]
pub(super) enum Taken {
    /// They are in use; the host is owed this answer.
    InUse(Option<Owed>),
    /// They are not; the same.
    Refused(Option<Owed>),
    /// Nobody waits for them any more.
    Forgotten(Vec<KeySlot>),
}

impl Keying {
    /// Keys of files are number 0.
    pub(super) fn new(host: Name, settings: Option<ExchangeSettings>) -> Keying {
        Keying {
            settings,
            host,
            in_use: BTreeMap::new(),
            last_number: 0,
            brought: BTreeSet::new(),
            asking: None,
            takings: BTreeMap::new(),
            retiring: Vec::new(),
            taken_at: None,
            errors: 0,
            not_before: Monotonic::default(),
            aside: Vec::new(),
        }
    }

    pub(super) fn settings(&self) -> Option<&ExchangeSettings> {
        self.settings.as_ref()
    }

    /// The key in use.
    pub(super) fn slot(&self, usage: SlotUse, direction: Direction) -> KeySlot {
        let epoch = self.in_use.get(&(usage, direction)).copied().unwrap_or(0);
        self.named((usage, direction), epoch)
    }

    fn named(&self, (usage, direction): Slot, epoch: u32) -> KeySlot {
        KeySlot { host: self.host.clone(), usage, direction, epoch }
    }

    /// Whether traffic may flow as far as keys go.
    pub(super) fn is_fresh(&self) -> bool {
        self.settings.as_ref().is_none_or(|settings| settings.brought().all(|slot| self.brought.contains(&slot)))
    }

    /// Whether a change is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.asking.is_some() || !self.takings.is_empty()
    }

    /// Whether none is.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_changing()
    }

    /// Whether keys may be asked for.
    pub(super) fn may_ask(&self, now: Monotonic) -> bool {
        self.is_idle() && self.not_before <= now
    }

    /// The link on which they were.
    pub(super) fn asked_on(&self) -> Option<LinkId> {
        self.asking.map(|asking| asking.link.0)
    }

    /// Whether keys that are in use should be changed now.
    pub(super) fn wants_change(&self, now: Monotonic) -> bool {
        self.is_idle() && self.change_due().is_some_and(|due| due <= now)
    }

    fn change_due(&self) -> Option<Monotonic> {
        let settings = self.settings.as_ref()?;
        let by_age = settings.max_age.zip(self.taken_at).map(|(age, taken)| taken.after(age));
        let by_errors = (settings.mac_errors > 0 && self.errors >= settings.mac_errors).then_some(Monotonic::default());
        Some([by_age, by_errors].into_iter().flatten().min()?.max(self.not_before))
    }

    /// Keys were asked for on a link, or are expected there.
    pub(super) fn ask(&mut self, link: (LinkId, u32), stan: Option<Stan>, deadline: Monotonic) {
        self.asking = Some(Asking { link, stan, deadline });
    }

    /// Nothing could be asked, or in vain: not again before then.
    pub(super) fn put_off(&mut self, until: Monotonic) {
        self.asking = None;
        self.not_before = until;
    }

    /// Whether a reply with this number answers what was asked on a link.
    pub(super) fn is_asked(&self, link: LinkId, stan: Option<Stan>) -> bool {
        let of_link = |asking: &&Asking| asking.link.0 == link && asking.stan.is_some();
        self.asking.as_ref().filter(of_link).is_some_and(|asking| asking.stan == stan)
    }

    /// The question is answered, and what the host brings by a request of its own is expected.
    pub(super) fn expect(&mut self, deadline: Monotonic) {
        if let Some(asking) = &mut self.asking {
            (asking.stan, asking.deadline) = (None, deadline);
        }
    }

    /// A host offers keys for these slots: their number, unless too many are being taken.
    pub(super) fn offered(&mut self, slots: BTreeSet<Slot>, answers: Option<Owed>, deadline: Monotonic) -> Option<u32> {
        if self.takings.len() >= MOST_TAKINGS {
            return None;
        }
        self.asking = None;
        self.last_number += 1;
        self.takings.insert(self.last_number, Taking { slots, deadline, answers });
        Some(self.last_number)
    }

    /// The key service took them, or did not.
    pub(super) fn taken(&mut self, number: u32, well: bool, now: Monotonic) -> Taken {
        let Some(taking) = self.takings.remove(&number) else {
            let slots = self.settings.iter().flat_map(|settings| settings.brought());
            return Taken::Forgotten(slots.map(|slot| self.named(slot, number)).collect());
        };
        if !well {
            return Taken::Refused(taking.answers);
        }
        let overlap = self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.overlap);
        for slot in taking.slots {
            // Of two offers the later one is in use, in whatever order they were taken.
            let before = self.in_use.get(&slot).copied().unwrap_or(0);
            self.in_use.insert(slot, number.max(before));
            self.retiring.push((now.after(overlap), self.named(slot, number.min(before))));
            self.brought.insert(slot);
        }
        (self.errors, self.taken_at, self.not_before) = (0, Some(now), now);
        Taken::InUse(taking.answers)
    }

    /// Whether the key before the present one may be good still, or became good just now.
    pub(super) fn changed_lately(&self) -> bool {
        !self.retiring.is_empty()
    }

    /// Keys that are good no longer.
    pub(super) fn retired(&mut self, now: Monotonic) -> Vec<KeySlot> {
        let surplus = self.retiring.len().saturating_sub(MOST_RETIRING);
        let due = self.retiring.iter().take_while(|(at, _)| *at <= now).count().max(surplus);
        self.retiring.drain(..due).map(|(_, slot)| slot).collect()
    }

    /// A MAC was wrong or missing.
    pub(super) fn mac_error(&mut self) {
        self.errors = self.errors.saturating_add(1);
    }

    /// Puts a frame aside until the change is over; gives it back where there is no room.
    pub(super) fn put_aside(&mut self, link: LinkId, frame: Frame) -> Option<Frame> {
        if self.aside.len() >= MOST_ASIDE {
            return Some(frame);
        }
        self.aside.push((link, frame));
        None
    }

    /// What was put aside, once nothing changes.
    pub(super) fn no_longer_aside(&mut self) -> Vec<(LinkId, Frame)> {
        if self.is_changing() { Vec::new() } else { std::mem::take(&mut self.aside) }
    }

    /// Whether what was asked for or offered took too long.
    pub(super) fn expire(&mut self, now: Monotonic) -> bool {
        let before = self.takings.len();
        self.takings.retain(|_, taking| taking.deadline > now);
        let late = self.asking.is_some_and(|asking| asking.deadline <= now);
        self.asking = self.asking.filter(|_| !late);
        late || self.takings.len() < before
    }

    /// A connection is gone: what was asked on it is not answered. `true` where something was.
    pub(super) fn lose_link(&mut self, link: LinkId) -> bool {
        let lost = self.asking.is_some_and(|asking| asking.link.0 == link);
        self.asking = self.asking.filter(|_| !lost);
        lost
    }

    /// No link of the host is signed on: where the host wants it so, everything is exchanged when one is again.
    pub(super) fn all_down(&mut self) {
        if self.settings.as_ref().is_some_and(|settings| settings.renewed == Renewed::SignOn) {
            self.brought.clear();
            self.takings.clear();
        }
    }

    /// When there is something to do; `online` is whether a change could be asked for, `waiting` whether a session has
    /// no keys.
    pub(super) fn next_deadline(&self, online: bool, waiting: bool) -> Option<Monotonic> {
        let takings = self.takings.values().map(|taking| taking.deadline);
        let asking = self.asking.map(|asking| asking.deadline);
        let change = self.change_due().filter(|_| online && self.is_idle());
        let retires = self.retiring.first().map(|(at, _)| *at);
        let first = Some(self.not_before).filter(|_| waiting && self.is_idle());
        takings.chain(asking).chain(change).chain(retires).chain(first).min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::security::KeySettings;

    const LINK: (LinkId, u32) = (LinkId(1), 1);

    fn keying() -> Keying {
        let text = "[keys.mac]\nmethod = 'x9.19'\n[keys.exchange]\nby = 'answer'\nelement = 48\noverlap_ms = 60000\n\
            max_age_ms = 3600000\nkeys = [{ use = 'mac', length = 16, check_value = 3 }]";
        let settings = KeySettings::read([text].into_iter()).unwrap();
        Keying::new(Name::from("bank"), settings.exchange)
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    fn both() -> BTreeSet<Slot> {
        BTreeSet::from([(SlotUse::Mac, Direction::Send), (SlotUse::Mac, Direction::Receive)])
    }

    fn number(keying: &Keying) -> u32 {
        keying.slot(SlotUse::Mac, Direction::Send).epoch
    }

    fn exchanged(now: u64) -> Keying {
        let mut keying = keying();
        keying.ask(LINK, Stan::new(1).ok(), at(now + 10));
        assert!(keying.is_asked(LinkId(1), Stan::new(1).ok()) && !keying.is_asked(LinkId(2), Stan::new(1).ok()));
        let number = keying.offered(both(), None, at(now + 10)).unwrap();
        assert!(!keying.is_fresh() && keying.is_changing());
        assert!(matches!(keying.taken(number, true, at(now)), Taken::InUse(None)));
        keying
    }

    #[test]
    fn the_key_before_is_good_for_a_while() {
        let mut keying = exchanged(5);
        assert!(keying.is_fresh() && !keying.is_changing() && keying.changed_lately());
        assert_eq!(number(&keying), 1);
        assert_eq!(keying.retired(at(64)), []);
        assert_eq!(keying.next_deadline(true, false), Some(at(65)));
        let retired = keying.retired(at(65));
        assert_eq!(retired.iter().map(|slot| slot.epoch).collect::<Vec<_>>(), [0, 0]);
        assert!(!keying.changed_lately());
    }

    #[test]
    fn without_exchange_the_key_of_the_file_is_always_in_use() {
        let keying = Keying::new(Name::from("bank"), None);
        assert!(keying.is_fresh() && !keying.wants_change(at(1_000_000)));
        assert_eq!((number(&keying), keying.next_deadline(true, false)), (0, None));
    }

    #[test]
    fn of_two_offers_the_later_one_wins() {
        let mut keying = keying();
        let first = keying.offered(both(), None, at(10)).unwrap();
        let second = keying.offered(both(), None, at(10)).unwrap();
        keying.taken(second, true, at(1));
        keying.taken(first, true, at(2));
        assert_eq!(number(&keying), second);
        let retired: Vec<u32> = keying.retired(at(100)).iter().map(|slot| slot.epoch).collect();
        assert_eq!(retired, [0, 0, first, first]);
    }

    #[test]
    fn errors_and_age_ask_for_new_keys_but_not_at_once_after_a_failure() {
        let mut keying = exchanged(0);
        keying.mac_error();
        keying.mac_error();
        assert!(!keying.wants_change(at(5)));
        keying.mac_error();
        assert!(keying.wants_change(at(5)));
        keying.put_off(at(30));
        assert!(!keying.wants_change(at(29)) && keying.wants_change(at(30)));
        let mut keying = exchanged(0);
        keying.retired(at(100));
        assert!(!keying.wants_change(at(3599)) && keying.wants_change(at(3600)));
        assert_eq!(keying.next_deadline(true, false), Some(at(3600)));
        assert_eq!(keying.next_deadline(false, false), None);
    }

    #[test]
    fn what_came_too_late_is_forgotten() {
        let mut keying = keying();
        let number = keying.offered(both(), None, at(10)).unwrap();
        assert!(!keying.expire(at(9)) && keying.expire(at(10)));
        let Taken::Forgotten(slots) = keying.taken(number, true, at(11)) else { panic!("nobody waits for them") };
        assert_eq!(slots.len(), 2);
        assert!(!keying.is_fresh());
    }

    #[test]
    fn a_link_that_is_lost_takes_its_question_along() {
        let mut keying = keying();
        keying.ask(LINK, Stan::new(1).ok(), at(10));
        assert!(!keying.lose_link(LinkId(2)) && keying.lose_link(LinkId(1)) && keying.is_idle());
        let mut keying = exchanged(0);
        keying.all_down();
        assert!(!keying.is_fresh(), "the next sign-on exchanges anew");
        assert_eq!(number(&keying), 1, "and until then nothing else is used");
    }

    #[test]
    fn every_table_has_its_bound() {
        let mut keying = keying();
        let taken = (0..20).filter_map(|_| keying.offered(both(), None, at(10))).count();
        assert_eq!(taken, MOST_TAKINGS);
        let aside = (0..1000).filter(|_| keying.put_aside(LinkId(1), Bytes::new().into()).is_none()).count();
        assert_eq!((aside, keying.no_longer_aside().len()), (MOST_ASIDE, 0));
        keying.expire(at(10));
        assert_eq!(keying.no_longer_aside().len(), MOST_ASIDE);
        for second in 0..40 {
            let number = keying.offered(both(), None, at(10)).unwrap();
            keying.taken(number, true, at(second));
            keying.retired(at(second));
        }
        assert!(keying.retiring.len() <= MOST_RETIRING);
    }
}
