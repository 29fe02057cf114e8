//! `isthmus check`: configurations, dialects and scenarios, before anything runs on them.

use crate::config::{self, Config, Mistake};
use crate::iso8583::dialects;
use crate::link::SessionSettings;
use crate::merchants::Registrar;
use crate::simulator;
use crate::translation::Mapping;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check configuration, dialect and scenario files: every mistake with file, line, key and what was expected.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  isthmus check isthmus.toml bank.toml my-dialect.toml\n\n\
    What a file is follows from its tables: [edge] a configuration, [codec] a dialect, [[card]] a scenario,\n    [elements] an issuer profile.")]
pub struct Check {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    /// Exit code 0 where all is well, 1 where something is not.
    pub fn run(self) -> ExitCode {
        let mut wrong = false;
        for file in &self.files {
            match check(file) {
                Ok(kind) => println!("{}: a {kind}, nothing wrong", file.display()),
                Err(mistakes) => {
                    wrong = true;
                    mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
                }
            }
        }
        if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Checks a file as what it is, and says what that is.
fn check(path: &Path) -> Result<&'static str, Vec<Mistake>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Mistake::about_file(path, &format!("a readable file ({error})"))])?;
    let has = |table: &str| text.lines().any(|line| line.trim_start().starts_with(table));
    match simulator::FileKind::of(&text) {
        _ if has("[edge") || has("[[hosts") => check_configuration(path),
        Some(simulator::FileKind::Profile) => check_simulator(path, simulator::FileKind::Profile, &text),
        _ if has("[codec") || has("[mapping") || has("[session") || has("extends") => check_dialect(path),
        kind => check_simulator(path, kind.unwrap_or(simulator::FileKind::Config), &text),
    }
}

/// A configuration, with the merchants of the register beside its store, where there is one.
fn check_configuration(path: &Path) -> Result<&'static str, Vec<Mistake>> {
    let config = Config::load(path)?;
    let register = config.journal.store.merchants();
    if !register.exists() {
        return Ok("configuration");
    }
    let of_register = |text: String| Mistake::about_file(&register, &text);
    let faults = Registrar::open(&register, config.merchants.clone(), &config.folder)
        .map_err(|error| vec![of_register(error.to_string())])?
        .faults()
        .map_err(|error| vec![of_register(error.to_string())])?;
    match faults.is_empty() {
        true => Ok("configuration, and its register,"),
        false => Err(faults.into_iter().map(of_register).collect()),
    }
}

fn check_simulator(path: &Path, kind: simulator::FileKind, text: &str) -> Result<&'static str, Vec<Mistake>> {
    let (origin, directory) = (path.display().to_string(), path.parent().unwrap_or(Path::new(".")));
    simulator::check(kind, &origin, text, directory).map(|()| kind.name()).map_err(simulator_mistakes)
}

/// All readers of a dialect look at it; a dialect without a mapping of payments is one for looking at messages.
fn check_dialect(path: &Path) -> Result<&'static str, Vec<Mistake>> {
    let layers = config::dialect_layers(&path.display().to_string(), Path::new(""))?;
    let has_mapping = layers.iter().any(|layer| layer.text.contains("[mapping"));
    let mut mistakes: Vec<Mistake> =
        dialects::spec_of(&layers).err().unwrap_or_default().into_iter().map(Mistake::from).collect();
    if has_mapping {
        mistakes.extend(Mapping::read(&layers).err().unwrap_or_default().into_iter().map(Mistake::from));
        mistakes.extend(SessionSettings::read(&layers).err().map(Mistake::from));
        mistakes.extend(config::key_settings(&layers).err());
    }
    if mistakes.is_empty() { Ok("dialect") } else { Err(mistakes) }
}

fn simulator_mistakes(mistakes: Vec<simulator::Mistake>) -> Vec<Mistake> {
    let ours = |m: simulator::Mistake| Mistake { origin: m.origin, line: m.line, key: m.key, expected: m.expected };
    mistakes.into_iter().map(ours).collect()
}
