//! The issuer: one deterministic value that takes messages and plans answers.
//!
//! Bytes in; out come planned actions, each with its link and a delay, and entries on the ledger. No
//! clock, no socket, no randomness but the seed's: the server drives it over TCP and makes the entries
//! durable before it lets an action out; a simulation drives it with a virtual clock.
//!
//! How answers leave is told in `delivery`, which rule applies in `rules`, what goes on between two peers
//! beside money in `sessions`, and how keys come into it in `secrets`.
//!
//! What surprises: an answer that a scenario makes late is kept here until a reversal of its request
//! arrives, since late means "after the reversal", not "after so many seconds".

mod delivery;
mod rules;
mod secrets;
mod sessions;
mod turns;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::iso8583::{Message, Spec};
use crate::payment::{BusinessDate, Pan, Wall};
use crate::security::Key;

use super::answer::{Pen, Said};
use super::books::{Books, REMEMBERED_MESSAGES};
use super::decision::{Bench, Decision, PinVerdict};
use super::entry::{AccountName, Entry, Kind, Sequence};
use super::keyring::Keyring;
use super::ledger::Ledger;
use super::profile::Profile;
use super::request::{Asked, Request};
use super::scenario::{Behaviour, Down, Moment, Scenario};
use delivery::{HeldBack, Late};
use rules::Tally;
use secrets::Word;
pub use sessions::LinkState;
use turns::Turns;

/// A connection by its number, which the driver gives and never gives twice.
pub type Link = u64;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// On which link.
    pub link: Link,
    /// How long after the message arrived.
    pub after: Duration,
    /// What.
    pub action: Action,
    /// How a frame leaves.
    pub manner: Manner,
}

impl Planned {
    /// To be done at once, as any bank would.
    pub(super) fn now(link: Link, action: Action) -> Self {
        Self { link, after: Duration::ZERO, action, manner: Manner::default() }
    }
}

/// How a frame leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// In so many pieces; 0 and 1 are one.
    pub pieces: u8,
    /// With so long between two of them.
    pub pause: Duration,
}

/// Something that happens on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// These bytes go out in a frame.
    Send(Bytes),
    /// These bytes go out without a frame.
    SendUnframed(Bytes),
    /// The link is closed, without sending what was planned for later.
    Close,
    /// The link is reset: the peer loses what it hasn't read.
    Reset,
    /// Nothing is read from the link for so long.
    PauseReading(Duration),
}

/// How often what happened, since the issuer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages received.
    pub received: u64,
    /// Of them, those that could not be read.
    pub unreadable: u64,
    /// Of them, those with no answer to their type.
    pub ignored: u64,
    /// Financial messages on a link that had not signed on.
    pub not_signed_on: u64,
    /// Messages whose MAC was wrong or missing.
    pub bad_macs: u64,
    /// Times that new keys came into force.
    pub keys_changed: u64,
    /// Times that keys were refused, by the bank or by a peer.
    pub keys_refused: u64,
    /// Financial messages that were answered as one before.
    pub duplicates: u64,
    /// Messages to which a rule of the scenario applied.
    pub by_rule: u64,
    /// Answers planned, copies aside.
    pub answers: u64,
    /// Answers withheld, spoiled or replaced by a rule.
    pub withheld: u64,
    /// Echoes that the bank asked for.
    pub echoes_asked: u64,
    /// Answers to them.
    pub echoes_answered: u64,
    /// Answers that could not be written.
    pub unwritable: u64,
}

impl Counters {
    /// Each by its name.
    pub fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("received", self.received),
            ("unreadable", self.unreadable),
            ("ignored", self.ignored),
            ("not_signed_on", self.not_signed_on),
            ("bad_macs", self.bad_macs),
            ("keys_changed", self.keys_changed),
            ("keys_refused", self.keys_refused),
            ("duplicates", self.duplicates),
            ("by_rule", self.by_rule),
            ("answers", self.answers),
            ("withheld", self.withheld),
            ("echoes_asked", self.echoes_asked),
            ("echoes_answered", self.echoes_answered),
            ("unwritable", self.unwritable),
        ]
    }
}

