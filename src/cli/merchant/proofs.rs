//! What merchants prove themselves by: API keys and client certificates, given, bound and taken back.
//!
//! Several of each may count at once, so that a merchant can change them without a pause.

use super::issuing::{self, Subject};
use super::shown::{bounds, short};
use super::{Done, Failure, Office, Reason};
use crate::merchants::{
    ApiKeySettings, MerchantSettings, RegistrarError, Scope, Scopes, SignatureKey, SignatureKeySettings,
    certificate_key,
};
use clap::{Args, Subcommand};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Subcommand, Debug)]
pub(super) enum KeyWhat {
    /// One more API key. It is printed once and kept nowhere.
    Add(AddKey),
    /// An API key counts no more, from now on.
    Revoke {
        /// Whose.
        merchant: String,
        /// Which one: the first digits of its hash, as `show` prints them.
        key: String,
        #[command(flatten)]
        reason: Reason,
    },
}

#[derive(Args, Debug)]
pub(super) struct AddKey {
    /// Whose.
    merchant: String,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    reason: Reason,
}

/// What a key is good for.
#[derive(Args, Debug)]
pub(super) struct Bounds {
    /// What it may be used for (read, sale, refund, ...), within what its merchant may do [default: all of that].
    #[arg(long, value_delimiter = ',')]
    scopes: Option<Vec<Scope>>,
    /// From when on it counts no more (2027-06-30T00:00:00Z).
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    expires: Option<Timestamp>,
    /// After how many days it counts no more.
    #[arg(long)]
    days: Option<u16>,
}

impl Bounds {
    /// Scopes, and until when.
    fn read(self) -> Result<(Scopes, Option<Timestamp>), Failure> {
        let days = self.days.map(|days| Timestamp::now().checked_add((i64::from(days) * 24).hours()));
        let expires = days.transpose().map_err(|error| error.to_string())?.or(self.expires);
        match expires.filter(|expires| *expires <= Timestamp::now()) {
            Some(past) => Err(Failure::Refused(format!("{past} is past"))),
            None => Ok((Scopes(self.scopes.map(|scopes| scopes.into_iter().collect())), expires)),
        }
    }
}

#[derive(Subcommand, Debug)]
pub(super) enum SignatureKeyWhat {
    /// One more key by which requests may be signed, beside those before it. With OAuth it proves who asks.
    Add {
        /// Whose.
        merchant: String,
        /// The public key, or a certificate of it: PEM.
        file: PathBuf,
        #[command(flatten)]
        bounds: Bounds,
        #[command(flatten)]
        reason: Reason,
    },
    /// Signatures of a key hold no more, from now on.
    Revoke {
        /// Whose.
        merchant: String,
        /// Which one: the first digits of its hash, as `list` prints them.
        key: String,
        #[command(flatten)]
        reason: Reason,
    },
    /// The keys of a merchant.
    List {
        /// Whose.
        merchant: String,
    },
}

#[derive(Subcommand, Debug)]
pub(super) enum CertificateWhat {
    /// A certificate that the merchant has counts as its own; those before it still do.
    Bind {
        /// Whose.
        merchant: String,
        /// The certificate, or its public key: PEM.
        file: PathBuf,
        #[command(flatten)]
        reason: Reason,
    },
    /// Issue a certificate for a request (PKCS #10, PEM) of the merchant, and bind it. It is printed.
    Issue {
        /// Whose.
        merchant: String,
        /// The request.
        file: PathBuf,
        /// How long it is valid.
        #[arg(long, default_value_t = 365)]
        days: u16,
        #[command(flatten)]
        reason: Reason,
    },
    /// A certificate counts no more, from now on.
    Unbind {
        /// Whose.
        merchant: String,
        /// Which one: the first digits of its hash, as `show` prints them.
        certificate: String,
        #[command(flatten)]
        reason: Reason,
    },
}

