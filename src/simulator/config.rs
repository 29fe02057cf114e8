//! The configuration of `isthmus bank`: one TOML file, everything in it optional.
//!
//! Names of dialect, issuer profile and scenario are those of what is built in; anything with a dot
//! or a slash is a file, relative to the configuration's own directory. Cards, ranges and rules may
//! stand in it as in a scenario; they come before the scenario's.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::framing::{self, Framing};
use crate::iso8583::{Spec, dialects};

use super::keys::{Keys, KeysTable};
use super::mistake::{Examined, Mistake};
use super::profile::Profile;
use super::scenario::{Scenario, ScenarioTables};
use super::server::Settings;
use super::tape::Recording;
use super::tls::{DialledTable, TakenTable, Tls};

/// A bank's configuration, checked and whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; nowhere where it only dials.
    pub listen: Vec<SocketAddr>,
    /// Peers that it dials.
    pub connect: Vec<SocketAddr>,
    /// Whether it signs on by itself where it has dialled.
    pub signs_on: bool,
    /// Where it takes orders while it runs.
    pub control: Option<SocketAddr>,
    /// The keys it shares with its peers.
    pub keys: Option<Keys>,
    /// What seals its links.
    pub tls: Tls,
    /// Where its messages are recorded.
    pub recording: Option<Recording>,
    /// The dialect.
    pub spec: Arc<Spec>,
    /// The framing.
    pub framing: Framing,
    /// The issuer profile.
    pub profile: Arc<Profile>,
    /// The scenario, with the configuration's own cards and rules.
    pub scenario: Arc<Scenario>,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// The seed.
    pub seed: u64,
    /// Links at a time.
    pub max_links: usize,
    /// Messages remembered.
    pub remembered_messages: usize,
    /// Financial messages that it answers a second at most.
    pub capacity: Option<NonZeroU32>,
    /// How often the bank asks its peers whether they live.
    pub echo_every: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    listen: Spanned<String>,
    listen_also: Vec<Spanned<String>>,
    connect: Vec<Spanned<String>>,
    signs_on: bool,
    control: Option<Spanned<String>>,
    messages: Option<PathBuf>,
    messages_unmasked: bool,
    dialect: Spanned<String>,
    issuer: Option<Spanned<String>>,
    scenario: Spanned<String>,
    ledger: PathBuf,
    seed: Spanned<i64>,
    max_links: Spanned<i64>,
    remembered_messages: Spanned<i64>,
    capacity_per_second: Spanned<i64>,
    echo_every_ms: Spanned<i64>,
    framing: Option<Spanned<framing::Settings>>,
    keys: Option<KeysTable>,
    tls: Option<TakenTable>,
    connect_tls: Option<DialledTable>,
    #[serde(rename = "card")]
    cards: Vec<super::scenario::CardTable>,
    #[serde(rename = "range")]
    ranges: Vec<super::scenario::RangeTable>,
    #[serde(rename = "rule")]
    rules: Vec<super::scenario::RuleTable>,
    #[serde(rename = "outage")]
    outages: Vec<super::scenario::OutageTable>,
    #[serde(rename = "event")]
    events: Vec<super::scenario::EventTable>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        let text = |text: &str| Spanned::new(0..0, text.to_owned());
        Self {
            listen: text("127.0.0.1:8583"),
            listen_also: Vec::new(),
            connect: Vec::new(),
            signs_on: false,
            control: None,
            messages: None,
            messages_unmasked: false,
            dialect: text("iso8583-1987-ascii"),
            issuer: None,
            scenario: text("demo"),
            ledger: PathBuf::from("bank-ledger.sqlite"),
            seed: Spanned::new(0..0, 1),
            max_links: Spanned::new(0..0, Settings::MAX_LINKS as i64),
            remembered_messages: Spanned::new(0..0, Settings::REMEMBERED_MESSAGES as i64),
            capacity_per_second: Spanned::new(0..0, 0),
            echo_every_ms: Spanned::new(0..0, 0),
            framing: None,
            keys: None,
            tls: None,
            connect_tls: None,
            cards: Vec::new(),
            ranges: Vec::new(),
            rules: Vec::new(),
            outages: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Config {
    /// What an empty file says.
    pub fn demo() -> Result<Config, Vec<Mistake>> {
        Config::read("bank", "", Path::new("."))
    }

    /// Reads a configuration file and the files it names.
    pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| vec![unreadable(&origin, &error)])?;
        Config::read(&origin, &text, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads a configuration's text; `directory` is what its paths are relative to.
    pub fn read(origin: &str, text: &str, directory: &Path) -> Result<Config, Vec<Mistake>> {
        let (mut examined, file) = Examined::read::<ConfigFile>(origin, text)?;
        let mut within = Vec::new();
        let listen = addresses(&mut examined, &file);
        let connect = each_address(&mut examined, &file.connect, "connect");
        let control = file.control.as_ref().map(|control| {
            let loopback = |text: &String| text.parse().ok().filter(|addr: &SocketAddr| addr.ip().is_loopback());
            examined.parsed(control, "control", "an address and port on loopback", loopback)
        });
        let recording = file
            .messages
            .as_ref()
            .map(|path| Recording { path: directory.join(path), unmasked: file.messages_unmasked });
        let named = Named { directory };
        let spec = named.dialect(&mut examined, &file.dialect, &mut within);
        let suiting = Profile::suiting(spec.as_ref().map_or("", |spec| spec.name()));
        let issuer = file.issuer.unwrap_or_else(|| Spanned::new(0..0, suiting.to_owned()));
        let profile = named.profile(&mut examined, &issuer, &mut within);
        let scenario = named.scenario(&mut examined, &file.scenario, &mut within);
        let keys = file.keys.as_ref().zip(profile.as_ref()).map(|(keys, profile)| keys.read(&mut examined, profile));
        let framing = match &file.framing {
            None => Some(Framing::default()),
            Some(settings) => framing_of(&mut examined, settings),
        };
        let tls = Tls::read(&mut examined, directory, file.tls.as_ref(), file.connect_tls.as_ref());
        let seed = examined.parsed(&file.seed, "seed", "0 or more", |seed| u64::try_from(*seed).ok());
        let max_links = count(&mut examined, &file.max_links, "max_links", 10_000);
        let remembered = count(&mut examined, &file.remembered_messages, "remembered_messages", 100_000_000);
        let capacity =
            examined.parsed(&file.capacity_per_second, "capacity_per_second", "0 (no bound) to 1000000", |count| {
                u32::try_from(*count).ok().filter(|count| *count <= 1_000_000)
            });
        let echo_every = examined.parsed(&file.echo_every_ms, "echo_every_ms", "0 (never) to 3600000", |value| {
            u64::try_from(*value).ok().filter(|value| *value <= 3_600_000).map(Duration::from_millis)
        });
        let own = ScenarioTables {
            card: file.cards,
            range: file.ranges,
            rule: file.rules,
            outage: file.outages,
            event: file.events,
        };
        let own = own.read(&mut examined);
        let config = (|| {
            Some(Config {
                listen: listen?,
                connect: connect?,
                signs_on: file.signs_on,
                control: match control {
                    None => None,
                    Some(control) => Some(control?),
                },
                keys: match keys {
                    None => None,
                    Some(keys) => Some(keys?),
                },
                tls,
                recording,
                spec: spec?,
                framing: framing?,
                profile: Arc::new(profile?),
                scenario: Arc::new(own.before(scenario?)),
                ledger: directory.join(&file.ledger),
                seed: seed?,
                max_links: max_links?,
                remembered_messages: remembered?,
                capacity: NonZeroU32::new(capacity?),
                echo_every: Some(echo_every?).filter(|every| !every.is_zero()),
            })
        })();
        match (examined.finish(()), config) {
            (Ok(()), Some(config)) if within.is_empty() => Ok(config),
            (own, _) => Err(own.err().into_iter().flatten().chain(within).collect()),
        }
    }

    /// What the server needs of it.
    pub fn settings(&self) -> Settings {
        Settings {
            spec: self.spec.clone(),
            framing: self.framing.clone(),
            profile: self.profile.clone(),
            scenario: self.scenario.clone(),
            seed: self.seed,
            ledger: self.ledger.clone(),
            max_links: self.max_links,
            remembered_messages: self.remembered_messages,
            capacity: self.capacity,
            echo_every: self.echo_every,
            connect: self.connect.clone(),
            signs_on: self.signs_on,
            control: self.control,
            keys: self.keys.clone(),
            tls: self.tls.clone(),
            recording: self.recording.clone(),
        }
    }
}

/// Things by name or by file.
struct Named<'a> {
    directory: &'a Path,
}

