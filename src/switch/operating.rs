//! Operators' orders: recorded, then carried out, then answered.

use super::order::{AuditEntry, LinkOrder, Operate, OperatorId, Order, OrderRefusal, OwedLine, Told};
use super::owing::is_rest_of_void;
use super::*;
use crate::transaction::{Body, Discharge, ObligationKind, Owed};

/// Orders that may wait at once; there are few operators.
const MOST_ORDERS: usize = 64;
/// Owed messages shown at once.
const MOST_SHOWN: usize = 1000;

/// What operators wait for.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Orders whose audit is on its way to the store.
    recording: BTreeMap<Ticket, Operate>,
    /// Orders about payments that are being loaded.
    loading: BTreeMap<PaymentId, Vec<Operate>>,
    /// Operators who wait for an echo, since when and until when.
    echoes: BTreeMap<LinkId, Vec<(OperatorId, Monotonic, Monotonic)>>,
    /// Operators who wait until it is durable how the host at a place stands, its links too.
    hosts: BTreeMap<usize, Vec<OperatorId>>,
    /// Operators who wait until the keys of the host at a place are changed.
    keys: BTreeMap<usize, Vec<OperatorId>>,
}

impl Desk {
    fn is_full(&self) -> bool {
        let loading: usize = self.loading.values().map(Vec::len).sum();
        let echoes: usize = self.echoes.values().map(Vec::len).sum();
        let hosts: usize = self.hosts.values().map(Vec::len).sum();
        let keys: usize = self.keys.values().map(Vec::len).sum();
        self.recording.len() + loading + echoes + hosts + keys >= MOST_ORDERS
    }

    /// When somebody has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.echoes.values().flatten().map(|(.., until)| *until).min()
    }
}

impl Switch {
    pub(super) fn take_order(&mut self, operate: Operate) {
        let waiter = operate.waiter;
        if let Err(refusal) = self.may_operate(&operate.order) {
            return self.say_to(waiter, Err(refusal));
        }
        if !operate.order.is_change() {
            return self.carry_out(operate);
        }
        let Operate { who, why, order, .. } = operate.clone();
        let ticket = self.next_ticket();
        self.appends.insert(ticket, recording::Appending::Order);
        self.desk.recording.insert(ticket, operate);
        let audit = AuditEntry { at: self.now.wall, who, why, order: order.to_string() };
        self.effects.push(Effect::Append { ticket, entry: Entry::Audit(audit) });
    }

    fn may_operate(&self, order: &Order) -> Result<(), OrderRefusal> {
        if self.phase != Phase::Running && order.is_change() {
            return Err(OrderRefusal::NotRunning);
        }
        if self.desk.is_full() {
            return Err(OrderRefusal::TooMany);
        }
        match order {
            Order::Host { host, .. } | Order::Cutover { host, .. } | Order::Queues(Some(host)) => {
                self.bank_named(host).map(|_| ()).ok_or(OrderRefusal::NoSuchHost)
            }
            Order::Link { link, what } => self.may_link(*link, *what),
            Order::Hosts | Order::Queues(None) | Order::Drain => Ok(()),
            Order::Release { .. } | Order::Expire { .. } => Ok(()),
        }
    }

    fn may_link(&self, link: LinkId, what: LinkOrder) -> Result<(), OrderRefusal> {
        let place = self.place_of(link).ok_or(OrderRefusal::NoSuchLink)?;
        match what {
            LinkOrder::ChangeKeys if !self.banks[place].can_change_keys() => Err(OrderRefusal::NoKeys),
            LinkOrder::SignOn | LinkOrder::SignOff if self.banks[place].mode == HostMode::Down => {
                Err(OrderRefusal::HostDown)
            }
            LinkOrder::SignOn | LinkOrder::SignOff | LinkOrder::Drain => Ok(()),
            LinkOrder::Echo | LinkOrder::ChangeKeys => Ok(()),
        }
    }

