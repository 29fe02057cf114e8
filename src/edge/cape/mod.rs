//! ISO 20022 CAPE, acceptor to acquirer: an authorisation request (`caaa.001`) in, its response (`caaa.002`) out.
//!
//! It is a profile of the same API and not another one: `question` turns a document into the JSON of `POST /v1/payments`
//! by a table, so what a payment needs and what is refused is told in one place, and `answer` writes the response from
//! the payment. The document has no idempotency key; its own identification is one. What surprises: an element that
//! is not in the table is refused, because a gateway that passes over what it does not understand (a cash-back, an
//! instalment plan, a PIN) books something else than was asked for.
//!
//! What it does not do: completions, cancellations and reconciliation (`caaa.003` to `010`), protected card data
//! (`PrtctdCardData`), cards that are present. Documents can be sealed and signed like all others.

mod answer;
mod question;

use super::authentication::{Peer, authenticate};
use super::payment_json::status_of;
use super::payments::{Handled, fresh_names, marked, reply};
use super::problem::{Code, Problem};
use super::request::CreatePayment;
use super::wrapping::declared_wrapping;
use super::{Door, body, command, request};
use crate::switch::{Answer, Submission};
use crate::xml::Element;
use axum::Extension;
use axum::extract::{Request, State};
use question::Question;
use std::sync::Arc;

/// The versions that are spoken: namespaces of request and response.
const VERSIONS: [(&str, &str); 1] =
    [("urn:iso:std:iso:20022:tech:xsd:caaa.001.001.13", "urn:iso:std:iso:20022:tech:xsd:caaa.002.001.13")];

/// `POST /v1/cape`.
pub(super) async fn ask(State(door): State<Arc<Door>>, Extension(peer): Extension<Peer>, request: Request) -> Handled {
    let (parts, sent) = request.into_parts();
    let merchant = authenticate(&door.register, &parts.headers, peer)?;
    let declared = declared_wrapping(&parts.headers)?;
    if !declared.is_xml() {
        return Err(Code::ContentType.into());
    }
    let held = door.bodies.try_acquire().map_err(|_| Code::Overloaded)?;
    let sent = body::read(sent, &door.limits).await?;
    let credit = door.switchboard.credit()?;
    let opened = door.open(&merchant, declared, &parts.headers, sent).await?;
    let mut question = Question::read(&Element::read(&opened.payload)?)?;
    let json = question.payment()?;
    let begun = request::read::<CreatePayment>(json.as_slice())
        .and_then(|payment| command::begin(&merchant, &payment, fresh_names(), &door.fingerprint_key));
    let (command, fingerprint) = begun.map_err(|problem| question.located(problem))?;
    let (wrapping, key, id) = (opened.wrapping, question.key(), merchant.id.clone());
    drop((json, opened.payload, held));
    let submission = |waiter| Submission { waiter, merchant: id, key, fingerprint, command };
    let told = door.switchboard.submit(credit, submission)?;
    let told = tokio::time::timeout(door.limits.answer_timeout(), told).await;
    let (payment, replayed) = match told.ok().and_then(Result::ok).ok_or(Code::NoAnswer)? {
        Answer::Told { payment, replayed, .. } => (payment, replayed),
        Answer::Refused(refusal) => return Err(refusal.into()),
    };
    let document = answer::write(&question, &payment);
    let response = reply(&door, &merchant, wrapping, status_of(payment.first()), document)?;
    Ok(marked(response, replayed))
}

/// The response's namespace for a request of this one.
fn version(namespace: &str) -> Result<&'static str, Problem> {
    let known = VERSIONS.iter().find(|(request, _)| *request == namespace);
    known.map(|(_, response)| *response).ok_or(Code::XmlRoot.into())
}
