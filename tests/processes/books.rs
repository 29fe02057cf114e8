//! What merchants were told, held against the bank's ledger: payment by payment, then the ledger as a whole.

use crate::house::{BANKS, House};
use crate::merchants::Errand;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the bank may take until it has what it is owed, once everything is healed.
const AGREE_WITHIN: Duration = Duration::from_secs(60);

/// Money booked on the cardholder's account, and money set aside on it.
type Sums = (i64, i64);

/// Each payment as it ended, and the ledgers of the banks, which a reference of ours is in once only.
#[derive(Default)]
pub struct Books {
    payments: BTreeMap<String, Entry>,
    ledger: BTreeMap<String, Sums>,
    /// How far each bank's ledger was read.
    read: [u64; BANKS],
}

/// A payment that has ended.
struct Entry {
    payment: Value,
    refuses_captures: bool,
}

impl Books {
    /// Books of banks whose ledgers up to here are not ours to explain.
    pub fn from_now(house: &House) -> Books {
        let last = |place| house.ledger_after(place, 0).last().map_or(0, |entry| entry["sequence"].as_u64().unwrap());
        Books { read: std::array::from_fn(last), ..Books::default() }
    }

    /// Waits until the payments of these errands have ended as was told, and the bank has what it is owed. Panics on
    /// any difference that stays.
    pub async fn settle(&mut self, house: &House, errands: Vec<Errand>) {
        let mut client = house.client();
        let mut settled = BTreeSet::new();
        for errand in errands {
            let payment = house.settled_by(&mut client, &errand.key).await;
            if payment.is_null() {
                assert!(errand.told.is_empty(), "{} was answered and is not on record", errand.key);
                continue;
            }
            stands(&errand, &payment);
            settled.insert(errand.key.clone());
            self.payments.insert(errand.key, Entry { payment, refuses_captures: errand.refuses_captures });
        }
        self.agree(house, &settled).await;
    }

    /// Every entry of the ledger is a payment's, and every payment is as its merchant sees it.
    pub async fn close(&mut self, house: &House) {
        let all = self.payments.keys().cloned().collect();
        self.agree(house, &all).await;
        let known: BTreeSet<&str> = self.payments.values().flat_map(|entry| references(&entry.payment)).collect();
        let strange = self.ledger.iter().filter(|(rrn, sums)| !known.contains(rrn.as_str()) && **sums != (0, 0));
        let strange = strange.collect::<Vec<_>>();
        assert!(strange.is_empty(), "the bank booked what nobody asked for: {strange:?}");
    }

