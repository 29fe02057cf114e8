//! The books: what the bank knows after all that it has booked, a fold over its entries.
//!
//! Purses (a balance and what is set aside, one for each account and currency), the messages handled
//! with what still stands of each, and the originals that were reversed before they arrived. Nothing
//! gets in but by [`Books::apply`], so a restart that applies the same entries gives the same books.
//!
//! The memory of messages is bounded: beyond the bound the oldest is forgotten, and can then neither
//! be reversed nor recognised as a duplicate. Balances are never forgotten.

use std::collections::BTreeMap;

use crate::payment::{BusinessDate, Currency};

use super::entry::{AccountName, Entry, Kind, Sequence};
use super::request::{OriginalKey, Request};

/// How many messages are remembered where nothing else is said.
pub const REMEMBERED_MESSAGES: usize = 200_000;

/// What was booked and set aside on one account in one currency, its opening balance aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// Sum of the entries' net effects.
    pub net: i64,
    /// Set aside by authorisations.
    pub held: i64,
}

/// A message that was handled, and what still stands of it.
#[derive(Clone, Debug)]
pub(super) struct Handled {
    pub(super) entry: Entry,
    /// Of the amount approved, what wasn't taken back.
    pub(super) standing: i64,
    /// Of an authorisation, what was captured.
    pub(super) captured: i64,
    /// Of an authorisation, what was added to it.
    pub(super) raised: i64,
    /// Of an authorisation, what is set aside now.
    pub(super) held: i64,
    /// Taken back as a whole, by a reversal or a void.
    pub(super) reversed: bool,
    /// Taken back by a reversal: not even the reversal of a void brings it back.
    pub(super) withdrawn: bool,
}

/// What the bank knows.
#[derive(Clone, Debug)]
pub struct Books {
    purses: BTreeMap<(AccountName, Currency), Purse>,
    handled: BTreeMap<Sequence, Handled>,
    by_key: BTreeMap<String, Sequence>,
    by_identity: BTreeMap<OriginalKey, Sequence>,
    by_rrn: BTreeMap<String, Vec<Sequence>>,
    /// Originals that were reversed before they were seen.
    unseen: BTreeMap<OriginalKey, Sequence>,
    /// Wrong PINs in a row, by account.
    pin_tries: BTreeMap<AccountName, u8>,
    last: Sequence,
    /// The last business day that was begun before the clock did.
    begun: Option<BusinessDate>,
    bound: usize,
}

