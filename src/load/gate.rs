//! Who may ask now: lets the customers of all threads go, one request each time.
//!
//! In an open loop a thread of its own follows the timetable and counts what is due into a semaphore; the timers of the
//! runtime are a millisecond coarse, which is more than most answers take.

use super::Plan;
use super::pace::{Pace, Pacer, Timetable};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How soon the pacing thread sees that it should stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Lets requests go.
pub(super) struct Gate {
    start: OnceLock<Instant>,
    opened: tokio::sync::watch::Sender<bool>,
    timetable: Option<Timetable>,
    due: Semaphore,
    fallen_due: AtomicU64,
    taken: AtomicU64,
    most: u64,
    end: Duration,
    stopped: AtomicBool,
}

impl Gate {
    pub(super) fn new(plan: &Plan) -> Gate {
        let timetable = match plan.pace {
            Pace::Closed => None,
            Pace::Open { rate } => Some(Timetable::new(rate, plan.ramp)),
        };
        Gate {
            start: OnceLock::new(),
            opened: tokio::sync::watch::Sender::new(false),
            timetable,
            due: Semaphore::new(0),
            fallen_due: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            most: plan.most,
            end: plan.ramp + plan.duration,
            stopped: AtomicBool::new(false),
        }
    }

    /// The run begins at a time.
    pub(super) fn open(self: &Arc<Gate>, start: Instant) -> std::io::Result<()> {
        let _ = self.start.set(start);
        if let Some(timetable) = self.timetable {
            let gate = Arc::clone(self);
            std::thread::Builder::new().name("pace".to_owned()).spawn(move || gate.follow(timetable))?;
        }
        self.opened.send_replace(true);
        Ok(())
    }

    /// Waits until the run has begun; `false` where it will not.
    pub(super) async fn is_open(&self) -> bool {
        let opened = self.opened.subscribe().wait_for(|opened| *opened).await.is_ok();
        match (opened, self.start.get()) {
            (true, Some(start)) => {
                tokio::time::sleep_until((*start).into()).await;
                true
            }
            _ => false,
        }
    }

    /// Time since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.get().map(Instant::elapsed).unwrap_or_default()
    }

    /// When the next request is or was due; `None` once there are no more.
    pub(super) async fn next(&self) -> Option<Duration> {
        match self.timetable {
            None => {
                let now = self.elapsed();
                let goes_on = now < self.end && !self.stopped.load(Ordering::Relaxed);
                (goes_on && self.taken.fetch_add(1, Ordering::Relaxed) < self.most).then_some(now)
            }
            Some(timetable) => {
                self.due.acquire().await.ok()?.forget();
                Some(timetable.due_at(self.taken.fetch_add(1, Ordering::Relaxed)))
            }
        }
    }

    /// No more requests.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.due.close();
    }

    /// Requests that were due and that no connection came to.
    pub(super) fn not_begun(&self) -> u64 {
        self.fallen_due.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Until the end, or the most requests, or the stop.
    fn follow(&self, timetable: Timetable) {
        let mut pacer = Pacer::new(timetable, self.end);
        while !self.stopped.load(Ordering::Relaxed) {
            let before = pacer.released();
            let release = pacer.release(self.elapsed());
            let count = release.count.min(usize::try_from(self.most.saturating_sub(before)).unwrap_or(usize::MAX));
            self.fallen_due.fetch_add(count as u64, Ordering::Relaxed);
            self.due.add_permits(count);
            let is_all = pacer.released() >= self.most;
            let wake = release.next.filter(|_| !is_all).unwrap_or(self.end);
            let now = self.elapsed();
            if now >= self.end || (is_all && self.not_begun() == 0) {
                break;
            }
            std::thread::sleep(wake.saturating_sub(now).min(LOOK_UP));
        }
        self.due.close();
    }
}
