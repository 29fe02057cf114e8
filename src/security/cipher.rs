//! The block cipher of a key, in the ways the payment standards use it: block by block (ECB), chained (CBC, ISO/IEC
//! 10116), and as CMAC (ISO/IEC 9797-1 algorithm 5, NIST SP 800-38B).

use super::key::{Key, KeyKind};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2, TdesEde3};

/// One block at a time, of whatever cipher.
trait Blocks {
    fn encrypt(&self, block: &mut [u8]);
    fn decrypt(&self, block: &mut [u8]);
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt> Blocks for C {
    fn encrypt(&self, block: &mut [u8]) {
        let block: &mut Block<C> = block.try_into().expect("a Cipher cuts its data into whole blocks");
        self.encrypt_block(block);
    }

    fn decrypt(&self, block: &mut [u8]) {
        let block: &mut Block<C> = block.try_into().expect("a Cipher cuts its data into whole blocks");
        self.decrypt_block(block);
    }
}

/// A key made ready. Data is always whole blocks: that is for the caller to know.
pub(super) struct Cipher {
    blocks: Box<dyn Blocks>,
    size: usize,
}

fn keyed<C: KeyInit + Blocks + 'static>(key: &[u8]) -> Box<dyn Blocks> {
    Box::new(C::new_from_slice(key).expect("a Key has the length of its kind"))
}

impl Cipher {
    pub(super) fn of(key: &Key) -> Cipher {
        let blocks = match key.kind() {
            KeyKind::Des => keyed::<Des>(key.bytes()),
            KeyKind::Tdes2 => keyed::<TdesEde2>(key.bytes()),
            KeyKind::Tdes3 => keyed::<TdesEde3>(key.bytes()),
            KeyKind::Aes128 => keyed::<Aes128>(key.bytes()),
            KeyKind::Aes192 => keyed::<Aes192>(key.bytes()),
            KeyKind::Aes256 => keyed::<Aes256>(key.bytes()),
        };
        Cipher { blocks, size: key.kind().block() }
    }

    /// Single DES under half of a double-length key, as the retail MAC and DUKPT have it.
    pub(super) fn single_des(half: &[u8; 8]) -> Cipher {
        Cipher { blocks: keyed::<Des>(half), size: 8 }
    }

    /// Bytes of a block.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn encrypt(&self, data: &mut [u8]) {
        data.chunks_exact_mut(self.size).for_each(|block| self.blocks.encrypt(block));
    }

    pub(super) fn decrypt(&self, data: &mut [u8]) {
        data.chunks_exact_mut(self.size).for_each(|block| self.blocks.decrypt(block));
    }

    pub(super) fn encrypt_chained(&self, start: &[u8], data: &mut [u8]) {
        let mut previous = start.to_vec();
        for block in data.chunks_exact_mut(self.size) {
            xor(block, &previous);
            self.blocks.encrypt(block);
            previous.copy_from_slice(block);
        }
    }

    pub(super) fn decrypt_chained(&self, start: &[u8], data: &mut [u8]) {
        let mut previous = start.to_vec();
        for block in data.chunks_exact_mut(self.size) {
            let enciphered = block.to_vec();
            self.blocks.decrypt(block);
            xor(block, &previous);
            previous = enciphered;
        }
    }
}

/// Adds a block to another, bit by bit.
pub(super) fn xor(block: &mut [u8], other: &[u8]) {
    block.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

/// CMAC of the parts one after the other: 8 bytes with TDES, 16 with AES.
pub(super) fn cmac(key: &Key, parts: &[&[u8]]) -> Vec<u8> {
    fn over<M: Mac + cmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = <M as cmac::KeyInit>::new_from_slice(key).expect("a Key has the length of its kind");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }
    match key.kind() {
        KeyKind::Des => over::<Cmac<Des>>(key.bytes(), parts),
        KeyKind::Tdes2 => over::<Cmac<TdesEde2>>(key.bytes(), parts),
        KeyKind::Tdes3 => over::<Cmac<TdesEde3>>(key.bytes(), parts),
        KeyKind::Aes128 => over::<Cmac<Aes128>>(key.bytes(), parts),
        KeyKind::Aes192 => over::<Cmac<Aes192>>(key.bytes(), parts),
        KeyKind::Aes256 => over::<Cmac<Aes256>>(key.bytes(), parts),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::hex;
    use super::super::key::KeyUsage;
    use super::*;

    #[test]
    fn chaining_undoes_itself_and_hides_equal_blocks() {
        let key = Key::parse(KeyKind::Tdes2, KeyUsage::Mac, "0123456789ABCDEFFEDCBA9876543210").unwrap();
        let (cipher, clear) = (Cipher::of(&key), [7; 24]);
        let mut data = clear;
        cipher.encrypt_chained(&[0; 8], &mut data);
        assert_ne!(data[..8], data[8..16]);
        cipher.decrypt_chained(&[0; 8], &mut data);
        assert_eq!(data, clear);
    }

    #[test]
    fn aes_cmac_as_published() {
        // RFC 4493, section 4, examples 1 and 2.
        let key = Key::parse(KeyKind::Aes128, KeyUsage::Mac, "2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        assert_eq!(cmac(&key, &[]), hex::bytes("bb1d6929e95937287fa37d129b756746").unwrap());
        let block = hex::bytes("6bc1bee22e409f96e93d7e117393172a").unwrap();
        assert_eq!(cmac(&key, &[&block[..3], &block[3..]]), hex::bytes("070a16b46b4d4144f79bdd9dd04a287c").unwrap());
    }
}
