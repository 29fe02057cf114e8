//! The store in trouble: what merchants are told meanwhile, what is still known afterwards, and what is never passed
//! over. Real files of a real process.

use crate::books::Books;
use crate::disk::DiskFault;
use crate::house::{self, APPROVES, House, SLOW};
use crate::merchants::Errand;
use crate::process::Process;
use isthmus::client::{Client, Trip};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::time::Duration;

async fn pay(client: &mut Client, key: &str, card: &str) -> Trip {
    client.post("/v1/payments", key, &house::order(key, card, 1000)).await.unwrap()
}

fn told(trip: &Trip) -> (u16, &str) {
    let what = trip.body["code"].as_str().or(trip.body["status"].as_str());
    (trip.status.as_u16(), what.unwrap())
}

fn errand(key: &str, told: Value) -> Errand {
    Errand { key: key.to_owned(), refuses_captures: false, told: vec![(key.to_owned(), told)] }
}

/// A house with a bank and a switch that has taken one payment.
async fn open_house() -> (House, Process, Process) {
    let house = House::build();
    let (bank, serve) = (house.bank(), house.serve());
    house.until_paid().await;
    (house, bank, serve)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_can_be_recorded_no_payment_is_taken_and_none_is_forgotten() {
    let (house, _bank, serve) = open_house().await;
    for fault in [DiskFault::Full, DiskFault::ReadOnly, DiskFault::Held, DiskFault::SyncFails] {
        match fault.arranged() {
            Ok(()) => nothing_is_taken_and_nothing_forgotten(&house, &serve, fault).await,
            Err(why) => println!("{fault:?} is not shown: {why}"),
        }
    }
}

async fn nothing_is_taken_and_nothing_forgotten(house: &House, serve: &Process, fault: DiskFault) {
    let (slow, new) = (format!("slow-{fault:?}"), format!("new-{fault:?}"));
    let before = house.ledger().len();
    let (mut client, key) = (house.client(), slow.clone());
    let waiting = tokio::spawn(async move { (pay(&mut client, &key, SLOW).await, client) });
    while house.ledger().len() == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let trouble = fault.inflict(serve.id(), &house.store());
    let (answer, mut client) = waiting.await.unwrap();
    assert_eq!(told(&answer), (504, "outcome_not_recorded"), "{fault:?}: the bank's answer cannot be recorded");
    assert_eq!(told(&pay(&mut client, &new, APPROVES).await), (503, "store_unavailable"), "{fault:?}");
    house.until_ready(false).await;
    assert_eq!(told(&pay(&mut client, &slow, SLOW).await), (504, "outcome_not_recorded"), "{fault:?}: still not");

    drop(trouble);
    house.until_ready(true).await;
    house.until_at_rest().await;
    for (key, card) in [(slow, SLOW), (new, APPROVES)] {
        let answer = pay(&mut client, &key, card).await;
        assert_eq!(told(&answer), (201, "captured"), "{fault:?}: {key}");
        Books::default().settle(house, vec![errand(&key, answer.body)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_or_damaged_views_are_made_anew_from_the_journal() {
    let (house, _bank, mut serve) = open_house().await;
    let sale = pay(&mut house.client(), "sale", APPROVES).await;
    let views = house.file("isthmus.db-views");
    let harms: [&dyn Fn(); 2] =
        [&|| fs::remove_file(&views).unwrap(), &|| fs::write(&views, "no database, though of some length").unwrap()];
    for harm in harms {
        serve.kill();
        harm();
        serve = house.serve();
        house.until_at_rest().await;
        let again = pay(&mut house.client(), "sale", APPROVES).await;
        assert_eq!((again.is_replay(), &again.body), (true, &sale.body), "the key and its answer are known");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_never_told_and_never_passed_over() {
    let (house, _bank, mut serve) = open_house().await;
    let harmed = pay(&mut house.client(), "harmed", APPROVES).await;
    let whole = pay(&mut house.client(), "whole", APPROVES).await;
    assert!(serve.terminate(), "SIGTERM drains and exits 0");
    flip_a_bit(&house, harmed.body["id"].as_str().unwrap());

    // Nothing that is in motion is about it, so the rest of the house works.
    serve = house.serve();
    let mut client = house.client();
    let path = |trip: &Trip| format!("/v1/payments/{}", trip.body["id"].as_str().unwrap());
    assert_eq!(told(&client.get(&path(&harmed)).await.unwrap()), (503, "store_unavailable"));
    assert_eq!(told(&client.get(&path(&whole)).await.unwrap()), (200, "captured"));
    assert_eq!(told(&pay(&mut client, "harmed", APPROVES).await), (503, "store_unavailable"), "not paid twice");
    serve.kill();

    // The views cannot be made anew over it.
    fs::remove_file(house.file("isthmus.db-views")).unwrap();
    let (code, said) = house.serve_refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("of the journal is damaged (its checksum is wrong); restore the store"), "{said}");
}

/// In the last record of a payment, in the middle of the journal's file.
fn flip_a_bit(house: &House, payment: &str) {
    let payment: isthmus::payment::PaymentId = payment.parse().unwrap();
    let store = Connection::open(house.store()).unwrap();
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let of_payment = "SELECT content FROM records WHERE instr(content, ?1) > 0 ORDER BY sequence DESC LIMIT 1";
    let record: Vec<u8> = store.query_row(of_payment, [payment.0.to_be_bytes()], |row| row.get(0)).unwrap();
    drop(store);
    let mut file = fs::read(house.store()).unwrap();
    let place = file.windows(record.len()).position(|bytes| bytes == record).unwrap() + record.len() / 2;
    file[place] ^= 1;
    fs::write(house.store(), file).unwrap();
}
