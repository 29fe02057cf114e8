//! What the codec's benches measure: three messages, made by the codec itself from one set of values, and the
//! same values in the types of the codecs beside it.
//!
//! The others know neither packed digits of both paddings nor tags, so they stand beside the ASCII message alone.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use isthmus::iso8583::{Encoded, Message, MessageBuilder, Mti, Spec, dialects};

/// An 0100 of 18 elements, its values by element number; the card is a public test number.
pub const VALUES: [(u8, &str); 18] = [
    (2, "4242424242424242"),
    (3, "000000"),
    (4, "000000010000"),
    (7, "1122010203"),
    (11, "123456"),
    (12, "010203"),
    (13, "1122"),
    (14, "2812"),
    (18, "5999"),
    (22, "051"),
    (25, "00"),
    (32, "12345678"),
    (35, "4242424242424242=28122011234567890"),
    (37, "632601123456"),
    (41, "TERM0001"),
    (42, "MERCHANT0000001"),
    (43, "TEST MERCHANT          RICHMOND    VA US"),
    (49, "840"),
];

/// 16 tags of element 55.
pub const CHIP: &str = "82021980950500000080009a032611229c01005f2a0208409f02060000000100009f03060000000000009f1007\
                        06010a03a000009f1a0208409f260811223344556677889f2701809f3303e0f8c89f34031f03029f3501229f36\
                        0200429f3704deadbeef";

/// A message, its dialect, and the builder it was made from.
pub struct Case {
    /// Its name in the report.
    pub name: &'static str,
    /// The dialect.
    pub spec: Arc<Spec>,
    /// The filled builder.
    pub builder: MessageBuilder,
    /// The bytes.
    pub wire: Bytes,
}

/// ASCII, packed with a PIN block in place of the track, and ASCII with chip data in tags.
pub fn cases() -> [Case; 3] {
    let raw_bitmap = "name = \"bench\"\nextends = \"iso8583-1987-ascii\"\n[codec]\nbitmap = \"raw\"\n[codec.elements]\n\
                      55 = { format = \"LLL b..999\", encoding = \"raw\" }\n";
    let ascii = dialects::read("bench.toml", raw_bitmap).expect("the bench dialect reads");
    let bcd = dialects::builtin("iso8583-1987-bcd").expect("built in").expect("reads");
    let mut plain = MessageBuilder::new(Mti::new(100).expect("four digits"));
    for (number, value) in VALUES {
        plain.set(number, value);
    }
    let mut packed = plain.clone();
    packed.unset(35).set(52, "1122334455667788");
    let mut chip = plain.clone();
    chip.set(55, CHIP);
    let chip = ascii.decode(ascii.encode_to_bytes(&chip).expect("encodes")).expect("decodes").to_builder();
    [("ascii", &ascii, plain), ("bcd", &bcd, packed), ("tlv", &ascii, chip)].map(|(name, spec, builder)| Case {
        name,
        spec: Arc::clone(spec),
        wire: spec.encode_to_bytes(&builder).expect("encodes"),
        builder,
    })
}

/// One round of a piece of work, to be repeated.
pub type Round = Box<dyn FnMut()>;

/// The work that is measured: whose codec, and which message.
pub const WORK: [(&str, &str); 5] =
    [("isthmus", "ascii"), ("isthmus", "bcd"), ("isthmus", "tlv"), ("iso8583-codec", "ascii"), ("iso8583_rs", "ascii")];

/// Decoding and encoding, as each codec does it best; `None` for codecs and messages that are not in [`WORK`].
///
/// `iso8583_rs` reads the name of its spec from the environment: `SPEC_FILE`, beside this package's manifest.
pub fn rounds(codec: &str, message: &str) -> Option<[Round; 2]> {
    let case = cases().into_iter().find(|case| case.name == message)?;
    match codec {
        "isthmus" => Some(isthmus(case)),
        "iso8583-codec" => Some(iso8583_codec(case)),
        "iso8583_rs" => Some(iso8583_rs(case)),
        _ => None,
    }
}

fn isthmus(case: Case) -> [Round; 2] {
    let Case { spec, builder, wire, .. } = case;
    let mut message = Message::empty(&spec);
    let reader = Arc::clone(&spec);
    let decode = move || reader.decode_into(black_box(&wire).clone(), &mut message).expect("decodes");
    let mut out = BytesMut::with_capacity(4096);
    let mut encoded = Encoded::default();
    let encode = move || {
        out.clear();
        spec.encode_into(black_box(&builder), &mut out, &mut encoded).expect("encodes");
    };
    [Box::new(decode), Box::new(encode)]
}

fn iso8583_codec(case: Case) -> [Round; 2] {
    let spec = ::iso8583_codec::Spec::iso8583_1987();
    let message = ::iso8583_codec::Message::parse(&spec, &case.wire).expect("decodes");
    let reader = spec.clone();
    let decode = move || {
        black_box(::iso8583_codec::Message::parse(&reader, black_box(&case.wire)).expect("decodes"));
    };
    let encode = move || {
        black_box(black_box(&message).encode(&spec).expect("encodes"));
    };
    [Box::new(decode), Box::new(encode)]
}

fn iso8583_rs(case: Case) -> [Round; 2] {
    let spec = ::iso8583_rs::iso8583::iso_spec::spec("");
    let segment = spec.get_message_from_header("0100").expect("the segment");
    let mut message = ::iso8583_rs::iso8583::iso_spec::new_msg(spec, segment);
    message.set("message_type", "0100").expect("sets");
    for (number, value) in VALUES {
        message.set_on(u32::from(number), value).expect("sets");
    }
    let decode = move || {
        let _ = black_box(spec.parse(&mut black_box(&case.wire).to_vec()));
    };
    let encode = move || {
        let _ = black_box(black_box(&message).assemble());
    };
    [Box::new(decode), Box::new(encode)]
}
