//! `isthmus demo`: everything on one machine with no set-up.
//!
//! Makes keys, certificates and configurations in a folder, starts the bank host simulator and the switch, goes
//! shopping through the real door as a merchant would, draws each payment's trip, and keeps serving.

mod drawing;
mod files;
pub mod material;
mod payload_pair;
mod shopping;

pub use payload_pair::PayloadPair;

use super::{logging, serve};
use crate::app::{self, App, Trail};
use crate::config::Config;
use crate::simulator;
use clap::Args;
use files::Files;
use shopping::Shopping;
use std::path::PathBuf;
use std::process::ExitCode;

/// Start a bank, the switch and a merchant on this machine, and watch real payments go through.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  isthmus demo\n  isthmus demo --once\n  isthmus demo --dir /tmp/demo --port-base 9000 --rate 20"
)]
pub struct Demo {
    /// Where keys, configurations and stores lie; made anew where it is not there.
    #[arg(long, value_name = "DIR", default_value = "isthmus-demo")]
    dir: PathBuf,
    /// The first of five ports on the loopback address.
    #[arg(long, value_name = "PORT", default_value_t = 8580)]
    port_base: u16,
    /// Exit after the payments: 0, or 1 if one went wrong.
    #[arg(long)]
    once: bool,
    /// Go on sending so many payments a second.
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
}

/// Any error of the demo: it is told and ends it.
type DemoError = Box<dyn std::error::Error + Send + Sync>;

impl Demo {
    /// Exit code 0 where all payments went as they should.
    pub fn run(self) -> ExitCode {
        let done = tokio::runtime::Runtime::new().map_err(DemoError::from).and_then(|rt| rt.block_on(self.demo()));
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("isthmus demo: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn demo(self) -> Result<(), DemoError> {
        if self.port_base.checked_add(5).is_none() {
            return Err("--port-base must leave room for six ports".into());
        }
        let files = Files::prepare(&self.dir, self.port_base)?;
        logging::to_file(&files.log)?;
        app::install_metrics();
        let bank = start_bank(&files).await?;
        let config = Config::load(&files.config).map_err(mistakes)?;
        let (trail, steps) = Trail::new();
        let mut app = App::start(&config, Some(trail)).await?;
        app.bank_online().await?;
        files.write_demo_json()?;

        let mut shopping = Shopping::new(&files, steps)?;
        let went_well = shopping.go(app.reader()).await?;
        println!("{}", files.invitation()?);
        println!("isthmus demo ready: https://{}  ({})", files.edge_addr(), files.demo_json.display());
        if !self.once {
            println!("Ctrl-C stops it.");
            let ordered = app.stop_ordered();
            tokio::select! {
                () = serve::stop_signal() => {}
                () = ordered => {}
                error = app.ended() => return Err(error.into()),
                () = bank.stopped() => return Err("the bank stopped by itself".into()),
                () = shopping.keep_on(self.rate) => {}
            }
        }
        app.drain().await?;
        bank.shutdown().await?;
        if went_well { Ok(()) } else { Err("a payment did not go as it should".into()) }
    }
}

async fn start_bank(files: &Files) -> Result<simulator::Handle, DemoError> {
    let config = simulator::Config::load(&files.bank_config).map_err(mistakes)?;
    Ok(simulator::Server::open(&config).await?)
}

fn mistakes<M: ToString>(mistakes: Vec<M>) -> DemoError {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into()
}
