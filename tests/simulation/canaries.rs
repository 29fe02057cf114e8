//! The checker is checked: each broken switch has to be caught, by the invariant it breaks.

use crate::faults::{Chances, Incident};
use crate::keys::Keys;
use crate::merchants::{CARDS, euro, print_of};
use crate::plan::{MINUTE, Plan, SECOND};
use crate::tampering::{Breakage, Tampering};
use crate::world::run_plan;
use isthmus::payment::Name;
use isthmus::switch::{CaptureForm, Forms, RefundForm, ReversalForm, SaleForm, VoidForm};
use isthmus::switch::{HostSettings, LinkId, OnUnknown, Repeat, ReversalStan, StandInLimit, StandInSettings};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// So many seeds are tried before a broken switch counts as not caught.
const TRIES: u64 = 25;

/// The forms of a bank that is told otherwise than most.
const PLAIN: Forms = Forms {
    sale: SaleForm::Single,
    capture: CaptureForm::Advice,
    refund: RefundForm::Request,
    void: VoidForm::Advice,
    reversal: ReversalForm::Advice,
    release: false,
};
const VOIDS: Forms = Forms { void: VoidForm::ReversalRequest, ..PLAIN };
const REFUNDS: Forms = Forms { refund: RefundForm::Awaited, ..PLAIN };
const SALES: Forms = Forms { sale: SaleForm::Dual, ..PLAIN };
const RELEASES: Forms = Forms { release: true, ..PLAIN };

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
    plan.share(None);
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

/// The same with a bank that wants to be told in these forms.
fn in_form(forms: Forms) -> impl Fn(u64) -> Plan + Copy {
    move |seed| {
        let mut plan = rough(seed);
        plan.settings.hosts[0].forms = forms;
        plan
    }
}

/// The same with a bank that goes away again and again, and in whose place a little is promised.
fn trusting(seed: u64) -> Plan {
    let mut plan = rough(seed);
    plan.payments = 80;
    plan.incidents.extend((1..=3).map(|n| (n * 30 * SECOND, Incident::BankCrash { host: 0, down: 20 * SECOND })));
    let limit = StandInLimit {
        brands: Vec::new(),
        merchants: Vec::new(),
        currency: euro(0).currency(),
        amount_max: 20_000,
        count_max: 2,
        sum_max: 1_000_000,
        window: Duration::from_secs(3_600),
    };
    let negative = [CARDS[1].0, CARDS[2].0].map(print_of).into();
    plan.settings.hosts[0].stand_in = Some(Arc::new(StandInSettings { limits: vec![limit], negative }));
    plan
}

/// The same with keys, and somebody on the line who changes what is said.
fn keyed(seed: u64) -> Plan {
    let mut plan = rough(seed);
    plan.share(Some(Keys::of_files(150)));
    plan.chances.altered = 150;
    plan
}

/// Whether the checker names this invariant within a few seeds.
fn is_caught(breakage: Breakage, by: &str) {
    is_caught_in(rough, breakage, by);
}

fn is_caught_in(plan: impl Fn(u64) -> Plan, breakage: Breakage, by: &str) {
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
    let plans: [fn(u64) -> Plan; 5] = [rough, impatient, two_banks, trusting, keyed];
    let formed = [VOIDS, REFUNDS, SALES, RELEASES].map(in_form);
    let plain = plans.iter().flat_map(|plan| (0..TRIES).map(plan));
    for plan in plain.chain(formed.iter().flat_map(|plan| (0..TRIES).map(plan))) {
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
fn forgotten_voids_by_0400() {
    is_caught_in(in_form(VOIDS), Breakage::ForgetsVoids, "the bank has what the merchant was told");
}

#[test]
fn forgotten_repeats_of_awaited_refunds() {
    is_caught_in(in_form(REFUNDS), Breakage::ForgetsRepeatedRefunds, "the bank has what the merchant was told");
}

#[test]
fn forgotten_completions_of_sales_in_two_messages() {
    is_caught_in(in_form(SALES), Breakage::ForgetsCaptures, "the bank has what the merchant was told");
}

#[test]
fn forgotten_releases_of_the_rest() {
    is_caught_in(in_form(RELEASES), Breakage::ForgetsReleases, "the bank has what the merchant was told");
}

#[test]
fn more_promised_than_was_agreed() {
    is_caught_in(trusting, Breakage::PromisesTooMuch, "what is promised keeps to its limits");
}

#[test]
fn cards_trusted_that_nothing_is_promised_to() {
    is_caught_in(trusting, Breakage::TrustsEverybody, "what is promised keeps to its limits");
}

#[test]
fn completions_that_overtake_what_they_build_on() {
    is_caught_in(trusting, Breakage::Overtakes, "nothing overtakes what it builds on");
}

#[test]
fn replies_believed_whatever_their_mac() {
    is_caught_in(keyed, Breakage::BelievesEverybody, "the bank refuses only what it should");
}

#[test]
fn requests_moved_after_they_were_sent() {
    is_caught_in(two_banks, Breakage::MovesWhatWasSent, "a request is never sent again");
}
