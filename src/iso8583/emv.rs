//! The EMV tags that travel in element 55 (EMV book 3, annex A; network guides for the rest).
//!
//! A table of names. Tags whose format is text read as text, all others as bytes, so that
//! an odd value in one tag never makes a message unreadable. What the surprise is: tags 57 and 5A hold
//! the track and the card number again, so they are as sensitive as elements 35 and 2.

use super::class::Class;
use super::element::{Element, Padding, Sensitivity};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bytes,
    Text,
    Pan,
    Hidden,
}
use Kind::{Bytes, Hidden, Pan, Text};

/// The known tags in ascending order, and what an unknown tag is: bytes that a masked view hides.
pub fn emv_tags() -> (Vec<(u32, Element)>, Element) {
    let known = TAGS.iter().map(|(tag, kind, name, title)| (*tag, describe(*kind).named(*name, *title))).collect();
    let unknown = describe(Hidden).named("unknown", "Unknown tag");
    (known, unknown)
}

fn describe(kind: Kind) -> Element {
    match kind {
        Bytes => Element::rest(Class::Binary),
        Text => Element::rest(Class::Any).padded(Padding::of(Class::Binary)),
        // Compressed numeric: the digits end in filler F, so a mask cannot count on their places.
        Pan | Hidden => Element::rest(Class::Binary).sensitive(Sensitivity::Hidden),
    }
}

