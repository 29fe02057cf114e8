//! Reading the books: the tail first, then the views, then the rows they point to.
//!
//! A reader sees every write that was reported durable before it began. Its calls block; a shell calls them where
//! blocking is allowed.

use super::JournalError;
use super::log::Log;
use super::settings::StorePath;
use super::tail::Tail;
use super::views::Views;
use crate::payment::{MerchantId, PaymentId};
use crate::switch::{AuditEntry, Stored};
use crate::transaction::{Body, IdempotencyKey, Listing, Page, Record};
use crate::vault::KeyRing;
use std::sync::{Arc, Mutex, PoisonError};

/// How many entries a list for operators gives.
pub const FOUND_AT_MOST: usize = 1000;

/// Connections kept for the next reader.
const IDLE: usize = 8;

/// Reads payments and finds them; cheap to clone.
#[derive(Clone)]
pub struct Reader {
    shelf: Arc<Shelf>,
}

struct Shelf {
    store: StorePath,
    node: u16,
    tail: Arc<Tail>,
    keys: KeyRing,
    idle: Mutex<Vec<Books>>,
}

struct Books {
    log: Log,
    views: Views,
}

/// A record with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The node that wrote it.
    pub node: u16,
    /// Its number among all that the node wrote.
    pub sequence: i64,
    /// The record.
    pub record: Record,
}

impl Reader {
    pub(super) fn new(store: StorePath, node: u16, tail: Arc<Tail>, keys: KeyRing) -> Reader {
        Reader { shelf: Arc::new(Shelf { store, node, tail, keys, idle: Mutex::default() }) }
    }

    pub(super) fn store(&self) -> &StorePath {
        &self.shelf.store
    }

    /// The records of a payment, oldest first; `None` if there is no such payment.
    pub fn payment(&self, payment: PaymentId) -> Result<Option<Vec<Record>>, JournalError> {
        let records = self.records(payment)?;
        Ok((!records.is_empty()).then(|| records.into_iter().map(|placed| placed.record).collect()))
    }

    /// The records of a payment with their places, oldest first; empty if there is no such payment.
    pub fn records(&self, payment: PaymentId) -> Result<Vec<Placed>, JournalError> {
        self.with_books(|books| self.read(books, payment))
    }

    /// The payment in which a merchant used a key: one or none.
    pub fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Vec<PaymentId>, JournalError> {
        match self.shelf.tail.by_key(merchant, key) {
            Some(payment) => Ok(vec![payment]),
            None => self.with_books(|books| Ok(books.views.by_key(merchant, key)?.into_iter().collect())),
        }
    }

    /// A page of a merchant's payments. What the views have not taken yet is in it whatever its status, so the status
    /// of what is found remains to be compared.
    pub fn list(&self, listing: &Listing) -> Result<Page, JournalError> {
        let recent = self.shelf.tail.list(listing);
        let mut page = self.with_books(|books| books.views.list(listing))?;
        // What lies behind the end of the views' part comes with the next page.
        let end = page.next;
        page.places.extend(recent.into_iter().filter(|place| end.is_none_or(|end| *place >= end)));
        page.places.sort_unstable_by(|a, b| b.cmp(a));
        page.places.dedup();
        if page.places.len() > listing.limit {
            page.places.truncate(listing.limit);
            page.next = page.places.last().copied();
        }
        Ok(page)
    }

    /// A merchant's payments of which an operation counts in a period, at most `limit`, in the order of their ids.
    pub fn of_period(&self, merchant: &MerchantId, period: &str, limit: usize) -> Result<Vec<PaymentId>, JournalError> {
        let mut found = self.shelf.tail.of_period(merchant, period);
        found.extend(self.with_books(|books| books.views.of_period(merchant, period, limit))?);
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    /// Obligations that ended as a matter for a person (refused or given up), oldest payment first, at most
    /// [`FOUND_AT_MOST`]. This list follows the journal by the lag of the views.
    pub fn exceptions(&self) -> Result<Vec<(PaymentId, u16)>, JournalError> {
        self.with_books(|books| books.views.exceptions(FOUND_AT_MOST))
    }

    /// How many obligations are a matter for a person. Follows the journal by the lag of the views.
    pub fn count_exceptions(&self) -> Result<usize, JournalError> {
        self.with_books(|books| books.views.count_exceptions())
    }

    /// The last orders of operators, latest first, at most [`FOUND_AT_MOST`]. This list follows the journal by the lag
    /// of the views.
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, JournalError> {
        self.with_books(|books| books.views.audit(limit.min(FOUND_AT_MOST)))
    }

    /// A payment with its card.
    pub(super) fn stored(&self, payment: PaymentId) -> Result<Option<Box<Stored>>, JournalError> {
        self.with_books(|books| {
            let records = self.read(books, payment)?;
            let Some(first) = records.first() else { return Ok(None) };
            let card = match &first.record.body {
                Body::Requested(requested) => requested.origin.as_ref().map(|origin| origin.card.id),
                _ => None,
            };
            let card = card.map(|id| self.card(books, first.sequence, id)).transpose()?.flatten();
            Ok(Some(Box::new(Stored { records: records.into_iter().map(|placed| placed.record).collect(), card })))
        })
    }

    fn card(
        &self,
        books: &Books,
        first: i64,
        id: crate::payment::CardId,
    ) -> Result<Option<crate::payment::Card>, JournalError> {
        books.log.card(first, id, &self.shelf.keys.now())
    }

    fn read(&self, books: &Books, payment: PaymentId) -> Result<Vec<Placed>, JournalError> {
        let recent = self.shelf.tail.payment(payment);
        let from_tail = recent.first().map_or(i64::MAX, |row| row.sequence);
        let mut rows = Vec::new();
        for (_, sequence) in books.views.history(payment)?.into_iter().filter(|(_, sequence)| *sequence < from_tail) {
            rows.push(Arc::new(books.log.row(sequence)?));
        }
        rows.extend(recent);
        let placed = rows.iter().filter_map(|row| {
            Some(Placed { node: self.shelf.node, sequence: row.sequence, record: row.record()?.clone() })
        });
        Ok(placed.collect())
    }

    /// Connections go back only after a good read: a bad one may be broken.
    fn with_books<T>(&self, read: impl FnOnce(&Books) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let idle = self.idle().pop();
        let books = match idle {
            Some(books) => books,
            None => Books { log: Log::open_reader(&self.shelf.store)?, views: Views::open_reader(&self.shelf.store)? },
        };
        let found = read(&books)?;
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(books);
        }
        Ok(found)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Books>> {
        self.shelf.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
