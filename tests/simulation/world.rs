//! The world around one switch: virtual time, an event queue, a store, a network, a bank and merchants.
//!
//! Everything happens at a virtual moment and in the order in which it was queued; nothing reads a real clock. Each
//! concern draws from a stream of its own, so that one more draw here does not change what happens there.

use crate::checker::Checker;
use crate::journal::{Committed, Journal};
use crate::merchants::Market;
use crate::network::{Conn, ConnId, Wires};
use crate::plan::{ACQUIRER, Chances, HEALING, Incident, MILLI, MINUTE, Micros, Plan, SECOND};
use crate::tally::Tally;
use crate::tampering::Tampering;
use crate::trace::{Trace, describe_effect, describe_event};
use bytes::Bytes;
use fastrand::Rng;
use isthmus::payment::{Monotonic, Name, Now, PaymentId, Wall};
use isthmus::simulator::{Action, DEMO, Entry as BankEntry, Issuer, Profile, Scenario};
use isthmus::switch::{Answer, Effect, Event, LinkId, NumberBlock, SendId, Switch, WaiterId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// 2026-11-22, 23:40 UTC: a day ends within most runs.
const BEGINNING: i64 = 1_795_390_800_000_000;
/// How the bank reads and answers.
const PROFILE: &str = include_str!("../../specs/issuer/iso8583-1987.toml");
/// A card of the demo scenario whose bank asks twice to come again later.
const RELUCTANT: &str = r#"
[[rule]]
about = "the first two advices and reversals of each payment are to come again later"
when = { card = ["5555555555554444"], mti = ["0220", "0400", "0420"], nth_to = 2, counted = "payment" }
then = { code = "96" }
"#;
/// What a run's monotonic clock shows when it begins.
const RUN_BEGINS_AT: Micros = 7 * SECOND;
/// More wakes than this at one moment are a loop.
const MOST_WAKES: u32 = 25;
/// From a record's being durable to the switch's knowing it, at most.
pub const STORE_TELLS: Micros = 200 * MILLI;
/// A drain that takes longer is killed, as an operator would.
const DRAIN_PATIENCE: Micros = 2 * MINUTE;

/// Something that is due.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An event reaches the switch.
    Tell {
        run: u32,
        event: Box<Event>,
    },
    /// A deadline of the switch.
    Wake {
        run: u32,
        token: u64,
    },
    /// A commit of the store ends.
    Committed {
        run: u32,
    },
    /// A read of the store ends.
    Read {
        run: u32,
        payment: PaymentId,
    },
    Connected {
        run: u32,
        link: LinkId,
    },
    Write {
        conn: ConnId,
        id: SendId,
    },
    Expire {
        conn: ConnId,
        id: SendId,
    },
    AtBank {
        conn: ConnId,
        frame: Bytes,
    },
    FromBank {
        life: u32,
        conn: ConnId,
        action: Action,
    },
    AtSwitch {
        conn: ConnId,
        frame: Bytes,
    },
    SwitchLearns {
        conn: ConnId,
    },
    BankLearns {
        conn: ConnId,
    },
    StallEnds {
        conn: ConnId,
    },
    Turn {
        errand: usize,
    },
    Peek {
        errand: usize,
    },
    Patience {
        errand: usize,
        waiter: WaiterId,
    },
    Answered {
        waiter: WaiterId,
        answer: Box<Answer>,
    },
    Befalls(Incident),
    Restart,
    DrainPatience {
        run: u32,
    },
    BankBack,
    StoreWell,
    Heal,
    TooLate,
}

/// A stream of chance for each concern.
pub struct Streams {
    pub network: Rng,
    pub store: Rng,
    pub merchants: Rng,
    pub process: Rng,
}

/// How the store does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    pub refuses: bool,
    pub slow: bool,
}

/// What a run came to.
pub struct Outcome {
    pub violations: Vec<String>,
    pub hash: u64,
    pub tally: Tally,
    pub lines: Vec<String>,
}

