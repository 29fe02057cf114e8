//! A verification or a balance inquiry as a merchant sees it.

use super::payment_json::{CardJson, DeclineJson, declined};
use super::xml::Document;
use crate::payment::Balance;
use crate::transaction::Payment;
use serde::Serialize;

/// What the names of verifications begin with.
pub(super) const VERIFICATION: &str = "ver_";
/// What the names of balance inquiries begin with.
pub(super) const BALANCE_INQUIRY: &str = "bal_";

/// A verification in JSON.
#[derive(Debug, Serialize)]
pub(super) struct VerificationJson {
    #[serde(flatten)]
    inquiry: InquiryJson,
}

/// A balance inquiry in JSON.
#[derive(Debug, Serialize)]
pub(super) struct BalanceInquiryJson {
    #[serde(flatten)]
    inquiry: InquiryJson,
    balances: Vec<BalanceJson>,
}

#[derive(Debug, Serialize)]
struct InquiryJson {
    id: String,
    reference: String,
    status: &'static str,
    currency: &'static str,
    card: CardJson,
    terminal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    response_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline: Option<DeclineJson>,
    approval_code: Option<String>,
    stan: String,
    retrieval_reference: String,
    business_date: String,
    created_at: String,
}

#[derive(Debug, Serialize)]
struct BalanceJson {
    account_type: String,
    kind: &'static str,
    amount: SignedMoneyJson,
}

/// Money that an account may owe.
#[derive(Debug, Serialize)]
struct SignedMoneyJson {
    value: i64,
    currency: &'static str,
}

impl Document for VerificationJson {
    const ROOT: &'static str = "verification";
}

impl Document for BalanceInquiryJson {
    const ROOT: &'static str = "balance_inquiry";
}

impl From<&Payment> for VerificationJson {
    fn from(payment: &Payment) -> VerificationJson {
        VerificationJson { inquiry: inquiry(payment, VERIFICATION) }
    }
}

impl From<&Payment> for BalanceInquiryJson {
    fn from(payment: &Payment) -> BalanceInquiryJson {
        let balances = payment.first().balances.iter().map(balance).collect();
        BalanceInquiryJson { inquiry: inquiry(payment, BALANCE_INQUIRY), balances }
    }
}

fn inquiry(payment: &Payment, prefix: &str) -> InquiryJson {
    let (asked, origin) = (payment.first(), &payment.origin);
    InquiryJson {
        id: format!("{prefix}{:032x}", payment.id.0),
        reference: origin.reference.clone(),
        status: asked.state.name(),
        currency: payment.amount.currency().code(),
        card: (&origin.card).into(),
        terminal: origin.acceptor.terminal.to_string(),
        result: asked.result.map(|result| result.name()),
        response_code: asked.response_code.clone(),
        decline: declined(asked),
        approval_code: asked.approval_code.map(|code| code.as_str().to_owned()),
        stan: asked.message.stan.to_string(),
        retrieval_reference: asked.message.rrn.to_string(),
        business_date: asked.business_date.to_string(),
        created_at: payment.created_at.rfc3339(),
    }
}

fn balance(balance: &Balance) -> BalanceJson {
    let minor = i64::try_from(balance.amount.minor()).unwrap_or(i64::MAX);
    BalanceJson {
        account_type: format!("{:02}", balance.account_type),
        kind: balance.kind(),
        amount: SignedMoneyJson {
            value: if balance.is_negative { -minor } else { minor },
            currency: balance.amount.currency().code(),
        },
    }
}
