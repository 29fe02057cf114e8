//! Reading a body within its bounds: so many bytes, so much time, all of it.

use super::problem::{Code, Problem};
use super::settings::Limits;
use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;
use zeroize::Zeroizing;

/// How far an oversized body is read on and thrown away, so that its sender comes to read the refusal.
const DISCARDED: usize = 1024 * 1024;

/// Reads a whole body. The buffer has its size from the beginning, so that no copy of a card number is left behind.
pub(super) async fn read(body: Body, limits: &Limits) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let reading = tokio::time::timeout(limits.body_timeout(), read_all(body, limits.body_bytes));
    reading.await.unwrap_or_else(|_elapsed| Err(Code::BodyTimeout.into()))
}

async fn read_all(mut body: Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = body.size_hint().exact().map_or(limit, |bytes| usize::try_from(bytes).unwrap_or(limit));
    let mut content = Zeroizing::new(Vec::with_capacity(announced.min(limit)));
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Code::BodyIncomplete)?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        match length {
            fits if fits <= limit => content.extend_from_slice(data),
            lost if lost > DISCARDED => break,
            _ => {}
        }
    }
    if length > limit { Err(Code::BodyTooLarge.into()) } else { Ok(content) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_body_may_be_as_long_as_its_limit() {
        let limits = Limits { body_bytes: 8, ..Limits::default() };
        assert_eq!(&**read(Body::from("12345678"), &limits).await.unwrap(), b"12345678");
        let refused = read(Body::from("123456789"), &limits).await.unwrap_err();
        assert_eq!(refused.code, Code::BodyTooLarge);
    }
}
