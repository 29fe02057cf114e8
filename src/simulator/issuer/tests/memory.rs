//! A bank after a restart, with a bound on its memory, and under any bytes.

use super::*;

#[test]
fn a_restart_gives_the_same_bank() {
    let mut bank = Bank::new();
    let sale = Sent::purchase("0200", 1, CARD, 1_299);
    let answer = bank.ask(&sale);
    let authorisation = Sent::purchase("0100", 2, CARD, 5_000);
    bank.ask(&authorisation);
    bank.ask(&authorisation.capture(3, 2_000));
    bank.ask(&sale.reversal(4));
    let mut restarted = bank.restarted();
    assert_eq!(restarted.ask(&sale).as_bytes(), answer.as_bytes());
    let purses = |bank: &Bank| format!("{:?}", bank.issuer.books().purses().collect::<Vec<_>>());
    assert_eq!(purses(&restarted), purses(&bank));
    assert_eq!(restarted.code(&authorisation.capture(5, 3_001)), "64");
    assert_eq!(restarted.code(&authorisation.capture(6, 3_000)), "00");
    assert_eq!(restarted.money(), (-5_000, 0));
}

#[test]
fn any_bytes_are_answered_or_passed_over() {
    let mut bank = Bank::new();
    let mut random = fastrand::Rng::with_seed(11);
    let sale = Sent::purchase("0200", 1, CARD, 1_299).with(90, &"0".repeat(42)).with(48, "92");
    let mut builder = MessageBuilder::new(sale.mti.parse().unwrap());
    for (element, text) in &sale.elements {
        builder.set(*element, text);
    }
    let good = bank.spec.encode_to_bytes(&builder).unwrap();
    for _ in 0..5_000 {
        let mut bytes = good.to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = if random.u8(..8) == 0 { random.u8(..) } else { random.u8(b'0'..=b'9') };
        }
        if random.bool() {
            bytes.truncate(random.usize(..=bytes.len()));
        }
        bank.issuer.receive(LINK, bytes.into(), NOON);
    }
    let counters = bank.issuer.counters();
    assert!(counters.unreadable > 1_000 && counters.answers > 100, "{counters:?}");
}

#[test]
fn memory_is_bounded_and_balances_survive_it() {
    let mut bank = Bank::new();
    bank.issuer = bank.issuer.remembering(10);
    bank.issuer.link_up(LINK);
    bank.ask(&Sent::new("0800", 999_999).with(70, "001"));
    for stan in 1..=100 {
        bank.ask(&Sent::purchase("0200", stan, CARD, 1));
    }
    assert_eq!(bank.money(), (-100, 0));
    let (_, _, purse) = bank.issuer.books().purses().next().unwrap();
    assert_eq!(purse.net, -100);
    assert_eq!(bank.code(&Sent::purchase("0200", 1, CARD, 1).reversal(200)), "00", "forgotten, so unseen");
    assert_eq!(bank.money(), (-100, 0));
}
