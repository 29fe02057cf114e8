//! What an acceptor asks: a document of `caaa`, understood by the table of its message.

use super::form::{Form, Meaning, Use};
use super::rejection::{is_exchange, is_text};
use crate::edge::problem::{Code, Problem};
use crate::edge::request::is_plain;
use crate::payment::Currency;
use crate::transaction::IdempotencyKey;
use crate::xml::Element;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FUNCTION: &str = "Hdr/MsgFctn";
const INITIATOR: &str = "Hdr/InitgPty/Id";
const PERIOD: &str = "Body/Tx/RcncltnId";
const TERMINAL: &str = "Body/Envt/POI/Id/Id";
const NUMBER: &str = "Body/Envt/Card/PlainCardData/PAN";
const EXPIRY: &str = "Body/Envt/Card/PlainCardData/XpryDt";
const CURRENCY: &str = "Body/Tx/TxDtls/Ccy";
const AMOUNT: &str = "Body/Tx/TxDtls/TtlAmt";

/// Whether a text is one that the standard allows.
type Fits = fn(&str) -> bool;

/// What goes back into the response, or into other documents, and so must be what the schema allows there.
const ECHOED: [(&str, Fits); 10] = [
    ("Hdr/PrtcolVrsn", |text| is_text(text, 6)),
    ("Hdr/XchgId", is_exchange),
    (INITIATOR, |text| is_text(text, 35)),
    (PERIOD, |text| is_text(text, 35)),
    (TERMINAL, |text| is_text(text, 35)),
    ("Body/Tx/TxId/TxRef", |text| is_text(text, 35)),
    ("Body/Tx/TxId/TxDtTm", is_date_time),
    ("Body/Tx/RcncltnTxId/TxRef", |text| is_text(text, 35)),
    ("Body/Tx/RcncltnTxId/TxDtTm", is_date_time),
    ("Body/Tx/OrgnlTx/TxId/TxDtTm", is_date_time),
];

/// A request as it was understood.
pub(super) struct Question {
    /// Which message it is.
    pub form: &'static Form,
    /// Namespace of its response.
    pub response: String,
    /// What it asks for.
    pub meaning: Meaning,
    /// The function of the response.
    pub answered_as: &'static str,
    /// The texts of what is taken, by path.
    taken: BTreeMap<&'static str, Zeroizing<String>>,
}

impl Question {
    /// Reads a document.
    pub fn read(root: &Element) -> Result<Question, Problem> {
        let other = || if Form::is_other_version(&root.namespace) { Code::VersionUnknown } else { Code::XmlRoot };
        let (form, response) = Form::of(&root.namespace).ok_or_else(other)?;
        let message = match &root.children[..] {
            // Not every client calls the root `Document`: python-iso20022 names it after a class of its own.
            [message] if message.is(&root.namespace, form.message) => message,
            _ => return Err(Code::XmlRoot.into()),
        };
        let mut taking = Taking { form, namespace: &root.namespace, taken: BTreeMap::new() };
        for child in &message.children {
            let step = match child.name.as_str() {
                name if name == form.body => "Body",
                "Body" => return Err(form.at(Code::FieldUnknown, "")),
                name => name,
            };
            taking.take(child, step)?;
        }
        let taken = taking.taken;
        // The schema leaves out more than a payment can do without.
        let mut needed = form.rows().filter(|(_, used)| matches!(used, Use::Taken(_)));
        if let Some((path, _)) = needed.find(|(path, _)| !taken.contains_key(path)) {
            return Err(form.at(Code::FieldMissing, path));
        }
        let text = |path: &str| taken.get(path).map_or("", |text: &Zeroizing<String>| text.as_str());
        let function = form.functions.iter().find(|(function, _, _)| *function == text(FUNCTION));
        let (_, answered_as, meaning) = *function.ok_or_else(|| form.at(Code::ValueUnsupported, FUNCTION))?;
        if let Some((path, _)) = ECHOED.iter().find(|(path, fits)| taken.get(path).is_some_and(|text| !fits(text))) {
            return Err(form.at(Code::FieldType, path));
        }
        Ok(Question { form, response, meaning, answered_as, taken })
    }

