//! What may be appended: each (payment, version) once and without gaps, each (merchant, key) once.
//!
//! There is one writer, so this is the store's promise: it asks what stands in the same batch, then what it saw last,
//! then the tail, then the views. Nothing is written here; a refused entry leaves no trace.

use super::JournalError;
use super::key_filter::KeyFilter;
use super::log::CardRow;
use super::row::{Content, Row};
use super::tail::{Noted, Tail};
use super::views::{Head, Views};
use super::writer::Results;
use crate::payment::{CardId, MerchantId, PaymentId};
use crate::switch::{Entry, NotRecorded, Ticket};
use crate::transaction::{Body, IdempotencyKey, Record};
use crate::vault::KeyRing;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Payments whose last version is remembered, in each of two generations.
const HEADS_KEPT: usize = 65_536;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Decides what may be appended.
pub(super) struct Admission {
    pub(super) tail: Arc<Tail>,
    keys: KeyRing,
    card_retention_days: u32,
    views: Views,
    filter: Arc<KeyFilter>,
    heads: Heads,
    greatest: Option<PaymentId>,
}

/// What one commit makes durable, and what becomes of each ticket.
pub(super) struct Staged {
    pub(super) results: Results,
    pub(super) rows: Vec<Noted>,
    pub(super) cards: Vec<CardRow>,
    next: i64,
    heads: BTreeMap<PaymentId, Head>,
    used: BTreeMap<(MerchantId, IdempotencyKey), PaymentId>,
}

impl Admission {
    /// `views` is for reading and holds all that the tail does not.
    pub(super) fn new(
        tail: Arc<Tail>,
        keys: KeyRing,
        views: Views,
        filter: Arc<KeyFilter>,
        card_retention_days: u32,
    ) -> Result<Admission, JournalError> {
        let greatest = views.greatest_payment()?;
        Ok(Admission { tail, keys, card_retention_days, views, filter, heads: Heads::default(), greatest })
    }

    /// Decides a batch, in its order, for rows from `next` on.
    pub(super) fn stage(&mut self, batch: Vec<(Ticket, Entry)>, next: i64) -> Staged {
        let results = Vec::with_capacity(batch.len());
        let (rows, cards) = (Vec::with_capacity(batch.len()), Vec::new());
        let mut staged = Staged { results, rows, cards, next, heads: BTreeMap::new(), used: BTreeMap::new() };
        for (ticket, entry) in batch {
            let result = self.admit(entry, &mut staged);
            staged.results.push((ticket, result));
        }
        staged
    }

    /// Remembers what a commit has made durable, and shows it to readers. Gives the results.
    pub(super) fn committed(&mut self, staged: Staged) -> Results {
        staged.used.keys().for_each(|(merchant, key)| self.filter.add(merchant.as_str(), key.as_str()));
        staged.heads.into_iter().for_each(|(payment, head)| self.keep(payment, head));
        self.tail.note(staged.rows);
        staged.results
    }

    fn keep(&mut self, payment: PaymentId, head: Head) {
        self.greatest = self.greatest.max(Some(payment));
        self.heads.keep(payment, head);
    }

    fn admit(&mut self, entry: Entry, staged: &mut Staged) -> Result<(), NotRecorded> {
        match entry {
            Entry::Numbers(block) => staged.push(Content::Numbers(block), None),
            Entry::Audit(audit) => staged.push(Content::Audit(audit), None),
            Entry::Host(mark) => staged.push(Content::Host(mark), None),
            Entry::Payment { records, card } => self.admit_records(records, card, staged)?,
        }
        Ok(())
    }

    fn admit_records(
        &mut self,
        records: Vec<Record>,
        card: Option<(CardId, Box<crate::payment::Card>)>,
        staged: &mut Staged,
    ) -> Result<(), NotRecorded> {
        let Some(first) = records.first() else { return Ok(()) };
        let (payment, at) = (first.payment, first.at);
        let known = self.known_head(payment, staged)?;
        let merchant = match (&known, origin_merchant(first)) {
            (Some(head), _) => head.merchant.clone(),
            (None, Some(merchant)) => merchant,
            (None, None) => return Err(NotRecorded::VersionTaken),
        };
        self.check_keys(&merchant, &records, staged)?;
        let version = check_versions(payment, known.map_or(0, |head| head.version), &records)?;
        let sealed = card.map(|(id, card)| self.keys.now().seal(id, &card).map(|sealed| (id, sealed)));
        let sealed = sealed.transpose().map_err(|error| unavailable(&error.into()))?;

        staged.cards.extend(sealed.map(|(id, sealed)| CardRow {
            sequence: staged.next,
            id,
            merchant: merchant.as_str().to_owned(),
            sealed,
            purge_after: at.0.saturating_add(i64::from(self.card_retention_days) * MICROS_PER_DAY),
        }));
        for record in records {
            if let Body::Requested(requested) = &record.body {
                staged.used.insert((merchant.clone(), requested.key.clone()), payment);
            }
            staged.push(Content::Record(record), Some(merchant.clone()));
        }
        staged.heads.insert(payment, Head { version, merchant });
        Ok(())
    }

