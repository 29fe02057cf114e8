//! Every way in which the door says no: RFC 9457 problems with a stable `code`, one table.
//!
//! 400 is a request that is not in the language of this API, 422 one that is and asks for something unacceptable, 409
//! one that does not fit the state of things. A problem never repeats what was sent, and is never sealed.

use super::xml::xpath;
use crate::switch::Refusal;
use crate::transaction::Illegal;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::time::Duration;

macro_rules! problem_codes {
    ($($variant:ident $status:literal $name:literal $title:literal;)*) => {
        /// The codes of problems.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// A sentence for people.
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

problem_codes! {
    JsonMalformed 400 "json_malformed" "The body is not JSON in UTF-8.";
    XmlMalformed 400 "xml_malformed" "The body is not an XML document in UTF-8.";
    XmlForbidden 400 "xml_forbidden" "The body has a document type, an entity, an instruction or an attribute that is not taken here, or too much of something.";
    XmlRoot 400 "xml_root" "The root is not the element of this resource, or not in the namespace of this API.";
    FieldMissing 400 "field_missing" "A required field is missing.";
    FieldUnknown 400 "field_unknown" "There is no such field.";
    FieldDuplicate 400 "field_duplicate" "A field stands twice.";
    FieldType 400 "field_type" "A field has the wrong type.";
    KeyMissing 400 "idempotency_key_missing" "A POST needs an Idempotency-Key header.";
    KeyInvalid 400 "idempotency_key_invalid" "An Idempotency-Key is 1 to 255 visible ASCII characters, once.";
    EnvelopeInvalid 400 "envelope_invalid" "The frame is not an envelope that asks something.";
    OperationUnknown 400 "operation_unknown" "There is no such operation.";
    SignatureInvalid 400 "signature_invalid" "The signature does not hold.";
    PayloadUnreadable 400 "payload_unreadable" "The sealed payload cannot be opened.";
    VersionUnknown 400 "version_unknown" "This service does not speak that version of the API.";
    QueryMalformed 400 "query_malformed" "The query is not percent-encoded UTF-8.";
    ParameterUnknown 400 "parameter_unknown" "There is no such query parameter.";
    ParameterDuplicate 400 "parameter_duplicate" "A query parameter stands twice.";
    ReferenceUnlikely 400 "parameter_reference_invalid" "A reference is 1 to 64 printable ASCII characters.";
    KeyUnlikely 400 "parameter_idempotency_key_invalid" "An Idempotency-Key is 1 to 255 visible ASCII characters.";
    StatusUnknown 400 "parameter_status_invalid" "There is no such payment status.";
    TimeInvalid 400 "parameter_time_invalid" "A time is written as in RFC 3339, as in 2026-12-31T23:59:59Z.";
    CursorInvalid 400 "parameter_cursor_invalid" "A cursor is a next_cursor of this list, unchanged.";
    LimitInvalid 400 "parameter_limit_invalid" "A limit is a number from 1 to 100.";
    BodyIncomplete 400 "body_incomplete" "The body ended before its end.";
    Unauthenticated 401 "unauthenticated" "No valid proof of who asks.";
    AddressNotPermitted 403 "address_not_permitted" "This merchant may not ask from this address.";
    OperationNotPermitted 403 "operation_not_permitted" "This merchant, or this key, may not ask for this.";
    Suspended 403 "merchant_suspended" "This merchant may only read.";
    SealingRequired 403 "sealing_required" "This merchant's payloads must be sealed.";
    SignatureRequired 403 "signature_required" "This merchant's payloads must be signed.";
    CardPresentUnsealed 403 "card_present_unsealed" "What a reader gives of a card is taken only where it comes sealed.";
    PayloadKeyMissing 403 "payload_key_missing" "This merchant has no key to which an answer can be sealed.";
    RouteNotFound 404 "not_found" "There is no such resource.";
    PaymentNotFound 404 "payment_not_found" "There is no such payment.";
    InquiryNotFound 404 "inquiry_not_found" "There is no such inquiry.";
    TokenNotFound 404 "token_not_found" "There is no such token.";
    MethodNotAllowed 405 "method_not_allowed" "The resource does not know this method.";
    BodyTimeout 408 "body_timeout" "The body did not arrive in time.";
    NotAuthorized 409 "payment_not_authorized" "The payment was not authorised.";
    FullyCaptured 409 "payment_fully_captured" "The payment is fully captured.";
    AboveAuthorized 409 "amount_above_authorized" "The amount is above what is left to capture.";
    Voided 409 "payment_voided" "The payment was voided.";
    RefundedAlready 409 "payment_refunded" "A payment that was refunded cannot be voided.";
    DayClosed 409 "business_day_closed" "The day on which it was captured is closed; refund it instead.";
    NothingCaptured 409 "nothing_captured" "Nothing was captured.";
    AboveCaptured 409 "amount_above_captured" "The amount is above what is left to refund.";
    FullyRefunded 409 "payment_fully_refunded" "Everything was refunded.";
    CurrencyMismatch 409 "currency_mismatch" "The amount is in another currency than the payment.";
    AmountZero 409 "amount_zero" "The amount must be above zero.";
    OutcomeOpen 409 "outcome_open" "The outcome of an earlier operation is not known yet.";
    CapturedAlready 409 "payment_captured" "Something of the payment was captured.";
    TooLarge 409 "authorized_too_large" "The payment would hold more than an amount can say.";
    TooManyOperations 409 "too_many_operations" "The payment has had as many operations as one can have.";
    KeyInFlight 409 "idempotency_key_in_flight" "A request with this key is still in flight; ask again later.";
    PaymentBusy 409 "payment_busy" "Too many operations wait on this payment.";
    CardNotStored 409 "card_not_stored" "The card of this payment is no longer stored.";
    TokenDeleted 409 "token_deleted" "The token that this key made was deleted.";
    BodyTooLarge 413 "body_too_large" "The body is too large.";
    ContentType 415 "content_type_unsupported" "The body is neither application/json, application/jose nor application/xml.";
    NameReused 422 "jti_reused" "What was sealed or signed for one key is not taken for another.";
    KeyReused 422 "idempotency_key_reused" "This key was used for another request.";
    ReferenceInvalid 422 "reference_invalid" "A reference is 1 to 64 printable ASCII characters.";
    AmountNotPositive 422 "amount_not_positive" "The amount must be above zero.";
    AmountTooLarge 422 "amount_too_large" "An amount has at most 12 digits of minor units.";
    CurrencyUnknown 422 "currency_unknown" "Not the ISO 4217 code of a currency with minor units.";
    CardNumberInvalid 422 "card_number_invalid" "Not a card number.";
    ExpiryInvalid 422 "card_expiry_invalid" "Not a month of expiry.";
    CvcInvalid 422 "card_cvc_invalid" "A card verification code has 3 or 4 digits.";
    ValueUnsupported 422 "value_unsupported" "This value is not taken here.";
    ThreeDsInvalid 422 "three_ds_invalid" "Not what 3-D Secure gives in this field.";
    StoredCredentialInvalid 422 "stored_credential_invalid" "Not a use of a stored card, or no reference for it.";
    PurchaseInvalid 422 "purchase_invalid" "A reference or an invoice is 1 to 17 printable ASCII characters, a tax within the amount.";
    MetadataInvalid 422 "metadata_invalid" "Metadata is at most 20 short texts under plain names, and no card number.";
    Track2Invalid 422 "card_track2_invalid" "Not track 2: a card number, =, a month of expiry and what follows.";
    EmvInvalid 422 "card_emv_invalid" "Chip data are 1 to 255 bytes in hexadecimal digits.";
    PinInvalid 422 "card_pin_invalid" "A PIN has a format (0, 1, 3 or 4), a block of its length in hexadecimal digits, and either ksn or key.";
    EntryModeUnknown 422 "card_entry_mode_unknown" "A card that is there was read by chip, contactless or swipe.";
    TokenUnknown 422 "token_unknown" "The merchant has no such token.";
    InstrumentTwice 422 "instrument_twice" "A payment has one instrument.";
    NotSupported 422 "operation_not_supported" "The bank of this payment does not take this operation.";
    CurrencyNotPermitted 422 "currency_not_permitted" "This merchant takes no payments in this currency.";
    AmountNotPermitted 422 "amount_above_limit" "The amount is above the limit of this merchant.";
    TerminalUnknown 422 "terminal_unknown" "The merchant has no such terminal.";
    NoRoute 422 "no_route" "No bank takes this payment; nothing was done.";
    TooManyRequests 429 "too_many_requests" "More requests than this merchant's share; nothing was done. Ask again later.";
    TooManyOpen 429 "too_many_in_flight" "More in flight than this merchant's share; nothing was done. Ask again later.";
    Overloaded 503 "overloaded" "Too much is in flight; nothing was done. Ask again.";
    HostBusy 503 "bank_busy" "Too much waits for the bank of this payment; nothing was done. Ask again.";
    Draining 503 "stopping" "The service is stopping; nothing was done. Ask again.";
    StoreUnavailable 503 "store_unavailable" "The store cannot be used; nothing was done. Ask again.";
    OutcomeNotRecorded 504 "outcome_not_recorded" "The outcome is not recorded yet; ask again with the same key.";
    NoAnswer 504 "no_answer" "There is no answer yet; ask again with the same key.";
}

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// JSON pointer (RFC 6901) to the field at fault.
    pub pointer: Option<String>,
    /// The query parameter at fault.
    pub parameter: Option<String>,
    /// XPath to it in its stead, where the request was XML; a step is a local name.
    pub xpath: Option<String>,
    /// After how many seconds asking again may help.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem with the field that a JSON pointer names.
    pub fn at(code: Code, pointer: impl Into<String>) -> Problem {
        Problem { pointer: Some(pointer.into()), ..code.into() }
    }

    /// A problem with a query parameter.
    pub fn of_parameter(code: Code, parameter: impl Into<String>) -> Problem {
        Problem { parameter: Some(parameter.into()), ..code.into() }
    }

    /// A problem that is none any more after a time.
    pub fn after(code: Code, wait: Duration) -> Problem {
        Problem { retry_after: Some(wait.as_secs() + 1), ..code.into() }
    }

    /// The same of a document with this root: its field is named by an XPath.
    pub(super) fn in_document(self, root: &str) -> Problem {
        Problem { xpath: self.pointer.map(|pointer| xpath(root, &pointer)), pointer: None, ..self }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Problem {
        let retry_after = matches!(code.status(), 429 | 503 | 504).then_some(1);
        Problem { code, pointer: None, parameter: None, xpath: None, retry_after }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let code = match refusal {
            Refusal::NotFound => Code::PaymentNotFound,
            Refusal::Illegal(illegal) => illegal.into(),
            Refusal::KeyInFlight => Code::KeyInFlight,
            Refusal::KeyReused => Code::KeyReused,
            Refusal::PaymentBusy => Code::PaymentBusy,
            Refusal::Overloaded => Code::Overloaded,
            Refusal::HostBusy => Code::HostBusy,
            Refusal::NoRoute => Code::NoRoute,
            Refusal::Draining => Code::Draining,
            Refusal::StoreUnavailable => Code::StoreUnavailable,
            Refusal::OutcomeNotRecorded => Code::OutcomeNotRecorded,
            Refusal::NotSupported => Code::NotSupported,
            Refusal::CardGone => Code::CardNotStored,
        };
        code.into()
    }
}

impl From<Illegal> for Code {
    fn from(illegal: Illegal) -> Code {
        match illegal {
            Illegal::NotAuthorized => Code::NotAuthorized,
            Illegal::FullyCaptured => Code::FullyCaptured,
            Illegal::AboveAuthorized => Code::AboveAuthorized,
            Illegal::Voided => Code::Voided,
            Illegal::RefundedAlready => Code::RefundedAlready,
            Illegal::DayClosed => Code::DayClosed,
            Illegal::NothingCaptured => Code::NothingCaptured,
            Illegal::AboveCaptured => Code::AboveCaptured,
            Illegal::FullyRefunded => Code::FullyRefunded,
            Illegal::Currency => Code::CurrencyMismatch,
            Illegal::Zero => Code::AmountZero,
            Illegal::OutcomeOpen => Code::OutcomeOpen,
            Illegal::CapturedAlready => Code::CapturedAlready,
            Illegal::TooLarge => Code::TooLarge,
            Illegal::TooManyOperations => Code::TooManyOperations,
        }
    }
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xpath: Option<&'a str>,
}

impl Problem {
    /// The answer as it goes over the wire. Its code is left in the extensions for whoever counts.
    pub fn into_response(self) -> Response<Body> {
        let Problem { code, pointer, parameter, xpath, retry_after } = self;
        let json = ProblemJson {
            title: code.title(),
            status: code.status(),
            code: code.name(),
            pointer: pointer.as_deref(),
            parameter: parameter.as_deref(),
            xpath: xpath.as_deref(),
        };
        let body = serde_json::to_vec(&json).expect("plain fields become JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(code.status()).expect("the table holds HTTP statuses");
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if code.status() == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        Problem::into_response(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_statuses_are_refusals() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..=504).contains(&code.status())));
    }

    #[test]
    fn illegal_operations_keep_the_code_that_the_rules_give_them() {
        use Illegal::*;
        let all = [
            NotAuthorized,
            FullyCaptured,
            AboveAuthorized,
            Voided,
            RefundedAlready,
            DayClosed,
            NothingCaptured,
            AboveCaptured,
            FullyRefunded,
            Currency,
            Zero,
            OutcomeOpen,
            CapturedAlready,
            TooLarge,
            TooManyOperations,
        ];
        for illegal in all {
            let code = Code::from(illegal);
            assert_eq!((code.name(), code.status()), (illegal.code(), 409));
        }
    }
}
