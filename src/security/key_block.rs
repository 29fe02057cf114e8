//! Key blocks (ANSI X9.143, before it TR-31): a key bound to what it is for.
//!
//! Two versions are written and read: B (TDES protects, keys derived from the protection key) and D (AES). Versions A
//! and C protect by variants of the protection key and are refused. The surprise: what is enciphered is checked after
//! it was deciphered, because the MAC covers the clear key and is the start value of its encipherment.

use super::cipher::{Cipher, cmac};
use super::hex;
use super::key::{Key, KeyFault, KeyKind, KeyUsage};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const HEADER: usize = 16;
/// The longest block that is read; the standard's length field ends at 9999.
const LONGEST: usize = 9999;

/// How a block is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBlockVersion {
    /// Under TDES.
    B,
    /// Under AES.
    D,
}

/// What stands in front of a key, readable and protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBlockHeader {
    /// What the key is for, two characters: P0 PIN, M1 M3 M6 MAC, B0 base derivation, K0 wrapping, K1 key blocks.
    pub usage: String,
    /// What it may do: E, D, B, G, V, C, X or N.
    pub mode: char,
    /// Version of the key, two characters; 00 where it has none.
    pub number: String,
    /// Whether it may leave again: E, N or S.
    pub exportability: char,
}

/// Why a block is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyBlockFault {
    /// The protection key or the key inside.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// Version A or C, which later editions withdrew, or one that nobody knows.
    #[error("a key block of version B or D is expected")]
    Version,
    /// Its length, a character or an optional block is not as the standard has it.
    #[error("the key block is malformed at character {0}")]
    Malformed(usize),
    /// A use or an algorithm that keys have no name for here.
    #[error("the key block holds a key for a use that is not supported")]
    Usage,
    /// The key inside is stronger than what protects it.
    #[error("the key is stronger than the key that protects it")]
    Weak,
    /// Its authentication code is wrong: another protection key, or damage.
    #[error("the key block is not authentic under this protection key")]
    Mac,
}

impl KeyBlockFault {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key(fault) => fault.code(),
            Self::Version => "key_block_version",
            Self::Malformed(_) => "key_block_malformed",
            Self::Usage => "key_block_usage",
            Self::Weak => "key_block_weak",
            Self::Mac => "key_block_mac",
        }
    }
}

/// A key with its header, out of its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBlock {
    /// What was said of the key.
    pub header: KeyBlockHeader,
    /// The key.
    pub key: Key,
}

impl KeyBlock {
    /// Writes a block under a protection key: version B under TDES, D under AES. `random` fills the key up to the
    /// longest of its cipher, so that the block does not tell its length.
    pub fn wrap(&self, protection: &Key, random: &[u8; 32]) -> Result<String, KeyBlockFault> {
        let protection = Protection::of(protection)?;
        let (algorithm, longest) = algorithm(self.key.kind());
        protection.may_hold(self.key.kind())?;
        if usage(&self.header.usage) != Some(self.key.usage()) {
            return Err(KeyBlockFault::Usage);
        }
        let mut clear = Zeroizing::new(((self.key.bytes().len() * 8) as u16).to_be_bytes().to_vec());
        clear.extend_from_slice(self.key.bytes());
        let whole = (2 + longest).next_multiple_of(protection.block());
        let filler = whole - clear.len();
        clear.extend(random.iter().take(filler));
        let length = HEADER + 2 * (whole + protection.block());
        let KeyBlockHeader { usage, mode, number, exportability } = &self.header;
        let version = protection.version_letter();
        let header = format!("{version}{length:04}{usage}{algorithm}{mode}{number}{exportability}0000");
        if header.len() != HEADER || !header.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyBlockFault::Malformed(0));
        }
        let mac = protection.mac(header.as_bytes(), &clear);
        protection.cipher.encrypt_chained(&mac, &mut clear);
        let digits = [hex::digits(&clear), hex::digits(&mac)].concat();
        Ok(header + std::str::from_utf8(&digits).expect("hexadecimal digits are text"))
    }

    /// Reads a block under a protection key.
    pub fn unwrap(protection: &Key, text: &str) -> Result<KeyBlock, KeyBlockFault> {
        let protection = Protection::of(protection)?;
        let outline = Outline::read(text)?;
        if outline.version != protection.version {
            return Err(KeyBlockFault::Key(KeyFault::Kind));
        }
        let (digits, mac) = outline.parts(2 * protection.block())?;
        let mut clear = Zeroizing::new(digits);
        protection.cipher.decrypt_chained(&mac, &mut clear);
        let own = protection.mac(outline.header.as_bytes(), &clear);
        if !bool::from(own.ct_eq(&mac)) {
            return Err(KeyBlockFault::Mac);
        }
        let usage = usage(&outline.fields.usage).ok_or(KeyBlockFault::Usage)?;
        let bytes = key_bytes(&clear).ok_or(KeyBlockFault::Malformed(outline.header.len()))?;
        let kind = kind(outline.algorithm, bytes.len()).ok_or(KeyBlockFault::Usage)?;
        protection.may_hold(kind)?;
        Ok(KeyBlock { header: outline.fields, key: Key::new(kind, usage, bytes)? })
    }
}

