//! `isthmus operator`: look at a running switch, and tell it what to do.

mod card_hash;
mod socket;
mod table;

use super::desk::Desk;
use crate::control::{Command, Reply, Request, call};
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Look at a running switch, and tell it what to do.
///
/// Speaks to the `serve` (or `demo`) of a configuration over the control socket beside its store. Whatever changes
/// something needs a reason (--why), and is recorded with it and with your name before it is done.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  isthmus operator hosts\n  isthmus operator --config isthmus-demo/isthmus.toml queues\n  \
    isthmus operator host down demo-bank --why 'the bank works on its lines'\n  \
    isthmus operator parked\n  isthmus operator release pay_0198… 1 --why 'the bank has repaired its host'\n\n\
    Exit code 0 when it was done, 1 when the switch refused, 2 when it could not be asked."
)]
pub struct Operator {
    #[command(flatten)]
    desk: Desk,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Hosts with their mode, business day, queue and links.
    Hosts,
    /// What is owed to banks, oldest first: reversals and advices that are not acknowledged yet.
    Queues {
        /// Of this host alone.
        host: Option<String>,
    },
    /// What was given up or refused by a bank, and waits for a person.
    Parked,
    /// The last orders: who gave them, and why.
    Audit {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Let a host do everything, nothing new, or nothing.
    #[command(subcommand)]
    Host(HostWhat),
    /// Sign a link on or off, or see whether the bank answers on it.
    #[command(subcommand)]
    Link(LinkWhat),
    /// End a host's business day.
    #[command(
        after_help = "Example:\n  isthmus operator cutover demo-bank --why 'the bank cut over without telling us'"
    )]
    Cutover {
        /// Which host.
        host: String,
        /// The day that begins, YYYY-MM-DD; the next one otherwise.
        #[arg(long, value_name = "DAY")]
        day: Option<String>,
        #[command(flatten)]
        reason: Reason,
    },
    /// A parked item is owed again, and sent.
    Release(Item),
    /// You settle a parked item with the bank in another way: it leaves the list.
    Expire(Item),
    /// Print the keyed hash of a card, for the negative list of a stand-in.
    ///
    /// Reads card numbers from standard input, one a line, or asks for one where that is a terminal. It needs no
    /// switch that runs, only the configuration with its key.
    #[command(after_help = "Example:\n  isthmus operator card-hash >> negative.txt")]
    CardHash,
    /// The whole switch stops in order, as with SIGTERM.
    Drain {
        #[command(flatten)]
        reason: Reason,
    },
}

#[derive(Args, Debug)]
struct Reason {
    /// Why; kept for ever.
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Args, Debug)]
struct Item {
    /// Which payment, as `parked` prints it.
    payment: String,
    /// Which of its obligations.
    obligation: u16,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Args, Debug)]
struct OfHost {
    /// Which host.
    host: String,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Args, Debug)]
struct OfLink {
    /// Which link, by its number in `hosts`.
    link: u16,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Subcommand, Debug)]
enum HostWhat {
    /// Everything; a link that was taken off by itself stays off.
    Up(OfHost),
    /// Links are kept and what is owed is sent, but no new requests.
    Maintenance(OfHost),
    /// Nothing: links wait for their answers, sign off and close.
    Down(OfHost),
}

#[derive(Subcommand, Debug)]
enum LinkWhat {
    /// Connect where it is not connected, and sign on.
    SignOn(OfLink),
    /// No new traffic; wait for answers, sign off, stay connected until sign-on, over restarts too.
    SignOff(OfLink),
    /// No new traffic; wait for answers, sign off, close the connection until sign-on, over restarts too.
    Drain(OfLink),
    /// See whether the bank answers.
    Echo {
        /// Which link, by its number in `hosts`.
        link: u16,
    },
    /// Exchange keys.
    Keys(OfLink),
}

impl Operator {
    /// Asks, and prints what was said.
    pub fn run(self) -> ExitCode {
        let Some((command, why)) = self.what.asked() else {
            return card_hash::run(self.desk.config.as_deref());
        };
        let request = Request { command, why, as_name: self.desk.as_name };
        let asked =
            socket::of(self.desk.config.as_deref()).and_then(|path| call(&path, &request).map_err(|e| e.to_string()));
        match asked {
            Err(error) => {
                eprintln!("isthmus operator: {error}");
                ExitCode::from(2)
            }
            Ok(reply) if self.desk.json => print_json(&reply),
            Ok(Reply::Done { result }) => {
                print!("{}", table::of(&request.command, &result));
                ExitCode::SUCCESS
            }
            Ok(Reply::Refused { error, .. }) => {
                eprintln!("isthmus operator: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

fn print_json(reply: &Reply) -> ExitCode {
    match reply {
        Reply::Done { result } => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Reply::Refused { code, error } => {
            eprintln!("{}", serde_json::json!({ "code": code, "error": error }));
            ExitCode::FAILURE
        }
    }
}

impl What {
    /// The command and the reason for it; none for what asks no switch.
    fn asked(self) -> Option<(Command, Option<String>)> {
        Some(match self {
            What::CardHash => return None,
            What::Hosts => (Command::Hosts, None),
            What::Queues { host } => (Command::Queues { host }, None),
            What::Parked => (Command::Parked, None),
            What::Audit { limit } => (Command::Audit { limit }, None),
            What::Host(what) => what.asked(),
            What::Link(what) => what.asked(),
            What::Cutover { host, day, reason } => (Command::Cutover { host, day }, Some(reason.why)),
            What::Release(Item { payment, obligation, reason }) => {
                (Command::Release { payment, obligation }, Some(reason.why))
            }
            What::Expire(Item { payment, obligation, reason }) => {
                (Command::Expire { payment, obligation }, Some(reason.why))
            }
            What::Drain { reason } => (Command::Drain, Some(reason.why)),
        })
    }
}

impl HostWhat {
    fn asked(self) -> (Command, Option<String>) {
        match self {
            HostWhat::Up(OfHost { host, reason }) => (Command::HostUp { host }, Some(reason.why)),
            HostWhat::Maintenance(OfHost { host, reason }) => (Command::HostMaintenance { host }, Some(reason.why)),
            HostWhat::Down(OfHost { host, reason }) => (Command::HostDown { host }, Some(reason.why)),
        }
    }
}

impl LinkWhat {
    fn asked(self) -> (Command, Option<String>) {
        match self {
            LinkWhat::SignOn(OfLink { link, reason }) => (Command::LinkSignOn { link }, Some(reason.why)),
            LinkWhat::SignOff(OfLink { link, reason }) => (Command::LinkSignOff { link }, Some(reason.why)),
            LinkWhat::Drain(OfLink { link, reason }) => (Command::LinkDrain { link }, Some(reason.why)),
            LinkWhat::Keys(OfLink { link, reason }) => (Command::LinkKeys { link }, Some(reason.why)),
            LinkWhat::Echo { link } => (Command::LinkEcho { link }, None),
        }
    }
}