    /// The audit of an order is durable, or is not.
    pub(super) fn order_recorded(&mut self, ticket: Ticket, durable: bool) {
        let Some(operate) = self.desk.recording.remove(&ticket) else { return };
        match durable {
            true => self.carry_out(operate),
            false => self.say_to(operate.waiter, Err(OrderRefusal::StoreUnavailable)),
        }
    }

    fn carry_out(&mut self, operate: Operate) {
        let waiter = operate.waiter;
        match &operate.order {
            Order::Hosts => {
                let snapshot = Box::new(self.snapshot());
                self.say_to(waiter, Ok(Told::Hosts(snapshot)));
            }
            Order::Queues(host) => {
                let told = self.queues(host.as_ref());
                self.say_to(waiter, Ok(told));
            }
            Order::Host { host, mode } => self.set_mode(waiter, &host.clone(), *mode),
            Order::Link { link, what } => self.order_link(waiter, *link, *what),
            Order::Cutover { host, day } => self.order_cutover(waiter, &host.clone(), *day),
            Order::Release { payment, .. } | Order::Expire { payment, .. } => self.order_item(*payment, operate),
            Order::Drain => self.say_to(waiter, Ok(Told::Done)),
        }
    }

    fn set_mode(&mut self, waiter: OperatorId, host: &crate::payment::Name, mode: HostMode) {
        let Some(place) = self.bank_named(host) else { return self.say_to(waiter, Err(OrderRefusal::NoSuchHost)) };
        let before = std::mem::replace(&mut self.banks[place].mode, mode);
        if before == mode {
            return self.say_to(waiter, Ok(Told::Unchanged));
        }
        if before == HostMode::Down || mode == HostMode::Down {
            self.make_for_goals(place);
        }
        self.desk.hosts.entry(place).or_default().push(waiter);
    }

    fn order_cutover(
        &mut self,
        waiter: OperatorId,
        host: &crate::payment::Name,
        day: Option<crate::payment::BusinessDate>,
    ) {
        let Some(place) = self.bank_named(host) else { return self.say_to(waiter, Err(OrderRefusal::NoSuchHost)) };
        let cutover = self.banks[place].days.ordered(day, self.now.wall);
        if cutover.is_none() {
            return self.say_to(waiter, Ok(Told::Unchanged));
        }
        self.note_own_cutover(place, cutover);
        self.desk.hosts.entry(place).or_default().push(waiter);
    }

    /// The store knows how the host at this place stands.
    pub(super) fn host_is_durable(&mut self, place: usize) {
        for waiter in self.desk.hosts.remove(&place).unwrap_or_default() {
            self.say_to(waiter, Ok(Told::Done));
        }
    }

    fn order_link(&mut self, waiter: OperatorId, link: LinkId, what: LinkOrder) {
        let Some(place) = self.place_of(link) else { return self.say_to(waiter, Err(OrderRefusal::NoSuchLink)) };
        match what {
            LinkOrder::SignOn => self.rest_link(waiter, place, link, None),
            LinkOrder::SignOff => self.rest_link(waiter, place, link, Some(LinkRest::SignedOff)),
            LinkOrder::Drain => self.rest_link(waiter, place, link, Some(LinkRest::Closed)),
            LinkOrder::Echo => self.order_echo(waiter, place, link),
            LinkOrder::ChangeKeys => self.order_keys(waiter, place, link),
        }
    }

    fn rest_link(&mut self, waiter: OperatorId, place: usize, link: LinkId, rest: Option<LinkRest>) {
        let changed = self.banks[place].rest_link(link, rest);
        let goals = self.banks[place].goals().into_iter().filter(|(of, _)| *of == link);
        goals.for_each(|(_, goal)| self.make_link_for(place, link, goal));
        match (changed, rest) {
            (true, _) => self.desk.hosts.entry(place).or_default().push(waiter),
            // Whoever signs on a link that is to be online does not want to wait for its next attempt.
            (false, None) => self.say_to(waiter, Ok(Told::Done)),
            (false, Some(_)) => self.say_to(waiter, Ok(Told::Unchanged)),
        }
    }

