//! Dialects as data: the `[codec]` section of a dialect file, and the dialects that are built in.
//!
//! A dialect file is TOML, may extend a built-in dialect, and has four sections with a reader each;
//! this one reads `[codec]` and passes over `[mapping]`, `[session]` and `[keys]`. A later layer
//! changes key by key what an earlier one says. Every mistake is told with file, line, key and what
//! was expected. Nothing here opens a file: the caller hands in the text.
//!
//! # Writing a dialect
//!
//! Take the built-in dialect that is nearest, say what differs, and look at the result with
//! `isthmus iso specs my-bank.toml`. Suppose a bank sends 1987 messages with packed digits, EBCDIC text,
//! a header of five bytes, and tags of two digits in element 48:
//!
//! ```
//! let file = r#"
//! name = "my-bank"
//! title = "My bank, host to host"
//! extends = "iso8583-1987-bcd"
//!
//! [codec]
//! charset = "ebcdic-037"              # of text; digits and tracks are packed in the base
//!
//! [codec.header]
//! presence = "required"
//! format = "b5"
//! parts = [
//!     { format = "b1", name = "version", title = "Version" },
//!     { format = "n8", name = "route", title = "Route" },
//! ]
//!
//! [codec.elements]
//! 22 = { format = "n4" }              # longer than in the standard
//! 48 = { format = "LLL ans..255", tagged = { tag = 2, length = 2, tags = {
//!     42 = { format = "ans..", name = "ecommerce", title = "Electronic commerce indicator" },
//!     92 = { format = "n3", name = "cvc2", title = "Verification code", sensitive = "hidden" },
//! } } }
//! 60 = "undefined"                    # a message with it is refused
//!
//! [codec.messages]
//! 0100 = { mandatory = [2, 3, 4, 11, 41], forbidden = [39] }
//! "#;
//! use isthmus::iso8583::{MessageBuilder, Mti, dialects};
//!
//! let spec = dialects::read("my-bank.toml", file).unwrap();
//! let mut builder = MessageBuilder::new(Mti::new(100).unwrap()).header(&[1, 0, 0, 0, 7]);
//! builder.set(2, "4242424242424242").set(3, "000000").set(4, "1299").set(11, "7").set(41, "T1");
//! builder.set(22, "0510").set_path("48.42", "210").set_path("48.92", "123");
//! assert_eq!(spec.violations(&builder), []);
//!
//! let message = spec.decode(spec.encode_to_bytes(&builder).unwrap()).unwrap();
//! assert_eq!(message.number(4), Some(1299));
//! assert_eq!(message.get("48.42").unwrap().text(), "210");
//! assert_eq!(message.header_value().unwrap().part("2").unwrap().text(), "00000007");
//! ```
//!
//! A second one: another bank's terminals speak EBCDIC throughout, behind a TPDU, and pack a bitmap of their own into
//! element 62. What is not said comes from the base; `binary = "raw"` because in the base each byte is two
//! hexadecimal characters.
//!
//! ```
//! let file = r#"
//! name = "regio"
//! title = "Regio Bank, terminals"
//! extends = "iso8583-1987-ascii"
//!
//! [codec]
//! charset = "ebcdic-500"              # of all that is characters: type, digits, text, lengths
//! bitmap = "raw"
//! binary = "raw"
//!
//! [codec.header]
//! presence = "required"
//! format = "b5"
//! swap = [2, 3]                       # a response goes back to where its request came from
//! parts = [
//!     { format = "b1", name = "tpdu", title = "TPDU identifier" },
//!     { format = "b2", name = "destination", title = "Destination address" },
//!     { format = "b2", name = "source", title = "Source address" },
//! ]
//!
//! [codec.elements]
//! ## Tag, length and value one after the other; a tag that is not listed is kept as it came.
//! 48 = { format = "LLL ans..999", tagged = { tag = 3, length = 3, tags = {
//!     001 = { format = "n2", name = "instalments", title = "Number of instalments" },
//!     002 = { format = "ans..20", name = "loyalty", title = "Loyalty programme" },
//! } } }
//! ## Eight bytes of bitmap, then the parts whose bits are set.
//! 62 = { format = "LLL b..255", bitmap = { bits = 64, parts = {
//!     1 = { format = "n6", name = "batch", title = "Batch number" },
//!     3 = { format = "LL ans..25", name = "receipt", title = "Text for the receipt" },
//! } } }
//! "#;
//! use isthmus::iso8583::{MessageBuilder, Mti, dialects};
//!
//! let spec = dialects::read("regio.toml", file).unwrap();
//! let mut builder = MessageBuilder::new(Mti::new(800).unwrap()).header(&[0x60, 0, 1, 0, 2]);
//! builder.set(11, "7").set_path("48.002", "GOLD").set_path("62.1", "123").set_path("62.3", "THANK YOU");
//! let message = spec.decode(spec.encode_to_bytes(&builder).unwrap()).unwrap();
//! assert_eq!(message.get("62.1").unwrap().number(), Some(123));
//! assert_eq!(message.get("48.002").unwrap().text(), "GOLD");
//! let response = spec.encode_to_bytes(&message.response().unwrap()).unwrap();
//! assert_eq!(response[..9], [0x60, 0, 2, 0, 1, 0xF0, 0xF8, 0xF1, 0xF0]);
//! ```
//!
//! `isthmus check regio.toml` tells every mistake with its line, `isthmus iso specs regio.toml` what all of it comes to,
//! `isthmus iso encode --spec regio.toml` writes a message from JSON, and `isthmus iso decode --spec regio.toml --describe`
//! draws one that the bank has sent, up to the byte where it departs from the file.
//!
//! ## `[codec]`: the dialect as a whole
//!
//! | key | values | |
//! | --- | --- | --- |
//! | `charset` | `ascii`, `ebcdic-037`, `ebcdic-500`, `ebcdic-1047`, `utf-8`, `gbk` | of text, of digits and lengths that are characters, and of the message type |
//! | `text_charset` | the same | of classes ans and any alone |
//! | `mti` | `bcd`, or a charset | the message type, where it differs |
//! | `bitmap` | `raw`, `hex` | |
//! | `blocks` | `auto`, `one`, `two`, `three` | how many blocks the bitmap has; `auto` goes by bit 1 |
//! | `third_bitmap` | `none`, `front`, `element-65`, `element-65-double` | where a third block stands |
//! | `digits`, `track` | `text`, `bcd` | classes n, x+n and an+n; class z |
//! | `binary`, `binary_variable` | `raw`, `hex` | class b; of variable length where that differs |
//! | `length` | `text`, `bcd`, `binary`, `ber` | length prefixes |
//! | `odd_fixed`, `odd_variable` | `lead 0`, `trail F`, `lead 0 any` | the filler beside an odd number of packed digits |
//! | `trailing` | `refuse`, `ignore` | bytes behind the last element |
//! | `max_bytes` | a number | the longest message |
//! | `messages` | a table, or `none` to forget the base's | what a message has to carry, by its type: `mandatory`, `conditional`, `forbidden`, `echoed` |
//!
//! `[codec.header]` describes an element in front of the message type, with `presence` = `none`, `required`
//! or `optional` (then `first_byte` tells that it is there); `swap = [2, 3]` names two parts that a response has
//! the other way round; `total_length = 4` names the part that tells how many bytes the whole message has, header
//! included: it is filled in when a message is written and compared when one is read (`none` takes it away).
//!
//! ## `[codec.elements]`: each element and each part
//!
//! | key | |
//! | --- | --- |
//! | `format` | as the standard writes it: `n6`, `x+n8`, `LL n..19`, `LLL ans..999`, `b8`; in parts `ans..` is all that is left |
//! | `name`, `title` | for programs and for people |
//! | `encoding`, `charset`, `length`, `odd` | where it differs from the dialect |
//! | `length_width`, `counts_itself`, `count` | digits or bytes of the prefix; whether it counts itself; `bytes` or `characters` |
//! | `min` | the shortest content |
//! | `pad`, `trim` | `left 0`, `right space`, `none`; whether reading takes the filling off |
//! | `sensitive` | `open`, `pan` (first six and last four are shown), `hidden` |
//! | `values` | what values mean |
//! | `parts` (with `open_end`, or with `separator`) | parts one after the other, or separated |
//! | `repeat` | the parts of a record that is repeated to the end |
//! | `bitmap` | `bits`, `encoding`, `lead`, `parts` by bit |
//! | `tlv` (with `tags`, `unknown`) | BER-TLV: `emv` knows the EMV tags, `plain` none |
//! | `tagged` | tags of fixed width that are not BER; its keys are below |
//! | `dataset` | the parts of a 2003 dataset with a bitmap |
//! | `choice` | divisions with `when` = `otherwise`, `first 71-FE`, `mti 08`, `element 3 is 31` |
//! | `whole` | takes away the division that the base has |
//!
//! Parts nest to any depth. Parts of packed digits and of hexadecimal text are described as text and bytes: what they
//! are once unpacked, in ASCII.
//!
//! | key of `tagged` | |
//! | --- | --- |
//! | `tag`, `tag_encoding` | how many characters (`text`) or bytes (`raw`) a tag has, 1 to 7 |
//! | `length`, `length_encoding` | digits of the length of a value, and how it is written; without it a part brings its own |
//! | `length_first`, `counts_tag` | the length stands before the tag; it counts the tag too |
//! | `lead`, `optional_lead` | a part in front of the first tag, named `0`; the optional one is there unless a digit begins |
//! | `tags` | parts by tag |
//! | `ranges` | parts for many tags: `{ from = "10", to = "19", format = "ans.." }` |
//! | `unknown` | `keep` (as it came, hidden in masked views) or `refuse` |

