//! A process of ours: started, told by signals, and ended with its value.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_isthmus");

/// How long a process may take until it says that it is ready, or to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a command and waits until it says that it is ready. Its log goes behind what is in the file.
    ///
    /// A write beyond a file-size limit fails instead of ending the process (SIGXFSZ is ignored), so that a limit can
    /// play the full disk.
    pub fn start(command: &str, config: &str, log: &Path) -> Process {
        assert!(Path::new(config).is_file());
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut started = Command::new("sh");
        started.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", PROGRAM, command, "--config", config]);
        let mut child = started.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
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
        self.signal("TERM");
        self.ended().success()
    }

    /// SIGSTOP: it stands still, its sockets stay open.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(asked.elapsed() < PATIENCE, "process {} does not end", self.child.id());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
