//! What every request gets, whatever it asks for: a name that is echoed, its place in the metrics, a line in the log.

use super::Manners;
use super::access_log::{Asked, End, Entry};
use super::authentication::Peer;
use super::problem::Code;
use super::wrapping::seconds_since_epoch;
use crate::payment::Wall;
use crate::transaction::TraceParent;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::middleware::Next;
use std::sync::Arc;
use std::time::Instant;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names, measures and notes one request.
pub(super) async fn attend(State(manners): State<Arc<Manners>>, mut request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let log = manners.access_log.as_deref();
    let trace = trace_of(request.headers());
    let underway = log.map(|log| log.begin(entry(&mut request, begun, (&id, trace), matched.clone())));
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let mut response = next.run(request).await;
    let code = response.extensions().get::<Code>().map_or("", |code| code.name());
    let status = response.status().as_u16();
    tracing::debug!(request_id = ?id, trace = trace.map(|trace| trace.trace_id()), route, status, code, "answered");
    manners.meters.count(route, status, code, begun.elapsed());
    if let Some(underway) = underway {
        underway.end(End { status: Some(status), code, bytes_out: response.body().size_hint().exact() });
    }
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// What the access log is told of a request that begins; whoever finds out who asks notes it there.
fn entry(
    request: &mut Request,
    begun: Instant,
    (id, trace): (&HeaderValue, Option<TraceParent>),
    route: Option<MatchedPath>,
) -> Entry {
    let asked = Asked::default();
    let peer = request.extensions_mut().get_mut::<Peer>();
    let address = peer.map(|peer| {
        peer.asked = Some(asked.clone());
        peer.address
    });
    let at = Wall(seconds_since_epoch().saturating_mul(1_000_000));
    let (method, bytes_in) = (request.method().clone(), request.body().size_hint().exact());
    Entry { at, begun, asked, address, method, route, request_id: id.clone(), trace, bytes_in }
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
