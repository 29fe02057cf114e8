//! The `[mapping]` section of a dialect file.
//!
//! Some kinds of messages every dialect has to describe; the others only where a setting of the host asks for them,
//! which `[[hosts]]` checks.

use super::inbound::{Inbound, RawInbound};
use super::template::{Template, Value};
use crate::iso8583::SpecError;
use crate::iso8583::dialects::Layer;
use crate::payment::{MessageKind, PosEntry, ResultCode, ReversalReason, StoredCredential};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// The kinds of messages that no dialect can do without.
const NEEDED: &[MessageKind] =
    &[MessageKind::Authorisation, MessageKind::Sale, MessageKind::Capture, MessageKind::Refund, MessageKind::Reversal];

/// A mapping, read and checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    elements: BTreeMap<u8, Template>,
    messages: BTreeMap<MessageKind, MessageMapping>,
    entries: BTreeMap<u8, (String, String)>,
    reasons: BTreeMap<ReversalReason, String>,
    stored_credentials: BTreeMap<StoredCredential, String>,
    results: BTreeMap<String, ResultCode>,
    acknowledgements: Acknowledgements,
    refreshed: BTreeSet<u8>,
    /// Where a reply carries what.
    pub(super) reply: ReplyElements,
    /// What an acquirer at a door of ours may say, and what it is answered.
    pub(super) inbound: Inbound,
}

/// Type, processing code and elements of a kind of message.
#[derive(Clone, Debug)]
pub(super) struct MessageMapping {
    pub mti: u16,
    pub processing_code: Option<u32>,
    functions: Vec<String>,
    pub elements: Vec<u8>,
}

impl MessageMapping {
    /// The function code that is written.
    pub fn function(&self) -> Option<&str> {
        self.functions.first().map(String::as_str)
    }

    /// Whether a message of this function code is one of these; one without matters only where the dialect has none.
    pub fn has_function(&self, code: Option<&str>) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|function| Some(function.as_str()) == code)
    }

    /// Whether it may carry this element.
    pub fn has(&self, element: u8) -> bool {
        self.elements.contains(&element)
    }
}

/// What codes in the answer to a reversal or advice ask for, where they are no plain approval.
#[derive(Clone, Debug, Default)]
struct Acknowledgements {
    /// It is to come again later.
    retry: BTreeSet<String>,
    /// It is as good as acknowledged.
    done: BTreeSet<String>,
    /// It will never be understood: a person must look at it.
    park: BTreeSet<String>,
    /// The original of the reversal is not known.
    original_unknown: BTreeSet<String>,
    /// The bank has it already.
    duplicate: BTreeSet<String>,
}

