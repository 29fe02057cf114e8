//! What a merchant may ask for, for how much, and how often.

use crate::stage::{authorisation, open_with, sale};
use isthmus::edge::Limits;
use serde_json::{Value, json};

async fn refused(merchant: &str, body: &Value) -> (u16, Value, Value) {
    let stage = open_with(Limits::default(), merchant, 8).await;
    let trip = stage.client().post("/v1/payments", "k1", body).await.unwrap();
    assert_eq!(stage.client().get("/v1/payments?idempotency_key=k1").await.unwrap().body["data"], json!([]));
    (trip.status.as_u16(), trip.body["code"].clone(), trip.body["pointer"].clone())
}

#[tokio::test]
async fn what_is_not_permitted_leaves_nothing_behind() {
    let no_sales = "operations = ['read', 'authorisation']";
    assert_eq!(refused(no_sales, &sale(1299)).await, (403, json!("operation_not_permitted"), Value::Null));
    assert_eq!(refused("suspended = true", &sale(1299)).await, (403, json!("merchant_suspended"), Value::Null));
    let ceiling = "amount_max = { EUR = 1000 }";
    assert_eq!(refused(ceiling, &sale(1299)).await, (422, json!("amount_above_limit"), json!("/amount/value")));
    let dollars = "amount_max = { USD = 1000 }";
    assert_eq!(refused(dollars, &sale(900)).await, (422, json!("currency_not_permitted"), json!("/amount/currency")));
    let elsewhere = open_with(Limits::default(), "addresses = ['192.0.2.0/24']", 8).await;
    let trip = elsewhere.client().post("/v1/payments", "k1", &sale(1299)).await.unwrap();
    assert_eq!((trip.status.as_u16(), &trip.body["code"]), (403, &json!("address_not_permitted")));
}

#[tokio::test]
async fn what_is_permitted_is_done() {
    let merchant = "operations = ['read', 'authorisation', 'capture']\namount_max = { EUR = 1000 }\n\
                    addresses = ['127.0.0.1']\nshare = { requests_per_second = 50, in_flight = 2 }";
    let stage = open_with(Limits::default(), merchant, 8).await;
    let mut client = stage.client();
    let held = client.post("/v1/payments", "k1", &authorisation(1000)).await.unwrap();
    assert_eq!(held.status, 201, "{}", held.body);
    let path = format!("/v1/payments/{}", held.body["id"].as_str().unwrap());
    assert_eq!(client.post(&format!("{path}/captures"), "k2", &json!({})).await.unwrap().status, 201);
    let refused = client.post(&format!("{path}/refunds"), "k3", &json!({})).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (403, &json!("operation_not_permitted")));
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_ask_again() {
    let stage = open_with(Limits::default(), "share = { requests_per_second = 1, burst = 2 }", 8).await;
    let mut client = stage.client();
    for key in ["k1", "k2"] {
        assert_eq!(client.post("/v1/payments", key, &sale(1299)).await.unwrap().status, 201);
    }
    let trip = client.post("/v1/payments", "k3", &sale(1299)).await.unwrap();
    assert_eq!((trip.status.as_u16(), &trip.body["code"]), (429, &json!("too_many_requests")));
    let wait: u64 = trip.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait));
}
