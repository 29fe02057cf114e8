//! The way of an order into the switch and of its answer back.

use super::PATIENCE;
use super::reply::Reply;
use crate::switch::{Event, Operate, OperatorId, Order, OrderRefusal, Told};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// What the switch says to an operator.
type Said = Result<Told, OrderRefusal>;

/// Operators who wait for the switch.
#[derive(Clone, Debug, Default)]
pub struct Waiters {
    waiting: Arc<Mutex<BTreeMap<OperatorId, oneshot::Sender<Said>>>>,
    last: Arc<AtomicU64>,
}

impl Waiters {
    fn enter(&self) -> (OperatorId, oneshot::Receiver<Said>) {
        let waiter = OperatorId(self.last.fetch_add(1, Ordering::Relaxed));
        let (said, awaited) = oneshot::channel();
        self.lock().insert(waiter, said);
        (waiter, awaited)
    }

    fn leave(&self, waiter: OperatorId) {
        self.lock().remove(&waiter);
    }

    /// The switch's answer. Nobody may be waiting any more.
    pub fn answer(&self, waiter: OperatorId, said: Said) {
        if let Some(waiting) = self.lock().remove(&waiter) {
            let _ = waiting.send(said);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<OperatorId, oneshot::Sender<Said>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an order to the switch and waits for what it says.
pub(super) async fn order(
    events: &mpsc::Sender<Event>,
    waiters: &Waiters,
    who: String,
    why: String,
    order: Order,
) -> Reply {
    let (waiter, said) = waiters.enter();
    let event = Event::Operate(Box::new(Operate { waiter, who, why, order }));
    if events.send(event).await.is_err() {
        waiters.leave(waiter);
        return Reply::refusal("not_running", "the switch has stopped");
    }
    match timeout(PATIENCE, said).await {
        Ok(Ok(said)) => Reply::of(said),
        _ => {
            waiters.leave(waiter);
            Reply::refusal(
                "no_answer_yet",
                "the switch took the order but could not record it in time: see /readyz and `isthmus operator audit`",
            )
        }
    }
}
