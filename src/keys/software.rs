//! The shipped key service: software. Its keys lie in this process's memory, in clear.
//!
//! That is good enough for MACs of a demo and for tests; a PIN under such a key is a PIN in clear in our memory, which
//! PCI PIN forbids. An HSM takes this file's place behind [`KeyService`].

use super::{KeyService, MerchantPins, SealFault, TakeFault};
use crate::iso8583::{Message, Spec};
use crate::payment::Name;
use crate::security::{Direction, Key, KeyBlock, KeyFault, KeyKind, KeySettings, KeySlot, KeyUsage, MacSettings};
use crate::security::{OfferedKey, PinSeal, PinZone, ProtectedKey, Seal, SlotUse, Wrapped, translate};

use crate::switch::{LinkId, MacVerdict};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use zeroize::Zeroizing;

/// The keys of all hosts.
#[derive(Debug, Default)]
pub struct SoftwareKeys {
    hosts: Vec<HostKeys>,
    merchants: MerchantPins,
}

/// The keys shared with one host, and what its dialect says of them.
#[derive(Debug)]
pub struct HostKeys {
    host: Name,
    links: Vec<LinkId>,
    spec: Arc<Spec>,
    settings: Arc<KeySettings>,
    /// What working keys are deciphered with when they come over the line: a zone master key.
    zone: Option<Key>,
    /// The same for key blocks.
    protection: Option<Key>,
    working: RwLock<BTreeMap<KeySlot, Key>>,
}

impl HostKeys {
    /// A host with these links, whose messages are read under this spec; no keys yet.
    pub fn new(host: Name, links: Vec<LinkId>, spec: Arc<Spec>, settings: Arc<KeySettings>) -> HostKeys {
        HostKeys { host, links, spec, settings, zone: None, protection: None, working: RwLock::default() }
    }

    /// What the host's dialect says of keys.
    pub fn settings(&self) -> &KeySettings {
        &self.settings
    }

    /// Adds the working key that stands in a file.
    pub fn add(&mut self, usage: SlotUse, direction: Direction, key: Key) {
        let slot = KeySlot { host: self.host.clone(), usage, direction, epoch: 0 };
        self.write().insert(slot, key);
    }

    /// Sets the zone master key.
    pub fn set_zone(&mut self, key: Key) {
        self.zone = Some(key);
    }

    /// Sets the key that protects key blocks.
    pub fn set_protection(&mut self, key: Key) {
        self.protection = Some(key);
    }

    // A thread that panicked left the map whole: a key is put in or taken out in one step.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<KeySlot, Key>> {
        self.working.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<KeySlot, Key>> {
        self.working.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: u32, offered: &[OfferedKey]) -> Result<(), TakeFault> {
        let keys: Result<Vec<Key>, TakeFault> = offered.iter().map(|offer| self.unwrap(offer)).collect();
        let mut working = self.write();
        for (offer, key) in offered.iter().zip(keys?) {
            for direction in offer.directions {
                let (host, usage, direction) = (self.host.clone(), offer.usage, *direction);
                working.insert(KeySlot { host, usage, direction, epoch: number }, key.clone());
            }
        }
        Ok(())
    }

    fn unwrap(&self, offer: &OfferedKey) -> Result<Key, TakeFault> {
        let usage = match offer.usage {
            SlotUse::Mac => KeyUsage::Mac,
            SlotUse::Pin => KeyUsage::Pin,
        };
        let key = match &offer.protected {
            ProtectedKey::Cryptogram { bytes, check_value } => {
                let zone = self.zone.as_ref().ok_or(TakeFault::NoZoneKey)?;
                let kind = self.kind(offer.usage, bytes.len()).ok_or(KeyFault::Kind)?;
                Wrapped::new(bytes).unwrap(zone, kind, usage, check_value.as_deref())?
            }
            ProtectedKey::Block(text) => {
                KeyBlock::unwrap(self.protection.as_ref().ok_or(TakeFault::NoZoneKey)?, text)?.key
            }
        };
        if key.usage() != usage {
            return Err(KeyFault::Usage.into());
        }
        match self.kind(offer.usage, key.kind().length()) == Some(key.kind()) {
            true => Ok(key),
            false => Err(KeyFault::Kind.into()),
        }
    }

