//! Rounds of faults under load: each round a fault in the middle of shopping, then peace, then the books.
//!
//! `ISTHMUS_FAULT_ROUNDS` says how many (default 3), `ISTHMUS_FAULT_SEED` repeats a run's draws; when the system lets
//! whom go on is not ours to repeat. What a seed finds in the logic is for tests/simulation to keep.

use crate::books::Books;
use crate::fault::{Fault, Scene};
use crate::house::House;
use crate::merchants::Market;
use crate::proxy::Proxy;
use crate::tally::Tally;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

/// Answers before a fault and after it: enough that all kinds of errands are under way.
const ANSWERS_AROUND: u64 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_faults_leave_no_difference() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("ISTHMUS_FAULT_ROUNDS").unwrap_or(3);
    let seed = number("ISTHMUS_FAULT_SEED").unwrap_or_else(clock_seed);
    println!("{rounds} rounds of faults; ISTHMUS_FAULT_ROUNDS={rounds} ISTHMUS_FAULT_SEED={seed} draws the same again");

    let (house, proxy) = prepare(seed).await;
    let (mut bank, mut serve) = (house.bank(), house.serve());
    let (mut books, mut tally) = (Books::from_now(&house), Tally::default());
    let mut random = fastrand::Rng::with_seed(seed);
    for (round, fault) in draw(rounds, &mut random, &mut tally).into_iter().enumerate() {
        let began = Instant::now();
        house.until_at_rest().await;
        let market = Market::open(&house, round as u64, seed);
        market.street().until_told(ANSWERS_AROUND).await;
        let mut scene = Scene {
            house: &house,
            proxy: &proxy,
            bank: &mut bank,
            serve: &mut serve,
            street: market.street(),
            random: &mut random,
        };
        let hits = fault.happen(&mut scene).await;
        market.street().until_told(ANSWERS_AROUND).await;
        tally.inflicted(fault, hits);
        count(&mut tally, &market);
        let errands = market.close().await;
        let paid = errands.len();
        books.settle(&house, errands).await;
        println!(
            "round {:>3}: {:<58} hits {hits:>4}, payments {paid:>4}, {:.1?}",
            round + 1,
            fault.name(),
            began.elapsed()
        );
    }
    house.until_at_rest().await;
    books.close(&house).await;
    assert!(serve.terminate(), "SIGTERM drains and exits 0");
    tally.payments(&books);
    tally.audit(house.path("config").as_ref(), &books);
    tally.print();
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}

/// A house whose switch reaches its bank through the proxy, and which is told to be quick.
async fn prepare(seed: u64) -> (House, Proxy) {
    let house = House::build();
    let proxy = Proxy::start(house.bank_addr(), seed).await;
    house.reconfigure(&format!("connect = \"{}\"", house.bank_addr()), &format!("connect = \"{}\"", proxy.address));
    house.reconfigure("answer_timeout_ms = 3000", "answer_timeout_ms = 1500");
    house.reconfigure("pause_min_ms = 500\npause_max_ms = 10000", "pause_min_ms = 200\npause_max_ms = 1000");
    (house, proxy)
}

/// Each fault once before any comes again. A short run takes a process, a wire and a disk in turn.
fn draw(rounds: u64, random: &mut fastrand::Rng, tally: &mut Tally) -> Vec<Fault> {
    let mut families = [Fault::PROCESS.to_vec(), Fault::WIRE.to_vec(), Fault::DISK.to_vec()];
    for family in &mut families {
        tally.missing.extend(family.iter().filter_map(|fault| Some((*fault, fault.missing()?))));
        family.retain(|fault| fault.missing().is_none());
        random.shuffle(family);
    }
    let all: usize = families.iter().map(Vec::len).sum();
    let longest = families.iter().map(Vec::len).max().unwrap();
    let in_turn: Vec<Fault> =
        (0..longest).flat_map(|place| families.iter().filter_map(move |family| family.get(place).copied())).collect();
    assert_eq!(in_turn.len(), all);
    in_turn.into_iter().cycle().take(rounds as usize).collect()
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
