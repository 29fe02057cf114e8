//! What goes on between the bank and a peer beside money: signing on and off, echoes, cutovers, outages.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::iso8583::Message;
use crate::payment::{BusinessDate, Wall};

use super::super::answer::NetworkSaid;
use super::super::decision::Decision;
use super::super::entry::{Entry, Kind};
use super::super::request::{Network, Request};
use super::super::scenario::{Act, Asks, Behaviour, Down, Moment, Wrong};
use super::{Action, Heard, Issuer, Link, Planned, Session};

/// What the bank thinks of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Up, and not signed on.
    SignedOff,
    /// Up, and the bank waits for the answer to its own sign-on.
    SigningOn,
    /// Up and signed on.
    SignedOn,
    /// Up, and nothing that comes over it is answered.
    HalfOpen,
}

impl LinkState {
    fn of(session: Session) -> Self {
        match session {
            Session::Silent => Self::SignedOff,
            Session::SigningOn(_) => Self::SigningOn,
            Session::Working => Self::SignedOn,
            Session::Stalled => Self::HalfOpen,
        }
    }
}

impl Issuer {
    /// The bank asks every peer that has signed on whether it lives.
    pub fn ask_echo(&mut self, now: Wall) -> Vec<Planned> {
        let planned = self.ask_all(Network::Echo, now);
        self.counters.echoes_asked += planned.len() as u64;
        planned
    }

    /// The bank begins the next business day now and tells every peer that has signed on. The cutover
    /// is an entry of its own, so that a restart doesn't fall back into the day that has ended.
    pub fn cut_over(&mut self, now: Wall) -> Vec<Planned> {
        let day = self.business_date(now).next();
        let entry = self.cutover_entry(day, now);
        self.books.apply(&entry);
        self.ledger.append(entry);
        self.announced = Some(day);
        self.ask_all(Network::Cutover, now)
    }

    /// The clock went on: events of the scenario that have come due, links that an outage closes, and
    /// the news of a day that has ended.
    pub fn tick(&mut self, now: Wall) -> Vec<Planned> {
        let at = self.moment(now);
        let before = Moment { now: self.looked.replace(now).unwrap_or(now), ..at };
        let scenario = Arc::clone(&self.scenario);
        let mut planned = Vec::new();
        for event in scenario.events.iter().filter(|event| event.due.came(before, at)) {
            planned.extend(self.act(event.act, now));
        }
        if self.outage(now) == Some(Down::Closed) {
            planned.extend(self.links.keys().map(|link| Planned::now(*link, Action::Close)));
        }
        planned.extend(self.announce(now));
        planned
    }

    fn announce(&mut self, now: Wall) -> Vec<Planned> {
        let day = self.business_date(now);
        let before = self.announced.replace(day);
        match self.profile.practice.announces_cutover && before.is_some_and(|before| before < day) {
            true => self.ask_all(Network::Cutover, now),
            false => Vec::new(),
        }
    }

    /// The bank does something of its own accord, on every link.
    pub fn act(&mut self, act: Act, now: Wall) -> Vec<Planned> {
        let each = |links: &BTreeMap<Link, Session>, action: Action| {
            links.keys().map(|link| Planned::now(*link, action.clone())).collect()
        };
        match (act, act.question()) {
            (Act::Cutover, _) => self.cut_over(now),
            (Act::Echo, _) => self.ask_echo(now),
            (Act::SignOff, _) => {
                let planned = self.ask_all(Network::SignOff, now);
                self.links
                    .values_mut()
                    .filter(|link| **link == Session::Working)
                    .for_each(|link| *link = Session::Silent);
                planned
            }
            (Act::NewKeys | Act::WrongKeys, _) => self.send_keys_somewhere(act == Act::WrongKeys, now),
            (Act::CloseLinks, _) => each(&self.links, Action::Close),
            (Act::ResetLinks, _) => each(&self.links, Action::Reset),
            (Act::HalfOpenLinks, _) => {
                self.links.values_mut().for_each(|link| *link = Session::Stalled);
                Vec::new()
            }
            (_, Some(question)) => self.ask_all(question, now),
            (_, None) => Vec::new(),
        }
    }

    /// From now on nothing that comes over this link is answered, while it stays open.
    pub fn half_open(&mut self, link: Link) {
        if let Some(session) = self.links.get_mut(&link) {
            *session = Session::Stalled;
        }
    }

    /// The bank is down from now on, or, with `None`, only where its scenario says so.
    pub fn order_outage(&mut self, down: Option<Down>) {
        self.ordered_outage = down;
    }

    /// How the bank is down, where it is.
    pub fn outage(&self, now: Wall) -> Option<Down> {
        let at = Moment { now, started: self.started.unwrap_or(now) };
        self.ordered_outage.or_else(|| self.scenario.outage(at).map(|outage| outage.links))
    }

    /// What the bank thinks of each link that is up.
    pub fn links(&self) -> impl Iterator<Item = (Link, LinkState)> {
        self.links.iter().map(|(link, session)| (*link, LinkState::of(*session)))
    }

    /// The bank itself asks to sign on, as one that dials out may have to.
    pub fn sign_on(&mut self, link: Link, now: Wall) -> Vec<Planned> {
        let planned = self.ask_one(link, Network::SignOn, now);
        if !planned.is_empty() {
            self.links.insert(link, Session::SigningOn(self.own_stan));
        }
        planned
    }

    pub(super) fn moment(&mut self, now: Wall) -> Moment {
        Moment { now, started: *self.started.get_or_insert(now) }
    }

