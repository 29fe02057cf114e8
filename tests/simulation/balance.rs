//! One payment's money: what the bank's ledger has of each of its messages, against what its merchant was told.
//!
//! A difference has to be that of one item for people, and exactly that: the item names the message, and the bank has
//! nothing of it where the merchant was told that it is done, or all of it where he was told that it is not. What is set
//! aside on the card then follows from what stands.

use crate::checker::{Checker, month_to_second};
use crate::merchants::Told;
use crate::tally::Tally;
use isthmus::payment::{MessageValues, OperationKind};
use isthmus::simulator::{Entry, Kind};
use isthmus::transaction::{Discharge, ObligationKind, Operation, OperationState, Owed, Payment};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a payment's money, by the invariant that it breaks.
pub type Wrong = Vec<(&'static str, String)>;

/// All that the bank's ledger has of a payment, in its order.
struct Booked<'a>(Vec<&'a Entry>);

impl<'a> Booked<'a> {
    fn of(payment: &Payment, ledger: &mut BTreeMap<&'a str, Vec<&'a Entry>>) -> Booked<'a> {
        let asked = payment.operations.iter().map(|operation| operation.message.rrn.to_string());
        let owed = payment.obligations.iter().map(|owed| owed.obligation.message.rrn.to_string());
        let references: BTreeSet<String> = asked.chain(owed).collect();
        let mut entries: Vec<_> = references.iter().filter_map(|rrn| ledger.remove(rrn.as_str())).flatten().collect();
        entries.sort_by_key(|entry| entry.sequence);
        Booked(entries)
    }

    /// What the bank did when it got a message, if it did anything.
    fn entry(&self, message: &MessageValues) -> Option<&'a Entry> {
        let is_it = |entry: &&&Entry| {
            let named = &entry.identity;
            entry.approved > 0
                && named.mti == format!("{:04}", message.mti)
                && named.stan == message.stan.to_string()
                && named.transmission == month_to_second(message.transmitted_at)
        };
        self.0.iter().find(is_it).copied()
    }

    /// The entry that one works on in the end: a reversal is about its original, and that of a void about what the void
    /// took back.
    fn root(&self, entry: &'a Entry) -> &'a Entry {
        let takes_back = matches!(entry.kind, Kind::Reversal | Kind::Void);
        let original = entry.original.filter(|_| takes_back);
        let original = original.and_then(|at| self.0.iter().find(|entry| entry.sequence == at));
        original.map_or(entry, |original| self.root(original))
    }

    /// The money that moved for an entry, with whatever took it back.
    fn net(&self, of: &Entry) -> i64 {
        self.0.iter().filter(|entry| self.root(entry).sequence == of.sequence).map(|entry| entry.net).sum()
    }

    /// How much of an entry stands.
    fn standing(&self, of: &Entry) -> i64 {
        let about =
            |entry: &&&Entry| entry.original == Some(of.sequence) && matches!(entry.kind, Kind::Reversal | Kind::Void);
        // A void that was taken back itself took nothing.
        let stands = |entry: &&Entry| entry.kind == Kind::Reversal || self.standing(entry) > 0;
        let last = self.0.iter().filter(about).copied().rfind(stands);
        last.map_or(of.approved, |last| last.standing)
    }

    fn held(&self) -> i64 {
        self.0.iter().map(|entry| entry.held).sum()
    }
}

/// A message that sets money aside or moves it, and what its merchant was told.
struct Line<'a> {
    operation: &'a Operation,
    message: &'a MessageValues,
    /// What stands by what the merchant was told.
    told: i64,
    /// Left open when it was told, and since.
    open: bool,
}

impl Line<'_> {
    fn is_hold(&self) -> bool {
        self.message.mti / 100 == 1
    }

    /// What stands of it by the bank's ledger, and all that the bank ever approved of it.
    fn at_bank(&self, booked: &Booked) -> (i64, i64) {
        let Some(entry) = booked.entry(self.message) else { return (0, 0) };
        let stands = match self.operation.kind {
            _ if self.is_hold() => booked.standing(entry),
            OperationKind::Refund => booked.net(entry),
            _ => -booked.net(entry),
        };
        (stands, entry.approved)
    }
}

