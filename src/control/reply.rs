//! What an operator is told, as one line of JSON.

use super::parked::Parked;
use crate::switch::{AuditEntry, HostSnapshot, LinkId, OrderRefusal, OwedLine, Snapshot, Told};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A line that goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// It was done, or here is what was asked for.
    Done {
        /// What came of it.
        result: Value,
    },
    /// It was not done.
    Refused {
        /// Stable name of the reason.
        code: String,
        /// What to do about it.
        error: String,
    },
}

impl Reply {
    /// A refusal.
    pub(super) fn refusal(code: &str, error: &str) -> Reply {
        Reply::Refused { code: code.to_owned(), error: error.to_owned() }
    }

    /// The stable name of a refusal.
    pub fn code(&self) -> &str {
        match self {
            Reply::Done { .. } => "",
            Reply::Refused { code, .. } => code,
        }
    }

    /// What the switch said.
    pub(super) fn of(said: Result<Told, OrderRefusal>) -> Reply {
        let told = match said {
            Ok(told) => told,
            Err(refusal) => return Reply::refusal(refusal.code(), &refusal.to_string()),
        };
        let result = match told {
            Told::Done => json!({ "done": true }),
            Told::Unchanged => json!({ "done": true, "unchanged": true }),
            Told::Echoed { took } => json!({ "done": true, "took_ms": took.as_micros() as f64 / 1000.0 }),
            Told::Hosts(snapshot) => hosts(&snapshot),
            Told::Queues { owed, more } => {
                json!({ "owed": owed.iter().map(owed_line).collect::<Vec<_>>(), "more": more })
            }
        };
        Reply::Done { result }
    }

    /// The items that wait for a person.
    pub(super) fn parked(parked: &[Parked]) -> Reply {
        Reply::Done { result: json!({ "parked": parked }) }
    }

    /// The last orders.
    pub(super) fn audit(orders: &[AuditEntry]) -> Reply {
        let line = |order: &AuditEntry| json!({ "at": order.at.rfc3339(), "who": order.who, "why": order.why, "command": order.order });
        Reply::Done { result: json!({ "audit": orders.iter().map(line).collect::<Vec<_>>() }) }
    }
}

fn hosts(snapshot: &Snapshot) -> Value {
    let hosts: Vec<Value> = snapshot.hosts.iter().map(host).collect();
    json!({ "in_flight": snapshot.in_flight, "payments": snapshot.payments, "hosts": hosts })
}

fn host(host: &HostSnapshot) -> Value {
    let link = |(link, state): &(LinkId, &str)| json!({ "link": link.0, "state": state });
    json!({
        "host": host.name.as_str(),
        "mode": host.mode.name(),
        "business_date": host.day.to_string(),
        "open_days": host.open_days,
        "pending": host.pending,
        "owed": host.owed,
        "owed_since": host.owed_since.map(|since| since.rfc3339()),
        "owed_attempts": host.owed_attempts,
        "owed_rests_seconds": host.owed_rests.map(|rests| rests.as_secs()),
        "links": host.links.iter().map(link).collect::<Vec<_>>(),
    })
}

fn owed_line(line: &OwedLine) -> Value {
    json!({
        "host": line.host.as_str(),
        "payment": line.payment.to_string(),
        "obligation": line.obligation,
        "kind": format!("{:?}", line.kind).to_lowercase(),
        "mti": format!("{:04}", line.mti),
        "since": line.since.rfc3339(),
        "business_date": line.day.to_string(),
        "attempts": line.attempts,
        "due_in_seconds": line.due_in.map(|due| due.as_secs_f64()),
    })
}
