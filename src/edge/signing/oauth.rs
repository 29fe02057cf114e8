//! OAuth 1.0a (RFC 5849) with RSA-SHA256 or RSA-PSS and a body hash, as Mastercard's signers write it: a signature over
//! method, address, query and the body's hash, in the `Authorization` header.
//!
//! It proves who asks as an API key does: the consumer key is the merchant's identifier, with anything behind a `!`. The
//! signature is judged before a byte of the body is read, the body against its hash then. What surprises: those signers
//! write the hash in the header without percent-encoding, and sign it so, where RFC 5849 section 3.4.1.3.2 has both
//! encoded; so each value is signed as it stands in the header, which is right for either.

use super::super::Door;
use super::super::authentication::Peer;
use super::{Untrue, plain_host};
use crate::merchants::{Merchant, Register, Scopes, SignatureKey, TrustedKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, header};
use axum::middleware::Next;
use data_encoding::BASE64;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All but the unreserved characters (RFC 5849 section 3.6).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request's signature that holds.
#[derive(Debug)]
pub(in crate::edge) struct OAuth {
    /// Whose it is.
    pub merchant: Arc<Merchant>,
    /// When it was made, in seconds since 1970.
    pub issued_at: i64,
    /// The name that is used once.
    pub nonce: String,
    /// What the key that made it may be used for.
    pub scopes: Scopes,
    body_hash: Vec<u8>,
}

impl OAuth {
    /// Whether this body is the one that was signed.
    pub fn is_of(&self, body: &[u8]) -> bool {
        Sha256::digest(body).as_slice() == self.body_hash
    }
}

