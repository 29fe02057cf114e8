//! The table at the end of a run: what was inflicted, where it hit, and what became of the payments.

use crate::books::Books;
use crate::fault::Fault;
use crate::setup::Setup;
use isthmus::config::Config;
use isthmus::journal::Journal;
use isthmus::payment::PaymentId;
use isthmus::transaction::{Body, Discharge, Obligation, ObligationKind, Record};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Counts of a run.
#[derive(Default)]
pub struct Tally {
    /// By fault: rounds, and how often it hit.
    pub faults: BTreeMap<Fault, (u64, u64)>,
    /// Faults that this machine does not let us make.
    pub missing: BTreeMap<Fault, &'static str>,
    setups: BTreeSet<&'static str>,
    figures: BTreeMap<String, u64>,
}

impl Tally {
    pub fn inflicted(&mut self, fault: Fault, hits: u64) {
        let entry = self.faults.entry(fault).or_default();
        *entry = (entry.0 + 1, entry.1 + hits);
    }

    /// A setup whose rounds are over.
    pub fn set_up(&mut self, setup: &Setup) {
        self.setups.insert(setup.name);
    }

    /// How many orders were given so far, all of them in the audit.
    pub fn orders(&mut self, so_far: u64) {
        self.figures.insert("orders of operators, each in the audit".to_owned(), so_far);
    }

    pub fn figure(&mut self, what: &str, count: u64) {
        *self.figures.entry(what.to_owned()).or_default() += count;
    }

    /// Counts the payments as their merchants see them.
    pub fn payments(&mut self, books: &Books) {
        for payment in books.payments() {
            self.figure("payments", 1);
            self.figure(&format!("payments that ended {}", payment["status"].as_str().unwrap()), 1);
            self.figure("operations", payment["operations"].as_array().unwrap().len() as u64);
        }
    }

    /// Reads the store of a switch that has ended: nothing is open in it, and what a person must settle is exactly what
    /// the books differ by.
    pub fn audit(&mut self, config: &Path, books: &Books) {
        let config = Config::load(config).unwrap();
        let keys = config.keys.read().unwrap().vault;
        let (journal, recovered) = Journal::open(&config.journal, keys, Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
        assert!(recovered.open.is_empty(), "{} payments are still in motion", recovered.open.len());
        let reader = journal.reader();
        let listed: BTreeSet<String> = reader.exceptions().unwrap().iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(listed, books.exceptions(), "what a person must settle is what the books differ by");
        self.figure("parked items, each a difference that is explained", listed.len() as u64);
        for payment in books.payments() {
            let id: PaymentId = payment["id"].as_str().unwrap().parse().unwrap();
            let records = reader.payment(id).unwrap().unwrap();
            self.records(&records, payment);
        }
    }

    fn records(&mut self, records: &[Record], payment: &Value) {
        assert!(!records.is_empty(), "{payment} has no records");
        self.figure("records", records.len() as u64);
        for record in records {
            match &record.body {
                Body::Requested(requested) => self.owed(&requested.obligations),
                Body::Settled(outcome) => self.owed(&outcome.obligations),
                Body::LateReply { .. } => self.figure("late answers", 1),
                Body::Rerouted(_) => self.figure("requests moved to the other bank, unsent", 1),
                Body::Reopened { .. } => self.figure("reversals reopened by a late approval", 1),
                Body::Discharged { discharge: Discharge::OriginalUnknown(_), .. } => {
                    self.figure("reversals of what the bank never saw", 1);
                }
                Body::Discharged { discharge: Discharge::Cancelled, .. } => self.figure("advices cancelled unsent", 1),
                _ => {}
            }
        }
    }

    fn owed(&mut self, obligations: &[Obligation]) {
        for owed in obligations {
            match owed.kind {
                ObligationKind::Reversal => self.figure("reversals", 1),
                ObligationKind::Advice => self.figure("advices", 1),
                ObligationKind::Release => self.figure("releases of the rest", 1),
                ObligationKind::Repeat => self.figure("awaited messages sent again", 1),
            }
        }
    }

    /// Prints it. Panics where a fault was drawn and never hit anything: such a run shows nothing.
    pub fn print(&self) {
        println!("\n{:<58} {:>7} {:>9}", "fault", "rounds", "hits");
        for (fault, (rounds, hits)) in &self.faults {
            println!("{:<58} {rounds:>7} {hits:>9}", fault.name());
        }
        for (fault, why) in &self.missing {
            println!("{:<58} not shown: {why}", fault.name());
        }
        println!("\nunder: {}", self.setups.iter().copied().collect::<Vec<_>>().join("; "));
        println!("\n{:<66} {:>9}", "in the books", "");
        for (what, count) in &self.figures {
            println!("{what:<66} {count:>9}");
        }
        println!("{:<66} {:>9}\n", "differences between bank and merchants that nothing explains", 0);
        let idle: Vec<&str> =
            self.faults.iter().filter(|(_, (_, hits))| *hits == 0).map(|(fault, _)| fault.name()).collect();
        assert!(idle.is_empty(), "never hit anything: {idle:?}");
    }
}
