//! What an acceptor is told: `caaa.002`, `004` or `006`, written from a payment and one of its operations.

use super::form::Shape;
use super::question::Question;
use crate::payment::Amount;
use crate::transaction::{Operation, OperationState, Payment};
use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// Writes the response. It says the same whenever it is written.
pub(super) fn write(question: &Question, payment: &Payment, operation: &Operation) -> Zeroizing<Vec<u8>> {
    let of = |path: &str| text(question.text(path));
    let header = [
        tag("MsgFctn", question.answered_as),
        tag("PrtcolVrsn", &of("Hdr/PrtcolVrsn")),
        tag("XchgId", &of("Hdr/XchgId")),
        tag("CreDtTm", &operation.created_at.rfc3339()),
        tag("InitgPty", &tag("Id", &of("Hdr/InitgPty/Id"))),
    ];
    let card = &payment.origin.card;
    let masked = format!("{}******{}", text(&card.first6), text(&card.last4));
    let environment = [
        tag("POI", &tag("Id", &tag("Id", &text(&payment.origin.acceptor.terminal)))),
        tag("Card", &[tag("MskdPAN", &masked), tag("CardBrnd", card.brand.name())].concat()),
    ];
    let id = [tag("TxDtTm", &of("Body/Tx/TxId/TxDtTm")), tag("TxRef", &of("Body/Tx/TxId/TxRef"))];
    let id = [tag("TxId", &id.concat()), tag("RcptTxId", &text(&operation.message.rrn.to_string()))].concat();
    let money = [tag("Ccy", payment.amount.currency().code()), tag("TtlAmt", &decimal(operation.amount))].concat();
    let told = tag("TxRspn", &tag("AuthstnRslt", &result(operation)));
    let rest = match question.form.shape {
        Shape::Authorisation => {
            let money = [money, tag("AuthrsdAmt", &decimal(payment.authorized()))].concat();
            [tag("Tx", &[id, tag("TxDtls", &money)].concat()), told].concat()
        }
        Shape::Completion => tag("Tx", &[id, tag("Rspn", response(operation))].concat()),
        Shape::Cancellation => [tag("Tx", &[id, tag("TxDtls", &money)].concat()), told].concat(),
    };
    let (message, body) = question.form.answer;
    let body = tag(body, &[tag("Envt", &environment.concat()), rest].concat());
    let message = tag(message, &[tag("Hdr", &header.concat()), body].concat());
    Zeroizing::new(format!("<Document xmlns=\"{}\">{message}</Document>", question.form.response).into_bytes())
}

/// AuthorisationResult: what the acceptor is to do, and the bank's own words for why.
fn result(operation: &Operation) -> String {
    let reason = operation.response_code.as_deref().map(|code| tag("RspnRsn", &text(code)));
    let told = tag("AddtlRspnInf", operation.state.name());
    let response = [tag("Rspn", response(operation)), reason.unwrap_or_default(), told].concat();
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
