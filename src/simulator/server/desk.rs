//! The desk: where orders for the running bank are handed in and carried to the booking thread.
//!
//! An order is a piece of work on the issuer, done between two batches of messages, so it sees no
//! message half handled and none overtakes it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::iso8583::Spec;
use crate::payment::Wall;

use super::super::issuer::{Action, Issuer, Link, Planned};
use super::super::keyring::KeyLine;
use super::super::mistake::Mistake;
use super::super::report::{self, AccountLine, EntryLine, LinkLine, ScenarioReport};
use super::super::scenario::{Act, Down, Scenario};
use super::super::store::{self, StoreError};
use super::super::tape::{MessageLine, Tape};
use super::booking::Arrival;

/// Work on the issuer, and what comes of it.
pub(super) type Order = Box<dyn FnOnce(&mut Issuer, Wall) -> Vec<Planned> + Send>;

/// The other ends of the links that are up.
pub(super) type Peers = Arc<Mutex<BTreeMap<Link, SocketAddr>>>;

/// The bank has stopped and takes no more orders.
#[derive(Debug)]
pub(super) struct Stopped;

/// What an order does to links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LinkOrder {
    Close,
    Reset,
    HalfOpen,
}

/// Why rules weren't added.
pub(super) enum Refused {
    Stopped,
    Mistakes(Vec<Mistake>),
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// How the bank is.
#[derive(serde::Serialize)]
pub(super) struct State {
    addresses: Vec<String>,
    dialect: String,
    business_date: String,
    /// How it is down, where it is.
    outage: Option<Down>,
    links: usize,
    signed_on: usize,
    messages: u64,
    /// Messages that the recording didn't take.
    unrecorded: u64,
    scenario: String,
    rules: usize,
    counters: BTreeMap<&'static str, u64>,
}

/// Takes orders; clones are the same desk.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) inbox: mpsc::Sender<Arrival>,
    pub(super) spec: Arc<Spec>,
    pub(super) tape: Tape,
    pub(super) peers: Peers,
    pub(super) ledger: PathBuf,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Desk {
    /// Has some work done by the booking thread.
    async fn order<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Issuer, Wall) -> (Vec<Planned>, T) + Send + 'static,
    ) -> Result<T, Stopped> {
        let (told, answer) = oneshot::channel();
        let order: Order = Box::new(move |issuer, now| {
            let (planned, said) = work(issuer, now);
            // Whoever asked may have gone; the work is done all the same.
            let _ = told.send(said);
            planned
        });
        self.inbox.send(Arrival::Order(order)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    pub(super) async fn state(&self) -> Result<State, Stopped> {
        let (messages, unrecorded) = self.tape.counts();
        let addresses = self.addresses.iter().map(SocketAddr::to_string).collect();
        let dialect = self.spec.name().to_owned();
        self.order(move |issuer, now| {
            let signed_on = issuer.links().filter(|(link, _)| issuer.is_signed_on(*link)).count();
            let state = State {
                addresses,
                dialect,
                business_date: issuer.business_date(now).to_string(),
                outage: issuer.outage(now),
                links: issuer.links().count(),
                signed_on,
                messages,
                unrecorded,
                scenario: issuer.scenario().description.clone(),
                rules: issuer.scenario().rules.len(),
                counters: issuer.counters().named().into_iter().collect(),
            };
            (Vec::new(), state)
        })
        .await
    }

    pub(super) async fn scenario(&self) -> Result<ScenarioReport, Stopped> {
        self.order(|issuer, _| (Vec::new(), report::scenario(issuer))).await
    }

    /// Puts another scenario in force, as a whole.
    pub(super) async fn replace_scenario(&self, text: &str) -> Result<ScenarioReport, Refused> {
        let scenario = Arc::new(Scenario::read("scenario", text).map_err(Refused::Mistakes)?);
        let follow = |issuer: &mut Issuer, _| {
            issuer.follow(scenario);
            (Vec::new(), report::scenario(issuer))
        };
        Ok(self.order(follow).await?)
    }

    /// Puts cards, ranges, rules, outages and events before those in force.
    pub(super) async fn add_rules(&self, text: &str) -> Result<ScenarioReport, Refused> {
        let own = Scenario::read("rules", text).map_err(Refused::Mistakes)?;
        let add = |issuer: &mut Issuer, _| {
            let whole = own.added_to(issuer.scenario());
            issuer.follow(Arc::new(whole));
            (Vec::new(), report::scenario(issuer))
        };
        Ok(self.order(add).await?)
    }

    /// Takes the rule of that name away; false where there is none.
    pub(super) async fn remove_rule(&self, name: String) -> Result<bool, Stopped> {
        self.order(move |issuer, _| {
            let mut scenario = Scenario::clone(issuer.scenario());
            let before = scenario.rules.len();
            scenario.rules.retain(|rule| rule.name != name);
            let is_removed = scenario.rules.len() < before;
            if is_removed {
                issuer.follow(Arc::new(scenario));
            }
            (Vec::new(), is_removed)
        })
        .await
    }

    pub(super) async fn keys(&self) -> Result<Vec<KeyLine>, Stopped> {
        self.order(|issuer, _| (Vec::new(), issuer.keys())).await
    }

    pub(super) async fn links(&self) -> Result<Vec<LinkLine>, Stopped> {
        let states = self.order(|issuer, _| (Vec::new(), issuer.links().collect::<Vec<_>>())).await?;
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(link, state)| LinkLine { link, peer: peers.get(&link).map(SocketAddr::to_string), state };
        Ok(states.into_iter().map(line).collect())
    }

    /// Does something to one link, or to all of them; says to how many.
    pub(super) async fn order_links(&self, which: Option<Link>, what: LinkOrder) -> Result<usize, Stopped> {
        self.order(move |issuer, _| {
            let meant = |link: &Link| which.is_none_or(|which| which == *link);
            let links: Vec<Link> = issuer.links().map(|(link, _)| link).filter(meant).collect();
            let each = |action: Action| links.iter().map(|link| Planned::now(*link, action.clone())).collect();
            let planned = match what {
                LinkOrder::Close => each(Action::Close),
                LinkOrder::Reset => each(Action::Reset),
                LinkOrder::HalfOpen => {
                    links.iter().for_each(|link| issuer.half_open(*link));
                    Vec::new()
                }
            };
            (planned, links.len())
        })
        .await
    }

    /// Has the bank do something of its own accord.
    pub(super) async fn act(&self, act: Act) -> Result<(), Stopped> {
        self.order(move |issuer, now| (issuer.act(act, now), ())).await
    }

    /// Begins an outage, or ends the one that was ordered.
    pub(super) async fn outage(&self, down: Option<Down>) -> Result<(), Stopped> {
        self.order(move |issuer, now| {
            issuer.order_outage(down);
            (issuer.tick(now), ())
        })
        .await
    }

    pub(super) async fn accounts(&self) -> Result<Vec<AccountLine>, Stopped> {
        self.order(|issuer, _| (Vec::new(), report::accounts(issuer.books(), issuer.scenario()))).await
    }

    /// Entries after a place, at most so many.
    pub(super) async fn ledger(&self, after: u64, most: usize) -> Result<Vec<EntryLine>, StoreError> {
        let path = self.ledger.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut lines = Vec::new();
            let mut give = |entry| {
                if lines.len() < most {
                    lines.push(EntryLine::of(&entry));
                }
            };
            store::read(&path, after, &mut give).map(|()| lines)
        });
        // It can only have panicked, which the store's reader doesn't.
        read.await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    pub(super) fn messages(&self, after: u64, most: usize, unmasked: bool) -> Vec<MessageLine> {
        self.tape.after(after, most).iter().map(|seen| seen.line(&self.spec, unmasked)).collect()
    }
}
