//! From what was written to what is meant: checked payment values, and the fingerprint that is taken of them.

use super::authentication::Asker;
use super::fingerprint::{Canonical, FingerprintKey};
use super::problem::{Code, Problem};
use super::request::{
    CardFields, CardPresentFields, CreateCapture, CreateIncrement, CreatePayment, CreateRefund, Inquiry, Minor, Money,
    PinFields, PurchaseFields, TokenFields,
};
use crate::merchants::{Beyond, Merchant};
use crate::payment::{
    Acceptor, Amount, Card, CardId, CardPresent, Consent, Cryptogram, Currency, Cvc, Emv, Expiry, OfferedPin,
    OperationKind, Pan, PaymentId, PinKeyName, PosEntry, Purchase, StoredCredential, Track2,
};
use crate::switch::{Begin, Command};
use crate::transaction::Fingerprint;
use data_encoding::HEXUPPER_PERMISSIVE;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Names for what a request may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshNames {
    pub payment: PaymentId,
    pub card: CardId,
}

/// `POST /v1/payments`. `kept` is the card of its token, where it names one that the merchant has.
pub(super) fn begin(
    merchant: &Merchant,
    request: &CreatePayment,
    kept: Option<Card>,
    names: FreshNames,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Problem> {
    let mut canonical = Canonical::new(key, "POST", "/v1/payments");
    reference(&request.reference)?;
    let amount = amount(&request.amount)?;
    let (card, entry) = match (&request.card, &request.card_present) {
        (None, Some(fields)) if request.token.is_none() => card_present(fields, merchant.luhn)?,
        (_, Some(_)) => return Err(Problem::at(Code::InstrumentTwice, "/card_present")),
        (fields, None) => {
            (instrument(fields.as_deref(), request.token.as_deref(), kept, merchant)?, PosEntry::Ecommerce)
        }
    };
    let cryptogram = request.three_ds.as_ref().and_then(|three_ds| three_ds.cryptogram.as_deref());
    let cryptogram = cryptogram.map(|text| Cryptogram::parse(text).ok_or_else(|| three_ds_refused("cryptogram")));
    let card = Card { cryptogram: cryptogram.transpose()?, ..card };
    let asked = Asked { reference: &request.reference, terminal: request.terminal.as_deref(), amount };
    let consent = consent(request)?;
    let purchase = request.purchase.as_deref().map(|fields| purchase(fields, amount)).transpose()?;
    let kind = if request.capture { OperationKind::Sale } else { OperationKind::Authorisation };
    canonical.text(&request.reference).amount(Some(amount)).flag(request.capture).flag(request.allow_partial);
    canonical.instrument(&card, request.token.as_deref()).optional(request.terminal.as_deref());
    canonical.consent(consent.as_ref()).purchase(purchase.as_ref()).metadata(checked(&request.metadata.0)?);
    // Of what a reader gave only this may be asked for again: the rest is of one moment.
    if let Some(fields) = &request.card_present {
        canonical.text(&fields.entry_mode);
    }
    let begin = Begin {
        allow_partial: request.allow_partial,
        entry,
        consent,
        purchase,
        metadata: request.metadata.0.clone(),
        ..asked.of_card(merchant, kind, card, names, key)?
    };
    Ok((Command::Begin(Box::new(begin)), canonical.finish()))
}

/// What everything that begins with a card says.
struct Asked<'a> {
    reference: &'a str,
    terminal: Option<&'a str>,
    amount: Amount,
}

impl Asked<'_> {
    /// What says nothing else.
    fn of_card(
        &self,
        merchant: &Merchant,
        kind: OperationKind,
        card: Card,
        names: FreshNames,
        key: &FingerprintKey,
    ) -> Result<Begin, Problem> {
        Ok(Begin {
            payment: names.payment,
            kind,
            amount: self.amount,
            allow_partial: false,
            reference: self.reference.to_owned(),
            card_print: key.card_print(&card.pan),
            card,
            card_id: names.card,
            acceptor: acceptor(merchant, self.terminal)?,
            entry: PosEntry::Ecommerce,
            consent: None,
            purchase: None,
            metadata: BTreeMap::new(),
        })
    }
}

