//! Compact JWS (RFC 7515 section 7.1) over a body: with the body in it, or detached from it (appendix F), also unencoded
//! (RFC 7797).
//!
//! Of the algorithms of RFC 7518 only PS256 and ES256 are known; `none`, HMAC and whatever else a header may say is not
//! for us. Three members of the protected header say what a body does not: `iat` (when), `htu` (to which resource, by its
//! path or its whole address, as in RFC 9449) and `jti` (by which name). All three are required: without them a good
//! signature could be moved to another payment, or kept for another day.

use super::{Untrue, plain_host};
use crate::merchants::SignatureKey;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The most bytes of a protected header.
const HEADER_LIMIT: usize = 1024;
/// The most bytes of a signature: RSA of 4096 bits.
const SIGNATURE_LIMIT: usize = 512;
/// How long a `jti` may be.
const NAME_LIMIT: usize = 255;

/// What a signature that holds says.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed {
    /// When it was made, in seconds since 1970.
    pub issued_at: i64,
    /// The name that is used once.
    pub name: String,
    /// The body, where it stood in the signature.
    pub payload: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    iat: i64,
    htu: String,
    htm: Option<String>,
    jti: String,
    b64: Option<bool>,
    crit: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Algorithm {
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

struct Parts<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

/// What a request is about, as its signature must say.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The method. A signature that names none is for a POST.
    pub method: &'a str,
    /// The resource.
    pub path: &'a str,
    /// Whose, where that is known: a signature must then name it.
    pub host: Option<&'a str>,
}

/// Whether this has the form of a compact JWS, be it good or not.
pub fn is_compact(token: &[u8]) -> bool {
    let of_alphabet = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    token.iter().all(of_alphabet) && token.iter().filter(|b| **b == b'.').count() == 2
}

/// What was signed for a target by one of the keys, with the body in it.
pub fn attached(token: &[u8], target: Target<'_>, keys: &[SignatureKey]) -> Result<Signed, Untrue> {
    let parts = parts(token)?;
    let header = header(parts.protected, target)?;
    if header.b64.is_some() || header.crit.is_some() {
        return Err(Untrue);
    }
    holds(&header, &parts, parts.payload, keys)?;
    let payload = Zeroizing::new(decode(parts.payload, usize::MAX)?);
    Ok(Signed { issued_at: header.iat, name: header.jti, payload })
}

/// The same with the body beside it, as it came.
pub fn detached(token: &[u8], body: &[u8], target: Target<'_>, keys: &[SignatureKey]) -> Result<Signed, Untrue> {
    let parts = parts(token)?;
    let header = header(parts.protected, target)?;
    let encoded = match (header.b64, header.crit.as_deref()) {
        (None, None) => Zeroizing::new(BASE64URL_NOPAD.encode(body).into_bytes()),
        (Some(false), Some([only])) if only == "b64" => Zeroizing::new(body.to_vec()),
        _ => return Err(Untrue),
    };
    if !parts.payload.is_empty() {
        return Err(Untrue);
    }
    holds(&header, &parts, &encoded, keys)?;
    Ok(Signed { issued_at: header.iat, name: header.jti, payload: Zeroizing::default() })
}

fn parts(token: &[u8]) -> Result<Parts<'_>, Untrue> {
    let mut segments = token.split(|b| *b == b'.');
    let (Some(protected), Some(payload), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(Untrue);
    };
    Ok(Parts { protected, payload, signature })
}

fn header(protected: &[u8], target: Target<'_>) -> Result<Header, Untrue> {
    let header: Header = serde_json::from_slice(&decode(protected, HEADER_LIMIT)?).map_err(|_| Untrue)?;
    let is_method = header.htm.as_deref().unwrap_or("POST") == target.method;
    let named = (1..=NAME_LIMIT).contains(&header.jti.len());
    (is_method && named && is_of(&header.htu, target)).then_some(header).ok_or(Untrue)
}

/// Whether an address, or a path where it need not say whose, is of this target.
fn is_of(address: &str, target: Target<'_>) -> bool {
    match address.strip_prefix("https://").map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len()))) {
        Some((host, path)) => path == target.path && target.host.is_none_or(|ours| ours == plain_host(host)),
        None => address == target.path && target.host.is_none(),
    }
}

