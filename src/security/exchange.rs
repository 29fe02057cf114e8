//! How working keys come from a host while the line is up: the `[keys.exchange]` table of a dialect.
//!
//! ```toml
//! [keys.exchange]
//! by = "answer"              # answer: that to our key change; sign-on: that to our sign-on; host: its own request
//! element = 48               # where the keys stand, as hexadecimal digits (those of its bytes, where it is binary)
//! skip = 0                   # characters before the first of them
//! form = "cryptogram"        # each block under the zone master key (ANSI X9.17), or key-block (ANSI X9.143)
//! keys = [{ use = "mac", length = 16, check_value = 3 }, { use = "pin", length = 16, check_value = 3 }]
//! told_by = 53               # where each message brings one key only: the element whose text begins with its `when`
//! renewed = "sign-on"        # whenever the first link of the host signs on, or "start": once in a run
//! overlap_ms = 60000         # how long the key before is good still
//! max_age_ms = 86400000      # a change is asked for after that; never if absent
//! mac_errors = 3             # and after so many MACs that were wrong or missing; 0: never
//! complaints = ["A0"]        # response codes by which the host says that ours was wrong
//! refused = "96"             # what a host is answered whose keys cannot be taken
//! ```
//!
//! What is read here stays enciphered: it says which characters are which key, and a key service makes keys of them.

use super::hex;
use super::slot::{Direction, SlotUse};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// How working keys come from a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// Which of the messages brings them.
    pub by: Bringer,
    /// When they have to be exchanged anew though they are not old.
    pub renewed: Renewed,
    /// Where they stand.
    pub element: u8,
    /// The element that says which key a message brings, where it brings one only.
    pub told_by: Option<u8>,
    /// How each is protected.
    pub form: KeyForm,
    /// How long the key before is good still.
    pub overlap: Duration,
    /// Age at which a change is asked for.
    pub max_age: Option<Duration>,
    /// Wrong or missing MACs after which a change is asked for; 0 for never.
    pub mac_errors: u32,
    /// Response codes by which the host says that a MAC of ours was wrong.
    pub complaints: Vec<String>,
    /// What a host is answered whose keys cannot be taken.
    pub refused: String,
    skip: usize,
    keys: Vec<KeyPart>,
}

/// Which message brings the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bringer {
    /// The answer to our key change.
    Answer,
    /// The answer to our sign-on.
    SignOn,
    /// A request of the host's own, after the sign-on.
    Host,
}

/// When keys have to be exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Renewed {
    /// Whenever the first link of a host signs on.
    #[default]
    SignOn,
    /// Once in a run.
    Start,
}

/// How a key is protected on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// Block by block under a zone master key.
    #[default]
    Cryptogram,
    /// In a key block.
    KeyBlock,
}

/// One of the keys that a message brings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyPart {
    #[serde(rename = "use")]
    usage: PartUse,
    /// Bytes of its cryptogram; a key block tells its own length.
    length: Option<usize>,
    /// Bytes behind the cryptogram that mean nothing.
    #[serde(default)]
    filler: usize,
    /// Bytes of the check value behind that.
    #[serde(default)]
    check_value: usize,
    /// How the text of `told_by` begins where a message brings this one.
    when: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PartUse {
    Mac,
    MacSend,
    MacReceive,
    Pin,
}

/// A key that a host offers, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// What it is for.
    pub usage: SlotUse,
    /// Which ways.
    pub directions: &'static [Direction],
    /// The key, enciphered.
    pub protected: ProtectedKey,
}

/// An enciphered key.
#[derive(Clone, PartialEq, Eq)]
pub enum ProtectedKey {
    /// Under a zone master key, with the check value that came with it.
    Cryptogram {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Two to five bytes, where the host sends one.
        check_value: Option<Vec<u8>>,
    },
    /// In a key block.
    Block(String),
}

/// Says what the key is for: enciphered or not, it has no place in a log.
impl fmt::Debug for OfferedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfferedKey({:?}, {:?}, ***)", self.usage, self.directions)
    }
}

impl ExchangeSettings {
    /// The keys that a message offers, by the texts of its elements. `None` where it offers none, or not in the form
    /// that is expected.
    pub fn offered<T: AsRef<str>>(&self, text: impl Fn(u8) -> Option<T>) -> Option<Vec<OfferedKey>> {
        let value = text(self.element)?;
        let told = self.told_by.map(|element| text(element).map_or(String::new(), |text| text.as_ref().to_owned()));
        let mut rest = value.as_ref().get(self.skip..)?;
        let is_meant = |part: &&KeyPart| match (&told, &part.when) {
            (Some(told), Some(when)) => told.starts_with(when.as_str()),
            _ => true,
        };
        let mut offered = Vec::new();
        for part in self.keys.iter().filter(is_meant) {
            let (key, behind) = part.take(self.form, rest)?;
            offered.push(key);
            rest = behind;
        }
        (!offered.is_empty()).then_some(offered)
    }

