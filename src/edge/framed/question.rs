//! A question in a frame: the envelope around JSON, XML or a JWE, as the HTTP request that asks the same; or a bare
//! document of CAPE, which names its own exchange.

use crate::edge::cape;
use crate::edge::problem::{Code, Problem};
use crate::edge::request::Metadata;
use crate::payment::PaymentId;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
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
    inquiry: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
    #[serde(default)]
    query: Option<Metadata>,
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
    let named = Named {
        payment: envelope.payment.as_deref(),
        inquiry: envelope.inquiry.as_deref(),
        token: envelope.token.as_deref(),
    };
    let (method, mut target) = target(&envelope.operation, &named)?;
    if let Some(Metadata(query)) = envelope.query {
        if method != Method::GET {
            return Err(Problem::at(Code::EnvelopeInvalid, "/query"));
        }
        let pairs = query.iter().map(|(name, text)| format!("{}={}", encoded(name), encoded(text)));
        target.extend(["?", &pairs.collect::<Vec<_>>().join("&")]);
    }
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

/// What an envelope names beside its operation.
#[derive(Default)]
struct Named<'a> {
    payment: Option<&'a str>,
    inquiry: Option<&'a str>,
    token: Option<&'a str>,
}

/// Operations on a resource that is named, and on none.
type Row = (&'static str, Method, &'static str);

/// What is asked of no resource that there is.
const UNNAMED: [Row; 6] = [
    ("payments.create", Method::POST, "/v1/payments"),
    ("payments.list", Method::GET, "/v1/payments"),
    ("verifications.create", Method::POST, "/v1/verifications"),
    ("balance-inquiries.create", Method::POST, "/v1/balance-inquiries"),
    ("tokens.create", Method::POST, "/v1/tokens"),
    ("tokens.list", Method::GET, "/v1/tokens"),
];

/// What is asked of a payment, by what follows its path.
const OF_PAYMENT: [Row; 5] = [
    ("payments.get", Method::GET, ""),
    ("payments.capture", Method::POST, "/captures"),
    ("payments.increment", Method::POST, "/increments"),
    ("payments.void", Method::POST, "/voids"),
    ("payments.refund", Method::POST, "/refunds"),
];

/// What is asked of an inquiry, by its path.
const OF_INQUIRY: [Row; 2] = [
    ("verifications.get", Method::GET, "/v1/verifications"),
    ("balance-inquiries.get", Method::GET, "/v1/balance-inquiries"),
];

/// What is asked of a token.
const OF_TOKEN: [Row; 2] = [("tokens.get", Method::GET, ""), ("tokens.delete", Method::DELETE, "")];

/// Which resource an operation is about, and how it is asked. What is named must be what it is about, and nothing else.
fn target(operation: &str, named: &Named<'_>) -> Result<(Method, String), Problem> {
    let of = |rows: &[Row]| rows.iter().find(|(name, _, _)| *name == operation).cloned();
    let (member, path) = if let Some((_, method, path)) = of(&UNNAMED) {
        ("", (method, path.to_owned()))
    } else if let Some((_, method, suffix)) = of(&OF_PAYMENT) {
        let text = named.payment.ok_or_else(|| Problem::at(Code::EnvelopeInvalid, "/payment"))?;
        let payment: PaymentId = text.parse().map_err(|_| Problem::at(Code::PaymentNotFound, "/payment"))?;
        ("/payment", (method, format!("/v1/payments/{payment}{suffix}")))
    } else if let Some((_, method, path)) = of(&OF_INQUIRY) {
        let text = named.inquiry.ok_or_else(|| Problem::at(Code::EnvelopeInvalid, "/inquiry"))?;
        let inquiry = plain(text).ok_or_else(|| Problem::at(Code::InquiryNotFound, "/inquiry"))?;
        ("/inquiry", (method, format!("{path}/{inquiry}")))
    } else if let Some((_, method, _)) = of(&OF_TOKEN) {
        let text = named.token.ok_or_else(|| Problem::at(Code::EnvelopeInvalid, "/token"))?;
        let token = plain(text).ok_or_else(|| Problem::at(Code::TokenNotFound, "/token"))?;
        ("/token", (method, format!("/v1/tokens/{token}")))
    } else {
        return Err(Problem::at(Code::OperationUnknown, "/operation"));
    };
    let given = [("/payment", named.payment), ("/inquiry", named.inquiry), ("/token", named.token)];
    match given.into_iter().find(|(other, text)| *other != member && text.is_some()) {
        Some((other, _)) => Err(Problem::at(Code::EnvelopeInvalid, other)),
        None => Ok(path),
    }
}

