//! The switch in bad luck: the real [`isthmus::switch::Switch`] under a virtual clock, with a network that loses and
//! repeats, a store that refuses and crashes, the simulator's bank, and merchants that ask again.
//!
//! A seed is a whole run. `ISTHMUS_SEEDS=10000 cargo test --test simulation seeds` runs more of them;
//! `ISTHMUS_SEED=17 cargo test --test simulation replay -- --nocapture` prints the trace of one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accounts;
mod canaries;
mod checker;
mod failover;
mod journal;
mod merchants;
mod network;
mod plan;
mod scripts;
mod tally;
mod tampering;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use tally::{FAULTS, Tally};
use tampering::Tampering;
use world::{Outcome, run};

/// How many seeds a run without `ISTHMUS_SEEDS` takes.
const SEEDS: u64 = 300;
/// How many failing seeds are named.
const FEW: usize = 20;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a seed; a panic of the switch is a violation like any other.
fn attempt(seed: u64, keep_trace: bool) -> Outcome {
    let run = || run(seed, Tampering::default(), keep_trace);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Outcome::panicked())
}

/// What is wrong with a seed, if something is.
fn check(seed: u64, tally: &mut Tally) -> Option<String> {
    let outcome = attempt(seed, false);
    tally.add(&outcome.tally);
    if let Some(first) = outcome.violations.first() {
        return Some(first.clone());
    }
    let again = attempt(seed, false).hash;
    (again != outcome.hash).then(|| "another trace the second time".to_owned())
}

fn check_all(seeds: impl Iterator<Item = u64>) -> (Tally, Vec<(u64, String)>) {
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for seed in seeds {
        wrong.extend(check(seed, &mut tally).map(|what| (seed, what)));
    }
    (tally, wrong)
}

#[test]
fn seeds() {
    let count = from_environment("ISTHMUS_SEEDS").unwrap_or(SEEDS);
    let first = from_environment("ISTHMUS_FIRST_SEED").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let share = |thread: u64| check_all((first + thread..first + count).step_by(threads as usize));
    let shares: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for (sum, failed) in shares {
        tally.add(&sum);
        wrong.extend(failed);
    }
    wrong.sort();
    tally.print();
    for (seed, what) in wrong.iter().take(FEW) {
        println!("seed {seed}: {what}");
        println!("  ISTHMUS_SEED={seed} cargo test --test simulation replay -- --nocapture");
    }
    assert!(wrong.is_empty(), "{} of {count} seeds fail; the first is {:?}", wrong.len(), wrong.first());
    if count >= SEEDS {
        let missing: Vec<_> = FAULTS.iter().filter(|kind| !tally.faults.contains_key(**kind)).collect();
        assert!(missing.is_empty(), "never injected: {missing:?}");
    }
}

#[test]
fn replay() {
    let Some(seed) = from_environment("ISTHMUS_SEED") else { return };
    let outcome = attempt(seed, true);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    outcome.tally.print();
    assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
}
