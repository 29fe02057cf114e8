//! A payment in motion: something about it is asked, being recorded, pending or owed.

use super::event::{Ticket, WaiterId};
use super::order::OperatorId;
use super::submission::Submission;
use crate::payment::{BusinessDate, Card, CardPresent, CardPrint, Cryptogram, Cvc, MerchantId, Monotonic, Name, Stan};
use crate::transaction::{Body, IdempotencyKey, Payment, Record};
use std::collections::VecDeque;
use std::sync::Arc;

/// A payment in motion.
#[derive(Debug, Default)]
pub(super) struct Motion {
    /// What is durable; `None` until the first record is, or while it is being loaded.
    pub payment: Option<Arc<Payment>>,
    /// The card, without its verification code.
    pub card: Option<Card>,
    /// Whether the store was asked for it.
    pub loading: bool,
    /// The operation that has no durable outcome yet.
    pub open: Option<Open>,
    /// Operations that wait for the open one.
    pub queue: VecDeque<Submission>,
    /// What is being made durable.
    pub recording: Option<Recording>,
    /// What is to be made durable after that.
    pub backlog: VecDeque<(Vec<Body>, Then)>,
}

/// An operation that has no durable outcome yet.
#[derive(Debug)]
pub(super) struct Open {
    pub operation: u16,
    pub merchant: MerchantId,
    pub key: IdempotencyKey,
    /// Who waits; `None` after a restart, or once it was told that the outcome is not recorded.
    pub waiter: Option<WaiterId>,
    /// Lives only until the request is written.
    pub cvc: Option<Cvc>,
    /// As short-lived.
    pub cryptogram: Option<Cryptogram>,
    /// The same: what a reader gave of the card.
    pub present: Option<Box<CardPresent>>,
    /// By what its card is told from others, of a payment that begins.
    pub card_print: Option<CardPrint>,
    /// The submission, kept until its first record is durable: it may turn out to be a repeat.
    pub submission: Option<Box<Submission>>,
    /// Whether its outcome is decided and waits for the store.
    pub decided: bool,
    /// When it must have been handed to a link of its host; set when that is first tried.
    pub send_by: Option<Monotonic>,
    /// When no other host is tried any more; set when the first one is.
    pub give_up_at: Option<Monotonic>,
    /// The host it is open at.
    pub place: Option<usize>,
    /// The trace number of its request, from its outcome until that is durable and whatever is owed of it holds it.
    pub held: Option<Stan>,
    /// Hosts that certainly did not get it.
    pub tried: Vec<usize>,
}

/// Records on their way to the store.
#[derive(Debug)]
pub(super) struct Recording {
    pub ticket: Ticket,
    pub records: Vec<Record>,
    pub then: Then,
    /// When to try again after the store refused; `None` while it is trying.
    pub retry_at: Option<Monotonic>,
    pub attempts: u32,
}

/// What follows once records are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Send the request of the open operation.
    Send,
    /// Tell the merchant of the open operation: it ends with these records.
    Tell,
    /// Tell the operator who ordered it.
    Inform(OperatorId),
    /// Nothing more.
    Rest,
}

impl Motion {
    /// Whether a new operation has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.loading || self.open.is_some()
    }

    /// Whether an operation under this key is open or waits.
    pub(super) fn holds_key(&self, key: &IdempotencyKey) -> bool {
        self.open.as_ref().is_some_and(|open| open.key == *key) || self.queue.iter().any(|waiting| waiting.key == *key)
    }

    /// Whether nothing is left to do, so that it may be forgotten.
    pub(super) fn is_over(&self) -> bool {
        let idle = !self.is_busy() && self.queue.is_empty() && self.recording.is_none() && self.backlog.is_empty();
        idle && self.payment.as_deref().is_none_or(Payment::is_at_rest)
    }

    /// Whether an obligation is about to end: its discharge is on its way to the store.
    pub fn ends(&self, number: u16) -> bool {
        let is_end = |body: &Body| matches!(body, Body::Discharged { obligation, .. } if *obligation == number);
        let recording = self.recording.iter().flat_map(|recording| &recording.records);
        let waiting = self.backlog.iter().flat_map(|(bodies, _)| bodies);
        recording.map(|record| &record.body).chain(waiting).any(is_end)
    }

    /// The business days of its operations at a host, with those that are being recorded.
    pub(super) fn days_at<'a>(&'a self, host: &'a Name) -> impl Iterator<Item = BusinessDate> + 'a {
        let known = self.payment.iter().flat_map(|payment| &payment.operations);
        let known = known.filter(move |op| op.message.host == *host).map(|op| op.business_date);
        let records = self.recording.iter().flat_map(|recording| &recording.records);
        let begun = records.filter_map(move |record| match &record.body {
            Body::Requested(requested) if requested.message.host == *host => Some(requested.business_date),
            _ => None,
        });
        known.chain(begun)
    }

    /// The version that the next record will have.
    pub(super) fn next_version(&self) -> u32 {
        self.payment.as_ref().map_or(0, |payment| payment.version) + 1
    }
}
