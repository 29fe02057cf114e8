//! The bank host simulator over loopback: bytes in, bytes out, and a ledger that outlives it.
#![cfg(feature = "switch")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use isthmus::framing::{Frame, Framer, Framing, KeepAlive};
use isthmus::iso8583::{Message, MessageBuilder, Spec, dialects};
use isthmus::simulator::{Config, Entry, Handle, Kind, Server, ServerError, Settings, StoreError, read_ledger};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;

const CARD: &str = "4111111111111111";
const SILENT: &str = "4000000000010209";
const SOON: Duration = Duration::from_secs(10);

/// A directory of one test, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("isthmus-simulator-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(ledger: PathBuf) -> Settings {
    Settings::demo(ledger).unwrap()
}

async fn start(settings: Settings) -> Handle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start(settings, listener).unwrap()
}

fn ledger(path: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    read_ledger(path, 0, |entry| entries.push(entry)).unwrap();
    entries
}

/// A peer of the bank, as a switch would be.
struct Peer {
    stream: TcpStream,
    framer: Framer,
    buffer: BytesMut,
    spec: Arc<Spec>,
}

impl Peer {
    async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        Self { stream, framer: Framer::new(Framing::default()), buffer: BytesMut::new(), spec }
    }

    async fn signed_on(addr: SocketAddr) -> Self {
        let mut peer = Self::connect(addr).await;
        let answer = peer.ask("0800", &[(7, "1122120000"), (11, "900001"), (70, "001")]).await;
        assert_eq!(answer.text(39).unwrap(), "00");
        peer
    }

    fn frame(&self, mti: &str, elements: &[(u8, &str)]) -> BytesMut {
        let mut builder = MessageBuilder::new(mti.parse().unwrap());
        for (element, text) in elements {
            builder.set(*element, text);
        }
        let mut out = BytesMut::new();
        Framing::default().put(&self.spec.encode_to_bytes(&builder).unwrap(), &mut out).unwrap();
        out
    }

    async fn send(&mut self, mti: &str, elements: &[(u8, &str)]) {
        let frame = self.frame(mti, elements);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next message's bytes; `None` when the bank closes the link.
    async fn receive_bytes(&mut self) -> Option<Bytes> {
        loop {
            if let Some(Frame::Message(bytes)) = self.framer.decode(&mut self.buffer).unwrap() {
                return Some(bytes);
            }
            let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.buffer)).await.expect("an answer");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn receive(&mut self) -> Message {
        let bytes = self.receive_bytes().await.expect("an open link");
        self.spec.decode(bytes).unwrap()
    }

    async fn ask(&mut self, mti: &str, elements: &[(u8, &str)]) -> Message {
        self.send(mti, elements).await;
        self.receive().await
    }

    async fn code(&mut self, mti: &str, elements: &[(u8, &str)]) -> String {
        self.ask(mti, elements).await.text(39).unwrap().into_owned()
    }
}

/// The elements of a purchase; its STAN is the last six of the reference.
fn purchase<'a>(card: &'a str, rrn: &'a str, cents: &'a str) -> Vec<(u8, &'a str)> {
    let stan = &rrn[6..];
    let elements = [(2, card), (3, "000000"), (4, cents), (7, "1122120000"), (11, stan), (14, "3012"), (25, "59")];
    let mut elements = elements.to_vec();
    elements.extend([(32, "12345"), (37, rrn), (41, "TERM0001"), (42, "MERCHANT0000001"), (49, "978")]);
    elements
}

fn with<'a>(elements: &[(u8, &'a str)], number: u8, text: &'a str) -> Vec<(u8, &'a str)> {
    let mut elements: Vec<_> = elements.iter().copied().filter(|(other, _)| *other != number).collect();
    elements.push((number, text));
    elements
}

