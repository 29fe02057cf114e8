//! What a command of `isthmus iso` says when it cannot: a JSON object a line, on stderr.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::iso8583::{DecodeError, EncodeError, SpecError};

/// Everything that stopped a command, and how to say it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Objects for stderr.
    Told(Vec<Value>),
    /// The reader of our output went away; nobody is left to tell.
    Unheard,
}

impl Failure {
    /// Says it.
    pub(super) fn tell(&self) {
        if let Self::Told(objects) = self {
            for object in objects {
                let _ = writeln!(io::stderr(), "{object}");
            }
        }
    }

    /// A failure with nothing but words: what is wrong and what to do.
    pub(super) fn words(error: impl Into<String>) -> Self {
        Self::Told(vec![json!({ "error": error.into() })])
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unheard,
            _ => Self::words(error.to_string()),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Told(vec![decode_error(&error)])
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::Told(vec![json!({
            "error": error.to_string(),
            "code": error.code(),
            "path": error.path(),
            "expected": error.expected(),
        })])
    }
}

impl From<Vec<SpecError>> for Failure {
    fn from(errors: Vec<SpecError>) -> Self {
        let told = errors.iter().map(|error| {
            json!({
                "error": error.to_string(),
                "file": error.origin,
                "line": error.line,
                "key": error.key,
                "expected": error.expected,
            })
        });
        Self::Told(told.collect())
    }
}

/// The object for a message that could not be read.
pub(super) fn decode_error(error: &DecodeError) -> Value {
    json!({
        "error": error.to_string(),
        "code": error.code(),
        "path": error.path(),
        "offset": error.offset(),
        "expected": error.expected(),
    })
}

/// Prints a value as one line of JSON.
pub(super) fn print_json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
