//! The pending table: what was handed to a link and waits for its reply, each with a deadline.
//!
//! A key in use is refused, never overwritten. What was settled is remembered for a while, so that a late or second
//! reply is known for what it is.

use super::key::CorrelationKey;
use crate::payment::Monotonic;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Something pending.
#[derive(Clone, Debug)]
pub struct Pending<S> {
    /// Its key.
    pub key: CorrelationKey,
    /// Whose it is.
    pub subject: S,
    /// The link and epoch it was handed to.
    pub link: (u16, u32),
    /// When it was handed over.
    pub sent_at: Monotonic,
    /// When it stops waiting.
    pub deadline: Monotonic,
}

/// How a key that is no longer pending was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// By its reply.
    Answered,
    /// Without one.
    Unanswered,
}

/// The table. `S` says whose a pending message is.
#[derive(Debug)]
pub struct PendingTable<S> {
    by_id: BTreeMap<u64, Pending<S>>,
    by_key: BTreeMap<CorrelationKey, u64>,
    by_deadline: BTreeSet<(Monotonic, u64)>,
    by_link: BTreeMap<u16, usize>,
    settled: BTreeMap<CorrelationKey, (S, Settled)>,
    settled_order: VecDeque<CorrelationKey>,
    settled_bound: usize,
    /// What was given up, by its id, the oldest first.
    given_up: BTreeMap<u64, S>,
}

impl<S: Clone> PendingTable<S> {
    /// An empty table that remembers `settled_bound` settled keys.
    pub fn new(settled_bound: usize) -> PendingTable<S> {
        PendingTable {
            by_id: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            by_link: BTreeMap::new(),
            settled: BTreeMap::new(),
            settled_order: VecDeque::new(),
            settled_bound,
            given_up: BTreeMap::new(),
        }
    }

    /// Takes a message in under a fresh id; given back where its key is in use.
    pub fn insert(&mut self, id: u64, pending: Pending<S>) -> Result<(), Pending<S>> {
        if self.by_key.contains_key(&pending.key) {
            return Err(pending);
        }
        self.by_key.insert(pending.key.clone(), id);
        self.by_deadline.insert((pending.deadline, id));
        *self.by_link.entry(pending.link.0).or_insert(0) += 1;
        let before = self.by_id.insert(id, pending);
        assert!(before.is_none(), "ids of sends are unique within a run");
        Ok(())
    }

    /// What waits under a key.
    pub fn get(&self, key: &CorrelationKey) -> Option<&Pending<S>> {
        self.by_key.get(key).and_then(|id| self.by_id.get(id))
    }

    /// Takes out what a reply answers.
    pub fn answer(&mut self, key: &CorrelationKey) -> Option<Pending<S>> {
        let id = *self.by_key.get(key)?;
        let pending = self.take(id)?;
        self.remember(&pending, Settled::Answered);
        Some(pending)
    }

    /// Takes out one that certainly was not sent: its key may be used again.
    pub fn withdraw(&mut self, id: u64) -> Option<Pending<S>> {
        self.take(id)
    }

    /// Takes out all whose deadline has come.
    pub fn expire(&mut self, now: Monotonic) -> Vec<Pending<S>> {
        let mut expired = Vec::new();
        while let Some(&(deadline, id)) = self.by_deadline.first() {
            if deadline > now {
                break;
            }
            expired.extend(self.give_up(id));
        }
        expired
    }

