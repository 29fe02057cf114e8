//! What identifies a reply: the class of its message type, its trace number, and the elements the dialect lists.
//!
//! Never the trace number alone and never the order of arrival (design, "STAN, RRN, matching"). The repeat digit and
//! the function are left out, so that an answer to either copy of a repeated message finds it.

use crate::iso8583::Mti;
use std::borrow::Cow;

/// A correlation key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CorrelationKey(String);

impl CorrelationKey {
    /// The key of a message whose elements are read by `text`; `None` where the trace number or a listed element is
    /// missing, because such a message identifies nothing.
    pub fn of<'a>(
        mti: Mti,
        stan_element: u8,
        match_on: &[u8],
        mut text: impl FnMut(u8) -> Option<Cow<'a, str>>,
    ) -> Option<CorrelationKey> {
        let mut key = String::with_capacity(40);
        key.push(char::from(b'0' + mti.class()));
        for element in std::iter::once(&stan_element).chain(match_on) {
            key.push('|');
            key.push_str(text(*element)?.trim_end());
        }
        Some(CorrelationKey(key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(mti: &str, stan: &'static str, time: Option<&'static str>) -> Option<CorrelationKey> {
        let text = move |element| match element {
            11 => Some(Cow::Borrowed(stan)),
            7 => time.map(Cow::Borrowed),
            _ => None,
        };
        CorrelationKey::of(mti.parse().unwrap(), 11, &[7], text)
    }

    #[test]
    fn a_reply_to_either_copy_has_the_key_of_its_request() {
        let sent = key("0420", "000007", Some("1122030405"));
        assert_eq!(key("0421", "000007", Some("1122030405")), sent);
        assert_eq!(key("0430", "000007", Some("1122030405")), sent);
    }

    #[test]
    fn class_and_time_tell_messages_of_one_trace_number_apart() {
        let sale = key("0210", "000007", Some("1122030405"));
        assert_ne!(key("0430", "000007", Some("1122030405")), sale);
        assert_ne!(key("0210", "000007", Some("1122030406")), sale);
    }

    #[test]
    fn a_trace_number_alone_identifies_nothing() {
        assert_eq!(key("0210", "000007", None), None);
    }
}