    /// Who initiated it.
    pub fn initiator(&self) -> &str {
        self.text(INITIATOR)
    }

    /// The point of interaction, where it names one.
    pub fn terminal(&self) -> Option<&str> {
        self.taken.get(TERMINAL).map(|text| text.as_str())
    }

    /// The reconciliation period in which it counts, where it names one.
    pub fn period(&self) -> Option<&str> {
        self.taken.get(PERIOD).map(|text| text.as_str())
    }

    /// The amount in minor units.
    pub fn money(&self) -> Result<(Currency, u64), Problem> {
        let form = self.form;
        let currency = Currency::from_code(self.text(CURRENCY));
        let currency = currency.ok_or_else(|| form.at(Code::CurrencyUnknown, CURRENCY))?;
        let minor = minor_units(self.text(AMOUNT), currency.exponent());
        Ok((currency, minor.ok_or_else(|| form.at(Code::FieldType, AMOUNT))?))
    }

    /// The text of what was taken.
    pub fn text(&self, path: &str) -> &str {
        self.taken.get(path).map(|text| text.as_str()).unwrap_or_default()
    }

    /// The body of `POST /v1/payments` that asks the same. The card number is given away with it.
    pub fn payment(&mut self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let (year, month) = self.expiry()?;
        let capture = self.captures()?.to_string();
        let reference = quoted(self.text("Body/Tx/TxId/TxRef"));
        let number = quoted(&self.taken.remove(NUMBER).unwrap_or_default());
        let terminal = self.taken.get(TERMINAL).map(|terminal| quoted(terminal));
        let terminal = terminal.as_ref().map_or("null", |terminal| terminal.as_str());
        let (year, month, amount) = (year.to_string(), month.to_string(), self.amount()?);
        let pieces: [[&str; 2]; 8] = [
            ["{\"reference\":", &reference],
            [",\"capture\":", &capture],
            [",\"terminal\":", terminal],
            [",\"amount\":", &amount],
            [",\"card\":{\"number\":", &number],
            [",\"expiry_month\":", &month],
            [",\"expiry_year\":", &year],
            ["}", "}"],
        ];
        let pieces = pieces.as_flattened();
        // Its size from the beginning: a vector that grows leaves copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
        pieces.iter().for_each(|piece| json.extend_from_slice(piece.as_bytes()));
        Ok(json)
    }

    /// The body of `POST /v1/payments/{id}/captures` that asks the same. There is no more than one completion, and none
    /// of a transaction that did not succeed.
    pub fn capture(&self) -> Result<String, Problem> {
        let success = "Body/Tx/TxSucss";
        match self.text(success) {
            "true" | "1" => Ok(format!("{{\"amount\":{},\"final\":true}}", self.amount()?)),
            _ => Err(self.form.at(Code::ValueUnsupported, success)),
        }
    }

    fn amount(&self) -> Result<String, Problem> {
        let (currency, minor) = self.money()?;
        Ok(format!("{{\"value\":{minor},\"currency\":\"{}\"}}", currency.code()))
    }

    /// Whether the money is to be captured at once. Function and flag say it both, and must say the same.
    fn captures(&self) -> Result<bool, Problem> {
        let flag = "Body/Tx/TxCaptr";
        match (self.text(flag), self.meaning) {
            ("true" | "1", Meaning::Sale) => Ok(true),
            ("false" | "0", Meaning::Hold) => Ok(false),
            _ => Err(self.form.at(Code::ValueUnsupported, flag)),
        }
    }

