//! Merchants as people and scripts see them. Hashes are shown as far as they are needed to name a key.

use super::columns::aligned;
use super::proofs::signature_keys;
use crate::merchants::{ApiKeySettings, Change, MerchantSettings, Origin, Scopes};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// How much of a hash names a key for people.
const NAMED_BY: usize = 12;

/// The name of a key or certificate: the beginning of its hash.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..NAMED_BY).unwrap_or(hash)
}

pub(super) fn list(merchants: &[(Origin, MerchantSettings)]) -> (Value, String) {
    let result = json!({ "merchants": merchants.iter().map(document).collect::<Vec<_>>() });
    let head = ["merchant", "name", "state", "keys", "certificates", "terminals", "stands in"];
    let rows: Vec<Vec<String>> = merchants.iter().map(row).collect();
    let text = match rows.is_empty() {
        true => "there are no merchants; `isthmus merchant add --help` says how to add one\n".to_owned(),
        false => aligned(head.map(str::to_owned).to_vec(), rows),
    };
    (result, text)
}

fn row((origin, merchant): &(Origin, MerchantSettings)) -> Vec<String> {
    vec![
        merchant.id.clone(),
        merchant.name.clone().unwrap_or_else(|| "-".to_owned()),
        state(merchant).to_owned(),
        (merchant.api_key_sha256.len() + merchant.api_keys.len()).to_string(),
        merchant.client_cert_spki_sha256.len().to_string(),
        merchant.terminals.iter().map(|terminal| terminal.terminal.as_str()).collect::<Vec<_>>().join(", "),
        place(*origin).to_owned(),
    ]
}

pub(super) fn one(found: &(Origin, MerchantSettings)) -> (Value, String) {
    let (origin, merchant) = found;
    let mut text = format!("{} stands in the {} and is {}\n", merchant.id, place(*origin), state(merchant));
    let plain = merchant.api_key_sha256.iter().map(|hash| {
        let sha256 = hash.clone();
        ApiKeySettings { sha256, expires: None, scopes: Default::default() }
    });
    for key in plain.chain(merchant.api_keys.iter().cloned()) {
        let _ = writeln!(text, "API key      {}  {}", short(&key.sha256), bounds(&key.scopes, key.expires));
    }
    for hash in &merchant.client_cert_spki_sha256 {
        let _ = writeln!(text, "certificate  {}", short(hash));
    }
    for (hash, key) in signature_keys(merchant) {
        let _ = writeln!(text, "signs by     {}  {}", short(&hash), bounds(&key.scopes, key.expires));
    }
    for terminal in &merchant.terminals {
        let (id, acceptor, code) = (&terminal.terminal, &terminal.acceptor, &terminal.category_code);
        let _ = writeln!(text, "terminal     {id}  {acceptor}  {code}  {}, {}", terminal.city, terminal.country);
    }
    text.push_str("`--json` shows all there is\n");
    (document(found), text)
}

/// What a key is good for, and until when.
pub(super) fn bounds(scopes: &Scopes, expires: Option<Timestamp>) -> String {
    let scopes = match &scopes.0 {
        None => "for all that the merchant may do".to_owned(),
        Some(scopes) => {
            let names: Vec<&str> = scopes.iter().map(|scope| (*scope).into()).collect();
            format!("for {}", names.join(", "))
        }
    };
    match expires {
        None => scopes,
        Some(expires) if expires <= Timestamp::now() => format!("{scopes}, ended {expires}"),
        Some(expires) => format!("{scopes}, until {expires}"),
    }
}

pub(super) fn changes(changes: &[Change]) -> (Value, String) {
    let head = ["when", "who", "what", "merchant", "why"].map(str::to_owned).to_vec();
    let row = |c: &Change| vec![c.at.clone(), c.who.clone(), c.what.clone(), c.merchant.clone(), c.why.clone()];
    let text = match changes.is_empty() {
        true => "nothing was changed yet\n".to_owned(),
        false => aligned(head, changes.iter().map(row).collect()),
    };
    (json!({ "changes": changes }), text)
}

fn document((origin, merchant): &(Origin, MerchantSettings)) -> Value {
    let mut document = json!(merchant);
    document["origin"] = json!(place(*origin));
    document
}

fn place(origin: Origin) -> &'static str {
    match origin {
        Origin::Configuration => "configuration",
        Origin::Register => "register",
    }
}

fn state(merchant: &MerchantSettings) -> &'static str {
    if merchant.suspended { "suspended" } else { "active" }
}
