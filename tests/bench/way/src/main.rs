//! The whole way of a payment beside services that do nothing on the same stack, in turn, round after round.
//!
//! `isthmus-bench-way ISTHMUS [ROUNDS [SECONDS]]` prints one table of medians. The server has the first core, the
//! generator and the bank the second one, so that the server's processor time is its own; the machine may still be
//! shared with others, so only ratios between rows of one run mean anything.

mod process;
mod table;

use process::{Failure, Process, command, free_ports, until_open};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use table::{Row, Table};

/// The core of the server.
const SERVER: &str = "0";
/// The core of the generator, and of the bank.
const OTHERS: &str = "1";
/// Connections of the rows.
const CONNECTIONS: [&str; 2] = ["64", "256"];

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("isthmus-bench-way ISTHMUS [ROUNDS [SECONDS]]")?;
    let rounds: usize = arguments.next().as_deref().unwrap_or("5").parse()?;
    let seconds = arguments.next().unwrap_or_else(|| "4".to_owned());
    let bench = Bench::prepare(PathBuf::from(program), seconds)?;
    let mut table = Table::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        bench.round(&mut table)?;
    }
    println!("{table}");
    if !bench.has_haproxy {
        println!("NOT CHECKED: HAProxy in front (haproxy is not installed)");
    }
    println!("NOT MEASURED: allocations a payment");
    Ok(())
}

/// Where everything lies and listens.
struct Bench {
    program: PathBuf,
    folder: PathBuf,
    seconds: String,
    port: u16,
    has_haproxy: bool,
}

impl Bench {
    /// The demo, run once, makes keys, certificates and configurations.
    fn prepare(program: PathBuf, seconds: String) -> Result<Bench, Failure> {
        let folder = std::env::temp_dir().join(format!("isthmus-bench-{}", std::process::id()));
        let port = free_ports(8)?;
        let demo = command(SERVER, &program)
            .args(["demo", "--once", "--port-base", &port.to_string(), "--dir"])
            .arg(&folder)
            .output()?;
        if !demo.status.success() {
            return Err(format!("the demo fails: {}", String::from_utf8_lossy(&demo.stderr)).into());
        }
        let at = |name: &str| fs::read_to_string(folder.join(name));
        fs::write(folder.join("haproxy.pem"), at("server.pem")? + &at("server-key.pem")?)?;
        let haproxy = HAPROXY.replace("FOLDER", &folder.display().to_string());
        let haproxy = haproxy.replace("FRONT", &(port + 6).to_string()).replace("BACK", &(port + 7).to_string());
        fs::write(folder.join("haproxy.cfg"), haproxy)?;
        let has_haproxy =
            command(SERVER, Path::new("haproxy")).arg("-v").output().is_ok_and(|said| said.status.success());
        Ok(Bench { program, folder, seconds, port, has_haproxy })
    }

    fn round(&self, table: &mut Table) -> Result<(), Failure> {
        for connections in CONNECTIONS {
            let row = format!("do-nothing HTTPS, {connections} connections");
            table.add(&row, self.still_door(connections)?);
        }
        for connections in CONNECTIONS {
            let row = format!("Isthmus, JSON, {connections} connections");
            table.add(&row, self.isthmus(&["--connections", connections])?);
        }
        table.add("Isthmus, sealed (JWE), 64 connections", self.isthmus(&["--sealed"])?);
        if let Some(rate) = table.half_of("Isthmus, JSON, 64 connections") {
            table.add("Isthmus, JSON, open loop at half of that", self.isthmus(&["--rate", &rate])?);
        }
        if self.has_haproxy {
            table.add("HAProxy, TLS to do-nothing HTTP, 64 connections", self.haproxy()?);
        }
        for in_flight in ["1", "64"] {
            let row = self.one_process("link_trip", &[&self.seconds, in_flight])?;
            table.add(&format!("bank link and echo, {in_flight} in flight"), row);
        }
        let config = self.folder.join("isthmus.toml").display().to_string();
        table.add("the switch alone, 256 in flight", self.one_process("switch_alone", &[&config, "20000"])?);
        Ok(())
    }

