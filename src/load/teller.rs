//! A bank host under load: ISO 8583 straight at it, many requests in flight on a line.
//!
//! Signs on, asks for authorisations and sales under trace numbers of its own, answers the host's echoes, and leaves the
//! line as it is: no reversal follows what was not answered. So it is for hosts that are there to be tested.

use super::mix::{Mix, Operation};
use super::tally::Outcome;
use crate::client::ClientError;
use crate::clock::Clock;
use crate::framing::{Frame, Framer, Framing};
use crate::iso8583::{Message, MessageBuilder};
use crate::link::{Function, Network};
use crate::payment::{
    Acceptor, Amount, Card, Currency, MessageKind, MessageValues, Name, PosEntry, ResultCode, Rrn, Stan,
};
use crate::translation::Translation;
use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, Notify, oneshot};
use tokio_util::codec::Decoder;

/// How long the host may take to let a line sign on.
const SIGN_ON: Duration = Duration::from_secs(10);

/// What is asked of a bank host.
#[derive(Clone)]
pub struct Counter {
    /// HOST:PORT.
    pub address: String,
    /// The dialect, both ways.
    pub translation: Arc<Translation>,
    /// Its network management.
    pub network: Network,
    /// Where frames end.
    pub framing: Framing,
    /// Acquiring institution (data element 32).
    pub acquirer: Name,
    /// Merchant and terminal.
    pub acceptor: Acceptor,
    /// Sales and authorisations; anything else is asked as a sale.
    pub mix: Mix,
    /// What is paid with, in turn; at least one.
    pub cards: Vec<Card>,
    /// Minor units, drawn evenly.
    pub amounts: RangeInclusive<u64>,
    /// Of the amounts.
    pub currency: Currency,
    /// Requests in flight on each line.
    pub in_flight: usize,
    /// Trace numbers and references, one sequence for all lines.
    pub numbers: Arc<AtomicU64>,
}

/// A line to the bank, made anew where it ended.
pub(super) struct Desk {
    counter: Rc<Counter>,
    clock: Clock,
    line: Mutex<Option<Rc<Line>>>,
}

/// Asks one thing at a time over a line that others use too.
pub(super) struct Teller {
    desk: Rc<Desk>,
    random: fastrand::Rng,
}

/// A connection that stands.
struct Line {
    out: RefCell<BytesMut>,
    written: Notify,
    waiting: RefCell<BTreeMap<u32, oneshot::Sender<Message>>>,
    ended: Cell<bool>,
}

impl Teller {
    /// One of the tellers of a desk.
    pub(super) fn new(desk: &Rc<Desk>, seed: u64) -> Teller {
        Teller { desk: Rc::clone(desk), random: fastrand::Rng::with_seed(seed) }
    }

    /// Connects and signs on where there is no line.
    pub(super) async fn connect(&self) -> Result<(), ClientError> {
        self.desk.line().await.map(drop)
    }

    /// One request and what came of it.
    pub(super) async fn ask(&mut self) -> (&'static str, Outcome) {
        let drawn = self.desk.counter.mix.draw(self.random.u32(..));
        let operation = if drawn == Operation::Authorize { Operation::Authorize } else { Operation::Sale };
        let outcome = match self.answer(operation).await {
            Ok(Some((code, result))) => {
                let code = code.unwrap_or_else(|| "no code".to_owned());
                Outcome::Answered(format!("{code} {}", result.name()))
            }
            Ok(None) => Outcome::Failed("the dialect cannot say it"),
            Err(ClientError::Connect(_)) => Outcome::Failed("cannot connect"),
            Err(_) => Outcome::Failed("the line ended"),
        };
        (operation.name(), outcome)
    }

    async fn answer(&mut self, operation: Operation) -> Result<Option<(Option<String>, ResultCode)>, ClientError> {
        let line = self.desk.line().await?;
        let counter = Rc::clone(&self.desk.counter);
        let number = counter.numbers.fetch_add(1, Ordering::Relaxed);
        let Some((stan, frame)) = self.frame(&counter, operation, number) else { return Ok(None) };
        let awaited = line.expect(stan.number());
        line.put(&counter.framing, &frame);
        let reply = awaited.reply().await?;
        Ok(Some(counter.translation.code(&reply)))
    }

    fn frame(&mut self, counter: &Counter, operation: Operation, number: u64) -> Option<(Stan, bytes::Bytes)> {
        let kind = match operation {
            Operation::Authorize => MessageKind::Authorisation,
            _ => MessageKind::Sale,
        };
        let (mti, processing_code) = counter.translation.head(kind)?;
        let card = counter.cards.get(self.random.usize(..counter.cards.len()))?;
        let now = self.desk.clock.now().wall;
        let stan = stan(number)?;
        let values = MessageValues {
            host: "load".into(),
            dialect: counter.translation.name().clone(),
            mti,
            processing_code: processing_code.unwrap_or_default(),
            amount: Amount::new(self.random.u64(counter.amounts.clone()), counter.currency).ok()?,
            stan,
            transmitted_at: now,
            rrn: Rrn::from_sequence(number),
            entry: PosEntry::Ecommerce,
            acquirer: counter.acquirer.clone(),
            approval_code: None,
            original: None,
            reason: None,
            local_time: now,
            link: None,
            business_date: None,
            kind: Some(kind),
            remains: None,
            consent: None,
            purchase: None,
        };
        let frame = counter.translation.encode(kind, &values, &counter.acceptor, card, false).ok()?;
        Some((stan, frame))
    }
}

