//! Cards that are there: what their reader gave is taken only where it comes sealed, and goes to the switch alone.

use crate::sealed::{envelope, post, sealing_client};
use crate::stage::{Stage, open};
use crate::xml::{GCM, OAEP, ask, sealed};
use isthmus::client::{Cipher, Form};
use isthmus::payment::{CardPresent, PinKeyName, PosEntry};
use isthmus::switch::{Begin, Command};
use serde_json::{Value, json};

const TRACK: &str = "4111111111111111=30122010000012345678";

fn reading() -> Value {
    json!({
        "entry_mode": "chip",
        "track2": TRACK,
        "emv": "9F2608A1B2C3D4E5F60718",
        "pin": {"format": 0, "block": "1A2B3C4D5E6F7081", "ksn": "FFFF9876543210E00001"},
    })
}

fn sale() -> Value {
    json!({"reference": "till-1", "amount": {"value": 1000, "currency": "EUR"}, "card_present": reading()})
}

fn told(body: &Value) -> (&str, &str) {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    (text("code"), text("pointer"))
}

/// The beginning that the switch was asked for; `None` where it saw nothing.
fn begun(stage: &mut Stage) -> Option<Box<Begin>> {
    match stage.seen.try_recv().ok()?.command {
        Command::Begin(begin) => Some(begin),
        other => panic!("a beginning, not {other:?}"),
    }
}

fn present(begin: &Begin) -> &CardPresent {
    begin.card.present.as_deref().unwrap()
}

#[tokio::test]
async fn what_a_reader_gave_reaches_the_switch_and_nobody_else() {
    let mut stage = open().await;
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::Jose).await;
    let trip = client.post("/v1/payments", "k1", &sale()).await.unwrap();
    assert_eq!((trip.status.as_u16(), &trip.body["status"]), (201, &json!("captured")), "{}", trip.body);
    assert_eq!(trip.body["card"], json!({"brand": "visa", "first6": "411111", "last4": "1111"}));
    let begin = begun(&mut stage).unwrap();
    assert_eq!(
        (begin.entry, begin.card.pan.reveal(), &*begin.card.expiry.yymm()),
        (PosEntry::Chip, &TRACK[..16], "3012")
    );
    let pin = present(&begin).pin.as_ref().unwrap();
    assert_eq!((present(&begin).track2.reveal(), pin.format, pin.block[0]), (TRACK, 0, 0x1A));
    assert!(matches!(&pin.key, PinKeyName::Dukpt(serial) if serial.len() == 10));
    let everything = format!("{begin:?} {} {}", trip.body, client.get("/v1/payments").await.unwrap().body);
    for secret in [TRACK, "12345678", "A1B2C3", "1A2B3C", "26, 43, 60"] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_repeat_may_have_another_pin_block() {
    let mut stage = open().await;
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::EncData).await;
    client.post("/v1/payments", "k1", &sale()).await.unwrap();
    let mut again = sale();
    again["card_present"]["emv"] = json!("9F26080000000000000000");
    again["card_present"]["pin"] = json!({"format": 4, "block": "00".repeat(16), "key": "till"});
    assert!(client.post("/v1/payments", "k1", &again).await.unwrap().is_replay());
    begun(&mut stage).unwrap();
    assert!(
        matches!(&present(&begun(&mut stage).unwrap()).pin.as_ref().unwrap().key, PinKeyName::Static(name) if name == "till")
    );
    again["card_present"]["entry_mode"] = json!("swipe");
    let other = client.post("/v1/payments", "k1", &again).await.unwrap();
    assert_eq!(told(&other.body).0, "idempotency_key_reused");
}

#[tokio::test]
async fn what_came_in_clear_is_not_taken() {
    let mut stage = open().await;
    let envelope = envelope(&stage, Cipher::A256Gcm, Form::EncData).await;
    let sealed = |value: &Value| json!({"encryptedData": envelope.seal(value.to_string().as_bytes()).unwrap()});
    let mut part = sale();
    part["reference"] = sealed(&json!("till-1"));
    for body in [&sale(), &part] {
        let trip = post(&stage, "k1", &[], body.to_string()).await;
        assert_eq!((trip.status.as_u16(), told(&trip.body).0), (403, "card_present_unsealed"));
    }
    assert!(begun(&mut stage).is_none(), "the switch never saw one");
    let mut member = sale();
    member["card_present"] = sealed(&reading());
    assert_eq!(post(&stage, "k1", &[], member.to_string()).await.status, 201, "and the key was not used up");
    assert_eq!(present(&begun(&mut stage).unwrap()).track2.reveal(), TRACK);
}

