//! Life and death of the processes: the switch is started, killed, drained; the bank comes and goes; everything heals.

use crate::faults::{Chances, Incident};
use crate::network::Conn;
use crate::operators::Deed;
use crate::plan::{DAY, HOUR, MINUTE, Micros, SECOND};
use crate::store::StoreHealth;
use crate::world::{Happening, Outcome, World};
use isthmus::simulator::{Entry, Kind};
use isthmus::switch::{CaptureForm, Forms, RefundForm, ReversalForm, SaleForm, VoidForm};
use isthmus::switch::{Event, Switch};

/// A drain that takes longer is killed, as an operator would.
const DRAIN_PATIENCE: Micros = 2 * MINUTE;

impl World {
    pub fn restart(&mut self) {
        if self.switch.is_some() {
            return;
        }
        self.run_began = self.now;
        self.wake = (self.wake.0 + 1, None);
        let seed = self.plan.seed ^ u64::from(self.run) << 32;
        self.switch = Some(Switch::new(self.tampering.settings(&self.plan), seed));
        self.keys = self.plan.keys.as_ref().map(|keys| keys.service(&self.plan.settings.hosts));
        let in_motion = self.journal.in_motion();
        self.tally.figure("payments resumed after a crash", in_motion.len() as u64);
        self.checker.run_begins(&in_motion);
        let mut before = vec![Event::Resume(in_motion), Event::Numbers(self.journal.numbers())];
        if self.streams.process.bool() {
            before.reverse();
        }
        before.push(Event::Hosts(self.journal.hosts()));
        before.into_iter().for_each(|event| self.tell(event));
        self.tell(Event::Start);
    }

    /// A million messages pass before the next start, at times: then the next trace numbers are those of something that
    /// is still owed. They take their time.
    fn use_numbers_up(&mut self) -> Micros {
        if self.healed || self.streams.process.u32(0..6) > 0 {
            return 0;
        }
        let owed = self.journal.owed_numbers();
        if owed.is_empty() {
            return 0;
        }
        let stan = owed[self.streams.process.usize(0..owed.len())];
        self.tally.fault("trace numbers that come round to one in motion");
        self.journal.use_numbers_up_to(stan.saturating_sub(self.streams.process.u32(0..4)));
        MINUTE
    }

    /// The process is gone at once; a commit under way makes it or doesn't.
    pub fn crash(&mut self, down: Micros) {
        if self.switch.is_none() {
            return;
        }
        self.tally.fault("crashes of the switch at any moment");
        let made_it = self.streams.process.bool();
        let durable = if made_it { self.journal.group().count() } else { 0 };
        self.crash_leaving(durable, down);
    }

    /// The process is gone, and so much of the commit under way is durable.
    pub fn crash_leaving(&mut self, durable: usize, down: Micros) {
        self.trace.note(self.now, format_args!("!! crash"));
        let committed = self.journal.crash(durable);
        self.checker.durable(self.now, &committed);
        self.gone(down);
    }