    /// A change that is under way already is the one that was ordered.
    fn order_keys(&mut self, waiter: OperatorId, place: usize, link: LinkId) {
        let bank = &self.banks[place];
        if !bank.sessions.get(&link).is_some_and(crate::link::Session::is_online) {
            return self.say_to(waiter, Err(OrderRefusal::NotOnline));
        }
        let idle = bank.keying.is_idle();
        self.desk.keys.entry(place).or_default().push(waiter);
        if idle {
            self.ask_for_keys(place, link);
        }
    }

    /// Keys of the host at this place were changed, or could not be.
    pub(super) fn keys_are_changed(&mut self, place: usize, said: Result<Told, OrderRefusal>) {
        for waiter in self.desk.keys.remove(&place).unwrap_or_default() {
            self.say_to(waiter, said.clone());
        }
    }

    fn order_echo(&mut self, waiter: OperatorId, place: usize, link: LinkId) {
        let now = self.now.monotonic;
        let until = now.after(self.banks[place].settings.session.answer_timeout);
        let Some(step) = self.banks[place].sessions.get_mut(&link).and_then(|session| session.test(now)) else {
            return self.say_to(waiter, Err(OrderRefusal::NotOnline));
        };
        self.desk.echoes.entry(link).or_default().push((waiter, now, until));
        self.take_step(place, link, step);
    }

    /// An echo came back on a link.
    pub(super) fn echoed(&mut self, place: usize, link: LinkId) {
        self.banks[place].breaker.echoed();
        for (waiter, since, _) in self.desk.echoes.remove(&link).unwrap_or_default() {
            let took = self.now.monotonic.since(since);
            self.say_to(waiter, Ok(Told::Echoed { took }));
        }
    }

    /// Tells those whose echo did not come back.
    pub(super) fn end_echoes(&mut self) {
        let now = self.now.monotonic;
        let mut late = Vec::new();
        for waiting in self.desk.echoes.values_mut() {
            late.extend(waiting.extract_if(.., |(.., until)| *until <= now).map(|(waiter, ..)| waiter));
        }
        late.into_iter().for_each(|waiter| self.say_to(waiter, Err(OrderRefusal::NoAnswer)));
    }

    /// An order about something owed: its payment is at rest, as a rule, and is loaded first.
    fn order_item(&mut self, payment: PaymentId, operate: Operate) {
        if self.motions.get(&payment).is_some_and(|motion| motion.payment.is_none() && motion.open.is_some()) {
            // Its first record is on its way: nothing of it can be parked.
            return self.say_to(operate.waiter, Err(OrderRefusal::NotParked));
        }
        let motion = self.motions.entry(payment).or_default();
        let loaded = motion.payment.is_some();
        let load = !loaded && !motion.loading;
        motion.loading |= load;
        self.desk.loading.entry(payment).or_default().push(operate);
        match loaded {
            true => self.order_items(payment),
            false if load => self.effects.push(Effect::Load { payment }),
            false => {}
        }
    }

    /// Carries out what waited for a payment, which is loaded now, or could not be.
    pub(super) fn order_items(&mut self, payment: PaymentId) {
        for operate in self.desk.loading.remove(&payment).unwrap_or_default() {
            match self.item_bodies(payment, &operate) {
                Ok(bodies) => self.append(payment, bodies, Then::Inform(operate.waiter)),
                Err(refusal) => self.say_to(operate.waiter, Err(refusal)),
            }
        }
        self.ready.push_back(payment);
    }