    /// The kind of a working key of this many bytes.
    fn kind(&self, usage: SlotUse, length: usize) -> Option<KeyKind> {
        match usage {
            SlotUse::Mac => self.settings.mac.as_ref()?.key_kind(length),
            SlotUse::Pin => self.settings.pin.as_ref()?.format.key_kind(length),
        }
    }

    fn judge(&self, frame: &[u8]) -> MacVerdict {
        let Some(mac) = &self.settings.mac else { return MacVerdict::NotAsked };
        // What cannot be read is not believed anyway, and is no sign of a wrong key.
        let Ok(message) = self.spec.decode(Bytes::copy_from_slice(frame)) else { return MacVerdict::NotAsked };
        if !mac.covers(message.mti().class()) {
            return MacVerdict::NotAsked;
        }
        self.judge_message(mac, &message)
    }

    fn judge_message(&self, mac: &MacSettings, message: &Message) -> MacVerdict {
        let element = message.elements().last().and_then(|last| mac.element_of(last));
        let Some(span) = element.and_then(|element| message.span(element)) else { return MacVerdict::Absent };
        let place = mac.place(message.mti_span(), span);
        let is_ours = |slot: &KeySlot| slot.usage == SlotUse::Mac && slot.direction == Direction::Receive;
        let working = self.read();
        let mut keys = working.iter().filter(|(slot, _)| is_ours(slot)).map(|(_, key)| key);
        match keys.any(|key| place.check(key, message.as_bytes())) {
            true => MacVerdict::Good,
            false => MacVerdict::Bad,
        }
    }
}

impl SoftwareKeys {
    /// Adds the keys of a host.
    pub fn add(&mut self, host: HostKeys) {
        self.hosts.push(host);
    }

    /// Sets the keys under which merchants' terminals encipher PINs.
    pub fn set_merchants(&mut self, merchants: MerchantPins) {
        self.merchants = merchants;
    }

    fn fill_pin(&self, host: &HostKeys, key: &Key, pin: &PinSeal, frame: &mut [u8]) -> Result<(), SealFault> {
        let to = host.settings.pin.as_ref().ok_or(KeyFault::Usage)?.format;
        let (block, from, own) = self.merchants.find(&pin.merchant, &pin.offered)?;
        let mut random = Zeroizing::new([0; 16]);
        aws_lc_rs::rand::fill(&mut *random).map_err(|_| SealFault::Unreachable)?;
        let (from, to) = (PinZone { format: from, key: &own }, PinZone { format: to, key });
        let translated = translate(&block, &pin.pan, from, to, &random)?;
        let element = frame.get_mut(pin.element.clone()).ok_or(KeyFault::Length)?;
        match element.len() == translated.as_bytes().len() {
            true => element.copy_from_slice(translated.as_bytes()),
            // Where the element is text: its digits.
            false if element.len() == 2 * translated.as_bytes().len() => {
                for (place, byte) in element.chunks_exact_mut(2).zip(translated.as_bytes()) {
                    place.copy_from_slice(format!("{byte:02X}").as_bytes());
                }
            }
            false => return Err(KeyFault::Length.into()),
        }
        Ok(())
    }
}

impl KeyService for SoftwareKeys {
    fn seal(&self, frame: &mut [u8], seals: &[Seal]) -> Result<(), SealFault> {
        for seal in seals {
            let host = self.hosts.iter().find(|host| host.host == seal.slot().host);
            let no_key = || SealFault::NoKey(seal.slot().clone());
            let host = host.ok_or_else(no_key)?;
            let working = host.read();
            let key = working.get(seal.slot()).ok_or_else(no_key)?;
            match seal {
                Seal::Mac(mac) => mac.place.fill(key, frame)?,
                Seal::Pin(pin) => self.fill_pin(host, key, pin, frame)?,
            }
        }
        Ok(())
    }

