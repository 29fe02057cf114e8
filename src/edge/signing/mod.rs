//! Signatures over requests in JSON: JWS over a body, OAuth 1.0a over a request. XML has its own, in [`super::xml`].
//!
//! Each says when it was made, for which resource, and by a name that is never used twice (`jti`, `oauth_nonce`); the
//! name belongs to the first idempotency key that it came with (`nonces`), so that an honest repeat passes and a copy
//! under another key does not. Only keys of the register count, whatever a header names. What surprises: what was
//! signed are the octets that came; JSON is never written anew to be compared.

pub mod jws;
mod nonces;
mod oauth;

pub(super) use nonces::{Nonces, Refused};
pub(super) use oauth::{OAuth, attend};

/// A host as it is compared: in lower case, without the port that goes without saying.
fn plain_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(":443").map(str::to_owned).unwrap_or(host)
}

/// The host of an address, as it is compared.
pub(super) fn audience(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    (!host.is_empty()).then(|| plain_host(host))
}

/// The signature does not hold. There is nothing more to say, to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untrue;
