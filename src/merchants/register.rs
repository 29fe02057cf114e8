//! The register itself: built whole or not at all, then only read.
//!
//! Its merchants come from the configuration and from a store. Of two with one identifier the configured one counts.

use super::{
    ApiKey, ApiKeySettings, Merchant, MerchantSettings, PayloadKey, PayloadKeyError, Scopes, Sealing, Share,
    SignatureKey, SignatureKeyError, SignatureKeySettings, Signing, TerminalSettings, TrustedKey,
};
use crate::payment::{Acceptor, MerchantId};
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A SHA-256 hash.
pub type Sha256Hash = [u8; 32];

/// All merchants, found by what a request proves.
#[derive(Debug, Default)]
pub struct Register {
    /// In buckets by the first bytes of the hash, so that the whole of it is only ever compared in constant time.
    keys: BTreeMap<[u8; 4], Vec<(Sha256Hash, ApiKey)>>,
    certificates: BTreeMap<Sha256Hash, Arc<Merchant>>,
    merchants: Vec<Arc<Merchant>>,
    /// Places among them.
    by_id: BTreeMap<String, usize>,
}

/// What a register is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The merchants of the configuration.
    pub configured: &'a [MerchantSettings],
    /// Where their relative paths start.
    pub folder: &'a Path,
    /// The merchants of the store.
    pub stored: &'a [MerchantSettings],
    /// A register whose merchants keep what they have used of their shares.
    pub previous: Option<&'a Register>,
}

/// A mistake in what a register is made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("merchants[{merchant}].{key}: {fault}")]
pub struct RegisterError {
    /// Place of the merchant, from 0; those of the store stand behind those of the configuration.
    pub merchant: usize,
    /// The key at fault.
    pub key: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a key of a merchant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Fault {
    #[error("expected 1 to 64 of the characters a-z A-Z 0-9 _ -")]
    Identifier,
    #[error("used by another merchant too")]
    Duplicate,
    #[error("there already, here or with another merchant")]
    Twice,
    #[error("expected 64 hexadecimal digits")]
    Hash,
    #[error("required for this merchant")]
    Missing,
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("{} cannot be read: {kind}", path.display())]
    File { path: PathBuf, kind: std::io::ErrorKind },
    #[error("{} holds {fault}", path.display())]
    PayloadKey { path: PathBuf, fault: PayloadKeyError },
    #[error("{} holds {fault}", path.display())]
    SignatureKey { path: PathBuf, fault: SignatureKeyError },
    #[error("{0}")]
    PayloadKeyText(PayloadKeyError),
    #[error("{0}")]
    SignatureKeyText(SignatureKeyError),
}

impl Register {
    /// Builds a register of a configuration; all mistakes are told together. Relative paths are taken from `folder`.
    pub fn build(settings: &[MerchantSettings], folder: &Path) -> Result<Register, Vec<RegisterError>> {
        Register::of(Sources { configured: settings, folder, stored: &[], previous: None })
    }

    /// Builds a register of all its sources; all mistakes are told together.
    pub fn of(sources: Sources<'_>) -> Result<Register, Vec<RegisterError>> {
        let (folder, previous) = (sources.folder, sources.previous);
        let register = Register::default();
        let signers = BTreeSet::new();
        let mut builder = Builder { register, folder, previous, at: 0, stored: false, errors: Vec::new(), signers };
        sources.configured.iter().for_each(|merchant| builder.add(merchant));
        builder.stored = true;
        let configured: BTreeSet<&str> = sources.configured.iter().map(|merchant| merchant.id.as_str()).collect();
        sources.stored.iter().for_each(|merchant| match configured.contains(merchant.id.as_str()) {
            true => builder.at += 1,
            false => builder.add(merchant),
        });
        if builder.errors.is_empty() { Ok(builder.register) } else { Err(builder.errors) }
    }

    /// The API key, where it is one of ours; whether it is still valid is for the caller to see.
    pub fn by_api_key(&self, key: &[u8]) -> Option<&ApiKey> {
        let hash: Sha256Hash = Sha256::digest(key).into();
        let bucket = self.keys.get(&bucket_of(&hash))?;
        bucket.iter().find(|(known, _)| known.ct_eq(&hash).into()).map(|(_, key)| key)
    }

