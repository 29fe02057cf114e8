//! What a merchant sends: shapes, and how a body that does not have them is refused. JSON is read here, XML by
//! [`super::xml`] into the same shapes.
//!
//! Every error names its field by a JSON pointer and repeats nothing of a value: serde's own messages quote what they
//! found, so they are read for their kind and thrown away. Unknown fields, fields that stand twice, and arrays in place
//! of objects are refused; deep nesting cannot pass shapes that have two levels.

use super::problem::{Code, Problem};
use super::xml::{self, Document};
use crate::xml::Element;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_path_to_error::Segment;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use zeroize::Zeroizing;

/// Body of `POST /v1/payments`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePayment {
    /// The merchant's own reference.
    pub reference: String,
    /// How much.
    pub amount: Object<Money>,
    /// Whether to capture at once.
    #[serde(default = "yes")]
    pub capture: bool,
    /// Whether an approval for less is welcome.
    #[serde(default)]
    pub allow_partial: bool,
    /// The card.
    pub card: Option<Object<CardFields>>,
    /// A card that is there, in its stead.
    pub card_present: Option<Object<CardPresentFields>>,
    /// A card that the merchant has left here, in its stead.
    pub token: Option<Object<TokenFields>>,
    /// Terminal identification; the merchant's first one if absent.
    pub terminal: Option<String>,
    /// What 3-D Secure gave.
    pub three_ds: Option<Object<ThreeDsFields>>,
    /// What the card is stored for, where it is stored.
    pub stored_credential: Option<Object<StoredCredentialFields>>,
    /// What one business buys of another.
    pub purchase: Option<Object<PurchaseFields>>,
    /// What the merchant keeps with the payment.
    #[serde(default)]
    pub metadata: Metadata,
}

/// Body of `POST /v1/payments/{id}/captures`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCapture {
    /// How much; all that is left if absent.
    pub amount: Option<Object<Money>>,
    /// Whether it is the last one.
    #[serde(rename = "final", default = "yes")]
    pub is_final: bool,
}

/// Body of `POST /v1/payments/{id}/increments`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateIncrement {
    /// How much more.
    pub amount: Object<Money>,
}

/// Body of `POST /v1/payments/{id}/refunds`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRefund {
    /// How much; all that is left if absent.
    pub amount: Option<Object<Money>>,
}

/// Body of `POST /v1/payments/{id}/voids`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateVoid {}

/// Body of `POST /v1/verifications`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct CreateVerification(pub Inquiry);

/// Body of `POST /v1/balance-inquiries`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct CreateBalanceInquiry(pub Inquiry);

/// A question about a card.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inquiry {
    /// The merchant's own reference.
    pub reference: String,
    /// ISO 4217, alphabetic: of the zero amount, or of the account.
    pub currency: String,
    /// The card.
    pub card: Option<Object<CardFields>>,
    /// A card that the merchant has left here, in its stead.
    pub token: Option<Object<TokenFields>>,
    /// Terminal identification; the merchant's first one if absent.
    pub terminal: Option<String>,
}

/// Body of `POST /v1/tokens`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// The card to keep; a verification code is read and forgotten.
    pub card: Object<CardFields>,
}

/// An amount as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units.
    pub value: Minor,
    /// ISO 4217, alphabetic.
    pub currency: String,
}

/// A card as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardFields {
    /// Digits without separators.
    pub number: Secret,
    /// 1 to 12.
    pub expiry_month: i64,
    /// Four digits.
    pub expiry_year: i64,
    /// Three or four digits.
    pub cvc: Option<Secret>,
}

/// A card that was left here, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFields {
    /// Its token.
    pub id: String,
    /// Three or four digits, where the cardholder was asked for them.
    pub cvc: Option<Secret>,
}

/// Texts by name, each name once.
#[derive(Debug, Default)]
pub struct Metadata(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let text = map.next_value()?;
            if metadata.insert(name.clone(), text).is_some() {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        Ok(Metadata(metadata))
    }
}

/// Results of 3-D Secure as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreeDsFields {
    /// Two digits.
    pub eci: String,
    /// 20 bytes in base64; absent where the card was not enrolled.
    pub cryptogram: Option<Secret>,
    /// The directory server's transaction identifier, a UUID.
    pub transaction_id: Option<String>,
}

/// The use of a stored card as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCredentialFields {
    /// `first`, or what a later payment is.
    pub usage: String,
    /// The network's reference of the first payment.
    pub network_reference: Option<String>,
}

