//! Sealing an answer to a merchant's own key: a public-key operation, some microseconds, done where it is needed.

use super::jwe::{ContentCipher, IV_BYTES, compose, protected_header};
use super::{encipher, xml_enc};
use crate::edge::measure::ENVELOPE_SEAL_SECONDS;
use crate::merchants::PayloadKey;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey};
use std::time::Instant;
use zeroize::Zeroizing;

/// The answer cannot be sealed: the key or the random source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) struct NotSealed;

/// Seals `content` with A256GCM under a fresh key, in the compact form.
pub(in crate::edge) fn seal(
    recipient: &PayloadKey,
    issued_at: i64,
    content: Zeroizing<Vec<u8>>,
) -> Result<String, NotSealed> {
    let protected = protected_header(ContentCipher::A256GCM, &recipient.kid, issued_at);
    sealed(recipient, protected.as_bytes(), content, |key, iv, content| compose(&protected, key, iv, content))
}

/// The same as an `EncryptedData` of XML Encryption.
pub(in crate::edge) fn seal_xml(recipient: &PayloadKey, content: Zeroizing<Vec<u8>>) -> Result<String, NotSealed> {
    sealed(recipient, b"", content, |key, iv, content| xml_enc::compose(&recipient.kid, key, iv, content))
}

fn sealed(
    recipient: &PayloadKey,
    aad: &[u8],
    mut content: Zeroizing<Vec<u8>>,
    compose: impl FnOnce(&[u8], &[u8], &[u8]) -> String,
) -> Result<String, NotSealed> {
    let begun = Instant::now();
    let mut content_key = Zeroizing::new([0; 32]);
    let mut iv = [0; IV_BYTES];
    aws_lc_rs::rand::fill(&mut *content_key).map_err(|_| NotSealed)?;
    aws_lc_rs::rand::fill(&mut iv).map_err(|_| NotSealed)?;
    encipher(&content_key, iv, aad, &mut content).map_err(|_| NotSealed)?;
    let sealed = compose(&wrap(recipient, &*content_key)?, &iv, &content);
    metrics::histogram!(ENVELOPE_SEAL_SECONDS).record(begun.elapsed());
    Ok(sealed)
}

fn wrap(recipient: &PayloadKey, content_key: &[u8]) -> Result<Vec<u8>, NotSealed> {
    let key = OaepPublicEncryptingKey::new(recipient.key.clone()).map_err(|_| NotSealed)?;
    let mut wrapped = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut wrapped, None).map_err(|_| NotSealed)?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}