#[tokio::test]
async fn the_same_in_xml() {
    let mut stage = open().await;
    let card = format!(
        "<card_present><entry_mode>chip</entry_mode><track2>{TRACK}</track2><pin><format>0</format>\
         <block>1A2B3C4D5E6F7081</block><key>till</key></pin></card_present>"
    );
    let amount = "<amount><value>1000</value><currency>EUR</currency></amount>";
    let document = |content: &str| {
        format!("<payment_request xmlns='urn:isthmus:v1'><reference>till-1</reference>{content}</payment_request>")
    };
    let (sealed_amount, sealed_card) =
        (sealed(&stage, OAEP, GCM, amount).await, sealed(&stage, OAEP, GCM, &card).await);
    let whole = document(&format!("{amount}{card}"));
    for body in [whole.clone(), document(&format!("{sealed_amount}{card}"))] {
        let trip = ask(&stage, "/v1/payments", "k1", body).await;
        assert_eq!((trip.status.as_u16(), told(&trip.body).0), (403, "card_present_unsealed"));
    }
    assert!(begun(&mut stage).is_none(), "the switch never saw one");
    let whole = sealed(&stage, OAEP, GCM, &whole).await;
    for body in [document(&format!("{amount}{sealed_card}")), whole] {
        assert_eq!(ask(&stage, "/v1/payments", "k1", body).await.status, 201);
        assert_eq!(present(&begun(&mut stage).unwrap()).pin.as_ref().unwrap().block.len(), 8);
    }
}

#[tokio::test]
async fn faults_name_their_field() {
    let mut stage = open().await;
    let mut client = sealing_client(&stage, Cipher::A256Gcm, Form::Jose).await;
    let block = "1A2B3C4D5E6F7081";
    let cases = [
        ("entry_mode", json!("telephone"), 422, "card_entry_mode_unknown"),
        ("track2", json!("4111111111111111"), 422, "card_track2_invalid"),
        ("track2", json!("4111111111111112=30122010000012345678"), 422, "card_number_invalid"),
        ("emv", json!("9F2"), 422, "card_emv_invalid"),
        ("pin", json!({"format": 2, "block": block, "key": "till"}), 422, "card_pin_invalid"),
        ("pin", json!({"format": 4, "block": block, "key": "till"}), 422, "card_pin_invalid"),
        ("pin", json!({"format": 0, "block": block}), 422, "card_pin_invalid"),
        (
            "pin",
            json!({"format": 0, "block": block, "key": "till", "ksn": "FFFF9876543210E00001"}),
            422,
            "card_pin_invalid",
        ),
        ("pin", json!({"format": 0, "block": block, "ksn": "FFFF98"}), 422, "card_pin_invalid"),
        ("pin", json!("1234"), 400, "field_type"),
        ("pan", json!("4111111111111111"), 400, "field_unknown"),
    ];
    for (field, value, status, code) in cases {
        let mut body = sale();
        body["card_present"][field] = value;
        let trip = client.post("/v1/payments", "k1", &body).await.unwrap();
        assert_eq!((trip.status.as_u16(), told(&trip.body).0), (status, code), "{field}");
        assert!(["/card_present", &format!("/card_present/{field}")].contains(&told(&trip.body).1), "{}", trip.body);
        assert!(!trip.body.to_string().contains("4111"));
    }
    let mut both = sale();
    both["card"] = json!({"number": "4111111111111111", "expiry_month": 12, "expiry_year": 2030});
    let trip = client.post("/v1/payments", "k1", &both).await.unwrap();
    assert_eq!((trip.status.as_u16(), told(&trip.body)), (422, ("instrument_twice", "/card_present")));
    let neither = json!({"reference": "till-1", "amount": {"value": 1000, "currency": "EUR"}});
    let trip = client.post("/v1/payments", "k1", &neither).await.unwrap();
    assert_eq!((trip.status.as_u16(), told(&trip.body)), (400, ("field_missing", "/card")));
    assert!(begun(&mut stage).is_none(), "the switch never saw one");
}
