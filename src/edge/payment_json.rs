//! A payment as a merchant sees it.

use super::xml::Document;
use crate::payment::{Amount, DeclineKind};
use crate::transaction::{CardSummary, Operation, OperationState, Payment};
use serde::Serialize;
use std::collections::BTreeMap;

/// A payment in JSON.
#[derive(Debug, Serialize)]
pub struct PaymentJson {
    id: String,
    reference: String,
    status: &'static str,
    amount: MoneyJson,
    authorized: MoneyJson,
    captured: MoneyJson,
    refunded: MoneyJson,
    partial: bool,
    business_date: String,
    card: CardJson,
    terminal: String,
    approval_code: Option<String>,
    retrieval_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    three_ds: Option<ThreeDsJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_credential: Option<StoredCredentialJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase: Option<PurchaseJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    operations: Vec<OperationJson>,
    created_at: String,
}

/// What was said of 3-D Secure, without its cryptogram.
#[derive(Debug, Serialize)]
struct ThreeDsJson {
    eci: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct StoredCredentialJson {
    usage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_reference: Option<String>,
}

#[derive(Debug, Serialize)]
struct PurchaseJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct MoneyJson {
    value: u64,
    currency: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct CardJson {
    brand: &'static str,
    first6: String,
    last4: String,
}

#[derive(Debug, Serialize)]
struct OperationJson {
    id: String,
    kind: &'static str,
    amount: MoneyJson,
    status: &'static str,
    /// Our own name for the outcome, more precise than the status where nothing was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    response_code: Option<String>,
    /// Approved in the bank's place, which was down.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stand_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline: Option<DeclineJson>,
    stan: String,
    retrieval_reference: String,
    business_date: String,
    created_at: String,
}

#[derive(Debug, Serialize)]
pub(super) struct DeclineJson {
    category: &'static str,
    kind: &'static str,
    message: &'static str,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct PaymentsJson {
    /// Newest first.
    pub data: Vec<PaymentJson>,
    /// The `cursor` of the next page; none at the end of the list.
    pub next_cursor: Option<String>,
}

impl Document for PaymentJson {
    const ROOT: &'static str = "payment";
}

impl Document for PaymentsJson {
    const ROOT: &'static str = "payments";
}

impl From<&Payment> for PaymentJson {
    fn from(payment: &Payment) -> PaymentJson {
        let first = payment.first();
        let consent = first.message.consent.clone().unwrap_or_default();
        let (transaction_id, network_reference) = (consent.authentication, consent.network_reference);
        PaymentJson {
            id: payment.id.to_string(),
            reference: payment.origin.reference.clone(),
            status: payment.status().name(),
            amount: payment.amount.into(),
            authorized: payment.authorized().into(),
            captured: payment.captured().into(),
            refunded: payment.refunded().into(),
            partial: payment.is_partial(),
            business_date: first.business_date.to_string(),
            card: (&payment.origin.card).into(),
            terminal: payment.origin.acceptor.terminal.to_string(),
            approval_code: first.approval_code.map(|code| code.as_str().to_owned()),
            retrieval_reference: first.message.rrn.to_string(),
            three_ds: consent.eci.map(|eci| ThreeDsJson { eci, transaction_id }),
            stored_credential: consent
                .stored
                .map(|stored| StoredCredentialJson { usage: stored.name(), network_reference }),
            purchase: first.message.purchase.clone().map(|purchase| PurchaseJson {
                customer_reference: purchase.customer_reference,
                invoice: purchase.invoice,
                tax: purchase.tax.map(Amount::minor),
            }),
            metadata: payment.origin.metadata.clone(),
            operations: payment.operations.iter().map(|operation| operation_json(payment, operation)).collect(),
            created_at: payment.created_at.rfc3339(),
        }
    }
}

impl From<&CardSummary> for CardJson {
    fn from(card: &CardSummary) -> CardJson {
        CardJson { brand: card.brand.name(), first6: card.first6.to_string(), last4: card.last4.to_string() }
    }
}

impl From<Amount> for MoneyJson {
    fn from(amount: Amount) -> MoneyJson {
        MoneyJson { value: amount.minor(), currency: amount.currency().code() }
    }
}

fn operation_json(payment: &Payment, operation: &Operation) -> OperationJson {
    OperationJson {
        id: format!("op_{:032x}_{}", payment.id.0, operation.number),
        kind: operation.kind.name(),
        amount: operation.amount.into(),
        status: operation.state.name(),
        result: operation.result.map(|result| result.name()),
        response_code: operation.response_code.clone(),
        stand_in: operation.stand_in.is_some(),
        decline: declined(operation),
        stan: operation.message.stan.to_string(),
        retrieval_reference: operation.message.rrn.to_string(),
        business_date: operation.business_date.to_string(),
        created_at: operation.created_at.rfc3339(),
    }
}

pub(super) fn declined(operation: &Operation) -> Option<DeclineJson> {
    let decline = operation.result.filter(|_| operation.state == OperationState::Declined)?.decline()?;
    let kind = match decline.kind {
        DeclineKind::Soft => "soft",
        DeclineKind::Hard => "hard",
    };
    let retry_after = decline.retry_after.map(|wait| wait.as_secs());
    Some(DeclineJson { category: decline.category, kind, message: decline.message, retry_after })
}

/// The HTTP status of an operation's answer: 201 where its outcome is known, 202 where it is not.
pub(super) fn status_of(operation: &Operation) -> u16 {
    match operation.state {
        OperationState::Approved | OperationState::Declined | OperationState::Failed => 201,
        OperationState::Pending | OperationState::Reversing | OperationState::Reversed => 202,
    }
}