    /// The bank's business day.
    pub fn business_date(&self, now: Wall) -> BusinessDate {
        self.books.day(self.profile.business_date(now))
    }

    /// A question of the bank's own to every peer that has signed on.
    fn ask_all(&mut self, question: Network, now: Wall) -> Vec<Planned> {
        let Some(question) = self.question(question, None, now) else { return Vec::new() };
        let working = self.links.iter().filter(|(_, session)| **session == Session::Working);
        working.map(|(link, _)| Planned::now(*link, Action::Send(question.clone()))).collect()
    }

    /// A question of the bank's own on one link.
    fn ask_one(&mut self, link: Link, question: Network, now: Wall) -> Vec<Planned> {
        let question = self.question(question, None, now);
        question.map(|question| Planned::now(link, Action::Send(question))).into_iter().collect()
    }

    pub(super) fn question(&mut self, question: Network, keys: Option<&str>, now: Wall) -> Option<Bytes> {
        self.own_stan = self.own_stan % 999_999 + 1;
        let ring = self.keyring.as_ref();
        let key = ring.and_then(|ring| ring.now("").mac.clone());
        let keys = ring.and_then(|ring| ring.carrier(&self.profile)).zip(keys);
        self.pen(key.as_deref()).question(question, self.own_stan, now, self.business_date(now), keys)
    }

    /// Keys are the whole bank's, so they go over one link: the first that has signed on.
    fn send_keys_somewhere(&mut self, spoiled: bool, now: Wall) -> Vec<Planned> {
        let working = self.links.iter().find(|(_, session)| **session == Session::Working).map(|(link, _)| *link);
        working.map(|link| self.send_keys(link, spoiled, now)).unwrap_or_default()
    }

    /// What a rule has the bank ask after its answer.
    pub(super) fn ask_too(&mut self, link: Link, behaviour: &Behaviour, now: Wall) -> Vec<Planned> {
        let mut planned = Vec::new();
        for asks in &behaviour.asks {
            match asks {
                Asks::Echo => planned.extend(self.ask_one(link, Network::Echo, now)),
                Asks::KeyChange => planned.extend(self.ask_one(link, Network::KeyChange, now)),
                Asks::NewKeys => planned.extend(self.send_keys(link, false, now)),
                Asks::Cutover => planned.extend(self.cut_over(now)),
                Asks::SignOff => {
                    planned.extend(self.ask_one(link, Network::SignOff, now));
                    self.links.insert(link, Session::Silent);
                }
            }
        }
        planned
    }

    /// A peer answered a question of the bank's own.
    pub(super) fn answered(&mut self, link: Link, message: &Message, now: Wall) {
        self.counters.echoes_answered += u64::from(self.profile.is_echo(message));
        if message.mti().class() == 8 {
            self.keys_answered(message, now);
        }
        let Some(Session::SigningOn(stan)) = self.links.get(&link).copied() else { return };
        let elements = &self.profile.elements;
        let is_ours = message.mti().class() == 8 && message.number(elements.stan) == Some(u64::from(stan));
        if is_ours {
            let code = message.text(elements.code);
            let is_approved = code.is_some_and(|code| code == self.profile.codes.network_approved);
            self.links.insert(link, if is_approved { Session::Working } else { Session::Silent });
        }
    }

    fn cutover_entry(&self, day: BusinessDate, now: Wall) -> Entry {
        let sequence = self.books.next_sequence();
        let decision = Decision { day: Some(day), ..Decision::default() };
        let request =
            Request::of_the_bank(Kind::Cutover, self.profile.network_request(), format!("cutover|{day}|{sequence}"));
        self.entry(&request, decision, now)
    }

    pub(super) fn network(&mut self, heard: &Heard<'_>, network: Network) -> Vec<Planned> {
        let Heard { link, message, at, .. } = *heard;
        let behaviour = self.applying(|when| when.fits_network(network, at), || None);
        if !behaviour.reply.is_booked() {
            return self.pass_over(link, &behaviour);
        }
        let mut code = behaviour.code.clone().unwrap_or_else(|| self.ordinarily(network).to_owned());
        let approved = self.profile.codes.network_approved.clone();
        let content = match code == approved && self.brings_keys(network) {
            false => None,
            true => match self.take_keys(message, at.now) {
                Some(true) => None,
                Some(false) => {
                    self.counters.keys_refused += 1;
                    code.clone_from(&self.profile.codes.bad_key);
                    None
                }
                None => self.give_keys(message, behaviour.wrong.contains(&Wrong::CheckValue), at.now),
            },
        };
        match network {
            Network::SignOn if code == approved => self.links.insert(link, Session::Working),
            Network::SignOff if code == approved => self.links.insert(link, Session::Silent),
            _ => None,
        };
        let keys = self.keyring.as_ref().and_then(|ring| ring.carrier(&self.profile)).zip(content);
        let said = NetworkSaid { code: &code, now: at.now, keys, wrong: &behaviour.wrong };
        let answer = self.pen(heard.key.as_deref()).network(message, &said);
        let mut planned = self.plan(link, None, &behaviour, answer, None);
        planned.extend(self.ask_too(link, &behaviour, at.now));
        planned
    }

    /// What a network message is told where no rule says otherwise.
    fn ordinarily(&self, network: Network) -> &str {
        let codes = &self.profile.codes;
        match network {
            Network::Other => &codes.invalid,
            Network::KeyChange if !self.brings_keys(network) => &codes.invalid,
            _ => &codes.network_approved,
        }
    }
}
