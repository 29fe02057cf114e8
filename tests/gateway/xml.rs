//! The same resources as XML: in, out, its faults, and that it means the same as JSON.

use crate::stage::{Stage, open, open_with, sale};
use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use isthmus::client::Trip;
use isthmus::edge::{Limits, xml::NAMESPACE};
use isthmus::xml::Element;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::{BigUint, Oaep, RsaPublicKey};
use serde_json::{Value, json};

/// A document of this root.
pub fn document(root: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">{content}</{root}>")
}

/// The sale of the stage as XML.
fn xml_sale(value: i64) -> String {
    document(
        "payment_request",
        &format!(
            "<reference>order-{value}</reference><amount><value>{value}</value><currency>EUR</currency></amount>\n\
             <card><number>4111111111111111</number><expiry_month>12</expiry_month><expiry_year>2030</expiry_year>\
             <cvc>123</cvc></card>"
        ),
    )
}

/// Asks in XML, and for XML. The client reads JSON, so what comes is read from the wire.
pub async fn ask(stage: &Stage, path: &str, key: &str, body: String) -> Trip {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), path).header("idempotency-key", key);
    client.send(request.header("content-type", "application/xml"), body.into()).await.unwrap()
}

pub fn text(answer: &Element, path: &[&str]) -> String {
    let element = path.iter().fold(answer, |element, name| element.only(NAMESPACE, name).unwrap());
    element.text.to_string()
}

pub fn told(trip: &Trip) -> (u16, &str, &str) {
    let text = |name: &str| trip.body[name].as_str().unwrap_or_default();
    assert_eq!(trip.headers["content-type"], "application/problem+json");
    (trip.status.as_u16(), text("code"), text("xpath"))
}

#[tokio::test]
async fn a_payment_and_what_follows_it() {
    let stage = open().await;
    let held = xml_sale(1000).replace("<card>", "<capture>false</capture><card>");
    let trip = ask(&stage, "/v1/payments", "k1", held).await;
    let answer = Element::parse(&trip.received).unwrap();
    assert_eq!((trip.status.as_u16(), trip.headers["content-type"].to_str().unwrap()), (201, "application/xml"));
    assert!(answer.is(NAMESPACE, "payment"));
    assert_eq!(text(&answer, &["status"]), "authorized");
    assert_eq!(text(&answer, &["card", "first6"]), "411111");
    assert_eq!(text(&answer, &["operations", "operation", "kind"]), "authorisation");
    let path = format!("/v1/payments/{}", text(&answer, &["id"]));

    let part = "<amount><value>400</value><currency>EUR</currency></amount><final>false</final>";
    let captured = ask(&stage, &format!("{path}/captures"), "k2", document("capture_request", part)).await;
    let answer = Element::parse(&captured.received).unwrap();
    assert_eq!(text(&answer, &["captured", "value"]), "400");
    let refunded = ask(&stage, &format!("{path}/refunds"), "k3", document("refund_request", "")).await;
    assert_eq!(text(&Element::parse(&refunded.received).unwrap(), &["refunded", "value"]), "400");
    let voided = ask(&stage, &format!("{path}/voids"), "k4", document("void_request", "")).await;
    assert_eq!(told(&voided), (409, "payment_refunded", ""));

    let mut client = stage.client();
    let request = client.request("GET".parse().unwrap(), "/v1/payments?reference=order-1000");
    let found = client.send(request.header("accept", "application/xml;q=0.9, text/plain"), Default::default()).await;
    let found = Element::parse(&found.unwrap().received).unwrap();
    assert_eq!(text(&found, &["data", "item", "status"]), "refunded");
    let request = client.request("GET".parse().unwrap(), "/v1/isthmus.xsd");
    let schema = client.send(request, Default::default()).await.unwrap().received;
    let schema = std::str::from_utf8(&schema).unwrap();
    for element in found.all() {
        assert!(schema.contains(&format!("name=\"{}\"", element.name)), "the schema has no {}", element.name);
    }
    let read = client.get(&path).await.unwrap();
    assert_eq!((read.status.as_u16(), &read.body["status"]), (200, &json!("refunded")), "JSON as before");
}

