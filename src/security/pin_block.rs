//! Enciphered PIN blocks (ISO 9564-1, 9.3 and 9.4): formats 0, 1 and 3 under TDES, format 4 under AES.
//!
//! Format 2 belongs to chips read offline and never travels online. Formats 0, 3 and 4 are bound to the card number, so
//! that a block stolen for one card is worth nothing for another; format 1 is bound to nothing. The surprise: format 0
//! has no randomness, so equal PINs of one card have equal blocks under one key.

use super::cipher::{Cipher, xor};
use super::key::{Key, KeyFault, KeyKind, KeyUsage};
use super::pin::Pin;
use crate::payment::Pan;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How a PIN is laid out before it is enciphered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinBlockFormat {
    /// Format 0: filled with F, added to the card number.
    Iso0,
    /// Format 1: filled at random, no card number.
    Iso1,
    /// Format 3: as format 0, filled at random.
    Iso3,
    /// Format 4: 16 bytes under AES, enciphered before and after the card number is added.
    Iso4,
}

impl PinBlockFormat {
    /// The format of a number as contracts write it.
    pub fn of_number(number: u8) -> Option<PinBlockFormat> {
        match number {
            0 => Some(PinBlockFormat::Iso0),
            1 => Some(PinBlockFormat::Iso1),
            3 => Some(PinBlockFormat::Iso3),
            4 => Some(PinBlockFormat::Iso4),
            _ => None,
        }
    }

    /// The kind of a key of this many bytes that enciphers it; `None` where none is so long.
    pub fn key_kind(self, length: usize) -> Option<KeyKind> {
        match self {
            PinBlockFormat::Iso4 => KeyKind::aes(length),
            _ => KeyKind::des(length).filter(|kind| *kind != KeyKind::Des),
        }
    }

    /// Bytes of a block.
    pub fn length(self) -> usize {
        if self == PinBlockFormat::Iso4 { 16 } else { 8 }
    }
}

/// Why a PIN block cannot be made or read. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    /// The key is not a PIN key, or its cipher is not the format's.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A block of another length than the format has.
    #[error("the PIN block has another length than its format")]
    Length,
    /// What was deciphered is no PIN of this card: wrong key, wrong card number, or damage; which, nobody learns.
    #[error("the PIN block is not readable under this key and card number")]
    Unreadable,
    /// From a format that is bound to the card number to one that is not, or to another card (PCI PIN, 3-3).
    #[error("a PIN block may not be translated to this format")]
    Translation,
}

impl PinFault {
    /// A stable name for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key(fault) => fault.code(),
            Self::Length => "pin_block_length",
            Self::Unreadable => "pin_block_unreadable",
            Self::Translation => "pin_translation_forbidden",
        }
    }
}

/// An enciphered PIN block, as it travels. Lives only inside one request, and is in no record (PCI DSS 3.3.1.3).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PinBlock {
    bytes: [u8; 16],
    length: u8,
}

impl PinBlock {
    /// From its bytes; `None` where they are not 8 or 16.
    pub fn new(bytes: &[u8]) -> Option<PinBlock> {
        let mut block = PinBlock { bytes: [0; 16], length: bytes.len() as u8 };
        matches!(bytes.len(), 8 | 16).then(|| block.bytes[..bytes.len()].copy_from_slice(bytes)).map(|()| block)
    }

    /// Its bytes, for a wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for PinBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinBlock(***)")
    }
}

/// Enciphers a PIN. `random` fills what the format fills at random; each call takes new bytes.
pub fn encipher(
    format: PinBlockFormat,
    key: &Key,
    pin: &Pin,
    pan: &Pan,
    random: &[u8; 16],
) -> Result<PinBlock, PinFault> {
    let cipher = cipher_for(format, key)?;
    let mut block = laid_out(format, pin, random);
    match format {
        PinBlockFormat::Iso0 | PinBlockFormat::Iso3 => xor(&mut block, &*pan_part(pan)),
        PinBlockFormat::Iso1 => {}
        PinBlockFormat::Iso4 => {
            cipher.encrypt(&mut block);
            xor(&mut block, &*pan_block(pan));
        }
    }
    cipher.encrypt(&mut block);
    PinBlock::new(&block).ok_or(PinFault::Length)
}

/// Deciphers a PIN block; [`PinFault::Unreadable`] for whatever is wrong inside it.
pub fn decipher(format: PinBlockFormat, key: &Key, block: &PinBlock, pan: &Pan) -> Result<Pin, PinFault> {
    let cipher = cipher_for(format, key)?;
    if block.as_bytes().len() != format.length() {
        return Err(PinFault::Length);
    }
    let mut clear = Zeroizing::new(block.as_bytes().to_vec());
    cipher.decrypt(&mut clear);
    match format {
        PinBlockFormat::Iso0 | PinBlockFormat::Iso3 => xor(&mut clear, &*pan_part(pan)),
        PinBlockFormat::Iso1 => {}
        PinBlockFormat::Iso4 => {
            xor(&mut clear, &*pan_block(pan));
            cipher.decrypt(&mut clear);
        }
    }
    read(format, &clear).ok_or(PinFault::Unreadable)
}

