//! The socket with a scripted switch behind it: who may speak, what is said, and what is done about nonsense.

use super::*;
use crate::journal::{self, Journal};
use crate::switch::{Event, HostMode, Order, OrderRefusal, Told};
use crate::vault::{KeyId, Keys};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// A folder of its own, gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("isthmus-control-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Stage {
    path: PathBuf,
    stop: Arc<Notify>,
    door: tokio::task::JoinHandle<()>,
    _journal: Journal,
    _folder: Folder,
}

/// A door whose switch says what `said` says, and the orders that reached it.
fn stage(name: &str, said: fn(&Order) -> Result<Told, OrderRefusal>) -> (Stage, mpsc::UnboundedReceiver<String>) {
    let folder = Folder::new(name);
    let settings = journal::Settings { wal_mib: 1, ..journal::Settings::at(folder.0.join("store.db")) };
    let keys = Keys::new(KeyId::new("k").unwrap(), &[7; 32]);
    let (journal, _) = Journal::open(&settings, keys, Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
    let path = settings.store.control();
    let (events, mut received) = mpsc::channel(8);
    let (waiters, stop) = (Waiters::default(), Arc::new(Notify::new()));
    let door = Door::open(&path).unwrap();
    let door = tokio::spawn(door.serve(events, waiters.clone(), journal.reader(), Arc::clone(&stop)));
    let (seen, orders) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Event::Operate(operate)) = received.recv().await {
            let _ = seen.send(format!("{}: {} ({})", operate.who, operate.order, operate.why));
            waiters.answer(operate.waiter, said(&operate.order));
        }
    });
    (Stage { path, stop, door, _journal: journal, _folder: folder }, orders)
}

async fn ask(path: &Path, request: Request) -> Result<Reply, CallError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || call(&path, &request)).await.unwrap()
}

fn down(why: Option<&str>) -> Request {
    let command = Command::HostDown { host: "north".to_owned() };
    Request { command, why: why.map(str::to_owned), as_name: Some("ada".to_owned()) }
}

#[tokio::test]
async fn an_order_reaches_the_switch_with_who_and_why() {
    let (stage, mut orders) = stage("order", |order| match order {
        Order::Host { mode: HostMode::Down, .. } => Ok(Told::Done),
        _ => Err(OrderRefusal::NoSuchHost),
    });
    let mode = std::fs::metadata(&stage.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let reply = ask(&stage.path, down(Some("line work"))).await.unwrap();
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    let seen = orders.recv().await.unwrap();
    assert!(seen.ends_with(" as ada: host down north (line work)"), "{seen}");
    let up = Request { command: Command::HostUp { host: "north".to_owned() }, ..down(Some("done")) };
    assert_eq!(ask(&stage.path, up).await.unwrap().code(), "no_such_host");
}

#[tokio::test]
async fn nothing_is_changed_without_a_reason() {
    let (stage, mut orders) = stage("reason", |_| Ok(Told::Done));
    assert_eq!(ask(&stage.path, down(None)).await.unwrap().code(), "no_reason");
    assert!(orders.try_recv().is_err(), "the switch never heard of it");
}

#[tokio::test]
async fn the_books_answer_what_they_know() {
    let (stage, _) = stage("books", |_| Err(OrderRefusal::NotRunning));
    for (command, key) in [(Command::Parked, "parked"), (Command::Audit { limit: 5 }, "audit")] {
        let request = Request { command, why: None, as_name: None };
        let Reply::Done { result } = ask(&stage.path, request).await.unwrap() else { panic!("refused") };
        assert_eq!(result[key], serde_json::json!([]));
    }
}

#[tokio::test]
async fn an_ordered_drain_is_passed_on() {
    let (stage, _orders) = stage("drain", |_| Ok(Told::Done));
    let drain = Request { command: Command::Drain, why: Some("new version".to_owned()), as_name: None };
    ask(&stage.path, drain).await.unwrap();
    stage.stop.notified().await;
}

#[tokio::test]
async fn a_closed_door_says_so() {
    let (stage, _orders) = stage("closed", |_| Ok(Told::Done));
    stage.door.abort();
    let _ = (&mut { stage.door }).await;
    let error = ask(&stage.path, down(Some("line work"))).await.unwrap_err();
    assert!(matches!(error, CallError::NotServing(_)), "{error}");
}

#[tokio::test]
async fn nonsense_is_answered_and_a_flood_is_cut() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (stage, _orders) = stage("nonsense", |_| Ok(Told::Done));
    let mut stream = tokio::net::UnixStream::connect(&stage.path).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.write_all(&vec![b'x'; LONGEST_LINE as usize]).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines.iter().all(|line| line.contains("bad_request")), "{text}");
}
