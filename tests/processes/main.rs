//! Real processes over loopback: `isthmus demo`, `isthmus serve`, `isthmus bank`, killed and started again. After each
//! trial the bank's ledger and the merchant's view must agree, payment by payment.

#![allow(clippy::unwrap_used, clippy::panic)]

mod books;
mod house;

use books::Books;
use house::{APPROVES, DECLINES, House, LATE, PARTIAL, SILENT};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Times that the switch is killed while payments are on their way.
const ROUNDS: u32 = 3;
const MERCHANTS: u32 = 20;
const PAYMENTS_EACH: u32 = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_load_it_owes_what_it_owed() {
    let house = Arc::new(House::build());
    let _bank = house.bank();
    let mut serve = house.serve();
    house.until_paid().await;
    let mut books = Books::default();
    for round in 0..ROUNDS {
        let answered = Arc::new(AtomicU32::new(0));
        let merchants: Vec<_> = (0..MERCHANTS)
            .map(|merchant| tokio::spawn(shop(Arc::clone(&house), round, merchant, Arc::clone(&answered))))
            .collect();
        // Enough answers that the rest is on its way: under way, recorded, sent, and not told.
        while answered.load(Ordering::Relaxed) < 60 + 40 * round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        serve.kill();
        for merchant in merchants {
            books.told(merchant.await.unwrap());
        }
        serve = house.serve();
        house.until_paid().await;
    }
    let checked = books.agree(&house).await;
    assert!(checked >= 100, "only {checked} payments were on record");
}

/// Pays one after the other until the switch is gone; gives each key with what was told, if anything was.
async fn shop(house: Arc<House>, round: u32, merchant: u32, answered: Arc<AtomicU32>) -> Vec<(String, Option<Value>)> {
    let mut client = house.client();
    let mut told = Vec::new();
    for payment in 0..PAYMENTS_EACH {
        let key = format!("storm-{round}-{merchant}-{payment}");
        let card = [APPROVES, APPROVES, APPROVES, DECLINES, PARTIAL, SILENT][((merchant + payment) % 6) as usize];
        let trip = client.post("/v1/payments", &key, &house::order(&key, card, 1000)).await;
        answered.fetch_add(1, Ordering::Relaxed);
        let gone = trip.is_err();
        told.push((key, trip.ok().map(|trip| trip.body)));
        if gone {
            break;
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_changes_nothing_and_two_refunds_cannot_overspend() {
    let house = House::build();
    let _bank = house.bank();
    let mut serve = house.serve();
    house.until_paid().await;

    // The bank answers only after the reversal: the merchant was told `reversing`, and that stands.
    let mut client = house.client();
    let late = client.post("/v1/payments", "late-1", &house::order("late-1", LATE, 700)).await.unwrap();
    assert_eq!((late.status.as_u16(), &late.body["status"]), (202, &json!("reversing")), "{}", late.body);
    assert_eq!(house.settled("late-1").await["status"], "reversed");

    let sale = client.post("/v1/payments", "refunds-1", &house::order("refunds-1", APPROVES, 1000)).await.unwrap();
    let path = format!("/v1/payments/{}/refunds", sale.body["id"].as_str().unwrap());
    let refund = json!({ "amount": { "value": 600, "currency": "EUR" } });
    let (mut one, mut two) = (house.client(), house.client());
    let (one, two) = tokio::join!(one.post(&path, "refund-a", &refund), two.post(&path, "refund-b", &refund));
    let mut codes = [one.unwrap().status.as_u16(), two.unwrap().status.as_u16()];
    codes.sort_unstable();
    assert_eq!(codes, [201, 409], "one of them is above what is left");

    // A second switch on the same store is refused and names the holder.
    let (code, said) = house.serve_refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&serve.id().to_string()), "{said}");

    assert!(serve.terminate(), "SIGTERM drains and exits 0");
    let mut books = Books::default();
    books.told(vec![("late-1".to_owned(), Some(late.body)), ("refunds-1".to_owned(), None)]);
    let _serve = house.serve();
    house.until_paid().await;
    assert_eq!(books.agree(&house).await, 2);
}
