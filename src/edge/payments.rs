//! The resources under `/v1/payments`: from a request to the switch and from its answer to the merchant.

use super::archive::ArchiveUnavailable;
use super::authentication::{Peer, authenticate, reader};
use super::command::{self, Canonical, FreshNames};
use super::inquiry_json::{BalanceInquiryJson, VerificationJson};
use super::payment_json::{PaymentJson, status_of};
use super::problem::{Code, Problem};
use super::request::Sent;
use super::wrapping::{Unwrapped, Wrapping, answer_wrapping, declared_wrapping};
use super::xml::{self, Document};
use super::{Archive, Door, body, request};
use crate::merchants::Merchant;
use crate::payment::{CardId, OperationKind, PaymentId};
use crate::switch::{Answer, Command, Submission};
use crate::transaction::{Fingerprint, IdempotencyKey, Payment};
use crate::xml::Element;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

pub(super) type Handled = Result<Response<Body>, Problem>;
pub(super) type PaymentPath = Result<Path<String>, PathRejection>;

/// How long a read waits for its turn at the store.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// `POST /v1/payments`.
pub(super) async fn create(door: State<Arc<Door>>, peer: Extension<Peer>, request: Request) -> Handled {
    post(door, peer, request, |door, merchant, body| {
        command::begin(merchant, &request::read(body)?, fresh_names(), &door.fingerprint_key)
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
    post(door, peer, request, |door, _, body| {
        let (payment, canonical) = of_payment(door, path, "captures")?;
        command::capture(payment, &request::read(body)?, canonical)
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
    post(door, peer, request, |door, _, body| {
        let (payment, canonical) = of_payment(door, path, "refunds")?;
        command::refund(payment, &request::read(body)?, canonical)
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
    post(door, peer, request, |door, _, body| {
        let (payment, canonical) = of_payment(door, path, "voids")?;
        let request::CreateVoid {} = request::read(body)?;
        Ok(command::void(payment, canonical))
    })
    .await
}

/// What all POSTs have in common. Whatever is refused before [`super::Switchboard::submit`] leaves no trace: nothing
/// was recorded and the key is not used up.
pub(super) async fn post(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    understand: impl FnOnce(&Door, &Merchant, Sent<'_>) -> Result<(Command, Fingerprint), Problem>,
) -> Handled {
    let (parts, body) = request.into_parts();
    let asker = authenticate(&door.register, &parts.headers, peer)?;
    let (merchant, place) = (&asker.merchant, asker.place()?);
    let key = idempotency_key(&parts.headers)?;
    let declared = declared_wrapping(&parts.headers)?;
    let held = door.bodies.try_acquire().map_err(|_| Code::Overloaded)?;
    let sent = body::read(body, &door.limits).await?;
    let credit = door.switchboard.credit()?;
    let Unwrapped { wrapping, payload, is_fresh } = door.open(merchant, declared, &parts.headers, sent).await?;
    if !is_fresh {
        must_be_known(&door, merchant, &key).await?;
    }
    let (command, fingerprint) = understood(wrapping, &payload, |sent| {
        understand(&door, merchant, sent).and_then(|understood| command::permitted(&asker, understood))
    })?;
    drop((payload, held));
    let id = merchant.id.clone();
    let submission = |waiter| Submission { waiter, merchant: id, key, fingerprint, command };
    let answer = door.switchboard.submit(credit, submission)?;
    let answer = tokio::time::timeout(door.limits.answer_timeout(), answer).await;
    drop(place);
    told(&door, merchant, wrapping, answer.ok().and_then(Result::ok).ok_or(Code::NoAnswer)?)
}

/// Understands a body in the notation in which it came. An empty one says nothing in either.
fn understood<T>(
    wrapping: Wrapping,
    payload: &[u8],
    understand: impl FnOnce(Sent<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    if !wrapping.is_xml() || payload.is_empty() {
        return understand(Sent::Json(payload));
    }
    let root = Element::read(payload)?;
    understand(Sent::Xml(&root)).map_err(|problem| problem.in_document(&root.name))
}

/// What was sealed long ago (or ahead of time) begins nothing; an honest repeat of what was begun is answered.
async fn must_be_known(door: &Door, merchant: &Merchant, key: &IdempotencyKey) -> Result<(), Problem> {
    let (id, key) = (merchant.id.clone(), key.clone());
    let known = from_store(door, move |archive| archive.by_key(&id, &key)).await?;
    known.map(drop).ok_or(Code::PayloadUnreadable.into())
}

fn told(door: &Door, merchant: &Merchant, wrapping: Wrapping, answer: Answer) -> Handled {
    let (payment, operation, replayed) = match answer {
        Answer::Told { payment, operation, replayed } => (payment, operation, replayed),
        Answer::Refused(refusal) => return Err(refusal.into()),
    };
    let status = payment.operation(operation).map_or(202, status_of);
    let response = respond_with(door, merchant, wrapping, status, &payment)?;
    Ok(marked(response, replayed))
}

/// `GET /v1/payments/{id}`.
pub(super) async fn read(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    path: PaymentPath,
    headers: HeaderMap,
) -> Handled {
    let merchant = reader(&door.register, &headers, peer)?;
    let id = payment_id(path)?;
    let found = from_store(&door, move |archive| load(archive, id)).await?;
    let mine = |payment: &Payment| payment.origin.merchant == merchant.id && !payment.is_inquiry();
    let payment = found.filter(mine).ok_or(Code::PaymentNotFound)?;
    respond_with(&door, &merchant, answer_wrapping(&headers, &merchant), 200, &payment)
}

/// Responds with a payment, or with the inquiry that it is.
pub(super) fn respond_with(
    door: &Door,
    merchant: &Merchant,
    wrapping: Wrapping,
    status: u16,
    payment: &Payment,
) -> Handled {
    match payment.first().kind {
        OperationKind::Verification => respond(door, merchant, wrapping, status, &VerificationJson::from(payment)),
        OperationKind::BalanceInquiry => respond(door, merchant, wrapping, status, &BalanceInquiryJson::from(payment)),
        _ => respond(door, merchant, wrapping, status, &PaymentJson::from(payment)),
    }
}

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

pub(super) async fn from_store<T: Send + 'static>(
    door: &Door,
    read: impl FnOnce(&dyn Archive) -> Result<T, ArchiveUnavailable> + Send + 'static,
) -> Result<T, Problem> {
    let turn = tokio::time::timeout(STORE_WAIT, Arc::clone(&door.store_reads).acquire_owned()).await;
    let permit = turn.ok().and_then(Result::ok).ok_or(Code::Overloaded)?;
    let archive = Arc::clone(&door.archive);
    let reading = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        read(&*archive)
    });
    let read = reading.await.map_err(|_| Code::StoreUnavailable)?;
    read.map_err(|ArchiveUnavailable| Code::StoreUnavailable.into())
}

pub(super) fn respond<T: Serialize + Document>(
    door: &Door,
    merchant: &Merchant,
    wrapping: Wrapping,
    status: u16,
    answer: &T,
) -> Handled {
    let json = Zeroizing::new(serde_json::to_vec(answer).expect("an answer of plain fields becomes JSON"));
    let content = match wrapping.is_xml() {
        true => xml::write(T::ROOT, &json).ok_or(Code::NoAnswer)?,
        false => json,
    };
    reply(door, merchant, wrapping, status, content)
}

/// An answer in its wrapping.
pub(super) fn reply(
    door: &Door,
    merchant: &Merchant,
    wrapping: Wrapping,
    status: u16,
    content: Zeroizing<Vec<u8>>,
) -> Handled {
    let (content_type, body) = door.wrap(merchant, wrapping, content)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses of answers are HTTP statuses");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Says whether an answer was given before.
pub(super) fn marked(mut response: Response<Body>, replayed: bool) -> Response<Body> {
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
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

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or(Code::KeyMissing)?;
    let key = value.to_str().ok().and_then(IdempotencyKey::new).filter(|_| values.next().is_none());
    key.ok_or(Code::KeyInvalid.into())
}

pub(super) fn fresh_names() -> FreshNames {
    FreshNames { payment: PaymentId(uuid::Uuid::now_v7().as_u128()), card: CardId(random()) }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    u128::from_be_bytes(bytes)
}