impl Named<'_> {
    fn dialect(
        &self,
        examined: &mut Examined<'_>,
        name: &Spanned<String>,
        within: &mut Vec<Mistake>,
    ) -> Option<Arc<Spec>> {
        let read = match self.file(name.get_ref()) {
            None => dialects::builtin(name.get_ref()),
            Some(path) => {
                Some(dialects::read(&path.display().to_string(), &text_of(examined, name, "dialect", &path)?))
            }
        };
        let Some(read) = read else {
            let expected = format!("a file or one of {}", dialects::names().join(", "));
            examined.note(name.span(), "dialect", expected);
            return None;
        };
        read.map_err(|errors| {
            within.extend(errors.into_iter().map(|error| Mistake {
                origin: error.origin,
                line: error.line,
                key: error.key,
                expected: error.expected,
            }));
        })
        .ok()
    }

    fn profile(
        &self,
        examined: &mut Examined<'_>,
        name: &Spanned<String>,
        within: &mut Vec<Mistake>,
    ) -> Option<Profile> {
        let read = match self.file(name.get_ref()) {
            None => Profile::builtin(name.get_ref()),
            Some(path) => Some(Profile::read(&path.display().to_string(), &text_of(examined, name, "issuer", &path)?)),
        };
        let Some(read) = read else {
            let names: Vec<&str> = Profile::names().collect();
            examined.note(name.span(), "issuer", format!("a file or one of {}", names.join(", ")));
            return None;
        };
        read.map_err(|mistakes| within.extend(mistakes)).ok()
    }

    fn scenario(
        &self,
        examined: &mut Examined<'_>,
        name: &Spanned<String>,
        within: &mut Vec<Mistake>,
    ) -> Option<Scenario> {
        let read = match (self.file(name.get_ref()), name.get_ref().as_str()) {
            (Some(path), _) => {
                Scenario::read(&path.display().to_string(), &text_of(examined, name, "scenario", &path)?)
            }
            (None, "demo") => Scenario::demo(),
            (None, "none") => Ok(Scenario::default()),
            (None, _) => {
                examined.note(name.span(), "scenario", "a file, \"demo\" or \"none\"");
                return None;
            }
        };
        read.map_err(|mistakes| within.extend(mistakes)).ok()
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        name.contains(['/', '.']).then(|| self.directory.join(name))
    }
}