    /// The merchant of an identifier.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Merchant>> {
        self.merchants.get(*self.by_id.get(id)?)
    }

    /// Whose client certificate has a public key of this hash (of the whole SubjectPublicKeyInfo).
    pub fn by_certificate_key(&self, spki_sha256: &Sha256Hash) -> Option<&Arc<Merchant>> {
        self.certificates.get(spki_sha256)
    }

    /// Whether anybody may prove itself by a client certificate.
    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// When API keys and signature keys end, those that do.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let api_keys = self.keys.values().flatten().filter_map(|(_, key)| key.expires);
        let signers = self.merchants.iter().flat_map(|merchant| &merchant.signature_keys);
        api_keys.chain(signers.filter_map(|key| key.expires))
    }

    /// All of them, in the order of their sources.
    pub fn merchants(&self) -> &[Arc<Merchant>] {
        &self.merchants
    }
}

fn bucket_of(hash: &Sha256Hash) -> [u8; 4] {
    [hash[0], hash[1], hash[2], hash[3]]
}

struct Builder<'a> {
    register: Register,
    folder: &'a Path,
    previous: Option<&'a Register>,
    at: usize,
    /// Whether it is at the merchants of the store: the last proof of one of those can be taken away at any time.
    stored: bool,
    errors: Vec<RegisterError>,
    /// Hashes of the signature keys of all merchants so far.
    signers: BTreeSet<Sha256Hash>,
}

