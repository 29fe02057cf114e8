//! From an acquirer's message to what is asked of the switch. Pure: what it needs of the world is handed in.

use crate::edge::command::FreshNames;
use crate::edge::fingerprint::{Canonical, FingerprintKey};
use crate::edge::problem::{Code, Problem};
use crate::iso8583::Mti;
use crate::merchants::{Merchant, Register};
use crate::payment::{
    Acceptor, Amount, Card, CardPresent, MessageKind, OperationKind, Pan, PaymentId, PosEntry, ResultCode,
};
use crate::switch::{Begin, Command};
use crate::transaction::{Fingerprint, IdempotencyKey};
use crate::translation::{Asked, Fault, Unasked};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a message is refused before the switch is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What is told.
    pub result: ResultCode,
    /// Stable name for logs and metrics.
    pub code: &'static str,
    /// Of which element; 0 where it is none.
    pub element: u8,
}

impl Refused {
    /// A refusal by an element.
    pub fn at(result: ResultCode, code: &'static str, element: u8) -> Refused {
        Refused { result, code, element }
    }
}

impl From<Unasked> for Refused {
    fn from(unasked: Unasked) -> Refused {
        let result = match unasked.fault {
            Fault::Kind | Fault::NotTaken => ResultCode::NotSupported,
            Fault::Malformed | Fault::Missing => ResultCode::FormatError,
        };
        Refused::at(result, unasked.fault.code(), unasked.element)
    }
}

/// Of a problem that says something to an acquirer; `None` of one that settles nothing, which is not told.
pub(super) fn told_of(problem: &Problem) -> Option<Refused> {
    use ResultCode::{
        BadData, Duplicate, IssuerDown, LimitExceeded, NotAllowed, NotFound, NotSupported, ProcessingError,
    };
    let result = match problem.code {
        Code::NoAnswer | Code::OutcomeNotRecorded | Code::KeyInFlight => return None,
        Code::KeyReused => Duplicate,
        Code::PaymentNotFound => NotFound,
        Code::NotSupported => NotSupported,
        Code::AmountNotPermitted => LimitExceeded,
        Code::AboveAuthorized | Code::AboveCaptured | Code::AmountZero | Code::CurrencyMismatch | Code::TooLarge => {
            BadData
        }
        Code::NoRoute | Code::Draining => IssuerDown,
        code if code.status() == 503 || code.status() == 429 => ProcessingError,
        Code::OutcomeOpen | Code::PaymentBusy => ProcessingError,
        _ => NotAllowed,
    };
    Some(Refused::at(result, problem.code.name(), 0))
}

/// The merchant, and the terminal as a bank is told it. Nobody is told which of them is unknown.
pub(super) fn merchant_of(
    register: &Register,
    names: &[String],
    asked: &Asked,
) -> Result<(Arc<Merchant>, Acceptor), Refused> {
    let terminal = asked.terminal.as_deref().filter(|text| !text.is_empty());
    let is_named = |acceptor: &&Acceptor| asked.acceptor.as_deref().is_none_or(|id| id == acceptor.identification);
    let merchants =
        register.merchants().iter().filter(|merchant| names.iter().any(|name| name == merchant.id.as_str()));
    let mut found = merchants.filter_map(|merchant| {
        let acceptor = merchant.terminal(Some(terminal?)).filter(is_named)?;
        Some((Arc::clone(merchant), acceptor.clone()))
    });
    found.next().ok_or(Refused::at(ResultCode::MerchantConfig, "terminal_unknown", 41))
}

/// By what messages of one terminal are told from each other.
pub(super) struct Naming<'a> {
    /// Named where the message names no acquirer.
    pub door: &'a str,
    pub asked: &'a Asked,
}

