//! One link's two directions: frames in from the peer, answers out to it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::framing::{Frame, Framer, Framing};

use super::super::issuer::{Action, Link};
use super::WRITE_DEADLINE;
use super::booking::Arrival;

/// Batches of answers that wait for one peer to read.
const WAITING_BATCHES: usize = 256;

/// Answers that one link delays at a time.
const MOST_DELAYED: usize = 65_536;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1_024;

/// Bytes gathered before they are written.
const GATHERED_BYTES: usize = 256 * 1_024;

/// Something that is to happen on a link, at once or at a moment.
pub(super) struct Leaving {
    pub(super) at: Option<Instant>,
    pub(super) action: Action,
}

/// The way out of a link.
pub(super) type Outbox = mpsc::Sender<Vec<Leaving>>;

/// The way out of a link, and its other end.
pub(super) fn outbox() -> (Outbox, mpsc::Receiver<Vec<Leaving>>) {
    mpsc::channel(WAITING_BATCHES)
}

/// Reads frames until the peer, a fault or the stop ends it; says which.
pub(super) async fn read(
    link: Link,
    mut from: OwnedReadHalf,
    framing: Framing,
    inbox: &mpsc::Sender<Arrival>,
    outbox: &Outbox,
    stop: &CancellationToken,
) -> &'static str {
    let mut framer = Framer::new(framing);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        loop {
            match framer.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => {
                    if inbox.send(Arrival::Message(link, message)).await.is_err() {
                        return "the bank ends it";
                    }
                }
                // A full outbox drops the poll's answer; a peer that doesn't read won't miss it.
                Ok(Some(Frame::KeepAlive)) => {
                    let _ = outbox.try_send(vec![Leaving::now(Action::Send(Bytes::new()))]);
                }
                Err(error) => return error.code(),
            }
        }
        buffer.reserve(READ_BYTES);
        tokio::select! {
            () = stop.cancelled() => return "the bank ends it",
            () = outbox.closed() => return "the bank closed it",
            read = from.read_buf(&mut buffer) => match read {
                Ok(0) => return "the peer closed it",
                Ok(_) => {}
                Err(_) => return "the peer is gone",
            },
        }
    }
}

/// Writes answers as they come due until there can be no more, the peer is gone, or one of them is
/// to close the link. Dropping the receiver tells the reading side.
pub(super) async fn write(mut to: OwnedWriteHalf, mut leaving: mpsc::Receiver<Vec<Leaving>>, framing: Framing) {
    let mut due = Due { framing, delayed: BTreeMap::new(), order: 0, bytes: BytesMut::new(), closing: false };
    loop {
        let next = due.next();
        tokio::select! {
            batch = leaving.recv() => match batch {
                Some(batch) => due.take(batch),
                None => break,
            },
            () = sleep_until(next) => {}
        }
        while due.bytes.len() < GATHERED_BYTES
            && let Ok(batch) = leaving.try_recv()
        {
            due.take(batch);
        }
        due.ripen(Instant::now());
        if !flush(&mut to, &mut due.bytes).await || due.closing || due.delayed.len() > MOST_DELAYED {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn flush(to: &mut OwnedWriteHalf, bytes: &mut BytesMut) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let written = tokio::time::timeout(WRITE_DEADLINE, to.write_all(bytes)).await;
    bytes.clear();
    matches!(written, Ok(Ok(())))
}

/// What is due now, as bytes, and what is due later.
struct Due {
    framing: Framing,
    /// By moment, and by order among equals.
    delayed: BTreeMap<(Instant, u64), Action>,
    order: u64,
    bytes: BytesMut,
    closing: bool,
}

impl Due {
    fn next(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(moment, _)| *moment)
    }

    fn take(&mut self, batch: Vec<Leaving>) {
        for Leaving { at, action } in batch {
            match at {
                None => self.act(action),
                Some(moment) => {
                    self.order += 1;
                    self.delayed.insert((moment, self.order), action);
                }
            }
        }
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let action = entry.remove();
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        if self.closing {
            return;
        }
        match action {
            Action::Close => self.closing = true,
            Action::SendUnframed(bytes) => self.bytes.extend_from_slice(&bytes),
            Action::Send(message) if message.is_empty() => self.framing.put_keep_alive(&mut self.bytes),
            Action::Send(message) => {
                if let Err(error) = self.framing.put(&message, &mut self.bytes) {
                    tracing::warn!(code = error.code(), "an answer doesn't fit into a frame");
                }
            }
        }
    }
}
