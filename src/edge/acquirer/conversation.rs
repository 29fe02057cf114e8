//! One connection of an acquirer: reads messages as long as there is room for answers, writes answers as they come.
//!
//! What is not a frame ends the connection. What is one and cannot be read is answered with a format error where its type
//! and trace number could be; nothing else could be matched to what was asked.

use super::Desk;
use super::answer::said;
use super::open::{Before, Entered};
use super::original::{TakeBack, Wanted, take_back};
use super::question::{Follow, Meaning, Naming, Refused, begin, follow, meaning, merchant_of, told_of};
use super::settings::UnknownOriginal;
use crate::edge::archive::from_store;
use crate::edge::authentication::Asker;
use crate::edge::command;
use crate::edge::framed::write_all;
use crate::edge::measure::{ACQUIRER_MESSAGES, ACQUIRER_SECONDS};
use crate::edge::payments::fresh_names;
use crate::edge::problem::{Code, Problem};
use crate::framing::{Frame, Framer};
use crate::iso8583::Message;
use crate::link::Function;
use crate::payment::{Acceptor, PaymentId, ResultCode};
use crate::switch::{Answer, Command, Submission};
use crate::transaction::{Fingerprint, IdempotencyKey};
use crate::translation::{Asked, Said};
use bytes::{Bytes, BytesMut};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::codec::Decoder;

/// What is read from the connection at once.
const READ_BUFFER: usize = 16 * 1024;

/// An answer on its way out, and the place it holds.
type Outgoing = (Bytes, OwnedSemaphorePermit);