impl Naming<'_> {
    /// The message's own key. The amount belongs to the body, so that another one under the same key is refused.
    pub fn key(&self) -> IdempotencyKey {
        let time = if self.asked.local.is_empty() { &self.asked.transmitted } else { &self.asked.local };
        self.key_of(self.asked.mti, &self.asked.stan, time)
    }

    fn key_of(&self, mti: Mti, stan: &str, time: &str) -> IdempotencyKey {
        let asked = self.asked;
        let acquirer = asked.acquirer.as_deref().unwrap_or(self.door);
        let kind = format!("{}{}", mti.class(), mti.function());
        let mut hash = Sha256::new();
        for part in [acquirer, asked.terminal.as_deref().unwrap_or_default(), &kind, stan, time] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let key = format!("iso8583-{}", HEXLOWER.encode(&hash.finalize()));
        IdempotencyKey::new(&key).expect("letters, digits and a dash are visible")
    }

    /// The keys that the message's original may have: a message names it, or repeats its trace number; it bears the
    /// original's time at the terminal, or names its time; in both cases it may be any message that asks for money.
    pub fn original_keys(&self) -> Vec<IdempotencyKey> {
        let (asked, named) = (self.asked, self.asked.original.as_ref());
        let stan = named.map_or(asked.stan.as_str(), |original| &original.stan);
        let times = [asked.local.as_str(), named.map_or("", |original| &original.time), &asked.transmitted];
        let types: Vec<Mti> = match named {
            Some(original) => vec![original.mti],
            None => [100, 200, 220].into_iter().filter_map(Mti::new).collect(),
        };
        let times = times.into_iter().filter(|time| !time.is_empty());
        times.flat_map(|time| types.iter().map(move |mti| self.key_of(*mti, stan, time))).collect()
    }

    /// By what a merchant finds a payment that began with this message, and what follows it finds it too.
    pub fn reference(&self) -> String {
        self.asked.rrn.clone().filter(|rrn| is_printable(rrn)).unwrap_or_else(|| {
            let time = if self.asked.transmitted.is_empty() { &self.asked.local } else { &self.asked.transmitted };
            self.reference_of(&self.asked.stan, time)
        })
    }

    fn reference_of(&self, stan: &str, time: &str) -> String {
        format!("{} {stan} {time}", self.asked.terminal.as_deref().unwrap_or_default())
    }

    /// The references that the message's original may have, and the trace number that it must have where it was named.
    pub fn original_references(&self) -> (Vec<String>, Option<String>) {
        let named = self.asked.original.as_ref();
        let by_rrn = self.asked.rrn.clone().filter(|rrn| is_printable(rrn));
        let by_number = named.map(|original| self.reference_of(&original.stan, &original.time));
        (by_rrn.into_iter().chain(by_number).collect(), named.map(|original| original.stan.clone()))
    }
}

fn is_printable(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Under which name a payment keeps the trace number of its first message.
pub(super) const STAN: &str = "acquirer_stan";

/// What an operation on a payment that exists is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Capture,
    Increment,
    Refund,
    /// By a message of class 1 or 2 that can be declined.
    Void,
    /// By a message of class 4.
    TakeBack,
}

/// What a kind of message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Begin(OperationKind),
    Follow(Follow),
}

/// What a message asks for. What a terminal approved by itself, and what is to be taken back in part, is not taken.
pub(super) fn meaning(asked: &Asked) -> Result<Meaning, Refused> {
    let is_zero = asked.amount.is_some_and(|amount| amount.minor() == 0);
    Ok(match asked.kind {
        MessageKind::Authorisation if is_zero => Meaning::Begin(OperationKind::Verification),
        MessageKind::Authorisation => Meaning::Begin(OperationKind::Authorisation),
        MessageKind::Sale => Meaning::Begin(OperationKind::Sale),
        MessageKind::Verification => Meaning::Begin(OperationKind::Verification),
        MessageKind::BalanceInquiry => Meaning::Begin(OperationKind::BalanceInquiry),
        MessageKind::Capture | MessageKind::CaptureRequest => Meaning::Follow(Follow::Capture),
        MessageKind::Increment => Meaning::Follow(Follow::Increment),
        MessageKind::Refund | MessageKind::RefundAdvice => Meaning::Follow(Follow::Refund),
        MessageKind::Reversal | MessageKind::ReversalRequest => Meaning::Follow(Follow::TakeBack),
        MessageKind::VoidAuthorisation | MessageKind::VoidSale | MessageKind::VoidCapture => {
            Meaning::Follow(Follow::Void)
        }
        MessageKind::Release | MessageKind::ReleaseRequest | MessageKind::StandInAdvice | MessageKind::StandInSale => {
            return Err(Refused::at(ResultCode::NotSupported, asked.kind.name(), 0));
        }
    })
}

