//! What the door reads from the store. The calls block; the door makes them on threads that may.

use crate::payment::{MerchantId, PaymentId};
use crate::transaction::{IdempotencyKey, Record};

/// Finished and unfinished payments as the store holds them, a merchant's own writes included.
pub trait Archive: Send + Sync + 'static {
    /// The records of a payment, oldest first; empty where there is none.
    fn payment(&self, id: PaymentId) -> Result<Vec<Record>, ArchiveUnavailable>;

    /// The payment that a merchant's key belongs to.
    fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Option<PaymentId>, ArchiveUnavailable>;

    /// The payments of a merchant under its own reference, newest first, at most `limit`.
    fn by_reference(
        &self,
        merchant: &MerchantId,
        reference: &str,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ArchiveUnavailable>;
}

/// The store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read")]
pub struct ArchiveUnavailable;