    fn verify(&self, link: LinkId, frame: &[u8]) -> MacVerdict {
        let host = self.hosts.iter().find(|host| host.links.contains(&link));
        host.map_or(MacVerdict::NotAsked, |host| host.judge(frame))
    }

    fn take(&self, host: &Name, number: u32, offered: &[OfferedKey]) -> Result<(), TakeFault> {
        let host = self.hosts.iter().find(|known| known.host == *host).ok_or(TakeFault::NoZoneKey)?;
        host.take(number, offered)
    }

    fn forget(&self, slot: &KeySlot) {
        if let Some(host) = self.hosts.iter().find(|host| host.host == slot.host) {
            host.write().remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::{MessageBuilder, Mti, dialects};
    use crate::keys::{MerchantPinKey, PinKeySource};
    use crate::payment::{MerchantId, OfferedPin, Pan, PinKeyName};
    use crate::security::dukpt::{WorkingKey, tdes};
    use crate::security::{CheckValue, MAC_ELEMENT, MacSeal, Pin, PinBlock, PinBlockFormat, decipher, encipher};
    use bytes::BytesMut;

    const LINK: LinkId = LinkId(3);

    fn key(digits: &str) -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Mac, digits).unwrap()
    }

    fn service() -> (SoftwareKeys, Arc<Spec>) {
        let spec = dialects::builtin("iso8583-1987-bcd").unwrap().unwrap();
        let text = "[keys.mac]\nmethod = 'x9.19'\nclasses = [2, 4]\nleave_out = 'repeat'";
        let settings = Arc::new(KeySettings::read([text].into_iter()).unwrap());
        let mut host = HostKeys::new(Name::from("bank"), vec![LINK], Arc::clone(&spec), settings);
        host.add(SlotUse::Mac, Direction::Send, key("0123456789ABCDEFFEDCBA9876543210"));
        host.add(SlotUse::Mac, Direction::Receive, key("0123456789ABCDEFFEDCBA9876543210"));
        let mut keys = SoftwareKeys::default();
        keys.add(host);
        (keys, spec)
    }

    /// A frame with room for its MAC, and the seal of it.
    fn roomy(spec: &Arc<Spec>, mti: u16, last: u8) -> (Vec<u8>, MacSeal) {
        let mut builder = MessageBuilder::new(Mti::new(mti).unwrap());
        builder.set(3, "000000").set(11, "000001").set(last, "978");
        let bare = spec.decode(spec.encode_to_bytes(&builder).unwrap()).unwrap();
        let settings = service().0.hosts[0].settings.mac.clone().unwrap();
        let element = settings.element_after(last);
        builder.set_binary(element, &[0; MAC_ELEMENT]);
        let mut frame = BytesMut::new();
        let encoded = spec.encode(&builder, &mut frame).unwrap();
        let place = settings.place(bare.mti_span(), encoded.span(element).unwrap());
        let slot = KeySlot { host: Name::from("bank"), usage: SlotUse::Mac, direction: Direction::Send, epoch: 0 };
        (frame.to_vec(), MacSeal { slot, place })
    }

    #[test]
    fn what_it_sealed_it_finds_good() {
        let (keys, spec) = service();
        for last in [49, 70] {
            let (mut frame, seal) = roomy(&spec, 200, last);
            assert_eq!(keys.verify(LINK, &frame), MacVerdict::Bad, "zeros are no MAC");
            keys.seal(&mut frame, &[Seal::Mac(seal)]).unwrap();
            assert_eq!(keys.verify(LINK, &frame), MacVerdict::Good);
            frame[12] ^= 1;
            assert_ne!(keys.verify(LINK, &frame), MacVerdict::Good);
        }
    }

