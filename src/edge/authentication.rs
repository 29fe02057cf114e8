//! Who asks, and whether it may ask from there, now and that often.
//!
//! An API key, a signature over the request (OAuth), the public key of a client certificate, or two of them prove who it
//! is. Every failure of a proof is the same 401; what a merchant that is known may not do is told as it is.

use super::access_log::Asked;
use super::problem::{Code, Problem};
use super::signing::OAuth;
use crate::merchants::{Exceeded, Merchant, Place, Proof, Register, Scope, Scopes, Sha256Hash};
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// What the connection itself proves, and a signature over the request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Hash of the verified client certificate's public key.
    pub certificate_key: Option<Sha256Hash>,
    /// Where it comes from.
    pub address: IpAddr,
    /// The signature in the request's `Authorization`, once it was found to hold.
    pub signed: Option<Arc<OAuth>>,
    /// Where it is noted who asked, for whoever wants to know.
    pub asked: Option<Asked>,
}

impl Peer {
    /// A peer that proves nothing and sits on the same machine.
    #[cfg(test)]
    pub const NEARBY: Peer =
        Peer { certificate_key: None, address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), signed: None, asked: None };
}

/// A merchant that asks, by whatever proof it used.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub merchant: Arc<Merchant>,
    /// The signature over its request, where it proved itself by one.
    pub signed: Option<Arc<OAuth>>,
    /// Of the API key, or of the key that signed, where there was one.
    scopes: Scopes,
}

impl Asker {
    /// Who asks at a door that knows its merchants by itself.
    pub fn at_own_door(merchant: Arc<Merchant>) -> Asker {
        Asker { merchant, signed: None, scopes: Scopes::default() }
    }

    /// Counts a request against the merchant's share.
    pub fn counted(&self) -> Result<(), Problem> {
        self.merchant.share.count().map_err(|exceeded| match exceeded {
            Exceeded::Pace(wait) => Problem::after(Code::TooManyRequests, wait),
            Exceeded::Places => Code::TooManyOpen.into(),
        })
    }

    /// Whether both the merchant and its key may ask for this.
    pub fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.merchant.suspended && scope != Scope::Read {
            return Err(Code::Suspended.into());
        }
        let may = self.merchant.operations.hold(scope) && self.scopes.hold(scope);
        if may { Ok(()) } else { Err(Code::OperationNotPermitted.into()) }
    }

    /// Takes a place among what the merchant may have open at once.
    pub fn place(&self) -> Result<Place, Problem> {
        self.merchant.share.place().map_err(|_exceeded| Code::TooManyOpen.into())
    }
}

/// Finds the merchant that a request proves to come from, and counts the request.
///
/// A key that is sent must be good, whatever the certificate says, and a certificate that belongs to a merchant must
/// belong to the same one.
pub(super) fn authenticate(register: &Register, headers: &HeaderMap, peer: Peer) -> Result<Asker, Problem> {
    let asker = prove(register, headers, &peer).ok_or(Code::Unauthenticated)?;
    if let Some(asked) = &peer.asked {
        // One request is one merchant's, however often it is asked.
        let _ = asked.set(asker.merchant.id.clone());
    }
    if !asker.merchant.may_come_from(peer.address) {
        return Err(Code::AddressNotPermitted.into());
    }
    asker.merchant.share.count().map_err(|exceeded| match exceeded {
        Exceeded::Pace(wait) => Problem::after(Code::TooManyRequests, wait),
        Exceeded::Places => Code::TooManyOpen.into(),
    })?;
    Ok(asker)
}

/// Whoever asks, where it may read.
pub(super) fn reader(register: &Register, headers: &HeaderMap, peer: Peer) -> Result<Arc<Merchant>, Problem> {
    let asker = authenticate(register, headers, peer)?;
    asker.may(Scope::Read)?;
    Ok(asker.merchant)
}

