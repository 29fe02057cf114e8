//! The `[keys]` section of a dialect file: which messages bear a MAC, how it is made, and how PIN blocks travel.
//!
//! ```toml
//! [keys.mac]
//! method = "x9.19"           # x9.9, x9.19, aes-cmac or unionpay-ecb
//! padding = "zeros"          # zeros or bit; x9.9 and x9.19 only
//! classes = [1, 2, 4]        # the classes of message that bear one, both ways; class 8 is network management
//! element = "last"           # 64 or, where the message goes further, 128; or always 128
//! significant = 8            # bytes of it that count; the rest of the element is zeros
//! leave_out = "repeat"       # the repeat digit is not covered
//!
//! [keys.pin]
//! format = 0                 # ISO 9564 format of the host's zone: 0, 3 or 4
//! element = 52               # where the block stands
//! control = { element = 53, text = "2600000000000000" }   # what goes with it, where something does
//! ```
//!
//! How working keys come from the host, `[keys.exchange]` says; see [`super::ExchangeSettings`].

use super::exchange::{ExchangeSettings, ExchangeTable};
use super::key::KeyKind;
use super::mac::MacMethod;
use super::method_name::{MethodName, PaddingName};
use super::pin_block::PinBlockFormat;
use super::seal::{MAC_ELEMENT, MacPlace};
use super::slot::SlotUse;
use serde::Deserialize;
use std::ops::Range;

/// What a dialect says of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// The MAC of its messages, where they have one.
    pub mac: Option<MacSettings>,
    /// The PIN blocks of its host's zone, where it takes PINs.
    pub pin: Option<PinSettings>,
    /// How its working keys come, where they come over the line.
    pub exchange: Option<ExchangeSettings>,
}

/// The PIN blocks in a dialect's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSettings {
    /// The format of the host's zone.
    pub format: PinBlockFormat,
    /// Where the block stands.
    pub element: u8,
    /// The element that goes with it, and its text.
    pub control: Option<(u8, String)>,
}

/// The MAC of a dialect's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacSettings {
    /// How it is made.
    pub method: MacMethod,
    /// Bytes of it that count.
    pub significant: usize,
    classes: Vec<u8>,
    always_128: bool,
    leave_out_repeat: bool,
}

/// What is wrong in a `[keys]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettingsError {
    /// Where in the text, in bytes from its beginning; `None` where what is wrong is not there.
    pub at: Option<usize>,
    /// The dotted key.
    pub key: String,
    /// What should have stood there.
    pub expected: String,
}

impl MacSettings {
    /// The kind of a key of this many bytes for its method; `None` where the method takes none so long.
    pub fn key_kind(&self, length: usize) -> Option<KeyKind> {
        self.method.key_kind(length)
    }

    /// Whether messages of a class bear a MAC.
    pub fn covers(&self, class: u8) -> bool {
        self.classes.contains(&class)
    }

    /// The element for the MAC of a message whose last element but for it has this number.
    pub fn element_after(&self, last: u8) -> u8 {
        if self.always_128 || last >= 64 { 128 } else { 64 }
    }

    /// The element of a message's MAC, by the number of its last element; `None` where that is no MAC.
    pub fn element_of(&self, last: u8) -> Option<u8> {
        matches!(last, 64 | 128).then_some(last).filter(|last| *last == 128 || !self.always_128)
    }

