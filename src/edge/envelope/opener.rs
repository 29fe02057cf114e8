//! Threads that do nothing but open envelopes, with a queue that is as long as there are credits.

use super::jwe::Unreadable;
use super::xml_enc::EncryptedData;
use super::{Keyring, Opened};
use crate::edge::measure::ENVELOPE_OPEN_SECONDS;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// Hands what is sealed to the threads.
pub(in crate::edge) struct Opener {
    queue: SyncSender<Job>,
}

/// Something to open.
pub(in crate::edge) enum Sealed {
    /// A compact JWE.
    Jwe(Zeroizing<Vec<u8>>),
    /// An `EncryptedData`.
    Xml(EncryptedData),
}

struct Job {
    sealed: Sealed,
    /// The key's name, where it stands beside what is sealed.
    named: Option<String>,
    begun: Instant,
    opened: oneshot::Sender<Result<Opened, Unreadable>>,
}

/// The queue is full: more was asked for than there are credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) struct QueueFull;

impl Opener {
    /// Starts the threads; they end when the opener is dropped.
    pub(in crate::edge) fn start(keyring: Arc<Keyring>, threads: usize, queue: usize) -> std::io::Result<Opener> {
        let (sender, receiver) = sync_channel(queue.max(1));
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let (keyring, receiver) = (Arc::clone(&keyring), Arc::clone(&receiver));
            let thread = std::thread::Builder::new().name(format!("envelope-{number}"));
            thread.spawn(move || work(&keyring, &receiver))?;
        }
        Ok(Opener { queue: sender })
    }

    /// Opens.
    pub(in crate::edge) async fn open(
        &self,
        sealed: Sealed,
        named: Option<String>,
    ) -> Result<Result<Opened, Unreadable>, QueueFull> {
        let (opened, awaited) = oneshot::channel();
        self.queue.try_send(Job { sealed, named, begun: Instant::now(), opened }).map_err(|_| QueueFull)?;
        // A thread that is gone without an answer has opened nothing.
        Ok(awaited.await.unwrap_or(Err(Unreadable)))
    }
}

fn work(keyring: &Keyring, queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let named = job.named.as_deref();
        let opened = match job.sealed {
            Sealed::Jwe(token) => keyring.open(&token, named),
            Sealed::Xml(data) => keyring.open_xml(data, named),
        };
        let outcome = if opened.is_ok() { "opened" } else { "unreadable" };
        metrics::histogram!(ENVELOPE_OPEN_SECONDS, "outcome" => outcome).record(job.begun.elapsed());
        // Whoever asked may have hung up.
        let _ = job.opened.send(opened);
    }
}
