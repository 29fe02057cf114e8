//! An issuer profile: where type, amount, code and original data stand in a host's messages, which
//! code it answers what with, and the few practices in which banks differ.
//!
//! A file of its own (`specs/issuer/*.toml`), written from the element tables and never from a
//! dialect's mapping: an oracle that read the switch's own table would agree with its mistakes.
//! Reading a message under a profile is the border: behind it stands a request and no element.

mod place;
mod secrets;
mod understanding;

use serde::Deserialize;
use toml::{Table, Value};

use crate::iso8583::Mti;
use crate::payment::{BusinessDate, Wall};

use super::mistake::{Examined, Mistake, expected_of};
use super::request::Network;
use place::Place;
pub(super) use secrets::{Forged, KeyExchange, KeyPart, MacPractice, PinPractice, WorkingUse, Wrapping};

/// The built-in profiles by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("iso8583-1987", include_str!("../../specs/issuer/iso8583-1987.toml")),
    ("iso8583-1987-requests", include_str!("../../specs/issuer/iso8583-1987-requests.toml")),
    ("iso8583-1987-aes", include_str!("../../specs/issuer/iso8583-1987-aes.toml")),
    ("iso8583-1987-terse", include_str!("../../specs/issuer/iso8583-1987-terse.toml")),
    ("iso8583-1993", include_str!("../../specs/issuer/iso8583-1993.toml")),
    ("iso8583-2003", include_str!("../../specs/issuer/iso8583-2003.toml")),
    ("unionpay-pos", include_str!("../../specs/issuer/unionpay-pos.toml")),
];

/// Beginnings of dialects' names, and the profile that suits them.
const SUITING: &[(&str, &str)] = &[
    ("iso8583-1993", "iso8583-1993"),
    ("amex-1993", "iso8583-1993"),
    ("mastercard-clearing", "iso8583-1993"),
    ("iso8583-2003", "iso8583-2003"),
    ("unionpay-pos", "unionpay-pos"),
];

/// Deeper chains of `extends` than this are refused; it also ends a circle.
const MOST_LAYERS: usize = 8;

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
    original: OriginalLayout,
    partial: Option<PartialReversal>,
    duplicates: Duplicates,
    pub(super) answers: Answers,
    /// The response codes it answers with.
    pub codes: Codes,
    /// In what banks differ.
    pub practice: Practice,
    network: NetworkCodes,
    pub(super) mac: MacPractice,
    pub(super) pin: PinPractice,
    pub(super) key_exchange: KeyExchange,
}

/// Element numbers by what they carry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Elements {
    card: u8,
    track2: u8,
    /// What is asked for, in its first two characters.
    processing: Place,
    pub(super) amount: u8,
    /// Characters before the digits of an amount; where there are any, they begin with the currency.
    pub(super) amount_prefix: usize,
    pub(super) transmission: u8,
    pub(super) stan: u8,
    pub(super) time: u8,
    pub(super) date: u8,
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
    network: Place,
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
    capture: Vec<String>,
    completion_conditions: Vec<String>,
}

/// How a message names its original.
///
/// A layout without a message type knows originals by what follows alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginalLayout {
    /// What follows what.
    order: Vec<OriginalPart>,
    mti: usize,
    stan: usize,
    time: usize,
    /// The element of the original that the time repeats.
    time_element: Place,
    acquirer: usize,
    /// So many digits say how long the acquirer is, which then is the most it may be.
    acquirer_length: usize,
    forwarder: usize,
    /// How a reversal names it.
    reversals: ReversalNames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OriginalPart {
    Mti,
    Stan,
    Time,
    Acquirer,
    Forwarder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ReversalNames {
    /// As every message does that has one.
    Original,
    /// By having its STAN and its time.
    Repeated,
}

/// Where a reversal says by a code that only a part is taken back: the amount then is what stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialReversal {
    element: u8,
    codes: Vec<String>,
    original_amount: u8,
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
    /// Whether an answer names the bank's day (DE15), or leaves the day to the acquirer.
    pub(super) business_date: bool,
    /// MMDD, YYMMDD or CCYYMMDD.
    pub(super) business_date_digits: usize,
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
    pub bad_mac: String,
    pub bad_key: String,
    pub wrong_pin: String,
    pub pin_tries: String,
    pub broken_pin: String,
    pub original_missing: String,
    pub original_amount: String,
    pub reversed_before: String,
    pub reversal_approved: String,
    pub reversal_unseen: String,
    pub network_approved: String,
    pub not_signed_on: String,
}

