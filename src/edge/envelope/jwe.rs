//! Compact JWE (RFC 7516 section 7.1) taken apart and put together. No key is used here.
//!
//! Of the algorithms of RFC 7518 only RSA-OAEP-256 with A128GCM or A256GCM is known; a token that says anything else,
//! compresses (`zip`) or demands extensions (`crit`) is not for us. Two things surprise. The header authenticates itself
//! as the very characters that came (section 5.2, step 15), so they are kept and never written anew. And two widely
//! used clients do not keep to the letter: Mastercard's encrypt under an initialisation vector of 16 bytes, and its
//! npm client writes segments in the other alphabet of base64, so both are read here; neither is ever written.

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::sync::LazyLock;

/// The most bytes of a protected header.
pub const HEADER_LIMIT: usize = 1024;
/// The most bytes of an encrypted key: RSA of 4096 bits.
const ENCRYPTED_KEY_LIMIT: usize = 512;
/// Bytes of an initialisation vector (RFC 7518 section 5.3).
pub const IV_BYTES: usize = 12;
/// Bytes of the initialisation vector that Mastercard's clients use.
pub const LONG_IV_BYTES: usize = 16;
/// Bytes of an authentication tag.
pub const TAG_BYTES: usize = 16;

/// A token taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Jwe<'a> {
    /// Which key opens it; a sender may name it outside of the token.
    pub kid: Option<String>,
    /// When it was sealed, in seconds since 1970, where it says.
    pub issued_at: Option<i64>,
    /// The name that is used once (`jti`), where it has one.
    pub name: Option<String>,
    /// What the content is encrypted with.
    pub cipher: ContentCipher,
    /// The protected header as it came: the additional authenticated data.
    pub protected: &'a [u8],
    /// The content encryption key, wrapped.
    pub encrypted_key: Vec<u8>,
    /// Initialisation vector, of [`IV_BYTES`] or [`LONG_IV_BYTES`].
    pub iv: Vec<u8>,
    /// The encrypted content, followed by its tag.
    pub content_and_tag: Vec<u8>,
}

/// Content encryption (RFC 7518 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ContentCipher {
    /// AES-GCM with a key of 128 bits.
    A128GCM,
    /// AES-GCM with a key of 256 bits.
    A256GCM,
}

impl ContentCipher {
    /// Bytes of its key.
    pub fn key_bytes(self) -> usize {
        match self {
            ContentCipher::A128GCM => 16,
            ContentCipher::A256GCM => 32,
        }
    }

    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            ContentCipher::A128GCM => "A128GCM",
            ContentCipher::A256GCM => "A256GCM",
        }
    }
}

/// Not a token that can be opened here. There is nothing more to say, to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload cannot be opened")]
pub struct Unreadable;

#[derive(Deserialize)]
struct Header {
    alg: KeyManagement,
    enc: ContentCipher,
    kid: Option<String>,
    jti: Option<String>,
    #[serde(default)]
    iat: IssuedAt,
    zip: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
enum KeyManagement {
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
}

/// `iat` as senders write it: a number or its digits in a string, of seconds or of milliseconds.
#[derive(Clone, Copy, Default)]
struct IssuedAt(Option<i64>);

/// What is beyond the year 5000 in seconds is milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

impl<'de> Deserialize<'de> for IssuedAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IssuedAt, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        let number = match Written::deserialize(deserializer)? {
            Written::Number(number) => number,
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom)?,
        };
        Ok(IssuedAt(Some(if number >= MILLISECONDS_FROM { number / 1000 } else { number })))
    }
}