impl Outcome {
    /// The switch panicked; what it said stands above.
    pub fn panicked() -> Outcome {
        let violations = vec!["the switch panicked".to_owned()];
        Outcome { violations, hash: 0, tally: Tally::default(), lines: Vec::new() }
    }
}

pub struct World {
    pub plan: Plan,
    pub now: Micros,
    queue: BTreeMap<(Micros, u64), Happening>,
    queued: u64,
    pub streams: Streams,
    pub chances: Chances,
    pub healed: bool,
    pub switch: Option<Switch>,
    pub run: u32,
    run_began: Micros,
    wall_offset: i64,
    wake: (u64, Option<Micros>),
    wakes_now: (Micros, u32),
    pub draining: bool,
    last_drain: bool,
    /// Connections that have to be signed off at the end.
    signing_off: Vec<ConnId>,
    crash_at_commit: Option<Micros>,
    pub journal: Journal,
    pub store: StoreHealth,
    pub wires: Wires,
    pub issuer: Issuer,
    pub bank_up: bool,
    pub bank_life: u32,
    pub bank_entries: Vec<BankEntry>,
    pub market: Market,
    pub checker: Checker,
    pub tampering: Tampering,
    pub tally: Tally,
    pub trace: Trace,
    over: bool,
}

/// Runs a seed from its beginning to the rest after it.
pub fn run(seed: u64, tampering: Tampering, keep_trace: bool) -> Outcome {
    run_plan(Plan::of(seed), tampering, keep_trace)
}

/// Runs a plan.
pub fn run_plan(plan: Plan, tampering: Tampering, keep_trace: bool) -> Outcome {
    let mut world = World::new(plan, tampering, keep_trace);
    world.begin();
    world.go_on();
    world.finish()
}

fn bank(seed: u64, plan: &Plan) -> Issuer {
    let profile = PROFILE.replace("reversal_unseen = \"00\"", &format!("reversal_unseen = \"{}\"", plan.unseen_code));
    let profile = Profile::read("profile", &profile).expect("it reads");
    let scenario = Scenario::read("scenario", &format!("{DEMO}{RELUCTANT}")).expect("it reads");
    let spec = Arc::clone(plan.settings.hosts[0].translation.spec());
    Issuer::new(spec, Arc::new(profile), Arc::new(scenario), seed)
}

impl World {
    fn new(plan: Plan, tampering: Tampering, keep_trace: bool) -> World {
        let stream = |salt: u64| Rng::with_seed(plan.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ salt);
        let streams = Streams { network: stream(1), store: stream(2), merchants: stream(3), process: stream(4) };
        let used = NumberBlock { acquirer: Name::from(ACQUIRER), stans: plan.numbers_used, rrns: plan.numbers_used };
        World {
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            streams,
            chances: plan.chances.clone(),
            healed: false,
            switch: None,
            run: 0,
            run_began: 0,
            wall_offset: 0,
            wake: (0, None),
            wakes_now: (0, 0),
            draining: false,
            last_drain: false,
            signing_off: Vec::new(),
            crash_at_commit: None,
            journal: Journal::with_numbers(used),
            store: StoreHealth::default(),
            wires: Wires::default(),
            issuer: bank(plan.seed, &plan),
            bank_up: true,
            bank_life: 0,
            bank_entries: Vec::new(),
            market: Market::new(&plan),
            checker: Checker::new(&plan),
            tampering,
            tally: Tally::default(),
            trace: Trace::new(keep_trace),
            over: false,
            plan,
        }
    }

    fn begin(&mut self) {
        self.at(0, Happening::Restart);
        for (moment, incident) in std::mem::take(&mut self.plan.incidents) {
            self.at(moment, Happening::Befalls(incident));
        }
        self.at(self.plan.active, Happening::Heal);
        self.at(self.plan.active + HEALING, Happening::TooLate);
        self.open_market();
    }