fn prove(register: &Register, headers: &HeaderMap, peer: &Peer) -> Option<Asker> {
    let by_certificate = peer.certificate_key.and_then(|hash| register.by_certificate_key(&hash));
    let by_signature = peer.signed.as_ref().map(|signed| &signed.merchant);
    let by_key = match headers.contains_key(header::AUTHORIZATION) && by_signature.is_none() {
        true => Some(register.by_api_key(bearer(headers)?).filter(|key| key.is_valid_at(Timestamp::now()))?),
        false => None,
    };
    let merchant = by_key.map(|key| &key.merchant).or(by_signature).or(by_certificate)?;
    let by_request = by_key.is_some() || by_signature.is_some();
    let one_merchant = by_certificate.is_none_or(|other| other.id == merchant.id);
    let enough = match merchant.require {
        Proof::Any => true,
        Proof::Key => by_request,
        Proof::Certificate => by_certificate.is_some(),
        Proof::Both => by_request && by_certificate.is_some(),
    };
    let of_signature = peer.signed.as_ref().map(|signed| &signed.scopes);
    let scopes = by_key.map(|key| &key.scopes).or(of_signature).cloned().unwrap_or_default();
    (one_merchant && enough).then(|| Asker { merchant: Arc::clone(merchant), signed: peer.signed.clone(), scopes })
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
    use crate::payment::OperationKind;
    use axum::http::HeaderValue;
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};
    use std::net::{Ipv4Addr, Ipv6Addr};
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
        let asker = authenticate(&register(require), &headers, Peer { certificate_key, ..Peer::NEARBY });
        asker.ok().map(|asker| asker.merchant.id.to_string())
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

    fn asker(settings: &str, address: IpAddr) -> Result<Asker, Code> {
        let hash = HEXLOWER.encode(&Sha256::digest("k"));
        let text = format!(
            "id = 'm'\n{settings}\nterminals = [{{ terminal = 'T', acceptor = 'A', category_code = '5999', city = \
             'Bonn', country = 'DE' }}]\n[[api_keys]]\nsha256 = '{hash}'\n"
        );
        // The key's own settings follow a bar.
        let text = match settings.split_once('|') {
            Some((own, key)) => text.replace(settings, own) + key,
            None => text,
        };
        let register = Register::build(&[toml::from_str(&text).unwrap()], Path::new(".")).unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer k"))]);
        authenticate(&register, &headers, Peer { address, ..Peer::NEARBY }).map_err(|problem| problem.code)
    }

    #[test]
    fn a_key_may_do_what_its_merchant_may_and_it_may_itself() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let may = |settings: &str, scope| asker(settings, here).unwrap().may(scope).map_err(|problem| problem.code);
        assert_eq!(may("", Scope::Of(OperationKind::Refund)), Ok(()));
        assert_eq!(may("operations = ['sale']", Scope::Of(OperationKind::Refund)), Err(Code::OperationNotPermitted));
        assert_eq!(may("operations = ['sale']", Scope::Of(OperationKind::Sale)), Ok(()));
        assert_eq!(may("|scopes = ['read']", Scope::Of(OperationKind::Sale)), Err(Code::OperationNotPermitted));
        assert_eq!(
            may("operations = ['sale']|scopes = ['refund']", Scope::Of(OperationKind::Refund)),
            Err(Code::OperationNotPermitted)
        );
        assert_eq!(may("suspended = true", Scope::Of(OperationKind::Sale)), Err(Code::Suspended));
        assert_eq!(may("suspended = true", Scope::Read), Ok(()));
    }

    #[test]
    fn a_key_ends_when_it_says() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(asker("|expires = '2199-01-01T00:00:00Z'", here).is_ok());
        assert_eq!(asker("|expires = '2020-01-01T00:00:00Z'", here).err(), Some(Code::Unauthenticated));
    }

    #[test]
    fn a_merchant_comes_from_where_it_said_and_not_too_often() {
        let from = |settings: &str, address: IpAddr| asker(settings, address).err();
        let networks = "addresses = ['192.0.2.0/24', '2001:db8::/32']";
        assert_eq!(from(networks, Ipv4Addr::new(192, 0, 2, 7).into()), None);
        assert_eq!(from(networks, Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().into()), None);
        assert_eq!(from(networks, Ipv6Addr::LOCALHOST.into()), Some(Code::AddressNotPermitted));
        let asker = asker("share = { requests_per_second = 1, in_flight = 1 }", Ipv4Addr::LOCALHOST.into()).unwrap();
        assert!(asker.merchant.share.count().is_err(), "this one was counted");
        let place = asker.place().unwrap();
        assert_eq!(asker.place().unwrap_err().code, Code::TooManyOpen);
        drop(place);
    }
}