/// How the cardholder's consent was established, where the request says so.
fn consent(request: &CreatePayment) -> Result<Option<Consent>, Problem> {
    if request.three_ds.is_none() && request.stored_credential.is_none() {
        return Ok(None);
    }
    let mut consent = Consent::default();
    if let Some(three_ds) = &request.three_ds {
        let is_eci = three_ds.eci.len() == 2 && three_ds.eci.bytes().all(|b| b.is_ascii_digit());
        consent.eci = Some(is_eci.then(|| three_ds.eci.clone()).ok_or_else(|| three_ds_refused("eci"))?);
        let is_uuid = |text: &String| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok();
        let named = three_ds.transaction_id.clone();
        let wrong = named.as_ref().is_some_and(|text| !is_uuid(text));
        consent.authentication = if wrong { return Err(three_ds_refused("transaction_id")) } else { named };
    }
    if let Some(stored) = &request.stored_credential {
        let refused = |field: &str| Problem::at(Code::StoredCredentialInvalid, format!("/stored_credential/{field}"));
        let usage = StoredCredential::from_name(&stored.usage).ok_or_else(|| refused("usage"))?;
        let is_reference =
            |text: &String| (1..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let named = stored.network_reference.clone();
        if named.as_ref().is_some_and(|text| !usage.is_later() || !is_reference(text)) {
            return Err(refused("network_reference"));
        }
        (consent.stored, consent.network_reference) = (Some(usage), named);
    }
    Ok(Some(consent))
}

/// How long a buyer's reference and an invoice's number may be: what card networks have room for.
const PURCHASE_TEXT: usize = 17;

/// What one business buys of another; the tax is within the amount.
fn purchase(fields: &PurchaseFields, amount: Amount) -> Result<Purchase, Problem> {
    let refused = |field: &str| Problem::at(Code::PurchaseInvalid, format!("/purchase/{field}"));
    let fits = |text: &str| (1..=PURCHASE_TEXT).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    let checked = |text: &Option<String>, field: &str| match text {
        Some(text) if !fits(text) || holds_card_number(text) => Err(refused(field)),
        text => Ok(text.clone()),
    };
    let tax = |Minor(minor): &Minor| {
        let minor = u64::try_from(*minor).ok().filter(|minor| *minor <= amount.minor());
        minor.and_then(|minor| Amount::new(minor, amount.currency()).ok()).ok_or_else(|| refused("tax"))
    };
    Ok(Purchase {
        customer_reference: checked(&fields.customer_reference, "customer_reference")?,
        invoice: checked(&fields.invoice, "invoice")?,
        tax: fields.tax.as_ref().map(tax).transpose()?,
    })
}

fn three_ds_refused(field: &str) -> Problem {
    Problem::at(Code::ThreeDsInvalid, format!("/three_ds/{field}"))
}

/// The most that a merchant may keep with a payment, and how long a name and a text may be.
const METADATA: (usize, usize, usize) = (20, 40, 500);

/// What a merchant may keep with a payment: little, under names that XML can write too, and no card number.
fn checked(metadata: &BTreeMap<String, String>) -> Result<&BTreeMap<String, String>, Problem> {
    let (count, name_length, text_length) = METADATA;
    let is_name = |name: &str| {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        plain && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= name_length
    };
    let fits = |text: &str| text.chars().count() <= text_length && !text.chars().any(char::is_control);
    if metadata.len() > count || !metadata.keys().all(|name| is_name(name)) {
        return Err(Problem::at(Code::MetadataInvalid, "/metadata"));
    }
    match metadata.iter().find(|(_, text)| !fits(text) || holds_card_number(text)) {
        Some((name, _)) => Err(Problem::at(Code::MetadataInvalid, format!("/metadata/{name}"))),
        None => Ok(metadata),
    }
}

/// Whether a run of digits, spaces and dashes in a text reads as a card number.
pub(super) fn holds_card_number(text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_digit() && c != ' ' && c != '-');
    let digits = |run: &str| Zeroizing::new(run.chars().filter(char::is_ascii_digit).collect::<String>());
    let mut long = runs.map(digits).filter(|digits| digits.len() >= 13);
    long.any(|digits| Pan::parse(&digits).is_ok_and(|pan| pan.luhn_valid()))
}

