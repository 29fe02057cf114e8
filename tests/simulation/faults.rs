//! What can go wrong: chances that befall small things all the time, and incidents that befall big ones at a moment.

use crate::operators::Deed;
use crate::plan::{DAY, HOUR, MILLI, MINUTE, Micros, SECOND};
use fastrand::Rng;
use isthmus::simulator::Act;
use isthmus::switch::{HostMode, LinkOrder};

/// Chances in a thousand that something small goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Chances {
    /// A frame vanishes after it was written.
    pub loss: u32,
    /// A frame arrives twice.
    pub duplicate: u32,
    /// A frame overtakes others.
    pub reorder: u32,
    /// A frame takes longer than anybody waits.
    pub spike: u32,
    /// A frame arrives cut short, or as noise.
    pub garble: u32,
    /// A connection is refused.
    pub refused_connect: u32,
    /// A sign-on is answered with a no.
    pub refused_sign_on: u32,
    /// The store refuses a commit.
    pub refused_commit: u32,
    /// The switch is killed at a commit.
    pub crash_at_commit: u32,
    /// A reply comes on another link than its request went.
    pub other_link: u32,
    /// The store can't read a payment.
    pub refused_read: u32,
    /// An answer never reaches its merchant.
    pub lost_answer: u32,
    /// A frame that bears a MAC arrives with other bytes in it.
    pub altered: u32,
}

/// What a commit makes durable, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    Request,
    Advice,
    Outcome,
    Discharge,
    LateReply,
    Numbers,
}

/// Which part of a commit a crash falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Nothing of the group is durable.
    Before,
    /// Some appends of the group are durable, the others are not.
    Torn,
    /// All of it is durable, and the switch doesn't know.
    After,
    /// The switch knows, and dies between the effects of that.
    Acting,
}

/// A crash that waits for its moment: the next commit, or the next of a kind of record.
#[derive(Clone, Copy, Debug)]
pub struct CrashAt {
    pub record: Option<RecordKind>,
    pub instant: Instant,
    pub down: Micros,
}

/// Something big that goes wrong, or an operator's doing.
#[derive(Clone, Debug)]
pub enum Incident {
    /// The switch is killed and started again after a while.
    Crash { down: Micros },
    /// It is killed at a commit.
    CrashAt(CrashAt),
    /// The switch is stopped in order and started again.
    Drain,
    /// The bank's process is killed and started again after a while.
    BankCrash { host: usize, down: Micros },
    /// The bank's front still talks network management, and what is behind it swallows everything else.
    BankHangs { host: usize, lasts: Micros },
    /// A connection breaks.
    Cut { link: u16 },
    /// It breaks again and again.
    Flaps { link: u16, times: u32 },
    /// A connection swallows everything both ways, and nobody is told.
    HalfOpen { link: u16 },
    /// A connection swallows everything one way.
    OneWay { link: u16, to_bank: bool },
    /// Frames of a connection take seconds for a while.
    Slow { link: u16, lasts: Micros },
    /// The peer stops reading for a while.
    Stall { link: u16, lasts: Micros },
    /// The store takes nothing for a while.
    StoreRefuses { lasts: Micros },
    /// The store is slow for a while: a commit may take up to so long.
    StoreSlow { lasts: Micros, commit: Micros },
    /// The wall clock is set.
    WallJump { by: i64 },
    /// The bank signs off by itself.
    PeerSignOff { link: u16 },
    /// The bank sends an echo by itself.
    PeerEcho { link: u16 },
    /// The bank's day ends, and it says so on a link, or does not.
    Cutover { link: u16, announced: bool },
    /// An operator does something.
    Operator(Deed),
    /// The bank does something about keys of its own accord.
    BankActs { host: usize, act: Act },
}

/// Chances of every kind.
pub fn chances(random: &mut Rng) -> Chances {
    let mut up_to = |most: u32| if random.u32(0..3) == 0 { 0 } else { random.u32(0..most) };
    Chances {
        loss: up_to(200),
        duplicate: up_to(150),
        reorder: up_to(200),
        spike: up_to(100),
        garble: up_to(60),
        refused_connect: up_to(400),
        refused_sign_on: up_to(300),
        refused_commit: up_to(200),
        crash_at_commit: up_to(25),
        other_link: up_to(200),
        refused_read: up_to(300),
        lost_answer: up_to(200),
        // Only where there are keys, which are drawn apart.
        altered: 0,
    }
}