/// Takes a token apart. Any bytes give a token or [`Unreadable`], in memory proportional to their length.
pub fn parse(token: &[u8]) -> Result<Jwe<'_>, Unreadable> {
    let mut segments = token.split(|b| *b == b'.');
    let mut next = || segments.next().ok_or(Unreadable);
    let (protected, encrypted_key, iv, content, tag) = (next()?, next()?, next()?, next()?, next()?);
    if segments.next().is_some() {
        return Err(Unreadable);
    }
    let header = header(protected)?;
    let encrypted_key = decode(encrypted_key, ENCRYPTED_KEY_LIMIT)?;
    let iv = decode(iv, LONG_IV_BYTES)?;
    if ![IV_BYTES, LONG_IV_BYTES].contains(&iv.len()) {
        return Err(Unreadable);
    }
    let mut content_and_tag = decode(content, usize::MAX)?;
    let tag: [u8; TAG_BYTES] = decode(tag, TAG_BYTES)?.try_into().map_err(|_| Unreadable)?;
    content_and_tag.extend_from_slice(&tag);
    let (kid, issued_at, name, cipher) = (header.kid, header.iat.0, header.jti, header.enc);
    Ok(Jwe { kid, issued_at, name, cipher, protected, encrypted_key, iv, content_and_tag })
}

fn header(protected: &[u8]) -> Result<Header, Unreadable> {
    let json = decode(protected, HEADER_LIMIT)?;
    let header: Header = serde_json::from_slice(&json).map_err(|_| Unreadable)?;
    let KeyManagement::RsaOaep256 = header.alg;
    match (&header.zip, &header.crit) {
        (None, None) => Ok(header),
        _ => Err(Unreadable),
    }
}

/// Base64url that also reads the letters of plain base64.
static EITHER_ALPHABET: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    specification.translate.from.push_str("+/");
    specification.translate.to.push_str("-_");
    specification.encoding().expect("64 symbols and a translation make an encoding")
});

fn decode(segment: &[u8], limit: usize) -> Result<Vec<u8>, Unreadable> {
    if segment.len() / 4 * 3 > limit {
        return Err(Unreadable);
    }
    let bytes = EITHER_ALPHABET.decode(segment).map_err(|_| Unreadable)?;
    if bytes.len() > limit { Err(Unreadable) } else { Ok(bytes) }
}

/// The protected header of an answer, ready to be authenticated.
pub fn protected_header(cipher: ContentCipher, kid: &str, issued_at: i64) -> String {
    let header = json!({
        "alg": "RSA-OAEP-256", "enc": cipher.name(), "kid": kid, "cty": "application/json", "iat": issued_at,
    });
    BASE64URL_NOPAD.encode(header.to_string().as_bytes())
}

/// Puts a token together. `content_and_tag` ends with the tag.
pub fn compose(protected: &str, encrypted_key: &[u8], iv: &[u8], content_and_tag: &[u8]) -> String {
    let (content, tag) = content_and_tag.split_at(content_and_tag.len().saturating_sub(TAG_BYTES));
    let mut token = protected.to_owned();
    for segment in [encrypted_key, iv, content, tag] {
        token.push('.');
        BASE64URL_NOPAD.encode_append(segment, &mut token);
    }
    token
}

