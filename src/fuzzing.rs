//! The bodies of the fuzz targets: ordinary functions over bytes, so that their seeds run under plain
//! `cargo test` too.
//!
//! Each takes any bytes and must come back; what it asserts is what has to hold for all input. They are
//! of no use to anyone but tests.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
#[cfg(feature = "framing")]
use {
    crate::framing::{Encoding, Frame, Framer, Framing, Settings},
    bytes::BytesMut,
    tokio_util::codec::Decoder,
};

use crate::iso8583::describe::{Drawing, describe, describe_fault};
use crate::iso8583::sampling::sample;
use crate::iso8583::view::MessageJson;
use crate::iso8583::{
    Class, Division, Element, Message, MessageBuilder, Mti, Scan, Spec, SpecBuilder, dialects, emv_tags,
};

/// The built-in dialects in the order of their names.
pub fn specs() -> &'static [Arc<Spec>] {
    static SPECS: OnceLock<Vec<Arc<Spec>>> = OnceLock::new();
    SPECS.get_or_init(|| {
        let spec = |name: &&str| dialects::builtin(name).and_then(Result::ok);
        dialects::names().iter().filter_map(spec).collect()
    })
}

/// A dialect picked by the first byte, and the rest.
fn pick(data: &[u8]) -> Option<(&'static Arc<Spec>, &[u8])> {
    let (first, rest) = data.split_first()?;
    let specs = specs();
    Some((specs.get(usize::from(*first) % specs.len().max(1))?, rest))
}

/// A byte stream: the first byte picks the framing, the second how the stream is cut into reads. What comes out as a
/// message goes in again and comes out the same.
#[cfg(feature = "framing")]
pub fn frame(data: &[u8]) {
    let &[choice, cut, ref stream @ ..] = data else { return };
    let Some(framing) = framing_of(choice) else { return };
    let mut framer = Framer::new(framing.clone());
    let mut buffer = BytesMut::new();
    for read in stream.chunks(usize::from(cut % 16) + 1) {
        buffer.extend_from_slice(read);
        while let Some(frame) = match framer.decode(&mut buffer) {
            Ok(frame) => frame,
            Err(_) => return,
        } {
            frames_again(&framing, frame);
        }
    }
}

/// A framing by one byte: width, encoding, and whether there is a trailer.
#[cfg(feature = "framing")]
fn framing_of(choice: u8) -> Option<Framing> {
    let encodings = [Encoding::Binary, Encoding::Bcd, Encoding::Decimal, Encoding::Hex];
    let length_bytes = usize::from(choice % 5);
    let trailer_hex = if choice & 128 != 0 || length_bytes == 0 { "03".to_owned() } else { String::new() };
    let length_encoding = encodings[usize::from(choice / 8 % 4)];
    // A small bound, so that every width can count up to it and beyond.
    let settings = Settings { length_bytes, length_encoding, trailer_hex, max_message_bytes: 9, ..Settings::default() };
    Framing::new(&settings).ok()
}

#[cfg(feature = "framing")]
fn frames_again(framing: &Framing, frame: Frame) {
    let Frame::Message(message) = frame else { return };
    let mut again = BytesMut::new();
    framing.put(&message, &mut again).expect("what was a message can be written as one");
    let back = Framer::new(framing.clone()).decode(&mut again).expect("what was written is a frame");
    assert_eq!(back, Some(Frame::Message(message)));
}

/// A message: the first byte picks the dialect. What reads is drawn, scanned and written again, and
/// what was written reads as the same message.
pub fn message(data: &[u8]) {
    let Some((spec, rest)) = pick(data) else {
        return;
    };
    let wire = Bytes::copy_from_slice(rest);
    match spec.decode(wire.clone()) {
        Ok(message) => {
            agree(spec, &message);
            let _ = describe(&message, Drawing::default());
        }
        Err(error) => {
            assert!(error.offset() <= wire.len(), "the fault lies in the message");
            let _ = describe_fault(&wire, &error, Drawing::default());
        }
    }
    let _ = spec.decode_undivided(wire);
}

/// A message that reads is told alike by the scan and survives being written and read again.
fn agree(spec: &Arc<Spec>, message: &Message) {
    let mut scan = Scan::new(spec, message.as_bytes().clone()).expect("what reads can be scanned");
    assert_eq!(scan.mti(), message.mti());
    for number in message.elements() {
        let scanned = scan.element(number).expect("each element can be scanned");
        let scanned = scanned.map(|value| value.whole_text().into_owned());
        let read = message.value(number).map(|value| value.whole_text().into_owned());
        assert_eq!(scanned, read, "element {number}");
    }
    let written = spec.encode_to_bytes(&message.to_builder()).expect("what reads can be written");
    let again = spec.decode(written.clone()).expect("what was written can be read");
    assert_eq!(again.to_builder(), message.to_builder(), "reading what was written");
    let twice = spec.encode_to_bytes(&again.to_builder());
    assert_eq!(twice.as_ref().ok(), Some(&written), "writing is canonical");
}

