//! A message drawn for people: type in words, bitmaps, every element and part with name, format, place
//! and value, and the bytes.
//!
//! Drawing masks by the spec's sensitivities unless it is told not to, in the bytes as well as in the
//! values. What could not be read is shown, when masked, only by the shape of its bytes (`9` a digit,
//! `A` a letter, `.` a control character), which is enough to see a misplaced field and too little to
//! leak one.

use std::fmt::{self, Write};
use std::ops::Range;

use super::composite::Key;
use super::element::Sensitivity;
use super::error::DecodeError;
use super::message::Message;
use super::value::Value;
use super::view::escape;
use super::wire::hex_pair;

/// One line of the drawing: an element or a part of one.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The path: "2", "55.9F26", "header".
    pub path: String,
    /// How deep it is nested: 0 for an element.
    pub depth: usize,
    /// Its title in the spec.
    pub title: String,
    /// Its format as the standard writes it.
    pub format: String,
    /// Where its content lies in the message; `None` for parts of packed or hexadecimal content.
    pub bytes: Option<Range<usize>>,
    /// The value, masked where it has to be; empty for a divided element.
    pub value: String,
}

/// How to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Show what the spec calls sensitive.
    pub unmasked: bool,
    /// Colour the bytes by element with ANSI escapes.
    pub colour: bool,
}

/// The rows of a message, header first, elements ascending.
pub fn rows(message: &Message, unmasked: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(header) = message.header_value() {
        add_rows(&mut rows, "header".to_owned(), 0, header, unmasked);
    }
    for number in message.elements() {
        if let Some(value) = message.value(number) {
            add_rows(&mut rows, number.to_string(), 0, value, unmasked);
        }
    }
    rows
}

fn add_rows(rows: &mut Vec<Row>, path: String, depth: usize, value: Value<'_>, unmasked: bool) {
    let element = value.element();
    rows.push(Row {
        path: path.clone(),
        depth,
        title: element.title().to_owned(),
        format: element.format(),
        bytes: value.range(),
        value: match value.is_divided() {
            true => String::new(),
            false => shown(value, unmasked),
        },
    });
    let mut earlier: Vec<Key> = Vec::new();
    for (key, part) in value.parts() {
        let nth = 1 + earlier.iter().filter(|other| **other == key).count();
        earlier.push(key);
        let part_path = match nth {
            1 => format!("{path}.{key}"),
            nth => format!("{path}.{key}#{nth}"),
        };
        add_rows(rows, part_path, depth + 1, part, unmasked);
    }
}

/// The value for people: quoted where spaces at its ends would not be seen.
fn shown(value: Value<'_>, unmasked: bool) -> String {
    let text = match unmasked {
        true => value.printed(),
        false => value.masked(),
    };
    if let Some(meaning) = value.element().meaning(&text) {
        return format!("{text} ({meaning})");
    }
    let text = escape(&text);
    match text.is_empty() || text.starts_with(' ') || text.ends_with(' ') {
        true => format!("\"{text}\""),
        false => text.into_owned(),
    }
}

/// Draws a whole message.
pub fn describe(message: &Message, drawing: Drawing) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, message, drawing);
    out
}

/// Draws what was read of a message that could not be read whole, the fault, and the shape of the
/// bytes around it.
pub fn describe_fault(bytes: &[u8], error: &DecodeError, drawing: Drawing) -> String {
    let mut out = String::new();
    let _ = draw_fault(&mut out, bytes, error, drawing);
    out
}

fn draw(out: &mut String, message: &Message, drawing: Drawing) -> fmt::Result {
    let spec = message.spec();
    writeln!(out, "{}  {}", spec.name(), spec.title())?;
    let mti = message.mti();
    writeln!(out, "message type {mti}  {}", mti.words())?;
    draw_bitmaps(out, message)?;
    writeln!(out)?;
    draw_rows(out, &rows(message, drawing.unmasked))?;
    for violation in message.violations() {
        writeln!(out, "element {violation}")?;
    }
    writeln!(out)?;
    draw_bytes(out, message, drawing)
}

