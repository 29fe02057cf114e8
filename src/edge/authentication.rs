//! Who asks: an API key, the public key of a client certificate, or both. Every failure is the same 401.

use super::problem::{Code, Problem};
use crate::merchants::{Merchant, Proof, Register, Sha256Hash};
use axum::http::{HeaderMap, header};
use std::sync::Arc;

/// What the connection itself proves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Hash of the verified client certificate's public key.
    pub certificate_key: Option<Sha256Hash>,
}

/// Finds the merchant that a request proves to come from.
///
/// A key that is sent must be good, whatever the certificate says, and a certificate that belongs to a merchant must
/// belong to the same one.
pub(super) fn authenticate(register: &Register, headers: &HeaderMap, peer: Peer) -> Result<Arc<Merchant>, Problem> {
    let by_certificate = peer.certificate_key.and_then(|hash| register.by_certificate_key(&hash));
    let by_key = match headers.contains_key(header::AUTHORIZATION) {
        true => Some(bearer(headers).and_then(|key| register.by_api_key(key)).ok_or(Code::Unauthenticated)?),
        false => None,
    };
    let merchant = by_key.or(by_certificate).ok_or(Code::Unauthenticated)?;
    let one_merchant = by_certificate.is_none_or(|other| other.id == merchant.id);
    let enough = match merchant.require {
        Proof::Any => true,
        Proof::Key => by_key.is_some(),
        Proof::Certificate => by_certificate.is_some(),
        Proof::Both => by_key.is_some() && by_certificate.is_some(),
    };
    (one_merchant && enough).then(|| Arc::clone(merchant)).ok_or(Code::Unauthenticated.into())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, key) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::merchants::MerchantSettings;
    use axum::http::HeaderValue;
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};
    use std::path::Path;

    const CERTIFICATE: Sha256Hash = [7; 32];
    const OTHER: Sha256Hash = [8; 32];

    fn register(require: &str) -> Register {
        let merchant = |id: &str, key: &str, certificate: Sha256Hash| -> MerchantSettings {
            let (key, certificate) = (HEXLOWER.encode(&Sha256::digest(key)), HEXLOWER.encode(&certificate));
            toml::from_str(&format!(
                "id = '{id}'\nrequire = '{require}'\napi_key_sha256 = ['{key}']\nclient_cert_spki_sha256 = \
                 ['{certificate}']\nterminals = [{{ terminal = 'T', acceptor = 'A', category_code = '5999', city = \
                 'Bonn', country = 'DE' }}]"
            ))
            .unwrap()
        };
        let merchants = [merchant("one", "key-one", CERTIFICATE), merchant("two", "key-two", OTHER)];
        Register::build(&merchants, Path::new(".")).unwrap()
    }

    fn ask(require: &str, authorization: Option<&str>, certificate_key: Option<Sha256Hash>) -> Option<String> {
        let mut headers = HeaderMap::new();
        authorization.map(|text| headers.insert(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap()));
        let merchant = authenticate(&register(require), &headers, Peer { certificate_key });
        merchant.ok().map(|merchant| merchant.id.to_string())
    }

    #[test]
    fn either_proof_suffices_unless_more_is_required() {
        let one = Some("one".to_owned());
        assert_eq!(ask("any", Some("Bearer key-one"), None), one);
        assert_eq!(ask("any", Some("bearer key-one"), None), one);
        assert_eq!(ask("any", None, Some(CERTIFICATE)), one);
        assert_eq!(ask("any", None, None), None);
        assert_eq!(ask("key", None, Some(CERTIFICATE)), None);
        assert_eq!(ask("certificate", Some("Bearer key-one"), None), None);
        assert_eq!(ask("both", Some("Bearer key-one"), None), None);
        assert_eq!(ask("both", Some("Bearer key-one"), Some(CERTIFICATE)), one);
    }

    #[test]
    fn a_wrong_proof_is_not_made_good_by_a_right_one() {
        assert_eq!(ask("any", Some("Bearer wrong"), Some(CERTIFICATE)), None);
        assert_eq!(ask("any", Some("Basic key-one"), Some(CERTIFICATE)), None);
        assert_eq!(ask("any", Some("Bearer key-one"), Some(OTHER)), None);
        assert_eq!(ask("any", Some("Bearer key-one"), Some([9; 32])), Some("one".to_owned()), "not a merchant's");
        assert_eq!(ask("any", Some("Bearer"), None), None);
    }
}
