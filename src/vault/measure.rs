//! The vault's metrics.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Cards that were sealed anew, by `store`: journal, tokens.
pub const RESEALED_TOTAL: &str = "isthmus_vault_resealed_total";
/// 1 while cards are sealed anew under another key.
pub const RESEALING: &str = "isthmus_vault_resealing";
/// Cards under an older key that cannot be opened.
pub const STUCK: &str = "isthmus_vault_stuck_cards";

/// Tells the recorder what the names mean. Once a process.
pub fn describe() {
    describe_counter!(RESEALED_TOTAL, "Cards that were sealed anew under the current key.");
    describe_gauge!(RESEALING, "1 while cards lie under an older key and are sealed anew.");
    describe_gauge!(STUCK, "Cards under an older key that cannot be opened, and stay as they are.");
}

/// Counts cards of a store that were sealed anew.
pub fn resealed(store: &'static str, count: usize) {
    counter!(RESEALED_TOTAL, "store" => store).increment(count as u64);
}

/// Shows how the work stands.
pub fn show(is_working: bool, stuck: usize) {
    gauge!(RESEALING).set(if is_working { 1.0 } else { 0.0 });
    gauge!(STUCK).set(stuck as f64);
}