/// The length in bits, the key, and what fills it up.
fn key_bytes(clear: &[u8]) -> Option<&[u8]> {
    let (length, rest) = clear.split_first_chunk::<2>()?;
    let bits = usize::from(u16::from_be_bytes(*length));
    rest.get(..bits / 8).filter(|_| bits.is_multiple_of(8))
}

/// The cipher's letter, and the bytes of its longest key.
fn algorithm(kind: KeyKind) -> (char, usize) {
    match kind {
        KeyKind::Des => ('D', 24),
        KeyKind::Tdes2 | KeyKind::Tdes3 => ('T', 24),
        KeyKind::Aes128 | KeyKind::Aes192 | KeyKind::Aes256 => ('A', 32),
    }
}

fn kind(algorithm: char, length: usize) -> Option<KeyKind> {
    match algorithm {
        'D' => KeyKind::des(length).filter(|kind| *kind == KeyKind::Des),
        'T' => KeyKind::des(length).filter(|kind| *kind != KeyKind::Des),
        'A' => KeyKind::aes(length),
        _ => None,
    }
}

/// Key usage (X9.143 table 2): those that keys have a name for here.
fn usage(code: &str) -> Option<KeyUsage> {
    match code {
        "P0" => Some(KeyUsage::Pin),
        "M0" | "M1" | "M3" | "M5" | "M6" => Some(KeyUsage::Mac),
        "B0" => Some(KeyUsage::Derivation),
        "K0" => Some(KeyUsage::KeyWrapping),
        "K1" => Some(KeyUsage::KeyBlocks),
        _ => None,
    }
}

/// The two keys derived from a protection key (X9.143, 5.3.2): one enciphers, one authenticates.
struct Protection {
    version: KeyBlockVersion,
    length: usize,
    cipher: Cipher,
    authentication: Key,
}

impl Protection {
    fn of(key: &Key) -> Result<Protection, KeyFault> {
        let kind = key.for_use(KeyUsage::KeyBlocks)?.kind();
        let version = if kind.is_aes() { KeyBlockVersion::D } else { KeyBlockVersion::B };
        let encryption = derived(key, 0)?;
        Ok(Protection {
            version,
            length: kind.length(),
            cipher: Cipher::of(&encryption),
            authentication: derived(key, 1)?,
        })
    }

    fn block(&self) -> usize {
        self.cipher.size()
    }

    fn version_letter(&self) -> char {
        match self.version {
            KeyBlockVersion::B => 'B',
            KeyBlockVersion::D => 'D',
        }
    }

    fn mac(&self, header: &[u8], clear: &[u8]) -> Vec<u8> {
        cmac(&self.authentication, &[header, clear])
    }

    /// A key is never protected by a weaker one (X9.24-1, 7.4).
    fn may_hold(&self, kind: KeyKind) -> Result<(), KeyBlockFault> {
        let weak = kind.is_aes() && (self.version == KeyBlockVersion::B || kind.length() > self.length);
        if weak { Err(KeyBlockFault::Weak) } else { Ok(()) }
    }
}

/// A key derived from the protection key by CMAC in counter mode; purpose 0 enciphers, 1 authenticates.
fn derived(key: &Key, purpose: u8) -> Result<Key, KeyFault> {
    let (kind, length) = (key.kind(), key.kind().length());
    let algorithm = match kind {
        KeyKind::Des => return Err(KeyFault::Kind),
        KeyKind::Tdes2 => 0,
        KeyKind::Tdes3 => 1,
        KeyKind::Aes128 => 2,
        KeyKind::Aes192 => 3,
        KeyKind::Aes256 => 4,
    };
    let [high, low] = ((length * 8) as u16).to_be_bytes();
    let blocks = 1..=length.div_ceil(kind.block()) as u8;
    let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(
        blocks.flat_map(|count| cmac(key, &[&[count, 0, purpose, 0, 0, algorithm, high, low]])).collect(),
    );
    bytes.truncate(length);
    Key::new(kind, KeyUsage::KeyBlocks, &bytes)
}

