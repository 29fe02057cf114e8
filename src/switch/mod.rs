//! The roof of the protocol logic: everything in motion as one deterministic value, [`Event`] in, [`Effect`]s out.
//!
//! It holds only what is in motion: requests in flight, what is owed, payments with an open operation. Payments at
//! rest are loaded when something is asked of them. The same events with the same times and the same seed give the
//! same effects, which is what makes the simulation honest. Read on in this order: `submitting` (what a merchant
//! asks), `choosing` (which host), `standing_in` (in its place), `recording` (what becomes durable), `sending`,
//! `replies`, `owing` (advices and reversals), `taking_back`, `links`, `keying` and `key_change` (the keys shared with
//! hosts), `days` (business days and their cutover), `announcing` (word of ours to the hosts).

mod announcing;
mod bank;
mod choosing;
mod days;
mod event;
mod exposure;
mod forms;
mod frame;
mod key_change;
mod keying;
mod links;
mod motion;
mod observation;
mod operating;
mod order;
mod owing;
mod recording;
mod replaying;
mod replies;
mod sealing;
mod sending;
mod settings;
mod standing_in;
mod submission;
mod submitting;
mod taking_back;

pub use event::*;
pub use forms::{CaptureForm, Forms, RefundForm, ReversalForm, SaleForm, VoidForm};
pub use frame::Frame;
pub use observation::{Observation, Stray};
pub use order::*;
pub use settings::{HostSettings, OnUnknown, Repeat, ReplyOn, ReversalStan, Settings, StandInLimit, StandInSettings};
pub use submission::{Begin, Command, Submission};

use crate::host::Reservation;
use crate::payment::{Monotonic, Now, PaymentId, Stan, Wall};
use crate::transaction::Payment;
use bank::Bank;
use motion::{Motion, Open, Then};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Everything in motion.
#[derive(Debug)]
pub struct Switch {
    settings: Settings,
    banks: Vec<Bank>,
    motions: BTreeMap<PaymentId, Motion>,
    /// Submissions whose key was used before, by the payment it was used for; answered when that is loaded.
    replays: BTreeMap<PaymentId, Vec<Submission>>,
    /// Replies that came late for payments at rest, until these are loaded.
    late: BTreeMap<PaymentId, Vec<replies::LateReply>>,
    /// Obligations that may have been sent before, by an earlier run or before they were reopened: they go out as
    /// repeats.
    resumed: BTreeSet<(PaymentId, u16)>,
    /// Operations whose request turned out never to have left, after they were settled as unknown.
    never_sent: BTreeSet<(PaymentId, u16)>,
    appends: BTreeMap<Ticket, recording::Appending>,
    /// Payments whose append or read the store refused, by the moment it is tried again.
    retries: BTreeSet<(Monotonic, PaymentId)>,
    /// Payments whose append the store refused and has not taken since.
    stuck: BTreeSet<PaymentId>,
    /// Payments whose next step is due within this event.
    ready: VecDeque<PaymentId>,
    /// What was promised in banks' places.
    exposure: exposure::Exposure,
    random: fastrand::Rng,
    now: Now,
    effects: Vec<Effect>,
    last_ticket: u64,
    last_send: u64,
    in_flight: usize,
    phase: Phase,
    /// Operators who wait.
    desk: operating::Desk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before [`Event::Start`].
    Resuming,
    Running,
    Draining,
    /// Links sign off.
    Closing,
    Drained,
}

/// Figures for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Operations without outcome, and repeats without answer.
    pub in_flight: usize,
    /// Payments held in memory.
    pub payments: usize,
    /// Entries of inner tables that are only there for the sake of something in motion: none once all is at rest.
    pub loose_ends: usize,
    /// For each host in order.
    pub hosts: Vec<HostSnapshot>,
}

/// Figures of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSnapshot {
    /// Its name.
    pub name: crate::payment::Name,
    /// How routing sees it.
    pub health: crate::routing::Health,
    /// Whether it has trace numbers to give out.
    pub has_numbers: bool,
    /// Operations without outcome.
    pub open: usize,
    /// Messages that wait for an answer.
    pub pending: usize,
    /// Messages that are owed.
    pub owed: usize,
    /// Since when the oldest is owed.
    pub owed_since: Option<Wall>,
    /// The most often that one of them was sent in this run.
    pub owed_attempts: u32,
    /// How much longer the queue of what is owed rests, because the host asked again and again to come later.
    pub owed_rests: Option<std::time::Duration>,
    /// What operators let it do.
    pub mode: HostMode,
    /// Its current business day.
    pub day: crate::payment::BusinessDate,
    /// How many earlier days are still open.
    pub open_days: usize,
    /// Trace numbers that no new message may take.
    pub stans_in_use: usize,
    /// State of each link.
    pub links: Vec<(LinkId, &'static str)>,
}

