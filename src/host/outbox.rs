//! Store-and-forward: the owed messages of a host, each with the moment it is due.
//!
//! The caller puts in only the first open obligation of a payment, which keeps the order within a payment; across
//! payments a window of several is in flight, so that a message the bank chokes on delays nobody. The window opens
//! slowly: one at first and after an outage, one more with each message that is settled, half of it for each that is
//! not answered. Requests go first: while many of them are in flight, owed messages keep to a guaranteed share. A bank
//! that asks again and again to come later gets a rest of its whole queue.

use crate::payment::Monotonic;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How owed messages are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// How many may be in flight at once.
    pub window: usize,
    /// How many may be in flight while the host is busy with requests; at least one.
    pub share: usize,
    /// From how many requests in flight on the host is busy.
    pub busy_from: usize,
    /// Pause before the first repeat; doubles each time.
    pub pause_min: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// After so many attempts a person must look at it.
    pub max_attempts: u32,
    /// What is owed for longer and was tried in vain, a person must look at too.
    pub max_age: Duration,
    /// After so many answers in a row that ask to come later, the whole queue rests.
    pub burst: u32,
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetrySettings {
            window: 8,
            share: 2,
            busy_from: 64,
            pause_min: Duration::from_secs(15),
            pause_max: Duration::from_secs(900),
            max_attempts: 100,
            max_age: Duration::from_secs(3 * 24 * 3600),
            burst: 3,
        }
    }
}

/// The owed messages of a host. `S` names one.
#[derive(Debug)]
pub struct Outbox<S> {
    settings: RetrySettings,
    entries: BTreeMap<S, Entry>,
    due: BTreeSet<(Monotonic, S)>,
    in_flight: usize,
    /// How far the window is open.
    opened: usize,
    /// Answers in a row that asked to come later.
    put_off: u32,
    /// Rests in a row.
    rests: u32,
    rests_until: Option<Monotonic>,
}

/// How one that is owed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How often it was sent in this run.
    pub attempts: u32,
    /// When it is sent again; none while it is in flight.
    pub due: Option<Monotonic>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    attempts: u32,
    /// Whether it may have reached the bank before: a repeat is flagged.
    sent_before: bool,
    /// When it is due; `None` while it is in flight.
    due: Option<Monotonic>,
}

impl<S: Copy + Ord> Outbox<S> {
    /// An empty one.
    pub fn new(settings: RetrySettings) -> Outbox<S> {
        Outbox {
            settings,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            in_flight: 0,
            opened: 1,
            put_off: 0,
            rests: 0,
            rests_until: None,
        }
    }

    /// Puts one in, due now. `sent_before`: an earlier run may have sent it.
    pub fn put(&mut self, subject: S, now: Monotonic, sent_before: bool) {
        let entry = Entry { attempts: 0, sent_before, due: Some(now) };
        if self.entries.insert(subject, entry).is_none() {
            self.due.insert((now, subject));
        }
    }

    /// Takes the next that is due and may be sent beside so many requests in flight: the caller sends it, or puts it
    /// back by [`Outbox::not_sent`]. Says whether it is a repeat.
    pub fn next(&mut self, now: Monotonic, requests: usize) -> Option<(S, bool)> {
        let &(due, subject) = self.due.first()?;
        let rests = self.rests_until.is_some_and(|until| until > now);
        if due > now || rests || self.in_flight >= self.window(requests) {
            return None;
        }
        self.due.remove(&(due, subject));
        let entry = self.entries.get_mut(&subject).expect("what is due is in the outbox");
        entry.due = None;
        entry.attempts += 1;
        self.in_flight += 1;
        Some((subject, entry.sent_before))
    }

    /// How many may be in flight now.
    fn window(&self, requests: usize) -> usize {
        match requests >= self.settings.busy_from {
            true => self.opened.min(self.settings.share.max(1)),
            false => self.opened,
        }
    }

    /// The host is back after an outage: what has gathered is not poured over it.
    pub fn begin_slowly(&mut self) {
        self.opened = 1;
    }

    /// The host settled one: it takes another beside it.
    pub fn settled_one(&mut self) {
        self.opened = (self.opened + 1).min(self.settings.window);
        (self.put_off, self.rests, self.rests_until) = (0, 0, None);
    }

    /// The host did not answer one.
    pub fn missed_one(&mut self) {
        self.opened = (self.opened / 2).max(1);
    }