    fn go_on(&mut self) {
        while !self.over {
            let Some(((moment, _), happening)) = self.queue.pop_first() else { break };
            self.now = moment;
            self.happen(happening);
            self.rest();
        }
    }

    /// Queues something for `after` from now.
    pub fn after(&mut self, after: Micros, happening: Happening) {
        self.at(self.now + after, happening);
    }

    pub fn at(&mut self, moment: Micros, happening: Happening) {
        self.queued += 1;
        self.queue.insert((moment, self.queued), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tell { run, event } if run == self.run => self.tell(*event),
            Happening::Wake { run, token } if run == self.run && token == self.wake.0 => self.wake(),
            Happening::Committed { run } if run == self.run => self.committed(),
            Happening::Read { run, payment } if run == self.run => self.read(payment),
            Happening::Connected { run, link } if run == self.run => self.connection_stands(link),
            Happening::Tell { .. }
            | Happening::Wake { .. }
            | Happening::Committed { .. }
            | Happening::Read { .. }
            | Happening::Connected { .. } => {}
            Happening::Write { conn, id } => self.write(conn, id),
            Happening::Expire { conn, id } => self.expire(conn, id),
            Happening::AtBank { conn, frame } => self.at_bank(conn, frame),
            Happening::FromBank { life, conn, action } if life == self.bank_life => self.bank_acts(conn, action),
            Happening::FromBank { .. } => {}
            Happening::AtSwitch { conn, frame } => self.at_switch(conn, frame),
            Happening::SwitchLearns { conn } => self.switch_learns(conn),
            Happening::BankLearns { conn } => self.bank_learns(conn),
            Happening::StallEnds { conn } => self.stall_ends(conn),
            Happening::Turn { errand } => self.turn(errand),
            Happening::Peek { errand } => self.peek(errand),
            Happening::Patience { errand, waiter } => self.patience_ends(errand, waiter),
            Happening::Answered { waiter, answer } => self.answered(waiter, *answer),
            Happening::Befalls(incident) => self.befalls(incident),
            Happening::Restart => self.restart(),
            Happening::DrainPatience { run } if run == self.run && self.draining => self.drain_failed(),
            Happening::DrainPatience { .. } => {}
            Happening::BankBack => self.bank_back(),
            Happening::StoreWell => self.store = StoreHealth::default(),
            Happening::Heal => self.heal(),
            Happening::TooLate => self.too_late(),
        }
    }

    // -- the switch ---------------------------------------------------------------------------------------------

    pub fn clock(&self) -> Now {
        Now { monotonic: self.monotonic(self.now), wall: Wall(BEGINNING + self.now as i64 + self.wall_offset) }
    }

    /// The bank's clock, which nobody sets.
    pub fn bank_clock(&self) -> Wall {
        Wall(BEGINNING + self.now as i64)
    }

    fn monotonic(&self, moment: Micros) -> Monotonic {
        Monotonic(RUN_BEGINS_AT + moment - self.run_began)
    }

    pub fn moment(&self, monotonic: Monotonic) -> Micros {
        (monotonic.0 + self.run_began).saturating_sub(RUN_BEGINS_AT)
    }

    /// An event for the present run, through its inbox.
    pub fn tell_after(&mut self, after: Micros, event: Event) {
        let (run, event) = (self.run, Box::new(event));
        self.after(after, Happening::Tell { run, event });
    }

    pub fn tell(&mut self, event: Event) {
        let clock = self.clock();
        let event = self.tampering.event(event, &self.plan);
        self.checker.told(self.now, &event);
        self.trace.note(self.now, format_args!("> {}", describe_event(&event)));
        let Some(switch) = &mut self.switch else { return };
        let effects = switch.handle(clock, event);
        let effects = self.tampering.effects(effects, &self.journal, &self.plan);
        for effect in effects.now {
            self.perform(effect);
        }
        for event in effects.events {
            self.tell_after(MILLI, event);
        }
        self.after_handling();
    }

