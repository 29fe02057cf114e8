//! What somebody sends who means no good, door by door: each is refused, tells nothing, and leaves nothing behind.
//!
//! | | JSON | sealed (JWE) | signed (JWS) | XML | framed | HTTP |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | wrong key, tampered | | `sealed` | here, `signed` | `xml`, `edge::xml::signature` | | |
//! | replayed | `door` | `sealed` | `signed` | `signed` (detached) | | |
//! | downgraded, `none`, RSA 1.5 | | here | here | `xml` | | |
//! | wrapped signature | | | | `edge::xml::signature` | | |
//! | bombs, external entities | | | | here, `cape` | `cape` bare | |
//! | duplicate keys | `bad_input`, here | `edge::envelope::jwe` | | `edge::xml` | here | |
//! | deep nesting, huge numbers, invalid UTF-8 | here | here | | here | here | |
//! | smuggling, floods of headers | | | | | | here, `bad_input` |

use crate::bad_input::{raw, rest};
use crate::sealed::envelope;
use crate::stage::{Stage, material, open, sale};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use isthmus::client::{Cipher, Form, Trip};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;

async fn post(stage: &Stage, content_type: &str, body: impl Into<Vec<u8>>) -> Trip {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/payments").header("idempotency-key", "k1");
    client.send(request.header("content-type", content_type), body.into().into()).await.unwrap()
}

fn code(trip: &Trip) -> (u16, &str) {
    (trip.status.as_u16(), trip.body["code"].as_str().unwrap_or_default())
}

/// That the same key still begins something shows that it was not used up.
async fn is_unharmed(stage: &mut Stage) {
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
    assert_eq!(post(stage, "application/json", sale(1000).to_string()).await.status, 201);
}

