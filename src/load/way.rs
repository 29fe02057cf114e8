//! How a merchant's request gets to the door and its answer back: alone on HTTPS, or in a frame among others.

use super::mix::Operation;
use crate::client::{ClientError, Lane, Line, Notation, Question, Target};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use std::rc::Rc;

/// A merchant's way to the door.
pub(super) enum Way {
    /// A connection of its own.
    Https(Lane),
    /// A connection that others use too.
    Frames(Rc<Line>),
}

/// A request that can be asked again.
#[derive(Clone)]
pub(super) struct Asked {
    /// What for.
    pub operation: Operation,
    /// The payment that it is about.
    pub payment: Option<String>,
    /// Its idempotency key; reading has none.
    pub key: Option<String>,
    /// How the body is written, and how the answer should be.
    pub notation: Notation,
    /// Empty where it is a reading.
    pub body: Bytes,
}

/// An answer, however it came.
pub(super) struct Answer {
    /// As HTTP says it.
    pub status: u16,
    /// How the body is written.
    pub notation: Notation,
    /// In whatever it is wrapped.
    pub body: Bytes,
}

impl Way {
    /// A way that is not connected yet.
    pub(super) fn new(target: &Target, is_framed: bool) -> Result<Way, ClientError> {
        match is_framed {
            false => Lane::new(target).map(Way::Https),
            true => Line::new(target).map(|line| Way::Frames(Rc::new(line))),
        }
    }

    /// The same way over a connection of its own.
    pub(super) fn apart(&self) -> Way {
        match self {
            Way::Https(lane) => Way::Https(lane.clone()),
            Way::Frames(line) => Way::Frames(Rc::new(line.apart())),
        }
    }

    /// Another customer's: the same connection in frames, one of its own on HTTPS.
    pub(super) fn another(&self) -> Way {
        match self {
            Way::Https(lane) => Way::Https(lane.clone()),
            Way::Frames(line) => Way::Frames(Rc::clone(line)),
        }
    }

    /// Connects where there is no connection.
    pub(super) async fn connect(&mut self) -> Result<(), ClientError> {
        match self {
            Way::Https(lane) => lane.connect().await,
            Way::Frames(line) => line.connect().await,
        }
    }

    /// Asks, and awaits the whole answer.
    pub(super) async fn ask(&mut self, asked: &Asked) -> Result<Answer, ClientError> {
        match self {
            Way::Https(lane) => {
                let reply = lane.ask(asked.request()?).await?;
                let notation = reply.notation();
                Ok(Answer { status: reply.status.as_u16(), notation, body: reply.body })
            }
            Way::Frames(line) => {
                let reply = line.ask(asked.question()?).await?;
                Ok(Answer { status: reply.status, notation: reply.notation, body: reply.body })
            }
        }
    }
}

impl Asked {
    fn request(&self) -> Result<Request<Full<Bytes>>, ClientError> {
        let media_type = self.notation.media_type();
        let request = match &self.key {
            None => Request::get(self.path()).header(ACCEPT, media_type),
            Some(key) => {
                Request::post(self.path()).header("idempotency-key", key.as_str()).header(CONTENT_TYPE, media_type)
            }
        };
        request.body(Full::new(self.body.clone())).map_err(|_| ClientError::Target("url"))
    }

    fn path(&self) -> String {
        let resource = match self.operation {
            Operation::Capture => "/captures",
            Operation::Void => "/voids",
            Operation::Refund => "/refunds",
            Operation::Sale | Operation::Authorize | Operation::Read | Operation::Repeat => "",
        };
        match &self.payment {
            Some(payment) => format!("/v1/payments/{payment}{resource}"),
            None => "/v1/payments".to_owned(),
        }
    }

    fn question(&self) -> Result<Question<'_>, ClientError> {
        let body = std::str::from_utf8(&self.body).map_err(|_| ClientError::Target("request"))?;
        Ok(Question {
            operation: match self.operation {
                Operation::Sale | Operation::Authorize | Operation::Repeat => "payments.create",
                Operation::Capture => "payments.capture",
                Operation::Void => "payments.void",
                Operation::Refund => "payments.refund",
                Operation::Read => "payments.get",
            },
            payment: self.payment.as_deref(),
            key: self.key.as_deref(),
            content: (!body.is_empty()).then_some((self.notation, body)),
        })
    }
}
