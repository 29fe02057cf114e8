//! The keys a bank shares with its peers before anything is exchanged: `[keys]` of its configuration.
//!
//! They are made for tests and so stand in the file itself, in hexadecimal digits. The zone key protects
//! the working keys that are exchanged; a working key that isn't named comes by an exchange alone. How MACs
//! are made, how PIN blocks travel and where keys stand is the profile's to say.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::security::{Key, KeyKind, KeyUsage};

use super::mistake::Examined;
use super::profile::{Profile, Wrapping};

/// Keys of a bank, checked.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Protects the keys that are exchanged.
    pub(super) zone: Option<Key>,
    /// The working keys until others are exchanged.
    pub(super) first: Working,
    /// For so long the keys before an exchange are taken too.
    pub(super) overlap: Duration,
}

/// Keys in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Working {
    pub(super) mac: Option<Arc<Key>>,
    pub(super) pin: Option<Arc<Key>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysTable {
    zone_key_hex: Option<Spanned<String>>,
    mac_key_hex: Option<Spanned<String>>,
    pin_key_hex: Option<Spanned<String>>,
    #[serde(default = "a_minute")]
    overlap_ms: Spanned<i64>,
}

fn a_minute() -> Spanned<i64> {
    Spanned::new(0..0, 60_000)
}

impl KeysTable {
    /// Reads the keys as a profile needs them; every mistake is noted, and none tells a digit.
    pub(super) fn read(&self, examined: &mut Examined<'_>, profile: &Profile) -> Option<Keys> {
        let (zone_usage, zone_kind): (_, fn(usize) -> Option<KeyKind>) = match profile.key_exchange.wrapping {
            Wrapping::Ecb => (KeyUsage::KeyWrapping, |bytes| KeyKind::des(bytes).filter(|kind| *kind != KeyKind::Des)),
            Wrapping::KeyBlock => (KeyUsage::KeyBlocks, KeyKind::aes),
        };
        let zone = Self::key(examined, &self.zone_key_hex, "keys.zone_key_hex", zone_usage, zone_kind);
        let mac = Self::key(examined, &self.mac_key_hex, "keys.mac_key_hex", KeyUsage::Mac, |bytes| {
            profile.mac.key_kind(bytes)
        });
        let pin = Self::key(examined, &self.pin_key_hex, "keys.pin_key_hex", KeyUsage::Pin, |bytes| {
            profile.pin.key_kind(bytes)
        });
        let overlap = examined.parsed(&self.overlap_ms, "keys.overlap_ms", "0 to 86400000", |value| {
            u64::try_from(*value).ok().filter(|value| *value <= 86_400_000).map(Duration::from_millis)
        });
        let first = Working { mac: mac?.map(Arc::new), pin: pin?.map(Arc::new) };
        Some(Keys { zone: zone?, first, overlap: overlap? })
    }

    /// A key that may be named; the outer nothing is a mistake.
    fn key(
        examined: &mut Examined<'_>,
        digits: &Option<Spanned<String>>,
        name: &str,
        usage: KeyUsage,
        kind: impl Fn(usize) -> Option<KeyKind>,
    ) -> Option<Option<Key>> {
        let Some(digits) = digits else { return Some(None) };
        let expected = "hexadecimal digits of a key, as long as the profile's method or format takes";
        let parse = |digits: &String| Key::parse(kind(digits.len() / 2)?, usage, digits).ok();
        examined.parsed(digits, name, expected, parse).map(Some)
    }
}
