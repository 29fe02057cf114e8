//! The trace of a run: hashed always, kept line by line where somebody wants to read it.

use crate::plan::Micros;
use std::fmt::Write;

pub struct Trace {
    hash: u64,
    line: String,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(kept: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, line: String::new(), lines: kept.then(Vec::new) }
    }

    pub fn note(&mut self, now: Micros, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        let _ = write!(self.line, "{:>6}.{:06} {what}", now / 1_000_000, now % 1_000_000);
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
