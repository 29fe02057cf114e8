//! Cards that a merchant leaves and pays with later: made, read, used, deleted; never another's, never in clear.

use crate::sealed::sealing_client;
use crate::stage::{OTHER_KEY, Stage, open, open_with};
use crate::xml::{ask, document, text, told};
use isthmus::client::{Cipher, Client, Form, Trip};
use isthmus::edge::Limits;
use isthmus::edge::xml::NAMESPACE;
use isthmus::switch::Command;
use isthmus::xml::Element;
use serde_json::{Value, json};
use std::path::Path;

const NUMBER: &str = "4111111111111111";

fn card() -> Value {
    json!({"card": {"number": NUMBER, "expiry_month": 12, "expiry_year": 2030, "cvc": "987"}})
}

fn sale_by(token: &str) -> Value {
    json!({"reference": "by-token", "amount": {"value": 1299, "currency": "EUR"}, "token": {"id": token}})
}

async fn kept(client: &mut Client, key: &str) -> String {
    let trip = client.post("/v1/tokens", key, &card()).await.unwrap();
    assert_eq!(trip.status, 201, "{}", trip.body);
    trip.body["id"].as_str().unwrap().to_owned()
}

async fn delete(client: &mut Client, token: &str) -> Trip {
    let request = client.request("DELETE".parse().unwrap(), &format!("/v1/tokens/{token}"));
    client.send(request, Default::default()).await.unwrap()
}

fn refused(trip: &Trip) -> (u16, &str, &str) {
    let text = |name: &str| trip.body[name].as_str().unwrap_or_default();
    (trip.status.as_u16(), text("code"), text("pointer"))
}

#[tokio::test]
async fn a_card_is_left_and_paid_with() {
    let mut stage = open().await;
    let mut client = stage.client();
    let made = client.post("/v1/tokens", "k1", &card()).await.unwrap();
    let masked = json!({
        "brand": "visa", "first6": "411111", "last4": "1111", "expiry_month": 12, "expiry_year": 2030
    });
    assert_eq!((made.status.as_u16(), &made.body["card"]), (201, &masked));
    let token = made.body["id"].as_str().unwrap();
    let read = client.get(&format!("/v1/tokens/{token}")).await.unwrap();
    assert_eq!((read.status.as_u16(), &read.body), (200, &made.body));

    let mut body = sale_by(token);
    body["token"]["cvc"] = json!("321");
    let paid = client.post("/v1/payments", "k2", &body).await.unwrap();
    assert_eq!((paid.status.as_u16(), &paid.body["status"]), (201, &json!("captured")), "{}", paid.body);
    assert_eq!(paid.body["card"], json!({"brand": "visa", "first6": "411111", "last4": "1111"}));
    let Command::Begin(begin) = stage.seen.recv().await.unwrap().command else { panic!("a payment begins") };
    assert_eq!((begin.card.pan.reveal(), begin.card.expiry.yymm().as_str()), (NUMBER, "3012"));
    assert_eq!(begin.card.cvc.unwrap().reveal(), "321", "the one that came with the payment");

    let again = client.post("/v1/payments", "k2", &sale_by(token)).await.unwrap();
    assert!(again.is_replay() && again.body == paid.body, "{}", again.body);
    for path in ["/v1/verifications", "/v1/balance-inquiries"] {
        let body = json!({"reference": "r", "currency": "EUR", "token": {"id": token}});
        let asked = client.post(path, path, &body).await.unwrap();
        assert_eq!((asked.status.as_u16(), &asked.body["card"]["last4"]), (201, &json!("1111")), "{}", asked.body);
    }
}

#[tokio::test]
async fn a_repeat_and_the_same_card_give_the_same_token() {
    let stage = open().await;
    let mut client = stage.client();
    let first = client.post("/v1/tokens", "k1", &card()).await.unwrap();
    let again = client.post("/v1/tokens", "k1", &card()).await.unwrap();
    assert!(!first.is_replay() && again.is_replay());
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(kept(&mut client, "k2").await, first.body["id"]);
    let mut renewed = card();
    renewed["card"]["expiry_year"] = json!(2034);
    let other = client.post("/v1/tokens", "k1", &renewed).await.unwrap();
    assert_eq!(refused(&other), (422, "idempotency_key_reused", ""));
    let other = client.post("/v1/tokens", "k3", &renewed).await.unwrap();
    assert_ne!(other.body["id"], first.body["id"]);

    let page = client.get("/v1/tokens?limit=1").await.unwrap();
    assert_eq!(page.body["data"], json!([other.body]));
    let next = page.body["next_cursor"].as_str().unwrap();
    let last = client.get(&format!("/v1/tokens?limit=1&cursor={next}")).await.unwrap();
    assert_eq!(last.body, json!({"data": [first.body], "next_cursor": null}));
}

