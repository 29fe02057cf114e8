//! What is near to right: good messages of every kind, spoilt here and there, before each of the doors' readers.
//!
//! The same ones in every run. A reader comes back with something or a refusal; what it then says is fit to be said.

#![allow(clippy::unwrap_used)]

use super::envelope::jwe;
use super::request::{self, CreatePayment, Sent};
use super::signing::jws;
use super::xml::SealedDocument;
use super::{cape, framed, sealed_body};
use crate::xml::Element;
use fastrand::Rng;

/// Spoilt messages of each seed.
const SPOILT: usize = 1500;

/// What is put where it does not belong.
const PIECES: [&str; 20] = [
    "<",
    ">",
    "</",
    "&",
    "&amp;",
    "&#0;",
    "]]>",
    "<!--",
    "<!DOCTYPE a>",
    " xmlns='x'",
    "\"",
    "\\u0000",
    "\\",
    "{",
    "[[[[",
    "1e999",
    "99999999999999999999",
    "null",
    ".",
    "\u{feff}",
];

/// Spoils a message in up to four places.
fn spoil(rng: &mut Rng, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(..=bytes.len());
        let end = (at + rng.usize(..24)).min(bytes.len());
        match rng.u8(..5) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            2 => drop(bytes.splice(at..at, rng.choice(PIECES).unwrap().bytes())),
            3 => bytes.truncate(end),
            _ => bytes[at..end].iter_mut().take(2).for_each(|byte| *byte = rng.u8(..)),
        }
    }
    bytes
}

fn before(seeds: &[&str], reader: impl Fn(&[u8])) {
    let mut rng = Rng::with_seed(5);
    for seed in seeds {
        reader(seed.as_bytes());
        for _ in 0..SPOILT {
            reader(&spoil(&mut rng, seed.as_bytes()));
        }
    }
}

const JSON: &str = r#"{"reference":"r","amount":{"value":1299,"currency":"EUR"},"card":{"number":"4111111111111111",
    "expiry_month":12,"expiry_year":2030,"cvc":"123"},"metadata":{"a":"b"},"capture":true}"#;

const XML: &str = "<?xml version='1.0'?><payment_request xmlns='urn:isthmus:v1'><reference>r</reference><amount><value>1\
    </value><currency>EUR</currency></amount><card><number>4111111111111111</number><expiry_month>12</expiry_month>\
    <expiry_year>2030</expiry_year></card></payment_request>";

#[test]
fn requests_in_json_and_xml() {
    before(&[JSON, r#"{"card":{"encryptedData":"a.b.c.d.e"},"reference":"r"}"#, r#"{"encData":"a"}"#], |bytes| {
        let _ = request::read::<CreatePayment>(Sent::Json(bytes));
        let _ = sealed_body::whole(bytes);
        let _ = sealed_body::Parts::of(bytes);
    });
    before(&[XML], |bytes| {
        let _ = SealedDocument::of(bytes);
        assert!(super::xml::verified(bytes, &[]).is_ok_and(|signed| signed.is_none()) || Element::read(bytes).is_err());
        if let Ok(root) = Element::read(bytes) {
            let _ = request::read::<CreatePayment>(Sent::Xml(&root));
        }
    });
}

#[test]
fn tokens() {
    let sealed = "eyJhbGciOiJSU0EtT0FFUC0yNTYiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiayIsImlhdCI6MX0.AAAA.AAAAAAAAAAAAAAAA.AAAA.\
                  AAAAAAAAAAAAAAAAAAAAAA";
    let signed = "eyJhbGciOiJFUzI1NiIsImlhdCI6MSwiaHR1IjoiL3YxL3BheW1lbnRzIiwianRpIjoiaiJ9.e30.AAAA";
    before(&[sealed, signed], |bytes| {
        jwe::fuzz(bytes);
        jws::fuzz(bytes);
    });
}

#[test]
fn frames() {
    let payment = r#"{"id":7,"operation":"payments.capture","payment":"pay_0000000000000000000000000000002a",
        "idempotency_key":"k","authorization":"Bearer x","body":{"a":[1,{"b":null}]}}"#;
    let list = r#"{"id":"a","operation":"payments.list","query":{"reference":"a b","limit":"5"},"traceparent":"00"}"#;
    before(&[payment, list, "<Document/>"], framed::fuzz);
}

#[test]
fn documents_of_cape() {
    let header = |function: &str| {
        format!(
            "<Hdr><MsgFctn>{function}</MsgFctn><PrtcolVrsn>13.0</PrtcolVrsn><XchgId>7</XchgId><CreDtTm>2026-01-01T00:00:00Z\
             </CreDtTm><InitgPty><Id>shop</Id></InitgPty></Hdr>"
        )
    };
    let id = |name: &str| format!("<{name}><TxDtTm>2026-01-01T00:00:00Z</TxDtTm><TxRef>r</TxRef></{name}>");
    let document = |kind: &str, content: &str| {
        format!("<Document xmlns='urn:iso:std:iso:20022:tech:xsd:caaa.{kind}.001.13'>{content}</Document>")
    };
    let sale = format!(
        "<AccptrAuthstnReq>{}<AuthstnReq><Envt><Card><PlainCardData><PAN>4111111111111111</PAN><XpryDt>2030-12</XpryDt>\
         </PlainCardData></Card></Envt><Cntxt/><Tx><TxCaptr>true</TxCaptr>{}<TxDtls><Ccy>EUR</Ccy><TtlAmt>1.5</TtlAmt></TxDtls>\
         </Tx></AuthstnReq></AccptrAuthstnReq>",
        header("FAUQ"),
        id("TxId"),
    );
    let totals = format!(
        "<AccptrRcncltnReq>{}<RcncltnReq><Envt/><Tx>{}<RcncltnId>p</RcncltnId><TxTtls><Ccy>EUR</Ccy><Tp>DEBT</Tp><TtlNb>1</TtlNb>\
         <CmltvAmt>1.5</CmltvAmt></TxTtls></Tx></RcncltnReq></AccptrRcncltnReq>",
        header("RCLQ"),
        id("RcncltnTxId"),
    );
    before(&[&document("001", &sale), &document("009", &totals)], cape::fuzz);
}