/// What the bank thinks of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// Up, and not signed on.
    Silent,
    /// The bank itself asked to sign on, with this STAN.
    SigningOn(u32),
    /// Signed on.
    Working,
    /// A scenario has cut it; it just doesn't show.
    Stalled,
}

/// A message whose word is good.
struct Heard<'a> {
    link: Link,
    message: &'a Message,
    /// The key that its MAC was made with, and its answer's is to be.
    key: Option<Arc<Key>>,
    at: Moment,
}

/// The bank host's mind.
#[derive(Clone, Debug)]
pub struct Issuer {
    spec: Arc<Spec>,
    profile: Arc<Profile>,
    scenario: Arc<Scenario>,
    seed: u64,
    random: fastrand::Rng,
    books: Books,
    ledger: Ledger,
    keyring: Option<Keyring>,
    /// Links that are up.
    links: BTreeMap<Link, Session>,
    /// Answers that wait for a reversal of what they answer.
    late: BTreeMap<Sequence, Late>,
    /// Answers that wait for the next one on their link.
    held_back: BTreeMap<Link, Vec<HeldBack>>,
    tally: Tally,
    /// When this run began, as soon as the bank was told the time.
    started: Option<Wall>,
    /// When the clock was looked at last.
    looked: Option<Wall>,
    /// An outage that was ordered while it runs; the scenario's come beside it.
    ordered_outage: Option<Down>,
    turns: Turns,
    /// The STAN of the bank's own last message.
    own_stan: u32,
    /// The last day that the peers were told of, or needn't be.
    announced: Option<BusinessDate>,
    counters: Counters,
}

impl Issuer {
    /// A bank that has booked nothing yet.
    ///
    /// The seed decides approval codes, jitter, garbage, and the names of the accounts behind cards
    /// of a range; a restart has to be given the same one.
    pub fn new(spec: Arc<Spec>, profile: Arc<Profile>, scenario: Arc<Scenario>, seed: u64) -> Self {
        Self {
            spec,
            profile,
            scenario,
            seed,
            random: fastrand::Rng::with_seed(seed),
            books: Books::new(REMEMBERED_MESSAGES),
            ledger: Ledger::default(),
            keyring: None,
            links: BTreeMap::new(),
            late: BTreeMap::new(),
            held_back: BTreeMap::new(),
            tally: Tally::default(),
            started: None,
            looked: None,
            ordered_outage: None,
            turns: Turns::default(),
            own_stan: 0,
            announced: None,
            counters: Counters::default(),
        }
    }

    /// Remembers so many messages instead of [`REMEMBERED_MESSAGES`]. Before the first one only.
    pub fn remembering(mut self, messages: usize) -> Self {
        self.books = Books::new(messages);
        self
    }

    /// Answers no more financial messages a second than that; the others wait their turn.
    pub fn holding_to(mut self, a_second: Option<NonZeroU32>) -> Self {
        self.turns = Turns::a_second(a_second);
        self
    }

    /// Books an entry of an earlier run; oldest first, before the first message.
    pub fn restore(&mut self, entry: &Entry) {
        if entry.kind == Kind::KeyChange {
            self.restore_keys(entry);
        }
        self.books.apply(entry);
    }

    /// A link is up; it hasn't signed on, which matters where the profile says so.
    pub fn link_up(&mut self, link: Link) {
        let session = if self.profile.practice.needs_sign_on { Session::Silent } else { Session::Working };
        self.links.insert(link, session);
    }

    /// A link is gone, and its sign-on with it.
    pub fn link_down(&mut self, link: Link) {
        self.links.remove(&link);
        self.held_back.remove(&link);
    }

    /// The scenario in force.
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// Puts another scenario in force. The accounts stay as they are; rules count from one again.
    pub fn follow(&mut self, scenario: Arc<Scenario>) {
        self.scenario = scenario;
        self.tally = Tally::default();
    }