/// The elements of a reply that are read.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyElements {
    pub response_code: u8,
    pub approval_code: u8,
    pub amount: u8,
    pub business_date: u8,
    /// Additional amounts, where a balance inquiry is answered by them.
    pub balances: Option<u8>,
    /// Compared with what was sent where the reply carries them.
    pub pan: u8,
    pub currency: u8,
    pub terminal: u8,
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    mapping: Section,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    elements: BTreeMap<String, Spanned<String>>,
    messages: BTreeMap<String, Spanned<RawMessage>>,
    entry: BTreeMap<String, Spanned<RawEntry>>,
    reasons: BTreeMap<String, Spanned<String>>,
    stored_credential: BTreeMap<String, Spanned<String>>,
    results: BTreeMap<String, Spanned<String>>,
    acknowledgements: RawAcknowledgements,
    refreshed: Option<Spanned<BTreeSet<u8>>>,
    reply: Option<ReplyElements>,
    inbound: RawInbound,
    /// Kinds of messages of an earlier layer that this dialect does not have.
    without: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessage {
    mti: String,
    processing_code: Option<String>,
    /// Function codes: the first is written, any of them is read.
    #[serde(default)]
    functions: Vec<String>,
    elements: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    entry_mode: String,
    condition_code: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawAcknowledgements {
    retry: Option<BTreeSet<String>>,
    done: Option<BTreeSet<String>>,
    park: Option<BTreeSet<String>>,
    original_unknown: Option<BTreeSet<String>>,
    duplicate: Option<BTreeSet<String>>,
}

impl RawAcknowledgements {
    fn over(self, base: RawAcknowledgements) -> RawAcknowledgements {
        RawAcknowledgements {
            retry: self.retry.or(base.retry),
            done: self.done.or(base.done),
            park: self.park.or(base.park),
            original_unknown: self.original_unknown.or(base.original_unknown),
            duplicate: self.duplicate.or(base.duplicate),
        }
    }

    fn whole(self) -> Acknowledgements {
        Acknowledgements {
            retry: self.retry.unwrap_or_default(),
            done: self.done.unwrap_or_default(),
            park: self.park.unwrap_or_default(),
            original_unknown: self.original_unknown.unwrap_or_default(),
            duplicate: self.duplicate.unwrap_or_default(),
        }
    }
}

impl Mapping {
    /// Reads the `[mapping]` of each layer, base first; later layers replace single entries of earlier ones.
    pub fn read(layers: &[Layer]) -> Result<Mapping, Vec<SpecError>> {
        let mut reading = Reading::default();
        for layer in layers {
            reading.layer(layer);
        }
        reading.finish(layers.last().map_or("", |layer| &layer.origin))
    }

    pub(super) fn message(&self, kind: MessageKind) -> Option<&MessageMapping> {
        self.messages.get(&kind)
    }

    /// The kinds that the dialect describes.
    pub(super) fn messages(&self) -> impl Iterator<Item = (MessageKind, &MessageMapping)> {
        self.messages.iter().map(|(kind, message)| (*kind, message))
    }

    /// The element in which a value stands.
    pub(super) fn element_of(&self, value: Value) -> Option<u8> {
        self.elements.iter().find(|(_, template)| template.holds(value)).map(|(element, _)| *element)
    }

    /// How the card came, by entry mode and condition code. A mode also says whether PINs can be entered (1987: its
    /// third digit), which is not asked here.
    pub(super) fn entry_of(&self, mode: &str, condition: Option<&str>) -> Option<PosEntry> {
        let known = || ENTRIES.iter().filter_map(|(_, entry)| Some((*entry, self.entry(*entry)?)));
        let suits = |known: &str| condition.is_none_or(|condition| known.is_empty() || known == condition);
        let way = |mode: &str| (mode.len() == 3).then(|| mode.get(..2).map(str::to_owned)).flatten();
        let exact = known().find(|(_, (known, suited))| *known == mode && suits(suited));
        let alike =
            || known().find(|(_, (known, suited))| way(known).is_some() && way(known) == way(mode) && suits(suited));
        exact.or_else(alike).map(|(entry, _)| entry)
    }

    /// What a bank's code for a stored card means.
    pub(super) fn stored_credential_of(&self, code: &str) -> Option<StoredCredential> {
        self.stored_credentials.iter().find(|(_, known)| *known == code).map(|(stored, _)| *stored)
    }

    /// What one of the bank's codes means, where it is known.
    pub(super) fn known_result(&self, response_code: &str) -> Option<ResultCode> {
        self.results.get(response_code).copied()
    }

    pub(super) fn elements_of<'a>(&'a self, message: &'a MessageMapping) -> impl Iterator<Item = (u8, &'a Template)> {
        message.elements.iter().filter_map(|element| Some((*element, self.elements.get(element)?)))
    }

    /// Whether an element of a repeat is of its own time.
    pub(super) fn is_refreshed(&self, element: u8) -> bool {
        self.refreshed.contains(&element)
    }

    pub(super) fn refreshes(&self) -> bool {
        !self.refreshed.is_empty()
    }

    pub(super) fn element(&self, element: u8) -> Option<&Template> {
        self.elements.get(&element)
    }

    /// Entry mode and condition code (1987: elements 22 and 25).
    pub(super) fn entry(&self, entry: PosEntry) -> Option<(&str, &str)> {
        self.entries.get(&entry_key(entry)).map(|(mode, condition)| (mode.as_str(), condition.as_str()))
    }

    pub(super) fn knows_entry(&self, entry: PosEntry) -> bool {
        self.entries.contains_key(&entry_key(entry))
    }

    pub(super) fn reason(&self, reason: ReversalReason) -> &str {
        self.reasons.get(&reason).expect("Mapping::read asks for every reason")
    }

    /// The bank's code for a payment with a stored card, where it has one.
    pub(super) fn stored_credential(&self, stored: StoredCredential) -> Option<&str> {
        self.stored_credentials.get(&stored).map(String::as_str)
    }

    /// What a bank's code means; an unknown one is a decline (never an approval).
    pub fn result(&self, response_code: &str) -> ResultCode {
        self.results.get(response_code).copied().unwrap_or(ResultCode::Generic)
    }

    /// Whether a reversal or advice that was answered by this code is sent again later.
    pub fn is_retry(&self, response_code: &str) -> bool {
        self.acknowledgements.retry.contains(response_code)
    }

    /// Whether a reversal or advice that was answered by this code has reached its end.
    pub fn is_done(&self, response_code: &str) -> bool {
        self.acknowledgements.done.contains(response_code)
    }

    /// Whether a reversal or advice that was answered by this code will never be understood.
    pub fn is_poison(&self, response_code: &str) -> bool {
        self.acknowledgements.park.contains(response_code)
    }

    /// Whether this code in the answer to a reversal says that its original is not known.
    pub fn is_original_unknown(&self, response_code: &str) -> bool {
        self.acknowledgements.original_unknown.contains(response_code)
    }

    /// Whether this code says that the bank has the message already.
    pub fn is_duplicate(&self, response_code: &str) -> bool {
        self.acknowledgements.duplicate.contains(response_code)
    }
}

