//! How a cardholder's consent reaches the bank: 3-D Secure and stored cards in element 48, the cryptogram once and never
//! again.

use super::*;
use isthmus::payment::{Consent, Cryptogram, Purchase, StoredCredential};

const CRYPTOGRAM: &str = "AAABBJg0VhI0VniQEjRWAAAAAAA=";

fn authorised(consent: Consent, cryptogram: Option<&str>) -> Desk {
    let mut desk = Desk::online();
    let mut begin = begin(PaymentId(7), OperationKind::Authorisation, 1000, false, CARD);
    begin.consent = Some(consent);
    begin.card.cryptogram = cryptogram.map(|text| Cryptogram::parse(text).unwrap());
    begin.card.cvc = None;
    desk.submit(1, "payment", Command::Begin(Box::new(begin)));
    desk.commit();
    desk
}

fn additional(desk: &Desk) -> Option<String> {
    desk.last().text(48).map(|text| text.into_owned())
}

fn with_additional(desk: &Desk) -> usize {
    desk.frames.iter().filter(|frame| desk.spec.decode((*frame).clone()).unwrap().has(48)).count()
}

#[test]
fn an_authentication_goes_to_the_bank_once() {
    let named = "f38e6948-5388-41a6-bca4-b49723c19437";
    let consent = Consent { eci: Some("05".to_owned()), authentication: Some(named.to_owned()), ..Consent::default() };
    let mut desk = authorised(consent, Some(CRYPTOGRAM));
    assert_eq!(additional(&desk), Some(format!("4202054328{CRYPTOGRAM}6636{named}")));
    desk.pass(5);
    desk.commit();
    assert_eq!((desk.mti().as_str(), additional(&desk)), ("0420", None));
    assert_eq!(with_additional(&desk), 1);
    let mut after = desk.restarted();
    after.pass(1);
    assert_eq!((after.mti().as_str(), with_additional(&after)), ("0421", 0), "nothing of it is sent again");
}

#[test]
fn a_stored_card_says_what_it_is_used_for() {
    let stored = |stored| Consent { stored: Some(stored), ..Consent::default() };
    assert_eq!(additional(&authorised(stored(StoredCredential::First), None)).as_deref(), Some("2204C101"));
    let later = Consent { network_reference: Some("MCC123".to_owned()), ..stored(StoredCredential::Recurring) };
    assert_eq!(additional(&authorised(later, None)).as_deref(), Some("2204M1036306MCC123"));
    assert_eq!(additional(&authorised(Consent::default(), None)), None, "nothing to say, no element");
}

#[test]
fn a_purchase_is_told_with_its_authorisation_and_its_capture() {
    let mut desk = Desk::online();
    let mut begin = begin(PaymentId(7), OperationKind::Authorisation, 1000, false, CARD);
    let (customer_reference, invoice) = (Some("PO-4711".to_owned()), Some("2026-17".to_owned()));
    begin.purchase = Some(Purchase { customer_reference, invoice, tax: Some(euro(160)) });
    begin.card.cvc = None;
    desk.submit(1, "payment", Command::Begin(Box::new(begin)));
    desk.commit();
    let told = Some("1107PO-471112072026-171312000000000160".to_owned());
    assert_eq!(additional(&desk), told);
    desk.reply("00");
    desk.commit();
    desk.submit(2, "capture", Command::Capture { payment: PaymentId(7), amount: None, is_final: true });
    desk.load();
    desk.commit();
    assert_eq!((desk.mti().as_str(), additional(&desk)), ("0220", told));
}