#[tokio::test]
async fn a_repeat_may_come_in_the_other_notation() {
    let stage = open().await;
    let plain = stage.client().post("/v1/payments", "k1", &sale(1000)).await.unwrap();
    let again = ask(&stage, "/v1/payments", "k1", xml_sale(1000)).await;
    assert!(again.is_replay());
    let answer = Element::parse(&again.received).unwrap();
    assert_eq!(Value::from(text(&answer, &["id"])), plain.body["id"]);
    let other = ask(&stage, "/v1/payments", "k1", xml_sale(1098)).await;
    assert_eq!(told(&other), (422, "idempotency_key_reused", ""));
}

#[tokio::test]
async fn faults_are_named_by_their_path() {
    let mut stage = open().await;
    let good = xml_sale(1000);
    let root = "<payment_request";
    let laughs: String = (1..9).map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE payment_request [<!ENTITY l0 'ha'>{laughs}]>{root}");
    let external = format!("<!DOCTYPE payment_request [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{root}");
    let cases = [
        ("<value>1000<", "<value>ten<", 400, "field_type", "/payment_request/amount/value"),
        ("<value>1000<", "<value>0<", 422, "amount_not_positive", "/payment_request/amount/value"),
        ("<cvc>123<", "<cvc>12<", 422, "card_cvc_invalid", "/payment_request/card/cvc"),
        ("<cvc>", "<cvc/><cvc>", 400, "field_duplicate", "/payment_request/card/cvc"),
        ("<reference>order-1000</reference>", "", 400, "field_missing", "/payment_request/reference"),
        ("<card>", "<cards>", 400, "xml_malformed", ""),
        ("payment_request", "void_request", 400, "xml_malformed", ""),
        (NAMESPACE, "urn:other", 400, "xml_root", ""),
        ("<card>", "<card kind='x'>", 400, "xml_forbidden", "/payment_request/card"),
        (root, laughs.as_str(), 400, "xml_forbidden", ""),
        (root, external.as_str(), 400, "xml_forbidden", ""),
        ("order-1000", "&x;", 400, "xml_forbidden", ""),
        ("order-1000", "&#xfc;", 422, "reference_invalid", "/payment_request/reference"),
        ("UTF-8", "UTF-16", 400, "xml_forbidden", ""),
    ];
    for (from, to, status, code, xpath) in cases {
        assert!(good.contains(from));
        let trip = ask(&stage, "/v1/payments", "k1", good.replacen(from, to, 1)).await;
        assert_eq!(told(&trip), (status, code, xpath), "{to}");
        assert!(trip.body.get("pointer").is_none());
    }
    for (body, code) in [("<a>".repeat(20_000), "xml_forbidden"), ("\u{1}".to_owned(), "xml_malformed")] {
        assert_eq!(told(&ask(&stage, "/v1/payments", "k1", body).await), (400, code, ""));
    }
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
    assert_eq!(ask(&stage, "/v1/payments", "k1", good).await.status, 201, "the key was not used up");
}

#[tokio::test]
async fn where_sealing_is_required_plain_xml_is_refused() {
    let stage = open_with(Limits::default(), "sealing = 'required'", 8).await;
    let trip = ask(&stage, "/v1/payments", "k1", xml_sale(1000)).await;
    assert_eq!(told(&trip), (403, "sealing_required", ""));
}

