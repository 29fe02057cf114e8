//! A host as the switch holds it: its links, what is pending on them, what is owed to it, and its numbers.

use super::announcing::Telling;
use super::event::{HostMark, HostMode, LinkId, LinkRest};
use super::keying::Keying;
use super::settings::HostSettings;
use crate::host::{Breaker, BusinessDays, CorrelationKey, Numbers, Outbox, PendingTable, Reservation};
use crate::iso8583::{Message, Scan};
use crate::link::{Function, Goal, Network, Session};
use crate::payment::{BusinessDate, Monotonic, PaymentId, Wall};
use crate::transaction::Obligation;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Element of the trace number in every edition of the standard.
pub(super) const STAN_ELEMENT: u8 = 11;

/// Whose a pending message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The request of an operation.
    Request(PaymentId, u16),
    /// An obligation.
    Owed(PaymentId, u16),
}

impl Subject {
    pub(super) fn payment(self) -> PaymentId {
        match self {
            Subject::Request(payment, _) | Subject::Owed(payment, _) => payment,
        }
    }
}

/// A host in motion.
#[derive(Debug)]
pub(super) struct Bank {
    pub settings: HostSettings,
    pub network: Network,
    pub sessions: BTreeMap<LinkId, Session>,
    pub pending: PendingTable<Subject>,
    pub outbox: Outbox<(PaymentId, u16)>,
    pub numbers: Numbers,
    pub breaker: Breaker,
    /// The keys shared with it.
    pub keying: Keying,
    /// Operations without outcome.
    pub open: usize,
    /// When numbers are reserved again after the store refused a block.
    pub reserve_at: Option<Monotonic>,
    pub days: BusinessDays,
    /// What operators let it do.
    pub mode: HostMode,
    /// The links that they took off the line, by place among its own.
    resting: BTreeMap<u16, LinkRest>,
    /// The day that began by us, while the host has not said that it knows.
    pub untold: Option<BusinessDate>,
    /// How far it was told.
    pub telling: Telling,
    /// How it stands by the store, and what is on its way there.
    durable: HostMark,
    asked: Option<HostMark>,
    /// When that is made durable again after the store refused it.
    pub mark_at: Option<Monotonic>,
    /// Answers to word of a cutover, which wait until it is durable: link, its epoch, frame.
    pub day_answers: Vec<(LinkId, u32, Bytes)>,
    /// When it is looked at again whether an earlier day can be closed.
    pub close_at: Option<Monotonic>,
    /// What is owed, since when, and of which day.
    owed: BTreeMap<(PaymentId, u16), (Wall, BusinessDate)>,
    /// The same, oldest first.
    oldest: BTreeSet<(Wall, PaymentId, u16)>,
    /// How many messages are owed of each day.
    owed_of_day: BTreeMap<BusinessDate, usize>,
}

impl Bank {
    pub(super) fn new(settings: HostSettings, settled_memory: usize, reserved: Reservation) -> Bank {
        let session = |link: &LinkId| (*link, Session::new(Arc::clone(&settings.session)));
        Bank {
            network: Network::new(settings.session.network.clone()),
            sessions: settings.links.iter().map(session).collect(),
            pending: PendingTable::new(settled_memory),
            outbox: Outbox::new(settings.retry),
            numbers: Numbers::after(reserved),
            breaker: Breaker::new(settings.breaker),
            keying: Keying::new(settings.name.clone(), settings.keys.exchange.clone()),
            open: 0,
            reserve_at: None,
            days: BusinessDays::new(settings.day.clone()),
            mode: HostMode::Up,
            resting: BTreeMap::new(),
            durable: HostMark {
                host: settings.name.clone(),
                day: None,
                mode: HostMode::Up,
                links: BTreeMap::new(),
                untold: None,
            },
            untold: None,
            telling: Telling::default(),
            asked: None,
            mark_at: None,
            day_answers: Vec::new(),
            close_at: None,
            owed: BTreeMap::new(),
            oldest: BTreeSet::new(),
            owed_of_day: BTreeMap::new(),
            settings,
        }
    }

    /// The online link with the least outstanding, or the preferred one while its epoch lives.
    pub(super) fn choose_link(&self, preferred: Option<(u16, u32)>) -> Option<(LinkId, u32)> {
        let online = || self.sessions.iter().filter(|(_, session)| session.is_online());
        let of_preferred = online().find(|(link, session)| preferred == Some((link.0, session.epoch())));
        let chosen = of_preferred.or_else(|| online().min_by_key(|(link, _)| self.pending.on_link(link.0)));
        chosen.map(|(link, session)| (*link, session.epoch()))
    }

    /// Goes on as it stood when the last run ended.
    pub(super) fn resume(&mut self, mark: HostMark) {
        if let Some(day) = &mark.day {
            self.days.resume(day);
        }
        self.mode = mark.mode;
        self.resting.clone_from(&mark.links);
        self.untold = mark.untold;
        self.durable = mark;
        self.open_owed_days();
    }

    /// How it stands.
    fn mark(&self) -> HostMark {
        let links = self.resting.clone();
        let (host, untold) = (self.settings.name.clone(), self.untold);
        HostMark { host, day: self.days.mark(), mode: self.mode, links, untold }
    }

    /// An operator takes a link off the line, or lets it on again. False where it was so already.
    pub(super) fn rest_link(&mut self, link: LinkId, rest: Option<LinkRest>) -> bool {
        let Some(place) = self.settings.links.iter().position(|own| *own == link).map(|place| place as u16) else {
            return false;
        };
        let before = match rest {
            Some(rest) => self.resting.insert(place, rest),
            None => self.resting.remove(&place),
        };
        before != rest
    }