#[tokio::test]
async fn json_that_is_deep_huge_twofold_or_no_text() {
    let mut stage = open().await;
    let good = sale(1000).to_string();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let deep = format!("\"reference\":{}1{},", "[".repeat(20_000), "]".repeat(20_000));
    let objects = format!("\"metadata\":{}1{},\"reference\":", "{\"a\":".repeat(8_000), "}".repeat(8_000));
    let digits = "9".repeat(20_000);
    let cases = [
        with("\"reference\":\"order-1000\"", deep.trim_end_matches(',')),
        with("\"reference\":", &objects),
        with("\"value\":1000", &format!("\"value\":{digits}")),
        with("\"value\":1000", &format!("\"value\":-{digits}")),
        with("\"value\":1000", "\"value\":1e999999999"),
        with("\"value\":1000", "\"value\":1000.0000000000000001"),
        with("\"value\":1000", "\"value\":1000,\"value\":1"),
        with("\"number\":", "\"number\":\"4000000000000002\",\"number\":"),
        with("\"number\":", "\"n\\u0075mber\":\"4000000000000002\",\"number\":"),
        with("order-1000", "order-\\ud800"),
        with("order-1000", "order-\\u0000"),
        with("\"order-1000\"", "NaN"),
        [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        good.replace("order", "\u{0}").into_bytes(),
        with("order-1000\"", "order-1000\"}{\"a\":\""),
        [good.as_bytes(), good.as_bytes()].concat(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        with("order-1000", "?").iter().map(|b| if *b == b'?' { 0xc0 } else { *b }).collect(),
    ];
    for body in cases {
        let shown = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        let trip = post(&stage, "application/json", body).await;
        assert!(matches!(trip.status.as_u16(), 400 | 422), "{shown}: {:?}", trip.body);
        assert!(!String::from_utf8_lossy(&trip.received).contains("4000000000000002"));
    }
    is_unharmed(&mut stage).await;
}

#[tokio::test]
async fn tokens_with_a_weaker_lock_or_none_are_not_opened() {
    let mut stage = open().await;
    let sealing = envelope(&stage, Cipher::A256Gcm, Form::Jose).await;
    let content = sale(1000).to_string();
    let good = sealing.seal(content.as_bytes()).unwrap();
    let header: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(good.split('.').next().unwrap().as_bytes()).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        sealing.seal_under(&header, content.as_bytes()).unwrap()
    };
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    let plain = BASE64URL_NOPAD.encode(content.as_bytes());
    let tokens = [
        with("alg", json!("RSA1_5")),
        with("alg", json!("RSA-OAEP")),
        with("alg", json!("dir")),
        with("alg", json!("none")),
        with("alg", json!(["RSA-OAEP-256"])),
        with("enc", json!("A128CBC-HS256")),
        with("enc", json!("A128GCM")),
        with("zip", json!("DEF")),
        with("crit", json!(["exp"])),
        format!("{none}....{plain}"),
        format!("{none}..{plain}.."),
        good.replacen('.', "..", 1),
        format!("{good}.{plain}"),
    ];
    let mut told = Vec::new();
    for token in tokens {
        let trip = post(&stage, "application/jose", token).await;
        assert_eq!(code(&trip), (400, "payload_unreadable"));
        told.push(trip.received);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "word for word the same");
    for content in [&b"\xff\xfe"[..], &[b'['; 40_000], br#"{"value":1e999999}"#] {
        let trip = post(&stage, "application/jose", sealing.seal(content).unwrap()).await;
        assert_eq!(trip.status, 400, "what was opened is judged as if it had come so");
    }
    is_unharmed(&mut stage).await;
}

fn encoded(value: &Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

#[tokio::test]
async fn signatures_under_a_key_that_everybody_has_do_not_hold() {
    let keys = format!("signature_key_files = ['{}']", material().merchant_signature_public_key.display());
    let mut stage = crate::stage::open_with(Default::default(), &keys, 8).await;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let order = sale(1000).to_string();
    let header = |alg: &str| json!({"alg": alg, "iat": seconds, "htu": "/v1/payments", "jti": "j"});
    let public = std::fs::read(&material().merchant_signature_public_key).unwrap();
    let mut tokens = Vec::new();
    for (alg, secret) in [("HS256", &public[..]), ("HS256", b""), ("PS256", &public[..]), ("RS256", &public[..])] {
        let input = format!("{}.{}", encoded(&header(alg)), BASE64URL_NOPAD.encode(order.as_bytes()));
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(secret).unwrap();
        mac.update(input.as_bytes());
        tokens.push(format!("{input}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())));
    }
    let mut embedded = header("ES256");
    embedded["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
    for header in [header("none"), header("NONE"), header("ES256"), embedded] {
        for signature in ["", "AAAA", &BASE64URL_NOPAD.encode(&[0; 64])] {
            tokens.push(format!("{}.{}.{signature}", encoded(&header), BASE64URL_NOPAD.encode(order.as_bytes())));
        }
    }
    for token in tokens {
        let trip = post(&stage, "application/jose", token.clone()).await;
        assert_eq!(code(&trip), (400, "signature_invalid"), "{token}");
    }
    is_unharmed(&mut stage).await;
}

#[tokio::test]
async fn xml_that_swells_reaches_out_or_goes_deep() {
    let mut stage = open().await;
    let namespace = "urn:isthmus:v1";
    let root = |content: &str| format!("<payment_request xmlns='{namespace}'>{content}</payment_request>");
    let lol: String = (1..10).map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10))).collect();
    let bomb = format!("<!DOCTYPE a [<!ENTITY l0 'lol'>{lol}]>{}", root("<reference>&l9;</reference>"));
    let external = |what: &str| format!("<!DOCTYPE a [{what}]>{}", root("<reference>&x;</reference>"));
    let attributes: String = (0..64).map(|n| format!(" a{n}='1'")).collect();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (bomb.into_bytes(), "xml_forbidden"),
        (external("<!ENTITY x SYSTEM 'file:///etc/passwd'>").into_bytes(), "xml_forbidden"),
        (external("<!ENTITY x SYSTEM 'http://127.0.0.1:1/x'>").into_bytes(), "xml_forbidden"),
        (external("<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x'> %p;").into_bytes(), "xml_forbidden"),
        (format!("<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x.dtd'>{}", root("")).into_bytes(), "xml_forbidden"),
        (root("<reference>&x;</reference>").into_bytes(), "xml_forbidden"),
        (format!("<?xml-stylesheet href='http://127.0.0.1:1/'?>{}", root("")).into_bytes(), "xml_forbidden"),
        (root(&format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000))).into_bytes(), "xml_forbidden"),
        (root(&"<a/>".repeat(8_000)).into_bytes(), "xml_forbidden"),
        (root(&format!("<a{attributes}/>")).into_bytes(), "xml_forbidden"),
        (root("<reference>\u{1}</reference>").into_bytes(), "xml_malformed"),
        (root("<reference>&#0;</reference>").into_bytes(), "xml_malformed"),
        (root("<reference>?</reference>").replace('?', "\u{fffe}").into_bytes(), "xml_malformed"),
        (root("<reference>").into_bytes(), "xml_malformed"),
        (root("<a></b>").into_bytes(), "xml_malformed"),
        (root("x").bytes().map(|b| if b == b'x' { 0xff } else { b }).collect(), "xml_malformed"),
        (format!("<?xml version='1.0' encoding='UTF-16'?>{}", root("")).into_bytes(), "xml_malformed"),
        (root("").encode_utf16().flat_map(u16::to_be_bytes).collect(), "xml_malformed"),
        ([root(""), root("")].concat().into_bytes(), "xml_malformed"),
    ];
    for (body, expected) in cases {
        let shown = String::from_utf8_lossy(&body).chars().take(160).collect::<String>();
        let trip = post(&stage, "application/xml", body).await;
        let told = code(&trip);
        assert_eq!(told.0, 400, "{shown}: {told:?}");
        assert!(told.1 == expected || matches!(told.1, "xml_forbidden" | "xml_malformed"), "{shown}: {told:?}");
    }
    is_unharmed(&mut stage).await;
}