const ENTRIES: &[(&str, PosEntry)] = &[
    ("ecommerce", PosEntry::Ecommerce),
    ("mail_order", PosEntry::MailOrder),
    ("chip", PosEntry::Chip),
    ("contactless", PosEntry::Contactless),
    ("swipe", PosEntry::Swipe),
];

/// Those that every dialect describes; one without the others takes no cards that are there.
const NEEDED_ENTRIES: usize = 2;

const REASONS: &[ReversalReason] = &[
    ReversalReason::Timeout,
    ReversalReason::Cancelled,
    ReversalReason::InvalidResponse,
    ReversalReason::PartialRefused,
    ReversalReason::PartlyCompleted,
];

fn entry_key(entry: PosEntry) -> u8 {
    match entry {
        PosEntry::Ecommerce => 0,
        PosEntry::MailOrder => 1,
        PosEntry::Chip => 2,
        PosEntry::Contactless => 3,
        PosEntry::Swipe => 4,
    }
}

/// A mapping half read, and what was wrong so far.
#[derive(Default)]
struct Reading {
    elements: BTreeMap<u8, Template>,
    messages: BTreeMap<MessageKind, MessageMapping>,
    entries: BTreeMap<u8, (String, String)>,
    reasons: BTreeMap<ReversalReason, String>,
    stored_credentials: BTreeMap<StoredCredential, String>,
    results: BTreeMap<String, ResultCode>,
    acknowledgements: RawAcknowledgements,
    refreshed: BTreeSet<u8>,
    reply: Option<ReplyElements>,
    inbound: RawInbound,
    errors: Vec<SpecError>,
}

