//! One mistake in a file that somebody wrote.

use crate::iso8583::SpecError;
use std::fmt;
use std::path::Path;

/// Where a mistake is and what should have stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or the name of what is built in.
    pub origin: String,
    /// Line, from 1; 0 where it is not known.
    pub line: usize,
    /// The dotted key, empty where the file itself is meant.
    pub key: String,
    /// What should have stood there.
    pub expected: String,
}

impl Mistake {
    /// The file itself is wrong.
    pub fn about_file(path: &Path, expected: &str) -> Mistake {
        Mistake::in_file(path, "", expected)
    }

    /// A key is wrong, at a line that is not known.
    pub fn in_file(path: &Path, key: &str, expected: &str) -> Mistake {
        Mistake { origin: path.display().to_string(), line: 0, key: key.to_owned(), expected: expected.to_owned() }
    }

    /// The text does not have the shape that was asked for.
    pub(super) fn in_text(path: &Path, text: &str, error: &toml::de::Error) -> Mistake {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).map_or(0, |before| before.matches('\n').count() + 1);
        Mistake { line, ..Mistake::in_file(path, &key_near(text, line), error.message()) }
    }
}

/// The key that stands on a line, with its table.
fn key_near(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let table =
        lines.iter().rev().find_map(|line| line.trim().strip_prefix('[')).map(|rest| rest.trim_matches(['[', ']']));
    let key = lines.last().and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    [table, key].into_iter().flatten().collect::<Vec<_>>().join(".")
}

impl From<SpecError> for Mistake {
    fn from(error: SpecError) -> Mistake {
        Mistake { origin: error.origin, line: error.line, key: error.key, expected: error.expected }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": expected {}", self.expected)
    }
}

impl std::error::Error for Mistake {}
