//! Sealed payloads over the wire: both forms, both ciphers, and what is refused.

use crate::stage::{Stage, material, open, open_with, sale};
use isthmus::client::{Cipher, Client, Envelope, Form, Target};
use isthmus::edge::Limits;
use serde_json::{Value, json};

pub async fn envelope(stage: &Stage, cipher: Cipher, form: Form) -> Envelope {
    let keys = stage.client().get("/v1/keys").await.unwrap().body;
    let own = std::fs::read_to_string(&material().merchant_payload_private_key_pem).unwrap();
    Envelope::new(&keys["keys"][0].to_string(), &own, cipher, form).unwrap()
}

pub async fn sealing_client(stage: &Stage, cipher: Cipher, form: Form) -> Client {
    let envelope = Some(envelope(stage, cipher, form).await);
    Client::new(&Target { envelope, ..stage.target() }).unwrap()
}

fn code(body: &Value) -> &str {
    body["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_sealed_request_gets_a_sealed_answer_in_its_own_form() {
    let stage = open().await;
    for (place, (cipher, form)) in
        [(Cipher::A256Gcm, Form::Jose), (Cipher::A128Gcm, Form::Jose), (Cipher::A256Gcm, Form::EncData)]
            .into_iter()
            .enumerate()
    {
        let mut client = sealing_client(&stage, cipher, form).await;
        let trip = client.post("/v1/payments", &format!("k{place}"), &sale(1000)).await.unwrap();
        assert_eq!((trip.status.as_u16(), &trip.body["status"]), (201, &json!("captured")));
        let wire = [trip.sent.as_ref(), trip.received.as_ref()].concat();
        let wire = String::from_utf8(wire).unwrap();
        assert!(!wire.contains("411111") && !wire.contains("captured"), "{wire}");
        let content_type = trip.headers["content-type"].to_str().unwrap();
        assert_eq!(content_type == "application/jose", form == Form::Jose);
        let path = format!("/v1/payments/{}", trip.body["id"].as_str().unwrap());
        let read = client.get(&path).await.unwrap();
        assert_eq!(read.headers["content-type"], "application/jose");
        assert_eq!(read.body, trip.body);
    }
}

#[tokio::test]
async fn a_repeat_may_be_wrapped_otherwise() {
    let stage = open().await;
    let plain = stage.client().post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::EncData).await;
    let sealed = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    assert!(sealed.is_replay());
    assert_eq!(sealed.body, plain.body);
}

#[tokio::test]
async fn where_sealing_is_required_plain_is_refused() {
    let mut stage = open_with(Limits::default(), "sealing = 'required'", 8).await;
    let plain = stage.client().post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    assert_eq!((plain.status.as_u16(), code(&plain.body)), (403, "sealing_required"));
    assert!(stage.seen.try_recv().is_err(), "the switch never saw it");
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::Jose).await;
    let sealed = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    assert_eq!(sealed.status, 201, "the key was not used up");
}

#[tokio::test]
async fn every_failure_to_open_is_the_same() {
    let mut stage = open().await;
    let envelope = envelope(&stage, Cipher::A256Gcm, Form::Jose).await;
    let content = sale(1000).to_string();
    let token = envelope.seal(content.as_bytes()).unwrap();
    let tampered = |place: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let cut = token.rfind('.').unwrap();
    let other = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "another"});
    let tokens = [
        tampered(400),
        tampered(cut - 3),
        tampered(cut + 3),
        token[..cut].to_owned(),
        envelope.seal_under(&other, content.as_bytes()).unwrap(),
        "nonsense".to_owned(),
        String::new(),
    ];
    let mut client = stage.client();
    let mut told = Vec::new();
    for token in tokens {
        for (content_type, body) in
            [("application/jose", token.clone()), ("application/json", json!({ "encData": token }).to_string())]
        {
            let request = client.request("POST".parse().unwrap(), "/v1/payments").header("idempotency-key", "k1");
            let trip = client.send(request.header("content-type", content_type), body.into()).await.unwrap();
            assert_eq!((trip.status.as_u16(), code(&trip.body)), (400, "payload_unreadable"));
            told.push(trip.received);
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "word for word the same");
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
}

