//! The `[edge]` table of the configuration.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of the merchants' doors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen for HTTPS.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where to listen for framed TLS. Absent: nowhere.
    #[serde(default)]
    pub framed_listen: Option<SocketAddr>,
    /// PEM: the door's certificate, then its intermediates.
    pub tls_certificate_file: PathBuf,
    /// PEM: the private key of that certificate.
    pub tls_key_file: PathBuf,
    /// PEM: who may issue client certificates. Absent: nobody; those that are bound to a merchant by themselves are taken.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// PEM: the private key of the first of them, with which `isthmus merchant` issues client certificates. The switch
    /// itself does not read it.
    #[serde(default)]
    pub client_ca_key_file: Option<PathBuf>,
    /// PEM: lists of certificates that their issuers have taken back. With any, each of the issuers needs one: a
    /// certificate of which it is not known whether it was taken back is refused. A list that is out of date still counts.
    #[serde(default)]
    pub client_crl_files: Vec<PathBuf>,
    /// PEM (PKCS#8): RSA keys to which merchants seal. All of them open; all are published, the first one first.
    #[serde(default)]
    pub payload_key_files: Vec<PathBuf>,
    /// PEM (PKCS#8): the key on P-256 with which answers in XML are signed. Absent: none is.
    #[serde(default)]
    pub signature_key_file: Option<PathBuf>,
    /// Where a line is written for each request: JSON, without secrets. Absent: nowhere.
    #[serde(default)]
    pub access_log_file: Option<PathBuf>,
    /// How merchants reach the doors.
    #[serde(default)]
    pub public: Public,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// What merchants are told of the doors, where it is not what the doors know of themselves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Public {
    /// Of HTTPS: `https://pay.example.com`.
    pub url: Option<String>,
    /// Of framed TLS: host and port.
    pub framed: Option<String>,
    /// PEM: whom they must trust. Absent: whom they trust anyway.
    pub ca_file: Option<PathBuf>,
}

/// Bounds of the door: what is beyond them is refused or cut off.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections; more wait unaccepted.
    #[serde(deserialize_with = "count::<_, _, 1, 1_000_000>")]
    pub connections: usize,
    /// TLS handshakes going on at once.
    #[serde(deserialize_with = "count::<_, _, 1, 1_000_000>")]
    pub handshakes: usize,
    /// From the accepted connection to the end of its handshake.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub handshake_timeout_ms: u64,
    /// From the handshake to the end of the first request's headers.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub first_request_timeout_ms: u64,
    /// From one request's end to the end of the next one's headers.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub idle_timeout_ms: u64,
    /// From the end of the headers to the end of the body.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub body_timeout_ms: u64,
    /// Of a body as sent.
    #[serde(deserialize_with = "count::<_, _, 1, 1_048_576>")]
    pub body_bytes: usize,
    /// Bodies held at once, from their first byte until they are understood.
    #[serde(deserialize_with = "count::<_, _, 1, 1_000_000>")]
    pub bodies: usize,
    /// Of all headers of a request together.
    #[serde(deserialize_with = "count::<_, _, 8_192, 1_048_576>")]
    pub header_bytes: usize,
    /// Count of headers of a request.
    #[serde(deserialize_with = "count::<_, _, 1, 1_000>")]
    pub headers: usize,
    /// HTTP/2 streams of a connection at once.
    #[serde(deserialize_with = "count::<_, _, 1, 10_000>")]
    pub streams_per_connection: u32,
    /// Frames of a connection that are asked and not answered yet; more are not read.
    #[serde(deserialize_with = "count::<_, _, 1, 100_000>")]
    pub frames_in_flight: usize,
    /// From the first byte of a frame to its last, either way.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub frame_timeout_ms: u64,
    /// From one frame of a connection to the next while nothing is in flight; an empty frame counts.
    #[serde(deserialize_with = "count::<_, _, 1, 86_400_000>")]
    pub framed_idle_timeout_ms: u64,
    /// How long an answer of the switch is awaited; above all of its own deadlines.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub answer_timeout_ms: u64,
    /// Reads of the store going on at once.
    #[serde(deserialize_with = "count::<_, _, 1, 256>")]
    pub store_reads: usize,
    /// Threads that open sealed payloads.
    #[serde(deserialize_with = "count::<_, _, 1, 256>")]
    pub envelope_threads: usize,
    /// How far `iat` of a sealed or signed payload may be from our clock, either way. An older one is taken for a repeat only.
    #[serde(deserialize_with = "count::<_, _, 1_000, 86_400_000>")]
    pub sealed_window_ms: u64,
    /// How long open requests are awaited when the door closes.
    #[serde(deserialize_with = "count::<_, _, 1, 3_600_000>")]
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            handshakes: 64,
            handshake_timeout_ms: 5_000,
            first_request_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            body_timeout_ms: 10_000,
            body_bytes: 64 * 1024,
            bodies: 2048,
            header_bytes: 16 * 1024,
            headers: 64,
            streams_per_connection: 100,
            frames_in_flight: 256,
            frame_timeout_ms: 10_000,
            framed_idle_timeout_ms: 300_000,
            answer_timeout_ms: 120_000,
            store_reads: 16,
            envelope_threads: 2,
            sealed_window_ms: 300_000,
            drain_timeout_ms: 60_000,
        }
    }
}