/// A name that stands in a path as it is.
fn plain(text: &str) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    ((1..=64).contains(&text.len()) && text.bytes().all(is_plain)).then_some(text)
}

/// A text as a query has it.
fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
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
        let told = |member: &str| {
            let request = ask(&format!(r#"{{"id":1,{member}}}"#)).unwrap().request;
            format!("{} {}", request.method(), request.uri())
        };
        let payment = |operation: &str| told(&format!(r#""operation":"{operation}","payment":"{PAYMENT}""#));
        let path = |method: &str, suffix: &str| format!("{method} /v1/payments/{PAYMENT}{suffix}");
        assert_eq!(payment("payments.get"), path("GET", ""));
        assert_eq!(payment("payments.capture"), path("POST", "/captures"));
        assert_eq!(payment("payments.increment"), path("POST", "/increments"));
        assert_eq!(payment("payments.void"), path("POST", "/voids"));
        assert_eq!(payment("payments.refund"), path("POST", "/refunds"));
        assert_eq!(told(r#""operation":"payments.list""#), "GET /v1/payments");
        assert_eq!(
            told(r#""operation":"payments.list","query":{"reference":"a b&c=d","limit":"5"}"#),
            "GET /v1/payments?limit=5&reference=a%20b%26c%3Dd"
        );
        assert_eq!(told(r#""operation":"verifications.create""#), "POST /v1/verifications");
        assert_eq!(told(r#""operation":"balance-inquiries.create""#), "POST /v1/balance-inquiries");
        assert_eq!(told(r#""operation":"verifications.get","inquiry":"ver_1""#), "GET /v1/verifications/ver_1");
        assert_eq!(told(r#""operation":"tokens.create""#), "POST /v1/tokens");
        assert_eq!(told(r#""operation":"tokens.get","token":"tok_1""#), "GET /v1/tokens/tok_1");
        assert_eq!(told(r#""operation":"tokens.delete","token":"tok_1""#), "DELETE /v1/tokens/tok_1");
    }

    #[test]
    fn what_is_named_is_what_the_operation_is_about() {
        let refused = |member: &str| {
            let (code, pointer, _) = refused(&format!(r#"{{"id":1,{member}}}"#));
            format!("{code} {}", pointer.unwrap_or_default())
        };
        assert_eq!(refused(r#""operation":"payments.list","payment":"p""#), "envelope_invalid /payment");
        assert_eq!(refused(r#""operation":"verifications.get""#), "envelope_invalid /inquiry");
        assert_eq!(refused(r#""operation":"verifications.get","inquiry":"../keys""#), "inquiry_not_found /inquiry");
        assert_eq!(refused(r#""operation":"tokens.delete","token":"a?b""#), "token_not_found /token");
        assert_eq!(refused(r#""operation":"tokens.delete","token":"a","inquiry":"b""#), "envelope_invalid /inquiry");
        assert_eq!(refused(r#""operation":"payments.create","query":{}"#), "envelope_invalid /query");
        let twice = r#""operation":"payments.list","query":{"limit":"1","limit":"2"}"#;
        assert_eq!(refused(twice), "envelope_invalid ");
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
