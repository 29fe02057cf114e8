//! The operator's end of the socket.

use super::reply::Reply;
use super::request::Request;
use super::{LONGEST_LINE, PATIENCE};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the switch could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error("no switch serves at {}; start one with `isthmus serve`, or name its configuration with --config", .0.display())]
    NotServing(PathBuf),
    /// It belongs to somebody else.
    #[error("{} is another user's: run this as the user who runs the switch", .0.display())]
    NotAllowed(PathBuf),
    /// The conversation broke.
    #[error("the switch did not answer: {0}")]
    Broken(std::io::Error),
    /// What came is no reply.
    #[error("the switch answered in words of another version")]
    NoReply,
}

/// Asks the switch behind a socket.
pub fn call(path: &Path, request: &Request) -> Result<Reply, CallError> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => CallError::NotServing(path.to_owned()),
        ErrorKind::PermissionDenied => CallError::NotAllowed(path.to_owned()),
        _ => CallError::Broken(error),
    })?;
    let longer = PATIENCE + Duration::from_secs(5);
    stream.set_read_timeout(Some(longer)).map_err(CallError::Broken)?;
    let mut line = serde_json::to_vec(request).map_err(|_| CallError::NoReply)?;
    line.push(b'\n');
    if line.len() as u64 > LONGEST_LINE {
        return Err(CallError::Broken(ErrorKind::InvalidInput.into()));
    }
    stream.write_all(&line).map_err(CallError::Broken)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(CallError::Broken)?;
    serde_json::from_str(&answer).map_err(|_| CallError::NoReply)
}
