//! ISO 20022 CAPE: an authorisation request in, its response out.

use crate::stage::{Stage, open};
use isthmus::client::Trip;
use isthmus::xml::Element;

const REQUEST: &str = "urn:iso:std:iso:20022:tech:xsd:caaa.001.001.13";
const RESPONSE: &str = "urn:iso:std:iso:20022:tech:xsd:caaa.002.001.13";

fn authorisation(reference: &str, amount: &str) -> String {
    format!(
        "<Document xmlns='{REQUEST}'><AccptrAuthstnReq><Hdr><MsgFctn>FAUQ</MsgFctn><PrtcolVrsn>13.0</PrtcolVrsn><XchgId>7\
         </XchgId><CreDtTm>2026-01-01T00:00:00Z</CreDtTm><InitgPty><Id>shop</Id></InitgPty></Hdr><AuthstnReq><Envt><Card>\
         <PlainCardData><PAN>4111111111111111</PAN><XpryDt>2030-12</XpryDt></PlainCardData></Card></Envt><Cntxt/><Tx>\
         <TxCaptr>true</TxCaptr><TxId><TxDtTm>2026-01-01T00:00:00Z</TxDtTm><TxRef>{reference}</TxRef></TxId><TxDtls>\
         <Ccy>EUR</Ccy><TtlAmt>{amount}</TtlAmt></TxDtls></Tx></AuthstnReq></AccptrAuthstnReq></Document>"
    )
}

async fn ask(stage: &Stage, body: String) -> Trip {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
    client.send(request, body.into()).await.unwrap()
}

fn told(trip: &Trip, path: &str) -> String {
    let root = Element::parse(&trip.received).unwrap();
    assert!(root.is(RESPONSE, "Document"));
    let message = root.only(RESPONSE, "AccptrAuthstnRspn").unwrap();
    path.split('/').fold(message, |element, name| element.only(RESPONSE, name).unwrap()).text.to_string()
}

/// A completion (`caaa.003`) or a cancellation (`005`) of what was authorised under a reference.
fn following(kind: &str, reference: &str, amount: &str) -> String {
    let time = "2026-01-01T00:00:00Z";
    let id = |reference: &str| format!("<TxId><TxDtTm>{time}</TxDtTm><TxRef>{reference}</TxRef></TxId>");
    let (number, message, body, function, own) = match kind {
        "cancellation" => ("005", "AccptrCxlReq", "CxlReq", "CCAQ", id("cancel")),
        "reversal" => ("003", "AccptrCmpltnAdvc", "CmpltnAdvc", "RVRA", id(reference)),
        _ => ("003", "AccptrCmpltnAdvc", "CmpltnAdvc", "FCMV", id(reference)),
    };
    let more = match kind {
        "cancellation" => format!("<OrgnlTx>{}<TxTp>CRDP</TxTp></OrgnlTx>", id(reference)),
        "reversal" => "<TxSucss>false</TxSucss>".to_owned(),
        _ => "<TxSucss>true</TxSucss>".to_owned(),
    };
    format!(
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:caaa.{number}.001.13'><{message}><Hdr><MsgFctn>{function}</MsgFctn>         <PrtcolVrsn>13.0</PrtcolVrsn><XchgId>9</XchgId><CreDtTm>{time}</CreDtTm><InitgPty><Id>shop</Id></InitgPty></Hdr>         <{body}><Envt/><Tx><MrchntCtgyCd>5999</MrchntCtgyCd>{own}{more}<TxDtls><Ccy>EUR</Ccy><TtlAmt>{amount}</TtlAmt>         </TxDtls></Tx></{body}></{message}></Document>"
    )
}

/// Function and result of a response in whatever namespace.
fn answered(trip: &Trip) -> (String, String) {
    let root = Element::parse(&trip.received).unwrap();
    let text = |name: &str| root.all().into_iter().find(|element| element.name == name).unwrap().text.to_string();
    (text("MsgFctn"), text("Rspn"))
}

const RESULT: &str = "AuthstnRspn/TxRspn/AuthstnRslt/RspnToAuthstn/Rspn";

