//! The `[session]` section of a dialect file: what identifies a reply, and how a session is kept.

use crate::iso8583::SpecError;
use crate::iso8583::dialects::Layer;
use serde::Deserialize;
use std::time::Duration;

/// How sessions of a dialect are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Elements that identify a reply beside its class and its trace number.
    pub match_on: Vec<u8>,
    /// The network management message and its codes.
    pub network: NetworkSettings,
    /// Silence after which an echo is sent.
    pub echo_idle: Duration,
    /// How long a network management message may wait for its answer.
    pub answer_timeout: Duration,
    /// Unanswered echoes after which a connection is given up.
    pub missed_echoes: u32,
    /// Pause before the first attempt to connect again.
    pub reconnect_min: Duration,
    /// Longest pause between attempts.
    pub reconnect_max: Duration,
}

/// Where a network management message carries what (1987: 0800 with element 70).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Message type of the request, four digits.
    pub mti: String,
    /// Element of the transmission time, MMDDhhmmss.
    pub time: u8,
    /// Element of the trace number.
    pub stan: u8,
    /// Element of the function.
    pub function: u8,
    /// Element of the response code.
    pub response_code: u8,
    /// Response codes that mean yes.
    pub approved: Vec<String>,
    /// Code of sign-on.
    pub sign_on: String,
    /// Code of sign-off.
    pub sign_off: String,
    /// Code of the echo test.
    pub echo: String,
    /// Code by which the host says that its business day ends.
    #[serde(default)]
    pub cutover_begin: Option<String>,
    /// Code by which it says that the day is finished.
    #[serde(default)]
    pub cutover_end: Option<String>,
    /// Code by which keys are asked for, and by which the host brings them.
    #[serde(default)]
    pub key_change: Option<String>,
    /// Code by which the host says that we are to ask for keys, and by which we ask it to bring some.
    #[serde(default)]
    pub key_demand: Option<String>,
    /// Message type by which we tell the host that our own day has ended, where we keep the day: 0800 or 0820 (1987).
    /// It is not told if absent.
    #[serde(default)]
    pub cutover_mti: Option<String>,
    /// Element of the business day that begins, where the message names it.
    #[serde(default = "settlement_date")]
    pub business_date: u8,
}

/// Data element 15 in every edition.
fn settlement_date() -> u8 {
    15
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    session: Section,
}

/// What one host does otherwise than its dialect says: the timers of its sessions, and whether it is told of our day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionOverrides {
    /// Silence after which an echo is sent.
    pub echo_idle_ms: Option<u64>,
    /// How long a network management message may wait for its answer.
    pub answer_timeout_ms: Option<u64>,
    /// Unanswered echoes after which a connection is given up.
    pub missed_echoes: Option<u32>,
    /// Pause before the first attempt to connect again.
    pub reconnect_min_ms: Option<u64>,
    /// Longest pause between attempts.
    pub reconnect_max_ms: Option<u64>,
    /// Message type by which it is told that our own day has ended, four digits.
    pub cutover_mti: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    #[serde(rename = "match")]
    match_on: Option<Vec<u8>>,
    network: Option<NetworkSettings>,
    echo_idle_ms: Option<u64>,
    answer_timeout_ms: Option<u64>,
    missed_echoes: Option<u32>,
    reconnect_min_ms: Option<u64>,
    reconnect_max_ms: Option<u64>,
}

impl SessionSettings {
    /// Reads the `[session]` of each layer, base first; what a later layer says replaces what an earlier one said.
    pub fn read(layers: &[Layer]) -> Result<SessionSettings, SpecError> {
        let mut merged = Section::default();
        for layer in layers {
            let file: File = toml::from_str(&layer.text).map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                let line = layer.text.get(..at).map_or(0, |before| before.matches('\n').count() + 1);
                SpecError {
                    origin: layer.origin.to_string(),
                    line,
                    key: "session".to_owned(),
                    expected: error.message().to_owned(),
                }
            })?;
            merged = file.session.over(merged);
        }
        let origin = layers.last().map_or(String::new(), |layer| layer.origin.to_string());
        merged.finish().map_err(|expected| SpecError { origin, line: 0, key: "session".to_owned(), expected })
    }
}

impl SessionSettings {
    /// These settings with what a host does otherwise. `Err` says what was expected.
    pub fn with(self, host: &SessionOverrides) -> Result<SessionSettings, String> {
        let millis = |own: Option<u64>, dialect: Duration| own.map_or(dialect, Duration::from_millis);
        let cutover_mti = host.cutover_mti.clone().or(self.network.cutover_mti.clone());
        let network = NetworkSettings { cutover_mti, ..self.network };
        if !network.may_tell_cutover() {
            return Err("cutover_mti of class 8, such as 0820, in a dialect that has a cutover_begin".to_owned());
        }
        let settings = SessionSettings {
            network,
            echo_idle: millis(host.echo_idle_ms, self.echo_idle),
            answer_timeout: millis(host.answer_timeout_ms, self.answer_timeout),
            missed_echoes: host.missed_echoes.unwrap_or(self.missed_echoes).max(1),
            reconnect_min: millis(host.reconnect_min_ms, self.reconnect_min),
            reconnect_max: millis(host.reconnect_max_ms, self.reconnect_max),
            ..self
        };
        let paused = !settings.reconnect_min.is_zero() && settings.reconnect_min <= settings.reconnect_max;
        match paused && !settings.echo_idle.is_zero() && !settings.answer_timeout.is_zero() {
            true => Ok(settings),
            false => Err("times above zero, and reconnect_min_ms not above reconnect_max_ms".to_owned()),
        }
    }
}

