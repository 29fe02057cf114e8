//! The resources under `/v1/payments`: from a request to the switch and from its answer to the merchant.

use super::Door;
use super::answering::{Handled, respond_with};
use super::archive::{from_store, load};
use super::authentication::{Peer, reader};
use super::command::{self, FreshNames};
use super::fingerprint::Canonical;
use super::posting::post;
use super::problem::{Code, Problem};
use super::request::{CreateCapture, CreateIncrement, CreatePayment, CreateRefund, CreateVoid};
use super::wrapping::answer_wrapping;
use crate::payment::{CardId, PaymentId};
use crate::transaction::Payment;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use std::sync::Arc;

pub(super) type PaymentPath = Result<Path<String>, PathRejection>;

/// `POST /v1/payments`.
pub(super) async fn create(door: State<Arc<Door>>, peer: Extension<Peer>, request: Request) -> Handled {
    post(door, peer, request, Ok(()), |door, merchant, (), asked: CreatePayment, kept| {
        command::begin(merchant, &asked, kept, fresh_names(), &door.fingerprint_key)
    })
    .await
}

/// `POST /v1/payments/{id}/captures`.
pub(super) async fn capture(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    request: Request,
) -> Handled {
    let about = of_payment(&door, path, "captures");
    post(door, peer, request, about, |_, _, (payment, canonical), asked: CreateCapture, _| {
        command::capture(payment, &asked, canonical)
    })
    .await
}

/// `POST /v1/payments/{id}/increments`.
pub(super) async fn increment(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    request: Request,
) -> Handled {
    let about = of_payment(&door, path, "increments");
    post(door, peer, request, about, |_, _, (payment, canonical), asked: CreateIncrement, _| {
        command::increment(payment, &asked, canonical)
    })
    .await
}

/// `POST /v1/payments/{id}/refunds`.
pub(super) async fn refund(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    request: Request,
) -> Handled {
    let about = of_payment(&door, path, "refunds");
    post(door, peer, request, about, |_, _, (payment, canonical), asked: CreateRefund, _| {
        command::refund(payment, &asked, canonical)
    })
    .await
}

/// `POST /v1/payments/{id}/voids`.
pub(super) async fn void(
    door: State<Arc<Door>>,
    peer: Extension<Peer>,
    path: PaymentPath,
    request: Request,
) -> Handled {
    let about = of_payment(&door, path, "voids");
    post(door, peer, request, about, |_, _, (payment, canonical), CreateVoid {}, _| {
        Ok(command::void(payment, canonical))
    })
    .await
}

/// `GET /v1/payments/{id}`.
pub(super) async fn read(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
) -> Handled {
    let merchant = reader(&door.register.now(), &headers, peer)?;
    let id = payment_id(path)?;
    let found = from_store(&door, move |archive| load(archive, id)).await?;
    let mine = |payment: &Payment| payment.origin.merchant == merchant.id && !payment.is_inquiry();
    let payment = found.filter(mine).ok_or(Code::PaymentNotFound)?;
    respond_with(&door, &merchant, answer_wrapping(&headers, &merchant), 200, &payment)
}

fn of_payment(door: &Door, path: PaymentPath, resource: &str) -> Result<(PaymentId, Canonical), Problem> {
    let payment = payment_id(path)?;
    let target = format!("/v1/payments/{payment}/{resource}");
    Ok((payment, Canonical::new(&door.fingerprint_key, "POST", &target)))
}

fn payment_id(path: PaymentPath) -> Result<PaymentId, Problem> {
    let id = path.ok().and_then(|Path(text)| text.parse().ok());
    id.ok_or(Code::PaymentNotFound.into())
}

pub(super) fn fresh_names() -> FreshNames {
    FreshNames { payment: PaymentId(uuid::Uuid::now_v7().as_u128()), card: CardId(random()) }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    u128::from_be_bytes(bytes)
}
