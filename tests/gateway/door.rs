//! What works: payments and all that follows them, who may ask, how a repeat is answered, how the door closes.

use crate::bad_input::raw;
use crate::scripted_switch::late_answer;
use crate::stage::{OTHER_KEY, authorisation, identity, material, open, open_with, sale};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use isthmus::cli::demo::material::Material;
use isthmus::client::{Client, ClientError, Target};
use isthmus::edge::Limits;
use isthmus::payment::OperationKind;
use isthmus::switch::Command;
use serde_json::json;
use std::path::Path;

#[tokio::test]
async fn a_sale_is_approved_and_read_again() {
    let mut stage = open().await;
    let mut client = stage.client();
    let trip = client.post("/v1/payments", "k1", &sale(1299)).await.unwrap();
    assert_eq!(trip.status, 201, "{}", trip.body);
    assert!(!trip.is_replay() && trip.headers.contains_key("x-request-id"));
    let payment = &trip.body;
    assert_eq!(payment["status"], "captured");
    assert_eq!(payment["amount"], json!({"value": 1299, "currency": "EUR"}));
    assert_eq!(payment["card"], json!({"brand": "visa", "first6": "411111", "last4": "1111"}));
    assert_eq!(payment["approval_code"], "A12345");
    assert_eq!(payment["operations"][0]["kind"], "sale");
    assert_eq!(payment["operations"][0]["response_code"], "00");
    assert_eq!(payment["operations"][0]["stan"], "000007");
    assert_eq!(payment["created_at"], "2026-12-31T23:59:59.000Z");
    assert!(!trip.body.to_string().contains("411111111"), "no card number comes back");

    let submission = stage.seen.recv().await.unwrap();
    let Command::Begin(begin) = submission.command else { panic!("a payment begins") };
    assert_eq!((begin.kind, begin.card.pan.reveal()), (OperationKind::Sale, "4111111111111111"));
    assert_eq!((begin.acceptor.terminal.as_str(), begin.acceptor.city.as_str()), ("TERM0001", "Bonn"));
    assert_eq!(begin.card.cvc.unwrap().reveal(), "123");

    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.unwrap().body, *payment);
    for query in ["reference=order-1299", "idempotency_key=k1", "reference=order-1299&idempotency_key=k1"] {
        let found = client.get(&format!("/v1/payments?{query}")).await.unwrap();
        assert_eq!((found.status.as_u16(), &found.body["data"]), (200, &json!([payment])), "{query}");
    }
    let none = client.get("/v1/payments?reference=order-1299&idempotency_key=k2").await.unwrap();
    assert_eq!(none.body["data"], json!([]));
}

#[tokio::test]
async fn a_decline_says_why_and_an_unknown_outcome_is_accepted_only() {
    let stage = open().await;
    let mut client = stage.client();
    let declined = client.post("/v1/payments", "k1", &sale(1005)).await.unwrap();
    assert_eq!((declined.status.as_u16(), &declined.body["status"]), (201, &json!("declined")));
    let decline = &declined.body["operations"][0]["decline"];
    assert_eq!((&decline["category"], &decline["kind"]), (&json!("insufficient_funds"), &json!("soft")));
    let unknown = client.post("/v1/payments", "k2", &sale(1097)).await.unwrap();
    assert_eq!((unknown.status.as_u16(), &unknown.body["status"]), (202, &json!("reversing")));
}

#[tokio::test]
async fn what_follows_an_authorisation() {
    let stage = open().await;
    let mut client = stage.client();
    let held = client.post("/v1/payments", "k1", &authorisation(1000)).await.unwrap();
    assert_eq!(held.body["status"], "authorized");
    let path = format!("/v1/payments/{}", held.body["id"].as_str().unwrap());
    let part = json!({"amount": {"value": 400, "currency": "EUR"}, "final": false});
    let captured = client.post(&format!("{path}/captures"), "k2", &part).await.unwrap();
    assert_eq!((&captured.body["status"], &captured.body["captured"]["value"]), (&json!("authorized"), &json!(400)));
    let rest = client.post(&format!("{path}/captures"), "k3", &json!({})).await.unwrap();
    assert_eq!((&rest.body["status"], &rest.body["captured"]["value"]), (&json!("captured"), &json!(1000)));
    let over = client.post(&format!("{path}/captures"), "k4", &part).await.unwrap();
    assert_eq!((over.status.as_u16(), &over.body["code"]), (409, &json!("payment_fully_captured")));
    let refund = json!({"amount": {"value": 1001, "currency": "EUR"}});
    let refused = client.post(&format!("{path}/refunds"), "k5", &refund).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("amount_above_captured")));
    let refunded = client.post(&format!("{path}/refunds"), "k5", &json!({})).await.unwrap();
    assert_eq!(refunded.body["status"], "refunded", "the refused request did not use the key up");
    let late = client.post(&format!("{path}/voids"), "k6", &json!({})).await.unwrap();
    assert_eq!((late.status.as_u16(), &late.body["code"]), (409, &json!("payment_refunded")));
}

