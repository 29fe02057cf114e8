//! Answers: what the bank says back, element by element.
//!
//! An answer is made from the message it answers and from the entry that was booked, so the answer to
//! a duplicate is the first one again without that one having been kept.

use std::sync::Arc;

use bytes::Bytes;

use crate::iso8583::{Message, MessageBuilder, Spec};
use crate::payment::{BusinessDate, Currency, Wall};
use crate::security::Key;

use super::entry::Balances;
use super::exchange::{Carrier, Content};
use super::profile::Profile;
use super::request::Network;
use super::scenario::Wrong;
use super::sealing::{MAC_ELEMENTS, Seal};

/// What a financial answer says.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) code: String,
    pub(super) approval_code: Option<String>,
    pub(super) day: Option<BusinessDate>,
    /// Less than was asked for, when the code says so: the amount in the answer.
    pub(super) partial: Option<i64>,
    pub(super) asked: i64,
    pub(super) currency: Option<Currency>,
    pub(super) balances: Option<Balances>,
    /// The retrieval reference, and when it was booked, for a message that says neither.
    pub(super) reference: Option<(String, Wall)>,
}

impl Said {
    /// A bare code.
    pub(super) fn code(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            approval_code: None,
            day: None,
            partial: None,
            asked: 0,
            currency: None,
            balances: None,
            reference: None,
        }
    }
}

/// What the answer to a network message says.
pub(super) struct NetworkSaid<'a> {
    pub(super) code: &'a str,
    pub(super) now: Wall,
    /// New keys, and how they are written.
    pub(super) keys: Option<(Carrier<'a>, Content)>,
    pub(super) wrong: &'a [Wrong],
}

/// Makes answers under a spec and a profile.
pub(super) struct Pen<'a> {
    pub(super) spec: &'a Arc<Spec>,
    pub(super) profile: &'a Profile,
    /// The key for MACs, where the bank has one.
    pub(super) key: Option<&'a Key>,
}