mod codec;
mod division;
mod format;
mod presence;
mod section;

use std::borrow::Cow;
use std::sync::Arc;

use super::error::SpecError;
use super::spec::Spec;

/// The built-in dialects: name and file.
const BUILT_IN: &[(&str, &str)] = &[
    ("iso8583-1987-ascii", include_str!("../../../specs/iso8583-1987-ascii.toml")),
    ("iso8583-1987-bcd", include_str!("../../../specs/iso8583-1987-bcd.toml")),
    ("iso8583-1993-ascii", include_str!("../../../specs/iso8583-1993-ascii.toml")),
    ("iso8583-1993-bcd", include_str!("../../../specs/iso8583-1993-bcd.toml")),
    ("iso8583-2003-ascii", include_str!("../../../specs/iso8583-2003-ascii.toml")),
    ("iso8583-2003-bcd", include_str!("../../../specs/iso8583-2003-bcd.toml")),
    ("unionpay-pos", include_str!("../../../specs/unionpay-pos.toml")),
    ("unionpay-interchange", include_str!("../../../specs/unionpay-interchange.toml")),
    ("visa-base1", include_str!("../../../specs/visa-base1.toml")),
    ("mastercard-authorization", include_str!("../../../specs/mastercard-authorization.toml")),
    ("mastercard-clearing", include_str!("../../../specs/mastercard-clearing.toml")),
    ("amex-1993", include_str!("../../../specs/amex-1993.toml")),
    ("jcb", include_str!("../../../specs/jcb.toml")),
    ("as2805", include_str!("../../../specs/as2805.toml")),
    ("postilion", include_str!("../../../specs/postilion.toml")),
    ("base24", include_str!("../../../specs/base24.toml")),
];