#[tokio::test]
async fn a_void_is_not_done_twice() {
    let stage = open().await;
    let mut client = stage.client();
    let sold = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let path = format!("/v1/payments/{}/voids", sold.body["id"].as_str().unwrap());
    let voided = client.post(&path, "k2", &json!({})).await.unwrap();
    assert_eq!((voided.status.as_u16(), &voided.body["status"]), (201, &json!("voided")));
    let again = client.post(&path, "k3", &json!({})).await.unwrap();
    assert_eq!((again.status.as_u16(), &again.body["code"]), (409, &json!("payment_voided")));
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stage = open().await;
    let mut client = stage.client();
    let first = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let path = format!("/v1/payments/{}/refunds", first.body["id"].as_str().unwrap());
    client.post(&path, "k2", &json!({})).await.unwrap();
    let mut spaced = sale(1000);
    spaced["card"].as_object_mut().unwrap().remove("cvc");
    spaced["allow_partial"] = json!(false);
    let again = client.post("/v1/payments", "k1", &spaced).await.unwrap();
    assert!(again.is_replay());
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = client.post("/v1/payments", "k1", &sale(1001)).await.unwrap();
    assert_eq!((other.status.as_u16(), &other.body["code"]), (422, &json!("idempotency_key_reused")));
}

#[tokio::test]
async fn another_merchants_payment_is_not_there() {
    let stage = open().await;
    let sold = stage.client().post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let path = format!("/v1/payments/{}", sold.body["id"].as_str().unwrap());
    let mut other = stage.client_with_key(Some(OTHER_KEY));
    for trip in [other.get(&path).await, other.post(&format!("{path}/refunds"), "k2", &json!({})).await] {
        let trip = trip.unwrap();
        assert_eq!((trip.status.as_u16(), &trip.body["code"]), (404, &json!("payment_not_found")));
    }
    let found = other.get("/v1/payments?idempotency_key=k1").await.unwrap();
    assert_eq!(found.body["data"], json!([]));
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_filtered() {
    let stage = open().await;
    let mut client = stage.client();
    for value in [1000, 1005, 1010, 1097, 1020] {
        client.post("/v1/payments", &format!("k{value}"), &sale(value)).await.unwrap();
    }
    stage.client_with_key(Some(OTHER_KEY)).post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let values = |page: &serde_json::Value| -> Vec<i64> {
        page["data"].as_array().unwrap().iter().map(|payment| payment["amount"]["value"].as_i64().unwrap()).collect()
    };
    let mut walked = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = client.get(&format!("/v1/payments?{query}")).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.body);
        walked.push(values(&page.body));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(walked, [vec![1020, 1097], vec![1010, 1005], vec![1000]], "the merchant's own alone");
    let mut of = async |query: &str| values(&client.get(&format!("/v1/payments?{query}")).await.unwrap().body);
    assert_eq!(of("status=captured").await, [1020, 1010, 1000]);
    assert_eq!(of("status=declined&reference=order-1005").await, [1005]);
    assert!(of("status=declined&reference=order-1000").await.is_empty());
    assert_eq!(of("idempotency_key=k1010&status=captured").await, [1010]);
    assert!(of("idempotency_key=k1010&status=declined").await.is_empty());
    assert_eq!(of("from=2026-12-31T23:59:59Z").await.len(), 5);
    assert!(of("to=2026-12-31T23:59:59Z").await.is_empty());
}

