//! How a merchant is written down: a table of the configuration, or a document of the register's store.
//!
//! Both have the same keys. What is as it would be anyway is not written.

use super::{Ceilings, Fault, Proof, Scopes, Sealing, ShareSettings, SignatureKey, Signing, payload_key};
use crate::network::Network;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One merchant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantSettings {
    /// Identifier: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub id: String,
    /// What people call it; the identifier if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SHA-256 of each API key, hexadecimal. The keys themselves are nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_key_sha256: Vec<String>,
    /// API keys that may do less than their merchant, or expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeySettings>,
    /// SHA-256 of the SubjectPublicKeyInfo of each client certificate, hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_cert_spki_sha256: Vec<String>,
    /// `any`, `key`, `certificate` or `both`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub require: Proof,
    /// `optional` or `required`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sealing: Sealing,
    /// File with the merchant's public payload key: a JWK, or PEM (SubjectPublicKeyInfo).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_key_file: Option<PathBuf>,
    /// That key itself, in place of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_key: Option<String>,
    /// `optional` or `required`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub signing: Signing,
    /// Files with the public keys of the merchant's signatures: PEM, certificates or SubjectPublicKeyInfo.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signature_key_files: Vec<PathBuf>,
    /// Such keys themselves, beside or in place of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signature_keys: Vec<String>,
    /// Such keys that may do less than their merchant, or expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounded_signature_keys: Vec<SignatureKeySettings>,
    /// Whether the check digit of card numbers is checked.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub luhn: bool,
    /// Whether it may only read: what it asked for before is still answered to whoever reads it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub suspended: bool,
    /// Where its requests may come from: addresses and networks; from anywhere if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Network>,
    /// What it may ask for: `read`, `authorisation`, `increment`, `sale`, `capture`, `void`, `refund`,
    /// `verification`, `balance_inquiry`, `tokens`; everything if absent.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub operations: Scopes,
    /// The most that one operation may be about, in minor units by currency; other currencies are refused.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub amount_max: Ceilings,
    /// Its share of the door.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub share: ShareSettings,
    /// At least one; the first is used where a request names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terminals: Vec<TerminalSettings>,
}

impl MerchantSettings {
    /// The same settings with the keys themselves in place of the files that hold them: of each only what is public.
    pub fn without_files(mut self, folder: &Path) -> Result<MerchantSettings, Fault> {
        let read = |path: PathBuf| {
            let path = folder.join(path);
            match std::fs::read(&path) {
                Ok(content) => Ok((path, content)),
                Err(error) => Err(Fault::File { path, kind: error.kind() }),
            }
        };
        if let Some(path) = self.payload_key_file.take() {
            let (path, content) = read(path)?;
            let part = payload_key::public_part(&content);
            self.payload_key = Some(part.map_err(|fault| Fault::PayloadKey { path, fault })?);
        }
        for path in std::mem::take(&mut self.signature_key_files) {
            let (path, content) = read(path)?;
            let key = SignatureKey::read(&content).map_err(|fault| Fault::SignatureKey { path, fault })?;
            self.signature_keys.push(key.pem());
        }
        Ok(self)
    }
}

/// An API key with bounds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySettings {
    /// SHA-256 of the key, hexadecimal.
    pub sha256: String,
    /// From when on it is no longer taken (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it may be used for; everything its merchant may do if absent.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub scopes: Scopes,
}

/// A signature key with bounds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureKeySettings {
    /// The public key: PEM, a certificate or SubjectPublicKeyInfo.
    pub key: String,
    /// From when on its signatures hold no longer (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What they may ask for; everything its merchant may do if absent.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub scopes: Scopes,
}

/// A terminal: the card acceptor as a bank is told it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSettings {
    /// Card acceptor terminal identification, 1 to 8 characters.
    pub terminal: String,
    /// Card acceptor identification code, 1 to 15 characters.
    pub acceptor: String,
    /// Merchant category code, four digits.
    pub category_code: String,
    /// Name, at most 25 characters; the merchant's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// City, at most 13 characters.
    pub city: String,
    /// Country, two letters.
    pub country: String,
}

fn yes() -> bool {
    true
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A merchant with one API key, whose hash is one digit over and over, and one terminal.
#[cfg(test)]
pub(super) fn sample(id: &str, hash: char) -> MerchantSettings {
    let terminal = TerminalSettings {
        terminal: "T1".to_owned(),
        acceptor: "A1".to_owned(),
        category_code: "5999".to_owned(),
        name: None,
        city: "Bonn".to_owned(),
        country: "DE".to_owned(),
    };
    MerchantSettings {
        id: id.to_owned(),
        name: None,
        api_key_sha256: vec![hash.to_string().repeat(64)],
        api_keys: Vec::new(),
        client_cert_spki_sha256: Vec::new(),
        require: Proof::default(),
        sealing: Sealing::default(),
        payload_key_file: None,
        payload_key: None,
        signing: Signing::default(),
        signature_key_files: Vec::new(),
        signature_keys: Vec::new(),
        bounded_signature_keys: Vec::new(),
        luhn: true,
        suspended: false,
        addresses: Vec::new(),
        operations: Scopes::default(),
        amount_max: Ceilings::default(),
        share: ShareSettings::default(),
        terminals: vec![terminal],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TERMINALS: &str =
        r#""terminals":[{"terminal":"T1","acceptor":"A1","category_code":"5999","city":"Bonn","country":"DE"}]"#;

    #[test]
    fn of_files_only_what_is_public_is_written_down() {
        let folder = std::env::temp_dir().join(format!("isthmus-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
        std::fs::write(folder.join("certificate.pem"), format!("a note\n{certificate}")).unwrap();
        std::fs::write(folder.join("both.pem"), [certificate, pair.serialize_pem()].concat()).unwrap();
        let jwk = r#"{"kty":"RSA","kid":"k","n":"N","e":"AQAB","note":"a note"}"#;
        let modulus = data_encoding::BASE64URL_NOPAD.encode(&[0xc1; 256]);
        std::fs::write(folder.join("jwk.json"), jwk.replace("\"N\"", &format!("\"{modulus}\""))).unwrap();
        let with = |payload: &str, signature: &str| MerchantSettings {
            payload_key_file: Some(payload.into()),
            signature_key_files: vec![signature.into()],
            ..sample("shop", 'a')
        };
        let written = with("jwk.json", "certificate.pem").without_files(&folder).unwrap();
        assert_eq!(written.signature_keys, [SignatureKey::read(pair.public_key_pem().as_bytes()).unwrap().pem()]);
        assert!(!serde_json::to_string(&written).unwrap().contains("note"));
        assert!(written.payload_key.unwrap().contains(&modulus));
        let refused = with("jwk.json", "both.pem").without_files(&folder).unwrap_err();
        assert!(refused.to_string().contains("private key"), "{refused}");
        let refused = with("both.pem", "certificate.pem").without_files(&folder).unwrap_err();
        assert!(refused.to_string().contains("private key"), "{refused}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_is_unusual_is_written() {
        let least = format!(r#"{{"id":"shop",{TERMINALS}}}"#);
        let more = [
            r#"{"id":"shop","api_keys":[{"sha256":"00","expires":"2027-01-01T00:00:00Z","scopes":["read"]}],"#,
            r#""require":"both","luhn":false,"suspended":true,"addresses":["192.0.2.0/24"],"operations":["sale"],"#,
            r#""amount_max":{"EUR":5},"share":{"in_flight":3},"#,
            TERMINALS,
            "}",
        ];
        for text in [least, more.concat()] {
            let read: MerchantSettings = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
