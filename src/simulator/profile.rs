//! An issuer profile: where type, amount, code and original data stand in a host's messages, which
//! code it answers what with, and the few practices in which banks differ.
//!
//! A file of its own (`specs/issuer/*.toml`), written from the element tables and never from a
//! dialect's mapping: an oracle that read the switch's own table would agree with its mistakes.
//! Reading a message under a profile is the border: behind it stands a [`Request`] and no element.

use serde::Deserialize;
use toml::Spanned;

use crate::iso8583::{Message, Mti};
use crate::payment::{BusinessDate, Currency, Cvc, Expiry, Pan, Wall};

use super::entry::Kind;
use super::mistake::{Examined, Mistake};
use super::request::{Asked, Network, OriginalKey, Request};

/// The built-in profiles by name.
const BUILT_IN: &[(&str, &str)] = &[("iso8583-1987", include_str!("../../specs/issuer/iso8583-1987.toml"))];

/// An issuer profile, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One line about it.
    pub description: String,
    /// First digit of the message types it takes.
    version: u8,
    pub(super) elements: Elements,
    cvc: Option<CvcPlace>,
    types: Types,
    original: OriginalWidths,
    duplicates: Duplicates,
    pub(super) answers: Answers,
    /// The response codes it answers with.
    pub codes: Codes,
    /// In what banks differ.
    pub practice: Practice,
    network: NetworkCodes,
}

/// Element numbers by what they carry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Elements {
    card: u8,
    track2: u8,
    processing: u8,
    pub(super) amount: u8,
    transmission: u8,
    pub(super) stan: u8,
    expiry: u8,
    pub(super) business_date: u8,
    condition: u8,
    acquirer: u8,
    pub(super) rrn: u8,
    pub(super) approval: u8,
    pub(super) code: u8,
    pub(super) terminal: u8,
    merchant: u8,
    pub(super) currency: u8,
    pub(super) balances: u8,
    network: u8,
    original: u8,
    replacement: u8,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CvcPlace {
    element: u8,
    tag: String,
    length_digits: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Types {
    purchase: Vec<String>,
    void: Vec<String>,
    refund: Vec<String>,
    balance: Vec<String>,
    verification: Vec<String>,
    completion_conditions: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginalWidths {
    mti: usize,
    stan: usize,
    transmission: usize,
    acquirer: usize,
    #[allow(dead_code, reason = "part of the layout; the issuer doesn't compare it")]
    forwarder: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Duplicates {
    elements: Vec<u8>,
}

/// What an answer carries back unchanged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answers {
    pub(super) echo: Vec<u8>,
    pub(super) network_echo: Vec<u8>,
}

/// Response codes (DE39) by the reason for them; `specs/issuer/iso8583-1987.toml` says more of each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Codes {
    pub approving: Vec<String>,
    pub approved: String,
    pub partial: String,
    pub verified: String,
    pub unknown_card: String,
    pub expired: String,
    pub wrong_cvc: String,
    pub insufficient_funds: String,
    pub over_limit: String,
    pub lost: String,
    pub stolen: String,
    pub restricted: String,
    pub blocked: String,
    pub closed: String,
    pub other_currency: String,
    pub invalid: String,
    pub incomplete: String,
    pub duplicate: String,
    pub original_missing: String,
    pub original_amount: String,
    pub reversed_before: String,
    pub reversal_unseen: String,
    pub not_signed_on: String,
}

/// In what banks differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Practice {
    /// What becomes of the rest of a hold after a partial capture.
    pub rest_after_capture: Rest,
    /// Minutes after midnight UTC at which the bank's day ends.
    #[serde(rename = "cutover_utc", deserialize_with = "time_of_day")]
    pub cutover_minute: u32,
}

/// What becomes of the rest of a hold after a partial capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// It stays held until captured or released.
    Held,
    /// It is given back at once.
    Released,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkCodes {
    sign_on: Vec<String>,
    sign_off: Vec<String>,
    echo: Vec<String>,
}

fn time_of_day<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let text = String::deserialize(from)?;
    minute_of_day(&text).ok_or_else(|| serde::de::Error::custom("a time of day, 00:00 to 23:59"))
}

fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str, below: u32| {
        let number = (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u32>().ok());
        number.flatten().filter(|number| *number < below)
    };
    Some(two(hour, 24)? * 60 + two(minute, 60)?)
}

impl Profile {
    /// The names of the built-in profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A built-in profile; `None` when there is none of that name.
    pub fn builtin(name: &str) -> Option<Result<Profile, Vec<Mistake>>> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(Profile::read(name, text))
    }

    /// Reads a profile; `origin` is the file's name for the mistakes.
    pub fn read(origin: &str, text: &str) -> Result<Profile, Vec<Mistake>> {
        let (mut examined, profile) = Examined::read::<Spanned<Profile>>(origin, text)?;
        let (at, profile) = (profile.span(), profile.into_inner());
        if profile.duplicates.elements.is_empty() {
            examined.note(at.clone(), "duplicates.elements", "at least one element");
        }
        if profile.original.widths().any(|width| !(1..=64).contains(&width)) {
            examined.note(at, "original", "widths of 1 to 64 digits");
        }
        examined.finish(profile)
    }

    /// The bank's day at a moment.
    pub fn business_date(&self, now: Wall) -> BusinessDate {
        const MINUTE: i64 = 60_000_000;
        let into_next = match self.practice.cutover_minute {
            0 => 0,
            minute => (24 * 60 - i64::from(minute)) * MINUTE,
        };
        BusinessDate::of(Wall(now.0.saturating_add(into_next)))
    }

    /// Takes out of a message what it asks.
    pub fn understand(&self, message: &Message) -> Asked {
        let mti = message.mti();
        if mti.version() != self.version {
            return Asked::Unsupported;
        }
        match (mti.class(), mti.function()) {
            (8, 0 | 2) => Asked::Network(self.network(message)),
            (1 | 2 | 4, 0 | 2) => match self.request(message, mti) {
                Ok(request) => Asked::Financial(Box::new(request)),
                Err(refusal) => refusal,
            },
            _ => Asked::Unsupported,
        }
    }

    fn network(&self, message: &Message) -> Network {
        let code = text(message, self.elements.network);
        match &code {
            code if self.network.sign_on.contains(code) => Network::SignOn,
            code if self.network.sign_off.contains(code) => Network::SignOff,
            code if self.network.echo.contains(code) => Network::Echo,
            _ => Network::Other,
        }
    }

    fn request(&self, message: &Message, mti: Mti) -> Result<Request, Asked> {
        let elements = &self.elements;
        let stan = text(message, elements.stan);
        if stan.is_empty() {
            return Err(Asked::Incomplete("stan"));
        }
        let pan = self.pan(message);
        // A reversal may leave the card out and name its original alone.
        if pan.is_none() && mti.class() != 4 {
            return Err(Asked::Incomplete("card"));
        }
        let kind = self.kind(message, mti).ok_or(Asked::Unsupported)?;
        let amount = digits(message, elements.amount).unwrap_or(0);
        let currency = currency(&text(message, elements.currency));
        if currency.is_none() && amount != 0 {
            return Err(Asked::Incomplete("currency"));
        }
        Ok(Request {
            mti,
            kind,
            key: self.key(message, mti),
            identity: OriginalKey {
                mti: mti.without_repeat().to_string(),
                transmission: text(message, elements.transmission),
                acquirer: without_zeros(&text(message, elements.acquirer)),
                stan,
            },
            rrn: text(message, elements.rrn),
            terminal: text(message, elements.terminal),
            merchant: text(message, elements.merchant),
            pan,
            expiry: Expiry::from_yymm(&text(message, elements.expiry)).ok(),
            cvc: self.cvc(message),
            amount,
            currency,
            original: self.original(&text(message, elements.original)),
            approval: Some(text(message, elements.approval)).filter(|code| !code.is_empty()),
            replacement: self.replacement(&text(message, elements.replacement)),
        })
    }

    fn pan(&self, message: &Message) -> Option<Pan> {
        let card = text(message, self.elements.card);
        if !card.is_empty() {
            return Pan::parse(&card).ok();
        }
        let track = message.text(self.elements.track2)?;
        let end = track.find(['D', '=', 'd']).unwrap_or(track.len());
        Pan::parse(track.get(..end)?).ok()
    }

    fn kind(&self, message: &Message, mti: Mti) -> Option<Kind> {
        if mti.class() == 4 {
            return Some(Kind::Reversal);
        }
        let processing = text(message, self.elements.processing);
        let asked = processing.get(..2)?.to_owned();
        let types = &self.types;
        let (financial, among) = (mti.class() == 2, |list: &[String]| list.contains(&asked));
        match () {
            _ if among(&types.balance) => Some(Kind::Balance),
            _ if among(&types.verification) => Some(Kind::Verification),
            _ if among(&types.void) => Some(Kind::Void),
            _ if among(&types.refund) && financial => Some(Kind::Refund),
            _ if among(&types.purchase) && financial && self.completes(message) => Some(Kind::Capture),
            _ if among(&types.purchase) && financial => Some(Kind::Sale),
            _ if among(&types.purchase) && digits(message, self.elements.amount) == Some(0) => Some(Kind::Verification),
            _ if among(&types.purchase) => Some(Kind::Authorisation),
            _ => None,
        }
    }

    fn completes(&self, message: &Message) -> bool {
        let condition = text(message, self.elements.condition);
        message.has(self.elements.original) || self.types.completion_conditions.contains(&condition)
    }

    /// The message among all others: class and function (the repeat aside) and the listed elements.
    fn key(&self, message: &Message, mti: Mti) -> String {
        let mut key = mti.without_repeat().to_string();
        for element in &self.duplicates.elements {
            key.push('|');
            key.push_str(&text(message, *element));
        }
        key
    }

    fn original(&self, data: &str) -> Option<OriginalKey> {
        let widths = &self.original;
        let mut rest = data;
        let mut part = |width: usize| {
            let (part, after) = rest.split_at_checked(width)?;
            rest = after;
            Some(part.to_owned())
        };
        let (mti, stan) = (part(widths.mti)?, part(widths.stan)?);
        let (transmission, acquirer) = (part(widths.transmission)?, part(widths.acquirer)?);
        let mti = mti.parse::<Mti>().ok()?.without_repeat().to_string();
        Some(OriginalKey { mti, stan, transmission, acquirer: without_zeros(&acquirer) })
    }

    /// The first twelve characters of the replacement amounts.
    fn replacement(&self, amounts: &str) -> i64 {
        let amount = amounts.get(..12).filter(|amount| amount.bytes().all(|byte| byte.is_ascii_digit()));
        amount.and_then(|amount| amount.parse().ok()).unwrap_or(0)
    }

    fn cvc(&self, message: &Message) -> Option<Cvc> {
        let place = self.cvc.as_ref()?;
        let data = message.text(place.element)?;
        let mut rest = data.as_ref();
        while !rest.is_empty() {
            let (tag, after) = rest.split_at_checked(place.tag.len())?;
            let (length, after) = after.split_at_checked(place.length_digits)?;
            let (value, after) = after.split_at_checked(length.parse().ok()?)?;
            if tag == place.tag {
                return Cvc::parse(value).ok();
            }
            rest = after;
        }
        None
    }
}

impl OriginalWidths {
    fn widths(&self) -> impl Iterator<Item = usize> {
        [self.mti, self.stan, self.transmission, self.acquirer, self.forwarder].into_iter()
    }
}

fn text(message: &Message, element: u8) -> String {
    message.text(element).map_or_else(String::new, |text| text.trim_end().to_owned())
}

fn digits(message: &Message, element: u8) -> Option<i64> {
    message.number(element).and_then(|number| i64::try_from(number).ok())
}

fn currency(code: &str) -> Option<Currency> {
    code.parse::<u16>().ok().and_then(Currency::from_numeric).or_else(|| Currency::from_code(code))
}

fn without_zeros(identification: &str) -> String {
    identification.trim_start_matches('0').to_owned()
}
