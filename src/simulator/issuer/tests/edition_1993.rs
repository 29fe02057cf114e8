//! The edition of 1993: function codes, action codes, and originals in DE56.

use super::*;

const STANDS: &str = "401";

impl Sent {
    /// A message of the edition of 1993: the local time has its date, the function stands in DE24.
    fn of_1993(mti: &'static str, function: &str, stan: u32, cents: i64) -> Self {
        let sent = Self::purchase(mti, stan, CARD, cents).without(25);
        let time = format!("261122{stan:06}");
        sent.with(12, &time).with(24, function)
    }

    fn named_1993(&self) -> String {
        let acquirer = self.text(32);
        format!("{}{}{}{:02}{acquirer}", self.mti, self.text(11), self.text(12), acquirer.len())
    }

    fn following(&self, mti: &'static str, function: &str, stan: u32, cents: i64) -> Self {
        Self::of_1993(mti, function, stan, cents).with(56, &self.named_1993())
    }
}

fn bank() -> Bank {
    Bank::speaking("iso8583-1993-ascii", "iso8583-1993", Scenario::demo().unwrap())
}

#[test]
fn a_sale_is_answered_with_an_action_code_and_a_day_with_its_year() {
    let mut bank = bank();
    let sale = Sent::of_1993("1200", "200", 1, 1_299);
    let answer = bank.ask(&sale);
    let said = [39, 15, 24].map(|element| answer.text(element).unwrap().into_owned());
    assert_eq!((answer.mti().to_string().as_str(), said), ("1210", ["000", "261122", "200"].map(str::to_owned)));
    assert_eq!(bank.code(&Sent::of_1993("1200", "200", 2, 1).with(2, "4000000000000515")), "116");
    assert_eq!(bank.code(&Sent::of_1993("1200", "200", 3, 1).with(2, "4000000000007777")), "111");
    assert_eq!(bank.money(), (-1_299, 0));
    // The edition of 1987 is another bank's.
    assert_eq!(bank.code(&Sent::of_1993("0200", "200", 4, 1)), "902");
}

#[test]
fn completions_are_told_by_their_function_and_find_their_original() {
    let mut bank = bank();
    let authorisation = Sent::of_1993("1100", "100", 1, 10_000);
    assert_eq!(bank.code(&authorisation), "000");
    assert_eq!(bank.money(), (0, 10_000));
    assert_eq!(bank.code(&authorisation.following("1220", "202", 2, 6_000)), "000");
    assert_eq!(bank.money(), (-6_000, 4_000));
    assert_eq!(bank.code(&authorisation.following("1200", "202", 3, 4_001)), "110");
    assert_eq!(bank.code(&authorisation.following("1200", "201", 4, 4_000)), "000");
    assert_eq!(bank.money(), (-10_000, 0));
}

#[test]
fn reversals_are_whole_or_leave_their_amount() {
    let mut bank = bank();
    let sale = Sent::of_1993("1200", "200", 1, 1_299);
    bank.ask(&sale);
    let original_amounts = format!("{:012}{:012}", 1_299, 0);
    let partly = sale.following("1420", STANDS, 2, 300).with(30, &original_amounts).with(25, "4000");
    let answer = bank.ask(&partly);
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("1430", "400"));
    assert_eq!(bank.money(), (-300, 0));
    let wholly = sale.following("1420", "400", 3, 1_299).with(25, "4021");
    assert_eq!(bank.code(&wholly), "400");
    assert_eq!(bank.code(&wholly.again("1421")), "400");
    assert_eq!(bank.money(), (0, 0));
    let unseen = Sent::of_1993("1200", "200", 9, 100);
    assert_eq!(bank.code(&unseen.following("1400", "400", 10, 100)), "400");
    assert_eq!(bank.code(&unseen), "100", "it was reversed before it came");
}

#[test]
fn an_original_without_its_acquirer_is_found_too() {
    let mut bank = bank();
    let sale = Sent::of_1993("1200", "200", 1, 1_299);
    bank.ask(&sale);
    let bare: String = sale.named_1993().chars().take(22).collect();
    assert_eq!(bank.code(&sale.following("1420", "400", 2, 1_299).with(56, &bare)), "400");
    assert_eq!(bank.money(), (0, 0));
    // Data that contradict themselves name nothing, and then the reference decides.
    assert_eq!(bank.code(&sale.following("1420", "400", 3, 1_299).with(56, &format!("{bare}99123"))), "400");
    assert_eq!(bank.money(), (0, 0));
}

#[test]
fn network_messages_carry_their_meaning_in_the_function_code() {
    let mut bank = bank();
    let echo = Sent::new("1804", 5).with(24, "831");
    let answer = bank.ask(&echo);
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("1814", "800"));
    let planned = bank.issuer.ask_echo(NOON);
    let question = bank.read(&planned[0]);
    assert_eq!((question.mti().to_string().as_str(), question.text(24).unwrap().as_ref()), ("1804", "831"));
    let planned = bank.issuer.cut_over(NOON);
    let told = bank.read(&planned[0]);
    assert_eq!((told.text(24).unwrap().as_ref(), told.text(15).unwrap().as_ref()), ("821", "261123"));
}

#[test]
fn the_profile_suits_its_dialects() {
    for (dialect, profile) in
        [("iso8583-1993-bcd", "iso8583-1993"), ("amex-1993", "iso8583-1993"), ("visa-base1", "iso8583-1987")]
    {
        assert_eq!(Profile::suiting(dialect), profile);
    }
    let mut packed = Bank::speaking("iso8583-1993-bcd", "iso8583-1993", Scenario::demo().unwrap());
    assert_eq!(packed.code(&Sent::of_1993("1200", "200", 1, 1_299)), "000");
}
