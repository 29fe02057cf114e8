//! The access log: a line a request, in a file of its own, with nothing in it that is secret.
//!
//! A request is known by its route's template, so that neither names nor queries of clients get in; what is told of a
//! merchant is its identifier, of a request its name and trace, of bodies their length. The hot path hands a line over
//! without waiting: a thread of its own writes, and where it is behind by more than a bound, lines are counted and lost.
//! A file that was moved away is made anew within a second. What surprises: a request whose client hung up has a line,
//! too, without a status.

use super::command::holds_card_number;
use super::measure::ACCESS_LINES_LOST;
use crate::payment::{MerchantId, Wall};
use crate::transaction::TraceParent;
use axum::http::{HeaderValue, Method};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Lines that may wait for the writer.
const WAITING: usize = 16_384;

/// How often a file is looked for that was moved away.
const LOOKED_FOR: Duration = Duration::from_secs(1);

/// How long the last lines may take when the door closes.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Who asked, once that is known.
pub(super) type Asked = Arc<OnceLock<MerchantId>>;

/// What is known of a request from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub at: Wall,
    pub begun: Instant,
    pub asked: Asked,
    pub address: Option<IpAddr>,
    pub method: Method,
    pub route: Option<axum::extract::MatchedPath>,
    pub request_id: HeaderValue,
    pub trace: Option<TraceParent>,
    pub bytes_in: Option<u64>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub status: Option<u16>,
    pub code: &'static str,
    pub bytes_out: Option<u64>,
}

/// The log of all doors.
#[derive(Debug)]
pub(super) struct AccessLog(SyncSender<Message>);

#[derive(Debug)]
enum Message {
    Line(Box<(Entry, End, Duration)>),
    /// All before it is to be written, and the sender let go.
    Flush(#[allow(dead_code)] SyncSender<()>),
}

/// A request that is on its way; where it is dropped before its end, its client hung up.
pub(super) struct Underway<'a> {
    log: &'a AccessLog,
    entry: Option<Entry>,
}

impl AccessLog {
    /// Opens the file, or makes it, and starts the writer.
    pub fn open(path: &Path) -> io::Result<AccessLog> {
        let (lines, waiting) = mpsc::sync_channel(WAITING);
        let mut writing = Writing::open(path)?;
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writing.write_all(&waiting))?;
        Ok(AccessLog(lines))
    }

    /// A request begins.
    pub fn begin(&self, entry: Entry) -> Underway<'_> {
        Underway { log: self, entry: Some(entry) }
    }

    fn tell(&self, entry: Entry, end: End) {
        let took = entry.begun.elapsed();
        if self.0.try_send(Message::Line(Box::new((entry, end, took)))).is_err() {
            metrics::counter!(ACCESS_LINES_LOST).increment(1);
        }
    }

    /// Waits, within a bound, until all lines of the past are written. Blocks.
    pub fn flush(&self) {
        let (done, awaited) = mpsc::sync_channel(0);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            // Nothing is ever sent: it ends when the writer lets go.
            let _ = awaited.recv_timeout(LAST_LINES);
        }
    }
}

impl Underway<'_> {
    /// The request was answered.
    pub fn end(mut self, end: End) {
        if let Some(entry) = self.entry.take() {
            self.log.tell(entry, end);
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.log.tell(entry, End::default());
        }
    }
}

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    merchant: Option<&'a str>,
    address: Option<IpAddr>,
    method: &'a str,
    /// The template, `none` where there is no such resource.
    route: &'a str,
    /// None where the client hung up.
    status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    code: &'a str,
    duration_us: u64,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
}

/// The name of a request, unless somebody named it after a card. In a UUID digits may stand like that by chance.
fn nameable(request_id: &HeaderValue) -> &str {
    let text = request_id.to_str().unwrap_or_default();
    let is_card = holds_card_number(text) && uuid::Uuid::try_parse(text).is_err();
    if is_card { "-" } else { text }
}

/// The thread that writes.
struct Writing {
    path: PathBuf,
    file: BufWriter<File>,
    inode: u64,
    looked: Instant,
}