fn draw_bitmaps(out: &mut String, message: &Message) -> fmt::Result {
    let names = ["bitmap", "second bitmap", "third bitmap"];
    for (place, block) in message.bitmap().blocks().into_iter().enumerate() {
        if place > 0 && block == 0 {
            continue;
        }
        write!(out, "{:<13}", names[place])?;
        for byte in block.to_be_bytes() {
            write!(out, " {byte:08b}")?;
        }
        let first = place as u8 * 64 + 1;
        let elements = (first..=first + 63).filter(|number| message.has(*number));
        let elements: Vec<_> = elements.map(|number| number.to_string()).collect();
        writeln!(out, "\n{:<13} elements {}", "", elements.join(" "))?;
    }
    Ok(())
}

fn draw_rows(out: &mut String, rows: &[Row]) -> fmt::Result {
    let label = |row: &Row| format!("{}{}", "  ".repeat(row.depth), row.path);
    let place = |row: &Row| match &row.bytes {
        Some(range) => format!("{}..{}", range.start, range.end),
        None => String::new(),
    };
    let widest = |measure: &dyn Fn(&Row) -> usize| rows.iter().map(measure).max().unwrap_or(0);
    let labels = widest(&|row| label(row).chars().count());
    let titles = widest(&|row| row.title.chars().count()).min(44);
    let formats = widest(&|row| row.format.chars().count());
    let places = widest(&|row| place(row).chars().count());
    for row in rows {
        let title: String = row.title.chars().take(titles).collect();
        let line = format!(
            "{:<labels$}  {title:<titles$}  {:<formats$}  {:>places$}  {}",
            label(row),
            row.format,
            place(row),
            row.value,
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Which row each byte belongs to, by the innermost place that has one.
fn owners(message: &Message) -> Vec<Option<(usize, bool)>> {
    let mut owners = vec![None; message.as_bytes().len()];
    let values =
        message.header_value().into_iter().chain(message.elements().filter_map(|number| message.value(number)));
    for (place, value) in values.enumerate() {
        own(&mut owners, place, value);
    }
    owners
}

fn own(owners: &mut [Option<(usize, bool)>], place: usize, value: Value<'_>) {
    let parts: Vec<_> = value.parts().map(|(_, part)| part).collect();
    let in_place = parts.iter().all(|part| part.range().is_some());
    let veiled = match value.is_divided() && in_place {
        true => value.element().sensitivity() != Sensitivity::Open,
        false => value.is_veiled(),
    };
    if let Some(range) = value.range()
        && let Some(owned) = owners.get_mut(range)
    {
        owned.fill(Some((place, veiled)));
    }
    for part in parts {
        own(owners, place, part);
    }
}

fn draw_bytes(out: &mut String, message: &Message, drawing: Drawing) -> fmt::Result {
    let owners = owners(message);
    for (line, bytes) in message.as_bytes().chunks(LINE).enumerate() {
        write!(out, "{:06}  ", line * LINE)?;
        let mut last = None;
        for (column, byte) in bytes.iter().enumerate() {
            let owner = owners[line * LINE + column];
            if drawing.colour && owner.map(|(place, _)| place) != last {
                last = owner.map(|(place, _)| place);
                out.push_str(last.map_or(PLAIN, |place| COLOURS[place % COLOURS.len()]));
            }
            match owner {
                Some((_, true)) if !drawing.unmasked => out.push_str("** "),
                _ => {
                    out.extend(hex_pair(*byte).map(char::from));
                    out.push(' ');
                }
            }
        }
        if drawing.colour {
            out.push_str(PLAIN);
        }
        writeln!(out)?;
    }
    Ok(())
}

const LINE: usize = 32;
const PLAIN: &str = "\x1b[0m";
const COLOURS: [&str; 6] = ["\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[31m"];

fn draw_fault(out: &mut String, bytes: &[u8], error: &DecodeError, drawing: Drawing) -> fmt::Result {
    if let Some(partial) = error.partial() {
        let spec = partial.spec();
        writeln!(out, "{}  {}", spec.name(), spec.title())?;
        writeln!(out, "message type {}  {}", partial.mti(), partial.mti().words())?;
        draw_bitmaps(out, partial)?;
        writeln!(out)?;
        draw_rows(out, &rows(partial, drawing.unmasked))?;
        writeln!(out)?;
    }
    writeln!(out, "FAULT  {error}")?;
    let around = error.offset().saturating_sub(8)..(error.offset() + 24).min(bytes.len());
    let before = error.offset() - around.start.min(error.offset());
    let (what, drawn) = match drawing.unmasked {
        true => ("bytes", spaced(bytes.get(around.clone()).unwrap_or_default())),
        false => ("shape", shape(bytes.get(around.clone()).unwrap_or_default())),
    };
    let width = if drawing.unmasked { 3 } else { 1 };
    writeln!(out, "{what} from byte {}:", around.start)?;
    writeln!(out, "    {drawn}")?;
    writeln!(out, "    {}^ byte {}", " ".repeat(before * width), error.offset())?;
    writeln!(out, "{} of {} bytes are left from here", bytes.len().saturating_sub(error.offset()), bytes.len())?;
    for hint in hints(bytes, error) {
        writeln!(out, "hint   {hint}")?;
    }
    Ok(())
}

fn spaced(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        text.extend(hex_pair(*byte).map(char::from));
        text.push(' ');
    }
    text
}

/// What kind of byte each is, and not which.
fn shape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'0'..=b'9' => '9',
            b'A'..=b'Z' | b'a'..=b'z' => 'A',
            b' '..=b'~' => '-',
            0xF0..=0xF9 => 'e',
            0x80..=0xFF => '#',
            _ => '.',
        })
        .collect()
}

