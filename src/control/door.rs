//! The socket itself: made for its owner alone, one task a caller.

use super::desk::{self, Waiters};
use super::person;
use super::reply::Reply;
use super::request::{Command, Request};
use super::{LONGEST_LINE, parked};
use crate::journal::{JournalError, Reader};
use crate::switch::{Event, Order};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc};

/// Callers served at once; there are few operators.
const MOST_CALLERS: usize = 16;

/// The socket, open.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

/// Why it cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the control socket {}: {source}", path.display())]
pub struct DoorError {
    path: PathBuf,
    source: std::io::Error,
}

/// What stands behind the door.
#[derive(Clone)]
struct Behind {
    events: mpsc::Sender<Event>,
    waiters: Waiters,
    reader: Reader,
    stop: Arc<Notify>,
}

impl Door {
    /// Opens it at a path, in place of one that a dead process left: whoever holds the store's lock owns the path.
    pub fn open(path: &Path) -> Result<Door, DoorError> {
        let wrong = |source| DoorError { path: path.to_owned(), source };
        // It takes its name only once nobody else may open it.
        let unnamed = path.with_extension("new");
        let _ = fs::remove_file(&unnamed);
        let listener = UnixListener::bind(&unnamed).map_err(wrong)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600)).map_err(wrong)?;
        fs::rename(&unnamed, path).map_err(wrong)?;
        Ok(Door { listener, path: path.to_owned() })
    }

    /// Serves callers until it is dropped. `stop` is told when an operator orders the whole switch to stop.
    pub async fn serve(self, events: mpsc::Sender<Event>, waiters: Waiters, reader: Reader, stop: Arc<Notify>) {
        let behind = Behind { events, waiters, reader, stop };
        let places = Arc::new(Semaphore::new(MOST_CALLERS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let behind = behind.clone();
                    tokio::spawn(async move {
                        behind.serve(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an operator could not be let in");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Behind {
    /// One caller, line by line.
    async fn serve(&self, stream: UnixStream) {
        let Ok(user) = stream.peer_cred().map(|peer| person::user_name(peer.uid())) else { return };
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        loop {
            let mut line = Vec::new();
            match (&mut read).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let reply = match line.ends_with(b"\n") {
                true => self.answer(&user, &String::from_utf8_lossy(&line)).await,
                false => Reply::refusal("bad_request", "the line is too long, or was cut"),
            };
            let Ok(mut text) = serde_json::to_vec(&reply) else { return };
            text.push(b'\n');
            if write.write_all(&text).await.is_err() || !line.ends_with(b"\n") {
                return;
            }
        }
    }

    async fn answer(&self, user: &str, line: &str) -> Reply {
        match self.try_answer(user, line).await {
            Ok(reply) | Err(reply) => reply,
        }
    }

    async fn try_answer(&self, user: &str, line: &str) -> Result<Reply, Reply> {
        let request = Request::read(line)?;
        let Some(order) = request.order()? else { return self.look_up(request.command).await };
        let why = request.why(order.is_change())?;
        let who = person::who(user, request.name()?);
        if order.is_change() {
            tracing::info!(who, why, %order, "an operator orders");
        }
        let stops = order == Order::Drain;
        let reply = desk::order(&self.events, &self.waiters, who, why, order).await;
        if stops && matches!(reply, Reply::Done { .. }) {
            self.stop.notify_one();
        }
        Ok(reply)
    }

    /// What the books answer.
    async fn look_up(&self, command: Command) -> Result<Reply, Reply> {
        let reader = self.reader.clone();
        let found = tokio::task::spawn_blocking(move || match command {
            Command::Audit { limit } => reader.audit(limit).map(|orders| Reply::audit(&orders)),
            _ => parked::list(&reader).map(|items| Reply::parked(&items)),
        });
        let unreadable = |error: JournalError| Reply::refusal("store_unavailable", &error.to_string());
        match found.await {
            Ok(found) => found.map_err(unreadable),
            Err(_) => Err(Reply::refusal("store_unavailable", "the books cannot be read; see the log")),
        }
    }
}