impl Books {
    /// Empty books that remember so many messages.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            purses: BTreeMap::new(),
            handled: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            by_rrn: BTreeMap::new(),
            unseen: BTreeMap::new(),
            pin_tries: BTreeMap::new(),
            last: 0,
            begun: None,
            bound: bound.max(1),
        }
    }

    /// The place that the next entry takes.
    pub(super) fn next_sequence(&self) -> Sequence {
        self.last + 1
    }

    /// Books an entry.
    pub(super) fn apply(&mut self, entry: &Entry) {
        self.last = self.last.max(entry.sequence);
        if let (Some(account), Some(currency)) = (&entry.account, entry.currency) {
            let purse = self.purses.entry((account.clone(), currency)).or_default();
            purse.net = purse.net.saturating_add(entry.net);
            purse.held = purse.held.saturating_add(entry.held);
        }
        match (entry.kind, entry.original) {
            (Kind::Capture, Some(original)) => self.capture(original, entry),
            (Kind::Increment, Some(original)) => self.raise(original, entry.approved, entry.held),
            (Kind::Reversal | Kind::Void, Some(original)) => self.take_back(original, entry),
            (Kind::Cutover, _) => self.begun = self.begun.max(Some(entry.business_date)),
            _ => {}
        }
        match (&entry.account, entry.pin_tries) {
            (Some(account), Some(0)) => {
                self.pin_tries.remove(account);
            }
            (Some(account), Some(tries)) => {
                self.pin_tries.insert(account.clone(), tries);
            }
            _ => {}
        }
        if let Some(unseen) = &entry.unseen {
            self.unseen.insert(unseen.clone(), entry.sequence);
        }
        self.remember(entry);
        while self.handled.len() > self.bound {
            self.forget_oldest();
        }
    }

    /// How many wrong PINs in a row an account has had.
    pub(super) fn pin_tries(&self, account: &str) -> u8 {
        self.pin_tries.get(account).copied().unwrap_or(0)
    }

    /// The bank's day where the clock says `by_clock`.
    pub(super) fn day(&self, by_clock: BusinessDate) -> BusinessDate {
        self.begun.map_or(by_clock, |begun| begun.max(by_clock))
    }

    fn capture(&mut self, authorisation: Sequence, entry: &Entry) {
        if let Some(handled) = self.handled.get_mut(&authorisation) {
            handled.captured += entry.approved;
            handled.held += entry.held;
        }
    }

    /// An increment adds to what its authorisation set aside; taken back, it takes that away again.
    fn raise(&mut self, authorisation: Sequence, by: i64, held: i64) {
        if let Some(handled) = self.handled.get_mut(&authorisation).filter(|handled| !handled.reversed) {
            handled.raised += by;
            handled.standing += by;
            handled.held += held;
        }
    }

    /// A reversal or void leaves `entry.standing` of the original; one of a void restores what the
    /// void had taken back.
    fn take_back(&mut self, original: Sequence, entry: &Entry) {
        let Some(handled) = self.handled.get_mut(&original) else { return };
        let before = std::mem::replace(&mut handled.standing, entry.standing);
        handled.reversed = entry.standing == 0;
        handled.withdrawn |= handled.reversed && entry.kind == Kind::Reversal;
        match (handled.entry.kind, handled.entry.original) {
            (Kind::Authorisation, _) => handled.held += entry.held,
            (Kind::Capture, Some(authorisation)) => {
                if let Some(handled) = self.handled.get_mut(&authorisation) {
                    handled.captured -= before - entry.standing;
                    handled.held += entry.held;
                }
            }
            (Kind::Increment, Some(authorisation)) => self.raise(authorisation, entry.standing - before, entry.held),
            (Kind::Void, Some(voided)) => {
                let restored = handled.entry.approved;
                let is_withdrawn = self.handled.get(&voided).is_none_or(|voided| voided.withdrawn);
                if !is_withdrawn {
                    self.take_back(voided, &Entry { standing: restored, ..entry.clone() });
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, entry: &Entry) {
        let sequence = entry.sequence;
        self.by_key.insert(entry.key.clone(), sequence);
        self.by_identity.insert(entry.identity.clone(), sequence);
        if !entry.rrn.is_empty() {
            self.by_rrn.entry(entry.rrn.clone()).or_default().push(sequence);
        }
        let held = if entry.kind == Kind::Authorisation { entry.held } else { 0 };
        let standing = entry.approved;
        let handled =
            Handled { entry: entry.clone(), standing, captured: 0, raised: 0, held, reversed: false, withdrawn: false };
        self.handled.insert(sequence, handled);
    }

    fn forget_oldest(&mut self) {
        let Some((sequence, Handled { entry, .. })) = self.handled.pop_first() else { return };
        forget(&mut self.by_key, &entry.key, sequence);
        forget(&mut self.by_identity, &entry.identity, sequence);
        if let Some(unseen) = &entry.unseen {
            forget(&mut self.unseen, unseen, sequence);
        }
        if let Some(of_payment) = self.by_rrn.get_mut(&entry.rrn) {
            of_payment.retain(|other| *other != sequence);
            if of_payment.is_empty() {
                self.by_rrn.remove(&entry.rrn);
            }
        }
    }

    /// The message handled under this key.
    pub(super) fn duplicate(&self, key: &str) -> Option<&Handled> {
        self.handled.get(self.by_key.get(key)?)
    }

    /// Whether a message was reversed before it arrived.
    pub(super) fn was_reversed_unseen(&self, identity: &OriginalKey) -> bool {
        within(&self.unseen, identity).is_some() || {
            // The reversal may have left the acquirer out.
            let unsaid = OriginalKey { acquirer: String::new(), ..identity.clone() };
            self.unseen.contains_key(&unsaid)
        }
    }

    /// The original that a message names, of one of these kinds: by its original data where it has
    /// them, otherwise by its retrieval reference, and there rather the one whose approval code it
    /// quotes, then the one with the same STAN, then the same amount, then the latest that still stands.
    pub(super) fn original(&self, request: &Request, kinds: &[Kind]) -> Option<&Handled> {
        let of_kind = |handled: &&Handled| kinds.contains(&handled.entry.kind);
        if let Some(named) = &request.original {
            return within(&self.by_identity, named).and_then(|at| self.handled.get(at)).filter(of_kind);
        }
        let of_payment = self.by_rrn.get(&request.rrn)?.iter().filter_map(|at| self.handled.get(at));
        of_payment
            .filter(of_kind)
            .filter(|handled| handled.entry.identity.acquirer == request.identity.acquirer)
            .max_by_key(|handled| {
                let quoted = request.approval.is_some() && handled.entry.approval_code == request.approval;
                let same_stan = handled.entry.identity.stan == request.identity.stan;
                let same_amount = handled.entry.amount == request.amount;
                (quoted, same_stan, !handled.reversed, same_amount, handled.entry.sequence)
            })
    }

    /// The message of that place.
    pub(super) fn handled(&self, sequence: Sequence) -> Option<&Handled> {
        self.handled.get(&sequence)
    }

    /// What was booked on an account in a currency.
    pub fn purse(&self, account: &str, currency: Currency) -> Purse {
        self.purses.get(&(account.to_owned(), currency)).copied().unwrap_or_default()
    }

    /// Every purse that was touched.
    pub fn purses(&self) -> impl Iterator<Item = (&AccountName, Currency, Purse)> {
        self.purses.iter().map(|((account, currency), purse)| (account, *currency, *purse))
    }
}

fn forget<K: Ord>(index: &mut BTreeMap<K, Sequence>, key: &K, sequence: Sequence) {
    if index.get(key) == Some(&sequence) {
        index.remove(key);
    }
}

/// Looks an identity up; one without an acquirer is taken to mean any.
fn within<'a>(index: &'a BTreeMap<OriginalKey, Sequence>, named: &OriginalKey) -> Option<&'a Sequence> {
    if !named.acquirer.is_empty() {
        return index.get(named);
    }
    let same =
        |key: &&OriginalKey| (&key.mti, &key.stan, &key.transmission) == (&named.mti, &named.stan, &named.transmission);
    index.range(named.clone()..).next().filter(|(key, _)| same(key)).map(|(_, sequence)| sequence)
}
