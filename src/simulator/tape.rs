//! The tape: every message that went over a link, for looking at and for replaying.
//!
//! The last ones are kept in memory as they were on the wire and are shown masked. A file takes them
//! all as lines of JSON; only where it is asked for do the bytes stand in it too, since they hold card
//! numbers, and only with them can a conversation be replayed. What surprises: a message that leaves in
//! a spoiled state (garbage, cut off) is on the tape as it left, and shown by its length alone.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::iso8583::{Spec, to_hex, view};
use crate::payment::Wall;

use super::issuer::Link;

/// Messages kept in memory; the oldest is forgotten beyond that.
const KEPT: usize = 10_000;

/// Messages that wait for the file; beyond that they are not recorded, rather than holding up the bank.
const WAITING: usize = 65_536;

/// Where messages are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The file, which is added to.
    pub path: PathBuf,
    /// Whether the bytes are recorded too, card numbers and all.
    pub unmasked: bool,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the bank.
    In,
    /// From the bank.
    Out,
}

/// A message on the tape.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place on the tape, from 1.
    pub sequence: u64,
    /// When.
    pub at: Wall,
    /// On which link.
    pub link: Link,
    /// Which way.
    pub direction: Direction,
    /// As it was on the wire, without its frame.
    pub bytes: Bytes,
}

/// A message as it is shown and recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageLine {
    /// Its place on the tape.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// On which link.
    pub link: u64,
    /// Which way.
    pub direction: Direction,
    /// Bytes without the frame.
    pub length: usize,
    /// The message, masked unless it was asked for otherwise; `None` where it can't be read.
    #[serde(default)]
    pub message: Option<Value>,
    /// Its bytes in hexadecimal, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

impl Seen {
    /// How it is shown; unmasked it has its bytes too.
    pub fn line(&self, spec: &Arc<Spec>, unmasked: bool) -> MessageLine {
        let message = spec.decode(self.bytes.clone()).ok();
        MessageLine {
            sequence: self.sequence,
            at: self.at.rfc3339(),
            link: self.link,
            direction: self.direction,
            length: self.bytes.len(),
            message: message.and_then(|message| serde_json::to_value(view(&message, !unmasked, false)).ok()),
            hex: unmasked.then(|| to_hex(&self.bytes)),
        }
    }
}

/// The tape; clones are the same one.
#[derive(Clone, Debug)]
pub struct Tape {
    kept: Arc<Mutex<Kept>>,
    file: Option<SyncSender<Seen>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    messages: VecDeque<Seen>,
    unrecorded: u64,
}

impl Tape {
    /// A tape that also records into a file where one is named.
    pub fn new(spec: &Arc<Spec>, recording: Option<&Recording>) -> io::Result<Tape> {
        let file = recording.map(|recording| recorder(spec, recording)).transpose()?;
        Ok(Tape { kept: Arc::default(), file })
    }

    /// A message went over a link.
    pub fn note(&self, at: Wall, link: Link, direction: Direction, bytes: &Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let seen = Seen { sequence: kept.last, at, link, direction, bytes: bytes.clone() };
        if let Some(file) = &self.file {
            kept.unrecorded += u64::from(file.try_send(seen.clone()).is_err());
        }
        kept.messages.push_back(seen);
        if kept.messages.len() > KEPT {
            kept.messages.pop_front();
        }
    }

    /// The messages after a place, oldest first, at most so many.
    pub fn after(&self, sequence: u64, most: usize) -> Vec<Seen> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.messages.iter().filter(|seen| seen.sequence > sequence).take(most).cloned().collect()
    }

    /// How many messages there were, and how many of them the file didn't take.
    pub fn counts(&self) -> (u64, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.last, kept.unrecorded)
    }
}

/// Starts the thread that writes the file; it ends with the last clone of the tape.
fn recorder(spec: &Arc<Spec>, recording: &Recording) -> io::Result<SyncSender<Seen>> {
    let file = OpenOptions::new().create(true).append(true).open(&recording.path)?;
    let (sender, seen) = sync_channel(WAITING);
    let (spec, unmasked) = (Arc::clone(spec), recording.unmasked);
    std::thread::Builder::new().name("tape".into()).spawn(move || record(&seen, file, &spec, unmasked))?;
    Ok(sender)
}

fn record(seen: &Receiver<Seen>, file: File, spec: &Arc<Spec>, unmasked: bool) {
    let mut out = BufWriter::new(file);
    loop {
        let next = match seen.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                if let Err(error) = out.flush() {
                    tracing::warn!(%error, "the recording can't be written");
                }
                match seen.recv() {
                    Ok(next) => next,
                    Err(_) => break,
                }
            }
        };
        let line = serde_json::to_string(&next.line(spec, unmasked)).unwrap_or_default();
        // What can't be written now is told at the flush.
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}

/// Reads a recording; a line that isn't one is told by its number.
pub fn read_recording(path: &Path) -> io::Result<Vec<MessageLine>> {
    let text = std::fs::read_to_string(path)?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let told = format!("{}:{}: not a line of a recording ({error})", path.display(), number + 1);
            io::Error::new(io::ErrorKind::InvalidData, told)
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::iso8583::{MessageBuilder, dialects};

    const CARD: &str = "4111111111111111";

    fn message(spec: &Arc<Spec>) -> Bytes {
        let mut builder = MessageBuilder::new("0200".parse().unwrap());
        builder.set(2, CARD).set(11, "000001");
        spec.encode_to_bytes(&builder).unwrap()
    }

    #[test]
    fn a_recording_is_masked_unless_it_is_asked_for_otherwise() {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        let directory = std::env::temp_dir().join(format!("isthmus-tape-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for unmasked in [false, true] {
            let path = directory.join(format!("{unmasked}.jsonl"));
            let _ = std::fs::remove_file(&path);
            let recording = Recording { path: path.clone(), unmasked };
            let tape = Tape::new(&spec, Some(&recording)).unwrap();
            tape.note(Wall(0), 3, Direction::In, &message(&spec));
            tape.note(Wall(0), 3, Direction::Out, &Bytes::from_static(b"no message"));
            assert_eq!(tape.after(1, 10).len(), 1);
            drop(tape);
            let lines = loop {
                let lines = read_recording(&path).unwrap_or_default();
                if lines.len() == 2 {
                    break lines;
                }
                std::thread::yield_now();
            };
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.contains(CARD), unmasked);
            assert_eq!(lines[0].hex.as_deref().map(str::to_owned), unmasked.then(|| to_hex(&message(&spec))));
            assert_eq!((lines[0].direction, lines[0].link, lines[1].message.is_some()), (Direction::In, 3, false));
        }
        let _ = std::fs::remove_dir_all(&directory);
    }
}