#[tokio::test]
async fn a_certificate_proves_as_much_as_a_key_and_no_more_than_required() {
    let stage = open_with(Limits::default(), "require = 'both'", 8).await;
    let cases = [(true, true, 201), (true, false, 401), (false, true, 401), (false, false, 401)];
    for (key, certificate, status) in cases {
        let target = stage.target();
        let api_key = target.api_key.clone().filter(|_| key);
        let identity_pem = identity().filter(|_| certificate);
        let mut client = Client::new(&Target { api_key, identity_pem, ..target }).unwrap();
        let trip = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
        assert_eq!(trip.status, status, "key {key}, certificate {certificate}: {}", trip.body);
    }
}

#[tokio::test]
async fn a_resumed_session_still_proves_who_asks() {
    let stage = open().await;
    let target = Target { api_key: None, identity_pem: identity(), ..stage.target() };
    let mut client = Client::new(&target).unwrap();
    for connection in 0..3 {
        let trip = client.post("/v1/payments", &format!("k{connection}"), &sale(1000)).await.unwrap();
        assert_eq!(trip.status, 201, "{}", trip.body);
        client.hang_up();
    }
}

#[tokio::test]
async fn a_certificate_of_another_issuer_is_not_let_in() {
    let stage = open().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway-stranger");
    let stranger = Material::prepare(&folder).unwrap();
    let read = |path| std::fs::read(path).unwrap();
    let identity_pem = Some((read(&stranger.client_certificate), read(&stranger.client_key)));
    let mut client = Client::new(&Target { identity_pem, ..stage.target() }).unwrap();
    assert!(client.post("/v1/payments", "k1", &sale(1000)).await.is_err(), "the handshake fails, good key or not");
    let ca_pem = read(&stranger.ca_certificate);
    let mut client = Client::new(&Target { ca_pem, ..stage.target() }).unwrap();
    assert!(matches!(client.get("/v1/keys").await, Err(ClientError::Connect(_))), "and the client is as strict");
}

#[tokio::test]
async fn many_payments_share_one_http2_connection() {
    let stage = open_with(Limits::default(), "", 64).await;
    let stream = TokioIo::new(raw(&stage, "h2").await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let key = material().api_key().unwrap();
    let ask = |number: i64| {
        let request = hyper::Request::post(format!("https://localhost:{}/v1/payments", stage.address.port()))
            .header("authorization", format!("Bearer {key}"))
            .header("idempotency-key", format!("k{number}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(sale(1000 + number).to_string())))
            .unwrap();
        let mut sender = sender.clone();
        async move { sender.send_request(request).await.unwrap().status() }
    };
    let mut asked = tokio::task::JoinSet::new();
    (0..5).for_each(|number| drop(asked.spawn(ask(number))));
    let statuses = asked.join_all().await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
}

#[tokio::test]
async fn whoever_hangs_up_has_asked_and_beyond_the_credits_nobody_is_let_in() {
    let mut stage = open_with(Limits::default(), "", 1).await;
    let mut hasty = stage.client();
    let asking = tokio::spawn(async move { hasty.post("/v1/payments", "k1", &sale(1098)).await });
    let submission = stage.seen.recv().await.unwrap();
    asking.abort();
    let mut client = stage.client();
    let refused = client.post("/v1/payments", "k2", &sale(1000)).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("overloaded")));
    assert!(refused.headers.contains_key("retry-after"));
    assert!(late_answer(&stage.store, &stage.waiters, &submission));
    let again = client.post("/v1/payments", "k1", &sale(1098)).await.unwrap();
    assert_eq!((again.status.as_u16(), again.is_replay()), (201, true));
}

#[tokio::test]
async fn the_door_answers_what_is_open_before_it_closes() {
    let mut stage = open().await;
    let (mut patient, target) = (stage.client(), stage.target());
    let asking = tokio::spawn(async move { patient.post("/v1/payments", "k1", &sale(1098)).await });
    let submission = stage.seen.recv().await.unwrap();
    let draining = tokio::spawn(stage.doors.drain());
    while Client::new(&target).unwrap().get("/v1/keys").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(late_answer(&stage.store, &stage.waiters, &submission));
    assert_eq!(asking.await.unwrap().unwrap().status, 201);
    draining.await.unwrap();
}