/// What looks wrong, for someone who has to mend the sender.
fn hints(bytes: &[u8], error: &DecodeError) -> Vec<&'static str> {
    let mut hints = Vec::new();
    let rest = bytes.get(error.offset()..).unwrap_or_default();
    if matches!(error.path().as_str(), "mti" | "bitmap" | "header") {
        hints.extend(start_hint(bytes));
    }
    if matches!(rest, [0xF0..=0xF9, 0xF0..=0xF9, ..]) && !wants_ebcdic(error) {
        hints.push("these bytes are EBCDIC digits; the dialect may be an EBCDIC one");
    }
    match error.code() {
        "content" if rest.starts_with(b" ") => {
            hints.push("a space stands where a digit or letter is wanted: filled on the wrong side?");
        }
        "truncated" => {
            hints.push("an earlier length may be too long, or the sender cut the message");
        }
        "length_unreadable" | "length_out_of_range" => {
            hints.push("the element before this may be longer or shorter than the dialect says");
        }
        "trailing_bytes" if rest == [0x03] => {
            hints.push("the last byte is ETX (03): it belongs to the frame and not to the message");
        }
        "trailing_bytes" if rest.iter().all(|b| *b == 0) => {
            hints.push("the bytes left over are all zero: block padding of a cipher or a file?");
        }
        "trailing_bytes" => {
            hints.push("a bit may be missing in the bitmap, or an element is longer than the dialect says");
        }
        "total_length" => {
            hints.push("the length is that of another message, or leaves out the header, or counts the frame");
        }
        "undefined_element" => {
            hints.push("the bitmap may be misread: is it hexadecimal text where bytes are meant?");
        }
        _ => {}
    }
    hints
}

