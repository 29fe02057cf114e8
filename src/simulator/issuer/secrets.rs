//! Whose word a message is, whether a PIN is right, and how new keys come into force.
//!
//! A bank without keys believes everybody. One with keys looks at the MAC before it looks at anything
//! else, and answers under the key that the message was under. What surprises: keys that the bank sends of
//! its own accord come into force when the peer agrees, or when a message arrives under them, whichever is
//! first.

use std::sync::Arc;

use crate::iso8583::{Message, Mti};
use crate::payment::Wall;
use crate::security::{Key, PinFault, decipher};

use super::super::decision::{Decision, PinVerdict};
use super::super::entry::{Entry, Kind};
use super::super::exchange::Content;
use super::super::keyring::{KeyLine, Keyring, Owner};
use super::super::keys::{Keys, Working};
use super::super::profile::{Forged, WorkingUse};
use super::super::request::{Network, Request, SentPin};
use super::super::scenario::Terms;
use super::super::sealing::Seal;
use super::{Action, Issuer, Link, Planned};

/// Whose word a message is.
pub(super) enum Word {
    /// Its sender's, under this key; or nobody asks.
    Good(Option<Arc<Key>>),
    /// Nobody's.
    Forged,
}

impl Issuer {
    /// Has keys from now on: MACs and PINs are looked at, and new keys exchanged. Before the first message
    /// and the first entry only.
    pub fn with_keys(mut self, keys: Option<Keys>) -> Self {
        self.keyring = keys.map(|keys| Keyring::new(keys, self.seed));
        self
    }

    /// Check values of the keys in force.
    pub fn keys(&self) -> Vec<KeyLine> {
        self.keyring.as_ref().map(Keyring::lines).unwrap_or_default()
    }

    /// Whose keys a message is under.
    fn owner(&self, message: &Message) -> Owner {
        match self.profile.key_exchange.by_terminal {
            true => message.text(self.profile.elements.terminal).map_or_else(Owner::new, |text| text.trim_end().into()),
            false => Owner::new(),
        }
    }

    /// Whether messages of a type bear a MAC at this bank.
    fn bears_mac(&self, mti: Mti) -> bool {
        let has_keys = self.keyring.as_ref().is_some_and(|ring| ring.has(WorkingUse::Mac, &self.profile));
        has_keys && self.profile.mac.classes.contains(&mti.class())
    }

    /// Looks at the MAC of a message; keys that were offered are in force once a message is under them.
    pub(super) fn authenticate(&mut self, message: &Message, now: Wall) -> Word {
        if !self.bears_mac(message.mti()) {
            return Word::Good(None);
        }
        let Some(ring) = &self.keyring else { return Word::Good(None) };
        let owner = self.owner(message);
        let is_under = |key: &Arc<Key>| Seal { practice: &self.profile.mac, key }.check(message);
        if let Some(key) =
            ring.taken(&owner, now).filter_map(|keys| keys.mac.as_ref()).find(|key| is_under(key) == Some(true))
        {
            return Word::Good(Some(key.clone()));
        }
        let offered = ring.offered(&owner).and_then(|offered| offered.keys.mac.clone());
        if let Some(key) = offered.filter(|key| is_under(key) == Some(true)) {
            self.agree(&owner, now);
            return Word::Good(Some(key));
        }
        let has_mac = message.elements().last().is_some_and(|last| matches!(last, 64 | 128));
        match has_mac || self.profile.mac.required {
            true => Word::Forged,
            false => Word::Good(self.mac_key(message)),
        }
    }

    /// The key in force for the MACs of what answers a message.
    pub(super) fn mac_key(&self, message: &Message) -> Option<Arc<Key>> {
        self.keyring.as_ref()?.now(&self.owner(message)).mac.clone()
    }

    /// What becomes of a message that is nobody's word.
    pub(super) fn refuse_forged(&mut self, link: Link, message: &Message) -> Vec<Planned> {
        self.counters.bad_macs += 1;
        match self.profile.mac.wrong {
            Forged::Ignored => Vec::new(),
            Forged::Refused => {
                let (code, key) = (self.profile.codes.bad_mac.clone(), self.mac_key(message));
                self.refuse(link, message, key, &code)
            }
        }
    }

    /// Looks at the PIN of a request.
    pub(super) fn verify_pin(&self, message: &Message, request: &Request, now: Wall) -> PinVerdict {
        let (Some(ring), Some(sent)) = (&self.keyring, &request.pin) else { return PinVerdict::Unasked };
        if !ring.has(WorkingUse::Pin, &self.profile) {
            return PinVerdict::Unasked;
        }
        let (SentPin::Block(block), Some(pan)) = (sent, &request.pan) else { return PinVerdict::Broken };
        let (owner, format) = (self.owner(message), self.profile.pin.format());
        let offered = ring.offered(&owner).map(|offered| &offered.keys);
        let keys = ring.taken(&owner, now).chain(offered).filter_map(|keys| keys.pin.as_deref());
        let pin =
            keys.map(|key| decipher(format, key, block, pan)).find(|pin| !matches!(pin, Err(PinFault::Unreadable)));
        let own = self.scenario.card(pan).and_then(|(_, Terms { pin, .. })| pin.as_ref());
        match (pin, own) {
            (Some(Ok(_)), None) => PinVerdict::Unasked,
            (Some(Ok(pin)), Some(own)) if pin.is_same(own) => PinVerdict::Right,
            (Some(Ok(_)), Some(_)) => PinVerdict::Wrong,
            _ => PinVerdict::Broken,
        }
    }

