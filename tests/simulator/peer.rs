//! A peer of the bank, as a switch would be, and the bank that it talks to.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use isthmus::framing::{Frame, Framer, Framing};
use isthmus::iso8583::{Message, MessageBuilder, Spec, dialects};
use isthmus::simulator::{Entry, Handle, Scenario, Server, Settings, read_ledger};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder;

pub const CARD: &str = "4111111111111111";
pub const SILENT: &str = "4000000000010209";
pub const SOON: Duration = Duration::from_secs(10);

/// A directory of one test, gone afterwards.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("isthmus-simulator-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn settings(ledger: PathBuf) -> Settings {
    Settings::demo(ledger).unwrap()
}

pub async fn start(settings: Settings) -> Handle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start(settings, listener).unwrap()
}

pub fn ledger(path: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    read_ledger(path, 0, |entry| entries.push(entry)).unwrap();
    entries
}

/// A peer of the bank, as a switch would be.
pub struct Peer<S = TcpStream> {
    pub stream: S,
    pub framer: Framer,
    pub buffer: BytesMut,
    pub spec: Arc<Spec>,
}

impl Peer {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).await.unwrap())
    }

    pub async fn signed_on(addr: SocketAddr) -> Self {
        let mut peer = Self::connect(addr).await;
        peer.sign_on().await;
        peer
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// On a link that stands already.
    pub fn over(stream: S) -> Self {
        let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
        Self { stream, framer: Framer::new(Framing::default()), buffer: BytesMut::new(), spec }
    }

    pub async fn sign_on(&mut self) {
        let answer = self.ask("0800", &[(7, "1122120000"), (11, "900001"), (70, "001")]).await;
        assert_eq!(answer.text(39).unwrap(), "00");
    }

    pub fn frame(&self, mti: &str, elements: &[(u8, &str)]) -> BytesMut {
        let mut builder = MessageBuilder::new(mti.parse().unwrap());
        for (element, text) in elements {
            builder.set(*element, text);
        }
        let mut out = BytesMut::new();
        Framing::default().put(&self.spec.encode_to_bytes(&builder).unwrap(), &mut out).unwrap();
        out
    }

    pub async fn send(&mut self, mti: &str, elements: &[(u8, &str)]) {
        let frame = self.frame(mti, elements);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next message's bytes; `None` when the bank closes the link.
    pub async fn receive_bytes(&mut self) -> Option<Bytes> {
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

    pub async fn receive(&mut self) -> Message {
        let bytes = self.receive_bytes().await.expect("an open link");
        self.spec.decode(bytes).unwrap()
    }

    pub async fn ask(&mut self, mti: &str, elements: &[(u8, &str)]) -> Message {
        self.send(mti, elements).await;
        self.receive().await
    }

    pub async fn code(&mut self, mti: &str, elements: &[(u8, &str)]) -> String {
        self.ask(mti, elements).await.text(39).unwrap().into_owned()
    }
}

/// The elements of a purchase; its STAN is the last six of the reference.
pub fn purchase<'a>(card: &'a str, rrn: &'a str, cents: &'a str) -> Vec<(u8, &'a str)> {
    let stan = &rrn[6..];
    let elements = [(2, card), (3, "000000"), (4, cents), (7, "1122120000"), (11, stan), (14, "3012"), (25, "59")];
    let mut elements = elements.to_vec();
    elements.extend([(32, "12345"), (37, rrn), (41, "TERM0001"), (42, "MERCHANT0000001"), (49, "978")]);
    elements
}

pub fn with<'a>(elements: &[(u8, &'a str)], number: u8, text: &'a str) -> Vec<(u8, &'a str)> {
    let mut elements: Vec<_> = elements.iter().copied().filter(|(other, _)| *other != number).collect();
    elements.push((number, text));
    elements
}

/// Original data of the purchase with this STAN.
pub fn named(mti: &str, stan: &str) -> String {
    format!("{mti}{stan}11221200000000001234500000000000")
}

/// Settings of the demo under one scenario of one's own and one ordinary card.
pub fn under(ledger: PathBuf, scenario: &str) -> Settings {
    let card = format!("[[card]]\nnumber = \"{CARD}\"\nabout = \"\"\nbalance_minor = 100000000\n");
    let scenario = Scenario::read("mine.toml", &format!("{card}{scenario}")).unwrap();
    Settings { scenario: Arc::new(scenario), ..settings(ledger) }
}

/// `isthmus bank` as a process of its own, killed where the test ends.
pub struct Process {
    pub child: Child,
    pub addr: SocketAddr,
}

impl Process {
    pub fn start(config: &Path) -> Self {
        let mut child = isthmus(config, &[]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("bank ready on ").and_then(|rest| rest.split(' ').next()).expect("a ready line");
        Self { addr: addr.parse().unwrap(), child }
    }

    pub fn kill(&mut self) {
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

pub fn isthmus(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.arg("bank").args(arguments).arg("--config").arg(config);
    command
}