/// A card that is there, as its reader gave it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardPresentFields {
    /// chip, contactless or swipe.
    pub entry_mode: String,
    /// Track 2, or its image on the chip.
    pub track2: Secret,
    /// Chip data, in hexadecimal digits.
    pub emv: Option<Secret>,
    /// The PIN.
    pub pin: Option<Object<PinFields>>,
}

/// A PIN block as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinFields {
    /// ISO 9564 format.
    pub format: i64,
    /// The block, in hexadecimal digits.
    pub block: Secret,
    /// Key serial number (DUKPT), in hexadecimal digits.
    pub ksn: Option<String>,
    /// The name of a key that stays.
    pub key: Option<String>,
}

/// What one business buys of another, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseFields {
    /// The buyer's own reference.
    pub customer_reference: Option<String>,
    /// Number of the invoice.
    pub invoice: Option<String>,
    /// Minor units, in the payment's currency.
    pub tax: Option<Minor>,
}

fn yes() -> bool {
    true
}

/// What a POST that asks a bank for something says.
pub trait Asking: DeserializeOwned + Document {
    /// The token by which it names its card.
    fn token(&self) -> Option<&TokenFields> {
        None
    }
}

impl Asking for CreatePayment {
    fn token(&self) -> Option<&TokenFields> {
        self.token.as_deref()
    }
}

impl Asking for CreateVerification {
    fn token(&self) -> Option<&TokenFields> {
        self.0.token.as_deref()
    }
}

impl Asking for CreateBalanceInquiry {
    fn token(&self) -> Option<&TokenFields> {
        self.0.token.as_deref()
    }
}

impl Asking for CreateCapture {}

impl Asking for CreateIncrement {}

impl Asking for CreateRefund {}

impl Asking for CreateVoid {}

impl Document for CreatePayment {
    const ROOT: &'static str = "payment_request";
}

impl Document for CreateCapture {
    const ROOT: &'static str = "capture_request";
}

impl Document for CreateIncrement {
    const ROOT: &'static str = "increment_request";
}

impl Document for CreateRefund {
    const ROOT: &'static str = "refund_request";
}

impl Document for CreateVoid {
    const ROOT: &'static str = "void_request";
}

impl Document for CreateVerification {
    const ROOT: &'static str = "verification_request";
}

impl Document for CreateBalanceInquiry {
    const ROOT: &'static str = "balance_inquiry_request";
}

impl Document for CreateToken {
    const ROOT: &'static str = "token_request";
}

/// A body in one of its notations.
#[derive(Clone, Copy, Debug)]
pub enum Sent<'a> {
    /// JSON, unread.
    Json(&'a [u8]),
    /// The root of an XML document.
    Xml(&'a Element),
}

impl<'a> From<&'a [u8]> for Sent<'a> {
    fn from(json: &'a [u8]) -> Sent<'a> {
        Sent::Json(json)
    }
}

impl<'a> From<&'a Element> for Sent<'a> {
    fn from(root: &'a Element) -> Sent<'a> {
        Sent::Xml(root)
    }
}

/// Reads a body.
pub fn read<'a, T: DeserializeOwned + Document>(body: impl Into<Sent<'a>>) -> Result<T, Problem> {
    match body.into() {
        Sent::Json(json) => read_json(json),
        Sent::Xml(root) => xml::read(root),
    }
}

/// Reads JSON. An empty body is taken for `{}`.
fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| refused(&error))?;
    json.end().map_err(|_| Code::JsonMalformed)?;
    Ok(value)
}

/// Any bytes as each of the requests, for a fuzzer: a value or a problem, never a panic.
pub fn fuzz(body: &[u8]) {
    fuzz_each(body.into());
    if let Ok(root) = Element::read(body) {
        fuzz_each(Sent::Xml(&root));
    }
}

fn fuzz_each(body: Sent<'_>) {
    let _ = read::<CreatePayment>(body);
    let _ = read::<CreateCapture>(body);
    let _ = read::<CreateIncrement>(body);
    let _ = read::<CreateRefund>(body);
    let _ = read::<CreateVoid>(body);
    let _ = read::<CreateVerification>(body);
    let _ = read::<CreateBalanceInquiry>(body);
    let _ = read::<CreateToken>(body);
}

