//! Requests in JSON that are signed: JWS in a header, as the body or within an envelope, and OAuth 1.0a. Each is signed
//! here as its standard says, with nothing of the door's own.

use crate::stage::{Stage, material, open, open_with, sale};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use isthmus::client::Trip;
use isthmus::edge::Limits;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const PATH: &str = "/v1/payments";

async fn stage(more: &str) -> Stage {
    let material = material();
    let keys = [&material.merchant_signature_public_key, &material.client_certificate].map(|path| path.display());
    let keys = format!("signature_key_files = ['{}', '{}']\n{more}", keys[0], keys[1]);
    open_with(Limits::default(), &keys, 8).await
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn private(path: &Path) -> Vec<u8> {
    let pem = std::fs::read(path).unwrap();
    PrivatePkcs8KeyDer::from_pem_slice(&pem).unwrap().secret_pkcs8_der().to_vec()
}

fn by_rsa(scheme: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(&private(&material().merchant_signature_key)).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(scheme, &SystemRandom::new(), input, &mut signature).unwrap();
    signature
}

fn by_curve(input: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private(&material().client_key)).unwrap();
    pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
}

fn header(alg: &str, jti: &str) -> Value {
    json!({"alg": alg, "kid": "any", "iat": now(), "htm": "POST", "htu": PATH, "jti": jti})
}

/// A compact JWS; without its payload where that is detached.
fn jws(header: &Value, payload: &str, is_detached: bool) -> String {
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let (protected, shown) = (encode(&header.to_string()), encode(payload));
    let signed = if header["b64"] == false { payload.to_owned() } else { shown.clone() };
    let input = format!("{protected}.{signed}");
    let signature = match header["alg"] == "ES256" {
        true => by_curve(input.as_bytes()),
        false => by_rsa(&RSA_PSS_SHA256, input.as_bytes()),
    };
    let shown = if is_detached { "" } else { &shown };
    format!("{protected}.{shown}.{}", BASE64URL_NOPAD.encode(&signature))
}

async fn post(stage: &Stage, key: &str, headers: &[(&str, &str)], body: &str) -> Trip {
    let mut client = stage.client();
    let mut request = client.request("POST".parse().unwrap(), PATH).header("idempotency-key", key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request, body.to_owned().into()).await.unwrap()
}

fn told(trip: &Trip) -> (u16, &str) {
    (trip.status.as_u16(), trip.body["code"].as_str().or(trip.body["status"].as_str()).unwrap_or_default())
}

const JSON: (&str, &str) = ("content-type", "application/json");
const JOSE: (&str, &str) = ("content-type", "application/jose");

#[tokio::test]
async fn a_signature_is_taken_in_a_header_and_as_the_body() {
    let stage = stage("signing = 'required'").await;
    let order = sale(1299).to_string();
    assert_eq!(told(&post(&stage, "k0", &[JSON], &order).await), (403, "signature_required"));
    for (number, alg) in ["PS256", "ES256"].into_iter().enumerate() {
        let name = |what: &str| format!("{what}-{number}");
        let whole = jws(&header(alg, &name("a")), &order, false);
        assert_eq!(told(&post(&stage, &name("a"), &[JOSE], &whole).await), (201, "captured"), "{alg}");
        let detached = jws(&header(alg, &name("b")), &order, true);
        let beside = ("x-jws-signature", detached.as_str());
        assert_eq!(told(&post(&stage, &name("b"), &[JSON, beside], &order).await), (201, "captured"), "{alg}");
        let mut unencoded = header(alg, &name("c"));
        (unencoded["b64"], unencoded["crit"]) = (json!(false), json!(["b64"]));
        let detached = jws(&unencoded, &order, true);
        let beside = ("x-jws-signature", detached.as_str());
        assert_eq!(told(&post(&stage, &name("c"), &[JSON, beside], &order).await), (201, "captured"), "{alg}");
        let spaced = order.replace(':', ": ");
        assert_eq!(told(&post(&stage, &name("d"), &[JSON, beside], &spaced).await), (400, "signature_invalid"));
        assert_eq!(told(&post(&stage, &name("d"), &[JSON, beside, beside], &order).await), (400, "signature_invalid"));
    }
}

#[tokio::test]
async fn a_signature_that_is_there_must_hold() {
    let stage = stage("").await;
    let order = sale(1299).to_string();
    let good = header("PS256", "j");
    let mut wrong = vec![good.clone(); 4];
    wrong[0]["alg"] = json!("none");
    wrong[1]["htu"] = json!("/v1/payments/pay_1/refunds");
    wrong[2]["iat"] = json!(now() - 10_000);
    wrong[3]["iat"] = json!(now() + 10_000);
    for header in &wrong {
        let token = jws(header, &order, false);
        assert_eq!(told(&post(&stage, "w", &[JOSE], &token).await), (400, "signature_invalid"), "{header}");
    }
    let token = jws(&good, &order, false);
    let changed = token.replacen('.', ".e30", 1);
    assert_eq!(told(&post(&stage, "w", &[JOSE], &changed).await), (400, "signature_invalid"));
    assert_eq!(told(&post(&stage, "w", &[JOSE], &token).await), (201, "captured"), "nothing of it used the key up");
}