impl Writing {
    fn open(path: &Path) -> io::Result<Writing> {
        let file = File::options().create(true).append(true).mode(0o600).open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Writing { path: path.to_owned(), file: BufWriter::new(file), inode, looked: Instant::now() })
    }

    /// Until all senders are gone. What is written stays no longer than until nothing waits.
    fn write_all(&mut self, waiting: &Receiver<Message>) {
        loop {
            let message = match waiting.try_recv() {
                Ok(message) => message,
                Err(_) => {
                    self.flush();
                    match waiting.recv_timeout(LOOKED_FOR) {
                        Ok(message) => message,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            match message {
                Message::Line(line) => self.write(&line),
                Message::Flush(done) => {
                    self.flush();
                    drop(done);
                }
            }
        }
    }

    fn write(&mut self, line: &(Entry, End, Duration)) {
        self.look();
        let (entry, end, took) = line;
        let line = Line {
            at: entry.at.rfc3339(),
            merchant: entry.asked.get().map(MerchantId::as_str),
            address: entry.address,
            method: entry.method.as_str(),
            route: entry.route.as_ref().map_or("none", |route| route.as_str()),
            status: end.status,
            code: end.code,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request_id: nameable(&entry.request_id),
            trace_id: entry.trace.map(|trace| trace.trace_id()),
            bytes_in: entry.bytes_in,
            bytes_out: end.bytes_out,
        };
        let written = serde_json::to_writer(&mut self.file, &line).map_err(io::Error::from);
        if written.and_then(|()| self.file.write_all(b"\n")).is_err() {
            metrics::counter!(ACCESS_LINES_LOST).increment(1);
        }
    }

    fn flush(&mut self) {
        if self.file.flush().is_err() {
            metrics::counter!(ACCESS_LINES_LOST).increment(1);
        }
    }

    /// Whoever turns logs over moves the file away; then another one is made.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOKED_FOR {
            return;
        }
        self.looked = Instant::now();
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            return;
        }
        self.flush();
        match Writing::open(&self.path) {
            Ok(anew) => *self = anew,
            Err(error) => tracing::warn!(%error, "the access log cannot be made anew"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(request_id: &'static str) -> Entry {
        Entry {
            at: Wall(0),
            begun: Instant::now(),
            asked: Asked::default(),
            address: None,
            method: Method::GET,
            route: None,
            request_id: HeaderValue::from_static(request_id),
            trace: None,
            bytes_in: Some(0),
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("isthmus-access-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn each_request_has_a_line_and_who_hung_up_has_no_status() {
        let folder = folder("lines");
        let path = folder.join("access.jsonl");
        let log = AccessLog::open(&path).unwrap();
        let first = entry("a");
        first.asked.set(MerchantId::new("acme").unwrap()).unwrap();
        log.begin(first).end(End { status: Some(404), code: "not_found", bytes_out: Some(7) });
        drop(log.begin(entry("b")));
        log.flush();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["merchant"], &lines[0]["status"]), (&"acme".into(), &404.into()));
        assert_eq!((&lines[0]["code"], &lines[0]["route"]), (&"not_found".into(), &"none".into()));
        assert_eq!((&lines[1]["request_id"], lines[1]["status"].is_null()), (&"b".into(), true));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_request_that_is_named_after_a_card_has_no_name_here() {
        for (name, shown) in [
            ("order-4111111111111111", "-"),
            ("4111-1111-1111-1111", "-"),
            ("order-4111111111111112", "order-4111111111111112"),
            ("41111111-1111-1111-8000-00000000000a", "41111111-1111-1111-8000-00000000000a"),
        ] {
            assert_eq!(nameable(&HeaderValue::from_static(name)), shown, "{name}");
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = folder("moved");
        let path = folder.join("access.jsonl");
        let mut writing = Writing::open(&path).unwrap();
        writing.write(&(entry("a"), End::default(), Duration::ZERO));
        std::fs::rename(&path, folder.join("yesterday")).unwrap();
        writing.looked = Instant::now().checked_sub(LOOKED_FOR).unwrap();
        writing.write(&(entry("b"), End::default(), Duration::ZERO));
        writing.flush();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read("yesterday").contains("\"a\"") && read("access.jsonl").contains("\"b\""));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
