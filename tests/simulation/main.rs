//! The switch in bad luck: the real [`isthmus::switch::Switch`] under a virtual clock, with a network that loses and
//! repeats, a store that refuses and crashes, the simulator's bank, and merchants that ask again.
//!
//! A seed is a whole run. `tests/run simulation 10000` runs more of them, optimised;
//! `ISTHMUS_SEED=17 cargo test --test simulation replay -- --nocapture` prints the trace of one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accounts;
mod balance;
mod bank;
mod canaries;
mod checker;
mod faults;
mod journal;
mod keys;
mod life;
mod merchants;
mod network;
mod operators;
mod plan;
mod promises;
mod questions;
mod scripts;
mod store;
mod tally;
mod tampering;
mod trace;
mod world;

use plan::{HOUR, SECOND};
use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use tally::{Tally, grouped};
use tampering::Tampering;
use world::{Outcome, run};

/// How many seeds a run without `ISTHMUS_SEEDS` takes; from so many on every kind of fault has to happen.
const SEEDS: u64 = 300;
/// Of a run without `ISTHMUS_SEEDS` every so many seeds are run twice; of a longer one, all.
const TWICE: u64 = 3;
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
fn check(seed: u64, count: u64, tally: &mut Tally) -> Option<String> {
    let outcome = attempt(seed, false);
    tally.add(&outcome.tally);
    if let Some(first) = outcome.violations.first() {
        return Some(first.clone());
    }
    if count <= SEEDS && !seed.is_multiple_of(TWICE) {
        return None;
    }
    let again = attempt(seed, false).hash;
    (again != outcome.hash).then(|| "another trace the second time".to_owned())
}

/// Says how far a long run is, to whoever looks on.
fn progress(count: u64) {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let done = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    let mut out = std::io::stderr();
    if out.is_terminal() && (done.is_multiple_of(50) || done == count) {
        let end = if done == count { "\n" } else { "" };
        let _ = write!(out, "\r{} of {} seeds{end}", grouped(done), grouped(count));
    }
}

fn check_all(seeds: impl Iterator<Item = u64>, count: u64) -> (Tally, Vec<(u64, String)>) {
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for seed in seeds {
        wrong.extend(check(seed, count, &mut tally).map(|what| (seed, what)));
        progress(count);
    }
    (tally, wrong)
}

/// All seeds on all cores.
fn check_in_shares(first: u64, count: u64) -> (Tally, Vec<(u64, String)>) {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let share = |thread: u64| check_all((first + thread..first + count).step_by(threads as usize), count);
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
    (tally, wrong)
}

#[test]
fn seeds() {
    let count = from_environment("ISTHMUS_SEEDS").unwrap_or(SEEDS);
    let first = from_environment("ISTHMUS_FIRST_SEED").unwrap_or(0);
    let (mut tally, wrong) = check_in_shares(first, count);
    let hours = tally.figures.remove("simulated seconds").unwrap_or(0) * SECOND / HOUR;
    let payments: u64 = tally.payments.values().sum();
    tally.print();
    println!(
        "{} runs{}: {} simulated hours, {} payments, {} runs that failed",
        grouped(count),
        if count > SEEDS { ", each twice with the same trace" } else { "" },
        grouped(hours),
        grouped(payments),
        wrong.len()
    );
    for (seed, what) in wrong.iter().take(FEW) {
        println!("seed {seed}: {what}");
        println!("  ISTHMUS_SEED={seed} cargo test --test simulation replay -- --nocapture");
    }
    assert!(wrong.is_empty(), "{} of {count} seeds fail; the first is {:?}", wrong.len(), wrong.first());
    assert_eq!(tally.unlisted(), Vec::<&str>::new(), "faults that stand in no table");
    if count >= SEEDS {
        assert_eq!(tally.missing(), Vec::<&str>::new(), "faults that were never injected");
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
