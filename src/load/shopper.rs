//! A merchant under load: one connection, payments of its own to come back to, and requests made as cheaply as can be.
//!
//! Sealed bodies are sealed ahead and sent under many keys: opening one costs the door the same, and sealing it would
//! cost this program more than sending. Their answers are opened where an operation to come needs their payment's name.

use super::cards::Card;
use super::mix::{Mix, Operation};
use super::tally::Outcome;
use crate::client::{ClientError, Envelope, Lane, Reply, Target};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, Request};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The most payments that a shopper remembers, in either state.
const REMEMBERED: usize = 64;
/// How long a body sealed ahead is used: well within what a door takes for fresh.
const FRESH: Duration = Duration::from_secs(60);

/// What all shoppers want.
#[derive(Clone)]
pub struct Errands {
    /// The door.
    pub target: Target,
    /// What is asked.
    pub mix: Mix,
    /// What is paid with, in turn; at least one.
    pub cards: Vec<Card>,
    /// Minor units, drawn evenly.
    pub amounts: RangeInclusive<u64>,
    /// ISO 4217, alphabetic.
    pub currency: String,
    /// Makes idempotency keys that no other run used.
    pub run: String,
}

/// A merchant with one connection.
pub(super) struct Shopper {
    errands: Rc<Errands>,
    lane: Lane,
    sealed: Rc<Sealed>,
    random: fastrand::Rng,
    number: usize,
    count: u64,
    authorized: VecDeque<String>,
    captured: VecDeque<String>,
    last: Option<Asked>,
}

/// A request that can be asked again.
#[derive(Clone)]
struct Asked {
    operation: Operation,
    path: String,
    key: String,
    body: Bytes,
}

/// Bodies that were sealed ahead.
#[derive(Default)]
pub(super) struct Sealed(RefCell<BTreeMap<(Operation, usize), (Instant, Bytes)>>);

#[derive(Serialize)]
struct Order<'a> {
    reference: &'a str,
    amount: Money<'a>,
    capture: bool,
    card: Option<CardFields<'a>>,
}

#[derive(Serialize)]
struct Money<'a> {
    value: u64,
    currency: &'a str,
}

#[derive(Serialize)]
struct CardFields<'a> {
    number: &'a str,
    expiry_month: u8,
    expiry_year: u16,
    cvc: &'a str,
}

/// What is read of an answer, payment or problem.
#[derive(Default, Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(default)]
    status: serde_json::Value,
}

impl Shopper {
    /// A shopper that is not connected yet. The number is its own among all of the run.
    pub(super) fn new(errands: &Rc<Errands>, lane: Lane, sealed: &Rc<Sealed>, number: usize, seed: u64) -> Shopper {
        Shopper {
            errands: Rc::clone(errands),
            lane,
            sealed: Rc::clone(sealed),
            random: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
            number,
            count: 0,
            authorized: VecDeque::new(),
            captured: VecDeque::new(),
            last: None,
        }
    }

    /// Connects where there is no connection.
    pub(super) async fn connect(&mut self) -> Result<(), ClientError> {
        self.lane.connect().await
    }

    /// One request and what came of it. What is not there to follow up is begun instead.
    pub(super) async fn ask(&mut self) -> (&'static str, Outcome) {
        let drawn = self.errands.mix.draw(self.random.u32(..));
        let (operation, request) = match self.request(drawn) {
            Ok(made) => made,
            Err(_) => return (drawn.name(), Outcome::Failed("the body cannot be sealed")),
        };
        let outcome = match self.lane.ask(request).await {
            Ok(reply) => self.read(operation, &reply),
            Err(ClientError::Connect(_)) => Outcome::Failed("cannot connect"),
            Err(_) => Outcome::Failed("the connection ended"),
        };
        (operation.name(), outcome)
    }