impl Switch {
    /// A switch that holds nothing. `seed` feeds the jitter of its pauses.
    pub fn new(settings: Settings, seed: u64) -> Switch {
        let bank = |host: &HostSettings| Bank::new(host.clone(), settings.settled_memory, Reservation::default());
        Switch {
            banks: settings.hosts.iter().map(bank).collect(),
            settings,
            motions: BTreeMap::new(),
            replays: BTreeMap::new(),
            late: BTreeMap::new(),
            resumed: BTreeSet::new(),
            never_sent: BTreeSet::new(),
            appends: BTreeMap::new(),
            retries: BTreeSet::new(),
            stuck: BTreeSet::new(),
            ready: VecDeque::new(),
            exposure: exposure::Exposure::default(),
            random: fastrand::Rng::with_seed(seed),
            now: Now::default(),
            effects: Vec::new(),
            last_ticket: 0,
            last_send: 0,
            in_flight: 0,
            phase: Phase::Resuming,
            desk: operating::Desk::default(),
        }
    }

    /// Takes one event and gives what is to be done for it, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.now = now;
        match event {
            Event::Resume(stored) => stored.into_iter().for_each(|stored| self.resume(stored)),
            Event::Numbers(blocks) => self.go_on_behind(&blocks),
            Event::Hosts(marks) => self.resume_hosts(marks),
            Event::Start => self.start(),
            Event::Submit(submission) => self.submit(*submission),
            Event::Recorded { ticket, result } => self.recorded(ticket, result),
            Event::Loaded { payment, found } => self.loaded(payment, found),
            Event::Connected { link } => self.connected(link),
            Event::Disconnected { link, unsent } => self.disconnected(link, &unsent),
            Event::Arrived { link, frame, mac } => self.arrived(link, frame, mac),
            Event::Judged { link, frame, mac } => self.judged(link, frame, mac),
            Event::KeysTaken { host, number, fault } => self.keys_taken(&host, number, fault),
            Event::Unsealed { link, sends, fault } => self.unsealed(link, &sends, fault),
            Event::Unsent { link, sends } => self.unsent(link, &sends),
            Event::Wake => {}
            Event::Drain => self.drain(),
            Event::Operate(operate) => self.take_order(*operate),
        }
        self.wake();
        std::mem::take(&mut self.effects)
    }

    fn start(&mut self) {
        self.phase = Phase::Running;
        for place in 0..self.banks.len() {
            self.make_for_goals(place);
            let sessions = self.banks[place].sessions.iter_mut();
            let steps: Vec<_> = sessions.filter_map(|(link, session)| Some((*link, session.start()?))).collect();
            steps.into_iter().for_each(|(link, step)| self.take_step(place, link, step));
        }
    }

    fn drain(&mut self) {
        if self.phase != Phase::Drained {
            self.phase = Phase::Draining;
        }
    }

    /// What is due at this moment, whatever the event was.
    fn wake(&mut self) {
        if self.phase == Phase::Resuming {
            return;
        }
        self.retry_appends();
        self.expire_pending();
        self.wake_sessions();
        self.tend_keys();
        self.wake_breakers();
        self.advance_motions();
        self.send_owed();
        self.reserve_numbers();
        self.pass_days();
        self.tell_days();
        self.end_echoes();
        self.finish_drain();
    }

    /// Takes the next step of each payment that just finished one.
    fn advance_motions(&mut self) {
        while let Some(payment) = self.ready.pop_front() {
            self.advance(payment);
        }
    }

    fn advance(&mut self, id: PaymentId) {
        let Some(motion) = self.motions.get_mut(&id) else { return };
        if motion.recording.is_none() {
            if let Some((bodies, then)) = motion.backlog.pop_front() {
                return self.append(id, bodies, then);
            }
            if !motion.is_busy()
                && let Some(next) = motion.queue.pop_front()
            {
                return self.begin_operation(next);
            }
        }
        self.queue_owed(id);
        if self.motions.get(&id).is_some_and(Motion::is_over) {
            self.motions.remove(&id);
            self.never_sent.retain(|(payment, _)| *payment != id);
        }
    }

    fn finish_drain(&mut self) {
        let settled = self.in_flight == 0 && self.appends.is_empty() && self.retries.is_empty();
        if self.phase == Phase::Draining && settled {
            self.phase = Phase::Closing;
            (0..self.banks.len()).for_each(|place| self.make_for(place, crate::link::Goal::Stopped));
            self.wake_sessions();
        }
        let sessions = self.banks.iter().flat_map(|bank| bank.sessions.values());
        if self.phase == Phase::Closing && sessions.into_iter().all(crate::link::Session::is_stopped) {
            self.phase = Phase::Drained;
            self.effects.push(Effect::Drained);
        }
    }

    /// When [`Event::Wake`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let is_running = self.phase == Phase::Running;
        let banks = self.banks.iter().flat_map(|bank| {
            let owed = bank.outbox.next_deadline(bank.requests()).filter(|_| bank.is_online() && is_running);
            let sessions = bank.sessions.values().filter_map(crate::link::Session::next_deadline);
            let day_ends = bank.days.next_end().map(|end| self.now.monotonic.after(end.since(self.now.wall)));
            let days =
                [day_ends, bank.mark_at, bank.close_at, bank.next_key_deadline(is_running)].into_iter().flatten();
            let told_again = bank.told_again_at().filter(|_| bank.is_online());
            let spared = bank.breaker.next_deadline().filter(|_| bank.is_online());
            sessions
                .chain(bank.pending.next_deadline())
                .chain(owed)
                .chain(bank.reserve_at)
                .chain(days)
                .chain(spared)
                .chain(told_again)
        });
        let desk = self.desk.next_deadline();
        banks.chain(self.retries.first().map(|(at, _)| *at)).chain(desk).min()
    }

    /// Whether it is drained.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Drained
    }

    /// Whether it takes no new work.
    pub fn is_draining(&self) -> bool {
        !matches!(self.phase, Phase::Resuming | Phase::Running)
    }

    /// Figures for operators.
    pub fn snapshot(&self) -> Snapshot {
        let host = |bank: &Bank| HostSnapshot {
            name: bank.settings.name.clone(),
            health: bank.health(),
            has_numbers: bank.numbers.has_any(),
            open: bank.open,
            pending: bank.pending.len(),
            owed: bank.owed().0,
            owed_since: bank.owed().1,
            mode: bank.mode,
            owed_attempts: bank.outbox.most_attempts(),
            owed_rests: bank.outbox.rests_until(self.now.monotonic).map(|until| until.since(self.now.monotonic)),
            day: bank.today(self.now.wall),
            open_days: bank.days.open(),
            stans_in_use: bank.numbers.in_use(),
            links: bank.sessions.iter().map(|(link, session)| (*link, session.state().name())).collect(),
        };
        Snapshot {
            in_flight: self.in_flight,
            payments: self.motions.len(),
            loose_ends: self.loose_ends(),
            hosts: self.banks.iter().map(host).collect(),
        }
    }

    fn loose_ends(&self) -> usize {
        let tables = [self.replays.len(), self.late.len(), self.resumed.len(), self.retries.len(), self.stuck.len()];
        let outboxes = self.banks.iter().map(|bank| bank.outbox.len());
        tables.into_iter().chain(outboxes).chain([self.ready.len()]).sum()
    }

    fn answer(&mut self, waiter: WaiterId, answer: Answer) {
        self.effects.push(Effect::Answer { waiter, answer });
    }

    fn refuse(&mut self, waiter: WaiterId, refusal: Refusal) {
        self.answer(waiter, Answer::Refused(refusal));
    }

    fn observe(&mut self, observation: Observation) {
        self.effects.push(Effect::Observe(observation));
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// The bank a payment's messages go to.
    fn bank_of(&self, payment: &Payment) -> Option<usize> {
        self.bank_named(&payment.first().message.host)
    }

    fn bank_named(&self, host: &crate::payment::Name) -> Option<usize> {
        self.banks.iter().position(|bank| bank.settings.name == *host)
    }

    fn jitter(&mut self) -> u32 {
        self.random.u32(0..1000)
    }
}
