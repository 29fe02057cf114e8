//! The door of framed TLS: the same payments as over HTTPS, many in flight on one connection.

use crate::stage::{OTHER_KEY, Stage, authorisation, identity, material, open, open_with, sale};
use isthmus::client::{Cipher, Client, Envelope, Form};
use isthmus::edge::Limits;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection that shares no code with the door.
struct Line(TlsStream<TcpStream>);

impl Line {
    async fn to(stage: &Stage, with_certificate: bool) -> Line {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&material().ca_certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match identity().filter(|_| with_certificate) {
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(&chain).map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key).unwrap()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(stage.framed).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Line(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    async fn put(&mut self, envelope: &Value) {
        let text = envelope.to_string();
        self.0.write_u32(u32::try_from(text.len()).unwrap()).await.unwrap();
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn take(&mut self) -> Value {
        let mut frame = vec![0; self.0.read_u32().await.unwrap() as usize];
        self.0.read_exact(&mut frame).await.unwrap();
        serde_json::from_slice(&frame).unwrap()
    }

    async fn ask(&mut self, envelope: Value) -> Value {
        self.put(&envelope).await;
        let answer = self.take().await;
        assert_eq!(answer["id"], envelope["id"]);
        answer
    }
}

fn create(id: i64, body: Value) -> Value {
    json!({"id": id, "operation": "payments.create", "idempotency_key": format!("k{id}"), "body": body})
}

#[tokio::test]
async fn a_payment_lives_its_life_in_frames() {
    let stage = open().await;
    let mut line = Line::to(&stage, true).await;
    let held = line.ask(create(1, authorisation(1000))).await;
    assert_eq!((&held["status"], &held["body"]["status"]), (&json!(201), &json!("authorized")), "{held}");
    let follow = |id: i64, operation: &str, body: Value| {
        json!({"id": id, "operation": operation, "payment": held["body"]["id"], "idempotency_key": format!("k{id}"),
            "body": body})
    };
    let captured = line.ask(follow(2, "payments.capture", json!({}))).await;
    assert_eq!(captured["body"]["captured"]["value"], 1000);
    let refunded = line.ask(follow(3, "payments.refund", json!({"amount": {"value": 400, "currency": "EUR"}}))).await;
    assert_eq!(refunded["body"]["refunded"]["value"], 400);
    let refused = line.ask(follow(4, "payments.void", json!({}))).await;
    assert_eq!((&refused["status"], &refused["problem"]["code"]), (&json!(409), &json!("payment_refunded")));
    let read = line.ask(json!({"id": 5, "operation": "payments.get", "payment": held["body"]["id"]})).await;
    assert_eq!((&read["status"], &read["body"]), (&json!(200), &refunded["body"]));
}

#[tokio::test]
async fn one_api_stands_behind_both_doors() {
    let stage = open().await;
    let trip = stage.client().post("/v1/payments", "k1", &sale(1299)).await.unwrap();
    let mut line = Line::to(&stage, true).await;
    let again = line.ask(create(1, sale(1299))).await;
    assert_eq!((&again["replayed"], &again["body"]), (&json!(true), &trip.body));
    let other = line.ask(create(1, sale(1300))).await;
    assert_eq!((&other["status"], &other["problem"]["code"]), (&json!(422), &json!("idempotency_key_reused")));
}

#[tokio::test]
async fn inquiries_lists_and_tokens_are_asked_for_in_frames_too() {
    let stage = open().await;
    let mut line = Line::to(&stage, true).await;
    let card = sale(1)["card"].clone();
    assert_eq!(line.ask(create(1, sale(1000))).await["status"], 201);
    let list = json!({"id": 2, "operation": "payments.list", "query": {"reference": "order-1000", "limit": "5"}});
    assert_eq!(line.ask(list).await["body"]["data"][0]["reference"], "order-1000");
    let wrong = json!({"id": 3, "operation": "payments.list", "query": {"page": "5"}});
    assert_eq!(line.ask(wrong).await["problem"]["code"], "parameter_unknown");
    let asked = |operation: &str, key: &str| {
        let body = json!({"reference": "r", "currency": "EUR", "card": card});
        json!({"id": 4, "operation": operation, "idempotency_key": key, "body": body})
    };
    for (create, get) in
        [("verifications.create", "verifications.get"), ("balance-inquiries.create", "balance-inquiries.get")]
    {
        let made = line.ask(asked(create, create)).await;
        assert_eq!(made["status"], 201, "{made}");
        let again = line.ask(json!({"id": 5, "operation": get, "inquiry": made["body"]["id"]})).await;
        assert_eq!((&again["status"], &again["body"]["id"]), (&json!(200), &made["body"]["id"]));
    }
    let kept = json!({"id": 6, "operation": "tokens.create", "idempotency_key": "t", "body": {"card": {
        "number": "4111111111111111", "expiry_month": 12, "expiry_year": 2030}}});
    let kept = line.ask(kept).await;
    assert_eq!(kept["status"], 201, "{kept}");
    let of = |operation: &str| json!({"id": 7, "operation": operation, "token": kept["body"]["id"]});
    assert_eq!(line.ask(of("tokens.get")).await["status"], 200);
}

#[tokio::test]
async fn one_merchants_share_holds_over_all_of_its_frames() {
    let limits = "share = { requests_per_second = 1000, in_flight = 1 }";
    let mut stage = open_with(Limits::default(), limits, 8).await;
    let (mut first, mut second) = (Line::to(&stage, true).await, Line::to(&stage, true).await);
    first.put(&create(1, sale(1098))).await;
    let submission = stage.seen.recv().await.unwrap();
    let refused = second.ask(create(2, sale(1000))).await;
    assert_eq!((&refused["status"], &refused["problem"]["code"]), (&json!(429), &json!("too_many_in_flight")));
    let refused = first.ask(create(3, sale(1000))).await;
    assert_eq!(refused["problem"]["code"], "too_many_in_flight", "on the same connection, too");
    assert!(crate::scripted_switch::late_answer(&stage.store, &stage.waiters, &submission));
    assert_eq!(first.take().await["status"], 201);
    assert_eq!(second.ask(create(4, sale(1000))).await["status"], 201);
}

#[tokio::test]
async fn bare_documents_are_answered_by_bare_documents_of_their_exchange() {
    let stage = open_with(Limits::default(), "", 10).await;
    let put = async |line: &mut Line, document: &str| {
        line.0.write_u32(u32::try_from(document.len()).unwrap()).await.unwrap();
        line.0.write_all(document.as_bytes()).await.unwrap();
        line.0.flush().await.unwrap();
    };
    let take = async |line: &mut Line| {
        let mut frame = vec![0; line.0.read_u32().await.unwrap() as usize];
        line.0.read_exact(&mut frame).await.unwrap();
        let root = isthmus::xml::Element::parse(&frame).unwrap();
        let text = |name: &str| root.all().into_iter().find(|it| it.name == name).map(|it| it.text.to_string());
        (text("XchgId"), text("Rspn").or(text("RjctRsn")).unwrap())
    };
    let told = |exchange: u32, word: &str| (Some(exchange.to_string()), word.to_owned());
    let mut line = Line::to(&stage, true).await;
    let mut expected = Vec::new();
    for exchange in 100..110 {
        let amount = if exchange % 2 == 0 { "10.00" } else { "10.05" };
        let document = crate::cape::authorisation(&format!("r-{exchange}"), amount);
        put(&mut line, &document.replace("<XchgId>7", &format!("<XchgId>{exchange}"))).await;
        expected.push(told(exchange, if exchange % 2 == 0 { "APPR" } else { "DECL" }));
    }
    let mut answers = Vec::new();
    for _ in 100..110 {
        answers.push(take(&mut line).await);
    }
    answers.sort();
    assert_eq!(answers, expected, "in whatever order");
    put(&mut line, "<Document").await;
    assert_eq!(take(&mut line).await, (None, "PARS".to_owned()));
    line.put(&create(1, sale(1000))).await;
    assert_eq!(line.take().await["status"], 201, "envelopes are taken beside them");
    put(&mut line, "<a/>").await;
    assert_eq!(take(&mut line).await, (None, "MSGT".to_owned()));
    line.0.write_u32(u32::MAX).await.unwrap();
    assert_eq!(take(&mut line).await, (None, "PARS".to_owned()), "too long");

    let mut stranger = Line::to(&stage, false).await;
    put(&mut stranger, &crate::cape::authorisation("r-1", "10.00")).await;
    assert_eq!(
        take(&mut stranger).await,
        told(7, "SECU"),
        "nobody says who asks, and the answer is found all the same"
    );
}

#[tokio::test]
async fn a_frame_says_of_which_trace_it_is_part() {
    let mut stage = open().await;
    let mut line = Line::to(&stage, true).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut envelope = create(1, sale(1000));
    envelope["traceparent"] = trace.into();
    assert_eq!(line.ask(envelope).await["status"], 201);
    let provenance = stage.seen.recv().await.unwrap().provenance.unwrap();
    assert_eq!(provenance.trace.unwrap().to_string(), trace);
}

#[tokio::test]
async fn who_asks_is_proved_by_the_connection_or_the_frame() {
    let stage = open().await;
    let mut line = Line::to(&stage, false).await;
    assert_eq!(line.ask(create(1, sale(1299))).await["problem"]["code"], "unauthenticated");
    let mut asked = create(2, sale(1299));
    asked["authorization"] = format!("Bearer {}", material().api_key().unwrap()).into();
    let paid = line.ask(asked).await;
    assert_eq!(paid["status"], 201, "{paid}");
    let foreign = json!({"id": 3, "operation": "payments.get", "payment": paid["body"]["id"],
        "authorization": format!("Bearer {OTHER_KEY}")});
    assert_eq!(line.ask(foreign).await["problem"]["code"], "payment_not_found");
}

#[tokio::test]
async fn a_sealed_question_gets_a_sealed_answer() {
    let stage = open().await;
    let read = |path| std::fs::read_to_string(path).unwrap();
    let (gateway, own) = (read(&material().gateway_payload_key), read(&material().merchant_payload_private_key_pem));
    let envelope = Envelope::new(&gateway, &own, Cipher::A256Gcm, Form::Jose).unwrap();
    let mut line = Line::to(&stage, true).await;
    let sealed = envelope.seal(sale(1299).to_string().as_bytes()).unwrap();
    let asked = json!({"id": "s", "operation": "payments.create", "idempotency_key": "k", "sealed": sealed});
    let answer = line.ask(asked).await;
    let payment: Value = serde_json::from_slice(&envelope.open(answer["sealed"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(payment["status"], "captured");
}

#[tokio::test]
async fn many_are_in_flight_at_once_and_each_finds_its_answer() {
    let stage = open_with(Limits { frames_in_flight: 64, ..Limits::default() }, "", 64).await;
    let mut line = Line::to(&stage, true).await;
    for id in 0..50 {
        line.put(&create(id, sale(1200 + id))).await;
    }
    let mut answers = BTreeMap::new();
    for _ in 0..50 {
        let answer = line.take().await;
        answers.insert(answer["id"].as_i64().unwrap(), answer["body"]["amount"]["value"].as_i64().unwrap());
    }
    assert_eq!(answers, (0..50).map(|id| (id, 1200 + id)).collect());
}

#[tokio::test]
async fn a_door_that_closes_hangs_up_on_whoever_asks_nothing() {
    let stage = open().await;
    let mut line = Line::to(&stage, true).await;
    let answer = line.ask(create(1, sale(1299))).await;
    assert_eq!(answer["status"], 201);
    let target = stage.target();
    stage.doors.drain().await;
    assert_eq!(line.0.read(&mut [0; 1]).await.unwrap(), 0, "the end is said");
    assert!(Client::new(&target).unwrap().get("/v1/payments?reference=x").await.is_err());
}
