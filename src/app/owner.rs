//! The one task that owns the switch: events in, effects to the shells. It never waits for a shell.

use super::operations::Status;
use super::trail::Trail;
use crate::bank::Links;
use crate::clock::Clock;
use crate::control;
use crate::edge::Waiters;
use crate::journal::Journal;
use crate::switch::{Effect, Event, NotRecorded, SendId, Switch, Ticket};
use crate::telemetry;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// What a commit says: each append with its fate.
pub(super) type Commit = Vec<(Ticket, Result<(), NotRecorded>)>;

/// Where effects go.
pub(super) struct Shells {
    pub journal: Journal,
    pub links: Links,
    pub waiters: Waiters,
    pub operators: control::Waiters,
    pub status: watch::Sender<Status>,
    pub trail: Option<Trail>,
}

/// How the owner ended.
pub(super) enum Ended {
    /// Nothing is in flight, the links signed off, the journal is closed.
    Drained,
    /// Nobody is left to send events.
    Abandoned,
}

/// Events taken in one go.
const BATCH: usize = 512;
/// How often figures are shown.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Where events come from.
pub(super) struct Inputs {
    pub events: mpsc::Receiver<Event>,
    pub commits: mpsc::UnboundedReceiver<Commit>,
}

/// Runs until drained. `resumed` is what the switch asked for while it took up the last run.
pub(super) async fn own(
    mut switch: Switch,
    resumed: Vec<Effect>,
    inputs: Inputs,
    mut shells: Shells,
    clock: Clock,
) -> Ended {
    let Inputs { mut events, mut commits } = inputs;
    let mut batch: Vec<Event> = resumed.into_iter().filter_map(|effect| shells.act(effect)).collect();
    batch.push(Event::Start);
    let mut show_at = Instant::now();
    loop {
        shells.handle_all(&mut switch, &mut batch, clock);
        if switch.is_draining() {
            shells.links.let_nobody_in();
        }
        if switch.is_drained() {
            shells.show(&switch, clock);
            shells.links.stop().await;
            shells.journal.close();
            return Ended::Drained;
        }
        if Instant::now() >= show_at {
            shells.show(&switch, clock);
            show_at = Instant::now() + SHOW_EVERY;
        }
        let due = switch.next_deadline().map_or(show_at, |at| show_at.min(clock.instant(at).into()));
        tokio::select! {
            biased;
            Some(commit) = commits.recv() => batch.extend(recorded(commit)),
            count = events.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return Ended::Abandoned;
                }
            }
            () = sleep_until(due) => batch.push(Event::Wake),
        }
        while let Ok(commit) = commits.try_recv() {
            batch.extend(recorded(commit));
        }
    }
}

fn recorded(commit: Commit) -> impl Iterator<Item = Event> {
    commit.into_iter().map(|(ticket, result)| Event::Recorded { ticket, result })
}

impl Shells {
    fn handle_all(&mut self, switch: &mut Switch, batch: &mut Vec<Event>, clock: Clock) {
        let mut next = std::mem::take(batch);
        while !next.is_empty() {
            let mut unsent = Vec::new();
            for event in next.drain(..) {
                let now = clock.now();
                if let Some(trail) = &mut self.trail {
                    trail.event(now, &event);
                }
                for effect in switch.handle(now, event) {
                    if let Some(trail) = &mut self.trail {
                        trail.effect(now, &effect);
                    }
                    unsent.extend(self.act(effect));
                }
            }
            next.extend(unsent);
        }
        *batch = next;
    }

    /// Does what an effect says; gives back the event of a frame that no link had room for.
    fn act(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Append { ticket, entry } => self.journal.append(ticket, entry),
            Effect::Load { payment } => self.journal.load(payment),
            Effect::Connect { link } => self.links.connect(link),
            Effect::Disconnect { link } => self.links.disconnect(link),
            Effect::Send { link, id, frame, seals, send_by } => {
                let sends: Vec<SendId> =
                    if self.links.send(link, id, frame, seals, send_by) { vec![] } else { vec![id] };
                return (!sends.is_empty()).then_some(Event::Unsent { link, sends });
            }
            Effect::TakeKeys { host, number, offered } => self.links.take_keys(host, number, offered),
            Effect::ForgetKey(slot) => self.links.forget_key(&slot),
            Effect::Judge { link, frame } => return Some(self.links.judge(link, frame)),
            Effect::Answer { waiter, answer } => drop(self.waiters.answer(waiter, answer)),
            Effect::Told { waiter, said } => self.operators.answer(waiter, said),
            Effect::Drained => tracing::info!("drained"),
            Effect::Observe(observation) => telemetry::observe(&observation),
        }
        None
    }

    fn show(&mut self, switch: &Switch, clock: Clock) {
        let snapshot = switch.snapshot();
        telemetry::show(&snapshot, clock.now().wall);
        let writable = self.journal.health().writable;
        let status = Status { snapshot, writable, draining: switch.is_draining() };
        self.status.send_replace(status);
    }
}