    fn after_handling(&mut self) {
        let Some(switch) = &self.switch else { return };
        self.checker.bounds(self.now, &switch.snapshot());
        let due = switch.next_deadline().map(|deadline| self.moment(deadline).max(self.now));
        if due == self.wake.1 {
            return;
        }
        self.wake = (self.wake.0 + 1, due);
        if let Some(due) = due {
            let (run, token) = (self.run, self.wake.0);
            self.at(due, Happening::Wake { run, token });
        }
    }

    fn wake(&mut self) {
        self.wake.1 = None;
        self.wakes_now = if self.wakes_now.0 == self.now { (self.now, self.wakes_now.1 + 1) } else { (self.now, 1) };
        if self.wakes_now.1 > MOST_WAKES {
            self.checker.violation(self.now, "no busy loop", "next_deadline wakes again and again at one moment");
            self.over = true;
            return;
        }
        self.tell(Event::Wake);
    }

    fn perform(&mut self, effect: Effect) {
        self.trace.note(self.now, format_args!("  < {}", describe_effect(&effect)));
        match effect {
            Effect::Append { ticket, entry } => {
                self.checker.appended(self.now, &entry);
                if self.journal.append(ticket, entry) {
                    self.begin_commit();
                }
            }
            Effect::Load { payment } => {
                let (run, after) = (self.run, self.streams.store.u64(50..3 * MILLI));
                self.after(after, Happening::Read { run, payment });
            }
            Effect::Connect { link } => self.connect(link),
            Effect::Disconnect { link } => self.disconnect(link),
            Effect::Send { link, id, frame, send_by } => {
                self.checker.sent(self.now, link, id, &frame);
                self.send(link, id, frame, send_by);
            }
            Effect::Answer { waiter, answer } => self.answer(waiter, answer),
            Effect::Drained => self.drained(),
            Effect::Observe(observation) => self.observed(&observation),
        }
    }

    fn observed(&mut self, observation: &isthmus::switch::Observation) {
        use isthmus::switch::{Observation, Stray};
        match observation {
            Observation::Stray { kind: Stray::Late, .. } => self.tally.fault("late replies"),
            Observation::Stray { kind: Stray::Duplicate, .. } => self.tally.fault("second replies"),
            Observation::Stray { kind: Stray::Unmatched, .. } => self.tally.figure("replies to nothing known", 1),
            Observation::Unreadable { .. } => self.tally.figure("unreadable frames", 1),
            Observation::Exception { .. } => self.tally.figure("exceptions", 1),
            _ => {}
        }
    }

    // -- the store ----------------------------------------------------------------------------------------------

    fn begin_commit(&mut self) {
        if !self.journal.begin() {
            return;
        }
        let random = &mut self.streams.store;
        let after = match self.store.slow {
            true => random.u64(100 * MILLI..2 * SECOND),
            false => random.u64(200..8 * MILLI),
        };
        let run = self.run;
        self.after(after, Happening::Committed { run });
    }

    fn committed(&mut self) {
        let random = &mut self.streams.store;
        let refused = self.store.refuses || random.u32(0..1000) < self.chances.refused_commit;
        if refused {
            self.tally.fault("commits refused");
        }
        if self.streams.process.u32(0..1000) < self.chances.crash_at_commit {
            self.crash_at_commit = Some(self.streams.process.u64(0..3 * SECOND));
        }
        if let Some(down) = self.crash_at_commit.take() {
            let made_it = !refused && self.streams.process.bool();
            return self.crash(down, Some(made_it));
        }
        let committed = self.journal.commit(!refused);
        self.checker.durable(self.now, &committed);
        self.tally.figure("commits", 1);
        for (ticket, result) in committed {
            let after = self.streams.store.u64(0..if self.store.slow { STORE_TELLS } else { MILLI });
            self.tell_after(after, Event::Recorded { ticket, result: result.map(drop) });
        }
        self.begin_commit();
    }

