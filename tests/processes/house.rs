//! The processes, the files they share, and a client.

use crate::process::{PROGRAM, Process};
use isthmus::client::{Client, Target};
use isthmus::config::Config;
use isthmus::journal::Journal;
use isthmus::payment::Name;
use isthmus::switch::{Entry, NumberBlock, Ticket};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Approves while its balance lasts.
pub const APPROVES: &str = "4242424242424242";
/// No money on it.
pub const DECLINES: &str = "4000000000000515";
/// Approves half.
pub const PARTIAL: &str = "4000000000010001";
/// Books and never answers.
pub const SILENT: &str = "4000000000010209";
/// Answers only after the reversal was answered.
pub const LATE: &str = "4000000000010308";
/// Sends its approval three times.
pub const THRICE: &str = "4000000000010407";
/// Approves after two seconds.
pub const SLOW: &str = "4000000000010100";
/// Approves, and declines its captures: advices that a person must settle.
pub const REFUSES_CAPTURES: &str = "4000000000010811";

/// How long the house may take to come to rest once everything is healed.
const REST_WITHIN: Duration = Duration::from_secs(60);

/// Banks that a house may have.
pub const BANKS: usize = 2;

/// A folder with everything that the demo made.
pub struct House {
    folder: PathBuf,
    demo: Value,
    port_base: u16,
}

