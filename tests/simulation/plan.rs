//! What a seed stands for: how the switch and its bank are set, what the merchants want, and what goes wrong when.

use crate::faults::{Chances, Incident, chances, incident, one_chance, outage};
use crate::keys::Keys;
use crate::merchants::{CARDS, euro, print_of};
use fastrand::Rng;
use isthmus::host::{BreakerSettings, DayKeeper, DaySettings, RetrySettings};
use isthmus::iso8583::dialects;
use isthmus::link::SessionSettings;
use isthmus::payment::{Brand, CutoverClock, MerchantId, Name};
use isthmus::routing::Routes;
use isthmus::switch::{CaptureForm, Forms, RefundForm, ReversalForm, SaleForm, VoidForm};
use isthmus::switch::{HostSettings, LinkId, NumberBlock, OnUnknown, Repeat, ReplyOn, ReversalStan, Settings};
use isthmus::switch::{StandInLimit, StandInSettings};
use isthmus::translation::{Mapping, Translation};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Virtual microseconds.
pub type Micros = u64;

pub const MILLI: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const DAY: Micros = 24 * HOUR;

/// After the last fault everything has to come to rest within this time.
pub const HEALING: Micros = 45 * MINUTE;

/// The banks by their names, and the acquiring institution that the switch is to each.
const BANKS: [(&str, &str); 3] = [("bank", "123456"), ("second", "123457"), ("third", "654321")];
/// Retrieval references of one acquirer begin so far behind those of the one before it that they tell banks apart.
const BETWEEN_REFERENCES: u64 = 100_000_000;

/// A seed, spelled out.
pub struct Plan {
    pub seed: u64,
    /// What the clocks show when the run begins.
    pub begins: i64,
    pub settings: Settings,
    /// The keys that are shared with the banks, where some are.
    pub keys: Option<Keys>,
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
    /// Moments around which merchants are busy; none where they are busy all the time.
    pub rushes: Vec<Micros>,
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        let mut random = Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        // One run in six is a working day of hours, with its rush around what goes wrong.
        let is_day = seed % 6 == 5;
        let active = if is_day { random.u64(3 * HOUR..11 * HOUR) } else { random.u64(60..300) * SECOND };
        let hosts = [1, 1, 2, 2, 2, 3][random.usize(0..6)];
        let links: Vec<u16> = (0..hosts).map(|_| random.u16(1..=3)).collect();
        let dialect = if random.bool() { "iso8583-1987-ascii" } else { "iso8583-1987-bcd" };
        let level = random.u32(0..10);
        let mut incidents = incidents(&mut random, level, &links, active, is_day);
        let mut chances = match level {
            0 => Chances::default(),
            1..=3 => one_chance(&mut random),
            _ => chances(&mut random),
        };
        let begins = begins(&mut random, active);
        let mut settings = settings(&mut random, dialect, &links);
        let agreed = stand_in(&mut Rng::with_seed(seed ^ STAND_IN));
        settings.hosts.iter_mut().for_each(|host| host.stand_in.clone_from(&agreed));
        if let Some(session) = told_of_days(&mut Rng::with_seed(seed ^ TOLD_OF_DAYS), &settings.hosts[0].session) {
            settings.hosts.iter_mut().for_each(|host| host.session = Arc::clone(&session));
        }
        let mut keys = Keys::of(seed, level, hosts, links.iter().sum(), active);
        if let Some(keys) = &mut keys {
            settings.hosts.iter_mut().for_each(|host| host.keys = Arc::clone(&keys.settings));
            incidents.append(&mut keys.incidents);
            chances.altered = keys.altered;
        }
        Plan {
            seed,
            begins,
            settings,
            keys,
            dialect,
            numbers_used: if random.u32(0..4) == 0 { 999_999 - random.u64(0..30) } else { random.u64(0..5_000_000) },
            unseen_code: if random.bool() { "00" } else { "25" },
            merchants: random.usize(1..=4),
            payments: if is_day { random.usize(30..=120) } else { random.usize(4..=36) },
            active,
            chances,
            rushes: incidents.iter().map(|(moment, _)| *moment).filter(|_| is_day).collect(),
            incidents,
        }
    }
}

impl Plan {
    /// A plain one with a single bank, to build scripts on.
    pub fn with_one_bank() -> Plan {
        let mut plan = Plan::of(0);
        plan.settings.hosts.truncate(1);
        plan.share(None);
        plan
    }