/// In what banks differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Practice {
    /// Whether money moves only on a link that has signed on.
    pub needs_sign_on: bool,
    /// What becomes of the rest of a hold after a partial capture.
    pub rest_after_capture: Rest,
    /// What a reversal means that says less than its original's amount and nothing more.
    pub lesser_reversal: LesserReversal,
    /// Minutes after midnight UTC at which the bank's day ends.
    #[serde(rename = "cutover_utc", deserialize_with = "time_of_day")]
    pub cutover_minute: u32,
    /// Whether the bank tells its peers when a day has ended by the clock.
    pub announces_cutover: bool,
    /// Whether the bank gives a retrieval reference and the time where the request has none.
    pub gives_references: bool,
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

/// What a reversal means that says less than its original's amount and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LesserReversal {
    /// A mistake: declined.
    Refused,
    /// So much is taken back, and the rest stands.
    Part,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkCodes {
    /// Fourth digit of the bank's own network messages.
    origin: u8,
    sign_on: Vec<String>,
    sign_off: Vec<String>,
    echo: Vec<String>,
    key_change: Vec<String>,
    cutover: Vec<String>,
}

fn time_of_day<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let text = String::deserialize(from)?;
    minute_of_day(&text).ok_or_else(|| serde::de::Error::custom("a time of day, 00:00 to 23:59"))
}

/// Minutes after midnight of a time as "21:30".
pub(super) fn minute_of_day(text: &str) -> Option<u32> {
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
        Some(Profile::read(&format!("specs/issuer/{name}.toml"), built_in(name)?))
    }

    /// The built-in profile that suits a dialect by its name: its edition's.
    pub fn suiting(dialect: &str) -> &'static str {
        SUITING.iter().find(|(start, _)| dialect.starts_with(start)).map_or("iso8583-1987", |(_, profile)| profile)
    }

    /// Reads a profile; `origin` is the file's name for the mistakes. With `extends` it names a
    /// built-in one and says only what differs.
    pub fn read(origin: &str, text: &str) -> Result<Profile, Vec<Mistake>> {
        let (mut examined, table) = Examined::read::<Table>(origin, text)?;
        let Some(whole) = extended(&mut examined, table) else { return Err(examined.into_mistakes()) };
        let profile: Profile = match serde_path_to_error::deserialize(whole) {
            Ok(profile) => profile,
            Err(error) => {
                let (key, message) = (error.path().to_string(), error.into_inner().message().to_owned());
                examined.note_key(key.trim_start_matches('.'), expected_of(&message));
                return Err(examined.into_mistakes());
            }
        };
        if profile.duplicates.elements.is_empty() {
            examined.note_key("duplicates.elements", "at least one element");
        }
        if profile.original.widths().any(|width| width > 64) {
            examined.note_key("original", "widths of at most 64 digits");
        }
        if ![4, 6, 8].contains(&profile.answers.business_date_digits) {
            examined.note_key("answers.business_date_digits", "4, 6 or 8");
        }
        if ![0, 4].contains(&profile.elements.amount_prefix) {
            examined.note_key("elements.amount_prefix", "0, or 4 for the currency and its decimals");
        }
        if profile.version > 9 {
            examined.note_key("version", "a digit");
        }
        if profile.network.origin > 9 {
            examined.note_key("network.origin", "a digit");
        }
        profile.examine_secrets(&mut examined);
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

    /// The day as an answer names it.
    pub(super) fn written_day(&self, day: BusinessDate) -> String {
        let digits: String = day.to_string().chars().filter(char::is_ascii_digit).collect();
        let from = digits.len().saturating_sub(self.answers.business_date_digits);
        digits.get(from..).unwrap_or_default().to_owned()
    }

    /// The type of the bank's own network requests.
    pub(super) fn network_request(&self) -> Mti {
        Mti::from_digits([self.version, 8, 0, self.network.origin]).expect("both are digits, as was read")
    }

    /// What a question of the bank's own says in its network element; `None` where it has no code, or no
    /// element of its own for it.
    pub(super) fn network_code(&self, question: Network) -> Option<(u8, &str)> {
        let codes = &self.network;
        let codes = match question {
            Network::SignOn => &codes.sign_on,
            Network::SignOff => &codes.sign_off,
            Network::Echo => &codes.echo,
            Network::KeyChange => &codes.key_change,
            Network::Cutover => &codes.cutover,
            Network::Other => return None,
        };
        codes.first().zip(self.elements.network.element()).map(|(code, element)| (element, code.as_str()))
    }
}

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The table laid over what it extends, and that over what it extends in turn.
fn extended(examined: &mut Examined<'_>, table: Table) -> Option<Table> {
    let mut whole = table;
    for _ in 0..MOST_LAYERS {
        let Some(base) = whole.remove("extends") else { return Some(whole) };
        let base = base.as_str().and_then(built_in).and_then(|text| text.parse::<Table>().ok());
        let Some(mut base) = base else {
            examined.note_key("extends", format!("one of {}", Profile::names().collect::<Vec<_>>().join(", ")));
            return None;
        };
        lay_over(&mut base, whole);
        whole = base;
    }
    examined.note_key("extends", format!("at most {MOST_LAYERS} layers"));
    None
}

