//! How a merchant stands in the configuration.

use super::{Ceilings, Proof, Scopes, Sealing, ShareSettings, Signing};
use crate::network::Network;
use jiff::Timestamp;
use serde::Deserialize;
use std::path::PathBuf;

/// One `[[merchants]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantSettings {
    /// Identifier: 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub id: String,
    /// What people call it; the identifier if absent.
    pub name: Option<String>,
    /// SHA-256 of each API key, hexadecimal. The keys themselves are nowhere.
    #[serde(default)]
    pub api_key_sha256: Vec<String>,
    /// API keys that may do less than their merchant, or expire.
    #[serde(default)]
    pub api_keys: Vec<ApiKeySettings>,
    /// SHA-256 of the SubjectPublicKeyInfo of each client certificate, hexadecimal.
    #[serde(default)]
    pub client_cert_spki_sha256: Vec<String>,
    /// `any`, `key`, `certificate` or `both`.
    #[serde(default)]
    pub require: Proof,
    /// `optional` or `required`.
    #[serde(default)]
    pub sealing: Sealing,
    /// File with the merchant's public payload key: a JWK, or PEM (SubjectPublicKeyInfo).
    pub payload_key_file: Option<PathBuf>,
    /// `optional` or `required`.
    #[serde(default)]
    pub signing: Signing,
    /// Files with the public keys of the merchant's signatures: PEM, certificates or SubjectPublicKeyInfo.
    #[serde(default)]
    pub signature_key_files: Vec<PathBuf>,
    /// Whether the check digit of card numbers is checked.
    #[serde(default = "yes")]
    pub luhn: bool,
    /// Whether it may only read: what it asked for before is still answered to whoever reads it.
    #[serde(default)]
    pub suspended: bool,
    /// Where its requests may come from: addresses and networks; from anywhere if empty.
    #[serde(default)]
    pub addresses: Vec<Network>,
    /// What it may ask for: `read`, `authorisation`, `sale`, `capture`, `void`, `refund`,
    /// `verification`, `balance_inquiry`; everything if absent.
    #[serde(default)]
    pub operations: Scopes,
    /// The most that one operation may be about, in minor units by currency; other currencies are refused.
    #[serde(default)]
    pub amount_max: Ceilings,
    /// Its share of the door.
    #[serde(default)]
    pub share: ShareSettings,
    /// At least one; the first is used where a request names none.
    #[serde(default)]
    pub terminals: Vec<TerminalSettings>,
}

/// One `[[merchants.api_keys]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySettings {
    /// SHA-256 of the key, hexadecimal.
    pub sha256: String,
    /// From when on it is no longer taken (RFC 3339).
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// What it may be used for; everything its merchant may do if absent.
    #[serde(default)]
    pub scopes: Scopes,
}

/// One `[[merchants.terminals]]` table: the card acceptor as a bank is told it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminalSettings {
    /// Card acceptor terminal identification, 1 to 8 characters.
    pub terminal: String,
    /// Card acceptor identification code, 1 to 15 characters.
    pub acceptor: String,
    /// Merchant category code, four digits.
    pub category_code: String,
    /// Name, at most 25 characters; the merchant's name if absent.
    pub name: Option<String>,
    /// City, at most 13 characters.
    pub city: String,
    /// Country, two letters.
    pub country: String,
}

fn yes() -> bool {
    true
}