fn holds(header: &Header, parts: &Parts<'_>, payload: &[u8], keys: &[SignatureKey]) -> Result<(), Untrue> {
    let signature = decode(parts.signature, SIGNATURE_LIMIT)?;
    let mut input = Zeroizing::new(Vec::with_capacity(parts.protected.len() + 1 + payload.len()));
    input.extend_from_slice(parts.protected);
    input.push(b'.');
    input.extend_from_slice(payload);
    let good = keys.iter().any(|key| verify(header.alg, key, &input, &signature));
    if good { Ok(()) } else { Err(Untrue) }
}

fn verify(algorithm: Algorithm, key: &SignatureKey, input: &[u8], signature: &[u8]) -> bool {
    match (algorithm, key) {
        (Algorithm::PS256, SignatureKey::Rsa(spki)) => {
            UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, spki).verify(input, signature).is_ok()
        }
        (Algorithm::ES256, SignatureKey::P256(spki)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, spki).verify(input, signature).is_ok()
        }
        _ => false,
    }
}

fn decode(segment: &[u8], limit: usize) -> Result<Vec<u8>, Untrue> {
    if segment.len() / 4 * 3 > limit {
        return Err(Untrue);
    }
    BASE64URL_NOPAD.decode(segment).map_err(|_| Untrue)
}

/// What a fuzzer's tokens are judged for, and those of the tests.
const PAYMENTS: Target<'static> = Target { method: "POST", path: "/v1/payments", host: None };

