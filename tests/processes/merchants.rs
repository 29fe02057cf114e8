//! Merchants who pay through the real door, and ask again under the same key until they are told.

use crate::house::{self, APPROVES, DECLINES, House, LATE, PARTIAL, REFUSES_CAPTURES, SILENT, THRICE};
use isthmus::client::{Client, Trip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many shop at once.
const MERCHANTS: u64 = 8;
/// Payments that one of them makes in a round at most.
const ERRANDS_AT_MOST: usize = 2000;
/// How long a merchant waits for an answer before it asks again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(8);
/// How long it asks again. Faults heal within seconds; whoever is not told by then never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a payment goes through, and how often in a hundred.
const ERRANDS: &[(u64, &str, &[Step])] = &[
    (40, APPROVES, &[Step::Sell]),
    (5, DECLINES, &[Step::Sell]),
    (5, PARTIAL, &[Step::Sell]),
    (4, SILENT, &[Step::Sell]),
    (4, LATE, &[Step::Sell]),
    (4, THRICE, &[Step::Sell]),
    (12, APPROVES, &[Step::Authorise, Step::Capture]),
    (6, APPROVES, &[Step::Authorise, Step::Void]),
    (3, APPROVES, &[Step::Authorise]),
    (8, APPROVES, &[Step::Sell, Step::Refund]),
    (6, APPROVES, &[Step::Sell, Step::Void]),
    (3, REFUSES_CAPTURES, &[Step::Authorise, Step::Capture]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Sell,
    Authorise,
    Capture,
    Void,
    Refund,
}

/// A payment with all that its merchant was told about it: each key with its first answer.
pub struct Errand {
    pub key: String,
    pub refuses_captures: bool,
    pub told: Vec<(String, Value)>,
}

/// The merchants of a round, out shopping.
pub struct Market {
    street: Arc<Street>,
    merchants: Vec<tokio::task::JoinHandle<Vec<Errand>>>,
}

/// What is seen of them from outside.
#[derive(Default)]
pub struct Street {
    closing: AtomicBool,
    hanging_up: AtomicBool,
    /// Requests that wait for their answer.
    pub asking: AtomicU64,
    /// Answers that settled a question.
    pub told: AtomicU64,
    /// Requests given up by their merchant.
    pub hung_up: AtomicU64,
    /// Connections that broke or could not be made.
    pub broken: AtomicU64,
    /// Answers that were asked for again and given again.
    pub replayed: AtomicU64,
    /// Why merchants were told to ask again, by code.
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Street {
    /// How often merchants were told to ask again, for this reason.
    pub fn refused(&self, code: &str) -> u64 {
        self.refused.lock().unwrap().get(code).copied().unwrap_or_default()
    }

    pub fn hang_up(&self, yes: bool) {
        self.hanging_up.store(yes, Ordering::Relaxed);
    }

    /// Waits until so many more questions were answered.
    pub async fn until_told(&self, more: u64) {
        let (goal, began) = (self.told.load(Ordering::Relaxed) + more, Instant::now());
        while self.told.load(Ordering::Relaxed) < goal {
            assert!(began.elapsed() < PATIENCE, "no more payments are answered; refused: {:?}", self.refused);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Market {
    /// Sends the merchants out.
    pub fn open(house: &House, round: u64, seed: u64) -> Market {
        let street = Arc::new(Street::default());
        let shop = |number| {
            let random = fastrand::Rng::with_seed(seed ^ (round << 32) ^ number);
            let (client, street) = (house.client(), Arc::clone(&street));
            tokio::spawn(Merchant { street, client, random, name: format!("r{round}-m{number}") }.shop())
        };
        let merchants = (0..MERCHANTS).map(shop).collect();
        Market { street, merchants }
    }

    pub fn street(&self) -> &Street {
        &self.street
    }

    /// Nobody begins anything new; gives back what they did once all of them were told.
    pub async fn close(self) -> Vec<Errand> {
        self.street.closing.store(true, Ordering::Relaxed);
        let mut errands = Vec::new();
        for merchant in self.merchants {
            errands.extend(merchant.await.unwrap());
        }
        errands
    }
}

struct Merchant {
    street: Arc<Street>,
    client: Client,
    random: fastrand::Rng,
    name: String,
}

impl Merchant {
    async fn shop(mut self) -> Vec<Errand> {
        let mut errands = Vec::new();
        while !self.street.closing.load(Ordering::Relaxed) && errands.len() < ERRANDS_AT_MOST {
            errands.push(self.errand(errands.len()).await);
            tokio::time::sleep(Duration::from_millis(self.random.u64(20..100))).await;
        }
        errands
    }

    async fn errand(&mut self, number: usize) -> Errand {
        let (card, steps) = self.draw();
        let key = format!("{}-{number}", self.name);
        let mut errand = Errand { key: key.clone(), refuses_captures: card == REFUSES_CAPTURES, told: Vec::new() };
        let mut path = "/v1/payments".to_owned();
        for (place, step) in steps.iter().enumerate() {
            let key = if place == 0 { key.clone() } else { format!("{key}-{place}") };
            let Some(told) = self.ask(&format!("{path}{}", step.path()), &key, &step.body(&key, card)).await else {
                break;
            };
            if place == 0 {
                path = format!("/v1/payments/{}", told["id"].as_str().unwrap());
            }
            let goes_on = ["authorized", "captured"].contains(&told["status"].as_str().unwrap());
            errand.told.push((key, told));
            if !goes_on {
                break;
            }
        }
        errand
    }

    fn draw(&mut self) -> (&'static str, &'static [Step]) {
        let mut drawn = self.random.u64(..ERRANDS.iter().map(|(often, ..)| often).sum::<u64>());
        for (often, card, steps) in ERRANDS {
            match drawn.checked_sub(*often) {
                None => return (card, steps),
                Some(rest) => drawn = rest,
            }
        }
        unreachable!("the draw is below the sum")
    }

    /// Asks until it is told; `None` where it is refused for good. Now and then it asks once more, and must be told the
    /// same.
    async fn ask(&mut self, path: &str, key: &str, body: &Value) -> Option<Value> {
        let first = self.ask_once(path, key, body).await?;
        self.street.told.fetch_add(1, Ordering::Relaxed);
        if self.random.u32(..10) == 0 {
            let again = self.ask_once(path, key, body).await;
            assert_eq!(again.as_ref(), Some(&first), "{key} was answered differently the second time");
            self.street.replayed.fetch_add(1, Ordering::Relaxed);
        }
        Some(first)
    }

    async fn ask_once(&mut self, path: &str, key: &str, body: &Value) -> Option<Value> {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "{key} was never answered");
            let patience = self.patience();
            self.street.asking.fetch_add(1, Ordering::Relaxed);
            let asked = tokio::time::timeout(patience, self.client.post(path, key, body)).await;
            self.street.asking.fetch_sub(1, Ordering::Relaxed);
            match asked {
                Ok(Ok(trip)) if [201, 202].contains(&trip.status.as_u16()) => return Some(trip.body),
                Ok(Ok(trip)) => self.refused(key, &trip)?,
                Ok(Err(_)) => drop(self.street.broken.fetch_add(1, Ordering::Relaxed)),
                Err(_) => drop(self.street.hung_up.fetch_add(1, Ordering::Relaxed)),
            }
            if patience == ANSWER_PATIENCE {
                tokio::time::sleep(Duration::from_millis(self.random.u64(20..150))).await;
            }
        }
    }

    fn patience(&mut self) -> Duration {
        match self.street.hanging_up.load(Ordering::Relaxed) && self.random.u32(..2) == 0 {
            true => Duration::from_millis(self.random.u64(1..60)),
            false => ANSWER_PATIENCE,
        }
    }

    /// `None` where asking again would not help.
    fn refused(&mut self, key: &str, trip: &Trip) -> Option<()> {
        let code = trip.body["code"].as_str().unwrap_or_else(|| panic!("{key}: {} {}", trip.status, trip.body));
        let again = ["idempotency_key_in_flight", "outcome_open", "payment_busy", "rate_limited"].contains(&code)
            || [503, 504].contains(&trip.status.as_u16());
        *self.street.refused.lock().unwrap().entry(code.to_owned()).or_default() += 1;
        again.then_some(())
    }
}

impl Step {
    fn path(self) -> &'static str {
        match self {
            Step::Sell | Step::Authorise => "",
            Step::Capture => "/captures",
            Step::Void => "/voids",
            Step::Refund => "/refunds",
        }
    }

    fn body(self, reference: &str, card: &str) -> Value {
        match self {
            Step::Sell => house::order(reference, card, 1000),
            Step::Authorise => {
                let mut order = house::order(reference, card, 1000);
                order["capture"] = json!(false);
                order
            }
            Step::Capture | Step::Void => json!({}),
            Step::Refund => json!({ "amount": { "value": 400, "currency": "EUR" } }),
        }
    }
}
