//! A merchant under load: its way to the door, payments of its own to come back to, and requests made as cheaply as can be.
//!
//! Sealed bodies are sealed ahead and sent under many keys: opening one costs the door the same, and sealing it would
//! cost this program more than sending. Their answers are opened where an operation to come needs their payment's name.

use super::cards::Card;
use super::mix::{Mix, Operation};
use super::order::{Order, follow_xml};
use super::tally::Outcome;
use super::told::Told;
use super::way::{Answer, Asked, Way};
use crate::client::{ClientError, Envelope, Notation, Target};
use bytes::Bytes;
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
    /// Requests in flight on each connection, in frames; without it one, over HTTPS.
    pub in_flight: Option<usize>,
    /// Whether bodies are XML. Where the target seals, they are JSON.
    pub is_xml: bool,
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

/// A merchant that asks for one thing at a time.
pub(super) struct Shopper {
    errands: Rc<Errands>,
    way: Way,
    sealed: Rc<Sealed>,
    random: fastrand::Rng,
    number: usize,
    count: u64,
    authorized: VecDeque<String>,
    captured: VecDeque<String>,
    last: Option<Asked>,
}

/// Bodies that were sealed ahead.
#[derive(Default)]
pub(super) struct Sealed(RefCell<BTreeMap<(Operation, usize), (Instant, Bytes)>>);

impl Shopper {
    /// A shopper that is not connected yet. The number is its own among all of the run.
    pub(super) fn new(errands: &Rc<Errands>, way: Way, sealed: &Rc<Sealed>, number: usize, seed: u64) -> Shopper {
        Shopper {
            errands: Rc::clone(errands),
            way,
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
        self.way.connect().await
    }

    /// One request and what came of it. What is not there to follow up is begun instead.
    pub(super) async fn ask(&mut self) -> (&'static str, Outcome) {
        let drawn = self.errands.mix.draw(self.random.u32(..));
        let (operation, asked) = match self.next(drawn) {
            Ok(made) => made,
            Err(_) => return (drawn.name(), Outcome::Failed("the body cannot be sealed")),
        };
        let outcome = match self.way.ask(&asked).await {
            Ok(answer) => self.read(operation, &answer),
            Err(ClientError::Connect(_)) => Outcome::Failed("cannot connect"),
            Err(_) => Outcome::Failed("the connection ended"),
        };
        if operation != Operation::Read && self.errands.mix.repeats() {
            self.last = Some(asked);
        }
        (operation.name(), outcome)
    }

    /// What is asked next, and what it counts as.
    fn next(&mut self, drawn: Operation) -> Result<(Operation, Asked), ClientError> {
        let asked = match drawn {
            Operation::Repeat => match &self.last {
                Some(last) => return Ok((Operation::Repeat, last.clone())),
                None => self.order(Operation::Sale)?,
            },
            Operation::Sale | Operation::Authorize => self.order(drawn)?,
            Operation::Read => match self.captured.back().or(self.authorized.back()) {
                Some(payment) => self.reading(payment.clone()),
                None => self.order(Operation::Sale)?,
            },
            Operation::Capture | Operation::Void => match self.authorized.pop_front() {
                Some(payment) => self.follow(drawn, payment)?,
                None => self.order(Operation::Authorize)?,
            },
            Operation::Refund => match self.captured.pop_front() {
                Some(payment) => self.follow(drawn, payment)?,
                None => self.order(Operation::Sale)?,
            },
        };
        Ok((asked.operation, asked))
    }

    fn reading(&self, payment: String) -> Asked {
        let (payment, notation) = (Some(payment), self.errands.notation());
        Asked { operation: Operation::Read, payment, key: None, notation, body: Bytes::new() }
    }

    fn order(&mut self, operation: Operation) -> Result<Asked, ClientError> {
        let (key, notation) = (self.next_key(), self.errands.notation());
        let turn = self.random.usize(..self.errands.cards.len());
        let order = Order {
            reference: &key,
            value: self.random.u64(self.errands.amounts.clone()),
            currency: &self.errands.currency,
            capture: operation == Operation::Sale,
            card: self.errands.cards.get(turn).ok_or(ClientError::Target("cards"))?,
        };
        let body = match (&self.errands.target.envelope, notation) {
            (Some(envelope), _) => self.sealed.or_seal(envelope, (operation, turn), || order.json())?,
            (None, Notation::Xml) => Bytes::from(order.xml()),
            (None, _) => Bytes::from(order.json()),
        };
        Ok(Asked { operation, payment: None, key: Some(key), notation, body })
    }

    fn follow(&mut self, operation: Operation, payment: String) -> Result<Asked, ClientError> {
        let notation = self.errands.notation();
        let body = match (&self.errands.target.envelope, notation) {
            (Some(envelope), _) => self.sealed.or_seal(envelope, (operation, 0), || b"{}".to_vec())?,
            (None, Notation::Xml) => Bytes::from_static(follow_xml(operation)),
            (None, _) => Bytes::from_static(b"{}"),
        };
        Ok(Asked { operation, payment: Some(payment), key: Some(self.next_key()), notation, body })
    }

    fn next_key(&mut self) -> String {
        self.count += 1;
        format!("{}-{}-{}", self.errands.run, self.number, self.count)
    }

    fn read(&mut self, operation: Operation, answer: &Answer) -> Outcome {
        let opened = match (&self.errands.target.envelope, answer.notation) {
            (Some(envelope), Notation::Jose) if self.errands.mix.follows() => {
                let token = std::str::from_utf8(&answer.body).unwrap_or_default();
                match envelope.open(token) {
                    Ok(json) => Some(json),
                    Err(_) => return Outcome::Failed("the answer cannot be opened"),
                }
            }
            (_, Notation::Jose) => return Outcome::Answered(format!("{} sealed", answer.status)),
            _ => None,
        };
        let told = match (opened.as_deref(), answer.notation) {
            (None, Notation::Xml) => Told::xml(&answer.body),
            (opened, _) => Told::json(opened.unwrap_or(&answer.body)),
        };
        if !(200..300).contains(&answer.status) {
            return Outcome::Refused(format!("{} {}", answer.status, told.code.unwrap_or_default()));
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
    /// How bodies are written.
    pub fn notation(&self) -> Notation {
        match self.target.envelope {
            Some(_) => Notation::Jose,
            None if self.is_xml => Notation::Xml,
            None => Notation::Json,
        }
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
