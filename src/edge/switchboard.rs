//! The door's side of the switch: credits on the way in, waiters on the way back.
//!
//! A credit is one operation's place in everything behind the door. It is taken before an envelope is opened and comes
//! back with the switch's answer, not with the end of the connection: whoever hangs up has still asked.

use super::problem::{Code, Problem};
use crate::switch::{Answer, Event, Submission, WaiterId};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Where requests go in.
#[derive(Clone, Debug)]
pub struct Switchboard {
    events: mpsc::Sender<Event>,
    waiters: Waiters,
    credits: Arc<Semaphore>,
    capacity: usize,
}

/// Where answers come back.
#[derive(Clone, Debug, Default)]
pub struct Waiters {
    waiting: Arc<DashMap<WaiterId, Waiting>>,
    last: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    _credit: Credit,
}

/// The right to submit one operation.
#[derive(Debug)]
pub struct Credit(#[allow(dead_code)] OwnedSemaphorePermit);

impl Switchboard {
    /// At most `credits` operations are in flight at once; the queue behind `events` should hold as many.
    pub fn new(events: mpsc::Sender<Event>, waiters: Waiters, credits: usize) -> Switchboard {
        Switchboard { events, waiters, credits: Arc::new(Semaphore::new(credits)), capacity: credits }
    }

    /// How many operations there can be at once.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes a credit, or refuses at once: nobody queues for one.
    pub(super) fn credit(&self) -> Result<Credit, Problem> {
        let permit = Arc::clone(&self.credits).try_acquire_owned();
        permit.map(Credit).map_err(|_| Code::Overloaded.into())
    }

    /// Hands a request to the switch. There is nothing to await between the two steps, so a connection that ends here
    /// cannot leave a waiter without its request.
    pub(super) fn submit(
        &self,
        credit: Credit,
        submission: impl FnOnce(WaiterId) -> Submission,
    ) -> Result<oneshot::Receiver<Answer>, Problem> {
        let (waiter, answer) = self.waiters.enter(credit);
        let event = Event::Submit(Box::new(submission(waiter)));
        self.events.try_send(event).map_err(|error| {
            self.waiters.waiting.remove(&waiter);
            match error {
                mpsc::error::TrySendError::Full(_) => Code::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Code::Draining,
            }
        })?;
        Ok(answer)
    }
}

impl Waiters {
    fn enter(&self, credit: Credit) -> (WaiterId, oneshot::Receiver<Answer>) {
        let waiter = WaiterId(self.last.fetch_add(1, Ordering::Relaxed));
        let (answer, awaited) = oneshot::channel();
        self.waiting.insert(waiter, Waiting { answer, _credit: credit });
        (waiter, awaited)
    }

    /// Gives a waiter its answer and takes its credit back. `false` where nobody waits under that name; a waiter whose
    /// connection ended still counts as one.
    pub fn answer(&self, waiter: WaiterId, answer: Answer) -> bool {
        let Some((_, waiting)) = self.waiting.remove(&waiter) else { return false };
        // The receiver is gone where the merchant hung up; it will ask again with its key.
        let _ = waiting.answer.send(answer);
        true
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::{MerchantId, PaymentId};
    use crate::switch::{Command, Refusal};
    use crate::transaction::{Fingerprint, IdempotencyKey};

    fn void(waiter: WaiterId) -> Submission {
        Submission {
            waiter,
            merchant: MerchantId::new("acme").unwrap(),
            key: IdempotencyKey::new("k").unwrap(),
            fingerprint: Fingerprint([0; 32]),
            command: Command::Void { payment: PaymentId(1) },
            provenance: None,
        }
    }

    #[test]
    fn a_credit_returns_with_the_answer_even_if_nobody_reads_it() {
        let (events, mut queue) = mpsc::channel(4);
        let board = Switchboard::new(events, Waiters::default(), 1);
        drop(board.submit(board.credit().unwrap(), void).unwrap());
        assert_eq!(board.credit().unwrap_err().code, Code::Overloaded);
        let Event::Submit(submission) = queue.try_recv().unwrap() else { unreachable!() };
        assert!(board.waiters.answer(submission.waiter, Answer::Refused(Refusal::NotFound)));
        assert!(!board.waiters.answer(submission.waiter, Answer::Refused(Refusal::NotFound)));
        assert!(board.credit().is_ok());
    }

    #[test]
    fn a_switch_that_is_gone_takes_no_credit() {
        let (events, queue) = mpsc::channel(4);
        drop(queue);
        let board = Switchboard::new(events, Waiters::default(), 1);
        let refused = board.submit(board.credit().unwrap(), void).unwrap_err();
        assert_eq!(refused.code, Code::Draining);
        assert!(board.credit().is_ok() && board.waiters.is_empty());
    }
}
