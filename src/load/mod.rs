//! Load: many customers at once, in a closed or an open loop, and what they would have felt.
//!
//! A thread has a runtime of its own and a share of the connections; a customer asks, waits and asks again: a merchant
//! on a connection of its own or among others in frames, or one of several acquirers on a line to a bank. In an open
//! loop [`pace`] says when requests are due, and latencies count from then. Nothing here looks into the server: what it
//! is asked is what anybody could ask.
//!
//! What surprises: the generator may be the slower of the two. So it accounts for its own processor time, and says so
//! where that was the limit.

pub mod cards;
mod crew;
mod gate;
pub mod mix;
mod order;
pub mod pace;
pub mod processor;
mod report;
mod shopper;
mod tally;
mod teller;
mod told;
mod way;

pub use report::Report;
pub use shopper::Errands;
pub use tally::{Tally, Times};
pub use teller::Counter;

use crate::client::{ClientError, Notation};
use crew::{Crew, News};
use gate::Gate;
use mix::Mix;
use pace::Pace;
use processor::Usage;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between all customers being connected and the first request.
const BREATH: Duration = Duration::from_millis(50);

/// What to do to whom.
#[derive(Clone)]
pub struct Plan {
    /// Who asks, for what, and where.
    pub customers: Customers,
    /// How many connections they have.
    pub connections: usize,
    /// How many threads they share.
    pub threads: usize,
    /// How requests follow each other.
    pub pace: Pace,
    /// How long it takes to reach the full rate, or to have all connections at work; not measured.
    pub ramp: Duration,
    /// How long is measured.
    pub duration: Duration,
    /// The most requests, those of the ramp too.
    pub most: u64,
    /// How long an answer is awaited.
    pub timeout: Duration,
    /// Draws operations, cards and amounts.
    pub seed: u64,
    /// A process whose processor time is reported beside our own.
    pub server_pid: Option<u32>,
}

/// Who asks.
#[derive(Clone)]
pub enum Customers {
    /// Merchants at a door: over HTTPS one on each connection, in frames several.
    Merchants(Box<Errands>),
    /// Acquirers at a bank host, several on each line.
    Acquirers(Box<Counter>),
}

impl Customers {
    /// Who is asked.
    pub fn target(&self) -> String {
        match self {
            Customers::Merchants(errands) => errands.target.url.clone(),
            Customers::Acquirers(counter) => format!("tcp://{}", counter.address),
        }
    }

    /// What is asked.
    pub fn mix(&self) -> &Mix {
        match self {
            Customers::Merchants(errands) => &errands.mix,
            Customers::Acquirers(counter) => &counter.mix,
        }
    }

    /// How many share a connection.
    pub fn on_each(&self) -> usize {
        match self {
            Customers::Merchants(errands) => errands.in_flight.unwrap_or(1),
            Customers::Acquirers(counter) => counter.in_flight,
        }
    }

    /// Whether bodies are sealed.
    pub fn is_sealed(&self) -> bool {
        matches!(self, Customers::Merchants(errands) if errands.target.envelope.is_some())
    }

