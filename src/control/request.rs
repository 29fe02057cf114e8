//! What an operator asks, as one line of JSON.

use super::reply::Reply;
use crate::payment::{BusinessDate, Name, PaymentId};
use crate::switch::{HostMode, LinkId, LinkOrder, Order};
use serde::{Deserialize, Serialize};

/// A line that comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked.
    #[serde(flatten)]
    pub command: Command,
    /// Why; needed for whatever changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// In whose name, beside the user whom the kernel names.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub as_name: Option<String>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Command {
    /// The hosts and their links.
    Hosts,
    /// What is owed to banks.
    Queues {
        host: Option<String>,
    },
    /// What was given up or refused and waits for a person.
    Parked,
    /// The last orders.
    Audit {
        limit: usize,
    },
    HostUp {
        host: String,
    },
    HostMaintenance {
        host: String,
    },
    HostDown {
        host: String,
    },
    LinkSignOn {
        link: u16,
    },
    LinkSignOff {
        link: u16,
    },
    LinkDrain {
        link: u16,
    },
    LinkEcho {
        link: u16,
    },
    LinkKeys {
        link: u16,
    },
    /// A host's business day ends.
    Cutover {
        host: String,
        day: Option<String>,
    },
    /// A parked item is owed again.
    Release {
        payment: String,
        obligation: u16,
    },
    /// The operator settles a parked item with the bank.
    Expire {
        payment: String,
        obligation: u16,
    },
    /// The whole switch stops in order.
    Drain,
}

/// The longest reason and the longest name.
const LONGEST_WHY: usize = 500;
const LONGEST_NAME: usize = 64;

impl Request {
    /// Reads a line.
    pub(super) fn read(line: &str) -> Result<Request, Reply> {
        serde_json::from_str(line).map_err(|error| Reply::refusal("bad_request", &format!("not a request: {error}")))
    }

    /// The order for the switch; none where the books answer.
    pub(super) fn order(&self) -> Result<Option<Order>, Reply> {
        let host = |host: &String, mode| Some(Order::Host { host: Name::from(host.as_str()), mode });
        let link = |link: u16, what| Some(Order::Link { link: LinkId(link), what });
        Ok(match &self.command {
            Command::Parked | Command::Audit { .. } => None,
            Command::Hosts => Some(Order::Hosts),
            Command::Queues { host } => Some(Order::Queues(host.as_deref().map(Name::from))),
            Command::HostUp { host: name } => host(name, HostMode::Up),
            Command::HostMaintenance { host: name } => host(name, HostMode::Maintenance),
            Command::HostDown { host: name } => host(name, HostMode::Down),
            Command::LinkSignOn { link: number } => link(*number, LinkOrder::SignOn),
            Command::LinkSignOff { link: number } => link(*number, LinkOrder::SignOff),
            Command::LinkDrain { link: number } => link(*number, LinkOrder::Drain),
            Command::LinkEcho { link: number } => link(*number, LinkOrder::Echo),
            Command::LinkKeys { link: number } => link(*number, LinkOrder::ChangeKeys),
            Command::Cutover { host, day } => {
                let day = day.as_deref().map(|day| BusinessDate::parse(day).ok_or_else(no_day)).transpose()?;
                Some(Order::Cutover { host: Name::from(host.as_str()), day })
            }
            Command::Release { payment, obligation } => {
                Some(Order::Release { payment: payment_id(payment)?, obligation: *obligation })
            }
            Command::Expire { payment, obligation } => {
                Some(Order::Expire { payment: payment_id(payment)?, obligation: *obligation })
            }
            Command::Drain => Some(Order::Drain),
        })
    }

    /// Why it is asked: one plain line.
    pub(super) fn why(&self, needed: bool) -> Result<String, Reply> {
        let why = self.why.as_deref().unwrap_or_default().trim();
        let plain = why.chars().all(|c| !c.is_control()) && why.len() <= LONGEST_WHY;
        match plain && !(needed && why.is_empty()) {
            true => Ok(why.to_owned()),
            false => Err(Reply::refusal("no_reason", "say why, in one line of at most 500 characters: --why TEXT")),
        }
    }

    /// The name beside the user's.
    pub(super) fn name(&self) -> Result<Option<&str>, Reply> {
        let name = self.as_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let is_plain = |name: &str| name.len() <= LONGEST_NAME && name.chars().all(|c| !c.is_control());
        match name {
            Some(name) if !is_plain(name) => {
                Err(Reply::refusal("bad_name", "a name is at most 64 characters in one line: --as NAME"))
            }
            name => Ok(name),
        }
    }
}

fn no_day() -> Reply {
    Reply::refusal("bad_day", "a day is written YYYY-MM-DD")
}

fn payment_id(text: &str) -> Result<PaymentId, Reply> {
    text.parse().map_err(|()| Reply::refusal("bad_payment", "a payment is written pay_ and 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_a_command_with_its_reason() {
        let line = r#"{"command":"host-down","host":"north","why":"line work","as":"ada"}"#;
        let request = Request::read(line).unwrap();
        assert_eq!(request.command, Command::HostDown { host: "north".to_owned() });
        assert_eq!((request.why(true).unwrap().as_str(), request.name().unwrap()), ("line work", Some("ada")));
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_code() {
        let code = |line: &str| match Request::read(line).and_then(|request| request.order()) {
            Ok(_) => String::new(),
            Err(reply) => reply.code().to_owned(),
        };
        assert_eq!(code("{"), "bad_request");
        assert_eq!(code(r#"{"command":"explode"}"#), "bad_request");
        assert_eq!(code(r#"{"command":"cutover","host":"north","day":"tomorrow"}"#), "bad_day");
        assert_eq!(code(r#"{"command":"release","payment":"pay_1","obligation":1}"#), "bad_payment");
        assert_eq!(code(r#"{"command":"hosts"}"#), "");
    }

    #[test]
    fn a_change_without_a_reason_is_refused() {
        let request = Request::read(r#"{"command":"drain","why":"  "}"#).unwrap();
        assert_eq!(request.why(true).unwrap_err().code(), "no_reason");
        assert_eq!(request.why(false).unwrap(), "");
        let request = Request::read("{\"command\":\"drain\",\"why\":\"two\\nlines\"}").unwrap();
        assert_eq!(request.why(true).unwrap_err().code(), "no_reason");
    }
}