fn refused(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if error.inner().classify() != serde_json::error::Category::Data {
        return Code::JsonMalformed.into();
    }
    let message = error.inner().to_string();
    let kinds = [
        ("unknown field `", Code::FieldUnknown),
        ("missing field `", Code::FieldMissing),
        ("duplicate field `", Code::FieldDuplicate),
    ];
    let found = kinds.iter().find_map(|(start, code)| Some((*code, message.strip_prefix(start)?)));
    let mut pointer = pointer(error.path().iter());
    let Some((code, rest)) = found else { return Problem::at(Code::FieldType, pointer) };
    if let Some((name, _)) = rest.split_once('`')
        && is_plain(name)
        && !pointer.ends_with(&format!("/{name}"))
    {
        pointer.push('/');
        pointer.push_str(name);
    }
    Problem::at(code, pointer)
}

/// A path as a JSON pointer.
pub(super) fn pointer<'a>(path: impl Iterator<Item = &'a Segment>) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } if is_plain(key) => pointer.extend(["/", key]),
            Segment::Seq { index } => pointer.extend(["/", &index.to_string()]),
            _ => break,
        }
    }
    pointer
}

/// Whether a name may be repeated in an answer: a word, and no card number in disguise.
pub(super) fn is_plain(name: &str) -> bool {
    let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    word && name.len() <= 64 && name.bytes().filter(u8::is_ascii_digit).count() < 6
}

/// A JSON object. What serde derives for a struct takes an array as well; this does not.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A count of minor units as written: any integer, judged later. What JSON writes beyond 64 bits saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minor(pub i128);

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Minor, D::Error> {
        deserializer.deserialize_any(MinorVisitor)
    }
}

struct MinorVisitor;

