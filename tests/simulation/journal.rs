//! A store that commits in groups, refuses at times, and forgets at a crash what it had not made durable.
//!
//! Written from the design's promises alone: a payment's versions follow one another, a merchant's key names one
//! operation for ever, an append is in the store whole or not at all.

use isthmus::payment::{Card, MerchantId, Name, PaymentId};
use isthmus::switch::{AuditEntry, Entry, HostMark, NotRecorded, NumberBlock, Stored, Ticket};
use isthmus::transaction::{Body, IdempotencyKey, Payment, Record};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub struct Journal {
    payments: BTreeMap<PaymentId, Vec<Record>>,
    cards: BTreeMap<PaymentId, Card>,
    keys: BTreeMap<(MerchantId, IdempotencyKey), PaymentId>,
    numbers: BTreeMap<Name, NumberBlock>,
    hosts: BTreeMap<Name, HostMark>,
    pub audit: Vec<AuditEntry>,
    waiting: VecDeque<(Ticket, Entry)>,
    syncing: Vec<(Ticket, Entry)>,
}

/// What became of a commit, append by append; what was made durable goes with it.
pub type Committed = Vec<(Ticket, Result<Entry, NotRecorded>)>;

impl Journal {
    /// A store in which numbers were used before.
    pub fn with_numbers(blocks: Vec<NumberBlock>) -> Journal {
        let numbers = blocks.into_iter().map(|block| (block.acquirer.clone(), block)).collect();
        Journal { numbers, ..Journal::default() }
    }

    /// Takes an append in. Whether a commit has to be begun for it.
    pub fn append(&mut self, ticket: Ticket, entry: Entry) -> bool {
        self.waiting.push_back((ticket, entry));
        self.syncing.is_empty()
    }

    /// Begins to commit what waits; false where there is nothing.
    pub fn begin(&mut self) -> bool {
        if self.syncing.is_empty() {
            self.syncing = self.waiting.drain(..).collect();
        }
        !self.syncing.is_empty()
    }

    /// The sync has ended: all of the group is durable, save what breaks a promise; or nothing of it is.
    pub fn commit(&mut self, works: bool) -> Committed {
        let group = std::mem::take(&mut self.syncing);
        group.into_iter().map(|(ticket, entry)| (ticket, self.take(entry, works))).collect()
    }

    fn take(&mut self, entry: Entry, works: bool) -> Result<Entry, NotRecorded> {
        if !works {
            return Err(NotRecorded::Unavailable);
        }
        match &entry {
            Entry::Numbers(block) => drop(self.numbers.insert(block.acquirer.clone(), block.clone())),
            Entry::Audit(order) => self.audit.push(order.clone()),
            Entry::Host(mark) => drop(self.hosts.insert(mark.host.clone(), mark.clone())),
            Entry::Payment { records, card } => {
                self.check(records)?;
                records.iter().for_each(|record| self.insert(record));
                if let (Some(first), Some((_, card))) = (records.first(), card) {
                    self.cards.insert(first.payment, (**card).clone());
                }
            }
        }
        Ok(entry)
    }

    fn check(&self, records: &[Record]) -> Result<(), NotRecorded> {
        for (offset, record) in records.iter().enumerate() {
            let length = self.payments.get(&record.payment).map_or(0, Vec::len);
            if record.version as usize != length + 1 + offset {
                return Err(NotRecorded::VersionTaken);
            }
            if let Some(used) = self.key_of(record).and_then(|key| self.keys.get(&key)) {
                return Err(NotRecorded::KeyUsed(*used));
            }
        }
        Ok(())
    }

    fn insert(&mut self, record: &Record) {
        if let Some(key) = self.key_of(record) {
            self.keys.insert(key, record.payment);
        }
        self.payments.entry(record.payment).or_default().push(record.clone());
    }

    fn key_of(&self, record: &Record) -> Option<(MerchantId, IdempotencyKey)> {
        let Body::Requested(requested) = &record.body else { return None };
        let merchant = match &requested.origin {
            Some(origin) => origin.merchant.clone(),
            None => match &self.payments.get(&record.payment)?.first()?.body {
                Body::Requested(first) => first.origin.as_ref()?.merchant.clone(),
                _ => return None,
            },
        };
        Some((merchant, requested.key.clone()))
    }

    /// What is being made durable.
    pub fn group(&self) -> impl Iterator<Item = &Entry> {
        self.syncing.iter().map(|(_, entry)| entry)
    }

    /// The process is gone: what waited is lost, and of the group under way all but the first appends.
    pub fn crash(&mut self, durable: usize) -> Committed {
        self.waiting.clear();
        let group = std::mem::take(&mut self.syncing);
        group.into_iter().take(durable).map(|(ticket, entry)| (ticket, self.take(entry, true))).collect()
    }

    /// The process ends in order: whatever was handed in is made durable.
    pub fn finish(&mut self) -> Committed {
        let mut finished = self.commit(true);
        self.begin();
        finished.extend(self.commit(true));
        finished
    }

    pub fn load(&self, payment: PaymentId) -> Option<Stored> {
        let records = self.payments.get(&payment)?.clone();
        Some(Stored { records, card: self.cards.get(&payment).cloned() })
    }

    /// What a merchant finds when it looks for its key.
    pub fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Option<PaymentId> {
        self.keys.get(&(merchant.clone(), key.clone())).copied()
    }

    /// The payments that are not at rest.
    pub fn in_motion(&self) -> Vec<Stored> {
        let moving = |records: &&Vec<Record>| !Payment::fold(records).expect("a history folds").is_at_rest();
        let of = |records: &Vec<Record>| self.load(records.first().expect("never empty").payment);
        self.payments.values().filter(moving).filter_map(of).collect()
    }

    /// Trace numbers of what is owed.
    pub fn owed_numbers(&self) -> Vec<u32> {
        let folded = self.in_motion().into_iter().filter_map(|stored| Payment::fold(&stored.records).ok());
        let numbers = |payment: Payment| payment.open_obligations().map(|owed| owed.message.stan.number()).collect();
        folded.flat_map(|payment| -> Vec<u32> { numbers(payment) }).collect()
    }

    /// Numbers are used up so that `stan` is the next one.
    pub fn use_numbers_up_to(&mut self, stan: u32) {
        const SPACE: u64 = 999_999;
        for block in self.numbers.values_mut() {
            let wanted = u64::from(stan) + SPACE - 1;
            block.stans += (wanted - block.stans % SPACE) % SPACE;
        }
    }

    pub fn numbers(&self) -> Vec<NumberBlock> {
        self.numbers.values().cloned().collect()
    }

    pub fn hosts(&self) -> Vec<HostMark> {
        self.hosts.values().cloned().collect()
    }

    pub fn records(&self, payment: PaymentId) -> &[Record] {
        self.payments.get(&payment).map_or(&[], Vec::as_slice)
    }

    pub fn payments(&self) -> impl Iterator<Item = (&PaymentId, &Vec<Record>)> {
        self.payments.iter()
    }
}
