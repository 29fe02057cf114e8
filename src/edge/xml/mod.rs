//! The resources of this API as XML (`specs/isthmus.xsd`): the same names, the same values, another notation.
//!
//! A document is read into the very requests that JSON is read into, `writing` turns the JSON of an answer into XML;
//! `sealed_document` finds what is sealed in one, `signature` what was signed of one. So a request means the same in
//! both notations, down to its fingerprint, and only the names of their faults differ: here a field is named by an
//! XPath, of local names.

mod sealed_document;
mod signature;
mod writing;

pub(super) use sealed_document::SealedDocument;
pub(super) use signature::{Signer, verified};
pub(super) use writing::write;

use super::problem::{Code, Problem};
use super::request::{is_plain, pointer};
use crate::xml::{Element, Fault, Mismatch, Value, item_name};
use axum::http::{HeaderName, header};
use serde::de::DeserializeOwned;

/// The namespace of all elements.
pub const NAMESPACE: &str = "urn:isthmus:v1";

/// The schema, as it is served.
const SCHEMA: &str = include_str!("../../../specs/isthmus.xsd");

/// What has a document of its own.
pub trait Document {
    /// The name of its root.
    const ROOT: &'static str;
}

/// `GET /v1/isthmus.xsd`: the schema, for anyone.
pub(super) async fn schema() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/xml")], SCHEMA)
}

impl Element {
    /// Reads what a merchant sent.
    pub fn read(document: &[u8]) -> Result<Element, Problem> {
        Element::parse(document).map_err(|fault| match fault {
            Fault::Malformed => Code::XmlMalformed.into(),
            Fault::Forbidden => Code::XmlForbidden.into(),
        })
    }
}

/// Reads a request. Its faults name their field by a JSON pointer; [`Problem::in_document`] makes XPaths of them.
pub(super) fn read<T: DeserializeOwned + Document>(root: &Element) -> Result<T, Problem> {
    if !root.is(NAMESPACE, T::ROOT) {
        return Err(Code::XmlRoot.into());
    }
    only_ours(root, String::new())?;
    serde_path_to_error::deserialize(Value(root)).map_err(|error| {
        let mut pointer = pointer(error.path().iter());
        let (code, name) = match error.inner() {
            Mismatch::Unknown(name) => (Code::FieldUnknown, name.as_str()),
            Mismatch::Missing(name) => (Code::FieldMissing, *name),
            Mismatch::Duplicate(name) => (Code::FieldDuplicate, *name),
            Mismatch::Type => return Problem::at(Code::FieldType, pointer),
        };
        // The path of what is unknown or stands twice ends with its name, that of what is missing does not.
        if is_plain(name) && !pointer.ends_with(&format!("/{name}")) {
            pointer.extend(["/", name]);
        }
        Problem::at(code, pointer)
    })
}

/// Nothing of another namespace, and no attributes but the name by which a signature refers to the root.
fn only_ours(element: &Element, pointer: String) -> Result<(), Problem> {
    if element.namespace != NAMESPACE {
        return Err(Problem::at(Code::FieldUnknown, pointer));
    }
    let is_name = |attribute: &str| pointer.is_empty() && signature::ROOT_IDS.contains(&attribute);
    if !element.attributes.iter().all(|(name, _)| is_name(name)) {
        return Err(Problem::at(Code::XmlForbidden, pointer));
    }
    element.children.iter().try_for_each(|child| match is_plain(&child.name) {
        true => only_ours(child, format!("{pointer}/{}", child.name)),
        false => Err(Problem::at(Code::FieldUnknown, pointer.clone())),
    })
}

