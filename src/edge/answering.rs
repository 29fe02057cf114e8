//! Answers: a payment, or whatever else was asked for, in the wrapping and notation of the request.

use super::Door;
use super::inquiry_json::{BalanceInquiryJson, VerificationJson};
use super::payment_json::PaymentJson;
use super::problem::{Code, Problem};
use super::wrapping::Wrapping;
use super::xml::{self, Document};
use crate::merchants::Merchant;
use crate::payment::OperationKind;
use crate::transaction::Payment;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use zeroize::Zeroizing;

pub(super) type Handled = Result<Response<Body>, Problem>;

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
