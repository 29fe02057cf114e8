//! Draws a payment's trip: the JSON, the messages element by element and masked, the records, the time of each step.

use crate::app::{Step, What};
use crate::client::Trip;
use crate::iso8583::{Message, Spec, dialects};
use crate::payment::Monotonic;
use crate::transaction::{Body, Record};
use bytes::Bytes;
use std::fmt::Write;
use std::sync::Arc;

/// A whole trip, from the merchant's request to its answer and what followed.
pub(super) fn trip(title: &str, trip: &Trip, steps: &[Step]) -> String {
    let mut out = heading(title);
    let _ = writeln!(out, "  merchant ─▶ {}", masked(trip.asked.clone()));
    if trip.is_sealed() {
        let _ = writeln!(out, "              (sealed: {} bytes of JWE)", trip.sent.len());
    }
    draw_steps(&mut out, steps);
    let _ = writeln!(out, "  merchant ◀─ {} in {:.1} ms", trip.status, trip.took.as_secs_f64() * 1000.0);
    let _ = writeln!(out, "{}", indented(&format!("{:#}", trip.body), 14));
    out
}

/// What followed later.
pub(super) fn rest(title: &str, steps: &[Step]) -> String {
    let mut out = format!("  …{title}:\n");
    draw_steps(&mut out, steps);
    out
}

fn heading(title: &str) -> String {
    format!("\n━━ {title} {}\n", "━".repeat(90_usize.saturating_sub(title.chars().count())))
}

fn draw_steps(out: &mut String, steps: &[Step]) {
    let begun = steps.first().map_or(Monotonic(0), |step| step.at);
    for step in steps {
        let at = format!("{:>9.3} ms", step.at.since(begun).as_secs_f64() * 1000.0);
        match &step.what {
            What::Submitted => drop(writeln!(out, "  {at}  the switch has it")),
            What::Recording(records) => records.iter().for_each(|record| draw_record(out, &at, record)),
            What::Recorded => drop(writeln!(out, "  {at}  durable")),
            What::Sent(frame) => draw_message(out, &at, "bank ◀─", frame),
            What::Replied(frame) => draw_message(out, &at, "bank ─▶", frame),
            What::Told => drop(writeln!(out, "  {at}  the merchant is told")),
        }
    }
}

fn draw_record(out: &mut String, at: &str, record: &Record) {
    let said = match &record.body {
        Body::Requested(r) => {
            let delivery = format!("{:?}", r.delivery).to_lowercase();
            format!("requested: {} of {}, {delivery}, STAN {}, RRN {}", r.kind, r.amount, r.message.stan, r.message.rrn)
        }
        Body::Settled(o) => {
            let code = o.response_code.as_deref().unwrap_or("-");
            let owed = if o.obligations.is_empty() { "" } else { ", a reversal is owed" };
            format!("settled: {}, code {code}{owed}", o.result.name())
        }
        Body::Discharged { obligation, discharge } => format!("obligation {obligation} discharged: {discharge:?}"),
        Body::LateReply { result, .. } => format!("late reply: {}", result.name()),
        Body::Rerouted(r) => {
            format!("not sent; goes to {} instead, STAN {}, RRN {}", r.message.host, r.message.stan, r.message.rrn)
        }
        Body::Reopened { obligation } => format!("obligation {obligation} reopened"),
    };
    let _ = writeln!(out, "  {at}  record {} ▸ {said}", record.version);
}

fn draw_message(out: &mut String, at: &str, direction: &str, frame: &Bytes) {
    let _ = writeln!(out, "  {at}  {direction} {} bytes", frame.len());
    let Some(message) = demo_spec().and_then(|spec| spec.decode(frame.clone()).ok()) else {
        let _ = writeln!(out, "                 (not readable)");
        return;
    };
    let _ = writeln!(out, "                 MTI {}", message.mti());
    message.elements().for_each(|number| draw_element(out, &message, number));
}

fn draw_element(out: &mut String, message: &Message, number: u8) {
    let Some(value) = message.value(number) else { return };
    let (name, text) = (value.element().name(), value.masked());
    let _ = writeln!(out, "                 {number:>3} {name:<22} {text}");
}

fn demo_spec() -> Option<Arc<Spec>> {
    dialects::builtin("iso8583-1987-ascii")?.ok()
}

/// The merchant's JSON without what must not be seen.
fn masked(mut value: serde_json::Value) -> String {
    if let Some(card) = value.get_mut("card") {
        let number = card["number"].as_str().and_then(|digits| crate::payment::Pan::parse(digits).ok());
        card["number"] = number.map_or("***".to_owned(), |pan| pan.to_string()).into();
        if card.get("cvc").is_some() {
            card["cvc"] = "***".into();
        }
    }
    value.to_string()
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(by))).collect::<Vec<_>>().join("\n")
}
