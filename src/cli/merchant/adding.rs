//! `isthmus merchant add`: everything that a merchant needs to pay within minutes.

use super::client_folder::{ClientFolder, Contents};
use super::issuing::{self, Issued, Subject};
use super::proofs::{self, hash_of};
use super::{Done, Office, Reason, Terminal};
use crate::cli::demo::PayloadPair;
use crate::edge;
use crate::merchants::{
    Ceilings, MerchantSettings, Proof, Scope, Scopes, Sealing, ShareSettings, Signing, certificate_key,
};
use crate::network::Network;
use clap::Args;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Add {
    /// Its identifier: 1 to 64 of a-z A-Z 0-9 _ - [default: a new one].
    merchant: Option<String>,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    terminal: Terminal,
    /// The folder that is made for its client [default: merchant-ID].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Its request for a certificate (PKCS #10, PEM), in place of a key pair made here.
    #[arg(long, value_name = "FILE", group = "proof")]
    csr: Option<PathBuf>,
    /// A certificate or public key (PEM) that it has already, in place of one made here.
    #[arg(long, value_name = "FILE", group = "proof")]
    certificate: Option<PathBuf>,
    /// No certificate: it proves itself by its API key.
    #[arg(long, group = "proof")]
    no_certificate: bool,
    /// How long its certificate is valid.
    #[arg(long, default_value_t = 365)]
    days: u16,
    /// What it must prove itself by: any, key, certificate, both.
    #[arg(long, default_value = "any", value_parser = named::<Proof>)]
    require: Proof,
    /// Whether its payloads must be sealed: optional, required.
    #[arg(long, default_value = "optional", value_parser = named::<Sealing>)]
    sealing: Sealing,
    /// What it may ask for: read, sale, refund, ... [default: everything].
    #[arg(long, value_delimiter = ',')]
    operations: Option<Vec<Scope>>,
    /// Where its requests come from: addresses and networks [default: anywhere].
    #[arg(long = "address", value_name = "NETWORK", value_delimiter = ',')]
    addresses: Vec<Network>,
    /// The most of one operation, in minor units (EUR=500000); other currencies are refused [default: any].
    #[arg(long, value_name = "CUR=N", value_delimiter = ',', value_parser = ceiling)]
    amount_max: Option<Vec<(String, u64)>>,
    #[command(flatten)]
    reason: Reason,
}

impl Add {
    pub(super) fn on(self, mut office: Office) -> Done {
        let id = self.merchant.clone().map_or_else(new_identifier, Ok)?;
        let (issued, spki) = self.certify(&office.config.edge, &id)?;
        let payload = PayloadPair::generate().map_err(|error| error.to_string())?;
        let (api_key, api_key_sha256) = proofs::new_api_key()?;
        let path = self.folder.clone().unwrap_or_else(|| format!("merchant-{id}").into());
        let terminal = self.terminal.terminal.clone();
        let (merchant, issued) = (id.as_str(), issued.as_ref());
        let contents = Contents { merchant, terminal: &terminal, api_key: &api_key, issued, payload: &payload };
        let order = office.order("add", Reason { why: self.reason.why.clone() });
        let settings = self.settings(&id, &api_key_sha256, spki.as_deref(), payload.public_jwk().to_string());
        let folder = ClientFolder::write(&path, &office.config.edge, &contents)?;
        if let Err(refused) = office.registrar.add(&settings, &order) {
            folder.remove();
            return Err(refused.into());
        }
        let result = json!({
            "merchant": id, "folder": folder.path(), "client": folder.client_json(), "api_key_sha256": api_key_sha256,
            "certificate_sha256": spki,
        });
        let path = folder.path().display();
        let text = format!(
            "{id} is in the register; a running switch knows it within seconds.\n\
             Its keys are in {path} and nowhere else; {path}/client.json tells a client where everything is.\n"
        );
        Ok((result, text))
    }

    /// Its certificate where one is made here, and the hash of the key by which it will prove itself.
    fn certify(&self, settings: &edge::Settings, id: &str) -> Result<(Option<Issued>, Option<String>), String> {
        let subject = Subject { merchant: id, days: self.days };
        let issued = match (&self.csr, &self.certificate) {
            (Some(request), _) => issuing::by_request(settings, &subject, request)?,
            (None, Some(file)) => return Ok((None, Some(hash_of(file)?))),
            (None, None) if self.no_certificate => return Ok((None, None)),
            (None, None) => issuing::key_and_certificate(settings, &subject)?,
        };
        let key = certificate_key(issued.certificate.as_bytes()).map_err(|error| error.to_string())?;
        Ok((Some(issued), Some(HEXLOWER.encode(&key))))
    }

    fn settings(self, id: &str, api_key: &str, spki: Option<&str>, payload_key: String) -> MerchantSettings {
        MerchantSettings {
            id: id.to_owned(),
            name: self.name,
            api_key_sha256: vec![api_key.to_owned()],
            api_keys: Vec::new(),
            client_cert_spki_sha256: spki.map(str::to_owned).into_iter().collect(),
            require: self.require,
            sealing: self.sealing,
            payload_key_file: None,
            payload_key: Some(payload_key),
            signing: Signing::default(),
            signature_key_files: Vec::new(),
            signature_keys: Vec::new(),
            bounded_signature_keys: Vec::new(),
            luhn: true,
            suspended: false,
            addresses: self.addresses,
            operations: Scopes(self.operations.map(|scopes| scopes.into_iter().collect())),
            amount_max: Ceilings(self.amount_max.map(|ceilings| ceilings.into_iter().collect())),
            share: ShareSettings::default(),
            terminals: vec![self.terminal.into()],
        }
    }
}

/// `m` and 80 random bits.
fn new_identifier() -> Result<String, String> {
    let mut bytes = [0; 10];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
    Ok(format!("m{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
}

/// A value by the name that it has in documents.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(name.to_owned())).map_err(|error| error.to_string())
}

fn ceiling(text: &str) -> Result<(String, u64), String> {
    let expected = || "expected a currency and a number of minor units, such as EUR=500000".to_owned();
    let (currency, most) = text.split_once('=').ok_or_else(expected)?;
    Ok((currency.to_owned(), most.parse().map_err(|_| expected())?))
}
