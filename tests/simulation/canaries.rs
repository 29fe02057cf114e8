//! The checker is checked: each broken switch has to be caught, by the invariant it breaks.

use crate::faults::{Chances, Incident};
use crate::plan::{MINUTE, Plan, SECOND};
use crate::tampering::{Breakage, Tampering};
use crate::world::run_plan;
use isthmus::payment::Name;
use isthmus::switch::{Forms, HostSettings, LinkId, OnUnknown, Repeat, ReversalStan};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// So many seeds are tried before a broken switch counts as not caught.
const TRIES: u64 = 25;

/// A busy shop, a line that loses much, a switch that crashes.
fn rough(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    plan.active = 2 * MINUTE;
    plan.rushes.clear();
    plan.payments = 30;
    plan.chances = Chances { loss: 150, spike: 60, ..Chances::default() };
    plan.incidents = (1..=4).map(|n| (n * 20 * SECOND, Incident::Cut { link: 0 })).collect();
    plan.incidents.push((30 * SECOND, Incident::Crash { down: SECOND }));
    plan.incidents.push((70 * SECOND, Incident::Crash { down: SECOND }));
    plan.settings.credit = 1_000;
    plan.settings.hosts.truncate(1);
    let host = &mut plan.settings.hosts[0];
    host.share = 1_000;
    host.on_unknown = OnUnknown::Reverse;
    host.repeat = Repeat::Flagged;
    host.reversal_stan = ReversalStan::Same;
    host.forms = Forms::default();
    host.links = vec![LinkId(0), LinkId(1)];
    host.retry.max_attempts = 10_000;
    plan
}

/// The same with a switch that soon gives up.
fn impatient(seed: u64) -> Plan {
    let mut plan = rough(seed);
    plan.chances.loss = 350;
    plan.settings.hosts[0].retry.max_attempts = 1;
    plan
}

/// The same with two banks, whose links break often.
fn two_banks(seed: u64) -> Plan {
    let mut plan = rough(seed);
    plan.payments = 60;
    let host = &mut plan.settings.hosts[0];
    host.links = vec![LinkId(0)];
    let second = HostSettings { name: Name::from("second"), acquirer: Name::from("123457"), ..host.clone() };
    plan.settings.hosts.push(HostSettings { links: vec![LinkId(1)], ..second });
    plan.incidents.extend((1..=30).map(|n| (n * 4 * SECOND, Incident::Cut { link: 0 })));
    plan
}

/// Whether the checker names this invariant within a few seeds.
fn is_caught(breakage: Breakage, by: &str) {
    is_caught_in(rough, breakage, by);
}

fn is_caught_in(plan: fn(u64) -> Plan, breakage: Breakage, by: &str) {
    let mut named = Vec::new();
    for seed in 0..TRIES {
        let run = || run_plan(plan(seed), Tampering::with(breakage), false);
        // A lie may also break an invariant that the switch itself asserts; the next seed says more.
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(run)) else { continue };
        if outcome.violations.iter().any(|violation| violation.contains(by)) {
            return;
        }
        named.extend(outcome.violations);
    }
    named.truncate(5);
    panic!("{breakage:?} was not caught as [{by}]: {named:#?}");
}

#[test]
fn the_plans_themselves_are_clean() {
    for plan in (0..TRIES).map(rough).chain((0..TRIES).map(impatient)).chain((0..TRIES).map(two_banks)) {
        let seed = plan.seed;
        let outcome = run_plan(plan, Tampering::default(), false);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
    }
}

#[test]
fn forgotten_reversals() {
    is_caught(Breakage::ForgetsReversals, "the bank has what the merchant was told");
}

#[test]
fn forgotten_captures() {
    is_caught(Breakage::ForgetsCaptures, "the bank has what the merchant was told");
}

#[test]
fn answers_before_their_record() {
    is_caught(Breakage::TellsEarly, "recorded before told");
}

#[test]
fn messages_before_their_record() {
    is_caught(Breakage::SendsEarly, "recorded before sent");
}

#[test]
fn outcomes_that_are_not_recorded() {
    is_caught(Breakage::SkipsOutcomes, "recorded before told");
}

#[test]
fn replies_matched_by_number_alone() {
    is_caught(Breakage::MatchesByNumberAlone, "the bank has what the merchant was told");
}

#[test]
fn requests_sent_again() {
    is_caught(Breakage::SendsRequestsAgain, "a request is never sent again");
}

#[test]
fn numbers_used_again() {
    is_caught(Breakage::ReusesNumbers, "a retrieval reference is one payment's");
}

#[test]
fn repeats_without_a_flag() {
    is_caught(Breakage::HidesRepeats, "a repeat is flagged where the host wants it");
}

#[test]
fn a_card_number_in_a_record() {
    is_caught(Breakage::RecordsTheCard, "no card number and no code in a record");
}

#[test]
fn a_stored_verification_code() {
    is_caught(Breakage::StoresTheCode, "no verification code is kept");
}

#[test]
fn merchants_without_an_answer() {
    is_caught(Breakage::ForgetsMerchants, "everything comes to rest after the faults");
}

#[test]
fn unknown_told_as_done() {
    is_caught(Breakage::Guesses, "one final outcome");
}

#[test]
fn a_parked_item_that_stands_in_no_list() {
    is_caught_in(impatient, Breakage::DropsParked, "the bank has what the merchant was told");
}

#[test]
fn reversals_forgotten_at_a_crash() {
    is_caught(Breakage::ForgetsAtCrash, "everything comes to rest after the faults");
}

#[test]
fn a_void_on_the_wrong_day() {
    is_caught(Breakage::WrongDay, "what takes back is booked on its original's day");
}

#[test]
fn requests_moved_after_they_were_sent() {
    is_caught_in(two_banks, Breakage::MovesWhatWasSent, "a request is never sent again");
}
