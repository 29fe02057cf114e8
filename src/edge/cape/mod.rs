//! ISO 20022 CAPE, acceptor to acquirer: authorisation (`caaa.001` and `002`), completion and reversal advice (`003` and
//! `004`), cancellation asked for (`005` and `006`) and told (`007` and `008`), reconciliation (`009` and `010`),
//! diagnosis (`013` and `014`), and rejection (`015`) of what cannot be taken.
//!
//! It is a profile of the same API and not another one: `form` says by a table what of a document is taken, `question`
//! turns it into the JSON of the resource that means the same, so that what a payment needs and what is refused is told
//! in one place, and `answer` writes the response from the payment. Documents have no idempotency key; their own
//! identification is one, and by it a completion or a cancellation finds its payment. What surprises: an element that
//! is not in the table is refused, because a gateway that passes over what it does not understand (a cash-back, an
//! instalment plan, a PIN) books something else than was asked for.
//!
//! What it does not do: batches (`011` and `012`), protected card data (`PrtctdCardData`), cards that are present,
//! completions in parts. Documents can be sealed and signed like all others; rejections are neither.

mod answer;
mod form;
mod question;
mod rejection;
mod totals;

use super::answering::{Handled, marked, reply};
use super::archive::{Archive, from_store, load};
use super::authentication::{Asker, Peer, authenticate};
use super::fingerprint::Canonical;
use super::payment_json::status_of;
use super::payments::fresh_names;
use super::posting::{self, Received, Told};
use super::problem::{Code, Problem};
use super::request::{self, CreateCapture, CreatePayment, CreateRefund};
use super::wrapping::{declared_wrapping, seconds_since_epoch};
use super::{Door, command};
use crate::merchants::{Merchant, Scope};
use crate::payment::Wall;
use crate::switch::Command;
use crate::transaction::{Fingerprint, Payment};
use crate::xml::Element;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, header};
use bytes::Bytes;
use form::Meaning;
use question::Question;
use rejection::Said;
use std::sync::Arc;
use totals::{Claimed, Totals};
use zeroize::Zeroizing;

/// The most payments of a period that are counted.
const COUNTED: usize = 20_000;

/// A document that is there already, as it came: nothing but its exchange identification finds an answer its question.
#[derive(Clone)]
pub(super) struct Whole(pub Bytes);

/// `POST /v1/cape`. A client that would rather read problems than documents accepts them (`Accept`).
pub(super) async fn ask(State(door): State<Arc<Door>>, Extension(peer): Extension<Peer>, request: Request) -> Handled {
    let (parts, sent) = request.into_parts();
    let mut said = Said::default();
    match attend(&door, peer, &parts, sent, &mut said).await {
        Err(problem) if !accepts_problems(&parts.headers) => {
            let whole = parts.extensions.get::<Whole>().and_then(|Whole(document)| Element::parse(document).ok());
            let said = whole.as_ref().map(Said::of).unwrap_or(said);
            Ok(rejection::response(&said, problem, now()))
        }
        handled => handled,
    }
}

/// The rejection of something of which nothing could be read.
pub(super) fn reject(problem: Problem) -> Response<Body> {
    rejection::response(&Said::default(), problem, now())
}

fn accepts_problems(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media_types = accepted.flat_map(|value| value.split(',')).filter_map(|part| part.split(';').next());
    media_types.any(|accepted| accepted.trim().eq_ignore_ascii_case("application/problem+json"))
}

fn now() -> Wall {
    Wall(seconds_since_epoch().saturating_mul(1_000_000))
}

async fn attend(door: &Door, peer: Peer, parts: &Parts, sent: Body, said: &mut Said) -> Handled {
    let asker = authenticate(&door.register.now(), &parts.headers, peer)?;
    let declared = declared_wrapping(&parts.headers)?;
    if !declared.is_xml() {
        return Err(Code::ContentType.into());
    }
    let mut received = Received::read(door, &asker, declared, parts, sent).await?;
    let root = Element::read(&received.opened.payload)?;
    *said = Said::of(&root);
    let question = Question::read(&root)?;
    received.heed_age(&question.key()).await?;
    received.provenance.initiator = Some(question.initiator().to_owned());
    received.provenance.period = question.period().map(str::to_owned);
    let wrapping = received.opened.wrapping;
    let (status, document, replayed) = match question.meaning {
        Meaning::Echo => {
            asker.may(Scope::Read)?;
            received.taken(&question.key())?;
            (200, answer::echo(&question, now()), false)
        }
        Meaning::Totals => {
            let claimed = Claimed::read(question.form, &root)?;
            (200, reconciled(door, &asker, received, &question, &claimed).await?, false)
        }
        _ => paid(door, &asker, received, question).await?,
    };
    Ok(marked(reply(door, &asker.merchant, wrapping, status, document)?, replayed))
}