    /// The host asked to come later with one. After several in a row nothing is sent for a while; says until when,
    /// where that begins with this one.
    pub fn put_off_one(&mut self, now: Monotonic, jitter: u32) -> Option<Monotonic> {
        self.put_off += 1;
        if self.put_off < self.settings.burst.max(1) {
            return None;
        }
        let until = now.after(self.pause(self.rests, jitter));
        (self.opened, self.put_off, self.rests_until) = (1, 0, Some(until));
        self.rests = self.rests.saturating_add(1);
        self.rests_until
    }

    /// Doubles with each time up to the longest; half of it is drawn by lot.
    fn pause(&self, times: u32, jitter: u32) -> Duration {
        let full = self.settings.pause_min.saturating_mul(1 << times.min(16)).min(self.settings.pause_max);
        full / 2 + full / 2 * jitter.min(999) / 1000
    }

    /// It was handed to a link: from now on it may have reached the bank.
    pub fn sent(&mut self, subject: S) {
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.sent_before = true;
        }
    }

    /// It was certainly not handed over: the attempt does not count.
    pub fn not_sent(&mut self, subject: S, again_at: Monotonic) {
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.attempts = entry.attempts.saturating_sub(1);
        }
        self.schedule(subject, again_at);
    }

    /// No answer, or one that asks to come again: due after a pause. `false` when it was tried often or long enough;
    /// `age` is how long it has been owed, over all runs.
    pub fn retry(&mut self, subject: S, now: Monotonic, age: Duration, jitter: u32) -> bool {
        let Some(entry) = self.entries.get(&subject) else { return true };
        if entry.attempts >= self.settings.max_attempts || age > self.settings.max_age {
            return false;
        }
        let pause = self.pause(entry.attempts.max(1) - 1, jitter);
        self.schedule(subject, now.after(pause));
        true
    }

    fn schedule(&mut self, subject: S, at: Monotonic) {
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        if entry.due.is_none() {
            self.in_flight -= 1;
        }
        if let Some(before) = entry.due.replace(at) {
            self.due.remove(&(before, subject));
        }
        self.due.insert((at, subject));
    }

    /// It is settled, and that is about to be recorded: nothing of it is sent meanwhile.
    pub fn hold(&mut self, subject: S) {
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        if let Some(due) = entry.due.take() {
            self.due.remove(&(due, subject));
            self.in_flight += 1;
        }
    }

    /// Whether it is in.
    pub fn contains(&self, subject: S) -> bool {
        self.entries.contains_key(&subject)
    }

    /// It is settled: out with it.
    pub fn remove(&mut self, subject: S) {
        let Some(entry) = self.entries.remove(&subject) else { return };
        match entry.due {
            Some(due) => drop(self.due.remove(&(due, subject))),
            None => self.in_flight -= 1,
        }
    }

    /// Whether it may have reached the bank.
    pub fn may_be_sent(&self, subject: S) -> bool {
        self.entries.get(&subject).is_some_and(|entry| entry.sent_before || entry.due.is_none())
    }

    /// How one stands.
    pub fn standing(&self, subject: S) -> Option<Standing> {
        self.entries.get(&subject).map(|entry| Standing { attempts: entry.attempts, due: entry.due })
    }

    /// The most attempts that any of them took in this run.
    pub fn most_attempts(&self) -> u32 {
        self.entries.values().map(|entry| entry.attempts).max().unwrap_or(0)
    }

    /// Until when the whole queue rests, if it does.
    pub fn rests_until(&self, now: Monotonic) -> Option<Monotonic> {
        self.rests_until.filter(|until| *until > now)
    }

    /// How many are owed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When the next is due beside so many requests; `None` while the window is full.
    pub fn next_deadline(&self, requests: usize) -> Option<Monotonic> {
        let open = self.in_flight < self.window(requests);
        let due = self.due.first().filter(|_| open).map(|(due, _)| *due)?;
        Some(self.rests_until.map_or(due, |until| until.max(due)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox<u32> {
        let mut outbox = closed();
        outbox.settled_one();
        outbox
    }

    /// As after an outage.
    fn closed() -> Outbox<u32> {
        Outbox::new(RetrySettings {
            window: 2,
            share: 1,
            busy_from: 10,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(4),
            max_attempts: 3,
            max_age: Duration::from_secs(60),
            burst: 2,
        })
    }

    const YOUNG: Duration = Duration::ZERO;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    #[test]
    fn a_window_bounds_what_is_in_flight() {
        let mut outbox = outbox();
        (1..=3).for_each(|subject| outbox.put(subject, at(0), false));
        assert_eq!(outbox.next(at(0), 0), Some((1, false)));
        assert_eq!(outbox.next(at(0), 0), Some((2, false)));
        assert_eq!(outbox.next(at(0), 0), None);
        assert_eq!(outbox.next_deadline(0), None);
        outbox.remove(1);
        assert_eq!(outbox.next(at(0), 0), Some((3, false)));
    }

    #[test]
    fn a_repeat_is_flagged_only_after_a_possible_write() {
        let mut outbox = outbox();
        outbox.put(1, at(0), false);
        outbox.next(at(0), 0);
        outbox.not_sent(1, at(1));
        assert_eq!(outbox.next(at(1), 0), Some((1, false)));
        outbox.sent(1);
        assert!(outbox.retry(1, at(2), YOUNG, 0));
        assert_eq!(outbox.next(at(3), 0), Some((1, true)));
    }

    #[test]
    fn pauses_grow_and_attempts_end() {
        let mut outbox = outbox();
        outbox.put(1, at(0), true);
        outbox.next(at(0), 0);
        assert!(outbox.retry(1, at(0), YOUNG, 999));
        assert_eq!(outbox.next(at(0), 0), None);
        assert_eq!(outbox.next(at(1), 0), Some((1, true)));
        assert!(outbox.retry(1, at(1), YOUNG, 999));
        assert_eq!(outbox.next(at(2), 0), None);
        assert_eq!(outbox.next(at(3), 0), Some((1, true)));
        assert!(!outbox.retry(1, at(3), YOUNG, 0), "three attempts are enough");
    }

    #[test]
    fn what_is_in_flight_may_be_sent() {
        let mut outbox = outbox();
        outbox.put(1, at(0), false);
        assert!(!outbox.may_be_sent(1));
        outbox.next(at(0), 0);
        assert!(outbox.may_be_sent(1));
        outbox.not_sent(1, at(0));
        assert!(!outbox.may_be_sent(1));
    }

    #[test]
    fn the_window_opens_with_each_that_is_settled() {
        let mut outbox = closed();
        (1..=4).for_each(|subject| outbox.put(subject, at(0), false));
        assert_eq!(outbox.next(at(0), 0), Some((1, false)));
        assert_eq!(outbox.next(at(0), 0), None, "one at first");
        outbox.settled_one();
        outbox.remove(1);
        assert_eq!(outbox.next(at(0), 0), Some((2, false)));
        assert_eq!(outbox.next(at(0), 0), Some((3, false)));
        assert_eq!(outbox.next(at(0), 0), None);
        outbox.missed_one();
        outbox.remove(2);
        assert_eq!(outbox.next(at(0), 0), None, "half of it is one again");
        outbox.begin_slowly();
        outbox.remove(3);
        assert_eq!(outbox.next(at(0), 0), Some((4, false)));
    }

    #[test]
    fn requests_go_first_and_leave_a_share() {
        let mut outbox = outbox();
        (1..=3).for_each(|subject| outbox.put(subject, at(0), false));
        assert_eq!(outbox.next(at(0), 10), Some((1, false)), "its share is guaranteed");
        assert_eq!(outbox.next(at(0), 10), None);
        assert_eq!(outbox.next_deadline(10), None);
        assert_eq!(outbox.next(at(0), 9), Some((2, false)));
    }

    #[test]
    fn a_host_that_asks_again_and_again_to_come_later_is_left_alone() {
        let mut outbox = outbox();
        (1..=3).for_each(|subject| outbox.put(subject, at(0), true));
        outbox.next(at(0), 0);
        assert_eq!(outbox.put_off_one(at(0), 999), None);
        let until = outbox.put_off_one(at(0), 999).expect("two in a row are a burst");
        assert_eq!(outbox.next(at(0), 0), None);
        outbox.remove(1);
        assert_eq!(outbox.next_deadline(0), Some(until));
        assert_eq!(outbox.next(until, 0), Some((2, true)));
        assert_eq!(outbox.put_off_one(at(1), 999), None);
        let later = outbox.put_off_one(at(1), 999).expect("again");
        assert!(later.since(at(1)) > until.since(at(0)), "longer each time");
        outbox.settled_one();
        assert_eq!(outbox.rests_until(at(1)), None, "it takes messages again");
    }

    #[test]
    fn age_ends_what_was_tried_in_vain() {
        let mut outbox = outbox();
        outbox.put(1, at(0), true);
        outbox.next(at(0), 0);
        assert!(outbox.retry(1, at(0), Duration::from_secs(60), 0));
        outbox.next(at(9), 0);
        assert!(!outbox.retry(1, at(9), Duration::from_secs(61), 0));
    }
}
