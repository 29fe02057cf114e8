//! The register itself: built whole or not at all, then only read.

use super::{
    ApiKey, ApiKeySettings, Merchant, MerchantSettings, PayloadKey, PayloadKeyError, Scopes, Sealing, Share,
    SignatureKey, SignatureKeyError, Signing, TerminalSettings,
};
use crate::payment::{Acceptor, MerchantId};
use data_encoding::HEXLOWER_PERMISSIVE;
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
}

/// A mistake in the register's configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("merchants[{merchant}].{key}: {fault}")]
pub struct RegisterError {
    /// Place of the merchant, from 0.
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
}

impl Register {
    /// Builds a register; all mistakes are told together. Relative paths are taken from `folder`.
    pub fn build(settings: &[MerchantSettings], folder: &Path) -> Result<Register, Vec<RegisterError>> {
        let mut builder = Builder { register: Register::default(), folder, at: 0, errors: Vec::new() };
        for (place, merchant) in settings.iter().enumerate() {
            builder.at = place;
            builder.add(merchant);
        }
        if builder.errors.is_empty() { Ok(builder.register) } else { Err(builder.errors) }
    }

    /// The API key, where it is one of ours; whether it is still valid is for the caller to see.
    pub fn by_api_key(&self, key: &[u8]) -> Option<&ApiKey> {
        let hash: Sha256Hash = Sha256::digest(key).into();
        let bucket = self.keys.get(&bucket_of(&hash))?;
        bucket.iter().find(|(known, _)| known.ct_eq(&hash).into()).map(|(_, key)| key)
    }

    /// Whose client certificate has a public key of this hash (of the whole SubjectPublicKeyInfo).
    pub fn by_certificate_key(&self, spki_sha256: &Sha256Hash) -> Option<&Arc<Merchant>> {
        self.certificates.get(spki_sha256)
    }

    /// All of them, in the order of the configuration.
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
    at: usize,
    errors: Vec<RegisterError>,
}

impl Builder<'_> {
    fn add(&mut self, settings: &MerchantSettings) {
        let id = self.identifier(&settings.id);
        let payload_key = settings.payload_key_file.as_deref().and_then(|path| self.payload_key(path));
        if settings.sealing == Sealing::Required && settings.payload_key_file.is_none() {
            self.fault("payload_key_file", Fault::Missing);
        }
        let signature_keys = settings.signature_key_files.iter().filter_map(|path| self.signature_key(path)).collect();
        if settings.signing == Signing::Required && settings.signature_key_files.is_empty() {
            self.fault("signature_key_files", Fault::Missing);
        }
        if settings.api_key_sha256.is_empty()
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
            share: Arc::new(Share::new(&settings.share)),
            addresses: settings.addresses.clone(),
            terminals,
        });
        self.enter_keys(&merchant, keys, &settings.api_keys);
        for hash in certificates {
            if self.register.certificates.insert(hash, Arc::clone(&merchant)).is_some() {
                self.fault("client_cert_spki_sha256", Fault::Duplicate);
            }
        }
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
            Some(id) if self.register.merchants.iter().any(|m| m.id == *id) => self.fault("id", Fault::Duplicate),
            Some(_) => {}
        }
        id
    }

    fn payload_key(&mut self, path: &Path) -> Option<PayloadKey> {
        let path = self.folder.join(path);
        let read = match std::fs::read(&path) {
            Ok(content) => PayloadKey::read(&content).map_err(|fault| Fault::PayloadKey { path, fault }),
            Err(error) => Err(Fault::File { path, kind: error.kind() }),
        };
        read.map_err(|fault| self.fault("payload_key_file", fault)).ok()
    }

    fn signature_key(&mut self, path: &Path) -> Option<SignatureKey> {
        let path = self.folder.join(path);
        let read = match std::fs::read(&path) {
            Ok(content) => SignatureKey::read(&content).map_err(|fault| Fault::SignatureKey { path, fault }),
            Err(error) => Err(Fault::File { path, kind: error.kind() }),
        };
        read.map_err(|fault| self.fault("signature_key_files", fault)).ok()
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
            terminal: settings.terminal.clone(),
            identification: settings.acceptor.clone(),
            category_code: settings.category_code.clone(),
            name: settings.name.clone().unwrap_or_else(|| merchant_name.chars().take(25).collect()),
            city: settings.city.clone(),
            country: settings.country.clone(),
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
}
