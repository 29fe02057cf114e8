//! From what was written to what is meant: checked payment values, and the fingerprint of the request.
//!
//! The fingerprint is taken over values, not bytes, so that wrapping, order and spacing do not matter; and without the
//! verification code, because whoever asks again may not have stored it (PCI DSS 3.3.1).

use super::authentication::Asker;
use super::problem::{Code, Problem};
use super::request::{CardFields, CreateCapture, CreatePayment, CreateRefund, Inquiry, Money};
use crate::merchants::{Beyond, Merchant};
use crate::payment::{
    Acceptor, Amount, Card, CardId, CardPrint, Currency, Cvc, Expiry, OperationKind, Pan, PaymentId, PosEntry,
};
use crate::switch::{Begin, Command};
use crate::transaction::Fingerprint;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The key of all fingerprints. It outlives restarts: with another one every repeated request looks like a new content.
#[derive(Clone)]
pub struct FingerprintKey(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(***)")
    }
}

impl FingerprintKey {
    /// The keyed hash by which a card is told from others. The method of a request is never `card`.
    pub fn card_print(&self, pan: &Pan) -> CardPrint {
        let mut canonical = Canonical::new(self, "card", "");
        canonical.text(pan.reveal());
        CardPrint(canonical.finish().0)
    }
}

/// Names for what a request may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct FreshNames {
    pub payment: PaymentId,
    pub card: CardId,
}

/// `POST /v1/payments`.
pub(super) fn begin(
    merchant: &Merchant,
    request: &CreatePayment,
    names: FreshNames,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Problem> {
    let mut canonical = Canonical::new(key, "POST", "/v1/payments");
    reference(&request.reference)?;
    let amount = amount(&request.amount)?;
    let card = card(&request.card, merchant.luhn)?;
    let acceptor = acceptor(merchant, request.terminal.as_deref())?;
    canonical.text(&request.reference).amount(Some(amount)).flag(request.capture).flag(request.allow_partial);
    canonical.text(card.pan.reveal()).text(&card.expiry.yymm()).optional(request.terminal.as_deref());
    let kind = if request.capture { OperationKind::Sale } else { OperationKind::Authorisation };
    let begin = Begin {
        payment: names.payment,
        kind,
        amount,
        allow_partial: request.allow_partial,
        reference: request.reference.clone(),
        card_print: key.card_print(&card.pan),
        card,
        card_id: names.card,
        acceptor,
        entry: PosEntry::Ecommerce,
    };
    Ok((Command::Begin(Box::new(begin)), canonical.finish()))
}

/// `POST /v1/verifications` and `POST /v1/balance-inquiries`, as `target` says.
pub(super) fn inquire(
    merchant: &Merchant,
    (kind, target): (OperationKind, &str),
    request: &Inquiry,
    names: FreshNames,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Problem> {
    let mut canonical = Canonical::new(key, "POST", target);
    reference(&request.reference)?;
    let amount = Amount::zero(currency(&request.currency, "/currency")?);
    let card = card(&request.card, merchant.luhn)?;
    let acceptor = acceptor(merchant, request.terminal.as_deref())?;
    canonical.text(&request.reference).amount(Some(amount));
    canonical.text(card.pan.reveal()).text(&card.expiry.yymm()).optional(request.terminal.as_deref());
    let begin = Begin {
        payment: names.payment,
        kind,
        amount,
        allow_partial: false,
        reference: request.reference.clone(),
        card_print: key.card_print(&card.pan),
        card,
        card_id: names.card,
        acceptor,
        entry: PosEntry::Ecommerce,
    };
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
    Ok(Card { pan, expiry, cvc })
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
        Command::Capture { amount, .. } | Command::Refund { amount, .. } => *amount,
        Command::Void { .. } => None,
    };
    let Some(amount) = amount else { return Ok(()) };
    merchant.amount_max.check(amount).map_err(|beyond| match beyond {
        Beyond::Currency => Problem::at(Code::CurrencyNotPermitted, "/amount/currency"),
        Beyond::Amount => Problem::at(Code::AmountNotPermitted, "/amount/value"),
    })
}

/// A request as a sequence of values, each with its length, on its way into a keyed hash.
pub(super) struct Canonical(Hmac<Sha256>);

impl Canonical {
    pub fn new(key: &FingerprintKey, method: &str, target: &str) -> Canonical {
        let mut canonical = Canonical(Hmac::new_from_slice(&*key.0).expect("HMAC takes a key of any length"));
        canonical.text(method).text(target);
        canonical
    }

    fn text(&mut self, text: &str) -> &mut Canonical {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    fn flag(&mut self, flag: bool) -> &mut Canonical {
        self.text(if flag { "yes" } else { "no" })
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Canonical {
        self.flag(text.is_some()).text(text.unwrap_or_default())
    }

    fn amount(&mut self, amount: Option<Amount>) -> &mut Canonical {
        let text = amount.map(|amount| format!("{}{}", amount.currency(), amount.minor()));
        self.optional(text.as_deref())
    }

    fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
        begin(&merchant(luhn), &read(body.as_bytes())?, names, &key)
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
