//! Which dialect: a built-in name or a file.

use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use crate::iso8583::{Spec, dialects};

/// The dialect of this name, or of the file at this path.
pub(super) fn find(name_or_file: &str) -> Result<Arc<Spec>, Failure> {
    if let Some(spec) = dialects::builtin(name_or_file) {
        return Ok(spec?);
    }
    let path = Path::new(name_or_file);
    if !path.exists() {
        return Err(Failure::words(format!(
            "{name_or_file} is neither a built-in dialect nor a file; `isthmus iso specs` lists the dialects"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| Failure::words(format!("{name_or_file}: {error}")))?;
    Ok(dialects::read(name_or_file, &text)?)
}
