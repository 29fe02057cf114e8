//! One framed connection: reads questions as long as there is room for answers, writes answers as they come.
//!
//! A place is taken before a question is read and given back when its answer is written, so nothing here grows.

use super::question::Manner;
use super::{answer, question};
use crate::edge::authentication::Peer;
use crate::edge::cape;
use crate::edge::problem::{Code, Problem};
use crate::edge::settings::Limits;
use axum::Router;
use bytes::Bytes;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;
use zeroize::Zeroizing;

/// What is read from the connection at once.
const READ_BUFFER: usize = 16 * 1024;

/// Answers that wait are written together up to about this size.
const WRITE_BUFFER: usize = 64 * 1024;

/// An answer on its way out, and the place it holds.
type Outgoing = (Bytes, OwnedSemaphorePermit);

/// Serves a connection until its end: the client's, a fault's, an idle limit's or the door's.
pub(in crate::edge) async fn converse<S>(
    stream: S,
    peer: Peer,
    router: Router,
    limits: Arc<Limits>,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (answers, outgoing) = mpsc::channel(limits.frames_in_flight);
    let places = Arc::new(Semaphore::new(limits.frames_in_flight));
    let mut conversation = Conversation {
        peer,
        router,
        limits: Arc::clone(&limits),
        places,
        answers,
        open: JoinSet::new(),
        is_bare: false,
    };
    let mut writing = pin!(write_all(writer, outgoing, limits.frame_timeout()));
    tokio::select! {
        // Nobody to answer any more: what was asked goes on behind the door.
        _failed = writing.as_mut() => return,
        () = conversation.listen(BufReader::with_capacity(READ_BUFFER, reader)) => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    tokio::join!(conversation.finish(), writing).1.ok();
}

struct Conversation {
    peer: Peer,
    router: Router,
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    answers: mpsc::Sender<Outgoing>,
    open: JoinSet<()>,
    /// Whether the last question was a bare document.
    is_bare: bool,
}

impl Conversation {
    /// Reads and asks until the client is done, silent for too long, or not understood.
    async fn listen(&mut self, mut reader: impl AsyncRead + Unpin) {
        loop {
            let places = Arc::clone(&self.places);
            let place = places.acquire_owned().await.expect("the semaphore is never closed");
            match self.next(&mut reader).await {
                Ok(frame) if frame.is_empty() => {}
                Ok(frame) => self.ask(frame, place),
                Err(Unread::TooLong) => {
                    let manner = if self.is_bare { Manner::Bare } else { Manner::Enveloped(None) };
                    return self.tell(manner, Code::BodyTooLarge.into(), place);
                }
                Err(Unread::Ended) => return,
            }
            while self.open.try_join_next().is_some() {}
        }
    }

    /// The next frame; whoever has something open may be silent for longer.
    async fn next(&self, reader: &mut (impl AsyncRead + Unpin)) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let mut frame = pin!(read_frame(reader, &self.limits));
        loop {
            match timeout(self.limits.framed_idle_timeout(), frame.as_mut()).await {
                Ok(read) => return read,
                // One place is held for the frame that is awaited.
                Err(_silent) if self.places.available_permits() + 1 < self.limits.frames_in_flight => {}
                Err(_silent) => return Err(Unread::Ended),
            }
        }
    }

    fn ask(&mut self, frame: Zeroizing<Vec<u8>>, place: OwnedSemaphorePermit) {
        let mut asked = match question::read(frame) {
            Ok(asked) => asked,
            Err(unasked) => return self.tell(unasked.manner, unasked.problem, place),
        };
        self.is_bare = matches!(asked.manner, Manner::Bare);
        asked.request.extensions_mut().insert(self.peer.clone());
        let (router, answers) = (self.router.clone(), self.answers.clone());
        self.open.spawn(async move {
            let Ok(response) = router.oneshot(asked.request).await;
            send(&answers, answer::frame(&asked.manner, response).await, place).await;
        });
    }

    fn tell(&mut self, manner: Manner, problem: Problem, place: OwnedSemaphorePermit) {
        let answers = self.answers.clone();
        self.open.spawn(async move {
            let response = match manner {
                Manner::Bare => cape::reject(problem),
                Manner::Enveloped(_) => problem.into_response(),
            };
            send(&answers, answer::frame(&manner, response).await, place).await;
        });
    }

    /// Waits for what is open; the writer ends when the last answer is handed to it.
    async fn finish(self) {
        let Conversation { mut open, answers, .. } = self;
        drop(answers);
        while open.join_next().await.is_some() {}
    }
}

async fn send(answers: &mpsc::Sender<Outgoing>, frame: Option<Bytes>, place: OwnedSemaphorePermit) {
    let Some(frame) = frame else {
        tracing::error!("an answer could not be framed");
        return;
    };
    // The writer is gone where the connection is; the client will ask again with its key.
    let _ = answers.send((frame, place)).await;
}

/// Why there is no next frame.
#[derive(Debug)]
enum Unread {
    /// A length above the limit: what follows could be anything.
    TooLong,
    /// The connection ended or is as good as ended.
    Ended,
}