/// A new API key and its hash.
pub(super) fn new_api_key() -> Result<(Zeroizing<String>, String), String> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| "the system gives no random bytes")?;
    let key = Zeroizing::new(format!("isk_{}", BASE64URL_NOPAD.encode(&*bytes)));
    let hash = HEXLOWER.encode(&Sha256::digest(key.as_bytes()));
    Ok((key, hash))
}

impl KeyWhat {
    pub(super) fn on(self, mut office: Office) -> Done {
        match self {
            KeyWhat::Add(add) => add.on(office),
            KeyWhat::Revoke { merchant, key, reason } => {
                let mut hash = String::new();
                office.change(&merchant, ("key revoke", reason), |settings| {
                    let plain = settings.api_key_sha256.iter();
                    let all = plain.chain(settings.api_keys.iter().map(|key| &key.sha256));
                    hash = the_one(all, &key, "API key")?;
                    settings.api_key_sha256.retain(|known| *known != hash);
                    settings.api_keys.retain(|known| known.sha256 != hash);
                    Ok(())
                })?;
                let text = format!("{merchant}: API key {} counts no more\n", short(&hash));
                Ok((json!({ "merchant": merchant, "revoked": hash }), text))
            }
        }
    }
}

impl AddKey {
    fn on(self, mut office: Office) -> Done {
        let (scopes, expires) = self.bounds.read()?;
        let (key, sha256) = new_api_key()?;
        let new = ApiKeySettings { sha256, expires, scopes };
        let about = bounds(&new.scopes, new.expires);
        let result = json!({ "merchant": self.merchant, "api_key": *key, "sha256": new.sha256, "expires": expires, "scopes": new.scopes });
        office.change(&self.merchant, ("key add", self.reason), |settings| {
            settings.api_keys.push(new);
            Ok(())
        })?;
        let merchant = self.merchant;
        Ok((result, format!("{}\nThis key of {merchant} is {about}. It is shown this once.\n", *key)))
    }
}

impl SignatureKeyWhat {
    pub(super) fn on(self, mut office: Office) -> Done {
        match self {
            SignatureKeyWhat::Add { merchant, file, bounds: bound, reason } => {
                let (scopes, expires) = bound.read()?;
                let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
                let content = std::fs::read(&file).map_err(|error| wrong(&error))?;
                let key = SignatureKey::read(&content).map_err(|error| wrong(&error))?;
                let (hash, about) = (HEXLOWER.encode(&key.sha256()), bounds(&scopes, expires));
                let result = json!({ "merchant": merchant, "sha256": hash, "expires": expires, "scopes": scopes });
                let new = SignatureKeySettings { key: key.pem(), expires, scopes };
                office.change(&merchant, ("signature-key add", reason), |settings| {
                    settings.bounded_signature_keys.push(new);
                    Ok(())
                })?;
                Ok((result, format!("{merchant} may sign by key {}, {about}\n", short(&hash))))
            }
            SignatureKeyWhat::Revoke { merchant, key, reason } => {
                let mut hash = String::new();
                office.change(&merchant, ("signature-key revoke", reason), |settings| {
                    let keys = signature_keys(settings);
                    hash = the_one(keys.iter().map(|(hash, _)| hash), &key, "signature key")?;
                    settings.signature_keys.retain(|text| hash_of_key(text).as_ref() != Some(&hash));
                    settings.bounded_signature_keys.retain(|key| hash_of_key(&key.key).as_ref() != Some(&hash));
                    Ok(())
                })?;
                let text = format!("{merchant}: signatures by key {} hold no more\n", short(&hash));
                Ok((json!({ "merchant": merchant, "revoked": hash }), text))
            }
            SignatureKeyWhat::List { merchant } => {
                let settings = office.registrar.merchant(&merchant)?.1;
                let settings = settings.without_files(&office.config.folder).map_err(|fault| fault.to_string())?;
                let keys = signature_keys(&settings);
                let told = |(hash, key): &(String, SignatureKeySettings)| json!({ "sha256": hash, "expires": key.expires, "scopes": key.scopes });
                let result = json!({ "merchant": merchant, "keys": keys.iter().map(told).collect::<Vec<_>>() });
                let line = |(hash, key): &(String, SignatureKeySettings)| {
                    format!("{}  {}\n", short(hash), bounds(&key.scopes, key.expires))
                };
                Ok((result, keys.iter().map(line).collect()))
            }
        }
    }
}