fn lines<'a>(payment: &'a Payment, told: &BTreeMap<u16, Told>, release: bool) -> Vec<Line<'a>> {
    let done = |kind: OperationKind| {
        told.values().filter(move |told| told.kind == kind && told.state == OperationState::Approved)
    };
    let voided = done(OperationKind::Void).next().is_some();
    let is_final = |told: &Told| payment.operation(told.operation).is_some_and(|operation| operation.is_final);
    let released = release && done(OperationKind::Capture).any(is_final);
    // What may have been captured is not released.
    let open =
        told.values().filter(|told| told.kind == OperationKind::Capture && told.state == OperationState::Pending);
    let captured: u64 =
        done(OperationKind::Capture).map(|told| told.approved).chain(open.map(|told| told.amount)).sum();
    let mut lines = Vec::new();
    for operation in payment.operations.iter().filter(|operation| operation.kind != OperationKind::Void) {
        let Some(about) = told.get(&operation.number) else { continue };
        let stands = about.state == OperationState::Approved && (operation.kind == OperationKind::Refund || !voided);
        let open = about.state == OperationState::Pending;
        let amount = if stands { about.approved as i64 } else { 0 };
        let is_authorisation = operation.kind == OperationKind::Authorisation;
        let left = if stands && released && is_authorisation { captured as i64 } else { amount };
        lines.push(Line { operation, message: &operation.message, told: left, open });
        lines.extend(completion(payment, operation).map(|message| Line { operation, message, told: amount, open }));
    }
    lines
}

/// The second message of a sale that is told in two.
fn completion<'a>(payment: &'a Payment, operation: &Operation) -> Option<&'a MessageValues> {
    let about =
        |owed: &&Owed| owed.obligation.kind == ObligationKind::Advice && owed.obligation.operation == operation.number;
    let mut owed = payment.obligations.iter().filter(about).map(|owed| &owed.obligation.message);
    owed.find(|message| **message != operation.message)
}

/// Why a message may stand otherwise at the bank than its merchant was told: what a person has to settle, or the bank's
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// The bank refused it, or never acknowledged it.
    Advice,
    /// The bank did not take it back.
    Reversal,
    /// The bank did not give back what was left of it.
    Release,
    /// A void of it whose outcome stays open.
    Void,
    /// Its own outcome stays open.
    Open,
}

impl Item {
    /// Whether this is the very difference that it makes, where the bank once approved `approved`.
    fn explains(self, line: &Line, stands: i64, approved: i64) -> bool {
        match self {
            Item::Advice | Item::Void => line.told > 0 && stands == 0,
            Item::Reversal => line.told == 0 && stands == approved,
            Item::Release => line.told < approved && stands == approved,
            Item::Open => line.told == 0 && stands == approved,
        }
    }

    fn difference(self) -> &'static str {
        match self {
            Item::Advice => "exceptions: advices of which the bank has nothing",
            Item::Reversal => "exceptions: messages that stand at the bank, untaken back",
            Item::Release => "exceptions: rests that the bank still sets aside",
            Item::Void => "exceptions: open voids that the bank did",
            Item::Open => "exceptions: open outcomes that the bank did",
        }
    }
}