/// The XPath of what a JSON pointer names in a document.
pub(super) fn xpath(root: &str, pointer: &str) -> String {
    let mut path = format!("/{root}");
    let mut list = root;
    for segment in pointer.split('/').skip(1) {
        match segment.parse::<usize>() {
            Ok(place) => path.push_str(&format!("/{}[{}]", item_name(list), place.saturating_add(1))),
            Err(_) => path.extend(["/", segment]),
        }
        list = segment;
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::edge::request::{self, CreateCapture, CreatePayment, CreateVoid};

    const GOOD: &str = "<payment_request xmlns='urn:isthmus:v1'><reference>r</reference><amount><value>1</value>\
                        <currency>EUR</currency></amount><card><number>4111111111111111</number><expiry_month>12\
                        </expiry_month><expiry_year>2030</expiry_year><cvc>123</cvc></card></payment_request>";

    fn refusal(body: &str) -> (Code, String) {
        let root = Element::read(body.as_bytes());
        let problem = root.and_then(|root| request::read::<CreatePayment>(&root)).unwrap_err();
        (problem.code, problem.pointer.unwrap_or_default())
    }

    fn changed(from: &str, to: &str) -> (Code, String) {
        assert!(GOOD.contains(from));
        refusal(&GOOD.replacen(from, to, 1))
    }

    #[test]
    fn a_good_body_is_read_and_prints_without_its_card() {
        let root = Element::read(GOOD.as_bytes()).unwrap();
        let request: CreatePayment = request::read(&root).unwrap();
        assert_eq!((&*request.card.as_ref().unwrap().number, request.amount.value.0), ("4111111111111111", 1));
        assert!(request.capture && !request.allow_partial);
        assert!(!format!("{request:?}{root:?}").contains("4111"));
        let prefixed = "<i:capture_request xmlns:i='urn:isthmus:v1'><i:final> false </i:final></i:capture_request>";
        let root = Element::read(prefixed.as_bytes()).unwrap();
        assert!(!request::read::<CreateCapture>(&root).unwrap().is_final);
        let root = Element::read(b"<void_request xmlns='urn:isthmus:v1'/>").unwrap();
        assert!(request::read::<CreateVoid>(&root).is_ok());
    }

    #[test]
    fn every_fault_names_its_field() {
        let at = |code, pointer: &str| (code, pointer.to_owned());
        assert_eq!(changed("<value>1</value>", "<value>1.5</value>"), at(Code::FieldType, "/amount/value"));
        assert_eq!(changed("<value>1</value>", "<value/>"), at(Code::FieldType, "/amount/value"));
        assert_eq!(changed("<value>1</value>", ""), at(Code::FieldMissing, "/amount/value"));
        let twice = "<value>1</value><value>2</value>";
        assert_eq!(changed("<value>1</value>", twice), at(Code::FieldDuplicate, "/amount/value"));
        assert_eq!(changed("<cvc>123</cvc>", "<cvv>123</cvv>"), at(Code::FieldUnknown, "/card/cvv"));
        assert_eq!(changed("<cvc>", "<cvc xmlns='urn:other'>"), at(Code::FieldUnknown, "/card/cvc"));
        assert_eq!(changed("<cvc>", "<cvc kind='x'>"), at(Code::XmlForbidden, "/card/cvc"));
        assert_eq!(changed("<reference>r</reference>", ""), at(Code::FieldMissing, "/reference"));
        assert_eq!(changed("<amount>", "<amount>1"), at(Code::FieldType, "/amount"));
        assert_eq!(changed("<reference>r", "<reference><b/>"), at(Code::FieldType, "/reference"));
        assert_eq!(changed("<cvc>123</cvc>", "<x4111111111111111/>"), at(Code::FieldUnknown, "/card"));
        assert_eq!(refusal("<payment_request/>"), at(Code::XmlRoot, ""));
        assert_eq!(refusal("<void_request xmlns='urn:isthmus:v1'/>"), at(Code::XmlRoot, ""));
        assert_eq!(refusal("{}"), at(Code::XmlMalformed, ""));
        assert_eq!(refusal("<!DOCTYPE payment_request><payment_request/>"), at(Code::XmlForbidden, ""));
    }

    #[test]
    fn huge_amounts_stay_huge() {
        for (text, minor) in [("99999999999999999999999", i128::MAX), ("-99999999999999999999999", i128::MIN)] {
            let body = GOOD.replace("<value>1<", &format!("<value>{text}<"));
            let root = Element::read(body.as_bytes()).unwrap();
            assert_eq!(request::read::<CreatePayment>(&root).unwrap().amount.value.0, minor);
        }
    }

    #[test]
    fn a_pointer_becomes_a_path() {
        assert_eq!(xpath("payment_request", "/card/number"), "/payment_request/card/number");
        assert_eq!(xpath("payment_request", "/items/2/name"), "/payment_request/items/item[3]/name");
        assert_eq!(xpath("void_request", ""), "/void_request");
    }
}