    #[test]
    fn a_repeat_has_its_originals_mac_where_the_dialect_says_so() {
        let (keys, spec) = service();
        let (mut original, seal) = roomy(&spec, 420, 49);
        let (mut repeat, _) = roomy(&spec, 421, 49);
        keys.seal(&mut original, &[Seal::Mac(seal.clone())]).unwrap();
        keys.seal(&mut repeat, &[Seal::Mac(seal)]).unwrap();
        assert_eq!(original[2..], repeat[2..]);
        assert_eq!(keys.verify(LINK, &repeat), MacVerdict::Good);
    }

    #[test]
    fn what_should_bear_a_mac_and_does_not() {
        let (keys, spec) = service();
        let frame = |mti: u16| {
            let mut builder = MessageBuilder::new(Mti::new(mti).unwrap());
            builder.set(3, "000000").set(11, "000001").set(49, "978");
            spec.encode_to_bytes(&builder).unwrap()
        };
        assert_eq!(keys.verify(LINK, &frame(210)), MacVerdict::Absent);
        assert_eq!(keys.verify(LINK, &frame(110)), MacVerdict::NotAsked);
        assert_eq!(keys.verify(LinkId(0), &frame(210)), MacVerdict::NotAsked, "another host's link");
        assert_eq!(keys.verify(LINK, b"no message"), MacVerdict::NotAsked);
    }

    #[test]
    fn a_key_that_is_not_there_seals_nothing() {
        let (keys, spec) = service();
        let (mut frame, seal) = roomy(&spec, 200, 49);
        let slot = KeySlot { epoch: 1, ..seal.slot.clone() };
        let seal = MacSeal { slot: slot.clone(), ..seal };
        assert_eq!(keys.seal(&mut frame, &[Seal::Mac(seal)]), Err(SealFault::NoKey(slot)));
    }

    fn offered(check_value: &[u8]) -> Vec<OfferedKey> {
        let wrapped = Wrapped::wrap(&zone(), &key("133457799BBCDFF1F0E1D2C3B4A59687")).unwrap();
        let (bytes, check_value) = (wrapped.as_bytes().to_vec(), Some(check_value.to_vec()));
        let protected = ProtectedKey::Cryptogram { bytes, check_value };
        vec![OfferedKey { usage: SlotUse::Mac, directions: &[Direction::Send, Direction::Receive], protected }]
    }