    fn one_process(&self, program: &str, arguments: &[&str]) -> Result<Row, Failure> {
        let said = command(SERVER, &self.beside(program)?).args(arguments).output()?;
        if !said.status.success() {
            return Err(format!("{program}: {}", String::from_utf8_lossy(&said.stderr)).into());
        }
        Ok(Row::of_one_process(&serde_json::from_slice(&said.stdout)?))
    }

    fn still_door(&self, connections: &str) -> Result<Row, Failure> {
        let address = format!("127.0.0.1:{}", self.port + 5);
        let mut door = command(SERVER, &self.beside("still_door")?);
        door.arg(&address).arg(self.folder.join("server.pem")).arg(self.folder.join("server-key.pem"));
        let door = Process::start(door)?;
        until_open(self.port + 5)?;
        Ok(Row::of(&self.load(&door, &["--target", &format!("https://{address}"), "--connections", connections])?))
    }

    fn isthmus(&self, arguments: &[&str]) -> Result<Row, Failure> {
        let config = |name: &str| self.folder.join(name);
        let mut bank = command(OTHERS, &self.program);
        let _bank = Process::start({
            bank.args(["bank", "--config"]).arg(config("bank.toml"));
            bank
        })?;
        until_open(self.port + 3)?;
        let mut serve = command(SERVER, &self.program);
        let serve = Process::start({
            serve.args(["serve", "--config"]).arg(config("isthmus.toml"));
            serve
        })?;
        until_open(self.port)?;
        // The links sign on, and the first numbers are reserved.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let (before, written) = (Journal::of(&config("isthmus.db"))?, serve.bytes_written()?);
        let mut row = Row::of(&self.load(&serve, arguments)?);
        let (after, written) = (Journal::of(&config("isthmus.db"))?, serve.bytes_written()? - written);
        let payments = (after.payments - before.payments).max(1) as f64;
        row.disk_bytes = Some(written as f64 / payments);
        row.journal_bytes = Some((after.bytes - before.bytes) as f64 / payments);
        Ok(row)
    }

    fn haproxy(&self) -> Result<Row, Failure> {
        let mut back = command(OTHERS, &self.beside("still_door")?);
        let _back = Process::start({
            back.arg(format!("127.0.0.1:{}", self.port + 7));
            back
        })?;
        until_open(self.port + 7)?;
        let mut front = command(SERVER, Path::new("haproxy"));
        let front = Process::start({
            front.arg("-db").arg("-f").arg(self.folder.join("haproxy.cfg"));
            front
        })?;
        until_open(self.port + 6)?;
        let target = format!("https://127.0.0.1:{}", self.port + 6);
        Ok(Row::of(&self.load(&front, &["--target", &target])?))
    }

    /// Where what is told twice, the last one holds: targets and connections come after the demo's.
    fn load(&self, server: &Process, arguments: &[&str]) -> Result<Value, Failure> {
        let pid = server.pid().to_string();
        let mut load = command(OTHERS, &self.program);
        load.args(["load", "--json", "--ramp", "500ms", "--duration", &self.seconds, "--server-pid", &pid, "--demo"]);
        let said = load.arg(&self.folder).args(arguments).output()?;
        if !said.status.success() {
            return Err(format!("isthmus load {arguments:?}: {}", String::from_utf8_lossy(&said.stderr)).into());
        }
        Ok(serde_json::from_slice(&said.stdout)?)
    }

    /// A program of this package, beside this one.
    fn beside(&self, name: &str) -> Result<PathBuf, Failure> {
        Ok(std::env::current_exe()?.with_file_name(name))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a journal holds at a moment.
struct Journal {
    /// Those that brought a card: all that the generator begins.
    payments: i64,
    /// Of all records, without what SQLite needs around them.
    bytes: i64,
}

impl Journal {
    fn of(path: &Path) -> Result<Journal, Failure> {
        let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let number = |query: &str| journal.query_row(query, [], |row| row.get(0));
        Ok(Journal {
            payments: number("SELECT count(*) FROM cards")?,
            bytes: number("SELECT coalesce(sum(length(content)), 0) FROM records")?,
        })
    }
}

/// One thread, keep-alive on both sides, as a payment service would stand behind it.
const HAPROXY: &str = "global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend merchants
    bind 127.0.0.1:FRONT ssl crt FOLDER/haproxy.pem alpn http/1.1
    default_backend service
backend service
    server still 127.0.0.1:BACK
";