#[tokio::test]
async fn a_request_is_answered_and_asked_again() {
    let mut stage = open().await;
    let trip = ask(&stage, authorisation("r-1", "10.00")).await;
    assert_eq!((trip.status.as_u16(), told(&trip, RESULT).as_str()), (201, "APPR"));
    assert_eq!(told(&trip, "Hdr/MsgFctn"), "FAUP");
    assert_eq!(told(&trip, "Hdr/XchgId"), "7");
    assert_eq!(told(&trip, "AuthstnRspn/Tx/TxDtls/AuthrsdAmt"), "10.00");
    assert_eq!(told(&trip, "AuthstnRspn/TxRspn/AuthstnRslt/AuthstnCd"), "A12345");
    let again = ask(&stage, authorisation("r-1", "10.00").replace("<XchgId>7", "<XchgId>8")).await;
    assert!(again.is_replay());
    assert_eq!(told(&again, "Hdr/XchgId"), "8", "the exchange is another one, the payment the same");
    assert_eq!(told(&again, "AuthstnRspn/Tx/RcptTxId"), told(&trip, "AuthstnRspn/Tx/RcptTxId"));
    let other = ask(&stage, authorisation("r-1", "11.00")).await;
    assert_eq!((other.status.as_u16(), &other.body["code"]), (422, &"idempotency_key_reused".into()));
    let found = stage.client().get("/v1/payments?reference=r-1").await.unwrap();
    assert_eq!(found.body["data"][0]["status"], "captured");
    assert!(stage.seen.recv().await.is_some());
}

#[tokio::test]
async fn what_is_not_approved_says_how() {
    let stage = open().await;
    let declined = ask(&stage, authorisation("r-1", "10.05")).await;
    assert_eq!((declined.status.as_u16(), told(&declined, RESULT).as_str()), (201, "DECL"));
    assert_ne!(told(&declined, "AuthstnRspn/TxRspn/AuthstnRslt/RspnToAuthstn/RspnRsn"), "");
    let unknown = ask(&stage, authorisation("r-2", "10.97")).await;
    assert_eq!((unknown.status.as_u16(), told(&unknown, RESULT).as_str()), (202, "TECH"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_at_its_path() {
    let mut stage = open().await;
    let good = authorisation("r-1", "10.00");
    let message = "/Document/AccptrAuthstnReq/AuthstnReq";
    for (from, to, status, code, path) in [
        ("4111111111111111", "4111111111111112", 422, "card_number_invalid", "/Envt/Card/PlainCardData/PAN"),
        ("2030-12", "2030-13", 422, "card_expiry_invalid", "/Envt/Card/PlainCardData/XpryDt"),
        ("10.00", "0", 422, "amount_not_positive", "/Tx/TxDtls/TtlAmt"),
        ("<TtlAmt>", "<Instlmt/><TtlAmt>", 400, "field_unknown", "/Tx/TxDtls/Instlmt"),
    ] {
        let trip = ask(&stage, good.replacen(from, to, 1)).await;
        assert_eq!((trip.status.as_u16(), trip.body["code"].as_str()), (status, Some(code)), "{to}");
        assert_eq!(trip.body["xpath"], format!("{message}{path}"));
    }
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/json");
    assert_eq!(client.send(request, "{}".into()).await.unwrap().status, 415);
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
}

#[tokio::test]
async fn a_payment_is_completed_and_cancelled_by_its_own_name() {
    let stage = open().await;
    let status = async |reference: &str| {
        let found = stage.client().get(&format!("/v1/payments?reference={reference}")).await.unwrap();
        found.body["data"][0]["status"].as_str().unwrap().to_owned()
    };
    let hold = |reference: &str| {
        let sale = authorisation(reference, "10.00");
        sale.replace("FAUQ", "AUTQ").replace("<TxCaptr>true", "<TxCaptr>false")
    };
    let answer = |function: &str| (function.to_owned(), "APPR".to_owned());
    for reference in ["r-1", "r-2", "r-3"] {
        assert_eq!(answered(&ask(&stage, hold(reference)).await), answer("AUTP"));
    }
    let completed = ask(&stage, following("completion", "r-1", "8.00")).await;
    assert_eq!(answered(&completed), answer("FCMK"));
    assert!(ask(&stage, following("completion", "r-1", "8.00")).await.is_replay());
    assert_eq!(answered(&ask(&stage, following("cancellation", "r-2", "10.00")).await), answer("CCAP"));
    assert_eq!(answered(&ask(&stage, following("reversal", "r-3", "10.00")).await), answer("RVRR"));
    assert_eq!(
        (status("r-1").await, status("r-2").await, status("r-3").await),
        ("captured".into(), "voided".into(), "voided".into())
    );

    let part = ask(&stage, following("cancellation", "r-1", "5.00")).await;
    assert_eq!((part.status.as_u16(), part.body["code"].as_str()), (422, Some("value_unsupported")));
    assert_eq!(part.body["xpath"], "/Document/AccptrCxlReq/CxlReq/Tx/TxDtls/TtlAmt");
    let stranger = ask(&stage, following("cancellation", "r-9", "10.00")).await;
    assert_eq!((stranger.status.as_u16(), stranger.body["code"].as_str()), (404, Some("payment_not_found")));
    let failed = following("completion", "r-1", "8.00").replace("<TxSucss>true", "<TxSucss>false");
    assert_eq!(ask(&stage, failed).await.body["code"], "value_unsupported");
}