/// Seals as a merchant would, on the `rsa` and `aes-gcm` crates, without a look at the door's half.
pub async fn sealed(stage: &Stage, key_method: &str, content_method: &str, content: &str) -> String {
    let jwk = stage.client().get("/v1/keys").await.unwrap().body["keys"][0].clone();
    let number =
        |name: &str| BigUint::from_bytes_be(&BASE64URL_NOPAD.decode(jwk[name].as_str().unwrap().as_bytes()).unwrap());
    let gateway = RsaPublicKey::new(number("n"), number("e")).unwrap();
    let content_key = [7; 32];
    let wrapped = match key_method {
        "http://www.w3.org/2001/04/xmlenc#rsa-1_5" => gateway.encrypt(&mut OsRng, rsa::Pkcs1v15Encrypt, &content_key),
        _ => gateway.encrypt(&mut OsRng, Oaep::new::<Sha256>(), &content_key),
    };
    let cipher = Aes256Gcm::new(&content_key.into()).encrypt(&[9; 12].into(), content.as_bytes()).unwrap();
    let (wrapped, cipher) = (BASE64.encode(&wrapped.unwrap()), BASE64.encode(&[&[9; 12][..], &cipher].concat()));
    let kid = jwk["kid"].as_str().unwrap();
    format!(
        "<EncryptedData xmlns='http://www.w3.org/2001/04/xmlenc#'><EncryptionMethod Algorithm='{content_method}'/>\
         <d:KeyInfo xmlns:d='http://www.w3.org/2000/09/xmldsig#'><EncryptedKey><EncryptionMethod \
         Algorithm='{key_method}'><d:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><MGF \
         xmlns='http://www.w3.org/2009/xmlenc11#' Algorithm='http://www.w3.org/2009/xmlenc11#mgf1sha256'/>\
         </EncryptionMethod><d:KeyInfo><d:KeyName>{kid}</d:KeyName></d:KeyInfo><CipherData><CipherValue>\
         {wrapped}</CipherValue></CipherData></EncryptedKey></d:KeyInfo><CipherData><CipherValue>{cipher}\
         </CipherValue></CipherData></EncryptedData>"
    )
}

pub const OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
pub const GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";

#[tokio::test]
async fn a_sealed_document_gets_a_sealed_answer() {
    let stage = open_with(Limits::default(), "sealing = 'required'", 8).await;
    let whole = sealed(&stage, OAEP, GCM, &xml_sale(1000)).await;
    let trip = ask(&stage, "/v1/payments", "k1", whole).await;
    let answer = Element::parse(&trip.received).unwrap();
    assert_eq!(trip.status, 201);
    assert!(answer.is("http://www.w3.org/2001/04/xmlenc#", "EncryptedData"));
    let document = xml_sale(1000);
    let (from, to) = (document.find("<card>").unwrap(), document.find("</card>").unwrap() + "</card>".len());
    let card = sealed(&stage, OAEP, GCM, &document[from..to]).await;
    let part = format!("{}{card}{}", &document[..from], &document[to..]);
    let again = ask(&stage, "/v1/payments", "k1", part).await;
    assert!(again.is_replay(), "the same values, wrapped otherwise");
    assert!(!String::from_utf8_lossy(&again.received).contains("captured"));
}

#[tokio::test]
async fn every_failure_to_open_a_document_is_the_same() {
    let mut stage = open().await;
    let good = sealed(&stage, OAEP, GCM, &xml_sale(1000)).await;
    let kid = stage.client().get("/v1/keys").await.unwrap().body["keys"][0]["kid"].as_str().unwrap().to_owned();
    let cipher = good.rfind("<CipherValue>").unwrap() + 40;
    let tampered =
        format!("{}{}{}", &good[..cipher], if &good[cipher..=cipher] == "A" { "B" } else { "A" }, &good[cipher + 1..]);
    let documents = [
        tampered,
        good.replace(&kid, "another"),
        good.replace("<EncryptedKey>", "<Key>").replace("</EncryptedKey>", "</Key>"),
        sealed(&stage, "http://www.w3.org/2001/04/xmlenc#rsa-1_5", GCM, &xml_sale(1000)).await,
        sealed(&stage, OAEP, "http://www.w3.org/2001/04/xmlenc#aes256-cbc", &xml_sale(1000)).await,
        sealed(&stage, OAEP, "http://www.w3.org/2009/xmlenc11#aes128-gcm", &xml_sale(1000)).await,
        document("payment_request", &sealed(&stage, OAEP, GCM, "</payment_request><a>").await),
    ];
    let mut words = Vec::new();
    for document in documents {
        let trip = ask(&stage, "/v1/payments", "k1", document).await;
        assert_eq!(told(&trip), (400, "payload_unreadable", ""));
        words.push(trip.received);
    }
    words.dedup();
    assert_eq!(words.len(), 1, "word for word the same");
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
    assert_eq!(ask(&stage, "/v1/payments", "k1", good).await.status, 201, "the key was not used up");
}