/// Asks the switch: status and document of the answer, and whether it was given before.
async fn paid(
    door: &Door,
    asker: &Asker,
    received: Received<'_>,
    mut question: Question,
) -> Result<(u16, Zeroizing<Vec<u8>>, bool), Problem> {
    let permit = |understood| command::permitted(asker, understood);
    let understood = understood(door, &asker.merchant, &mut question).await?;
    let permitted = permit(understood).map_err(|problem| question.located(problem))?;
    let provenance = received.provenance.clone().kept();
    let (id, key) = (permitted.0.payment(), question.key());
    let told = received.submit(key, permitted).await;
    let told = match told {
        Err(refused) if question.meaning == Meaning::Cancelled => match refused.code {
            // Too late to be taken back: given back.
            Code::DayClosed | Code::RefundedAlready => {
                let refund = CreateRefund { amount: None };
                let canonical = Canonical::new(&door.fingerprint_key, "POST", &format!("/v1/payments/{id}/refunds"));
                let permitted = command::refund(id, &refund, canonical).and_then(permit)?;
                posting::submit_instead(door, asker, question.key_of_refund(), permitted, provenance).await
            }
            _ => Err(refused),
        },
        told => told,
    };
    match told {
        Ok(Told { payment, operation, replayed }) => {
            let operation = payment.operation(operation).ok_or(Code::NoAnswer)?;
            let document = answer::write(&question, &answer::Told::of(&payment, operation));
            Ok((status_of(operation), document, replayed))
        }
        Err(refused) if question.meaning == Meaning::Cancelled => {
            let (status, response) = nothing_to_cancel(refused)?;
            let payment = from_store(door, move |archive| load(archive, id)).await?.ok_or(Code::PaymentNotFound)?;
            let told = answer::Told { payment: &payment, operation: payment.first(), response };
            Ok((status, answer::write(&question, &told), false))
        }
        Err(refused) => Err(refused),
    }
}

/// What is said to a cancellation that was told and could not be done because there is nothing left to be done by it, or
/// nothing yet.
fn nothing_to_cancel(refused: Problem) -> Result<(u16, &'static str), Problem> {
    match refused.code {
        Code::Voided | Code::NotAuthorized | Code::FullyRefunded | Code::NothingCaptured => Ok((200, "APPR")),
        Code::OutcomeOpen => Ok((202, "SUSP")),
        _ => Err(refused),
    }
}

/// Counts a period as the store has it now.
async fn reconciled(
    door: &Door,
    asker: &Asker,
    received: Received<'_>,
    question: &Question,
    claimed: &Claimed,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    asker.may(Scope::Read)?;
    let (_place, _) = received.taken(&question.key())?;
    let (merchant, period) = (asker.merchant.id.clone(), question.period().unwrap_or_default().to_owned());
    let found = from_store(door, move |archive| {
        let ids = archive.of_period(&merchant, &period, COUNTED + 1)?;
        // More of them are not counted, so they need not be read.
        let ids = if ids.len() > COUNTED { return Ok(None) } else { ids };
        let payments: Result<Vec<_>, _> = ids.into_iter().map(|id| load(archive, id)).collect();
        Ok(Some(payments?.into_iter().flatten().collect::<Vec<_>>()))
    });
    let Some(payments) = found.await? else {
        let nothing = Totals::default();
        return Ok(answer::totals(question, &nothing, ("TECH", Some("too_many_payments")), now()));
    };
    let totals = Totals::count(question, &payments);
    let said = match (totals.open, totals.agree_with(claimed)) {
        (true, _) => ("SUSP", Some("outcomes_open")),
        (false, false) => ("DECL", Some("totals_differ")),
        (false, true) => ("APPR", None),
    };
    Ok(answer::totals(question, &totals, said, now()))
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
    if (amount.currency(), amount.minor()) != question.money()? {
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

/// Any bytes as a document: a rejection of it is a document, and so is what is said to something that was understood.
#[cfg(test)]
pub(super) fn fuzz(document: &[u8]) {
    let Ok(root) = Element::parse(document) else { return };
    let said = Said::of(&root);
    match Question::read(&root) {
        Err(problem) => rejection::is_document(&said, &problem),
        Ok(mut question) => {
            assert!(Element::parse(&answer::echo(&question, Wall(0))).is_ok(), "what is told is a document");
            let _ = (question.key(), question.key_of_payment(), question.money(), question.capture());
            let _ = Claimed::read(question.form, &root).map(|claimed| Totals::default().agree_with(&claimed));
            if let Ok(json) = question.payment() {
                let _ = request::read::<CreatePayment>(json.as_slice());
            }
        }
    }
}