    /// Shares these keys with the banks, or none.
    pub fn share(&mut self, keys: Option<Keys>) {
        let settings = keys.as_ref().map(|keys| Arc::clone(&keys.settings)).unwrap_or_default();
        self.settings.hosts.iter_mut().for_each(|host| host.keys = Arc::clone(&settings));
        self.keys = keys;
    }

    /// The numbers that were used before the first run.
    pub fn numbers(&self) -> Vec<NumberBlock> {
        let block = |(place, host): (usize, &HostSettings)| NumberBlock {
            acquirer: host.acquirer.clone(),
            stans: self.numbers_used,
            rrns: self.numbers_used + place as u64 * BETWEEN_REFERENCES,
        };
        self.settings.hosts.iter().enumerate().map(block).collect()
    }

    /// When a merchant wants something. Of a long day most happens around what goes wrong.
    pub fn busy_moment(&self, random: &mut Rng) -> Micros {
        let when = random.u64(0..self.active * 9 / 10);
        match self.rushes.len() {
            0 => when,
            _ if random.u32(0..4) == 0 => when,
            count => self.rushes[random.usize(0..count)].saturating_sub(MINUTE) + random.u64(0..4 * MINUTE),
        }
    }

    /// The bank that a link leads to.
    pub fn bank_of(&self, link: LinkId) -> usize {
        let leads_there = |host: &HostSettings| host.links.contains(&link);
        self.settings.hosts.iter().position(leads_there).expect("a link of some host")
    }
}

fn incidents(random: &mut Rng, level: u32, links: &[u16], active: Micros, is_day: bool) -> Vec<(Micros, Incident)> {
    let count = match level {
        0 => 0,
        1..=3 => random.usize(1..=2),
        _ => random.usize(2..=14),
    };
    let (hosts, links) = (links.len(), links.iter().sum());
    let mut all: Vec<_> = (0..count).map(|_| (random.u64(0..active), incident(random, hosts, links))).collect();
    if is_day && level > 0 {
        all.extend((0..random.u32(1..=2)).map(|_| (random.u64(0..active), outage(random, hosts))));
    }
    all
}

/// Midnights (UTC) that something could be made of: an ordinary one, a new year (element 7 has none), a leap day.
const MIDNIGHTS: [i64; 4] =
    [1_795_392_000_000_000, 1_798_761_600_000_000, 1_835_395_200_000_000, 1_835_481_600_000_000];

/// Half of the runs see a day end.
fn begins(random: &mut Rng, active: Micros) -> i64 {
    let midnight = MIDNIGHTS[random.usize(0..MIDNIGHTS.len())];
    let before = if random.bool() { random.u64(0..active) } else { random.u64(12 * HOUR..DAY) };
    midnight - before as i64
}

/// Banks that are alike in everything but their names and links.
fn hosts(like: &HostSettings, links: &[u16]) -> Vec<HostSettings> {
    let mut first = 0;
    let host = |((name, acquirer), links): (&(&str, &str), &u16)| {
        let own = (first..first + links).map(LinkId).collect();
        first += links;
        HostSettings { name: Name::from(*name), acquirer: Name::from(*acquirer), links: own, ..like.clone() }
    };
    BANKS.iter().zip(links).map(host).collect()
}

/// What reading a dialect gives, read once.
struct Dialect {
    translation: Arc<Translation>,
    session: Arc<SessionSettings>,
}

impl Dialect {
    fn read(name: &'static str) -> Dialect {
        let layers = dialects::builtin_layers(name).expect("a built-in dialect").expect("it reads");
        let spec = dialects::builtin(name).expect("a built-in dialect").expect("it reads");
        let mapping = Mapping::read(&layers).expect("its mapping reads");
        let session = SessionSettings::read(&layers).expect("its session reads");
        Dialect { translation: Arc::new(Translation::new(spec, mapping, Name::from(name))), session: Arc::new(session) }
    }

    fn of(name: &str) -> &'static Dialect {
        static ASCII: LazyLock<Dialect> = LazyLock::new(|| Dialect::read("iso8583-1987-ascii"));
        static BCD: LazyLock<Dialect> = LazyLock::new(|| Dialect::read("iso8583-1987-bcd"));
        if name.ends_with("ascii") { &ASCII } else { &BCD }
    }
}

