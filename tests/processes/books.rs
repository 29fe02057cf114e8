//! What merchants were told, held against the bank's ledger.

use crate::house::House;
use serde_json::Value;
use std::collections::BTreeMap;

/// Each key, with what was told under it.
#[derive(Default)]
pub struct Books {
    told: BTreeMap<String, Option<Value>>,
}

impl Books {
    pub fn told(&mut self, answers: Vec<(String, Option<Value>)>) {
        self.told.extend(answers);
    }

    /// Waits until everything is settled and the bank has what it is owed; gives how many payments were on record.
    pub async fn agree(&self, house: &House) -> usize {
        let mut settled = Vec::new();
        for (key, told) in &self.told {
            let payment = house.settled(key).await;
            match payment.is_null() {
                true => assert!(is_unrecorded(told.as_ref()), "{key} was answered and is not on record"),
                false => {
                    stands(key, told.as_ref(), &payment);
                    settled.push((key, payment));
                }
            }
        }
        let mut differences = Vec::new();
        for _ in 0..300 {
            let ledger = house.ledger();
            differences = settled.iter().filter_map(|(key, payment)| difference(key, payment, &ledger)).collect();
            if differences.is_empty() {
                return settled.len();
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        panic!("{}", differences.join("\n"));
    }
}

/// Nothing was told, or a refusal, which records nothing.
fn is_unrecorded(told: Option<&Value>) -> bool {
    told.is_none_or(|told| told["id"].is_null())
}

fn difference(key: &str, payment: &Value, ledger: &[Value]) -> Option<String> {
    let (bank, ours) = (net_at_bank(ledger, payment), net_told(payment));
    (bank != ours).then(|| format!("{key}: the bank booked {bank}, the merchant sees {ours}: {payment}"))
}

/// What was told once is not taken back: only `reversing` goes on, to `reversed`.
fn stands(key: &str, told: Option<&Value>, payment: &Value) {
    let Some(status) = told.and_then(|told| told["status"].as_str()) else { return };
    let expected = if status == "reversing" { "reversed" } else { status };
    assert_eq!(payment["status"], expected, "{key} was told {status}");
}

/// The effect on the cardholder's account of all messages about a payment's references.
fn net_at_bank(ledger: &[Value], payment: &Value) -> i64 {
    let references: Vec<&Value> =
        payment["operations"].as_array().unwrap().iter().map(|op| &op["retrieval_reference"]).collect();
    let ours = ledger.iter().filter(|entry| references.contains(&&entry["rrn"]));
    ours.map(|entry| entry["net"].as_i64().unwrap()).sum()
}

/// The same, as the merchant sees it: what was captured and not refunded left the account.
fn net_told(payment: &Value) -> i64 {
    let minor = |what: &str| payment[what]["value"].as_i64().unwrap();
    minor("refunded") - minor("captured")
}