/// Everything that is answered to someone for a token, but for what it is called.
async fn answers(client: &mut Client, token: &str) -> Vec<String> {
    let mut answers = vec![client.get(&format!("/v1/tokens/{token}")).await.unwrap()];
    answers.push(delete(client, token).await);
    answers.push(client.post("/v1/payments", "x1", &sale_by(token)).await.unwrap());
    let inquiry = json!({"reference": "r", "currency": "EUR", "token": {"id": token}});
    answers.push(client.post("/v1/verifications", "x2", &inquiry).await.unwrap());
    answers.iter().map(|trip| format!("{} {}", trip.status, trip.body)).collect()
}

#[tokio::test]
async fn another_merchants_token_is_as_one_that_never_was() {
    let mut stage = open().await;
    let token = kept(&mut stage.client(), "k1").await;
    let mut other = stage.client_with_key(Some(OTHER_KEY));
    let of_another = answers(&mut other, &token).await;
    let of_nobody = answers(&mut other, "tok_019b0000000070008000000000000001").await;
    assert_eq!(of_another, of_nobody);
    assert!(of_another[0].contains("token_not_found") && of_another[2].contains("\"/token/id\""), "{of_another:?}");
    assert_eq!(answers(&mut other, "tok_nonsense").await, of_nobody);
    assert!(stage.seen.try_recv().is_err(), "the switch never saw any of it");
    assert_eq!(other.get("/v1/tokens").await.unwrap().body["data"], json!([]));
    assert_ne!(kept(&mut other, "k1").await, token, "the same card, and another token");
    assert_eq!(stage.client().get(&format!("/v1/tokens/{token}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_deleted_token_is_no_more_and_does_not_come_back() {
    let stage = open().await;
    let mut client = stage.client();
    let token = kept(&mut client, "k1").await;
    let paid = client.post("/v1/payments", "k2", &sale_by(&token)).await.unwrap();
    let gone = delete(&mut client, &token).await;
    assert_eq!((gone.status.as_u16(), &gone.body), (200, &json!({"id": token, "deleted": true})));
    assert_eq!(refused(&delete(&mut client, &token).await), (404, "token_not_found", ""));
    assert_eq!(client.get(&format!("/v1/tokens/{token}")).await.unwrap().status, 404);
    let sale = client.post("/v1/payments", "k3", &sale_by(&token)).await.unwrap();
    assert_eq!(refused(&sale), (422, "token_unknown", "/token/id"));
    let late = client.post("/v1/tokens", "k1", &card()).await.unwrap();
    assert_eq!(refused(&late), (409, "token_deleted", ""), "a request that was delayed");
    assert_ne!(kept(&mut client, "k4").await, token);
    let path = format!("/v1/payments/{}/refunds", paid.body["id"].as_str().unwrap());
    assert_eq!(client.post(&path, "k5", &json!({})).await.unwrap().body["status"], "refunded");
}

#[tokio::test]
async fn what_is_no_card_or_no_token_is_refused_at_its_field() {
    let stage = open().await;
    let mut client = stage.client();
    let mut wrong = card();
    wrong["card"]["number"] = json!("4111111111111112");
    let trip = client.post("/v1/tokens", "k1", &wrong).await.unwrap();
    assert_eq!(refused(&trip), (422, "card_number_invalid", "/card/number"));
    let trip = client.post("/v1/tokens", "k1", &json!({"card": {}})).await.unwrap();
    assert_eq!(refused(&trip), (400, "field_missing", "/card/number"));
    let trip = client.post("/v1/tokens", "k1", &json!({"number": NUMBER})).await.unwrap();
    assert_eq!(refused(&trip), (400, "field_unknown", "/number"));
    let token = kept(&mut client, "k1").await;
    let mut both = sale_by(&token);
    both["card"] = card()["card"].clone();
    let trip = client.post("/v1/payments", "k2", &both).await.unwrap();
    assert_eq!(refused(&trip), (422, "instrument_twice", "/token"));
    let mut wrong = sale_by(&token);
    wrong["token"]["number"] = json!(NUMBER);
    let trip = client.post("/v1/payments", "k2", &wrong).await.unwrap();
    assert_eq!(refused(&trip), (400, "field_unknown", "/token/number"));
}

#[tokio::test]
async fn who_may_not_keep_cards_keeps_none() {
    for (settings, code) in
        [("operations = ['read', 'sale']", "operation_not_permitted"), ("suspended = true", "merchant_suspended")]
    {
        let stage = open_with(Limits::default(), settings, 8).await;
        let mut client = stage.client();
        let trip = client.post("/v1/tokens", "k1", &card()).await.unwrap();
        assert_eq!(refused(&trip), (403, code, ""));
        let trip = delete(&mut client, "tok_019b0000000070008000000000000001").await;
        assert_eq!(refused(&trip), (403, code, ""));
        assert_eq!(client.get("/v1/tokens").await.unwrap().status, 200);
    }
    let key = crate::stage::material().client_certificate.display();
    let settings = format!("signing = 'required'\nsignature_key_files = ['{key}']");
    let stage = open_with(Limits::default(), &settings, 8).await;
    let trip = delete(&mut stage.client(), "tok_019b0000000070008000000000000001").await;
    assert_eq!(refused(&trip), (403, "signature_required", ""), "an API key alone deletes nothing");
}

#[tokio::test]
async fn a_token_travels_sealed_and_as_xml() {
    let stage = open_with(Limits::default(), "sealing = 'required'", 8).await;
    let trip = stage.client().post("/v1/tokens", "k1", &card()).await.unwrap();
    assert_eq!(refused(&trip), (403, "sealing_required", ""));
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::Jose).await;
    let token = kept(&mut client, "k1").await;
    let paid = client.post("/v1/payments", "k2", &sale_by(&token)).await.unwrap();
    assert_eq!((paid.status.as_u16(), paid.is_sealed()), (201, true));

    let stage = open().await;
    let fields = "<number>4111111111111111</number><expiry_month>12</expiry_month><expiry_year>2030</expiry_year>";
    let body = document("token_request", &format!("<card>{fields}</card>"));
    let made = ask(&stage, "/v1/tokens", "k1", body).await;
    let answer = Element::parse(&made.received).unwrap();
    assert!(made.status == 201 && answer.is(NAMESPACE, "token"));
    assert_eq!(text(&answer, &["card", "expiry_year"]), "2030");
    let sale = |id: &str| {
        let amount = "<amount><value>1299</value><currency>EUR</currency></amount>";
        document("payment_request", &format!("<reference>r</reference>{amount}<token><id>{id}</id></token>"))
    };
    let paid = ask(&stage, "/v1/payments", "k2", sale(&text(&answer, &["id"]))).await;
    assert_eq!(text(&Element::parse(&paid.received).unwrap(), &["status"]), "captured");
    let unknown = ask(&stage, "/v1/payments", "k3", sale("tok_1")).await;
    assert_eq!(told(&unknown), (422, "token_unknown", "/payment_request/token/id"));
    let again = stage.client().post("/v1/tokens", "k1", &card()).await.unwrap();
    assert!(again.is_replay(), "the same request in another notation");
}

/// Whether bytes stand in a file of a folder.
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|content| content.windows(wanted.len()).any(|bytes| bytes == wanted))
}