#[rustfmt::skip]
const TAGS: &[(u32, Kind, &str, &str)] = &[
    (0x42, Bytes, "issuer_identification_number", "Issuer identification number"),
    (0x4F, Bytes, "application_id", "Application identifier, card"),
    (0x50, Text, "application_label", "Application label"),
    (0x56, Hidden, "track1", "Track 1 data"),
    (0x57, Hidden, "track2", "Track 2 equivalent data"),
    (0x5A, Pan, "pan", "Application card number"),
    (0x71, Bytes, "script_template_1", "Issuer script template 1"),
    (0x72, Bytes, "script_template_2", "Issuer script template 2"),
    (0x82, Bytes, "interchange_profile", "Application interchange profile"),
    (0x84, Bytes, "dedicated_file_name", "Dedicated file name"),
    (0x86, Bytes, "script_command", "Issuer script command"),
    (0x87, Bytes, "priority_indicator", "Application priority indicator"),
    (0x89, Text, "authorisation_code", "Authorisation code"),
    (0x8A, Text, "authorisation_response_code", "Authorisation response code"),
    (0x8E, Bytes, "cvm_list", "Cardholder verification method list"),
    (0x91, Bytes, "issuer_authentication_data", "Issuer authentication data"),
    (0x95, Bytes, "terminal_verification_results", "Terminal verification results"),
    (0x98, Bytes, "certificate_hash", "Transaction certificate hash value"),
    (0x99, Hidden, "pin_data", "Transaction PIN data"),
    (0x9A, Bytes, "transaction_date", "Transaction date"),
    (0x9B, Bytes, "transaction_status", "Transaction status information"),
    (0x9C, Bytes, "transaction_type", "Transaction type"),
    (0x9D, Bytes, "directory_file_name", "Directory definition file name"),
    (0x5F20, Hidden, "cardholder_name", "Cardholder name"),
    (0x5F24, Bytes, "expiry_date", "Application expiration date"),
    (0x5F25, Bytes, "effective_date", "Application effective date"),
    (0x5F28, Bytes, "issuer_country", "Issuer country code"),
    (0x5F2A, Bytes, "currency", "Transaction currency code"),
    (0x5F2D, Text, "language_preference", "Language preference"),
    (0x5F30, Bytes, "service_code", "Service code"),
    (0x5F34, Bytes, "pan_sequence_number", "Application card sequence number"),
    (0x5F36, Bytes, "currency_exponent", "Transaction currency exponent"),
    (0x9F01, Bytes, "acquirer_id", "Acquirer identifier"),
    (0x9F02, Bytes, "amount", "Amount, authorised"),
    (0x9F03, Bytes, "amount_other", "Amount, other"),
    (0x9F06, Bytes, "application_id_terminal", "Application identifier, terminal"),
    (0x9F07, Bytes, "usage_control", "Application usage control"),
    (0x9F08, Bytes, "version_card", "Application version number, card"),
    (0x9F09, Bytes, "version_terminal", "Application version number, terminal"),
    (0x9F0B, Hidden, "cardholder_name_extended", "Cardholder name, extended"),
    (0x9F0D, Bytes, "action_code_default", "Issuer action code, default"),
    (0x9F0E, Bytes, "action_code_denial", "Issuer action code, denial"),
    (0x9F0F, Bytes, "action_code_online", "Issuer action code, online"),
    (0x9F10, Bytes, "issuer_application_data", "Issuer application data"),
    (0x9F11, Bytes, "code_table_index", "Issuer code table index"),
    (0x9F12, Text, "preferred_name", "Application preferred name"),
    (0x9F15, Bytes, "merchant_category_code", "Merchant category code"),
    (0x9F16, Text, "merchant_id", "Merchant identifier"),
    (0x9F1A, Bytes, "terminal_country", "Terminal country code"),
    (0x9F1C, Text, "terminal_id", "Terminal identification"),
    (0x9F1E, Text, "device_serial_number", "Interface device serial number"),
    (0x9F1F, Hidden, "track1_discretionary_data", "Track 1 discretionary data"),
    (0x9F20, Hidden, "track2_discretionary_data", "Track 2 discretionary data"),
    (0x9F21, Bytes, "transaction_time", "Transaction time"),
    (0x9F24, Text, "payment_account_reference", "Payment account reference"),
    (0x9F26, Bytes, "application_cryptogram", "Application cryptogram"),
    (0x9F27, Bytes, "cryptogram_information", "Cryptogram information data"),
    (0x9F33, Bytes, "terminal_capabilities", "Terminal capabilities"),
    (0x9F34, Bytes, "cvm_results", "Cardholder verification results"),
    (0x9F35, Bytes, "terminal_type", "Terminal type"),
    (0x9F36, Bytes, "transaction_counter", "Application transaction counter"),
    (0x9F37, Bytes, "unpredictable_number", "Unpredictable number"),
    (0x9F39, Bytes, "entry_mode", "Point of service entry mode"),
    (0x9F40, Bytes, "additional_terminal_capabilities", "Additional terminal capabilities"),
    (0x9F41, Bytes, "sequence_counter", "Transaction sequence counter"),
    (0x9F42, Bytes, "application_currency", "Application currency code"),
    (0x9F45, Bytes, "data_authentication_code", "Data authentication code"),
    (0x9F4C, Bytes, "dynamic_number", "Dynamic number of the card"),
    (0x9F4E, Text, "merchant_name", "Merchant name and location"),
    (0x9F53, Text, "category_code", "Transaction category code"),
    (0x9F5B, Bytes, "script_results", "Issuer script results"),
    (0x9F63, Bytes, "product_information", "Card product information"),
    (0x9F66, Bytes, "reader_qualifiers", "Terminal transaction qualifiers"),
    (0x9F6B, Hidden, "track2_contactless", "Track 2 data, contactless"),
    (0x9F6C, Bytes, "card_qualifiers", "Card transaction qualifiers"),
    (0x9F6E, Bytes, "form_factor", "Form factor or third-party data"),
    (0x9F74, Text, "offline_approval_code", "Offline approval code"),
    (0x9F7C, Bytes, "customer_exclusive_data", "Customer exclusive data"),
    (0xDF31, Bytes, "script_results_unionpay", "Issuer script results (UnionPay)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_ascend_and_card_data_is_hidden() {
        let (known, unknown) = emv_tags();
        assert!(known.is_sorted_by(|a, b| a.0 < b.0));
        let hidden = |tag| known.iter().any(|(t, e)| *t == tag && e.sensitivity() == Sensitivity::Hidden);
        assert!(hidden(0x57) && hidden(0x5A) && hidden(0x5F20));
        assert_eq!(unknown.sensitivity(), Sensitivity::Hidden);
    }
}
