//! Operators: they take hosts and links away and bring them back, end days, and take care of what is parked.

use crate::journal::Journal;
use crate::plan::{MILLI, SECOND};
use crate::world::{Happening, World};
use isthmus::payment::PaymentId;
use isthmus::switch::{Event, HostMode, LinkId, LinkOrder, Operate, OperatorId, Order, OrderRefusal, Told};
use isthmus::transaction::{Discharge, Payment};
use std::collections::BTreeMap;

/// How often operators look at what was left over when the faults are over.
const ROUND: u64 = 20 * SECOND;

/// Orders on their way, and what they were.
#[derive(Default)]
pub struct Operators {
    waiting: BTreeMap<OperatorId, Order>,
    last: u64,
}

/// What an operator does to a host, to a link, or to its parked items.
#[derive(Clone, Debug)]
pub enum Deed {
    Host(HostMode),
    Link(u16, LinkOrder),
    Cutover,
    Parked,
}

/// What waits for a person.
pub fn parked(journal: &Journal) -> Vec<(PaymentId, u16)> {
    let items = |(id, records): (&PaymentId, &Vec<_>)| {
        let payment = Payment::fold(records).ok()?;
        let is_one = |discharge: &Option<Discharge>| discharge.as_ref().is_some_and(Discharge::is_exception);
        let owed = payment.obligations.iter().filter(|owed| is_one(&owed.discharge));
        Some(owed.map(|owed| (*id, owed.obligation.number)).collect::<Vec<_>>())
    };
    journal.payments().filter_map(items).flatten().collect()
}

impl World {
    pub fn operator(&mut self, deed: Deed) {
        let hosts = self.plan.settings.hosts.len();
        let host = self.plan.settings.hosts[self.streams.process.usize(0..hosts)].name.clone();
        match deed {
            Deed::Host(mode) => self.order(Order::Host { host, mode }),
            Deed::Link(link, what) => self.order(Order::Link { link: LinkId(link), what }),
            Deed::Cutover => self.order(Order::Cutover { host, day: None }),
            Deed::Parked => {
                for (payment, obligation) in parked(&self.journal) {
                    match self.streams.process.u32(0..3) {
                        0 => self.order(Order::Release { payment, obligation }),
                        1 => self.order(Order::Expire { payment, obligation }),
                        _ => {}
                    }
                }
            }
        }
    }

    fn order(&mut self, order: Order) {
        if self.switch.is_none() {
            return;
        }
        self.tally.fault(kind(&order));
        self.operators.last += 1;
        let waiter = OperatorId(self.operators.last);
        self.operators.waiting.insert(waiter, order.clone());
        let (who, why) = (format!("operator {}", waiter.0), "the seed says so".to_owned());
        let after = self.streams.process.u64(0..MILLI);
        self.tell_after(after, Event::Operate(Box::new(Operate { waiter, who, why, order })));
    }

    /// What came of an order. One that changed something is durable with whoever gave it.
    pub fn order_told(&mut self, waiter: OperatorId, said: &Result<Told, OrderRefusal>) {
        let Some(order) = self.operators.waiting.remove(&waiter) else {
            return self.checker.violation(self.now, "one answer to each operator", &format!("{waiter:?} again"));
        };
        let who = format!("operator {}", waiter.0);
        let is_kept = self.journal.audit.iter().any(|kept| kept.who == who && kept.order == order.to_string());
        match said {
            Ok(_) if order.is_change() && !is_kept => {
                self.checker.violation(self.now, "an order is recorded before it is carried out", &order.to_string());
            }
            Ok(_) => self.tally.figure("orders carried out", 1),
            Err(_) => self.tally.figure("orders refused", 1),
        }
    }

    /// The process is gone, and nobody will answer.
    pub fn operators_lose_connection(&mut self) {
        self.operators.waiting.clear();
    }

    /// After the faults, operators bring back what they took away.
    pub fn operators_round(&mut self) {
        let Some(switch) = &self.switch else { return self.after(ROUND, Happening::OperatorsRound) };
        let snapshot = switch.snapshot();
        for host in snapshot.hosts {
            if host.mode != HostMode::Up {
                self.order(Order::Host { host: host.name, mode: HostMode::Up });
            }
            let offline = host.links.into_iter().filter(|(_, state)| *state != "online");
            offline.for_each(|(link, _)| self.order(Order::Link { link, what: LinkOrder::SignOn }));
        }
        self.after(ROUND, Happening::OperatorsRound);
    }
}

fn kind(order: &Order) -> &'static str {
    match order {
        Order::Host { mode: HostMode::Up, .. } => "hosts brought up by operators",
        Order::Host { mode: HostMode::Maintenance, .. } => "hosts put in maintenance by operators",
        Order::Host { mode: HostMode::Down, .. } => "hosts taken down by operators",
        Order::Link { what: LinkOrder::ChangeKeys, .. } => "key changes ordered by operators",
        Order::Link { .. } => "orders to links",
        Order::Cutover { .. } => "days ended by operators",
        Order::Release { .. } => "parked items released",
        Order::Expire { .. } => "parked items taken over",
        Order::Hosts | Order::Queues(_) | Order::Drain => "looks of operators",
    }
}