    /// All that has to be brought before traffic may flow.
    pub fn brought(&self) -> impl Iterator<Item = (SlotUse, Direction)> {
        self.keys.iter().flat_map(|part| {
            let (usage, directions) = part.slots();
            directions.iter().map(move |direction| (usage, *direction))
        })
    }
}

impl KeyPart {
    fn slots(&self) -> (SlotUse, &'static [Direction]) {
        match self.usage {
            PartUse::Mac => (SlotUse::Mac, &[Direction::Send, Direction::Receive]),
            PartUse::MacSend => (SlotUse::Mac, &[Direction::Send]),
            PartUse::MacReceive => (SlotUse::Mac, &[Direction::Receive]),
            PartUse::Pin => (SlotUse::Pin, &[Direction::Send]),
        }
    }

    /// This key, and what stands behind it.
    fn take<'t>(&self, form: KeyForm, text: &'t str) -> Option<(OfferedKey, &'t str)> {
        let (usage, directions) = self.slots();
        let (protected, rest) = match form {
            KeyForm::KeyBlock => {
                // The length of a block stands in it, behind the letter of its version.
                let length = text.get(1..5)?.parse().ok()?;
                let (block, rest) = text.split_at_checked(length)?;
                (ProtectedKey::Block(block.to_owned()), rest)
            }
            KeyForm::Cryptogram => {
                let (bytes, rest) = digits(text, self.length?)?;
                let (_, rest) = digits(rest, self.filler)?;
                let (value, rest) = digits(rest, self.check_value)?;
                let check_value = (self.check_value > 0).then_some(value);
                (ProtectedKey::Cryptogram { bytes, check_value }, rest)
            }
        };
        Some((OfferedKey { usage, directions, protected }, rest))
    }
}

