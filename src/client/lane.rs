//! A connection that is read and written by the task that asks: for load.
//!
//! [`Client`](super::Client) leaves its connection to a task of its own, which costs two wake-ups a request. Here the
//! caller's task does both, so that a generator on the machine that it measures takes as little of it as it can.
//! Between two requests nobody reads: an end of the connection is seen by the next request.

use super::connection::{Connector, Wire};
use super::{ClientError, Notation, Target};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use std::future::poll_fn;
use std::pin::{Pin, pin};

/// One connection to a door, made anew where it ended. Clones share what they know, never a connection.
pub struct Lane {
    connector: Connector,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    connection: Option<Connection>,
}

/// What takes requests, and what reads and writes as long as it is polled.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    wire: Pin<Box<Wire>>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, in whatever it is wrapped.
    pub body: Bytes,
}

impl Reply {
    /// How the body is written.
    pub fn notation(&self) -> Notation {
        Notation::of(&self.headers)
    }
}

impl Clone for Lane {
    fn clone(&self) -> Lane {
        let (host, authorization) = (self.host.clone(), self.authorization.clone());
        Lane { connector: self.connector.clone(), host, authorization, connection: None }
    }
}

impl Lane {
    /// A lane that is not connected yet. The envelope of the target is not looked at.
    pub fn new(target: &Target) -> Result<Lane, ClientError> {
        let connector = Connector::new(target)?;
        let host = HeaderValue::from_str(connector.authority()).map_err(|_| ClientError::Target("url"))?;
        let bearer = target.api_key.as_ref().map(|key| HeaderValue::from_str(&format!("Bearer {key}")));
        let mut authorization = bearer.transpose().map_err(|_| ClientError::Target("API key"))?;
        authorization.iter_mut().for_each(|value| value.set_sensitive(true));
        Ok(Lane { connector, host, authorization, connection: None })
    }

    /// Connects where there is no connection.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        if self.connection.is_none() {
            let (sender, wire) = self.connector.open().await?;
            self.connection = Some(Connection { sender, wire: Box::pin(wire) });
        }
        Ok(())
    }

    /// Sends one request and awaits the whole answer; host and API key are added. Whoever drops the future before it is
    /// done hangs up: a late answer cannot be taken for that of the next request.
    pub async fn ask(&mut self, mut request: Request<Full<Bytes>>) -> Result<Reply, ClientError> {
        request.headers_mut().insert(HOST, self.host.clone());
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        self.connect().await?;
        let Some(Connection { mut sender, mut wire }) = self.connection.take() else {
            return Err(ClientError::Target("url"));
        };
        let reply = beside(&mut wire, async {
            sender.ready().await?;
            let (head, content) = sender.send_request(request).await?.into_parts();
            let body = content.collect().await?.to_bytes();
            Ok::<_, ClientError>(Reply { status: head.status, headers: head.headers, body })
        })
        .await?;
        if !sender.is_closed() {
            self.connection = Some(Connection { sender, wire });
        }
        Ok(reply)
    }
}

/// Polls a future, and the connection that it depends on.
async fn beside<T>(
    wire: &mut Pin<Box<Wire>>,
    asking: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let mut asking = pin!(asking);
    let mut ended = false;
    poll_fn(|cx| {
        let first = asking.as_mut().poll(cx);
        if first.is_ready() || ended {
            return first;
        }
        // What ended it is told to the request that waits for its answer.
        ended = wire.as_mut().poll(cx).is_ready();
        asking.as_mut().poll(cx)
    })
    .await
}
