//! The message type indicator (ISO 8583, clause 4 of every edition): version, class, function, origin.
//!
//! Four decimal digits; how they lie on the wire (text or packed) belongs to the spec. It does not
//! judge: a reserved digit is kept as it came, because a peer that uses one has to be answered too.
//! The surprise: a repeat is told in the *origin* digit (0421 is the repeat of 0420), so pairing a
//! response with its request has to clear it.

use std::fmt;
use std::str::FromStr;

/// A message type indicator of four digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti([u8; 4]);

impl Mti {
    /// From its number: `Mti::new(200)` is 0200. `None` above 9999.
    pub const fn new(number: u16) -> Option<Self> {
        if number > 9999 {
            return None;
        }
        Some(Self([(number / 1000) as u8, (number / 100 % 10) as u8, (number / 10 % 10) as u8, (number % 10) as u8]))
    }

    /// From four digit values (not characters). `None` where one is above 9.
    pub const fn from_digits(digits: [u8; 4]) -> Option<Self> {
        let [version, class, function, origin] = digits;
        if version > 9 || class > 9 || function > 9 || origin > 9 {
            return None;
        }
        Some(Self(digits))
    }

    /// The four digit values.
    pub const fn digits(self) -> [u8; 4] {
        self.0
    }

    /// First digit: 0 = 1987, 1 = 1993, 2 = 2003, 8 national, 9 private.
    pub const fn version(self) -> u8 {
        self.0[0]
    }

    /// Second digit: 1 authorisation, 2 financial, 3 file action, 4 reversal, 5 reconciliation,
    /// 6 administrative, 7 fee collection, 8 network management.
    pub const fn class(self) -> u8 {
        self.0[1]
    }

    /// Third digit: 0 request, 1 its response, 2 advice, 3 its response, 4 notification,
    /// 5 its acknowledgement, 6 instruction, 7 its acknowledgement.
    pub const fn function(self) -> u8 {
        self.0[2]
    }

    /// Fourth digit: 0 acquirer, 2 issuer, 4 other; odd ones are their repeats.
    pub const fn origin(self) -> u8 {
        self.0[3]
    }

    /// Function 0: wants an answer and can be declined.
    pub const fn is_request(self) -> bool {
        self.function() == 0
    }

    /// Function 2: tells what has happened and is answered.
    pub const fn is_advice(self) -> bool {
        self.function() == 2
    }

    /// Function 1, 3, 5 or 7: answers another message.
    pub const fn is_response(self) -> bool {
        matches!(self.function(), 1 | 3 | 5 | 7)
    }

    /// The type that answers this one: function + 1, repeat cleared (x401 is answered by x410).
    /// `None` for a response and for the reserved functions 8 and 9.
    pub const fn response(self) -> Option<Self> {
        if self.is_response() || self.function() > 7 {
            return None;
        }
        let [version, class, function, origin] = self.without_repeat().0;
        Some(Self([version, class, function + 1, origin]))
    }

    /// The same message sent again: origin 0, 2, 4 becomes 1, 3, 5; others stay.
    pub const fn repeat(self) -> Self {
        let [version, class, function, origin] = self.0;
        match origin {
            0 | 2 | 4 => Self([version, class, function, origin + 1]),
            _ => self,
        }
    }

    /// Origin 1, 3 or 5.
    pub const fn is_repeat(self) -> bool {
        matches!(self.origin(), 1 | 3 | 5)
    }

    /// The message as it was sent first.
    pub const fn without_repeat(self) -> Self {
        let [version, class, function, origin] = self.0;
        match origin {
            1 | 3 | 5 => Self([version, class, function, origin - 1]),
            _ => self,
        }
    }

    /// The four digits in words: "1987, financial, request, acquirer".
    pub fn words(self) -> String {
        let [version, class, function, origin] = self.0;
        let pick = |words: &[&'static str], digit: u8| -> &'static str {
            words.get(usize::from(digit)).copied().unwrap_or("reserved")
        };
        let words = [
            match version {
                8 => "national",
                9 => "private",
                _ => pick(&["1987", "1993", "2003"], version),
            },
            pick(&CLASSES, class),
            pick(&FUNCTIONS, function),
            pick(&ORIGINS, origin),
        ];
        words.join(", ")
    }
}

const CLASSES: [&str; 9] = [
    "reserved",
    "authorisation",
    "financial",
    "file action",
    "reversal",
    "reconciliation",
    "administrative",
    "fee collection",
    "network management",
];

const FUNCTIONS: [&str; 8] = [
    "request",
    "request response",
    "advice",
    "advice response",
    "notification",
    "notification acknowledgement",
    "instruction",
    "instruction acknowledgement",
];

const ORIGINS: [&str; 6] = ["acquirer", "acquirer repeat", "issuer", "issuer repeat", "other", "other repeat"];

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [version, class, function, origin] = self.0;
        write!(f, "{version}{class}{function}{origin}")
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mti({self})")
    }
}

/// The text is not four decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnMti;

impl fmt::Display for NotAnMti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message type is four decimal digits")
    }
}

impl std::error::Error for NotAnMti {}

impl FromStr for Mti {
    type Err = NotAnMti;

    fn from_str(text: &str) -> Result<Self, NotAnMti> {
        let digits: [u8; 4] = text.as_bytes().try_into().map_err(|_| NotAnMti)?;
        Self::from_digits(digits.map(|d| d.wrapping_sub(b'0'))).ok_or(NotAnMti)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn mti(text: &str) -> Mti {
        text.parse().unwrap()
    }

    #[test]
    fn a_response_adds_one_to_the_function_and_clears_the_repeat() {
        assert_eq!(mti("0200").response(), Some(mti("0210")));
        assert_eq!(mti("0401").response(), Some(mti("0410")));
        assert_eq!(mti("0421").response(), Some(mti("0430")));
        assert_eq!(mti("0302").response(), Some(mti("0312")));
        assert_eq!(mti("0210").response(), None);
    }

    #[test]
    fn a_repeat_is_in_the_origin_digit() {
        assert_eq!(mti("0420").repeat(), mti("0421"));
        assert_eq!(mti("0421").repeat(), mti("0421"));
        assert_eq!(mti("0423").without_repeat(), mti("0422"));
        assert!(mti("0421").is_repeat() && !mti("0420").is_repeat());
    }

    #[test]
    fn only_four_digits_are_a_type() {
        for wrong in ["", "020", "02000", "02A0", "０２００", "-200"] {
            assert_eq!(wrong.parse::<Mti>(), Err(NotAnMti), "{wrong}");
        }
        assert_eq!(mti("0800").to_string(), "0800");
        assert_eq!(Mti::new(800), Some(mti("0800")));
        assert_eq!(Mti::new(10_000), None);
        assert_eq!(mti("0421").words(), "1987, reversal, advice, acquirer repeat");
        assert_eq!(mti("3099").words(), "reserved, reserved, reserved, reserved");
    }
}
