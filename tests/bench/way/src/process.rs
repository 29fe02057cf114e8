//! Programs on a core of their own, ended with their owner.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Whatever went wrong: it is told, and the bench ends.
pub type Failure = Box<dyn Error>;

/// How long a program may take to open its port.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that will run on one core.
pub fn command(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// A program that runs.
pub struct Process(Child);

impl Process {
    /// Starts it; what it says is thrown away.
    pub fn start(mut command: Command) -> Result<Process, Failure> {
        Ok(Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    /// Its number: `taskset` gives its own to the program.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What it has caused to be written to disks (proc(5), `io`).
    pub fn bytes_written(&self) -> Result<u64, Failure> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid()))?;
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(written.ok_or("no write_bytes")?.trim().parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until somebody listens.
pub fn until_open(port: u16) -> Result<(), Failure> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > PATIENCE {
            return Err(format!("nobody listens on port {port}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The first of so many ports that are free now.
pub fn free_ports(count: u16) -> Result<u16, Failure> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = (21_000..31_000).step_by(16).find(|base| (0..count).all(|offset| is_free(base + offset)));
    first.ok_or_else(|| "no free ports".into())
}
