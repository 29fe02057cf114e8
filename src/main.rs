//! The `isthmus` command.

use clap::{CommandFactory, Parser};
use isthmus::cli::{bank, check, demo, iso, load, merchant, operator, serve};
use std::process::ExitCode;

/// A payment switch: merchants speak JSON over TLS, banks speak ISO 8583.
#[derive(Parser)]
#[command(name = "isthmus", version, arg_required_else_help = true)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Bank(bank::Bank),
    Check(check::Check),
    Iso(iso::IsoCommand),
    Load(Box<load::Load>),
    Operator(operator::Operator),
    Merchant(Box<merchant::Merchant>),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  isthmus completions bash > /etc/bash_completion.d/isthmus")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Demo(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Bank(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Iso(command) => iso::run(command),
        Command::Load(command) => command.run(),
        Command::Operator(command) => command.run(),
        Command::Merchant(command) => command.run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Command::command(), "isthmus", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}