    fn read(&mut self, payment: PaymentId) {
        let refused = self.streams.store.u32(0..1000) < self.chances.refused_read;
        if refused {
            self.tally.fault("reads refused");
        }
        let found = if refused { Err(()) } else { Ok(self.journal.load(payment).map(Box::new)) };
        let after = self.streams.store.u64(0..2 * MILLI);
        self.tell_after(after, Event::Loaded { payment, found });
    }

    // -- life and death -----------------------------------------------------------------------------------------

    fn restart(&mut self) {
        if self.switch.is_some() {
            return;
        }
        self.run_began = self.now;
        self.wake = (self.wake.0 + 1, None);
        let seed = self.plan.seed ^ u64::from(self.run) << 32;
        self.switch = Some(Switch::new(self.plan.settings.clone(), seed));
        let in_motion = self.journal.in_motion();
        self.tally.figure("payments resumed after a crash", in_motion.len() as u64);
        self.checker.run_begins(in_motion.len());
        let mut before = vec![Event::Resume(in_motion), Event::Numbers(self.journal.numbers())];
        if self.streams.process.bool() {
            before.reverse();
        }
        before.into_iter().for_each(|event| self.tell(event));
        self.tell(Event::Start);
    }

    /// The process is gone at once. `commit`: what became of a commit under way, where that is said.
    fn crash(&mut self, down: Micros, commit: Option<bool>) {
        if self.switch.take().is_none() {
            return;
        }
        let syncing = self.journal.is_syncing();
        let made_it = commit.unwrap_or_else(|| self.streams.process.bool());
        let committed: Committed = self.journal.crash(made_it);
        match (commit.is_some() && syncing, made_it) {
            (true, true) => self.tally.fault("crashes at a commit, made durable"),
            (true, false) => self.tally.fault("crashes at a commit, lost"),
            _ => self.tally.fault("crashes of the switch"),
        }
        self.trace.note(self.now, format_args!("!! crash"));
        self.checker.durable(self.now, &committed);
        self.gone(down);
    }

    fn gone(&mut self, down: Micros) {
        self.switch = None;
        self.run += 1;
        self.draining = false;
        self.tampering.run_ends();
        self.checker.run_ends();
        self.lose_all_conns();
        self.market_loses_connection();
        if !self.last_drain {
            self.after(down, Happening::Restart);
        }
    }

    pub fn drain(&mut self) {
        if self.switch.is_none() || self.draining {
            return;
        }
        self.draining = true;
        let run = self.run;
        self.after(DRAIN_PATIENCE, Happening::DrainPatience { run });
        self.tell(Event::Drain);
    }

    fn drain_failed(&mut self) {
        if self.healed {
            self.checker.violation(self.now, "drains in time", "no Drained although nothing is wrong any more");
            self.over = true;
            return;
        }
        self.tally.figure("drains that had to be killed", 1);
        self.crash(SECOND, None);
    }

    fn drained(&mut self) {
        if !self.last_drain {
            self.tally.fault("drains and restarts");
        }
        let waiting = self.checker.waiting();
        if waiting > 0 {
            self.checker.violation(self.now, "a drain answers everybody", &format!("{waiting} were not"));
        }
        if self.wires.any_stands() {
            self.checker.violation(self.now, "a drain ends its connections", "one still stands");
        }
        if self.last_drain {
            if self.signing_off.iter().any(|conn| self.issuer.is_signed_on(*conn)) {
                self.checker.violation(self.now, "a drain signs off", "the bank still has a session");
            }
            self.over = true;
        }
        // The process goes once its store has finished.
        let finished = self.journal.finish();
        self.checker.durable(self.now, &finished);
        let down = self.streams.process.u64(0..5 * SECOND);
        self.gone(down);
    }

