//! `isthmus iso decode`: bytes to JSON, or drawn for people.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use bytes::Bytes;

use super::failure::{Failure, decode_error, print_json};
use super::frame::Frame;
use super::{dialect, input};
use crate::iso8583::describe::{Drawing, describe, describe_fault};
use crate::iso8583::{DecodeError, Message, Spec, dialects, view};

/// Read messages and print them as JSON, or drawn with --describe.
///
/// One message is given by --hex or in a FILE (hexadecimal text with any spacing, or raw bytes),
/// without its length prefix. With - (the default) each line of stdin is one hexadecimal message, and
/// a line of JSON comes out for each: the message, or in its place an error object. A capture (pcap or
/// pcapng) gives the messages of its TCP streams; with --frame a file or stdin is a stream of messages
/// with their lengths.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Decode {
    /// A built-in dialect, or a dialect file
    #[arg(long, value_name = "NAME_OR_FILE")]
    spec: String,
    /// The message as hexadecimal digits with any spacing
    #[arg(long, conflicts_with = "file")]
    hex: Option<String>,
    /// A file with one message, or - for a hexadecimal message a line on stdin
    file: Option<String>,
    /// The length in front of each message of a stream or capture (binary2 in a capture)
    #[arg(long)]
    frame: Option<Frame>,
    /// Show card numbers and other secrets
    #[arg(long)]
    unmasked: bool,
    /// Leave composite elements as one undivided value
    #[arg(long)]
    raw: bool,
    /// Draw the message for people
    #[arg(long)]
    describe: bool,
}

const EXAMPLES: &str = "Example:
  isthmus iso decode --spec iso8583-1987-ascii --describe \\
    --hex '30383030 38323230303030303030303030303030 30343030303030303030303030303030 \\
           30343230303930363133 393030303031 333031'";

impl Decode {
    pub(super) fn run(self) -> Result<(), Failure> {
        let spec = dialect::find(&self.spec)?;
        match (&self.hex, self.file.as_deref(), self.frame) {
            (Some(hex), ..) => self.one(&spec, input::from_hex(hex)?),
            (None, None | Some("-"), Some(frame)) => self.many(&spec, input::stdin_frames(frame)?),
            (None, None | Some("-"), None) => self.stream(&spec),
            (None, Some(path), frame) => match <[Bytes; 1]>::try_from(input::messages(path, frame)?) {
                Ok([one]) => self.one(&spec, one),
                Err(messages) => self.many(&spec, messages),
            },
        }
    }

    fn one(&self, spec: &Arc<Spec>, bytes: Bytes) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match self.read(spec, bytes.clone()) {
            Ok(message) => self.print(&message, &mut out),
            Err(error) if self.describe => {
                self.print_fault(&bytes, &error, &mut out)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A message a line; the errors stand among the messages, so the command itself succeeds.
    fn stream(&self, spec: &Arc<Spec>) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for line in input::stdin_lines() {
            match input::from_hex(&line?) {
                Ok(bytes) => self.in_line(spec, bytes, &mut out)?,
                Err(Failure::Told(objects)) => {
                    for object in objects {
                        print_json(&mut out, &object)?;
                    }
                }
                Err(other) => return Err(other),
            }
        }
        out.flush()?;
        Ok(())
    }

    /// The messages of a stream or capture.
    fn many(&self, spec: &Arc<Spec>, messages: Vec<Bytes>) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for bytes in messages {
            self.in_line(spec, bytes, &mut out)?;
        }
        out.flush()?;
        Ok(())
    }

    /// One message among others: its error stands in its place.
    fn in_line(&self, spec: &Arc<Spec>, bytes: Bytes, out: &mut impl Write) -> Result<(), Failure> {
        match self.read(spec, bytes.clone()) {
            Ok(message) => self.print(&message, out),
            Err(error) if self.describe => self.print_fault(&bytes, &error, out),
            Err(error) => print_json(out, &decode_error(&error)),
        }
    }

    fn read(&self, spec: &Arc<Spec>, bytes: Bytes) -> Result<Message, DecodeError> {
        match self.raw {
            true => spec.decode_undivided(bytes),
            false => spec.decode(bytes),
        }
    }

    fn print(&self, message: &Message, out: &mut impl Write) -> Result<(), Failure> {
        if self.describe {
            writeln!(out, "{}", describe(message, self.drawing()))?;
            return Ok(());
        }
        print_json(out, &view(message, !self.unmasked, self.raw))
    }

    fn print_fault(&self, bytes: &Bytes, error: &DecodeError, out: &mut impl Write) -> Result<(), Failure> {
        write!(out, "{}", describe_fault(bytes, error, self.drawing()))?;
        let readers: Vec<_> = dialects::names()
            .iter()
            .filter(|name| **name != self.spec)
            .filter(|name| match dialects::builtin(name) {
                Some(Ok(spec)) => spec.decode(bytes.clone()).is_ok(),
                _ => false,
            })
            .copied()
            .collect();
        if !readers.is_empty() {
            let readers = readers.join(", ");
            writeln!(out, "hint   these built-in dialects read it whole: {readers}")?;
        }
        writeln!(out)?;
        Ok(())
    }

    fn drawing(&self) -> Drawing {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Drawing { unmasked: self.unmasked, colour }
    }
}
