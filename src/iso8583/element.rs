//! The description of one element: class x encoding x length x padding, as data.
//!
//! Every axis is chosen apart from the others, so a new format is a new combination and no new code.
//! How the bytes are then taken and written stands in `wire`; what an element is divided into stands
//! in `composite`. The surprise: a length can count digits, characters or bytes, and two elements of
//! one dialect may count differently.

use std::borrow::Cow;

use super::charset::Charset;
use super::class::Class;
use super::composite::Division;

/// How the content stands on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// One character after the other.
    #[default]
    Text,
    /// Two digits a byte; nibbles A to F are the letters A to F (track 2 has D between its parts).
    /// Of class x+n the sign stays a character.
    Bcd,
    /// Bytes as they are.
    Raw,
    /// Bytes as two hexadecimal characters each, written in upper case.
    Hex,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Digits, characters, or bytes of binary content: what the class is made of. Hexadecimal
    /// characters count one each.
    Characters,
    /// Bytes: of packed digits two in one, of hexadecimal text two characters for one.
    Bytes,
}

/// How a length prefix is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixEncoding {
    /// Decimal digits in a character set.
    Text(Charset),
    /// Packed decimal digits; an odd number of them has a leading zero nibble.
    Bcd,
    /// A big-endian number of as many bytes as the width says.
    Binary,
    /// BER: one byte up to 127, else 81, 82, 83 and as many bytes.
    Ber,
}

/// A length prefix: `width` digits (or bytes, where it is binary) in front of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// How it is written.
    pub encoding: PrefixEncoding,
    /// Digits, 1 to 6; bytes where binary, 1 to 4; of no meaning for BER.
    pub width: u8,
    /// Whether it counts its own bytes too, as the lengths of some network headers do.
    pub counts_itself: bool,
}

impl Prefix {
    /// A prefix that counts the content alone.
    pub const fn new(encoding: PrefixEncoding, width: u8) -> Self {
        Self { encoding, width, counts_itself: false }
    }
}

/// How long the content is, in digits, characters, or bytes of binary content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Always this long.
    Fixed(u32),
    /// A prefix, then at least `min` and at most `max`.
    Variable {
        /// What stands in front.
        prefix: Prefix,
        /// The shortest content.
        min: u32,
        /// The longest content.
        max: u32,
    },
    /// All that is left of what the element stands in.
    Rest {
        /// The shortest content.
        min: u32,
        /// The longest content.
        max: u32,
    },
}

/// A side of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it.
    Left,
    /// After it.
    Right,
}

/// What fills a fixed length when the value is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Where the filling stands; `None`: a shorter value is refused.
    pub side: Option<Side>,
    /// The character it is made of.
    pub fill: u8,
    /// Whether reading the text takes the filling off.
    pub trim: bool,
}

/// Where the filler nibble of an odd number of packed digits stands, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Before the first digit or after the last.
    pub side: Side,
    /// What is written there, 0 to 15; 0 and F are read as well.
    pub filler: u8,
    /// Whether anything else is read there too.
    pub any: bool,
}

/// What a masked view may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// Everything.
    #[default]
    Open,
    /// A card number: the first six and the last four digits.
    Pan,
    /// A track, PIN block, verification code, key, or text in which one may travel: nothing.
    Hidden,
}

/// One element or part of an element, as the spec describes it.
#[derive(Clone, Debug)]
pub struct Element {
    pub(crate) name: Cow<'static, str>,
    pub(crate) title: Cow<'static, str>,
    pub(crate) class: Class,
    pub(crate) encoding: Encoding,
    pub(crate) charset: Charset,
    pub(crate) length: Length,
    pub(crate) unit: Unit,
    pub(crate) padding: Padding,
    pub(crate) odd: Odd,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) values: Vec<(String, String)>,
    pub(crate) division: Option<Box<Division<Element>>>,
    pub(crate) is_divided: bool,
}

impl Element {
    /// An element of `class` and `length`: ASCII text, or raw bytes where the class is binary; digits
    /// are filled with zeros on the left, text with spaces on the right.
    pub fn new(class: Class, length: Length) -> Self {
        Self {
            name: Cow::Borrowed(""),
            title: Cow::Borrowed(""),
            class,
            encoding: match class {
                Class::Binary => Encoding::Raw,
                _ => Encoding::Text,
            },
            charset: Charset::Ascii,
            length,
            unit: Unit::Characters,
            padding: Padding::of(class),
            odd: Odd::of(length),
            sensitivity: Sensitivity::Open,
            values: Vec::new(),
            division: None,
            is_divided: false,
        }
    }

    /// Always `length` digits, characters or bytes.
    pub fn fixed(class: Class, length: u32) -> Self {
        let element = Self::new(class, Length::Fixed(length));
        match class {
            Class::Binary => element.counted_in(Unit::Bytes),
            _ => element,
        }
    }

    /// Up to `max`, behind as many ASCII digits of length as `max` has (at least two, as in LLVAR).
    pub fn variable(class: Class, max: u32) -> Self {
        let width = match max {
            0..100 => 2,
            100..1_000 => 3,
            1_000..10_000 => 4,
            10_000..100_000 => 5,
            _ => 6,
        };
        let encoding = PrefixEncoding::Text(Charset::Ascii);
        let prefix = Prefix::new(encoding, width);
        Self::new(class, Length::Variable { prefix, min: 0, max })
    }

