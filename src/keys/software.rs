//! The shipped key service: software. Its keys lie in this process's memory, in clear.
//!
//! That is good enough for MACs of a demo and for tests; a PIN under such a key is a PIN in clear in our memory, which
//! PCI PIN forbids. An HSM takes this file's place behind [`KeyService`].

use super::{KeyService, SealFault, TakeFault};
use crate::iso8583::{Message, Spec};
use crate::payment::Name;
use crate::security::{Direction, Key, KeyBlock, KeyFault, KeyKind, KeySettings, KeySlot, KeyUsage, MacSettings};
use crate::security::{OfferedKey, ProtectedKey, Seal, SlotUse, Wrapped};
use crate::switch::{LinkId, MacVerdict};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The keys of all hosts.
#[derive(Debug, Default)]
pub struct SoftwareKeys {
    hosts: Vec<HostKeys>,
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
            SlotUse::Pin => self.settings.pin?.key_kind(length),
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
}

impl KeyService for SoftwareKeys {
    fn seal(&self, frame: &mut [u8], seals: &[Seal]) -> Result<(), SealFault> {
        for seal in seals {
            let host = self.hosts.iter().find(|host| host.host == seal.slot.host);
            let no_key = || SealFault::NoKey(seal.slot.clone());
            let working = host.ok_or_else(no_key)?.read();
            seal.place.fill(working.get(&seal.slot).ok_or_else(no_key)?, frame)?;
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

    fn is_software(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::{MessageBuilder, Mti, dialects};
    use crate::security::{CheckValue, MAC_ELEMENT};
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
    fn roomy(spec: &Arc<Spec>, mti: u16, last: u8) -> (Vec<u8>, Seal) {
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
        (frame.to_vec(), Seal { slot, place })
    }

    #[test]
    fn what_it_sealed_it_finds_good() {
        let (keys, spec) = service();
        for last in [49, 70] {
            let (mut frame, seal) = roomy(&spec, 200, last);
            assert_eq!(keys.verify(LINK, &frame), MacVerdict::Bad, "zeros are no MAC");
            keys.seal(&mut frame, &[seal]).unwrap();
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
        keys.seal(&mut original, std::slice::from_ref(&seal)).unwrap();
        keys.seal(&mut repeat, &[seal]).unwrap();
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
        let seal = Seal { slot: slot.clone(), ..seal };
        assert_eq!(keys.seal(&mut frame, &[seal]), Err(SealFault::NoKey(slot)));
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
        let sealed = |seal: &Seal| {
            let mut frame = bare.clone();
            keys.seal(&mut frame, std::slice::from_ref(seal)).map(|()| frame)
        };
        let new = Seal { slot: KeySlot { epoch: 1, ..old.slot.clone() }, ..old.clone() };
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
}
