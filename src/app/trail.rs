//! Follows payments through the switch, for the demo: what came in, what was recorded, what went out and came back.
//!
//! Steps hold frames with card data; they are for the process that made them, are drawn masked, and are never written
//! anywhere. A switch in service runs without a trail.

use crate::payment::{Monotonic, Now, PaymentId};
use crate::switch::{Answer, Effect, Entry, Event, Frame, Observation, Ticket};
use crate::transaction::Record;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Something that happened to a payment.
#[derive(Clone, Debug)]
pub struct Step {
    /// To which.
    pub payment: PaymentId,
    /// When.
    pub at: Monotonic,
    /// What.
    pub what: What,
}

/// The kinds of steps.
#[derive(Clone, Debug)]
pub enum What {
    /// The switch got the merchant's request.
    Submitted,
    /// Records went to the store.
    Recording(Vec<Record>),
    /// They are durable.
    Recorded,
    /// A frame left for the bank.
    Sent(Frame),
    /// The bank's reply came.
    Replied(Frame),
    /// The merchant was told.
    Told,
}

/// Follows payments and sends their steps on.
#[derive(Debug)]
pub struct Trail {
    steps: mpsc::UnboundedSender<Step>,
    appends: BTreeMap<Ticket, PaymentId>,
}

impl Trail {
    /// A trail and the end at which its steps come out.
    pub fn new() -> (Trail, mpsc::UnboundedReceiver<Step>) {
        let (steps, received) = mpsc::unbounded_channel();
        (Trail { steps, appends: BTreeMap::new() }, received)
    }

    pub(super) fn event(&mut self, now: Now, event: &Event) {
        match event {
            Event::Submit(submission) => self.step(now, submission.command.payment(), What::Submitted),
            Event::Recorded { ticket, result: Ok(()) } => {
                if let Some(payment) = self.appends.remove(ticket) {
                    self.step(now, payment, What::Recorded);
                }
            }
            _ => {}
        }
    }

    pub(super) fn effect(&mut self, now: Now, effect: &Effect) {
        match effect {
            Effect::Append { ticket, entry: Entry::Payment { records, .. } } => {
                if let Some(first) = records.first() {
                    self.appends.insert(*ticket, first.payment);
                    self.step(now, first.payment, What::Recording(records.clone()));
                }
            }
            Effect::Observe(Observation::Sent { payment: Some(payment), frame, .. }) => {
                self.step(now, *payment, What::Sent(frame.clone()));
            }
            Effect::Observe(Observation::Replied { payment: Some(payment), frame, .. }) => {
                self.step(now, *payment, What::Replied(frame.clone()));
            }
            Effect::Answer { answer: Answer::Told { payment, .. }, .. } => self.step(now, payment.id, What::Told),
            _ => {}
        }
    }

    fn step(&self, now: Now, payment: PaymentId, what: What) {
        // Whoever followed may have stopped listening.
        let _ = self.steps.send(Step { payment, at: now.monotonic, what });
    }
}
