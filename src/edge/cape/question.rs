//! `caaa.001`, AcceptorAuthorisationRequest, as the JSON of a payment.

use super::version;
use crate::edge::problem::{Code, Problem};
use crate::edge::request::is_plain;
use crate::payment::Currency;
use crate::transaction::IdempotencyKey;
use crate::xml::Element;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The document's root and the message in it.
const ROOT: &str = "/Document/AccptrAuthstnReq";

const TERMINAL: &str = "AuthstnReq/Envt/POI/Id/Id";
const NUMBER: &str = "AuthstnReq/Envt/Card/PlainCardData/PAN";
const EXPIRY: &str = "AuthstnReq/Envt/Card/PlainCardData/XpryDt";

/// What is made of an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It becomes what a JSON pointer names (its faults are this element's), or is kept for the response.
    Taken(&'static str),
    /// It may stand there, with all that is in it: the register knows better, or the bank is not told.
    Known,
    /// It may stand there and must say this.
    Only(&'static str),
}

use Use::{Known, Only, Taken};

/// Every element that may stand in a request, by its path in the message.
const TABLE: &[(&str, Use)] = &[
    ("Hdr/MsgFctn", Taken("/capture")),
    ("Hdr/PrtcolVrsn", Taken("")),
    ("Hdr/XchgId", Taken("")),
    ("Hdr/ReTrnsmssnCntr", Known),
    ("Hdr/CreDtTm", Known),
    ("Hdr/InitgPty/Id", Taken("")),
    ("Hdr/InitgPty", Known),
    ("Hdr/RcptPty", Known),
    ("Hdr/Tracblt", Known),
    ("AuthstnReq/Envt/Acqrr", Known),
    ("AuthstnReq/Envt/SvcPrvdr", Known),
    ("AuthstnReq/Envt/Mrchnt", Known),
    (TERMINAL, Taken("/terminal")),
    ("AuthstnReq/Envt/POI/Id", Known),
    ("AuthstnReq/Envt/POI", Known),
    (NUMBER, Taken("/card/number")),
    (EXPIRY, Taken("/card/expiry_year")),
    ("AuthstnReq/Envt/Card/PlainCardData/CrdhldrNm", Known),
    ("AuthstnReq/Envt/Card/CardBrnd", Known),
    ("AuthstnReq/Envt/Card/CardCtryCd", Known),
    ("AuthstnReq/Cntxt/PmtCntxt/CardPres", Only("false")),
    ("AuthstnReq/Cntxt/PmtCntxt/CrdhldrPres", Only("false")),
    ("AuthstnReq/Cntxt/PmtCntxt/AttnddInd", Known),
    ("AuthstnReq/Cntxt/PmtCntxt/TxEnvt", Known),
    ("AuthstnReq/Cntxt/PmtCntxt/TxChanl", Only("ECOM")),
    ("AuthstnReq/Cntxt/PmtCntxt/CardDataNtryMd", Only("PHYS")),
    ("AuthstnReq/Cntxt/SaleCntxt", Known),
    ("AuthstnReq/Tx/TxCaptr", Taken("")),
    ("AuthstnReq/Tx/TxTp", Only("CRDP")),
    ("AuthstnReq/Tx/MrchntCtgyCd", Known),
    ("AuthstnReq/Tx/SaleRefId", Known),
    ("AuthstnReq/Tx/TxId/TxDtTm", Taken("")),
    ("AuthstnReq/Tx/TxId/TxRef", Taken("/reference")),
    ("AuthstnReq/Tx/InitrTxId", Known),
    ("AuthstnReq/Tx/RcncltnId", Known),
    ("AuthstnReq/Tx/TxDtls/Ccy", Taken("/amount/currency")),
    ("AuthstnReq/Tx/TxDtls/TtlAmt", Taken("/amount/value")),
    ("AuthstnReq/Tx/TxDtls/AmtQlfr", Only("ACTL")),
    ("AuthstnReq/Tx/MrchntRefData", Known),
];

/// A request as it was understood.
pub(super) struct Question {
    /// Namespace of the response.
    pub answered_in: &'static str,
    /// The texts of what is taken, by path.
    taken: BTreeMap<&'static str, Zeroizing<String>>,
    currency: Currency,
    minor: u64,
}

impl Question {
    /// Reads a document.
    pub fn read(root: &Element) -> Result<Question, Problem> {
        let answered_in = version(&root.namespace)?;
        let message = match &root.children[..] {
            // Not every client calls the root `Document`: python-iso20022 names it after a class of its own.
            [message] if message.is(&root.namespace, "AccptrAuthstnReq") => message,
            _ => return Err(Code::XmlRoot.into()),
        };
        let mut taken = BTreeMap::new();
        message.children.iter().try_for_each(|child| take(child, &child.name, &root.namespace, &mut taken))?;
        // The schema leaves out more than a payment can do without; the merchant's first terminal it can.
        let mut needed = TABLE.iter().filter(|(path, used)| matches!(used, Taken(_)) && *path != TERMINAL);
        if let Some((path, _)) = needed.find(|(path, _)| !taken.contains_key(path)) {
            return Err(at(Code::FieldMissing, path));
        }
        let text = |path: &str| taken.get(path).map_or("", |text: &Zeroizing<String>| text.as_str());
        let (currency, amount) = ("AuthstnReq/Tx/TxDtls/Ccy", "AuthstnReq/Tx/TxDtls/TtlAmt");
        let currency = Currency::from_code(text(currency)).ok_or_else(|| at(Code::CurrencyUnknown, currency))?;
        let minor = minor_units(text(amount), currency.exponent()).ok_or_else(|| at(Code::FieldType, amount))?;
        Ok(Question { answered_in, taken, currency, minor })
    }

    /// The text of what was taken.
    pub fn text(&self, path: &str) -> &str {
        self.taken.get(path).map(|text| text.as_str()).unwrap_or_default()
    }

    /// Whether the money is to be captured at once. Function and flag say it both, and must say the same.
    fn captures(&self) -> Result<bool, Problem> {
        let captures = match self.text("Hdr/MsgFctn") {
            "FAUQ" => true,
            "AUTQ" => false,
            _ => return Err(at(Code::ValueUnsupported, "Hdr/MsgFctn")),
        };
        match self.text("AuthstnReq/Tx/TxCaptr") {
            "true" | "1" if captures => Ok(true),
            "false" | "0" if !captures => Ok(false),
            _ => Err(at(Code::ValueUnsupported, "AuthstnReq/Tx/TxCaptr")),
        }
    }

    /// The function of the response.
    pub fn answering_function(&self) -> &'static str {
        if self.text("Hdr/MsgFctn") == "FAUQ" { "FAUP" } else { "AUTP" }
    }

    /// The body of `POST /v1/payments` that asks the same. The card number is given away with it.
    pub fn payment(&mut self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let (year, month) = self.expiry()?;
        let (capture, minor) = (self.captures()?.to_string(), self.minor.to_string());
        let reference = quoted(self.text("AuthstnReq/Tx/TxId/TxRef"));
        let number = quoted(&self.taken.remove(NUMBER).unwrap_or_default());
        let terminal = self.taken.get(TERMINAL).map(|terminal| quoted(terminal));
        let terminal = terminal.as_ref().map_or("null", |terminal| terminal.as_str());
        let (year, month) = (year.to_string(), month.to_string());
        let pieces: [[&str; 2]; 9] = [
            ["{\"reference\":", &reference],
            [",\"capture\":", &capture],
            [",\"terminal\":", terminal],
            [",\"amount\":{\"value\":", &minor],
            [",\"currency\":\"", self.currency.code()],
            ["\"},\"card\":{\"number\":", &number],
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

    /// Year and month of expiry, written as `2030-12`.
    fn expiry(&self) -> Result<(u16, u16), Problem> {
        let number = |digits: &str, count| {
            let is_number = digits.len() == count && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        let (year, month) = self.text(EXPIRY).split_once('-').unwrap_or_default();
        number(year, 4).zip(number(month, 2)).ok_or_else(|| at(Code::ExpiryInvalid, EXPIRY))
    }

    /// A problem of that body, at the element from which its field came.
    pub fn located(&self, problem: Problem) -> Problem {
        // Both halves of the date of expiry come from one element.
        let pointer = problem.pointer.as_deref().map(|pointer| pointer.replace("expiry_month", "expiry_year"));
        let row = TABLE.iter().find(|(_, used)| matches!(used, Taken(field) if Some(*field) == pointer.as_deref()));
        row.map_or(problem.code.into(), |(path, _)| at(problem.code, path))
    }

    /// The key of the exchange: who initiated it, at which point of interaction, its reference and time. What is asked
    /// for belongs to the body, so that the same exchange with another amount is refused.
    pub fn key(&self) -> IdempotencyKey {
        let parts = ["Hdr/InitgPty/Id", TERMINAL, "AuthstnReq/Tx/TxId/TxRef", "AuthstnReq/Tx/TxId/TxDtTm"];
        let mut hash = Sha256::new();
        for part in parts.map(|path| self.text(path)) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key = format!("caaa-{}", HEXLOWER.encode(&hash.finalize()));
        IdempotencyKey::new(&key).expect("letters and hexadecimal digits are visible")
    }
}

/// Takes what the table says of an element and of those in it.
fn take(
    element: &Element,
    path: &str,
    namespace: &str,
    taken: &mut BTreeMap<&'static str, Zeroizing<String>>,
) -> Result<(), Problem> {
    let row = TABLE.iter().find(|(known, _)| *known == path);
    let leads_on = || TABLE.iter().any(|(known, _)| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    if element.namespace != namespace || !(row.is_some() || leads_on()) {
        return Err(at(Code::FieldUnknown, if is_plain(&element.name) { path } else { parent(path) }));
    }
    if !element.attributes.is_empty() {
        return Err(at(Code::XmlForbidden, path));
    }
    let is_leaf = element.children.is_empty();
    match row {
        Some((known, Taken(_))) if is_leaf => {
            let text = Zeroizing::new(element.text.trim().to_owned());
            taken.insert(*known, text).map_or(Ok(()), |_earlier| Err(at(Code::FieldDuplicate, known)))
        }
        Some((known, Only(wanted))) if is_leaf => {
            (element.text.trim() == *wanted).then_some(()).ok_or_else(|| at(Code::ValueUnsupported, known))
        }
        Some((known, Taken(_) | Only(_))) => Err(at(Code::FieldType, known)),
        // What is taken out of something known is still taken; the rest of it is let be.
        Some((_, Known)) => element.children.iter().try_for_each(|child| {
            let path = format!("{path}/{}", child.name);
            let is_ours = TABLE.iter().any(|(known, _)| *known == path || known.starts_with(&format!("{path}/")));
            if is_ours { take(child, &path, namespace, taken) } else { Ok(()) }
        }),
        None if element.has_text() => Err(at(Code::FieldType, path)),
        None => element
            .children
            .iter()
            .try_for_each(|child| take(child, &format!("{path}/{}", child.name), namespace, taken)),
    }
}

/// The path around the last step.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn at(code: Code, path: &str) -> Problem {
    let path = if path.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{path}") };
    Problem { xpath: Some(path), ..code.into() }
}

/// An amount with a decimal point in minor units; `None` where it has more digits than the currency.
fn minor_units(text: &str, exponent: u16) -> Option<u64> {
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
        (problem.code, problem.xpath.unwrap_or_default().replacen(ROOT, "", 1))
    }

    #[test]
    fn a_request_becomes_a_payment() {
        let asked = payment(GOOD).unwrap();
        assert_eq!(
            (asked.reference.as_str(), asked.amount.value.0, asked.amount.currency.as_str()),
            ("r-1", 1299, "EUR")
        );
        assert_eq!(
            (&*asked.card.number, asked.card.expiry_year, asked.card.expiry_month),
            ("4111111111111111", 2030, 2)
        );
        assert_eq!((asked.terminal.as_deref(), asked.capture), (Some("T1"), true));
        let held = GOOD.replace("FAUQ", "AUTQ").replace("<TxCaptr>true", "<TxCaptr>false");
        assert!(!payment(&held).unwrap().capture);
        assert_eq!(read(&held).unwrap().answering_function(), "AUTP");
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
        assert_eq!(refusal("caaa.001.001.13", "caaa.001.001.12"), at(Code::XmlRoot, ""));
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
