//! What a seed stands for: how the switch and its bank are set, what the merchants want, and what goes wrong when.

use fastrand::Rng;
use isthmus::host::{BreakerSettings, RetrySettings};
use isthmus::iso8583::dialects;
use isthmus::link::SessionSettings;
use isthmus::payment::Name;
use isthmus::routing::Routes;
use isthmus::switch::{HostSettings, LinkId, OnUnknown, Repeat, ReplyOn, ReversalStan, Settings};
use isthmus::translation::{Mapping, Translation};
use std::sync::Arc;
use std::time::Duration;

/// Virtual microseconds.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;

/// After the last fault everything has to come to rest within this time.
pub const HEALING: Micros = 45 * MINUTE;

/// The acquiring institution that the switch is to the bank.
pub const ACQUIRER: &str = "123456";

/// A seed, spelled out.
pub struct Plan {
    pub seed: u64,
    pub settings: Settings,
    pub dialect: &'static str,
    /// Trace numbers used before the first run.
    pub numbers_used: u64,
    pub merchants: usize,
    pub payments: usize,
    /// What the bank says to the reversal of something it never saw.
    pub unseen_code: &'static str,
    /// How long faults happen.
    pub active: Micros,
    pub chances: Chances,
    pub incidents: Vec<(Micros, Incident)>,
}

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
}

/// Something big that goes wrong, or an operator's doing.
#[derive(Clone, Debug)]
pub enum Incident {
    /// The switch is killed and started again after a while.
    Crash { down: Micros },
    /// It is killed right at a commit: before the store's word reaches it.
    CrashAtCommit { down: Micros },
    /// The switch is stopped in order and started again.
    Drain,
    /// The bank's process is killed and started again after a while.
    BankCrash { down: Micros },
    /// A connection breaks.
    Cut { link: u16 },
    /// A connection swallows everything both ways, and nobody is told.
    HalfOpen { link: u16 },
    /// The peer stops reading for a while.
    Stall { link: u16, lasts: Micros },
    /// The store takes nothing for a while.
    StoreRefuses { lasts: Micros },
    /// The store is slow for a while.
    StoreSlow { lasts: Micros },
    /// The wall clock is set.
    WallJump { by: i64 },
    /// The bank signs off by itself.
    PeerSignOff { link: u16 },
    /// The bank sends an echo by itself.
    PeerEcho { link: u16 },
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut random = Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let active = random.u64(60..300) * SECOND;
        let links = random.u16(1..=3);
        let dialect = if random.bool() { "iso8583-1987-ascii" } else { "iso8583-1987-bcd" };
        let level = random.u32(0..10);
        let chances = match level {
            0 => Chances::default(),
            1..=3 => one_chance(&mut random),
            _ => chances(&mut random),
        };
        let incidents = match level {
            0 => 0,
            1..=3 => random.usize(1..=2),
            _ => random.usize(2..=14),
        };
        let incidents = (0..incidents).map(|_| (random.u64(0..active), incident(&mut random, links))).collect();
        Plan {
            seed,
            settings: settings(&mut random, dialect, links),
            dialect,
            numbers_used: if random.u32(0..4) == 0 { 999_999 - random.u64(0..60) } else { random.u64(0..5_000_000) },
            unseen_code: if random.bool() { "00" } else { "25" },
            merchants: random.usize(1..=4),
            payments: random.usize(4..=36),
            active,
            chances,
            incidents,
        }
    }
}

fn one_chance(random: &mut Rng) -> Chances {
    let mut only = Chances::default();
    let all = chances(random);
    match random.u32(0..11) {
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
        _ => only.lost_answer = all.lost_answer,
    }
    only
}

fn chances(random: &mut Rng) -> Chances {
    let mut up_to = |most: u32| if random.u32(0..3) == 0 { 0 } else { random.u32(0..most) };
    Chances {
        loss: up_to(200),
        duplicate: up_to(150),
        reorder: up_to(200),
        spike: up_to(100),
        refused_connect: up_to(400),
        refused_sign_on: up_to(300),
        refused_commit: up_to(200),
        crash_at_commit: up_to(25),
        other_link: up_to(200),
        refused_read: up_to(300),
        lost_answer: up_to(200),
    }
}

fn incident(random: &mut Rng, links: u16) -> Incident {
    let link = random.u16(0..links);
    let brief = random.u64(0..5 * SECOND);
    let long = random.u64(SECOND..90 * SECOND);
    match random.u32(0..22) {
        0..=2 => Incident::Crash { down: brief },
        3..=5 => Incident::CrashAtCommit { down: brief },
        6 => Incident::Drain,
        7 => Incident::BankCrash { down: brief },
        8 => Incident::BankCrash { down: long },
        9..=11 => Incident::Cut { link },
        12..=13 => Incident::HalfOpen { link },
        14..=15 => Incident::Stall { link, lasts: random.u64(SECOND..20 * SECOND) },
        16 => Incident::StoreRefuses { lasts: random.u64(100 * MILLI..30 * SECOND) },
        17 => Incident::StoreSlow { lasts: long },
        18..=19 => Incident::WallJump { by: random.i64(-90_000..90_000) * SECOND as i64 },
        20 => Incident::PeerSignOff { link },
        _ => Incident::PeerEcho { link },
    }
}

fn settings(random: &mut Rng, dialect: &'static str, links: u16) -> Settings {
    let layers = dialects::builtin_layers(dialect).expect("a built-in dialect").expect("it reads");
    let spec = dialects::builtin(dialect).expect("a built-in dialect").expect("it reads");
    let mapping = Mapping::read(&layers).expect("its mapping reads");
    let session = SessionSettings::read(&layers).expect("its session reads");
    let few_attempts = random.u32(0..6) == 0;
    let host = HostSettings {
        name: Name::from("bank"),
        acquirer: Name::from(ACQUIRER),
        links: (0..links).map(LinkId).collect(),
        translation: Arc::new(Translation::new(spec, mapping, Name::from(dialect))),
        session: Arc::new(session),
        answer_timeout: Duration::from_secs(random.u64(4..15)),
        send_timeout: Duration::from_millis(random.u64(500..4_000)),
        share: 1_000,
        breaker: BreakerSettings {
            failures: if random.bool() { random.u32(1..6) } else { 0 },
            rest_min: Duration::from_millis(random.u64(200..2_000)),
            rest_max: Duration::from_secs(random.u64(2..20)),
        },
        reply_on: if random.u32(0..3) == 0 { ReplyOn::Same } else { ReplyOn::Any },
        retry: RetrySettings {
            window: random.usize(1..=6),
            pause_min: Duration::from_millis(random.u64(200..4_000)),
            pause_max: Duration::from_secs(random.u64(5..60)),
            max_attempts: if few_attempts { random.u32(1..6) } else { 10_000 },
        },
        on_unknown: if random.u32(0..12) == 0 { OnUnknown::Nothing } else { OnUnknown::Reverse },
        reversal_stan: if random.bool() { ReversalStan::Same } else { ReversalStan::New },
        repeat: if random.u32(0..4) == 0 { Repeat::Unchanged } else { Repeat::Flagged },
    };
    let credit = if random.u32(0..5) == 0 { random.usize(1..6) } else { 1_000 };
    Settings {
        hosts: vec![host],
        credit,
        payment_queue: random.usize(1..=8),
        settled_memory: 10_000,
        routes: Routes::default(),
        send_budget: Duration::from_secs(12),
    }
}