    /// Whether an answer to this question brings new keys.
    pub(super) fn brings_keys(&self, network: Network) -> bool {
        let asked =
            network == Network::KeyChange || (network == Network::SignOn && self.profile.key_exchange.with_sign_on);
        asked && self.keyring.as_ref().is_some_and(|ring| ring.carrier(&self.profile).is_some())
    }

    /// New keys for whoever asks, in force at once; what is to stand in the answer.
    pub(super) fn give_keys(&mut self, message: &Message, spoiled: bool, now: Wall) -> Option<Content> {
        let owner = self.owner(message);
        let (keys, content, right) = self.fresh_keys(&owner, spoiled)?;
        self.put_in_force(&owner, keys, right, now);
        Some(content)
    }

    /// New keys, their content as it is sent, and as it is right.
    fn fresh_keys(&self, owner: &str, spoiled: bool) -> Option<(Working, Content, Content)> {
        let ring = self.keyring.as_ref()?;
        let (carrier, keys) = (ring.carrier(&self.profile)?, ring.fresh(owner, &self.profile)?);
        let filler = ring.filler(owner);
        let right = carrier.write(&keys, false, &filler)?;
        let sent = if spoiled { carrier.write(&keys, true, &filler)? } else { right.clone() };
        Some((keys, sent, right))
    }

    /// Keys that a peer brings; `None` where it asks for them, `Some(false)` where they can't be read.
    pub(super) fn take_keys(&mut self, message: &Message, now: Wall) -> Option<bool> {
        let carrier = self.keyring.as_ref()?.carrier(&self.profile)?;
        let content = carrier.find(message)?;
        match carrier.read(&content) {
            Ok(keys) => {
                self.put_in_force(&self.owner(message), keys, content, now);
                Some(true)
            }
            Err(_) => Some(false),
        }
    }

    /// The bank sends new keys of its own accord, on one link that has signed on.
    pub(super) fn send_keys(&mut self, link: Link, spoiled: bool, now: Wall) -> Vec<Planned> {
        let owner = Owner::new();
        let Some((keys, content, right)) = self.fresh_keys(&owner, spoiled) else { return Vec::new() };
        let Some(question) = self.question(Network::KeyChange, Some(&content), now) else { return Vec::new() };
        let stan = self.own_stan;
        if let Some(ring) = &mut self.keyring {
            ring.offer(&owner, keys, right, stan);
        }
        vec![Planned::now(link, Action::Send(question))]
    }

    /// A peer has answered the message that brought it keys.
    pub(super) fn keys_answered(&mut self, message: &Message, now: Wall) {
        let elements = &self.profile.elements;
        let stan = message.number(elements.stan);
        let Some(ring) = &mut self.keyring else { return };
        let Some(owner) = stan.and_then(|stan| ring.offered_with(stan)) else { return };
        let code = message.text(elements.code);
        if code.is_some_and(|code| code == self.profile.codes.network_approved) {
            self.agree(&owner, now);
        } else {
            ring.end_offer(&owner);
            self.counters.keys_refused += 1;
        }
    }

    fn agree(&mut self, owner: &str, now: Wall) {
        let offered = self.keyring.as_mut().and_then(|ring| ring.end_offer(owner));
        if let Some(offered) = offered {
            self.put_in_force(owner, offered.keys, offered.content, now);
        }
    }

    /// Puts keys in force and keeps them on the ledger, protected as they travel.
    fn put_in_force(&mut self, owner: &str, keys: Working, content: Content, now: Wall) {
        let Some(ring) = &mut self.keyring else { return };
        ring.put_in_force(owner, keys, now);
        self.counters.keys_changed += 1;
        let sequence = self.books.next_sequence();
        let key = format!("{}|{sequence}|{content}", Kind::KeyChange);
        let mut request = Request::of_the_bank(Kind::KeyChange, self.profile.network_request(), key);
        request.terminal = owner.to_owned();
        let decision = Decision { day: Some(self.business_date(now)), ..Decision::default() };
        let entry = self.entry(&request, decision, now);
        self.books.apply(&entry);
        self.ledger.append(entry);
    }

    /// Keys of an earlier run are in force again, where the zone's key is still the same.
    pub(super) fn restore_keys(&mut self, entry: &Entry) {
        let content = entry.key.rsplit('|').next().unwrap_or_default();
        let Some(ring) = &mut self.keyring else { return };
        let read = ring.carrier(&self.profile).map(|carrier| carrier.read(content));
        if let Some(Ok(keys)) = read {
            ring.put_in_force(&entry.terminal, keys, entry.at);
        }
    }
}
