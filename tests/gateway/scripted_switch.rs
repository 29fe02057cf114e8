//! A switch that decides at once, by the amount: real records, a real fold, the real rules; no bank.
//!
//! Amounts ending in 05 are declined, in 97 unknown and reversing, 98 is never answered until it is told to.

use isthmus::edge::{Archive, ArchiveUnavailable, Waiters};
use isthmus::payment::*;
use isthmus::switch::{Answer, Command, Event, Refusal, Submission, WaiterId};
use isthmus::transaction::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

const NOW: Wall = Wall(1_798_761_599_000_000);

/// The store, shared with the door.
#[derive(Default)]
pub struct Store {
    pub payments: Mutex<BTreeMap<PaymentId, Vec<Record>>>,
}

impl Store {
    fn find(&self, wanted: impl Fn(&Payment) -> bool) -> Vec<PaymentId> {
        let payments = self.payments.lock().unwrap();
        let folded = payments.values().map(|records| Payment::fold(records).unwrap());
        folded.filter(wanted).map(|payment| payment.id).collect()
    }
}

impl Archive for Store {
    fn payment(&self, id: PaymentId) -> Result<Vec<Record>, ArchiveUnavailable> {
        Ok(self.payments.lock().unwrap().get(&id).cloned().unwrap_or_default())
    }

    fn by_key(&self, merchant: &MerchantId, key: &IdempotencyKey) -> Result<Option<PaymentId>, ArchiveUnavailable> {
        let found = self.find(|p| p.origin.merchant == *merchant && p.operation_by_key(key).is_some());
        Ok(found.first().copied())
    }

