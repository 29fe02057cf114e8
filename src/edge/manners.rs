//! What every request gets, whatever it asks for: a name that is echoed, and its place in the metrics.

use super::measure::{REQUEST_SECONDS, REQUESTS};
use super::problem::Code;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::middleware::Next;
use std::time::Instant;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names and measures one request.
pub(super) async fn attend(request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let mut response = next.run(request).await;
    let code = response.extensions().get::<Code>().map_or("", |code| code.name());
    let status = response.status().as_str().to_owned();
    tracing::debug!(request_id = ?id, route, status, code, "answered");
    metrics::histogram!(REQUEST_SECONDS, "route" => route.clone()).record(begun.elapsed());
    metrics::counter!(REQUESTS, "route" => route, "status" => status, "code" => code).increment(1);
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
