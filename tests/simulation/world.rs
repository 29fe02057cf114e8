//! The world around one switch: virtual time, an event queue, a store, a network, a bank and merchants.
//!
//! Everything happens at a virtual moment and in the order in which it was queued; nothing reads a real clock. Each
//! concern draws from a stream of its own, so that one more draw here does not change what happens there.

use crate::bank::Bank;
use crate::checker::Checker;
use crate::faults::{Chances, CrashAt, Incident};
use crate::journal::Journal;
use crate::keys::alarm;
use crate::merchants::Market;
use crate::network::{ConnId, Wires};
use crate::operators::Operators;
use crate::plan::{DAY, HEALING, MILLI, Micros, Plan, SECOND};
use crate::store::{Dying, StoreHealth};
use crate::tally::Tally;
use crate::tampering::Tampering;
use crate::trace::{Trace, describe_effect, describe_event};
use bytes::Bytes;
use fastrand::Rng;
use isthmus::keys::SoftwareKeys;
use isthmus::payment::{Monotonic, Name, Now, PaymentId, Wall};
use isthmus::security::OfferedKey;
use isthmus::simulator::Action;
use isthmus::switch::{Answer, Effect, Event, LinkId, SendId, Switch, WaiterId};
use std::collections::BTreeMap;

/// What a run's monotonic clock shows when it begins.
const RUN_BEGINS_AT: Micros = 7 * SECOND;
/// More wakes than this at one moment are a loop.
const MOST_WAKES: u32 = 25;

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
    /// The key service has looked at keys.
    KeysOffered {
        run: u32,
        host: Name,
        number: u32,
        offered: Vec<OfferedKey>,
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
    BankBack {
        host: usize,
    },
    StoreWell,
    OperatorsRound,
    Heal,
    TooLate,
}

/// A stream of chance for each concern.
pub struct Streams {
    pub network: Rng,
    pub store: Rng,
    pub merchants: Rng,
    pub process: Rng,
    pub keys: Rng,
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
    /// The key service of this run, where keys are shared with the banks.
    pub keys: Option<SoftwareKeys>,
    pub run: u32,
    pub run_began: Micros,
    pub wall_offset: i64,
    /// Days that the bank ended before the calendar did.
    pub bank_days_ahead: i64,
    pub operators: Operators,
    pub wake: (u64, Option<Micros>),
    wakes_now: (Micros, u32),
    pub draining: bool,
    pub last_drain: bool,
    /// Connections that have to be signed off at the end.
    pub signing_off: Vec<ConnId>,
    pub crash_at: Option<CrashAt>,
    pub dying: Option<Dying>,
    /// The bank's day, and whether something was in motion when it was last looked at.
    day: (i64, bool),
    pub journal: Journal,
    pub store: StoreHealth,
    pub wires: Wires,
    pub banks: Vec<Bank>,
    pub market: Market,
    pub checker: Checker,
    pub tampering: Tampering,
    pub tally: Tally,
    pub trace: Trace,
    pub over: bool,
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

impl World {
    fn new(plan: Plan, tampering: Tampering, keep_trace: bool) -> World {
        let stream = |salt: u64| Rng::with_seed(plan.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ salt);
        let streams =
            Streams { network: stream(1), store: stream(2), merchants: stream(3), process: stream(4), keys: stream(5) };
        World {
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            streams,
            chances: plan.chances.clone(),
            healed: false,
            switch: None,
            keys: None,
            run: 0,
            run_began: 0,
            wall_offset: 0,
            bank_days_ahead: 0,
            operators: Operators::default(),
            wake: (0, None),
            wakes_now: (0, 0),
            draining: false,
            last_drain: false,
            signing_off: Vec::new(),
            crash_at: None,
            dying: None,
            day: (0, false),
            journal: Journal::with_numbers(plan.numbers()),
            store: StoreHealth::default(),
            wires: Wires::default(),
            banks: (0..plan.settings.hosts.len()).map(|place| Bank::new(place, &plan)).collect(),
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
            Happening::KeysOffered { run, host, number, offered } if run == self.run => {
                self.take_keys(host, number, &offered)
            }
            Happening::KeysOffered { .. } => {}
            Happening::Write { conn, id } => self.write(conn, id),
            Happening::Expire { conn, id } => self.expire(conn, id),
            Happening::AtBank { conn, frame } => self.at_bank(conn, frame),
            Happening::FromBank { life, conn, action } => self.bank_acts(life, conn, action),
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
            Happening::BankBack { host } => self.bank_back(host),
            Happening::StoreWell => self.store = StoreHealth::default(),
            Happening::OperatorsRound => self.operators_round(),
            Happening::Heal => self.heal(),
            Happening::TooLate => self.too_late(),
        }
    }