    /// Year and month of expiry, written as `2030-12`.
    fn expiry(&self) -> Result<(u16, u16), Problem> {
        let number = |digits: &str, count| {
            let is_number = digits.len() == count && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        let (year, month) = self.text(EXPIRY).split_once('-').unwrap_or_default();
        number(year, 4).zip(number(month, 2)).ok_or_else(|| self.form.at(Code::ExpiryInvalid, EXPIRY))
    }

    /// A problem of such a body, at the element from which its field came.
    pub fn located(&self, problem: Problem) -> Problem {
        // Both halves of the date of expiry come from one element.
        let pointer = problem.pointer.as_deref().map(|pointer| pointer.replace("expiry_month", "expiry_year"));
        let is_field =
            |used: &Use| matches!(used, Use::Taken(field) | Use::Optional(field) if Some(*field) == pointer.as_deref());
        let row = self.form.rows().find(|(_, used)| is_field(used));
        row.map_or(problem.code.into(), |(path, _)| self.form.at(problem.code, path))
    }

    /// That the amount is not one for which this can be done.
    pub fn amount_unsupported(&self) -> Problem {
        self.form.at(Code::ValueUnsupported, AMOUNT)
    }

    /// The key of the exchange: who initiated it, at which point of interaction, its reference and time. What is asked
    /// for belongs to the body, so that the same exchange with another amount is refused.
    pub fn key(&self) -> IdempotencyKey {
        let own = self.form.own;
        match self.meaning {
            Meaning::Hold | Meaning::Sale => self.key_of("", own),
            // A completion goes by the name of the transaction that it completes.
            Meaning::Capture => self.key_of("completion-", own),
            Meaning::Void => self.key_of("cancellation-", own),
            Meaning::Cancelled => self.key_of("cancelled-", own),
            Meaning::Totals => self.key_of("totals-", own),
            Meaning::Echo => self.key_of("echo-", own),
        }
    }

    /// The key of the refund that is made where nothing can be cancelled any more.
    pub fn key_of_refund(&self) -> IdempotencyKey {
        self.key_of("cancelled-refund-", self.form.own)
    }

    /// The key of the payment that is completed or cancelled.
    pub fn key_of_payment(&self) -> IdempotencyKey {
        self.key_of("", self.form.original)
    }

    fn key_of(&self, kind: &str, transaction: &str) -> IdempotencyKey {
        let (reference, time) = (format!("{transaction}/TxRef"), format!("{transaction}/TxDtTm"));
        let mut hash = Sha256::new();
        for part in [INITIATOR, TERMINAL, reference.as_str(), time.as_str()].map(|path| self.text(path)) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key = format!("caaa-{kind}{}", HEXLOWER.encode(&hash.finalize()));
        IdempotencyKey::new(&key).expect("letters and hexadecimal digits are visible")
    }
}

/// A message on its way through its table.
struct Taking<'a> {
    form: &'static Form,
    namespace: &'a str,
    taken: BTreeMap<&'static str, Zeroizing<String>>,
}

impl Taking<'_> {
    /// Takes what the table says of an element and of those in it.
    fn take(&mut self, element: &Element, path: &str) -> Result<(), Problem> {
        let form = self.form;
        let row = form.rows().find(|(known, _)| *known == path);
        if element.namespace != self.namespace || !(row.is_some() || form.leads_on(path)) {
            return Err(form.at(Code::FieldUnknown, if is_plain(&element.name) { path } else { parent(path) }));
        }
        if !element.attributes.is_empty() {
            return Err(form.at(Code::XmlForbidden, path));
        }
        match row {
            Some((_, Use::Taken(_) | Use::Optional(_) | Use::Only(_))) if !element.children.is_empty() => {
                Err(form.at(Code::FieldType, path))
            }
            Some((known, Use::Taken(_) | Use::Optional(_))) => {
                let text = Zeroizing::new(element.text.trim().to_owned());
                let earlier = self.taken.insert(*known, text);
                earlier.map_or(Ok(()), |_| Err(form.at(Code::FieldDuplicate, path)))
            }
            Some((_, Use::Only(wanted))) => match says(element.text.trim(), wanted) {
                true => Ok(()),
                false => Err(form.at(Code::ValueUnsupported, path)),
            },
            // What is taken out of something known is still taken; the rest of it is let be.
            Some((_, Use::Known)) => self.take_all(element, path, false),
            None if element.has_text() => Err(form.at(Code::FieldType, path)),
            None => self.take_all(element, path, true),
        }
    }

    fn take_all(&mut self, element: &Element, path: &str, all: bool) -> Result<(), Problem> {
        for child in &element.children {
            let path = format!("{path}/{}", child.name);
            if all || self.form.leads_on(&path) || self.form.rows().any(|(known, _)| *known == path) {
                self.take(child, &path)?;
            }
        }
        Ok(())
    }
}

