//! The books of both sides, compared when everything is at rest: what merchants were told against the bank's ledger.

use crate::balance::{self, is_set_aside};
use crate::checker::Checker;
use crate::journal::Journal;
use crate::merchants::{Market, Told};
use crate::questions;
use crate::tally::Tally;
use isthmus::payment::{BusinessDate, OperationKind, PaymentId};
use isthmus::simulator::Entry as BankEntry;
use isthmus::switch::OnUnknown;
use isthmus::transaction::{Body, Delivery, Discharge, ObligationKind, OperationState, Owed, Payment, Record};
use std::collections::BTreeMap;

/// A card whose bank declines captures, so that its captures become exceptions.
const DECLINES_CAPTURES: &str = "4000000000010811";
/// A card whose bank takes nothing that was promised in its place.
pub const REFUSES_PROMISES: &str = "4242424242424242";

/// A named difference.
type Difference = (&'static str, String);

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
        if payment.is_inquiry() {
            let told = told.remove(id).unwrap_or_default();
            ends(&payment, &told, checker.on_unknown, &mut differences);
            differences.extend(questions::compare(&payment, records, &mut ledger, tally));
            continue;
        }
        *tally.payments.entry(payment.status().name()).or_default() += 1;
        tally.figure("entries in the bank's ledger", 0);
        let mut told = told.remove(id).unwrap_or_default();
        ends(&payment, &told, checker.on_unknown, &mut differences);
        days(&payment, &mut differences);
        days_of_messages(checker, &payment, &bank_days, &mut differences);
        told.values_mut().for_each(|told| told.learn(&payment));
        within_limits(*id, &told, &mut differences);
        refusals(checker, &payment, records, tally, &mut differences);
        differences.extend(balance::compare(checker, &payment, &told, &mut ledger, tally));
        if told.values().any(|told| told.state == OperationState::Pending) {
            tally.figure("payments left to the bank's file", 1);
        }
    }
    let strangers = ledger.into_values().flatten().filter(|entry| entry.has_effect());
    differences.extend(strangers.map(|entry| ("no money moves for nobody", format!("{} {}", entry.rrn, entry.mti))));
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
            (Pending, Pending) if operation.delivery == Delivery::Awaited => {
                is_left_to_people(payment, operation.number)
            }
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
fn is_left_to_people(payment: &Payment, operation: u16) -> bool {
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

/// Counts what was left to people, and finds what the bank refused without a reason.
fn refusals(
    checker: &Checker,
    payment: &Payment,
    records: &[Record],
    tally: &mut Tally,
    differences: &mut Vec<Difference>,
) {
    for owed in payment.obligations.iter().filter(|owed| is_set_aside(owed)) {
        match &owed.discharge {
            Some(Discharge::TakenOver(_)) => tally.figure("exceptions: taken over by operators", 1),
            Some(Discharge::Refused(code)) => {
                tally.figure("exceptions: owed messages that the bank refused", 1);
                if !has_reason(checker, payment, records, owed) {
                    let what =
                        format!("{} obligation {} was refused with {code:?}", payment.id, owed.obligation.number);
                    differences.push(("the bank refuses only what it should", what));
                }
            }
            _ => tally.figure("exceptions: owed messages parked after too many tries", 1),
        }
    }
}

/// Whether the bank had to refuse it: its card says so, or the bank had no original for it because that was refused or
/// given up before, or was voided there by a void that nobody could take back, whatever an operator has done about it
/// since.
fn has_reason(checker: &Checker, payment: &Payment, records: &[Record], owed: &Owed) -> bool {
    let card = checker.cards.get(&payment.id).map(String::as_str);
    let of = &owed.obligation;
    let is_promise = of.operation == payment.first().number && payment.first().stand_in.is_some();
    let was_set_aside = |number: u16| {
        records.iter().any(|record| {
            matches!(&record.body, Body::Discharged { obligation, discharge }
                if *obligation == number && discharge.is_exception())
        })
    };
    let mut earlier = payment.obligations.iter().filter(|owed| was_set_aside(owed.obligation.number));
    let bank_lacks_original = earlier.any(|other| match other.obligation.kind {
        ObligationKind::Advice => of.message.original == Some(other.obligation.message.as_original()),
        ObligationKind::Reversal => payment.operation(other.obligation.operation).is_some_and(|taken_back| {
            taken_back.kind == OperationKind::Void && taken_back.message.original == of.message.original
        }),
        _ => false,
    });
    card == Some(DECLINES_CAPTURES) || (is_promise && card == Some(REFUSES_PROMISES)) || bank_lacks_original
}
