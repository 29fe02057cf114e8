//! XML Signature 1.1, enveloped in the document that it signs: one signature, over the root, by a key that is known.
//!
//! What holds is not "some signature in the document is good" but "these octets were signed": the canonical form whose
//! digest was signed is what is read afterwards, and the document that came is thrown away. So nothing can be moved
//! beside what was signed (signature wrapping), and no two parsers need to agree on it. Of the standard's generality
//! nothing else is taken: no `Object`, no transforms but the enveloped one and canonicalisation, no keys out of
//! `KeyInfo`, no references to anywhere else. Canonicalisation itself is the work of the `bergshamra-c14n` crate.

use crate::merchants::SignatureKey;
use crate::xml::Element;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey,
};
use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::nodeset::NodeSet;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use std::ops::Range;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The namespace of signatures.
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// Attributes by which a reference finds the root.
pub const ROOT_IDS: [&str; 3] = ["Id", "ID", "id"];

/// The signature does not hold. There is nothing more to say, to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untrue;

/// What was signed by one of the keys, in canonical form; `None` where there is no signature at all.
pub fn verified(document: &[u8], keys: &[SignatureKey]) -> Result<Option<Zeroizing<Vec<u8>>>, Untrue> {
    // What is no document has no signature either, and is refused for that by whoever reads it.
    let Ok(root) = Element::parse(document) else { return Ok(None) };
    let mut signatures = root.all().into_iter().filter(|element| element.is(DSIG, "Signature"));
    let Some(first) = signatures.next() else { return Ok(None) };
    let signature = root.only(DSIG, "Signature").filter(|only| signatures.next().is_none() && only.span == first.span);
    let signature = signature.ok_or(Untrue)?;
    let signed_info = signed_info(document, keys, signature)?;
    content(document, signature.span.clone(), &signed_info).map(Some)
}

/// The canonical `SignedInfo`, once one of the keys has signed it.
fn signed_info(document: &[u8], keys: &[SignatureKey], signature: &Element) -> Result<Element, Untrue> {
    let said = only(signature, "SignedInfo")?;
    let method = method_of(only(said, "SignatureMethod")?)?;
    let canonical = canonical_signed_info(document, mode(only(said, "CanonicalizationMethod")?)?)?;
    let value = base64(&only(signature, "SignatureValue")?.text)?;
    let holds = |key: &&SignatureKey| key.is_rsa() == (method == RSA_SHA256) && verify(key, &canonical, &value);
    keys.iter().find(holds).ok_or(Untrue)?;
    // What is read on is what was signed; that it says the same of itself is all that is left to see.
    let info = Element::parse(&canonical).map_err(|_| Untrue)?;
    let agrees = |name| Ok(algorithm(only(&info, name)?)? == algorithm(only(said, name)?)?);
    (agrees("SignatureMethod")? && agrees("CanonicalizationMethod")?).then_some(info).ok_or(Untrue)
}

fn verify(key: &SignatureKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        SignatureKey::Rsa(spki) => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).verify(message, signature).is_ok()
        }
        SignatureKey::P256(spki) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, spki).verify(message, signature).is_ok()
        }
    }
}

/// The canonical form of the document without its signature, once its digest is the one that was signed.
fn content(document: &[u8], signature: Range<usize>, info: &Element) -> Result<Zeroizing<Vec<u8>>, Untrue> {
    let reference = only(info, "Reference")?;
    let mode = transformation(only(reference, "Transforms")?)?;
    if algorithm(only(reference, "DigestMethod")?)? != SHA256 {
        return Err(Untrue);
    }
    let (before, after) =
        (document.get(..signature.start).ok_or(Untrue)?, document.get(signature.end..).ok_or(Untrue)?);
    let rest = Zeroizing::new([before, after].concat());
    let canonical = Zeroizing::new(canonical(&rest, mode)?);
    let digest = base64(&only(reference, "DigestValue")?.text)?;
    let root = Element::parse(&canonical).map_err(|_| Untrue)?;
    let is_same: bool = Sha256::digest(&*canonical).as_slice().ct_eq(&digest).into();
    (is_same && refers_to(&root, reference.attribute("URI"))).then_some(canonical).ok_or(Untrue)
}

