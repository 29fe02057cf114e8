//! What a merchant asks for, as JSON or as XML.

use super::cards::Card;
use super::mix::Operation;
use quick_xml::escape::escape;
use serde::Serialize;

/// A new payment.
pub(super) struct Order<'a> {
    /// The merchant's own name of it.
    pub reference: &'a str,
    /// Minor units.
    pub value: u64,
    /// ISO 4217, alphabetic.
    pub currency: &'a str,
    /// Whether it is captured at once.
    pub capture: bool,
    /// What is paid with.
    pub card: &'a Card,
}

#[derive(Serialize)]
struct OrderJson<'a> {
    reference: &'a str,
    amount: Money<'a>,
    capture: bool,
    card: CardFields<'a>,
}

#[derive(Serialize)]
struct Money<'a> {
    value: u64,
    currency: &'a str,
}

#[derive(Serialize)]
struct CardFields<'a> {
    number: &'a str,
    expiry_month: u8,
    expiry_year: u16,
    cvc: &'a str,
}

impl Order<'_> {
    /// As JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let Card { number, month, year, code } = self.card;
        let order = OrderJson {
            reference: self.reference,
            amount: Money { value: self.value, currency: self.currency },
            capture: self.capture,
            card: CardFields { number, expiry_month: *month, expiry_year: *year, cvc: code },
        };
        serde_json::to_vec(&order).expect("text and numbers become JSON")
    }

    /// As XML.
    pub(super) fn xml(&self) -> Vec<u8> {
        let Card { number, month, year, code } = self.card;
        format!(
            "<payment_request xmlns=\"urn:isthmus:v1\"><reference>{}</reference><amount><value>{}</value>\
             <currency>{}</currency></amount><capture>{}</capture><card><number>{number}</number>\
             <expiry_month>{month}</expiry_month><expiry_year>{year}</expiry_year><cvc>{code}</cvc></card>\
             </payment_request>",
            escape(self.reference),
            self.value,
            escape(self.currency),
            self.capture,
        )
        .into_bytes()
    }
}

/// What follows a payment, as XML; as JSON it is empty.
pub(super) fn follow_xml(operation: Operation) -> &'static [u8] {
    match operation {
        Operation::Capture => br#"<capture_request xmlns="urn:isthmus:v1"/>"#,
        Operation::Void => br#"<void_request xmlns="urn:isthmus:v1"/>"#,
        _ => br#"<refund_request xmlns="urn:isthmus:v1"/>"#,
    }
}
