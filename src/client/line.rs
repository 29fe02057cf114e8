//! Framed TLS: one connection, many requests in flight, answers in whatever order they come.
//!
//! Four bytes of length, the most significant first, and a JSON envelope, both ways. All who ask share the line and stay
//! on its thread: it lives in a [`LocalSet`](tokio::task::LocalSet). Frames that gather before the writer comes to them
//! leave in one write. Whoever gives a question up is not told its answer, which is thrown away when it comes.

use super::connection::{Connector, Sealed};
use super::{ClientError, Notation, Target};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, Notify, oneshot};

/// The longest answer that is taken for one.
const FRAME_BYTES: usize = 16 << 20;
/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// A line to a door's frames, made anew where it ended.
pub struct Line {
    connector: Connector,
    authorization: Option<String>,
    wire: Mutex<Option<Rc<Wire>>>,
}

/// What goes in one frame.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// `payments.create`.
    pub operation: &'a str,
    /// The payment that it is about.
    pub payment: Option<&'a str>,
    /// Its idempotency key.
    pub key: Option<&'a str>,
    /// The body, and how it is written.
    pub content: Option<(Notation, &'a str)>,
}

/// What came in one frame.
#[derive(Clone, Debug)]
pub struct FrameReply {
    /// As HTTP would say it.
    pub status: u16,
    /// How the body is written.
    pub notation: Notation,
    /// The body, or the problem.
    pub body: Bytes,
}

/// A connection that stands.
struct Wire {
    out: RefCell<BytesMut>,
    written: Notify,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<FrameReply>>>,
    last: Cell<u64>,
    ended: Cell<bool>,
}

#[derive(Serialize)]
struct Asking<'a> {
    id: u64,
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xml: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answering<'a> {
    id: Option<u64>,
    status: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    problem: Option<&'a RawValue>,
    #[serde(borrow)]
    sealed: Option<Cow<'a, str>>,
    #[serde(borrow)]
    xml: Option<Cow<'a, str>>,
}

impl Line {
    /// A line that is not connected yet. The envelope of the target is not looked at.
    pub fn new(target: &Target) -> Result<Line, ClientError> {
        let authorization = target.api_key.as_ref().map(|key| format!("Bearer {key}"));
        Ok(Line { connector: Connector::new(target)?, authorization, wire: Mutex::new(None) })
    }

    /// Another line to the same door, not connected yet.
    pub fn apart(&self) -> Line {
        let (connector, authorization) = (self.connector.clone(), self.authorization.clone());
        Line { connector, authorization, wire: Mutex::new(None) }
    }

    /// Connects where there is no connection.
    pub async fn connect(&self) -> Result<(), ClientError> {
        self.wire().await.map(drop)
    }

    /// Sends one question and awaits its answer; the API key is added.
    pub async fn ask(&self, question: Question<'_>) -> Result<FrameReply, ClientError> {
        let wire = self.wire().await?;
        let awaited = wire.expect();
        wire.put(awaited.id, question, self.authorization.as_deref())?;
        awaited.reply().await
    }

    async fn wire(&self) -> Result<Rc<Wire>, ClientError> {
        let mut place = self.wire.lock().await;
        if let Some(wire) = place.as_ref().filter(|wire| !wire.ended.get()) {
            return Ok(Rc::clone(wire));
        }
        let (read, write) = tokio::io::split(self.connector.seal().await?);
        let wire = Rc::new(Wire {
            out: RefCell::default(),
            written: Notify::new(),
            waiting: RefCell::default(),
            last: Cell::new(0),
            ended: Cell::new(false),
        });
        tokio::task::spawn_local(Rc::clone(&wire).write(write));
        tokio::task::spawn_local(Rc::clone(&wire).read(read));
        *place = Some(Rc::clone(&wire));
        Ok(wire)
    }
}

/// An answer that is awaited; nobody waits for it any more once this is dropped.
struct Awaited<'a> {
    wire: &'a Wire,
    id: u64,
    reply: oneshot::Receiver<FrameReply>,
}