    /// Whether bodies are XML.
    pub fn is_xml(&self) -> bool {
        matches!(self, Customers::Merchants(errands) if errands.notation() == Notation::Xml)
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The target's URL, certificates or keys cannot be used.
    #[error(transparent)]
    Target(ClientError),
    /// The customers cannot connect.
    #[error("{connected} of {wanted} customers are connected, the next one is not: {why}")]
    Connect {
        /// How many could.
        connected: usize,
        /// How many should.
        wanted: usize,
        /// What the first of the others ran into.
        why: ClientError,
    },
    /// There is no such process.
    #[error("no process {0} whose processor time may be read")]
    NoProcess(u32),
    /// A thread or its runtime cannot be started, or ended by itself.
    #[error("a thread of the generator: {0}")]
    Thread(#[from] std::io::Error),
}

/// How it goes, once a second.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Since the first request.
    pub elapsed: Duration,
    /// How long all of it takes, ramp and measurement.
    pub whole: Duration,
    /// Answers in the last second.
    pub answered: u64,
    /// Refusals in it.
    pub refused: u64,
    /// Requests without an answer in it.
    pub failed: u64,
    /// Latencies of its answers.
    pub latency: Times,
}

/// Does it, and calls `watch` once a second. Ctrl-C ends it early, with a report of what there is.
pub async fn run(plan: Plan, watch: impl FnMut(&Progress)) -> Result<Report, LoadError> {
    if let Some(pid) = plan.server_pid {
        Usage::of(pid).ok_or(LoadError::NoProcess(pid))?;
    }
    let gate = Arc::new(Gate::new(&plan));
    let (news, mut told) = mpsc::unbounded_channel();
    let crews = (0..plan.threads).map(|thread| Crew::start(thread, &plan, &gate, news.clone()));
    let crews: Vec<Crew> = crews.collect::<Result<_, _>>()?;
    drop(news);
    all_connected(&plan, &mut told).await?;
    let start = Instant::now() + BREATH;
    gate.open(start)?;
    let mut desk = Desk::new(&plan, start, watch);
    desk.attend(&gate, &mut told).await;
    crews.into_iter().for_each(Crew::join);
    Ok(desk.report(&gate))
}

async fn all_connected(plan: &Plan, told: &mut mpsc::UnboundedReceiver<News>) -> Result<(), LoadError> {
    let mut connected = 0;
    let wanted = plan.connections * plan.customers.on_each();
    while connected < wanted {
        match told.recv().await {
            Some(News::Connected) => connected += 1,
            Some(News::NotConnected(why)) => {
                return Err(LoadError::Connect { connected, wanted, why });
            }
            Some(News::Unusable(why)) => return Err(LoadError::Target(why)),
            Some(News::Pulse(_) | News::Done(_)) => {}
            None => return Err(LoadError::Thread(std::io::Error::other("it ended by itself"))),
        }
    }
    Ok(())
}

/// Hears what the threads say, and keeps the accounts of the processors.
struct Desk<W> {
    plan: Plan,
    watch: W,
    start: Instant,
    tally: Tally,
    second: Tally,
    generator: Account,
    server: Option<Account>,
    measured: Duration,
    is_early: bool,
}

/// Processor time of a process over the measured part of a run.
struct Account {
    pid: Option<u32>,
    before: Usage,
    used: Usage,
}

impl Account {
    fn of(pid: Option<u32>) -> Account {
        Account { pid, before: Usage::default(), used: Usage::default() }
    }

    fn now(&self) -> Usage {
        self.pid.map_or_else(Usage::own, Usage::of).unwrap_or_default()
    }

    fn begin(&mut self) {
        self.before = self.now();
    }

    fn end(&mut self) {
        self.used = self.now().since(&self.before);
    }
}

impl<W: FnMut(&Progress)> Desk<W> {
    fn new(plan: &Plan, start: Instant, watch: W) -> Desk<W> {
        Desk {
            watch,
            start,
            tally: Tally::default(),
            second: Tally::default(),
            generator: Account::of(None),
            server: plan.server_pid.map(|pid| Account::of(Some(pid))),
            measured: plan.duration,
            is_early: false,
            plan: plan.clone(),
        }
    }

    async fn attend(&mut self, gate: &Gate, told: &mut mpsc::UnboundedReceiver<News>) {
        let begins = self.start + self.plan.ramp;
        let ends = begins + self.plan.duration;
        let (mut begun, mut ended) = (false, false);
        let mut seconds =
            tokio::time::interval_at((self.start + Duration::from_secs(1)).into(), Duration::from_secs(1));
        loop {
            tokio::select! {
                news = told.recv() => match news {
                    Some(News::Pulse(tally)) => self.second.add(*tally),
                    Some(News::Done(tally)) => self.tally.add(*tally),
                    Some(_) => {}
                    None => break,
                },
                () = tokio::time::sleep_until(begins.into()), if !begun => {
                    begun = true;
                    self.accounts().for_each(Account::begin);
                }
                () = tokio::time::sleep_until(ends.into()), if begun && !ended => {
                    ended = true;
                    self.accounts().for_each(Account::end);
                }
                _ = seconds.tick() => self.show(),
                _ = tokio::signal::ctrl_c() => gate.stop(),
            }
        }
        if begun && !ended {
            self.is_early = true;
            self.measured = begins.elapsed();
            self.accounts().for_each(Account::end);
        }
    }

    fn accounts(&mut self) -> impl Iterator<Item = &mut Account> {
        std::iter::once(&mut self.generator).chain(&mut self.server)
    }

    fn show(&mut self) {
        let second = std::mem::take(&mut self.second);
        (self.watch)(&Progress {
            elapsed: self.start.elapsed(),
            whole: self.plan.ramp + self.plan.duration,
            answered: second.answered,
            refused: second.refused,
            failed: second.failed,
            latency: second.latency,
        });
    }

    fn report(self, gate: &Gate) -> Report {
        Report {
            target: self.plan.customers.target(),
            is_sealed: self.plan.customers.is_sealed(),
            is_xml: self.plan.customers.is_xml(),
            in_flight: self.plan.customers.on_each(),
            mix: self.plan.customers.mix().to_string(),
            pace: self.plan.pace,
            connections: self.plan.connections,
            threads: self.plan.threads,
            measured: self.measured,
            is_early: self.is_early,
            not_begun: gate.not_begun(),
            tally: self.tally,
            generator: self.generator.used,
            server: self.server.map(|account| account.used),
        }
    }
}