pub async fn post(stage: &Stage, key: &str, headers: &[(&str, &str)], body: String) -> isthmus::client::Trip {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/payments").header("idempotency-key", key);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    client.send(request.header("content-type", "application/json"), body.into()).await.unwrap()
}

#[tokio::test]
async fn a_member_may_be_sealed_alone() {
    let stage = open().await;
    let envelope = envelope(&stage, Cipher::A256Gcm, Form::EncData).await;
    let mut body = sale(1000);
    body["card"] = json!({ "encryptedData": envelope.seal(body["card"].to_string().as_bytes()).unwrap() });
    let trip = post(&stage, "k1", &[], body.to_string()).await;
    let answer: Value = serde_json::from_slice(&trip.received).unwrap();
    let opened = envelope.open(answer["encryptedData"].as_str().unwrap()).unwrap();
    let payment: Value = serde_json::from_slice(&opened).unwrap();
    assert_eq!((trip.status.as_u16(), &payment["status"]), (201, &json!("captured")));
    let whole = json!({ "encryptedData": envelope.seal(sale(1000).to_string().as_bytes()).unwrap() });
    let again = post(&stage, "k1", &[], whole.to_string()).await;
    assert!(again.is_replay(), "the same values, wrapped otherwise");
    body["card"] = json!({ "encryptedData": envelope.seal(b"1,\"b\":2").unwrap() });
    let trip = post(&stage, "k2", &[], body.to_string()).await;
    assert_eq!((trip.status.as_u16(), code(&trip.body)), (400, "payload_unreadable"));
}

#[tokio::test]
async fn the_key_may_be_named_beside_the_token() {
    let stage = open().await;
    let envelope = envelope(&stage, Cipher::A256Gcm, Form::EncData).await;
    let header = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"});
    let sealed = || json!({ "encData": envelope.seal_under(&header, sale(1000).to_string().as_bytes()).unwrap() });
    let kid = stage.client().get("/v1/keys").await.unwrap().body["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_eq!(post(&stage, "k1", &[("keyId", &kid)], sealed().to_string()).await.status, 201);
    assert_eq!(post(&stage, "k2", &[("keyId", "other")], sealed().to_string()).await.status, 400);
    assert_eq!(post(&stage, "k3", &[], sealed().to_string()).await.status, 400);
}

#[tokio::test]
async fn what_was_sealed_long_ago_begins_nothing_and_is_answered_again() {
    let stage = open().await;
    let envelope = envelope(&stage, Cipher::A256Gcm, Form::EncData).await;
    let kid = stage.client().get("/v1/keys").await.unwrap().body["keys"][0]["kid"].clone();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let sealed_at = |iat: Value| {
        let header = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": kid, "iat": iat});
        json!({ "encData": envelope.seal_under(&header, sale(1000).to_string().as_bytes()).unwrap() }).to_string()
    };
    for (key, old) in [("k1", json!(now - 3_600_000)), ("k2", json!((now / 1000 + 3_600).to_string()))] {
        let trip = post(&stage, key, &[], sealed_at(old.clone())).await;
        assert_eq!((trip.status.as_u16(), code(&trip.body)), (400, "payload_unreadable"));
        assert_eq!(post(&stage, key, &[], sealed_at(json!(now))).await.status, 201, "the key was not used up");
        assert!(post(&stage, key, &[], sealed_at(old)).await.is_replay(), "an honest repeat passes");
    }
}

#[tokio::test]
async fn a_problem_is_never_sealed() {
    let stage = open().await;
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::Jose).await;
    let trip = client.post("/v1/payments", "k1", &sale(0)).await.unwrap();
    assert_eq!((trip.status.as_u16(), code(&trip.body)), (422, "amount_not_positive"));
    assert_eq!(trip.headers["content-type"], "application/problem+json");
    let other = Target { api_key: Some(crate::stage::OTHER_KEY.to_owned()), ..stage.target() };
    let envelope = Some(envelope(&stage, Cipher::A256Gcm, Form::Jose).await);
    let mut keyless = Client::new(&Target { envelope, ..other }).unwrap();
    let trip = keyless.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    assert_eq!((trip.status.as_u16(), code(&trip.body)), (403, "payload_key_missing"));
}