impl Awaited<'_> {
    async fn reply(mut self) -> Result<FrameReply, ClientError> {
        (&mut self.reply).await.map_err(|_| ClientError::Answer("the line ended"))
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.wire.waiting.borrow_mut().remove(&self.id);
    }
}

impl Wire {
    fn expect(&self) -> Awaited<'_> {
        let (replied, reply) = oneshot::channel();
        let id = self.last.get() + 1;
        self.last.set(id);
        if !self.ended.get() {
            self.waiting.borrow_mut().insert(id, replied);
        }
        Awaited { wire: self, id, reply }
    }

    fn put(&self, id: u64, question: Question<'_>, authorization: Option<&str>) -> Result<(), ClientError> {
        let unsayable = |_| ClientError::Target("request");
        let Question { operation, payment, key: idempotency_key, content } = question;
        let text = |notation| content.filter(|(written, _)| *written == notation).map(|(_, text)| text);
        let body = text(Notation::Json).map(serde_json::from_str).transpose().map_err(unsayable)?;
        let (sealed, xml) = (text(Notation::Jose), text(Notation::Xml));
        let asking = Asking { id, operation, payment, idempotency_key, authorization, body, sealed, xml };
        let mut out = self.out.borrow_mut();
        let begins = out.len();
        out.put_u32(0);
        serde_json::to_writer((&mut *out).writer(), &asking).map_err(unsayable)?;
        let length = u32::try_from(out.len() - begins - 4).map_err(|_| ClientError::Target("request"))?;
        out[begins..begins + 4].copy_from_slice(&length.to_be_bytes());
        self.written.notify_one();
        Ok(())
    }

    async fn write(self: Rc<Wire>, mut write: WriteHalf<Sealed>) {
        loop {
            self.written.notified().await;
            let frames = self.out.take();
            if self.ended.get() || write.write_all(&frames).await.is_err() || write.flush().await.is_err() {
                return self.end();
            }
        }
    }

    async fn read(self: Rc<Wire>, mut read: ReadHalf<Sealed>) {
        let mut came = BytesMut::new();
        while self.take_all(&mut came) {
            came.reserve(READ_BYTES);
            if !matches!(read.read_buf(&mut came).await, Ok(1..)) {
                break;
            }
        }
        self.end();
    }

    /// Takes the frames that are there; `false` where what came is none.
    fn take_all(&self, came: &mut BytesMut) -> bool {
        while let Some(head) = came.first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if length > FRAME_BYTES {
                return false;
            }
            if came.len() < 4 + length {
                break;
            }
            came.advance(4);
            let frame = came.split_to(length).freeze();
            if !frame.is_empty() && self.take(&frame).is_none() {
                return false;
            }
        }
        true
    }

    fn take(&self, frame: &Bytes) -> Option<()> {
        let answering: Answering<'_> = serde_json::from_slice(frame).ok()?;
        let (notation, body) = match answering {
            Answering { body: Some(json), .. } | Answering { problem: Some(json), .. } => {
                (Notation::Json, frame.slice_ref(json.get().as_bytes()))
            }
            Answering { sealed: Some(token), .. } => (Notation::Jose, owned(frame, token)),
            Answering { xml: Some(xml), .. } => (Notation::Xml, owned(frame, xml)),
            _ => (Notation::Json, Bytes::new()),
        };
        let replied = self.waiting.borrow_mut().remove(&answering.id?);
        if let Some(replied) = replied {
            // Whoever asked may have given up meanwhile.
            let _ = replied.send(FrameReply { status: answering.status, notation, body });
        }
        Some(())
    }

    fn end(&self) {
        self.ended.set(true);
        self.waiting.take();
        self.written.notify_one();
    }
}

fn owned(frame: &Bytes, text: Cow<'_, str>) -> Bytes {
    match text {
        Cow::Borrowed(text) => frame.slice_ref(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    }
}
