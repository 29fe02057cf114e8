//! Payments, stores and listeners for the tests of this module.

use super::{Journal, JournalError, Recovered, Settings};
use crate::payment::{
    Acceptor, Amount, ApprovalCode, Brand, BusinessDate, Card, CardId, Currency, Cvc, Expiry, MerchantId,
    MessageValues, OperationKind, Original, Pan, PaymentId, PosEntry, ResultCode, ReversalReason, Rrn, Stan, Wall,
};
use crate::switch::{
    AuditEntry, DayMark, Entry, HostMark, HostMode, LinkRest, NotRecorded, NumberBlock, Stored, Ticket,
};
use crate::transaction::{
    Body, CardSummary, Delivery, Fingerprint, IdempotencyKey, Obligation, ObligationKind, Origin, Outcome, Record,
    Requested,
};
use crate::vault::{KeyId, KeyRing, Keys};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A directory of one test, removed with its value.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("isthmus-journal-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(super) fn settings(&self) -> Settings {
        settings(&self.0.join("store.db"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_for_the_system = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn settings(path: &Path) -> Settings {
    Settings { wal_mib: 1, key_filter_mib: 1, ..Settings::at(path) }
}

type Results = Vec<(Ticket, Result<(), NotRecorded>)>;

/// An open journal with what it reports.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) recovered: Recovered,
    pub(super) commits: Receiver<Results>,
    #[allow(clippy::type_complexity)]
    pub(super) loads: Receiver<(PaymentId, Result<Option<Box<Stored>>, ()>)>,
}

pub(super) fn keys() -> Keys {
    Keys::new(KeyId::new("test-1").unwrap(), &[42; 32])
}

pub(super) fn try_open(settings: &Settings) -> Result<Opened, JournalError> {
    open_under(settings, keys().into())
}

pub(super) fn open_under(settings: &Settings, keys: KeyRing) -> Result<Opened, JournalError> {
    let (commit, commits) = channel();
    let (load, loads) = channel();
    let committed = Box::new(move |results| drop(commit.send(results)));
    let load = std::sync::Mutex::new(load);
    let loaded = Box::new(move |payment, found| drop(load.lock().unwrap().send((payment, found))));
    let (journal, recovered) = Journal::open(settings, keys, committed, loaded)?;
    Ok(Opened { journal, recovered, commits, loads })
}

pub(super) fn open(settings: &Settings) -> Opened {
    try_open(settings).unwrap()
}

impl Opened {
    /// Appends one entry and waits for its fate.
    pub(super) fn append(&self, entry: Entry) -> Result<(), NotRecorded> {
        self.journal.append(Ticket(7), entry);
        let mut results = self.commits.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(results.len(), 1);
        results.remove(0).1
    }

    pub(super) fn load(&self, payment: PaymentId) -> Option<Box<Stored>> {
        self.journal.load(payment);
        let (named, found) = self.loads.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(named, payment);
        found.unwrap()
    }

    pub(super) fn wait_for_views(&self) {
        while self.journal.health().view_lag_records > 0 {
            std::thread::yield_now();
        }
    }
}

pub(super) fn merchant(name: &str) -> MerchantId {
    MerchantId::new(name).unwrap()
}

pub(super) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

pub(super) fn euros(minor: u64) -> Amount {
    Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap()
}

pub(super) fn card() -> Card {
    let cvc = Some(Cvc::parse("123").unwrap());
    Card {
        pan: Pan::parse("4111111111111111").unwrap(),
        expiry: Expiry::new(2031, 4).unwrap(),
        cvc,
        cryptogram: None,
        present: None,
    }
}

pub(super) fn message(stan: u32) -> MessageValues {
    MessageValues {
        host: "first".into(),
        dialect: "iso8583-1987-ascii".into(),
        mti: 200,
        processing_code: 0,
        amount: euros(1299),
        stan: Stan::new(stan).unwrap(),
        transmitted_at: Wall(1_798_761_599_000_000),
        rrn: Rrn::from_sequence(u64::from(stan)),
        entry: PosEntry::Ecommerce,
        acquirer: "400001".into(),
        approval_code: None,
        original: None,
        reason: None,
        local_time: Wall(1_798_761_599_000_000),
        link: Some((0, 3)),
        business_date: None,
        kind: None,
        remains: None,
        consent: None,
        purchase: None,
    }
}

pub(super) fn origin(merchant_name: &str, card: u128) -> Origin {
    Origin {
        merchant: merchant(merchant_name),
        reference: "order-17".to_owned(),
        card: CardSummary { id: CardId(card), brand: Brand::Visa, first6: "411111".into(), last4: "1111".into() },
        acceptor: Acceptor {
            terminal: "TERM0001".into(),
            identification: "ACME00000000001".into(),
            category_code: "5999".into(),
            name: "Acme Books".into(),
            city: "Utrecht".into(),
            country: "NL".into(),
        },
        metadata: None,
    }
}

pub(super) fn requested(operation: u16, kind: OperationKind, key_text: &str) -> Requested {
    Requested {
        operation,
        kind,
        amount: euros(1299),
        key: key(key_text),
        fingerprint: Fingerprint([9; 32]),
        allow_partial: false,
        is_final: true,
        delivery: Delivery::Request,
        message: message(u32::from(operation)),
        business_date: BusinessDate::parse("2026-12-31").unwrap(),
        obligations: Vec::new(),
        origin: None,
        provenance: None,
    }
}

pub(super) fn record(payment: u128, version: u32, body: Body) -> Record {
    Record { payment: PaymentId(payment), version, at: Wall(1_798_761_599_000_000), body }
}

/// The first record of a sale.
pub(super) fn sale(payment: u128, merchant_name: &str, key_text: &str) -> Record {
    let origin = Some(Arc::new(origin(merchant_name, payment)));
    let requested = Requested { origin, ..requested(1, OperationKind::Sale, key_text) };
    record(payment, 1, Body::Requested(Box::new(requested)))
}

/// A later operation.
pub(super) fn refund(payment: u128, version: u32, key_text: &str) -> Record {
    record(payment, version, Body::Requested(Box::new(requested(2, OperationKind::Refund, key_text))))
}

/// The bank's approval.
pub(super) fn approved(payment: u128, version: u32, operation: u16) -> Record {
    let outcome = Outcome {
        operation,
        result: ResultCode::Approved,
        response_code: Some("00".to_owned()),
        approved: Some(euros(1299)),
        approval_code: Some(ApprovalCode::parse("A1B2C3").unwrap()),
        business_date: None,
        obligations: Vec::new(),
        stand_in: None,
        balances: None,
    };
    record(payment, version, Body::Settled(outcome))
}

/// A reversal with all its values.
pub(super) fn reversal(number: u16, operation: u16) -> Obligation {
    let message = MessageValues {
        mti: 420,
        approval_code: ApprovalCode::parse("A1B2C3").ok(),
        original: Some(Original { mti: 200, stan: Stan::new(1).unwrap(), transmitted_at: Wall(1) }),
        reason: Some(ReversalReason::Timeout),
        entry: PosEntry::MailOrder,
        link: None,
        ..message(999_999)
    };
    Obligation { number, kind: ObligationKind::Reversal, operation, message }
}

/// An outcome of the first operation without any detail.
pub(super) fn outcome(result: ResultCode) -> Outcome {
    let (response_code, approved, approval_code) = (None, None, None);
    Outcome {
        operation: 1,
        result,
        response_code,
        approved,
        approval_code,
        business_date: None,
        obligations: vec![],
        stand_in: None,
        balances: None,
    }
}

/// No answer, and so a reversal is owed.
pub(super) fn unknown(payment: u128, version: u32) -> Record {
    let outcome = Outcome { obligations: vec![reversal(1, 1)], ..outcome(ResultCode::Timeout) };
    record(payment, version, Body::Settled(outcome))
}

pub(super) fn entry(record: Record) -> Entry {
    Entry::Payment { records: vec![record], card: None }
}

/// A sale with its card.
pub(super) fn sale_entry(payment: u128, merchant_name: &str, key_text: &str) -> Entry {
    let card = Some((CardId(payment), Box::new(card())));
    Entry::Payment { records: vec![sale(payment, merchant_name, key_text)], card }
}

pub(super) fn numbers(acquirer: &str, stans: u64, rrns: u64) -> NumberBlock {
    NumberBlock { acquirer: acquirer.into(), stans, rrns }
}

/// A host in its second day, of whose first one something is still owed.
pub(super) fn host_mark(host: &str) -> HostMark {
    let date = |text| BusinessDate::parse(text).unwrap();
    let since = Wall(1_795_390_800_000_000);
    let day = DayMark {
        current: date("2026-11-23"),
        since,
        named: true,
        seen_to_begin: true,
        open: vec![date("2026-11-22")],
    };
    HostMark { host: host.into(), day: Some(day), mode: HostMode::Up, links: [].into(), untold: None }
}

/// A host whose links an operator took off the line, each in another way.
pub(super) fn host_with_links_off(host: &str) -> HostMark {
    let links = [(0, LinkRest::SignedOff), (2, LinkRest::Closed)].into();
    HostMark { day: None, links, ..host_mark(host) }
}

/// An order of an operator.
pub(super) fn audit(who: &str) -> AuditEntry {
    let (at, why) = (Wall(1_795_390_800_000_000), "line work".to_owned());
    AuditEntry { at, who: who.to_owned(), why, order: "host down bank".to_owned() }
}