impl Reading {
    fn layer(&mut self, layer: &Layer) {
        let section = match toml::from_str::<File>(&layer.text) {
            Ok(file) => file.mapping,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                return self.wrong(layer, at, "mapping", error.message());
            }
        };
        section.without.iter().for_each(|name| self.without(layer, name));
        section.elements.iter().for_each(|(number, text)| self.element(layer, number, text));
        section.messages.iter().for_each(|(name, raw)| self.message(layer, name, raw));
        section.entry.iter().for_each(|(name, raw)| self.entry(layer, name, raw));
        section.reasons.iter().for_each(|(name, code)| self.reason(layer, name, code));
        section.stored_credential.iter().for_each(|(name, code)| self.stored_credential(layer, name, code));
        section.results.iter().for_each(|(code, name)| self.result(layer, code, name));
        self.acknowledgements = section.acknowledgements.over(std::mem::take(&mut self.acknowledgements));
        if let Some(refreshed) = section.refreshed {
            self.refresh(layer, refreshed);
        }
        self.reply = section.reply.or(self.reply);
        self.inbound = section.inbound.over(std::mem::take(&mut self.inbound));
    }

    fn without(&mut self, layer: &Layer, name: &Spanned<String>) {
        let kind = MessageKind::from_name(name.get_ref());
        if kind.and_then(|kind| self.messages.remove(&kind)).is_none() {
            self.wrong(layer, name.span().start, "mapping.without", "messages that the extended dialect describes");
        }
    }

    fn refresh(&mut self, layer: &Layer, refreshed: Spanned<BTreeSet<u8>>) {
        let at = refreshed.span().start;
        let unknown = refreshed.get_ref().iter().find(|element| !self.elements.contains_key(element));
        match unknown {
            Some(unknown) => {
                let expected = format!("elements that mapping.elements describes; {unknown} is not among them");
                self.wrong(layer, at, "mapping.refreshed", &expected);
            }
            None => self.refreshed = refreshed.into_inner(),
        }
    }

    fn element(&mut self, layer: &Layer, number: &str, text: &Spanned<String>) {
        let key = format!("mapping.elements.{number}");
        match (number.parse(), Template::parse(text.as_ref())) {
            (Ok(number @ 2..=128), Ok(template)) => drop(self.elements.insert(number, template)),
            (_, Err(expected)) => self.wrong(layer, text.span().start, &key, &expected),
            _ => self.wrong(layer, text.span().start, &key, "an element number from 2 to 128"),
        }
    }

    fn message(&mut self, layer: &Layer, name: &str, raw: &Spanned<RawMessage>) {
        let (key, at, raw) = (format!("mapping.messages.{name}"), raw.span().start, raw.get_ref());
        let Some(kind) = MessageKind::from_name(name) else {
            let names: Vec<&str> = MessageKind::all().map(MessageKind::name).collect();
            return self.wrong(layer, at, &key, &format!("one of {}", names.join(", ")));
        };
        let Some(mti) = digits(&raw.mti, 4) else {
            return self.wrong(layer, at, &format!("{key}.mti"), "four digits");
        };
        let processing_code = raw.processing_code.as_deref().map(|code| digits(code, 6));
        if processing_code == Some(None) {
            return self.wrong(layer, at, &format!("{key}.processing_code"), "six digits");
        }
        if let Some(missing) = raw.elements.iter().find(|element| !self.elements.contains_key(element)) {
            let expected = format!("elements that mapping.elements describes; {missing} is not among them");
            return self.wrong(layer, at, &format!("{key}.elements"), &expected);
        }
        let message = MessageMapping {
            mti: mti as u16,
            processing_code: processing_code.flatten(),
            functions: raw.functions.clone(),
            elements: raw.elements.clone(),
        };
        self.messages.insert(kind, message);
    }

    fn entry(&mut self, layer: &Layer, name: &str, raw: &Spanned<RawEntry>) {
        match ENTRIES.iter().find(|(known, _)| *known == name) {
            Some((_, entry)) => {
                let codes = raw.get_ref();
                let codes = (codes.entry_mode.clone(), codes.condition_code.clone());
                self.entries.insert(entry_key(*entry), codes);
            }
            None => {
                let names: Vec<&str> = ENTRIES.iter().map(|(name, _)| *name).collect();
                let expected = format!("one of {}", names.join(", "));
                self.wrong(layer, raw.span().start, &format!("mapping.entry.{name}"), &expected);
            }
        }
    }

    fn reason(&mut self, layer: &Layer, name: &str, code: &Spanned<String>) {
        match REASONS.iter().find(|reason| reason.name() == name) {
            Some(reason) => drop(self.reasons.insert(*reason, code.get_ref().clone())),
            None => {
                let names: Vec<&str> = REASONS.iter().map(|reason| reason.name()).collect();
                let expected = format!("one of {}", names.join(", "));
                self.wrong(layer, code.span().start, &format!("mapping.reasons.{name}"), &expected);
            }
        }
    }

    fn stored_credential(&mut self, layer: &Layer, name: &str, code: &Spanned<String>) {
        match StoredCredential::from_name(name) {
            Some(stored) => drop(self.stored_credentials.insert(stored, code.get_ref().clone())),
            None => {
                let names = StoredCredential::ALL.map(StoredCredential::name).join(", ");
                let key = format!("mapping.stored_credential.{name}");
                self.wrong(layer, code.span().start, &key, &format!("one of {names}"));
            }
        }
    }

    fn result(&mut self, layer: &Layer, code: &str, name: &Spanned<String>) {
        match ResultCode::from_name(name.as_ref()) {
            Some(result) => drop(self.results.insert(code.to_owned(), result)),
            None => {
                let names: Vec<&str> = ResultCode::ALL.iter().map(|code| code.name()).collect();
                let expected = format!("one of {}", names.join(", "));
                self.wrong(layer, name.span().start, &format!("mapping.results.{code}"), &expected);
            }
        }
    }

    fn wrong(&mut self, layer: &Layer, at: usize, key: &str, expected: &str) {
        let line = layer.text.get(..at).map_or(0, |before| before.matches('\n').count() + 1);
        let origin = layer.origin.to_string();
        self.errors.push(SpecError { origin, line, key: key.to_owned(), expected: expected.to_owned() });
    }

    fn finish(mut self, origin: &str) -> Result<Mapping, Vec<SpecError>> {
        let missing = |key: String, expected: &str| SpecError {
            origin: origin.to_owned(),
            line: 0,
            key,
            expected: expected.to_owned(),
        };
        let kinds = NEEDED.iter().filter(|kind| !self.messages.contains_key(kind));
        self.errors.extend(
            kinds.map(|kind| missing(format!("mapping.messages.{}", kind.name()), "the message to be described")),
        );
        let entries =
            ENTRIES.iter().take(NEEDED_ENTRIES).filter(|(_, entry)| !self.entries.contains_key(&entry_key(*entry)));
        self.errors
            .extend(entries.map(|(name, _)| missing(format!("mapping.entry.{name}"), "entry_mode and condition_code")));
        let reasons = REASONS.iter().filter(|reason| !self.reasons.contains_key(reason));
        self.errors
            .extend(reasons.map(|reason| missing(format!("mapping.reasons.{}", reason.name()), "the bank's code")));
        let inbound = Inbound::of(self.inbound, &self.results).unwrap_or_else(|(key, expected)| {
            self.errors.push(missing(format!("mapping.inbound.{key}"), &expected));
            Inbound::default()
        });
        match self.reply {
            Some(reply) if self.errors.is_empty() => Ok(Mapping {
                elements: self.elements,
                messages: self.messages,
                entries: self.entries,
                reasons: self.reasons,
                stored_credentials: self.stored_credentials,
                results: self.results,
                acknowledgements: self.acknowledgements.whole(),
                refreshed: self.refreshed,
                reply,
                inbound,
            }),
            Some(_) => Err(self.errors),
            None => {
                self.errors.push(missing("mapping.reply".to_owned(), "the elements that a reply is read from"));
                Err(self.errors)
            }
        }
    }
}

fn digits(text: &str, width: usize) -> Option<u32> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