/// The signature keys that stand in a merchant's document itself, each with its hash.
pub(super) fn signature_keys(merchant: &MerchantSettings) -> Vec<(String, SignatureKeySettings)> {
    let plain = merchant.signature_keys.iter();
    let plain = plain.map(|key| SignatureKeySettings { key: key.clone(), expires: None, scopes: Scopes::default() });
    let all = plain.chain(merchant.bounded_signature_keys.iter().cloned());
    all.filter_map(|key| Some((hash_of_key(&key.key)?, key))).collect()
}

fn hash_of_key(text: &str) -> Option<String> {
    SignatureKey::read(text.as_bytes()).ok().map(|key| HEXLOWER.encode(&key.sha256()))
}

impl CertificateWhat {
    pub(super) fn on(self, mut office: Office) -> Done {
        match self {
            CertificateWhat::Bind { merchant, file, reason } => {
                let hash = hash_of(&file)?;
                bind(&mut office, &merchant, ("certificate bind", reason), &hash)?;
                let text = format!("{merchant} may prove itself by certificate {}\n", short(&hash));
                Ok((json!({ "merchant": merchant, "sha256": hash }), text))
            }
            CertificateWhat::Issue { merchant, file, days, reason } => {
                let subject = Subject { merchant: &merchant, days };
                // First: nothing is to be issued in the name of a merchant that is not there.
                office.registrar.merchant(&merchant)?;
                let issued = issuing::by_request(&office.config.edge, &subject, &file)?;
                let hash = certificate_key(issued.certificate.as_bytes()).map_err(|error| error.to_string())?;
                let hash = HEXLOWER.encode(&hash);
                bind(&mut office, &merchant, ("certificate issue", reason), &hash)?;
                let result = json!({ "merchant": merchant, "sha256": hash, "certificate": issued.certificate });
                Ok((result, issued.certificate))
            }
            CertificateWhat::Unbind { merchant, certificate, reason } => {
                let mut hash = String::new();
                office.change(&merchant, ("certificate unbind", reason), |settings| {
                    hash = the_one(settings.client_cert_spki_sha256.iter(), &certificate, "certificate")?;
                    settings.client_cert_spki_sha256.retain(|known| *known != hash);
                    Ok(())
                })?;
                let text = format!("{merchant}: certificate {} counts no more\n", short(&hash));
                Ok((json!({ "merchant": merchant, "unbound": hash }), text))
            }
        }
    }
}

/// The hash of a certificate's key, out of a file.
pub(super) fn hash_of(file: &Path) -> Result<String, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let content = std::fs::read(file).map_err(|error| wrong(&error))?;
    Ok(HEXLOWER.encode(&certificate_key(&content).map_err(|error| wrong(&error))?))
}

fn bind(office: &mut Office, merchant: &str, order: (&str, Reason), hash: &str) -> Result<(), Failure> {
    office.change(merchant, order, |settings| {
        settings.client_cert_spki_sha256.push(hash.to_owned());
        Ok(())
    })
}

/// The one hash that begins so.
fn the_one<'a>(
    hashes: impl Iterator<Item = &'a String>,
    beginning: &str,
    what: &str,
) -> Result<String, RegistrarError> {
    let beginning = beginning.to_ascii_lowercase();
    let mut found = hashes.filter(|hash| !beginning.is_empty() && hash.to_ascii_lowercase().starts_with(&beginning));
    match (found.next(), found.next()) {
        (Some(hash), None) => Ok(hash.clone()),
        (None, _) => Err(RegistrarError::Refused(format!("no {what} of this merchant begins with {beginning}"))),
        _ => Err(RegistrarError::Refused(format!("more than one {what} of this merchant begins with {beginning}"))),
    }
}