    fn item_bodies(&self, id: PaymentId, operate: &Operate) -> Result<Vec<Body>, OrderRefusal> {
        let (obligation, expires) = match operate.order {
            Order::Release { obligation, .. } => (obligation, false),
            Order::Expire { obligation, .. } => (obligation, true),
            _ => return Err(OrderRefusal::NoSuchItem),
        };
        let motion = self.motions.get(&id).ok_or(OrderRefusal::NoSuchItem)?;
        let payment = motion.payment.as_ref().ok_or(OrderRefusal::NoSuchItem)?;
        if motion.recording.is_some() {
            return Err(OrderRefusal::Busy);
        }
        let owed = payment.obligations.iter().find(|owed| owed.obligation.number == obligation);
        let owed = owed.ok_or(OrderRefusal::NoSuchItem)?;
        if !owed.discharge.as_ref().is_some_and(Discharge::is_exception) {
            return Err(OrderRefusal::NotParked);
        }
        if !expires && tells_of_what_may_be_voided(payment, owed) {
            return Err(OrderRefusal::TakenBack);
        }
        let mut others = payment.obligations.iter().filter(|other| other.is_exception());
        if !expires && others.any(|other| owed.obligation.builds_on(&other.obligation)) {
            return Err(OrderRefusal::Behind);
        }
        Ok(match expires {
            true => vec![Body::Discharged { obligation, discharge: Discharge::TakenOver(operate.who.clone()) }],
            false => reopened(payment, obligation),
        })
    }

    /// The payment could not be loaded.
    pub(super) fn order_items_failed(&mut self, payment: PaymentId, refusal: OrderRefusal) {
        for operate in self.desk.loading.remove(&payment).unwrap_or_default() {
            self.say_to(operate.waiter, Err(refusal));
        }
    }

    fn queues(&self, host: Option<&crate::payment::Name>) -> Told {
        let banks = self.banks.iter().filter(|bank| host.is_none_or(|host| bank.settings.name == *host));
        let mut owed: Vec<OwedLine> = Vec::new();
        let mut more = 0;
        for bank in banks {
            let room = MOST_SHOWN.saturating_sub(owed.len());
            more += bank.owed().0.saturating_sub(room);
            owed.extend(bank.oldest_owed().take(room).filter_map(|(since, id, number, day)| {
                let payment = self.motions.get(&id)?.payment.as_ref()?;
                let item = payment.obligations.iter().find(|owed| owed.obligation.number == number)?;
                let standing = bank.outbox.standing((id, number));
                let due = standing.and_then(|standing| standing.due);
                Some(OwedLine {
                    host: bank.settings.name.clone(),
                    payment: id,
                    obligation: number,
                    kind: item.obligation.kind,
                    mti: item.obligation.message.mti,
                    since,
                    day,
                    attempts: standing.map_or(0, |standing| standing.attempts),
                    due_in: due.map(|due| due.since(self.now.monotonic)),
                })
            }));
        }
        Told::Queues { owed, more }
    }

    pub(super) fn say_to(&mut self, waiter: OperatorId, said: Result<Told, OrderRefusal>) {
        self.effects.push(Effect::Told { waiter, said });
    }
}

/// Whether it tells the bank of something that a void took back, or may yet. Sent after the reversals of it, it would
/// do what nobody takes back any more.
fn tells_of_what_may_be_voided(payment: &Payment, owed: &Owed) -> bool {
    let tells = matches!(owed.obligation.kind, ObligationKind::Advice | ObligationKind::Release);
    tells && payment.may_be_taken_back()
}

/// An item that is owed again. What was to follow a repeat, had the bank agreed to it, follows it again, and so does what
/// was parked because it builds on an advice.
fn reopened(payment: &Payment, obligation: u16) -> Vec<Body> {
    let item = payment.obligations.iter().find(|owed| owed.obligation.number == obligation);
    let is_repeat = item.is_some_and(|item| item.obligation.kind == ObligationKind::Repeat);
    let follows = |owed: &&Owed| match &owed.discharge {
        Some(Discharge::Cancelled) => {
            is_repeat && owed.obligation.number > obligation && is_rest_of_void(&owed.obligation)
        }
        Some(Discharge::Parked(None)) => item.is_some_and(|item| owed.obligation.builds_on(&item.obligation)),
        _ => false,
    };
    let follows = payment.obligations.iter().filter(follows);
    let numbers = std::iter::once(obligation).chain(follows.map(|owed| owed.obligation.number));
    numbers.map(|obligation| Body::Reopened { obligation }).collect()
}