impl Visitor<'_> for MinorVisitor {
    type Value = Minor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Minor, E> {
        Ok(Minor(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Minor, E> {
        Ok(Minor(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Minor, E> {
        match value.abs() >= 1e19 {
            true => Ok(Minor(if value > 0.0 { i128::MAX } else { i128::MIN })),
            false => Err(E::invalid_type(de::Unexpected::Float(value), &self)),
        }
    }
}

/// Text that prints masked and is wiped.
pub struct Secret(Zeroizing<String>);

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_str(SecretVisitor)
    }
}

struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = r#"{"reference":"r","amount":{"value":1,"currency":"EUR"},
        "card":{"number":"4111111111111111","expiry_month":12,"expiry_year":2030,"cvc":"123"}}"#;

    fn refusal(body: &str) -> (Code, String) {
        let problem = read::<CreatePayment>(body.as_bytes()).unwrap_err();
        (problem.code, problem.pointer.unwrap_or_default())
    }

    fn changed(from: &str, to: &str) -> (Code, String) {
        assert!(GOOD.contains(from));
        refusal(&GOOD.replacen(from, to, 1))
    }

    #[test]
    fn a_good_body_is_read_and_prints_without_its_card() {
        let request: CreatePayment = read(GOOD.as_bytes()).unwrap();
        assert_eq!((&*request.card.as_ref().unwrap().number, request.amount.value), ("4111111111111111", Minor(1)));
        assert!(request.capture && !request.allow_partial);
        let printed = format!("{request:?}");
        assert!(!printed.contains("4111") && !printed.contains("123\""), "{printed}");
    }

    #[test]
    fn every_fault_names_its_field() {
        let at = |code, pointer: &str| (code, pointer.to_owned());
        assert_eq!(changed("\"value\":1", "\"value\":\"1\""), at(Code::FieldType, "/amount/value"));
        assert_eq!(changed("\"value\":1", "\"value\":1.5"), at(Code::FieldType, "/amount/value"));
        assert_eq!(changed("\"value\":1,", ""), at(Code::FieldMissing, "/amount/value"));
        assert_eq!(changed("\"value\":1", "\"value\":1,\"value\":2"), at(Code::FieldDuplicate, "/amount/value"));
        assert_eq!(changed("\"cvc\"", "\"cvv\""), at(Code::FieldUnknown, "/card/cvv"));
        assert_eq!(changed("\"reference\":\"r\",", ""), at(Code::FieldMissing, "/reference"));
        assert_eq!(changed("\"reference\"", "\"Reference\""), at(Code::FieldUnknown, "/Reference"));
        assert_eq!(changed("{\"value\":1,\"currency\":\"EUR\"}", "[1,\"EUR\"]"), at(Code::FieldType, "/amount"));
        assert_eq!(changed("\"4111111111111111\"", "4111111111111111"), at(Code::FieldType, "/card/number"));
        let metadata = |text: &str| changed("{\"reference\"", &format!("{{\"metadata\":{text},\"reference\""));
        assert_eq!(metadata(r#"{"a":"1","a":"2"}"#), at(Code::FieldDuplicate, "/metadata/a"));
        assert_eq!(metadata(r#"{"a":1}"#), at(Code::FieldType, "/metadata/a"));
        assert_eq!(metadata("[]"), at(Code::FieldType, "/metadata"));
        assert_eq!(refusal("[]"), at(Code::FieldType, ""));
        assert_eq!(refusal(""), at(Code::FieldMissing, "/reference"));
    }

    #[test]
    fn what_is_not_json_is_said_to_be_so() {
        for body in ["{", "nonsense", "{}x", "{\"reference\":\"\u{1}\"}", "{\"a\":NaN}"] {
            let (code, _) = refusal(body);
            assert!(matches!(code, Code::JsonMalformed | Code::FieldUnknown | Code::FieldMissing), "{body}: {code:?}");
        }
        assert_eq!(refusal(&format!("{GOOD}}}")).0, Code::JsonMalformed);
        let latin = read::<CreatePayment>(b"{\"reference\":\"\xe9\"}".as_slice()).unwrap_err();
        assert_eq!(latin.code, Code::JsonMalformed);
        let deep = format!("{{\"reference\":{}", "[".repeat(100_000));
        assert_eq!(refusal(&deep).0, Code::FieldType);
    }

    #[test]
    fn a_card_number_in_the_place_of_a_name_is_not_repeated() {
        assert_eq!(changed("\"cvc\"", "\"4111111111111111\""), (Code::FieldUnknown, "/card".to_owned()));
    }

    #[test]
    fn any_bytes_give_a_value_or_a_problem() {
        for place in 0..GOOD.len() {
            fuzz(&GOOD.as_bytes()[..place]);
            for byte in [0, b'"', b'{', b'}', b'[', b'-', b'9', 0x80, 0xff] {
                let mut changed = GOOD.as_bytes().to_vec();
                changed[place] = byte;
                fuzz(&changed);
            }
        }
    }

    /// The fields that a shape knows, in serde's own words.
    fn fields<T: DeserializeOwned>() -> std::collections::BTreeSet<String> {
        let told = serde_json::from_str::<Object<T>>("{\"?\": 0}").err().unwrap().to_string();
        let expected = told.split_once("expected").map_or("", |(_, expected)| expected);
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_document_describes_these_shapes() {
        let document: serde_json::Value = serde_json::from_str(crate::edge::OPENAPI).unwrap();
        let shapes = [
            ("PaymentRequest", fields::<CreatePayment>()),
            ("CaptureRequest", fields::<CreateCapture>()),
            ("IncrementRequest", fields::<CreateIncrement>()),
            ("RefundRequest", fields::<CreateRefund>()),
            ("VoidRequest", fields::<CreateVoid>()),
            ("VerificationRequest", fields::<CreateVerification>()),
            ("BalanceInquiryRequest", fields::<CreateBalanceInquiry>()),
            ("TokenRequest", fields::<CreateToken>()),
            ("Amount", fields::<Money>()),
            ("Card", fields::<CardFields>()),
            ("CardByToken", fields::<TokenFields>()),
            ("ThreeDs", fields::<ThreeDsFields>()),
            ("StoredCredential", fields::<StoredCredentialFields>()),
            ("Purchase", fields::<PurchaseFields>()),
            ("CardPresent", fields::<CardPresentFields>()),
            ("Pin", fields::<PinFields>()),
        ];
        for (name, fields) in shapes {
            let properties = document["components"]["schemas"][name]["properties"].as_object().unwrap();
            assert_eq!(fields, properties.keys().cloned().collect(), "{name}");
        }
        let required = &document["components"]["schemas"]["PaymentRequest"]["required"];
        let mut good: serde_json::Value = serde_json::from_str(GOOD).unwrap();
        for name in required.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let taken = good.as_object_mut().unwrap().remove(name).unwrap();
            assert_eq!(refusal(&good.to_string()), (Code::FieldMissing, format!("/{name}")));
            good[name] = taken;
        }
        assert!(read::<CreatePayment>(good.to_string().as_bytes()).is_ok(), "nothing else is required");
    }

    #[test]
    fn huge_amounts_stay_huge() {
        for (text, minor) in
            [("99999999999999999999999", i128::MAX), ("-1e40", i128::MIN), ("18446744073709551615", u64::MAX.into())]
        {
            let request: CreatePayment =
                read(GOOD.replace("\"value\":1", &format!("\"value\":{text}")).as_bytes()).unwrap();
            assert_eq!(request.amount.value, Minor(minor));
        }
    }
}