/// Reads one frame. What it holds is wiped when it is dropped.
async fn read_frame(reader: &mut (impl AsyncRead + Unpin), limits: &Limits) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let first = reader.read_u8().await.map_err(|_| Unread::Ended)?;
    let rest = async {
        let mut head = [first, 0, 0, 0];
        reader.read_exact(&mut head[1..]).await.map_err(|_| Unread::Ended)?;
        let length = usize::try_from(u32::from_be_bytes(head)).map_err(|_| Unread::TooLong)?;
        if length > limits.frame_bytes() {
            return Err(Unread::TooLong);
        }
        let mut frame = Zeroizing::new(vec![0; length]);
        reader.read_exact(&mut frame).await.map_err(|_| Unread::Ended)?;
        Ok(frame)
    };
    timeout(limits.frame_timeout(), rest).await.unwrap_or(Err(Unread::Ended))
}

/// Writes what is handed over, as much at once as waits, until nobody hands over any more.
pub(in crate::edge) async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Outgoing>,
    limit: Duration,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(WRITE_BUFFER);
    let mut places = Vec::new();
    while let Some((frame, place)) = outgoing.recv().await {
        buffer.extend_from_slice(&frame);
        places.push(place);
        while buffer.len() < WRITE_BUFFER
            && let Ok((frame, place)) = outgoing.try_recv()
        {
            buffer.extend_from_slice(&frame);
            places.push(place);
        }
        let write = async {
            writer.write_all(&buffer).await?;
            writer.flush().await
        };
        timeout(limit, write).await??;
        buffer.clear();
        places.clear();
    }
    timeout(limit, writer.shutdown()).await?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::routing::{get, post};
    use tokio::io::DuplexStream;

    const PAYMENT: &str = "pay_0000000000000000000000000000002a";

    fn limits(in_flight: usize) -> Limits {
        Limits { frames_in_flight: in_flight, ..Limits::default() }
    }

    fn impatient() -> Limits {
        Limits { frame_timeout_ms: 20, framed_idle_timeout_ms: 20, ..limits(2) }
    }

    /// A door that answers an echo at once, and the payment never.
    fn open(limits: Limits) -> (DuplexStream, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let echo = |body: String| async move { ([("content-type", "application/json")], body) };
        let router =
            Router::new().route("/v1/payments", post(echo)).route("/v1/payments/{id}", get(std::future::pending::<()>));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (stop, stopping) = watch::channel(false);
        let served = tokio::spawn(converse(far, Peer::NEARBY, router, Arc::new(limits), stopping));
        (near, stop, served)
    }

    async fn put(stream: &mut DuplexStream, text: &str) {
        stream.write_u32(text.len() as u32).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn take(stream: &mut DuplexStream) -> serde_json::Value {
        let length = stream.read_u32().await.unwrap();
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.unwrap();
        serde_json::from_slice(&frame).unwrap()
    }

    fn echo(id: u32) -> String {
        format!(r#"{{"id":{id},"operation":"payments.create","body":{{"n":{id}}}}}"#)
    }

    fn silence() -> String {
        format!(r#"{{"id":0,"operation":"payments.get","payment":"{PAYMENT}"}}"#)
    }

    #[tokio::test]
    async fn an_answer_overtakes_a_slower_one_and_empty_frames_are_not_answered() {
        let (mut client, _stop, _served) = open(limits(8));
        put(&mut client, &silence()).await;
        put(&mut client, "").await;
        for id in 1..=5 {
            put(&mut client, &echo(id)).await;
        }
        let mut ids = Vec::new();
        for _ in 1..=5 {
            let answer = take(&mut client).await;
            assert_eq!(answer["body"]["n"], answer["id"]);
            ids.push(answer["id"].as_u64().unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn no_more_is_read_than_may_be_in_flight() {
        let (mut client, _stop, served) = open(impatient());
        put(&mut client, &silence()).await;
        put(&mut client, &silence()).await;
        put(&mut client, &echo(1)).await;
        let answer = timeout(Duration::from_millis(200), take(&mut client)).await;
        assert!(answer.is_err() && !served.is_finished(), "the third waits unread, and the connection is not idle");
    }

    #[tokio::test]
    async fn a_silent_client_is_left_and_half_a_frame_is_silence() {
        for sent in [&b""[..], &[0, 0], &[0, 0, 0, 9, b'{']] {
            let (mut client, _stop, served) = open(impatient());
            client.write_all(sent).await.unwrap();
            timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_told_and_ends_the_conversation() {
        let (mut client, _stop, served) = open(limits(2));
        client.write_u32(u32::MAX).await.unwrap();
        let answer = take(&mut client).await;
        assert_eq!((&answer["id"], &answer["problem"]["code"]), (&serde_json::Value::Null, &"body_too_large".into()));
        served.await.unwrap();
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn an_envelope_that_asks_nothing_is_told_and_the_next_is_answered() {
        let (mut client, _stop, _served) = open(limits(2));
        put(&mut client, "[]").await;
        assert_eq!(take(&mut client).await["problem"]["code"], "envelope_invalid");
        put(&mut client, &echo(3)).await;
        assert_eq!(take(&mut client).await["body"]["n"], 3);
    }

    #[tokio::test]
    async fn a_door_that_closes_lets_open_questions_be_answered() {
        let (mut client, stop, served) = open(limits(2));
        put(&mut client, &echo(1)).await;
        // Asked, because the answer to what was put behind it is here.
        put(&mut client, &echo(2)).await;
        assert!(take(&mut client).await["id"].is_number());
        stop.send_replace(true);
        assert!(take(&mut client).await["id"].is_number());
        served.await.unwrap();
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
