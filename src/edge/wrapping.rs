//! How a request came wrapped, and how its answer goes: an answer wears what its request wore.

use super::Door;
use super::envelope::seal;
use super::problem::{Code, Problem};
use crate::merchants::{Merchant, Sealing};
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The wrappings of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// JSON as it is.
    Plain,
    /// A compact JWE.
    Jose,
    /// JSON with one member that is a compact JWE.
    EncData,
}

/// What stands around a token in [`Wrapping::EncData`].
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EncData {
    #[serde(rename = "encData")]
    token: String,
}

/// What the content type of a POST says about its body. JSON may still turn out to be [`Wrapping::EncData`].
pub(super) fn declared_wrapping(headers: &HeaderMap) -> Result<Wrapping, Problem> {
    let value = headers.get(header::CONTENT_TYPE).ok_or(Code::ContentType)?;
    let media_type = value.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
    match media_type {
        Some(json) if json.eq_ignore_ascii_case("application/json") => Ok(Wrapping::Plain),
        Some(jose) if jose.eq_ignore_ascii_case("application/jose") => Ok(Wrapping::Jose),
        _ => Err(Code::ContentType.into()),
    }
}

/// How the answer to a request without a body goes: sealed where the request accepts that or the merchant must have it.
pub(super) fn answer_wrapping(headers: &HeaderMap, merchant: &Merchant) -> Wrapping {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = accepts.split(',').any(|part| part.trim().starts_with("application/jose"));
    match merchant.payload_key {
        Some(_) if wanted || merchant.sealing == Sealing::Required => Wrapping::Jose,
        _ => Wrapping::Plain,
    }
}

impl Door {
    /// Takes the wrapping off and says which it was.
    pub(super) async fn open(
        &self,
        merchant: &Merchant,
        declared: Wrapping,
        sent: Zeroizing<Vec<u8>>,
    ) -> Result<(Wrapping, Zeroizing<Vec<u8>>), Problem> {
        let (wrapping, token) = match declared {
            Wrapping::Jose => (Wrapping::Jose, Zeroizing::new(sent.trim_ascii().to_vec())),
            _ => match serde_json::from_slice::<EncData>(&sent) {
                Ok(EncData { token }) => (Wrapping::EncData, Zeroizing::new(token.into_bytes())),
                Err(_) if merchant.sealing == Sealing::Required => return Err(Code::SealingRequired.into()),
                Err(_) => return Ok((Wrapping::Plain, sent)),
            },
        };
        if merchant.payload_key.is_none() {
            return Err(Code::PayloadKeyMissing.into());
        }
        let opened = self.opener.open(token).await.map_err(|_full| Code::Overloaded)?;
        let payload = opened.map_err(|_unreadable| Code::PayloadUnreadable)?;
        Ok((wrapping, payload))
    }

    /// Puts the wrapping on: content type and body.
    pub(super) fn wrap(
        &self,
        merchant: &Merchant,
        wrapping: Wrapping,
        json: Zeroizing<Vec<u8>>,
    ) -> Result<(&'static str, Vec<u8>), Problem> {
        if wrapping == Wrapping::Plain {
            return Ok(("application/json", json.to_vec()));
        }
        let key = merchant.payload_key.as_ref().ok_or(Code::NoAnswer)?;
        let token = seal(key, seconds_since_epoch(), json).map_err(|_not_sealed| Code::NoAnswer)?;
        match wrapping {
            Wrapping::EncData => {
                let body = serde_json::to_vec(&EncData { token }).expect("one text becomes JSON");
                Ok(("application/json", body))
            }
            _ => Ok(("application/jose", token.into_bytes())),
        }
    }
}

fn seconds_since_epoch() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_content_type_decides() {
        let declared = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            declared_wrapping(&headers).map_err(|problem| problem.code)
        };
        assert_eq!(declared("application/json"), Ok(Wrapping::Plain));
        assert_eq!(declared("Application/JSON; charset=utf-8"), Ok(Wrapping::Plain));
        assert_eq!(declared("application/jose"), Ok(Wrapping::Jose));
        assert_eq!(declared("text/plain"), Err(Code::ContentType));
        assert_eq!(declared("application/jsonx"), Err(Code::ContentType));
        assert_eq!(declared_wrapping(&HeaderMap::new()).unwrap_err().code, Code::ContentType);
    }
}
