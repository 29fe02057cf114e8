//! Where log lines go: stderr, or a file; `ISTHMUS_LOG` chooses what is told.
//!
//! A line that cannot be written is lost and nothing else happens: told of it, the library would complain on stderr,
//! and where that lies on the same full disk, the complaint is a panic in the thread that had something to say.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;

/// Writes log lines as text to stderr.
pub(super) fn to_stderr() {
    let plain = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr);
    let plain = plain.log_internal_errors(false).with_ansi(wants_colours());
    // A second set-up in one process keeps the first.
    let _ = plain.try_init();
}

/// Writes log lines as JSON to a file.
pub(super) fn to_file(path: &Path) -> std::io::Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    let json = tracing_subscriber::fmt().json().with_env_filter(filter()).with_writer(Mutex::new(file));
    let _ = json.log_internal_errors(false).try_init();
    Ok(())
}

/// Colours are for terminals, and there only where `NO_COLOR` does not ask for none.
fn wants_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("ISTHMUS_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}
