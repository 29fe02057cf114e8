//! One link's two directions: frames in from the peer, answers out to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::framing::{Frame, Framer, Framing};

use super::super::issuer::{Action, Link, Manner};
use super::super::tape::{Direction, Tape};
use super::booking::Arrival;
use super::{WRITE_DEADLINE, now};

/// Batches of answers that wait for one peer to read.
const WAITING_BATCHES: usize = 256;

/// Answers that one link delays at a time.
const MOST_DELAYED: usize = 65_536;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1_024;

/// Bytes gathered before they are written.
const GATHERED_BYTES: usize = 256 * 1_024;

/// One link's share of the tape.
#[derive(Clone)]
pub(super) struct Track {
    pub(super) link: Link,
    pub(super) tape: Tape,
}

impl Track {
    fn note(&self, direction: Direction, message: &Bytes) {
        self.tape.note(now(), self.link, direction, message);
    }
}

/// Something that is to happen on a link, at once or at a moment.
pub(super) struct Leaving {
    pub(super) at: Option<Instant>,
    pub(super) action: Action,
    pub(super) manner: Manner,
}

/// The way out of a link.
pub(super) type Outbox = mpsc::Sender<Vec<Leaving>>;

/// The way out of a link, and its other end.
pub(super) fn outbox() -> (Outbox, mpsc::Receiver<Vec<Leaving>>) {
    mpsc::channel(WAITING_BATCHES)
}

/// Reads frames until the peer, a fault or the stop ends it; says which.
pub(super) async fn read(
    track: Track,
    from: &mut (impl AsyncRead + Unpin),
    framing: Framing,
    inbox: &mpsc::Sender<Arrival>,
    outbox: &Outbox,
    mut paused: watch::Receiver<Option<Instant>>,
    stop: &CancellationToken,
) -> &'static str {
    let mut framer = Framer::new(framing);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        loop {
            match framer.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => {
                    track.note(Direction::In, &message);
                    if inbox.send(Arrival::Message(track.link, message)).await.is_err() {
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
        let until = *paused.borrow_and_update();
        let pause = until.filter(|until| *until > Instant::now());
        tokio::select! {
            () = stop.cancelled() => return "the bank ends it",
            () = outbox.closed() => return "the bank closed it",
            () = sleep_until(pause), if pause.is_some() => {}
            Ok(()) = paused.changed() => {}
            read = from.read_buf(&mut buffer), if pause.is_none() => match read {
                Ok(0) => return "the peer closed it",
                Ok(_) => {}
                Err(_) => return "the peer is gone",
            },
        }
    }
}

/// Writes answers as they come due until there can be no more, the peer is gone, or one of them is
/// to end the link. Dropping the receiver tells the reading side. Gives its half back where the link is to
/// be reset, which takes both.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    mut to: W,
    mut leaving: mpsc::Receiver<Vec<Leaving>>,
    framing: Framing,
    track: Track,
    stop: CancellationToken,
) -> Option<W> {
    let mut due = Due { framing, track, delayed: BTreeMap::new(), order: 0, out: Vec::new(), ending: None };
    loop {
        let next = due.next();
        tokio::select! {
            batch = leaving.recv() => match batch {
                Some(batch) => due.take(batch),
                None => break,
            },
            () = sleep_until(next) => {}
        }
        while due.gathered() < GATHERED_BYTES
            && let Ok(batch) = leaving.try_recv()
        {
            due.take(batch);
        }
        due.ripen(Instant::now());
        if !flush(&mut to, &mut due.out, &stop).await || due.ending.is_some() || due.delayed.len() > MOST_DELAYED {
            break;
        }
    }
    match due.ending {
        Some(Ending::Reset) => Some(to),
        _ => {
            let _ = tokio::time::timeout(WRITE_DEADLINE, to.shutdown()).await;
            None
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Writes piece after piece; false where the peer is gone or doesn't read.
async fn flush(to: &mut (impl AsyncWrite + Unpin), out: &mut Vec<Piece>, stop: &CancellationToken) -> bool {
    for piece in out.drain(..) {
        if piece.pause > Duration::ZERO {
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(piece.pause) => {}
            }
        }
        let written = tokio::time::timeout(WRITE_DEADLINE, write_through(to, &piece.bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            return false;
        }
    }
    true
}

/// TLS keeps back what its socket didn't take at once, until it is flushed.
async fn write_through(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Bytes that are written at once, some time after those before them.
#[derive(Default)]
struct Piece {
    pause: Duration,
    bytes: BytesMut,
}

/// How the bank ends a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Reset,
}

/// What is due now, as pieces, and what is due later.
struct Due {
    framing: Framing,
    track: Track,
    /// By moment, and by order among equals.
    delayed: BTreeMap<(Instant, u64), (Action, Manner)>,
    order: u64,
    out: Vec<Piece>,
    ending: Option<Ending>,
}

impl Due {
    fn next(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(moment, _)| *moment)
    }

    fn gathered(&self) -> usize {
        self.out.iter().map(|piece| piece.bytes.len()).sum()
    }

    fn take(&mut self, batch: Vec<Leaving>) {
        for Leaving { at, action, manner } in batch {
            match at {
                None => self.act(action, manner),
                Some(moment) => {
                    self.order += 1;
                    self.delayed.insert((moment, self.order), (action, manner));
                }
            }
        }
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let (action, manner) = entry.remove();
            self.act(action, manner);
        }
    }

    fn act(&mut self, action: Action, manner: Manner) {
        if self.ending.is_some() {
            return;
        }
        match action {
            Action::Close => self.ending = Some(Ending::Close),
            Action::Reset => self.ending = Some(Ending::Reset),
            // The booking thread has seen to it.
            Action::PauseReading(_) => {}
            Action::SendUnframed(bytes) => {
                self.track.note(Direction::Out, &bytes);
                self.last().bytes.extend_from_slice(&bytes);
            }
            Action::Send(message) if message.is_empty() => {
                let mut poll = BytesMut::new();
                self.framing.put_keep_alive(&mut poll);
                self.last().bytes.unsplit(poll);
            }
            Action::Send(message) => {
                let mut frame = BytesMut::new();
                match self.framing.put(&message, &mut frame) {
                    Ok(()) => {
                        self.track.note(Direction::Out, &message);
                        self.put(frame, manner);
                    }
                    Err(error) => tracing::warn!(code = error.code(), "an answer doesn't fit into a frame"),
                }
            }
        }
    }

    /// The piece that more may be added to.
    fn last(&mut self) -> &mut Piece {
        if self.out.is_empty() {
            self.out.push(Piece::default());
        }
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// A frame behind what is there, in one piece or in several.
    fn put(&mut self, mut frame: BytesMut, manner: Manner) {
        let size = frame.len().div_ceil(usize::from(manner.pieces.max(1))).max(1);
        let first = frame.split_to(size.min(frame.len()));
        self.last().bytes.extend_from_slice(&first);
        while !frame.is_empty() {
            let bytes = frame.split_to(size.min(frame.len()));
            self.out.push(Piece { pause: manner.pause, bytes });
        }
    }
}
