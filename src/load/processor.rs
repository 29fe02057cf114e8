//! What processor time a process has used, by Linux's account of it in `/proc`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Clock ticks a second in `/proc/PID/stat`: part of Linux's interface with programs, whatever its timer does.
const TICKS: u64 = 100;

/// Processor time of a process at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All of its threads, those that ended too.
    pub whole: Duration,
    /// Its living threads, by name; those of one name together.
    pub threads: BTreeMap<String, Duration>,
}

impl Usage {
    /// Of this program.
    pub fn own() -> Option<Usage> {
        Usage::at(Path::new("/proc/self"))
    }

    /// Of a process; `None` where there is none that may be looked at.
    pub fn of(pid: u32) -> Option<Usage> {
        Usage::at(&Path::new("/proc").join(pid.to_string()))
    }

    fn at(process: &Path) -> Option<Usage> {
        let (_, whole) = stat(&process.join("stat"))?;
        let mut threads: BTreeMap<String, Duration> = BTreeMap::new();
        for thread in std::fs::read_dir(process.join("task")).ok()?.flatten() {
            if let Some((name, used)) = thread_usage(thread.path()) {
                *threads.entry(name).or_default() += used;
            }
        }
        Some(Usage { whole, threads })
    }

    /// What was used since an earlier moment.
    pub fn since(&self, earlier: &Usage) -> Usage {
        let used = |(name, now): (&String, &Duration)| {
            let before = earlier.threads.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(before))
        };
        let whole = self.whole.saturating_sub(earlier.whole);
        Usage { whole, threads: self.threads.iter().map(used).collect() }
    }
}

/// The scheduler counts a thread's nanoseconds where the kernel was built so, the ticks are rounded from them.
fn thread_usage(thread: PathBuf) -> Option<(String, Duration)> {
    let (name, ticks) = stat(&thread.join("stat"))?;
    let scheduled = std::fs::read_to_string(thread.join("schedstat")).ok();
    let nanoseconds = scheduled.and_then(|text| text.split_whitespace().next()?.parse().ok()).map(Duration::from_nanos);
    Some((name, nanoseconds.unwrap_or(ticks)))
}

fn stat(path: &Path) -> Option<(String, Duration)> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// Name and user plus system time (proc(5): fields 2, 14 and 15). A name may hold anything, parentheses too.
fn parse(stat: &str) -> Option<(String, Duration)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let used = ticks()?.saturating_add(ticks()?);
    Some((name.to_owned(), Duration::from_millis(used.saturating_mul(1_000 / TICKS))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_name() {
        let stat = "42 (odd) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 1 2";
        assert_eq!(parse(stat), Some(("odd) name".to_owned(), Duration::from_secs(3))));
        for broken in ["", "42", "42 (x) S", "42 (x) S 1 42 42 0 -1 4194560 100 0 0 0 250"] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn this_process_uses_some() {
        let before = Usage::own().unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            std::hint::black_box(0);
        }
        let used = Usage::own().unwrap().since(&before);
        assert!(used.threads.values().any(|used| *used >= Duration::from_millis(10)), "{used:?}");
        assert_eq!(Usage::of(0), None);
    }
}