fn text_of(examined: &mut Examined<'_>, name: &Spanned<String>, key: &str, path: &Path) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) => {
            examined.note(name.span(), key, format!("a file that can be read ({}: {error})", path.display()));
            None
        }
    }
}

fn framing_of(examined: &mut Examined<'_>, settings: &Spanned<framing::Settings>) -> Option<Framing> {
    match Framing::new(settings.get_ref()) {
        Ok(framing) => Some(framing),
        Err(error) => {
            examined.note(settings.span(), format!("framing.{}", error.key), error.expected);
            None
        }
    }
}

/// Where it listens: nowhere, once, or several times.
fn addresses(examined: &mut Examined<'_>, file: &ConfigFile) -> Option<Vec<SocketAddr>> {
    let first = match file.listen.get_ref().as_str() {
        "none" if file.connect.is_empty() => {
            examined.note(file.listen.span(), "listen", "an address and port, where nothing is dialled");
            None
        }
        "none" => Some(Vec::new()),
        _ => each_address(examined, std::slice::from_ref(&file.listen), "listen"),
    };
    let more = each_address(examined, &file.listen_also, "listen_also");
    Some(first?.into_iter().chain(more?).collect())
}

fn each_address(examined: &mut Examined<'_>, texts: &[Spanned<String>], key: &str) -> Option<Vec<SocketAddr>> {
    let mut read = |text| examined.parsed(text, key, "an address and port", |text: &String| text.parse().ok());
    // All of them are looked at, so that every mistake is told.
    let all: Vec<Option<SocketAddr>> = texts.iter().map(&mut read).collect();
    all.into_iter().collect()
}

fn count(examined: &mut Examined<'_>, value: &Spanned<i64>, key: &str, most: usize) -> Option<usize> {
    examined.parsed(value, key, &format!("1 to {most}"), |value| {
        usize::try_from(*value).ok().filter(|value| (1..=most).contains(value))
    })
}

