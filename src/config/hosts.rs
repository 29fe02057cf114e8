//! The `[[hosts]]` tables: what the switch and the links are made of.

use super::host_keys::{HostKeyFiles, key_settings};
use super::mistake::Mistake;
use super::stand_in::StandInConfig;
use super::{PinConfig, SwitchConfig, dialect_layers};
use crate::bank::LinkSettings;
use crate::framing::{self, Framing};
use crate::host::{BreakerSettings, DayKeeper, DaySettings, RetrySettings};
use crate::iso8583::dialects::Layer;
use crate::keys::{HostKeys, KeyService, SoftwareKeys};
use crate::link::{SessionOverrides, SessionSettings};
use crate::payment::{CutoverClock, MessageKind, Name};
use crate::routing::{RouteSettings, Routes};
use crate::security::Bringer;
use crate::switch::{CaptureForm, Forms, RefundForm, ReversalForm, SaleForm, VoidForm};
use crate::switch::{HostSettings, LinkId, OnUnknown, Repeat, ReplyOn, ReversalStan, Settings};
use crate::translation::{Mapping, Translation};
use jiff::tz::TimeZone;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One `[[hosts]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// Its name in records and metrics.
    pub name: String,
    /// Our acquiring institution id at this host, 1 to 11 digits.
    pub acquirer: String,
    /// Name of a built-in dialect, or path of a dialect file.
    pub dialect: String,
    /// How frames are cut.
    #[serde(default)]
    pub framing: framing::Settings,
    /// How long a request waits for its answer.
    #[serde(default = "default_answer_timeout")]
    pub answer_timeout_ms: u64,
    /// How long a message may wait to be handed to a link.
    #[serde(default = "default_send_timeout")]
    pub send_timeout_ms: u64,
    /// What a request of unknown outcome leaves behind.
    #[serde(default)]
    pub on_unknown: OnUnknown,
    /// Which trace number a reversal bears.
    #[serde(default)]
    pub reversal_stan: ReversalStan,
    /// How a message is sent again.
    #[serde(default)]
    pub repeat: Repeat,
    /// On which link replies are taken.
    #[serde(default)]
    pub reply_on: ReplyOn,
    /// Share of the credit that may be open here, in hundredths: all of it for a single host, else half of it.
    pub share_percent: Option<usize>,
    /// When it is spared because it leaves requests unanswered.
    #[serde(default)]
    pub breaker: BreakerConfig,
    /// Who decides the business day.
    #[serde(default)]
    pub business_day: DayKeeper,
    /// When it ends by the clock, `hh:mm` local time.
    pub cutover: Option<String>,
    /// The time zone of the cutover, by its IANA name.
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// What its sessions do otherwise than the dialect says.
    #[serde(default)]
    pub session: SessionOverrides,
    /// How a sale is told: "single" (0200), or "dual" (0100, then an 0220 advice).
    #[serde(default)]
    pub sale: SaleForm,
    /// How a capture is told: "advice" (0220) or "request" (0200).
    #[serde(default)]
    pub capture: CaptureForm,
    /// How a refund is told: "request" (0200), "awaited" (0220 that can be declined) or "advice" (0220).
    #[serde(default)]
    pub refund: RefundForm,
    /// How a void is told: "0420" (advice), "0400", or "request" (with a processing code of its own).
    #[serde(default)]
    pub void: VoidForm,
    /// How a reversal is told: "0420" (advice) or "0400" (request).
    #[serde(default)]
    pub reversal: ReversalForm,
    /// Whether the host is told (data element 95) what a final capture left of its authorisation.
    #[serde(default)]
    pub release: bool,
    /// What may be approved in its place while it is down; nothing if absent.
    pub stand_in: Option<StandInConfig>,
    /// How owed messages are repeated.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Where the keys shared with it lie.
    #[serde(default)]
    pub keys: HostKeyFiles,
    /// Its links.
    pub links: Vec<LinkSettings>,
}

/// The `[hosts.retry]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Owed messages in flight at once.
    pub window: usize,
    /// Owed messages in flight while the host is busy with requests.
    pub share: usize,
    /// Requests in flight from which on it is.
    pub busy_from: usize,
    /// Pause before the first repeat; doubles each time.
    pub pause_min_ms: u64,
    /// Longest pause.
    pub pause_max_ms: u64,
    /// After so many attempts a person must look at it.
    pub max_attempts: u32,
    /// What is owed for longer and was tried in vain, a person must look at too.
    pub max_age_hours: u64,
    /// Answers in a row that ask to come later, after which the whole queue rests.
    pub burst: u32,
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig {
            window: 8,
            share: 2,
            busy_from: 64,
            pause_min_ms: 15_000,
            pause_max_ms: 900_000,
            max_attempts: 100,
            max_age_hours: 72,
            burst: 3,
        }
    }
}

