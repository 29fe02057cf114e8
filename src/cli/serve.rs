//! `isthmus serve`: the switch.

use super::logging;
use crate::app::{self, App, AppError};
use crate::config::Config;
use crate::journal::JournalError;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Run the switch.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  isthmus serve --config isthmus.toml\n\n\
    SIGTERM drains: no new work, what is in flight is finished or reversed, links sign off, exit 0.")]
pub struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    /// Exit code 0 after a drain, 1 where it failed, 2 where it could not start as asked.
    pub fn run(self) -> ExitCode {
        logging::to_stderr();
        let config = match Config::load(&self.config) {
            Ok(config) => config,
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
                return ExitCode::from(2);
            }
        };
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error, 1),
        };
        match runtime.block_on(serve(&config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error @ (AppError::Config(_) | AppError::Store(JournalError::Held { .. }))) => failed(&error, 2),
            Err(error) => failed(&error, 1),
        }
    }
}

fn failed(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("isthmus serve: {error}");
    ExitCode::from(code)
}

async fn serve(config: &Config) -> Result<(), AppError> {
    app::install_metrics();
    let mut app = App::start(config, None).await?;
    println!("isthmus ready: merchants https://{}, operations http://{}", app.edge_addr(), app.operations_addr());
    let ordered = app.stop_ordered();
    tokio::select! {
        () = stop_signal() => app.drain().await,
        () = ordered => app.drain().await,
        error = app.ended() => Err(error),
    }
}

/// Comes with SIGTERM or Ctrl-C.
pub(super) async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return drop(tokio::signal::ctrl_c().await);
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
