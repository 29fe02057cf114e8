//! The banks' side of the wire: connects, reads and writes frames, and reports what was certainly not sent.
//!
//! Knows bytes and frames, not fields: what a frame says, when to connect again and what a lost line means is decided
//! by the switch. Each link is a task of its own that obeys commands and reports [`Event`]s.

mod line;
mod settings;

pub use settings::LinkSettings;

use crate::clock::Clock;
use crate::framing::Framing;
use crate::payment::Monotonic;
use crate::switch::{Event, LinkId, SendId};
use bytes::Bytes;
use tokio::sync::mpsc;
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
    frame: Bytes,
    send_by: Monotonic,
}

/// All links, each with its task.
#[derive(Debug)]
pub struct Links {
    commands: Vec<mpsc::Sender<Command>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Links {
    /// Starts a task for each link, in the order of their [`LinkId`]s. `queue` bounds the frames that wait on a link:
    /// the credit of the switch, so that handing over never waits.
    pub fn start(
        links: Vec<(LinkSettings, Framing)>,
        events: &mpsc::Sender<Event>,
        clock: Clock,
        queue: usize,
    ) -> Links {
        let mut started = Links { commands: Vec::new(), tasks: Vec::new() };
        for (number, (settings, framing)) in (0..).zip(links) {
            let (commands, received) = mpsc::channel(queue);
            let line = line::Line::new(LinkId(number), settings, framing, events.clone(), clock);
            started.commands.push(commands);
            started.tasks.push(tokio::spawn(line.run(received)));
        }
        started
    }

    /// Connects a link.
    pub fn connect(&self, link: LinkId) {
        self.command(link, Command::Connect);
    }

    /// Ends the connection of a link.
    pub fn disconnect(&self, link: LinkId) {
        self.command(link, Command::Disconnect);
    }

    /// Hands a frame to a link; `false` where it has no room, which means that it certainly is not sent.
    pub fn send(&self, link: LinkId, id: SendId, frame: Bytes, send_by: Monotonic) -> bool {
        self.command(link, Command::Send(Outgoing { id, frame, send_by }))
    }

    fn command(&self, link: LinkId, command: Command) -> bool {
        self.commands.get(usize::from(link.0)).is_some_and(|commands| commands.try_send(command).is_ok())
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