/// The `[hosts.breaker]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Requests unanswered in a row before the host is spared; 0: never. While it is spared, what no other host takes
    /// is not sent and ends as failed: nothing is owed for it.
    pub failures: u32,
    /// First rest; doubles each time the host is found silent again. An echo ends it, and then one request.
    pub rest_min_ms: u64,
    /// Longest rest.
    pub rest_max_ms: u64,
}

impl Default for BreakerConfig {
    fn default() -> BreakerConfig {
        BreakerConfig { failures: 10, rest_min_ms: 1_000, rest_max_ms: 30_000 }
    }
}

fn default_answer_timeout() -> u64 {
    15_000
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

fn default_send_timeout() -> u64 {
    5_000
}

/// What the hosts come to.
#[derive(Debug)]
pub struct Hosts {
    /// For the switch.
    pub settings: Settings,
    /// For the shells, in the order of the link ids.
    pub links: Vec<(LinkSettings, Framing)>,
    /// The keys shared with them.
    pub keys: Arc<dyn KeyService>,
}

impl Hosts {
    /// Reads the dialects and puts everything together: all mistakes at once.
    pub fn build(
        hosts: &[HostConfig],
        routes: &[RouteSettings],
        switch: &SwitchConfig,
        pin: &PinConfig,
        folder: &Path,
        path: &Path,
    ) -> Result<Hosts, Vec<Mistake>> {
        let (mut built, mut links, mut mistakes) = (Vec::new(), Vec::new(), alike(hosts, path));
        mistakes.extend(at_odds(hosts, path));
        let names: Vec<Name> = hosts.iter().map(|host| Name::from(host.name.as_str())).collect();
        let routes = Routes::read(routes, &names, zone).unwrap_or_else(|found| {
            mistakes.extend(found.iter().map(|mistake| Mistake::in_file(path, &mistake.key, &mistake.expected)));
            Routes::default()
        });
        let mut keys = SoftwareKeys::default();
        let share = if hosts.len() == 1 { 100 } else { 50 };
        for (number, host) in hosts.iter().enumerate() {
            let first = links.len() as u16;
            let share = switch.credit * host.share_percent.unwrap_or(share) / 100;
            match host.build(first, share, folder, path) {
                Ok((settings, shared, framing)) => {
                    keys.add(shared);
                    let of_folder = |link: &LinkSettings| (link.clone().relative_to(folder), framing.clone());
                    links.extend(host.links.iter().map(of_folder));
                    built.push(settings);
                }
                Err(found) => mistakes.extend(found.into_iter().map(|mistake| of_host(number, mistake))),
            }
        }
        let taken = built.iter().zip(hosts).enumerate().find_map(|(number, (host, config))| {
            let key = config.keys.takes_pins(&host.keys)?;
            Some(format!("hosts[{number}].{key}"))
        });
        match pin.read(taken, folder, path) {
            Ok(merchants) => keys.set_merchants(merchants),
            Err(found) => mistakes.extend(found),
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let settings = Settings {
            hosts: built,
            credit: switch.credit,
            payment_queue: switch.payment_queue,
            settled_memory: switch.settled_memory,
            routes,
            send_budget: Duration::from_millis(switch.send_budget_ms),
        };
        Ok(Hosts { settings, links, keys: Arc::new(keys) })
    }
}

/// A mistake in a `[[hosts]]` table, with the place of that table.
fn of_host(number: usize, mistake: Mistake) -> Mistake {
    match mistake.key.strip_prefix("hosts.") {
        Some(key) => Mistake { key: format!("hosts[{number}].{key}"), ..mistake },
        None => mistake,
    }
}

impl HostConfig {
    fn build(
        &self,
        first: u16,
        share: usize,
        folder: &Path,
        path: &Path,
    ) -> Result<(HostSettings, HostKeys, Framing), Vec<Mistake>> {
        let wrong = |key: &str, expected: &str| vec![Mistake::in_file(path, &format!("hosts.{key}"), expected)];
        if self.acquirer.is_empty() || self.acquirer.len() > 11 || !self.acquirer.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("acquirer", "1 to 11 digits"));
        }
        if self.links.is_empty() || self.links.len() > 64 {
            return Err(wrong("links", "1 to 64 links"));
        }
        let mistakes: Vec<Mistake> = self.link_mistakes(path);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        if self.answer_timeout_ms == 0 || self.retry.window == 0 || self.retry.max_attempts == 0 {
            return Err(wrong("answer_timeout_ms, retry.window, retry.max_attempts", "values above zero"));
        }
        if self.share_percent.is_some_and(|share| !(1..=100).contains(&share)) {
            return Err(wrong("share_percent", "1 to 100"));
        }
        if self.breaker.rest_min_ms == 0 || self.breaker.rest_max_ms < self.breaker.rest_min_ms {
            return Err(wrong("breaker.rest_min_ms", "a pause above zero and not above rest_max_ms"));
        }
        let framing =
            Framing::new(&self.framing).map_err(|error| wrong(&format!("framing.{}", error.key), &error.expected))?;
        let layers = dialect_layers(&self.dialect, folder)?;
        let (translation, session) = dialect(&self.dialect, &layers)?;
        let session = session.with(&self.session).map_err(|expected| wrong("session", &expected))?;
        let forms = self.forms();
        let unsaid = unsaid(forms, &translation, path);
        if !unsaid.is_empty() {
            return Err(unsaid);
        }
        let stand_in = self.stand_in.as_ref().map(|agreed| agreed.settings(&translation, folder)).transpose();
        let stand_in = stand_in.map_err(|(key, expected)| wrong(&format!("stand_in.{key}"), &expected))?;
        let keys = Arc::new(key_settings(&layers).map_err(|mistake| vec![mistake])?);
        let asks = keys.exchange.as_ref().is_some_and(|exchange| exchange.by == Bringer::Answer);
        if asks && session.network.key_change.is_none() {
            return Err(wrong("dialect", "a dialect with session.network.key_change, since it exchanges keys"));
        }
        let settings = HostSettings {
            name: Name::from(self.name.as_str()),
            acquirer: Name::from(self.acquirer.as_str()),
            links: (first..).take(self.links.len()).map(LinkId).collect(),
            translation: Arc::new(translation),
            keys: Arc::clone(&keys),
            session: Arc::new(session),
            answer_timeout: Duration::from_millis(self.answer_timeout_ms),
            send_timeout: Duration::from_millis(self.send_timeout_ms),
            share: share.max(1),
            breaker: self.breaker.settings(),
            reply_on: self.reply_on,
            stand_in: stand_in.map(Arc::new),
            retry: self.retry.settings(),
            forms,
            on_unknown: self.on_unknown,
            reversal_stan: self.reversal_stan,
            repeat: self.repeat,
            day: self.day().map_err(|(key, expected)| wrong(key, expected))?,
        };
        let (host, spec, links) = (settings.name.clone(), settings.translation.spec(), settings.links.clone());
        let shared = HostKeys::new(host, links, Arc::clone(spec), keys);
        let shared = self.keys.read(shared, folder, path)?;
        Ok((settings, shared, framing))
    }

    fn day(&self) -> Result<DaySettings, (&'static str, &'static str)> {
        let zone = zone(&self.time_zone).ok_or(("time_zone", "an IANA zone, such as Europe/Berlin"))?;
        let clock = |at: &String| CutoverClock::new(at, zone.clone()).ok_or(("cutover", "hh:mm, from 00:00 to 23:59"));
        Ok(DaySettings { keeper: self.business_day, cutover: self.cutover.as_ref().map(clock).transpose()? })
    }
}

