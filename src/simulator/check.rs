//! What `isthmus check` asks of the bank's files: which kind a file is, and every mistake in it.

use std::path::Path;

use super::config::Config;
use super::mistake::Mistake;
use super::profile::Profile;
use super::scenario::Scenario;

/// The kinds of file that a bank reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A configuration of `isthmus bank`.
    Config,
    /// A scenario.
    Scenario,
    /// An issuer profile.
    Profile,
}

impl FileKind {
    /// In plain words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "bank configuration",
            Self::Scenario => "scenario",
            Self::Profile => "issuer profile",
        }
    }

    /// The kind that a text's tables show; `None` where they are none of the bank's.
    pub fn of(text: &str) -> Option<FileKind> {
        const CONFIG: [&str; 6] = ["listen", "dialect", "issuer", "scenario", "ledger", "max_links"];
        let keys: Vec<&str> = text.lines().filter_map(key).take_while(|key| !key.starts_with('[')).collect();
        let has = |table: &str| text.lines().filter_map(key).any(|line| line == table);
        match () {
            () if CONFIG.iter().any(|key| keys.contains(key)) => Some(FileKind::Config),
            () if has("[elements]") || has("[codes]") => Some(FileKind::Profile),
            () if has("[[card]]") || has("[[range]]") || has("[[rule]]") => Some(FileKind::Scenario),
            () => None,
        }
    }
}

/// A line's key or table header.
fn key(line: &str) -> Option<&str> {
    let line = line.split(['#', '=']).next().unwrap_or_default().trim();
    (!line.is_empty()).then_some(line)
}

/// Checks one of the bank's files by its text; a configuration's other files are looked for from
/// `directory` and are checked as well.
pub fn check(kind: FileKind, origin: &str, text: &str, directory: &Path) -> Result<(), Vec<Mistake>> {
    match kind {
        FileKind::Config => Config::read(origin, text, directory).map(|_| ()),
        FileKind::Scenario => Scenario::read(origin, text).map(|_| ()),
        FileKind::Profile => Profile::read(origin, text).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_kind_shows_in_its_tables() {
        assert_eq!(FileKind::of("# mine\nlisten = \"x\"\n[[card]]\n"), Some(FileKind::Config));
        assert_eq!(FileKind::of("description = \"x\"\n[[card]] # one\n"), Some(FileKind::Scenario));
        assert_eq!(FileKind::of("[[rule]]\nwhen = {}\n"), Some(FileKind::Scenario));
        assert_eq!(FileKind::of(include_str!("../../specs/issuer/iso8583-1987.toml")), Some(FileKind::Profile));
        assert_eq!(FileKind::of("[codec]\n"), None);
        assert_eq!(FileKind::of("[edge]\nlisten = \"x\"\n"), None);
    }

    #[test]
    fn what_is_built_in_has_no_mistakes() {
        let demo = check(FileKind::Scenario, "demo.toml", super::super::DEMO, Path::new("."));
        assert_eq!(demo, Ok(()));
        for name in Profile::names() {
            assert!(Profile::builtin(name).is_some_and(|profile| profile.is_ok()), "{name}");
        }
        assert_eq!(check(FileKind::Config, "bank.toml", "", Path::new(".")), Ok(()));
    }
}
