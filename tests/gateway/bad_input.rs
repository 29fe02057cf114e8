//! What is not let in: each with its code, and nothing of it ever seen by the switch.

use crate::stage::{OTHER_KEY, Stage, material, open, open_with, sale};
use isthmus::edge::Limits;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A TLS connection on which anything can be said.
pub async fn raw(stage: &Stage, protocol: &str) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&material().ca_certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(stage.address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Everything that comes until the other side ends it.
pub async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes));
    let _ended_or_cut_off = reading.await.expect("the door ends it");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(length: usize) -> String {
    let key = material().api_key().unwrap();
    format!(
        "POST /v1/payments HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nidempotency-key: k1\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
}

async fn refused(stage: &Stage, body: &[u8]) -> (u16, String, String) {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/payments").header("idempotency-key", "k1");
    let request = request.header("content-type", "application/json");
    let trip = client.send(request, body.to_vec().into()).await.unwrap();
    let text = |name: &str| trip.body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(trip.body["status"], trip.status.as_u16());
    (trip.status.as_u16(), text("code"), text("pointer"))
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut body = sale(1000);
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[tokio::test]
async fn bodies_that_mean_nothing() {
    let mut stage = open().await;
    let big = json!(1_000_000_000_000_i64);
    let cases = [
        (changed("/amount/value", json!(0)), 422, "amount_not_positive", "/amount/value"),
        (changed("/amount/value", json!(-1)), 422, "amount_not_positive", "/amount/value"),
        (changed("/amount/value", big), 422, "amount_too_large", "/amount/value"),
        (changed("/amount/value", json!(1e300)), 422, "amount_too_large", "/amount/value"),
        (changed("/amount/value", json!("10")), 400, "field_type", "/amount/value"),
        (changed("/amount/value", json!(10.5)), 400, "field_type", "/amount/value"),
        (changed("/amount/currency", json!("XYZ")), 422, "currency_unknown", "/amount/currency"),
        (changed("/amount", json!([1, "EUR"])), 400, "field_type", "/amount"),
        (changed("/card/number", json!("4111111111111112")), 422, "card_number_invalid", "/card/number"),
        (changed("/card/number", json!(4111111111111111_u64)), 400, "field_type", "/card/number"),
        (changed("/card/expiry_month", json!(13)), 422, "card_expiry_invalid", "/card/expiry_month"),
        (changed("/card/cvc", json!("12x")), 422, "card_cvc_invalid", "/card/cvc"),
        (changed("/card", json!({"number": "4111111111111111"})), 400, "field_missing", "/card/expiry_month"),
        (changed("/reference", json!("")), 422, "reference_invalid", "/reference"),
        (json!({}), 400, "field_missing", "/reference"),
        (json!([]), 400, "field_type", ""),
        (json!({"reference": "r", "amout": 1}), 400, "field_unknown", "/amout"),
    ];
    for (body, status, code, pointer) in cases {
        let told = refused(&stage, body.to_string().as_bytes()).await;
        assert_eq!(told, (status, code.to_owned(), pointer.to_owned()), "{body}");
    }
    let mut terminal = sale(1000);
    terminal["terminal"] = json!("TERM9999");
    let told = refused(&stage, terminal.to_string().as_bytes()).await;
    assert_eq!(told, (422, "terminal_unknown".to_owned(), "/terminal".to_owned()));
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one of them");
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    let stage = open().await;
    let twice = sale(1000).to_string().replace("\"reference\":", "\"reference\":\"x\",\"reference\":");
    assert_eq!(refused(&stage, twice.as_bytes()).await.1, "field_duplicate");
    let deep = format!("{{\"reference\":{}", "[".repeat(60_000));
    for body in [b"nonsense".as_slice(), b"{\"reference\":\"\xff\"}", b"{\"reference\":\"r\""] {
        assert_eq!(refused(&stage, body).await.1, "json_malformed");
    }
    assert_eq!(refused(&stage, deep.as_bytes()).await.1, "field_type");
}

#[tokio::test]
async fn requests_without_what_every_request_needs() {
    let mut stage = open().await;
    let mut client = stage.client();
    let body = sale(1000).to_string();
    let post = |path: &str| client.request("POST".parse().unwrap(), path);
    let json = ("content-type", "application/json");
    let long = "k".repeat(256);
    let cases = [
        (post("/v1/payments").header(json.0, json.1), 400, "idempotency_key_missing"),
        (post("/v1/payments").header(json.0, json.1).header("idempotency-key", ""), 400, "idempotency_key_invalid"),
        (post("/v1/payments").header(json.0, json.1).header("idempotency-key", "a b"), 400, "idempotency_key_invalid"),
        (post("/v1/payments").header(json.0, json.1).header("idempotency-key", &long), 400, "idempotency_key_invalid"),
        (
            post("/v1/payments").header(json.0, json.1).header("idempotency-key", "a").header("idempotency-key", "b"),
            400,
            "idempotency_key_invalid",
        ),
        (post("/v1/payments").header("idempotency-key", "k1"), 415, "content_type_unsupported"),
        (
            post("/v1/payments").header("idempotency-key", "k1").header(json.0, "text/plain"),
            415,
            "content_type_unsupported",
        ),
        (post("/v1/payment"), 404, "not_found"),
        (
            post("/v1/payments/nonsense/voids").header("idempotency-key", "k1").header(json.0, json.1),
            404,
            "payment_not_found",
        ),
        (post("/v1/keys"), 405, "method_not_allowed"),
        (client.request("GET".parse().unwrap(), "/v1/payments?state=captured"), 400, "parameter_unknown"),
        (client.request("GET".parse().unwrap(), "/v1/payments?status=taken"), 400, "parameter_status_invalid"),
        (client.request("GET".parse().unwrap(), "/v1/payments?reference=a&reference=b"), 400, "parameter_duplicate"),
        (client.request("GET".parse().unwrap(), "/v1/payments/pay_1"), 404, "payment_not_found"),
    ];
    for (request, status, code) in cases {
        let asked = format!("{request:?}");
        let trip = client.send(request, body.clone().into()).await.unwrap();
        assert_eq!((trip.status.as_u16(), trip.body["code"].as_str()), (status, Some(code)), "{asked}");
    }
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one of them");
}

#[tokio::test]
async fn whoever_proves_nothing_learns_nothing() {
    let stage = open().await;
    let mut told = Vec::new();
    for key in [None, Some(""), Some("wrong"), Some("isk_other2")] {
        let mut client = stage.client_with_key(key);
        let trip = client.post("/v1/payments", "k1", &sale(1000)).await.unwrap();
        assert_eq!((trip.status.as_u16(), trip.body["code"].as_str()), (401, Some("unauthenticated")), "{key:?}");
        assert!(trip.headers.contains_key("www-authenticate"));
        told.push(trip.received);
        let read = client.get("/v1/payments?reference=r").await.unwrap();
        told.push(read.received);
    }
    told.dedup();
    assert_eq!(told.len(), 1);
    let mut known = stage.client_with_key(Some(OTHER_KEY));
    assert_eq!(known.post("/v1/payments", "k1", &sale(1000)).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    let stage = open_with(Limits { body_bytes: 1000, ..Limits::default() }, "", 8).await;
    for length in [1001, 300_000] {
        assert_eq!(refused(&stage, &vec![b' '; length]).await, (413, "body_too_large".to_owned(), String::new()));
    }
    let mut stream = raw(&stage, "http/1.1").await;
    let announced = head(usize::MAX / 2) + "{";
    stream.write_all(announced.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 1_100_000]).await.unwrap();
    assert!(rest(&mut stream).await.contains("body_too_large"), "it is not read to its end");
}

#[tokio::test]
async fn a_sender_that_is_too_slow() {
    let stage = open_with(Limits { body_timeout_ms: 100, ..Limits::default() }, "", 8).await;
    let mut stream = raw(&stage, "http/1.1").await;
    stream.write_all((head(100) + "{").as_bytes()).await.unwrap();
    let told = rest(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 408") && told.contains("body_timeout"), "{told}");
    let stage = open_with(Limits { first_request_timeout_ms: 300, ..Limits::default() }, "", 8).await;
    for protocol in ["http/1.1", "h2"] {
        let mut silent = raw(&stage, protocol).await;
        rest(&mut silent).await;
    }
    let mut half = raw(&stage, "http/1.1").await;
    // Where the limit was faster than this line, there is nobody left to write to.
    let _ = half.write_all(b"POST /v1/payments HTTP/1.1\r\nhost: lo").await;
    rest(&mut half).await;
}

#[tokio::test]
async fn what_is_neither_tls_nor_http() {
    let stage = open_with(Limits { handshake_timeout_ms: 300, ..Limits::default() }, "", 8).await;
    let mut silent = TcpStream::connect(stage.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let stage = open().await;
    let mut plain = TcpStream::connect(stage.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let told = rest(&mut plain).await;
    assert!(told.as_bytes().first().is_none_or(|first| *first == 21), "a TLS alert or nothing: {told:?}");
    let mut stream = raw(&stage, "http/1.1").await;
    stream.write_all(b"\x00\x17nonsense\r\n\r\n").await.unwrap();
    let told = rest(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    let mut many = raw(&stage, "http/1.1").await;
    let headers = "x: y\r\n".repeat(100);
    many.write_all(format!("GET /v1/keys HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes()).await.unwrap();
    assert!(rest(&mut many).await.starts_with("HTTP/1.1 431"));
    assert_eq!(stage.client().get("/v1/keys").await.unwrap().status, 200, "the door is still open");
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways() {
    let stage = open().await;
    let key = material().api_key().unwrap();
    let head =
        format!("POST /v1/payments HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nidempotency-key: k\r\n");
    for framing in ["content-length: 4\r\ncontent-length: 5\r\n", "content-length: +4\r\n", "transfer-encoding: x\r\n"]
    {
        let mut stream = raw(&stage, "http/1.1").await;
        stream.write_all(format!("{head}{framing}\r\n{{}}  ").as_bytes()).await.unwrap();
        let told = rest(&mut stream).await;
        assert!(told.starts_with("HTTP/1.1 400"), "{framing}: {told}");
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let stage = open().await;
    let mut client = stage.client();
    let request = client.request("GET".parse().unwrap(), "/v1/keys").header("x-request-id", "mine-1");
    assert_eq!(client.send(request, Vec::new().into()).await.unwrap().headers["x-request-id"], "mine-1");
    let request = client.request("GET".parse().unwrap(), "/nowhere").header("x-request-id", "not usable");
    let made = client.send(request, Vec::new().into()).await.unwrap().headers["x-request-id"].clone();
    assert_ne!(made, "not usable");
}