fn cipher_for(format: PinBlockFormat, key: &Key) -> Result<Cipher, PinFault> {
    let key = key.for_use(KeyUsage::Pin)?;
    if key.kind().is_aes() != (format == PinBlockFormat::Iso4) {
        return Err(PinFault::Key(KeyFault::Kind));
    }
    Ok(Cipher::of(key))
}

/// The PIN field: control nibble, length, PIN, filler; format 4 has eight random bytes behind it.
fn laid_out(format: PinBlockFormat, pin: &Pin, random: &[u8; 16]) -> Zeroizing<Vec<u8>> {
    let control = [control(format), pin.digits().len() as u8];
    let given = control.iter().chain(pin.digits()).copied();
    let filler = random.iter().map(|random| filler(format, *random));
    let nibbles: Zeroizing<Vec<u8>> = Zeroizing::new(given.chain(filler).take(16).collect());
    let mut block: Zeroizing<Vec<u8>> = Zeroizing::new(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    if format == PinBlockFormat::Iso4 {
        block.extend_from_slice(&random[8..]);
    }
    block
}

fn control(format: PinBlockFormat) -> u8 {
    match format {
        PinBlockFormat::Iso0 => 0,
        PinBlockFormat::Iso1 => 1,
        PinBlockFormat::Iso3 => 3,
        PinBlockFormat::Iso4 => 4,
    }
}

/// A filler nibble: F, any, A to F, or A.
fn filler(format: PinBlockFormat, random: u8) -> u8 {
    match format {
        PinBlockFormat::Iso0 => 0xF,
        PinBlockFormat::Iso1 => random & 0xF,
        PinBlockFormat::Iso3 => 0xA + random % 6,
        PinBlockFormat::Iso4 => 0xA,
    }
}

fn is_filler(format: PinBlockFormat, nibble: u8) -> bool {
    match format {
        PinBlockFormat::Iso0 => nibble == 0xF,
        PinBlockFormat::Iso1 => true,
        PinBlockFormat::Iso3 => nibble >= 0xA,
        PinBlockFormat::Iso4 => nibble == 0xA,
    }
}

fn read(format: PinBlockFormat, clear: &[u8]) -> Option<Pin> {
    let nibbles: Zeroizing<Vec<u8>> =
        Zeroizing::new(clear.iter().take(8).flat_map(|byte| [byte >> 4, byte & 0xF]).collect());
    let (head, field) = nibbles.split_at_checked(2)?;
    let (digits, rest) = field.split_at_checked(usize::from(head[1]))?;
    let pin = Pin::from_digits(digits.iter().copied())?;
    (head[0] == control(format) && rest.iter().all(|nibble| is_filler(format, *nibble))).then_some(pin)
}

/// The twelve rightmost digits before the check digit, behind four zeros (ISO 9564-1, 9.3.2).
fn pan_part(pan: &Pan) -> Zeroizing<[u8; 8]> {
    let digits = pan.reveal().as_bytes();
    let before_check = &digits[..digits.len() - 1];
    let mut nibbles = Zeroizing::new([0; 16]);
    before_check.iter().rev().zip(nibbles.iter_mut().rev()).take(12).for_each(|(digit, nibble)| *nibble = digit & 0xF);
    packed(&*nibbles)
}

/// How many digits more than twelve, the digits, zeros (ISO 9564-1, 9.4.2.3).
fn pan_block(pan: &Pan) -> Zeroizing<[u8; 16]> {
    let digits = pan.reveal().as_bytes();
    let mut nibbles = Zeroizing::new([0; 32]);
    nibbles[0] = digits.len().saturating_sub(12) as u8;
    digits.iter().zip(nibbles.iter_mut().skip(1)).for_each(|(digit, nibble)| *nibble = digit & 0xF);
    packed(&*nibbles)
}

fn packed<const N: usize>(nibbles: &[u8]) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    nibbles.chunks(2).zip(bytes.iter_mut()).for_each(|(pair, byte)| *byte = pair[0] << 4 | pair[1]);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::hex;
    use super::*;

    const FORMATS: [PinBlockFormat; 4] =
        [PinBlockFormat::Iso0, PinBlockFormat::Iso1, PinBlockFormat::Iso3, PinBlockFormat::Iso4];

    fn key(format: PinBlockFormat) -> Key {
        let kind = if format == PinBlockFormat::Iso4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        Key::parse(kind, KeyUsage::Pin, "0123456789ABCDEFFEDCBA9876543210").unwrap()
    }

    fn pan(digits: &str) -> Pan {
        Pan::parse(digits).unwrap()
    }

    #[test]
    fn format_0_as_published() {
        // ANSI X9.24-1 annex A.4: PIN 1234 of card 4012345678909 under the first PIN key of its device.
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Pin, "042666B49184CF5C68DE9628D0397B36").unwrap();
        let (pin, pan) = (Pin::parse("1234").unwrap(), pan("4012345678909"));
        let block = encipher(PinBlockFormat::Iso0, &key, &pin, &pan, &[0; 16]).unwrap();
        assert_eq!(hex::digits(block.as_bytes()), b"1B9C1845EB993A7A");
    }

    #[test]
    fn format_4_as_published() {
        // Supplement to ANSI X9.24-3-2017, test vectors, format 4: the PIN key, filler and block printed there.
        let key = Key::parse(KeyKind::Aes128, KeyUsage::Pin, "AF8CB133A78F8DC2D1359F18527593FB").unwrap();
        let (pin, pan) = (Pin::parse("1234").unwrap(), pan("4111111111111111"));
        let mut random = [0; 16];
        random[8..].copy_from_slice(&hex::bytes("2F69ADDE2E9E7ACE").unwrap());
        let block = encipher(PinBlockFormat::Iso4, &key, &pin, &pan, &random).unwrap();
        assert_eq!(hex::digits(block.as_bytes()), b"A912150391AB65A67E52883D81CE2D15");
    }

    #[test]
    fn every_format_gives_back_what_it_took() {
        for format in FORMATS {
            for (pin, number) in
                [("1234", "999999001234"), ("123456789012", "4111111111111111"), ("0000", "9999990012345678903")]
            {
                let (pin, pan) = (Pin::parse(pin).unwrap(), pan(number));
                let block = encipher(format, &key(format), &pin, &pan, &[0x5A; 16]).unwrap();
                assert_eq!(block.as_bytes().len(), format.length());
                assert!(decipher(format, &key(format), &block, &pan).unwrap().is_same(&pin), "{format:?}");
            }
        }
    }

    #[test]
    fn only_format_0_is_without_randomness() {
        for format in FORMATS {
            let (pin, pan) = (Pin::parse("1234").unwrap(), pan("4111111111111111"));
            let of = |random: [u8; 16]| {
                let block = encipher(format, &key(format), &pin, &pan, &random).unwrap();
                block.as_bytes().to_vec()
            };
            assert_eq!(of([1; 16]) == of([2; 16]), format == PinBlockFormat::Iso0, "{format:?}");
        }
    }

    #[test]
    fn a_block_belongs_to_its_card() {
        for format in [PinBlockFormat::Iso0, PinBlockFormat::Iso3, PinBlockFormat::Iso4] {
            let pin = Pin::parse("1234").unwrap();
            let block = encipher(format, &key(format), &pin, &pan("4111111111111111"), &[0; 16]).unwrap();
            let read = decipher(format, &key(format), &block, &pan("4242424242424242"));
            // Formats 0 and 3 notice by their filler; a PIN that is read all the same is not this one.
            assert!(read.map_or(true, |other| !other.is_same(&pin)), "{format:?}");
        }
    }

    #[test]
    fn damage_is_unreadable_or_another_length() {
        let (format, pan) = (PinBlockFormat::Iso3, pan("4111111111111111"));
        let read = |bytes: &[u8]| decipher(format, &key(format), &PinBlock::new(bytes).unwrap(), &pan).unwrap_err();
        assert_eq!(read(&[0; 8]), PinFault::Unreadable);
        assert_eq!(read(&[0; 16]), PinFault::Length);
        assert!(PinBlock::new(&[0; 9]).is_none());
    }

    #[test]
    fn each_format_has_its_cipher() {
        let (pin, pan) = (Pin::parse("1234").unwrap(), pan("4111111111111111"));
        let made = |format, key: &Key| encipher(format, key, &pin, &pan, &[0; 16]).unwrap_err();
        assert_eq!(made(PinBlockFormat::Iso4, &key(PinBlockFormat::Iso0)), PinFault::Key(KeyFault::Kind));
        assert_eq!(made(PinBlockFormat::Iso0, &key(PinBlockFormat::Iso4)), PinFault::Key(KeyFault::Kind));
        let mac = Key::parse(KeyKind::Tdes2, KeyUsage::Mac, "0123456789ABCDEFFEDCBA9876543210").unwrap();
        assert_eq!(made(PinBlockFormat::Iso0, &mac), PinFault::Key(KeyFault::Usage));
    }
}
