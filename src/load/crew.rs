//! A thread's share of the customers, on a runtime of its own.

use super::gate::Gate;
use super::pace::Timing;
use super::shopper::{Sealed, Shopper};
use super::tally::{Outcome, Tally};
use super::teller::{Desk, Teller};
use super::way::Way;
use super::{Customers, Pace, Plan};
use crate::client::ClientError;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

/// Handshakes of a thread that go on at once.
const HANDSHAKES: usize = 16;
/// Pause of a customer who could not connect.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a thread tells what it has counted.
const PULSE: Duration = Duration::from_millis(500);

/// What a thread tells.
pub(super) enum News {
    /// One customer more has a connection.
    Connected,
    /// One has none.
    NotConnected(ClientError),
    /// Nobody can ever have one.
    Unusable(ClientError),
    /// What was counted since the last pulse, of the whole run.
    Pulse(Box<Tally>),
    /// What was measured; the thread ends.
    Done(Box<Tally>),
}

/// A thread with its customers.
pub(super) struct Crew(JoinHandle<()>);

/// Whoever asks, and waits for the answer.
enum Customer {
    Merchant(Box<Shopper>),
    Acquirer(Teller),
}

impl Customer {
    async fn connect(&mut self) -> Result<(), ClientError> {
        match self {
            Customer::Merchant(shopper) => shopper.connect().await,
            Customer::Acquirer(teller) => teller.connect().await,
        }
    }

    async fn ask(&mut self) -> (&'static str, Outcome) {
        match self {
            Customer::Merchant(shopper) => shopper.ask().await,
            Customer::Acquirer(teller) => teller.ask().await,
        }
    }
}

/// What the customers of a thread share.
struct Room {
    plan: Plan,
    gate: Arc<Gate>,
    measured: RefCell<Tally>,
    pulse: RefCell<Tally>,
    news: mpsc::UnboundedSender<News>,
    handshakes: Semaphore,
}

impl Crew {
    /// Starts a thread; its customers connect and wait for the gate to open.
    pub(super) fn start(
        thread: usize,
        plan: &Plan,
        gate: &Arc<Gate>,
        news: mpsc::UnboundedSender<News>,
    ) -> std::io::Result<Crew> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (plan, gate) = (plan.clone(), Arc::clone(gate));
        let spawned = std::thread::Builder::new().name(format!("load-{thread}")).spawn(move || {
            let room = Room {
                plan,
                gate,
                measured: RefCell::default(),
                pulse: RefCell::default(),
                news,
                handshakes: Semaphore::new(HANDSHAKES),
            };
            LocalSet::new().block_on(&runtime, Rc::new(room).work(thread));
        });
        Ok(Crew(spawned?))
    }

    /// Waits for its end.
    pub(super) fn join(self) {
        // One that panicked has told so on stderr and has no news; the report does not hold its part.
        let _ = self.0.join();
    }
}

impl Room {
    async fn work(self: Rc<Room>, thread: usize) {
        let numbers = (thread..self.plan.connections).step_by(self.plan.threads);
        let mut customers = JoinSet::new();
        match self.gather(numbers) {
            Ok(gathered) => gathered.into_iter().for_each(|(number, customer)| {
                customers.spawn_local(Rc::clone(&self).attend(customer, number));
            }),
            Err(why) => return self.tell(News::Unusable(why)),
        }
        let pulsing = tokio::task::spawn_local(Rc::clone(&self).pulse());
        while customers.join_next().await.is_some() {}
        pulsing.abort();
        self.tell(News::Done(Box::new(self.measured.take())));
    }

    /// The customers of so many connections, each with the number of its connection.
    fn gather(&self, numbers: impl Iterator<Item = usize>) -> Result<Vec<(usize, Customer)>, ClientError> {
        match &self.plan.customers {
            Customers::Merchants(errands) => {
                let (errands, sealed) = (Rc::new((**errands).clone()), Rc::new(Sealed::default()));
                let (way, on_each) =
                    (Way::new(&errands.target, errands.in_flight.is_some())?, self.plan.customers.on_each());
                let shoppers = numbers.flat_map(|number| {
                    let (way, errands, sealed) = (way.apart(), Rc::clone(&errands), Rc::clone(&sealed));
                    let shopper = move |own| Shopper::new(&errands, way.another(), &sealed, own, self.plan.seed);
                    let own = number * on_each..(number + 1) * on_each;
                    own.map(move |own| (number, Customer::Merchant(Box::new(shopper(own)))))
                });
                Ok(shoppers.collect())
            }
            Customers::Acquirers(counter) => {
                let counter = Rc::new((**counter).clone());
                let tellers = numbers.flat_map(|number| {
                    let desk = Rc::new(Desk::new(&counter));
                    let seed = self.plan.seed.wrapping_add((number * counter.in_flight) as u64);
                    let teller = move |place| (number, Customer::Acquirer(Teller::new(&desk, seed + place as u64)));
                    (0..counter.in_flight).map(teller)
                });
                Ok(tellers.collect())
            }
        }
    }

    fn tell(&self, news: News) {
        // Whoever listened has given up, and the thread ends soon.
        let _ = self.news.send(news);
    }

    async fn attend(self: Rc<Room>, mut customer: Customer, number: usize) {
        let connected = match self.handshakes.acquire().await {
            Ok(_turn) => customer.connect().await,
            Err(_) => return,
        };
        match connected {
            Ok(()) => self.tell(News::Connected),
            Err(why) => return self.tell(News::NotConnected(why)),
        }
        if !self.gate.is_open().await {
            return;
        }
        if self.plan.pace == Pace::Closed {
            let part = number as f64 / self.plan.connections as f64;
            tokio::time::sleep(self.plan.ramp.mul_f64(part)).await;
        }
        while let Some(intended) = self.gate.next().await {
            self.serve(&mut customer, intended).await;
        }
    }

    async fn serve(&self, customer: &mut Customer, intended: Duration) {
        let begun = self.gate.elapsed();
        let asked = tokio::time::timeout(self.plan.timeout, customer.ask()).await;
        let (operation, outcome) = asked.unwrap_or(("timeout", Outcome::Failed("timeout")));
        let timing = Timing { intended, begun, ended: self.gate.elapsed() };
        let is_lost = matches!(outcome, Outcome::Failed(_));
        self.count(operation, timing, outcome);
        if is_lost {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn count(&self, operation: &'static str, timing: Timing, outcome: Outcome) {
        let (begins, ends) = (self.plan.ramp, self.plan.ramp + self.plan.duration);
        if timing.intended >= begins {
            let within = timing.ended < ends;
            self.measured.borrow_mut().count(operation, timing, outcome.clone(), within);
        }
        self.pulse.borrow_mut().count(operation, timing, outcome, true);
    }

    async fn pulse(self: Rc<Room>) {
        let mut ticks = tokio::time::interval(PULSE);
        loop {
            ticks.tick().await;
            self.tell(News::Pulse(Box::new(self.pulse.take())));
        }
    }
}