#[tokio::test]
async fn a_name_belongs_to_its_first_key() {
    let stage = stage("").await;
    let order = sale(1299).to_string();
    let token = jws(&header("PS256", "once"), &order, false);
    assert_eq!(told(&post(&stage, "k1", &[JOSE], &token).await), (201, "captured"));
    let again = post(&stage, "k1", &[JOSE], &token).await;
    assert_eq!((told(&again), again.is_replay()), ((201, "captured"), true), "an honest repeat");
    assert_eq!(told(&post(&stage, "k2", &[JOSE], &token).await), (422, "jti_reused"));
    let fresh = jws(&header("PS256", "twice"), &order, false);
    assert_eq!(told(&post(&stage, "k2", &[JOSE], &fresh).await), (201, "captured"));
}

#[tokio::test]
async fn what_was_signed_long_ago_finds_its_answer_and_begins_nothing() {
    let stage = stage("").await;
    let order = sale(1299).to_string();
    assert_eq!(told(&post(&stage, "old", &[JSON], &order).await), (201, "captured"));
    let mut header = header("PS256", "old");
    header["iat"] = json!(now() - 10_000);
    let token = jws(&header, &order, false);
    let again = post(&stage, "old", &[JOSE], &token).await;
    assert_eq!((told(&again), again.is_replay()), ((201, "captured"), true));
    assert_eq!(told(&post(&stage, "new", &[JOSE], &token).await), (400, "signature_invalid"));
}

/// The `Authorization` of a request, as Mastercard's signers write it: nothing within it is percent-encoded but the
/// signature.
#[tokio::test]
async fn cape_heeds_the_age_of_a_signature_as_all_doors_do() {
    let stage = stage("").await;
    let ask = async |document: &str, issued_at: i64, jti: &str| {
        let mut header = header("PS256", jti);
        (header["iat"], header["htu"]) = (json!(issued_at), json!("/v1/cape"));
        let mut client = stage.client();
        let request = client.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
        let request = request.header("accept", "application/problem+json");
        let request = request.header("x-jws-signature", jws(&header, document, true));
        let trip = client.send(request, document.to_owned().into()).await.unwrap();
        (trip.status.as_u16(), trip.body["code"].as_str().unwrap_or_default().to_owned())
    };
    let document = crate::cape::authorisation("r-1", "10.00");
    assert_eq!(ask(&document, now() - 10_000, "a").await, (400, "signature_invalid".to_owned()));
    assert_eq!(ask(&document, now(), "b").await, (201, String::new()));
    assert_eq!(ask(&document, now() - 10_000, "b").await, (201, String::new()), "an honest repeat is answered");
    let another = crate::cape::authorisation("r-2", "10.00");
    assert_eq!(ask(&another, now(), "b").await, (422, "jti_reused".to_owned()));
}

fn oauth(stage: &Stage, (method, path): (&str, &str), body: &str, nonce: &str) -> String {
    let hash = BASE64.encode(&Sha256::digest(body));
    let parameters = format!(
        "oauth_body_hash={hash}&oauth_consumer_key=acme!any&oauth_nonce={nonce}&oauth_signature_method=RSA-SHA256&\
         oauth_timestamp={}&oauth_version=1.0",
        now()
    );
    let encode = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let address = format!("https://localhost:{}{path}", stage.address.port());
    let base = format!("{method}&{}&{}", encode(&address), encode(&parameters));
    let signature = BASE64.encode(&by_rsa(&RSA_PKCS1_SHA256, base.as_bytes()));
    let quoted: Vec<String> = parameters.split('&').map(|pair| pair.replacen('=', "=\"", 1) + "\"").collect();
    format!("OAuth {},oauth_signature=\"{}\"", quoted.join(","), encode(&signature))
}

async fn ask(stage: &Stage, method: &str, path: &str, authorization: &str, key: &str, body: &str) -> Trip {
    let mut client = stage.client_with_key(None);
    let request = client.request(method.parse().unwrap(), path).header("authorization", authorization);
    let request = request.header("idempotency-key", key).header("content-type", "application/json");
    client.send(request, body.to_owned().into()).await.unwrap()
}

