//! What the door reads from the store. The calls block; the door makes them on threads that may.

use crate::payment::{MerchantId, PaymentId};
use crate::transaction::{IdempotencyKey, Listing, Page, Record};

/// Finished and unfinished payments as the store holds them, a merchant's own writes included.
pub trait Archive: Send + Sync + 'static {
    /// The records of a payment, oldest first; empty where there is none.
    fn payment(&self, id: PaymentId) -> Result<Vec<Record>, ArchiveUnavailable>;

    /// The payment that a merchant's key belongs to.
    fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Option<PaymentId>, ArchiveUnavailable>;

    /// A page of a merchant's payments. Some may have changed their status since they were found.
    fn list(&self, listing: &Listing) -> Result<Page, ArchiveUnavailable>;
}

/// The store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read")]
pub struct ArchiveUnavailable;