fn digits(text: &str, bytes: usize) -> Option<(Vec<u8>, &str)> {
    let (digits, rest) = text.split_at_checked(2 * bytes)?;
    Some((hex::bytes(digits)?, rest))
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeTable {
    by: Bringer,
    element: u8,
    #[serde(default)]
    skip: usize,
    #[serde(default)]
    form: KeyForm,
    keys: Vec<KeyPart>,
    told_by: Option<u8>,
    #[serde(default)]
    renewed: Renewed,
    overlap_ms: Option<u64>,
    max_age_ms: Option<u64>,
    mac_errors: Option<u32>,
    #[serde(default)]
    complaints: Vec<String>,
    refused: Option<String>,
}

impl ExchangeTable {
    /// `Err` says which key of the table is wrong, and what was expected.
    pub(super) fn settings(self) -> Result<ExchangeSettings, (&'static str, &'static str)> {
        if !(2..=128).contains(&self.element) {
            return Err(("element", "an element from 2 to 128"));
        }
        if self.keys.is_empty() {
            return Err(("keys", "at least one key"));
        }
        self.keys.iter().try_for_each(|part| part.fits(self.form, self.told_by))?;
        if self.max_age_ms == Some(0) {
            return Err(("max_age_ms", "above zero, or absent"));
        }
        Ok(ExchangeSettings {
            by: self.by,
            renewed: self.renewed,
            element: self.element,
            told_by: self.told_by,
            form: self.form,
            overlap: Duration::from_millis(self.overlap_ms.unwrap_or(60_000)),
            max_age: self.max_age_ms.map(Duration::from_millis),
            mac_errors: self.mac_errors.unwrap_or(3),
            complaints: self.complaints,
            refused: self.refused.unwrap_or_else(|| "96".to_owned()),
            skip: self.skip,
            keys: self.keys,
        })
    }
}

impl KeyPart {
    fn fits(&self, form: KeyForm, told_by: Option<u8>) -> Result<(), (&'static str, &'static str)> {
        match (form, self.length) {
            (KeyForm::Cryptogram, Some(8 | 16 | 24)) => {}
            (KeyForm::Cryptogram, _) => return Err(("keys.length", "8, 16 or 24 bytes")),
            (KeyForm::KeyBlock, None) if self.filler == 0 && self.check_value == 0 => {}
            (KeyForm::KeyBlock, _) => return Err(("keys", "use and when only: a key block tells the rest")),
        }
        if !matches!(self.check_value, 0 | 2..=5) || self.filler > 64 {
            return Err(("keys", "a check_value of 2 to 5 bytes, or 0 for none; a filler of at most 64"));
        }
        match told_by.is_some() == self.when.is_some() {
            true => Ok(()),
            false => Err(("keys.when", "the beginning of told_by's text for each key, where there is told_by")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<ExchangeSettings, (&'static str, &'static str)> {
        toml::from_str::<ExchangeTable>(text).unwrap().settings()
    }

    fn offered(settings: &ExchangeSettings, elements: &[(u8, &str)]) -> Option<Vec<OfferedKey>> {
        settings.offered(|number| elements.iter().find(|(element, _)| *element == number).map(|(_, text)| *text))
    }

    fn bytes(key: &OfferedKey) -> (usize, usize) {
        match &key.protected {
            ProtectedKey::Cryptogram { bytes, check_value } => (bytes.len(), check_value.as_ref().map_or(0, Vec::len)),
            ProtectedKey::Block(text) => (text.len(), 0),
        }
    }

    #[test]
    fn keys_stand_behind_each_other_with_their_check_values() {
        // As a UnionPay terminal has them: a double-length PIN key, and a MAC key filled up to that length.
        let text = "by = 'sign-on'\nelement = 62\nkeys = [{ use = 'pin', length = 16, check_value = 4 },
            { use = 'mac', length = 8, filler = 8, check_value = 4 }]";
        let settings = read(text).unwrap();
        let value = "0123456789ABCDEFFEDCBA987654321008D7B4FB1111111111111111000000000000000082E13665";
        let keys = offered(&settings, &[(62, value)]).unwrap();
        assert_eq!((keys[0].usage, bytes(&keys[0])), (SlotUse::Pin, (16, 4)));
        assert_eq!((keys[1].usage, bytes(&keys[1])), (SlotUse::Mac, (8, 4)));
        assert_eq!(keys[1].directions.len(), 2, "one key for both ways");
        assert_eq!(offered(&settings, &[(62, &value[..78])]), None, "cut off");
        assert_eq!(offered(&settings, &[(62, &value.replace('F', "x"))]), None, "no digits");
        assert_eq!(offered(&settings, &[(48, value)]), None);
        assert!(!format!("{keys:?}").contains("1111"));
        assert_eq!(settings.brought().count(), 3);
    }

    #[test]
    fn one_key_a_message_is_told_by_another_element() {
        let text = "by = 'host'\nelement = 48\nskip = 2\ntold_by = 53
            keys = [{ use = 'pin', length = 16, when = '1' }, { use = 'mac', length = 16, when = '2' }]";
        let settings = read(text).unwrap();
        let value = "NK0123456789ABCDEFFEDCBA9876543210";
        let keys = offered(&settings, &[(48, value), (53, "2600000000000000")]).unwrap();
        assert_eq!((keys.len(), keys[0].usage), (1, SlotUse::Mac));
        assert_eq!(offered(&settings, &[(48, value), (53, "3")]), None, "neither of them");
        assert_eq!(offered(&settings, &[(48, value)]), None);
    }

    #[test]
    fn key_blocks_tell_their_own_length() {
        let text = "by = 'answer'\nelement = 48\nform = 'key-block'\nkeys = [{ use = 'mac-send' }, { use = 'pin' }]";
        let settings = read(text).unwrap();
        let block = |letter: char| format!("D0032{}", letter.to_string().repeat(27));
        let keys = offered(&settings, &[(48, &(block('A') + &block('B')))]).unwrap();
        assert!(keys[1].protected == ProtectedKey::Block(block('B')));
        assert_eq!(keys[0].directions, [Direction::Send]);
        assert_eq!(offered(&settings, &[(48, &block('A'))]), None, "the second is missing");
        assert_eq!(offered(&settings, &[(48, "Dé32")]), None);
    }

    #[test]
    fn mistakes_name_their_key() {
        let wrong = |text: &str| read(text).unwrap_err().0;
        let start = "by = 'answer'\nelement = 48\n";
        assert_eq!(wrong("by = 'answer'\nelement = 1\nkeys = []"), "element");
        assert_eq!(wrong(&format!("{start}keys = []")), "keys");
        assert_eq!(wrong(&format!("{start}keys = [{{ use = 'mac' }}]")), "keys.length");
        assert_eq!(wrong(&format!("{start}keys = [{{ use = 'mac', length = 16, check_value = 9 }}]")), "keys");
        assert_eq!(wrong(&format!("{start}keys = [{{ use = 'mac', length = 16, when = '1' }}]")), "keys.when");
        assert_eq!(wrong(&format!("{start}form = 'key-block'\nkeys = [{{ use = 'mac', length = 16 }}]")), "keys");
        assert_eq!(wrong(&format!("{start}max_age_ms = 0\nkeys = [{{ use = 'mac', length = 16 }}]")), "max_age_ms");
    }
}