/// Whether a reference is to the root, and to nothing else.
fn refers_to(root: &Element, uri: Option<&str>) -> bool {
    let ids = |element: &Element| -> Vec<String> {
        ROOT_IDS.iter().filter_map(|name| element.attribute(name)).map(str::to_owned).collect()
    };
    match uri {
        Some("") => true,
        Some(uri) => uri.strip_prefix('#').is_some_and(|id| {
            let bearers = root.all().into_iter().filter(|element| ids(element).iter().any(|known| known == id)).count();
            bearers == 1 && ids(root).iter().any(|known| known == id)
        }),
        None => false,
    }
}

/// The enveloped transform, and at most one canonicalisation; without one, the inclusive (section 4.4.3.2).
fn transformation(transforms: &Element) -> Result<C14nMode, Untrue> {
    let mut listed = transforms.children.iter();
    let (Some(enveloped), canonicalisation, None) = (listed.next(), listed.next(), listed.next()) else {
        return Err(Untrue);
    };
    if !enveloped.is(DSIG, "Transform") || algorithm(enveloped)? != ENVELOPED {
        return Err(Untrue);
    }
    match canonicalisation {
        Some(transform) if transform.is(DSIG, "Transform") => mode(transform),
        Some(_) => Err(Untrue),
        None => Ok(C14nMode::Inclusive),
    }
}

/// A canonicalisation without comments and without parameters.
fn mode(method: &Element) -> Result<C14nMode, Untrue> {
    let mode =
        C14nMode::from_uri(algorithm(method)?).filter(|mode| !mode.with_comments() && method.children.is_empty());
    mode.ok_or(Untrue)
}

fn method_of(method: &Element) -> Result<&'static str, Untrue> {
    [RSA_SHA256, ECDSA_SHA256].into_iter().find(|known| algorithm(method) == Ok(known)).ok_or(Untrue)
}

fn only<'a>(element: &'a Element, name: &str) -> Result<&'a Element, Untrue> {
    element.only(DSIG, name).ok_or(Untrue)
}

fn algorithm(method: &Element) -> Result<&str, Untrue> {
    method.attribute("Algorithm").ok_or(Untrue)
}

fn base64(text: &str) -> Result<Vec<u8>, Untrue> {
    let characters: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(&characters).map_err(|_| Untrue)
}

fn parser() -> uppsala::Parser {
    uppsala::Parser::with_namespace_aware(true).with_forbid_dtd(true).with_forbid_entities(true).with_max_depth(64)
}

fn canonical(document: &[u8], mode: C14nMode) -> Result<Vec<u8>, Untrue> {
    let document = parser().parse(std::str::from_utf8(document).map_err(|_| Untrue)?).map_err(|_| Untrue)?;
    canonicalize_doc::<&str>(&document, mode, None, &[]).map_err(|_| Untrue)
}

/// `SignedInfo` where it stands, with what is declared around it.
fn canonical_signed_info(document: &[u8], mode: C14nMode) -> Result<Vec<u8>, Untrue> {
    let document = parser().parse(std::str::from_utf8(document).map_err(|_| Untrue)?).map_err(|_| Untrue)?;
    let [signed_info] = document.get_elements_by_tag_name_ns(DSIG, "SignedInfo")[..] else { return Err(Untrue) };
    let nodes = NodeSet::tree_without_comments(signed_info, &document);
    canonicalize_doc::<&str>(&document, mode, Some(&nodes), &[]).map_err(|_| Untrue)
}

/// What signs answers: a key on P-256, because a signature then takes some microseconds where it is needed.
pub struct Signer {
    key: EcdsaKeyPair,
    /// Its name and certificate, as a `KeyInfo` tells them.
    key_info: String,
}

