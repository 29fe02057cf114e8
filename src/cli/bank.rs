//! `isthmus bank`: the bank host simulator alone, its ledger, and its test cards.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::payment::Currency;
use crate::simulator::{Config, Entry, Handle, Server, read_ledger};

/// Run a bank host to talk to, with accounts, a durable ledger and a scenario of misbehaviour.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isthmus bank\n  isthmus bank --config bank.toml\n  \
    isthmus bank ledger --config bank.toml --json\n  isthmus bank cards")]
pub struct Bank {
    /// The bank's configuration; without it, the demo's cards on 127.0.0.1:8583.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the ledger, oldest entry first; the bank may be running.
    Ledger {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Only entries after this one.
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
        after: u64,
    },
    /// Print the cards that the bank knows and what each of them does.
    Cards {
        /// As a Markdown table.
        #[arg(long)]
        markdown: bool,
    },
}

impl Bank {
    /// Does it; 0 when it went well, 1 when it didn't, 2 when the configuration is wrong.
    pub fn run(self) -> ExitCode {
        let config = match self.config.as_deref().map_or_else(Config::demo, Config::load) {
            Ok(config) => config,
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
                return ExitCode::from(2);
            }
        };
        let done = match self.command {
            None => serve(&config),
            Some(Command::Ledger { json, after }) => print_ledger(&config, json, after),
            Some(Command::Cards { markdown }) => print_cards(&config, markdown).map_err(|error| error.to_string()),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("isthmus bank: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

fn serve(config: &Config) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|error| format!("{}: {error}; set `listen` to a free port", config.listen))?;
        let bank = Server::start(config.settings(), listener).map_err(|error| error.to_string())?;
        println!("bank ready on {} ({}), ledger {}", bank.addr(), config.spec.name(), config.ledger.display());
        let stopped_by_itself = until_stopped(&bank).await.map_err(|error| error.to_string())?;
        bank.shutdown().await.map_err(|error| error.to_string())?;
        match stopped_by_itself {
            true => Err("it stopped by itself".to_owned()),
            false => Ok(()),
        }
    })
}

/// Waits for a signal to stop, or for the bank to stop by itself; says whether it was that.
async fn until_stopped(bank: &Handle) -> io::Result<bool> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        () = bank.stopped() => Ok(true),
        _ = terminated.recv() => Ok(false),
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| false),
    }
}

/// An entry as the ledger command prints it.
#[derive(Serialize)]
struct Printed<'a> {
    sequence: u64,
    rrn: &'a str,
    stan: &'a str,
    mti: String,
    kind: &'a str,
    /// What was asked for, in minor units.
    amount: i64,
    /// What was approved of it.
    approved: i64,
    /// Effect on the cardholder's account, in minor units; a sale is negative.
    net: i64,
    /// Effect on what is set aside.
    held: i64,
    currency: Option<&'static str>,
    response_code: &'a str,
    approval_code: Option<&'a str>,
    business_date: String,
    acquirer: &'a str,
    terminal: &'a str,
    account: Option<&'a str>,
    original: Option<u64>,
    at: String,
}

impl<'a> Printed<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            sequence: entry.sequence,
            rrn: &entry.rrn,
            stan: &entry.identity.stan,
            mti: entry.mti.to_string(),
            kind: entry.kind.name(),
            amount: entry.amount,
            approved: entry.approved,
            net: entry.net,
            held: entry.held,
            currency: entry.currency.map(Currency::code),
            response_code: &entry.response_code,
            approval_code: entry.approval_code.as_deref(),
            business_date: entry.business_date.to_string(),
            acquirer: &entry.identity.acquirer,
            terminal: &entry.terminal,
            account: entry.account.as_deref(),
            original: entry.original,
            at: entry.at.rfc3339(),
        }
    }

    fn row(&self) -> String {
        format!(
            "{:>7}  {}  {:12}  {}  {}  {:13} {:>14} {:>14} {:>14} {:3}  {:>4}",
            self.sequence,
            self.business_date,
            self.rrn,
            self.stan,
            self.mti,
            self.kind,
            self.amount,
            self.net,
            self.held,
            self.currency.unwrap_or("-"),
            self.response_code,
        )
    }
}

fn print_ledger(config: &Config, json: bool, after: u64) -> Result<(), String> {
    if !config.ledger.exists() {
        return Err(format!("{}: there is no ledger; the bank hasn't run yet", config.ledger.display()));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if !json {
        let _ = writeln!(
            out,
            "{:>7}  {:10}  {:12}  {:6}  {:4}  {:13} {:>14} {:>14} {:>14} {:3}  {:>4}",
            "#", "day", "reference", "stan", "mti", "kind", "amount", "net", "held", "", "code"
        );
    }
    // A reader that went away wants no more of it; that is no failure.
    let mut wanted = true;
    let read = read_ledger(&config.ledger, after, |entry| {
        let printed = Printed::of(&entry);
        let line = if json { serde_json::to_string(&printed).unwrap_or_default() } else { printed.row() };
        wanted = wanted && writeln!(out, "{line}").is_ok();
    });
    let _ = out.flush();
    read.map_err(|error| error.to_string())
}

fn print_cards(config: &Config, markdown: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let cards = config.scenario.cards.iter().map(|card| (card.number.reveal().to_owned(), &card.about));
    let ranges = config.scenario.ranges.iter().map(|range| (format!("{}...", range.prefix), &range.about));
    if markdown {
        writeln!(out, "| card | what it does |\n| --- | --- |")?;
    }
    for (number, about) in cards.chain(ranges) {
        match markdown {
            true => writeln!(out, "| `{number}` | {about} |")?,
            false => writeln!(out, "{number:19}  {about}")?,
        }
    }
    out.flush()
}
