//! How a request came wrapped, and how its answer goes: an answer wears what its request wore.

use super::Door;
use super::envelope::{Sealed, seal, seal_xml};
use super::problem::{Code, Problem};
use super::sealed_body::{self, Member, Parts};
use super::xml::{self, SealedDocument};
use crate::merchants::{Merchant, Sealing, Signing};
use axum::http::{HeaderMap, header};
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
    Member(Member),
    /// XML.
    Xml {
        /// Sealed, or some elements of it.
        sealed: bool,
        /// With a signature in it.
        signed: bool,
    },
}

impl Wrapping {
    /// Whether what is in it is XML.
    pub fn is_xml(self) -> bool {
        matches!(self, Wrapping::Xml { .. })
    }
}

/// The names of XML (RFC 7303 section 9).
const XML: [&str; 2] = ["application/xml", "text/xml"];

/// A body without its wrapping.
pub(super) struct Unwrapped {
    /// What it came in.
    pub wrapping: Wrapping,
    /// JSON or XML.
    pub payload: Zeroizing<Vec<u8>>,
    /// Whether all that was sealed was sealed just now, as far as it says.
    pub is_fresh: bool,
    /// Whether nothing that a card reader gave came in clear.
    pub is_reading_sealed: bool,
}

/// The member, or the element, that holds what a card reader gave.
pub(super) const READING: &str = "card_present";

/// What the content type of a POST says about its body. JSON may still turn out to hold tokens.
pub(super) fn declared_wrapping(headers: &HeaderMap) -> Result<Wrapping, Problem> {
    let value = headers.get(header::CONTENT_TYPE).ok_or(Code::ContentType)?;
    let media_type = value.to_str().ok().and_then(|text| text.split(';').next()).map(str::trim);
    match media_type {
        Some(json) if json.eq_ignore_ascii_case("application/json") => Ok(Wrapping::Plain),
        Some(jose) if jose.eq_ignore_ascii_case("application/jose") => Ok(Wrapping::Jose),
        Some(xml) if XML.iter().any(|name| xml.eq_ignore_ascii_case(name)) => {
            Ok(Wrapping::Xml { sealed: false, signed: false })
        }
        _ => Err(Code::ContentType.into()),
    }
}

/// How the answer to a request without a body goes: sealed where the request accepts that or the merchant must have it.
pub(super) fn answer_wrapping(headers: &HeaderMap, merchant: &Merchant) -> Wrapping {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants = |names: &[&str]| {
        let mut media_types = accepts.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
        media_types.any(|wanted| names.iter().any(|name| wanted.eq_ignore_ascii_case(name)))
    };
    let (sealed, signed) = (merchant.sealing == Sealing::Required, merchant.signing == Signing::Required);
    match merchant.payload_key {
        Some(_) if wants(&["application/jose"]) => Wrapping::Jose,
        _ if wants(&XML) => Wrapping::Xml { sealed, signed },
        Some(_) if sealed => Wrapping::Jose,
        _ => Wrapping::Plain,
    }
}

/// Headers by which senders name the key of a token that does not name it itself.
fn named_key(headers: &HeaderMap) -> Option<&str> {
    let named = headers.get("keyid").or_else(|| headers.get("kid"))?;
    named.to_str().ok()
}

impl Door {
    /// Takes the wrapping off.
    pub(super) async fn open(
        &self,
        merchant: &Merchant,
        declared: Wrapping,
        headers: &HeaderMap,
        sent: Zeroizing<Vec<u8>>,
    ) -> Result<Unwrapped, Problem> {
        let whole = match declared {
            Wrapping::Xml { .. } => return self.open_xml(merchant, headers, sent).await,
            _ if merchant.signing == Signing::Required => return Err(Code::SignatureRequired.into()),
            Wrapping::Jose => Some((Wrapping::Jose, Zeroizing::new(sent.trim_ascii().to_vec()))),
            _ => sealed_body::whole(&sent).map(|(member, token)| (Wrapping::Member(member), token)),
        };
        if let Some((wrapping, token)) = whole {
            let (payload, is_fresh) = self.open_sealed(merchant, headers, Sealed::Jwe(token)).await?;
            return Ok(Unwrapped { wrapping, payload, is_fresh, is_reading_sealed: true });
        }
        match Parts::of(&sent)? {
            Some(parts) => self.open_parts(merchant, headers, parts).await,
            None => plain(merchant, Wrapping::Plain, sent),
        }
    }

    async fn open_parts(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        mut parts: Parts<'_>,
    ) -> Result<Unwrapped, Problem> {
        let (mut opened, mut is_fresh) = (Vec::new(), true);
        for (place, token) in std::mem::take(&mut parts.tokens) {
            let (content, fresh) = self.open_sealed(merchant, headers, Sealed::Jwe(token)).await?;
            is_fresh &= fresh;
            opened.push((place, content));
        }
        let payload = parts.with(&opened).ok_or(Code::PayloadUnreadable)?;
        let is_reading_sealed = !parts.shows(READING);
        Ok(Unwrapped { wrapping: Wrapping::Member(Member::EncryptedData), payload, is_fresh, is_reading_sealed })
    }