const NAMES: [&str; BUILT_IN.len()] = {
    let mut names = [""; BUILT_IN.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = BUILT_IN[at].0;
        at += 1;
    }
    names
};

/// Deeper chains of `extends` than this are refused; it also ends a circle.
const MAX_LAYERS: usize = 8;

/// One file of a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The file's name, for messages.
    pub origin: Cow<'static, str>,
    /// Its text.
    pub text: Cow<'static, str>,
}

/// The names of the built-in dialects.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// A built-in dialect; `None` where there is none of that name.
pub fn builtin(name: &str) -> Option<Result<Arc<Spec>, Vec<SpecError>>> {
    let layers = match builtin_layers(name)? {
        Ok(layers) => layers,
        Err(errors) => return Some(Err(errors)),
    };
    Some(codec::read(&layers))
}

/// The dialect of a file that the caller has read; `origin` names it in messages.
pub fn read(origin: &str, text: &str) -> Result<Arc<Spec>, Vec<SpecError>> {
    codec::read(&layers(origin, text)?)
}

/// The spec that layers come to, base first.
pub fn spec_of(layers: &[Layer]) -> Result<Arc<Spec>, Vec<SpecError>> {
    codec::read(layers)
}

/// The files a built-in dialect is made of, base first; `None` where there is none of that name.
pub fn builtin_layers(name: &str) -> Option<Result<Vec<Layer>, Vec<SpecError>>> {
    Some(stack(builtin_layer(name)?))
}

