//! The demo's merchant: a handful of payments, each with its trip drawn.

use super::DemoError;
use super::drawing;
use super::files::Files;
use crate::app::Step;
use crate::client::{Cipher, Client, Envelope, Form, Target, Trip};
use crate::journal::Reader;
use crate::payment::PaymentId;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// A merchant with a client and an eye on the switch.
pub(super) struct Shopping {
    client: Client,
    steps: UnboundedReceiver<Step>,
    /// Makes keys that no earlier run of the demo used.
    run: String,
    count: u32,
}

/// What the card does, what is asked, what must come of it.
struct Errand {
    title: &'static str,
    number: &'static str,
    minor: u64,
    capture: bool,
    allow_partial: bool,
    expected: &'static str,
}

const APPROVES: &str = "4242424242424242";

const ERRANDS: [Errand; 4] = [
    Errand {
        title: "A sale that the bank approves",
        number: APPROVES,
        minor: 1299,
        capture: true,
        allow_partial: false,
        expected: "captured",
    },
    Errand {
        title: "A sale on an account without money",
        number: "4000000000000515",
        minor: 2500,
        capture: true,
        allow_partial: false,
        expected: "declined",
    },
    Errand {
        title: "A sale approved for a part of the amount",
        number: "4000000000010001",
        minor: 10000,
        capture: true,
        allow_partial: true,
        expected: "captured",
    },
    Errand {
        title: "A sale to which the bank never answers",
        number: "4000000000010209",
        minor: 4999,
        capture: true,
        allow_partial: false,
        expected: "reversing",
    },
];

impl Shopping {
    pub(super) fn new(files: &Files, steps: UnboundedReceiver<Step>) -> Result<Shopping, DemoError> {
        let material = &files.material;
        let gateway_key = std::fs::read_to_string(&material.gateway_payload_key)?;
        let own_key = std::fs::read_to_string(&material.merchant_payload_private_key_pem)?;
        let target = Target {
            url: format!("https://{}", files.edge_addr()),
            ca_pem: std::fs::read(&material.ca_certificate)?,
            identity_pem: Some((std::fs::read(&material.client_certificate)?, std::fs::read(&material.client_key)?)),
            api_key: Some(material.api_key()?),
            envelope: Some(Envelope::new(&gateway_key, &own_key, Cipher::A256Gcm, Form::Jose)?),
        };
        let run = uuid::Uuid::now_v7().simple().to_string();
        Ok(Shopping { client: Client::new(&target)?, steps, run, count: 0 })
    }

    /// All errands in turn; whether each went as it should.
    pub(super) async fn go(&mut self, reader: &Reader) -> Result<bool, DemoError> {
        let mut well = true;
        for errand in &ERRANDS {
            well &= self.pay(errand, reader).await?;
        }
        well &= self.capture_a_part(reader).await?;
        well &= self.change_ones_mind(reader).await?;
        Ok(well)
    }

    async fn pay(&mut self, errand: &Errand, reader: &Reader) -> Result<bool, DemoError> {
        let (trip, mut well) = self.begin(errand, reader).await?;
        if errand.expected == "reversing" {
            let id = id_of(&trip)?;
            well &= self.until(id, "reversed").await?;
            self.draw_rest("the bank acknowledges the reversal", id, reader).await?;
        }
        Ok(well)
    }

    async fn begin(&mut self, errand: &Errand, reader: &Reader) -> Result<(Trip, bool), DemoError> {
        let trip = self.post("/v1/payments", &self.order(errand)).await?;
        let well = self.draw(errand.title, &trip, errand.expected, reader).await?;
        Ok((trip, well))
    }

    async fn capture_a_part(&mut self, reader: &Reader) -> Result<bool, DemoError> {
        let title = "An authorisation, of which a part is captured";
        let errand = Errand {
            title,
            number: APPROVES,
            minor: 8000,
            capture: false,
            allow_partial: false,
            expected: "authorized",
        };
        let (trip, mut well) = self.begin(&errand, reader).await?;
        let path = format!("/v1/payments/{}/captures", id_of(&trip)?);
        let trip = self.post(&path, &json!({ "amount": { "value": 5000, "currency": "EUR" } })).await?;
        well &= self.draw("…and the capture of 50.00", &trip, "captured", reader).await?;
        Ok(well)
    }