    /// Everything that is left of what this part stands in.
    pub fn rest(class: Class) -> Self {
        Self::new(class, Length::Rest { min: 0, max: u32::MAX })
    }

    /// A short name for programs ("stan") and a title for people.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self.title = title.into();
        self
    }

    /// How the content is written.
    pub fn encoded(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The character set of text and of hexadecimal text.
    pub fn in_charset(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }

    /// How the length prefix is written; of no effect on a fixed length.
    pub fn prefixed(mut self, written: Prefix) -> Self {
        if let Length::Variable { prefix, .. } = &mut self.length {
            *prefix = written;
        }
        self
    }

    /// What the length counts.
    pub fn counted_in(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// What fills a fixed length.
    pub fn padded(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Where the filler of an odd number of packed digits stands.
    pub fn odd(mut self, odd: Odd) -> Self {
        self.odd = odd;
        self
    }

    /// What a masked view may show.
    pub fn sensitive(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = sensitivity;
        self
    }

    /// What a value means: "00" is "approved".
    pub fn value(mut self, value: impl Into<String>, meaning: impl Into<String>) -> Self {
        self.values.push((value.into(), meaning.into()));
        self
    }

    /// What the content is divided into.
    pub fn divided(mut self, division: Division<Element>) -> Self {
        self.division = Some(Box::new(division));
        self.is_divided = true;
        self
    }

    /// The short name: "stan".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The title: "Systems trace audit number".
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The content class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The length.
    pub fn length(&self) -> Length {
        self.length
    }

    /// How the content is written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The character set of text and of hexadecimal text.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// What the length counts.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Where the filler of an odd number of packed digits stands.
    pub fn odd_filling(&self) -> Odd {
        self.odd
    }

    /// What fills a fixed length.
    pub fn padding(&self) -> Padding {
        self.padding
    }

    /// Whether the content is divided into parts.
    pub fn is_divided(&self) -> bool {
        self.is_divided
    }

    /// What a masked view may show.
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// What a value means, where the spec says so.
    pub fn meaning(&self, value: &str) -> Option<&str> {
        let found = self.values.iter().find(|(other, _)| other == value);
        found.map(|(_, meaning)| meaning.as_str())
    }

    /// Whether the content is bytes (class b) and not text.
    pub fn is_binary(&self) -> bool {
        self.class == Class::Binary
    }

    /// The format as the standard writes it: "n6", "LLVAR n..19", "b8".
    pub fn format(&self) -> String {
        let class = self.class;
        match self.length {
            Length::Fixed(length) if class.has_sign() => format!("{class}{}", length.max(1) - 1),
            Length::Fixed(length) => format!("{class}{length}"),
            Length::Variable { prefix, max, .. } => match prefix.encoding {
                PrefixEncoding::Ber => format!("BER {class}..{max}"),
                _ => format!("{}VAR {class}..{max}", "L".repeat(prefix.digits())),
            },
            Length::Rest { max: u32::MAX, .. } => format!("{class}.."),
            Length::Rest { max, .. } => format!("{class}..{max}"),
        }
    }
}

impl Element {
    /// How it is written, in words: "bcd, odd lead 0", "text ascii, length bcd".
    pub fn written(&self) -> String {
        let charset = self.charset.name();
        let mut words = match self.encoding {
            Encoding::Text => format!("text {charset}"),
            Encoding::Bcd => {
                let side = if self.odd.side == Side::Left { "lead" } else { "trail" };
                format!("bcd, odd {side} {:X}", self.odd.filler)
            }
            Encoding::Raw => "raw".to_owned(),
            Encoding::Hex => format!("hex {charset}"),
        };
        if let Length::Variable { prefix, .. } = self.length {
            let written = match prefix.encoding {
                PrefixEncoding::Text(charset) => charset.name(),
                PrefixEncoding::Bcd => "bcd",
                PrefixEncoding::Binary => "binary",
                PrefixEncoding::Ber => "ber",
            };
            let unit = if self.unit == Unit::Bytes { " of bytes" } else { "" };
            words.push_str(&format!(", length {written}{unit}"));
        }
        words
    }
}

impl Prefix {
    /// How many decimal digits it can hold, as in LL and LLL.
    pub(crate) fn digits(self) -> usize {
        match self.encoding {
            PrefixEncoding::Binary => usize::from(self.width) * 2,
            _ => usize::from(self.width),
        }
    }
}

impl Padding {
    /// Zeros on the left of digits, spaces on the right of text, none for the rest.
    pub const fn of(class: Class) -> Self {
        let (side, fill, trim) = match class {
            Class::Numeric => (Some(Side::Left), b'0', false),
            Class::Signed | Class::Marked | Class::Track | Class::Binary => (None, b' ', false),
            _ => (Some(Side::Right), b' ', true),
        };
        Self { side, fill, trim }
    }
}

impl Odd {
    /// A zero before an odd fixed number of digits, after a variable one.
    pub const fn of(length: Length) -> Self {
        let side = match length {
            Length::Fixed(_) => Side::Left,
            _ => Side::Right,
        };
        Self { side, filler: 0, any: false }
    }
}
