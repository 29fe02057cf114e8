//! The three messages of the codec's benches, made by the codec itself from one set of values, and the
//! same values in the types of the codecs beside it.

use std::sync::Arc;

use bytes::Bytes;
use isthmus::iso8583::{MessageBuilder, Mti, Spec, dialects};

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