    fn request(&mut self, drawn: Operation) -> Result<(Operation, Request<Full<Bytes>>), ClientError> {
        let asked = match (drawn, &self.last) {
            (Operation::Repeat, Some(last)) => Asked { operation: Operation::Repeat, ..last.clone() },
            (Operation::Repeat, None) => self.order(Operation::Sale)?,
            (Operation::Sale | Operation::Authorize, _) => self.order(drawn)?,
            (Operation::Read, _) => return self.reading(),
            (Operation::Capture | Operation::Void, _) => match self.authorized.pop_front() {
                Some(payment) => self.follow(drawn, &payment)?,
                None => self.order(Operation::Authorize)?,
            },
            (Operation::Refund, _) => match self.captured.pop_front() {
                Some(payment) => self.follow(drawn, &payment)?,
                None => self.order(Operation::Sale)?,
            },
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(&asked.path)
            .header("idempotency-key", &asked.key)
            .header(CONTENT_TYPE, self.content_type())
            .body(Full::new(asked.body.clone()))
            .map_err(|_| ClientError::Target("url"))?;
        let operation = asked.operation;
        self.last = Some(asked);
        Ok((operation, request))
    }

    fn reading(&mut self) -> Result<(Operation, Request<Full<Bytes>>), ClientError> {
        let Some(payment) = self.captured.back().or(self.authorized.back()) else {
            return self.request(Operation::Sale);
        };
        let accepted = if self.errands.target.envelope.is_some() { "application/jose" } else { "application/json" };
        let request = Request::get(format!("/v1/payments/{payment}")).header(ACCEPT, accepted);
        let request = request.body(Full::default()).map_err(|_| ClientError::Target("url"))?;
        Ok((Operation::Read, request))
    }

    fn order(&mut self, operation: Operation) -> Result<Asked, ClientError> {
        let key = self.next_key();
        let turn = self.random.usize(..self.errands.cards.len());
        let value = self.random.u64(self.errands.amounts.clone());
        let json = || self.errands.order(operation, &key, turn, value);
        let body = match &self.errands.target.envelope {
            None => Bytes::from(json()),
            Some(envelope) => self.sealed.or_seal(envelope, (operation, turn), json)?,
        };
        Ok(Asked { operation, path: "/v1/payments".to_owned(), key, body })
    }

    fn follow(&mut self, operation: Operation, payment: &str) -> Result<Asked, ClientError> {
        let resource = match operation {
            Operation::Capture => "captures",
            Operation::Void => "voids",
            _ => "refunds",
        };
        let body = match &self.errands.target.envelope {
            None => Bytes::from_static(b"{}"),
            Some(envelope) => self.sealed.or_seal(envelope, (operation, 0), || b"{}".to_vec())?,
        };
        Ok(Asked { operation, path: format!("/v1/payments/{payment}/{resource}"), key: self.next_key(), body })
    }

    fn next_key(&mut self) -> String {
        self.count += 1;
        format!("{}-{}-{}", self.errands.run, self.number, self.count)
    }

    fn content_type(&self) -> &'static str {
        if self.errands.target.envelope.is_some() { "application/jose" } else { "application/json" }
    }

    fn read(&mut self, operation: Operation, reply: &Reply) -> Outcome {
        let is_jose = reply.headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/jose");
        let opened = match (&self.errands.target.envelope, is_jose) {
            (Some(envelope), true) if self.errands.mix.follows() => {
                let token = std::str::from_utf8(&reply.body).unwrap_or_default();
                match envelope.open(token) {
                    Ok(json) => Some(json),
                    Err(_) => return Outcome::Failed("the answer cannot be opened"),
                }
            }
            (_, true) => return Outcome::Answered(format!("{} sealed", reply.status.as_u16())),
            _ => None,
        };
        let json = opened.as_deref().unwrap_or(&reply.body);
        let told: Told<'_> = serde_json::from_slice(json).unwrap_or_default();
        if !reply.status.is_success() {
            return Outcome::Refused(format!("{} {}", reply.status.as_u16(), told.code.unwrap_or_default()));
        }
        let Some(status) = told.status.as_str() else { return Outcome::Failed("the answer is not readable") };
        if let Some(id) = told.id {
            self.remember(operation, status, &id);
        }
        Outcome::Answered(status.to_owned())
    }

    fn remember(&mut self, operation: Operation, status: &str, payment: &str) {
        let kept = match (operation, status) {
            (Operation::Authorize, "authorized") => &mut self.authorized,
            (Operation::Sale | Operation::Capture, "captured") => &mut self.captured,
            _ => return,
        };
        if kept.len() == REMEMBERED {
            kept.pop_front();
        }
        kept.push_back(payment.to_owned());
    }
}

impl Errands {
    fn order(&self, operation: Operation, reference: &str, turn: usize, value: u64) -> Vec<u8> {
        let card = self.cards.get(turn).map(|card| CardFields {
            number: &card.number,
            expiry_month: card.month,
            expiry_year: card.year,
            cvc: &card.code,
        });
        let amount = Money { value, currency: &self.currency };
        let order = Order { reference, amount, capture: operation == Operation::Sale, card };
        serde_json::to_vec(&order).expect("text and numbers become JSON")
    }
}

impl Sealed {
    fn or_seal(
        &self,
        envelope: &Envelope,
        which: (Operation, usize),
        body: impl FnOnce() -> Vec<u8>,
    ) -> Result<Bytes, ClientError> {
        let mut kept = self.0.borrow_mut();
        if let Some((_, sealed)) = kept.get(&which).filter(|(since, _)| since.elapsed() < FRESH) {
            return Ok(sealed.clone());
        }
        let sealed = Bytes::from(envelope.seal(&body())?);
        kept.insert(which, (Instant::now(), sealed.clone()));
        Ok(sealed)
    }
}
