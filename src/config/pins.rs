//! The `[pin]` table: whether PINs may be handled by software, and the keys under which merchants' terminals encipher
//! them.
//!
//! ```toml
//! [pin]
//! accept_software_pin = true      # for demonstrations and tests alone: PCI PIN asks for an HSM
//!
//! [[pin.keys]]
//! merchant = "shop"
//! name = "till"                   # one that stays
//! file = "till.key"
//!
//! [[pin.keys]]
//! merchant = "shop"
//! serial_prefix = "FFFF98"        # one for each transaction: how its serial numbers begin
//! cipher = "tdes"                 # or aes, of the base derivation key in the file
//! file = "base.key"
//! ```

use super::host_keys::read_key;
use super::mistake::Mistake;
use crate::keys::{MerchantPinKey, MerchantPins, PinKeySource};
use crate::payment::MerchantId;
use crate::security::{Key, KeyKind, KeyUsage};
use data_encoding::HEXUPPER_PERMISSIVE;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The `[pin]` table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PinConfig {
    /// Whether PINs may lie in the memory of this process for a moment.
    pub accept_software_pin: bool,
    /// The merchants' keys.
    pub keys: Vec<PinKeyConfig>,
}

/// A PIN key of a merchant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinKeyConfig {
    /// Whose.
    pub merchant: String,
    /// The name of one that stays.
    pub name: Option<String>,
    /// How the serial numbers begin for which the file holds the base key, in hexadecimal digits.
    pub serial_prefix: Option<String>,
    /// The cipher of the key.
    #[serde(default)]
    pub cipher: PinCipher,
    /// The key: hexadecimal digits.
    pub file: PathBuf,
}

/// The cipher of a terminal.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PinCipher {
    #[default]
    Tdes,
    Aes,
}

impl PinConfig {
    /// Reads the keys. `taken`: the key of the file by which a bank takes PINs, if one does.
    pub(super) fn read(&self, taken: Option<String>, folder: &Path, path: &Path) -> Result<MerchantPins, Vec<Mistake>> {
        if let Some(asks) = taken.or((!self.keys.is_empty()).then(|| "pin.keys".to_owned()))
            && !self.accept_software_pin
        {
            let expected = "pin.accept_software_pin = true, or no PIN keys: this service keeps keys in software, which \
                            is good for a demonstration or a test, and not for cardholders' PINs";
            return Err(vec![Mistake::in_file(path, &asks, expected)]);
        }
        let (mut pins, mut mistakes) = (MerchantPins::default(), Vec::new());
        for (number, key) in self.keys.iter().enumerate() {
            let wrong =
                |name: &str, expected: &str| Mistake::in_file(path, &format!("pin.keys[{number}].{name}"), expected);
            match key.read(folder, &wrong) {
                _ if self.keys.iter().take(number).any(|earlier| earlier.is_found_as(key)) => {
                    mistakes.push(wrong("merchant", "a key that no earlier one is found in place of"));
                }
                Ok(key) => pins.add(key),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Ok(pins) } else { Err(mistakes) }
    }
}

impl PinKeyConfig {
    fn read(&self, folder: &Path, wrong: &dyn Fn(&str, &str) -> Mistake) -> Result<MerchantPinKey, Mistake> {
        let merchant = MerchantId::new(&self.merchant);
        let merchant = merchant.ok_or_else(|| wrong("merchant", "the id of a merchant"))?;
        let key = |usage: KeyUsage| -> Result<Key, Mistake> {
            read_key(&folder.join(&self.file), None, usage, |length| self.cipher.kind(length))
        };
        let source = match (&self.name, &self.serial_prefix) {
            (Some(name), None) => PinKeySource::Static { name: name.clone(), key: key(KeyUsage::Pin)? },
            (None, Some(digits)) => {
                let prefix = HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok().filter(|prefix| prefix.len() <= 8);
                let prefix = prefix.ok_or_else(|| wrong("serial_prefix", "at most 16 hexadecimal digits, in pairs"))?;
                PinKeySource::Dukpt { prefix, base: key(KeyUsage::Derivation)? }
            }
            _ => return Err(wrong("name", "a name, or else a serial_prefix")),
        };
        Ok(MerchantPinKey { merchant, source })
    }

    /// Whether a block could mean either key.
    fn is_found_as(&self, other: &PinKeyConfig) -> bool {
        let begins_alike = |one: &String, other: &String| {
            let (one, other) = (one.to_ascii_uppercase(), other.to_ascii_uppercase());
            one.starts_with(&other) || other.starts_with(&one)
        };
        let same_name = self.name.is_some() && self.name == other.name;
        let prefixes = self.serial_prefix.as_ref().zip(other.serial_prefix.as_ref());
        self.merchant == other.merchant && (same_name || prefixes.is_some_and(|(one, other)| begins_alike(one, other)))
    }
}

impl PinCipher {
    fn kind(self, length: usize) -> Option<KeyKind> {
        match self {
            PinCipher::Tdes => KeyKind::des(length).filter(|kind| *kind != KeyKind::Des),
            PinCipher::Aes => KeyKind::aes(length),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str, is_taken: bool) -> Result<bool, String> {
        let taken = is_taken.then(|| "hosts[0].keys.pin_file".to_owned());
        let pins = toml::from_str::<PinConfig>(text).unwrap().read(taken, Path::new("/nowhere"), Path::new("f"));
        pins.map(|pins| pins.is_empty()).map_err(|mistakes| mistakes[0].key.clone())
    }

    #[test]
    fn software_takes_no_pins_unless_it_is_told_to() {
        let key = "[[keys]]\nmerchant = 'shop'\nname = 'till'\nfile = 'x'";
        assert_eq!(read("", false), Ok(true));
        assert_eq!(read("", true), Err("hosts[0].keys.pin_file".to_owned()));
        assert_eq!(read(key, false), Err("pin.keys".to_owned()));
        assert_eq!(read("accept_software_pin = true", true), Ok(true));
    }

    #[test]
    fn a_key_is_found_in_one_way() {
        let with = |ways: &str| {
            read(&format!("accept_software_pin = true\n[[keys]]\nmerchant = 'shop'\nfile = 'x'\n{ways}"), true)
        };
        assert_eq!(with(""), Err("pin.keys[0].name".to_owned()));
        assert_eq!(with("name = 'a'\nserial_prefix = 'FF'"), Err("pin.keys[0].name".to_owned()));
        assert_eq!(with("serial_prefix = 'F'"), Err("pin.keys[0].serial_prefix".to_owned()));
        assert_eq!(with("name = 'a'"), Err(String::new()), "its file cannot be read");
    }

    #[test]
    fn no_two_keys_are_found_in_one_way() {
        let both = |one: &str, other: &str| {
            let keys = [one, other].map(|way| format!("[[keys]]\nmerchant = 'shop'\nfile = 'x'\n{way}\n")).concat();
            let config: PinConfig = toml::from_str(&format!("accept_software_pin = true\n{keys}")).unwrap();
            let mistakes = config.read(None, Path::new("/nowhere"), Path::new("f")).unwrap_err();
            mistakes.iter().any(|mistake| mistake.key == "pin.keys[1].merchant")
        };
        assert!(both("name = 'a'", "name = 'a'") && !both("name = 'a'", "name = 'b'"));
        assert!(both("serial_prefix = 'FFff'", "serial_prefix = 'fF'"));
        assert!(!both("serial_prefix = 'FF'", "serial_prefix = 'FE'") && !both("name = 'a'", "serial_prefix = 'FE'"));
    }
}