/// A date and time of XML Schema, with its zone or without.
fn is_date_time(text: &str) -> bool {
    let zone = |at: usize| text.get(at..).is_some_and(|zone| zone.starts_with(['+', '-']) && zone.len() == 6);
    let zoneless = text.strip_suffix('Z').unwrap_or(match text.len().checked_sub(6).filter(|at| zone(*at)) {
        Some(at) => text.get(..at).unwrap_or_default(),
        None => text,
    });
    let shape = zoneless.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'.',
        _ => byte.is_ascii_digit(),
    });
    shape && (19..=29).contains(&zoneless.len()) && zoneless.parse::<jiff::civil::DateTime>().is_ok()
}

/// The path around the last step.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether a text says what is wanted. The standard has two ways to write yes and no.
fn says(text: &str, wanted: &str) -> bool {
    text == wanted || matches!((text, wanted), ("1", "true") | ("0", "false"))
}

/// An amount with a decimal point in minor units; `None` where it has more digits than the currency.
pub(super) fn minor_units(text: &str, exponent: u16) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let part = part.trim_end_matches('0');
    let zeros = usize::from(exponent).checked_sub(part.len())?;
    format!("{whole}{part}{}", "0".repeat(zeros)).parse().ok()
}

/// A text as JSON.
fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(text).expect("a text becomes JSON"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::edge::request::{self, CreatePayment};

    const GOOD: &str = "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:caaa.001.001.13'><AccptrAuthstnReq><Hdr><MsgFctn>\
        FAUQ</MsgFctn><PrtcolVrsn>13.0</PrtcolVrsn><XchgId>7</XchgId><CreDtTm>2026-01-01T00:00:00Z</CreDtTm><InitgPty>\
        <Id>shop</Id><Tp>MERC</Tp></InitgPty></Hdr><AuthstnReq><Envt><POI><Id><Id>T1</Id><Tp>OPOI</Tp></Id></POI><Card>\
        <PlainCardData><PAN>4111111111111111</PAN><XpryDt>2030-02</XpryDt></PlainCardData></Card></Envt><Cntxt><PmtCntxt>\
        <TxChanl>ECOM</TxChanl></PmtCntxt></Cntxt><Tx><TxCaptr>true</TxCaptr><TxTp>CRDP</TxTp><TxId><TxDtTm>\
        2026-01-01T00:00:00Z</TxDtTm><TxRef>r-1</TxRef></TxId><TxDtls><Ccy>EUR</Ccy><TtlAmt>12.990</TtlAmt></TxDtls></Tx>\
        </AuthstnReq></AccptrAuthstnReq></Document>";

    fn read(document: &str) -> Result<Question, Problem> {
        Question::read(&Element::parse(document.as_bytes()).unwrap())
    }

    fn payment(document: &str) -> Result<CreatePayment, Problem> {
        let mut question = read(document)?;
        request::read::<CreatePayment>(question.payment()?.as_slice()).map_err(|problem| question.located(problem))
    }

    fn refusal(from: &str, to: &str) -> (Code, String) {
        assert!(GOOD.contains(from), "{from}");
        let problem = payment(&GOOD.replacen(from, to, 1)).unwrap_err();
        (problem.code, problem.xpath.unwrap_or_default().replacen("/Document/AccptrAuthstnReq", "", 1))
    }

    #[test]
    fn a_request_becomes_a_payment() {
        let asked = payment(GOOD).unwrap();
        assert_eq!(
            (asked.reference.as_str(), asked.amount.value.0, asked.amount.currency.as_str()),
            ("r-1", 1299, "EUR")
        );
        let card = asked.card.as_ref().unwrap();
        assert_eq!((&*card.number, card.expiry_year, card.expiry_month), ("4111111111111111", 2030, 2));
        assert_eq!((asked.terminal.as_deref(), asked.capture), (Some("T1"), true));
        let held = GOOD.replace("FAUQ", "AUTQ").replace("<TxCaptr>true", "<TxCaptr>false");
        assert!(!payment(&held).unwrap().capture);
        assert_eq!(read(&held).unwrap().answered_as, "AUTP");
    }

    #[test]
    fn the_key_is_of_the_exchange_and_not_of_what_it_asks_for() {
        let key = |document: &str| read(document).unwrap().key();
        assert_eq!(key(GOOD), key(&GOOD.replace("12.990", "13").replace("<XchgId>7", "<XchgId>8")));
        for (from, to) in [("r-1", "r-2"), (">shop<", ">stall<"), (">T1<", ">T2<"), ("0Z</TxDtTm>", "1Z</TxDtTm>")] {
            assert_ne!(key(GOOD), key(&GOOD.replacen(from, to, 1)), "{to}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused_with_its_path() {
        let at = |code, path: &str| (code, path.to_owned());
        let details = "/AuthstnReq/Tx/TxDtls";
        assert_eq!(
            refusal("<Ccy>", "<CmltvAmt>1</CmltvAmt><Ccy>"),
            at(Code::FieldUnknown, &format!("{details}/CmltvAmt"))
        );
        assert_eq!(refusal("<Ccy>EUR</Ccy>", ""), at(Code::FieldMissing, &format!("{details}/Ccy")));
        assert_eq!(refusal("<Ccy>EUR", "<Ccy>EUX"), at(Code::CurrencyUnknown, &format!("{details}/Ccy")));
        assert_eq!(refusal("12.990", "12.991"), at(Code::FieldType, &format!("{details}/TtlAmt")));
        assert_eq!(refusal("12.990", "-1"), at(Code::FieldType, &format!("{details}/TtlAmt")));
        assert_eq!(refusal("<TtlAmt>", "<TtlAmt Ccy='USD'>"), at(Code::XmlForbidden, &format!("{details}/TtlAmt")));
        assert_eq!(
            refusal("<Ccy>EUR</Ccy>", "<Ccy>EUR</Ccy><Ccy>EUR</Ccy>"),
            at(Code::FieldDuplicate, &format!("{details}/Ccy"))
        );
        assert_eq!(refusal(">CRDP<", ">CSHW<"), at(Code::ValueUnsupported, "/AuthstnReq/Tx/TxTp"));
        assert_eq!(refusal("<TxCaptr>true", "<TxCaptr>false"), at(Code::ValueUnsupported, "/AuthstnReq/Tx/TxCaptr"));
        assert_eq!(refusal("FAUQ", "FCMV"), at(Code::ValueUnsupported, "/Hdr/MsgFctn"));
        assert_eq!(refusal("2030-02", "0230"), at(Code::ExpiryInvalid, "/AuthstnReq/Envt/Card/PlainCardData/XpryDt"));
        assert_eq!(refusal("<PAN>", "<Trck2>1</Trck2><PAN>").0, Code::FieldUnknown);
        assert_eq!(refusal("<AuthstnReq>", "<SctyTrlr/><AuthstnReq>"), at(Code::FieldUnknown, "/SctyTrlr"));
        assert_eq!(refusal("caaa.001.001.13", "caaa.001.001.12"), at(Code::VersionUnknown, ""));
        assert_eq!(refusal("caaa.001.001.13", "caaa.011.001.13"), at(Code::XmlRoot, ""));
        let named = refusal("<PAN>4111111111111111", "<x4111111111111111/><PAN>4111111111111111");
        assert_eq!(named, at(Code::FieldUnknown, "/AuthstnReq/Envt/Card/PlainCardData"));
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let cases = [("12.99", 2, Some(1299)), ("12", 2, Some(1200)), ("12.9", 2, Some(1290)), ("5.000", 0, Some(5))];
        let wrong = [("", 2, None), (".5", 2, None), ("1.005", 2, None), ("1e3", 2, None), ("1.-5", 2, None)];
        for (text, exponent, minor) in cases.into_iter().chain(wrong) {
            assert_eq!(minor_units(text, exponent), minor, "{text}");
        }
        assert_eq!(minor_units("99999999999999999999", 2), None);
    }
}