/// `POST /v1/verifications` and `POST /v1/balance-inquiries`, as `target` says.
pub(super) fn inquire(
    merchant: &Merchant,
    (kind, target): (OperationKind, &str),
    request: &Inquiry,
    kept: Option<Card>,
    names: FreshNames,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Problem> {
    let mut canonical = Canonical::new(key, "POST", target);
    reference(&request.reference)?;
    let amount = Amount::zero(currency(&request.currency, "/currency")?);
    let token = request.token.as_deref();
    let card = instrument(request.card.as_deref(), token, kept, merchant)?;
    canonical.text(&request.reference).amount(Some(amount));
    canonical.instrument(&card, token).optional(request.terminal.as_deref());
    let asked = Asked { reference: &request.reference, terminal: request.terminal.as_deref(), amount };
    let begin = asked.of_card(merchant, kind, card, names, key)?;
    Ok((Command::Begin(Box::new(begin)), canonical.finish()))
}

/// `POST /v1/payments/{id}/captures`.
pub(super) fn capture(
    payment: PaymentId,
    request: &CreateCapture,
    mut canonical: Canonical,
) -> Result<(Command, Fingerprint), Problem> {
    let amount = request.amount.as_deref().map(amount).transpose()?;
    canonical.amount(amount).flag(request.is_final);
    Ok((Command::Capture { payment, amount, is_final: request.is_final }, canonical.finish()))
}

/// `POST /v1/payments/{id}/increments`.
pub(super) fn increment(
    payment: PaymentId,
    request: &CreateIncrement,
    mut canonical: Canonical,
) -> Result<(Command, Fingerprint), Problem> {
    let amount = amount(&request.amount)?;
    canonical.amount(Some(amount));
    Ok((Command::Increment { payment, amount }, canonical.finish()))
}

/// `POST /v1/payments/{id}/refunds`.
pub(super) fn refund(
    payment: PaymentId,
    request: &CreateRefund,
    mut canonical: Canonical,
) -> Result<(Command, Fingerprint), Problem> {
    let amount = request.amount.as_deref().map(amount).transpose()?;
    canonical.amount(amount);
    Ok((Command::Refund { payment, amount }, canonical.finish()))
}

/// `POST /v1/payments/{id}/voids`.
pub(super) fn void(payment: PaymentId, canonical: Canonical) -> (Command, Fingerprint) {
    (Command::Void { payment }, canonical.finish())
}

/// Whether a text may be a merchant's reference.
pub(super) fn is_reference(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~')) && (1..=64).contains(&text.len())
}

fn reference(text: &str) -> Result<(), Problem> {
    is_reference(text).then_some(()).ok_or_else(|| Problem::at(Code::ReferenceInvalid, "/reference"))
}

fn acceptor(merchant: &Merchant, terminal: Option<&str>) -> Result<Acceptor, Problem> {
    let acceptor = merchant.terminal(terminal).cloned();
    acceptor.ok_or_else(|| Problem::at(Code::TerminalUnknown, "/terminal"))
}

fn currency(code: &str, pointer: &str) -> Result<Currency, Problem> {
    Currency::from_code(code).ok_or_else(|| Problem::at(Code::CurrencyUnknown, pointer))
}

fn amount(money: &Money) -> Result<Amount, Problem> {
    let value = |code| Problem::at(code, "/amount/value");
    let currency = currency(&money.currency, "/amount/currency")?;
    if money.value.0 <= 0 {
        return Err(value(Code::AmountNotPositive));
    }
    let minor = u64::try_from(money.value.0).map_err(|_| value(Code::AmountTooLarge))?;
    Amount::new(minor, currency).map_err(|_| value(Code::AmountTooLarge))
}

/// `POST /v1/tokens`: the card that is to be kept.
pub(super) fn keep(
    merchant: &Merchant,
    fields: &CardFields,
    key: &FingerprintKey,
) -> Result<(Card, Fingerprint), Problem> {
    let card = card(fields, merchant.luhn)?.without_cvc();
    let mut canonical = Canonical::new(key, "POST", "/v1/tokens");
    canonical.card(&card);
    Ok((card, canonical.finish()))
}

/// The card that a request gives, or names by a token of which `kept` is the card.
fn instrument(
    fields: Option<&CardFields>,
    token: Option<&TokenFields>,
    kept: Option<Card>,
    merchant: &Merchant,
) -> Result<Card, Problem> {
    match (fields, token) {
        (Some(fields), None) => card(fields, merchant.luhn),
        (None, Some(token)) => {
            let kept = kept.ok_or_else(|| Problem::at(Code::TokenUnknown, "/token/id"))?;
            let cvc = token.cvc.as_deref().map(Cvc::parse).transpose();
            Ok(Card { cvc: cvc.map_err(|_| Problem::at(Code::CvcInvalid, "/token/cvc"))?, ..kept })
        }
        (None, None) => Err(Problem::at(Code::FieldMissing, "/card")),
        (Some(_), Some(_)) => Err(Problem::at(Code::InstrumentTwice, "/token")),
    }
}

fn card(fields: &CardFields, luhn: bool) -> Result<Card, Problem> {
    let pan = Pan::parse(&fields.number).ok().filter(|pan| !luhn || pan.luhn_valid());
    let pan = pan.ok_or_else(|| Problem::at(Code::CardNumberInvalid, "/card/number"))?;
    let month = u8::try_from(fields.expiry_month).ok().filter(|month| (1..=12).contains(month));
    let month = month.ok_or_else(|| Problem::at(Code::ExpiryInvalid, "/card/expiry_month"))?;
    let year = u16::try_from(fields.expiry_year).ok();
    let expiry = year.and_then(|year| Expiry::new(year, month).ok());
    let expiry = expiry.ok_or_else(|| Problem::at(Code::ExpiryInvalid, "/card/expiry_year"))?;
    let cvc = fields.cvc.as_deref().map(Cvc::parse).transpose();
    let cvc = cvc.map_err(|_| Problem::at(Code::CvcInvalid, "/card/cvc"))?;
    Ok(Card { pan, expiry, cvc, cryptogram: None, present: None })
}

fn card_present(fields: &CardPresentFields, luhn: bool) -> Result<(Card, PosEntry), Problem> {
    let at = |code, field: &str| Problem::at(code, format!("/card_present/{field}"));
    let entry = match fields.entry_mode.as_str() {
        "chip" => PosEntry::Chip,
        "contactless" => PosEntry::Contactless,
        "swipe" => PosEntry::Swipe,
        _ => return Err(at(Code::EntryModeUnknown, "entry_mode")),
    };
    let track2 = Track2::parse(&fields.track2).ok_or_else(|| at(Code::Track2Invalid, "track2"))?;
    let (pan, expiry) = track2.pan().zip(track2.expiry()).ok_or_else(|| at(Code::Track2Invalid, "track2"))?;
    if luhn && !pan.luhn_valid() {
        return Err(at(Code::CardNumberInvalid, "track2"));
    }
    let emv = fields.emv.as_deref().map(|digits| Emv::parse(digits).ok_or_else(|| at(Code::EmvInvalid, "emv")));
    let pin = fields.pin.as_deref().map(|pin| pin_of(pin).ok_or_else(|| at(Code::PinInvalid, "pin")));
    let present = Some(Box::new(CardPresent { track2, emv: emv.transpose()?, pin: pin.transpose()? }));
    Ok((Card { pan, expiry, cvc: None, cryptogram: None, present }, entry))
}

fn pin_of(fields: &PinFields) -> Option<OfferedPin> {
    let bytes = |digits: &str| HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok();
    let key = match (&fields.ksn, &fields.key) {
        (Some(serial), None) => PinKeyName::Dukpt(bytes(serial)?),
        (None, Some(name)) => PinKeyName::Static(name.clone()),
        _ => return None,
    };
    OfferedPin::new(u8::try_from(fields.format).ok()?, bytes(&fields.block)?, key)
}

/// A command that whoever asks may give, or why not.
pub(super) fn permitted(
    asker: &Asker,
    (command, fingerprint): (Command, Fingerprint),
) -> Result<(Command, Fingerprint), Problem> {
    asker.may(command.kind().into())?;
    within_ceilings(&asker.merchant, &command)?;
    Ok((command, fingerprint))
}

fn within_ceilings(merchant: &Merchant, command: &Command) -> Result<(), Problem> {
    let amount = match command {
        Command::Begin(begin) => Some(begin.amount),
        Command::Increment { amount, .. } => Some(*amount),
        Command::Capture { amount, .. } | Command::Refund { amount, .. } => *amount,
        Command::Void { .. } => None,
    };
    let Some(amount) = amount else { return Ok(()) };
    merchant.amount_max.check(amount).map_err(|beyond| match beyond {
        Beyond::Currency => Problem::at(Code::CurrencyNotPermitted, "/amount/currency"),
        Beyond::Amount => Problem::at(Code::AmountNotPermitted, "/amount/value"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::edge::request::read;
    use crate::merchants::{MerchantSettings, Register};
    use std::path::Path;
    use std::sync::Arc;

    const GOOD: &str = r#"{"reference":"r","amount":{"value":1299,"currency":"EUR"},
        "card":{"number":"4111111111111111","expiry_month":12,"expiry_year":2030,"cvc":"123"}}"#;

    fn merchant(luhn: bool) -> Arc<Merchant> {
        let settings: MerchantSettings = toml::from_str(&format!(
            "id = 'm'\nluhn = {luhn}\nclient_cert_spki_sha256 = ['{}']\nterminals = [{{ terminal = 'T1', acceptor = \
             'A', category_code = '5999', city = 'Bonn', country = 'DE' }}]",
            "00".repeat(32)
        ))
        .unwrap();
        Arc::clone(&Register::build(&[settings], Path::new(".")).unwrap().merchants()[0])
    }

    fn built(body: &str, luhn: bool) -> Result<(Command, Fingerprint), Problem> {
        let key = FingerprintKey(Zeroizing::new([1; 32]));
        let names = FreshNames { payment: PaymentId(1), card: CardId(2) };
        let kept = Card {
            pan: Pan::parse("5555555555554444").unwrap(),
            expiry: Expiry::new(2031, 4).unwrap(),
            cvc: None,
            cryptogram: None,
            present: None,
        };
        let request: CreatePayment = read(body.as_bytes())?;
        let kept = request.token.as_ref().filter(|token| token.id == "tok_mine").map(|_| kept);
        begin(&merchant(luhn), &request, kept, names, &key)
    }

    fn refusal(from: &str, to: &str) -> (Code, String) {
        assert!(GOOD.contains(from));
        let problem = built(&GOOD.replacen(from, to, 1), true).unwrap_err();
        (problem.code, problem.pointer.unwrap())
    }

    #[test]
    fn values_that_mean_nothing_are_refused_with_their_field() {
        let at = |code, pointer: &str| (code, pointer.to_owned());
        assert_eq!(refusal("1299", "0"), at(Code::AmountNotPositive, "/amount/value"));
        assert_eq!(refusal("1299", "-1"), at(Code::AmountNotPositive, "/amount/value"));
        assert_eq!(refusal("1299", "1000000000000"), at(Code::AmountTooLarge, "/amount/value"));
        assert_eq!(refusal("1299", "1e300"), at(Code::AmountTooLarge, "/amount/value"));
        assert_eq!(refusal("EUR", "XYZ"), at(Code::CurrencyUnknown, "/amount/currency"));
        assert_eq!(refusal("EUR", "eur"), at(Code::CurrencyUnknown, "/amount/currency"));
        assert_eq!(refusal("1111\"", "1112\""), at(Code::CardNumberInvalid, "/card/number"));
        assert_eq!(refusal("4111111111111111", "4111 1111"), at(Code::CardNumberInvalid, "/card/number"));
        assert_eq!(refusal("12,", "13,"), at(Code::ExpiryInvalid, "/card/expiry_month"));
        assert_eq!(refusal("2030", "30"), at(Code::ExpiryInvalid, "/card/expiry_year"));
        assert_eq!(refusal("\"123\"", "\"12\""), at(Code::CvcInvalid, "/card/cvc"));
        assert_eq!(refusal("\"r\"", "\"\""), at(Code::ReferenceInvalid, "/reference"));
        assert_eq!(refusal("\"r\"", "\"ü\""), at(Code::ReferenceInvalid, "/reference"));
        assert_eq!(refusal("{\"ref", "{\"terminal\":\"T9\",\"ref"), at(Code::TerminalUnknown, "/terminal"));
    }

    #[test]
    fn a_merchant_may_do_without_the_check_digit() {
        let odd = GOOD.replace("1111\"", "1112\"");
        assert!(built(&odd, true).is_err());
        assert!(built(&odd, false).is_ok());
    }

    #[test]
    fn the_fingerprint_is_of_the_meaning_and_without_the_verification_code() {
        let of = |body: &str| built(body, true).unwrap().1;
        let reordered = r#"{ "card": {"expiry_year":2030,"number":"4111111111111111","expiry_month":12},
            "capture": true, "amount": {"currency":"EUR","value":1299}, "reference": "\u0072" }"#;
        assert_eq!(of(GOOD), of(reordered));
        for (from, to) in
            [("1299", "1298"), ("\"r\"", "\"s\""), ("2030", "2031"), ("{\"ref", "{\"capture\":false,\"ref")]
        {
            assert_ne!(of(GOOD), of(&GOOD.replacen(from, to, 1)), "{from}");
        }
    }

    /// The good body with more in it.
    fn with(more: &str) -> Result<(Command, Fingerprint), Problem> {
        built(&GOOD.replacen("{\"ref", &format!("{{{more},\"ref"), 1), true)
    }

    fn begun(more: &str) -> Begin {
        let (Command::Begin(begin), _) = with(more).unwrap() else { unreachable!() };
        *begin
    }

    const THREE_DS: &str = r#""three_ds":{"eci":"05","cryptogram":"AAABBJg0VhI0VniQEjRWAAAAAAA=",
        "transaction_id":"f38e6948-5388-41a6-bca4-b49723c19437"}"#;

    #[test]
    fn consent_goes_with_the_request_and_its_cryptogram_with_the_card() {
        let begin = begun(THREE_DS);
        let consent = begin.consent.unwrap();
        assert_eq!((consent.eci.as_deref(), consent.stored), (Some("05"), None));
        assert!(begin.card.cryptogram.is_some() && begin.card.without_cvc().cryptogram.is_none());
        let later = begun(r#""stored_credential":{"usage":"recurring","network_reference":"MCC123456"}"#);
        assert_eq!(later.consent.unwrap().network_reference.as_deref(), Some("MCC123456"));
        assert!(begun(r#""metadata":{"order":"4711"}"#).consent.is_none());
        let of = |more: &str| with(more).unwrap().1;
        let without = THREE_DS.replace(r#""cryptogram":"AAABBJg0VhI0VniQEjRWAAAAAAA=","#, "");
        assert_eq!(of(THREE_DS), of(&without), "who asks again may not have kept the cryptogram");
        assert_ne!(of(THREE_DS), of(&THREE_DS.replace("05", "06")));
        assert_ne!(of(r#""metadata":{"a":"b"}"#), of(r#""metadata":{"a":"c"}"#));
        assert_eq!(built(GOOD, true).unwrap().1, of(r#""metadata":{}"#));
    }

    #[test]
    fn faults_of_the_new_fields_name_them() {
        let at = |code, pointer: &str| (code, pointer.to_owned());
        let refusal = |more: &str| {
            let problem = with(more).unwrap_err();
            (problem.code, problem.pointer.unwrap())
        };
        assert_eq!(refusal(&THREE_DS.replace("05", "5")), at(Code::ThreeDsInvalid, "/three_ds/eci"));
        assert_eq!(refusal(&THREE_DS.replace("AAABB", "A")), at(Code::ThreeDsInvalid, "/three_ds/cryptogram"));
        assert_eq!(refusal(&THREE_DS.replace("f38e", "xxxx")), at(Code::ThreeDsInvalid, "/three_ds/transaction_id"));
        let stored = |text: &str| refusal(&format!(r#""stored_credential":{text}"#));
        let invalid = Code::StoredCredentialInvalid;
        assert_eq!(stored(r#"{"usage":"often"}"#), at(invalid, "/stored_credential/usage"));
        let first = r#"{"usage":"first","network_reference":"A1"}"#;
        assert_eq!(stored(first), at(invalid, "/stored_credential/network_reference"), "the first has no earlier one");
        let metadata = |text: &str| refusal(&format!(r#""metadata":{text}"#));
        assert_eq!(metadata(r#"{"Order":"1"}"#), at(Code::MetadataInvalid, "/metadata"));
        assert_eq!(metadata(r#"{"note":"card 4111 1111-1111 1111"}"#), at(Code::MetadataInvalid, "/metadata/note"));
        assert_eq!(metadata(r#"{"note":"a\u0007"}"#), at(Code::MetadataInvalid, "/metadata/note"));
        assert!(with(r#""metadata":{"note":"order 4111111111111112, 3 items"}"#).is_ok());
    }

    #[test]
    fn a_token_stands_for_its_card() {
        let card = &GOOD[GOOD.find("\"card\"").unwrap()..GOOD.len() - 1];
        let by = |fields: &str| built(&GOOD.replacen(card, &format!("\"token\":{fields}"), 1), true);
        let (Command::Begin(begin), print) = by(r#"{"id":"tok_mine","cvc":"321"}"#).unwrap() else { unreachable!() };
        assert_eq!((begin.card.pan.last4(), begin.card.cvc.as_ref().unwrap().reveal()), ("4444", "321"));
        assert_eq!(print, by(r#"{"id":"tok_mine"}"#).unwrap().1, "who asks again has not kept the code");
        assert_ne!(print, built(GOOD, true).unwrap().1);
        let refused = |fields: &str| {
            let problem = by(fields).unwrap_err();
            (problem.code, problem.pointer.unwrap())
        };
        assert_eq!(refused(r#"{"id":"tok_other"}"#), (Code::TokenUnknown, "/token/id".to_owned()));
        assert_eq!(refused(r#"{"id":"tok_mine","cvc":"1"}"#), (Code::CvcInvalid, "/token/cvc".to_owned()));
        assert_eq!(refused(r#"{"cvc":"123"}"#), (Code::FieldMissing, "/token/id".to_owned()));
        let both = format!("{{\"id\":\"tok_mine\"}},{card}");
        assert_eq!(refused(&both), (Code::InstrumentTwice, "/token".to_owned()));
        let with_reader = built(&PRESENT.replacen("{\"ref", "{\"token\":{\"id\":\"tok_mine\"},\"ref", 1), true);
        assert_eq!(with_reader.unwrap_err().code, Code::InstrumentTwice);
        let none = GOOD.replacen(&format!(",\n        {card}"), "", 1);
        assert_eq!(built(&none, true).unwrap_err().code, Code::FieldMissing);
    }

    const PRESENT: &str = r#"{"reference":"r","amount":{"value":1299,"currency":"EUR"},
        "card_present":{"entry_mode":"chip","track2":"4111111111111111=30122010000012345678","emv":"9F2608A1B2C3D4E5F60718",
        "pin":{"format":0,"block":"0123456789ABCDEF","ksn":"FFFF9876543210E00008"}}}"#;

    #[test]
    fn a_card_that_is_there_is_read_from_its_track() {
        let (command, print) = built(PRESENT, true).unwrap();
        let Command::Begin(begin) = &command else { panic!("a payment begins") };
        assert_eq!(
            (begin.entry, begin.card.pan.last4(), begin.card.expiry.yymm().as_str()),
            (PosEntry::Chip, "1111", "3012")
        );
        let printed = format!("{command:?}");
        assert!(!printed.contains("4111111111111111") && !printed.contains("9F26") && !printed.contains("0x01, 0x23"));
        let other = PRESENT.replace("0123456789ABCDEF", "FEDCBA9876543210").replace("A1B2", "B2A1");
        assert_eq!(built(&other, true).unwrap().1, print, "PIN block and cryptogram are of one moment");
        assert_ne!(built(&PRESENT.replace("chip", "swipe"), true).unwrap().1, print);
        for (from, to, code, field) in [
            ("chip", "magic", Code::EntryModeUnknown, "entry_mode"),
            ("1111=", "1111", Code::Track2Invalid, "track2"),
            ("1111=", "1112=", Code::CardNumberInvalid, "track2"),
            ("9F26", "9F2", Code::EmvInvalid, "emv"),
            ("\"format\":0", "\"format\":2", Code::PinInvalid, "pin"),
            ("ABCDEF\"", "ABCD\"", Code::PinInvalid, "pin"),
            ("\"ksn\"", "\"key\":\"k\",\"ksn\"", Code::PinInvalid, "pin"),
        ] {
            assert!(PRESENT.contains(from));
            let problem = built(&PRESENT.replacen(from, to, 1), true).unwrap_err();
            assert_eq!((problem.code, problem.pointer.unwrap()), (code, format!("/card_present/{field}")));
        }
        let both = PRESENT.replacen(
            "\"card_present\"",
            "\"card\":{\"number\":\"4111111111111111\",\"expiry_month\":1,\"expiry_year\":2030},\"card_present\"",
            1,
        );
        assert_eq!(built(&both, true).unwrap_err().code, Code::InstrumentTwice);
    }

    #[test]
    fn neighbouring_values_do_not_run_together() {
        let key = FingerprintKey(Zeroizing::new([1; 32]));
        let of = |a: &str, b: &str| {
            let mut canonical = Canonical::new(&key, "POST", "/");
            canonical.text(a).text(b);
            canonical.finish()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }
}
