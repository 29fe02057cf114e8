//! The wires between switch and bank, and what befalls them. A frame is whole or it is not there.

use crate::faults::Incident;
use crate::plan::{MILLI, Micros, SECOND};
use crate::world::{Happening, World};
use bytes::Bytes;
use isthmus::iso8583::MessageBuilder;
use isthmus::payment::{BusinessDate, Monotonic};
use isthmus::security::Seal;
use isthmus::simulator::Action;
use isthmus::switch::{Event, LinkId, SendId};
use std::collections::{BTreeMap, VecDeque};

pub type ConnId = u64;

#[derive(Default)]
pub struct Wires {
    pub conns: BTreeMap<ConnId, Conn>,
    links: BTreeMap<LinkId, Wire>,
    last: ConnId,
}

/// A frame as the switch made it, and what keys are to fill in.
type Unsealed = (Bytes, Vec<Seal>);

/// A link as the switch's shell keeps it.
#[derive(Default)]
struct Wire {
    conn: Option<ConnId>,
    /// Frames that were never handed over, to be named when the switch learns of the loss.
    unsent: Vec<SendId>,
}

pub struct Conn {
    link: LinkId,
    /// Place of the bank at its other end.
    bank: usize,
    /// Still stands at the switch's end.
    stands: bool,
    /// Still stands at the bank's end.
    bank_knows: bool,
    /// What is written doesn't reach the bank.
    deaf: bool,
    /// What the bank writes doesn't reach the switch.
    mute: bool,
    slow_until: Micros,
    stalled: bool,
    queue: VecDeque<(SendId, Unsealed, Monotonic)>,
    last_to_bank: Micros,
    last_to_switch: Micros,
}

impl Conn {
    pub fn forgotten_by_bank(&mut self) {
        self.bank_knows = false;
    }
}

impl Wires {
    pub fn any_stands(&self) -> bool {
        self.conns.values().any(|conn| conn.stands)
    }

    /// All connections with a bank.
    pub fn of_bank(&self, bank: usize) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| conn.bank == bank).map(|(id, _)| *id).collect()
    }

    /// The connection of a link, if the bank hears at once what is said on it.
    pub fn sound(&self, link: LinkId, now: Micros) -> Option<ConnId> {
        let conn = self.standing(link.0)?;
        let hears = |line: &&Conn| line.bank_knows && !line.deaf && !line.mute && line.last_to_bank <= now;
        self.conns.get(&conn).filter(hears).map(|_| conn)
    }

    /// Another link to the same bank that stands.
    fn another(&self, conn: &Conn) -> Option<LinkId> {
        let same_bank = |other: &&Conn| other.stands && other.bank == conn.bank && other.link != conn.link;
        self.conns.values().find(same_bank).map(|other| other.link)
    }

    fn standing(&self, link: u16) -> Option<ConnId> {
        let conn = self.links.get(&LinkId(link))?.conn?;
        self.conns.get(&conn).filter(|conn| conn.stands).map(|_| conn)
    }
}

impl World {
    fn chance(&mut self, of_thousand: u32) -> bool {
        of_thousand > 0 && self.streams.network.u32(0..1000) < of_thousand
    }

    pub fn connect(&mut self, link: LinkId) {
        let after = self.streams.network.u64(MILLI..40 * MILLI);
        if self.chance(self.chances.refused_connect) || !self.banks[self.plan.bank_of(link)].up {
            self.tally.fault("connections refused");
            return self.tell_after(after, Event::Disconnected { link, unsent: Vec::new() });
        }
        let run = self.run;
        self.after(after, Happening::Connected { run, link });
    }

    pub fn connection_stands(&mut self, link: LinkId) {
        let bank = self.plan.bank_of(link);
        if !self.banks[bank].up {
            return self.tell(Event::Disconnected { link, unsent: Vec::new() });
        }
        self.wires.last += 1;
        let id = self.wires.last;
        self.banks[bank].issuer.link_up(id);
        let conn = Conn {
            link,
            bank,
            stands: true,
            bank_knows: true,
            deaf: false,
            mute: false,
            slow_until: 0,
            stalled: false,
            queue: VecDeque::new(),
            last_to_bank: 0,
            last_to_switch: 0,
        };
        self.wires.conns.insert(id, conn);
        self.wires.links.insert(link, Wire { conn: Some(id), unsent: Vec::new() });
        self.tell(Event::Connected { link });
    }

    pub fn disconnect(&mut self, link: LinkId) {
        match self.wires.standing(link.0) {
            Some(conn) => self.cut(conn),
            None if self.wires.links.get(&link).is_some_and(|wire| wire.conn.is_some()) => {}
            None => self.tell_after(0, Event::Disconnected { link, unsent: Vec::new() }),
        }
    }