    /// What each link makes for, as operators want it.
    pub(super) fn goals(&self) -> Vec<(LinkId, Goal)> {
        let goal = |place: u16| match (self.mode, self.resting.get(&place)) {
            (HostMode::Down, _) | (_, Some(LinkRest::Closed)) => Goal::Closed,
            (_, Some(LinkRest::SignedOff)) => Goal::SignedOff,
            (_, None) => Goal::Online,
        };
        self.settings.links.iter().zip(0..).map(|(link, place)| (*link, goal(place))).collect()
    }

    /// Whether the store knows how it stands.
    pub(super) fn is_durable(&self) -> bool {
        self.mark() == self.durable
    }

    /// What is to be made durable now, if something is: asked for once.
    pub(super) fn wanted(&mut self) -> Option<HostMark> {
        if self.asked.is_some() || self.is_durable() {
            return None;
        }
        self.asked = Some(self.mark());
        self.asked.clone()
    }

    /// What was asked for is durable, or could not be made so.
    pub(super) fn recorded(&mut self, durable: bool) {
        if let Some(mark) = self.asked.take().filter(|_| durable) {
            self.durable = mark;
        }
    }

    /// Whether new requests may go to it.
    pub(super) fn takes_requests(&self) -> bool {
        self.mode == HostMode::Up && self.is_online()
    }

    /// Counts what is owed, and keeps its trace number from being used for anything else.
    pub(super) fn owe(&mut self, id: PaymentId, obligation: &Obligation, since: Wall, day: BusinessDate) {
        let subject = (id, obligation.number);
        if self.owed.contains_key(&subject) {
            return;
        }
        self.owed.insert(subject, (since, day));
        *self.owed_of_day.entry(day).or_insert(0) += 1;
        self.days.owes(day);
        self.oldest.insert((since, id, obligation.number));
        let message = &obligation.message;
        self.numbers.hold(message.stan);
        if message.original.is_some_and(|original| original.stan == message.stan) {
            self.numbers.bears(message.stan, message.transmitted_at);
        }
    }

    /// It is owed no longer.
    pub(super) fn owe_no_more(&mut self, id: PaymentId, obligation: &Obligation) {
        self.outbox.remove((id, obligation.number));
        if let Some((since, day)) = self.owed.remove(&(id, obligation.number)) {
            self.oldest.remove(&(since, id, obligation.number));
            self.owes_one_less(day);
            self.numbers.release(obligation.message.stan);
        }
    }

    /// The earlier days of which something is owed are open, whatever became current meanwhile.
    pub(super) fn open_owed_days(&mut self) {
        self.owed_of_day.keys().for_each(|day| self.days.owes(*day));
    }

    fn owes_one_less(&mut self, day: BusinessDate) {
        if let Some(count) = self.owed_of_day.get_mut(&day) {
            *count -= 1;
            if *count == 0 {
                self.owed_of_day.remove(&day);
            }
        }
    }

    /// Whether something is owed of this day or one before it.
    pub(super) fn owes_up_to(&self, day: BusinessDate) -> bool {
        self.owed_of_day.first_key_value().is_some_and(|(oldest, _)| *oldest <= day)
    }

    /// What is owed, oldest first: since when, of which payment, its number, of which day.
    pub(super) fn oldest_owed(&self) -> impl Iterator<Item = (Wall, PaymentId, u16, BusinessDate)> {
        self.oldest.iter().filter_map(|(since, id, number)| {
            let (_, day) = self.owed.get(&(*id, *number))?;
            Some((*since, *id, *number, *day))
        })
    }

    /// How many messages are owed, and since when the oldest is.
    pub(super) fn owed(&self) -> (usize, Option<Wall>) {
        (self.owed.len(), self.oldest.first().map(|(since, ..)| *since))
    }

    /// Since when one is owed.
    pub(super) fn owed_since(&self, id: PaymentId, number: u16) -> Option<Wall> {
        self.owed.get(&(id, number)).map(|(since, _)| *since)
    }

    /// How many requests are in flight.
    pub(super) fn requests(&self) -> usize {
        self.pending.len().saturating_sub(self.outbox.in_flight())
    }

    pub(super) fn is_online(&self) -> bool {
        self.sessions.values().any(Session::is_online)
    }

    /// What identifies a message; `None` for one that lacks a part of it.
    pub(super) fn key_of(&self, message: &Message) -> Option<CorrelationKey> {
        let match_on = &self.settings.session.match_on;
        CorrelationKey::of(message.mti(), STAN_ELEMENT, match_on, |element| message.text(element))
    }

    /// The key under which the reply to a frame of ours will come. Of the frame only what the key needs is read.
    pub(super) fn key_of_frame(&self, frame: &Bytes) -> Option<CorrelationKey> {
        let mut scan = Scan::new(self.settings.translation.spec(), frame.clone()).ok()?;
        let match_on = &self.settings.session.match_on;
        CorrelationKey::of(scan.mti(), STAN_ELEMENT, match_on, |element| {
            Some(scan.element(element).ok()??.text().into_owned().into())
        })
    }

    pub(super) fn function_of(&self, message: &Message) -> Function {
        self.network.function(message)
    }

    /// The host's current day.
    pub(super) fn today(&self, now: Wall) -> BusinessDate {
        self.days.today(now)
    }
}