fn settings(random: &mut Rng, dialect: &'static str, links: &[u16]) -> Settings {
    let Dialect { translation, session } = Dialect::of(dialect);
    let few_attempts = random.u32(0..6) == 0;
    let host = HostSettings {
        name: Name::from(BANKS[0].0),
        acquirer: Name::from(BANKS[0].1),
        links: Vec::new(),
        translation: Arc::clone(translation),
        session: Arc::clone(session),
        keys: Arc::default(),
        answer_timeout: Duration::from_secs(random.u64(4..15)),
        send_timeout: Duration::from_millis(random.u64(500..4_000)),
        stand_in: None,
        share: if random.u32(0..6) == 0 { random.usize(1..5) } else { 1_000 },
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
            max_age: Duration::from_secs(if random.u32(0..8) == 0 { random.u64(30..600) } else { 400_000_000 }),
            share: random.usize(1..=3),
            busy_from: random.usize(1..12),
            burst: random.u32(1..5),
        },
        forms: forms(random),
        on_unknown: if random.u32(0..12) == 0 { OnUnknown::Nothing } else { OnUnknown::Reverse },
        reversal_stan: if random.bool() { ReversalStan::Same } else { ReversalStan::New },
        repeat: if random.u32(0..4) == 0 { Repeat::Unchanged } else { Repeat::Flagged },
        day: day(random),
    };
    let credit = if random.u32(0..5) == 0 { random.usize(1..6) } else { 1_000 };
    Settings {
        hosts: hosts(&host, links),
        credit,
        payment_queue: random.usize(1..=8),
        settled_memory: 10_000,
        routes: Routes::default(),
        send_budget: Duration::from_secs(12),
    }
}

/// Sets the draws of stand-in apart, so that nothing else of a seed depends on them.
const STAND_IN: u64 = 0x57a4_d1f0_0d5e_ed02;

/// What may be approved in the banks' place, in one run of three.
fn stand_in(random: &mut Rng) -> Option<Arc<StandInSettings>> {
    if random.u32(0..3) > 0 {
        return None;
    }
    let mut limits = vec![limit(random)];
    match random.u32(0..3) {
        0 => limits.insert(0, StandInLimit { brands: vec![Brand::Visa], ..limit(random) }),
        1 => {
            let merchants = vec![MerchantId::new("shop-0").expect("an identifier")];
            limits.insert(0, StandInLimit { merchants, ..limit(random) });
        }
        _ => {}
    }
    let negative = CARDS.iter().filter(|_| random.u32(0..10) == 0).map(|(card, _)| print_of(card)).collect();
    Some(Arc::new(StandInSettings { limits, negative }))
}

/// Sets the draws of how banks are told of our days apart, as above.
const TOLD_OF_DAYS: u64 = 0x0d0f_ada1_5000_0001;

/// The sessions of banks that want to be told when our own day has ended, in half of the runs.
fn told_of_days(random: &mut Rng, session: &SessionSettings) -> Option<Arc<SessionSettings>> {
    let mti = ["0800", "0820"][random.usize(0..2)].to_owned();
    let mut session = session.clone();
    session.network.cutover_mti = Some(mti);
    random.bool().then(|| Arc::new(session))
}

fn limit(random: &mut Rng) -> StandInLimit {
    StandInLimit {
        brands: Vec::new(),
        merchants: Vec::new(),
        currency: euro(0).currency(),
        amount_max: random.u64(2_000..20_000),
        count_max: random.usize(1..6),
        sum_max: random.u64(5_000..60_000),
        window: Duration::from_secs(random.u64(30..3_600)),
    }
}

/// The host's day by what it says, by a clock that agrees with it, or our own.
fn day(random: &mut Rng) -> DaySettings {
    let keeper = if random.u32(0..3) == 0 { DayKeeper::Ours } else { DayKeeper::Host };
    DaySettings { keeper, cutover: random.bool().then(CutoverClock::calendar) }
}

/// How the bank wants operations to be told: one draw, so that nothing else of a seed depends on it.
fn forms(random: &mut Rng) -> Forms {
    let drawn = random.u32(..);
    if drawn.is_multiple_of(4) {
        return Forms::default();
    }
    let pick = |place: u32, of: u32| drawn >> place & 0xf < of;
    Forms {
        sale: if pick(4, 8) { SaleForm::Dual } else { SaleForm::Single },
        capture: if pick(8, 8) { CaptureForm::Request } else { CaptureForm::Advice },
        refund: match drawn >> 12 & 0xf {
            0..5 => RefundForm::Awaited,
            5..10 => RefundForm::Advice,
            _ => RefundForm::Request,
        },
        void: match drawn >> 16 & 0xf {
            0..5 => VoidForm::ReversalRequest,
            5..10 => VoidForm::Request,
            _ => VoidForm::Advice,
        },
        reversal: if pick(20, 8) { ReversalForm::Request } else { ReversalForm::Advice },
        release: pick(24, 8),
    }
}