    pub fn send(&mut self, link: LinkId, id: SendId, frame: Unsealed, send_by: Monotonic) {
        if let Some(conn) = self.wires.standing(link.0) {
            if let Some(conn) = self.wires.conns.get_mut(&conn) {
                conn.queue.push_back((id, frame, send_by));
            }
            let after = self.streams.network.u64(0..300);
            return self.after(after, Happening::Write { conn, id });
        }
        match self.wires.links.get_mut(&link) {
            Some(wire) if wire.conn.is_some() => wire.unsent.push(id),
            _ => self.tell_after(0, Event::Unsent { link, sends: vec![id] }),
        }
    }

    /// All up to `id` is handed to the connection, unless the peer has stopped reading.
    pub fn write(&mut self, conn: ConnId, id: SendId) {
        let Some(line) = self.wires.conns.get_mut(&conn).filter(|line| line.stands) else { return };
        let Some(place) = line.queue.iter().position(|(queued, ..)| *queued == id) else { return };
        if line.stalled {
            let send_by = line.queue[place].2;
            let due = self.moment(send_by).max(self.now) + 1;
            return self.at(due, Happening::Expire { conn, id });
        }
        let ready: Vec<_> = line.queue.drain(..=place).collect();
        ready.into_iter().for_each(|(id, frame, _)| self.hand_over(conn, id, frame));
    }

    pub fn expire(&mut self, conn: ConnId, id: SendId) {
        let Some(line) = self.wires.conns.get_mut(&conn).filter(|line| line.stands) else { return };
        let Some(place) = line.queue.iter().position(|(queued, ..)| *queued == id) else { return };
        line.queue.remove(place);
        let link = line.link;
        self.tally.fault("frames expired before the write");
        self.tell(Event::Unsent { link, sends: vec![id] });
    }

    fn hand_over(&mut self, conn: ConnId, id: SendId, (frame, seals): Unsealed) {
        let link = self.wires.conns.get(&conn).map(|line| line.link);
        let sealed = match (self.sealed(&frame, &seals), link) {
            (Ok(sealed), _) => sealed,
            (Err(fault), Some(link)) => {
                return self.tell(Event::Unsealed { link, sends: vec![id], fault: fault.code() });
            }
            (Err(_), None) => return,
        };
        self.checker.written(self.now, id, &frame);
        let vanishes = self.wires.conns.get(&conn).is_some_and(|line| line.deaf);
        if vanishes || self.chance(self.chances.loss) {
            self.tally.fault("frames lost after the write");
            return;
        }
        let frame = self.perhaps_altered(sealed);
        for moment in self.arrivals(conn, true) {
            let frame = self.perhaps_garbled(&frame);
            self.at(moment, Happening::AtBank { conn, frame });
        }
    }

    /// A frame cut short or turned into noise, at times. What is whole and says something else no switch could tell
    /// without a MAC.
    fn perhaps_garbled(&mut self, frame: &Bytes) -> Bytes {
        if !self.chance(self.chances.garble) || frame.len() < 2 {
            return frame.clone();
        }
        let random = &mut self.streams.network;
        if random.bool() {
            self.tally.fault("frames cut short");
            return frame.slice(..random.usize(1..frame.len()));
        }
        self.tally.fault("frames of noise");
        std::iter::repeat_with(|| random.u8(..)).take(frame.len()).collect()
    }

    /// When a frame arrives, and when its copies do.
    fn arrivals(&mut self, conn: ConnId, to_bank: bool) -> Vec<Micros> {
        let copies = if self.chance(self.chances.duplicate) { 2 } else { 1 };
        if copies > 1 {
            self.tally.fault("frames duplicated");
        }
        (0..copies).map(|_| self.arrival(conn, to_bank)).collect()
    }

    fn arrival(&mut self, conn: ConnId, to_bank: bool) -> Micros {
        let mut latency = self.streams.network.u64(MILLI..30 * MILLI);
        let overtakes = self.chance(self.chances.reorder);
        if self.chance(self.chances.spike) {
            self.tally.fault("frames later than anybody waits");
            latency += self.streams.network.u64(4 * SECOND..40 * SECOND);
        }
        let now = self.now;
        if self.wires.conns.get(&conn).is_some_and(|line| now < line.slow_until) {
            self.tally.fault("frames over a slow line");
            latency += self.streams.network.u64(SECOND / 2..4 * SECOND);
        }
        let Some(line) = self.wires.conns.get_mut(&conn) else { return now + latency };
        let last = if to_bank { &mut line.last_to_bank } else { &mut line.last_to_switch };
        let arrival = now + latency;
        if overtakes {
            self.tally.fault("frames reordered");
            return arrival;
        }
        *last = arrival.max(*last + 1);
        *last
    }