    fn befalls(&mut self, incident: Incident) {
        if self.healed {
            return;
        }
        self.trace.note(self.now, format_args!("!! {incident:?}"));
        match incident {
            Incident::Crash { down } => self.crash(down, None),
            Incident::CrashAtCommit { down } => self.crash_at_commit = Some(down),
            Incident::Drain => self.drain(),
            Incident::BankCrash { down } => self.bank_crashes(down),
            Incident::Cut { link } => self.cut_link(link),
            Incident::HalfOpen { link } => self.half_open(link),
            Incident::Stall { link, lasts } => self.stall(link, lasts),
            Incident::StoreRefuses { lasts } => self.store_trouble(StoreHealth { refuses: true, slow: false }, lasts),
            Incident::StoreSlow { lasts } => {
                self.tally.fault("spells of a slow store");
                self.store_trouble(StoreHealth { refuses: false, slow: true }, lasts);
            }
            Incident::WallJump { by } => {
                self.tally.fault("wall clocks set");
                self.wall_offset += by;
            }
            Incident::PeerSignOff { link } => self.peer_says(link, false),
            Incident::PeerEcho { link } => self.peer_says(link, true),
        }
    }

    fn store_trouble(&mut self, health: StoreHealth, lasts: Micros) {
        self.store = health;
        self.after(lasts, Happening::StoreWell);
    }

    fn bank_crashes(&mut self, down: Micros) {
        if !self.bank_up {
            return;
        }
        self.tally.fault("crashes of the bank");
        self.bank_up = false;
        self.bank_life += 1;
        let conns: Vec<ConnId> = self.wires.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.cut(conn));
        self.after(down, Happening::BankBack);
    }

    fn bank_back(&mut self) {
        if self.bank_up {
            return;
        }
        self.bank_up = true;
        self.issuer = bank(self.plan.seed, &self.plan);
        for entry in &self.bank_entries {
            self.issuer.restore(entry);
        }
        self.wires.conns.values_mut().for_each(Conn::forgotten_by_bank);
    }

    fn heal(&mut self) {
        self.healed = true;
        self.chances = Chances::default();
        self.store = StoreHealth::default();
        self.crash_at_commit = None;
        self.bank_back();
        self.unstall_all();
        self.trace.note(self.now, format_args!("!! healed"));
    }

    /// Whether everything is at rest; then the last drain begins.
    fn rest(&mut self) {
        if !self.healed || self.last_drain || self.over || self.draining || self.market.open > 0 {
            return;
        }
        let Some(switch) = &self.switch else { return };
        let snapshot = switch.snapshot();
        let owed: usize = snapshot.hosts.iter().map(|host| host.owed + host.pending).sum();
        let moving = snapshot.payments + snapshot.in_flight + owed + self.checker.waiting();
        if moving > 0 || !self.journal.in_motion().is_empty() {
            return;
        }
        self.checker.at_rest(self.now, &snapshot);
        let took = self.now.saturating_sub(self.plan.active) / SECOND;
        self.tally.figure("seconds to come to rest", took);
        self.last_drain = true;
        let online = snapshot.hosts.iter().flat_map(|host| &host.links).filter(|(_, state)| *state == "online");
        self.signing_off = online.filter_map(|(link, _)| self.wires.sound(*link, self.now)).collect();
        self.drain();
    }

    fn too_late(&mut self) {
        if self.over || self.last_drain {
            return;
        }
        let held = self.switch.as_ref().map(Switch::snapshot);
        let what = format!("{} errands open, {} wait, switch: {held:?}", self.market.open, self.checker.waiting());
        self.checker.violation(self.now, "everything comes to rest after the faults", &what);
        self.over = true;
    }

    fn finish(mut self) -> Outcome {
        if self.checker.is_clean() {
            self.checker.settle_accounts(self.now, &self.market, &self.journal, &self.bank_entries, &mut self.tally);
        }
        self.tally.figure("virtual minutes", self.now / MINUTE);
        self.tally.figure("seeds", 1);
        let hash = self.trace.hash();
        Outcome { violations: self.checker.violations(), hash, tally: self.tally, lines: self.trace.lines() }
    }
}
