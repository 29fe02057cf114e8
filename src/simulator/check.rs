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
            Self::Profile => "profile of an issuer",
        }
    }

    /// The kind that a text's tables show; `None` where they are none of the bank's.
    pub fn of(text: &str) -> Option<FileKind> {
        const CONFIG: [&str; 9] =
            ["listen", "dialect", "issuer", "scenario", "ledger", "max_links", "connect", "control", "messages"];
        const SCENARIO: [&str; 5] = ["[[card]]", "[[range]]", "[[rule]]", "[[outage]]", "[[event]]"];
        let keys: Vec<&str> = text.lines().filter_map(key).take_while(|key| !key.starts_with('[')).collect();
        let has = |table: &str| text.lines().filter_map(key).any(|line| line == table);
        match () {
            () if CONFIG.iter().any(|key| keys.contains(key)) => Some(FileKind::Config),
            () if ["[elements]", "[codes]", "[practice]"].iter().any(|table| has(table)) => Some(FileKind::Profile),
            () if SCENARIO.iter().any(|table| has(table)) => Some(FileKind::Scenario),
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
        assert_eq!(FileKind::of("extends = \"iso8583-1987\"\n[practice]\n"), Some(FileKind::Profile));
        assert_eq!(FileKind::of("[codec]\n"), None);
        assert_eq!(FileKind::of("[edge]\nlisten = \"x\"\n"), None);
    }

    #[test]
    fn the_examples_have_no_mistakes_and_leave_no_key_out() {
        let (bank, every) = (
            include_str!("../../fixtures/scenarios/bank.toml"),
            include_str!("../../fixtures/scenarios/every-key.toml"),
        );
        for (text, kind) in [(bank, FileKind::Config), (every, FileKind::Scenario)] {
            assert_eq!(FileKind::of(text), Some(kind));
            assert_eq!(check(kind, "example.toml", text, Path::new(".")), Ok(()));
        }
        // An unknown key is answered with the list of those that are known.
        let known = |kind, text: &str| {
            let mistakes = check(kind, "example.toml", text, Path::new(".")).err().unwrap_or_default();
            let expected = mistakes.first().map(|mistake| mistake.expected.clone()).unwrap_or_default();
            expected.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut keys = known(FileKind::Config, "x = 1\n");
        for table in ["framing", "keys", "tls", "connect_tls"] {
            keys.extend(known(FileKind::Config, &format!("[{table}]\nx = 1\n")));
        }
        let rules = ["[[rule]]", "[[rule]]\n[rule.when]", "[[rule]]\n[rule.then]"];
        for table in ["[[card]]", "[[range]]", "[[outage]]", "[[event]]"].into_iter().chain(rules) {
            keys.extend(known(FileKind::Scenario, &format!("{table}\nx = 1\n")));
        }
        assert!(keys.len() > 50, "{keys:?}");
        let both = format!("{bank}{every}");
        for key in keys {
            let stands = |form: String| both.contains(&form);
            let is_there = stands(format!("{key} = ")) || stands(format!("[{key}]")) || stands(format!("[{key}]]"));
            assert!(is_there || stands(format!("[rule.{key}]")), "{key} stands in no example");
        }
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
