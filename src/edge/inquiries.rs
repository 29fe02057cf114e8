//! `/v1/verifications` and `/v1/balance-inquiries`: questions about a card, which the bank answers and nothing follows.
//!
//! They go the way of a payment and are kept like one, under a name of their own: `ver_`, `bal_`.

use super::Door;
use super::answering::{Handled, respond_with};
use super::archive::{from_store, load};
use super::authentication::{Peer, reader};
use super::command;
use super::inquiry_json::{BALANCE_INQUIRY, VERIFICATION};
use super::payments::{PaymentPath, fresh_names};
use super::posting::post;
use super::problem::Code;
use super::request::{CreateBalanceInquiry, CreateVerification};
use super::wrapping::answer_wrapping;
use crate::payment::{OperationKind, PaymentId};
use crate::transaction::Payment;
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use std::sync::Arc;

/// `POST /v1/verifications`.
pub(super) async fn verify(door: State<Arc<Door>>, peer: Extension<Peer>, request: Request) -> Handled {
    let what = (OperationKind::Verification, "/v1/verifications");
    post(door, peer, request, Ok(()), |door, merchant, (), CreateVerification(inquiry), kept| {
        command::inquire(merchant, what, &inquiry, kept, fresh_names(), &door.fingerprint_key)
    })
    .await
}

/// `POST /v1/balance-inquiries`.
pub(super) async fn ask_balance(door: State<Arc<Door>>, peer: Extension<Peer>, request: Request) -> Handled {
    let what = (OperationKind::BalanceInquiry, "/v1/balance-inquiries");
    post(door, peer, request, Ok(()), |door, merchant, (), CreateBalanceInquiry(inquiry), kept| {
        command::inquire(merchant, what, &inquiry, kept, fresh_names(), &door.fingerprint_key)
    })
    .await
}

/// `GET /v1/verifications/{id}`.
pub(super) async fn read_verification(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
) -> Handled {
    read(door, peer, path, headers, (OperationKind::Verification, VERIFICATION)).await
}

/// `GET /v1/balance-inquiries/{id}`.
pub(super) async fn read_balance(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
) -> Handled {
    read(door, peer, path, headers, (OperationKind::BalanceInquiry, BALANCE_INQUIRY)).await
}

async fn read(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
    (kind, prefix): (OperationKind, &str),
) -> Handled {
    let merchant = reader(&door.register.now(), &headers, peer)?;
    let id = path.ok().and_then(|Path(text)| id(&text, prefix)).ok_or(Code::InquiryNotFound)?;
    let found = from_store(&door, move |archive| load(archive, id)).await?;
    let mine = |inquiry: &Payment| inquiry.origin.merchant == merchant.id && inquiry.first().kind == kind;
    let inquiry = found.filter(mine).ok_or(Code::InquiryNotFound)?;
    respond_with(&door, &merchant, answer_wrapping(&headers, &merchant), 200, &inquiry)
}

fn id(text: &str, prefix: &str) -> Option<PaymentId> {
    format!("pay_{}", text.strip_prefix(prefix)?).parse().ok()
}