    /// XML has no word for when it was sealed.
    async fn open_xml(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        sent: Zeroizing<Vec<u8>>,
    ) -> Result<Unwrapped, Problem> {
        let found = if sent.is_empty() { None } else { SealedDocument::of(&sent)? };
        let Some(mut document) = found else {
            return plain(merchant, Wrapping::Xml { sealed: false, signed: false }, sent)
                .and_then(|it| it.verified(merchant));
        };
        let mut opened = Vec::new();
        for data in std::mem::take(&mut document.data) {
            opened.push(self.open_sealed(merchant, headers, Sealed::Xml(data)).await?.0);
        }
        let payload = document.with(&opened).ok_or(Code::PayloadUnreadable)?;
        let (wrapping, is_reading_sealed) = (Wrapping::Xml { sealed: true, signed: false }, !document.shows(READING));
        Unwrapped { wrapping, payload, is_fresh: true, is_reading_sealed }.verified(merchant)
    }

    /// The content of something sealed, and whether it was sealed just now.
    async fn open_sealed(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        sealed: Sealed,
    ) -> Result<(Zeroizing<Vec<u8>>, bool), Problem> {
        if merchant.payload_key.is_none() {
            return Err(Code::PayloadKeyMissing.into());
        }
        let named = named_key(headers).map(str::to_owned);
        let opened = self.opener.open(sealed, named).await.map_err(|_full| Code::Overloaded)?;
        let opened = opened.map_err(|_unreadable| Code::PayloadUnreadable)?;
        let window = i64::try_from(self.limits.sealed_window_ms / 1000).unwrap_or(i64::MAX);
        let age = opened.issued_at.map(|at| at.saturating_sub(seconds_since_epoch()).saturating_abs());
        Ok((opened.content, age.is_none_or(|age| age <= window)))
    }

    /// XML is signed first and sealed then, as it is asked for.
    fn wrap_xml(
        &self,
        merchant: &Merchant,
        sealed: bool,
        signed: bool,
        mut content: Zeroizing<Vec<u8>>,
    ) -> Result<(&'static str, Vec<u8>), Problem> {
        if let (Some(signer), true) = (&self.signer, signed) {
            content = signer.sign(&content).map_err(|_untrue| Code::NoAnswer)?;
        }
        let body = match sealed {
            true => {
                let key = merchant.payload_key.as_ref().ok_or(Code::NoAnswer)?;
                seal_xml(key, content).map_err(|_not_sealed| Code::NoAnswer)?.into_bytes()
            }
            false => content.to_vec(),
        };
        Ok(("application/xml", body))
    }

    /// Puts the wrapping on: content type and body.
    pub(super) fn wrap(
        &self,
        merchant: &Merchant,
        wrapping: Wrapping,
        content: Zeroizing<Vec<u8>>,
    ) -> Result<(&'static str, Vec<u8>), Problem> {
        match wrapping {
            Wrapping::Plain => return Ok(("application/json", content.to_vec())),
            Wrapping::Xml { sealed, signed } => return self.wrap_xml(merchant, sealed, signed, content),
            Wrapping::Jose | Wrapping::Member(_) => {}
        }
        let key = merchant.payload_key.as_ref().ok_or(Code::NoAnswer)?;
        let token = seal(key, seconds_since_epoch(), content).map_err(|_not_sealed| Code::NoAnswer)?;
        Ok(match wrapping {
            Wrapping::Member(member) => ("application/json", sealed_body::holding(member, token)),
            _ => ("application/jose", token.into_bytes()),
        })
    }
}

impl Unwrapped {
    /// XML with nothing left in it but what was signed, where something was.
    fn verified(self, merchant: &Merchant) -> Result<Unwrapped, Problem> {
        let Wrapping::Xml { sealed, .. } = self.wrapping else { return Ok(self) };
        let verified = xml::verified(&self.payload, &merchant.signature_keys);
        match (verified.map_err(|_untrue| Code::SignatureInvalid)?, merchant.signing) {
            (Some(payload), _) => Ok(Unwrapped { wrapping: Wrapping::Xml { sealed, signed: true }, payload, ..self }),
            (None, Signing::Optional) => Ok(self),
            (None, Signing::Required) => Err(Code::SignatureRequired.into()),
        }
    }
}

/// What came without a seal, where that may be.
fn plain(merchant: &Merchant, wrapping: Wrapping, payload: Zeroizing<Vec<u8>>) -> Result<Unwrapped, Problem> {
    match merchant.sealing {
        Sealing::Required => Err(Code::SealingRequired.into()),
        Sealing::Optional => Ok(Unwrapped { wrapping, payload, is_fresh: true, is_reading_sealed: false }),
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
        assert_eq!(declared("application/xml; charset=utf-8"), Ok(Wrapping::Xml { sealed: false, signed: false }));
        assert!(declared("text/xml").is_ok_and(Wrapping::is_xml));
        assert_eq!(declared("text/plain"), Err(Code::ContentType));
        assert_eq!(declared("application/jsonx"), Err(Code::ContentType));
        assert_eq!(declared_wrapping(&HeaderMap::new()).unwrap_err().code, Code::ContentType);
    }
}
