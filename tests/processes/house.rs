//! The processes, the files they share, and a client.

use crate::process::{PROGRAM, Process};
use isthmus::client::{Client, Target};
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

/// A folder with everything that the demo made.
pub struct House {
    folder: PathBuf,
    demo: Value,
}

impl House {
    /// Runs the demo once: all of its payments must go as they should, and it leaves its files.
    pub fn build() -> House {
        static HOUSES: AtomicU32 = AtomicU32::new(0);
        let number = HOUSES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("isthmus-processes-{}-{number}", std::process::id()));
        let port = free_ports(number).to_string();
        let demo = Command::new(PROGRAM).args(["demo", "--once", "--port-base", &port, "--dir"]).arg(&folder).output();
        let demo = demo.unwrap();
        let said = String::from_utf8_lossy(&demo.stdout);
        assert!(demo.status.success(), "{said}\n{}", String::from_utf8_lossy(&demo.stderr));
        let drawn = said.split("Pay with curl").next().unwrap();
        for number in [APPROVES, DECLINES, PARTIAL, SILENT] {
            assert!(!drawn.contains(number), "the demo draws a card number");
        }
        let demo = serde_json::from_str(&fs::read_to_string(folder.join("demo.json")).unwrap()).unwrap();
        House { folder, demo }
    }

    pub fn bank(&self) -> Process {
        Process::start("bank", self.path("bank_config"), &self.file("bank.log"))
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

    /// The bank's ledger behind an entry, an object an entry.
    pub fn ledger_after(&self, sequence: u64) -> Vec<Value> {
        let after = sequence.to_string();
        let arguments = ["bank", "ledger", "--json", "--after", &after, "--config", self.path("bank_config")];
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The bank's ledger, an object an entry.
    pub fn ledger(&self) -> Vec<Value> {
        self.ledger_after(0)
    }

    /// Puts another value in the place of one that the demo wrote into the switch's configuration.
    pub fn reconfigure(&self, was: &str, is: &str) {
        let config = fs::read_to_string(self.path("config")).unwrap();
        assert!(config.contains(was), "the demo's configuration has no {was:?}");
        fs::write(self.path("config"), config.replace(was, is)).unwrap();
    }

    /// Where the bank listens.
    pub fn bank_addr(&self) -> SocketAddr {
        self.path("bank_addr").parse().unwrap()
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

    /// Waits until it is ready, a bank is online, and nothing is pending or owed.
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

/// The first of five ports that are free now.
fn free_ports(number: u32) -> u16 {
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 20 + number as u16 * 10;
    let free = |base: &u16| (0..5).all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok());
    (0..100).map(|step| first + step * 17).find(free).unwrap()
}
