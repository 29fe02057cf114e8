//! A recorded conversation played again: against a bank whose answers are compared with the recorded
//! ones, or as a bank that answers as it was recorded.
//!
//! Messages are told apart by a key, the message's class and function with some of its elements; a
//! repeat counts as its original. What the bank had asked of its own accord, and the answers to that,
//! are left out: the other side decides by itself when it asks. The surprise: an answer that is played
//! for a request with another STAN or time takes over whatever it had merely echoed, so it suits.

mod answering;
mod asking;

pub use answering::answer;
pub use asking::{Difference, Outcome, ask};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::framing::Framing;
use crate::iso8583::{Message, Spec, view};

use super::issuer::Link;
use super::tape::{Direction, MessageLine};

/// How a conversation is played.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The dialect.
    pub spec: Arc<Spec>,
    /// How messages are framed.
    pub framing: Framing,
    /// The elements by which, with the type, messages are told apart.
    pub key: Vec<u8>,
    /// Elements that may differ.
    pub ignored: Vec<u8>,
    /// How long an answer is waited for.
    pub patience: Duration,
}

/// Why a recording can't be played.
#[derive(Debug)]
pub enum ReplayError {
    /// It holds no bytes: it was recorded masked.
    Masked,
    /// A message in it can't be read in this dialect; its place on the tape.
    Unreadable(u64),
    /// It holds no request.
    Empty,
    /// The socket.
    Socket(std::io::Error),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masked => f.write_str("the recording holds no bytes; record with messages_unmasked = true"),
            Self::Unreadable(sequence) => {
                write!(f, "message {sequence} of the recording can't be read; is the dialect the right one?")
            }
            Self::Empty => f.write_str("the recording holds no request"),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<std::io::Error> for ReplayError {
    fn from(error: std::io::Error) -> Self {
        Self::Socket(error)
    }
}

/// Tells a message among others: its type, and the elements of the key.
pub(super) type Key = String;

/// A request of the recording, with the answers to it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) sequence: u64,
    pub(super) link: Link,
    pub(super) request: Message,
    /// With their places on the tape; none where the bank was silent.
    pub(super) answers: Vec<(u64, Message)>,
}

/// A recording as exchanges, in the order of their requests.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub(super) exchanges: Vec<Exchange>,
}

impl Conversation {
    /// Pairs the requests of a recording with their answers.
    pub fn of(lines: &[MessageLine], manner: &Manner) -> Result<Conversation, ReplayError> {
        let mut exchanges: Vec<Exchange> = Vec::new();
        let mut open: BTreeMap<Key, usize> = BTreeMap::new();
        for line in lines {
            let hex = line.hex.as_ref().ok_or(ReplayError::Masked)?;
            let bytes = data_encoding::HEXUPPER_PERMISSIVE.decode(hex.as_bytes());
            let bytes: Bytes = bytes.map_err(|_| ReplayError::Unreadable(line.sequence))?.into();
            // What the bank sent may have been spoiled on purpose; what it was sent has to be readable.
            let message = match (manner.spec.decode(bytes), line.direction) {
                (Ok(message), _) => message,
                (Err(_), Direction::Out) => continue,
                (Err(_), Direction::In) => return Err(ReplayError::Unreadable(line.sequence)),
            };
            match (line.direction, message.mti().is_response()) {
                (Direction::In, false) => {
                    open.insert(manner.key_of(&message), exchanges.len());
                    let (sequence, link) = (line.sequence, line.link);
                    exchanges.push(Exchange { sequence, link, request: message, answers: Vec::new() });
                }
                (Direction::Out, true) => {
                    let at = open.get(&manner.key_of(&message)).copied();
                    if let Some(exchange) = at.and_then(|at| exchanges.get_mut(at)) {
                        exchange.answers.push((line.sequence, message));
                    }
                }
                _ => {}
            }
        }
        if exchanges.is_empty() { Err(ReplayError::Empty) } else { Ok(Conversation { exchanges }) }
    }
}

impl Manner {
    /// The key of a request, or of the request that a response answers.
    pub(super) fn key_of(&self, message: &Message) -> Key {
        let [_, class, function, _] = message.mti().digits();
        let asked = function - u8::from(message.mti().is_response());
        let mut key = format!("{class}{asked}");
        for element in &self.key {
            key.push('|');
            key.push_str(message.text(*element).unwrap_or_default().trim());
        }
        key
    }
}

/// The elements of a message as they may be shown.
pub(super) fn shown(message: &Message) -> BTreeMap<u8, Value> {
    let fields = serde_json::to_value(view(message, true, true)).ok();
    let fields = fields.and_then(|mut whole| whole.get_mut("fields").map(Value::take));
    let Some(Value::Object(fields)) = fields else { return BTreeMap::new() };
    fields.into_iter().filter_map(|(element, value)| Some((element.parse().ok()?, value))).collect()
}
