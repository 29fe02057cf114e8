//! The processes, the files they share, and a client.

use isthmus::client::{Client, Target};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

const PROGRAM: &str = env!("CARGO_BIN_EXE_isthmus");

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
        Process::start("bank", self.path("bank_config"))
    }

    pub fn serve(&self) -> Process {
        Process::start("serve", self.path("config"))
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
        let mut client = self.client();
        for _ in 0..600 {
            let found = client.get(&format!("/v1/payments?idempotency_key={key}")).await.unwrap();
            let payment = found.body["data"][0].clone();
            if payment.is_null() || !["pending", "reversing"].contains(&payment["status"].as_str().unwrap()) {
                return payment;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the payment of {key} does not settle");
    }

    /// The bank's ledger, an object an entry.
    pub fn ledger(&self) -> Vec<Value> {
        let arguments = ["bank", "ledger", "--json", "--config", self.path("bank_config")];
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn path(&self, key: &str) -> &str {
        self.demo[key].as_str().unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
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

/// The first of five ports that are free now.
fn free_ports(number: u32) -> u16 {
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 20 + number as u16 * 10;
    let free = |base: &u16| (0..5).all(|offset| TcpListener::bind(("127.0.0.1", base + offset)).is_ok());
    (0..100).map(|step| first + step * 17).find(free).unwrap()
}

/// A process that ends with its value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command and waits until it says that it is ready.
    fn start(command: &str, config: &str) -> Process {
        assert!(Path::new(config).is_file());
        let mut started = Command::new(PROGRAM);
        started.args([command, "--config", config]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = started.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "{command} said {line:?}");
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        Process { child }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; whether it exits 0.
    pub fn terminate(&mut self) -> bool {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        sent.success() && self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