    pub fn at_bank(&mut self, conn: ConnId, frame: Bytes) {
        let Some(place) = self.wires.conns.get(&conn).filter(|line| line.bank_knows).map(|line| line.bank) else {
            return;
        };
        if !self.banks[place].up {
            return;
        }
        if self.now < self.banks[place].hangs_until && !self.is_network_management(&frame) {
            self.tally.fault("messages swallowed by a bank that hangs");
            return;
        }
        let clock = self.bank_clock();
        let planned = self.banks[place].issuer.receive(conn, frame, clock);
        let booked = self.banks[place].issuer.take_entries();
        for entry in &booked {
            let (code, rrn, stan) = (&entry.response_code, &entry.rrn, &entry.identity.stan);
            let line = format_args!(
                "    bank {} {} {stan} {rrn} {code} {:+} held {:+}",
                entry.mti, entry.kind, entry.net, entry.held
            );
            self.trace.note(self.now, line);
        }
        self.banks[place].entries.extend(booked);
        for planned in planned {
            let (life, after) = (self.banks[place].life, planned.after.as_micros() as Micros);
            self.after(after, Happening::FromBank { life, conn: planned.link, action: planned.action });
        }
    }

    fn is_network_management(&self, frame: &Bytes) -> bool {
        let spec = self.plan.settings.hosts[0].translation.spec();
        spec.decode(frame.clone()).is_ok_and(|message| message.mti().class() == 8)
    }

    /// What a bank planned happens, if it still lives that life.
    pub fn bank_acts(&mut self, life: u32, conn: ConnId, action: Action) {
        let same_life = |line: &&Conn| line.bank_knows && self.banks[line.bank].life == life;
        let Some(line) = self.wires.conns.get(&conn).filter(same_life) else { return };
        match action {
            Action::Close | Action::Reset => self.cut(conn),
            Action::SendUnframed(_) | Action::PauseReading(_) => {}
            Action::Send(frame) => {
                if line.mute || self.chance(self.chances.loss) {
                    self.tally.fault("frames of the bank lost");
                    return;
                }
                let frame = self.perhaps_refused(frame);
                let frame = self.perhaps_altered(frame);
                for moment in self.arrivals(conn, false) {
                    let frame = self.perhaps_garbled(&frame);
                    self.at(moment, Happening::AtSwitch { conn, frame });
                }
            }
        }
    }

    /// Turns the yes to a sign-on into a no, at times.
    fn perhaps_refused(&mut self, frame: Bytes) -> Bytes {
        if !self.chance(self.chances.refused_sign_on) {
            return frame;
        }
        let spec = self.plan.settings.hosts[0].translation.spec();
        let Ok(message) = spec.decode(frame.clone()) else { return frame };
        if message.mti().class() != 8 || message.text(70).as_deref() != Some("001") {
            return frame;
        }
        let mut builder = message.to_builder();
        builder.set(39, "91");
        let refused = spec.encode_to_bytes(&builder).unwrap_or(frame);
        self.tally.fault("sign-ons refused");
        refused
    }

    pub fn at_switch(&mut self, conn: ConnId, frame: Bytes) {
        let Some(line) = self.wires.conns.get(&conn).filter(|line| line.stands) else { return };
        let mut link = line.link;
        if self.chance(self.chances.other_link)
            && let Some(other) = self.wires.conns.get(&conn).and_then(|line| self.wires.another(line))
        {
            self.tally.fault("replies on another link");
            link = other;
        }
        let mac = self.verdict(link, &frame);
        self.tell(Event::Arrived { link, frame: frame.into(), mac });
    }

    /// A connection breaks; both ends learn of it in their own time.
    pub fn cut(&mut self, conn: ConnId) {
        let Some(line) = self.wires.conns.get_mut(&conn).filter(|line| line.stands) else { return };
        line.stands = false;
        let unsent: Vec<SendId> = line.queue.drain(..).map(|(id, ..)| id).collect();
        if !unsent.is_empty() {
            self.tally.fault("cuts with unsent frames");
        }
        if let Some(wire) = self.wires.links.get_mut(&line.link) {
            wire.unsent.extend(unsent);
        }
        let (soon, later) = (self.streams.network.u64(0..200 * MILLI), self.streams.network.u64(0..2 * SECOND));
        self.after(soon, Happening::SwitchLearns { conn });
        self.after(later, Happening::BankLearns { conn });
    }

