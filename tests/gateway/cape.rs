//! ISO 20022 CAPE: an authorisation request in, its response out.

use crate::stage::{Stage, open};
use isthmus::client::Trip;
use isthmus::xml::Element;

const REQUEST: &str = "urn:iso:std:iso:20022:tech:xsd:caaa.001.001.13";
const RESPONSE: &str = "urn:iso:std:iso:20022:tech:xsd:caaa.002.001.13";

pub fn authorisation(reference: &str, amount: &str) -> String {
    format!(
        "<Document xmlns='{REQUEST}'><AccptrAuthstnReq><Hdr><MsgFctn>FAUQ</MsgFctn><PrtcolVrsn>13.0</PrtcolVrsn><XchgId>7\
         </XchgId><CreDtTm>2026-01-01T00:00:00Z</CreDtTm><InitgPty><Id>shop</Id></InitgPty></Hdr><AuthstnReq><Envt><Card>\
         <PlainCardData><PAN>4111111111111111</PAN><XpryDt>2030-12</XpryDt></PlainCardData></Card></Envt><Cntxt/><Tx>\
         <TxCaptr>true</TxCaptr><TxId><TxDtTm>2026-01-01T00:00:00Z</TxDtTm><TxRef>{reference}</TxRef></TxId><TxDtls>\
         <Ccy>EUR</Ccy><TtlAmt>{amount}</TtlAmt></TxDtls></Tx></AuthstnReq></AccptrAuthstnReq></Document>"
    )
}

async fn ask(stage: &Stage, body: String) -> Trip {
    ask_for("application/problem+json", stage, body).await
}

