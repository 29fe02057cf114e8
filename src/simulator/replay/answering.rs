//! A bank that answers as it was recorded, whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::framing::{Frame, Framer};
use crate::iso8583::Message;

use super::{Conversation, Exchange, Key, Manner, ReplayError};

/// Connections at a time.
const MOST_LINKS: usize = 64;

/// Answers requests as they were answered in the recording, until the stop. Requests that were recorded
/// more than once get the recorded answers in turn, and the last of them again and again; one that
/// wasn't recorded gets none.
pub async fn answer(
    conversation: &Conversation,
    listener: TcpListener,
    manner: &Manner,
    stop: CancellationToken,
) -> Result<(), ReplayError> {
    let script = Arc::new(Script::of(conversation, manner));
    let mut links = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(_) = links.join_next(), if !links.is_empty() => continue,
            accepted = listener.accept() => accepted?.0,
        };
        if links.len() < MOST_LINKS {
            links.spawn(converse(stream, script.clone(), manner.clone()));
        }
    }
}

async fn converse(mut stream: TcpStream, script: Arc<Script>, manner: Manner) {
    let mut framer = Framer::new(manner.framing.clone());
    let mut buffer = BytesMut::new();
    loop {
        let mut out = BytesMut::new();
        loop {
            match framer.decode(&mut buffer) {
                Ok(Some(Frame::Message(bytes))) => {
                    for answer in script.answers(bytes, &manner) {
                        // It was a frame's content when it was recorded.
                        let _ = manner.framing.put(&answer, &mut out);
                    }
                }
                Ok(Some(Frame::KeepAlive)) => manner.framing.put_keep_alive(&mut out),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if stream.write_all(&out).await.is_err() || !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// The recorded exchanges by key, and how many of each were played.
struct Script {
    exchanges: BTreeMap<Key, Vec<Exchange>>,
    played: Mutex<BTreeMap<Key, usize>>,
}

impl Script {
    fn of(conversation: &Conversation, manner: &Manner) -> Script {
        let mut exchanges: BTreeMap<Key, Vec<Exchange>> = BTreeMap::new();
        for exchange in &conversation.exchanges {
            exchanges.entry(manner.key_of(&exchange.request)).or_default().push(exchange.clone());
        }
        Script { exchanges, played: Mutex::default() }
    }

    fn answers(&self, bytes: Bytes, manner: &Manner) -> Vec<Bytes> {
        let Ok(request) = manner.spec.decode(bytes) else { return Vec::new() };
        let key = manner.key_of(&request);
        let Some(recorded) = self.exchanges.get(&key) else { return Vec::new() };
        let at = {
            let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
            let at = played.entry(key).or_insert(0);
            *at += 1;
            (*at - 1).min(recorded.len() - 1)
        };
        let Some(exchange) = recorded.get(at) else { return Vec::new() };
        exchange.answers.iter().filter_map(|(_, answer)| suited(answer, &exchange.request, &request, manner)).collect()
    }
}

/// The recorded answer with what it had echoed taken from the request that is answered now.
fn suited(answer: &Message, recorded: &Message, request: &Message, manner: &Manner) -> Option<Bytes> {
    if recorded.as_bytes() == request.as_bytes() {
        return Some(answer.as_bytes().clone());
    }
    let whole = |message: &Message, element| message.value(element).map(|value| value.whole_text().into_owned());
    let mut builder = answer.to_builder();
    for element in answer.elements() {
        let (said, echoed) = (whole(answer, element), whole(recorded, element));
        if let (true, Some(now)) = (said == echoed, whole(request, element)) {
            builder.set(element, now);
        }
    }
    manner.spec.encode_to_bytes(&builder).ok()
}
