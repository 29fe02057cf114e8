//! Whom to ask, as whom, and for what: from `demo.json`, and from flags where they say something else.

use crate::client::{Cipher, Envelope, Form, Target};
use crate::load::Errands;
use crate::load::cards::{self, Card};
use crate::load::mix::Mix;
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Whom to ask and for what.
#[derive(Args, Debug)]
pub(super) struct Given {
    /// The door, https://HOST:PORT.
    #[arg(long, value_name = "URL", required_unless_present = "demo")]
    target: Option<String>,
    /// The folder of a demo: target, trust and credentials come from its demo.json.
    #[arg(long, value_name = "DIR")]
    demo: Option<PathBuf>,
    /// PEM: whom to trust.
    #[arg(long, value_name = "FILE", required_unless_present = "demo")]
    ca: Option<PathBuf>,
    /// Holds the API key.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// PEM: certificate chain to present.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM: its private key.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Seal bodies (JWE, RSA-OAEP-256 with A256GCM), ahead of time: the generator's own RSA is not what is measured.
    #[arg(long)]
    sealed: bool,
    /// JWK: the door's payload key.
    #[arg(long, value_name = "FILE", requires = "sealed")]
    payload_key: Option<PathBuf>,
    /// PEM: our payload key, to open answers.
    #[arg(long, value_name = "FILE", requires = "sealed")]
    payload_private_key: Option<PathBuf>,
    /// Operations and their weights: sale, authorize, capture, void, refund, read, repeat. One that needs an earlier
    /// payment begins it where there is none.
    #[arg(long, value_name = "OPERATION=WEIGHT,...", default_value_t = Mix::sales())]
    mix: Mix,
    /// Cards to draw from, one a line: NUMBER [MM/YYYY [CODE]]. Default: the demo's card that approves.
    #[arg(long, value_name = "FILE")]
    cards: Option<PathBuf>,
    /// Minor units, or a range to draw from: 1299, 100-5000.
    #[arg(long, value_name = "AMOUNT", default_value = "1299", value_parser = amounts)]
    amount: std::ops::RangeInclusive<u64>,
    /// Of the amounts.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: String,
}

impl Given {
    /// What the customers want; a mistake names the flag or the file.
    pub(super) fn errands(&self) -> Result<Errands, String> {
        let demo = self.demo.as_deref().map(Demo::read).transpose()?;
        Ok(Errands {
            target: self.target(demo.as_ref())?,
            mix: self.mix.clone(),
            cards: self.cards.as_deref().map_or_else(|| Ok(vec![Card::approving()]), cards_of)?,
            amounts: self.amount.clone(),
            currency: self.currency.clone(),
            run: uuid::Uuid::now_v7().simple().to_string(),
        })
    }

    fn target(&self, demo: Option<&Demo>) -> Result<Target, String> {
        let of_demo = |place: &str| demo.and_then(|demo| demo.text(place));
        let url = self.target.clone().or_else(|| of_demo("/edge_url")).ok_or("no target: --target or --demo")?;
        let ca = self.ca.clone().or_else(|| of_demo("/ca_cert").map(PathBuf::from)).ok_or("nobody to trust: --ca")?;
        let api_key = match &self.api_key_file {
            Some(path) => Some(text(path)?.trim().to_owned()),
            None => of_demo("/merchant/api_key"),
        };
        let identity_pem = match (&self.client_cert, &self.client_key) {
            (Some(chain), Some(key)) => Some((bytes(chain)?, bytes(key)?)),
            _ => None,
        };
        if api_key.is_none() && identity_pem.is_none() {
            return Err("no credentials: --api-key-file, or --client-cert with --client-key, or --demo".to_owned());
        }
        let envelope = self.sealed.then(|| self.envelope(demo)).transpose()?;
        Ok(Target { url, ca_pem: bytes(&ca)?, identity_pem, api_key, envelope })
    }

    fn envelope(&self, demo: Option<&Demo>) -> Result<Envelope, String> {
        let file = |given: &Option<PathBuf>, place: &str, flag: &str| {
            let of_demo = || demo.and_then(|demo| demo.text(place)).map(PathBuf::from);
            let path = given.clone().or_else(of_demo).ok_or_else(|| format!("--sealed needs {flag}, or --demo"))?;
            text(&path)
        };
        let gateway = file(&self.payload_key, "/payload_key", "--payload-key")?;
        let own = file(&self.payload_private_key, "/merchant/payload_private_key_pem", "--payload-private-key")?;
        Envelope::new(&gateway, &own, Cipher::A256Gcm, Form::Jose).map_err(|error| error.to_string())
    }
}

/// What a demo says about itself.
struct Demo(Value);

impl Demo {
    fn read(folder: &Path) -> Result<Demo, String> {
        let path = folder.join("demo.json");
        let missing = |error: String| format!("{error}; start one with: isthmus demo --dir {}", folder.display());
        let demo = serde_json::from_str(&text(&path).map_err(missing)?);
        demo.map(Demo).map_err(|_| format!("{}: expected JSON", path.display()))
    }

    fn text(&self, place: &str) -> Option<String> {
        self.0.pointer(place)?.as_str().map(str::to_owned)
    }
}

fn cards_of(path: &Path) -> Result<Vec<Card>, String> {
    cards::read(&text(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(bytes(path)?).map_err(|_| format!("{}: expected text", path.display()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn amounts(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let range = low.trim().parse().ok().zip(high.trim().parse().ok()).map(|(low, high): (u64, u64)| low..=high);
    let usable = range.filter(|range| !range.is_empty() && *range.start() > 0);
    usable.ok_or_else(|| "expected minor units above 0, or a range of them: 100-5000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_one_or_a_range() {
        assert_eq!((amounts("1299"), amounts("100-5000")), (Ok(1299..=1299), Ok(100..=5000)));
        assert!(["", "0", "5-1", "x", "-5", "1-"].iter().all(|wrong| amounts(wrong).is_err()));
    }
}