/// Refusals come as problems or, where those are not accepted, as documents.
async fn ask_for(accepted: &str, stage: &Stage, body: String) -> Trip {
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
    client.send(request.header("accept", accepted), body.into()).await.unwrap()
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
        "cancelled" => ("007", "AccptrCxlAdvc", "CxlAdvc", "CCAV", id("cancelled")),
        "reversal" => ("003", "AccptrCmpltnAdvc", "CmpltnAdvc", "RVRA", id(reference)),
        _ => ("003", "AccptrCmpltnAdvc", "CmpltnAdvc", "FCMV", id(reference)),
    };
    let more = match kind {
        "cancellation" => format!("<OrgnlTx>{}<TxTp>CRDP</TxTp></OrgnlTx>", id(reference)),
        "cancelled" => {
            format!("<OrgnlTx>{}<TxTp>CRDP</TxTp></OrgnlTx><TxSucss>true</TxSucss>", id(reference))
        }
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

fn text_of(trip: &Trip, name: &str) -> Option<String> {
    let root = Element::parse(&trip.received).unwrap();
    root.all().into_iter().find(|element| element.name == name).map(|element| element.text.to_string())
}

async fn payment(stage: &Stage, reference: &str) -> serde_json::Value {
    let found = stage.client().get(&format!("/v1/payments?reference={reference}")).await.unwrap();
    found.body["data"][0].clone()
}

#[tokio::test]
async fn a_cancellation_that_is_told_takes_effect_in_the_way_that_is_left() {
    let stage = open().await;
    let approved = ("CCAK".to_owned(), "APPR".to_owned());
    ask(&stage, authorisation("r-1", "10.00")).await;
    let told = ask(&stage, following("cancelled", "r-1", "10.00")).await;
    assert_eq!((told.status.as_u16(), answered(&told)), (201, approved.clone()));
    assert!(ask(&stage, following("cancelled", "r-1", "10.00")).await.is_replay());
    assert_eq!(payment(&stage, "r-1").await["status"], "voided");
    let once_more = following("cancelled", "r-1", "10.00").replace("<TxRef>cancelled", "<TxRef>cancelled-2");
    let told = ask(&stage, once_more).await;
    assert_eq!((told.status.as_u16(), answered(&told)), (200, approved.clone()), "there is nothing left to cancel");

    ask(&stage, authorisation("r-2", "10.00")).await;
    let refunds = format!("/v1/payments/{}/refunds", payment(&stage, "r-2").await["id"].as_str().unwrap());
    let part = serde_json::json!({"amount": {"value": 300, "currency": "EUR"}});
    assert_eq!(stage.client().post(&refunds, "part", &part).await.unwrap().status, 201);
    let another = |reference: &str| {
        following("cancelled", reference, "10.00").replace("<TxRef>cancelled", &format!("<TxRef>cancelled-{reference}"))
    };
    let told = ask(&stage, another("r-2")).await;
    assert_eq!((told.status.as_u16(), answered(&told)), (201, approved.clone()), "what cannot be voided is refunded");
    assert!(ask(&stage, another("r-2")).await.is_replay());
    assert_eq!(payment(&stage, "r-2").await["status"], "refunded");

    ask(&stage, authorisation("r-3", "10.05")).await;
    let declined = another("r-3").replace("10.00", "10.05");
    assert_eq!(answered(&ask(&stage, declined).await), approved, "what was declined is not done");
    let stranger = ask(&stage, another("r-9")).await;
    assert_eq!((stranger.status.as_u16(), &stranger.body["code"]), (404, &"payment_not_found".into()));
    let undone = another("r-1").replace("<TxSucss>true", "<TxSucss>false");
    assert_eq!(ask(&stage, undone).await.body["code"], "value_unsupported");
}

fn reconciliation(period: &str, totals: &str) -> String {
    format!(
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:caaa.009.001.13'><AccptrRcncltnReq><Hdr><MsgFctn>RCLQ</MsgFctn>\
         <PrtcolVrsn>13.0</PrtcolVrsn><XchgId>11</XchgId><CreDtTm>2026-01-01T00:00:00Z</CreDtTm><InitgPty><Id>shop</Id>\
         </InitgPty></Hdr><RcncltnReq><Envt/><Tx><ClsPrd>true</ClsPrd><RcncltnTxId><TxDtTm>2026-01-01T20:00:00+01:00\
         </TxDtTm><TxRef>close</TxRef></RcncltnTxId><RcncltnId>{period}</RcncltnId>{totals}</Tx></RcncltnReq>\
         </AccptrRcncltnReq></Document>"
    )
}

fn claim(kind: &str, count: u32, amount: &str) -> String {
    format!("<TxTtls><Ccy>EUR</Ccy><Tp>{kind}</Tp><TtlNb>{count}</TtlNb><CmltvAmt>{amount}</CmltvAmt></TxTtls>")
}

/// Brand, kind, count and sum of each total.
fn totals(trip: &Trip) -> Vec<String> {
    let root = Element::parse(&trip.received).unwrap();
    let totals = root.all().into_iter().filter(|element| element.name == "TxTtls");
    let told =
        |total: &Element| total.children.iter().map(|child| child.text.to_string()).collect::<Vec<_>>().join(" ");
    totals.map(told).collect()
}

#[tokio::test]
async fn a_period_is_counted_and_compared() {
    let stage = open().await;
    let in_period = |document: String| document.replace("<TxDtls>", "<RcncltnId>p-1</RcncltnId><TxDtls>");
    let sale = |reference: &str, amount: &str| in_period(authorisation(reference, amount));
    let hold =
        |reference: &str| sale(reference, "30.00").replace("FAUQ", "AUTQ").replace("<TxCaptr>true", "<TxCaptr>false");
    for document in [
        sale("r-1", "10.00"),
        sale("r-2", "20.50"),
        sale("r-3", "10.05"),
        sale("r-4", "7.00").replace("<Id>shop<", "<Id>stall<"),
        hold("r-5"),
        hold("r-6"),
        authorisation("r-7", "99.00"),
        sale("r-8", "1.00").replace("p-1", "p-2"),
        in_period(following("completion", "r-5", "25.00")),
        in_period(following("cancellation", "r-2", "20.50")),
    ] {
        let trip = ask(&stage, document).await;
        assert_eq!(trip.status, 201, "{:?}", trip.body);
    }
    let asked = async |claims: &str| {
        let trip = ask(&stage, reconciliation("p-1", claims)).await;
        assert_eq!(trip.status, 200, "{:?}", trip.body);
        (text_of(&trip, "Rspn").unwrap(), text_of(&trip, "RspnRsn"), totals(&trip))
    };
    let counted = ["visa EUR DEBT 3 55.50", "visa EUR DBTR 1 20.50", "visa EUR DECL 1 10.05"].map(str::to_owned);
    let approved = || ("APPR".to_owned(), None, counted.to_vec());
    assert_eq!(asked("").await, approved(), "who says nothing is told");
    let right = [claim("DEBT", 3, "55.5"), claim("DBTR", 1, "20.50")].concat();
    assert_eq!(asked(&right).await, approved());
    assert_eq!(asked(&right.replace("<Ccy>EUR</Ccy>", "")).await, approved(), "there is one currency");
    assert_eq!(asked(&right.replace("<Ccy>", "<CardBrnd>VISA</CardBrnd><Ccy>")).await, approved());
    let nothing = claim("CRDT", 0, "0");
    assert_eq!(asked(&[right.clone(), nothing].concat()).await, approved());
    for wrong in [
        right.replace("55.5", "55.51"),
        right.replace("<TtlNb>3", "<TtlNb>4"),
        right.replace("<Ccy>", "<CardBrnd>amex</CardBrnd><Ccy>"),
        claim("DEBT", 3, "55.50"),
        [right.clone(), claim("DECL", 2, "10.05")].concat(),
    ] {
        assert_eq!(asked(&wrong).await, ("DECL".to_owned(), Some("totals_differ".to_owned()), counted.to_vec()));
    }
    let elsewhere = ask(&stage, reconciliation("p-3", "")).await;
    assert_eq!((text_of(&elsewhere, "Rspn").unwrap(), totals(&elsewhere)), ("APPR".to_owned(), Vec::new()));
    let refused = ask(&stage, reconciliation("p-1", &claim("BOTH", 1, "1"))).await;
    assert_eq!(refused.body["xpath"], "/Document/AccptrRcncltnReq/RcncltnReq/Tx/TxTtls/Tp");
}

#[tokio::test]
async fn a_period_is_one_merchants_and_not_told_before_all_is_known() {
    let stage = open().await;
    let in_period = |document: String| document.replace("<TxDtls>", "<RcncltnId>p-1</RcncltnId><TxDtls>");
    let waiting = in_period(authorisation("r-1", "10.98"));
    let (store, waiters) = (stage.store.clone(), stage.waiters.clone());
    let mut stage = stage;
    let mut client = stage.client();
    let request = client.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
    let asking = tokio::spawn(async move { client.send(request, waiting.into()).await });
    let submission = stage.seen.recv().await.unwrap();
    while store.payments.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let open = ask(&stage, reconciliation("p-1", "")).await;
    assert_eq!(text_of(&open, "Rspn").as_deref(), Some("SUSP"));
    assert!(crate::scripted_switch::late_answer(&store, &waiters, &submission));
    assert_eq!(asking.await.unwrap().unwrap().status, 201);
    assert_eq!(totals(&ask(&stage, reconciliation("p-1", "")).await), ["visa EUR DEBT 1 10.98"]);
    let mut other = stage.client_with_key(Some(crate::stage::OTHER_KEY));
    let request = other.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
    let trip = other.send(request, reconciliation("p-1", "").into()).await.unwrap();
    assert_eq!(totals(&trip), Vec::<String>::new(), "another merchant's period is another one");
}

fn diagnosis(version: &str) -> String {
    format!(
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:caaa.013.001.{version}'><AccptrDgnstcReq><Hdr><MsgFctn>DGNP\
         </MsgFctn><PrtcolVrsn>{version}.0</PrtcolVrsn><XchgId>12</XchgId><CreDtTm>2026-01-01T00:00:00Z</CreDtTm><InitgPty>\
         <Id>shop</Id></InitgPty></Hdr><DgnstcReq><Envt><POI><Id><Id>T1</Id></Id></POI></Envt></DgnstcReq>\
         </AccptrDgnstcReq></Document>"
    )
}

#[tokio::test]
async fn a_diagnosis_says_that_somebody_is_there_in_the_version_asked() {
    let mut stage = open().await;
    for (version, answered) in [("13", "caaa.014.001.13"), ("12", "caaa.014.001.11")] {
        let trip = ask(&stage, diagnosis(version)).await;
        assert_eq!((trip.status.as_u16(), text_of(&trip, "MsgFctn").as_deref()), (200, Some("DGNQ")));
        assert_eq!(text_of(&trip, "XchgId").as_deref(), Some("12"));
        assert!(Element::parse(&trip.received).unwrap().namespace.ends_with(answered));
    }
    let unknown = ask(&stage, diagnosis("11")).await;
    assert_eq!(unknown.body["code"], "version_unknown");
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
}

#[tokio::test]
async fn what_cannot_be_taken_is_rejected_in_the_standards_words() {
    let mut stage = open().await;
    let good = authorisation("r-1", "10.00");
    let bomb = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
    for (document, status, reason, information, exchange) in [
        ("<Document".to_owned(), 400, "PARS", "xml_malformed", None),
        (bomb.to_owned(), 400, "PARS", "xml_forbidden", None),
        (good.replace("caaa.001.001.13", "caaa.001.001.99"), 400, "VERS", "version_unknown", Some("7")),
        (good.replace("caaa.001.001.13", "caaa.011.001.13"), 400, "MSGT", "xml_root", Some("7")),
        (
            good.replace("<TtlAmt>", "<Instlmt/><TtlAmt>"),
            400,
            "IMSG",
            "field_unknown /Document/AccptrAuthstnReq/AuthstnReq/Tx/TxDtls/Instlmt",
            Some("7"),
        ),
        (
            good.replace("<XchgId>7", "<XchgId>7a"),
            400,
            "IMSG",
            "field_type /Document/AccptrAuthstnReq/Hdr/XchgId",
            None,
        ),
        (following("cancelled", "r-9", "10.00"), 404, "UNPR", "payment_not_found", Some("9")),
    ] {
        let trip = ask_for("*/*", &stage, document).await;
        assert_eq!(trip.headers["content-type"], "application/xml");
        let told = (text_of(&trip, "RjctRsn"), text_of(&trip, "AddtlInf"), text_of(&trip, "XchgId"));
        let expected = (Some(reason.to_owned()), Some(information.to_owned()), exchange.map(str::to_owned));
        assert_eq!((trip.status.as_u16(), told), (status, expected));
        assert!(!String::from_utf8_lossy(&trip.received).contains("411111"), "nothing of the card goes back");
    }
    let mut stranger = stage.client_with_key(Some("isk_nobody"));
    let request = stranger.request("POST".parse().unwrap(), "/v1/cape").header("content-type", "application/xml");
    let trip = stranger.send(request, good.into()).await.unwrap();
    assert_eq!((trip.status.as_u16(), text_of(&trip, "RjctRsn").as_deref()), (401, Some("SECU")));
    assert!(stage.seen.try_recv().is_err(), "the switch never saw one");
}
