//! Keys that are shared with the banks of a world: who has some, what befalls them, and the shipped key service as the
//! links use it.
//!
//! A run has them or has them not; where it has, what is altered on a line has to be told by its MAC, and nothing else
//! of it may settle anything.

use crate::faults::Incident;
use crate::network::ConnId;
use crate::operators::Deed;
use crate::plan::{MILLI, Micros};
use crate::world::{Happening, World};
use bytes::Bytes;
use fastrand::Rng;
use isthmus::keys::{HostKeys, KeyService, SealFault, SoftwareKeys};
use isthmus::payment::Name;
use isthmus::security::{Direction, Key, KeyKind, KeySettings, KeySlot, KeyUsage, OfferedKey, Seal, SlotUse};
use isthmus::simulator::{Act, Config};
use isthmus::switch::{Event, Frame, HostSettings, LinkId, LinkOrder, MacVerdict};
use std::path::Path;
use std::sync::Arc;

const ZONE: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
const MAC: &str = "0123456789ABCDEFFEDCBA9876543210";
const PIN: &str = "133457799BBCDFF1F0E1D2C3B4A59687";

/// Sets the draws of keys apart, so that nothing else of a seed depends on them.
const KEYS: u64 = 0x3a5c_96f1_77e0_1b2d;

/// The keys of a run, the same with each of its banks.
pub struct Keys {
    /// What the dialect says of them.
    pub settings: Arc<KeySettings>,
    /// What the banks know.
    pub of_banks: isthmus::simulator::Keys,
    /// Whether they come over the line; otherwise they stand in files on both sides.
    pub are_exchanged: bool,
    /// Of a thousand frames so many are altered on their way.
    pub altered: u32,
    /// What befalls them, and when.
    pub incidents: Vec<(Micros, Incident)>,
}

impl Keys {
    /// Those of a seed: one in four has some. `level` as of the other faults: 0 for none of them.
    pub fn of(seed: u64, level: u32, hosts: usize, links: u16, active: Micros) -> Option<Keys> {
        let mut random = Rng::with_seed(seed ^ KEYS);
        if random.u32(0..4) > 0 {
            return None;
        }
        let are_exchanged = random.u32(0..3) > 0;
        let acts = if are_exchanged { random.usize(0..8) } else { 0 };
        Some(Keys {
            settings: settings(&mut random, are_exchanged, active),
            of_banks: of_banks(&mut random, are_exchanged),
            are_exchanged,
            altered: if level == 0 || random.u32(0..3) == 0 { 0 } else { random.u32(1..120) },
            incidents: (0..acts).map(|_| (random.u64(0..active), incident(&mut random, hosts, links))).collect(),
        })
    }

    /// Those that stand in files, and of a thousand frames so many altered.
    pub fn of_files(altered: u32) -> Keys {
        let mut random = Rng::with_seed(0);
        let (settings, of_banks) = (settings(&mut random, false, 0), of_banks(&mut random, false));
        Keys { settings, of_banks, are_exchanged: false, altered, incidents: Vec::new() }
    }

    /// The key service of a process that starts.
    pub fn service(&self, hosts: &[HostSettings]) -> SoftwareKeys {
        let mut service = SoftwareKeys::default();
        for host in hosts {
            let spec = Arc::clone(host.translation.spec());
            let mut keys = HostKeys::new(host.name.clone(), host.links.clone(), spec, Arc::clone(&self.settings));
            match self.are_exchanged {
                true => keys.set_zone(key(KeyUsage::KeyWrapping, ZONE)),
                false => [Direction::Send, Direction::Receive]
                    .into_iter()
                    .for_each(|direction| keys.add(SlotUse::Mac, direction, key(KeyUsage::Mac, MAC))),
            }
            service.add(keys);
        }
        service
    }
}

fn key(usage: KeyUsage, digits: &str) -> Key {
    Key::parse(KeyKind::Tdes2, usage, digits).expect("a key")
}

fn settings(random: &mut Rng, are_exchanged: bool, active: Micros) -> Arc<KeySettings> {
    let mut text = "[keys.mac]\nmethod = 'x9.19'\n".to_owned();
    if are_exchanged {
        let (overlap, errors) = (random.u64(0..40_000), random.u32(1..5));
        text.push_str(&format!(
            "[keys.pin]\nformat = 0\n[keys.exchange]\nby = 'answer'\nelement = 48\noverlap_ms = {overlap}\n\
             mac_errors = {errors}\ncomplaints = ['98']\nkeys = [{{ use = 'mac', length = 16, check_value = 3 }}, \
             {{ use = 'pin', length = 16, check_value = 3 }}]\n"
        ));
        if random.bool() {
            text.push_str(&format!("max_age_ms = {}\n", random.u64(active / 20..active) / MILLI));
        }
    }
    Arc::new(KeySettings::read([text.as_str()].into_iter()).expect("it reads"))
}