impl HostConfig {
    fn link_mistakes(&self, path: &Path) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            let key = |key: &str| format!("hosts.links[{number}].{key}");
            let found = link.mistakes().into_iter();
            mistakes.extend(found.map(|(wrong, expected)| Mistake::in_file(path, &key(wrong), expected)));
        }
        mistakes
    }
}

/// Links that share a listener and disagree in what it does before it knows whom it serves.
fn at_odds(hosts: &[HostConfig], path: &Path) -> Vec<Mistake> {
    let links: Vec<&LinkSettings> = hosts.iter().flat_map(|host| &host.links).collect();
    let mut mistakes = Vec::new();
    for (number, link) in links.iter().enumerate() {
        let earlier = links[..number].iter().find(|other| link.listen.is_some() && other.listen == link.listen);
        if earlier.is_some_and(|other| !link.shares_listener_with(other)) {
            let expected = "the same tls (but its pins) and the same duplicate rule on every link of one address";
            mistakes.push(Mistake::in_file(path, "hosts.links.listen", expected));
        }
    }
    mistakes
}

impl BreakerConfig {
    fn settings(&self) -> BreakerSettings {
        BreakerSettings {
            failures: self.failures,
            rest_min: Duration::from_millis(self.rest_min_ms),
            rest_max: Duration::from_millis(self.rest_max_ms),
        }
    }
}

impl HostConfig {
    fn forms(&self) -> Forms {
        Forms {
            sale: self.sale,
            capture: self.capture,
            refund: self.refund,
            void: self.void,
            reversal: self.reversal,
            release: self.release,
        }
    }
}

