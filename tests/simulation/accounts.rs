//! The books of both sides, compared when everything is at rest: what merchants were told against the bank's ledger.

use crate::checker::Checker;
use crate::journal::Journal;
use crate::merchants::{Market, Told};
use crate::tally::Tally;
use isthmus::payment::{BusinessDate, OperationKind, PaymentId};
use isthmus::simulator::Entry as BankEntry;
use isthmus::switch::OnUnknown;
use isthmus::transaction::{Delivery, Discharge, ObligationKind, OperationState, Payment};
use std::collections::BTreeMap;

/// A card whose bank declines captures, so that its captures become exceptions.
const DECLINES_CAPTURES: &str = "4000000000010811";

/// A named difference.
type Difference = (&'static str, String);

/// What is booked, and what is set aside.
type Sums = (i64, i64);

pub fn compare(
    checker: &Checker,
    market: &Market,
    journal: &Journal,
    bank: &[BankEntry],
    tally: &mut Tally,
) -> Vec<Difference> {
    let mut told: BTreeMap<PaymentId, BTreeMap<u16, Told>> = BTreeMap::new();
    for errand in market.errands.iter().filter_map(|errand| errand.told.clone()) {
        told.entry(errand.payment).or_default().insert(errand.operation, errand);
    }
    let mut ledger: BTreeMap<&str, Vec<&BankEntry>> = BTreeMap::new();
    bank.iter().for_each(|entry| ledger.entry(entry.rrn.as_str()).or_default().push(entry));
    let mut differences = Vec::new();
    let bank_days = bank_days(bank);
    for (id, records) in journal.payments() {
        let payment = match Payment::fold(records) {
            Ok(payment) => payment,
            Err(error) => {
                differences.push(("a history folds", format!("{id}: {error}")));
                continue;
            }
        };
        *tally.payments.entry(payment.status().name()).or_default() += 1;
        tally.figure("entries in the bank's ledger", 0);
        let mut told = told.remove(id).unwrap_or_default();
        ends(&payment, &told, checker.on_unknown, &mut differences);
        days(&payment, &mut differences);
        days_of_messages(checker, &payment, &bank_days, &mut differences);
        told.values_mut().for_each(|told| told.learn(&payment));
        within_limits(*id, &told, &mut differences);
        balance(checker, &payment, &told, &mut ledger, tally, &mut differences);
    }
    for (rrn, entries) in ledger {
        if sums(&entries) != (0, 0) {
            differences.push(("no money moves for nobody", format!("{rrn}: {:?}", sums(&entries))));
        }
    }
    tally.figure("entries in the bank's ledger", bank.len() as u64);
    differences
}

/// Each operation ends in one outcome, and the one its merchant was told.
fn ends(payment: &Payment, told: &BTreeMap<u16, Told>, on_unknown: OnUnknown, differences: &mut Vec<Difference>) {
    if !payment.is_at_rest() {
        differences.push(("every payment ends", format!("{} is still in motion", payment.id)));
    }
    for operation in &payment.operations {
        let at = format!("{} operation {}", payment.id, operation.number);
        let Some(told) = told.get(&operation.number) else {
            differences.push(("every operation is told", at));
            continue;
        };
        use OperationState::{Pending, Reversed, Reversing};
        let agrees = match (told.state, operation.state) {
            (Reversing | Reversed, Reversing | Reversed) => true,
            (Pending, Pending) if operation.delivery == Delivery::Awaited => is_set_aside(payment, operation.number),
            (Pending, Pending) => on_unknown == OnUnknown::Nothing,
            // What was awaited in vain is known once its repeat is answered.
            (Pending, _) => operation.delivery == Delivery::Awaited,
            (told, is) => told == is && told != Pending,
        };
        if !agrees {
            differences.push(("one final outcome", format!("{at}: told {:?}, is {:?}", told.state, operation.state)));
        }
    }
}

/// What takes a payment back by reversals is booked on its day.
fn days(payment: &Payment, differences: &mut Vec<Difference>) {
    let day = payment.first().business_date;
    for operation in &payment.operations {
        let takes_back = operation.kind == OperationKind::Void && operation.delivery == Delivery::Advice;
        if takes_back && operation.business_date != day {
            let what = format!("{} operation {}: {}", payment.id, operation.number, operation.business_date);
            differences.push(("what takes back is booked on its original's day", format!("{what}, not {day}")));
        }
    }
}

/// A message that takes something back belongs to the day of what it takes back; an answered operation to the day that
/// the bank booked it on, where the bank decides.
fn days_of_messages(checker: &Checker, payment: &Payment, booked: &BankDays, differences: &mut Vec<Difference>) {
    for owed in &payment.obligations {
        let message = &owed.obligation.message;
        let day = payment.operation(owed.obligation.operation).map(|operation| operation.business_date);
        if owed.obligation.kind == ObligationKind::Reversal && message.business_date != day {
            let what = format!("{}: {:?}, its original's is {day:?}", payment.id, message.business_date);
            differences.push(("a reversal carries its original's day", what));
        }
    }
    let asked = payment.operations.iter().filter(|operation| operation.delivery == Delivery::Request);
    for operation in asked.filter(|operation| operation.response_code.is_some() && checker.bank_keeps_day) {
        let message = &operation.message;
        let day = booked.get(&(message.rrn.to_string(), format!("{:04}", message.mti), message.stan.to_string()));
        if day.is_some_and(|day| *day != operation.business_date) {
            let what = format!("{} operation {}: {}", payment.id, operation.number, operation.business_date);
            differences.push(("an operation is booked on the bank's day", format!("{what}, at the bank {day:?}")));
        }
    }
}

/// On which day the bank booked each request, by its reference, type and trace number.
type BankDays = BTreeMap<(String, String, String), BusinessDate>;

fn bank_days(bank: &[BankEntry]) -> BankDays {
    let key =
        |entry: &BankEntry| (entry.rrn.clone(), entry.mti.without_repeat().to_string(), entry.identity.stan.clone());
    bank.iter().map(|entry| (key(entry), entry.business_date)).collect()
}

/// Whether what is owed of an operation stands in the exceptions list, or was taken from there by an operator.
fn is_set_aside(payment: &Payment, operation: u16) -> bool {
    let mut owed = payment.obligations.iter().filter(|owed| owed.obligation.operation == operation);
    owed.any(|owed| owed.discharge.as_ref().is_some_and(|discharge| !discharge.is_done()))
}

/// Whatever was approved for whom: captures stay below what was authorised, refunds below what was captured.
fn within_limits(payment: PaymentId, told: &BTreeMap<u16, Told>, differences: &mut Vec<Difference>) {
    let total = |kind: OperationKind| {
        let approved = told.values().filter(|told| told.kind == kind && told.state == OperationState::Approved);
        approved.map(|told| told.approved).sum::<u64>()
    };
    let (sold, authorised) = (total(OperationKind::Sale), total(OperationKind::Authorisation));
    let (captured, refunded) = (total(OperationKind::Capture), total(OperationKind::Refund));
    if captured > authorised || refunded > captured + sold {
        let what = format!("{payment}: authorised {authorised}, captured {captured}, sold {sold}, refunded {refunded}");
        differences.push(("no more is taken or given back than there was", what));
    }
}

fn sums(entries: &[&BankEntry]) -> Sums {
    entries.iter().fold((0, 0), |(net, held), entry| (net + entry.net, held + entry.held))
}

/// The bank's net effect of each reference of a payment is what its merchant was told, save for exceptions.
fn balance(
    checker: &Checker,
    payment: &Payment,
    told: &BTreeMap<u16, Told>,
    ledger: &mut BTreeMap<&str, Vec<&BankEntry>>,
    tally: &mut Tally,
    differences: &mut Vec<Difference>,
) {
    for (rrn, expected) in expectations(payment, told, checker.release) {
        let entries = ledger.remove(rrn.as_str()).unwrap_or_default();
        let actual = sums(&entries);
        let exceptions = exceptions(checker, payment, &rrn, &entries, tally, differences);
        if told.values().any(|told| told.rrn == rrn && told.state == OperationState::Pending) {
            tally.figure("payments left to the bank's file", 1);
            continue;
        }
        if actual == expected {
            continue;
        }
        let difference = actual.0 - expected.0;
        let explained = subset_sums(&exceptions).contains(&difference) && !exceptions.is_empty();
        if explained {
            tally.figure("differences explained by exceptions", 1);
        } else {
            let what =
                format!("{} {rrn}: told {expected:?}, the bank has {actual:?}, exceptions {exceptions:?}", payment.id);
            differences.push(("the bank has what the merchant was told", what));
        }
    }
}

/// What merchants were told, as money booked and set aside, by retrieval reference.
fn expectations(payment: &Payment, told: &BTreeMap<u16, Told>, release: bool) -> BTreeMap<String, Sums> {
    let mut expected: BTreeMap<String, Sums> = BTreeMap::new();
    let approved =
        |kind: OperationKind| told.values().filter(move |t| t.kind == kind && t.state == OperationState::Approved);
    let voided = approved(OperationKind::Void).next().is_some();
    let is_final = |told: &Told| payment.operation(told.operation).is_some_and(|operation| operation.is_final);
    let is_released = release && approved(OperationKind::Capture).any(is_final);
    let captured = || approved(OperationKind::Capture).map(|told| told.approved as i64).sum::<i64>();
    for told in told.values() {
        let minor = told.approved as i64;
        let stands = told.state == OperationState::Approved && !voided;
        let (net, held) = match told.kind {
            OperationKind::Refund if told.state == OperationState::Approved => (minor, 0),
            OperationKind::Sale if stands => (-minor, 0),
            OperationKind::Authorisation if stands && is_released => (0, captured()),
            OperationKind::Authorisation if stands => (0, minor),
            OperationKind::Capture if stands => (-minor, -minor),
            _ => (0, 0),
        };
        let sums = expected.entry(told.rrn.clone()).or_default();
        *sums = (sums.0 + net, sums.1 + held);
    }
    expected
}

/// What each item of the exceptions list may have left undone at the bank.
fn exceptions(
    checker: &Checker,
    payment: &Payment,
    rrn: &str,
    entries: &[&BankEntry],
    tally: &mut Tally,
    differences: &mut Vec<Difference>,
) -> Vec<i64> {
    let mut undone = Vec::new();
    for owed in &payment.obligations {
        let for_people = |d: &&Discharge| d.is_exception() || matches!(d, Discharge::TakenOver(_));
        let Some(discharge) = owed.discharge.as_ref().filter(for_people) else { continue };
        if owed.obligation.message.rrn.as_str() != rrn {
            continue;
        }
        let about = payment.operation(owed.obligation.operation);
        let minor = owed.obligation.message.amount.minor() as i64;
        let original = owed.obligation.message.original;
        let effect = match owed.obligation.kind {
            ObligationKind::Advice if about.is_some_and(|about| about.kind == OperationKind::Refund) => -minor,
            ObligationKind::Advice => minor,
            ObligationKind::Reversal => {
                original.map_or(0, |original| booked(entries, original.mti, &original.stan.to_string()))
            }
            // What is held is not booked; what is not known is not compared.
            ObligationKind::Release | ObligationKind::Repeat => 0,
        };
        undone.push(effect);
        match discharge {
            Discharge::TakenOver(_) => tally.figure("exceptions: taken over by operators", 1),
            Discharge::Refused(code) => {
                tally.figure("exceptions: owed messages that the bank refused", 1);
                if checker.cards.get(&payment.id).map(String::as_str) != Some(DECLINES_CAPTURES) {
                    let what =
                        format!("{} obligation {} was refused with {code:?}", payment.id, owed.obligation.number);
                    differences.push(("the bank refuses only what it should", what));
                }
            }
            _ => tally.figure("exceptions: owed messages parked after too many tries", 1),
        }
    }
    undone
}

fn booked(entries: &[&BankEntry], mti: u16, stan: &str) -> i64 {
    let is = |entry: &&&BankEntry| {
        entry.mti.without_repeat().to_string() == format!("{mti:04}") && entry.identity.stan == stan
    };
    entries.iter().filter(is).map(|entry| entry.net).sum()
}

fn subset_sums(effects: &[i64]) -> Vec<i64> {
    let mut sums = vec![0];
    for effect in effects {
        let more: Vec<i64> = sums.iter().map(|sum| sum + effect).collect();
        sums.extend(more);
    }
    sums
}
