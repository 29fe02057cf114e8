//! An answer in a frame: what the HTTPS door would say, in the envelope of the question or as bare as that was.

use super::question::Manner;
use axum::body::Body;
use axum::http::{HeaderMap, Response, header};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

/// The most that an answer may take; ours are a few kilobytes.
const ANSWER_BYTES: usize = 8 << 20;

#[derive(Serialize)]
struct Envelope<'a> {
    /// Null where the question had none that could be read.
    id: Option<&'a RawValue>,
    status: u16,
    /// Whether the same answer was given before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// Seconds after which asking again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xml: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a RawValue>,
}

/// The frame that answers a question; `None` where the response is none of ours.
pub(super) async fn frame(manner: &Manner, response: Response<Body>) -> Option<Bytes> {
    let (parts, body) = response.into_parts();
    let content = axum::body::to_bytes(body, ANSWER_BYTES).await.ok()?;
    let id = match manner {
        Manner::Enveloped(id) => id.as_deref(),
        Manner::Bare => return bare(&parts.headers, &content),
    };
    let json = || serde_json::from_slice::<&RawValue>(&content).ok();
    let text = || std::str::from_utf8(&content).ok();
    let mut envelope = Envelope {
        id,
        status: parts.status.as_u16(),
        replayed: parts.headers.contains_key("idempotent-replayed"),
        retry_after: text_of(&parts.headers, header::RETRY_AFTER).and_then(|text| text.parse().ok()),
        body: None,
        sealed: None,
        xml: None,
        problem: None,
    };
    match text_of(&parts.headers, header::CONTENT_TYPE)? {
        "application/json" => envelope.body = Some(json()?),
        "application/jose" => envelope.sealed = Some(text()?),
        "application/xml" => envelope.xml = Some(text()?),
        _ => envelope.problem = Some(json()?),
    }
    framed(&envelope)
}

/// A document by itself; its own header says which question it answers.
fn bare(headers: &HeaderMap, document: &[u8]) -> Option<Bytes> {
    let is_document = text_of(headers, header::CONTENT_TYPE)? == "application/xml";
    let length = u32::try_from(document.len()).ok().filter(|_| is_document)?;
    let mut frame = BytesMut::with_capacity(document.len() + 4);
    frame.put_u32(length);
    frame.put_slice(document);
    Some(frame.freeze())
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn framed(envelope: &Envelope<'_>) -> Option<Bytes> {
    let mut frame = BytesMut::with_capacity(1024);
    frame.put_u32(0);
    let mut writer = frame.writer();
    serde_json::to_writer(&mut writer, envelope).ok()?;
    let mut frame = writer.into_inner();
    let length = u32::try_from(frame.len() - 4).ok()?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Some(frame.freeze())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::edge::problem::{Code, Problem};

    async fn told(id: Option<&str>, response: Response<Body>) -> String {
        let id = id.map(|id| serde_json::from_str::<Box<RawValue>>(id).unwrap());
        let frame = frame(&Manner::Enveloped(id), response).await.unwrap();
        assert_eq!(frame[..4], ((frame.len() - 4) as u32).to_be_bytes());
        String::from_utf8(frame[4..].to_vec()).unwrap()
    }

    fn response(content_type: &str, body: &'static str) -> Response<Body> {
        let response = Response::builder().status(201).header("content-type", content_type);
        response.body(Body::from(body)).unwrap()
    }

    #[tokio::test]
    async fn each_kind_of_answer_has_its_member() {
        let json = response("application/json", r#"{"id": "p"}"#);
        assert_eq!(told(Some("7"), json).await, r#"{"id":7,"status":201,"body":{"id": "p"}}"#);
        let sealed = response("application/jose", "a.b");
        assert_eq!(told(Some("\"x\""), sealed).await, r#"{"id":"x","status":201,"sealed":"a.b"}"#);
        let xml = response("application/xml", "<p a=\"1\"/>");
        assert_eq!(told(Some("1"), xml).await, r#"{"id":1,"status":201,"xml":"<p a=\"1\"/>"}"#);
    }

    #[tokio::test]
    async fn a_bare_question_gets_a_bare_answer() {
        let frame = frame(&Manner::Bare, response("application/xml", "<Document/>")).await.unwrap();
        assert_eq!(frame, b"\0\0\0\x0b<Document/>"[..]);
    }

    #[tokio::test]
    async fn what_headers_would_say_stands_in_the_envelope() {
        let mut again = response("application/json", "{}");
        again.headers_mut().insert("idempotent-replayed", "true".parse().unwrap());
        assert_eq!(told(Some("1"), again).await, r#"{"id":1,"status":201,"replayed":true,"body":{}}"#);
        let refused = told(None, Problem::from(Code::Overloaded).into_response()).await;
        let expected = r#"{"id":null,"status":503,"retry_after":1,"problem":{"title":"#;
        assert!(refused.starts_with(expected), "{refused}");
    }
}