/// The files a dialect is made of, base first: what `text` extends, and then `text` itself.
pub fn layers(origin: &str, text: &str) -> Result<Vec<Layer>, Vec<SpecError>> {
    stack(Layer { origin: Cow::Owned(origin.to_owned()), text: Cow::Owned(text.to_owned()) })
}

fn builtin_layer(name: &str) -> Option<Layer> {
    let (name, text) = BUILT_IN.iter().find(|(other, _)| *other == name)?;
    Some(Layer { origin: Cow::Owned(format!("specs/{name}.toml")), text: Cow::Borrowed(text) })
}

fn stack(top: Layer) -> Result<Vec<Layer>, Vec<SpecError>> {
    let mut layers = vec![top];
    while let Some(last) = layers.last()
        && let Some((base, error)) = section::extends(last)?
    {
        match builtin_layer(&base) {
            Some(layer) if layers.len() < MAX_LAYERS => layers.push(layer),
            _ => return Err(vec![error]),
        }
    }
    layers.reverse();
    Ok(layers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_built_in_dialect_reads() {
        for name in names() {
            let spec = builtin(name).unwrap();
            let spec =
                spec.unwrap_or_else(|errors| panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()));
            assert_eq!(spec.name(), *name);
            assert!(!spec.title().is_empty(), "{name} has a title");
            for number in spec.elements() {
                let element = spec.element(number).unwrap();
                assert!(!element.name().is_empty(), "{name} {number} has a name");
                assert!(!element.title().is_empty(), "{name} {number} has a title");
                assert_eq!(spec.number_of(element.name()), Some(number), "{name} {number}");
            }
        }
    }

    fn mistakes(text: &str) -> Vec<String> {
        let errors = read("mine.toml", text).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_key() {
        let text = "name = \"mine\"\nextends = \"iso8583-1987-ascii\"\n[codec]\ncharset = \"koi8\"\n\
                    colour = 1\n[codec.elements]\n48 = { format = \"LL q..99\" }\n";
        let told = mistakes(text);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().any(|t| t.starts_with("mine.toml:4: codec.charset: expected")));
        assert!(told.iter().any(|t| t.starts_with("mine.toml:5: codec.colour: expected")));
        assert!(told.iter().any(|t| t.starts_with("mine.toml:7: codec.elements.48.format: expected")));
    }

    #[test]
    fn what_a_newcomer_writes_wrong_is_told_in_the_order_of_the_file() {
        let text = "name = \"mine\"\nextends = \"iso8583-1987-ascii\"\n[codec.header]\nformat = \"b5\"\n\
                    [codec.elements]\n62 = { format = \"LLL ans..99\", tlv = { tag = 2 } }\n\
                    48 = { format = \"LLLVAR ans..99\", tagged = { tag = 2, length = 2, tags = { 001 = { format = \"n2\" } } } }\n";
        let told = mistakes(text);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("mine.toml:4: codec.header.presence: expected \"none\" or"), "{told:?}");
        assert!(
            told[1].starts_with("mine.toml:6: codec.elements.62.tlv: expected \"emv\" or \"plain\" (tags"),
            "{told:?}"
        );
        let tag = "mine.toml:7: codec.elements.48.tagged.tags.001: expected a tag of 2 letters and digits";
        assert_eq!(told[2], tag);
    }

    #[test]
    fn an_unknown_base_and_broken_toml_are_told_too() {
        let told = mistakes("name = \"mine\"\nextends = \"nothing\"\n");
        assert!(told[0].starts_with("mine.toml:2: extends: expected"), "{told:?}");
        let told = mistakes("name = \"mine\"\n[codec\n");
        assert!(told[0].starts_with("mine.toml:2: "), "{told:?}");
    }

    #[test]
    fn the_sections_of_the_other_readers_are_passed_over() {
        let text = "name = \"mine\"\nextends = \"iso8583-1987-bcd\"\n[mapping]\nx = 1\n[session]\n\
                    [keys]\n";
        assert_eq!(read("mine.toml", text).unwrap().name(), "mine");
        let layers = layers("mine.toml", text).unwrap();
        let origins: Vec<_> = layers.iter().map(|l| l.origin.as_ref()).collect();
        let base = ["specs/iso8583-1987-ascii.toml", "specs/iso8583-1987-bcd.toml"];
        assert_eq!(origins, [base[0], base[1], "mine.toml"]);
    }
}
