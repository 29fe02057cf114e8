//! The `isthmus` command.

use std::process::ExitCode;

use clap::Parser;
use isthmus::cli::iso::{self, IsoCommand};

/// A payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
#[derive(Parser)]
#[command(name = "isthmus", version)]
enum Command {
    Iso(IsoCommand),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Iso(command) => iso::run(command),
    }
}