    pub fn switch_learns(&mut self, conn: ConnId) {
        let Some(link) = self.wires.conns.get(&conn).map(|line| line.link) else { return };
        let Some(wire) = self.wires.links.get_mut(&link).filter(|wire| wire.conn == Some(conn)) else { return };
        wire.conn = None;
        let unsent = std::mem::take(&mut wire.unsent);
        self.tell(Event::Disconnected { link, unsent });
    }

    pub fn bank_learns(&mut self, conn: ConnId) {
        if let Some(line) = self.wires.conns.get_mut(&conn) {
            self.banks[line.bank].issuer.link_down(conn);
            line.bank_knows = false;
        }
    }

    /// The switch's process is gone, and its sockets with it.
    pub fn lose_all_conns(&mut self) {
        let standing: Vec<ConnId> = self.wires.conns.iter().filter(|(_, c)| c.stands).map(|(id, _)| *id).collect();
        standing.into_iter().for_each(|conn| self.cut(conn));
        self.wires.links.clear();
    }

    pub fn cut_link(&mut self, link: u16) {
        if let Some(conn) = self.wires.standing(link) {
            self.tally.fault("cuts");
            self.cut(conn);
        }
    }

    pub fn flaps(&mut self, link: u16, times: u32) {
        if let Some(conn) = self.wires.standing(link) {
            self.tally.fault("cuts of a flapping link");
            self.cut(conn);
        }
        if times > 1 {
            let soon = self.streams.network.u64(SECOND / 2..5 * SECOND);
            self.after(soon, Happening::Befalls(Incident::Flaps { link, times: times - 1 }));
        }
    }

    pub fn half_open(&mut self, link: u16) {
        let Some(conn) = self.wires.standing(link) else { return };
        self.tally.fault("half-open connections");
        if let Some(line) = self.wires.conns.get_mut(&conn) {
            (line.deaf, line.mute) = (true, true);
        }
    }

    pub fn one_way(&mut self, link: u16, to_bank: bool) {
        let Some(conn) = self.wires.standing(link) else { return };
        self.tally.fault(if to_bank { "lines dead towards the bank" } else { "lines dead towards the switch" });
        if let Some(line) = self.wires.conns.get_mut(&conn) {
            (line.deaf, line.mute) = (line.deaf || to_bank, line.mute || !to_bank);
        }
    }

    pub fn slow(&mut self, link: u16, lasts: Micros) {
        let until = self.now + lasts;
        let Some(conn) = self.wires.standing(link) else { return };
        if let Some(line) = self.wires.conns.get_mut(&conn) {
            line.slow_until = until;
        }
    }

    pub fn stall(&mut self, link: u16, lasts: Micros) {
        let Some(conn) = self.wires.standing(link) else { return };
        self.tally.fault("peers that stop reading");
        if let Some(line) = self.wires.conns.get_mut(&conn) {
            line.stalled = true;
        }
        self.after(lasts, Happening::StallEnds { conn });
        // Half of them end as a broken line, with frames that nobody took.
        if self.streams.network.bool() {
            self.after(lasts / 2, Happening::Befalls(Incident::Cut { link }));
        }
    }

    pub fn stall_ends(&mut self, conn: ConnId) {
        let Some(line) = self.wires.conns.get_mut(&conn) else { return };
        line.stalled = false;
        if line.stands {
            let ready: Vec<_> = line.queue.drain(..).collect();
            ready.into_iter().for_each(|(id, frame, _)| self.hand_over(conn, id, frame));
        }
    }

    pub fn unstall_all(&mut self) {
        let stalled: Vec<ConnId> = self.wires.conns.iter().filter(|(_, c)| c.stalled).map(|(id, _)| *id).collect();
        stalled.into_iter().for_each(|conn| self.stall_ends(conn));
    }

    /// The bank says something by itself.
    pub fn peer_says(&mut self, link: u16, function: &str, fault: &'static str) {
        let Some(conn) = self.wires.standing(link) else { return };
        self.tally.fault(fault);
        let mut request = MessageBuilder::new("0800".parse().expect("a message type"));
        request.set(7, "1122120000");
        request.set(11, "000777");
        request.set(70, function);
        if function == "201" && self.chance(500) {
            request.set(15, BusinessDate::of(self.bank_clock()).mmdd());
        }
        let spec = self.plan.settings.hosts[0].translation.spec();
        if let Ok(frame) = spec.encode_to_bytes(&request) {
            let life = self.banks[self.plan.bank_of(LinkId(link))].life;
            self.after(0, Happening::FromBank { life, conn, action: Action::Send(frame) });
        }
    }
}
