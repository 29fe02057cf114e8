//! The configuration: one TOML file, read whole and checked whole before anything is bound.
//!
//! Each room owns its own `Settings`; this one reads, merges and reports. A value may be replaced by an environment
//! variable `ISTHMUS_<TABLE>__<KEY>` (`ISTHMUS_EDGE__LISTEN`); secrets stand in files that the configuration names.
//! Relative paths start from the folder of the file.

mod acquirers;
mod host_keys;
mod hosts;
mod keys;
mod lines;
mod mistake;
mod overrides;
mod pins;
mod stand_in;

pub use host_keys::{HostKeyFiles, key_settings};
pub use hosts::{HostConfig, Hosts};
pub use keys::{KeyFiles, Secrets};
pub use mistake::Mistake;
pub use pins::{PinCipher, PinConfig, PinKeyConfig};
pub use stand_in::StandInConfig;

use crate::iso8583::dialects;
use crate::{edge, journal, merchants, routing};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A configuration, read and checked.
#[derive(Debug)]
pub struct Config {
    /// Where the file lies; relative paths start there.
    pub folder: PathBuf,
    /// The journal.
    pub journal: journal::Settings,
    /// The merchants' door.
    pub edge: edge::Settings,
    /// The doors of acquirers.
    pub acquirers: Vec<edge::AcquirerSettings>,
    /// Bounds of the switch.
    pub switch: SwitchConfig,
    /// The banks.
    pub hosts: Vec<HostConfig>,
    /// Which payments go to which of them.
    pub routes: Vec<routing::RouteSettings>,
    /// The merchants.
    pub merchants: Vec<merchants::MerchantSettings>,
    /// Where the keys lie.
    pub keys: KeyFiles,
    /// PINs.
    pub pin: PinConfig,
    /// Health and metrics.
    pub operations: OperationsConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    journal: journal::Settings,
    edge: edge::Settings,
    #[serde(default)]
    acquirers: Vec<edge::AcquirerSettings>,
    #[serde(default)]
    switch: SwitchConfig,
    hosts: Vec<HostConfig>,
    #[serde(default)]
    routes: Vec<routing::RouteSettings>,
    #[serde(default)]
    merchants: Vec<merchants::MerchantSettings>,
    keys: KeyFiles,
    #[serde(default)]
    pin: PinConfig,
    #[serde(default)]
    operations: OperationsConfig,
}

/// The `[switch]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchConfig {
    /// Operations that may be open at once.
    pub credit: usize,
    /// Operations that may wait on one payment.
    pub payment_queue: usize,
    /// Settled keys that a host remembers, to tell late and second replies.
    pub settled_memory: usize,
    /// How long a request may look for a host that takes it, over all hosts.
    pub send_budget_ms: u64,
}

impl Default for SwitchConfig {
    fn default() -> SwitchConfig {
        SwitchConfig { credit: 4096, payment_queue: 8, settled_memory: 100_000, send_budget_ms: 12_000 }
    }
}

/// The `[operations]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsConfig {
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
    /// Whether readiness asks for at least one bank to be online.
    pub ready_requires_bank: bool,
}

impl Default for OperationsConfig {
    fn default() -> OperationsConfig {
        OperationsConfig { listen: SocketAddr::from(([127, 0, 0, 1], 8584)), ready_requires_bank: false }
    }
}

impl Config {
    /// Reads and checks a file with the environment's overrides: all mistakes together.
    pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![Mistake::about_file(path, &format!("a readable file ({error})"))])?;
        Config::read(path, &text, std::env::vars())
    }

    /// Checks the text of a file under some variables.
    pub fn read(
        path: &Path,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, Vec<Mistake>> {
        let file: File = overrides::read(path, text, variables).map_err(|mistake| vec![mistake])?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let config = Config {
            journal: file.journal.relative_to(&folder),
            edge: file.edge.relative_to(&folder),
            acquirers: file.acquirers,
            switch: file.switch,
            hosts: file.hosts,
            routes: file.routes,
            merchants: file.merchants,
            keys: file.keys.relative_to(&folder),
            pin: file.pin,
            operations: file.operations,
            folder,
        };
        let mut mistakes = config.mistakes(path);
        let (lines, origin) = (lines::Lines::of(text), path.display().to_string());
        mistakes.iter_mut().filter(|mistake| mistake.origin == origin).for_each(|mistake| lines.locate(mistake));
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// What the hosts and the routes to them come to.
    pub fn build_hosts(&self, path: &Path) -> Result<Hosts, Vec<Mistake>> {
        Hosts::build(&self.hosts, &self.routes, &self.switch, &self.pin, &self.folder, path)
    }

    /// The doors of acquirers, with their dialects.
    pub fn build_acquirers(&self, path: &Path) -> Result<Vec<edge::AcquirerDoor>, Vec<Mistake>> {
        acquirers::build(&self.acquirers, &self.folder, path)
    }

    fn mistakes(&self, path: &Path) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if self.hosts.is_empty() {
            mistakes.push(Mistake::in_file(path, "hosts", "at least one [[hosts]] table"));
        }
        if self.switch.credit == 0 {
            mistakes.push(Mistake::in_file(path, "switch.credit", "at least 1"));
        }
        if !self.edge.client_crl_files.is_empty() && self.edge.client_ca_file.is_none() {
            let expected = "edge.client_ca_file beside it: a list takes back what an issuer there has issued";
            mistakes.push(Mistake::in_file(path, "edge.client_crl_files", expected));
        }
        mistakes.extend(self.build_hosts(path).err().into_iter().flatten());
        mistakes.extend(self.build_acquirers(path).err().into_iter().flatten());
        if let Err(errors) = merchants::Register::build(&self.merchants, &self.folder) {
            mistakes.extend(errors.iter().map(|error| Mistake::in_file(path, "merchants", &error.to_string())));
        }
        mistakes
    }
}

/// The files a dialect is made of, base first, by the name of a built-in one or the path of a file.
pub fn dialect_layers(name: &str, folder: &Path) -> Result<Vec<dialects::Layer>, Vec<Mistake>> {
    let found = match dialects::builtin_layers(name) {
        Some(layers) => layers,
        None => {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let expected = format!("the name of a built-in dialect, or a readable file ({error})");
                vec![Mistake::about_file(&path, &expected)]
            })?;
            dialects::layers(&path.display().to_string(), &text)
        }
    };
    found.map_err(|errors| errors.into_iter().map(Mistake::from).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_of_what_was_taken_back_need_those_who_took_it_back() {
        let told = |edge: &str| {
            let text = format!(
                "hosts = []\n[edge]\ntls_certificate_file = 'c'\ntls_key_file = 'k'\n{edge}\n[keys]\nvault_key_id = 'v'\n\
                 vault_key_file = 'v'\nfingerprint_key_file = 'f'\n"
            );
            let read = Config::read(Path::new("isthmus.toml"), &text, std::iter::empty());
            let keys = read.unwrap_err().into_iter().map(|mistake| (mistake.key, mistake.line));
            keys.filter(|(key, _)| key.starts_with("edge")).collect::<Vec<_>>()
        };
        assert_eq!(told("client_crl_files = ['l']"), [("edge.client_crl_files".to_owned(), 5)]);
        assert_eq!(told("client_crl_files = ['l']\nclient_ca_file = 'a'"), []);
    }
}
