//! What an acquirer asks of us: a message read by the same mapping that writes ours (ISO 8583 clause 4: classes 1, 2 and 4).
//!
//! A template takes apart what it would have written, so there is no second table of elements. The kind follows from
//! message type, processing code and function code, and from whether the message names an original: an 0200 that does
//! completes what was authorised. An element that is neither of the kind nor passed over is refused by its number.

use super::Translation;
use super::mapping::{Mapping, MessageMapping};
use super::template::Value;
use crate::iso8583::{Message, Mti};
use crate::payment::{
    Amount, Consent, Cryptogram, Currency, Cvc, Emv, Expiry, MessageKind, Pan, PosEntry, Purchase, Track2,
};
use zeroize::Zeroizing;

/// A message of an acquirer, read.
#[derive(Debug)]
pub struct Asked {
    /// What it is for.
    pub kind: MessageKind,
    /// Its type as first sent.
    pub mti: Mti,
    /// Card number, as it stands by itself.
    pub pan: Option<Pan>,
    /// Month of expiry, as it stands by itself.
    pub expiry: Option<Expiry>,
    /// Card verification code.
    pub cvc: Option<Cvc>,
    /// Cryptogram of 3-D Secure.
    pub cryptogram: Option<Cryptogram>,
    /// The magnetic stripe, or its image on the chip.
    pub track2: Option<Track2>,
    /// Chip data.
    pub emv: Option<Emv>,
    /// How much, in which currency.
    pub amount: Option<Amount>,
    /// Trace number, as it came.
    pub stan: String,
    /// Transmission time, as it came.
    pub transmitted: String,
    /// Date and time at the terminal, one element behind the other, as they came; empty where there are none.
    pub local: String,
    /// Retrieval reference.
    pub rrn: Option<String>,
    /// Acquiring institution.
    pub acquirer: Option<String>,
    /// Terminal.
    pub terminal: Option<String>,
    /// Card acceptor.
    pub acceptor: Option<String>,
    /// How the card was entered.
    pub entry: Option<PosEntry>,
    /// How the cardholder's consent was established.
    pub consent: Option<Consent>,
    /// What one business buys of another.
    pub purchase: Option<Purchase>,
    /// The message that it is about.
    pub original: Option<AskedOriginal>,
}

/// How a message names an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedOriginal {
    /// Its type.
    pub mti: Mti,
    /// Its trace number, as it came.
    pub stan: String,
    /// Its time, as it came: 1987 that of transmission, later that at the terminal.
    pub time: String,
}

/// Why a message is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// What is wrong.
    pub fault: Fault,
    /// Of which element; 0 where it is the message.
    pub element: u8,
}

/// What can be wrong with a message that could be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The dialect describes no message like it.
    Kind,
    /// The element is not taken here.
    NotTaken,
    /// The element does not hold what it should.
    Malformed,
    /// The element is needed.
    Missing,
}

impl Fault {
    /// Stable name, for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Fault::Kind => "message_not_described",
            Fault::NotTaken => "element_not_taken",
            Fault::Malformed => "element_malformed",
            Fault::Missing => "element_missing",
        }
    }
}

impl Translation {
    /// Whether the dialect says how acquirers are answered.
    pub fn answers_acquirers(&self) -> bool {
        self.mapping.inbound.answers()
    }

    /// Reads what an acquirer asks. `passed_over` are elements that this door does not look at, beside the dialect's.
    pub fn asked(&self, message: &Message, passed_over: &[u8]) -> Result<Asked, Unasked> {
        let mapping = &self.mapping;
        let (kind, described) = kind_of(mapping, message).ok_or(Unasked { fault: Fault::Kind, element: 0 })?;
        let mut found = Found { mapping, values: Vec::with_capacity(24) };
        let is_passed_over = |element| mapping.inbound.passed_over.contains(&element) || passed_over.contains(&element);
        // Ours to banks leave it out of refunds; who gives back something of ours has to name it.
        let names_original = matches!(kind, MessageKind::Refund | MessageKind::RefundAdvice);
        let original = mapping.element_of(Value::OriginalStan).filter(|_| names_original);
        for element in message.elements() {
            match described.has(element) || original == Some(element) {
                true => found.take(message, element)?,
                false if is_passed_over(element) => {}
                false => return Err(Unasked { fault: Fault::NotTaken, element }),
            }
        }
        found.asked(kind, message.mti().without_repeat())
    }
}