    fn check_keys(&self, merchant: &MerchantId, records: &[Record], staged: &Staged) -> Result<(), NotRecorded> {
        let mut own = BTreeSet::new();
        for record in records {
            let Body::Requested(requested) = &record.body else { continue };
            if let Some(payment) = self.key_user(merchant, &requested.key, staged)? {
                return Err(NotRecorded::KeyUsed(payment));
            }
            if !own.insert(&requested.key) {
                return Err(NotRecorded::KeyUsed(record.payment));
            }
        }
        Ok(())
    }

    fn key_user(
        &self,
        merchant: &MerchantId,
        key: &IdempotencyKey,
        staged: &Staged,
    ) -> Result<Option<PaymentId>, NotRecorded> {
        let in_memory = staged.used.get(&(merchant.clone(), key.clone())).copied();
        match in_memory.or_else(|| self.tail.by_key(merchant, key)) {
            Some(payment) => Ok(Some(payment)),
            None if !self.filter.may_hold(merchant, key) => Ok(None),
            None => self.views.by_key(merchant, key).map_err(|error| unavailable(&error)),
        }
    }

    fn known_head(&mut self, payment: PaymentId, staged: &Staged) -> Result<Option<Head>, NotRecorded> {
        match staged.heads.get(&payment) {
            Some(head) => Ok(Some(head.clone())),
            None => self.head(payment).map_err(|error| unavailable(&error)),
        }
    }

    /// Ids grow with time: one greater than all before it is new and need not be looked up.
    fn head(&mut self, payment: PaymentId) -> Result<Option<Head>, JournalError> {
        if self.greatest.is_none_or(|greatest| payment > greatest) {
            return Ok(None);
        }
        if let Some(head) = self.heads.get(payment) {
            return Ok(Some(head));
        }
        let in_tail = self.tail.payment(payment);
        let in_views = self.views.head(payment)?;
        let Some(last) = in_tail.last().and_then(|row| row.record()) else { return Ok(in_views) };
        let first = in_tail.first().and_then(|row| row.record()).and_then(origin_merchant);
        Ok(first.or(in_views.map(|head| head.merchant)).map(|merchant| Head { version: last.version, merchant }))
    }
}

impl Staged {
    fn push(&mut self, content: Content, merchant: Option<MerchantId>) {
        self.rows.push(Noted { row: Arc::new(Row { sequence: self.next, content }), merchant });
        self.next += 1;
    }

    /// Whether these rows are what was to become durable.
    pub(super) fn is_all_of(&self, rows: &[Row]) -> bool {
        self.rows.len() == rows.len() && self.rows.iter().zip(rows).all(|(staged, row)| *staged.row == *row)
    }

    /// The results where nothing became durable: what was refused because of a companion is no better known.
    pub(super) fn lost(self) -> Results {
        self.results.into_iter().map(|(ticket, _)| (ticket, Err(NotRecorded::Unavailable))).collect()
    }
}

/// The last version after these records, if they are of this payment, follow each other without a gap, and the first
/// version alone begins a payment. What passes here can be taken by the views.
fn check_versions(payment: PaymentId, known: u32, records: &[Record]) -> Result<u32, NotRecorded> {
    let mut version = known;
    for record in records {
        version = version.checked_add(1).ok_or(NotRecorded::VersionTaken)?;
        let begins = origin_merchant(record).is_some();
        if record.payment != payment || record.version != version || begins != (version == 1) {
            return Err(NotRecorded::VersionTaken);
        }
    }
    Ok(version)
}

fn origin_merchant(record: &Record) -> Option<MerchantId> {
    match &record.body {
        Body::Requested(requested) => requested.origin.as_ref().map(|origin| origin.merchant.clone()),
        _ => None,
    }
}

fn unavailable(error: &JournalError) -> NotRecorded {
    tracing::error!(code = error.code(), %error, "an entry cannot be checked");
    NotRecorded::Unavailable
}

/// The last version of payments seen lately: two generations, so that forgetting costs nothing.
#[derive(Default)]
struct Heads {
    young: HashMap<PaymentId, Head>,
    old: HashMap<PaymentId, Head>,
}

impl Heads {
    fn keep(&mut self, payment: PaymentId, head: Head) {
        if self.young.len() >= HEADS_KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(payment, head);
    }

    fn get(&self, payment: PaymentId) -> Option<Head> {
        self.young.get(&payment).or_else(|| self.old.get(&payment)).cloned()
    }
}