/// A block's text, divided.
struct Outline<'a> {
    version: KeyBlockVersion,
    fields: KeyBlockHeader,
    algorithm: char,
    /// The header with its optional blocks: all that is protected but not enciphered.
    header: &'a str,
    rest: &'a str,
}

impl<'a> Outline<'a> {
    fn read(text: &'a str) -> Result<Outline<'a>, KeyBlockFault> {
        let version = match text.as_bytes().first() {
            Some(b'B') => KeyBlockVersion::B,
            Some(b'D') => KeyBlockVersion::D,
            _ => return Err(KeyBlockFault::Version),
        };
        let wrong = KeyBlockFault::Malformed;
        if text.len() > LONGEST || !text.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
            return Err(wrong(1));
        }
        let field = |from: usize, to: usize| text.get(from..to).ok_or(wrong(from));
        let letter = |at: usize| field(at, at + 1).map(|text| text.chars().next().unwrap_or(' '));
        if number(field(1, 5)?, 10) != Some(text.len()) {
            return Err(wrong(1));
        }
        let count = number(field(12, 14)?, 10).ok_or(wrong(12))?;
        let (header, rest) = text.split_at_checked(optional_end(text, count)?).ok_or(wrong(12))?;
        let fields = KeyBlockHeader {
            usage: field(5, 7)?.to_owned(),
            mode: letter(8)?,
            number: field(9, 11)?.to_owned(),
            exportability: letter(11)?,
        };
        Ok(Outline { version, fields, algorithm: letter(7)?, header, rest })
    }

    /// The enciphered key and the authentication code of this many digits behind it.
    fn parts(&self, mac_digits: usize) -> Result<(Vec<u8>, Vec<u8>), KeyBlockFault> {
        let wrong = KeyBlockFault::Malformed(self.header.len());
        let key_digits = self.rest.len().checked_sub(mac_digits).ok_or(wrong)?;
        let (key, mac) = self.rest.split_at_checked(key_digits).ok_or(wrong)?;
        let (key, mac) = (hex::bytes(key).ok_or(wrong)?, hex::bytes(mac).ok_or(wrong)?);
        if key.is_empty() || !key.len().is_multiple_of(mac.len()) { Err(wrong) } else { Ok((key, mac)) }
    }
}

/// Where the optional blocks end: each has an id of two characters, its length, and what it says.
fn optional_end(text: &str, count: usize) -> Result<usize, KeyBlockFault> {
    let mut at = HEADER;
    for _ in 0..count {
        let length = optional_length(text, at).filter(|length| *length >= 4);
        at += length.ok_or(KeyBlockFault::Malformed(at))?;
    }
    Ok(at)
}

/// The length of an optional block, id included: two hexadecimal digits, or 00, how many bytes the length has, and it.
fn optional_length(text: &str, at: usize) -> Option<usize> {
    let short = number(text.get(at + 2..at + 4)?, 16)?;
    if short > 0 {
        return Some(short);
    }
    let digits = 2 * number(text.get(at + 4..at + 6)?, 16).filter(|bytes| (1..=2).contains(bytes))?;
    number(text.get(at + 6..at + 6 + digits)?, 16)
}

