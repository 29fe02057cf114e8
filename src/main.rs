//! The `isthmus` command.

use std::process::ExitCode;

use clap::Parser;
use isthmus::cli::bank::Bank;

/// A payment switch: merchants speak JSON and XML over TLS, banks speak ISO 8583.
#[derive(Parser)]
#[command(version)]
enum Isthmus {
    Bank(Bank),
}

fn main() -> ExitCode {
    match Isthmus::parse() {
        Isthmus::Bank(bank) => bank.run(),
    }
}
