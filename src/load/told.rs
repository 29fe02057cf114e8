//! What is read of an answer: a payment's name and status, or a problem's code. The rest is not looked at.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use std::borrow::Cow;

/// What an answer tells.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(super) struct Told<'a> {
    /// The payment's name.
    #[serde(borrow)]
    pub id: Option<Cow<'a, str>>,
    /// The problem's code.
    #[serde(borrow)]
    pub code: Option<Cow<'a, str>>,
    /// The payment's status; of a problem, a number.
    #[serde(default)]
    pub status: serde_json::Value,
}

impl Told<'_> {
    /// Of JSON; nothing of what is none.
    pub(super) fn json(body: &[u8]) -> Told<'_> {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Of XML, no further than it must be read: name and status are texts of the root's own elements, before the others.
    pub(super) fn xml(body: &[u8]) -> Told<'static> {
        let mut reader = Reader::from_reader(body);
        let (mut told, mut depth, mut within) = (Told::default(), 0_usize, String::new());
        while told.id.is_none() || told.status.is_null() {
            match reader.read_event() {
                Ok(Event::Start(element)) => {
                    depth += 1;
                    within.clear();
                    within.push_str(element.name().as_ref());
                }
                Ok(Event::End(_)) => {
                    depth = depth.saturating_sub(1);
                    within.clear();
                }
                Ok(Event::Text(text)) if depth == 2 => {
                    let text = text.as_ref().to_owned();
                    match within.as_str() {
                        "id" => told.id = Some(text.into()),
                        "status" => told.status = text.into(),
                        _ => {}
                    }
                }
                Ok(Event::Eof) | Err(_) => break,
                Ok(_) => {}
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payments_own_status_is_read_and_not_its_operations() {
        let told = Told::xml(
            b"<payment xmlns=\"urn:isthmus:v1\"><id>pay_1</id><operations><operation><status>approved</status>\
              </operation></operations><status>captured</status></payment>",
        );
        assert_eq!(told.id.as_deref(), Some("pay_1"));
        assert_eq!(told.status, "captured");
    }

    #[test]
    fn what_is_neither_tells_nothing() {
        assert_eq!(Told::xml(b"<payment><id>"), Told::default());
        assert_eq!(Told::xml(b"{}"), Told::default());
        assert_eq!(Told::json(b"<payment/>"), Told::default());
    }
}