/// Judges a signature in the `Authorization` header of a request, and tells whoever asks then who that is. One that does
/// not hold proves nothing, and neither does one that is not fresh: its sender makes a new one with each attempt.
pub(in crate::edge) async fn attend(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if let Some(parameters) = parameters(&parts.headers) {
        let signed = verified(&door.register.now(), door.audience.as_deref(), &parts, &parameters).ok();
        let fresh = signed.filter(|signed| door.is_fresh(Some(signed.issued_at), true));
        if let Some(peer) = parts.extensions.get_mut::<Peer>() {
            peer.signed = fresh.map(Arc::new);
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// The parameters of the one `Authorization` header, as they stand there; `None` where it is of another scheme.
fn parameters(headers: &HeaderMap) -> Option<BTreeMap<&str, &str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, rest) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("oauth") {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for parameter in rest.split(',') {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        if parameters.insert(name, value).is_some() {
            return None;
        }
    }
    Some(parameters)
}

fn verified(
    register: &Register,
    audience: Option<&str>,
    parts: &Parts,
    parameters: &BTreeMap<&str, &str>,
) -> Result<OAuth, Untrue> {
    let get = |name: &str| parameters.get(name).copied().ok_or(Untrue);
    let decoded = |name: &str| percent_decode_str(get(name)?).decode_utf8().map_err(|_| Untrue);
    let scheme: &'static RsaParameters = match get("oauth_signature_method")? {
        "RSA-SHA256" => &RSA_PKCS1_2048_8192_SHA256,
        "RSA-PSS" => &RSA_PSS_2048_8192_SHA256,
        _ => return Err(Untrue),
    };
    if parameters.get("oauth_version").is_some_and(|version| *version != "1.0") {
        return Err(Untrue);
    }
    let consumer = decoded("oauth_consumer_key")?;
    let id = consumer.split('!').next().unwrap_or_default();
    let merchant = register.by_id(id).ok_or(Untrue)?;
    let signature = BASE64.decode(decoded("oauth_signature")?.as_bytes()).map_err(|_| Untrue)?;
    let host = host_of(parts)?;
    if audience.is_some_and(|ours| ours != host) {
        return Err(Untrue);
    }
    let signed = base_string(&host, parts, parameters);
    let holds = |trusted: &&TrustedKey| match &trusted.key {
        SignatureKey::Rsa(spki) => UnparsedPublicKey::new(scheme, spki).verify(signed.as_bytes(), &signature).is_ok(),
        SignatureKey::P256(_) => false,
    };
    let key = merchant.signature_keys_at(Timestamp::now()).find(holds).ok_or(Untrue)?;
    Ok(OAuth {
        merchant: Arc::clone(merchant),
        issued_at: get("oauth_timestamp")?.parse().map_err(|_| Untrue)?,
        nonce: decoded("oauth_nonce").ok().filter(|nonce| (1..=255).contains(&nonce.len())).ok_or(Untrue)?.into_owned(),
        scopes: key.scopes.clone(),
        body_hash: BASE64.decode(decoded("oauth_body_hash")?.as_bytes()).map_err(|_| Untrue)?,
    })
}

/// RFC 5849 section 3.4.1.
fn base_string(host: &str, parts: &Parts, parameters: &BTreeMap<&str, &str>) -> String {
    let of_header = parameters.iter().filter(|(name, _)| !matches!(**name, "oauth_signature" | "realm"));
    let query = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<(&str, &str)> = of_header.map(|(name, value)| (*name, *value)).chain(query).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let address = format!("https://{host}{}", parts.uri.path());
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    format!("{}&{}&{}", parts.method, encoded(&address), encoded(&pairs.join("&")))
}

/// Whom a request is sent to, by its own account.
fn host_of(parts: &Parts) -> Result<String, Untrue> {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or(Untrue)?,
    };
    Ok(plain_host(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::audience;
    use super::super::jws::tests::{by_rsa, rsa};
    use super::*;
    use crate::merchants::MerchantSettings;
    use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
    use axum::http::HeaderValue;
    use std::path::Path;
    use std::sync::OnceLock;

    /// Made once: its key lies in a file for a moment.
    fn register() -> &'static Register {
        static REGISTER: OnceLock<Register> = OnceLock::new();
        REGISTER.get_or_init(|| {
            let SignatureKey::Rsa(spki) = &rsa().1 else { unreachable!() };
            let folder = std::env::temp_dir().join(format!("isthmus-oauth-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(spki));
            std::fs::write(folder.join("key.pem"), pem).unwrap();
            let settings: MerchantSettings = toml::from_str(&format!(
                "id = 'acme'\nsignature_key_files = ['key.pem']\napi_key_sha256 = ['{}']\nterminals = [{{ terminal = \
                 'T', acceptor = 'A', category_code = '5999', city = 'Bonn', country = 'DE' }}]",
                "00".repeat(32)
            ))
            .unwrap();
            let register = Register::build(&[settings], Path::new(&folder)).unwrap();
            std::fs::remove_dir_all(&folder).unwrap();
            register
        })
    }

    const PARAMETERS: &str = "oauth_consumer_key=\"acme!k\",oauth_nonce=\"n\",oauth_timestamp=\"7\",\
                              oauth_signature_method=\"RSA-SHA256\",oauth_version=\"1.0\",oauth_body_hash=\"a+/=\"";

    fn request(uri: &str, authorization: &str) -> Parts {
        let request = Request::post(uri).header(header::HOST, "Pay.Example:8580");
        let value = HeaderValue::from_str(authorization).unwrap();
        request.header(header::AUTHORIZATION, value).body(()).unwrap().into_parts().0
    }

    fn judge(parts: &Parts) -> Result<OAuth, Untrue> {
        judge_for(None, parts)
    }

    fn judge_for(audience: Option<&str>, parts: &Parts) -> Result<OAuth, Untrue> {
        verified(register(), audience, parts, &parameters(&parts.headers).ok_or(Untrue)?)
    }

    fn base_of(parts: &Parts) -> Option<String> {
        Some(base_string(&host_of(parts).ok()?, parts, &parameters(&parts.headers)?))
    }

    fn signed(uri: &str, given: &str, base: &str) -> Parts {
        let signature = match given.contains("RSA-PSS") {
            true => by_rsa(&RSA_PSS_SHA256, base.as_bytes()),
            false => by_rsa(&RSA_PKCS1_SHA256, base.as_bytes()),
        };
        let signature = utf8_percent_encode(&BASE64.encode(&signature), ENCODED).to_string();
        request(uri, &format!("OAuth {given},oauth_signature=\"{signature}\""))
    }

    fn hash(text: &str) -> String {
        BASE64.encode(&Sha256::digest(text))
    }

    #[test]
    fn the_base_string_is_written_as_the_standard_says() {
        let parts = request("/v1/payments?limit=5&cursor=a%20b&x", &format!("OAuth {PARAMETERS}"));
        let base = base_of(&parts).unwrap();
        assert_eq!(
            base,
            "POST&https%3A%2F%2Fpay.example%3A8580%2Fv1%2Fpayments&cursor%3Da%2520b%26limit%3D5%26\
             oauth_body_hash%3Da%2B%2F%3D%26oauth_consumer_key%3Dacme%21k%26oauth_nonce%3Dn%26\
             oauth_signature_method%3DRSA-SHA256%26oauth_timestamp%3D7%26oauth_version%3D1.0%26x%3D"
        );
    }

    #[test]
    fn a_signature_holds_for_its_request_and_body() {
        for method in ["RSA-SHA256", "RSA-PSS"] {
            let given = PARAMETERS.replace("a+/=", &hash("{}")).replace("RSA-SHA256", method);
            let base = |uri: &str| {
                let parts = request(uri, &format!("OAuth {given}"));
                base_of(&parts).unwrap()
            };
            let oauth = judge(&signed("/v1/payments", &given, &base("/v1/payments"))).unwrap();
            assert_eq!((oauth.merchant.id.as_str(), oauth.issued_at, oauth.nonce.as_str()), ("acme", 7, "n"));
            assert!(oauth.is_of(b"{}") && !oauth.is_of(b"{ }"));
            let good = signed("/v1/payments", &given, &base("/v1/payments"));
            assert!(judge_for(audience("https://PAY.example:8580/v1").as_deref(), &good).is_ok());
            assert!(judge_for(Some("sandbox.pay.example"), &good).is_err(), "it was signed for somebody else");
            assert!(judge(&signed("/v1/payments/x/refunds", &given, &base("/v1/payments"))).is_err());
            assert!(judge(&signed("/v1/payments?a=b", &given, &base("/v1/payments"))).is_err());
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_proves_nothing() {
        let given = PARAMETERS.replace("a+/=", &hash("{}"));
        let judged = |given: &str| {
            let parts = request("/v1/payments", &format!("OAuth {given}"));
            judge(&signed("/v1/payments", given, &base_of(&parts).unwrap_or_default())).is_ok()
        };
        assert!(judged(&given));
        for (from, to) in [
            ("acme!k", "other!k"),
            ("\"1.0\"", "\"2.0\""),
            ("RSA-SHA256", "HMAC-SHA256"),
            ("RSA-SHA256", "PLAINTEXT"),
            ("oauth_nonce=\"n\"", "oauth_nonce=\"\""),
            ("oauth_nonce=\"n\"", "oauth_nonce=\"n\",oauth_nonce=\"m\""),
            ("oauth_timestamp=\"7\"", "oauth_timestamp=\"soon\""),
            ("oauth_timestamp=\"7\",", ""),
            ("oauth_body_hash", "oauth_body"),
            ("\"n\"", "n"),
        ] {
            assert!(given.contains(from), "{from}");
            assert!(!judged(&given.replacen(from, to, 1)), "{to}");
        }
        assert!(parameters(&request("/", "Bearer k").headers).is_none());
        assert!(judge(&request("/v1/payments", &format!("OAuth {given}"))).is_err(), "unsigned");
    }
}