impl NetworkSettings {
    /// Whether a cutover of ours is not to be told, or can be.
    fn may_tell_cutover(&self) -> bool {
        let of_class = |mti: &String| {
            mti.len() == 4 && mti.as_bytes().get(1) == Some(&b'8') && mti.parse::<crate::iso8583::Mti>().is_ok()
        };
        self.cutover_mti.as_ref().is_none_or(|mti| of_class(mti) && self.cutover_begin.is_some())
    }
}

impl Section {
    fn over(self, base: Section) -> Section {
        Section {
            match_on: self.match_on.or(base.match_on),
            network: self.network.or(base.network),
            echo_idle_ms: self.echo_idle_ms.or(base.echo_idle_ms),
            answer_timeout_ms: self.answer_timeout_ms.or(base.answer_timeout_ms),
            missed_echoes: self.missed_echoes.or(base.missed_echoes),
            reconnect_min_ms: self.reconnect_min_ms.or(base.reconnect_min_ms),
            reconnect_max_ms: self.reconnect_max_ms.or(base.reconnect_max_ms),
        }
    }

    fn finish(self) -> Result<SessionSettings, String> {
        let match_on = self.match_on.unwrap_or_else(|| vec![7]);
        if match_on.is_empty() {
            return Err("at least one element in match: a trace number alone identifies no reply".to_owned());
        }
        let network = self.network.ok_or("a table session.network")?;
        if network.mti.len() != 4 || network.mti.as_bytes().get(1) != Some(&b'8') || network.mti.parse::<u16>().is_err()
        {
            return Err("four digits of class 8 in network.mti, such as 0800".to_owned());
        }
        if !network.may_tell_cutover() {
            return Err("network.cutover_mti of class 8, such as 0820, and a network.cutover_begin".to_owned());
        }
        let (min, max) = (self.reconnect_min_ms.unwrap_or(500), self.reconnect_max_ms.unwrap_or(30_000));
        if min == 0 || max < min {
            return Err("reconnect_min_ms above zero and not above reconnect_max_ms".to_owned());
        }
        Ok(SessionSettings {
            match_on,
            network,
            echo_idle: Duration::from_millis(self.echo_idle_ms.unwrap_or(30_000)),
            answer_timeout: Duration::from_millis(self.answer_timeout_ms.unwrap_or(10_000)),
            missed_echoes: self.missed_echoes.unwrap_or(2).max(1),
            reconnect_min: Duration::from_millis(min),
            reconnect_max: Duration::from_millis(max),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::dialects;

    fn of(dialect: &str) -> SessionSettings {
        SessionSettings::read(&dialects::builtin_layers(dialect).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn each_edition_says_its_cutover_in_its_own_code() {
        let (old, new) = (of("iso8583-1987-ascii").network, of("iso8583-1993-ascii").network);
        assert_eq!((old.mti.as_str(), old.function, old.cutover_begin.as_deref()), ("0800", 70, Some("201")));
        assert_eq!((new.mti.as_str(), new.function, new.cutover_begin.as_deref()), ("1804", 24, Some("821")));
    }

    #[test]
    fn a_host_is_told_of_our_day_where_its_entry_says_how() {
        let own = |mti: &str| SessionOverrides { cutover_mti: Some(mti.to_owned()), ..SessionOverrides::default() };
        let settings = of("iso8583-1987-ascii").with(&own("0820")).unwrap();
        assert_eq!(settings.network.cutover_mti.as_deref(), Some("0820"));
        assert_eq!(of("iso8583-1987-ascii").network.cutover_mti, None, "no built-in dialect takes it for granted");
        assert!(["0420", "820", "08x0"].iter().all(|mti| of("iso8583-1987-ascii").with(&own(mti)).is_err()));
    }

    #[test]
    fn a_host_keeps_other_times_than_its_dialect() {
        let own = SessionOverrides { echo_idle_ms: Some(5_000), ..SessionOverrides::default() };
        let settings = of("iso8583-1987-ascii").with(&own).unwrap();
        assert_eq!((settings.echo_idle, settings.missed_echoes), (Duration::from_secs(5), 2));
        let never = SessionOverrides { reconnect_min_ms: Some(0), ..SessionOverrides::default() };
        assert!(of("iso8583-1987-ascii").with(&never).is_err());
    }
}
