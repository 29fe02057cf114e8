//! `isthmus iso`: look at ISO 8583 messages and make them.
//!
//! A thin shell over [`iso8583`](crate::iso8583): it finds the dialect and the bytes, and prints.
//! Card numbers and other secrets are masked unless `--unmasked` is given. Errors are one JSON object
//! each, so that a script can read them as well as a person.

mod capture;
mod decode;
mod dialect;
mod diff;
mod encode;
mod failure;
mod frame;
mod input;
mod specs;

use std::process::ExitCode;

/// Look at ISO 8583 messages and make them.
#[derive(Debug, clap::Args)]
pub struct IsoCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Decode(decode::Decode),
    Encode(encode::Encode),
    Diff(diff::Diff),
    Specs(specs::Specs),
}

/// Runs the command: 0 when all went well, 1 where a message, value or dialect is wrong.
pub fn run(command: IsoCommand) -> ExitCode {
    let done = match command.action {
        Action::Decode(decode) => decode.run(),
        Action::Encode(encode) => encode.run(),
        Action::Diff(diff) => diff.run(),
        Action::Specs(specs) => specs.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::FAILURE
        }
    }
}
