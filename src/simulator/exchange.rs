//! Working keys as they travel: protected by the zone's key, each with its check value.
//!
//! An element holds the keys one behind the other as the profile lays them out. What surprises: nothing in
//! it says which key is for what, but for key blocks; order and length are agreed beforehand.

use std::sync::Arc;

use crate::iso8583::{Message, MessageBuilder, Spec, to_hex};
use crate::security::{CheckValue, Key, KeyBlock, KeyBlockHeader, KeyFault, KeyKind, KeyUsage, Wrapped};

use super::keys::Working;
use super::profile::{KeyExchange, KeyPart, Profile, WorkingUse, Wrapping};

/// Keys as an element holds them: hexadecimal digits, or the text of key blocks.
pub(super) type Content = String;

/// Working keys in the layout of a profile.
pub(super) struct Carrier<'a> {
    pub(super) profile: &'a Profile,
    /// The zone's key.
    pub(super) zone: &'a Key,
}

impl Carrier<'_> {
    fn layout(&self) -> &KeyExchange {
        &self.profile.key_exchange
    }

    /// The kind of a part's key.
    pub(super) fn kind(&self, part: &KeyPart) -> Option<KeyKind> {
        match part.usage {
            WorkingUse::Mac => self.profile.mac.key_kind(part.bytes),
            WorkingUse::Pin => self.profile.pin.key_kind(part.bytes),
        }
    }

    /// The keys, protected; `None` where one of them is missing or not of the layout. With `spoiled` no
    /// check value is right. `filler` fills key blocks up.
    pub(super) fn write(&self, keys: &Working, spoiled: bool, filler: &[u8; 32]) -> Option<Content> {
        let mut content = String::new();
        for part in &self.layout().keys {
            let key = keys.of(part.usage)?;
            let mut written = match self.layout().wrapping {
                Wrapping::Ecb => to_hex(Wrapped::wrap(self.zone, key).ok()?.as_bytes()),
                Wrapping::KeyBlock => block(key)?.wrap(self.zone, filler).ok()?,
            };
            written.push_str(&"00".repeat(part.filler_bytes));
            written.push_str(&to_hex(CheckValue::of(key).first(part.check_bytes)?));
            // The last digit belongs to the check value, or to the key block's own code.
            if spoiled && let Some(last) = written.pop() {
                written.push(if last == '0' { '1' } else { '0' });
            }
            content.push_str(&written);
        }
        Some(content)
    }

    /// The keys of an element's content, all of them with a right check value.
    pub(super) fn read(&self, content: &str) -> Result<Working, KeyFault> {
        let (mut keys, mut rest) = (Working::default(), content);
        for part in &self.layout().keys {
            let key = match self.layout().wrapping {
                Wrapping::Ecb => {
                    let wrapped = Wrapped::parse(taken(&mut rest, 2 * part.bytes)?)?;
                    wrapped.unwrap(self.zone, self.kind(part).ok_or(KeyFault::Kind)?, usage(part.usage), None)?
                }
                Wrapping::KeyBlock => {
                    // Its length stands behind the letter of its version.
                    let length = rest.get(1..5).and_then(|digits| digits.parse().ok()).ok_or(KeyFault::Length)?;
                    let block = KeyBlock::unwrap(self.zone, taken(&mut rest, length)?);
                    block.map_err(|_| KeyFault::CheckValue)?.key
                }
            };
            taken(&mut rest, 2 * part.filler_bytes)?;
            let check = taken(&mut rest, 2 * part.check_bytes)?;
            if part.check_bytes > 0 {
                let check = data_encoding::HEXUPPER_PERMISSIVE.decode(check.as_bytes());
                CheckValue::of(&key).check(&check.map_err(|_| KeyFault::NotHex)?)?;
            }
            if key.usage() != usage(part.usage) {
                return Err(KeyFault::Usage);
            }
            keys.put(part.usage, key);
        }
        Ok(keys)
    }

    /// Puts keys into a message.
    pub(super) fn put(&self, spec: &Spec, builder: &mut MessageBuilder, content: &str) {
        let element = self.layout().element;
        let is_binary = spec.element(element).is_some_and(|element| element.is_binary());
        match (is_binary, self.layout().wrapping) {
            (true, Wrapping::Ecb) => {
                let bytes = data_encoding::HEXUPPER.decode(content.as_bytes()).unwrap_or_default();
                builder.set_binary(element, &bytes)
            }
            (true, Wrapping::KeyBlock) => builder.set_binary(element, content.as_bytes()),
            (false, _) => builder.set(element, content),
        };
    }

    /// Keys that a message brings; `None` where it has none.
    pub(super) fn find(&self, message: &Message) -> Option<Content> {
        let element = self.layout().element;
        match (message.binary(element), self.layout().wrapping) {
            (Some(bytes), Wrapping::KeyBlock) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => message.text(element).map(|text| text.trim_end().to_owned()),
        }
    }
}

impl Working {
    pub(super) fn of(&self, usage: WorkingUse) -> Option<&Arc<Key>> {
        match usage {
            WorkingUse::Mac => self.mac.as_ref(),
            WorkingUse::Pin => self.pin.as_ref(),
        }
    }

    pub(super) fn put(&mut self, usage: WorkingUse, key: Key) {
        match usage {
            WorkingUse::Mac => self.mac = Some(Arc::new(key)),
            WorkingUse::Pin => self.pin = Some(Arc::new(key)),
        }
    }

    /// These keys, and of those before what isn't among them.
    pub(super) fn over(self, before: &Working) -> Working {
        Working { mac: self.mac.or_else(|| before.mac.clone()), pin: self.pin.or_else(|| before.pin.clone()) }
    }
}

/// What a working key is for, as keys have it.
pub(super) fn usage(usage: WorkingUse) -> KeyUsage {
    match usage {
        WorkingUse::Mac => KeyUsage::Mac,
        WorkingUse::Pin => KeyUsage::Pin,
    }
}

/// A key with a header that says what it is for (X9.143, tables 2 to 5).
fn block(key: &Key) -> Option<KeyBlock> {
    let (usage, mode) = match (key.usage(), key.kind()) {
        (KeyUsage::Mac, kind) if kind.is_aes() => ("M6", 'C'),
        (KeyUsage::Mac, _) => ("M3", 'C'),
        (KeyUsage::Pin, _) => ("P0", 'B'),
        _ => return None,
    };
    let header = KeyBlockHeader { usage: usage.into(), mode, number: "00".into(), exportability: 'E' };
    Some(KeyBlock { header, key: key.clone() })
}

fn taken<'a>(rest: &mut &'a str, length: usize) -> Result<&'a str, KeyFault> {
    let (taken, after) = rest.split_at_checked(length).ok_or(KeyFault::Length)?;
    *rest = after;
    Ok(taken)
}