impl Settings {
    /// The same settings with every path taken from `folder` where it is relative.
    pub fn relative_to(mut self, folder: &Path) -> Settings {
        let paths = [&mut self.tls_certificate_file, &mut self.tls_key_file];
        let paths = paths
            .into_iter()
            .chain(&mut self.client_ca_file)
            .chain(&mut self.client_ca_key_file)
            .chain(&mut self.client_crl_files)
            .chain(&mut self.public.ca_file)
            .chain(&mut self.payload_key_files)
            .chain(&mut self.signature_key_file)
            .chain(&mut self.access_log_file);
        paths.for_each(|path| *path = folder.join(&*path));
        self
    }
}

impl Settings {
    /// Where merchants find HTTPS.
    pub fn public_url(&self) -> String {
        self.public.url.clone().unwrap_or_else(|| format!("https://{}", reachable(self.listen)))
    }

    /// Where merchants find framed TLS, if anywhere.
    pub fn public_framed(&self) -> Option<String> {
        self.public.framed.clone().or_else(|| self.framed_listen.map(reachable))
    }
}

/// An address of this machine in place of all of them.
fn reachable(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

impl Limits {
    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    pub(super) fn first_request_timeout(&self) -> Duration {
        Duration::from_millis(self.first_request_timeout_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(super) fn frame_timeout(&self) -> Duration {
        Duration::from_millis(self.frame_timeout_ms)
    }

    pub(super) fn framed_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.framed_idle_timeout_ms)
    }

    /// In seconds.
    pub(super) fn sealed_window(&self) -> i64 {
        i64::try_from(self.sealed_window_ms / 1000).unwrap_or(i64::MAX)
    }

    /// Of a frame: a body, which may be longer as a JSON string, and its envelope.
    pub(super) fn frame_bytes(&self) -> usize {
        2 * self.body_bytes + 4096
    }

    pub(super) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

/// A number between bounds that are part of the type: a mistake is told with its line and key.
pub(super) fn count<'de, D, T, const LEAST: u64, const MOST: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = u64::deserialize(deserializer)?;
    let counted = T::try_from(number).ok().filter(|_| (LEAST..=MOST).contains(&number));
    counted.ok_or_else(|| D::Error::custom(format!("expected a number from {LEAST} to {MOST}")))
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8580).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn defaults_fill_what_is_absent_and_mistakes_are_seen() {
        let text = "tls_certificate_file = \"a.pem\"\ntls_key_file = \"/k.pem\"\n[limits]\nbody_bytes = 1000\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let settings = settings.relative_to(Path::new("/etc"));
        assert_eq!(settings.tls_certificate_file, Path::new("/etc/a.pem"));
        assert_eq!(settings.tls_key_file, Path::new("/k.pem"));
        assert_eq!((settings.limits.body_bytes, settings.limits.headers), (1000, 64));
        for mistake in ["body_byte = 1", "body_bytes = 0", "connections = 9223372036854775807", "headers = -1"] {
            let text = text.replace("body_bytes = 1000", mistake);
            let told = toml::from_str::<Settings>(&text).unwrap_err().to_string();
            assert!(told.contains("line 4"), "{told}");
        }
    }
}
