//! What every request gets, whatever it asks for: a name that is echoed, and its place in the metrics.

use super::meters::Meters;
use super::problem::Code;
use crate::transaction::TraceParent;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::middleware::Next;
use std::sync::Arc;
use std::time::Instant;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names and measures one request.
pub(super) async fn attend(State(meters): State<Arc<Meters>>, request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let mut response = next.run(request).await;
    let code = response.extensions().get::<Code>().map_or("", |code| code.name());
    let status = response.status().as_u16();
    tracing::debug!(request_id = ?id, route, status, code, "answered");
    meters.count(route, status, code, begun.elapsed());
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// The request's own name where it is 1 to 128 visible ASCII characters, otherwise a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let usable =
        |value: &&HeaderValue| (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match headers.get(&REQUEST_ID).filter(usable) {
        Some(given) => given.clone(),
        None => HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).expect("a UUID is visible ASCII"),
    }
}

/// The trace that a request says it is part of; one that is written wrong, or twice, counts as none.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    TraceParent::parse(value.to_str().ok()?)
}
