//! Whom to ask, as whom, and for what: from `demo.json`, and from flags where they say something else.

use crate::client::{Cipher, Envelope, Form, Target};
use crate::config;
use crate::framing::{self, Framing};
use crate::iso8583::dialects;
use crate::link::{Network, SessionSettings};
use crate::load::cards::{self, Card};
use crate::load::mix::{Mix, Operation};
use crate::load::{Counter, Customers, Errands};
use crate::payment::{self, Acceptor, Currency, Name};
use crate::translation::{Mapping, Translation};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Requests in flight on a connection that takes several, where nothing else is said.
const IN_FLIGHT: u16 = 16;

/// Whom to ask and for what.
#[derive(Args, Debug)]
pub(super) struct Given {
    /// The door, https://HOST:PORT; with --framed tls://HOST:PORT; with --spec a bank host, tcp://HOST:PORT.
    #[arg(long, value_name = "URL", required_unless_present = "demo")]
    target: Option<String>,
    /// The folder of a demo: target, trust and credentials come from its demo.json.
    #[arg(long, value_name = "DIR")]
    demo: Option<PathBuf>,
    /// PEM: whom to trust.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["demo", "spec"])]
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
    /// Speak frames over TLS, many requests in flight on each connection.
    #[arg(long, conflicts_with = "spec")]
    framed: bool,
    /// Write bodies as XML.
    #[arg(long, conflicts_with_all = ["sealed", "spec"])]
    xml: bool,
    /// Ask a bank host straight, in this dialect: a built-in name or a file with [mapping] and [session]. It books what
    /// it approves, and nothing reverses what it leaves unanswered: for test hosts.
    #[arg(long, value_name = "NAME_OR_FILE", conflicts_with = "sealed")]
    spec: Option<String>,
    /// Requests in flight on each connection, with --framed or --spec [default: 16].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: Option<u16>,
    /// Acquiring institution told to the bank host (data element 32).
    #[arg(long, value_name = "DIGITS", default_value = "123456", requires = "spec")]
    acquirer: String,
    /// Terminal told to the bank host (data element 41).
    #[arg(long, value_name = "ID", default_value = "LOAD0001", requires = "spec")]
    terminal: String,
    /// Card acceptor told to the bank host (data element 42).
    #[arg(long, value_name = "ID", default_value = "LOADSHOP0000001", requires = "spec")]
    acceptor: String,
    /// Operations and their weights: sale, authorize, capture, void, refund, read, repeat. One that needs an earlier
    /// payment begins it where there is none. A bank host is asked for sale and authorize.
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
    /// Who asks for what; a mistake names the flag or the file.
    pub(super) fn customers(&self) -> Result<Customers, String> {
        let demo = self.demo.as_deref().map(Demo::read).transpose()?;
        let cards = self.cards.as_deref().map_or_else(|| Ok(vec![Card::approving()]), cards_of)?;
        if let Some(spec) = &self.spec {
            return self.counter(spec, &cards, demo.as_ref()).map(|counter| Customers::Acquirers(Box::new(counter)));
        }
        if self.in_flight.is_some() && !self.framed {
            return Err("--in-flight goes with --framed or --spec: HTTPS has one request on each connection".to_owned());
        }
        Ok(Customers::Merchants(Box::new(Errands {
            target: self.target(demo.as_ref())?,
            in_flight: self.framed.then(|| self.in_flight()),
            is_xml: self.xml,
            mix: self.mix.clone(),
            cards,
            amounts: self.amount.clone(),
            currency: self.currency.clone(),
            run: uuid::Uuid::now_v7().simple().to_string(),
        })))
    }

    fn counter(&self, spec: &str, cards: &[Card], demo: Option<&Demo>) -> Result<Counter, String> {
        let of_demo = || demo.and_then(|demo| demo.text("/bank_addr"));
        let address = match &self.target {
            Some(url) => {
                url.strip_prefix("tcp://").map(str::to_owned).ok_or("a bank host is written tcp://HOST:PORT")?
            }
            None => of_demo().ok_or("no bank host: --target tcp://HOST:PORT, or --demo")?,
        };
        let (translation, network) = dialect(spec)?;
        let asked = |operation| matches!(operation, Operation::Sale | Operation::Authorize);
        if !self.mix.operations().all(asked) {
            return Err("--mix: a bank host is asked for sale and authorize".to_owned());
        }
        let currency = Currency::from_code(&self.currency).ok_or("--currency: expected an ISO 4217 code")?;
        let plain = cards
            .iter()
            .enumerate()
            .map(|(place, card)| of_payment(card).ok_or_else(|| format!("--cards: card {} is none", place + 1)));
        Ok(Counter {
            address,
            translation: Arc::new(translation),
            network,
            framing: Framing::new(&framing::Settings::default()).map_err(|error| error.to_string())?,
            acquirer: Name::from(self.acquirer.as_str()),
            acceptor: acceptor(&self.terminal, &self.acceptor),
            mix: self.mix.clone(),
            cards: plain.collect::<Result<_, _>>()?,
            amounts: self.amount.clone(),
            currency,
            in_flight: self.in_flight(),
            // Each run begins elsewhere, so that a host that looks for duplicates finds none.
            numbers: Arc::new(AtomicU64::new(fastrand::u64(..1_000_000_000))),
        })
    }

    fn in_flight(&self) -> usize {
        usize::from(self.in_flight.unwrap_or(IN_FLIGHT))
    }

    fn target(&self, demo: Option<&Demo>) -> Result<Target, String> {
        let of_demo = |place: &str| demo.and_then(|demo| demo.text(place));
        let framed = || of_demo("/framed_addr").map(|address| format!("tls://{address}"));
        let url = self.target.clone().or_else(|| if self.framed { framed() } else { of_demo("/edge_url") });
        let url = url.ok_or("no target: --target or --demo")?;
        if self.framed != url.starts_with("tls://") {
            return Err("a door is written https://HOST:PORT, and with --framed tls://HOST:PORT".to_owned());
        }
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

/// Codec, mapping and network management of a dialect.
fn dialect(name: &str) -> Result<(Translation, Network), String> {
    fn told<M: ToString>(mistakes: Vec<M>) -> String {
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
    let layers = config::dialect_layers(name, Path::new("")).map_err(told)?;
    let spec = dialects::spec_of(&layers).map_err(told)?;
    let mapping = Mapping::read(&layers).map_err(told)?;
    let session = SessionSettings::read(&layers).map_err(|error| error.to_string())?;
    Ok((Translation::new(spec, mapping, Name::from(name)), Network::new(session.network)))
}

fn of_payment(card: &Card) -> Option<payment::Card> {
    let pan = payment::Pan::parse(&card.number).ok()?;
    let expiry = payment::Expiry::new(card.year, card.month).ok()?;
    Some(payment::Card { pan, expiry, cvc: payment::Cvc::parse(&card.code).ok(), cryptogram: None, present: None })
}

/// The shop that asks a bank host.
fn acceptor(terminal: &str, identification: &str) -> Acceptor {
    Acceptor {
        terminal: terminal.into(),
        identification: identification.into(),
        category_code: "5999".into(),
        name: "Load shop".into(),
        city: "Panama City".into(),
        country: "PA".into(),
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
