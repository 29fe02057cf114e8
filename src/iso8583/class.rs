//! Content classes of elements (ISO 8583, clause "attributes of data elements"): n, a, an, ans, ns, z, x+n, b.
//!
//! A class says which characters an element may hold, whatever their encoding. It does not know
//! lengths. The surprise: `any` is not in the standard; it is for elements in which senders mix text
//! with bytes, and a reader that refused them would refuse half of the private elements in use.

use std::fmt;

use super::charset::Charset;

/// Which characters an element may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `n`: decimal digits.
    Numeric,
    /// `a`: letters.
    Letters,
    /// `an`: letters and digits.
    Alphanumeric,
    /// `ans`: letters, digits, space and special characters.
    Text,
    /// `ns`: digits and special characters.
    NumericSpecial,
    /// `z`: the code set of tracks 2 and 3, with D or `=` between their parts.
    Track,
    /// `x+n`: the letter C or D, then digits.
    Signed,
    /// `an+n`: a letter or digit, then digits: `x+n` from senders that have no sign.
    Marked,
    /// `b`: bytes.
    Binary,
    /// `any`: text in which any byte may stand.
    Any,
}

const DIGIT: u8 = 1;
const LETTER: u8 = 2;
const SPECIAL: u8 = 4;
const TRACK: u8 = 8;
const HEX: u8 = 16;
const HIGH: u8 = 32;
const CONTROL: u8 = 64;

impl Class {
    /// How the standard writes it.
    pub const fn notation(self) -> &'static str {
        match self {
            Self::Numeric => "n",
            Self::Letters => "a",
            Self::Alphanumeric => "an",
            Self::Text => "ans",
            Self::NumericSpecial => "ns",
            Self::Track => "z",
            Self::Signed => "x+n",
            Self::Marked => "an+n",
            Self::Binary => "b",
            Self::Any => "any",
        }
    }

    /// The class of a notation; `None` where there is no such class.
    pub fn from_notation(notation: &str) -> Option<Self> {
        [
            Self::Numeric,
            Self::Letters,
            Self::Alphanumeric,
            Self::Text,
            Self::NumericSpecial,
            Self::Track,
            Self::Signed,
            Self::Marked,
            Self::Binary,
            Self::Any,
        ]
        .into_iter()
        .find(|class| class.notation() == notation)
    }

    const fn allowed(self, charset: Charset) -> u8 {
        match self {
            Self::Numeric => DIGIT,
            Self::Letters => LETTER,
            Self::Alphanumeric => DIGIT | LETTER,
            Self::Text => DIGIT | LETTER | SPECIAL | beyond_ascii(charset),
            Self::NumericSpecial => DIGIT | SPECIAL,
            Self::Track => TRACK,
            Self::Signed | Self::Marked => DIGIT,
            Self::Binary => HEX,
            Self::Any => u8::MAX,
        }
    }

    /// Whether all of `bytes`, text of a single-byte `charset`, are of this class.
    #[inline]
    pub(crate) fn fits(self, bytes: &[u8], charset: Charset) -> bool {
        match (self, charset) {
            (Self::Any, _) => true,
            (Self::Numeric, _) => all_digits(bytes, charset.byte(b'0')),
            (Self::Signed | Self::Marked, _) => self.fits_signed(bytes, charset),
            _ => {
                let allowed = self.allowed(charset);
                // Without an early exit: what is wrong is rare.
                let strange = |b: &u8| KINDS[charset.latin(*b) as usize] & allowed == 0;
                !bytes.iter().fold(false, |any, b| any | strange(b))
            }
        }
    }

    /// Whether `character` may stand in text of this class.
    pub(crate) fn fits_character(self, character: char, charset: Charset) -> bool {
        match u8::try_from(u32::from(character)) {
            Ok(latin) => KINDS[latin as usize] & self.allowed(charset) != 0,
            Err(_) => self.allowed(charset) & HIGH != 0,
        }
    }

    /// Whether the first character is one and the rest digits.
    pub(crate) const fn has_sign(self) -> bool {
        matches!(self, Self::Signed | Self::Marked)
    }

    /// Whether `letter` may stand before the digits: C for credit, D for debit.
    pub(crate) const fn is_sign(self, letter: u8) -> bool {
        match self {
            Self::Marked => letter.is_ascii_alphanumeric(),
            _ => matches!(letter, b'C' | b'D'),
        }
    }

    fn fits_signed(self, bytes: &[u8], charset: Charset) -> bool {
        match bytes.split_first() {
            None => false,
            Some((sign, digits)) => self.is_sign(charset.latin(*sign)) && Self::Numeric.fits(digits, charset),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.notation())
    }
}

#[inline]
fn all_digits(bytes: &[u8], zero: u8) -> bool {
    // Without an early exit, so that it becomes wide instructions.
    bytes.iter().fold(true, |fits, b| fits & (b.wrapping_sub(zero) <= 9))
}

const fn beyond_ascii(charset: Charset) -> u8 {
    match charset {
        Charset::Ascii => 0,
        _ => HIGH,
    }
}

/// What each Latin-1 character is.
static KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        kinds[at] = match byte {
            b'0'..=b'9' => DIGIT | TRACK | HEX,
            b'A'..=b'F' => LETTER | TRACK | HEX,
            b'a'..=b'f' => LETTER | HEX,
            b'G'..=b'Z' | b'g'..=b'z' => LETTER,
            b':'..=b'?' => SPECIAL | TRACK,
            b' '..=b'~' => SPECIAL,
            0xA0..=0xFF => HIGH,
            _ => CONTROL,
        };
        at += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_holds_its_characters_and_no_others() {
        let cases = [
            (Class::Numeric, "0123456789", "12A"),
            (Class::Letters, "USDx", "US1"),
            (Class::Alphanumeric, "632601A", "63 26"),
            (Class::Text, "SHOP No. 1 / RIGA~", "a\u{1}b"),
            (Class::NumericSpecial, "12-34", "12x"),
            (Class::Track, "4242=2812D0", "4242-28"),
            (Class::Signed, "C00000001", "X00000001"),
            (Class::Marked, "X00000001", " 00000001"),
            (Class::Binary, "00fFA9", "0G"),
        ];
        for (class, good, bad) in cases {
            assert!(class.fits(good.as_bytes(), Charset::Ascii), "{class} {good}");
            assert!(!class.fits(bad.as_bytes(), Charset::Ascii), "{class} {bad}");
            assert_eq!(Class::from_notation(class.notation()), Some(class));
        }
    }

    #[test]
    fn letters_beyond_ascii_are_text_only_where_the_charset_has_them() {
        assert!(!Class::Text.fits(&[0xE9], Charset::Ascii));
        assert!(Class::Text.fits(&[0x51], Charset::Ebcdic037));
        assert!(Class::Text.fits_character('é', Charset::Utf8));
        assert!(!Class::Text.fits_character('\u{7f}', Charset::Utf8));
    }
}
