//! The `[[acquirers]]` tables: who may come in by ISO 8583, in which dialect, for whose terminals.

use crate::edge::settings::count;
use crate::framing::{self, Framing};
use crate::link::Network as NetworkManagement;
use crate::merchants::Sha256Hash;
use crate::network::Network;
use crate::translation::Translation;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquirerSettings {
    /// Its name in the log and in metrics; in keys too, where a message names no acquirer.
    pub name: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Name of a built-in dialect, or path of a dialect file.
    pub dialect: String,
    /// How frames are cut.
    #[serde(default)]
    pub framing: framing::Settings,
    /// Addresses from which connections come: `192.0.2.7` or `192.0.2.0/24`; any if there are none.
    #[serde(default)]
    pub allow: Vec<Network>,
    /// Whether the door speaks TLS, with the certificate of `[edge]` and for client certificates of its issuers.
    #[serde(default)]
    pub tls: bool,
    /// SHA-256 of the SubjectPublicKeyInfo of the client certificates that are let in, hexadecimal; one of them is needed
    /// where there are any.
    #[serde(default)]
    pub client_cert_spki_sha256: Vec<String>,
    /// The merchants whose terminals (41, 42) ask here. Who comes in speaks for all of them.
    pub merchants: Vec<String>,
    /// Acquiring institutions (32) that may ask; any, or none said, if empty.
    #[serde(default)]
    pub acquirer_ids: Vec<String>,
    /// Elements that are not looked at, beside those that the dialect passes over.
    #[serde(default)]
    pub passed_over: Vec<u8>,
    /// What a reversal of something unknown is answered.
    #[serde(default)]
    pub unknown_original: UnknownOriginal,
    /// Whether an approval for less is welcome.
    #[serde(default)]
    pub allow_partial: bool,
    /// Whether a connection has to sign on before it asks for money.
    #[serde(default)]
    pub needs_sign_on: bool,
    /// Connections at once; more wait unaccepted.
    #[serde(default = "connections", deserialize_with = "count::<_, _, 1, 100_000>")]
    pub connections: usize,
    /// Messages of a connection that are not answered yet; more are not read.
    #[serde(default = "in_flight", deserialize_with = "count::<_, _, 1, 100_000>")]
    pub in_flight: usize,
    /// From one message to the next while nothing is in flight.
    #[serde(default = "idle_timeout_ms", deserialize_with = "count::<_, _, 1, 86_400_000>")]
    pub idle_timeout_ms: u64,
    /// From one piece of a frame to the next, either way.
    #[serde(default = "frame_timeout_ms", deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub frame_timeout_ms: u64,
}

/// What a reversal of something unknown is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownOriginal {
    /// That there is no original (1987: 25).
    #[default]
    Refused,
    /// That it is done: nothing of it stands. For acquirers that would repeat it for ever.
    Accepted,
}

fn connections() -> usize {
    256
}

fn in_flight() -> usize {
    256
}

fn idle_timeout_ms() -> u64 {
    300_000
}

fn frame_timeout_ms() -> u64 {
    10_000
}

/// A door whose settings were checked and whose dialect was read.
#[derive(Clone, Debug)]
pub struct AcquirerDoor {
    /// As they were written.
    pub settings: AcquirerSettings,
    /// The dialect.
    pub translation: Arc<Translation>,
    /// Its network management.
    pub network: NetworkManagement,
    /// Where frames end.
    pub framing: Framing,
    /// Hashes of the keys of the client certificates that are let in.
    pub pins: Vec<Sha256Hash>,
}

impl AcquirerSettings {
    /// Each key that is wrong by itself, and what was expected.
    pub fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let mut check = |fine: bool, key, expected| found.extend((!fine).then_some((key, expected)));
        let named = (1..=64).contains(&self.name.len()) && self.name.bytes().all(|b| b.is_ascii_graphic());
        check(named, "name", "1 to 64 visible characters");
        check(!self.merchants.is_empty(), "merchants", "the merchants whose terminals ask here");
        let is_id = |id: &String| (1..=11).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
        check(self.acquirer_ids.iter().all(is_id), "acquirer_ids", "identifications of 1 to 11 digits");
        let taken =
            self.passed_over.iter().all(|element| (2..=127).contains(element) && *element != 52 && *element != 64);
        check(taken, "passed_over", "element numbers from 2 to 127 that are neither a PIN (52) nor a MAC (64)");
        check(self.pins().is_some(), "client_cert_spki_sha256", "SHA-256 hashes of 64 hex digits");
        check(self.tls || self.client_cert_spki_sha256.is_empty(), "client_cert_spki_sha256", "tls beside it");
        found
    }

    /// The hashes; `None` where one of them is none.
    pub fn pins(&self) -> Option<Vec<Sha256Hash>> {
        let pin = |text: &String| data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok();
        self.client_cert_spki_sha256.iter().map(pin).collect()
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) fn frame_timeout(&self) -> Duration {
        Duration::from_millis(self.frame_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let wrong = |lines: &str| {
            let least = "name = 'pos'\nlisten = '127.0.0.1:0'\ndialect = 'iso8583-1987-bcd'\n";
            let merchants = if lines.contains("merchants") { "" } else { "merchants = ['acme']\n" };
            let settings: AcquirerSettings = toml::from_str(&format!("{least}{merchants}{lines}")).unwrap();
            settings.mistakes().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(wrong(""), Vec::<&str>::new());
        assert_eq!(wrong("merchants = []"), ["merchants"]);
        assert_eq!(wrong("acquirer_ids = ['12x']"), ["acquirer_ids"]);
        assert_eq!(wrong("passed_over = [52]"), ["passed_over"]);
        assert_eq!(wrong("tls = true\nclient_cert_spki_sha256 = ['00']"), ["client_cert_spki_sha256"]);
        let hash = "00".repeat(32);
        assert_eq!(wrong(&format!("client_cert_spki_sha256 = ['{hash}']")), ["client_cert_spki_sha256"]);
    }
}