/// Whether a number does, as text or packed two digits a byte.
fn holds_number(folder: &Path, digits: &str) -> bool {
    let packed = data_encoding::HEXLOWER.decode(&digits.as_bytes()[..digits.len() & !1]).unwrap();
    holds(folder, digits.as_bytes()) || holds(folder, &packed)
}

#[tokio::test]
async fn no_file_holds_a_card_number() {
    let stage: Stage = open().await;
    let mut client = stage.client();
    let token = kept(&mut client, "k1").await;
    for (place, number) in ["5555555555554444", "378282246310005", "6011111111111117"].into_iter().enumerate() {
        let body = json!({"card": {"number": number, "expiry_month": 1, "expiry_year": 2031, "cvc": "7531"}});
        let trip = client.post("/v1/tokens", &format!("n{place}"), &body).await.unwrap();
        assert_eq!(trip.status, 201, "{}", trip.body);
        assert!(!holds_number(&stage.vault, number), "{number}");
        // Four digits stand in many a time and name; so the code is looked for by what it was called.
        assert!(!holds(&stage.vault, b"cvc") && !trip.body.to_string().contains("cvc"));
    }
    assert!(!holds_number(&stage.vault, NUMBER));
    assert!(holds_number(&stage.vault, token.trim_start_matches("tok_")), "what lies there is looked at");
}
