//! Which configuration is meant, and where the control socket of its switch is: beside the store that it names.

use crate::journal::{Settings, StorePath};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where a configuration is looked for that was not named.
const USUAL: [&str; 2] = ["isthmus.toml", "isthmus-demo/isthmus.toml"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    journal: Settings,
}

/// The configuration that is meant.
pub(super) fn config(named: Option<&Path>) -> Result<PathBuf, String> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => USUAL.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
            format!("neither {} nor {} is here; name the configuration with --config FILE", USUAL[0], USUAL[1])
        }),
    }
}

/// The socket of the switch that runs on a configuration, or of the usual one.
pub(super) fn of(config: Option<&Path>) -> Result<PathBuf, String> {
    let path = self::config(config)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()))?;
    let store = match std::env::var("ISTHMUS_JOURNAL__STORE") {
        Ok(store) => StorePath::try_from(store).map_err(|expected| format!("ISTHMUS_JOURNAL__STORE: {expected}"))?,
        Err(_) => file.journal.store,
    };
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Settings { store, ..Settings::default() }.relative_to(&folder).store.control())
}
