//! What could not be taken: `caaa.015`, with the standard's reason and our own code and place.
//!
//! It says as much of the rejected document as could be read of it, and nothing of what was in it. What surprises: a
//! rejection is not a decline. Nothing was asked of a bank, and the same document may be sent again.

use super::answer::{tag, text};
use crate::edge::problem::{Code, Problem};
use crate::payment::Wall;
use crate::xml::Element;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:caaa.015.001.06";

/// How long `AddtlInf` may be.
const INFORMATION: usize = 500;

/// What a document says of itself, as far as it could be read. All of it is fit to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    version: Option<String>,
    exchange: Option<String>,
    initiator: Option<String>,
}

impl Said {
    /// Reads what stands where a header stands, in whatever message.
    pub fn of(root: &Element) -> Said {
        let namespace = root.namespace.as_str();
        let message = root.children.iter().find(|child| child.only(namespace, "Hdr").is_some());
        let Some(header) = message.and_then(|message| message.only(namespace, "Hdr")) else { return Said::default() };
        let read = |name: &str| header.only(namespace, name).map(|element| element.text.trim().to_owned());
        let initiator = header.only(namespace, "InitgPty").and_then(|party| party.only(namespace, "Id"));
        Said {
            version: read("PrtcolVrsn").filter(|text| is_text(text, 6)),
            exchange: read("XchgId").filter(|text| is_exchange(text)),
            initiator: initiator.map(|id| id.text.trim().to_owned()).filter(|text| is_text(text, 35)),
        }
    }
}

/// A text of the standard, `Max6Text` say.
pub(super) fn is_text(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most
}

/// An `ExchangeIdentification`.
pub(super) fn is_exchange(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The standard's word (RejectReason) for each way of saying no.
fn reason(code: Code) -> &'static str {
    use Code::*;
    match code {
        XmlMalformed | XmlForbidden | BodyIncomplete | BodyTooLarge | BodyTimeout => "PARS",
        XmlRoot | ContentType | RouteNotFound | MethodNotAllowed => "MSGT",
        VersionUnknown => "VERS",
        Unauthenticated | SignatureInvalid | SignatureRequired | PayloadUnreadable | PayloadKeyMissing
        | SealingRequired | CardPresentUnsealed => "SECU",
        AddressNotPermitted | OperationNotPermitted | Suspended | TerminalUnknown => "INTP",
        KeyReused | KeyInFlight | NameReused => "DPMG",
        // All that is in the language and yet not a message of this profile.
        code if matches!(code.status(), 400 | 422) => "IMSG",
        _ => "UNPR",
    }
}

/// Writes it over a problem's response, whose status and headers it keeps.
pub(super) fn response(said: &Said, problem: Problem, now: Wall) -> Response<Body> {
    let document = write(said, &problem, now);
    let mut response = problem.into_response();
    *response.body_mut() = Body::from(document);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn write(said: &Said, problem: &Problem, now: Wall) -> String {
    let of =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| tag(name, &text(value))).unwrap_or_default();
    let initiator = said.initiator.as_ref().map(|id| tag("InitgPty", &tag("Id", &text(id)))).unwrap_or_default();
    let header = [
        tag("MsgFctn", "RJCQ"),
        tag("PrtcolVrsn", &text(said.version.as_deref().unwrap_or("13.0"))),
        of("XchgId", &said.exchange),
        tag("CreDtTm", &now.rfc3339()),
        initiator,
    ];
    let place = problem.xpath.as_ref().map(|xpath| format!(" {xpath}")).unwrap_or_default();
    let information: String = format!("{}{place}", problem.code.name()).chars().take(INFORMATION).collect();
    let rejected = [tag("RjctRsn", reason(problem.code)), tag("AddtlInf", &text(&information))];
    let message = [tag("Hdr", &header.concat()), tag("Rjct", &rejected.concat())].concat();
    format!("<Document xmlns=\"{NAMESPACE}\">{}</Document>", tag("AccptrRjctn", &message))
}

/// That what is written of it can be read.
#[cfg(test)]
pub(super) fn is_document(said: &Said, problem: &Problem) {
    let written = write(said, problem, Wall(0));
    assert!(Element::parse(written.as_bytes()).is_ok_and(|root| root.is(NAMESPACE, "Document")), "{written}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REASONS: [&str; 9] = ["UNPR", "IMSG", "PARS", "SECU", "INTP", "RCPP", "DPMG", "VERS", "MSGT"];

    fn said(document: &str) -> Said {
        Said::of(&Element::parse(document.as_bytes()).unwrap())
    }

    #[test]
    fn every_problem_has_a_reason_of_the_standard() {
        for code in Code::ALL {
            assert!(REASONS.contains(&reason(*code)), "{}", code.name());
        }
        assert_eq!((reason(Code::FieldUnknown), reason(Code::AmountNotPositive)), ("IMSG", "IMSG"));
        assert_eq!((reason(Code::PaymentNotFound), reason(Code::Overloaded)), ("UNPR", "UNPR"));
    }

    #[test]
    fn it_says_of_the_document_what_can_be_said() {
        let header = "<Hdr><PrtcolVrsn>13.0</PrtcolVrsn><XchgId>7</XchgId><InitgPty><Id>a&amp;b</Id></InitgPty></Hdr>";
        let whole = said(&format!("<D xmlns='urn:x'><M>{header}</M></D>"));
        let written = write(&whole, &Problem { xpath: Some("/D/M".to_owned()), ..Code::FieldUnknown.into() }, Wall(0));
        let root = Element::parse(written.as_bytes()).unwrap();
        let text = |name: &str| {
            root.all().into_iter().find(|element| element.name == name).map(|element| element.text.to_string())
        };
        assert_eq!(text("XchgId").as_deref(), Some("7"));
        assert_eq!(text("Id").as_deref(), Some("a&b"));
        assert_eq!(text("RjctRsn").as_deref(), Some("IMSG"));
        assert_eq!(text("AddtlInf").as_deref(), Some("field_unknown /D/M"));
        for (from, to) in [("13.0", "13.0.0.0"), (">7<", ">seven<"), (">7<", "><"), ("a&amp;b", &"x".repeat(36))] {
            let part =
                write(&said(&format!("<D><M>{}</M></D>", header.replace(from, to))), &Code::XmlRoot.into(), Wall(0));
            assert!(!part.contains(&format!(">{to}<")), "{to} is not fit to be written: {part}");
        }
        let nothing = write(&Said::default(), &Code::XmlMalformed.into(), Wall(0));
        assert!(nothing.contains("<PrtcolVrsn>13.0</PrtcolVrsn><CreDtTm>"), "{nothing}");
    }
}
