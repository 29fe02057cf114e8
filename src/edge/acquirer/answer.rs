//! What an acquirer is told of an operation. It is the same whenever it is told.

use super::question::Follow;
use crate::payment::{OperationKind, ResultClass, ResultCode};
use crate::transaction::{Operation, OperationState};
use crate::translation::Said;

/// Of an operation that the switch told of.
pub(super) fn said<'p>(operation: &'p Operation, follow: Option<Follow>) -> Said<'p> {
    let is_reversal = follow == Some(Follow::TakeBack);
    let result = match operation.state {
        OperationState::Approved => approved(operation),
        OperationState::Declined | OperationState::Failed => refused(operation),
        // Once we have it, it is ours to bring to its end: who told us of it need not do so again.
        OperationState::Pending if is_reversal => ResultCode::Approved,
        OperationState::Pending | OperationState::Reversing | OperationState::Reversed => ResultCode::Timeout,
    };
    let stands = operation.state == OperationState::Approved;
    let of_bank = operation.response_code.as_deref().filter(|_| result != ResultCode::Timeout && !is_reversal);
    Said {
        result,
        is_reversal,
        response_code: of_bank,
        approval_code: operation.approval_code.filter(|_| stands && !is_reversal),
        approved: operation.approved.filter(|_| result == ResultCode::ApprovedPartly),
        business_date: Some(operation.business_date),
        rrn: Some(operation.message.rrn),
        balances: if stands { &operation.balances } else { &[] },
    }
}

/// A verification moves no money, so an approval of one may be told by the code for that.
fn approved(operation: &Operation) -> ResultCode {
    let is_part = operation.approved.is_some_and(|approved| approved.minor() < operation.amount.minor());
    match operation.kind {
        _ if is_part => ResultCode::ApprovedPartly,
        OperationKind::Verification => ResultCode::Verified,
        _ => ResultCode::Approved,
    }
}

/// What is not done is never told as if it were, or as if nobody knew.
fn refused(operation: &Operation) -> ResultCode {
    let result = operation.result.unwrap_or(ResultCode::Generic);
    match result.class() {
        ResultClass::Declined(_) | ResultClass::NotDone => result,
        // An inquiry of which the outcome is not known.
        ResultClass::Unknown => ResultCode::IssuerDown,
        ResultClass::Approved | ResultClass::ApprovedPartly => ResultCode::Generic,
    }
}
