//! On which line of a file each key stands, so that a mistake that is found after reading can still be pointed at.

use super::mistake::Mistake;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Lines by dotted key; a table of an array is told by its place: `hosts[0].name`.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The lines of a text; none of one that is no TOML.
    pub(super) fn of(text: &str) -> Lines {
        let mut lines = Lines::default();
        if let Ok(document) = DeTable::parse(text) {
            lines.add_table("", document.get_ref(), &|at| text.get(..at).map_or(0, |t| t.matches('\n').count() + 1));
        }
        lines
    }

    /// Sets the line of a mistake that has none: that of its key or, where that is missing, of the table around it.
    pub(super) fn locate(&self, mistake: &mut Mistake) {
        let mut key = mistake.key.as_str();
        while mistake.line == 0 && !key.is_empty() {
            mistake.line = self.0.get(key).copied().unwrap_or_default();
            key = key.rsplit_once(['.', '[']).map_or("", |(around, _)| around);
        }
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) {
        for (key, value) in table {
            let path =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
            self.0.insert(path.clone(), line(key.span().start));
            self.add(&path, value.get_ref(), line);
        }
    }

    fn add(&mut self, path: &str, value: &DeValue<'_>, line: &dyn Fn(usize) -> usize) {
        match value {
            DeValue::Table(table) => self.add_table(path, table, line),
            DeValue::Array(array) => {
                for (place, element) in array.iter().enumerate() {
                    let path = format!("{path}[{place}]");
                    self.0.insert(path.clone(), line(element.span().start));
                    self.add(&path, element.get_ref(), line);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TEXT: &str = "[pin]\nkeys = [{ name = 'a' }]\n\n[[hosts]]\nname = 'x'\n\n[[hosts]]\nname = 'y'\n\
                        [hosts.keys]\npin_file = 'k'\n[[hosts.links]]\nconnect = 'z'\n";

    fn line(key: &str) -> usize {
        let mut mistake = Mistake::in_file(Path::new("f"), key, "");
        Lines::of(TEXT).locate(&mut mistake);
        mistake.line
    }

    #[test]
    fn keys_stand_on_their_lines() {
        assert_eq!((line("pin"), line("pin.keys"), line("pin.keys[0].name")), (1, 2, 2));
        assert_eq!((line("hosts[0].name"), line("hosts[1].name")), (5, 8));
        assert_eq!((line("hosts[1].keys.pin_file"), line("hosts[1].links[0].connect")), (10, 12));
    }

    #[test]
    fn what_is_missing_is_told_by_what_is_around_it() {
        assert_eq!((line("hosts[1].keys.mac_file"), line("hosts[1].acquirer")), (9, 7));
        assert_eq!((line("pin.accept"), line("hosts[2].name"), line("edge.listen"), line("")), (1, 4, 0, 0));
        let mut known = Mistake { line: 9, ..Mistake::in_file(Path::new("f"), "pin", "") };
        Lines::of(TEXT).locate(&mut known);
        assert_eq!(known.line, 9);
        assert!(Lines::of("=").0.is_empty());
    }
}
