//! The payment that a completion, a refund or a reversal is about, and whether there is anything to take back.
//!
//! A message names its original (1987: 90, later: 56) or repeats its trace number and time; both give the key under
//! which that was asked. Where they do not, because a terminal gives its reversal a time of its own, the retrieval
//! reference (37) and the number it named find it.

use super::question::{Naming, Refused, STAN};
use crate::edge::archive::{Archive, ArchiveUnavailable, load};
use crate::payment::{Amount, MerchantId, OperationKind, ResultCode, Wall};
use crate::transaction::{IdempotencyKey, Listing, Operation, OperationState, Payment};

/// What is looked for.
pub(super) struct Wanted {
    merchant: MerchantId,
    terminal: String,
    keys: Vec<IdempotencyKey>,
    references: Vec<String>,
    /// Which trace number its first message must have had, where that was named.
    stan: Option<String>,
}

/// Payments under one reference that are looked at, newest first.
const ALIKE: usize = 20;

impl Wanted {
    /// By all that a message says of its original.
    pub fn of(naming: &Naming<'_>, merchant: &MerchantId) -> Wanted {
        let (references, stan) = naming.original_references();
        Wanted {
            merchant: merchant.clone(),
            terminal: naming.asked.terminal.clone().unwrap_or_default(),
            keys: naming.original_keys(),
            references,
            stan,
        }
    }

    /// The keys it may have been asked under.
    pub fn keys(&self) -> &[IdempotencyKey] {
        &self.keys
    }

    /// The payment, and the number of the operation that is meant.
    pub fn find(&self, archive: &dyn Archive) -> Result<Option<(Payment, u16)>, ArchiveUnavailable> {
        for key in &self.keys {
            let Some(id) = archive.by_key(&self.merchant, key)? else { continue };
            let Some(payment) = load(archive, id)? else { continue };
            if let Some(number) = payment.operation_by_key(key).map(|operation| operation.number) {
                return Ok(Some((payment, number)));
            }
        }
        for reference in &self.references {
            if let Some(payment) = self.under(archive, reference)? {
                let number = payment.first().number;
                return Ok(Some((payment, number)));
            }
        }
        Ok(None)
    }

    fn under(&self, archive: &dyn Archive, reference: &str) -> Result<Option<Payment>, ArchiveUnavailable> {
        let listing = Listing {
            merchant: self.merchant.clone(),
            reference: Some(reference.to_owned()),
            from: Wall(i64::MIN),
            to: Wall(i64::MAX),
            status: None,
            after: None,
            limit: ALIKE,
        };
        for place in archive.list(&listing)?.places {
            if let Some(payment) = load(archive, place.payment)?.filter(|payment| self.is_meant(payment)) {
                return Ok(Some(payment));
            }
        }
        Ok(None)
    }

    /// A payment that began at another door has no trace number of an acquirer and is not meant.
    fn is_meant(&self, payment: &Payment) -> bool {
        let number = payment.origin.metadata.as_ref().and_then(|metadata| metadata.get(STAN));
        let is_numbered = number.is_some_and(|number| self.stan.as_ref().is_none_or(|stan| stan == number));
        is_numbered && payment.origin.acceptor.terminal == self.terminal
    }
}

/// What a reversal comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakeBack {
    /// The switch is asked to take it back.
    Ask,
    /// Nothing of it stands: declined, not done, or taken back already.
    Gone,
    /// It cannot be done.
    No(Refused),
}

/// Judges a reversal of an operation, which came under a key and names an amount.
pub(super) fn take_back(
    payment: &Payment,
    operation: &Operation,
    own: &IdempotencyKey,
    amount: Option<Amount>,
) -> TakeBack {
    use OperationState::{Approved, Declined, Failed, Pending, Reversed, Reversing};
    let of_payment = matches!(operation.kind, OperationKind::Authorisation | OperationKind::Sale);
    let is_whole = amount.is_none_or(|amount| amount == operation.amount || Some(amount) == operation.approved);
    match operation.state {
        // Asked before: it is answered as it was.
        _ if payment.operation_by_key(own).is_some() => TakeBack::Ask,
        Declined | Failed | Reversing | Reversed => TakeBack::Gone,
        Approved | Pending if operation.kind.is_inquiry() => TakeBack::Gone,
        Approved | Pending if !of_payment => {
            TakeBack::No(Refused::at(ResultCode::NotSupported, "original_not_reversible", 0))
        }
        Approved | Pending if !is_whole => TakeBack::No(Refused::at(ResultCode::BadData, "amount_of_original", 4)),
        Approved if payment.may_be_taken_back() => TakeBack::Gone,
        Approved | Pending => TakeBack::Ask,
    }
}
