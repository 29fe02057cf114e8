//! What waits for a person: messages that were given up or that the bank refused, as the books tell them.

use crate::journal::{JournalError, Reader};
use crate::payment::PaymentId;
use crate::transaction::{Body, Discharge, Owed, Payment, Record};
use serde::{Deserialize, Serialize};

/// One item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Of which payment.
    pub payment: String,
    /// Number of the obligation.
    pub obligation: u16,
    /// `parked` after too many tries or too long a time, `refused` by the bank.
    pub why: String,
    /// The bank's last code, where it gave one.
    pub response_code: Option<String>,
    /// To which host it was to go.
    pub host: String,
    /// Whether it is a reversal or an advice.
    pub kind: String,
    /// Its message type.
    pub mti: String,
    /// Its trace number.
    pub stan: String,
    /// Its retrieval reference.
    pub retrieval_reference: String,
    /// Amount in minor units.
    pub amount: u64,
    /// Currency of it.
    pub currency: String,
    /// Business day of what it is about.
    pub business_date: Option<String>,
    /// Whose payment it is.
    pub merchant: String,
    /// The merchant's own reference.
    pub reference: String,
    /// Since when it waits.
    pub since: Option<String>,
}

/// All of them, oldest payment first, at most as many as the books list.
pub(super) fn list(reader: &Reader) -> Result<Vec<Parked>, JournalError> {
    let mut items = Vec::new();
    for (payment, obligation) in reader.exceptions()? {
        let records = reader.payment(payment)?.unwrap_or_default();
        items.extend(item(payment, obligation, &records));
    }
    Ok(items)
}

fn item(id: PaymentId, obligation: u16, records: &[Record]) -> Option<Parked> {
    let payment = Payment::fold(records).ok()?;
    let owed = payment.obligations.iter().find(|owed| owed.obligation.number == obligation)?;
    let (why, response_code) = match owed.discharge.as_ref()? {
        Discharge::Parked(code) => ("parked", code.clone()),
        Discharge::Refused(code) => ("refused", code.clone()),
        _ => return None,
    };
    let message = &owed.obligation.message;
    Some(Parked {
        payment: id.to_string(),
        obligation,
        why: why.to_owned(),
        response_code,
        host: message.host.as_str().to_owned(),
        kind: format!("{:?}", owed.obligation.kind).to_lowercase(),
        mti: format!("{:04}", message.mti),
        stan: message.stan.to_string(),
        retrieval_reference: message.rrn.to_string(),
        amount: message.amount.minor(),
        currency: message.amount.currency().code().to_owned(),
        business_date: day(&payment, owed),
        merchant: payment.origin.merchant.to_string(),
        reference: payment.origin.reference.clone(),
        since: ended_at(obligation, records),
    })
}

fn day(payment: &Payment, owed: &Owed) -> Option<String> {
    let operation = || payment.operation(owed.obligation.operation).map(|operation| operation.business_date);
    owed.obligation.message.business_date.or_else(operation).map(|day| day.to_string())
}

fn ended_at(number: u16, records: &[Record]) -> Option<String> {
    let ended = |record: &&Record| matches!(&record.body, Body::Discharged { obligation, .. } if *obligation == number);
    records.iter().rev().find(ended).map(|record| record.at.rfc3339())
}
