//! Which elements a message type has to carry (ISO 8583, the tables "message types and their elements").
//!
//! A dialect lists elements as mandatory, conditional, forbidden and, in a response, echoed from the
//! request. Reading and writing do not enforce it, because a peer's incomplete message still has to be
//! answered; whoever cares asks for the violations. Values are compared as text, never shown.

use std::fmt;

use super::builder::{MessageBuilder, Node};
use super::composite::Condition;
use super::message::Message;
use super::mti::Mti;
use super::spec::Spec;

/// What a message of one type carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Always there.
    pub mandatory: Vec<u8>,
    /// There where the condition holds.
    pub conditional: Vec<(u8, Condition)>,
    /// Never there.
    pub forbidden: Vec<u8>,
    /// As in the request, where the request has them.
    pub echoed: Vec<u8>,
}

/// A rule that a message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The element.
    pub element: u8,
    /// What is wrong with it.
    pub kind: ViolationKind,
}

/// What is wrong with an element's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// It has to be there and is not.
    Missing,
    /// It is there and must not be.
    Forbidden,
    /// It is not as it was in the request.
    NotEchoed,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.kind {
            ViolationKind::Missing => "is missing",
            ViolationKind::Forbidden => "must not be there",
            ViolationKind::NotEchoed => "is not as in the request",
        };
        write!(f, "{} {words}", self.element)
    }
}

impl Spec {
    /// The rule for a message type; the repeat of a type has the type's own rule.
    pub fn rule(&self, mti: Mti) -> Option<&Rule> {
        let found = |mti: Mti| self.rules.iter().find(|(other, _)| *other == mti);
        found(mti).or_else(|| found(mti.without_repeat())).map(|(_, rule)| rule)
    }

    /// Which rules of its type a message to be written breaks; none where the dialect has no rule for
    /// the type.
    pub fn violations(&self, message: &MessageBuilder) -> Vec<Violation> {
        let text = |number: u8| match message.node(number) {
            Some(Node::Text(text) | Node::Printed(text)) => Some(text.to_string()),
            _ => None,
        };
        self.broken_rules(message.mti(), |number| message.has(number), text)
    }

    fn broken_rules(&self, mti: Mti, has: impl Fn(u8) -> bool, text: impl Fn(u8) -> Option<String>) -> Vec<Violation> {
        let Some(rule) = self.rule(mti) else {
            return Vec::new();
        };
        let holds = |condition: &Condition| match condition {
            Condition::Otherwise => true,
            Condition::FirstByte(..) => false,
            Condition::Mti(digits) => mti.to_string().starts_with(digits),
            Condition::Element(number, value) => text(*number).is_some_and(|text| text.starts_with(value)),
        };
        let due = rule.conditional.iter().filter(|(_, condition)| holds(condition)).map(|(number, _)| number);
        let missing = rule.mandatory.iter().chain(due).filter(|number| !has(**number));
        let forbidden = rule.forbidden.iter().filter(|number| has(**number));
        let violation = |kind| move |element: &u8| Violation { element: *element, kind };
        missing
            .map(violation(ViolationKind::Missing))
            .chain(forbidden.map(violation(ViolationKind::Forbidden)))
            .collect()
    }
}

impl Message {
    /// Which rules of its type it breaks.
    pub fn violations(&self) -> Vec<Violation> {
        let text = |number| self.text(number).map(|text| text.into_owned());
        self.spec().broken_rules(self.mti(), |number| self.has(number), text)
    }

    /// Which rules it breaks as the response to `request`: those of its type, and elements it does not
    /// echo.
    pub fn violations_as_response(&self, request: &Message) -> Vec<Violation> {
        let mut violations = self.violations();
        let echoed = self.spec().rule(self.mti()).map(|rule| rule.echoed.as_slice()).unwrap_or_default();
        let changed =
            echoed.iter().filter(|number| request.has(**number) && self.text(**number) != request.text(**number));
        violations.extend(changed.map(|element| Violation { element: *element, kind: ViolationKind::NotEchoed }));
        violations
    }

    /// The response to this message with all it has to echo, its header answered as the dialect says; `None` where its type has no response.
    pub fn response(&self) -> Option<MessageBuilder> {
        let mti = self.mti().response()?;
        let mut response = MessageBuilder::new(mti);
        if let Some(header) = self.header_value() {
            response.copy_header(header);
        }
        if let Some(total) = self.spec().total_length {
            response.leave_out_of_header(total.part);
        }
        if let Some((one, other)) = self.spec().header_swap {
            response.swap_header(one, other);
        }
        for number in self.spec().rule(mti).map(|rule| rule.echoed.as_slice()).unwrap_or_default() {
            if let Some(value) = self.value(*number) {
                response.copy(*number, value);
            }
        }
        Some(response)
    }
}

#[cfg(all(test, feature = "dialects"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::dialects;

    fn request() -> Message {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let mut request = MessageBuilder::new("0800".parse().unwrap());
        request.set(7, "1122010203").set(11, "000123").set(70, "301");
        assert_eq!(spec.violations(&request), []);
        spec.decode(spec.encode_to_bytes(&request).unwrap()).unwrap()
    }

    #[test]
    fn a_response_echoes_and_is_then_missing_only_what_is_its_own() {
        let request = request();
        let spec = request.spec();
        let mut response = request.response().unwrap();
        assert_eq!(response.mti().to_string(), "0810");
        let missing = Violation { element: 39, kind: ViolationKind::Missing };
        assert_eq!(spec.violations(&response), [missing]);
        response.set(39, "00").set(11, "000124");
        let response = spec.decode(spec.encode_to_bytes(&response).unwrap()).unwrap();
        let changed = Violation { element: 11, kind: ViolationKind::NotEchoed };
        assert_eq!(response.violations_as_response(&request), [changed]);
    }

    #[test]
    fn a_response_goes_back_to_where_its_request_came_from() {
        let spec = dialects::builtin("unionpay-pos").unwrap().unwrap();
        let header = [0x60, 0x00, 0x03, 0x12, 0x34, 0x60, 0x31, 0x00, 0x31, 0x01, 0x00];
        let mut request = MessageBuilder::new("0800".parse().unwrap()).header(&header);
        request.set(11, "000123");
        let request = spec.decode(spec.encode_to_bytes(&request).unwrap()).unwrap();
        let response = spec.encode_to_bytes(&request.response().unwrap()).unwrap();
        assert_eq!(response[..5], [0x60, 0x12, 0x34, 0x00, 0x03]);
        assert_eq!(response[5..11], header[5..]);
    }

    #[test]
    fn forbidden_and_conditional_elements_are_told() {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let mut request = MessageBuilder::new("0801".parse().unwrap());
        request.set(7, "1122010203").set(11, "000123").set(70, "301").set(39, "00");
        let forbidden = Violation { element: 39, kind: ViolationKind::Forbidden };
        assert_eq!(spec.violations(&request), [forbidden], "a repeat has its type's rule");
        let mut approved = MessageBuilder::new("0110".parse().unwrap());
        approved.set(39, "00");
        let violations = spec.violations(&approved);
        assert!(violations.contains(&Violation { element: 38, kind: ViolationKind::Missing }));
        approved.set(39, "51");
        assert!(!spec.violations(&approved).iter().any(|v| v.element == 38));
    }
}
