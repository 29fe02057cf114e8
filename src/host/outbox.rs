//! Store-and-forward: the owed messages of a host, each with the moment it is due.
//!
//! The caller puts in only the first open obligation of a payment, which keeps the order within a payment; across
//! payments a window of several is in flight, so that a message the bank chokes on delays nobody.

use crate::payment::Monotonic;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How owed messages are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// How many may be in flight at once.
    pub window: usize,
    /// Pause before the first repeat; doubles each time.
    pub pause_min: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// After so many attempts a person must look at it.
    pub max_attempts: u32,
}

/// The owed messages of a host. `S` names one.
#[derive(Debug)]
pub struct Outbox<S> {
    settings: RetrySettings,
    entries: BTreeMap<S, Entry>,
    due: BTreeSet<(Monotonic, S)>,
    in_flight: usize,
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
        Outbox { settings, entries: BTreeMap::new(), due: BTreeSet::new(), in_flight: 0 }
    }

    /// Puts one in, due now. `sent_before`: an earlier run may have sent it.
    pub fn put(&mut self, subject: S, now: Monotonic, sent_before: bool) {
        let entry = Entry { attempts: 0, sent_before, due: Some(now) };
        if self.entries.insert(subject, entry).is_none() {
            self.due.insert((now, subject));
        }
    }

    /// Takes the next that is due and may be sent: the caller sends it, or puts it back by [`Outbox::not_sent`]. Says
    /// whether it is a repeat.
    pub fn next(&mut self, now: Monotonic) -> Option<(S, bool)> {
        let &(due, subject) = self.due.first()?;
        if due > now || self.in_flight >= self.settings.window {
            return None;
        }
        self.due.remove(&(due, subject));
        let entry = self.entries.get_mut(&subject).expect("what is due is in the outbox");
        entry.due = None;
        entry.attempts += 1;
        self.in_flight += 1;
        Some((subject, entry.sent_before))
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

    /// No answer, or one that asks to come again: due after a pause. `false` when it was tried often enough.
    pub fn retry(&mut self, subject: S, now: Monotonic, jitter: u32) -> bool {
        let Some(entry) = self.entries.get(&subject) else { return true };
        if entry.attempts >= self.settings.max_attempts {
            return false;
        }
        let doubled = self.settings.pause_min.saturating_mul(1 << (entry.attempts.max(1) - 1).min(16));
        let pause = doubled.min(self.settings.pause_max);
        self.schedule(subject, now.after(pause / 2 + pause / 2 * jitter.min(999) / 1000));
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

    /// When the next is due; `None` while the window is full.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let open = self.in_flight < self.settings.window;
        self.due.first().filter(|_| open).map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox<u32> {
        Outbox::new(RetrySettings {
            window: 2,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(4),
            max_attempts: 3,
        })
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000)
    }

    #[test]
    fn a_window_bounds_what_is_in_flight() {
        let mut outbox = outbox();
        (1..=3).for_each(|subject| outbox.put(subject, at(0), false));
        assert_eq!(outbox.next(at(0)), Some((1, false)));
        assert_eq!(outbox.next(at(0)), Some((2, false)));
        assert_eq!(outbox.next(at(0)), None);
        assert_eq!(outbox.next_deadline(), None);
        outbox.remove(1);
        assert_eq!(outbox.next(at(0)), Some((3, false)));
    }

    #[test]
    fn a_repeat_is_flagged_only_after_a_possible_write() {
        let mut outbox = outbox();
        outbox.put(1, at(0), false);
        outbox.next(at(0));
        outbox.not_sent(1, at(1));
        assert_eq!(outbox.next(at(1)), Some((1, false)));
        outbox.sent(1);
        assert!(outbox.retry(1, at(2), 0));
        assert_eq!(outbox.next(at(3)), Some((1, true)));
    }

    #[test]
    fn pauses_grow_and_attempts_end() {
        let mut outbox = outbox();
        outbox.put(1, at(0), true);
        outbox.next(at(0));
        assert!(outbox.retry(1, at(0), 999));
        assert_eq!(outbox.next(at(0)), None);
        assert_eq!(outbox.next(at(1)), Some((1, true)));
        assert!(outbox.retry(1, at(1), 999));
        assert_eq!(outbox.next(at(2)), None);
        assert_eq!(outbox.next(at(3)), Some((1, true)));
        assert!(!outbox.retry(1, at(3), 0), "three attempts are enough");
    }

    #[test]
    fn what_is_in_flight_may_be_sent() {
        let mut outbox = outbox();
        outbox.put(1, at(0), false);
        assert!(!outbox.may_be_sent(1));
        outbox.next(at(0));
        assert!(outbox.may_be_sent(1));
        outbox.not_sent(1, at(0));
        assert!(!outbox.may_be_sent(1));
    }
}
