//! The configuration that a command is about: the one that is named, or the usual one.

use std::path::{Path, PathBuf};

/// Where it is looked for.
const USUAL: [&str; 2] = ["isthmus.toml", "isthmus-demo/isthmus.toml"];

/// Its path.
pub(super) fn named(config: Option<&Path>) -> Result<PathBuf, String> {
    match config {
        Some(path) => Ok(path.to_owned()),
        None => USUAL.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
            format!("neither {} nor {} is here; name the configuration with --config FILE", USUAL[0], USUAL[1])
        }),
    }
}
