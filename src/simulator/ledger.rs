//! The ledger: entries in the order in which the bank booked them.
//!
//! In memory. The server takes the entries out as it makes them durable; a simulation leaves them
//! in and asks what each payment came to.

use std::collections::BTreeMap;

use super::entry::Entry;

/// What all entries of one payment come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Booked on the cardholder's account, in minor units; a sale is negative.
    pub net: i64,
    /// Set aside and neither taken nor released.
    pub held: i64,
    /// How many entries.
    pub entries: usize,
}

/// Names a payment across its messages: acquirer (DE32) and retrieval reference (DE37).
pub type PaymentKey = (String, String);

/// Entries that were booked and not taken out.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    pub(super) fn append(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the entries out, oldest first.
    pub fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// The entries of one payment by its retrieval reference, whichever acquirer sent it.
    pub fn of_reference<'a>(&'a self, rrn: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.rrn == rrn)
    }

    /// What each payment came to.
    pub fn effects(&self) -> BTreeMap<PaymentKey, Effect> {
        let mut effects: BTreeMap<PaymentKey, Effect> = BTreeMap::new();
        for entry in &self.entries {
            let key = (entry.identity.acquirer.clone(), entry.rrn.clone());
            let effect = effects.entry(key).or_default();
            effect.net += entry.net;
            effect.held += entry.held;
            effect.entries += 1;
        }
        effects
    }
}
