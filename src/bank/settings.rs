//! Settings of a link.

use serde::Deserialize;

/// Where a link leads and how long its steps may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// Host and port to connect to.
    pub connect: String,
    /// How long connecting may take.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout_ms: u64,
    /// How long a write may take before the line is given up: a peer that stops reading must not hold us.
    #[serde(default = "default_write_timeout")]
    pub write_timeout_ms: u64,
}

fn default_connect_timeout() -> u64 {
    5_000
}

fn default_write_timeout() -> u64 {
    5_000
}