    /// Takes out all that was handed to a link.
    pub fn lose_link(&mut self, link: u16) -> Vec<Pending<S>> {
        let of_link = self.by_id.iter().filter(|(_, pending)| pending.link.0 == link);
        let ids: Vec<u64> = of_link.map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.give_up(id)).collect()
    }

    fn give_up(&mut self, id: u64) -> Option<Pending<S>> {
        let pending = self.take(id)?;
        self.remember(&pending, Settled::Unanswered);
        self.given_up.insert(id, pending.subject.clone());
        if self.given_up.len() > self.settled_bound {
            self.given_up.pop_first();
        }
        Some(pending)
    }

    /// Whose a message was that was given up unanswered.
    pub fn given_up(&self, id: u64) -> Option<&S> {
        self.given_up.get(&id)
    }

    fn take(&mut self, id: u64) -> Option<Pending<S>> {
        let pending = self.by_id.remove(&id)?;
        self.by_key.remove(&pending.key);
        self.by_deadline.remove(&(pending.deadline, id));
        let on_link = self.by_link.get_mut(&pending.link.0).expect("every pending message counts on its link");
        *on_link -= 1;
        Some(pending)
    }

    fn remember(&mut self, pending: &Pending<S>, how: Settled) {
        if self.settled.insert(pending.key.clone(), (pending.subject.clone(), how)).is_none() {
            self.settled_order.push_back(pending.key.clone());
        }
        while self.settled_order.len() > self.settled_bound {
            if let Some(oldest) = self.settled_order.pop_front() {
                self.settled.remove(&oldest);
            }
        }
    }

    /// Whose a settled key was, and how it was settled.
    pub fn recall(&self, key: &CorrelationKey) -> Option<(&S, Settled)> {
        self.settled.get(key).map(|(subject, how)| (subject, *how))
    }

    /// A reply came after all: what comes under this key from now on is a second one.
    pub fn answered_late(&mut self, key: &CorrelationKey) {
        if let Some((_, how)) = self.settled.get_mut(key) {
            *how = Settled::Answered;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many wait on a link.
    pub fn on_link(&self, link: u16) -> usize {
        self.by_link.get(&link).copied().unwrap_or(0)
    }

    /// The next deadline.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::borrow::Cow;

    fn pending(number: u64, link: u16, deadline: u64) -> Pending<u64> {
        let mti = "0200".parse().unwrap();
        let key = CorrelationKey::of(mti, 11, &[7], |_| Some(Cow::Owned(number.to_string()))).unwrap();
        let (sent_at, deadline) = (Monotonic(0), Monotonic(deadline));
        Pending { key, subject: number, link: (link, 1), sent_at, deadline }
    }

    #[test]
    fn a_key_in_use_is_refused() {
        let mut table = PendingTable::new(10);
        assert!(table.insert(1, pending(7, 0, 5)).is_ok());
        assert!(table.insert(2, pending(7, 0, 9)).is_err());
        assert_eq!(table.answer(&pending(7, 0, 0).key).map(|p| p.subject), Some(7));
        assert_eq!(table.next_deadline(), None);
    }

    #[test]
    fn what_was_settled_is_known_for_what_it_was() {
        let mut table = PendingTable::new(10);
        table.insert(1, pending(1, 0, 5)).unwrap();
        table.insert(2, pending(2, 0, 6)).unwrap();
        table.answer(&pending(1, 0, 0).key);
        assert_eq!(table.expire(Monotonic(5)).len(), 0);
        assert_eq!(table.expire(Monotonic(6)).len(), 1);
        assert_eq!(table.recall(&pending(1, 0, 0).key), Some((&1, Settled::Answered)));
        assert_eq!(table.recall(&pending(2, 0, 0).key), Some((&2, Settled::Unanswered)));
        assert_eq!(table.recall(&pending(3, 0, 0).key), None);
        table.answered_late(&pending(2, 0, 0).key);
        assert_eq!(table.recall(&pending(2, 0, 0).key), Some((&2, Settled::Answered)), "late once only");
    }

    #[test]
    fn memory_of_settled_keys_is_bounded() {
        let mut table = PendingTable::new(2);
        for number in 1..=5 {
            table.insert(number, pending(number, 0, 5)).unwrap();
            table.answer(&pending(number, 0, 0).key);
        }
        assert!(table.recall(&pending(3, 0, 0).key).is_none());
        assert!(table.recall(&pending(4, 0, 0).key).is_some());
    }

    #[test]
    fn a_lost_link_settles_all_that_was_on_it() {
        let mut table = PendingTable::new(10);
        table.insert(1, pending(1, 0, 5)).unwrap();
        table.insert(2, pending(2, 1, 5)).unwrap();
        assert_eq!(table.lose_link(0).len(), 1);
        assert_eq!(table.len(), 1);
        assert_eq!(table.on_link(1), 1);
    }
}
