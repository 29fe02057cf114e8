//! ISO 20022 CAPE, acceptor to acquirer: authorisation (`caaa.001` and `002`), completion and reversal advice (`003` and
//! `004`) and cancellation (`005` and `006`).
//!
//! It is a profile of the same API and not another one: `form` says by a table what of a document is taken, `question`
//! turns it into the JSON of the resource that means the same, so that what a payment needs and what is refused is told
//! in one place, and `answer` writes the response from the payment. Documents have no idempotency key; their own
//! identification is one, and by it a completion or a cancellation finds its payment. What surprises: an element that
//! is not in the table is refused, because a gateway that passes over what it does not understand (a cash-back, an
//! instalment plan, a PIN) books something else than was asked for.
//!
//! What it does not do: cancellation advice, reconciliation, batches, diagnosis and rejection (`007` to `015`; refusals
//! are problems as everywhere), protected card data (`PrtctdCardData`), cards that are present, completions in parts.
//! Documents can be sealed and signed like all others.

mod answer;
mod form;
mod question;

use super::Door;
use super::answering::{Handled, marked, reply};
use super::archive::{Archive, from_store, load};
use super::authentication::{Peer, authenticate};
use super::command;
use super::fingerprint::Canonical;
use super::payment_json::status_of;
use super::payments::fresh_names;
use super::posting::{Received, Told};
use super::problem::{Code, Problem};
use super::request::{self, CreateCapture, CreatePayment};
use super::wrapping::declared_wrapping;
use crate::merchants::Merchant;
use crate::switch::Command;
use crate::transaction::{Fingerprint, Payment};
use crate::xml::Element;
use axum::Extension;
use axum::extract::{Request, State};
use form::Meaning;
use question::Question;
use std::sync::Arc;

/// `POST /v1/cape`.
pub(super) async fn ask(State(door): State<Arc<Door>>, Extension(peer): Extension<Peer>, request: Request) -> Handled {
    let (parts, sent) = request.into_parts();
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    let declared = declared_wrapping(&parts.headers)?;
    if !declared.is_xml() {
        return Err(Code::ContentType.into());
    }
    let received = Received::read(&door, &asker, declared, &parts, sent).await?;
    let mut question = Question::read(&Element::read(&received.opened.payload)?)?;
    let understood = understood(&door, &asker.merchant, &mut question).await?;
    let permitted = command::permitted(&asker, understood);
    let permitted = permitted.map_err(|problem| question.located(problem))?;
    let wrapping = received.opened.wrapping;
    let Told { payment, operation, replayed } = received.submit(question.key(), permitted).await?;
    let operation = payment.operation(operation).ok_or(Code::NoAnswer)?;
    let document = answer::write(&question, &payment, operation);
    let response = reply(&door, &asker.merchant, wrapping, status_of(operation), document)?;
    Ok(marked(response, replayed))
}

/// What is asked for, in the switch's words.
async fn understood(
    door: &Door,
    merchant: &Merchant,
    question: &mut Question,
) -> Result<(Command, Fingerprint), Problem> {
    if matches!(question.meaning, Meaning::Hold | Meaning::Sale) {
        let json = question.payment()?;
        let begun = request::read::<CreatePayment>(json.as_slice())
            .and_then(|payment| command::begin(merchant, &payment, None, fresh_names(), &door.fingerprint_key));
        return begun.map_err(|problem| question.located(problem));
    }
    let payment = original(door, merchant, question).await?;
    let canonical = |resource: &str| {
        let target = format!("/v1/payments/{}/{resource}", payment.id);
        Canonical::new(&door.fingerprint_key, "POST", &target)
    };
    if question.meaning == Meaning::Capture {
        let capture = question.capture()?;
        let capture = request::read::<CreateCapture>(capture.as_bytes());
        let captured = capture.and_then(|capture| command::capture(payment.id, &capture, canonical("captures")));
        return captured.map_err(|problem| question.located(problem));
    }
    // All of it is taken back or nothing: there is no other void.
    let amount = payment.amount;
    if (amount.minor(), amount.currency()) != (question.minor, question.currency) {
        return Err(question.amount_unsupported());
    }
    Ok(command::void(payment.id, canonical("voids")))
}

/// The payment that is completed or cancelled: the one that the same initiator began by that name.
async fn original(door: &Door, merchant: &Merchant, question: &Question) -> Result<Payment, Problem> {
    let (id, key) = (merchant.id.clone(), question.key_of_payment());
    let found = from_store(door, move |archive: &dyn Archive| match archive.by_key(&id, &key)? {
        Some(payment) => load(archive, payment),
        None => Ok(None),
    });
    found.await?.filter(|payment| payment.origin.merchant == merchant.id).ok_or(Code::PaymentNotFound.into())
}
