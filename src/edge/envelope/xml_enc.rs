//! XML Encryption 1.1: an `EncryptedData` taken apart and put together. No key is used here.
//!
//! Of its algorithms AES-GCM (section 5.2.4) and RSA-OAEP (section 5.5.2) are known, the latter with SHA-1 or SHA-256
//! for digest and mask alike; CBC, which tells by its padding what was in it, and RSA 1.5 are not. The key is wrapped in
//! an `EncryptedKey` within the same `KeyInfo`, and references to anywhere else are not followed. What surprises: SHA-1
//! is what the widely used clients write, and OAEP does not rest on what SHA-1 has lost; answers are sealed under
//! SHA-256, which both read.

use super::jwe::{ContentCipher, IV_BYTES, TAG_BYTES, Unreadable};
use crate::xml::Element;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use data_encoding::BASE64;
use quick_xml::escape::escape;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// The most bytes of an encrypted key: RSA of 4096 bits.
const ENCRYPTED_KEY_LIMIT: usize = 512;

/// What is sealed in a document.
#[derive(Debug)]
pub struct EncryptedData {
    /// The names of the key that opens it: key ids, and hashes of certificates' public keys. There may be none.
    pub names: Vec<String>,
    /// How its content key is wrapped.
    pub oaep: Oaep,
    /// What the content is encrypted with.
    pub cipher: ContentCipher,
    /// The content encryption key, wrapped.
    pub encrypted_key: Vec<u8>,
    /// Initialisation vector.
    pub iv: Vec<u8>,
    /// The encrypted content, followed by its tag.
    pub content_and_tag: Vec<u8>,
}

/// The hash of RSA-OAEP, for digest and mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oaep {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Oaep {
    /// The algorithm below.
    pub fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Oaep::Sha1 => &OAEP_SHA1_MGF1SHA1,
            Oaep::Sha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// Whether an element is sealed.
pub fn is_sealed(element: &Element) -> bool {
    element.is(XENC, "EncryptedData")
}

impl EncryptedData {
    /// Takes an element apart.
    pub fn parse(element: &Element) -> Result<EncryptedData, Unreadable> {
        if !is_sealed(element) {
            return Err(Unreadable);
        }
        let cipher = match algorithm(only(element, XENC, "EncryptionMethod")?)?.strip_prefix(XENC11) {
            Some("aes128-gcm") => ContentCipher::A128GCM,
            Some("aes256-gcm") => ContentCipher::A256GCM,
            _ => return Err(Unreadable),
        };
        let key = only(only(element, DSIG, "KeyInfo")?, XENC, "EncryptedKey")?;
        let encrypted_key = cipher_value(key)?;
        let mut iv = cipher_value(element)?;
        if iv.len() < IV_BYTES + TAG_BYTES || encrypted_key.len() > ENCRYPTED_KEY_LIMIT {
            return Err(Unreadable);
        }
        let content_and_tag = iv.split_off(IV_BYTES);
        let oaep = oaep(only(key, XENC, "EncryptionMethod")?)?;
        Ok(EncryptedData { names: names(key)?, oaep, cipher, encrypted_key, iv, content_and_tag })
    }
}

fn only<'a>(element: &'a Element, namespace: &str, name: &str) -> Result<&'a Element, Unreadable> {
    element.only(namespace, name).ok_or(Unreadable)
}

fn algorithm(method: &Element) -> Result<&str, Unreadable> {
    method.attribute("Algorithm").ok_or(Unreadable)
}

/// The algorithm of a child of `method`, where there is one.
fn parameter<'a>(method: &'a Element, namespace: &str, name: &str) -> Result<Option<&'a str>, Unreadable> {
    match method.children.iter().any(|child| child.is(namespace, name)) {
        true => algorithm(only(method, namespace, name)?).map(Some),
        false => Ok(None),
    }
}

/// Digest and mask must be of one hash: nothing below does otherwise.
fn oaep(method: &Element) -> Result<Oaep, Unreadable> {
    let mask_of_method = match algorithm(method)? {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => None,
        "http://www.w3.org/2009/xmlenc11#rsa-oaep" => parameter(method, XENC11, "MGF")?,
        _ => return Err(Unreadable),
    };
    if method.children.iter().any(|child| child.is(XENC, "OAEPparams") && child.has_text()) {
        return Err(Unreadable);
    }
    let digest = parameter(method, DSIG, "DigestMethod")?.unwrap_or(SHA1);
    match (digest, mask_of_method.map_or(Some("mgf1sha1"), |mask| mask.strip_prefix(XENC11))) {
        (SHA1, Some("mgf1sha1")) => Ok(Oaep::Sha1),
        (SHA256, Some("mgf1sha256")) => Ok(Oaep::Sha256),
        _ => Err(Unreadable),
    }
}

fn cipher_value(element: &Element) -> Result<Vec<u8>, Unreadable> {
    base64(&only(only(element, XENC, "CipherData")?, XENC, "CipherValue")?.text)
}

/// Base64 between whose characters lines may end (XML Schema part 2, section 3.2.16).
fn base64(text: &str) -> Result<Vec<u8>, Unreadable> {
    let characters: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(&characters).map_err(|_| Unreadable)
}

/// What a `KeyInfo` says of its key. It is only ever looked up.
fn names(key: &Element) -> Result<Vec<String>, Unreadable> {
    let named = key.children.iter().filter(|child| child.is(DSIG, "KeyInfo")).flat_map(Element::all);
    named.filter_map(name).collect()
}

