//! How a request came wrapped, and how its answer goes: an answer wears what its request wore.

use super::Door;
use super::authentication::Asker;
use super::envelope::{Sealed, seal, seal_xml};
use super::problem::{Code, Problem};
use super::sealed_body::{self, Member};
use super::signing::{Refused, Untrue, jws};
use super::xml::{self, SealedDocument};
use crate::merchants::{Merchant, Scope, Scopes, Sealing, SignatureKey, Signing, TrustedKey};
use crate::payment::Wall;
use crate::transaction::IdempotencyKey;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use jiff::Timestamp;
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
    /// Whether all that was sealed or signed was so just now, as far as it says.
    pub is_fresh: bool,
    /// Whether it was signed.
    pub is_signed: bool,
    /// Whether nothing that a card reader gave came in clear.
    pub is_reading_sealed: bool,
    /// The names in it that are used once.
    pub names: Vec<String>,
    /// What each of the keys that signed it may be used for.
    signed_for: Vec<Scopes>,
}

/// The member, or the element, that holds what a card reader gave.
pub(super) const READING: &str = "card_present";

/// The header of a signature that is detached from its body.
static DETACHED: HeaderName = HeaderName::from_static("x-jws-signature");

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
        asker: &Asker,
        declared: Wrapping,
        request: &Parts,
        sent: Zeroizing<Vec<u8>>,
    ) -> Result<Unwrapped, Problem> {
        let merchant = &asker.merchant;
        let mut unwrapped = Unwrapped::new(declared, sent);
        if let Some(signed) = &asker.signed {
            if !signed.is_of(&unwrapped.payload) {
                return Err(Code::SignatureInvalid.into());
            }
            unwrapped.is_signed = true;
            unwrapped.names.push(format!("nonce {}", signed.nonce));
        }
        self.judge_detached(merchant, request, &mut unwrapped)?;
        let unwrapped = match declared {
            Wrapping::Xml { .. } => self.open_xml(merchant, &request.headers, unwrapped).await?,
            _ => self.open_json(merchant, request, unwrapped).await?,
        };
        match (merchant.signing, unwrapped.is_signed) {
            (Signing::Required, false) => Err(Code::SignatureRequired.into()),
            _ => Ok(unwrapped),
        }
    }

    /// Judges the signature of a request that has no body and changes something. Nothing is told of names that are used
    /// once: what such a request does cannot be done twice.
    pub(super) fn judge_bodiless(&self, asker: &Asker, request: &Parts, scope: Scope) -> Result<(), Problem> {
        let mut unwrapped = Unwrapped::new(Wrapping::Plain, Zeroizing::default());
        if let Some(signed) = &asker.signed {
            unwrapped.is_signed = signed.is_of(&[]);
        }
        self.judge_detached(&asker.merchant, request, &mut unwrapped)?;
        unwrapped.may(scope)?;
        match (asker.merchant.signing, unwrapped.is_signed) {
            (Signing::Required, false) => Err(Code::SignatureRequired.into()),
            _ => unwrapped.stale().map_or(Ok(()), |stale| Err(stale.into())),
        }
    }

    /// A signature in a header is over the body as it came, whatever that is.
    fn judge_detached(&self, merchant: &Merchant, request: &Parts, unwrapped: &mut Unwrapped) -> Result<(), Problem> {
        let mut values = request.headers.get_all(&DETACHED).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            let none = !request.headers.contains_key(&DETACHED);
            return if none { Ok(()) } else { Err(Code::SignatureInvalid.into()) };
        };
        let (target, body) = (self.target(request), &unwrapped.payload);
        let signed = by_one_of(merchant, |keys| jws::detached(value.as_bytes(), body, target, keys));
        self.note_signed(signed, unwrapped).map(drop)
    }

    /// What a signature over a request must be for.
    fn target<'a>(&'a self, request: &'a Parts) -> jws::Target<'a> {
        jws::Target { method: request.method.as_str(), path: request.uri.path(), host: self.audience.as_deref() }
    }

    /// The content of a signature that has it within.
    fn judge_attached(
        &self,
        merchant: &Merchant,
        request: &Parts,
        mut unwrapped: Unwrapped,
    ) -> Result<Unwrapped, Problem> {
        let target = self.target(request);
        let signed = by_one_of(merchant, |keys| jws::attached(&unwrapped.payload, target, keys));
        unwrapped.payload = self.note_signed(signed, &mut unwrapped)?;
        Ok(unwrapped)
    }

    fn note_signed(
        &self,
        signed: Result<(jws::Signed, Scopes), Untrue>,
        unwrapped: &mut Unwrapped,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let (signed, scopes) = signed.map_err(|_untrue| Code::SignatureInvalid)?;
        unwrapped.signed_for.push(scopes);
        unwrapped.is_signed = true;
        unwrapped.is_fresh &= self.is_fresh(Some(signed.issued_at), true);
        unwrapped.names.push(format!("jti {}", signed.name));
        Ok(signed.payload)
    }

    async fn open_json(
        &self,
        merchant: &Merchant,
        request: &Parts,
        unwrapped: Unwrapped,
    ) -> Result<Unwrapped, Problem> {
        let sent = &unwrapped.payload;
        let whole = match unwrapped.wrapping {
            Wrapping::Jose if jws::is_compact(sent.trim_ascii()) => {
                let token = Zeroizing::new(sent.trim_ascii().to_vec());
                let unwrapped = Unwrapped { wrapping: Wrapping::Plain, payload: token, ..unwrapped };
                return plain(merchant, self.judge_attached(merchant, request, unwrapped)?);
            }
            Wrapping::Jose => Some((Wrapping::Jose, Zeroizing::new(sent.trim_ascii().to_vec()))),
            _ => sealed_body::whole(sent).map(|(member, token)| (Wrapping::Member(member), token)),
        };
        if let Some((wrapping, token)) = whole {
            let mut unwrapped = Unwrapped { wrapping, is_reading_sealed: true, ..unwrapped };
            unwrapped.payload =
                self.open_sealed(merchant, &request.headers, Sealed::Jwe(token), &mut unwrapped).await?;
            // Signed first and sealed then.
            return match jws::is_compact(&unwrapped.payload) {
                true => self.judge_attached(merchant, request, unwrapped),
                false => Ok(unwrapped),
            };
        }
        self.open_parts(merchant, &request.headers, unwrapped).await
    }

    async fn open_parts(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        mut unwrapped: Unwrapped,
    ) -> Result<Unwrapped, Problem> {
        let sent = std::mem::take(&mut unwrapped.payload);
        let Some(mut parts) = sealed_body::Parts::of(&sent)? else {
            return plain(merchant, Unwrapped { payload: sent, ..unwrapped });
        };
        let mut opened = Vec::new();
        for (place, token) in std::mem::take(&mut parts.tokens) {
            opened.push((place, self.open_sealed(merchant, headers, Sealed::Jwe(token), &mut unwrapped).await?));
        }
        let payload = parts.with(&opened).ok_or(Code::PayloadUnreadable)?;
        let (wrapping, is_reading_sealed) = (Wrapping::Member(Member::EncryptedData), !parts.shows(READING));
        Ok(Unwrapped { wrapping, payload, is_reading_sealed, ..unwrapped })
    }

    /// XML has no word for when it was sealed.
    async fn open_xml(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        mut unwrapped: Unwrapped,
    ) -> Result<Unwrapped, Problem> {
        let sent = std::mem::take(&mut unwrapped.payload);
        let found = if sent.is_empty() { None } else { SealedDocument::of(&sent)? };
        let Some(mut document) = found else {
            return plain(merchant, Unwrapped { payload: sent, ..unwrapped }).and_then(|it| it.verified(merchant));
        };
        let mut opened = Vec::new();
        for data in std::mem::take(&mut document.data) {
            opened.push(self.open_sealed(merchant, headers, Sealed::Xml(data), &mut unwrapped).await?);
        }
        let payload = document.with(&opened).ok_or(Code::PayloadUnreadable)?;
        let (wrapping, is_reading_sealed) = (Wrapping::Xml { sealed: true, signed: false }, !document.shows(READING));
        Unwrapped { wrapping, payload, is_reading_sealed, ..unwrapped }.verified(merchant)
    }

    /// The content of something sealed; what else it says is kept with all that came with it.
    async fn open_sealed(
        &self,
        merchant: &Merchant,
        headers: &HeaderMap,
        sealed: Sealed,
        unwrapped: &mut Unwrapped,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        if merchant.payload_key.is_none() {
            return Err(Code::PayloadKeyMissing.into());
        }
        let named = named_key(headers).map(str::to_owned);
        let opened = self.opener.open(sealed, named).await.map_err(|_full| Code::Overloaded)?;
        let opened = opened.map_err(|_unreadable| Code::PayloadUnreadable)?;
        unwrapped.is_fresh &= self.is_fresh(opened.issued_at, opened.name.is_some());
        unwrapped.names.extend(opened.name.map(|name| format!("jti {name}")));
        Ok(opened.content)
    }

    /// Whether what says that it was sealed or signed then was so just now.
    pub(super) fn is_fresh(&self, issued_at: Option<i64>, is_named: bool) -> bool {
        self.nonces.is_fresh(seconds_since_epoch(), issued_at, is_named)
    }

    /// Gives the names that are used once to the key that they came with.
    pub(super) fn take_names(
        &self,
        merchant: &Merchant,
        names: &[String],
        key: &IdempotencyKey,
    ) -> Result<(), Problem> {
        let now = seconds_since_epoch();
        let mut taken = names.iter().map(|name| self.nonces.take(now, &merchant.id, name, key));
        taken.find_map(Result::err).map_or(Ok(()), |refused| match refused {
            Refused::Used => Err(Code::NameReused.into()),
            Refused::Full => Err(Code::Overloaded.into()),
        })
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
    /// Whether all who signed it may ask for this.
    pub(super) fn may(&self, scope: Scope) -> Result<(), Problem> {
        let may = self.signed_for.iter().all(|scopes| scopes.hold(scope));
        if may { Ok(()) } else { Err(Code::OperationNotPermitted.into()) }
    }

    /// How what was sealed or signed too long ago is refused, where it would begin something.
    pub(super) fn stale(&self) -> Option<Code> {
        match (self.is_fresh, self.is_signed) {
            (true, _) => None,
            (false, true) => Some(Code::SignatureInvalid),
            (false, false) => Some(Code::PayloadUnreadable),
        }
    }

    /// A body as it came.
    fn new(wrapping: Wrapping, payload: Zeroizing<Vec<u8>>) -> Unwrapped {
        Unwrapped {
            wrapping,
            payload,
            is_fresh: true,
            is_signed: false,
            is_reading_sealed: false,
            names: Vec::new(),
            signed_for: Vec::new(),
        }
    }

    /// XML with nothing left in it but what was signed, where something was.
    fn verified(self, merchant: &Merchant) -> Result<Unwrapped, Problem> {
        let Wrapping::Xml { sealed, .. } = self.wrapping else { return Ok(self) };
        // Without a key only what has no signature passes.
        if matches!(xml::verified(&self.payload, &[]), Ok(None)) {
            return Ok(self);
        }
        let verified = by_one_of(merchant, |keys| xml::verified(&self.payload, keys).ok().flatten().ok_or(Untrue));
        let (payload, scopes) = verified.map_err(|_untrue| Code::SignatureInvalid)?;
        let mut signed_for = self.signed_for;
        signed_for.push(scopes);
        let wrapping = Wrapping::Xml { sealed, signed: true };
        Ok(Unwrapped { wrapping, payload, is_signed: true, signed_for, ..self })
    }
}

/// What holds by one of a merchant's signature keys that count now, and what that key may be used for.
fn by_one_of<T>(
    merchant: &Merchant,
    judge: impl Fn(&[SignatureKey]) -> Result<T, Untrue>,
) -> Result<(T, Scopes), Untrue> {
    let mut keys = merchant.signature_keys_at(Timestamp::now());
    let by = |trusted: &TrustedKey| Some((judge(std::slice::from_ref(&trusted.key)).ok()?, trusted.scopes.clone()));
    keys.find_map(by).ok_or(Untrue)
}

/// What came without a seal, where that may be.
fn plain(merchant: &Merchant, unwrapped: Unwrapped) -> Result<Unwrapped, Problem> {
    match merchant.sealing {
        Sealing::Required => Err(Code::SealingRequired.into()),
        Sealing::Optional => Ok(unwrapped),
    }
}

/// What time it is.
pub(super) fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn seconds_since_epoch() -> i64 {
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
