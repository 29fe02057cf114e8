//! What the switch is told about its hosts. How a host differs from another is a setting, never code.

use super::event::LinkId;
use super::forms::Forms;
use crate::host::{BreakerSettings, DaySettings, RetrySettings};
use crate::link::SessionSettings;
use crate::payment::{Brand, CardPrint, Currency, MerchantId, Name};
use crate::routing::Routes;
use crate::security::KeySettings;
use crate::translation::Translation;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Settings of the switch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hosts, in order.
    pub hosts: Vec<HostSettings>,
    /// How many operations may be open at once; beyond it submissions are refused.
    pub credit: usize,
    /// How many operations may wait on one payment.
    pub payment_queue: usize,
    /// How many settled keys a host remembers, to tell late and second replies.
    pub settled_memory: usize,
    /// Which hosts a new payment may go to.
    pub routes: Routes,
    /// How long a request may look for a host that takes it, over all hosts.
    pub send_budget: Duration,
}

/// Settings of a host.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Its name in records.
    pub name: Name,
    /// The acquiring institution we are to it.
    pub acquirer: Name,
    /// Its links.
    pub links: Vec<LinkId>,
    /// Its dialect.
    pub translation: Arc<Translation>,
    /// What its messages bear of keys.
    pub keys: Arc<KeySettings>,
    /// How its sessions are kept.
    pub session: Arc<SessionSettings>,
    /// How long a request waits for its answer.
    pub answer_timeout: Duration,
    /// How long a message may wait to be handed to a link.
    pub send_timeout: Duration,
    /// How many operations may be open here at once; beyond it submissions are refused.
    pub share: usize,
    /// When it is spared because it leaves requests unanswered.
    pub breaker: BreakerSettings,
    /// On which link replies are taken.
    pub reply_on: ReplyOn,
    /// What may be approved in its place while it is down.
    pub stand_in: Option<Arc<StandInSettings>>,
    /// How owed messages are repeated.
    pub retry: RetrySettings,
    /// In which form each operation is told to it.
    pub forms: Forms,
    /// What a request of unknown outcome leaves behind.
    pub on_unknown: OnUnknown,
    /// Whether a reversal bears its original's trace number.
    pub reversal_stan: ReversalStan,
    /// Whether a repeat is flagged in its message type.
    pub repeat: Repeat,
    /// How its business day is kept.
    pub day: DaySettings,
}

/// What a request of unknown outcome leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// A reversal, owed until acknowledged.
    #[default]
    Reverse,
    /// Nothing: it stays pending until the bank's file decides.
    #[serde(rename = "none")]
    Nothing,
}

/// Which trace number a reversal bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReversalStan {
    /// Its original's.
    #[default]
    Same,
    /// One of its own.
    New,
}

/// What may be approved in the place of a host that is down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandInSettings {
    /// The first that is for a payment decides.
    pub limits: Vec<StandInLimit>,
    /// Cards that nothing is promised to.
    pub negative: BTreeSet<CardPrint>,
}

/// Up to what a card is trusted, for some brands and merchants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandInLimit {
    /// For which brands; for all of them if there are none.
    pub brands: Vec<Brand>,
    /// For which merchants; for all of them if there are none.
    pub merchants: Vec<MerchantId>,
    /// For amounts in this currency.
    pub currency: Currency,
    /// Greatest amount of one payment, in minor units.
    pub amount_max: u64,
    /// Most payments of a card within the window.
    pub count_max: usize,
    /// Greatest sum of a card within the window, in minor units.
    pub sum_max: u64,
    /// How far back is counted.
    pub window: Duration,
}

/// On which link of a host the reply to a message is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyOn {
    /// On any of them.
    #[default]
    Any,
    /// On the one the message went out on; elsewhere it settles nothing.
    Same,
}

/// How a message is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// With the repeat digit set (0421).
    #[default]
    Flagged,
    /// Unchanged.
    Unchanged,
}
