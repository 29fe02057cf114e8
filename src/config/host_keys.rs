//! The `[hosts.keys]` table: where the keys shared with a host lie, and the `[keys]` section of its dialect.
//!
//! A key file holds hexadecimal digits, or a key block (ANSI X9.143) under the key of `key_block_file`.

use super::lines::Lines;
use super::mistake::Mistake;
use crate::iso8583::dialects::Layer;
use crate::keys::HostKeys;
use crate::security::{Direction, Key, KeyBlock, KeyForm, KeyKind, KeySettings, KeyUsage, SlotUse};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the keys shared with a host lie.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostKeyFiles {
    /// The key of the MACs we send, and of those we receive where no other is given.
    pub mac_file: Option<PathBuf>,
    /// The key of the MACs we receive.
    pub mac_receive_file: Option<PathBuf>,
    /// The key of the PIN blocks we send.
    pub pin_file: Option<PathBuf>,
    /// The zone master key: deciphers the keys that come over the line.
    pub zone_key_file: Option<PathBuf>,
    /// The key that protects key blocks: those of the other files, and those that come over the line.
    pub key_block_file: Option<PathBuf>,
}

/// Reads the `[keys]` section of a dialect.
pub fn key_settings(layers: &[Layer]) -> Result<KeySettings, Mistake> {
    KeySettings::read(layers.iter().map(|layer| &*layer.text)).map_err(|(place, error)| {
        let layer = layers.get(place);
        let origin = layer.map_or(String::new(), |layer| layer.origin.to_string());
        let before = layer.zip(error.at).and_then(|(layer, at)| layer.text.get(..at));
        let line = before.map_or(0, |before| before.matches('\n').count() + 1);
        let mut mistake = Mistake { origin, line, key: error.key, expected: error.expected };
        if let Some(layer) = layer {
            Lines::of(&layer.text).locate(&mut mistake);
        }
        mistake
    })
}

impl HostKeyFiles {
    /// Reads the keys that the host's dialect asks for: those that do not come over the line, and what deciphers those
    /// that do.
    pub(super) fn read(&self, mut keys: HostKeys, folder: &Path, path: &Path) -> Result<HostKeys, Vec<Mistake>> {
        let settings = keys.settings().clone();
        let wrong = |key: &str, expected: &str| vec![Mistake::in_file(path, &format!("hosts.keys.{key}"), expected)];
        if let Some((key, section)) = self.superfluous(&settings) {
            return Err(wrong(key, &format!("nothing: the dialect has no [keys.{section}]")));
        }
        let protection = self.protection(folder).map_err(|mistake| vec![mistake])?;
        let read = |file: &Path, usage, kind: &dyn Fn(usize) -> Option<KeyKind>| {
            read_key(&folder.join(file), protection.as_ref(), usage, kind).map_err(|mistake| vec![mistake])
        };
        if let Some(mac) = &settings.mac {
            let receive = self.mac_receive_file.as_ref().or(self.mac_file.as_ref());
            for (direction, file) in [(Direction::Send, self.mac_file.as_ref()), (Direction::Receive, receive)] {
                match file {
                    Some(file) => {
                        let key = read(file, KeyUsage::Mac, &|length| mac.key_kind(length))?;
                        keys.add(SlotUse::Mac, direction, key);
                    }
                    None if is_brought(&settings, SlotUse::Mac, direction) => {}
                    None => return Err(wrong("mac_file", "a key file: messages of the dialect bear a MAC")),
                }
            }
        }
        if let Some((pin, file)) = settings.pin.as_ref().zip(self.pin_file.as_ref()) {
            keys.add(SlotUse::Pin, Direction::Send, read(file, KeyUsage::Pin, &|length| pin.format.key_kind(length))?);
        }
        match settings.exchange.map(|exchange| exchange.form) {
            Some(KeyForm::Cryptogram) => {
                let file = self.zone_key_file.as_ref();
                let file = file.ok_or_else(|| wrong("zone_key_file", "a key file: the dialect exchanges keys"))?;
                keys.set_zone(read(file, KeyUsage::KeyWrapping, &zone_kind)?);
            }
            Some(KeyForm::KeyBlock) => {
                let key = protection.ok_or_else(|| wrong("key_block_file", "a key file: keys come in key blocks"))?;
                keys.set_protection(key);
            }
            None => {}
        }
        Ok(keys)
    }

    /// By what there is a key for PINs, or will be: the key of the host's table that says so.
    pub(super) fn takes_pins(&self, settings: &KeySettings) -> Option<&'static str> {
        let is_brought = is_brought(settings, SlotUse::Pin, Direction::Send);
        self.pin_file.as_ref().map(|_| "keys.pin_file").or(is_brought.then_some("dialect"))
    }

    /// A file for something that the dialect does not have, and the section where it would.
    fn superfluous(&self, settings: &KeySettings) -> Option<(&'static str, &'static str)> {
        let exchanges = settings.exchange.as_ref().is_some_and(|exchange| exchange.form == KeyForm::Cryptogram);
        let files = [
            (self.mac_file.is_some() && settings.mac.is_none(), "mac_file", "mac"),
            (self.mac_receive_file.is_some() && settings.mac.is_none(), "mac_receive_file", "mac"),
            (self.pin_file.is_some() && settings.pin.is_none(), "pin_file", "pin"),
            (self.zone_key_file.is_some() && !exchanges, "zone_key_file", "exchange"),
        ];
        files.into_iter().find(|(is_wrong, ..)| *is_wrong).map(|(_, key, section)| (key, section))
    }

    fn protection(&self, folder: &Path) -> Result<Option<Key>, Mistake> {
        let Some(file) = &self.key_block_file else { return Ok(None) };
        // Which cipher its digits are for, its length says alone: TDES has no 32 bytes, and AES is what is asked for.
        read_key(&folder.join(file), None, KeyUsage::KeyBlocks, KeyKind::aes).map(Some)
    }
}