    /// Takes a message that arrived on a link and plans what comes of it.
    ///
    /// The entries it booked stand at the end of [`Issuer::ledger`]; nothing planned may happen
    /// before they are durable, where anybody cares.
    pub fn receive(&mut self, link: Link, message: Bytes, now: Wall) -> Vec<Planned> {
        self.counters.received += 1;
        let at = self.moment(now);
        if self.links.get(&link) == Some(&Session::Stalled) || self.outage(now) == Some(Down::Deaf) {
            self.counters.ignored += 1;
            return Vec::new();
        }
        let Ok(message) = self.spec.decode(message) else {
            self.counters.unreadable += 1;
            return Vec::new();
        };
        let Word::Good(key) = self.authenticate(&message, now) else {
            return self.refuse_forged(link, &message);
        };
        if message.mti().is_response() {
            self.answered(link, &message, now);
            return Vec::new();
        }
        let heard = Heard { link, message: &message, key, at };
        match self.profile.clone().understand(&message) {
            Asked::Network(network) => self.network(&heard, network),
            Asked::Financial(_) | Asked::Incomplete(_) if !self.is_signed_on(link) => {
                self.counters.not_signed_on += 1;
                let code = self.profile.codes.not_signed_on.clone();
                self.refuse(link, &message, heard.key, &code)
            }
            Asked::Financial(request) => self.financial(&heard, &request),
            Asked::Incomplete(_) => {
                let code = self.profile.codes.incomplete.clone();
                self.refuse(link, &message, heard.key, &code)
            }
            Asked::Unsupported => {
                let code = self.profile.codes.invalid.clone();
                self.refuse(link, &message, heard.key, &code)
            }
        }
    }