/// The beginning of a payment. Card and amount are given away with it.
pub(super) fn begin(
    (merchant, acceptor): (&Merchant, Acceptor),
    asked: &mut Asked,
    (kind, allow_partial, reference): (OperationKind, bool, String),
    names: FreshNames,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Refused> {
    let amount = asked.amount.ok_or(Refused::at(ResultCode::FormatError, "element_missing", 4))?;
    let amount = if kind.is_inquiry() { Amount::zero(amount.currency()) } else { amount };
    if !kind.is_inquiry() && amount.minor() == 0 {
        return Err(Refused::at(ResultCode::BadData, "amount_not_positive", 4));
    }
    let entry = asked.entry.ok_or(Refused::at(ResultCode::FormatError, "element_missing", 22))?;
    let card = card(asked, entry, merchant.luhn)?;
    let mut canonical = Canonical::new(key, "ISO 8583", kind.name());
    canonical.card(&card).amount(Some(amount)).text(&acceptor.terminal).text(&format!("{entry:?}"));
    canonical.consent(asked.consent.as_ref()).purchase(asked.purchase.as_ref());
    let begin = Begin {
        payment: names.payment,
        kind,
        amount,
        allow_partial,
        reference,
        card_print: key.card_print(&card.pan),
        card,
        card_id: names.card,
        acceptor,
        entry,
        consent: asked.consent.take(),
        purchase: asked.purchase.take(),
        metadata: BTreeMap::from([(STAN.to_owned(), asked.stan.clone())]),
    };
    Ok((Command::Begin(Box::new(begin)), canonical.finish()))
}

/// The card: number and expiry stand by themselves or on the stripe, and say the same where they stand in both places.
fn card(asked: &mut Asked, entry: PosEntry, luhn: bool) -> Result<Card, Refused> {
    let missing = |element| Refused::at(ResultCode::FormatError, "element_missing", element);
    let differs = |element| Refused::at(ResultCode::FormatError, "element_malformed", element);
    let is_present = matches!(entry, PosEntry::Chip | PosEntry::Contactless | PosEntry::Swipe);
    let (track2, emv) = (asked.track2.take(), asked.emv.take());
    if !is_present && (track2.is_some() || emv.is_some()) {
        return Err(differs(22));
    }
    let (on_track, expiry_on_track) = (track2.as_ref().and_then(|t| t.pan()), track2.as_ref().and_then(|t| t.expiry()));
    let pan: Pan = match (asked.pan.take(), on_track) {
        (Some(pan), Some(other)) if pan != other => return Err(differs(35)),
        (Some(pan), _) | (None, Some(pan)) => pan,
        (None, None) => return Err(missing(2)),
    };
    if luhn && !pan.luhn_valid() {
        return Err(Refused::at(ResultCode::InvalidCard, "card_number_invalid", 2));
    }
    let expiry = match (asked.expiry, expiry_on_track) {
        (Some(expiry), Some(other)) if expiry != other => return Err(differs(14)),
        (own, on_track) => own.or(on_track).ok_or(missing(14))?,
    };
    let present = match (is_present, track2) {
        (true, Some(track2)) => Some(Box::new(CardPresent { track2, emv, pin: None })),
        (true, None) => return Err(missing(35)),
        (false, _) => None,
    };
    Ok(Card { pan, expiry, cvc: asked.cvc.take(), cryptogram: asked.cryptogram.take(), present })
}

/// What is asked of a payment that exists.
pub(super) fn follow(
    follow: Follow,
    payment: PaymentId,
    amount: Option<Amount>,
    key: &FingerprintKey,
) -> Result<(Command, Fingerprint), Refused> {
    let needed = || amount.ok_or(Refused::at(ResultCode::FormatError, "element_missing", 4));
    let mut canonical = Canonical::new(key, "ISO 8583", &format!("{follow:?} {payment}"));
    canonical.amount(amount);
    let command = match follow {
        Follow::Capture => Command::Capture { payment, amount: Some(needed()?), is_final: true },
        Follow::Increment => Command::Increment { payment, amount: needed()? },
        Follow::Refund => Command::Refund { payment, amount: Some(needed()?) },
        Follow::Void | Follow::TakeBack => Command::Void { payment },
    };
    Ok((command, canonical.finish()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::iso8583::{MessageBuilder, dialects};
    use crate::merchants::MerchantSettings;
    use crate::payment::{CardId, Name};
    use crate::translation::{Mapping, Translation};
    use std::path::Path;
    use zeroize::Zeroizing;

    const TRACK: &str = "4111111111111111D30122010000012345678";

    fn asked(mti: &str, more: &[(u8, &str)]) -> Asked {
        let layers = dialects::builtin_layers("iso8583-1987-ascii").unwrap().unwrap();
        let (spec, mapping) = (dialects::spec_of(&layers).unwrap(), Mapping::read(&layers).unwrap());
        let translation = Translation::new(spec, mapping, Name::from("1987"));
        let mut builder = MessageBuilder::new(mti.parse().unwrap());
        for (element, text) in [
            (2, "4111111111111111"),
            (3, "000000"),
            (4, "000000001299"),
            (7, "1122174500"),
            (11, "000123"),
            (12, "184500"),
            (13, "1122"),
            (14, "3012"),
            (22, "810"),
            (25, "59"),
            (32, "777"),
            (41, "T1"),
            (42, "SHOP"),
            (49, "978"),
        ] {
            builder.set(element, text);
        }
        for (element, text) in more {
            if text.is_empty() {
                builder.unset(*element)
            } else {
                builder.set(*element, *text)
            };
        }
        let message = translation.spec().decode(translation.spec().encode_to_bytes(&builder).unwrap()).unwrap();
        translation.asked(&message, &[]).unwrap()
    }

    fn key(asked: &Asked) -> IdempotencyKey {
        Naming { door: "pos", asked }.key()
    }

    #[test]
    fn the_key_is_of_the_message_and_not_of_its_amount() {
        let first = key(&asked("0200", &[]));
        assert_eq!(first, key(&asked("0201", &[(4, "000000000001")])));
        assert_eq!(first, key(&asked("0200", &[(7, "1122174501")])), "it has a time of its own");
        let others: [(&str, (u8, &str)); 6] = [
            ("0100", (11, "000123")),
            ("0200", (11, "000124")),
            ("0200", (12, "184501")),
            ("0200", (13, "1123")),
            ("0200", (32, "778")),
            ("0200", (41, "T2")),
        ];
        assert!(others.iter().all(|(mti, other)| key(&asked(mti, &[*other])) != first));
        let timeless = [(12, ""), (13, "")];
        let by_transmission = key(&asked("0200", &timeless));
        assert_ne!(by_transmission, key(&asked("0200", &[timeless[0], timeless[1], (7, "1122174501")])));
        assert_ne!(
            key(&asked("0200", &[(32, "")])),
            Naming { door: "other", asked: &asked("0200", &[(32, "")]) }.key()
        );
    }

    #[test]
    fn what_follows_knows_the_key_of_its_original() {
        let keys = |mti, more: &[(u8, &str)]| Naming { door: "pos", asked: &asked(mti, more) }.original_keys();
        let sale = key(&asked("0200", &[]));
        assert!(keys("0420", &[]).contains(&sale), "the same number and times");
        let named = "020000012311221745000000000077700000000000";
        assert!(keys("0420", &[(11, "000200"), (90, named)]).contains(&sale), "the original's time at the terminal");
        let own_times = [(11, "000200"), (12, "190000"), (90, named)];
        assert!(!keys("0420", &own_times).contains(&sale));
        let timeless = key(&asked("0200", &[(12, ""), (13, "")]));
        assert!(keys("0420", &own_times).contains(&timeless), "the original's time of transmission");
        let reversal = asked("0420", &own_times);
        let (references, stan) = Naming { door: "pos", asked: &reversal }.original_references();
        assert_eq!(references, [Naming { door: "pos", asked: &asked("0200", &[]) }.reference()]);
        assert_eq!(stan.as_deref(), Some("000123"));
        assert_eq!(Naming { door: "pos", asked: &asked("0200", &[(37, "632617000123")]) }.reference(), "632617000123");
    }

    fn begun(more: &[(u8, &str)]) -> Result<(Begin, Fingerprint), Refused> {
        let settings: MerchantSettings = toml::from_str(&format!(
            "id = 'm'\nclient_cert_spki_sha256 = ['{}']\nterminals = [{{ terminal = 'T1', acceptor = 'SHOP', \
             category_code = '5999', city = 'Bonn', country = 'DE' }}]",
            "00".repeat(32)
        ))
        .unwrap();
        let register = Register::build(&[settings], Path::new(".")).unwrap();
        let mut asked = asked("0200", more);
        let (merchant, acceptor) = merchant_of(&register, &["m".to_owned()], &asked)?;
        let names = FreshNames { payment: PaymentId(1), card: CardId(2) };
        let key = FingerprintKey(Zeroizing::new([1; 32]));
        let how = (OperationKind::Sale, false, "r".to_owned());
        let (Command::Begin(begin), print) = begin((&merchant, acceptor), &mut asked, how, names, &key)? else {
            panic!("it begins a payment");
        };
        Ok((*begin, print))
    }

    #[test]
    fn a_card_is_read_from_its_number_or_its_stripe() {
        let (keyed, print) = begun(&[(48, "9203123")]).unwrap();
        assert_eq!((keyed.card.pan.last4(), keyed.card.expiry.yymm().as_str()), ("1111", "3012"));
        assert_eq!(begun(&[]).unwrap().1, print, "who asks again may not have kept the code");
        let swiped = [(22, "901"), (25, "00"), (35, TRACK)];
        let (read, other) = begun(&[swiped[0], swiped[1], swiped[2], (2, ""), (14, "")]).unwrap();
        assert!(read.card.present.is_some() && other != print);
        assert_eq!((read.entry, read.card.pan.last4()), (PosEntry::Swipe, "1111"));
        assert!(!format!("{read:?}").contains("4111111111111111"));
        let at = |more: &[(u8, &str)]| begun(more).map(|_| 0).unwrap_err().element;
        assert_eq!(at(&[swiped[0], swiped[1], swiped[2], (2, "4242424242424242")]), 35);
        assert_eq!(at(&[swiped[0], swiped[1], swiped[2], (14, "3011")]), 14);
        assert_eq!(at(&[swiped[0], swiped[1]]), 35, "a card that is there has a stripe");
        assert_eq!(at(&[(35, TRACK)]), 22, "a card that is not there has none");
        assert_eq!((at(&[(14, "")]), at(&[(2, "")]), at(&[(4, "")])), (14, 2, 4));
        assert_eq!((at(&[(4, "000000000000")]), at(&[(2, "4111111111111112")])), (4, 2));
        assert_eq!((at(&[(41, "T9")]), at(&[(42, "STALL")]), at(&[(41, "")])), (41, 41, 41));
    }

    #[test]
    fn problems_are_told_only_where_they_settle_something() {
        let told = |code: Code| told_of(&code.into()).map(|refused| refused.result);
        for code in Code::ALL {
            let result = told(*code);
            let approves = result.is_some_and(|result| result.class() == crate::payment::ResultClass::Approved);
            assert!(!approves, "{}", code.name());
        }
        assert_eq!(told(Code::OutcomeNotRecorded), None);
        assert_eq!(told(Code::NoAnswer), None);
        assert_eq!(told(Code::KeyReused), Some(ResultCode::Duplicate));
        assert_eq!(told(Code::StoreUnavailable), Some(ResultCode::ProcessingError));
        assert_eq!(told(Code::AboveCaptured), Some(ResultCode::BadData));
    }
}
