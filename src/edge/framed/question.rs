//! A question in a frame: the envelope around JSON, XML or a JWE, as the HTTP request that asks the same; or a bare
//! document of CAPE, which names its own exchange.

use crate::edge::cape;
use crate::edge::problem::{Code, Problem};
use crate::payment::PaymentId;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// The longest `id` that is echoed, quotes included.
const ID_BYTES: usize = 130;

/// What goes around every question. Texts are borrowed from the frame, which is wiped when it was answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow, default)]
    payment: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    authorization: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sealed: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    xml: Option<Cow<'a, str>>,
}

/// How a question came, and so how its answer goes.
#[derive(Debug)]
pub(super) enum Manner {
    /// In an envelope, with the `id` by which the client knows the answer: a string or number, as it was written;
    /// where that could be read.
    Enveloped(Option<Box<RawValue>>),
    /// As a document, and nothing around it: the answer has its exchange identification.
    Bare,
}

/// A question that was understood as far as its envelope goes.
pub(super) struct Question {
    pub manner: Manner,
    /// The same question as the HTTPS door would be asked it.
    pub request: Request<Body>,
}

/// An envelope that asks nothing.
#[derive(Debug)]
pub(super) struct Unasked {
    pub manner: Manner,
    pub problem: Problem,
}

impl Unasked {
    fn unnamed(problem: Problem) -> Unasked {
        Unasked { manner: Manner::Enveloped(None), problem }
    }
}

/// The byte order mark, as UTF-8 has it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a frame is a document rather than an envelope.
fn is_document(frame: &[u8]) -> bool {
    frame.strip_prefix(MARK).unwrap_or(frame).trim_ascii_start().starts_with(b"<")
}

/// Reads a frame.
pub(super) fn read(frame: Zeroizing<Vec<u8>>) -> Result<Question, Unasked> {
    let frame = Bytes::from_owner(frame);
    if is_document(&frame) {
        return bare(frame);
    }
    let envelope: Envelope<'_> =
        serde_json::from_slice(&frame).map_err(|_| Unasked::unnamed(Code::EnvelopeInvalid.into()))?;
    if !is_id(envelope.id.get()) {
        return Err(Unasked::unnamed(Problem::at(Code::EnvelopeInvalid, "/id")));
    }
    let manner = Manner::Enveloped(Some(envelope.id.to_owned()));
    match request(&frame, envelope) {
        Ok(request) => Ok(Question { manner, request }),
        Err(problem) => Err(Unasked { manner, problem }),
    }
}

/// A document by itself is proved by the certificate of its connection, or not at all.
fn bare(frame: Bytes) -> Result<Question, Unasked> {
    let request = Request::post("/v1/cape").header(header::CONTENT_TYPE, "application/xml");
    // A refusal must name its exchange, too, however early it comes.
    let request = request.extension(cape::Whole(frame.clone())).body(Body::from(frame));
    let request = request.map_err(|_| Unasked { manner: Manner::Bare, problem: Code::EnvelopeInvalid.into() })?;
    Ok(Question { manner: Manner::Bare, request })
}