/// One kind of chance alone.
pub fn one_chance(random: &mut Rng) -> Chances {
    let mut only = Chances::default();
    let all = chances(random);
    match random.u32(0..12) {
        0 => only.loss = all.loss,
        1 => only.duplicate = all.duplicate,
        2 => only.reorder = all.reorder,
        3 => only.spike = all.spike,
        4 => only.refused_connect = all.refused_connect,
        5 => only.refused_sign_on = all.refused_sign_on,
        6 => only.refused_commit = all.refused_commit,
        7 => only.refused_read = all.refused_read,
        8 => only.crash_at_commit = all.crash_at_commit,
        9 => only.other_link = all.other_link,
        10 => only.garble = all.garble,
        _ => only.lost_answer = all.lost_answer,
    }
    only
}

pub fn instant(random: &mut Rng) -> Instant {
    match random.u32(0..4) {
        0 => Instant::Before,
        1 => Instant::Torn,
        2 => Instant::After,
        _ => Instant::Acting,
    }
}

fn record_kind(random: &mut Rng) -> Option<RecordKind> {
    match random.u32(0..9) {
        0 => Some(RecordKind::Request),
        1 => Some(RecordKind::Advice),
        2 => Some(RecordKind::Outcome),
        3 => Some(RecordKind::Discharge),
        4 | 5 => Some(RecordKind::LateReply),
        6 => Some(RecordKind::Numbers),
        _ => None,
    }
}

fn deed(random: &mut Rng, link: u16) -> Deed {
    match random.u32(0..10) {
        0 => Deed::Host(HostMode::Maintenance),
        1..=2 => Deed::Host(HostMode::Down),
        3 => Deed::Host(HostMode::Up),
        4 => Deed::Link(link, LinkOrder::SignOff),
        5 => Deed::Link(link, LinkOrder::Drain),
        6 => Deed::Link(link, LinkOrder::SignOn),
        7 => Deed::Link(link, LinkOrder::Echo),
        8 => Deed::Cutover,
        _ => Deed::Parked,
    }
}

/// An incident of some minutes.
pub fn incident(random: &mut Rng, hosts: usize, links: u16) -> Incident {
    let (host, link) = (random.usize(0..hosts), random.u16(0..links));
    let brief = random.u64(0..5 * SECOND);
    let long = random.u64(SECOND..90 * SECOND);
    match random.u32(0..35) {
        0..=2 => Incident::Crash { down: brief },
        3..=6 => Incident::CrashAt(CrashAt { record: record_kind(random), instant: instant(random), down: brief }),
        7 => Incident::Drain,
        8 => Incident::BankCrash { host, down: brief },
        9 => Incident::BankCrash { host, down: long },
        10 => Incident::BankHangs { host, lasts: long },
        11..=13 => Incident::Cut { link },
        14 => Incident::Flaps { link, times: random.u32(3..12) },
        15..=16 => Incident::HalfOpen { link },
        17 => Incident::OneWay { link, to_bank: random.bool() },
        18 => Incident::Slow { link, lasts: long },
        19..=20 => Incident::Stall { link, lasts: random.u64(SECOND..20 * SECOND) },
        21 => Incident::StoreRefuses { lasts: random.u64(100 * MILLI..long.max(SECOND)) },
        22 => Incident::StoreSlow { lasts: long, commit: 2 * SECOND },
        23 => Incident::StoreSlow { lasts: long, commit: 12 * SECOND },
        24..=25 => Incident::WallJump { by: jump(random) },
        26 => Incident::PeerSignOff { link },
        27 => Incident::PeerEcho { link },
        28..=30 => Incident::Cutover { link, announced: random.u32(0..4) > 0 },
        _ => Incident::Operator(deed(random, link)),
    }
}

/// An incident of hours, for a run of a working day.
pub fn outage(random: &mut Rng, hosts: usize) -> Incident {
    let host = random.usize(0..hosts);
    match random.u32(0..4) {
        0 => Incident::BankHangs { host, lasts: random.u64(5 * MINUTE..40 * MINUTE) },
        1 => Incident::StoreRefuses { lasts: random.u64(MINUTE..20 * MINUTE) },
        _ => Incident::BankCrash { host, down: random.u64(HOUR..5 * HOUR) },
    }
}

fn jump(random: &mut Rng) -> i64 {
    let by = match random.u32(0..4) {
        0 | 1 => HOUR as i64,
        2 => DAY as i64,
        _ => random.i64(1..90_000) * SECOND as i64,
    };
    if random.bool() { by } else { -by }
}