impl Pen<'_> {
    /// The answer to a financial message; `None` where its type has none or it can't be written.
    pub(super) fn financial(&self, message: &Message, said: &Said, wrong: &[Wrong]) -> Option<Bytes> {
        let (elements, echo) = (&self.profile.elements, &self.profile.answers.echo);
        let mut builder = self.echo(message, echo)?;
        builder.set(elements.code, &said.code);
        if let Some(day) = said.day.filter(|_| self.profile.answers.business_date) {
            builder.set(elements.business_date, self.profile.written_day(day));
        }
        if let Some(code) = &said.approval_code {
            builder.set(elements.approval, code);
        }
        if let Some(approved) = said.partial {
            let asked = message.text(elements.amount).unwrap_or_default();
            let prefix = asked.get(..elements.amount_prefix).unwrap_or_default();
            builder.set(elements.amount, format!("{prefix}{approved:012}"));
        }
        if let Some((rrn, at)) = &said.reference {
            builder.set(elements.rrn, rrn);
            self.tell_time(message, &mut builder, *at);
        }
        if let Some(amounts) = self.amounts(said) {
            builder.set(elements.balances, amounts);
        }
        for wrong in wrong {
            self.spoil(message, &mut builder, *wrong);
        }
        self.written(builder, wrong)
    }

    /// The bytes, with their MAC where messages of the type bear one.
    fn written(&self, mut builder: MessageBuilder, wrong: &[Wrong]) -> Option<Bytes> {
        let practice = &self.profile.mac;
        let bytes = match self.key.filter(|_| practice.classes.contains(&builder.mti().class())) {
            Some(key) => Seal { practice, key }.put(self.spec, &mut builder)?,
            None => self.spec.encode_to_bytes(&builder).ok()?,
        };
        match wrong.contains(&Wrong::Mac) {
            true => Some(self.with_another_mac(bytes)),
            false => Some(bytes),
        }
    }

    /// The message with another MAC in it, where it has one: its last element, 64 or 128.
    pub(super) fn with_another_mac(&self, message: Bytes) -> Bytes {
        let Ok(decoded) = self.spec.decode(message.clone()) else { return message };
        let Some(span) = MAC_ELEMENTS.iter().find_map(|element| decoded.span(*element)) else { return message };
        let mut bytes = message.to_vec();
        if let Some(first) = bytes.get_mut(span.start) {
            // Another hexadecimal digit where the MAC is text, another byte where it is binary.
            *first = if *first == b'0' { b'1' } else { b'0' };
        }
        bytes.into()
    }

    /// The answer to a network message.
    pub(super) fn network(&self, message: &Message, said: &NetworkSaid<'_>) -> Option<Bytes> {
        let mut builder = self.echo(message, &self.profile.answers.network_echo)?;
        if self.profile.practice.gives_references {
            self.tell_time(message, &mut builder, said.now);
        }
        builder.set(self.profile.elements.code, said.code);
        if let Some((carrier, content)) = &said.keys {
            carrier.put(self.spec, &mut builder, content);
        }
        for wrong in said.wrong {
            self.spoil(message, &mut builder, *wrong);
        }
        self.written(builder, said.wrong)
    }

    /// A question of the bank's own about the link; `None` where the profile has no code for it.
    pub(super) fn question(
        &self,
        question: Network,
        stan: u32,
        now: Wall,
        day: BusinessDate,
        keys: Option<(Carrier<'_>, &str)>,
    ) -> Option<Bytes> {
        let (element, code) = self.profile.network_code(question)?;
        let elements = &self.profile.elements;
        let mut builder = MessageBuilder::new(self.profile.network_request());
        builder.set(elements.transmission, now.utc().strftime("%m%d%H%M%S").to_string());
        builder.set(elements.stan, format!("{stan:06}")).set(element, code);
        if question == Network::Cutover {
            builder.set(elements.business_date, self.profile.written_day(day));
        }
        if let Some((carrier, content)) = keys {
            carrier.put(self.spec, &mut builder, content);
        }
        self.written(builder, &[])
    }

    fn echo(&self, message: &Message, elements: &[u8]) -> Option<MessageBuilder> {
        // What a dialect has every answer echo, this bank may not.
        let mut builder = message.response()?;
        for element in builder.bitmap() {
            builder.unset(element);
        }
        for element in elements {
            if let Some(value) = message.value(*element) {
                builder.set(*element, value.whole_text());
            }
        }
        Some(builder)
    }

    /// The time as hhmmss and MMDD, UTC, each where the message has none.
    fn tell_time(&self, message: &Message, builder: &mut MessageBuilder, at: Wall) {
        for (element, format) in [(self.profile.elements.time, "%H%M%S"), (self.profile.elements.date, "%m%d")] {
            if !message.has(element) {
                builder.set(element, at.utc().strftime(format).to_string());
            }
        }
    }

    /// Additional amounts: entries of account 2, kind 2, currency 3, decimals 1 where amounts have them,
    /// sign 1, amount 12.
    fn amounts(&self, said: &Said) -> Option<String> {
        let has_decimals = self.profile.elements.amount_prefix > 0;
        let entry = |kind: &str, amount: i64| {
            let currency = said.currency.map_or(0, Currency::numeric);
            let sign = if amount < 0 { 'D' } else { 'C' };
            let decimals = said.currency.filter(|_| has_decimals).map(|currency| currency.exponent().to_string());
            let decimals = decimals.unwrap_or_default();
            format!("00{kind}{currency:03}{decimals}{sign}{:012}", amount.unsigned_abs().min(999_999_999_999))
        };
        match (said.balances, said.partial) {
            (Some(balances), _) => Some(entry("01", balances.booked) + &entry("02", balances.available)),
            (None, Some(_)) => Some(entry("57", said.asked)),
            (None, None) => None,
        }
    }

    /// Puts something else where the answer should agree with the request.
    fn spoil(&self, message: &Message, builder: &mut MessageBuilder, wrong: Wrong) {
        let elements = &self.profile.elements;
        let element = match wrong {
            Wrong::Stan => elements.stan,
            Wrong::Amount => elements.amount,
            Wrong::Terminal => elements.terminal,
            Wrong::Currency => elements.currency,
            Wrong::Rrn => elements.rrn,
            Wrong::Mac | Wrong::CheckValue => return,
        };
        let Some(value) = message.value(element) else { return };
        let right = value.whole_text();
        let spoiled = match (wrong, right.as_ref()) {
            (Wrong::Currency, "840") => "978".to_owned(),
            (Wrong::Currency, _) => "840".to_owned(),
            (_, right) => other(right),
        };
        builder.set(element, spoiled);
    }
}

/// The text with its last letter or digit changed to another of its kind.
fn other(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    if let Some(last) = characters.iter_mut().rfind(|character| character.is_ascii_alphanumeric()) {
        *last = match *last {
            '9' => '0',
            'Z' => 'A',
            'z' => 'a',
            character => char::from(character as u8 + 1),
        };
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoiled_text_keeps_its_length_and_differs() {
        for text in ["000199", "TERM000Z", "5", "A1  "] {
            let spoiled = other(text);
            assert_eq!(spoiled.len(), text.len());
            assert_ne!(spoiled, text);
        }
        assert_eq!(other("000009"), "000000");
    }
}
