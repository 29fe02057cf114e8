//! What the door reads from the store. The calls block; the door makes them on threads that may.

use super::Door;
use super::problem::{Code, Problem};
use crate::payment::{MerchantId, PaymentId};
use crate::transaction::{IdempotencyKey, Listing, Page, Payment, Record};
use std::sync::Arc;
use std::time::Duration;

/// How long a read waits for its turn at the store.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Finished and unfinished payments as the store holds them, a merchant's own writes included.
pub trait Archive: Send + Sync + 'static {
    /// The records of a payment, oldest first; empty where there is none.
    fn payment(&self, id: PaymentId) -> Result<Vec<Record>, ArchiveUnavailable>;

    /// The payment that a merchant's key belongs to.
    fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Option<PaymentId>, ArchiveUnavailable>;

    /// A merchant's payments of which an operation counts in a period, at most `limit`.
    fn of_period(
        &self,
        merchant: &MerchantId,
        period: &str,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ArchiveUnavailable>;

    /// A page of a merchant's payments. Some may have changed their status since they were found.
    fn list(&self, listing: &Listing) -> Result<Page, ArchiveUnavailable>;
}

/// The store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read")]
pub struct ArchiveUnavailable;

/// A payment as its records tell it.
pub(super) fn load(archive: &dyn Archive, id: PaymentId) -> Result<Option<Payment>, ArchiveUnavailable> {
    let records = archive.payment(id)?;
    if records.is_empty() {
        return Ok(None);
    }
    // A history that does not fold is damage; it is reported where it is found and told as no answer.
    Payment::fold(&records).map(Some).map_err(|error| {
        tracing::error!(payment = %id, %error, "a payment's records do not fold");
        ArchiveUnavailable
    })
}

/// Reads from the store when it is this request's turn.
pub(super) async fn from_store<T: Send + 'static>(
    door: &Door,
    read: impl FnOnce(&dyn Archive) -> Result<T, ArchiveUnavailable> + Send + 'static,
) -> Result<T, Problem> {
    let archive = Arc::clone(&door.archive);
    let read = in_turn(door, move || read(&*archive)).await?;
    read.map_err(|ArchiveUnavailable| Code::StoreUnavailable.into())
}

/// Asks a store when it is this request's turn, on a thread that may block.
pub(super) async fn in_turn<T: Send + 'static>(
    door: &Door,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let turn = tokio::time::timeout(STORE_WAIT, Arc::clone(&door.store_reads).acquire_owned()).await;
    let permit = turn.ok().and_then(Result::ok).ok_or(Code::Overloaded)?;
    let asking = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        ask()
    });
    asking.await.map_err(|_| Code::StoreUnavailable.into())
}