/// An XML document, and the same bytes as a piece of one: elements stand where they say, and what is whole elements ends
/// nothing that it is put into.
#[cfg(feature = "xml")]
pub fn xml(data: &[u8]) {
    use crate::xml;
    if let Ok(root) = xml::Element::parse(data) {
        for element in root.all() {
            let piece = data.get(element.span.clone()).expect("an element stands in its document");
            assert!(piece.starts_with(b"<") && piece.ends_with(b">") && xml::is_content(piece), "an element is whole");
        }
    }
    let around = [b"<a><b>", data, b"</b><c/></a>"].concat();
    if let (true, Ok(root)) = (xml::is_content(data), xml::Element::parse(&around)) {
        let names: Vec<&str> = root.children.iter().map(|child| child.name.as_str()).collect();
        assert_eq!((root.name.as_str(), &names[..]), ("a", &["b", "c"][..]));
    }
}

/// BER-TLV alone, in a spec that has nothing else.
pub fn tlv(data: &[u8]) {
    static SPEC: OnceLock<Option<Arc<Spec>>> = OnceLock::new();
    let spec = SPEC.get_or_init(|| {
        let (known, unknown) = emv_tags();
        let division = Division::BerTlv { known, unknown: Some(unknown) };
        let element = Element::variable(Class::Binary, 99_999).divided(division);
        SpecBuilder::new("tlv").element(55, element).build().ok()
    });
    let (Some(spec), true) = (spec, data.len() <= 99_999) else {
        return;
    };
    let mut builder = MessageBuilder::new(Mti::new(200).expect("four digits"));
    builder.set_binary(55, data);
    let wire = spec.encode_to_bytes(&builder).expect("any bytes are binary content");
    if let Ok(message) = spec.decode(wire) {
        agree(spec, &message);
    }
}

/// A dialect file: reads or is refused with a place for every mistake, and what reads can be used.
pub fn dialect(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match dialects::read("fuzz.toml", text) {
        Ok(spec) => {
            let _ = spec.table();
            let _ = spec.decode(Bytes::from_static(b"0200F0000000000000008000000000000000"));
        }
        Err(errors) => assert!(!errors.is_empty(), "a refusal says why"),
    }
}

/// The JSON of `iso encode`: what can be written reads again.
pub fn json(choice: u8, document: MessageJson) {
    let Some((spec, _)) = pick(&[choice]) else {
        return;
    };
    let Ok(builder) = document.into_builder(spec) else {
        return;
    };
    if let Ok(wire) = spec.encode_to_bytes(&builder)
        && let Ok(message) = spec.decode(wire)
    {
        agree(spec, &message);
    }
}

/// A valid message made of `data`: the first byte picks the dialect, the rest what is in it. It reads as
/// it was written, every truncation is refused, and no flipped bit makes the reader panic.
pub fn valid(data: &[u8]) {
    let Some((spec, rest)) = pick(data) else {
        return;
    };
    let builder = sample(spec, rest);
    let wire = match spec.encode_to_bytes(&builder) {
        Ok(wire) => wire,
        Err(error) => {
            // Parts may add up to more than their element holds; nothing else is wrong with a sample.
            assert_eq!(error.code(), "length", "{}: {error:?}", spec.name());
            return;
        }
    };
    let message = spec.decode(wire.clone());
    let message = message.unwrap_or_else(|error| unreadable(spec, &error));
    agree(spec, &message);
    assert_eq!(spec.encode_to_bytes(&message.to_builder()).ok(), Some(wire.clone()), "identity");
    let middle = wire.len() / 2;
    assert!(spec.decode(wire.slice(..middle)).is_err() || middle == wire.len());
    for place in rest.iter().take(8) {
        let mut flipped = wire.to_vec();
        let at = usize::from(*place) % flipped.len().max(1);
        flipped[at] ^= 1 << (place % 8);
        let _ = spec.decode(Bytes::from(flipped));
    }
}

#[expect(clippy::panic, reason = "a finding of the fuzzer")]
fn unreadable(spec: &Spec, error: &crate::iso8583::DecodeError) -> Message {
    panic!("{}: a valid message does not read: {error:?}", spec.name())
}