/// Hosts that share what only one may have. Trace numbers are counted by acquirer id, each host by itself.
fn alike(hosts: &[HostConfig], path: &Path) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let earlier = &hosts[..number];
        if earlier.iter().any(|other| other.name == host.name) {
            mistakes.push(Mistake::in_file(path, "hosts.name", &format!("{:?} once only", host.name)));
        }
        if let Some(other) = earlier.iter().find(|other| other.acquirer == host.acquirer) {
            let expected = format!("an acquirer id for {:?} that {:?} does not have", host.name, other.name);
            mistakes.push(Mistake::in_file(path, "hosts.acquirer", &expected));
        }
    }
    mistakes
}

/// A time zone by its name in the IANA database, or an offset.
fn zone(name: &str) -> Option<TimeZone> {
    jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(name).ok()
}

impl RetryConfig {
    fn settings(&self) -> RetrySettings {
        RetrySettings {
            window: self.window,
            pause_min: Duration::from_millis(self.pause_min_ms),
            pause_max: Duration::from_millis(self.pause_max_ms),
            max_attempts: self.max_attempts,
            share: self.share,
            busy_from: self.busy_from,
            max_age: Duration::from_secs(self.max_age_hours.saturating_mul(3600)),
            burst: self.burst,
        }
    }
}

/// Forms in which the dialect has no message.
fn unsaid(forms: Forms, translation: &Translation, path: &Path) -> Vec<Mistake> {
    let lacking = forms.asked_of_dialect().into_iter().filter(|(_, kind)| translation.head(*kind).is_none());
    let mistake = |(setting, kind): (&str, MessageKind)| {
        let expected = format!("a form that the dialect describes; it lacks mapping.messages.{}", kind.name());
        Mistake::in_file(path, &format!("hosts.{setting}"), &expected)
    };
    lacking.map(mistake).collect()
}

/// The readers of a dialect that the switch needs, and all of their mistakes.
pub(super) fn dialect(name: &str, layers: &[Layer]) -> Result<(Translation, SessionSettings), Vec<Mistake>> {
    let spec = crate::iso8583::dialects::spec_of(layers);
    let mapping = Mapping::read(layers);
    let session = SessionSettings::read(layers);
    match (spec, mapping, session) {
        (Ok(spec), Ok(mapping), Ok(session)) => Ok((Translation::new(spec, mapping, named(name, layers)), session)),
        (spec, mapping, session) => {
            let errors = spec.err().unwrap_or_default().into_iter().chain(mapping.err().unwrap_or_default());
            Err(errors.chain(session.err()).map(Mistake::from).collect())
        }
    }
}

/// Name and digest of a dialect's definition, as records keep it.
fn named(name: &str, layers: &[Layer]) -> Name {
    let mut digest = Sha256::new();
    layers.iter().for_each(|layer| digest.update(layer.text.as_bytes()));
    let digest = data_encoding::HEXLOWER.encode(&digest.finalize()[..4]);
    Name::from(format!("{name}@{digest}").as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Config;
    use super::*;

    fn mistakes(lines: &str) -> Vec<String> {
        let host = "name = \"bank\"\nacquirer = \"1\"\ndialect = \"iso8583-1987-ascii\"\n";
        let text = format!("[[hosts]]\n{host}{lines}[[hosts.links]]\nconnect = \"127.0.0.1:1\"\n");
        let read = Config::read(Path::new("isthmus.toml"), &text, std::iter::empty());
        read.err().unwrap_or_default().iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn a_form_is_one_of_those_that_there_are() {
        let every = "sale = \"dual\"\ncapture = \"request\"\nrefund = \"awaited\"\nvoid = \"request\"\n";
        let every = format!("{every}reversal = \"0400\"\nrelease = true\n");
        assert_eq!(mistakes(&every).iter().filter(|mistake| mistake.contains("hosts.")).count(), 0);
        let found = mistakes("void = \"0440\"\n");
        let named = |mistake: &String| mistake.contains("hosts.void") && mistake.contains("`0420`, `0400`");
        assert!(found.iter().any(named), "{found:?}");
    }

    #[test]
    fn a_form_that_the_dialect_cannot_say_is_a_mistake() {
        let base = include_str!("../../specs/iso8583-1987-ascii.toml");
        let lines = base.lines().filter(|line| !line.starts_with("void_"));
        let layers = crate::iso8583::dialects::layers("lacking", &lines.collect::<Vec<_>>().join("\n")).unwrap();
        let (translation, _) = dialect("lacking", &layers).unwrap();
        let found = |void| unsaid(Forms { void, release: true, ..Forms::default() }, &translation, Path::new("f"));
        assert_eq!(found(VoidForm::ReversalRequest), []);
        let keys: Vec<_> = found(VoidForm::Request).into_iter().map(|mistake| mistake.key).collect();
        assert_eq!(keys, ["hosts.void"; 3]);
    }
}
