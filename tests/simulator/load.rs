//! The load generator straight at the bank: what it counts is what the bank has booked.

use crate::peer::{Scratch, ledger, settings, start};
use isthmus::framing::{self, Framing};
use isthmus::iso8583::dialects;
use isthmus::link::{Network, SessionSettings};
use isthmus::load::pace::Pace;
use isthmus::load::{self, Counter, Customers, LoadError, Plan};
use isthmus::payment::{Acceptor, Card, Currency, Expiry, Pan};
use isthmus::translation::{Mapping, Translation};
use std::sync::Arc;
use std::time::Duration;

fn plan(address: String, most: u64) -> Plan {
    let layers = dialects::builtin_layers("iso8583-1987-ascii").unwrap().unwrap();
    let (spec, mapping) = (dialects::spec_of(&layers).unwrap(), Mapping::read(&layers).unwrap());
    let session = SessionSettings::read(&layers).unwrap();
    let counter = Counter {
        address,
        translation: Arc::new(Translation::new(spec, mapping, "iso8583-1987-ascii".into())),
        network: Network::new(session.network),
        framing: Framing::new(&framing::Settings::default()).unwrap(),
        acquirer: "123456".into(),
        acceptor: Acceptor {
            terminal: "LOAD0001".into(),
            identification: "LOADSHOP0000001".into(),
            category_code: "5999".into(),
            name: "Load shop".into(),
            city: "Bonn".into(),
            country: "DE".into(),
        },
        mix: "sale=1,authorize=1".parse().unwrap(),
        cards: vec![Card {
            pan: Pan::parse("4111111111111111").unwrap(),
            expiry: Expiry::new(2030, 12).unwrap(),
            cvc: None,
            cryptogram: None,
            present: None,
        }],
        amounts: 100..=200,
        currency: Currency::from_code("EUR").unwrap(),
        in_flight: 8,
        numbers: Arc::new(999_990.into()),
    };
    Plan {
        customers: Customers::Acquirers(Box::new(counter)),
        connections: 2,
        threads: 1,
        pace: Pace::Closed,
        ramp: Duration::ZERO,
        duration: Duration::from_secs(60),
        most,
        timeout: Duration::from_secs(30),
        seed: 1,
        server_pid: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_is_counted_is_an_entry_of_the_banks_ledger() {
    let scratch = Scratch::new("load");
    let bank = start(settings(scratch.ledger())).await;
    let report = load::run(plan(bank.addr().to_string(), 60), |_| ()).await.unwrap();
    assert_eq!((report.tally.answered, report.tally.ended()), (60, 60), "{:?}", report.tally.outcomes);
    assert_eq!(report.tally.outcomes["00 approved"], 60);
    bank.shutdown().await.unwrap();
    let booked = ledger(&scratch.ledger()).into_iter().filter(|entry| entry.response_code == "00");
    assert_eq!(booked.count(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_hangs_up_is_told_as_such() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap().to_string();
    let hangs_up = tokio::spawn(async move { while deaf.accept().await.is_ok() {} });
    let told = load::run(plan(address, 1), |_| ()).await.unwrap_err();
    assert!(matches!(told, LoadError::Connect { connected: 0, wanted: 16, .. }), "{told}");
    hangs_up.abort();
}