/// Whether a key comes over the line.
fn is_brought(settings: &KeySettings, usage: SlotUse, direction: Direction) -> bool {
    settings.exchange.as_ref().is_some_and(|exchange| exchange.brought().any(|slot| slot == (usage, direction)))
}

fn zone_kind(length: usize) -> Option<KeyKind> {
    KeyKind::des(length).filter(|kind| *kind != KeyKind::Des)
}

/// A key from its file: digits, or a block under the protection key.
pub(super) fn read_key(
    path: &Path,
    protection: Option<&Key>,
    usage: KeyUsage,
    kind: impl Fn(usize) -> Option<KeyKind>,
) -> Result<Key, Mistake> {
    let wrong = |expected: &str| Mistake::about_file(path, expected);
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| wrong(&format!("a readable key file ({error})")))?;
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let protection =
            protection.ok_or_else(|| wrong("hexadecimal digits, or keys.key_block_file beside a block"))?;
        let block = KeyBlock::unwrap(protection, text).map_err(|fault| wrong(&format!("a key block ({fault})")))?;
        let fits = kind(block.key.kind().length()) == Some(block.key.kind()) && block.key.usage() == usage;
        return if fits { Ok(block.key) } else { Err(wrong("a key of the kind and use that the dialect asks for")) };
    }
    let kind = kind(text.len() / 2).ok_or_else(|| wrong("a key of a length that the dialect's method takes"))?;
    Key::parse(kind, usage, text).map_err(|fault| wrong(&format!("a key ({fault})")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::dialects;
    use crate::security::{KeyBlockHeader, MacMethod};

    const DIGITS: &str = "0123456789ABCDEFFEDCBA9876543210";

    fn written(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("isthmus-host-keys-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_dialects_that_have_keys_say_so() {
        let of = |name: &str| key_settings(&dialects::builtin_layers(name).unwrap().unwrap()).unwrap();
        for name in dialects::names() {
            let has_keys = ["as2805", "unionpay-pos"].contains(name);
            assert_eq!(of(name).mac.is_some(), has_keys, "{name}");
        }
        assert_eq!(of("as2805").mac.unwrap().significant, 4);
        let terminals = of("unionpay-pos");
        assert_eq!(terminals.mac.unwrap().method, MacMethod::UnionPayEcb);
        assert_eq!(terminals.pin.unwrap().control, Some((53, "2600000000000000".to_owned())));
    }

    #[test]
    fn mistakes_of_a_dialect_stand_on_their_line() {
        let text = "name = 'x'\ntitle = 'x'\nextends = 'iso8583-1987-ascii'\n\n[keys.mac]\nmethod = 'aes-cmac'\n";
        let wrong = |more: &str| {
            let layers = dialects::layers("own.toml", &format!("{text}{more}")).unwrap();
            let mistake = key_settings(&layers).unwrap_err();
            (mistake.origin, mistake.line, mistake.key)
        };
        let at = |line, key: &str| ("own.toml".to_owned(), line, key.to_owned());
        assert_eq!(wrong("significant = 9"), at(7, "keys.mac.significant"));
        assert_eq!(wrong("[keys.exchange]\nby = 'answer'\nelement = 1\nkeys = []"), at(9, "keys.exchange.element"));
        assert_eq!(wrong("significance = 8"), at(7, "keys"));
    }

    #[test]
    fn digits_and_blocks_give_the_same_key() {
        let protection = Key::parse(KeyKind::Aes128, KeyUsage::KeyBlocks, DIGITS).unwrap();
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Mac, DIGITS).unwrap();
        let header = KeyBlockHeader { usage: "M3".to_owned(), mode: 'C', number: "00".to_owned(), exportability: 'N' };
        let block = KeyBlock { header, key: key.clone() }.wrap(&protection, &[7; 32]).unwrap();
        let (plain, block) = (written("plain", DIGITS), written("block", &(block + "\n")));
        let read = |path: &Path, usage| read_key(path, Some(&protection), usage, KeyKind::des);
        assert_eq!(read(&plain, KeyUsage::Mac).unwrap(), key);
        assert_eq!(read(&block, KeyUsage::Mac).unwrap(), key);
        assert!(read(&block, KeyUsage::Pin).is_err(), "the block says what it is for");
        assert!(read_key(&block, None, KeyUsage::Mac, KeyKind::des).is_err());
        assert!(read_key(&plain, None, KeyUsage::Mac, |_| None).is_err());
        assert!(read(Path::new("/nonexistent"), KeyUsage::Mac).is_err());
        [plain, block].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
}
