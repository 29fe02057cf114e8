//! What can be wrong with bytes, with values to encode, and with a spec.
//!
//! Each error names a field path ("55.9F26"), a byte offset where there are bytes, what was expected,
//! and a stable code. None of them ever holds content: a tag that the spec does not know is named by
//! its place ("55.?3"), because in a misread message it may be part of a card number.

use std::borrow::Cow;
use std::fmt;

use super::message::Message;

/// What is wrong with the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end inside this part.
    Truncated,
    /// A length prefix is not a number.
    LengthUnreadable,
    /// A length is outside of what the spec allows.
    LengthOutOfRange,
    /// A character or nibble is not of the element's class.
    Content,
    /// The nibble beside an odd number of digits is not a filler.
    Filler,
    /// The message type is not four digits.
    MessageType,
    /// A bitmap is not hexadecimal, or sets a bit that cannot be set.
    Bitmap,
    /// The bitmap names an element that the spec does not define.
    UndefinedElement,
    /// The header in front of the message is not what the spec says.
    Header,
    /// The header tells another length than the message has.
    TotalLength,
    /// A tag is unreadable or not allowed.
    Tag,
    /// Bytes are left after the last part.
    TrailingBytes,
    /// The message is longer than the spec allows.
    TooLarge,
}

impl DecodeErrorKind {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::LengthUnreadable => "length_unreadable",
            Self::LengthOutOfRange => "length_out_of_range",
            Self::Content => "content",
            Self::Filler => "filler",
            Self::MessageType => "message_type",
            Self::Bitmap => "bitmap",
            Self::UndefinedElement => "undefined_element",
            Self::Header => "header",
            Self::TotalLength => "total_length",
            Self::Tag => "tag",
            Self::TrailingBytes => "trailing_bytes",
            Self::TooLarge => "too_large",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Truncated => "the bytes end here",
            Self::LengthUnreadable => "the length is not a number",
            Self::LengthOutOfRange => "the length is out of range",
            Self::Content => "the content is not of its class",
            Self::Filler => "the filler nibble is a digit",
            Self::MessageType => "the message type is not four digits",
            Self::Bitmap => "the bitmap cannot be read",
            Self::UndefinedElement => "the element is not defined",
            Self::Header => "the header cannot be read",
            Self::TotalLength => "the header tells another length",
            Self::Tag => "the tag cannot be read",
            Self::TrailingBytes => "bytes are left over",
            Self::TooLarge => "the message is too large",
        }
    }
}

/// A message that could not be read, and how far it was read.
pub struct DecodeError {
    pub(crate) kind: DecodeErrorKind,
    pub(crate) path: String,
    pub(crate) offset: usize,
    pub(crate) expected: Cow<'static, str>,
    pub(crate) partial: Option<Box<Message>>,
}

impl DecodeError {
    /// What is wrong.
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The field: "55.9F26", "mti", "bitmap", "header", or "" for the message as a whole.
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// Where, counted in bytes from the start of what was given.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What the spec wanted here, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The message as far as it was read: enough to answer it with a format error. `None` where not
    /// even a message type could be read, and from `decode_into`, whose message then holds it.
    pub fn partial(&self) -> Option<&Message> {
        self.partial.as_deref()
    }

    /// Like [`partial`](Self::partial), without the error.
    pub fn into_partial(self) -> Option<Message> {
        self.partial.map(|message| *message)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}, ", self.path)?;
        }
        let words = self.kind.words();
        write!(f, "byte {}: {words}, expected {}", self.offset, self.expected)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({}: {self})", self.code())
    }
}

impl std::error::Error for DecodeError {}

/// What is wrong with a value to encode: always the caller's mistake, never the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The value is longer or shorter than the spec allows.
    Length,
    /// A character is not of the element's class or not in its character set.
    Content,
    /// The spec does not define this element or part.
    Undefined,
    /// The element is not divided into parts, or parts are given where one value is wanted.
    Shape,
    /// A tag is not one that can be written.
    Tag,
    /// The header is missing or not what the spec says.
    Header,
    /// The message grew beyond what the spec allows.
    TooLarge,
}

impl EncodeErrorKind {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Content => "content",
            Self::Undefined => "undefined_element",
            Self::Shape => "shape",
            Self::Tag => "tag",
            Self::Header => "header",
            Self::TooLarge => "too_large",
        }
    }
}

/// A value that cannot be written under the spec.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError {
    pub(crate) kind: EncodeErrorKind,
    pub(crate) path: String,
    pub(crate) expected: Cow<'static, str>,
}

impl EncodeError {
    pub(crate) fn new(kind: EncodeErrorKind, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, path: String::new(), expected: expected.into() }
    }

    /// The same error one level further out: "9F26" inside element 55 becomes "55.9F26".
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.path = match self.path.is_empty() {
            true => outer.to_string(),
            false => format!("{outer}.{}", self.path),
        };
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// The field: "90.1", or "header".
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// What the spec wants here, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.path, self.expected)
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodeError({}: {self})", self.code())
    }
}

impl std::error::Error for EncodeError {}

/// A mistake in a spec: in a dialect file, or in code that builds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The file, or the spec's name where it was built in code.
    pub origin: String,
    /// The line, counted from 1; 0 where there is no file.
    pub line: usize,
    /// The key: "codec.elements.2.format".
    pub key: String,
    /// What was expected there.
    pub expected: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: expected {}", self.key, self.expected)
    }
}

impl std::error::Error for SpecError {}

/// Why a parser below a whole message stopped: how many bytes were left, and what it wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: DecodeErrorKind,
    /// Bytes left in the parser's input at the fault.
    pub(crate) left: usize,
}

impl Fault {
    pub(crate) fn at(input: &[u8], kind: DecodeErrorKind) -> nom::Err<Self> {
        nom::Err::Error(Self { kind, left: input.len() })
    }

    pub(crate) fn of(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            // Only complete parsers are used, so this is not reached; it would mean the same.
            nom::Err::Incomplete(_) => Self { kind: DecodeErrorKind::Truncated, left: 0 },
        }
    }
}

impl<'a> nom::error::ParseError<&'a [u8]> for Fault {
    fn from_error_kind(input: &'a [u8], _: nom::error::ErrorKind) -> Self {
        Self { kind: DecodeErrorKind::Truncated, left: input.len() }
    }

    fn append(_: &'a [u8], _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

/// What a parser of a part gives: the rest of the input and the value.
pub(crate) type Parsed<'a, T> = nom::IResult<&'a [u8], T, Fault>;
