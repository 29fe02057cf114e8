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
use super::request::{self, Asking};
use super::switchboard::Credit;
use super::wrapping::{Unwrapped, Wrapping, declared_wrapping};
use super::xml::Document;
use super::{Door, body, command, tokens};
use crate::merchants::{Merchant, Place};
use crate::payment::Card;
use crate::switch::{Answer, Command, Submission, WaiterId};
use crate::transaction::{Fingerprint, IdempotencyKey, Payment, Provenance};
use crate::xml::Element;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
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

    /// Gives the names that it came with to its key, and forgets it; what is done with it holds its places.
    pub fn taken(self, key: &IdempotencyKey) -> Result<(Place, Credit), Problem> {
        let Received { door, asker, opened, place, credit, .. } = self;
        door.take_names(&asker.merchant, &opened.names, key)?;
        Ok((place, credit))
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
        opened.may(command.kind().into())?;
        if command.has_reading() && !opened.is_reading_sealed {
            return Err(Code::CardPresentUnsealed.into());
        }
        door.take_names(&asker.merchant, &opened.names, &key)?;
        drop((opened, held));
        let merchant = asker.merchant.id.clone();
        let submission = |waiter| Submission { waiter, merchant, key, fingerprint, command, provenance };
        hand_over(door, place, credit, submission).await
    }

    /// What was sealed or signed long ago (or ahead of time) begins nothing; an honest repeat of what was begun is
    /// answered.
    pub async fn heed_age(&self, key: &IdempotencyKey) -> Result<(), Problem> {
        let Some(stale) = self.opened.stale() else { return Ok(()) };
        let (id, key) = (self.asker.merchant.id.clone(), key.clone());
        let known = from_store(self.door, move |archive| archive.by_key(&id, &key)).await?;
        known.map(drop).ok_or(stale.into())
    }
}

/// Submits what follows from a request that the switch has refused, under a key of its own.
pub(super) async fn submit_instead(
    door: &Door,
    asker: &Asker,
    key: IdempotencyKey,
    (command, fingerprint): (Command, Fingerprint),
    provenance: Option<Box<Provenance>>,
) -> Result<Told, Problem> {
    let (place, credit) = (asker.place()?, door.switchboard.credit()?);
    let merchant = asker.merchant.id.clone();
    let submission = |waiter| Submission { waiter, merchant, key, fingerprint, command, provenance };
    hand_over(door, place, credit, submission).await
}

async fn hand_over(
    door: &Door,
    place: Place,
    credit: Credit,
    submission: impl FnOnce(WaiterId) -> Submission,
) -> Result<Told, Problem> {
    let answer = door.switchboard.submit(credit, submission)?;
    let answer = tokio::time::timeout(door.limits.answer_timeout(), answer).await;
    drop(place);
    match answer.ok().and_then(Result::ok).ok_or(Code::NoAnswer)? {
        Answer::Told { payment, operation, replayed } => Ok(Told { payment, operation, replayed }),
        Answer::Refused(refusal) => Err(refusal.into()),
    }
}

/// A POST to a resource, `about` something that it names where that is something. What it asks for is understood with the
/// card of the token in it, if that is one of the merchant's.
pub(super) async fn post<A, T: Asking>(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    about: Result<A, Problem>,
    understand: impl FnOnce(&Door, &Merchant, A, T, Option<Card>) -> Result<(Command, Fingerprint), Problem>,
) -> Handled {
    let (parts, body) = request.into_parts();
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    let key = idempotency_key(&parts.headers)?;
    let declared = declared_wrapping(&parts.headers)?;
    let received = Received::read(&door, &asker, declared, &parts, body).await?;
    received.heed_age(&key).await?;
    let Unwrapped { wrapping, payload, .. } = &received.opened;
    let wrapping = *wrapping;
    let about = about?;
    let (asked, root) = read_in::<T>(wrapping, payload)?;
    let kept = match asked.token() {
        Some(token) => tokens::card_of(&door, &asker.merchant, &token.id).await?,
        None => None,
    };
    let understood = understand(&door, &asker.merchant, about, asked, kept)
        .and_then(|understood| command::permitted(&asker, understood))
        .map_err(|problem| located(problem, root.as_deref()))?;
    let Told { payment, operation, replayed } = received.submit(key, understood).await?;
    let status = payment.operation(operation).map_or(202, status_of);
    let response = respond_with(&door, &asker.merchant, wrapping, status, &payment)?;
    Ok(marked(response, replayed))
}

/// Reads a body in the notation in which it came; of XML, with the name of its root. An empty one says nothing in either.
pub(super) fn read_in<T: DeserializeOwned + Document>(
    wrapping: Wrapping,
    payload: &[u8],
) -> Result<(T, Option<String>), Problem> {
    if !wrapping.is_xml() || payload.is_empty() {
        return Ok((request::read(payload)?, None));
    }
    let root = Element::read(payload)?;
    let read = request::read(&root).map_err(|problem| located(problem, Some(&root.name)))?;
    Ok((read, Some(root.name)))
}

/// A problem that names its field as the body's notation does.
pub(super) fn located(problem: Problem, root: Option<&str>) -> Problem {
    match root {
        Some(root) => problem.in_document(root),
        None => problem,
    }
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or(Code::KeyMissing)?;
    let key = value.to_str().ok().and_then(IdempotencyKey::new).filter(|_| values.next().is_none());
    key.ok_or(Code::KeyInvalid.into())
}
