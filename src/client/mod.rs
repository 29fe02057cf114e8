//! A merchant's side of the door: one TLS connection, used again while it lasts, and requests that are timed.
//!
//! It shares no code with [`crate::edge`], the envelope least of all, so that the two test each other. It retries
//! nothing: whoever asks again does so under the same idempotency key, and knows why.

mod connection;
mod envelope;
mod lane;
mod line;

pub use envelope::{Cipher, Envelope, Form};
pub use lane::{Lane, Reply};
pub use line::{FrameReply, Line, Question};

use bytes::Bytes;
use connection::Connector;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How to reach a door, and as whom. It holds secrets and does not print.
#[derive(Clone)]
pub struct Target {
    /// `https://HOST:PORT`, nothing behind it; `tls://HOST:PORT` where frames are spoken.
    pub url: String,
    /// PEM: whom to trust.
    pub ca_pem: Vec<u8>,
    /// PEM: certificate chain and private key to present.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
    /// Sent as bearer token.
    pub api_key: Option<String>,
    /// Seals requests and opens answers.
    pub envelope: Option<Envelope>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// JSON.
    Json,
    /// A compact JWE.
    Jose,
    /// XML.
    Xml,
}

impl Notation {
    /// As HTTP calls it.
    pub fn media_type(self) -> &'static str {
        match self {
            Notation::Json => "application/json",
            Notation::Jose => "application/jose",
            Notation::Xml => "application/xml",
        }
    }

    /// How the body of an answer is written, by its headers: a problem is JSON.
    fn of(headers: &HeaderMap) -> Notation {
        let is = |notation: Notation| headers.get(CONTENT_TYPE).is_some_and(|value| value == notation.media_type());
        [Notation::Jose, Notation::Xml].into_iter().find(|notation| is(*notation)).unwrap_or(Notation::Json)
    }
}

/// A merchant's client with one connection.
pub struct Client {
    connector: Connector,
    api_key: Option<String>,
    envelope: Option<Envelope>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer, and how long it took.
#[derive(Clone, Debug)]
pub struct Trip {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The JSON of the body, taken out of its envelope; `Null` for an empty one, for XML and for HTML.
    pub body: Value,
    /// The JSON of the request, before it went into its envelope; `Null` where it was not this client's to wrap.
    pub asked: Value,
    /// What went over the wire as the request's body.
    pub sent: Bytes,
    /// What came over the wire as the answer's body.
    pub received: Bytes,
    /// From the first byte sent to the last one received, without connecting.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The target is not usable: its URL, certificates or keys.
    #[error("the target's {0} is not usable")]
    Target(&'static str),
    /// The connection cannot be made.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection ended before the whole answer was there.
    #[error("the connection failed: {0}")]
    Connection(#[from] hyper::Error),
    /// The answer is not what this client understands.
    #[error("the answer is not readable: {0}")]
    Answer(&'static str),
}

impl Trip {
    /// Whether the request went in an envelope.
    pub fn is_sealed(&self) -> bool {
        self.asked != Value::Null && self.asked.to_string().as_bytes() != self.sent
    }

    /// Whether the answer was given before.
    pub fn is_replay(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }
}

impl Client {
    /// A client that connects with its first request.
    pub fn new(target: &Target) -> Result<Client, ClientError> {
        let (api_key, envelope) = (target.api_key.clone(), target.envelope.clone());
        Ok(Client { connector: Connector::new(target)?, api_key, envelope, connection: None })
    }

    /// Asks for something new, under a key.
    pub async fn post(&mut self, path: &str, key: &str, body: &Value) -> Result<Trip, ClientError> {
        let request = self.request(Method::POST, path).header("idempotency-key", key);
        let (content_type, wrapped) = self.wrap(body)?;
        let trip = self.send(request.header(CONTENT_TYPE, content_type), wrapped).await?;
        Ok(Trip { asked: body.clone(), ..trip })
    }

    /// Reads; sealed where this client seals.
    pub async fn get(&mut self, path: &str) -> Result<Trip, ClientError> {
        let request = self.request(Method::GET, path);
        let accepted = if self.envelope.is_some() { "application/jose" } else { "application/json" };
        self.send(request.header(ACCEPT, accepted), Bytes::new()).await
    }

    fn wrap(&self, body: &Value) -> Result<(&'static str, Bytes), ClientError> {
        let Some(envelope) = &self.envelope else { return Ok(("application/json", body.to_string().into())) };
        let token = envelope.seal(body.to_string().as_bytes())?;
        Ok(match envelope.form() {
            Form::Jose => ("application/jose", token.into()),
            Form::EncData => ("application/json", json!({ "encData": token }).to_string().into()),
        })
    }

    /// The JSON of an answer. Only what says that it is sealed is opened: problems never are.
    fn unwrap(&self, headers: &HeaderMap, received: &[u8]) -> Result<Value, ClientError> {
        let is = |media_type: &str| headers.get(CONTENT_TYPE).is_some_and(|value| value == media_type);
        if received.is_empty() || is("application/xml") || is("text/html; charset=utf-8") {
            return Ok(Value::Null);
        }
        let jose = is("application/jose");
        let json: Value = match (jose, &self.envelope) {
            (true, Some(envelope)) => return parse(&envelope.open(text(received)?)?),
            (true, None) => return Err(ClientError::Answer("sealed, and this client has no key")),
            (false, _) => parse(received)?,
        };
        match (json["encData"].as_str(), &self.envelope) {
            (Some(token), Some(envelope)) => parse(&envelope.open(token)?),
            _ => Ok(json),
        }
    }

    /// A request of one's own making: host and API key are there already.
    pub fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(HOST, self.connector.authority());
        match &self.api_key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {key}")),
            None => request,
        }
    }

    /// Sends a request of one's own making.
    pub async fn send(&mut self, request: hyper::http::request::Builder, body: Bytes) -> Result<Trip, ClientError> {
        let sent = body;
        let request = request.body(Full::new(sent.clone())).map_err(|_| ClientError::Target("request"))?;
        let mut connection = self.ready_connection().await?;
        let begun = Instant::now();
        let answer = connection.send_request(request).await?;
        let (head, content) = answer.into_parts();
        let received = content.collect().await?.to_bytes();
        let took = begun.elapsed();
        self.connection = Some(connection);
        let body = self.unwrap(&head.headers, &received)?;
        Ok(Trip { status: head.status, headers: head.headers, asked: Value::Null, body, sent, received, took })
    }

    /// Ends the connection; the next request makes a new one.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// The connection there is, if it still takes requests, or a new one.
    async fn ready_connection(&mut self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            return Ok(connection);
        }
        self.connector.connect().await
    }
}

fn parse(json: &[u8]) -> Result<Value, ClientError> {
    serde_json::from_slice(json).map_err(|_| ClientError::Answer("not JSON"))
}

fn text(bytes: &[u8]) -> Result<&str, ClientError> {
    std::str::from_utf8(bytes).map_err(|_| ClientError::Answer("not text"))
}