    fn zone() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, "A1B2C3D4E5F60718293A4B5C6D7E8F90").unwrap()
    }

    #[test]
    fn keys_from_the_line_are_good_beside_the_old_until_those_are_forgotten() {
        let (mut keys, spec) = service();
        let bank = Name::from("bank");
        let check_value = CheckValue::of(&key("133457799BBCDFF1F0E1D2C3B4A59687")).shown();
        assert_eq!(keys.take(&bank, 1, &offered(&check_value)), Err(TakeFault::NoZoneKey));
        keys.hosts[0].set_zone(zone());
        assert_eq!(keys.take(&bank, 1, &offered(&[1, 2, 3])), Err(TakeFault::Key(KeyFault::CheckValue)));
        keys.take(&bank, 1, &offered(&check_value)).unwrap();
        let (bare, old) = roomy(&spec, 200, 49);
        let sealed = |seal: &MacSeal| {
            let mut frame = bare.clone();
            keys.seal(&mut frame, &[Seal::Mac(seal.clone())]).map(|()| frame)
        };
        let new = MacSeal { slot: KeySlot { epoch: 1, ..old.slot.clone() }, ..old.clone() };
        let (under_old, under_new) = (sealed(&old).unwrap(), sealed(&new).unwrap());
        assert_ne!(under_old, under_new);
        assert_eq!(keys.verify(LINK, &under_old), MacVerdict::Good);
        assert_eq!(keys.verify(LINK, &under_new), MacVerdict::Good);
        keys.forget(&KeySlot { direction: Direction::Receive, ..old.slot.clone() });
        assert_eq!(keys.verify(LINK, &under_old), MacVerdict::Bad);
        assert_eq!(keys.verify(LINK, &under_new), MacVerdict::Good);
        assert!(sealed(&old).is_ok(), "the other way was not forgotten");
    }

    #[test]
    fn a_key_for_something_else_is_not_taken() {
        let (mut keys, _) = service();
        keys.hosts[0].set_zone(zone());
        let bank = Name::from("bank");
        let as_pin = OfferedKey { usage: SlotUse::Pin, ..offered(&[0x82, 0xE1, 0x36]).remove(0) };
        assert_eq!(keys.take(&bank, 1, &[as_pin]), Err(TakeFault::Key(KeyFault::Kind)), "the dialect has no PINs");
        let block = ProtectedKey::Block("D0112P0AE00E0000".to_owned());
        let in_block = OfferedKey { protected: block, ..offered(&[]).remove(0) };
        assert_eq!(keys.take(&bank, 1, &[in_block]), Err(TakeFault::NoZoneKey));
        assert_eq!(keys.take(&Name::from("nobody"), 1, &[]), Err(TakeFault::NoZoneKey));
    }

    fn pin_key(digits: &str) -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Pin, digits).unwrap()
    }

    /// A service with a host whose zone has this format, and the merchant's two ways to encipher PINs.
    fn pin_service(format: u8) -> SoftwareKeys {
        let spec = dialects::builtin("iso8583-1987-bcd").unwrap().unwrap();
        let text = format!("[keys.pin]\nformat = {format}");
        let settings = Arc::new(KeySettings::read([text.as_str()].into_iter()).unwrap());
        let mut host = HostKeys::new(Name::from("bank"), vec![LINK], spec, settings);
        host.add(SlotUse::Pin, Direction::Send, zone_pin_key(format));
        let mut keys = SoftwareKeys::default();
        keys.add(host);
        let mut merchants = MerchantPins::default();
        let merchant = MerchantId::new("shop").unwrap();
        let name = "till".to_owned();
        let source = PinKeySource::Static { name, key: pin_key("0123456789ABCDEFFEDCBA9876543210") };
        merchants.add(MerchantPinKey { merchant: merchant.clone(), source });
        let source = PinKeySource::Dukpt { prefix: vec![0xFF, 0xFF, 0x98], base: base() };
        merchants.add(MerchantPinKey { merchant: merchant.clone(), source });
        let base = Key::parse(KeyKind::Aes128, KeyUsage::Derivation, "FEDCBA9876543210F1F1F1F1F1F1F1F1").unwrap();
        let source = PinKeySource::Dukpt { prefix: vec![0x12, 0x34, 0x56], base };
        merchants.add(MerchantPinKey { merchant, source });
        keys.set_merchants(merchants);
        keys
    }

    fn zone_pin_key(format: u8) -> Key {
        let kind = if format == 4 { KeyKind::Aes128 } else { KeyKind::Tdes2 };
        Key::parse(kind, KeyUsage::Pin, "133457799BBCDFF1F0E1D2C3B4A59687").unwrap()
    }

    fn base() -> Key {
        Key::parse(KeyKind::Tdes2, KeyUsage::Derivation, "A1B2C3D4E5F60718293A4B5C6D7E8F90").unwrap()
    }

    fn pin_seal(offered: OfferedPin, length: usize) -> Seal {
        let slot = KeySlot { host: Name::from("bank"), usage: SlotUse::Pin, direction: Direction::Send, epoch: 0 };
        let (merchant, pan) = (MerchantId::new("shop").unwrap(), Pan::parse("4111111111111111").unwrap());
        Seal::Pin(Box::new(PinSeal { slot, element: 2..2 + length, merchant, pan, offered }))
    }

    #[test]
    fn a_pin_comes_to_the_banks_zone_from_a_key_that_stays_and_from_one_for_each_transaction() {
        let (pin, pan) = (Pin::parse("90210").unwrap(), Pan::parse("4111111111111111").unwrap());
        let serial = [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 8];
        let of_serial = tdes::derive(&base(), tdes::SerialNumber::new(serial), WorkingKey::Pin).unwrap();
        let ways = [
            (PinKeyName::Static("till".to_owned()), pin_key("0123456789ABCDEFFEDCBA9876543210")),
            (PinKeyName::Dukpt(serial.to_vec()), of_serial),
        ];
        for (name, own) in ways {
            for (from, number) in [(PinBlockFormat::Iso0, 0), (PinBlockFormat::Iso1, 1), (PinBlockFormat::Iso3, 3)] {
                let block = encipher(from, &own, &pin, &pan, &[7; 16]).unwrap();
                let offered = OfferedPin::new(number, block.as_bytes().to_vec(), name.clone()).unwrap();
                for (to, zone) in [(PinBlockFormat::Iso0, 0), (PinBlockFormat::Iso3, 3), (PinBlockFormat::Iso4, 4)] {
                    let mut frame = vec![0xEE; 4 + to.length()];
                    pin_service(zone).seal(&mut frame, &[pin_seal(offered.clone(), to.length())]).unwrap();
                    let written = PinBlock::new(&frame[2..2 + to.length()]).unwrap();
                    assert!(decipher(to, &zone_pin_key(zone), &written, &pan).unwrap().is_same(&pin));
                    assert_eq!((frame[1], frame[2 + to.length()]), (0xEE, 0xEE), "nothing beside it is touched");
                }
            }
        }
    }

    /// The working key is the published one of the first transaction (ANSI X9.24-3-2017, supplement of test vectors),
    /// not one that was derived here.
    #[test]
    fn a_pin_of_an_aes_terminal_comes_to_the_banks_zone() {
        let (pin, pan) = (Pin::parse("1234").unwrap(), Pan::parse("4111111111111111").unwrap());
        let serial = vec![0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0, 0, 0, 1];
        let own = Key::parse(KeyKind::Aes128, KeyUsage::Pin, "AF8CB133A78F8DC2D1359F18527593FB").unwrap();
        let block = encipher(PinBlockFormat::Iso4, &own, &pin, &pan, &[7; 16]).unwrap();
        let offered = OfferedPin::new(4, block.as_bytes().to_vec(), PinKeyName::Dukpt(serial)).unwrap();
        for (to, zone) in [(PinBlockFormat::Iso0, 0), (PinBlockFormat::Iso3, 3), (PinBlockFormat::Iso4, 4)] {
            let mut frame = vec![0xEE; 4 + to.length()];
            pin_service(zone).seal(&mut frame, &[pin_seal(offered.clone(), to.length())]).unwrap();
            let written = PinBlock::new(&frame[2..2 + to.length()]).unwrap();
            assert!(decipher(to, &zone_pin_key(zone), &written, &pan).unwrap().is_same(&pin));
        }
    }

    #[test]
    fn a_pin_under_a_key_that_nobody_knows_is_not_sent() {
        let keys = pin_service(0);
        let sealed = |name: PinKeyName| {
            let offered = OfferedPin::new(0, vec![0x5A; 8], name).unwrap();
            keys.seal(&mut [0; 12], &[pin_seal(offered, 8)]).map_err(|fault| fault.code())
        };
        assert_eq!(sealed(PinKeyName::Static("other".to_owned())), Err("no_pin_key"));
        assert_eq!(sealed(PinKeyName::Dukpt(vec![0x11; 10])), Err("no_pin_key"));
        assert_eq!(
            sealed(PinKeyName::Static("till".to_owned())),
            Err("pin_block_unreadable"),
            "a block of something else"
        );
    }
}
