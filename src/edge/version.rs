//! `Isthmus-Version`: the dated version of this API that a client was written for.
//!
//! What is added keeps the date: a client leaves alone what it does not know. Where something a client may rely on has
//! to change, a new date comes beside the old ones, and each request is answered as its own date says. There is one
//! date so far, so all there is to do is to refuse the others and to name it on every answer.

use super::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::middleware::Next;

/// The versions that are spoken, the current one last.
pub const VERSIONS: &[&str] = &[CURRENT];

const CURRENT: &str = "2026-11-22";

static HEADER: HeaderName = HeaderName::from_static("isthmus-version");

/// Refuses a request in a version that is not spoken, and names the version of each answer.
pub(super) async fn attend(request: Request, next: Next) -> Response<Body> {
    let mut response = match is_spoken(request.headers()) {
        true => next.run(request).await,
        false => Problem::from(Code::VersionUnknown).into_response(),
    };
    response.headers_mut().insert(HEADER.clone(), HeaderValue::from_static(CURRENT));
    response
}

fn is_spoken(headers: &HeaderMap) -> bool {
    headers.get_all(&HEADER).iter().all(|named| VERSIONS.iter().any(|version| *named == *version))
}