/// Serves a connection until its end: the acquirer's, a fault's, an idle limit's or the door's.
pub(super) async fn converse<S>(stream: S, peer: IpAddr, desk: Arc<Desk>, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let settings = &desk.own.settings;
    let (answers, outgoing) = mpsc::channel(settings.in_flight);
    let places = Arc::new(Semaphore::new(settings.in_flight));
    let signed_on = !settings.needs_sign_on;
    let mut writing = pin!(write_all(writer, outgoing, settings.frame_timeout()));
    let desk = Arc::clone(&desk);
    let mut conversation = Conversation { desk, peer, places, answers, signed_on, open: JoinSet::new() };
    tokio::select! {
        // Nobody to answer any more: what was asked goes on behind the door.
        _failed = writing.as_mut() => return,
        () = conversation.listen(reader) => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    tokio::join!(conversation.finish(), writing).1.ok();
}

struct Conversation {
    desk: Arc<Desk>,
    peer: IpAddr,
    places: Arc<Semaphore>,
    answers: mpsc::Sender<Outgoing>,
    signed_on: bool,
    open: JoinSet<()>,
}

impl Conversation {
    /// Reads and asks until the acquirer is done, silent for too long, or sends what is no frame.
    async fn listen(&mut self, mut reader: impl AsyncRead + Unpin) {
        let mut framer = Framer::new(self.desk.own.framing.clone());
        let mut buffer = BytesMut::with_capacity(READ_BUFFER);
        loop {
            while let Some(frame) = match framer.decode(&mut buffer) {
                Ok(frame) => frame,
                Err(error) => {
                    return tracing::warn!(door = self.name(), peer = %self.peer, code = error.code(), "no frame");
                }
            } {
                let places = Arc::clone(&self.places);
                let place = places.acquire_owned().await.expect("the semaphore is never closed");
                match frame {
                    Frame::Message(message) => self.take(message, place),
                    Frame::KeepAlive => self.poll(place),
                }
                while self.open.try_join_next().is_some() {}
            }
            if !self.read(&mut reader, &mut buffer).await {
                return;
            }
        }
    }

    /// Reads on; `false` where there is no more to come. Whoever waits for an answer may be silent for longer.
    async fn read(&self, reader: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> bool {
        let settings = &self.desk.own.settings;
        loop {
            let limit = if buffer.is_empty() { settings.idle_timeout() } else { settings.frame_timeout() };
            match timeout(limit, reader.read_buf(buffer)).await {
                Ok(Ok(count)) => return count > 0,
                Ok(Err(_)) => return false,
                Err(_silent) if buffer.is_empty() && self.places.available_permits() < settings.in_flight => {}
                Err(_silent) => return false,
            }
        }
    }

    fn name(&self) -> &str {
        &self.desk.own.settings.name
    }

    fn poll(&mut self, place: OwnedSemaphorePermit) {
        let mut empty = BytesMut::new();
        self.desk.own.framing.put_keep_alive(&mut empty);
        // Where there is no room for it, it is not missed.
        let _ = self.answers.try_send((empty.freeze(), place));
    }

    /// Takes a message. What can be said at once is said; the rest is asked beside what else is asked.
    fn take(&mut self, frame: Bytes, place: OwnedSemaphorePermit) {
        let at = Instant::now();
        let desk = Arc::clone(&self.desk);
        let message = match self.decoded(frame) {
            Ok(message) => message,
            Err(answer) => return self.send(answer, place),
        };
        if message.mti().response().is_none() {
            return desk.count(&message, "not_asked", at);
        }
        if message.mti().class() == 8 {
            let answer = self.manage(&message);
            desk.count(&message, "network", at);
            return self.send(answer, place);
        }
        let question = match self.signed_on {
            true => desk.understand(&message, self.peer),
            false => Err(Refused::at(ResultCode::IssuerDown, "not_signed_on", 0)),
        };
        match question {
            Err(refused) => {
                let answer = desk.refuse(&message, refused, self.peer, at);
                self.send(answer, place);
            }
            Ok(question) => {
                let (answers, peer) = (self.answers.clone(), self.peer);
                self.open.spawn(async move {
                    if let Some(frame) = desk.attend(&message, question, peer, at).await.and_then(|m| desk.framed(&m)) {
                        // The writer is gone where the connection is; the acquirer will repeat or reverse.
                        let _ = answers.send((frame, place)).await;
                    }
                });
            }
        }
    }

    /// The message; one that cannot be read is answered as far as it can be, which `Err` gives.
    fn decoded(&self, frame: Bytes) -> Result<Message, Option<Bytes>> {
        let at = Instant::now();
        let error = match self.desk.own.translation.spec().decode(frame) {
            Ok(message) => return Ok(message),
            Err(error) => error,
        };
        let (code, path, offset) = (error.code(), error.path(), error.offset());
        tracing::warn!(door = self.name(), peer = %self.peer, code, path, offset, "a message cannot be read");
        let named = |partial: &Message| partial.has(11) && partial.mti().response().is_some();
        let partial = error.into_partial().filter(named).ok_or(None)?;
        self.desk.count(&partial, code, at);
        Err(self.desk.own.translation.answer(&partial, &Said::only(ResultCode::FormatError)))
    }

    fn send(&mut self, answer: Option<Bytes>, place: OwnedSemaphorePermit) {
        let Some(frame) = answer.and_then(|message| self.desk.framed(&message)) else { return };
        // There is room for as many answers as there are places.
        let _ = self.answers.try_send((frame, place));
    }

    /// Network management (class 8). A day of theirs that ends is noted and changes nothing: ours are the banks'.
    fn manage(&mut self, message: &Message) -> Option<Bytes> {
        let own = &self.desk.own;
        let function = own.network.function(message);
        match function {
            Function::SignOn => self.signed_on = true,
            Function::SignOff => self.signed_on = false,
            Function::Echo | Function::CutoverBegin | Function::CutoverEnd => {}
            Function::KeyChange | Function::KeyDemand | Function::Other => {
                tracing::warn!(door = self.name(), peer = %self.peer, ?function, "network management that is not known here");
                return own.translation.answer(message, &Said::only(ResultCode::NotSupported));
            }
        }
        tracing::info!(door = self.name(), peer = %self.peer, ?function, "network management");
        own.translation.spec().encode_to_bytes(&own.network.answer(message)?).ok()
    }

    /// Waits for what is open; the writer ends when the last answer is handed to it.
    async fn finish(self) {
        let Conversation { mut open, answers, .. } = self;
        drop(answers);
        while open.join_next().await.is_some() {}
    }
}

/// A message that is understood, and whose key is entered.
struct Question {
    asked: Asked,
    asker: Asker,
    acceptor: Acceptor,
    meaning: Meaning,
    key: IdempotencyKey,
    reference: String,
    wanted: Wanted,
    before: Before,
    _entered: Entered,
}

/// What comes of a question that is not told by the switch.
enum Unasked {
    /// It is refused.
    Refused(Refused),
    /// There is nothing to take back.
    Gone,
    /// Nothing can be said.
    Silent(&'static str),
}

impl From<Problem> for Unasked {
    fn from(problem: Problem) -> Unasked {
        told_of(&problem).map_or(Unasked::Silent(problem.code.name()), Unasked::Refused)
    }
}

impl From<Refused> for Unasked {
    fn from(refused: Refused) -> Unasked {
        Unasked::Refused(refused)
    }
}

impl Desk {
    fn framed(&self, message: &Bytes) -> Option<Bytes> {
        let mut frame = BytesMut::new();
        let put = self.own.framing.put(message, &mut frame);
        put.inspect_err(|error| tracing::error!(code = error.code(), "an answer does not fit into a frame")).ok()?;
        Some(frame.freeze())
    }

    /// Understands a message and enters its key, in the order of the wire.
    fn understand(&self, message: &Message, peer: IpAddr) -> Result<Question, Refused> {
        let settings = &self.own.settings;
        let asked = self.own.translation.asked(message, &settings.passed_over)?;
        let is_known = |id: &str| settings.acquirer_ids.iter().any(|known| known == id);
        if !settings.acquirer_ids.is_empty() && !asked.acquirer.as_deref().is_some_and(is_known) {
            return Err(Refused::at(ResultCode::NotAllowed, "acquirer_not_permitted", 32));
        }
        let (merchant, acceptor) = merchant_of(&self.door.register.now(), &settings.merchants, &asked)?;
        if !merchant.may_come_from(peer) {
            return Err(Refused::at(ResultCode::NotAllowed, Code::AddressNotPermitted.name(), 0));
        }
        let meaning = meaning(&asked)?;
        let naming = Naming { door: &settings.name, asked: &asked };
        let (key, reference, wanted) = (naming.key(), naming.reference(), Wanted::of(&naming, &merchant.id));
        let others = if matches!(meaning, Meaning::Follow(_)) { wanted.keys() } else { &[] };
        let (entered, before) = self.open.enter(&merchant.id, &key, others);
        let asker = Asker::at_own_door(merchant);
        Ok(Question { asked, asker, acceptor, meaning, key, reference, wanted, before, _entered: entered })
    }

    /// Asks, and writes the answer; `None` where there is none.
    async fn attend(&self, message: &Message, question: Question, peer: IpAddr, at: Instant) -> Option<Bytes> {
        let follows = match question.meaning {
            Meaning::Follow(follow) => Some(follow),
            Meaning::Begin(_) => None,
        };
        match self.ask(question).await {
            Ok(Answer::Told { payment, operation, .. }) => {
                let operation = payment.operation(operation)?;
                let said = said(operation, follows);
                self.count(message, said.result.name(), at);
                self.own.translation.answer(message, &said)
            }
            Ok(Answer::Refused(refusal)) => self.tell(message, refused_as(refusal.into(), follows), peer, at),
            Err(unasked) => self.tell(message, unasked, peer, at),
        }
    }

    /// What is told where the switch told nothing.
    fn tell(&self, message: &Message, unasked: Unasked, peer: IpAddr, at: Instant) -> Option<Bytes> {
        match unasked {
            Unasked::Gone => {
                self.count(message, "gone", at);
                let said = Said { is_reversal: true, ..Said::only(ResultCode::Approved) };
                self.own.translation.answer(message, &said)
            }
            Unasked::Refused(refused) => self.refuse(message, refused, peer, at),
            Unasked::Silent(code) => self.say_nothing(message, code, at),
        }
    }

    async fn ask(&self, question: Question) -> Result<Answer, Unasked> {
        let Question { mut asked, asker, acceptor, meaning, key, reference, wanted, before, _entered } = question;
        let limit = self.door.limits.answer_timeout();
        if !before.over(limit).await {
            return Err(Unasked::Silent(Code::NoAnswer.name()));
        }
        asker.counted()?;
        let place = asker.place()?;
        let credit = self.door.switchboard.credit()?;
        let fingerprint_key = &self.door.fingerprint_key;
        let built = match meaning {
            Meaning::Begin(kind) => {
                let who = (&*asker.merchant, acceptor);
                let how = (kind, self.own.settings.allow_partial, reference);
                begin(who, &mut asked, how, fresh_names(), fingerprint_key)?
            }
            Meaning::Follow(what) => {
                let original = self.original(&asked, what, wanted, &key).await?;
                follow(what, original, asked.amount, fingerprint_key)?
            }
        };
        let (command, fingerprint): (Command, Fingerprint) = command::permitted(&asker, built)?;
        drop(asked);
        let merchant = asker.merchant.id.clone();
        let provenance = None;
        let submission = |waiter| Submission { waiter, merchant, key, fingerprint, command, provenance };
        let answer = self.door.switchboard.submit(credit, submission)?;
        let answer = timeout(limit, answer).await;
        drop(place);
        answer.ok().and_then(Result::ok).ok_or(Unasked::Silent(Code::NoAnswer.name()))
    }

    /// The payment that a message is about.
    async fn original(
        &self,
        asked: &Asked,
        what: Follow,
        wanted: Wanted,
        key: &IdempotencyKey,
    ) -> Result<PaymentId, Unasked> {
        let found = from_store(&self.door, move |archive| wanted.find(archive)).await?;
        let accepts = self.own.settings.unknown_original == UnknownOriginal::Accepted;
        let (payment, number) = match found {
            Some(found) => found,
            None if what == Follow::TakeBack && accepts => return Err(Unasked::Gone),
            None => return Err(Refused::at(ResultCode::NotFound, Code::PaymentNotFound.name(), 0).into()),
        };
        let operation = payment.operation(number).ok_or(Unasked::Silent(Code::NoAnswer.name()))?;
        match what {
            Follow::TakeBack => match take_back(&payment, operation, key, asked.amount) {
                TakeBack::Ask => Ok(payment.id),
                TakeBack::Gone => Err(Unasked::Gone),
                TakeBack::No(refused) => Err(refused.into()),
            },
            _ => Ok(payment.id),
        }
    }

    fn refuse(&self, message: &Message, refused: Refused, peer: IpAddr, at: Instant) -> Option<Bytes> {
        let (code, element, stan) = (refused.code, refused.element, message.number(11));
        let door = self.own.settings.name.as_str();
        tracing::warn!(door, %peer, mti = %message.mti(), stan, code, element, "a message is refused");
        self.count(message, code, at);
        self.own.translation.answer(message, &Said::only(refused.result))
    }

    fn say_nothing(&self, message: &Message, code: &'static str, at: Instant) -> Option<Bytes> {
        let door = self.own.settings.name.as_str();
        tracing::warn!(door, mti = %message.mti(), stan = message.number(11), code, "a message is not answered");
        self.count(message, code, at);
        None
    }

    fn count(&self, message: &Message, outcome: &'static str, at: Instant) {
        // Of a message type the class alone: a peer could think of ten thousand types.
        let (door, class) = (self.own.settings.name.clone(), message.mti().class().to_string());
        metrics::counter!(ACQUIRER_MESSAGES, "door" => door.clone(), "class" => class, "outcome" => outcome)
            .increment(1);
        metrics::histogram!(ACQUIRER_SECONDS, "door" => door).record(at.elapsed());
    }
}

/// A refusal of the switch. What is not there, or not any more, needs no taking back.
fn refused_as(problem: Problem, follows: Option<Follow>) -> Unasked {
    let is_gone = matches!(problem.code, Code::NotAuthorized | Code::Voided);
    match follows {
        Some(Follow::TakeBack) if is_gone => Unasked::Gone,
        _ => problem.into(),
    }
}