/// Trace numbers go round, and 000000 is none.
fn stan(number: u64) -> Option<Stan> {
    Stan::new(u32::try_from(number % 999_999).ok()? + 1).ok()
}

impl Desk {
    /// A desk without a line.
    pub(super) fn new(counter: &Rc<Counter>) -> Desk {
        Desk { counter: Rc::clone(counter), clock: Clock::start(), line: Mutex::new(None) }
    }

    async fn line(&self) -> Result<Rc<Line>, ClientError> {
        let mut place = self.line.lock().await;
        if let Some(line) = place.as_ref().filter(|line| !line.ended.get()) {
            return Ok(Rc::clone(line));
        }
        let line = self.dial().await?;
        *place = Some(Rc::clone(&line));
        Ok(line)
    }

    async fn dial(&self) -> Result<Rc<Line>, ClientError> {
        let stream = TcpStream::connect(&self.counter.address).await.map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        let (read, write) = stream.into_split();
        let line = Rc::new(Line {
            out: RefCell::default(),
            written: Notify::new(),
            waiting: RefCell::default(),
            ended: Cell::new(false),
        });
        tokio::task::spawn_local(Rc::clone(&line).write(write));
        tokio::task::spawn_local(Rc::clone(&line).read(read, Rc::clone(&self.counter)));
        self.sign_on(&line).await?;
        Ok(line)
    }

    async fn sign_on(&self, line: &Line) -> Result<(), ClientError> {
        let refused = || ClientError::Answer("the host does not let us sign on");
        let number = self.counter.numbers.fetch_add(1, Ordering::Relaxed);
        let stan = stan(number).ok_or_else(refused)?;
        let request = self.counter.network.request(Function::SignOn, stan, self.clock.now().wall);
        let awaited = line.expect(stan.number());
        line.say(&self.counter, &request);
        let reply = tokio::time::timeout(SIGN_ON, awaited.reply()).await;
        let reply = reply.map_err(|_silent| ClientError::Answer("the host does not answer our sign-on"))??;
        self.counter.network.is_approved(&reply).then_some(()).ok_or_else(refused)
    }
}

/// A reply that is awaited; nobody waits for it any more once this is dropped.
struct Awaited<'a> {
    line: &'a Line,
    stan: u32,
    reply: oneshot::Receiver<Message>,
}

impl Awaited<'_> {
    async fn reply(mut self) -> Result<Message, ClientError> {
        (&mut self.reply).await.map_err(|_| ClientError::Answer("the line ended"))
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.line.waiting.borrow_mut().remove(&self.stan);
    }
}

impl Line {
    fn expect(&self, stan: u32) -> Awaited<'_> {
        let (replied, reply) = oneshot::channel();
        if !self.ended.get() {
            self.waiting.borrow_mut().insert(stan, replied);
        }
        Awaited { line: self, stan, reply }
    }

    fn say(&self, counter: &Counter, message: &MessageBuilder) {
        if let Ok(frame) = counter.translation.spec().encode_to_bytes(message) {
            self.put(&counter.framing, &frame);
        }
    }

    /// Frames that gather before the writer comes to them leave in one write.
    fn put(&self, framing: &Framing, frame: &[u8]) {
        if framing.put(frame, &mut self.out.borrow_mut()).is_ok() {
            self.written.notify_one();
        }
    }

    async fn write(self: Rc<Line>, mut write: OwnedWriteHalf) {
        loop {
            self.written.notified().await;
            let frames = self.out.take();
            if self.ended.get() || write.write_all(&frames).await.is_err() {
                return self.end();
            }
        }
    }

    async fn read(self: Rc<Line>, mut read: OwnedReadHalf, counter: Rc<Counter>) {
        let (mut framer, mut came) = (Framer::new(counter.framing.clone()), BytesMut::new());
        while self.take_all(&mut framer, &mut came, &counter) {
            if !matches!(read.read_buf(&mut came).await, Ok(1..)) {
                break;
            }
        }
        self.end();
    }

    /// Takes the frames that are there; `false` where what came is none.
    fn take_all(&self, framer: &mut Framer, came: &mut BytesMut, counter: &Counter) -> bool {
        loop {
            match framer.decode(came) {
                Ok(Some(Frame::Message(frame))) => {
                    if let Ok(message) = counter.translation.spec().decode(frame) {
                        self.take(message, counter);
                    }
                }
                Ok(Some(Frame::KeepAlive)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn take(&self, message: Message, counter: &Counter) {
        if message.mti().is_request() {
            if let Some(answer) = counter.network.answer(&message).filter(|_| message.mti().class() == 8) {
                self.say(counter, &answer);
            }
            return;
        }
        let stan = message.text(11).and_then(|text| text.parse().ok());
        let waiting = stan.and_then(|stan: u32| self.waiting.borrow_mut().remove(&stan));
        if let Some(replied) = waiting {
            // Whoever asked may have given up meanwhile.
            let _ = replied.send(message);
        }
    }

    fn end(&self) {
        self.ended.set(true);
        self.waiting.take();
        self.written.notify_one();
    }
}