/// Any bytes as a token, for a fuzzer: what parses is composed to a token that says the same.
pub fn fuzz(token: &[u8]) {
    let Ok(jwe) = parse(token) else { return };
    let protected = std::str::from_utf8(jwe.protected).expect("it was base64");
    let again = compose(protected, &jwe.encrypted_key, &jwe.iv, &jwe.content_and_tag);
    assert_eq!(parse(again.as_bytes()), Ok(jwe));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn token_of(header: &str) -> String {
        compose(&BASE64URL_NOPAD.encode(header.as_bytes()), &[1; 256], &[2; IV_BYTES], &[3; 40])
    }

    #[test]
    fn tokens_go_both_ways() {
        let protected = protected_header(ContentCipher::A256GCM, "k", 1);
        let token = compose(&protected, &[1; 256], &[2; IV_BYTES], &[3; 40]);
        let jwe = parse(token.as_bytes()).unwrap();
        assert_eq!(
            (jwe.kid.as_deref(), jwe.cipher, jwe.protected),
            (Some("k"), ContentCipher::A256GCM, protected.as_bytes())
        );
        assert_eq!((jwe.encrypted_key, jwe.iv, jwe.content_and_tag), (vec![1; 256], vec![2; IV_BYTES], vec![3; 40]));
        fuzz(token.as_bytes());
    }

    #[test]
    fn other_headers_are_not_for_us() {
        let good = r#"{"alg":"RSA-OAEP-256","enc":"A128GCM","kid":"k","iat":"1","jti":"j","other":[1]}"#;
        assert!(parse(token_of(good).as_bytes()).is_ok());
        let long = format!("\"kid\":\"{}\"", "k".repeat(HEADER_LIMIT));
        let changes = [
            ("RSA-OAEP-256", "RSA-OAEP"),
            ("RSA-OAEP-256", "RSA1_5"),
            ("RSA-OAEP-256", "dir"),
            ("RSA-OAEP-256", "none"),
            ("A128GCM", "A128CBC-HS256"),
            ("\"iat\":\"1\"", "\"iat\":\"soon\""),
            ("\"iat\":\"1\"", "\"iat\":1.5"),
            ("\"kid\":\"k\"", "\"kid\":\"k\",\"kid\":\"l\""),
            ("\"kid\":\"k\"", &long),
            ("\"other\":[1]", "\"zip\":\"DEF\""),
            ("\"other\":[1]", "\"crit\":[\"b64\"]"),
            ("{\"alg\"", "\"alg\""),
        ];
        for (from, to) in changes {
            assert!(good.contains(from));
            assert_eq!(parse(token_of(&good.replacen(from, to, 1)).as_bytes()), Err(Unreadable), "{to}");
        }
    }

    #[test]
    fn the_time_is_read_in_every_way_it_is_written() {
        let issued_at = |iat: &str| {
            let header = format!(r#"{{"alg":"RSA-OAEP-256","enc":"A128GCM"{iat}}}"#);
            parse(token_of(&header).as_bytes()).unwrap().issued_at
        };
        assert_eq!(issued_at(""), None);
        for iat in ["1700000000", "\"1700000000\"", "1700000000123", "\"1700000000123\""] {
            assert_eq!(issued_at(&format!(",\"iat\":{iat}")), Some(1_700_000_000), "{iat}");
        }
    }

    #[test]
    fn what_widely_used_clients_write_is_read() {
        let protected = protected_header(ContentCipher::A256GCM, "k", 1);
        let token = compose(&protected, &[0xff; 256], &[0xfb; LONG_IV_BYTES], &[0xfe; 40]);
        let (head, rest) = token.split_once('.').unwrap();
        let other_alphabet = format!("{head}.{}", rest.replace('_', "/").replace('-', "+"));
        assert_ne!(token, other_alphabet);
        assert_eq!(parse(token.as_bytes()), parse(other_alphabet.as_bytes()));
        assert_eq!(parse(token.as_bytes()).unwrap().iv.len(), LONG_IV_BYTES);
        let odd = compose(&protected, &[1; 256], &[2; 13], &[3; 40]);
        assert_eq!(parse(odd.as_bytes()), Err(Unreadable));
    }

    #[test]
    fn truncated_and_padded_tokens_are_unreadable() {
        let token = token_of(r#"{"alg":"RSA-OAEP-256","enc":"A128GCM","kid":"k"}"#);
        for place in 0..token.len() {
            fuzz(&token.as_bytes()[..place]);
            for byte in [0, b'.', b'A', b'_', b'/', b'=', 0xff] {
                let mut changed = token.clone().into_bytes();
                changed[place] = byte;
                fuzz(&changed);
            }
        }
        let last_dot = token.rfind('.').unwrap();
        for odd in
            [&token[..last_dot], &token[..=last_dot], &format!("{token}."), &format!("{token}="), &format!(" {token}")]
        {
            assert_eq!(parse(odd.as_bytes()), Err(Unreadable));
        }
        assert_eq!(parse(b"....."), Err(Unreadable));
        assert_eq!(parse(b""), Err(Unreadable));
    }
}
