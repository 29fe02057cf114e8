//! Every metric of the switch by name, and where its observations go. Base units, as Prometheus asks for.

use crate::switch::{Observation, Snapshot, Stray};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Operations that got an outcome, by kind, result and the bank's response code.
pub const OPERATIONS: &str = "isthmus_operations_total";
/// From handing a request to a link to its reply.
pub const BANK_REPLY: &str = "isthmus_bank_reply_seconds";
/// Replies that no pending request waits for, by kind: late, duplicate, unmatched.
pub const STRAY_REPLIES: &str = "isthmus_stray_replies_total";
/// Frames from a bank that could not be read, by fault.
pub const UNREADABLE_FRAMES: &str = "isthmus_unreadable_frames_total";
/// Requests that were certainly not sent and went to another host, by both.
pub const REROUTED: &str = "isthmus_rerouted_total";
/// Payments that were approved in a bank's place, by host.
pub const STOOD_IN: &str = "isthmus_stand_in_total";
/// Submissions that found no room at a host, by host.
pub const HOST_FULL: &str = "isthmus_host_full_total";
/// What went wrong with keys, by fault: bad, absent, no_key, complaint, or why an exchange failed.
pub const KEY_ALARMS: &str = "isthmus_key_alarms_total";
/// Exchanges of keys, by host.
pub const KEY_CHANGES: &str = "isthmus_key_changes_total";
/// Owed messages that a person must settle.
pub const EXCEPTIONS: &str = "isthmus_exceptions_total";
/// Operations without outcome.
pub const IN_FLIGHT: &str = "isthmus_in_flight";
/// Payments held in memory.
pub const PAYMENTS_IN_MOTION: &str = "isthmus_payments_in_motion";
/// Operations without outcome, by host.
pub const HOST_OPEN: &str = "isthmus_host_open";
/// How routing sees a host: 0 up, 1 spared because it left requests unanswered, 2 down.
pub const HOST_HEALTH: &str = "isthmus_host_health";
/// Messages that wait for a bank's answer, by host.
pub const PENDING: &str = "isthmus_pending";
/// Messages that are owed to a bank, by host.
pub const OWED: &str = "isthmus_owed";
/// Age of the oldest of them, by host.
pub const OWED_AGE: &str = "isthmus_owed_oldest_age_seconds";
/// The most often that a message still owed was sent in this run, by host.
pub const OWED_ATTEMPTS: &str = "isthmus_owed_attempts";
/// Rests of the queue of what is owed, because the host asked again and again to come later, by host.
pub const OWED_RESTS: &str = "isthmus_owed_rests_total";
/// Business days that ended, by host.
pub const CUTOVERS: &str = "isthmus_cutovers_total";
/// Cutovers of ours that a host did not take word of, by host.
pub const CUTOVERS_UNTOLD: &str = "isthmus_cutovers_untold_total";
/// Earlier business days that something is still owed of, by host.
pub const OPEN_DAYS: &str = "isthmus_open_business_days";
/// Owed messages that were given up or refused and wait for a person now.
pub const PARKED: &str = "isthmus_parked";
/// 1 for the state a link is in, by link and state.
pub const LINK_STATE: &str = "isthmus_link_state";

/// The states a link can be in, as [`LINK_STATE`] labels them.
const LINK_STATES: [&str; 7] = ["down", "connecting", "signing_on", "keys", "signed_off", "online", "draining"];

/// Tells the recorder what each metric is.
pub fn describe() {
    describe_counter!(OPERATIONS, "Operations that got an outcome.");
    describe_histogram!(BANK_REPLY, Unit::Seconds, "From handing a request to a link to its reply.");
    describe_counter!(STRAY_REPLIES, "Replies that no pending request waits for.");
    describe_counter!(UNREADABLE_FRAMES, "Frames from a bank that could not be read.");
    describe_counter!(REROUTED, "Requests that were certainly not sent and went to another host.");
    describe_counter!(STOOD_IN, "Payments that were approved in a bank's place.");
    describe_counter!(HOST_FULL, "Submissions that found no room at a host.");
    describe_gauge!(HOST_OPEN, "Operations without outcome at a host.");
    describe_gauge!(HOST_HEALTH, "0: up, 1: spared because it left requests unanswered, 2: down.");
    describe_counter!(
        KEY_ALARMS,
        "Frames that are not authentic, or could not be made so, and exchanges of keys that failed."
    );
    describe_counter!(KEY_CHANGES, "Exchanges of keys with a host.");
    describe_counter!(EXCEPTIONS, "Owed messages that a person must settle.");
    describe_gauge!(IN_FLIGHT, "Operations without outcome.");
    describe_gauge!(PAYMENTS_IN_MOTION, "Payments held in memory.");
    describe_gauge!(PENDING, "Messages that wait for a bank's answer.");
    describe_gauge!(OWED, "Messages that are owed to a bank.");
    describe_gauge!(OWED_AGE, Unit::Seconds, "Age of the oldest message that is owed to a bank.");
    describe_gauge!(OWED_ATTEMPTS, "The most often that a message still owed was sent in this run.");
    describe_counter!(OWED_RESTS, "Rests of the queue of what is owed, because the host put it off.");
    describe_counter!(CUTOVERS, "Business days that ended.");
    describe_counter!(CUTOVERS_UNTOLD, "Cutovers of ours that a bank did not take word of: tell it.");
    describe_gauge!(OPEN_DAYS, "Earlier business days that something is still owed of.");
    describe_gauge!(PARKED, "Owed messages that were given up or refused and wait for a person now.");
    describe_gauge!(LINK_STATE, "1 for the state a link is in.");
}