/// The kind of a message, where the dialect describes it.
fn kind_of<'m>(mapping: &'m Mapping, message: &Message) -> Option<(MessageKind, &'m MessageMapping)> {
    let mti = message.mti().without_repeat();
    let text = |value| mapping.element_of(value).and_then(|element| message.text(element));
    let code: Option<u32> = text(Value::ProcessingCode).and_then(|code| code.parse().ok());
    let function = text(Value::FunctionCode);
    let follows = text(Value::OriginalStan).is_some() || text(Value::ApprovalCode).is_some();
    let remains = text(Value::RemainingAmount).is_some_and(|text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)));
    let suits = |kind: MessageKind| match kind {
        MessageKind::Capture | MessageKind::CaptureRequest | MessageKind::Increment => follows,
        MessageKind::Reversal | MessageKind::ReversalRequest => !remains,
        MessageKind::Release | MessageKind::ReleaseRequest => remains,
        MessageKind::Refund | MessageKind::RefundAdvice => true,
        MessageKind::VoidAuthorisation | MessageKind::VoidSale | MessageKind::VoidCapture => true,
        MessageKind::Authorisation | MessageKind::Sale | MessageKind::StandInAdvice => !follows,
        MessageKind::StandInSale | MessageKind::Verification | MessageKind::BalanceInquiry => !follows,
    };
    let is_one = |(kind, described): &(MessageKind, &MessageMapping)| {
        Mti::new(described.mti) == Some(mti)
            && described.processing_code.is_none_or(|wanted| code == Some(wanted))
            && described.has_function(function.as_deref())
            && suits(*kind)
    };
    mapping.messages().find(is_one)
}

/// Values on their way out of a message, each with its element.
struct Found<'m> {
    mapping: &'m Mapping,
    values: Vec<(Value, u8, Zeroizing<String>)>,
}

