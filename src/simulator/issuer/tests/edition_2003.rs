//! The edition of 2003: amounts with their currency, long STANs, action codes of four digits.

use super::*;

impl Sent {
    fn of_2003(mti: &'static str, function: &str, stan: u32, cents: i64) -> Self {
        let sent = Self::purchase(mti, stan, CARD, cents).without(25).without(49);
        let (long, time) = (format!("{stan:012}"), format!("20261122{stan:06}"));
        sent.with(4, &format!("9782{cents:012}")).with(11, &long).with(12, &time).with(24, function)
    }

    fn after_2003(&self, mti: &'static str, function: &str, stan: u32, cents: i64) -> Self {
        let acquirer = self.text(32);
        let named = format!("{}{}{}{:02}{acquirer}", self.mti, self.text(11), self.text(12), acquirer.len());
        Self::of_2003(mti, function, stan, cents).with(56, &named)
    }
}

#[test]
fn amounts_carry_their_currency_and_reversals_find_their_original() {
    for dialect in ["iso8583-2003-ascii", "iso8583-2003-bcd"] {
        let mut bank = Bank::speaking(dialect, "iso8583-2003", Scenario::demo().unwrap());
        let sale = Sent::of_2003("2200", "200", 1, 1_299);
        let answer = bank.ask(&sale);
        assert_eq!((answer.text(39).unwrap().as_ref(), answer.text(15).unwrap().as_ref()), ("0000", "20261122"));
        assert_eq!(bank.money(), (-1_299, 0));
        assert_eq!(bank.issuer.ledger().entries()[0].currency.unwrap().code(), "EUR");
        assert_eq!(bank.code(&sale.after_2003("2420", "400", 2, 1_299)), "4000");
        assert_eq!(bank.money(), (0, 0));
        let authorisation = Sent::of_2003("2100", "100", 3, 10_000);
        bank.ask(&authorisation);
        assert_eq!(bank.code(&authorisation.after_2003("2220", "202", 4, 6_000)), "0000");
        let amounts = format!("9782{:012}9782{:012}", 10_000, 0);
        assert_eq!(bank.code(&authorisation.after_2003("2420", "401", 5, 6_000).with(30, &amounts)), "4000");
        assert_eq!(bank.money(), (-6_000, 0));
    }
}

#[test]
fn a_partial_approval_keeps_the_currency_before_its_amount() {
    let mut bank = Bank::speaking("iso8583-2003-ascii", "iso8583-2003", Scenario::demo().unwrap());
    let answer = bank.ask(&Sent::of_2003("2200", "200", 1, 1_001).with(2, "4000000000010001"));
    assert_eq!((answer.text(39).unwrap().as_ref(), answer.text(4).unwrap().as_ref()), ("0002", "9782000000000500"));
    assert_eq!(bank.money(), (-500, 0));
}