    /// Entries booked and not taken out.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes the entries out, oldest first, to be made durable.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        self.ledger.take()
    }

    /// Balances and what is remembered.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// How often what happened.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether a link is up and has signed on, or needn't.
    pub fn is_signed_on(&self, link: Link) -> bool {
        match self.links.get(&link) {
            Some(Session::Working) => true,
            Some(Session::Silent | Session::SigningOn(_)) => !self.profile.practice.needs_sign_on,
            Some(Session::Stalled) | None => false,
        }
    }

    /// Answers with a code and books nothing.
    fn refuse(&mut self, link: Link, message: &Message, key: Option<Arc<Key>>, code: &str) -> Vec<Planned> {
        if message.mti().response().is_none() {
            self.counters.ignored += 1;
            return Vec::new();
        }
        let answer = self.pen(key.as_deref()).financial(message, &Said::code(code), &[]);
        self.send(link, answer)
    }

    fn send(&mut self, link: Link, answer: Option<Bytes>) -> Vec<Planned> {
        let Some(answer) = answer else {
            self.counters.unwritable += 1;
            return Vec::new();
        };
        self.counters.answers += 1;
        vec![Planned::now(link, Action::Send(answer))]
    }

    fn financial(&mut self, heard: &Heard<'_>, request: &Request) -> Vec<Planned> {
        let Heard { link, message, at, .. } = *heard;
        let payment = || (request.identity.acquirer.clone(), request.rrn.clone());
        let behaviour = self.applying(|when| when.fits(request, at), || Some(payment()));
        if !behaviour.reply.is_booked() {
            return self.pass_over(link, &behaviour);
        }
        let account = self.account(request);
        let (said, concerns) = match self.repeated(request, account.as_ref()) {
            Some(again) => again,
            None => {
                let pin = self.verify_pin(message, request, at.now);
                self.book(request, account, pin, &behaviour, at.now)
            }
        };
        let answer = self.pen(heard.key.as_deref()).financial(message, &said, &behaviour.wrong);
        let mut planned = self.plan(link, Some(request.kind), &behaviour, answer, concerns);
        let turn = self.turns.wait(at.now);
        planned.iter_mut().for_each(|planned| planned.after += turn);
        planned.extend(self.ask_too(link, &behaviour, at.now));
        planned
    }

    /// What was said to the same message before, and the entry of it.
    fn repeated(&mut self, request: &Request, account: Option<&AccountName>) -> Option<(Said, Option<Sequence>)> {
        let entry = &self.books.duplicate(&request.key)?.entry;
        self.counters.duplicates += 1;
        // A reversal may name its card or not; a request that changed isn't the same request.
        let same_card = request.kind == Kind::Reversal || entry.account.as_ref() == account;
        if entry.amount != request.amount || !same_card || entry.kind != request.kind {
            return Some((Said::code(&self.profile.codes.duplicate), None));
        }
        let concerns = if entry.kind == Kind::Reversal { entry.original } else { Some(entry.sequence) };
        Some((self.said(entry), concerns))
    }

    /// Decides, books, and tells what to say, and which entry an answer kept late belongs to.
    fn book(
        &mut self,
        request: &Request,
        account: Option<AccountName>,
        pin: PinVerdict,
        behaviour: &Behaviour,
        now: Wall,
    ) -> (Said, Option<Sequence>) {
        let today = self.business_date(now);
        let (profile, scenario, books) = (&*self.profile, &*self.scenario, &self.books);
        let bench = Bench { profile, scenario, books, behaviour, account, today, pin };
        let decision = bench.decide(request);
        let untraced = decision.leaves_no_trace;
        let entry = self.entry(request, decision, now);
        let said = self.said(&entry);
        let concerns = if entry.kind == Kind::Reversal { entry.original } else { Some(entry.sequence) };
        if !untraced {
            self.books.apply(&entry);
            self.ledger.append(entry);
        }
        (said, concerns)
    }

    fn entry(&self, request: &Request, decision: Decision, now: Wall) -> Entry {
        let sequence = self.books.next_sequence();
        let own = decision.gives_approval.then(|| self.approval_code(sequence));
        Entry {
            sequence,
            at: now,
            business_date: decision.day.unwrap_or_else(|| self.business_date(now)),
            kind: request.kind,
            mti: request.mti,
            key: request.key.clone(),
            identity: request.identity.clone(),
            rrn: self.rrn(request, &decision, sequence),
            terminal: request.terminal.clone(),
            account: decision.account,
            currency: decision.currency.or(request.currency),
            amount: request.amount,
            approved: decision.approved,
            net: decision.net,
            held: decision.held,
            response_code: decision.code,
            approval_code: decision.approval_of.or(own),
            original: decision.original,
            standing: decision.standing,
            balances: decision.balances,
            pin_tries: decision.pin_tries,
            unseen: decision.unseen,
        }
    }

    fn said(&self, entry: &Entry) -> Said {
        let takes = matches!(entry.kind, Kind::Authorisation | Kind::Sale);
        Said {
            code: entry.response_code.clone(),
            approval_code: entry.approval_code.clone(),
            day: Some(entry.business_date),
            partial: (takes && entry.approved > 0 && entry.approved < entry.amount).then_some(entry.approved),
            asked: entry.amount,
            currency: entry.currency,
            balances: entry.balances,
            reference: self.profile.practice.gives_references.then(|| (entry.rrn.clone(), entry.at)),
        }
    }

    /// The reference of the message, or the one that the bank gives: its original's, or a new one.
    fn rrn(&self, request: &Request, decision: &Decision, sequence: Sequence) -> String {
        if !request.rrn.is_empty() || !self.profile.practice.gives_references {
            return request.rrn.clone();
        }
        let original = decision.original.and_then(|original| self.books.handled(original));
        original.map_or_else(|| format!("{sequence:012}"), |original| original.entry.rrn.clone())
    }

    /// Six digits that a restart gives again.
    fn approval_code(&self, sequence: Sequence) -> String {
        let mut random = fastrand::Rng::with_seed(self.seed ^ sequence.rotate_left(32));
        format!("{:06}", random.u32(0..1_000_000))
    }

    /// The account behind a card: its listed name, or one that nobody can turn back into a number.
    fn account(&self, request: &Request) -> Option<AccountName> {
        let pan = request.pan.as_ref()?;
        match self.scenario.card(pan)? {
            (Some(name), _) => Some(name.clone()),
            (None, _) => Some(self.unlisted(pan)),
        }
    }

    fn unlisted(&self, pan: &Pan) -> AccountName {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed.to_be_bytes()).expect("any key length is taken");
        mac.update(pan.reveal().as_bytes());
        let digest = mac.finalize().into_bytes();
        let name = data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default());
        format!("{}-{name}", pan.first6())
    }

    fn pen<'a>(&'a self, key: Option<&'a Key>) -> Pen<'a> {
        Pen { spec: &self.spec, profile: &self.profile, key }
    }
}

#[cfg(test)]
mod tests;