    fn of_period(
        &self,
        merchant: &MerchantId,
        period: &str,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ArchiveUnavailable> {
        let counts = |operation: &Operation| {
            operation.provenance.as_ref().is_some_and(|from| from.period.as_deref() == Some(period))
        };
        let mut found = self.find(|p| p.origin.merchant == *merchant && p.operations.iter().any(counts));
        found.truncate(limit);
        Ok(found)
    }

    fn list(&self, listing: &Listing) -> Result<Page, ArchiveUnavailable> {
        let mine = |p: &Payment| p.origin.merchant == listing.merchant;
        let referenced = |p: &Payment| listing.reference.as_ref().is_none_or(|wanted| *wanted == p.origin.reference);
        let found = self.find(|payment| mine(payment) && referenced(payment));
        let place = |payment| Place { created: NOW, payment };
        let mut places: Vec<_> = found.into_iter().rev().map(place).filter(|place| listing.admits(*place)).collect();
        let more = places.len() > listing.limit;
        places.truncate(listing.limit);
        let next = places.last().copied().filter(|_| more);
        Ok(Page { places, next })
    }
}

/// Answers submissions until the door is gone.
pub async fn run(
    mut events: mpsc::Receiver<Event>,
    waiters: Waiters,
    store: Arc<Store>,
    seen: mpsc::UnboundedSender<Submission>,
) {
    while let Some(event) = events.recv().await {
        let Event::Submit(submission) = event else { panic!("the door submits and nothing else") };
        let _ = seen.send((*submission).clone());
        if let Some(answer) = decide(&store, &submission) {
            waiters.answer(submission.waiter, answer);
        }
    }
}

/// What the switch says at last to a request that it left waiting.
pub fn late_answer(store: &Store, waiters: &Waiters, submission: &Submission) -> bool {
    let settled = settle(store, submission, submission.command.payment(), ResultCode::Approved);
    waiters.answer(WaiterId(submission.waiter.0), settled)
}

fn decide(store: &Store, submission: &Submission) -> Option<Answer> {
    let key = &submission.key;
    let known = store.find(|p| p.origin.merchant == submission.merchant && p.operation_by_key(key).is_some());
    if let Some(id) = known.first() {
        return Some(replay(store, submission, *id));
    }
    match request(store, submission) {
        Err(refusal) => Some(Answer::Refused(refusal)),
        Ok((id, amount)) => {
            let result = match amount.minor() % 100 {
                98 => return None,
                5 => ResultCode::InsufficientFunds,
                97 => ResultCode::Timeout,
                _ => ResultCode::Approved,
            };
            Some(settle(store, submission, id, result))
        }
    }
}

fn replay(store: &Store, submission: &Submission, id: PaymentId) -> Answer {
    let records = store.payment(id).unwrap();
    let payment = Payment::fold(&records).unwrap();
    let operation = payment.operation_by_key(&submission.key).unwrap();
    if operation.fingerprint != submission.fingerprint {
        return Answer::Refused(Refusal::KeyReused);
    }
    let Some(told_at) = operation.told_at else { return Answer::Refused(Refusal::KeyInFlight) };
    let number = operation.number;
    let payment = Payment::fold(&records[..told_at as usize]).unwrap();
    Answer::Told { payment: payment.into(), operation: number, replayed: true }
}

fn request(store: &Store, submission: &Submission) -> Result<(PaymentId, Amount), Refusal> {
    let id = submission.command.payment();
    let mut payments = store.payments.lock().unwrap();
    let records = payments.get(&id).cloned().unwrap_or_default();
    let existing = Payment::fold(&records).ok().filter(|payment| payment.origin.merchant == submission.merchant);
    let found = || existing.as_ref().ok_or(Refusal::NotFound);
    let (kind, amount, is_final) = match &submission.command {
        Command::Begin(begin) => (begin.kind, begin.amount, false),
        Command::Capture { amount, is_final, .. } => {
            (OperationKind::Capture, found()?.plan_capture(*amount)?.amount, *is_final)
        }
        Command::Increment { amount, .. } => {
            (OperationKind::Increment, found()?.plan_increment(*amount)?.amount, false)
        }
        Command::Refund { amount, .. } => (OperationKind::Refund, found()?.plan_refund(*amount)?.amount, false),
        Command::Void { .. } => (OperationKind::Void, found()?.plan_void(BusinessDate::of(NOW))?.amount, false),
    };
    let number = existing.map_or(1, |payment| payment.operations.len() as u16 + 1);
    let requested = Requested {
        operation: number,
        kind,
        amount,
        key: submission.key.clone(),
        fingerprint: submission.fingerprint,
        allow_partial: false,
        is_final,
        delivery: Delivery::Request,
        message: message(amount, submission),
        business_date: BusinessDate::of(NOW),
        obligations: Vec::new(),
        origin: origin(submission),
        provenance: submission.provenance.clone(),
    };
    let version = records.len() as u32 + 1;
    let record = Record { payment: id, version, at: NOW, body: Body::Requested(Box::new(requested)) };
    payments.entry(id).or_default().push(record);
    Ok((id, amount))
}

fn settle(store: &Store, submission: &Submission, id: PaymentId, result: ResultCode) -> Answer {
    let mut payments = store.payments.lock().unwrap();
    let records = payments.get_mut(&id).unwrap();
    let payment = Payment::fold(records).unwrap();
    let operation = payment.operation_by_key(&submission.key).unwrap();
    let approved = (result == ResultCode::Approved).then_some(operation.amount);
    let response_code = match result {
        ResultCode::Approved => Some("00".to_owned()),
        ResultCode::InsufficientFunds => Some("51".to_owned()),
        _ => None,
    };
    let reversal = Obligation {
        number: 1,
        kind: ObligationKind::Reversal,
        operation: operation.number,
        message: operation.message.clone(),
    };
    let outcome = Outcome {
        operation: operation.number,
        result,
        response_code,
        approved,
        approval_code: approved.and_then(|_| ApprovalCode::parse("A12345").ok()),
        business_date: None,
        obligations: if result == ResultCode::Timeout { vec![reversal] } else { Vec::new() },
        stand_in: None,
        balances: (operation.kind == OperationKind::BalanceInquiry).then(balances),
    };
    let number = operation.number;
    records.push(Record { payment: id, version: records.len() as u32 + 1, at: NOW, body: Body::Settled(outcome) });
    let payment = Payment::fold(records).unwrap();
    Answer::Told { payment: payment.into(), operation: number, replayed: false }
}

/// An account that holds money and owes some.
fn balances() -> Vec<Balance> {
    let euros = |minor| Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap();
    let balance =
        |amount_type, minor, is_negative| Balance { account_type: 0, amount_type, amount: euros(minor), is_negative };
    vec![balance(1, 100_000, false), balance(2, 2_500, true)]
}

fn origin(submission: &Submission) -> Option<Arc<Origin>> {
    let Command::Begin(begin) = &submission.command else { return None };
    let pan = &begin.card.pan;
    let card =
        CardSummary { id: begin.card_id, brand: pan.brand(), first6: pan.first6().into(), last4: pan.last4().into() };
    let (merchant, reference) = (submission.merchant.clone(), begin.reference.clone());
    let metadata = Some(begin.metadata.clone()).filter(|metadata| !metadata.is_empty());
    Some(Arc::new(Origin { merchant, reference, card, acceptor: begin.acceptor.clone(), metadata }))
}

fn message(amount: Amount, submission: &Submission) -> MessageValues {
    let (consent, purchase) = match &submission.command {
        Command::Begin(begin) => (begin.consent.clone(), begin.purchase.clone()),
        _ => (None, None),
    };
    MessageValues {
        host: "bank".into(),
        dialect: "iso8583-1987-ascii".into(),
        mti: 200,
        processing_code: 0,
        amount,
        stan: Stan::new(7).unwrap(),
        transmitted_at: NOW,
        rrn: Rrn::from_sequence(7),
        entry: PosEntry::Ecommerce,
        acquirer: "1".into(),
        approval_code: None,
        original: None,
        reason: None,
        local_time: NOW,
        link: None,
        business_date: None,
        kind: None,
        remains: None,
        consent,
        purchase,
    }
}