    fn gone(&mut self, down: Micros) {
        if let Some(switch) = self.switch.take() {
            self.checker.printed(self.now, "the switch itself", &switch);
        }
        self.run += 1;
        self.draining = false;
        self.dying = None;
        self.tampering.run_ends();
        self.checker.run_ends();
        self.lose_all_conns();
        self.market_loses_connection();
        self.operators_lose_connection();
        if !self.last_drain {
            let longer = self.use_numbers_up();
            self.after(down + longer, Happening::Restart);
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

    pub fn drain_failed(&mut self) {
        if self.healed {
            self.checker.violation(self.now, "drains in time", "no Drained although nothing is wrong any more");
            self.over = true;
            return;
        }
        self.tally.figure("drains that had to be killed", 1);
        self.crash(SECOND);
    }

    pub fn drained(&mut self) {
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
            if self.signing_off.iter().any(|conn| self.banks.iter().any(|bank| bank.issuer.is_signed_on(*conn))) {
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

    pub fn befalls(&mut self, incident: Incident) {
        if self.healed {
            return;
        }
        self.trace.note(self.now, format_args!("!! {incident:?}"));
        match incident {
            Incident::Crash { down } => self.crash(down),
            Incident::CrashAt(crash) => self.crash_at = Some(crash),
            Incident::Drain => self.drain(),
            Incident::BankCrash { host, down } => self.bank_crashes(host, down),
            Incident::BankHangs { host, lasts } => self.bank_hangs(host, lasts),
            Incident::Cut { link } => self.cut_link(link),
            Incident::Flaps { link, times } => self.flaps(link, times),
            Incident::HalfOpen { link } => self.half_open(link),
            Incident::OneWay { link, to_bank } => self.one_way(link, to_bank),
            Incident::Slow { link, lasts } => self.slow(link, lasts),
            Incident::Stall { link, lasts } => self.stall(link, lasts),
            Incident::StoreRefuses { lasts } => {
                self.tally.fault("spells of a store that refuses");
                self.store_trouble(StoreHealth { refuses: true, slow: None }, lasts);
            }
            Incident::StoreSlow { lasts, commit } => {
                self.tally.fault("spells of a slow store");
                self.store_trouble(StoreHealth { refuses: false, slow: Some(commit) }, lasts);
            }
            Incident::WallJump { by } => self.wall_jumps(by),
            Incident::PeerSignOff { link } => self.peer_says(link, "002", "sign-offs by the bank"),
            Incident::PeerEcho { link } => self.peer_says(link, "301", "echoes by the bank"),
            Incident::Cutover { link, announced } => {
                self.bank_days_ahead += 1;
                match announced {
                    true => self.peer_says(link, "201", "days ended by the bank"),
                    false => self.tally.fault("days ended without a word"),
                }
            }
            Incident::Operator(deed) => self.operator(deed),
            Incident::BankActs { host, act } => self.bank_does(host, act),
        }
    }

    fn wall_jumps(&mut self, by: i64) {
        self.tally.fault(match by.unsigned_abs() {
            HOUR => "wall clocks set by an hour",
            DAY => "wall clocks set by a day",
            _ => "wall clocks set by some other time",
        });
        self.wall_offset += by;
    }

    fn bank_hangs(&mut self, host: usize, lasts: Micros) {
        self.tally.fault("banks that hang behind their front");
        self.banks[host].hangs_until = self.now + lasts;
    }

    fn bank_crashes(&mut self, host: usize, down: Micros) {
        if !self.banks[host].up {
            return;
        }
        self.tally.fault(if down < HOUR { "crashes of the bank" } else { "outages of the bank for hours" });
        self.banks[host].dies();
        self.wires.of_bank(host).into_iter().for_each(|conn| self.cut(conn));
        self.after(down, Happening::BankBack { host });
    }

    pub fn bank_back(&mut self, host: usize) {
        if self.banks[host].up {
            return;
        }
        self.banks[host].comes_back(&self.plan);
        for conn in self.wires.of_bank(host) {
            self.wires.conns.get_mut(&conn).into_iter().for_each(Conn::forgotten_by_bank);
        }
    }

    pub fn heal(&mut self) {
        self.healed = true;
        self.chances = Chances::default();
        self.store = StoreHealth::default();
        self.crash_at = None;
        self.dying = None;
        for host in 0..self.banks.len() {
            self.banks[host].hangs_until = 0;
            self.bank_back(host);
        }
        self.unstall_all();
        self.operator(Deed::Parked);
        self.after(0, Happening::OperatorsRound);
        self.trace.note(self.now, format_args!("!! healed"));
    }

    /// Whether everything is at rest; then the last drain begins.
    pub fn rest(&mut self) {
        if !self.healed || self.last_drain || self.over || self.draining || self.market.open > 0 {
            return;
        }
        let Some(switch) = &self.switch else { return };
        let snapshot = switch.snapshot();
        let owed: usize = snapshot.hosts.iter().map(|host| host.owed + host.pending).sum();
        let open_days: usize = snapshot.hosts.iter().map(|host| host.open_days).sum();
        let moving = snapshot.payments + snapshot.in_flight + owed + open_days + self.checker.waiting();
        let untold = self.journal.hosts().iter().any(|mark| mark.untold.is_some());
        if moving > 0 || untold || !self.journal.in_motion().is_empty() {
            return;
        }
        self.checker.at_rest(self.now, &snapshot);
        let took = self.now.saturating_sub(self.plan.active) / SECOND;
        self.tally.at_most("seconds to come to rest after the last fault", took);
        self.last_drain = true;
        let online = snapshot.hosts.iter().flat_map(|host| &host.links).filter(|(_, state)| *state == "online");
        self.signing_off = online.filter_map(|(link, _)| self.wires.sound(*link, self.now)).collect();
        self.drain();
    }

    pub fn too_late(&mut self) {
        if self.over || self.last_drain {
            return;
        }
        let held = self.switch.as_ref().map(Switch::snapshot);
        let what = format!("{} errands open, {} wait, switch: {held:?}", self.market.open, self.checker.waiting());
        self.checker.violation(self.now, "everything comes to rest after the faults", &what);
        self.over = true;
    }

    pub fn finish(mut self) -> Outcome {
        if self.checker.is_clean() {
            let moves_money = |entry: &&Entry| entry.kind != Kind::KeyChange;
            let booked: Vec<_> =
                self.banks.iter().flat_map(|bank| bank.entries.iter().filter(moves_money).cloned()).collect();
            self.checker.settle_accounts(self.now, &self.market, &self.journal, &booked, &mut self.tally);
        }
        self.tally.figure("simulated seconds", self.now / SECOND);
        self.tally.add(&self.checker.tally);
        let forms = self.plan.settings.hosts[0].forms;
        forms_named(forms).for_each(|form| self.tally.figure(form, 1));
        let stands_in = self.plan.settings.hosts[0].stand_in.is_some();
        self.tally.figure("seeds with stand-in", u64::from(stands_in));
        if let Some(keys) = &self.plan.keys {
            let named = if keys.are_exchanged { "seeds with keys from the line" } else { "seeds with keys from files" };
            self.tally.figure(named, 1);
        }
        let hash = self.trace.hash();
        Outcome { violations: self.checker.violations(), hash, tally: self.tally, lines: self.trace.lines() }
    }
}

/// What is out of the ordinary in how a bank is told.
fn forms_named(forms: Forms) -> impl Iterator<Item = &'static str> {
    let named = [
        (forms.sale == SaleForm::Dual, "seeds with sales in two messages"),
        (forms.capture == CaptureForm::Request, "seeds with captures by request"),
        (forms.refund == RefundForm::Awaited, "seeds with awaited refunds"),
        (forms.refund == RefundForm::Advice, "seeds with refunds by advice"),
        (forms.void == VoidForm::ReversalRequest, "seeds with voids by 0400"),
        (forms.void == VoidForm::Request, "seeds with voids by request"),
        (forms.reversal == ReversalForm::Request, "seeds with reversals by 0400"),
        (forms.release, "seeds with releases of the rest"),
    ];
    named.into_iter().filter(|(is_so, _)| *is_so).map(|(_, name)| name)
}
