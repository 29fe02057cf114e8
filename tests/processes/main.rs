//! Real processes over loopback: `isthmus demo`, `isthmus serve`, `isthmus bank`, killed, stopped and started again,
//! behind a wire that fails and on disks that do, with one bank or two, set up in several ways. After each round the
//! banks' ledgers and the merchants' view must agree, payment by payment.

#![allow(clippy::unwrap_used, clippy::panic)]

mod acquirer;
mod books;
mod disk;
mod fault;
mod house;
mod merchants;
mod operators;
mod pins;
mod process;
mod proxy;
mod rounds;
mod seal;
mod setup;
mod store;
mod tally;

use books::Books;
use house::{APPROVES, House, LATE};
use merchants::Errand;
use serde_json::json;

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
    let _serve = house.serve();
    house.until_paid().await;
    let errand =
        |key: &str, told| Errand { key: key.to_owned(), refuses_captures: false, told: vec![(key.to_owned(), told)] };
    let mut books = Books::default();
    books.settle(&house, vec![errand("late-1", late.body), errand("refunds-1", sale.body)]).await;
    assert_eq!(books.payments().count(), 2);
}
