//! What is durable and not yet in the views, indexed in memory: readers join it with the views.
//!
//! Whoever reads looks here first and into the views afterwards. A row leaves only once the views have it, so a row
//! can be seen twice in that order and never not at all.

use super::row::{Content, Row};
use crate::payment::{MerchantId, PaymentId};
use crate::transaction::{Body, IdempotencyKey, Listing, Origin, Place, Requested};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A durable row on its way to the views.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) row: Arc<Row>,
    /// Whose operation begins with it, where one does.
    pub(super) merchant: Option<MerchantId>,
}

impl Noted {
    fn requested(&self) -> Option<(&MerchantId, PaymentId, &Requested)> {
        let record = self.row.record()?;
        match &record.body {
            Body::Requested(requested) => Some((self.merchant.as_ref()?, record.payment, requested)),
            _ => None,
        }
    }
}

/// The rows that the views have not taken.
#[derive(Default)]
pub(super) struct Tail {
    rows: Mutex<Rows>,
    changed: Condvar,
}

#[derive(Default)]
struct Rows {
    in_order: VecDeque<Noted>,
    by_payment: HashMap<PaymentId, Vec<Arc<Row>>>,
    by_key: BTreeMap<(MerchantId, IdempotencyKey), PaymentId>,
    /// What began, of each merchant and of each of its references.
    begun: BTreeMap<(MerchantId, Option<String>), VecDeque<Place>>,
    views_fail: bool,
    closed: bool,
}

impl Tail {
    /// Takes rows in that have just become durable, oldest first.
    pub(super) fn note(&self, rows: Vec<Noted>) {
        let mut tail = self.lock();
        rows.into_iter().for_each(|noted| tail.add(noted));
        drop(tail);
        self.changed.notify_all();
    }

    /// Drops what the views have taken.
    pub(super) fn trim(&self, cursor: i64) {
        let mut tail = self.lock();
        while tail.in_order.front().is_some_and(|noted| noted.row.sequence <= cursor) {
            tail.remove_oldest();
        }
        tail.views_fail = false;
        drop(tail);
        self.changed.notify_all();
    }

    /// Waits for rows, and then up to `pause` for `limit` of them; gives the oldest. `None` once it is closed and empty.
    pub(super) fn oldest(&self, limit: usize, pause: Duration) -> Option<Vec<Noted>> {
        let tail = self.wait_while(|tail| tail.in_order.is_empty() && !tail.closed);
        let gathers = |tail: &mut Rows| tail.in_order.len() < limit && !tail.closed;
        let gathered = self.changed.wait_timeout_while(tail, pause, gathers);
        let (tail, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        (!tail.in_order.is_empty()).then(|| tail.in_order.iter().take(limit).cloned().collect())
    }

    /// Says that the views take nothing now, and waits a little before they are tried again. Whether it was closed.
    pub(super) fn views_fail(&self, pause: Duration) -> bool {
        let mut tail = self.lock();
        tail.views_fail = true;
        self.changed.notify_all();
        let (tail, _) =
            self.changed.wait_timeout_while(tail, pause, |tail| !tail.closed).unwrap_or_else(PoisonError::into_inner);
        tail.closed
    }

    /// Waits until fewer than `bound` rows are here. `false` where that does not come about because the views fail.
    pub(super) fn wait_for_room(&self, bound: usize) -> bool {
        let tail = self.wait_while(|tail| tail.in_order.len() >= bound && !tail.views_fail && !tail.closed);
        tail.in_order.len() < bound
    }

    /// No row will come any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// How many rows are here.
    pub(super) fn len(&self) -> usize {
        self.lock().in_order.len()
    }

    /// The rows of a payment, oldest first.
    pub(super) fn payment(&self, payment: PaymentId) -> Vec<Arc<Row>> {
        self.lock().by_payment.get(&payment).cloned().unwrap_or_default()
    }

    /// The payment in which a key was used.
    pub(super) fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Option<PaymentId> {
        self.lock().by_key.get(&(merchant.clone(), key.clone())).copied()
    }

    /// What a list is to hold of the payments that began here, whatever their status: the last of them, and one more
    /// than the list has room for where there are more.
    pub(super) fn list(&self, listing: &Listing) -> Vec<Place> {
        let tail = self.lock();
        let begun = tail.begun.get(&(listing.merchant.clone(), listing.reference.clone()));
        let admitted = begun.into_iter().flatten().rev().filter(|place| listing.admits(**place));
        admitted.take(listing.limit + 1).copied().collect()
    }

    /// Payments of which an operation that began here counts in a period.
    pub(super) fn of_period(&self, merchant: &MerchantId, period: &str) -> Vec<PaymentId> {
        let tail = self.lock();
        let began = tail.in_order.iter().filter_map(Noted::requested);
        let counts = |requested: &Requested| {
            requested.provenance.as_ref().is_some_and(|from| from.period.as_deref() == Some(period))
        };
        began.filter(|(whose, _, requested)| *whose == merchant && counts(requested)).map(|(_, id, _)| id).collect()
    }

    fn wait_while(&self, condition: impl FnMut(&mut Rows) -> bool) -> MutexGuard<'_, Rows> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn add(&mut self, noted: Noted) {
        if let Content::Record(record) = &noted.row.content {
            self.by_payment.entry(record.payment).or_default().push(noted.row.clone());
        }
        if let Some((merchant, payment, requested)) = noted.requested() {
            self.by_key.insert((merchant.clone(), requested.key.clone()), payment);
            if let (Some(origin), Some(record)) = (listed_origin(requested), noted.row.record()) {
                let place = Place { created: record.at, payment };
                for reference in [None, Some(origin.reference.clone())] {
                    self.begun.entry((merchant.clone(), reference)).or_default().push_back(place);
                }
            }
        }
        self.in_order.push_back(noted);
    }

    fn remove_oldest(&mut self) {
        let Some(noted) = self.in_order.pop_front() else { return };
        if let Some(record) = noted.row.record() {
            remove_first(&mut self.by_payment, record.payment, |row: &Arc<Row>| row.sequence == noted.row.sequence);
        }
        if let Some((merchant, _, requested)) = noted.requested() {
            self.by_key.remove(&(merchant.clone(), requested.key.clone()));
            if let Some(origin) = listed_origin(requested) {
                for reference in [None, Some(origin.reference.clone())] {
                    self.forget_begun((merchant.clone(), reference));
                }
            }
        }
    }

    /// Rows leave in the order in which they came, so the first payment under the reference is the one.
    fn forget_begun(&mut self, under: (MerchantId, Option<String>)) {
        if let Some(payments) = self.begun.get_mut(&under) {
            payments.pop_front();
            if payments.is_empty() {
                self.begun.remove(&under);
            }
        }
    }
}

/// The origin of what is listed: what only asks is no payment.
fn listed_origin(requested: &Requested) -> Option<&Origin> {
    requested.origin.as_deref().filter(|_| !requested.kind.is_inquiry())
}

fn remove_first(rows: &mut HashMap<PaymentId, Vec<Arc<Row>>>, payment: PaymentId, which: impl Fn(&Arc<Row>) -> bool) {
    if let Some(of_payment) = rows.get_mut(&payment) {
        if of_payment.first().is_some_and(which) {
            of_payment.remove(0);
        }
        if of_payment.is_empty() {
            rows.remove(&payment);
        }
    }
}
