//! Where the messages come from: the command line, a file, or stdin.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use data_encoding::HEXUPPER_PERMISSIVE;

use super::capture;
use super::failure::Failure;
use super::frame::{Frame, cut};

/// The bytes of hexadecimal text with any spacing.
pub(super) fn from_hex(text: &str) -> Result<Bytes, Failure> {
    let packed: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-' | '_' | ',')).collect();
    match HEXUPPER_PERMISSIVE.decode(packed.as_bytes()) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(error) => Err(Failure::words(format!(
            "not hexadecimal at digit {} of {}: expected pairs of 0-9 and A-F",
            error.position + 1,
            packed.len(),
        ))),
    }
}

/// The messages of a file: those of a capture; with `frame` those of a byte stream; otherwise one, in
/// hexadecimal where the file is nothing else, or in raw bytes.
pub(super) fn messages(path: &str, frame: Option<Frame>) -> Result<Vec<Bytes>, Failure> {
    let content = std::fs::read(path).map_err(|error| Failure::words(format!("{path}: {error}")))?;
    match frame {
        _ if capture::is_capture(&content) => capture::messages(&content, frame.unwrap_or(Frame::Binary2)),
        Some(frame) => Ok(cut(&content, frame)),
        None => Ok(vec![from_file(path)?]),
    }
}

/// The framed messages of stdin.
pub(super) fn stdin_frames(frame: Frame) -> Result<Vec<Bytes>, Failure> {
    let mut content = Vec::new();
    io::stdin().read_to_end(&mut content)?;
    Ok(cut(&content, frame))
}

/// The one message of a file: hexadecimal text where it is nothing else, raw bytes otherwise.
pub(super) fn from_file(path: &str) -> Result<Bytes, Failure> {
    let content = std::fs::read(path).map_err(|error| Failure::words(format!("{path}: {error}")))?;
    Ok(match std::str::from_utf8(&content).map(from_hex) {
        Ok(Ok(bytes)) if !bytes.is_empty() => bytes,
        _ => Bytes::from(content),
    })
}

/// The lines of stdin that are not blank.
pub(super) fn stdin_lines() -> impl Iterator<Item = io::Result<String>> {
    io::stdin().lock().lines().filter(|line| match line {
        Ok(text) => !text.trim().is_empty(),
        Err(_) => true,
    })
}

/// A file as text, or stdin for "-".
pub(super) fn text_of(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    match path {
        "-" => io::stdin().read_to_string(&mut text).map(|_| text),
        _ => std::fs::read_to_string(path),
    }
    .map_err(|error| Failure::words(format!("{path}: {error}")))
}