fn unreadable(origin: &str, error: &std::io::Error) -> Mistake {
    Mistake {
        origin: origin.to_owned(),
        line: 1,
        key: "the file".to_owned(),
        expected: format!("a file that can be read ({error})"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
        Config::read("bank.toml", text, Path::new("/dir"))
    }

    #[test]
    fn an_empty_file_is_the_demo() {
        let config = parse("").unwrap();
        assert_eq!(config.listen, ["127.0.0.1:8583".parse().unwrap()]);
        assert_eq!(config.ledger, Path::new("/dir/bank-ledger.sqlite"));
        assert!(!config.scenario.cards.is_empty());
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line_and_key() {
        let text = "listen = \"here\"\ndialect = \"klingon\"\nissuer = \"x\"\nscenario = \"y\"\nmax_links = 0\n\
                    [framing]\nlength_bytes = 9\n[[card]]\nnumber = \"4111111111111112\"\nabout = \"\"\n";
        let mistakes = parse(text).unwrap_err();
        let told: Vec<(usize, &str)> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        let expected = [
            (1, "listen"),
            (2, "dialect"),
            (3, "issuer"),
            (4, "scenario"),
            (6, "framing.length_bytes"),
            (5, "max_links"),
            (9, "card[0].number"),
        ];
        assert_eq!(told, expected);
        assert!(mistakes[1].expected.contains("iso8583-1987-ascii"));
    }

    #[test]
    fn a_bank_may_listen_often_or_only_dial_and_takes_orders_on_loopback_alone() {
        let several = parse("listen_also = [\"127.0.0.1:1\"]\ncontrol = \"[::1]:5\"\n").unwrap();
        assert_eq!((several.listen.len(), several.control.is_some()), (2, true));
        let dialling = parse("listen = \"none\"\nconnect = [\"127.0.0.1:1\"]\n").unwrap();
        assert_eq!((dialling.listen.len(), dialling.connect.len()), (0, 1));
        let told = parse("listen = \"none\"\nlisten_also = [\"x\"]\ncontrol = \"0.0.0.0:5\"\n").unwrap_err();
        let keys: Vec<&str> = told.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(keys, ["listen", "listen_also", "control"]);
    }

    #[test]
    fn files_of_tls_are_read_with_the_configuration() {
        let text = "[tls]\ncertificate_file = \"a.pem\"\nkey_file = \"a.key\"\n[connect_tls]\nca_file = \"b.pem\"\n\
                    server_name = \"no name\"\nkey_file = \"c.key\"\n";
        let mistakes = parse(text).unwrap_err();
        let told: Vec<(usize, &str)> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
        let expected = [
            (2, "tls.certificate_file"),
            (3, "tls.key_file"),
            (5, "connect_tls.ca_file"),
            (6, "connect_tls.server_name"),
            (7, "connect_tls.key_file"),
        ];
        assert_eq!(told, expected);
        assert!(mistakes[0].expected.contains("/dir/a.pem"), "{}", mistakes[0]);
    }

    #[test]
    fn an_unknown_key_is_a_mistake() {
        let mistakes = parse("listen = \"127.0.0.1:1\"\nlisten_ms = 3\n").unwrap_err();
        assert_eq!((mistakes[0].line, mistakes[0].key.as_str()), (2, "listen_ms"));
    }

    #[test]
    fn the_issuer_suits_the_dialect_where_none_is_named() {
        let approved = |text: &str| parse(text).unwrap().profile.codes.approved.clone();
        assert_eq!(approved("dialect = \"iso8583-1993-ascii\"\n"), "000");
        assert_eq!(approved("dialect = \"iso8583-1993-ascii\"\nissuer = \"iso8583-1987\"\n"), "00");
    }

    #[test]
    fn own_cards_and_rules_come_before_the_scenarios() {
        let own = "[[card]]\nnumber = \"4111111111111111\"\nabout = \"mine\"\naccount = \"mine\"\nbalance_minor = 5\n\
                   [[rule]]\nabout = \"first\"\nthen = { code = \"05\" }\n";
        let config = parse(own).unwrap();
        assert_eq!(config.scenario.rules[0].about, "first");
        let pan = crate::payment::Pan::parse("4111111111111111").unwrap();
        assert_eq!(config.scenario.card(&pan).unwrap().1.balance, 5);
    }
}