fn name(element: &Element) -> Option<Result<String, Unreadable>> {
    if element.is(DSIG, "KeyName") {
        return Some(Ok(element.text.trim().to_owned()));
    }
    element.is(DSIG, "X509Certificate").then(|| {
        let certificate = CertificateDer::from(base64(&element.text)?);
        let parsed = ParsedCertificate::try_from(&certificate).map_err(|_| Unreadable)?;
        Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(parsed.subject_public_key_info().as_ref())))
    })
}

/// Puts a document together: AES-256-GCM, its key wrapped under RSA-OAEP with SHA-256. `content_and_tag` ends with the
/// tag.
pub fn compose(kid: &str, encrypted_key: &[u8], iv: &[u8], content_and_tag: &[u8]) -> String {
    let (key, content) = (BASE64.encode(encrypted_key), BASE64.encode(&[iv, content_and_tag].concat()));
    let kid = escape(kid);
    format!(
        "<xenc:EncryptedData xmlns:xenc=\"{XENC}\" Type=\"{XENC}Element\">\
         <xenc:EncryptionMethod Algorithm=\"{XENC11}aes256-gcm\"/>\
         <ds:KeyInfo xmlns:ds=\"{DSIG}\"><xenc:EncryptedKey>\
         <xenc:EncryptionMethod Algorithm=\"{XENC11}rsa-oaep\"><ds:DigestMethod Algorithm=\"{SHA256}\"/>\
         <xenc11:MGF xmlns:xenc11=\"{XENC11}\" Algorithm=\"{XENC11}mgf1sha256\"/></xenc:EncryptionMethod>\
         <ds:KeyInfo><ds:KeyName>{kid}</ds:KeyName></ds:KeyInfo>\
         <xenc:CipherData><xenc:CipherValue>{key}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>\
         <xenc:CipherData><xenc:CipherValue>{content}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(document: &str) -> Result<EncryptedData, Unreadable> {
        EncryptedData::parse(&Element::parse(document.as_bytes()).unwrap())
    }

    fn good() -> String {
        compose("k<1", &[1; 256], &[2; IV_BYTES], &[3; 40])
    }

    #[test]
    fn documents_go_both_ways() {
        let sealed = read(&good()).unwrap();
        assert_eq!((sealed.cipher, sealed.names), (ContentCipher::A256GCM, vec!["k<1".to_owned()]));
        assert_eq!((sealed.encrypted_key, sealed.iv), (vec![1; 256], vec![2; IV_BYTES]));
        assert_eq!(sealed.content_and_tag, vec![3; 40]);
        assert_eq!(sealed.oaep, Oaep::Sha256);
    }

    #[test]
    fn digest_and_mask_are_of_one_hash() {
        let method = |name: &str, parameters: &str| {
            let text = good();
            let (start, end) = (text.find("<ds:DigestMethod").unwrap(), text.find("<ds:KeyInfo><ds:KeyName").unwrap());
            let from = format!("{XENC11}rsa-oaep");
            let text = format!("{}{parameters}</xenc:EncryptionMethod>{}", &text[..start], &text[end..]);
            read(&text.replacen(&from, name, 1)).map(|sealed| sealed.oaep)
        };
        let (old, new) = (format!("{XENC}rsa-oaep-mgf1p"), format!("{XENC11}rsa-oaep"));
        let digest = |hash: &str| format!("<ds:DigestMethod Algorithm=\"{hash}\"/>");
        let mask = |hash: &str| format!("<MGF xmlns=\"{XENC11}\" Algorithm=\"{XENC11}mgf1{hash}\"/>");
        let sha1 = Ok(Oaep::Sha1);
        assert_eq!(method(&old, ""), sha1);
        assert_eq!(method(&old, &digest(SHA1)), sha1);
        assert_eq!(method(&new, ""), sha1);
        assert_eq!(method(&new, &(digest(SHA1) + &mask("sha1"))), sha1);
        assert_eq!(method(&new, &(digest(SHA256) + &mask("sha256"))), Ok(Oaep::Sha256));
        assert_eq!(method(&old, &digest(SHA256)), Err(Unreadable));
        assert_eq!(method(&new, &digest(SHA256)), Err(Unreadable));
        assert_eq!(method(&new, &(digest(SHA1) + &digest(SHA256))), Err(Unreadable));
        assert_eq!(method(&old, "<xenc:OAEPparams>MTIz</xenc:OAEPparams>"), Err(Unreadable));
        assert_eq!(method(&format!("{XENC}rsa-1_5"), ""), Err(Unreadable));
    }

    #[test]
    fn other_algorithms_and_shapes_are_not_for_us() {
        let text = good();
        let gcm = format!("{XENC11}aes256-gcm");
        let ours = format!("xmlns:xenc=\"{XENC}\"");
        let changes = [
            (gcm.as_str(), "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
            (gcm.as_str(), "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
            (ours.as_str(), "xmlns:xenc=\"urn:x\""),
            ("</xenc:EncryptedKey>", "</xenc:EncryptedKey><xenc:EncryptedKey/>"),
            ("<ds:KeyName>", "<ds:X509Certificate>AAAA</ds:X509Certificate><ds:KeyName>"),
            ("<xenc:CipherValue>", "<xenc:CipherValue>!"),
            ("Algorithm", "algorithm"),
        ];
        for (from, to) in changes {
            assert!(text.contains(from));
            assert!(read(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
        assert!(read(&compose("k", &[1; 513], &[2; IV_BYTES], &[3; 40])).is_err());
        assert!(read(&compose("k", &[1; 256], &[2; IV_BYTES], &[3; 15])).is_err());
    }
}