#[tokio::test]
async fn a_second_request_is_not_smuggled_in() {
    let mut stage = open().await;
    let key = material().api_key().unwrap();
    let start = |line: &str| format!("{line}\r\nhost: a\r\nauthorization: Bearer {key}\r\nidempotency-key: k\r\n");
    let head = start("POST /v1/payments HTTP/1.1");
    let json = "content-type: application/json\r\n";
    let order = sale(1000).to_string();
    let hidden = format!("{head}{json}content-length: {}\r\n\r\n{order}", order.len());
    let refused = [
        format!("{head}content-length : 2\r\n\r\n{{}}"),
        format!("{head}content-length: 2\r\n x: y\r\n\r\n{{}}"),
        format!("{head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}content-length: 0x2\r\n\r\n{{}}"),
        format!("{head}content-length: 2, 3\r\n\r\n{{}}"),
        format!("{head}content-length: -1\r\n\r\n{{}}"),
        format!("{head}x: a\u{0}b\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("{head}{json}transfer-encoding: chunked\r\n\r\nzz\r\n{hidden}"),
        format!("{head}{json}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{hidden}"),
        start("POST /v1/payments HTTP/9.9") + "\r\n",
        start("POST  /v1/payments HTTP/1.1") + "\r\n",
        start("POST /v1/pay ments HTTP/1.1") + "\r\n",
    ];
    for text in refused {
        let mut stream = raw(&stage, "http/1.1").await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let told = rest(&mut stream).await;
        let answers = told.matches("HTTP/1.1 ").count();
        assert!(answers <= 1 && !told.contains(" 201 "), "{text}\n{told}");
        assert!(answers == 0 || told.starts_with("HTTP/1.1 4"), "{text}\n{told}");
    }
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
    // Both lengths: the chunks count, what was hidden behind the other length is never taken for a request.
    let both = format!("{head}{json}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", 5);
    let mut stream = raw(&stage, "http/1.1").await;
    stream.write_all(both.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let told = rest(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 400") && told.matches("HTTP/1.1 ").count() == 1, "{told}");
    assert!(stage.seen.try_recv().is_err(), "nor this one");
}

#[tokio::test]
async fn a_flood_of_headers_ends_itself() {
    let stage = open().await;
    for (name, count) in [("x", 1000), ("cookie", 500)] {
        let mut stream = raw(&stage, "http/1.1").await;
        let headers = format!("{name}: y\r\n").repeat(count);
        let _ = stream.write_all(format!("GET /v1/keys HTTP/1.1\r\nhost: a\r\n{headers}\r\n").as_bytes()).await;
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431"), "{name}");
    }
    let mut stream = raw(&stage, "http/1.1").await;
    let long = format!("GET /v1/keys HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let _ = stream.write_all(long.as_bytes()).await;
    let told = rest(&mut stream).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431"), "{told}");
    let mut stream = raw(&stage, "http/1.1").await;
    let _ = stream.write_all(format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "y".repeat(64 * 1024)).as_bytes()).await;
    let told = rest(&mut stream).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 4"), "{told}");
    let mut client = stage.client();
    let request = client.request("GET".parse().unwrap(), "/v1/keys").header("x", "y".repeat(64 * 1024));
    match client.send(request, Vec::new().into()).await {
        Ok(trip) => assert_eq!(trip.status, 431, "HTTP/2"),
        Err(_cut_off) => {}
    }
    assert_eq!(stage.client().get("/v1/keys").await.unwrap().status, 200, "the door is still open");
}
