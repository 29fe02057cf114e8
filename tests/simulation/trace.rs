//! The trace of a run: hashed always, kept line by line where somebody wants to read it.

use crate::plan::Micros;
use bytes::Bytes;
use isthmus::switch::{Answer, Command, Effect, Entry, Event, Observation};
use isthmus::transaction::{Body, Record};
use std::fmt::Write;

pub struct Trace {
    hash: u64,
    line: String,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(kept: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, line: String::new(), lines: kept.then(Vec::new) }
    }

    pub fn note(&mut self, now: Micros, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        let _ = write!(self.line, "{:>6}.{:06} {what}", now / 1_000_000, now % 1_000_000);
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// An event in a line.
pub fn describe_event(event: &Event) -> String {
    match event {
        Event::Resume(stored) => format!("Resume {} payments", stored.len()),
        Event::Submit(submission) => format!(
            "Submit {:?} {} {} {}",
            submission.waiter,
            submission.merchant,
            submission.key.as_str(),
            describe_command(&submission.command)
        ),
        Event::Arrived { link, frame, mac } => format!("Arrived {link:?} {mac:?} {}", describe_frame(frame)),
        Event::Loaded { payment, found } => {
            format!("Loaded {payment} {:?}", found.as_ref().map(|stored| stored.as_ref().map(|s| s.records.len())))
        }
        other => format!("{other:?}"),
    }
}

fn describe_command(command: &Command) -> String {
    match command {
        Command::Begin(begin) => format!("{:?} {} {} {}", begin.kind, begin.payment, begin.amount, begin.card.pan),
        other => format!("{other:?}"),
    }
}

/// An effect in a line.
pub fn describe_effect(effect: &Effect) -> String {
    match effect {
        Effect::Append { ticket, entry: Entry::Payment { records, .. } } => {
            let said: Vec<String> = records.iter().map(describe_record).collect();
            format!("Append {} {}: {}", ticket.0, records[0].payment, said.join(", "))
        }
        Effect::Send { link, id, frame, send_by, .. } => {
            format!("Send {link:?} {id:?} by {} {}", send_by.0, describe_frame(frame))
        }
        Effect::Answer { waiter, answer: Answer::Told { payment, operation, replayed } } => {
            let told = payment.operation(*operation);
            let told = told.map(|op| (op.kind, op.state, op.amount, op.approved));
            let status = payment.status();
            format!("Answer {waiter:?} {} op {operation} {told:?} {status:?} replayed {replayed}", payment.id)
        }
        Effect::Observe(Observation::Sent { .. } | Observation::Replied { .. }) => "Observe".to_owned(),
        other => format!("{other:?}"),
    }
}

fn describe_record(record: &Record) -> String {
    let body = match &record.body {
        Body::Requested(r) => {
            let owes: Vec<_> = r.obligations.iter().map(|o| (o.number, o.kind, o.operation, o.message.stan)).collect();
            let key = r.key.as_str();
            format!(
                "Requested op {} {:?} {} stan {} {key} owes {owes:?}",
                r.operation, r.kind, r.amount, r.message.stan
            )
        }
        Body::Settled(s) => {
            let owes: Vec<_> = s.obligations.iter().map(|o| (o.number, o.operation, o.message.stan)).collect();
            format!("Settled op {} {:?} {:?} owes {owes:?}", s.operation, s.result, s.approved)
        }
        other => format!("{other:?}"),
    };
    format!("v{} {body}", record.version)
}

/// Enough of a frame to read a trace by; the bytes go into the hash by their sum.
fn describe_frame(frame: &Bytes) -> String {
    let sum = frame.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let head: String = match frame.first() {
        Some(b'0') => String::from_utf8_lossy(frame.get(..4).unwrap_or_default()).into_owned(),
        _ => frame.iter().take(2).map(|byte| format!("{byte:02x}")).collect(),
    };
    format!("{head} {} bytes {sum:016x}", frame.len())
}
