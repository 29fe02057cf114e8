//! The register's metrics.

use super::Register;
use jiff::{SignedDuration, Timestamp};
use metrics::{describe_gauge, gauge};

/// Merchants that count, of the configuration and of the register.
pub const MERCHANTS: &str = "isthmus_merchants";
/// 1 while the register's store holds something that the switch does not go by.
pub const REGISTER_IGNORED: &str = "isthmus_merchant_register_ignored";

/// API keys and signature keys by `state`: expiring (within 30 days), expired.
pub const KEYS: &str = "isthmus_merchant_keys";

/// How long before its end a key is shown as expiring.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Tells the recorder what the names mean. Once a process.
pub fn describe() {
    describe_gauge!(MERCHANTS, "Merchants that count.");
    describe_gauge!(KEYS, "API keys and signature keys of merchants that end within 30 days, or have ended.");
    describe_gauge!(REGISTER_IGNORED, "1 while the merchant register holds what the switch does not go by.");
}

/// Shows a register in use, and whether its store holds something else.
pub(super) fn show(merchants: usize, is_ignored: bool) {
    gauge!(MERCHANTS).set(merchants as f64);
    gauge!(REGISTER_IGNORED).set(if is_ignored { 1.0 } else { 0.0 });
}

/// Shows how many keys have come to their end, and how many will soon.
pub(super) fn show_ends(register: &Register, now: Timestamp) {
    let (ended, soon) = ends(register, now);
    gauge!(KEYS, "state" => "expired").set(ended as f64);
    gauge!(KEYS, "state" => "expiring").set(soon as f64);
}

fn ends(register: &Register, now: Timestamp) -> (usize, usize) {
    let ended = register.ends().filter(|end| *end <= now).count();
    let soon = register.ends().filter(|end| *end > now && end.duration_since(now) <= SOON).count();
    (ended, soon)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::ApiKeySettings;
    use super::super::settings::sample;
    use super::*;
    use std::path::Path;

    #[test]
    fn keys_are_counted_by_how_near_their_end_is() {
        let now = Timestamp::now();
        let mut merchant = sample("shop", 'a');
        let hours = [-1, 0, 1, 30 * 24, 31 * 24];
        merchant.api_keys = (0..)
            .zip(hours)
            .map(|(number, hours)| ApiKeySettings {
                sha256: format!("{number:064x}"),
                expires: Some(now.checked_add(SignedDuration::from_hours(hours)).unwrap()),
                scopes: Default::default(),
            })
            .collect();
        assert_eq!(ends(&Register::build(&[merchant], Path::new(".")).unwrap(), now), (2, 2));
    }
}
