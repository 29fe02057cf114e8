//! Where a request came from, as its sender named it: kept with the operation that it began, and told to no bank.

use minicbor::{Decode, Encode};
use std::fmt;

/// What a request said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Provenance {
    /// The trace that it is part of.
    #[n(0)]
    pub trace: Option<TraceParent>,
    /// Who initiated it, where others may speak for the merchant (ISO 20022: InitiatingParty).
    #[n(1)]
    pub initiator: Option<String>,
    /// The period in which initiator and merchant count it (ISO 20022: ReconciliationIdentification).
    #[n(2)]
    pub period: Option<String>,
}

impl Provenance {
    /// Kept only where it says something.
    pub fn kept(self) -> Option<Box<Provenance>> {
        (self != Provenance::default()).then(|| Box::new(self))
    }
}

/// A `traceparent` (W3C Trace Context, section 3.2): trace, the caller's span, and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent(pub(super) [u8; 25]);

impl TraceParent {
    /// Reads a header; `None` where it is none that counts. Of a later version what this one knows is read.
    pub fn parse(text: &str) -> Option<TraceParent> {
        let (known, rest) = text.split_at_checked(55)?;
        let mut parts = known.split('-');
        let mut hex = |digits: usize| parts.next().filter(|part| part.len() == digits);
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let is_rest = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        if version == "ff" || data_encoding::HEXLOWER.decode(version.as_bytes()).is_err() || !is_rest {
            return None;
        }
        let bytes = data_encoding::HEXLOWER.decode([trace, span, flags].concat().as_bytes()).ok()?;
        let bytes: [u8; 25] = bytes.try_into().ok()?;
        let is_named = bytes[..16].iter().any(|b| *b != 0) && bytes[16..24].iter().any(|b| *b != 0);
        is_named.then_some(TraceParent(bytes))
    }

    /// The trace's id in hexadecimal digits.
    pub fn trace_id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..16])
    }
}

impl fmt::Display for TraceParent {
    /// As the header is written in version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        write!(f, "00-{}-{}-{}", hex(&self.0[..16]), hex(&self.0[16..24]), hex(&self.0[24..]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_came() {
        let read = TraceParent::parse(GOOD).unwrap();
        assert_eq!((read.to_string().as_str(), read.trace_id().as_str()), (GOOD, &GOOD[3..35]));
        let later = TraceParent::parse(&format!("cc{}-what-the-future-holds", &GOOD[2..])).unwrap();
        assert_eq!(later, read, "a later version is read as far as it is known");
    }

    #[test]
    fn what_the_standard_calls_invalid_is_none() {
        let wrong = [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ];
        for text in wrong {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_says_nothing_is_not_kept() {
        assert_eq!(Provenance::default().kept(), None);
        assert!(Provenance { period: Some("7".to_owned()), ..Provenance::default() }.kept().is_some());
    }
}
