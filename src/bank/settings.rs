//! Settings of a link: where it leads or who may dial in, under which TLS, and how long its steps may take.

use crate::network::Network;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One link: it dials out (`connect`) or is dialled (`listen`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// Hosts and ports to connect to: each attempt takes the next one.
    #[serde(default)]
    pub connect: Addresses,
    /// Where the bank dials in. Links with the same address share a listener; each carries one connection.
    pub listen: Option<SocketAddr>,
    /// Addresses from which the bank may dial in: `192.0.2.7` or `192.0.2.0/24`; any if there are none.
    #[serde(default)]
    pub allow: Vec<Network>,
    /// What becomes of a connection that finds all links of its listener taken.
    #[serde(default)]
    pub duplicate: Duplicate,
    /// TLS on this link.
    pub tls: Option<TlsSettings>,
    /// How long connecting may take, the TLS handshake included.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout_ms: u64,
    /// How long a write may take before the line is given up: a peer that stops reading must not hold us.
    #[serde(default = "default_write_timeout")]
    pub write_timeout_ms: u64,
}

/// One address or several.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Addresses(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Addresses {
    fn from(given: OneOrMany) -> Addresses {
        match given {
            OneOrMany::One(address) => Addresses(vec![address]),
            OneOrMany::Many(addresses) => Addresses(addresses),
        }
    }
}

/// What becomes of a connection that finds all links of its listener taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicate {
    /// It is closed; an old line that is dead is found by its echoes.
    #[default]
    Refuse,
    /// It takes the place of the line that stands longest.
    Replace,
}

/// TLS on a link. Certificates are always verified; a pin is asked beside that, never instead.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Issuers of the bank's certificate, PEM. On a link that is dialled it asks for a client certificate.
    pub ca_file: Option<PathBuf>,
    /// Our certificate with its chain, PEM.
    pub certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key_file: Option<PathBuf>,
    /// The name that the bank's certificate must bear, where it is not the host that is connected to.
    pub server_name: Option<String>,
    /// SHA-256 over the SubjectPublicKeyInfo of the bank's certificate, 64 hex digits; one of them must fit.
    #[serde(default)]
    pub pin_sha256: Vec<String>,
    /// Oldest version that is spoken.
    #[serde(default)]
    pub min_version: MinVersion,
}

/// Oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MinVersion {
    /// RFC 5246, with AEAD suites only: many banks have nothing newer.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

fn default_connect_timeout() -> u64 {
    5_000
}

fn default_write_timeout() -> u64 {
    5_000
}

impl LinkSettings {
    /// The same with its files looked for from `folder`.
    pub fn relative_to(mut self, folder: &Path) -> LinkSettings {
        if let Some(tls) = &mut self.tls {
            let files = [&mut tls.ca_file, &mut tls.certificate_file, &mut tls.key_file];
            files.into_iter().flatten().for_each(|file| *file = folder.join(&*file));
        }
        self
    }

    /// Each key that is wrong, and what was expected.
    pub fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let mut check = |fine: bool, key, expected| found.extend((!fine).then_some((key, expected)));
        check(self.connect.0.is_empty() != self.listen.is_none(), "connect", "either connect or listen");
        let has_port = |address: &String| address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        check(self.connect.0.iter().all(has_port), "connect", "addresses such as bank.example:5000");
        check(self.listen.is_some() || self.allow.is_empty(), "allow", "listen beside it");
        check(self.connect_timeout_ms > 0, "connect_timeout_ms", "a time above zero");
        check(self.write_timeout_ms > 0, "write_timeout_ms", "a time above zero");
        if let Some(tls) = &self.tls {
            let listens = self.listen.is_some();
            check(listens || tls.ca_file.is_some(), "tls.ca_file", "the issuers of the bank's certificate");
            let pair = (tls.certificate_file.is_some(), tls.key_file.is_some());
            check(pair.0 == pair.1, "tls.key_file", "certificate_file and key_file together");
            check(!listens || pair.0, "tls.certificate_file", "our certificate, where the bank dials in");
            let pins = tls.pin_sha256.iter().all(|pin| super::tls::pin(pin).is_some());
            check(pins, "tls.pin_sha256", "SHA-256 hashes of 64 hex digits");
            check(tls.pin_sha256.is_empty() || tls.ca_file.is_some(), "tls.ca_file", "issuers, beside pin_sha256");
            check(!listens || tls.server_name.is_none(), "tls.server_name", "connect beside it");
        }
        found
    }

    /// Whether two links that listen on one address agree in what the listener does before it knows whom it serves.
    pub fn shares_listener_with(&self, other: &LinkSettings) -> bool {
        let handshake = |link: &LinkSettings| link.tls.clone().map(|tls| TlsSettings { pin_sha256: Vec::new(), ..tls });
        handshake(self) == handshake(other) && self.duplicate == other.duplicate
    }
}