impl Builder<'_> {
    fn add(&mut self, settings: &MerchantSettings) {
        self.enter(settings);
        self.at += 1;
    }

    fn enter(&mut self, settings: &MerchantSettings) {
        let id = self.identifier(&settings.id);
        let payload_key = self.payload_key(settings);
        let signature_keys = self.signature_keys(settings);
        if !self.stored
            && settings.api_key_sha256.is_empty()
            && settings.api_keys.is_empty()
            && settings.client_cert_spki_sha256.is_empty()
        {
            self.fault("api_key_sha256", Fault::Missing);
        }
        let name = settings.name.clone().unwrap_or_else(|| settings.id.clone());
        let terminals = self.terminals(&settings.terminals, &name);
        if settings.amount_max.mistake().is_some() {
            self.fault("amount_max", Fault::Expected("ISO 4217 codes of currencies with minor units"));
        }
        let keys = self.hashes("api_key_sha256", &settings.api_key_sha256);
        let certificates = self.hashes("client_cert_spki_sha256", &settings.client_cert_spki_sha256);
        let Some(id) = id else { return };
        let merchant = Arc::new(Merchant {
            id,
            name,
            require: settings.require,
            sealing: settings.sealing,
            payload_key,
            signing: settings.signing,
            signature_keys,
            luhn: settings.luhn,
            suspended: settings.suspended,
            operations: settings.operations.clone(),
            amount_max: settings.amount_max.clone(),
            share: self.share(settings),
            addresses: settings.addresses.clone(),
            terminals,
        });
        self.enter_keys(&merchant, keys, &settings.api_keys);
        for hash in certificates {
            if self.register.certificates.insert(hash, Arc::clone(&merchant)).is_some() {
                self.fault("client_cert_spki_sha256", Fault::Duplicate);
            }
        }
        self.register.by_id.insert(settings.id.clone(), self.register.merchants.len());
        self.register.merchants.push(merchant);
    }

    fn enter_keys(&mut self, merchant: &Arc<Merchant>, plain: Vec<Sha256Hash>, scoped: &[ApiKeySettings]) {
        for hash in plain {
            let key = ApiKey { merchant: Arc::clone(merchant), scopes: Scopes::default(), expires: None };
            self.enter_key("api_key_sha256", hash, key);
        }
        for key in scoped {
            for hash in self.hashes("api_keys.sha256", std::slice::from_ref(&key.sha256)) {
                let (merchant, scopes) = (Arc::clone(merchant), key.scopes.clone());
                self.enter_key("api_keys.sha256", hash, ApiKey { merchant, scopes, expires: key.expires });
            }
        }
    }

    fn enter_key(&mut self, name: &str, hash: Sha256Hash, key: ApiKey) {
        let bucket = self.register.keys.entry(bucket_of(&hash)).or_default();
        match bucket.iter().any(|(known, _)| *known == hash) {
            true => self.fault(name, Fault::Duplicate),
            false => bucket.push((hash, key)),
        }
    }

    fn identifier(&mut self, text: &str) -> Option<MerchantId> {
        let id = MerchantId::new(text);
        match &id {
            None => self.fault("id", Fault::Identifier),
            Some(id) if self.register.by_id(id.as_str()).is_some() => self.fault("id", Fault::Duplicate),
            Some(_) => {}
        }
        id
    }

    /// The share that a merchant had before, where it is still the same one.
    fn share(&self, settings: &MerchantSettings) -> Arc<Share> {
        let before = self.previous.and_then(|register| register.by_id(&settings.id));
        let same = before.map(|merchant| &merchant.share).filter(|share| *share.settings() == settings.share);
        same.map_or_else(|| Arc::new(Share::new(&settings.share)), Arc::clone)
    }

    fn payload_key(&mut self, settings: &MerchantSettings) -> Option<PayloadKey> {
        match (&settings.payload_key_file, &settings.payload_key) {
            (None, None) => {
                if settings.sealing == Sealing::Required {
                    self.fault("payload_key_file", Fault::Missing);
                }
                None
            }
            (Some(_), Some(_)) => {
                self.fault("payload_key", Fault::Expected("one key, here or in payload_key_file"));
                None
            }
            (Some(path), None) => {
                let key = PayloadKey::read(&self.file("payload_key_file", path)?);
                let path = self.folder.join(path);
                key.map_err(|fault| self.fault("payload_key_file", Fault::PayloadKey { path, fault })).ok()
            }
            (None, Some(text)) => {
                let key = PayloadKey::read(text.as_bytes());
                key.map_err(|fault| self.fault("payload_key", Fault::PayloadKeyText(fault))).ok()
            }
        }
    }

    fn signature_keys(&mut self, settings: &MerchantSettings) -> Vec<TrustedKey> {
        let (files, texts, bounded) =
            (&settings.signature_key_files, &settings.signature_keys, &settings.bounded_signature_keys);
        if settings.signing == Signing::Required && files.is_empty() && texts.is_empty() && bounded.is_empty() {
            self.fault("signature_key_files", Fault::Missing);
        }
        let mut keys = Vec::new();
        for path in files {
            let Some(content) = self.file("signature_key_files", path) else { continue };
            let path = self.folder.join(path);
            let read = SignatureKey::read(&content).map_err(|fault| Fault::SignatureKey { path, fault });
            keys.extend(self.trusted("signature_key_files", read, None));
        }
        for text in texts {
            let read = SignatureKey::read(text.as_bytes()).map_err(Fault::SignatureKeyText);
            keys.extend(self.trusted("signature_keys", read, None));
        }
        for bounds in bounded {
            let read = SignatureKey::read(bounds.key.as_bytes()).map_err(Fault::SignatureKeyText);
            keys.extend(self.trusted("bounded_signature_keys.key", read, Some(bounds)));
        }
        keys
    }

    /// A key that nobody else has, and that does not stand twice: whose signature it is would not be clear, or for what.
    fn trusted(
        &mut self,
        name: &str,
        read: Result<SignatureKey, Fault>,
        bounds: Option<&SignatureKeySettings>,
    ) -> Option<TrustedKey> {
        let key = read.map_err(|fault| self.fault(name, fault)).ok()?;
        if !self.signers.insert(key.sha256()) {
            self.fault(name, Fault::Twice);
            return None;
        }
        let (scopes, expires) = bounds.map(|bounds| (bounds.scopes.clone(), bounds.expires)).unwrap_or_default();
        Some(TrustedKey { key, scopes, expires })
    }

    fn file(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        let path = self.folder.join(path);
        std::fs::read(&path).map_err(|error| self.fault(key, Fault::File { path, kind: error.kind() })).ok()
    }

    fn hashes(&mut self, key: &str, texts: &[String]) -> Vec<Sha256Hash> {
        let parse = |text: &String| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok();
        let parsed: Vec<Option<Sha256Hash>> = texts.iter().map(parse).collect();
        if parsed.contains(&None) {
            self.fault(key, Fault::Hash);
        }
        parsed.into_iter().flatten().collect()
    }

    fn terminals(&mut self, settings: &[TerminalSettings], merchant_name: &str) -> Vec<Acceptor> {
        if settings.is_empty() {
            self.fault("terminals", Fault::Missing);
        }
        let mut seen = BTreeSet::new();
        settings.iter().for_each(|terminal| {
            if !seen.insert(terminal.terminal.as_str()) {
                self.fault("terminals.terminal", Fault::Duplicate);
            }
        });
        settings.iter().map(|terminal| self.terminal(terminal, merchant_name)).collect()
    }

    fn terminal(&mut self, settings: &TerminalSettings, merchant_name: &str) -> Acceptor {
        let acceptor = Acceptor {
            terminal: settings.terminal.as_str().into(),
            identification: settings.acceptor.as_str().into(),
            category_code: settings.category_code.as_str().into(),
            name: settings.name.as_ref().map_or_else(|| merchant_name.chars().take(25).collect(), Into::into),
            city: settings.city.as_str().into(),
            country: settings.country.as_str().into(),
        };
        let rules = [
            ("terminal", printable(&acceptor.terminal, 1, 8), "1 to 8 printable characters"),
            ("acceptor", printable(&acceptor.identification, 1, 15), "1 to 15 printable characters"),
            ("category_code", digits(&acceptor.category_code, 4), "4 digits"),
            ("name", printable(&acceptor.name, 1, 25), "1 to 25 printable characters"),
            ("city", printable(&acceptor.city, 1, 13), "1 to 13 printable characters"),
            ("country", letters(&acceptor.country, 2), "2 upper-case letters"),
        ];
        for (key, _, expected) in rules.into_iter().filter(|(_, holds, _)| !holds) {
            self.fault(&format!("terminals.{key}"), Fault::Expected(expected));
        }
        acceptor
    }

    fn fault(&mut self, key: &str, fault: Fault) {
        self.errors.push(RegisterError { merchant: self.at, key: key.to_owned(), fault });
    }
}