#[tokio::test]
async fn oauth_proves_who_asks_and_what() {
    let stage = stage("signing = 'required'\nrequire = 'key'").await;
    let order = sale(1299).to_string();
    let signed = oauth(&stage, ("POST", PATH), &order, "n1");
    let paid = ask(&stage, "POST", PATH, &signed, "k1", &order).await;
    assert_eq!(told(&paid), (201, "captured"));
    assert_eq!(told(&ask(&stage, "POST", PATH, &signed, "k2", &order).await), (422, "jti_reused"));
    let other = order.replace("1299", "1300");
    assert_eq!(told(&ask(&stage, "POST", PATH, &signed, "k1", &other).await), (400, "signature_invalid"));
    let path = format!("{PATH}/{}", paid.body["id"].as_str().unwrap());
    let read = oauth(&stage, ("GET", &path), "", "n2");
    assert_eq!(told(&ask(&stage, "GET", &path, &read, "k", "").await), (200, "captured"));
    assert_eq!(told(&ask(&stage, "GET", PATH, &read, "k", "").await), (401, "unauthenticated"), "another address");
    let changed = signed.replace("n1", "n3");
    assert_eq!(told(&ask(&stage, "POST", PATH, &changed, "k3", &order).await), (401, "unauthenticated"));
}

#[tokio::test]
async fn oauth_without_a_key_in_the_register_proves_nothing() {
    let stage = open().await;
    let order = sale(1299).to_string();
    let signed = oauth(&stage, ("POST", PATH), &order, "n1");
    assert_eq!(told(&ask(&stage, "POST", PATH, &signed, "k1", &order).await), (401, "unauthenticated"));
}

#[tokio::test]
async fn a_token_is_deleted_by_whoever_signs_that() {
    let stage = stage("signing = 'required'").await;
    let card = r#"{"card":{"number":"4111111111111111","expiry_month":12,"expiry_year":2030}}"#;
    let mut signed = header("PS256", "a");
    signed["htu"] = json!("/v1/tokens");
    let mut client = stage.client();
    let mut send = async |method: &str, path: &str, signature: &str, body: &str| {
        let request = client.request(method.parse().unwrap(), path).header("content-type", "application/json");
        let request = request.header("idempotency-key", "k1").header("x-jws-signature", signature);
        client.send(request, body.to_owned().into()).await.unwrap()
    };
    let made = send("POST", "/v1/tokens", &jws(&signed, card, true), card).await;
    assert_eq!(told(&made), (201, ""));
    let path = format!("/v1/tokens/{}", made.body["id"].as_str().unwrap());
    (signed["htu"], signed["jti"]) = (json!(path), json!("b"));
    let of_post = send("DELETE", &path, &jws(&signed, "", true), "").await;
    assert_eq!(told(&of_post), (400, "signature_invalid"), "it was signed for a POST");
    signed["htm"] = json!("DELETE");
    let gone = send("DELETE", &path, &jws(&signed, "", true), "").await;
    assert_eq!((told(&gone), &gone.body["deleted"]), ((200, ""), &json!(true)));
}

#[tokio::test]
async fn a_signature_asks_for_what_its_key_is_for() {
    let bounded = |bounds: &str| {
        let key = std::fs::read_to_string(&material().merchant_signature_public_key).unwrap();
        format!("[[bounded_signature_keys]]\nkey = \"\"\"\n{key}\"\"\"\n{bounds}\n")
    };
    let stage = open_with(Limits::default(), &bounded("scopes = ['authorisation', 'read']"), 8).await;
    let order = sale(1299).to_string();
    let sold = ask(&stage, "POST", PATH, &oauth(&stage, ("POST", PATH), &order, "n1"), "k1", &order).await;
    assert_eq!(told(&sold), (403, "operation_not_permitted"));
    let signature = jws(&header("PS256", "a"), &order, true);
    let sold = post(&stage, "k1", &[JSON, ("x-jws-signature", &signature)], &order).await;
    assert_eq!(told(&sold), (403, "operation_not_permitted"), "though the API key may");
    assert_eq!(told(&post(&stage, "k1", &[JSON], &order).await), (201, "captured"), "as it does unsigned");
    let held = crate::stage::authorisation(1300).to_string();
    let signed = oauth(&stage, ("POST", PATH), &held, "n2");
    assert_eq!(told(&ask(&stage, "POST", PATH, &signed, "k2", &held).await), (201, "authorized"));

    let stage = open_with(Limits::default(), &bounded("expires = '2020-01-01T00:00:00Z'"), 8).await;
    let signed = oauth(&stage, ("POST", PATH), &held, "n3");
    assert_eq!(told(&ask(&stage, "POST", PATH, &signed, "k3", &held).await), (401, "unauthenticated"));
    let sold = post(&stage, "k3", &[JSON, ("x-jws-signature", &signature)], &order).await;
    assert_eq!(told(&sold), (400, "signature_invalid"));
}