    /// The place of a MAC, by where the message type and the MAC's element lie.
    pub fn place(&self, message_type: Range<usize>, element: Range<usize>) -> MacPlace {
        let repeat_digit = self.leave_out_repeat.then(|| message_type.end.saturating_sub(1));
        let (method, significant) = (self.method, self.significant);
        MacPlace { method, significant, start: message_type.start, element, repeat_digit }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    keys: Section,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    mac: Option<MacTable>,
    pin: Option<PinTable>,
    exchange: Option<ExchangeTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MacTable {
    method: MethodName,
    padding: Option<PaddingName>,
    #[serde(default = "financial_classes")]
    classes: Vec<u8>,
    #[serde(default)]
    element: MacElement,
    #[serde(default = "all_of_it")]
    significant: usize,
    leave_out: Option<LeftOut>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinTable {
    format: u8,
    element: Option<u8>,
    control: Option<ControlTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlTable {
    element: u8,
    text: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum MacElement {
    #[default]
    #[serde(rename = "last")]
    Last,
    #[serde(rename = "128")]
    Always128,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LeftOut {
    Repeat,
}

fn financial_classes() -> Vec<u8> {
    vec![1, 2, 4]
}

fn all_of_it() -> usize {
    MAC_ELEMENT
}

impl KeySettings {
    /// Reads the `[keys]` of each text, that of the base first; a later table replaces an earlier one. An error comes
    /// with the number of its text.
    pub fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Result<KeySettings, (usize, KeySettingsError)> {
        let (mut settings, mut last) = (KeySettings::default(), 0);
        for (place, text) in texts.enumerate() {
            last = place;
            let file: File = toml::from_str(text).map_err(|error| (place, shape(&error)))?;
            if let Some(table) = file.keys.mac {
                settings.mac = Some(table.settings().map_err(|error| (place, error))?);
            }
            if let Some(table) = file.keys.pin {
                settings.pin = Some(table.settings().map_err(|error| (place, error))?);
            }
            if let Some(table) = file.keys.exchange {
                let exchange = table.settings();
                let exchange = exchange.map_err(|(key, expected)| wrong(&format!("exchange.{key}"), expected));
                settings.exchange = Some(exchange.map_err(|error| (place, error))?);
            }
        }
        settings.is_consistent().map_err(|error| (last, error))?;
        Ok(settings)
    }

    fn is_consistent(&self) -> Result<(), KeySettingsError> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        let uses = |usage| exchange.brought().any(|(used, _)| used == usage);
        if uses(SlotUse::Mac) && self.mac.is_none() {
            return Err(wrong("exchange.keys", "no MAC key without [keys.mac]"));
        }
        if uses(SlotUse::Pin) && self.pin.is_none() {
            return Err(wrong("exchange.keys", "no PIN key without [keys.pin]"));
        }
        // The sign-on comes before there is a key to make its MAC with.
        if uses(SlotUse::Mac) && self.mac.as_ref().is_some_and(|mac| mac.covers(8)) {
            return Err(wrong("mac.classes", "no class 8 where the key is exchanged: the sign-on comes before it"));
        }
        Ok(())
    }
}

fn shape(error: &toml::de::Error) -> KeySettingsError {
    let at = error.span().map(|span| span.start);
    KeySettingsError { at, key: "keys".to_owned(), expected: error.message().to_owned() }
}

fn wrong(key: &str, expected: &str) -> KeySettingsError {
    KeySettingsError { at: None, key: format!("keys.{key}"), expected: expected.to_owned() }
}

impl MacTable {
    fn settings(self) -> Result<MacSettings, KeySettingsError> {
        if self.padding.is_some() && !self.method.is_padded() {
            return Err(wrong("mac.padding", "nothing: this method has its own"));
        }
        let method = self.method.with(self.padding.unwrap_or_default());
        if !(4..=MAC_ELEMENT).contains(&self.significant) {
            return Err(wrong("mac.significant", "4 to 8 bytes"));
        }
        if self.classes.is_empty() || !self.classes.iter().all(|class| (1..=8).contains(class)) {
            return Err(wrong("mac.classes", "at least one class of message, from 1 to 8"));
        }
        Ok(MacSettings {
            method,
            significant: self.significant,
            classes: self.classes,
            always_128: matches!(self.element, MacElement::Always128),
            leave_out_repeat: self.leave_out.is_some(),
        })
    }
}

impl PinTable {
    fn settings(self) -> Result<PinSettings, KeySettingsError> {
        // Format 1 takes the card number's protection away, so no zone of ours has it.
        let format = PinBlockFormat::of_number(self.format).filter(|format| *format != PinBlockFormat::Iso1);
        let format = format.ok_or_else(|| wrong("pin.format", "0, 3 or 4"))?;
        let control = self.control.map(|control| (control.element, control.text));
        let element = self.element.unwrap_or(52);
        let elements = [Some(element), control.as_ref().map(|(element, _)| *element)];
        match elements.into_iter().flatten().all(|element| (2..=127).contains(&element)) {
            true => Ok(PinSettings { format, element, control }),
            false => Err(wrong("pin.element", "an element from 2 to 127")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Padding;
    use super::*;

    fn read(text: &str) -> Result<KeySettings, KeySettingsError> {
        KeySettings::read([text].into_iter()).map_err(|(_, error)| error)
    }

    #[test]
    fn nothing_said_is_nothing_asked() {
        assert_eq!(read("name = 'x'").unwrap(), KeySettings::default());
    }

    #[test]
    fn a_later_text_replaces_a_table() {
        let base = "[keys.mac]\nmethod = 'x9.9'\n[keys.pin]\nformat = 0";
        let own = "[keys.mac]\nmethod = 'x9.19'\npadding = 'bit'\nclasses = [2]\nelement = '128'\nleave_out = 'repeat'";
        let read = KeySettings::read([base, own].into_iter()).unwrap();
        let mac = read.mac.unwrap();
        assert_eq!((mac.method, mac.significant), (MacMethod::Retail(Padding::Bit), 8));
        assert!(mac.covers(2) && !mac.covers(1));
        assert_eq!(mac.element_after(41), 128);
        assert_eq!(mac.place(0..4, 20..28).repeat_digit, Some(3));
        let pin = read.pin.unwrap();
        assert_eq!((pin.format, pin.element, pin.control), (PinBlockFormat::Iso0, 52, None));
    }

    #[test]
    fn the_mac_is_the_last_element() {
        let mac = read("[keys.mac]\nmethod = 'aes-cmac'").unwrap().mac.unwrap();
        assert_eq!((mac.element_after(49), mac.element_after(64), mac.element_after(90)), (64, 128, 128));
        assert_eq!((mac.element_of(64), mac.element_of(128), mac.element_of(90)), (Some(64), Some(128), None));
        let always = read("[keys.mac]\nmethod = 'aes-cmac'\nelement = '128'").unwrap().mac.unwrap();
        assert_eq!(always.element_of(64), None);
    }

    #[test]
    fn mistakes_name_their_key() {
        let key = |text: &str| read(text).unwrap_err().key;
        assert_eq!(key("[keys.mac]\nmethod = 'aes-cmac'\npadding = 'bit'"), "keys.mac.padding");
        assert_eq!(key("[keys.mac]\nmethod = 'aes-cmac'\nsignificant = 9"), "keys.mac.significant");
        assert_eq!(key("[keys.mac]\nmethod = 'aes-cmac'\nclasses = []"), "keys.mac.classes");
        assert_eq!(key("[keys.pin]\nformat = 1"), "keys.pin.format");
        let exchange = "[keys.exchange]\nby = 'answer'\nelement = 48\nkeys = [{ use = 'mac', length = 16 }]";
        assert_eq!(key(exchange), "keys.exchange.keys");
        let mac = "[keys.mac]\nmethod = 'x9.19'\nclasses = [2, 8]";
        assert_eq!(key(&format!("{mac}\n{exchange}")), "keys.mac.classes");
        assert_eq!(read("\n[keys.mac]\nmethod = 'rot13'").unwrap_err().at, Some(21));
        assert!(read("[keys.mac]\nmethod = 'aes-cmac'\ncover = 1").unwrap_err().expected.contains("cover"));
    }
}
