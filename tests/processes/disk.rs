//! Disks that fill up, take no writes, are in somebody's hands, do not sync, or are slow: real refusals of the system
//! on the files of a process that runs.
//!
//! Where this machine does not let us make one, [`arranged`] says so, and so does the table of the run. A failing disk
//! itself (a device that loses what was not synced) would need the device mapper; here the sync call fails and the
//! data stays, so what is shown is how the switch takes the error, not what a power cut would leave.

use crate::house::is_root;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What goes wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFault {
    /// No file may grow or be written any more: a file-size limit on the running process.
    Full,
    /// The store's files become immutable.
    ReadOnly,
    /// Another program holds a write transaction on the store.
    Held,
    /// `fsync` and `fdatasync` fail with EIO.
    SyncFails,
    /// Each of them takes 60 ms longer.
    Slow,
}

/// A fault while it lasts; it heals with its value.
pub enum Trouble {
    Limit(u32),
    Immutable(Vec<PathBuf>),
    Lock(Connection),
    Tracer(Child, PathBuf),
}

impl DiskFault {
    /// What is missing to make it, if anything.
    pub fn arranged(self) -> Result<(), &'static str> {
        let runs = |program: &str, argument: &str| {
            let quiet = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
            quiet.is_ok_and(|status| status.success())
        };
        match self {
            DiskFault::Full if !runs("prlimit", "--version") => Err("prlimit is not installed"),
            DiskFault::ReadOnly if !is_root() => Err("only root may make a file immutable"),
            DiskFault::ReadOnly => immutable_works(),
            DiskFault::SyncFails | DiskFault::Slow if !runs("strace", "-V") => Err("strace is not installed"),
            DiskFault::SyncFails | DiskFault::Slow if !is_root() => Err("only root may look into other processes"),
            _ => Ok(()),
        }
    }

    /// Brings it upon a process and its store.
    pub fn inflict(self, process: u32, store: &Path) -> Trouble {
        match self {
            DiskFault::Full => {
                limit_files(process, "1");
                Trouble::Limit(process)
            }
            DiskFault::ReadOnly => {
                let files = vec![store.to_owned(), beside(store, "wal")];
                files.iter().for_each(|file| set_immutable(file, "+i"));
                Trouble::Immutable(files)
            }
            DiskFault::Held => {
                let connection = Connection::open(store).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                Trouble::Lock(connection)
            }
            DiskFault::SyncFails => trace(process, store, "error=EIO"),
            DiskFault::Slow => trace(process, store, "delay_enter=60000"),
        }
    }
}

impl Trouble {
    /// How many calls the tracer has meddled with; `None` where there is no tracer.
    pub fn meddled(&self) -> Option<u64> {
        let Trouble::Tracer(_, log) = self else { return None };
        let log = fs::read_to_string(log).unwrap_or_default();
        Some(log.lines().filter(|line| line.contains("(INJECTED)") || line.contains("(DELAYED)")).count() as u64)
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        match self {
            Trouble::Limit(process) => limit_files(*process, "unlimited"),
            Trouble::Immutable(files) => files.iter().for_each(|file| set_immutable(file, "-i")),
            Trouble::Lock(connection) => connection.execute_batch("ROLLBACK").unwrap(),
            Trouble::Tracer(tracer, _) => {
                // It lets go of the process when it is asked to end, not when it is killed.
                let _ = Command::new("kill").args(["-TERM", &tracer.id().to_string()]).status();
                let _ = tracer.wait();
            }
        }
    }
}

/// The soft limit alone, so that it can be lifted again. A process that is gone needs none.
fn limit_files(process: u32, bytes: &str) {
    let (process, limit) = (process.to_string(), format!("--fsize={bytes}:"));
    let _ = Command::new("prlimit").args(["--pid", &process, &limit]).stderr(Stdio::null()).status();
}

fn set_immutable(file: &Path, how: &str) {
    let _ = Command::new("chattr").arg(how).arg(file).stderr(Stdio::null()).status();
}

fn immutable_works() -> Result<(), &'static str> {
    let probe = std::env::temp_dir().join(format!("isthmus-immutable-{}", std::process::id()));
    fs::write(&probe, "x").map_err(|_| "no temporary folder")?;
    set_immutable(&probe, "+i");
    let refused = fs::write(&probe, "y").is_err();
    set_immutable(&probe, "-i");
    let _ = fs::remove_file(&probe);
    if refused { Ok(()) } else { Err("files of the temporary folder cannot be made immutable") }
}

fn trace(process: u32, store: &Path, how: &str) -> Trouble {
    let log = store.with_file_name("strace.log");
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-q", "-p", &process.to_string(), "-e", "trace=fsync,fdatasync"]);
    tracer.args(["-e", &format!("inject=fsync,fdatasync:{how}"), "-o"]).arg(&log);
    Trouble::Tracer(tracer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), log)
}

fn beside(store: &Path, what: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(format!("-{what}"));
    name.into()
}