/// The items about a line.
fn items(payment: &Payment, line: &Line, told: &BTreeMap<u16, Told>) -> Vec<Item> {
    let original = Some(line.message.as_original());
    let is_void = |number: u16| payment.operation(number).is_some_and(|about| about.kind == OperationKind::Void);
    let voids = || payment.operations.iter().filter(|of| is_void(of.number) && of.message.original == original);
    let set_aside = payment.obligations.iter().filter(|owed| is_set_aside(owed));
    let owed = set_aside.filter_map(|owed| {
        let obligation = &owed.obligation;
        let takes_back = obligation.message.original == original;
        match obligation.kind {
            ObligationKind::Reversal if takes_back => Some(Item::Reversal),
            // A void that the bank did, and did not take back.
            ObligationKind::Reversal
                if voids().any(|of| obligation.message.original == Some(of.message.as_original())) =>
            {
                Some(Item::Void)
            }
            ObligationKind::Release if takes_back => Some(Item::Release),
            ObligationKind::Repeat if takes_back && is_void(obligation.operation) => Some(Item::Void),
            ObligationKind::Repeat if obligation.message == *line.message => Some(Item::Open),
            ObligationKind::Advice if obligation.message == *line.message => Some(Item::Advice),
            _ => None,
        }
    });
    let is_open = |of: &&Operation| told.get(&of.number).is_some_and(|told| told.state == OperationState::Pending);
    owed.chain(voids().filter(is_open).map(|_| Item::Void)).chain(line.open.then_some(Item::Open)).collect()
}

/// Whether it waits for a person, or was settled by one.
pub fn is_set_aside(owed: &Owed) -> bool {
    owed.discharge.as_ref().is_some_and(|end| end.is_exception() || matches!(end, Discharge::TakenOver(_)))
}

/// Holds a payment's part of the ledger, which it takes out, against what its merchant was told.
pub fn compare<'a>(
    checker: &Checker,
    payment: &Payment,
    told: &BTreeMap<u16, Told>,
    ledger: &mut BTreeMap<&'a str, Vec<&'a Entry>>,
    tally: &mut Tally,
) -> Wrong {
    let booked = Booked::of(payment, ledger);
    let lines = lines(payment, told, checker.release);
    let mut wrong = Wrong::new();
    for line in &lines {
        let (stands, approved) = line.at_bank(&booked);
        let items = items(payment, line, told);
        if stands == line.told {
            tally.figure("exceptions that left no difference", items.len() as u64);
            continue;
        }
        match items.iter().find(|item| item.explains(line, stands, approved)) {
            Some(item) => tally.figure(item.difference(), 1),
            None => {
                let (id, message) = (payment.id, line.message);
                let of = format!("{id} {} {:04} {}", message.rrn, message.mti, message.stan);
                let what = format!("{of}: told {}, at the bank {stands} of {approved}, {items:?}", line.told);
                wrong.push(("the bank has what the merchant was told", what));
            }
        }
    }
    wrong.extend(set_aside_on_card(payment, &lines, &booked));
    wrong.extend(for_nobody(payment, &lines, &booked));
    wrong
}

/// What is set aside on the card is what stands of the authorisation, less what was taken of it.
fn set_aside_on_card(payment: &Payment, lines: &[Line], booked: &Booked) -> Option<(&'static str, String)> {
    let (holds, takes): (Vec<&Line>, Vec<&Line>) =
        lines.iter().filter(|line| line.operation.kind != OperationKind::Refund).partition(|line| line.is_hold());
    let sum = |lines: &[&Line]| lines.iter().map(|line| line.at_bank(booked).0).sum::<i64>();
    let expected = (sum(&holds) - sum(&takes)).max(0);
    let expected = if sum(&holds) == 0 { 0 } else { expected };
    let what = || format!("{}: {} set aside, {expected} left of what stands", payment.id, booked.held());
    (booked.held() != expected).then(|| ("what is set aside follows from what stands", what()))
}

/// Whatever moved money is one of the payment's messages, or takes one back.
fn for_nobody(payment: &Payment, lines: &[Line], booked: &Booked) -> Option<(&'static str, String)> {
    let known: BTreeSet<u64> =
        lines.iter().filter_map(|line| booked.entry(line.message)).map(|entry| entry.sequence).collect();
    let mut moved = booked.0.iter().filter(|entry| entry.has_effect());
    let stranger = moved.find(|entry| !known.contains(&booked.root(entry).sequence))?;
    let of = format!("{} {} {} {}", payment.id, stranger.mti, stranger.identity.stan, stranger.rrn);
    Some(("no money moves for nobody", format!("{of}: {} and {}", stranger.net, stranger.held)))
}