/// Any bytes as a signature, for a fuzzer: none holds without a key.
pub fn fuzz(token: &[u8]) {
    assert_eq!(attached(token, PAYMENTS, &[]), Err(Untrue));
    assert_eq!(detached(token, b"{}", PAYMENTS, &[]), Err(Untrue));
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    };
    use serde_json::{Value, json};
    use std::sync::OnceLock;

    /// A pair of RSA: its private half, and what the register holds of it.
    pub fn rsa() -> &'static (RsaKeyPair, SignatureKey) {
        static PAIR: OnceLock<(RsaKeyPair, SignatureKey)> = OnceLock::new();
        PAIR.get_or_init(|| {
            let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
            let key = SignatureKey::read(pair.public_key_pem().as_bytes()).unwrap();
            (RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap(), key)
        })
    }

    pub fn by_rsa(scheme: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
        let (pair, _) = rsa();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(scheme, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    }

    fn header(alg: &str) -> Value {
        json!({"alg": alg, "iat": 1, "htu": "/v1/payments", "jti": "a"})
    }

    fn token(header: &Value, payload: &str, shown: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let protected = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let signature = sign(format!("{protected}.{payload}").as_bytes());
        format!("{protected}.{shown}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn pss(input: &[u8]) -> Vec<u8> {
        by_rsa(&RSA_PSS_SHA256, input)
    }

    fn whole(header: &Value) -> String {
        let payload = BASE64URL_NOPAD.encode(b"{}");
        token(header, &payload, &payload, pss)
    }

    fn judge(token: &str) -> Result<Signed, Untrue> {
        attached(token.as_bytes(), PAYMENTS, std::slice::from_ref(&rsa().1))
    }

    #[test]
    fn what_was_signed_is_read() {
        let signed = judge(&whole(&header("PS256"))).unwrap();
        assert_eq!((signed.issued_at, signed.name.as_str(), signed.payload.as_slice()), (1, "a", &b"{}"[..]));
        let pair = rcgen::KeyPair::generate().unwrap();
        let own = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der()).unwrap();
        let key = SignatureKey::read(pair.public_key_pem().as_bytes()).unwrap();
        let sign = |input: &[u8]| own.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec();
        let payload = BASE64URL_NOPAD.encode(b"{}");
        let by_curve = token(&header("ES256"), &payload, &payload, sign);
        assert!(attached(by_curve.as_bytes(), PAYMENTS, &[rsa().1.clone(), key]).is_ok());
        assert!(judge(&by_curve).is_err(), "by another key");
        assert!(is_compact(by_curve.as_bytes()) && !is_compact(b"{}") && !is_compact(b"a.b.c.d.e"));
    }

    #[test]
    fn what_is_detached_is_signed_as_it_came() {
        let body = "{\"a\" : 1}";
        let keys = std::slice::from_ref(&rsa().1);
        let judge = |token: &str, body: &str| detached(token.as_bytes(), body.as_bytes(), PAYMENTS, keys).is_ok();
        let encoded = token(&header("PS256"), &BASE64URL_NOPAD.encode(body.as_bytes()), "", pss);
        assert!(judge(&encoded, body) && !judge(&encoded, "{\"a\":1}"));
        let mut unencoded = header("PS256");
        (unencoded["b64"], unencoded["crit"]) = (json!(false), json!(["b64"]));
        let plain = token(&unencoded, body, "", pss);
        assert!(judge(&plain, body) && !judge(&plain, ""));
        unencoded["crit"] = json!(["b64", "exp"]);
        assert!(!judge(&token(&unencoded, body, "", pss), body), "an extension that is not known");
        let mut unsaid = header("PS256");
        unsaid["b64"] = json!(false);
        assert!(!judge(&token(&unsaid, body, "", pss), body), "critical, and not said to be");
        let payload = BASE64URL_NOPAD.encode(body.as_bytes());
        assert!(!judge(&token(&header("PS256"), &payload, &payload, pss), body), "it has a body of its own");
    }

    #[test]
    fn of_headers_only_one_kind_is_ours() {
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("alg", json!("ES256")),
            ("htu", json!("/v1/payments/pay_1/refunds")),
            ("htu", json!("https://elsewhere/v2/payments")),
            ("htu", json!(null)),
            ("htm", json!("DELETE")),
            ("jti", json!("")),
            ("jti", json!("x".repeat(300))),
            ("jti", json!(null)),
            ("iat", json!("1")),
            ("iat", json!(null)),
            ("crit", json!([])),
            ("b64", json!(true)),
            ("more", json!("x".repeat(2000))),
        ] {
            let mut changed = header("PS256");
            changed[name] = value;
            assert_eq!(judge(&whole(&changed)), Err(Untrue), "{changed}");
        }
        let target = Target { method: "DELETE", ..PAYMENTS };
        let of_delete = |token: &str| attached(token.as_bytes(), target, std::slice::from_ref(&rsa().1));
        assert_eq!(of_delete(&whole(&header("PS256"))), Err(Untrue), "who names no method means POST");
        let mut named = header("PS256");
        named["htm"] = json!("DELETE");
        assert!(of_delete(&whole(&named)).is_ok());
        let ours = Target { host: Some("pay.example"), ..PAYMENTS };
        for (htu, is_ours) in [
            ("https://pay.example/v1/payments", true),
            ("https://PAY.example:443/v1/payments", true),
            ("https://sandbox.pay.example/v1/payments", false),
            ("https://pay.example:8443/v1/payments", false),
            ("https://pay.example", false),
            ("/v1/payments", false),
        ] {
            let mut named = header("PS256");
            named["htu"] = json!(htu);
            let judged = attached(whole(&named).as_bytes(), ours, std::slice::from_ref(&rsa().1));
            assert_eq!(judged.is_ok(), is_ours, "{htu}");
        }
        for (name, value) in [("htu", "https://pay.example:1/v1/payments"), ("htm", "POST"), ("kid", "any")] {
            let mut changed = header("PS256");
            changed[name] = json!(value);
            assert!(judge(&whole(&changed)).is_ok(), "{changed}");
        }
        let wrong = token(&header("PS256"), "e30", "e30", |input| by_rsa(&RSA_PKCS1_SHA256, input));
        assert_eq!(judge(&wrong), Err(Untrue), "the padding of another algorithm");
        let twice = r#"{"alg":"none","alg":"PS256","iat":1,"htu":"/v1/payments","jti":"a"}"#;
        let protected = BASE64URL_NOPAD.encode(twice.as_bytes());
        let signature = BASE64URL_NOPAD.encode(&pss(format!("{protected}.e30").as_bytes()));
        assert_eq!(judge(&format!("{protected}.e30.{signature}")), Err(Untrue));
    }

    #[test]
    fn what_was_changed_anywhere_does_not_hold() {
        let good = whole(&header("PS256"));
        for place in 0..good.len() {
            fuzz(&good.as_bytes()[..place]);
            let other = if good.as_bytes()[place] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &good[..place], &good[place + 1..]);
            // The last character of the header's segment may hold bits that say nothing; strict decoding refuses them.
            assert_eq!(judge(&changed), Err(Untrue), "{place}");
        }
        for odd in ["", "..", "e30..", &format!("{good}."), &good.replacen('.', "", 1)] {
            assert_eq!(judge(odd), Err(Untrue));
        }
    }
}
