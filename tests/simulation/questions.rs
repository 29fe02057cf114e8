//! Questions about cards: whatever befalls one, no money moves and nothing is owed, and a yes was the bank's.

use crate::balance::Wrong;
use crate::tally::Tally;
use isthmus::payment::{Balance, OperationKind, ResultCode};
use isthmus::simulator::{Entry, Kind};
use isthmus::transaction::{Body, Operation, OperationState, Payment, Record};
use std::collections::BTreeMap;

/// Codes by which the bank says yes to a question.
const YES: [&str; 3] = ["00", "08", "85"];

/// Holds a question's part of the ledger, which it takes out, against what its merchant was told.
pub fn compare<'a>(
    question: &Payment,
    records: &[Record],
    ledger: &mut BTreeMap<&'a str, Vec<&'a Entry>>,
    tally: &mut Tally,
) -> Wrong {
    let first = question.first();
    // One that moved to another host was asked under another reference before, and never sent.
    let booked = ledger.remove(first.message.rrn.to_string().as_str()).unwrap_or_default();
    tally.figure(figure(first), 1);
    let mut wrong = Wrong::new();
    let mut note = |holds: bool, what: &str| {
        if !holds {
            wrong.push(("a question leaves no obligation and no money", format!("{}: {what}", question.id)));
        }
    };
    note(question.obligations.is_empty(), "something is owed");
    note(question.operations.len() == 1, "something followed");
    note(first.stand_in.is_none(), "it was answered in the bank's place");
    note(booked.iter().all(|entry| !entry.has_effect() && entry.approved == 0), "money moved");
    note(booked.iter().all(|entry| matches!(entry.kind, Kind::Balance | Kind::Verification)), "another kind is booked");
    let settled = records.iter().filter(|record| matches!(record.body, Body::Settled(_))).count();
    note(settled == 1, "it has another number of outcomes than one");
    if first.state == OperationState::Approved {
        note(booked.iter().any(|entry| is_yes(entry, &first.balances, first.kind)), "the bank gave no such answer");
    }
    wrong
}

fn figure(asked: &Operation) -> &'static str {
    match (asked.state, asked.result) {
        (OperationState::Approved, _) => "questions answered with a yes",
        (OperationState::Declined, _) => "questions answered with a no",
        (_, Some(ResultCode::NotSent)) => "questions that were never sent",
        _ if asked.response_code.is_some() => "questions that the bank could not answer",
        _ => "questions without an answer",
    }
}

/// Whether the bank said yes to it, and told these balances.
fn is_yes(entry: &Entry, told: &[Balance], kind: OperationKind) -> bool {
    let of_type = |amount_type: u8| told.iter().find(|balance| balance.amount_type == amount_type).map(signed);
    let same = match (kind, entry.balances) {
        (OperationKind::BalanceInquiry, Some(at_bank)) => {
            of_type(1) == Some(at_bank.booked) && of_type(2) == Some(at_bank.available)
        }
        _ => told.is_empty(),
    };
    same && YES.contains(&entry.response_code.as_str())
}

fn signed(balance: &Balance) -> i64 {
    let minor = balance.amount.minor() as i64;
    if balance.is_negative { -minor } else { minor }
}
