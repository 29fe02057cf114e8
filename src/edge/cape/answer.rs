//! What an acceptor is told: `caaa.002`, `004`, `006` and `008`, written from a payment and one of its operations, and
//! the answers that are about no payment.

use super::form::Shape;
use super::question::Question;
use super::totals::Totals;
use crate::payment::{Amount, Wall};
use crate::transaction::{Operation, OperationState, Payment};
use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// A payment, the operation that is told of, and what is said of it.
pub(super) struct Told<'a> {
    pub payment: &'a Payment,
    pub operation: &'a Operation,
    /// `APPR`, `DECL`, `SUSP` or `TECH`.
    pub response: &'static str,
}

impl<'a> Told<'a> {
    /// An operation that says for itself how it ended.
    pub fn of(payment: &'a Payment, operation: &'a Operation) -> Told<'a> {
        Told { payment, operation, response: response(operation) }
    }
}

/// Writes the response. It says the same whenever it is written.
pub(super) fn write(question: &Question, told: &Told<'_>) -> Zeroizing<Vec<u8>> {
    let Told { payment, operation, .. } = *told;
    let card = &payment.origin.card;
    let masked = format!("{}******{}", text(&card.first6), text(&card.last4));
    let environment = [
        point(&payment.origin.acceptor.terminal),
        tag("Card", &[tag("MskdPAN", &masked), tag("CardBrnd", card.brand.name())].concat()),
    ];
    let of = |path: &str| text(question.text(path));
    let id = [tag("TxDtTm", &of("Body/Tx/TxId/TxDtTm")), tag("TxRef", &of("Body/Tx/TxId/TxRef"))];
    let id = [tag("TxId", &id.concat()), tag("RcptTxId", &text(&operation.message.rrn.to_string()))].concat();
    let money = [tag("Ccy", payment.amount.currency().code()), tag("TtlAmt", &decimal(operation.amount))].concat();
    let result = tag("TxRspn", &tag("AuthstnRslt", &result(told)));
    let rest = match question.form.shape {
        Shape::Completion => tag("Tx", &[id, tag("Rspn", told.response)].concat()),
        Shape::Cancellation => [tag("Tx", &[id, tag("TxDtls", &money)].concat()), result].concat(),
        Shape::Authorisation | Shape::Totals | Shape::Echo => {
            let money = [money, tag("AuthrsdAmt", &decimal(payment.authorized()))].concat();
            [tag("Tx", &[id, tag("TxDtls", &money)].concat()), result].concat()
        }
    };
    document(question, operation.created_at, [tag("Envt", &environment.concat()), rest])
}

/// That somebody is there.
pub(super) fn echo(question: &Question, now: Wall) -> Zeroizing<Vec<u8>> {
    document(question, now, [environment(question), String::new()])
}

/// What counts in a period, and whether that is what the acceptor said: a response and why, where it is not approval.
pub(super) fn totals(
    question: &Question,
    totals: &Totals,
    (response, why): (&str, Option<&str>),
    now: Wall,
) -> Zeroizing<Vec<u8>> {
    let of = |path: &str| text(question.text(path));
    let why = why.map(|why| tag("RspnRsn", why)).unwrap_or_default();
    let id = [tag("TxDtTm", &of("Body/Tx/RcncltnTxId/TxDtTm")), tag("TxRef", &of("Body/Tx/RcncltnTxId/TxRef"))];
    let counted = [
        tag("RcncltnTxId", &id.concat()),
        tag("RcncltnId", &text(question.period().unwrap_or_default())),
        totals.write(),
    ];
    let rest = [tag("TxRspn", &[tag("Rspn", response), why].concat()), tag("Tx", &counted.concat())];
    document(question, now, [environment(question), rest.concat()])
}

/// The environment of what is about no payment.
fn environment(question: &Question) -> String {
    tag("Envt", &question.terminal().map(point).unwrap_or_default())
}

fn point(terminal: &str) -> String {
    tag("POI", &tag("Id", &tag("Id", &text(terminal))))
}

fn document(question: &Question, at: Wall, content: [String; 2]) -> Zeroizing<Vec<u8>> {
    let of = |path: &str| text(question.text(path));
    let header = [
        tag("MsgFctn", question.answered_as),
        tag("PrtcolVrsn", &of("Hdr/PrtcolVrsn")),
        tag("XchgId", &of("Hdr/XchgId")),
        tag("CreDtTm", &at.rfc3339()),
        tag("InitgPty", &tag("Id", &text(question.initiator()))),
    ];
    let (message, body) = question.form.answer;
    let message = tag(message, &[tag("Hdr", &header.concat()), tag(body, &content.concat())].concat());
    Zeroizing::new(format!("<Document xmlns=\"{}\">{message}</Document>", question.response).into_bytes())
}

/// AuthorisationResult: what the acceptor is to do, and the bank's own words for why.
fn result(Told { operation, response, .. }: &Told<'_>) -> String {
    let reason = operation.response_code.as_deref().map(|code| tag("RspnRsn", &text(code)));
    let told = tag("AddtlRspnInf", operation.state.name());
    let response = [tag("Rspn", response), reason.unwrap_or_default(), told].concat();
    let code = operation.approval_code.filter(|_| operation.state == OperationState::Approved);
    let code = code.map(|code| tag("AuthstnCd", &text(code.as_str())));
    [tag("RspnToAuthstn", &response), code.unwrap_or_default()].concat()
}

/// What is being taken back is not done, and what is pending may still be: the one is a failure, the other suspended.
fn response(operation: &Operation) -> &'static str {
    match operation.state {
        OperationState::Approved => "APPR",
        OperationState::Declined => "DECL",
        OperationState::Pending => "SUSP",
        OperationState::Failed | OperationState::Reversing | OperationState::Reversed => "TECH",
    }
}

/// An element without attributes.
pub(super) fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

pub(super) fn text(text: &str) -> String {
    escape(text).into_owned()
}

/// An amount with its decimal point, without its currency.
fn decimal(amount: Amount) -> String {
    let written = amount.to_string();
    written.split_once(' ').map_or(written.clone(), |(number, _)| number.to_owned())
}
