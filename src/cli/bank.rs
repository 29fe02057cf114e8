//! `isthmus bank`: the bank host simulator alone, its ledger, its test cards, and what changes it.

mod ctl;
mod ledger;
mod replay;
mod table;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::simulator::{Config, Handle, Server};

/// Run a bank host to talk to, with accounts, a durable ledger and a scenario of misbehaviour.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isthmus bank\n  isthmus bank --config bank.toml\n  \
    isthmus bank ledger --config bank.toml --json\n  isthmus bank cards\n  \
    isthmus bank ctl --config bank.toml state\n  isthmus bank replay talk.jsonl --connect 127.0.0.1:8583")]
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
    Ctl(ctl::Ctl),
    Replay(replay::Replay),
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
            Some(Command::Ledger { json, after }) => ledger::print(&config, json, after),
            Some(Command::Cards { markdown }) => {
                ledger::print_cards(&config, markdown).map_err(|error| error.to_string())
            }
            Some(Command::Ctl(ctl)) => ctl.run(&config),
            Some(Command::Replay(replay)) => replay.run(&config),
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
        let bank = Server::open(config).await.map_err(|error| error.to_string())?;
        println!("{}", readiness(&bank, config));
        let stopped_by_itself = until_stopped(&bank).await.map_err(|error| error.to_string())?;
        bank.shutdown().await.map_err(|error| error.to_string())?;
        match stopped_by_itself {
            true => Err("it stopped by itself".to_owned()),
            false => Ok(()),
        }
    })
}

fn readiness(bank: &Handle, config: &Config) -> String {
    let listening = match bank.addrs() {
        [] => "no port, dialling".to_owned(),
        addrs => addrs.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(","),
    };
    let control = bank.control().map(|control| format!(", control http://{control}")).unwrap_or_default();
    format!("bank ready on {listening} ({}), ledger {}{control}", config.spec.name(), config.ledger.display())
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