    async fn change_ones_mind(&mut self, reader: &Reader) -> Result<bool, DemoError> {
        let mut well = true;
        for (title, verb, expected) in [("A refund", "refunds", "refunded"), ("A void", "voids", "voided")] {
            let sale = Errand {
                title: "A sale",
                number: APPROVES,
                minor: 3000,
                capture: true,
                allow_partial: false,
                expected: "captured",
            };
            let trip = self.post("/v1/payments", &self.order(&sale)).await?;
            let path = format!("/v1/payments/{}/{verb}", id_of(&trip)?);
            self.forget_steps();
            let trip = self.post(&path, &json!({})).await?;
            well &= self.draw(title, &trip, expected, reader).await?;
        }
        Ok(well)
    }

    fn order(&self, errand: &Errand) -> Value {
        json!({
            "reference": format!("demo-{}", self.count + 1),
            "amount": { "value": errand.minor, "currency": "EUR" },
            "capture": errand.capture,
            "allow_partial": errand.allow_partial,
            "card": { "number": errand.number, "expiry_month": 12, "expiry_year": 2030, "cvc": "123" },
        })
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<Trip, DemoError> {
        self.count += 1;
        let key = format!("{}-{}", self.run, self.count);
        Ok(self.client.post(path, &key, body).await?)
    }

    /// Draws a trip; whether its payment has the status it should have.
    async fn draw(&mut self, title: &str, trip: &Trip, expected: &str, reader: &Reader) -> Result<bool, DemoError> {
        let id = id_of(trip)?;
        // An advice goes to the bank after the merchant was told: its answer belongs to the picture.
        self.until_at_rest(id, reader, expected).await?;
        let steps = self.steps_of(id);
        println!("{}", drawing::trip(title, trip, &steps));
        let well = trip.body["status"] == expected;
        if !well {
            println!("  ✗ the status should be {expected}");
        }
        Ok(well)
    }

    async fn draw_rest(&mut self, title: &str, id: PaymentId, reader: &Reader) -> Result<(), DemoError> {
        self.until_at_rest(id, reader, "reversed").await?;
        let steps = self.steps_of(id);
        println!("{}", drawing::rest(title, &steps));
        Ok(())
    }

    async fn until_at_rest(&self, id: PaymentId, reader: &Reader, expected: &str) -> Result<(), DemoError> {
        if expected == "reversing" {
            return Ok(());
        }
        for _ in 0..100 {
            let records = reader.payment(id)?.unwrap_or_default();
            if crate::transaction::Payment::fold(&records).is_ok_and(|payment| payment.is_at_rest()) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("{id} does not come to rest").into())
    }

    async fn until(&mut self, id: PaymentId, status: &str) -> Result<bool, DemoError> {
        for _ in 0..200 {
            let trip = self.client.get(&format!("/v1/payments/{id}")).await?;
            if trip.body["status"] == status {
                return Ok(true);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    fn steps_of(&mut self, id: PaymentId) -> Vec<Step> {
        std::iter::from_fn(|| self.steps.try_recv().ok()).filter(|step| step.payment == id).collect()
    }

    fn forget_steps(&mut self) {
        while self.steps.try_recv().is_ok() {}
    }

    /// Goes on at a rate, without drawing; for ever, and in silence where there is no rate.
    pub(super) async fn keep_on(&mut self, rate: Option<u32>) {
        let Some(rate) = rate.filter(|rate| *rate > 0) else {
            return std::future::pending().await;
        };
        let mut ticks = interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One after the other: a payment that waits for a silent bank would hold up the rest.
        let answered: Vec<&Errand> = ERRANDS.iter().filter(|errand| errand.expected != "reversing").collect();
        for errand in answered.into_iter().cycle() {
            ticks.tick().await;
            self.forget_steps();
            if let Err(error) = self.post("/v1/payments", &self.order(errand)).await {
                tracing::warn!(%error, "a payment of the demo failed");
            }
        }
    }
}

fn id_of(trip: &Trip) -> Result<PaymentId, DemoError> {
    let id = trip.body["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| format!("no payment came back: {} {}", trip.status, trip.body).into())
}