/// Whether it is a string or a number of bounded length.
fn is_id(text: &str) -> bool {
    text.len() <= ID_BYTES && text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

fn request(frame: &Bytes, envelope: Envelope<'_>) -> Result<Request<Body>, Problem> {
    let (method, target) = target(&envelope.operation, envelope.payment.as_deref())?;
    let mut request = Request::builder().method(method).uri(target);
    let fields = [
        (HeaderName::from_static("idempotency-key"), "/idempotency_key", Code::KeyInvalid, envelope.idempotency_key),
        (header::AUTHORIZATION, "/authorization", Code::Unauthenticated, envelope.authorization),
        (HeaderName::from_static("traceparent"), "/traceparent", Code::EnvelopeInvalid, envelope.traceparent),
    ];
    for (name, pointer, code, text) in fields {
        let Some(text) = text else { continue };
        let value = HeaderValue::from_str(&text).map_err(|_| Problem::at(code, pointer))?;
        request = request.header(name, value);
    }
    let content = match (envelope.body, envelope.sealed, envelope.xml) {
        (None, None, None) => None,
        (Some(json), None, None) => Some(("application/json", frame.slice_ref(json.get().as_bytes()))),
        (None, Some(token), None) => Some(("application/jose", content_of(frame, token))),
        (None, None, Some(xml)) => Some(("application/xml", content_of(frame, xml))),
        _ => return Err(Code::EnvelopeInvalid.into()),
    };
    let (content_type, body) = content.unzip();
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(Body::from(body.unwrap_or_default())).map_err(|_| Code::EnvelopeInvalid.into())
}

/// Which resource an operation is about, and how it is asked.
fn target(operation: &str, payment: Option<&str>) -> Result<(Method, String), Problem> {
    let Some(resource) = operation.strip_prefix("payments.") else {
        return Err(Problem::at(Code::OperationUnknown, "/operation"));
    };
    let (method, suffix) = match (resource, payment) {
        ("create", None) => return Ok((Method::POST, "/v1/payments".to_owned())),
        ("create", Some(_)) => return Err(Problem::at(Code::EnvelopeInvalid, "/payment")),
        ("get", _) => (Method::GET, ""),
        ("capture", _) => (Method::POST, "/captures"),
        ("increment", _) => (Method::POST, "/increments"),
        ("void", _) => (Method::POST, "/voids"),
        ("refund", _) => (Method::POST, "/refunds"),
        _ => return Err(Problem::at(Code::OperationUnknown, "/operation")),
    };
    let payment = payment.ok_or_else(|| Problem::at(Code::EnvelopeInvalid, "/payment"))?;
    let payment: PaymentId = payment.parse().map_err(|_| Problem::at(Code::PaymentNotFound, "/payment"))?;
    Ok((method, format!("/v1/payments/{payment}{suffix}")))
}

/// A text as a body: part of the frame where it stands there as it is, otherwise a copy that is wiped too.
fn content_of(frame: &Bytes, text: Cow<'_, str>) -> Bytes {
    match text {
        Cow::Borrowed(text) => frame.slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from_owner(Zeroizing::new(text.into_bytes())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PAYMENT: &str = "pay_0000000000000000000000000000002a";

    fn ask(text: &str) -> Result<Question, Unasked> {
        read(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn refused(text: &str) -> (&'static str, Option<String>, Option<String>) {
        let unasked = ask(text).err().unwrap();
        let id = match unasked.manner {
            Manner::Enveloped(id) => id.map(|id| id.get().to_owned()),
            Manner::Bare => Some("bare".to_owned()),
        };
        (unasked.problem.code.name(), unasked.problem.pointer, id)
    }

    async fn content(request: Request<Body>) -> Vec<u8> {
        axum::body::to_bytes(request.into_body(), 1000).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_question_is_the_request_that_asks_the_same() {
        let text = r#"{"id":"a","operation":"payments.create","idempotency_key":"k","authorization":"Bearer x",
            "body":{"a": 1}}"#;
        let Question { manner: Manner::Enveloped(Some(id)), request } = ask(text).unwrap() else { unreachable!() };
        assert_eq!((id.get(), request.method(), request.uri().path()), ("\"a\"", &Method::POST, "/v1/payments"));
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("idempotency-key"), header("authorization")), ("k".to_owned(), "Bearer x".to_owned()));
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(content(request).await, br#"{"a": 1}"#, "as it was written");
    }

    #[tokio::test]
    async fn texts_are_taken_out_of_their_quotes() {
        let ask = |member: &str| ask(&format!(r#"{{"id":1,"operation":"payments.create",{member}}}"#)).unwrap().request;
        for (member, content_type, expected) in [
            (r#""sealed":"a.b""#, "application/jose", "a.b"),
            (r#""sealed":"a\/b""#, "application/jose", "a/b"),
            (r#""xml":"<a b=\"c\"/>""#, "application/xml", "<a b=\"c\"/>"),
        ] {
            let request = ask(member);
            assert_eq!(request.headers()["content-type"], content_type);
            assert_eq!(content(request).await, expected.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_document_is_asked_as_it_is() {
        for text in ["<Document/>", "\u{feff}<?xml version='1.0'?><Document/>", " \n<Document/>"] {
            let Question { manner, request } = ask(text).unwrap();
            assert!(matches!(manner, Manner::Bare));
            assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/cape"));
            assert_eq!(content(request).await, text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn operations_are_resources() {
        let target =
            |operation: &str| target(operation, Some(PAYMENT)).map(|(method, path)| (method.to_string(), path));
        let path = |suffix: &str| format!("/v1/payments/{}{suffix}", PAYMENT.parse::<PaymentId>().unwrap());
        for (operation, method, suffix) in [
            ("payments.get", "GET", ""),
            ("payments.capture", "POST", "/captures"),
            ("payments.increment", "POST", "/increments"),
            ("payments.void", "POST", "/voids"),
            ("payments.refund", "POST", "/refunds"),
        ] {
            assert_eq!(target(operation).unwrap(), (method.to_owned(), path(suffix)), "{operation}");
        }
    }

    #[test]
    fn what_asks_nothing_is_told_by_its_id_where_it_has_one() {
        let invalid = |pointer: Option<&str>, id: Option<&str>| {
            ("envelope_invalid", pointer.map(str::to_owned), id.map(str::to_owned))
        };
        assert_eq!(refused("{"), invalid(None, None));
        assert_eq!(refused(r#"{"id":{},"operation":"payments.get"}"#), invalid(Some("/id"), None));
        assert_eq!(refused(r#"{"id":1,"operation":"payments.get","more":1}"#), invalid(None, None));
        assert_eq!(refused(r#"{"id":1,"operation":"payments.get"}"#), invalid(Some("/payment"), Some("1")));
        let two = r#"{"id":1,"operation":"payments.create","body":{},"xml":""}"#;
        assert_eq!(refused(two), invalid(None, Some("1")));
        assert_eq!(refused(r#"{"id":1,"operation":"payments.steal"}"#).0, "operation_unknown");
        assert_eq!(refused(r#"{"id":1,"operation":"payments.get","payment":"../keys"}"#).0, "payment_not_found");
        let key = r#"{"id":1,"operation":"payments.create","idempotency_key":"a\nb"}"#;
        assert_eq!(refused(key).0, "idempotency_key_invalid");
        let long = format!(r#"{{"id":"{}","operation":"payments.create"}}"#, "x".repeat(200));
        assert_eq!(refused(&long), invalid(Some("/id"), None));
    }
}
