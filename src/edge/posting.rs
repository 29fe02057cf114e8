//! The way of everything that asks a bank for something: received, opened, understood, submitted, told.
//!
//! Whatever is refused before [`super::Switchboard::submit`] leaves no trace: nothing was recorded and the key is not
//! used up. Doors differ in how they understand and tell, not in this.

use super::answering::{Handled, marked, respond_with};
use super::archive::from_store;
use super::authentication::{Asker, Peer, authenticate};
use super::manners::trace_of;
use super::payment_json::status_of;
use super::problem::{Code, Problem};
use super::request::Sent;
use super::switchboard::Credit;
use super::wrapping::{Unwrapped, Wrapping, declared_wrapping};
use super::{Door, body, command};
use crate::merchants::{Merchant, Place};
use crate::switch::{Answer, Command, Submission};
use crate::transaction::{Fingerprint, IdempotencyKey, Payment, Provenance};
use crate::xml::Element;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use std::sync::Arc;
use tokio::sync::SemaphorePermit;

/// A request that was read and opened, with its places in all that is behind the door.
pub(super) struct Received<'a> {
    door: &'a Door,
    asker: &'a Asker,
    /// What was in the body.
    pub opened: Unwrapped,
    /// Where it came from.
    pub provenance: Provenance,
    place: Place,
    held: SemaphorePermit<'a>,
    credit: Credit,
}

/// What the switch said.
pub(super) struct Told {
    pub payment: Arc<Payment>,
    /// Number of the operation that was asked for.
    pub operation: u16,
    /// Whether the same was said before.
    pub replayed: bool,
}

impl<'a> Received<'a> {
    /// Reads a body and takes its wrapping off.
    pub async fn read(
        door: &'a Door,
        asker: &'a Asker,
        declared: Wrapping,
        request: &Parts,
        body: Body,
    ) -> Result<Received<'a>, Problem> {
        let place = asker.place()?;
        let held = door.bodies.try_acquire().map_err(|_| Code::Overloaded)?;
        let sent = body::read(body, &door.limits).await?;
        let credit = door.switchboard.credit()?;
        let opened = door.open(asker, declared, request, sent).await?;
        let provenance = Provenance { trace: trace_of(&request.headers), ..Provenance::default() };
        Ok(Received { door, asker, opened, provenance, place, held, credit })
    }

    /// Submits what was understood and waits for the answer. The body is forgotten before. What a card reader gave is
    /// taken only where it came sealed.
    pub async fn submit(
        self,
        key: IdempotencyKey,
        (command, fingerprint): (Command, Fingerprint),
    ) -> Result<Told, Problem> {
        let Received { door, asker, opened, provenance, place, held, credit } = self;
        let provenance = provenance.kept();
        if command.has_reading() && !opened.is_reading_sealed {
            return Err(Code::CardPresentUnsealed.into());
        }
        door.take_names(&asker.merchant, &opened.names, &key)?;
        drop((opened, held));
        let merchant = asker.merchant.id.clone();
        let submission = |waiter| Submission { waiter, merchant, key, fingerprint, command, provenance };
        let answer = door.switchboard.submit(credit, submission)?;
        let answer = tokio::time::timeout(door.limits.answer_timeout(), answer).await;
        drop(place);
        match answer.ok().and_then(Result::ok).ok_or(Code::NoAnswer)? {
            Answer::Told { payment, operation, replayed } => Ok(Told { payment, operation, replayed }),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }
}

/// A POST to a resource.
pub(super) async fn post(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    understand: impl FnOnce(&Door, &Merchant, Sent<'_>) -> Result<(Command, Fingerprint), Problem>,
) -> Handled {
    let (parts, body) = request.into_parts();
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    let key = idempotency_key(&parts.headers)?;
    let declared = declared_wrapping(&parts.headers)?;
    let received = Received::read(&door, &asker, declared, &parts, body).await?;
    let Unwrapped { wrapping, payload, is_fresh, is_signed, .. } = &received.opened;
    if !is_fresh {
        let otherwise = if *is_signed { Code::SignatureInvalid } else { Code::PayloadUnreadable };
        must_be_known(&door, &asker.merchant, &key, otherwise).await?;
    }
    let wrapping = *wrapping;
    let understood = understood(wrapping, payload, |sent| {
        understand(&door, &asker.merchant, sent).and_then(|understood| command::permitted(&asker, understood))
    })?;
    let Told { payment, operation, replayed } = received.submit(key, understood).await?;
    let status = payment.operation(operation).map_or(202, status_of);
    let response = respond_with(&door, &asker.merchant, wrapping, status, &payment)?;
    Ok(marked(response, replayed))
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

/// What was sealed or signed long ago (or ahead of time) begins nothing; an honest repeat of what was begun is answered.
async fn must_be_known(door: &Door, merchant: &Merchant, key: &IdempotencyKey, otherwise: Code) -> Result<(), Problem> {
    let (id, key) = (merchant.id.clone(), key.clone());
    let known = from_store(door, move |archive| archive.by_key(&id, &key)).await?;
    known.map(drop).ok_or(otherwise.into())
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or(Code::KeyMissing)?;
    let key = value.to_str().ok().and_then(IdempotencyKey::new).filter(|_| values.next().is_none());
    key.ok_or(Code::KeyInvalid.into())
}
