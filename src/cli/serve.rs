//! `isthmus serve`: the switch.

use super::logging;
use crate::app::{self, App, AppError};
use crate::config::Config;
use crate::journal::JournalError;
use clap::Args;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Run the switch.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  isthmus serve --config isthmus.toml\n\n\
    SIGTERM drains: no new work, what is in flight is finished or reversed, links sign off, exit 0.\n\
    SIGHUP reads the doors' certificates, keys and revocation lists again, and the vault's keys ([keys]); no connection is \
    closed.")]
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
        match runtime.block_on(serve(&config, &self.config)) {
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

async fn serve(config: &Config, path: &Path) -> Result<(), AppError> {
    app::install_metrics();
    let mut app = App::start(config, None).await?;
    println!("isthmus ready: merchants https://{}, operations http://{}", app.edge_addr(), app.operations_addr());
    let ordered = app.stop_ordered();
    let mut stop = pin!(async {
        tokio::select! {
            () = stop_signal() => {}
            () = ordered => {}
        }
    });
    let mut hangup = Hangup::new();
    loop {
        tokio::select! {
            () = &mut stop => return app.drain().await,
            error = app.ended() => return Err(error),
            () = hangup.next() => reload(&app, path).await,
        }
    }
}

/// Certificates and keys are taken or not each for itself: neither has to do with the other.
async fn reload(app: &App, path: &Path) {
    match app.reload_tls() {
        Ok(()) => tracing::info!("the doors' certificates were read again"),
        Err(error) => tracing::error!(%error, "the doors' certificates stay as they were"),
    }
    let read = Config::load(path).and_then(|config| config.keys.read().map_err(|mistake| vec![mistake]));
    let vault = match read {
        Ok(secrets) => secrets.vault,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| tracing::error!(%mistake, "the vault's keys stay as they were"));
            return;
        }
    };
    let sealing = vault.current_id().to_string();
    match app.exchange_vault_keys(vault).await {
        Ok(()) => tracing::info!(%sealing, "the vault's keys were read again"),
        Err(error) => tracing::error!(%error, "the vault's keys stay as they were"),
    }
}

/// SIGHUP, each time.
struct Hangup(Option<Signal>);

impl Hangup {
    fn new() -> Hangup {
        Hangup(signal(SignalKind::hangup()).ok())
    }

    async fn next(&mut self) {
        if let Some(hangup) = &mut self.0
            && hangup.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
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