impl Found<'_> {
    fn take(&mut self, message: &Message, element: u8) -> Result<(), Unasked> {
        let malformed = Unasked { fault: Fault::Malformed, element };
        let text = Zeroizing::new(message.text(element).ok_or(malformed)?.into_owned());
        let template = self.mapping.element(element).ok_or(malformed)?;
        for (value, text) in template.read(&text).ok_or(malformed)? {
            self.values.push((value, element, Zeroizing::new(text.to_owned())));
        }
        Ok(())
    }

    fn asked(&self, kind: MessageKind, mti: Mti) -> Result<Asked, Unasked> {
        let owned = |value| self.text(value).map(str::to_owned);
        Ok(Asked {
            kind,
            mti,
            pan: self.read(Value::Pan, |text| Pan::parse(text).ok())?,
            expiry: self.read(Value::Expiry, |text| Expiry::from_yymm(text).ok())?,
            cvc: self.read(Value::Cvc, |text| Cvc::parse(text).ok())?,
            cryptogram: self.read(Value::Cryptogram, Cryptogram::parse)?,
            track2: self.read(Value::Track2, Track2::parse)?,
            emv: self.read(Value::Emv, Emv::parse)?,
            amount: self.amount()?,
            stan: self.needed(Value::Stan)?.to_owned(),
            transmitted: owned(Value::TransmissionTime).unwrap_or_default(),
            local: self.every(Value::LocalTime),
            rrn: owned(Value::Rrn).filter(|text| !text.is_empty()),
            acquirer: owned(Value::Acquirer),
            terminal: owned(Value::Terminal),
            acceptor: owned(Value::Acceptor),
            entry: self.entry()?,
            consent: self.consent()?,
            purchase: self.purchase()?,
            original: self.original()?,
        })
    }

    /// The characters of a value, without the filling around them.
    fn text(&self, value: Value) -> Option<&str> {
        self.values.iter().find(|(known, _, _)| *known == value).map(|(_, _, text)| text.trim())
    }

    fn every(&self, value: Value) -> String {
        self.values.iter().filter(|(known, _, _)| *known == value).map(|(_, _, text)| text.as_str()).collect()
    }

    fn needed(&self, value: Value) -> Result<&str, Unasked> {
        let missing = Unasked { fault: Fault::Missing, element: self.mapping.element_of(value).unwrap_or(0) };
        self.text(value).filter(|text| !text.is_empty()).ok_or(missing)
    }

    fn malformed(&self, value: Value) -> Unasked {
        Unasked { fault: Fault::Malformed, element: self.mapping.element_of(value).unwrap_or(0) }
    }

    fn read<T>(&self, value: Value, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Unasked> {
        self.text(value).map(|text| read(text).ok_or(self.malformed(value))).transpose()
    }

    fn currency(&self) -> Result<Option<Currency>, Unasked> {
        let by_letters = self.read(Value::CurrencyCode, Currency::from_code)?;
        let numeric = |text: &str| text.parse().ok().and_then(Currency::from_numeric);
        Ok(self.read(Value::Currency, numeric)?.or(by_letters))
    }

    fn amount(&self) -> Result<Option<Amount>, Unasked> {
        let minor: Option<u64> = self.read(Value::Amount, |text| text.parse().ok())?;
        let (Some(minor), currency) = (minor, self.currency()?) else { return Ok(None) };
        let element = self.mapping.element_of(Value::Currency).unwrap_or(0);
        let currency = currency.ok_or(Unasked { fault: Fault::Missing, element })?;
        Amount::new(minor, currency).map(Some).map_err(|_| self.malformed(Value::Amount))
    }

    fn entry(&self) -> Result<Option<PosEntry>, Unasked> {
        let condition = self.text(Value::ConditionCode);
        self.read(Value::EntryMode, |mode| self.mapping.entry_of(mode, condition))
    }

    fn consent(&self) -> Result<Option<Consent>, Unasked> {
        let digits =
            |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.to_owned());
        let letters = |text: &str| text.bytes().all(|b| matches!(b, b'!'..=b'~')).then(|| text.to_owned());
        let consent = Consent {
            eci: self.read(Value::Eci, digits)?,
            authentication: self.read(Value::Authentication, letters)?,
            stored: self.read(Value::StoredCredential, |code| self.mapping.stored_credential_of(code))?,
            network_reference: self.read(Value::NetworkReference, letters)?,
        };
        Ok(Some(consent).filter(|consent| *consent != Consent::default()))
    }

    fn purchase(&self) -> Result<Option<Purchase>, Unasked> {
        let printed = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~')).then(|| text.to_owned());
        let tax: Option<u64> = self.read(Value::Tax, |text| text.parse().ok())?;
        let currency = self.currency()?;
        let tax = tax.zip(currency).map(|(minor, currency)| Amount::new(minor, currency));
        let purchase = Purchase {
            customer_reference: self.read(Value::CustomerReference, printed)?,
            invoice: self.read(Value::Invoice, printed)?,
            tax: tax.transpose().map_err(|_| self.malformed(Value::Tax))?,
        };
        Ok(Some(purchase).filter(|purchase| *purchase != Purchase::default()))
    }

    fn original(&self) -> Result<Option<AskedOriginal>, Unasked> {
        let Some(mti) = self.read(Value::OriginalMti, |text| text.parse::<Mti>().ok())? else { return Ok(None) };
        let text = |value| self.text(value).unwrap_or_default().to_owned();
        let original = AskedOriginal {
            mti: mti.without_repeat(),
            stan: text(Value::OriginalStan),
            time: text(Value::OriginalTime),
        };
        // Zeros all through name nothing.
        Ok(Some(original).filter(|original| original.stan.bytes().any(|b| b != b'0')))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{request, speaking};
    use super::*;

    fn kind(mti: &str, more: &[(u8, &str)]) -> Result<MessageKind, Unasked> {
        let translation = speaking("iso8583-1987-bcd");
        translation.asked(&request(&translation, mti, more), &[]).map(|asked| asked.kind)
    }

    const ORIGINAL: &str = "020000012311221745000000012345600000000000";

    #[test]
    fn the_kind_follows_from_type_code_and_original() {
        let known = |mti, more: &[(u8, &str)]| kind(mti, more).unwrap();
        assert_eq!(known("0100", &[]), MessageKind::Authorisation);
        assert_eq!(known("0101", &[]), MessageKind::Authorisation);
        assert_eq!(known("0200", &[]), MessageKind::Sale);
        assert_eq!(known("0200", &[(90, ORIGINAL)]), MessageKind::CaptureRequest);
        assert_eq!(known("0220", &[(38, "A1B2C3")]), MessageKind::Capture);
        assert_eq!(known("0220", &[]), MessageKind::StandInSale);
        assert_eq!(known("0200", &[(3, "200000")]), MessageKind::Refund);
        assert_eq!(known("0421", &[(90, ORIGINAL)]), MessageKind::Reversal);
        assert_eq!(known("0400", &[]), MessageKind::ReversalRequest);
        let part = format!("{:012}{:030}", 300, 0);
        assert_eq!(known("0420", &[(90, ORIGINAL), (95, &part)]), MessageKind::Release);
        assert_eq!(known("0100", &[(3, "310000")]), MessageKind::BalanceInquiry);
        let nothing = Unasked { fault: Fault::Kind, element: 0 };
        assert_eq!(kind("0200", &[(3, "010000")]), Err(nothing), "cash");
        assert_eq!(kind("0500", &[]), Err(nothing));
    }

    #[test]
    fn values_are_read_where_they_would_be_written() {
        let translation = speaking("iso8583-1987-bcd");
        let more = [(48, "4202059203123"), (37, "632617000123"), (90, ORIGINAL), (38, "A1B2C3")];
        let asked = translation.asked(&request(&translation, "0200", &more[..2]), &[]).unwrap();
        assert_eq!((asked.stan.as_str(), asked.transmitted.as_str()), ("000123", "1122174500"));
        assert_eq!((asked.local.as_str(), asked.rrn.as_deref()), ("1845001122", Some("632617000123")));
        assert_eq!((asked.terminal.as_deref(), asked.acceptor.as_deref()), (Some("TERM0001"), Some("ACME00000000001")));
        assert_eq!(
            (asked.amount.unwrap().to_string(), asked.entry),
            ("12.99 EUR".to_owned(), Some(PosEntry::MailOrder))
        );
        assert_eq!(asked.cvc.unwrap().reveal(), "123");
        assert_eq!(asked.consent.unwrap().eci.as_deref(), Some("05"));
        let capture = translation.asked(&request(&translation, "0220", &more[2..]), &[]).unwrap();
        let named = capture.original.unwrap();
        assert_eq!(
            (named.mti.to_string().as_str(), named.stan.as_str(), named.time.as_str()),
            ("0200", "000123", "1122174500")
        );
    }

    #[test]
    fn what_is_not_understood_is_named_by_its_element() {
        let wrong = |more: &[(u8, &str)]| kind("0200", more).unwrap_err();
        let at = |fault, element| Unasked { fault, element };
        assert_eq!(wrong(&[(52, "0123456789ABCDEF")]), at(Fault::NotTaken, 52));
        assert_eq!(wrong(&[(54, "0040978D000000000100")]), at(Fault::NotTaken, 54));
        assert_eq!(wrong(&[(48, "9203")]), at(Fault::Malformed, 48));
        assert_eq!(wrong(&[(14, "2613")]), at(Fault::Malformed, 14));
        assert_eq!(wrong(&[(49, "999")]), at(Fault::Malformed, 49));
        assert_eq!(wrong(&[(22, "012"), (25, "00")]), at(Fault::Malformed, 22));
        let translation = speaking("iso8583-1987-bcd");
        let message = request(&translation, "0200", &[(60, "000001")]);
        assert_eq!(translation.asked(&message, &[]).unwrap_err(), at(Fault::NotTaken, 60));
        assert!(translation.asked(&message, &[60]).is_ok());
    }
}