/// Whether the dialect has EBCDIC where the fault is.
fn wants_ebcdic(error: &DecodeError) -> bool {
    let path = error.path();
    let number = path.split('.').next().and_then(|number| number.parse().ok());
    let element = error.partial().zip(number).and_then(|(message, number)| message.spec().element(number));
    element.is_some_and(|element| element.charset().name().starts_with("ebcdic"))
}

fn start_hint(bytes: &[u8]) -> Option<&'static str> {
    let binary = |width: usize| {
        bytes.len() > width && bytes[..width].iter().fold(0, |n, b| n << 8 | usize::from(*b)) == bytes.len() - width
    };
    let decimal = || {
        let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
        (digits.parse::<usize>().ok()? == bytes.len() - 4).then_some(())
    };
    if binary(2) || binary(4) || decimal().is_some() {
        return Some("the bytes begin with their own length: give the message without its frame");
    }
    match bytes {
        [0x60, _, _, _, _, ..] => Some("60 begins a TPDU: the dialect may need a header"),
        [b'I', b'S', b'O', ..] => Some("ISO begins a BASE24 header: the dialect may need a header"),
        [0x16 | 0x1A, 0x01, ..] => Some("16 01 begins a Base I header: the dialect may need a header"),
        [0x2E, ..] => Some("2E begins a UnionPay header: the dialect may need a header"),
        [0xF0..=0xF9, 0xF0..=0xF9, ..] => Some("the message type is in EBCDIC"),
        [b'0'..=b'2', b'0'..=b'9', ..] => Some("the message type is in ASCII"),
        [0x00..=0x29, second, ..] if *second < 0x80 => Some("the message type may be packed digits"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use bytes::Bytes;

    use super::*;
    use crate::iso8583::{MessageBuilder, dialects};

    const PAN: &str = "4242424242424242";

    fn sample() -> Message {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let mut builder = MessageBuilder::new("0100".parse().unwrap());
        builder
            .set(2, PAN)
            .set(4, "1299")
            .set(35, format!("{PAN}=28122011234567890"))
            .set(41, "TERM1")
            .set_path("55.9F26", "1122334455667788")
            .set_path("55.5A", PAN);
        spec.decode(spec.encode_to_bytes(&builder).unwrap()).unwrap()
    }

    #[test]
    fn nothing_sensitive_is_drawn_unless_asked_for() {
        let message = sample();
        let hex_pan = spaced(PAN.as_bytes());
        let drawn = describe(&message, Drawing::default());
        for secret in [PAN, hex_pan.trim_end(), "28122011"] {
            assert!(!drawn.contains(secret), "{secret} in\n{drawn}");
        }
        assert!(drawn.contains("424242******4242"), "{drawn}");
        assert!(drawn.contains("55.9F26"), "{drawn}");
        assert!(drawn.contains("Application cryptogram"), "{drawn}");
        let unmasked = Drawing { unmasked: true, colour: true };
        assert!(describe(&message, unmasked).contains(PAN));
    }

    #[test]
    fn a_fault_shows_what_was_read_and_the_shape_of_the_rest() {
        let message = sample();
        let mut wire = message.as_bytes().to_vec();
        wire[40] = b'x';
        let wire = Bytes::from(wire);
        let error = message.spec().decode(wire.clone()).unwrap_err();
        let drawn = describe_fault(&wire, &error, Drawing::default());
        assert!(drawn.contains("424242******4242"), "{drawn}");
        assert!(drawn.contains("FAULT  4, byte"), "{drawn}");
        assert!(!drawn.contains(PAN), "{drawn}");
        assert!(drawn.contains("99A9"), "{drawn}");
    }

    #[test]
    fn a_frame_left_on_is_recognised() {
        let message = sample();
        let mut framed = (message.as_bytes().len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(message.as_bytes());
        let framed = Bytes::from(framed);
        let error = message.spec().decode(framed.clone()).unwrap_err();
        let drawn = describe_fault(&framed, &error, Drawing::default());
        assert!(drawn.contains("without its frame"), "{drawn}");
    }
}
