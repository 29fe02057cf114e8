//! What every order of an operator says beside the order: about which switch, in whose name, and how to answer.

use clap::Args;
use std::path::PathBuf;

/// The flags that stand before or behind any order.
#[derive(Args, Debug)]
pub(super) struct Desk {
    /// The configuration of the switch [default: isthmus.toml, or isthmus-demo/isthmus.toml].
    #[arg(long, value_name = "FILE", env = "ISTHMUS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// In whose name, beside your user's: several people may share a user.
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub as_name: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}
