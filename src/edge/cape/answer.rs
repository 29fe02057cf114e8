//! `caaa.002`, AcceptorAuthorisationResponse, written from a payment.

use super::question::Question;
use crate::payment::Amount;
use crate::transaction::{Operation, OperationState, Payment};
use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// Writes the response. It says the same whenever it is written.
pub(super) fn write(question: &Question, payment: &Payment) -> Zeroizing<Vec<u8>> {
    let first = payment.first();
    let of = |path| text(question.text(path));
    let header = [
        tag("MsgFctn", question.answering_function()),
        tag("PrtcolVrsn", &of("Hdr/PrtcolVrsn")),
        tag("XchgId", &of("Hdr/XchgId")),
        tag("CreDtTm", &first.created_at.rfc3339()),
        tag("InitgPty", &tag("Id", &of("Hdr/InitgPty/Id"))),
    ];
    let card = &payment.origin.card;
    let masked = format!("{}******{}", text(&card.first6), text(&card.last4));
    let environment = [
        tag("POI", &tag("Id", &tag("Id", &text(&payment.origin.acceptor.terminal)))),
        tag("Card", &[tag("MskdPAN", &masked), tag("CardBrnd", card.brand.name())].concat()),
    ];
    let id = [("TxDtTm", "AuthstnReq/Tx/TxId/TxDtTm"), ("TxRef", "AuthstnReq/Tx/TxId/TxRef")];
    let id = id.map(|(name, path)| tag(name, &of(path))).concat();
    let details = [
        tag("Ccy", payment.amount.currency().code()),
        tag("TtlAmt", &decimal(payment.amount)),
        tag("AuthrsdAmt", &decimal(payment.authorized())),
    ];
    let transaction =
        [tag("TxId", &id), tag("RcptTxId", &text(&first.message.rrn.to_string())), tag("TxDtls", &details.concat())];
    let response = tag("TxRspn", &tag("AuthstnRslt", &result(first)));
    let body = [tag("Envt", &environment.concat()), tag("Tx", &transaction.concat()), response];
    let message = [tag("Hdr", &header.concat()), tag("AuthstnRspn", &body.concat())].concat();
    let message = tag("AccptrAuthstnRspn", &message);
    let document = format!("<Document xmlns=\"{}\">{message}</Document>", question.answered_in);
    Zeroizing::new(document.into_bytes())
}

/// AuthorisationResult: what the acceptor is to do, and the bank's own words for why.
fn result(operation: &Operation) -> String {
    let (response, state) = response(operation);
    let reason = operation.response_code.as_deref().map(|code| tag("RspnRsn", &text(code)));
    let told = tag("AddtlRspnInf", state);
    let response = [tag("Rspn", response), reason.unwrap_or_default(), told].concat();
    let code = operation.approval_code.filter(|_| operation.state == OperationState::Approved);
    let code = code.map(|code| tag("AuthstnCd", &text(code.as_str())));
    [tag("RspnToAuthstn", &response), code.unwrap_or_default()].concat()
}

/// What is being taken back is not paid, and what is pending may still be: the one is a failure, the other suspended.
fn response(operation: &Operation) -> (&'static str, &'static str) {
    let response = match operation.state {
        OperationState::Approved => "APPR",
        OperationState::Declined => "DECL",
        OperationState::Pending => "SUSP",
        OperationState::Failed | OperationState::Reversing | OperationState::Reversed => "TECH",
    };
    (response, operation.state.name())
}

/// An element without attributes.
fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

fn text(text: &str) -> String {
    escape(text).into_owned()
}

/// An amount with its decimal point, without its currency.
fn decimal(amount: Amount) -> String {
    let written = amount.to_string();
    written.split_once(' ').map_or(written.clone(), |(number, _)| number.to_owned())
}
