//! Business days and cutovers.

use super::*;

#[test]
fn a_day_ends_at_the_cutover_and_a_reversal_carries_its_originals_day() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    assert_eq!(bank.ask(&sale).text(15).unwrap(), "1122");
    bank.now = Wall(NOON.0 + 13 * 3_600_000_000);
    assert_eq!(bank.ask(&Sent::purchase("0200", 2, CARD, 1)).text(15).unwrap(), "1123");
    assert_eq!(bank.ask(&sale.reversal(3)).text(15).unwrap(), "1122");
}

#[test]
fn a_cutover_on_demand_is_told_to_the_peers_and_outlives_a_restart() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    bank.ask(&sale);
    let planned = bank.issuer.cut_over(NOON);
    let told = bank.read(&planned[0]);
    let said = [70, 15].map(|element| told.text(element).unwrap().into_owned());
    assert_eq!((told.mti().to_string().as_str(), said), ("0800", ["201".to_owned(), "1123".to_owned()]));
    let mut bank = bank.restarted();
    assert_eq!(bank.ask(&Sent::purchase("0200", 2, CARD, 1)).text(15).unwrap(), "1123");
    assert_eq!(bank.ask(&sale.reversal(3)).text(15).unwrap(), "1122", "its original's day");
    assert_eq!(bank.ask(&sale).text(15).unwrap(), "1122", "the answer as it was first given");
    // The clock catches up, and goes on from there.
    bank.now = Wall(NOON.0 + 36 * 3_600_000_000);
    assert_eq!(bank.ask(&Sent::purchase("0200", 4, CARD, 1)).text(15).unwrap(), "1124");
    let days: Vec<String> =
        bank.issuer.ledger().entries().iter().map(|entry| entry.business_date.to_string()).collect();
    assert_eq!(days, ["2026-11-22", "2026-11-23", "2026-11-23", "2026-11-22", "2026-11-24"]);
}

#[test]
fn a_day_that_ends_by_the_clock_is_announced_where_the_bank_does_so() {
    let midnight = Wall(NOON.0 + 12 * 3_600_000_000);
    let mut silent = Bank::new();
    assert!(silent.issuer.tick(NOON).is_empty() && silent.issuer.tick(midnight).is_empty());
    let mut bank = Bank::of("iso8583-1987-requests", Scenario::demo().unwrap());
    assert!(bank.issuer.tick(NOON).is_empty());
    assert!(bank.issuer.tick(Wall(midnight.0 - 1)).is_empty());
    let planned = bank.issuer.tick(midnight);
    assert_eq!(bank.read(&planned[0]).text(15).unwrap(), "1123");
    assert!(bank.issuer.tick(midnight).is_empty(), "once");
}