/// Counts what the switch observed. Frames are not looked at: they hold card data.
pub fn observe(observation: &Observation) {
    match observation {
        Observation::Settled { kind, result, response_code } => {
            let code = response_code.clone().unwrap_or_default();
            counter!(OPERATIONS, "kind" => kind.name(), "result" => result.name(), "response_code" => code)
                .increment(1);
        }
        Observation::Replied { took, .. } => histogram!(BANK_REPLY).record(took.as_secs_f64()),
        Observation::Stray { kind, link, stan, rrn } => stray(*kind, link.0, stan, rrn),
        Observation::Unreadable { link, code } => {
            tracing::warn!(link = link.0, code, "a frame from the bank cannot be read");
            counter!(UNREADABLE_FRAMES, "code" => *code).increment(1);
        }
        Observation::KeyAlarm { link, fault } => {
            tracing::error!(link = link.0, fault, "something is wrong with the keys shared with a bank");
            counter!(KEY_ALARMS, "fault" => *fault).increment(1);
        }
        Observation::KeysChanged { host, number } => {
            tracing::info!(%host, number, "keys were exchanged");
            counter!(KEY_CHANGES, "host" => host.to_string()).increment(1);
        }
        Observation::Exception { payment, obligation } => {
            tracing::error!(%payment, obligation, "a message owed to the bank needs a person");
            counter!(EXCEPTIONS).increment(1);
        }
        Observation::Link { link, state } => {
            tracing::info!(link = link.0, state, "link");
            link_state(link.0, state);
        }
        Observation::Rerouted { payment, from, to } => {
            tracing::info!(%payment, %from, %to, "rerouted");
            counter!(REROUTED, "from" => from.to_string(), "to" => to.to_string()).increment(1);
        }
        Observation::StoodIn { host } => counter!(STOOD_IN, "host" => host.to_string()).increment(1),
        Observation::HostFull { host } => counter!(HOST_FULL, "host" => host.to_string()).increment(1),
        Observation::Cutover { host, ended, begun } => {
            tracing::info!(%host, %ended, %begun, "the business day changes");
            counter!(CUTOVERS, "host" => host.to_string()).increment(1);
        }
        Observation::CutoverUntold { host, begun } => {
            tracing::error!(%host, %begun, "the host does not take word of our cutover: tell it in another way");
            counter!(CUTOVERS_UNTOLD, "host" => host.to_string()).increment(1);
        }
        Observation::QueueRests { host, lasts } => {
            tracing::warn!(%host, seconds = lasts.as_secs(), "the host puts off what it is owed: its queue rests");
            counter!(OWED_RESTS, "host" => host.to_string()).increment(1);
        }
        Observation::DayFinished { host } => tracing::info!(%host, "the host is done with the day that ended"),
        Observation::DayClosed { host, day } => {
            tracing::info!(%host, %day, "nothing of this business day is owed any more: it is closed");
        }
        Observation::Sent { .. } => {}
    }
}

fn stray(kind: Stray, link: u16, stan: &Option<crate::payment::Stan>, rrn: &Option<crate::payment::Rrn>) {
    let kind = match kind {
        Stray::Late => "late",
        Stray::Duplicate => "duplicate",
        Stray::OtherLink => "other_link",
        Stray::Unmatched => "unmatched",
    };
    let (stan, rrn) = (stan.map(|s| s.to_string()).unwrap_or_default(), rrn.map(|r| r.to_string()).unwrap_or_default());
    tracing::warn!(link, kind, stan, rrn, "a reply that no pending request waits for");
    counter!(STRAY_REPLIES, "kind" => kind).increment(1);
}

fn link_state(link: u16, state: &str) {
    for known in LINK_STATES {
        let value = if known == state { 1.0 } else { 0.0 };
        gauge!(LINK_STATE, "link" => link.to_string(), "state" => known).set(value);
    }
}

/// Shows how many owed messages wait for a person.
pub fn show_parked(count: usize) {
    gauge!(PARKED).set(count as f64);
}

/// Shows the figures of a moment; `now` is the wall time in seconds.
pub fn show(snapshot: &Snapshot, now: crate::payment::Wall) {
    gauge!(IN_FLIGHT).set(snapshot.in_flight as f64);
    gauge!(PAYMENTS_IN_MOTION).set(snapshot.payments as f64);
    for host in &snapshot.hosts {
        let name = host.name.to_string();
        let age = host.owed_since.map_or(0.0, |since| now.since(since).as_secs_f64());
        gauge!(HOST_OPEN, "host" => name.clone()).set(host.open as f64);
        gauge!(HOST_HEALTH, "host" => name.clone()).set(f64::from(host.health as u8));
        gauge!(PENDING, "host" => name.clone()).set(host.pending as f64);
        gauge!(OWED, "host" => name.clone()).set(host.owed as f64);
        gauge!(OWED_ATTEMPTS, "host" => name.clone()).set(f64::from(host.owed_attempts));
        gauge!(OPEN_DAYS, "host" => name.clone()).set(host.open_days as f64);
        gauge!(OWED_AGE, "host" => name).set(age);
        host.links.iter().for_each(|(link, state)| link_state(link.0, state));
    }
}
