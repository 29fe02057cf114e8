//! What was promised in banks' places, checked by the limits alone: who was trusted with how much, how often, since when.
//!
//! A promise that a bank has acknowledged counts until the switch is started anew, as the switch says of itself; one of
//! which the bank does not know yet counts over a restart, from the moment at which its payment began.

use crate::merchants::print_of;
use isthmus::payment::{Amount, Brand, CardPrint, MerchantId, Name, PaymentId, Wall};
use isthmus::switch::{HostSettings, StandInLimit, StandInSettings, Stored};
use isthmus::transaction::{Origin, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A payment that has begun.
struct Begun {
    merchant: MerchantId,
    brand: Brand,
    amount: Amount,
    at: Wall,
}

/// What was promised to a card.
struct Promise {
    payment: PaymentId,
    host: Name,
    card: CardPrint,
    amount: Amount,
    at: Wall,
}

#[derive(Default)]
pub struct Promises {
    agreed: BTreeMap<Name, Arc<StandInSettings>>,
    begun: BTreeMap<PaymentId, Begun>,
    made: Vec<Promise>,
}

impl Promises {
    pub fn agreed_by(hosts: &[HostSettings]) -> Promises {
        let agreed = hosts.iter().filter_map(|host| Some((host.name.clone(), host.stand_in.clone()?)));
        Promises { agreed: agreed.collect(), ..Promises::default() }
    }

    pub fn begins(&mut self, payment: PaymentId, origin: &Origin, amount: Amount, at: Wall) {
        let begun = Begun { merchant: origin.merchant.clone(), brand: origin.card.brand, amount, at };
        self.begun.insert(payment, begun);
    }

    /// A run begins with these payments in motion.
    pub fn run_begins(&mut self, in_motion: &[Stored]) {
        let moving = |payment: PaymentId| in_motion.iter().any(|stored| stored.records[0].payment == payment);
        self.made.retain(|promise| moving(promise.payment));
        for promise in &mut self.made {
            promise.at = self.begun.get(&promise.payment).map_or(promise.at, |begun| begun.at);
        }
    }

    /// A promise is durable. What it breaks, if it breaks something.
    pub fn made(&mut self, payment: PaymentId, outcome: &Outcome, at: Wall, number: Option<&str>) -> Option<String> {
        let card = outcome.stand_in?;
        let advice = &outcome.obligations.first()?.message;
        let (host, begun) = (advice.host.clone(), self.begun.get(&payment)?);
        let promise = Promise { payment, host, card, amount: begun.amount, at };
        let broken = self.broken_by(&promise, begun, number);
        self.made.push(promise);
        broken
    }

    fn broken_by(&self, promise: &Promise, begun: &Begun, number: Option<&str>) -> Option<String> {
        let Some(agreed) = self.agreed.get(&promise.host) else { return Some("nothing was agreed".to_owned()) };
        if number.map(print_of) != Some(promise.card) {
            return Some("another card".to_owned());
        }
        if agreed.negative.contains(&promise.card) {
            return Some("a card that nothing is promised to".to_owned());
        }
        let Some(limit) = agreed.limits.iter().find(|limit| is_for(limit, begun)) else {
            return Some("no limit is for it".to_owned());
        };
        let (count, sum) = self.before(promise, limit);
        let minor = promise.amount.minor();
        let within = minor <= limit.amount_max && count < limit.count_max && sum + minor <= limit.sum_max;
        (!within).then(|| format!("{minor} after {count} promises of {sum} in all, where {limit:?}"))
    }

    /// How many promises to its card count at its moment, and their sum.
    fn before(&self, promise: &Promise, limit: &StandInLimit) -> (usize, u64) {
        let same = self.made.iter().filter(|other| (&other.host, other.card) == (&promise.host, promise.card));
        let within = same.filter(|other| promise.at.since(other.at) < limit.window);
        within.fold((0, 0), |(count, sum), other| (count + 1, sum + other.amount.minor()))
    }
}

fn is_for(limit: &StandInLimit, begun: &Begun) -> bool {
    (limit.brands.is_empty() || limit.brands.contains(&begun.brand))
        && (limit.merchants.is_empty() || limit.merchants.contains(&begun.merchant))
        && limit.currency == begun.amount.currency()
}