fn of_banks(random: &mut Rng, are_exchanged: bool) -> isthmus::simulator::Keys {
    let keys = match are_exchanged {
        true => format!("zone_key_hex = \"{ZONE}\"\noverlap_ms = {}\n", random.u64(0..40_000)),
        false => format!("mac_key_hex = \"{MAC}\"\npin_key_hex = \"{PIN}\"\n"),
    };
    let config =
        Config::read("bank", &format!("scenario = \"none\"\n[keys]\n{keys}"), Path::new("")).expect("it reads");
    config.keys.expect("the keys of the table")
}

fn incident(random: &mut Rng, hosts: usize, links: u16) -> Incident {
    let host = random.usize(0..hosts);
    match random.u32(0..8) {
        0..=2 => Incident::BankActs { host, act: Act::NewKeys },
        3..=4 => Incident::BankActs { host, act: Act::KeyChange },
        5 => Incident::BankActs { host, act: Act::WrongKeys },
        _ => Incident::Operator(Deed::Link(random.u16(0..links), LinkOrder::ChangeKeys)),
    }
}

impl World {
    /// A frame as the link writes it.
    pub fn sealed(&self, frame: &Bytes, seals: &[Seal]) -> Result<Bytes, SealFault> {
        let Some(service) = self.keys.as_ref().filter(|_| !seals.is_empty()) else { return Ok(frame.clone()) };
        let mut sealed = frame.to_vec();
        service.seal(&mut sealed, seals)?;
        Ok(sealed.into())
    }

    /// What the link says of a frame that it read.
    pub fn verdict(&self, link: LinkId, frame: &[u8]) -> MacVerdict {
        self.keys.as_ref().map_or(MacVerdict::NotAsked, |keys| keys.verify(link, frame))
    }

    pub fn judge(&mut self, link: LinkId, frame: Frame) {
        let mac = self.verdict(link, &frame);
        self.tell_after(0, Event::Judged { link, frame, mac });
    }

    pub fn forget_key(&mut self, slot: &KeySlot) {
        if let Some(keys) = &self.keys {
            keys.forget(slot);
        }
    }

    /// The key service is given keys, and takes its time.
    pub fn offer_keys(&mut self, host: Name, number: u32, offered: Vec<OfferedKey>) {
        let (run, after) = (self.run, self.streams.keys.u64(0..40 * MILLI));
        self.after(after, Happening::KeysOffered { run, host, number, offered });
    }

    pub fn take_keys(&mut self, host: Name, number: u32, offered: &[OfferedKey]) {
        let Some(keys) = &self.keys else { return };
        let fault = keys.take(&host, number, offered).err().map(|fault| fault.code());
        self.tell(Event::KeysTaken { host, number, fault });
    }

    /// A message that bears a MAC, with a byte behind its type changed, at times. Whoever reads it may find anything in
    /// it but a good MAC.
    pub fn perhaps_altered(&mut self, frame: Bytes) -> Bytes {
        let of_thousand = self.chances.altered;
        if of_thousand == 0 || self.streams.keys.u32(0..1000) >= of_thousand {
            return frame;
        }
        let spec = self.plan.settings.hosts[0].translation.spec();
        let Ok(message) = spec.decode(frame.clone()) else { return frame };
        let covers = |class| self.plan.settings.hosts[0].keys.mac.as_ref().is_some_and(|mac| mac.covers(class));
        let behind_type = message.mti_span().end;
        if !covers(message.mti().class()) || frame.len() <= behind_type {
            return frame;
        }
        let mut altered = frame.to_vec();
        let last = message.elements().last();
        let mac = last.filter(|last| matches!(last, 64 | 128)).and_then(|last| message.span(last));
        let random = &mut self.streams.keys;
        // The code that tells yes from no, the MAC itself, or any byte.
        let (place, fault) = match (random.u32(0..4), message.span(39), mac) {
            (0, Some(code), _) => (code.start, "response codes altered under their MAC"),
            (1, _, Some(mac)) => (random.usize(mac), "MACs spoiled"),
            _ => (random.usize(behind_type..altered.len()), "bytes altered under their MAC"),
        };
        altered[place] ^= 1 << random.u32(0..4);
        self.tally.fault(fault);
        altered.into()
    }

    /// A bank does something of its own accord.
    pub fn bank_does(&mut self, host: usize, act: Act) {
        if !self.banks[host].up {
            return;
        }
        self.tally.fault(match act {
            Act::NewKeys => "new keys sent by the bank",
            Act::WrongKeys => "wrong keys sent by the bank",
            _ => "key changes demanded by the bank",
        });
        let clock = self.bank_clock();
        let planned = self.banks[host].issuer.act(act, clock);
        self.banks[host].keep_entries();
        let life = self.banks[host].life;
        for planned in planned {
            let conn: ConnId = planned.link;
            self.after(planned.after.as_micros() as Micros, Happening::FromBank { life, conn, action: planned.action });
        }
    }
}

/// What a key alarm counts as.
pub fn alarm(fault: &str) -> &'static str {
    match fault {
        "bad" => "key alarms: a MAC was wrong",
        "absent" => "key alarms: a MAC was missing",
        "complaint" => "key alarms: the bank found a MAC wrong",
        isthmus::switch::NO_KEY => "key alarms: a frame found no key",
        "no_answer" | "refused" | "no_keys" => "key alarms: no keys came",
        _ => "key alarms: keys were not taken",
    }
}