    async fn agree(&mut self, house: &House, keys: &BTreeSet<String>) {
        let began = Instant::now();
        loop {
            self.read_on(house);
            let differences: Vec<String> = keys.iter().filter_map(|key| self.difference(key)).collect();
            if differences.is_empty() {
                return;
            }
            assert!(began.elapsed() < AGREE_WITHIN, "{}", differences.join("\n"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn read_on(&mut self, house: &House) {
        for (place, read) in self.read.iter_mut().enumerate() {
            for entry in house.ledger_after(place, *read) {
                let (net, held) = (entry["net"].as_i64().unwrap(), entry["held"].as_i64().unwrap());
                let sums = self.ledger.entry(entry["rrn"].as_str().unwrap_or_default().to_owned()).or_default();
                *sums = (sums.0 + net, sums.1 + held);
                *read = entry["sequence"].as_u64().unwrap();
            }
        }
    }

    fn difference(&self, key: &str) -> Option<String> {
        let Entry { payment, .. } = &self.payments[key];
        let booked = references(payment).into_iter().filter_map(|rrn| self.ledger.get(rrn));
        let booked = booked.fold((0, 0), |(net, held), sums| (net + sums.0, held + sums.1));
        let (told, left_to_a_person) = (told(payment), self.exception(key).unwrap_or_default());
        let expected = (told.0 + left_to_a_person, told.1 + left_to_a_person);
        (booked != expected)
            .then(|| format!("{key}: the bank has {booked:?}, the merchant sees {expected:?}: {payment}"))
    }

    /// The amount of a capture that the bank refuses: the merchant has it and the bank still sets it aside, until a
    /// person settles it.
    fn exception(&self, key: &str) -> Option<i64> {
        let Entry { payment, refuses_captures } = &self.payments[key];
        let captured = minor(payment, "captured");
        (*refuses_captures && captured > 0).then_some(captured)
    }

    /// The payments whose books differ by what a person must settle, by id.
    pub fn exceptions(&self) -> BTreeSet<String> {
        let of_a_person = self.payments.keys().filter(|key| self.exception(key).is_some());
        of_a_person.map(|key| self.payments[key].payment["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The payments in their last state.
    pub fn payments(&self) -> impl Iterator<Item = &Value> {
        self.payments.values().map(|entry| &entry.payment)
    }
}

/// What was told once is not taken back: of each operation only `reversing` goes on, to `reversed`, and `pending` to
/// what the bank says in the end.
fn stands(errand: &Errand, payment: &Value) {
    for (place, (key, told)) in errand.told.iter().enumerate() {
        let (told, now) = (&told["operations"][place]["status"], &payment["operations"][place]["status"]);
        let expected: &[&str] = match told.as_str().unwrap() {
            "reversing" => &["reversed"],
            "pending" => &["approved", "declined"],
            told => &[told],
        };
        assert!(expected.contains(&now.as_str().unwrap()), "{key} was told {told}: {payment}");
    }
}

fn references(payment: &Value) -> BTreeSet<&str> {
    let operations = payment["operations"].as_array().unwrap();
    operations.iter().map(|operation| operation["retrieval_reference"].as_str().unwrap()).collect()
}

/// What the merchant sees, as the bank would book it: what was captured and not refunded left the account, and what is
/// authorised and not captured is set aside.
fn told(payment: &Value) -> Sums {
    let net = minor(payment, "refunded") - minor(payment, "captured");
    match payment["status"] == "authorized" {
        true => (net, minor(payment, "authorized") - minor(payment, "captured")),
        false => (net, 0),
    }
}

fn minor(payment: &Value, what: &str) -> i64 {
    payment[what]["value"].as_i64().unwrap()
}

/// The checker itself: books that differ by one cent, one hold or one entry must not pass.
mod tests {
    use super::*;
    use serde_json::json;

    fn payment(status: &str, captured: i64, refunded: i64) -> Value {
        let operation = json!({ "retrieval_reference": "000000000001", "status": "approved" });
        let money = |value: i64| json!({ "value": value, "currency": "EUR" });
        json!({ "id": "pay_1", "status": status, "authorized": money(1000), "captured": money(captured),
                "refunded": money(refunded), "operations": [operation] })
    }

    fn books(payment: Value, refuses_captures: bool, booked: Sums) -> Books {
        let mut books = Books::default();
        books.payments.insert("k".to_owned(), Entry { payment, refuses_captures });
        books.ledger.insert("000000000001".to_owned(), booked);
        books
    }

    #[test]
    fn a_cent_or_a_hold_too_much_is_a_difference() {
        let differs =
            |payment: &Value, refuses: bool, booked| books(payment.clone(), refuses, booked).difference("k").is_some();
        let cases = [
            (payment("captured", 1000, 0), false, (-1000, 0)),
            (payment("partially_refunded", 1000, 400), false, (-600, 0)),
            (payment("authorized", 0, 0), false, (0, 1000)),
            (payment("reversed", 0, 0), false, (0, 0)),
            (payment("captured", 1000, 0), true, (0, 1000)),
        ];
        for (payment, refuses, right) in cases {
            assert!(!differs(&payment, refuses, right), "{payment}");
            for wrong in [(right.0 - 1, right.1), (right.0 + 1000, right.1), (right.0, right.1 + 1)] {
                assert!(differs(&payment, refuses, wrong), "{payment} {wrong:?}");
            }
        }
    }

    #[test]
    fn only_a_refused_capture_is_left_to_a_person() {
        assert_eq!(books(payment("captured", 1000, 0), true, (0, 1000)).exceptions().len(), 1);
        assert!(books(payment("captured", 1000, 0), false, (0, 1000)).exceptions().is_empty());
        assert!(books(payment("reversed", 0, 0), true, (0, 0)).exceptions().is_empty());
    }

    #[test]
    #[should_panic(expected = "was told")]
    fn what_was_told_as_approved_may_not_end_otherwise() {
        let told = payment("captured", 1000, 0);
        let mut now = payment("reversed", 0, 0);
        now["operations"][0]["status"] = json!("reversed");
        let errand = Errand { key: "k".to_owned(), refuses_captures: false, told: vec![("k".to_owned(), told)] };
        stands(&errand, &now);
    }
}
