//! Which working keys are in force, for the whole bank or for each terminal, and which still are taken.
//!
//! ```text
//! in force ──new keys──▶ before, taken until the overlap ends
//!     ▲
//!  offered to a peer, taken at once, in force when the peer agrees or uses them
//! ```
//!
//! New keys come out of the seed, so that a run can be repeated; a ledger keeps those that came into force,
//! under the zone's key. What surprises: a peer may go on with the old keys for a while, since an answer
//! that brought new ones can get lost, and is then answered under the old ones.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::payment::Wall;
use crate::security::{CheckValue, Key};

use super::exchange::{Carrier, Content, usage};
use super::keys::{Keys, Working};
use super::profile::{KeyPart, Profile, WorkingUse};

/// The most terminals with keys of their own; one of them goes back to its first keys beyond that.
const MOST_TERMINALS: usize = 100_000;

/// Whose keys: a terminal's, or, with an empty name, the bank's.
pub(super) type Owner = String;

/// Working keys and what became of them.
#[derive(Clone, Debug)]
pub(super) struct Keyring {
    keys: Keys,
    seed: u64,
    rings: BTreeMap<Owner, Ring>,
}

#[derive(Clone, Debug, Default)]
struct Ring {
    /// How many keys came into force.
    number: u32,
    now: Working,
    before: Option<(Working, Wall)>,
    offered: Option<Offered>,
}

/// Keys that a peer was sent and hasn't agreed to.
#[derive(Clone, Debug)]
pub(super) struct Offered {
    pub(super) keys: Working,
    pub(super) content: Content,
    /// Of the message that brought them.
    stan: u32,
}

/// Keys in force, by what anybody may know of them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct KeyLine {
    /// The terminal whose they are; empty where they are the bank's.
    pub terminal: String,
    /// How many were exchanged.
    pub number: u32,
    /// Check value of the key for MACs.
    pub mac: Option<String>,
    /// Check value of the key for PIN blocks.
    pub pin: Option<String>,
    /// Whether a peer was sent others and hasn't agreed.
    pub offered: bool,
}

impl Keyring {
    pub(super) fn new(keys: Keys, seed: u64) -> Self {
        let first = Ring { now: keys.first.clone(), ..Ring::default() };
        Self { keys, seed, rings: BTreeMap::from([(Owner::new(), first)]) }
    }

    /// Whether there may be keys for something: named, or exchanged.
    pub(super) fn has(&self, wanted: WorkingUse, profile: &Profile) -> bool {
        let is_exchanged = profile.key_exchange.keys.iter().any(|part| part.usage == wanted);
        self.keys.first.of(wanted).is_some() || (self.keys.zone.is_some() && is_exchanged)
    }

    /// The zone's key in a profile's layout; `None` where the bank has none.
    pub(super) fn carrier<'a>(&'a self, profile: &'a Profile) -> Option<Carrier<'a>> {
        Some(Carrier { profile, zone: self.keys.zone.as_ref()? })
    }

    /// The keys in force.
    pub(super) fn now(&self, owner: &str) -> &Working {
        self.rings.get(owner).map_or(&self.keys.first, |ring| &ring.now)
    }

    /// The keys that a message may be under: those in force, those before for a while.
    pub(super) fn taken(&self, owner: &str, at: Wall) -> impl Iterator<Item = &Working> {
        let before = self.rings.get(owner).and_then(|ring| ring.before.as_ref());
        let before = before.filter(move |(_, until)| at < *until).map(|(keys, _)| keys);
        [self.now(owner)].into_iter().chain(before)
    }

    /// The keys that the owner was sent and hasn't agreed to.
    pub(super) fn offered(&self, owner: &str) -> Option<&Offered> {
        self.rings.get(owner)?.offered.as_ref()
    }

    /// New keys, not in force yet; `None` where the profile's layout asks for a key that can't be made.
    pub(super) fn fresh(&self, owner: &str, profile: &Profile) -> Option<Working> {
        let carrier = self.carrier(profile)?;
        let number = self.rings.get(owner).map_or(0, |ring| ring.number) + 1;
        let mut keys = Working::default();
        for part in &profile.key_exchange.keys {
            keys.put(part.usage, self.derived(&carrier, part, owner, number)?);
        }
        Some(keys)
    }

    fn derived(&self, carrier: &Carrier<'_>, part: &KeyPart, owner: &str, number: u32) -> Option<Key> {
        let kind = carrier.kind(part)?;
        let mut bytes = self.random(&format!("{:?}|{owner}|{number}", part.usage));
        if !kind.is_aes() {
            // Odd parity, which some devices insist on.
            bytes
                .iter_mut()
                .for_each(|byte| *byte = (*byte & !1) | u8::from((*byte >> 1).count_ones().is_multiple_of(2)));
        }
        Key::new(kind, usage(part.usage), bytes.get(..part.bytes)?).ok()
    }

    /// Bytes of the seed that fill a key block up.
    pub(super) fn filler(&self, owner: &str) -> Zeroizing<[u8; 32]> {
        let number = self.rings.get(owner).map_or(0, |ring| ring.number);
        self.random(&format!("filler|{owner}|{number}"))
    }

    fn random(&self, of: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed.to_be_bytes()).expect("any key length is taken");
        mac.update(b"key|");
        mac.update(of.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// Puts keys in force; those before are taken until the overlap ends.
    pub(super) fn put_in_force(&mut self, owner: &str, keys: Working, at: Wall) {
        let until = Wall(at.0.saturating_add(i64::try_from(self.keys.overlap.as_micros()).unwrap_or(i64::MAX)));
        let now = keys.over(self.now(owner));
        let ring = self.ring(owner);
        ring.number += 1;
        let before = std::mem::replace(&mut ring.now, now);
        ring.before = Some((before, until));
        ring.offered = None;
    }

    /// Notes keys that a peer is sent; an earlier offer is forgotten.
    pub(super) fn offer(&mut self, owner: &str, keys: Working, content: Content, stan: u32) {
        self.ring(owner).offered = Some(Offered { keys, content, stan });
    }

    /// Takes an offer back, and gives it: the peer has agreed to it or not.
    pub(super) fn end_offer(&mut self, owner: &str) -> Option<Offered> {
        self.rings.get_mut(owner)?.offered.take()
    }

    /// Whose keys went with the message of this STAN.
    pub(super) fn offered_with(&self, stan: u64) -> Option<Owner> {
        let offered = |ring: &Ring| ring.offered.as_ref().is_some_and(|offered| u64::from(offered.stan) == stan);
        self.rings.iter().find(|(_, ring)| offered(ring)).map(|(owner, _)| owner.clone())
    }

    /// What may be shown.
    pub(super) fn lines(&self) -> Vec<KeyLine> {
        let shown = |key: Option<&std::sync::Arc<Key>>| key.map(|key| CheckValue::of(key).to_string());
        let line = |(owner, ring): (&Owner, &Ring)| KeyLine {
            terminal: owner.clone(),
            number: ring.number,
            mac: shown(ring.now.mac.as_ref()),
            pin: shown(ring.now.pin.as_ref()),
            offered: ring.offered.is_some(),
        };
        self.rings.iter().map(line).collect()
    }

    fn ring(&mut self, owner: &str) -> &mut Ring {
        if !self.rings.contains_key(owner) && self.rings.len() > MOST_TERMINALS {
            self.rings.pop_last();
        }
        let first = &self.keys.first;
        self.rings.entry(owner.to_owned()).or_insert_with(|| Ring { now: first.clone(), ..Ring::default() })
    }
}
