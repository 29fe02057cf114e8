//! The banks' side of the wire: connects or is dialled, reads and writes frames, and reports what was certainly not
//! sent.
//!
//! Knows bytes and frames, not fields: what a frame says, when to connect again and what a lost line means is decided
//! by the switch. Each link is a task of its own that obeys commands and reports [`Event`]s.

mod line;
mod listener;
mod settings;
mod source;
mod tls;

#[cfg(test)]
mod tests;

pub use settings::{Addresses, Duplicate, LinkSettings, MinVersion, TlsSettings};

use crate::clock::Clock;
use crate::framing::Framing;
use crate::keys::KeyService;
use crate::payment::{Monotonic, Name};
use crate::security::{KeySlot, OfferedKey, Seal};
use crate::switch::{Event, Frame, LinkId, SendId};
use line::{Line, Source};
use listener::Listener;
use source::Dialler;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What a link is told to do.
#[derive(Debug)]
enum Command {
    Connect,
    Disconnect,
    Send(Outgoing),
}

/// A frame on its way out.
#[derive(Debug)]
struct Outgoing {
    id: SendId,
    frame: Frame,
    /// What is filled in just before it is written.
    seals: Vec<Seal>,
    send_by: Monotonic,
}

/// Why links cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file cannot be read, or is not what it should be.
    #[error("{}: expected {expected}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A name that no certificate can bear.
    #[error("tls.server_name: {0:?} is no name that a certificate can bear")]
    ServerName(String),
    /// A link that is dialled needs a certificate to show.
    #[error("tls.certificate_file: a link that is dialled needs one")]
    NoCertificate,
    /// Certificate and key are not usable together.
    #[error("TLS to a bank: {0}")]
    Tls(#[from] rustls::Error),
    /// The issuers of banks' certificates are not usable.
    #[error("certificates of banks: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// An address cannot be bound.
    #[error("cannot listen for banks on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// All links, each with its task.
#[derive(Debug)]
pub struct Links {
    commands: Vec<mpsc::Sender<Command>>,
    tasks: Vec<JoinHandle<()>>,
    /// Nobody is let in any more.
    closing: watch::Sender<bool>,
    /// Where banks dial in.
    listening: Vec<SocketAddr>,
    keys: Arc<dyn KeyService>,
    events: mpsc::Sender<Event>,
}

impl Links {
    /// Starts a task for each link, in the order of their [`LinkId`]s, and the listeners they need. `queue` bounds the
    /// frames that wait on a link: the credit of the switch, so that handing over never waits.
    pub async fn start(
        links: Vec<(LinkSettings, Framing)>,
        events: &mpsc::Sender<Event>,
        clock: Clock,
        keys: &Arc<dyn KeyService>,
        queue: usize,
    ) -> Result<Links, LinkError> {
        let mut listeners: Vec<(SocketAddr, Listener)> = Vec::new();
        let mut lines = Vec::with_capacity(links.len());
        let (closing, closes) = watch::channel(false);
        for (number, (settings, framing)) in (0..).zip(links) {
            let source = source_of(&settings, &mut listeners).await?;
            let (link, keys, events, closes) = (LinkId(number), Arc::clone(keys), events.clone(), closes.clone());
            lines.push(Line { link, settings, source, framing, keys, events, clock, closes });
        }
        let listening = listeners.iter().filter_map(|(_, listener)| listener.address()).collect();
        let (keys, events) = (Arc::clone(keys), events.clone());
        let mut started = Links { commands: Vec::new(), tasks: Vec::new(), closing, listening, keys, events };
        started.tasks.extend(listeners.into_iter().map(|(_, listener)| tokio::spawn(listener.run())));
        for line in lines {
            let (commands, received) = mpsc::channel(queue);
            started.commands.push(commands);
            started.tasks.push(tokio::spawn(line.run(received)));
        }
        Ok(started)
    }

    /// Where banks dial in, an address a listener.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Connects a link, or waits for its bank to dial in.
    pub fn connect(&self, link: LinkId) {
        self.command(link, Command::Connect);
    }

    /// Ends the connection of a link.
    pub fn disconnect(&self, link: LinkId) {
        self.command(link, Command::Disconnect);
    }

    /// Hands a frame to a link; `false` where it has no room, which means that it certainly is not sent.
    pub fn send(
        &self,
        link: LinkId,
        id: SendId,
        frame: impl Into<Frame>,
        seals: Vec<Seal>,
        send_by: Monotonic,
    ) -> bool {
        let frame = frame.into();
        self.command(link, Command::Send(Outgoing { id, frame, seals, send_by }))
    }

    /// Has the key service take what a host offers, apart from everything that must not wait.
    pub fn take_keys(&self, host: Name, number: u32, offered: Vec<OfferedKey>) {
        let (keys, events) = (Arc::clone(&self.keys), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let fault = keys.take(&host, number, &offered).err();
            if let Some(fault) = &fault {
                tracing::error!(%host, number, %fault, "the keys that the bank sent were not taken");
            }
            let fault = fault.map(|fault| fault.code());
            let _ = events.blocking_send(Event::KeysTaken { host, number, fault });
        });
    }

    /// Has the key service forget a key.
    pub fn forget_key(&self, slot: &KeySlot) {
        self.keys.forget(slot);
    }

    /// Judges a frame once more.
    pub fn judge(&self, link: LinkId, frame: Frame) -> Event {
        let mac = self.keys.verify(link, &frame);
        Event::Judged { link, frame, mac }
    }

    fn command(&self, link: LinkId, command: Command) -> bool {
        self.commands.get(usize::from(link.0)).is_some_and(|commands| commands.try_send(command).is_ok())
    }

    /// The switch is draining: nobody waits for a bank to dial in any more. Lines that stand go on.
    pub fn let_nobody_in(&self) {
        self.closing.send_if_modified(|closing| !std::mem::replace(closing, true));
    }

    /// Ends all tasks.
    pub async fn stop(self) {
        drop(self.commands);
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

async fn source_of(settings: &LinkSettings, listeners: &mut Vec<(SocketAddr, Listener)>) -> Result<Source, LinkError> {
    let Some(address) = settings.listen else {
        let tls = settings.tls.as_ref().map(tls::Connector::read).transpose()?;
        return Ok(Source::Dials(Dialler::new(settings, tls)));
    };
    if let Some((_, listener)) = listeners.iter_mut().find(|(bound, _)| *bound == address) {
        return Ok(Source::IsDialled(listener.add(settings)));
    }
    let mut listener = Listener::bind(address, settings).await?;
    let source = Source::IsDialled(listener.add(settings));
    listeners.push((address, listener));
    Ok(source)
}
