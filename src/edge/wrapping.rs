//! How a request came wrapped, and how its answer goes: an answer wears what its request wore.

use super::Door;
use super::problem::{Code, Problem};
use crate::merchants::{Merchant, Sealing};
use axum::http::{HeaderMap, header};
use zeroize::Zeroizing;

/// The wrappings of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// JSON as it is.
    Plain,
}

/// What the content type of a POST says about its body.
pub(super) fn declared_wrapping(headers: &HeaderMap) -> Result<Wrapping, Problem> {
    let value = headers.get(header::CONTENT_TYPE).ok_or(Code::ContentType)?;
    let media_type = value.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
    match media_type {
        Some(json) if json.eq_ignore_ascii_case("application/json") => Ok(Wrapping::Plain),
        _ => Err(Code::ContentType.into()),
    }
}

/// How the answer to a request without a body goes.
pub(super) fn answer_wrapping(_headers: &HeaderMap, _merchant: &Merchant) -> Wrapping {
    Wrapping::Plain
}

impl Door {
    /// Takes the wrapping off.
    pub(super) async fn open(
        &self,
        merchant: &Merchant,
        declared: Wrapping,
        sent: Zeroizing<Vec<u8>>,
    ) -> Result<(Wrapping, Zeroizing<Vec<u8>>), Problem> {
        match merchant.sealing {
            Sealing::Required => Err(Code::SealingRequired.into()),
            Sealing::Optional => Ok((declared, sent)),
        }
    }

    /// Puts the wrapping on: content type and body.
    pub(super) fn wrap(
        &self,
        _merchant: &Merchant,
        wrapping: Wrapping,
        json: Zeroizing<Vec<u8>>,
    ) -> Result<(&'static str, Vec<u8>), Problem> {
        match wrapping {
            Wrapping::Plain => Ok(("application/json", json.to_vec())),
        }
    }
}