impl Signer {
    /// From a private key in PKCS#8, the name of it and its certificate in DER.
    pub fn new(pkcs8: &[u8], kid: &str, certificate: &[u8]) -> Result<Signer, Untrue> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| Untrue)?;
        let certificate = BASE64.encode(certificate);
        let key_info = format!(
            "<ds:KeyInfo><ds:KeyName>{kid}</ds:KeyName><ds:X509Data><ds:X509Certificate>{certificate}\
             </ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        );
        Ok(Signer { key, key_info })
    }

    /// A document with a signature as the last element of its root.
    pub fn sign(&self, document: &[u8]) -> Result<Zeroizing<Vec<u8>>, Untrue> {
        let digest = BASE64.encode(&Sha256::digest(canonical(document, C14nMode::Exclusive)?));
        // Written in canonical form, so that what is signed is what stands here.
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{ECDSA_SHA256}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
             <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms><ds:DigestMethod \
             Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>\
             </ds:SignedInfo>"
        );
        let value = self.key.sign(&SystemRandom::new(), info.as_bytes()).map_err(|_| Untrue)?;
        let (value, key_info) = (BASE64.encode(value.as_ref()), &self.key_info);
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>{key_info}</ds:Signature>"
        );
        let end = document.windows(2).rposition(|two| two == b"</").ok_or(Untrue)?;
        let (before, after) = document.split_at(end);
        Ok(Zeroizing::new([before, signature.as_bytes(), after].concat()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ORDER: &str = "<order xmlns=\"urn:x\" Id=\"o1\">\n <amount>1</amount><!-- no -->\n</order>";

    fn signer() -> (Signer, SignatureKey) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = SignatureKey::read(pair.public_key_pem().as_bytes()).unwrap();
        (Signer::new(&pair.serialize_der(), "k", b"certificate").unwrap(), key)
    }

    fn signed(signer: &Signer) -> String {
        String::from_utf8(signer.sign(ORDER.as_bytes()).unwrap().to_vec()).unwrap()
    }

    fn judge(document: &str, key: &SignatureKey) -> Result<Option<String>, Untrue> {
        let verified = verified(document.as_bytes(), std::slice::from_ref(key))?;
        Ok(verified.map(|content| String::from_utf8(content.to_vec()).unwrap()))
    }

    #[test]
    fn what_was_signed_is_read_in_its_canonical_form() {
        let (signer, key) = signer();
        let content = judge(&signed(&signer), &key).unwrap().unwrap();
        assert_eq!(content, "<order xmlns=\"urn:x\" Id=\"o1\">\n <amount>1</amount>\n</order>");
        assert_eq!(judge(ORDER, &key), Ok(None));
        assert_eq!(judge("<order", &key), Ok(None));
        let other = super::tests::signer().1;
        assert_eq!(judge(&signed(&signer), &other), Err(Untrue), "another key, whatever KeyInfo says");
        assert_eq!(verified(signed(&signer).as_bytes(), &[]), Err(Untrue));
        assert!(verified(signed(&signer).as_bytes(), &[other, key]).is_ok());
    }

    #[test]
    fn a_document_that_was_changed_does_not_hold() {
        let (signer, key) = signer();
        let good = signed(&signer);
        for (from, to) in [
            ("<amount>1", "<amount>2"),
            ("<amount>1</amount>", "<amount>1</amount><amount>2</amount>"),
            ("Id=\"o1\"", "Id=\"o2\""),
            ("<ds:DigestValue>", "<ds:DigestValue>A"),
            ("<ds:SignatureValue>", "<ds:SignatureValue>AAAA"),
            ("ecdsa-sha256", "rsa-sha256"),
            ("ecdsa-sha256", "hmac-sha256"),
            ("xmlenc#sha256", "xmldsig#sha1"),
            ("<ds:Reference URI=\"\"", "<ds:Reference URI=\"#o1\""),
            ("<ds:Reference URI=\"\"", "<ds:Reference"),
            ("<ds:KeyInfo>", "<ds:Object><order/></ds:Object><ds:SignedInfo></ds:SignedInfo><ds:KeyInfo>"),
        ] {
            assert!(good.contains(from), "{from}");
            assert_eq!(judge(&good.replacen(from, to, 1), &key), Err(Untrue), "{to}");
        }
        let spaced = good.replacen("</ds:SignedInfo>", "<!-- - --></ds:SignedInfo>", 1);
        assert!(judge(&spaced, &key).is_ok(), "comments are not signed, and not read");
    }

    #[test]
    fn a_signature_that_was_moved_does_not_hold() {
        let (signer, key) = signer();
        let good = signed(&signer);
        let (start, end) = (good.find("<ds:Signature ").unwrap(), good.find("</ds:Signature>").unwrap() + 15);
        let (signature, evil) = (&good[start..end], "<amount>9</amount>");
        let wrapped = [
            format!("<order xmlns=\"urn:x\">{evil}{good}</order>"),
            format!("<order xmlns=\"urn:x\">{evil}<old>{ORDER}</old>{signature}</order>"),
            format!("<order xmlns=\"urn:x\" Id=\"o1\">{evil}{signature}<old>{ORDER}</old></order>"),
            good.replacen(signature, &format!("{signature}{signature}"), 1),
            good.replacen(signature, &format!("<deep>{signature}</deep>"), 1),
            good.replacen(
                signature,
                &signature.replacen("<ds:KeyInfo>", &format!("<ds:Object>{ORDER}</ds:Object><ds:KeyInfo>"), 1),
                1,
            )
            .replacen("<amount>1", "<amount>9", 1),
        ];
        for document in wrapped {
            assert_eq!(judge(&document, &key), Err(Untrue), "{document}");
        }
    }

    /// A signature over whatever `SignedInfo` says, as only the holder of the key can make it.
    fn signed_as(signer: &Signer, document: &str, reference: &str, transforms: &str, mode: C14nMode) -> String {
        let digest = BASE64.encode(&Sha256::digest(canonical(document.as_bytes(), mode).unwrap()));
        let info = format!(
            "<SignedInfo xmlns=\"{DSIG}\"><CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></CanonicalizationMethod>\
             <SignatureMethod Algorithm=\"{ECDSA_SHA256}\"></SignatureMethod><Reference {reference}><Transforms>\
             {transforms}</Transforms><DigestMethod Algorithm=\"{SHA256}\"></DigestMethod><DigestValue>{digest}\
             </DigestValue></Reference></SignedInfo>"
        );
        let value = BASE64.encode(signer.key.sign(&SystemRandom::new(), info.as_bytes()).unwrap().as_ref());
        let signature =
            format!("<Signature xmlns=\"{DSIG}\">{info}<SignatureValue>{value}</SignatureValue></Signature>");
        document.replacen("</order>", &format!("{signature}</order>"), 1)
    }

    #[test]
    fn of_references_and_transforms_few_are_known() {
        let (signer, key) = signer();
        let transform = |uri: &str| format!("<Transform Algorithm=\"{uri}\"></Transform>");
        let enveloped = transform(ENVELOPED);
        let holds = |document: &str, reference: &str, transforms: &str, mode| {
            judge(&signed_as(&signer, document, reference, transforms, mode), &key).is_ok_and(|found| found.is_some())
        };
        let exclusive = format!("{enveloped}{}", transform(EXCLUSIVE));
        let inclusive = format!("{enveloped}{}", transform(C14nMode::Inclusive11.uri()));
        assert!(holds(ORDER, "URI=\"#o1\"", &exclusive, C14nMode::Exclusive));
        assert!(holds(ORDER, "URI=\"\"", &inclusive, C14nMode::Inclusive11));
        assert!(holds(ORDER, "URI=\"\"", &enveloped, C14nMode::Inclusive));
        assert!(!holds(ORDER, "URI=\"#o2\"", &exclusive, C14nMode::Exclusive));
        assert!(!holds(ORDER, "URI=\"http://localhost/\"", &exclusive, C14nMode::Exclusive));
        let twice = ORDER.replacen("<amount>", "<amount Id=\"o1\">", 1);
        assert!(!holds(&twice, "URI=\"#o1\"", &exclusive, C14nMode::Exclusive));
        let xpath = format!("{enveloped}{}", transform("http://www.w3.org/TR/1999/REC-xpath-19991116"));
        assert!(!holds(ORDER, "URI=\"\"", &xpath, C14nMode::Exclusive));
        assert!(!holds(ORDER, "URI=\"\"", &transform(EXCLUSIVE), C14nMode::Exclusive), "not enveloped");
        let comments = format!("{enveloped}{}", transform(C14nMode::ExclusiveWithComments.uri()));
        assert!(!holds(ORDER, "URI=\"\"", &comments, C14nMode::ExclusiveWithComments));
    }
}
