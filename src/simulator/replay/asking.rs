//! The recorded requests sent to a bank, and its answers held against the recorded ones.
//!
//! A request goes out when the answers that were recorded before it are there or have been waited for,
//! so a conversation in which one message depends on another keeps its order. Each recorded link is a
//! connection of its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

use crate::framing::{Frame, Framer};
use crate::iso8583::Message;

use super::super::issuer::Link;
use super::{Conversation, Exchange, Key, Manner, ReplayError, shown};

/// How the answers compare.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Requests sent.
    pub sent: usize,
    /// Answers like the recorded ones.
    pub same: usize,
    /// Answers that differ.
    pub different: Vec<Difference>,
    /// Answers that were recorded and didn't come, by their places on the tape.
    pub missing: Vec<u64>,
    /// Answers that came where none was recorded.
    pub unexpected: usize,
}

/// An answer that differs from the recorded one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The recorded answer's place on the tape.
    pub sequence: u64,
    /// Its type.
    pub mti: String,
    /// The elements that differ, as recorded and as they came; masked.
    pub elements: BTreeMap<u8, (Option<Value>, Option<Value>)>,
}

impl Outcome {
    /// Whether everything was as recorded.
    pub fn is_same(&self) -> bool {
        self.different.is_empty() && self.missing.is_empty() && self.unexpected == 0
    }
}

/// Plays the requests against a bank.
pub async fn ask(conversation: &Conversation, bank: SocketAddr, manner: &Manner) -> Result<Outcome, ReplayError> {
    let mut asking = Asking { manner, outcome: Outcome::default(), lines: BTreeMap::new() };
    let mut later: VecDeque<&Exchange> = VecDeque::new();
    for exchange in &conversation.exchanges {
        // Whatever was answered before this request was sent is waited for first.
        while let Some(earlier) = later.front().filter(|earlier| is_over(earlier, exchange.sequence)) {
            asking.compare(earlier).await;
            later.pop_front();
        }
        asking.send(exchange, bank).await?;
        later.push_back(exchange);
    }
    for exchange in later {
        asking.compare(exchange).await;
    }
    asking.outcome.unexpected =
        asking.lines.values().map(|line| line.arrived.values().map(VecDeque::len).sum::<usize>()).sum();
    Ok(asking.outcome)
}

/// Whether an exchange's first answer had come before a place on the tape.
fn is_over(exchange: &Exchange, sequence: u64) -> bool {
    exchange.answers.first().is_some_and(|(at, _)| *at < sequence)
}

struct Asking<'a> {
    manner: &'a Manner,
    outcome: Outcome,
    lines: BTreeMap<Link, Line>,
}

impl Asking<'_> {
    async fn send(&mut self, exchange: &Exchange, bank: SocketAddr) -> Result<(), ReplayError> {
        let line = match self.lines.entry(exchange.link) {
            std::collections::btree_map::Entry::Occupied(line) => line.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(Line::connect(bank, self.manner).await?),
        };
        let mut frame = BytesMut::new();
        let framed = self.manner.framing.put(exchange.request.as_bytes(), &mut frame);
        framed.map_err(|_| ReplayError::Unreadable(exchange.sequence))?;
        line.stream.write_all(&frame).await?;
        self.outcome.sent += 1;
        Ok(())
    }

    /// Waits for the answers of an exchange and holds them against the recorded ones.
    async fn compare(&mut self, exchange: &Exchange) {
        let Some(line) = self.lines.get_mut(&exchange.link) else { return };
        let key = self.manner.key_of(&exchange.request);
        for (sequence, recorded) in &exchange.answers {
            let Some(answer) = line.answer(&key, self.manner).await else {
                self.outcome.missing.push(*sequence);
                continue;
            };
            let elements = differing(recorded, &answer, &self.manner.ignored);
            match elements.is_empty() && recorded.mti() == answer.mti() {
                true => self.outcome.same += 1,
                false => {
                    let mti = answer.mti().to_string();
                    self.outcome.different.push(Difference { sequence: *sequence, mti, elements });
                }
            }
        }
    }
}

fn differing(recorded: &Message, came: &Message, ignored: &[u8]) -> BTreeMap<u8, (Option<Value>, Option<Value>)> {
    let (before, now) = (shown(recorded), shown(came));
    let elements = before.keys().chain(now.keys()).copied().filter(|element| !ignored.contains(element));
    // Compared as they are, shown as they may be.
    let differs = |element: &u8| {
        let whole = |message: &Message| message.value(*element).map(|value| value.whole_text().into_owned());
        whole(recorded) != whole(came)
    };
    elements
        .filter(differs)
        .map(|element| (element, (before.get(&element).cloned(), now.get(&element).cloned())))
        .collect()
}

/// A connection to the bank, and the answers that came over it and weren't asked for yet.
struct Line {
    stream: TcpStream,
    framer: Framer,
    buffer: BytesMut,
    arrived: BTreeMap<Key, VecDeque<Message>>,
}

impl Line {
    async fn connect(bank: SocketAddr, manner: &Manner) -> Result<Line, ReplayError> {
        let stream = TcpStream::connect(bank).await?;
        let framer = Framer::new(manner.framing.clone());
        Ok(Line { stream, framer, buffer: BytesMut::new(), arrived: BTreeMap::new() })
    }

    /// The next answer with this key; `None` when patience or the connection has ended.
    async fn answer(&mut self, key: &Key, manner: &Manner) -> Option<Message> {
        let until = Instant::now() + manner.patience;
        loop {
            if let Some(answer) = self.arrived.get_mut(key).and_then(VecDeque::pop_front) {
                return Some(answer);
            }
            match self.framer.decode(&mut self.buffer) {
                Ok(Some(Frame::Message(bytes))) => {
                    let message = manner.spec.decode(bytes).ok().filter(|message| message.mti().is_response());
                    if let Some(message) = message {
                        self.arrived.entry(manner.key_of(&message)).or_default().push_back(message);
                    }
                }
                Ok(Some(Frame::KeepAlive)) => {}
                Ok(None) => {
                    let read = tokio::time::timeout_at(until.into(), self.stream.read_buf(&mut self.buffer)).await;
                    if !matches!(read, Ok(Ok(1..))) {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }
}
