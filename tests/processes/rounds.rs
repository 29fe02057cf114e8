//! Rounds of faults under load: each round a fault in the middle of shopping, then peace, then the books.
//!
//! `ISTHMUS_FAULT_ROUNDS` says how many (default 3), `ISTHMUS_FAULT_SEED` repeats a run's draws; when the system lets
//! whom go on is not ours to repeat. What a seed finds in the logic is for tests/simulation to keep.

use crate::books::Books;
use crate::fault::{Fault, Scene};
use crate::house::House;
use crate::merchants::Market;
use crate::operators::Orders;
use crate::setup::{SETUPS, SOUTH, Setup, Standing};
use crate::tally::Tally;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

/// Answers before a fault and after it: enough that all kinds of errands are under way.
const ANSWERS_AROUND: u64 = 25;
/// References of the second bank begin here; the first one's begin with one.
const SECOND_BANK_FROM: u64 = 500_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_faults_leave_no_difference() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("ISTHMUS_FAULT_ROUNDS").unwrap_or(3);
    let seed = number("ISTHMUS_FAULT_SEED").unwrap_or_else(clock_seed);
    println!("{rounds} rounds of faults; ISTHMUS_FAULT_ROUNDS={rounds} ISTHMUS_FAULT_SEED={seed} draws the same again");

    let house = House::build();
    house.begin_references_at(SOUTH.acquirer, SECOND_BANK_FROM);
    let mut run = Run::begin(house, seed);
    let mut round = 0;
    for (setup, faults) in run.draw(rounds) {
        println!("{}:", setup.name);
        let mut standing = Standing::begin(&run.house, setup, seed).await;
        for fault in faults {
            round += 1;
            run.round(round, fault, &mut standing).await;
        }
        run.leave(standing).await;
    }
    run.close().await;
}

/// A run of rounds.
struct Run {
    house: House,
    seed: u64,
    random: fastrand::Rng,
    books: Books,
    tally: Tally,
    orders: Orders,
}

impl Run {
    fn begin(house: House, seed: u64) -> Run {
        let (books, random) = (Books::from_now(&house), fastrand::Rng::with_seed(seed));
        Run { house, seed, random, books, tally: Tally::default(), orders: Orders::default() }
    }

    /// Each fault once before any comes again, and each setup for as many rounds as the others. A short run takes
    /// faults of different families, under different setups.
    fn draw(&mut self, rounds: u64) -> Vec<(&'static Setup, Vec<Fault>)> {
        let mut faults = drawn(&mut self.random, &mut self.tally).into_iter().cycle().take(rounds as usize);
        let mut setups: Vec<&Setup> = SETUPS.iter().collect();
        self.random.shuffle(&mut setups);
        setups.truncate(rounds as usize);
        let (each, more) = (rounds as usize / setups.len().max(1), rounds as usize % setups.len().max(1));
        let rounds_of = |place: usize| each + usize::from(place < more);
        setups
            .into_iter()
            .enumerate()
            .map(|(at, setup)| (setup, faults.by_ref().take(rounds_of(at)).collect()))
            .collect()
    }

    async fn round(&mut self, round: u64, fault: Fault, standing: &mut Standing) {
        let began = Instant::now();
        self.house.until_at_rest().await;
        let market = Market::open(&self.house, round, self.seed);
        market.street().until_told(ANSWERS_AROUND).await;
        let mut scene = Scene {
            house: &self.house,
            standing,
            street: market.street(),
            random: &mut self.random,
            orders: &mut self.orders,
        };
        let hits = fault.happen(&mut scene).await;
        market.street().until_told(ANSWERS_AROUND).await;
        self.tally.inflicted(fault, hits);
        count(&mut self.tally, &market);
        let errands = market.close().await;
        let paid = errands.len();
        self.books.settle(&self.house, errands).await;
        let (name, took) = (fault.name(), began.elapsed());
        println!("round {round:>3}: {name:<58} hits {hits:>4}, payments {paid:>4}, {took:.1?}");
    }

    /// A setup is over: the books of all its banks are closed.
    async fn leave(&mut self, standing: Standing) {
        self.house.until_at_rest().await;
        self.books.close(&self.house).await;
        self.tally.set_up(standing.setup);
        let orders = self.orders.audit(&self.house);
        self.tally.orders(orders);
        standing.end();
    }

    async fn close(mut self) {
        self.tally.payments(&self.books);
        self.tally.audit(self.house.path("config").as_ref(), &self.books);
        self.tally.print();
    }
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}

/// All faults that can be made here, of each family in turn.
fn drawn(random: &mut fastrand::Rng, tally: &mut Tally) -> Vec<Fault> {
    let mut families = [Fault::PROCESS, Fault::WIRE, Fault::DISK, Fault::OPERATOR].map(<[Fault]>::to_vec);
    for family in &mut families {
        tally.missing.extend(family.iter().filter_map(|fault| Some((*fault, fault.missing()?))));
        family.retain(|fault| fault.missing().is_none());
        random.shuffle(family);
    }
    random.shuffle(&mut families);
    let longest = families.iter().map(Vec::len).max().unwrap();
    (0..longest).flat_map(|place| families.iter().filter_map(move |family| family.get(place).copied())).collect()
}

fn count(tally: &mut Tally, market: &Market) {
    let street = market.street();
    let figures = [
        ("requests given up by merchants", &street.hung_up),
        ("connections of merchants broken", &street.broken),
        ("answers given again under the same key", &street.replayed),
    ];
    figures.into_iter().for_each(|(what, count)| tally.figure(what, count.load(Ordering::Relaxed)));
    for code in ["store_unavailable", "outcome_not_recorded", "stopping", "idempotency_key_in_flight"] {
        tally.figure(&format!("requests told to ask again: {code}"), street.refused(code));
    }
}