fn printable(text: &str, at_least: usize, at_most: usize) -> bool {
    (at_least..=at_most).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

fn digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
}

fn letters(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use data_encoding::HEXLOWER;

    #[derive(serde::Deserialize)]
    struct File {
        merchants: Vec<MerchantSettings>,
    }

    fn build(text: &str) -> Result<Register, Vec<RegisterError>> {
        let file: File = toml::from_str(text).unwrap();
        Register::build(&file.merchants, Path::new("."))
    }

    fn acme(key: &str, rest: &str) -> String {
        let hash = HEXLOWER.encode(&Sha256::digest(key));
        format!(
            "[[merchants]]\nid = \"acme\"\napi_key_sha256 = [\"{hash}\"]\n{rest}\n[[merchants.terminals]]\n\
             terminal = \"T1\"\nacceptor = \"A1\"\ncategory_code = \"5999\"\ncity = \"Bonn\"\ncountry = \"DE\"\n"
        )
    }

    #[test]
    fn a_merchant_is_found_by_its_key_alone() {
        let register = build(&acme("secret", "")).unwrap();
        assert_eq!(register.by_api_key(b"secret").unwrap().merchant.id.as_str(), "acme");
        assert!(register.by_api_key(b"Secret").is_none());
        assert_eq!(register.by_id("acme").unwrap().name, "acme");
        assert!(register.by_id("Acme").is_none());
        assert!(register.by_certificate_key(&[0; 32]).is_none());
        let merchant = &register.merchants()[0];
        assert_eq!(merchant.terminal(None).unwrap().terminal, "T1");
        assert!(merchant.terminal(Some("T2")).is_none());
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let text = acme("secret", "sealing = \"required\"\nclient_cert_spki_sha256 = [\"xyz\"]").replace("5999", "59");
        let errors = build(&format!("{text}{}", acme("secret", ""))).unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| (error.merchant, error.key.as_str())).collect();
        let expected = [
            (0, "payload_key_file"),
            (0, "terminals.category_code"),
            (0, "client_cert_spki_sha256"),
            (1, "id"),
            (1, "api_key_sha256"),
        ];
        assert_eq!(told, expected);
    }

    fn stored(text: &str) -> Vec<MerchantSettings> {
        toml::from_str::<File>(text).unwrap().merchants
    }

    fn nothing() -> Sources<'static> {
        Sources { configured: &[], folder: Path::new("."), stored: &[], previous: None }
    }

    #[test]
    fn of_two_with_one_identifier_the_configured_one_counts() {
        let (configured, other) = (stored(&acme("ours", "")), stored(&acme("theirs", "").replace("acme", "other")));
        let both = [stored(&acme("theirs", "suspended = true")), other].concat();
        let sources = Sources { configured: &configured, stored: &both, ..nothing() };
        let register = Register::of(sources).unwrap();
        assert!(!register.by_api_key(b"ours").unwrap().merchant.suspended);
        assert_eq!(register.by_api_key(b"theirs").unwrap().merchant.id.as_str(), "other");
        let clash = stored(&acme("ours", "").replace("acme", "other"));
        let errors = Register::of(Sources { stored: &clash, ..sources }).unwrap_err();
        assert_eq!((errors[0].merchant, errors[0].key.as_str()), (1, "api_key_sha256"));
    }

    #[test]
    fn a_share_goes_on_unless_it_is_changed() {
        let busy = stored(&acme("key", "share = { in_flight = 1 }"));
        let wider = stored(&acme("key", "share = { in_flight = 2 }"));
        let first = Register::of(Sources { stored: &busy, ..nothing() }).unwrap();
        let _place = first.merchants()[0].share.place().unwrap();
        let same = Register::of(Sources { stored: &busy, previous: Some(&first), ..nothing() }).unwrap();
        assert!(same.merchants()[0].share.place().is_err());
        let changed = Register::of(Sources { stored: &wider, previous: Some(&same), ..nothing() }).unwrap();
        assert!(changed.merchants()[0].share.place().is_ok());
    }

    #[test]
    fn keys_may_stand_in_the_document_itself() {
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut merchants = stored(&acme("key", ""));
        merchants[0].signature_keys = vec![pair.public_key_pem()];
        let register = Register::of(Sources { stored: &merchants, ..nothing() }).unwrap();
        assert_eq!(register.merchants()[0].signature_keys.len(), 1);
        let wrong = stored(&acme("key", "payload_key = 'x'\nsignature_keys = ['y']"));
        let errors = Register::of(Sources { stored: &wrong, ..nothing() }).unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(told, ["payload_key", "signature_keys"]);
    }

    #[test]
    fn a_signature_key_belongs_to_one_merchant_and_stands_once() {
        let pem = rcgen::KeyPair::generate().unwrap().public_key_pem();
        let with = |id: &str, bounded: bool| {
            let mut merchant = super::super::settings::sample(id, id.chars().next().unwrap());
            match bounded {
                true => {
                    let scopes = Scopes(Some(BTreeSet::from([crate::merchants::Scope::Read])));
                    let expires = Some(Timestamp::UNIX_EPOCH);
                    merchant.bounded_signature_keys = vec![SignatureKeySettings { key: pem.clone(), expires, scopes }];
                }
                false => merchant.signature_keys = vec![pem.clone()],
            }
            merchant
        };
        let register = Register::build(&[with("a", true)], Path::new(".")).unwrap();
        let merchant = register.by_id("a").unwrap();
        assert!(!merchant.signature_keys[0].scopes.hold(crate::payment::OperationKind::Sale.into()));
        assert_eq!((merchant.signature_keys_at(Timestamp::now()).count(), register.ends().count()), (0, 1), "it ended");
        let twice = MerchantSettings { signature_keys: vec![pem.clone()], ..with("c", true) };
        for merchants in [vec![with("a", false), with("b", true)], vec![twice]] {
            let errors = Register::build(&merchants, Path::new(".")).unwrap_err();
            assert!(errors.iter().all(|error| error.fault == Fault::Twice), "{errors:?}");
        }
    }

    #[test]
    fn a_merchant_of_the_store_may_have_lost_its_last_proof() {
        let mut merchants = stored(&acme("key", ""));
        merchants[0].api_key_sha256.clear();
        let sources = Sources { stored: &merchants, ..nothing() };
        assert_eq!(Register::of(sources).unwrap().merchants().len(), 1);
        assert!(Register::build(&merchants, Path::new(".")).is_err());
    }
}