fn lay_over(base: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

impl OriginalLayout {
    fn widths(&self) -> impl Iterator<Item = usize> {
        [self.mti, self.stan, self.time, self.acquirer_length, self.acquirer, self.forwarder].into_iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_built_in_profile_reads() {
        for name in Profile::names() {
            let profile = Profile::builtin(name).unwrap();
            assert!(!profile.unwrap().description.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_profile_may_say_only_what_differs() {
        let text = "extends = \"iso8583-1987\"\ndescription = \"mine\"\n[codes]\nwrong_cvc = \"N7\"\n";
        let profile = Profile::read("mine.toml", text).unwrap();
        assert_eq!((profile.codes.wrong_cvc.as_str(), profile.codes.approved.as_str()), ("N7", "00"));
    }

    #[test]
    fn mistakes_are_told_with_line_and_key() {
        let told = |text: &str| {
            let mistakes = Profile::read("mine.toml", text).unwrap_err();
            (mistakes[0].line, mistakes[0].key.clone(), mistakes[0].expected.clone())
        };
        let base = "extends = \"iso8583-1987\"\n";
        let (line, key, expected) = told(&format!("{base}[codes]\napproved = 5\n"));
        assert_eq!((line, key.as_str(), expected.as_str()), (3, "codes.approved", "a string"));
        let (line, key, _) = told(&format!("{base}[practice]\ncutover_utc = \"24:00\"\n"));
        assert_eq!((line, key.as_str()), (3, "practice.cutover_utc"));
        let (line, key, _) = told(&format!("{base}[duplicates]\nelements = []\n"));
        assert_eq!((line, key.as_str()), (3, "duplicates.elements"));
        let (line, key, expected) = told(&format!("{base}[practice]\nmood = \"good\"\n"));
        assert_eq!((line, key.as_str()), (3, "practice.mood"));
        assert!(expected.contains("cutover_utc"), "{expected}");
        assert_eq!(told("extends = \"nobody\"\n").1, "extends");
    }

    #[test]
    fn a_day_ends_at_its_cutover() {
        let profile = |time: &str| {
            let text = format!("extends = \"iso8583-1987\"\n[practice]\ncutover_utc = \"{time}\"\n");
            Profile::read("mine.toml", &text).unwrap()
        };
        let evening = Wall(1_795_381_200_000_000); // 2026-11-22T21:00:00Z
        assert_eq!(profile("00:00").business_date(evening).to_string(), "2026-11-22");
        assert_eq!(profile("21:00").business_date(evening).to_string(), "2026-11-23");
        assert_eq!(profile("21:01").business_date(evening).to_string(), "2026-11-22");
    }
}