fn number(digits: &str, radix: u32) -> Option<usize> {
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    usize::from_str_radix(digits, radix).ok().filter(|_| all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // TR-31:2018 A.7.2.2, and the D block of ISO 20038:2017 B.2: their keys and the blocks printed there.
    const TDES_PROTECTION: &str = "DD7515F2BFC17F85CE48F3CA25CB21F6";
    const TDES_BLOCK: &str = "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E";
    const AES_PROTECTION: &str = "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6";
    const AES_BLOCK: &str = concat!(
        "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D2",
        "07E2E417C07156A27E8E31DA05F7425509593D03A457DC34"
    );
    const KEY: &str = "3F419E1CB7079442AA37474C2EFBF8B8";

    fn tdes() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::KeyBlocks, TDES_PROTECTION).unwrap()
    }

    fn aes() -> Key {
        Key::parse(KeyKind::Aes256, KeyUsage::KeyBlocks, AES_PROTECTION).unwrap()
    }

    fn header(usage: &str) -> KeyBlockHeader {
        KeyBlockHeader { usage: usage.to_owned(), mode: 'B', number: "00".to_owned(), exportability: 'E' }
    }

    #[test]
    fn blocks_as_published() {
        let read = KeyBlock::unwrap(&tdes(), TDES_BLOCK).unwrap();
        assert_eq!(read.key, Key::parse(KeyKind::Tdes2, KeyUsage::Pin, KEY).unwrap());
        assert_eq!(read.header, KeyBlockHeader { mode: 'E', ..header("P0") });
        let read = KeyBlock::unwrap(&aes(), AES_BLOCK).unwrap();
        assert_eq!(read.key, Key::parse(KeyKind::Aes128, KeyUsage::Pin, KEY).unwrap());
    }

    #[test]
    fn a_block_comes_back_under_its_own_key_only() {
        let other = Key::parse(KeyKind::Tdes2, KeyUsage::KeyBlocks, KEY).unwrap();
        for (usage, name) in [(KeyUsage::Mac, "M3"), (KeyUsage::Derivation, "B0"), (KeyUsage::KeyWrapping, "K0")] {
            let key = Key::parse(KeyKind::Tdes2, usage, KEY).unwrap();
            let block = KeyBlock { header: header(name), key };
            let text = block.wrap(&tdes(), &[7; 32]).unwrap();
            assert_eq!(KeyBlock::unwrap(&tdes(), &text).unwrap(), block);
            assert_eq!(KeyBlock::unwrap(&other, &text).unwrap_err(), KeyBlockFault::Mac);
            assert_eq!(KeyBlock::unwrap(&aes(), &text).unwrap_err(), KeyBlockFault::Key(KeyFault::Kind));
        }
    }

    #[test]
    fn what_is_said_of_a_key_cannot_be_changed() {
        let changed = TDES_BLOCK.replacen("P0", "M3", 1);
        assert_eq!(KeyBlock::unwrap(&tdes(), &changed).unwrap_err(), KeyBlockFault::Mac);
        for place in 0..AES_BLOCK.len() {
            let mut text = AES_BLOCK.as_bytes().to_vec();
            text[place] = if text[place] == b'0' { b'1' } else { b'0' };
            assert!(KeyBlock::unwrap(&aes(), std::str::from_utf8(&text).unwrap()).is_err(), "character {place}");
        }
    }

    #[test]
    fn withdrawn_versions_are_refused() {
        for letter in ["A", "C", "E", "", "é"] {
            let text = TDES_BLOCK.replacen('B', letter, 1);
            assert_eq!(KeyBlock::unwrap(&tdes(), &text).unwrap_err(), KeyBlockFault::Version);
        }
    }

    #[test]
    fn any_cut_is_refused() {
        for end in 0..AES_BLOCK.len() {
            assert!(KeyBlock::unwrap(&aes(), &AES_BLOCK[..end]).is_err());
        }
        let counts = ["B0080P0TE00E9900", "B0016P0TE00E0000", "B0020P0TE00E0100KS00", "B0020P0TE00E0100KSFF"];
        for text in counts {
            assert!(matches!(KeyBlock::unwrap(&tdes(), text), Err(KeyBlockFault::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn optional_blocks_are_passed_over_and_protected() {
        // TR-31:2018 A.7.3.2: a base derivation key with the serial number of its terminal.
        let protection = Key::parse(KeyKind::Tdes2, KeyUsage::KeyBlocks, "1D22BF32387C600AD97F9B97A51311AC").unwrap();
        let text = concat!(
            "B0104B0TX12S0100KS1800604B120F9292800000",
            "BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627"
        );
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Derivation, "E8BC63E5479455E26577F715D587FE68").unwrap();
        assert_eq!(KeyBlock::unwrap(&protection, text).unwrap().key, key);
        let changed = text.replacen("0604B", "0604C", 1);
        assert_eq!(KeyBlock::unwrap(&protection, &changed).unwrap_err(), KeyBlockFault::Mac);
    }

    #[test]
    fn a_key_is_not_stronger_than_its_protection() {
        let key = Key::parse(KeyKind::Aes128, KeyUsage::Pin, KEY).unwrap();
        let block = KeyBlock { header: header("P0"), key };
        assert_eq!(block.wrap(&tdes(), &[0; 32]).unwrap_err(), KeyBlockFault::Weak);
        let wrong = KeyBlock { header: header("M3"), ..block };
        assert_eq!(wrong.wrap(&aes(), &[0; 32]).unwrap_err(), KeyBlockFault::Usage);
    }
}