    // -- the switch ---------------------------------------------------------------------------------------------

    pub fn clock(&self) -> Now {
        Now { monotonic: self.monotonic(self.now), wall: Wall(self.plan.begins + self.now as i64 + self.wall_offset) }
    }

    /// The bank's clock: nobody sets it, but it ends its days when it likes.
    pub fn bank_clock(&self) -> Wall {
        Wall(self.plan.begins + self.now as i64 + self.bank_days_ahead * DAY as i64)
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
        self.checker.printed(self.now, "an event", &event);
        self.trace.note(self.now, format_args!("> {}", describe_event(&event)));
        let Some(switch) = &mut self.switch else { return };
        let is_record = matches!(event, Event::Recorded { .. });
        let effects = switch.handle(clock, event);
        let effects = self.tampering.effects(effects, &self.journal, &self.plan);
        let dies = self.dies_among(is_record, effects.now.len());
        for effect in effects.now.into_iter().take(dies.map_or(usize::MAX, |(performed, _)| performed)) {
            self.perform(effect);
        }
        if let Some((_, down)) = dies {
            return self.crash_leaving(0, down);
        }
        for event in effects.events {
            self.tell_after(MILLI, event);
        }
        self.after_handling();
    }

    fn after_handling(&mut self) {
        let Some(switch) = &self.switch else { return };
        let snapshot = switch.snapshot();
        self.checker.bounds(self.now, &snapshot);
        let owed: usize = snapshot.hosts.iter().map(|host| host.owed).sum();
        let day = (self.bank_clock().0 / DAY as i64, snapshot.in_flight + owed > 0);
        let before = std::mem::replace(&mut self.day, day);
        if before.1 && before.0 != self.day.0 {
            self.tally.fault("midnights with something in motion");
        }
        let Some(switch) = &self.switch else { return };
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
        self.checker.printed(self.now, "an effect", &effect);
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
            Effect::Send { link, id, frame, seals, send_by } => {
                self.checker.sent(self.now, link, id, &frame);
                self.checker.word_of_day(self.now, link, &frame, &self.journal);
                self.send(link, id, (frame.into_bytes(), seals), send_by);
            }
            Effect::TakeKeys { host, number, offered } => self.offer_keys(host, number, offered),
            Effect::ForgetKey(slot) => self.forget_key(&slot),
            Effect::Judge { link, frame } => self.judge(link, frame),
            Effect::Answer { waiter, answer } => self.answer(waiter, answer),
            Effect::Told { waiter, said } => self.order_told(waiter, &said),
            Effect::Drained => self.drained(),
            Effect::Observe(observation) => self.observed(&observation),
        }
    }

    fn observed(&mut self, observation: &isthmus::switch::Observation) {
        use isthmus::switch::{Observation, Stray};
        match observation {
            Observation::Stray { kind: Stray::Late, .. } => self.tally.fault("late replies"),
            Observation::Stray { kind: Stray::Duplicate, .. } => self.tally.fault("second replies"),
            Observation::Stray { kind: Stray::Unmatched, .. } => {
                self.tally.figure("replies to nothing that is known", 1)
            }
            Observation::Cutover { .. } => self.tally.figure("cutovers taken", 1),
            Observation::CutoverUntold { .. } => self.tally.figure("days of ours left to a person to tell", 1),
            Observation::DayClosed { .. } => self.tally.figure("earlier days closed", 1),
            Observation::QueueRests { .. } => self.tally.figure("rests of a queue that was put off", 1),
            Observation::Stray { kind: Stray::OtherLink, .. } => {
                self.tally.fault("replies on a link that settles nothing")
            }
            Observation::Rerouted { .. } => self.tally.fault("requests moved to another host before they left"),
            Observation::Unreadable { .. } => self.tally.figure("unreadable frames", 1),
            Observation::KeysChanged { .. } => self.tally.figure("keys exchanged", 1),
            Observation::KeyAlarm { fault, .. } => self.tally.figure(alarm(fault), 1),
            _ => {}
        }
    }
}