/// Original data of the purchase with this STAN.
fn named(mti: &str, stan: &str) -> String {
    format!("{mti}{stan}11221200000000001234500000000000")
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_are_answered_after_sign_on_and_kept_in_the_ledger() {
    let scratch = Scratch::new("sales");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::connect(bank.addr()).await;
    assert_eq!(peer.code("0200", &purchase(CARD, "100000000001", "000000001299")).await, "91");
    drop(peer);
    let mut peer = Peer::signed_on(bank.addr()).await;
    let answer = peer.ask("0200", &purchase(CARD, "100000000002", "000000001299")).await;
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("0210", "00"));
    // An answer leaves after its entry is durable, so whoever has the answer finds the entry.
    let entries = ledger(&scratch.ledger());
    assert_eq!((entries.len(), entries[0].net, entries[0].kind), (1, -1_299, Kind::Sale));
    assert_eq!(peer.code("0200", &purchase("4000000000000515", "100000000003", "000000000100")).await, "51");
    bank.shutdown().await.unwrap();
    assert_eq!(peer.receive_bytes().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_bank_books_and_its_reversal_takes_back() {
    let scratch = Scratch::new("silent");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let sale = purchase(SILENT, "100000000004", "000000001299");
    peer.send("0200", &sale).await;
    let original = named("0200", "000004");
    let reversal = with(&with(&sale, 11, "000005"), 90, &original);
    let answer = peer.ask("0420", &reversal).await;
    assert_eq!((answer.mti().to_string().as_str(), answer.text(11).unwrap().as_ref()), ("0430", "000005"));
    let net: Vec<i64> = ledger(&scratch.ledger()).iter().map(|entry| entry.net).collect();
    assert_eq!(net, [-1_299, 1_299]);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_ledger() {
    let scratch = Scratch::new("restart");
    let sale = purchase(CARD, "100000000006", "000000001299");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let first = peer.ask("0200", &sale).await;
    let unseen = named("0200", "000077");
    let early = with(&with(&sale, 11, "000008"), 90, &unseen);
    assert_eq!(peer.code("0420", &early).await, "00");
    bank.shutdown().await.unwrap();

    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.ask("0201", &sale).await.as_bytes(), first.as_bytes());
    assert_eq!(peer.code("0200", &with(&sale, 11, "000077")).await, "05", "it was reversed before it came");
    assert_eq!(ledger(&scratch.ledger()).len(), 3);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_overtake_each_other_and_links_stand_apart() {
    let scratch = Scratch::new("order");
    let bank = start(settings(scratch.ledger())).await;
    let (mut one, mut two) = (Peer::signed_on(bank.addr()).await, Peer::signed_on(bank.addr()).await);
    one.send("0200", &purchase("4000000000010100", "100000000010", "000000000100")).await;
    one.send("0200", &purchase(CARD, "100000000011", "000000000100")).await;
    two.send("0200", &purchase(CARD, "100000000012", "000000000100")).await;
    assert_eq!(one.receive().await.text(11).unwrap(), "000011");
    assert_eq!(two.receive().await.text(11).unwrap(), "000012");
    assert_eq!(one.receive().await.text(11).unwrap(), "000010", "two seconds later");
    // A copied answer comes as often as it was copied; a dropped link is closed.
    one.send("0200", &purchase("4000000000010407", "100000000013", "000000000100")).await;
    for _ in 0..3 {
        assert_eq!(one.receive().await.text(11).unwrap(), "000013");
    }
    one.send("0200", &purchase("4000000000010605", "100000000014", "000000000100")).await;
    assert_eq!(one.receive_bytes().await, None);
    assert_eq!(two.code("0200", &purchase(CARD, "100000000015", "000000000100")).await, "00");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_requests_is_answered_once_each() {
    let scratch = Scratch::new("crowd");
    let bank = start(settings(scratch.ledger())).await;
    let mut tasks = tokio::task::JoinSet::new();
    for link in 0..4 {
        let mut peer = Peer::signed_on(bank.addr()).await;
        tasks.spawn(async move {
            let rrns: Vec<String> = (0..250).map(|number| format!("200000{:06}", 1 + link * 1_000 + number)).collect();
            let mut all = BytesMut::new();
            for rrn in &rrns {
                all.extend(peer.frame("0200", &purchase("4500000012345678", rrn, "000000000100")));
            }
            peer.stream.write_all(&all).await.unwrap();
            let mut answered = Vec::new();
            for _ in &rrns {
                answered.push(peer.receive().await.text(37).unwrap().into_owned());
            }
            assert_eq!(answered, rrns);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let entries = ledger(&scratch.ledger());
    assert_eq!(entries.len(), 1_000);
    assert_eq!(entries.iter().map(|entry| entry.net).sum::<i64>(), -100_000);
    assert!(entries.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_malformed_frames_harm_nobody() {
    let scratch = Scratch::new("malformed");
    let bank = start(settings(scratch.ledger())).await;
    let mut good = Peer::signed_on(bank.addr()).await;
    let sale = purchase(CARD, "100000000020", "000000000100");
    let mut random = fastrand::Rng::with_seed(4);
    let pattern = good.frame("0200", &sale).split_off(2);
    for _ in 0..20 {
        let mut peer = Peer::signed_on(bank.addr()).await;
        let mut bytes = BytesMut::new();
        for _ in 0..250 {
            let mut message = pattern.to_vec();
            message.truncate(random.usize(1..=message.len()));
            // The type stays no request, so that nothing is booked by accident.
            let at = random.usize(..message.len());
            message[at] = random.u8(..);
            message[0] = b'9';
            Framing::default().put(&message, &mut bytes).unwrap();
        }
        // The last one lies about its length, which ends the link.
        bytes.extend_from_slice(&[0xFF, 0xFF, b'x']);
        peer.stream.write_all(&bytes).await.unwrap();
        // Some can be read after all and are told that their type isn't supported.
        while peer.receive_bytes().await.is_some() {}
    }
    assert_eq!(good.code("0200", &sale).await, "00");
    assert!(bank.counters().unreadable > 1_000, "{:?}", bank.counters());
    assert_eq!(ledger(&scratch.ledger()).len(), 1);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_loses_its_link_and_holds_up_nobody() {
    let scratch = Scratch::new("deaf");
    let bank = start(settings(scratch.ledger())).await;
    let mut deaf = Peer::signed_on(bank.addr()).await;
    let echo = deaf.frame("0800", &[(7, "1122120000"), (11, "000001"), (70, "301")]);
    let flood: BytesMut = (0..1_000).flat_map(|_| echo.to_vec()).collect();
    let deafness = tokio::spawn(async move {
        // Writing on and on ends when the bank has had enough, or when its answers block both ways.
        while tokio::time::timeout(Duration::from_secs(1), deaf.stream.write_all(&flood)).await.is_ok_and(|w| w.is_ok())
        {
        }
    });
    deafness.await.unwrap();
    let mut good = Peer::signed_on(bank.addr()).await;
    assert_eq!(good.code("0200", &purchase(CARD, "100000000021", "000000000100")).await, "00");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_bounded_and_polls_are_answered() {
    let scratch = Scratch::new("bounds");
    let polled = isthmus::framing::Settings { keep_alive: KeepAlive::Answer, ..Default::default() };
    let framing = Framing::new(&polled).unwrap();
    let bank = start(Settings { max_links: 1, framing, ..settings(scratch.ledger()) }).await;
    let mut first = Peer::signed_on(bank.addr()).await;
    let mut second = Peer::connect(bank.addr()).await;
    assert_eq!(second.receive_bytes().await, None);
    first.stream.write_all(&[0, 0]).await.unwrap();
    let mut poll = [9; 2];
    first.stream.read_exact(&mut poll).await.unwrap();
    assert_eq!(poll, [0, 0]);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ledger_has_one_bank() {
    let scratch = Scratch::new("taken");
    let bank = start(settings(scratch.ledger())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = Server::start(settings(scratch.ledger()), listener);
    assert!(matches!(second, Err(ServerError::Store(StoreError::Taken(_)))));
    bank.shutdown().await.unwrap();
    start(settings(scratch.ledger())).await.shutdown().await.unwrap();
}

/// `isthmus bank` as a process of its own, killed where the test ends.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = isthmus(config, &[]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("bank ready on ").and_then(|rest| rest.split(' ').next()).expect("a ready line");
        Self { addr: addr.parse().unwrap(), child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn isthmus(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.arg("bank").args(arguments).arg("--config").arg(config);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_is_killed_goes_on_where_it_was() {
    let scratch = Scratch::new("killed");
    let config = scratch.0.join("bank.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nledger = \"ledger.sqlite\"\n").unwrap();
    let sale = purchase(CARD, "100000000030", "000000001299");
    let mut bank = Process::start(&config);
    let first = Peer::signed_on(bank.addr).await.ask("0200", &sale).await;
    bank.kill();

    let bank = Process::start(&config);
    let mut peer = Peer::signed_on(bank.addr).await;
    assert_eq!(peer.ask("0201", &sale).await.as_bytes(), first.as_bytes());
    let printed = isthmus(&config, &["ledger", "--json"]).output().unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("one line, while the bank runs");
    for (key, value) in [("rrn", "100000000030"), ("stan", "000030"), ("mti", "0200"), ("kind", "sale")] {
        assert_eq!(entry[key], value);
    }
    assert_eq!((entry["amount"].as_i64(), entry["net"].as_i64()), (Some(1_299), Some(-1_299)));
    assert_eq!((&entry["response_code"], &entry["currency"]), (&"00".into(), &"EUR".into()));
    assert_eq!(entry["business_date"].as_str().map(str::len), Some(10));
    assert!(!String::from_utf8_lossy(&printed.stdout).contains(CARD));
}

#[test]
fn a_wrong_configuration_is_told_and_ends_with_2() {
    let scratch = Scratch::new("wrong");
    let config = scratch.0.join("bank.toml");
    std::fs::write(&config, "listen = 5\n").unwrap();
    let told = isthmus(&config, &[]).output().unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).ends_with("bank.toml:1: listen: expected a string\n"));
}

#[test]
fn the_demos_cards_are_those_the_tests_use() {
    let config = Config::demo().unwrap();
    let about = |number: &str| {
        let card = config.scenario.cards.iter().find(|card| card.number.reveal() == number);
        card.map(|card| card.about.clone()).unwrap_or_else(|| panic!("{number}"))
    };
    assert!(about(SILENT).contains("never answers"));
    assert!(about("4000000000010100").contains("2 seconds"));
    assert!(about("4000000000010407").contains("three times"));
    assert!(about("4000000000010605").contains("closes the link"));
    assert!(about("4000000000000515").contains("51"));
}