impl House {
    /// Runs the demo once: all of its payments must go as they should, and it leaves its files.
    pub fn build() -> House {
        static HOUSES: AtomicU32 = AtomicU32::new(0);
        let number = HOUSES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("isthmus-processes-{}-{number}", std::process::id()));
        let port_base = free_ports(number);
        let port = port_base.to_string();
        let demo = Command::new(PROGRAM).args(["demo", "--once", "--port-base", &port, "--dir"]).arg(&folder).output();
        let demo = demo.unwrap();
        let said = String::from_utf8_lossy(&demo.stdout);
        assert!(demo.status.success(), "{said}\n{}", String::from_utf8_lossy(&demo.stderr));
        let drawn = said.split("Pay with curl").next().unwrap();
        for number in [APPROVES, DECLINES, PARTIAL, SILENT] {
            assert!(!drawn.contains(number), "the demo draws a card number");
        }
        let demo = serde_json::from_str(&fs::read_to_string(folder.join("demo.json")).unwrap()).unwrap();
        House { folder, demo, port_base }
    }

    /// The demo's bank.
    pub fn bank(&self) -> Process {
        self.bank_at(0)
    }

    pub fn bank_at(&self, place: usize) -> Process {
        let config = self.bank_config(place);
        Process::start("bank", config.to_str().unwrap(), &self.file(&format!("bank-{place}.log")))
    }

    pub fn serve(&self) -> Process {
        Process::start("serve", self.path("config"), &self.file("serve.log"))
    }

    /// A switch that must not start: its exit code and what it says.
    pub fn serve_refused(&self) -> (Option<i32>, String) {
        let output = Command::new(PROGRAM).args(["serve", "--config", self.path("config")]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// A merchant's client with a connection of its own.
    pub fn client(&self) -> Client {
        let target = Target {
            url: self.demo["edge_url"].as_str().unwrap().to_owned(),
            ca_pem: fs::read(self.path("ca_cert")).unwrap(),
            identity_pem: None,
            api_key: self.demo["merchant"]["api_key"].as_str().map(str::to_owned),
            envelope: None,
        };
        Client::new(&target).unwrap()
    }

    /// Waits until a payment goes all the way to the bank and back.
    pub async fn until_paid(&self) {
        static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
        for _ in 0..300 {
            let key = format!("ready-{}", ATTEMPTS.fetch_add(1, Ordering::Relaxed));
            let paid = self.client().post("/v1/payments", &key, &order(&key, APPROVES, 100)).await;
            if paid.is_ok_and(|trip| trip.body["status"] == "captured") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no payment goes through");
    }

    /// The payment of a key once nothing about it is open; `Null` where there is none.
    pub async fn settled(&self, key: &str) -> Value {
        self.settled_by(&mut self.client(), key).await
    }

    /// The same over a connection that is there.
    pub async fn settled_by(&self, client: &mut Client, key: &str) -> Value {
        for _ in 0..600 {
            let found = client.get(&format!("/v1/payments?idempotency_key={key}")).await.unwrap();
            let payment = found.body["data"][0].clone();
            let is_open = |of: &Value| ["pending", "reversing"].contains(&of["status"].as_str().unwrap());
            if payment.is_null()
                || !(is_open(&payment) || payment["operations"].as_array().unwrap().iter().any(is_open))
            {
                return payment;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the payment of {key} does not settle");
    }

    /// The ledger of a bank behind an entry, an object an entry.
    pub fn ledger_after(&self, place: usize, sequence: u64) -> Vec<Value> {
        if !self.bank_ledger(place).is_file() {
            return Vec::new();
        }
        let after = sequence.to_string();
        let output = Command::new(PROGRAM)
            .args(["bank", "ledger", "--json", "--after", &after, "--config"])
            .arg(self.bank_config(place))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The ledger of the demo's bank, an object an entry.
    pub fn ledger(&self) -> Vec<Value> {
        self.ledger_after(0, 0)
    }

    /// Has a running bank do something of its own accord.
    pub fn bank_act(&self, place: usize, act: &str) {
        let acted =
            Command::new(PROGRAM).args(["bank", "ctl", "act", act, "--config"]).arg(self.bank_config(place)).output();
        let acted = acted.unwrap();
        assert!(acted.status.success(), "{}", String::from_utf8_lossy(&acted.stderr));
    }

    /// Orders something of the running switch, as an operator would: what came of it, or why it was refused.
    pub fn order(&self, words: &[&str]) -> Result<Value, Value> {
        let output = Command::new(PROGRAM)
            .args(["operator", "--json", "--config", self.path("config")])
            .args(words)
            .output()
            .unwrap();
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        match output.status.success() {
            true => Ok(read(&output.stdout)),
            false => Err(read(&output.stderr)),
        }
    }

    /// Puts these hosts and routes in the place of those that the switch has.
    pub fn configure_hosts(&self, hosts: &str) {
        let config = fs::read_to_string(self.path("config")).unwrap();
        let (before, rest) = config.split_once("[[hosts]]").unwrap();
        let (_, after) = rest.split_once("[[merchants]]").unwrap();
        fs::write(self.path("config"), format!("{before}{hosts}[[merchants]]{after}")).unwrap();
    }

    /// Writes the configuration of a bank.
    pub fn configure_bank(&self, place: usize, text: &str) {
        fs::write(self.bank_config(place), text).unwrap();
    }

    fn bank_config(&self, place: usize) -> PathBuf {
        match place {
            0 => self.path("bank_config").into(),
            _ => self.file(&format!("bank-{place}.toml")),
        }
    }

    /// The ledger's file of a bank.
    pub fn bank_ledger(&self, place: usize) -> PathBuf {
        match place {
            0 => self.file("bank.db"),
            _ => self.file(&format!("bank-{place}.db")),
        }
    }

    /// Where a bank listens.
    pub fn bank_addr(&self, place: usize) -> SocketAddr {
        self.port([3, 2][place])
    }

    /// Where the switch listens for a bank that dials in.
    pub fn link_addr(&self, place: usize) -> SocketAddr {
        self.port([6, 7][place])
    }

    /// Where a bank takes orders.
    pub fn bank_control(&self, place: usize) -> SocketAddr {
        self.port([8, 9][place])
    }

    fn port(&self, offset: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port_base + offset))
    }

    /// Lets the references of an acquirer begin at another place than those of the first one, so that one reference is
    /// one payment's in all ledgers.
    pub fn begin_references_at(&self, acquirer: &str, rrns: u64) {
        let config = Config::load(self.path("config").as_ref()).unwrap();
        let keys = config.keys.read().unwrap().vault;
        let (journal, _) = Journal::open(&config.journal, keys, Box::new(|_| {}), Box::new(|_, _| {})).unwrap();
        let block = NumberBlock { acquirer: Name::from(acquirer), stans: 0, rrns };
        journal.append(Ticket(1), Entry::Numbers(block));
        journal.close();
    }

    /// What `/readyz` says: whether it is ready, and why; nothing where nobody answers.
    pub fn readiness(&self) -> Option<(bool, Value)> {
        let metrics = self.path("metrics_url");
        let address = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
        let address: SocketAddr = address.parse().unwrap();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.starts_with("HTTP/1.1 200"), serde_json::from_str(body.trim()).ok()?))
    }

    /// Waits until it says that it is ready, or that it is not.
    pub async fn until_ready(&self, ready: bool) {
        self.until(&format!("ready: {ready}"), |is_ready, _| is_ready == ready).await;
    }

    /// Waits until it is ready, every bank is online, and nothing is pending or owed.
    pub async fn until_at_rest(&self) {
        let nothing = |host: &Value| host["pending"] == 0 && host["owed"] == 0;
        let online = |host: &Value| host["links"].as_array().unwrap().iter().any(|link| link == "online");
        self.until("at rest", |is_ready, body| {
            is_ready && body["hosts"].as_array().unwrap().iter().all(|host| nothing(host) && online(host))
        })
        .await;
    }

    async fn until(&self, what: &str, holds: impl Fn(bool, &Value) -> bool) {
        let began = Instant::now();
        loop {
            let readiness = self.readiness();
            if readiness.as_ref().is_some_and(|(ready, body)| holds(*ready, body)) {
                return;
            }
            assert!(began.elapsed() < REST_WITHIN, "not {what} within {REST_WITHIN:?}: {readiness:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The journal file.
    pub fn store(&self) -> PathBuf {
        self.path("store").into()
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    pub fn path(&self, key: &str) -> &str {
        self.demo[key].as_str().unwrap()
    }
}

/// What failed stays for a look at its logs and its store.
impl Drop for House {
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => println!("left in {}", self.folder.display()),
            false => drop(fs::remove_dir_all(&self.folder)),
        }
    }
}

/// The body of a sale.
pub fn order(reference: &str, card: &str, minor: u64) -> Value {
    json!({
        "reference": reference,
        "amount": { "value": minor, "currency": "EUR" },
        "capture": true,
        "card": { "number": card, "expiry_month": 12, "expiry_year": 2030, "cvc": "123" },
    })
}

/// Whether a process may do it: only root can mount, change attributes, or look into others.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The first of ten ports that are free now.
fn free_ports(number: u32) -> u16 {
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 20 + number as u16 * 10;
    let free = |base: &u16| (0..10).all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok());
    (0..100).map(|step| first + step * 17).find(free).unwrap()
}
