//! The register's metrics.

use metrics::{describe_gauge, gauge};

/// Merchants that count, of the configuration and of the register.
pub const MERCHANTS: &str = "isthmus_merchants";
/// 1 while the register's store holds something that the switch does not go by.
pub const REGISTER_IGNORED: &str = "isthmus_merchant_register_ignored";

/// Tells the recorder what the names mean. Once a process.
pub fn describe() {
    describe_gauge!(MERCHANTS, "Merchants that count.");
    describe_gauge!(REGISTER_IGNORED, "1 while the merchant register holds what the switch does not go by.");
}

/// Shows a register in use, and whether its store holds something else.
pub(super) fn show(merchants: usize, is_ignored: bool) {
    gauge!(MERCHANTS).set(merchants as f64);
    gauge!(REGISTER_IGNORED).set(if is_ignored { 1.0 } else { 0.0 });
}
