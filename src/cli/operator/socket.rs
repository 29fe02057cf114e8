//! Where the control socket of a switch is: beside the store that its configuration names.

use crate::cli::configuration;
use crate::journal::{Settings, StorePath};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    journal: Settings,
}

/// The socket of the switch that runs on a configuration, or of the usual one.
pub(super) fn of(config: Option<&Path>) -> Result<PathBuf, String> {
    let path = configuration::named(config)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: File = toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()))?;
    let store = match std::env::var("ISTHMUS_JOURNAL__STORE") {
        Ok(store) => StorePath::try_from(store).map_err(|expected| format!("ISTHMUS_JOURNAL__STORE: {expected}"))?,
        Err(_) => file.journal.store,
    };
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Settings { store, ..Settings::default() }.relative_to(&folder).store.control())
}
