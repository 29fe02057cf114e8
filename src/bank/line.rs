//! The task of one link.
//!
//! Frames that wait are gathered into one write. What was put into a write may have reached the peer, however the
//! write ended; what was still waiting certainly did not, and is reported so.

use super::{Command, LinkSettings, Outgoing};
use crate::clock::Clock;
use crate::framing::{Frame, Framer, Framing};
use crate::switch::{Event, LinkId, SendId};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::Decoder;

/// The most frames that are gathered into one write.
const GATHERED: usize = 256;

/// A link's task.
pub(super) struct Line {
    link: LinkId,
    settings: LinkSettings,
    framing: Framing,
    events: mpsc::Sender<Event>,
    clock: Clock,
}

/// Why a connection ended.
enum Ended {
    /// The peer closed it, it broke, or what came is no frame.
    Broken,
    /// We were told to.
    Told,
    /// The switch is gone.
    Over,
}

impl Line {
    pub(super) fn new(
        link: LinkId,
        settings: LinkSettings,
        framing: Framing,
        events: mpsc::Sender<Event>,
        clock: Clock,
    ) -> Line {
        Line { link, settings, framing, events, clock }
    }

    pub(super) async fn run(self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Connect => {
                    if matches!(self.connection(&mut commands).await, Ended::Over) {
                        return;
                    }
                }
                Command::Disconnect => {}
                Command::Send(outgoing) => self.report_unsent(vec![outgoing.id]).await,
            }
        }
    }

    /// One connection, from the attempt to its end.
    async fn connection(&self, commands: &mut mpsc::Receiver<Command>) -> Ended {
        let patience = Duration::from_millis(self.settings.connect_timeout_ms);
        let stream = match timeout(patience, TcpStream::connect(&self.settings.connect)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.no_connection(&error).await,
            Err(_) => return self.no_connection(&"no answer in time").await,
        };
        // Small frames must not wait for each other; that we gather them ourselves is enough.
        let _ = stream.set_nodelay(true);
        self.report(Event::Connected { link: self.link }).await;
        let (read, write) = stream.into_split();
        let polled = Arc::new(Notify::new());
        let reader = Reader { link: self.link, read, events: self.events.clone(), polled: Arc::clone(&polled) };
        let reading = tokio::spawn(reader.run(Framer::new(self.framing.clone())));
        let mut unsent = Vec::new();
        let ended = self.write_until_end(write, commands, reading, &polled, &mut unsent).await;
        self.report(Event::Disconnected { link: self.link, unsent }).await;
        ended
    }

    async fn no_connection(&self, why: &impl std::fmt::Display) -> Ended {
        tracing::warn!(link = self.link.0, to = %self.settings.connect, %why, "cannot connect to the bank");
        self.report(Event::Disconnected { link: self.link, unsent: Vec::new() }).await;
        Ended::Broken
    }

    /// Writes until the connection ends on either side; the reader is over by then, so that nothing it read is
    /// reported behind the end.
    async fn write_until_end(
        &self,
        mut write: OwnedWriteHalf,
        commands: &mut mpsc::Receiver<Command>,
        mut reading: JoinHandle<()>,
        polled: &Notify,
        unsent: &mut Vec<SendId>,
    ) -> Ended {
        let mut gathered = Vec::with_capacity(GATHERED);
        let mut bytes = BytesMut::with_capacity(16 * 1024);
        let ended = loop {
            tokio::select! {
                biased;
                _ = &mut reading => break Ended::Broken,
                () = polled.notified() => {
                    self.framing.put_keep_alive(&mut bytes);
                    if !self.write(&mut write, &mut bytes).await {
                        break Ended::Broken;
                    }
                }
                count = commands.recv_many(&mut gathered, GATHERED) => {
                    if count == 0 {
                        break Ended::Over;
                    }
                    let told = self.gather(&mut gathered, &mut bytes, unsent).await;
                    if !self.write(&mut write, &mut bytes).await {
                        break Ended::Broken;
                    }
                    if told {
                        break Ended::Told;
                    }
                }
            }
        };
        reading.abort();
        let _ = reading.await;
        ended
    }

    /// Puts what waits into one buffer, and reports what came too late. `true` where we are told to disconnect.
    async fn gather(&self, gathered: &mut Vec<Command>, bytes: &mut BytesMut, unsent: &mut Vec<SendId>) -> bool {
        let (now, mut late, mut told) = (self.clock.monotonic(), Vec::new(), false);
        for command in gathered.drain(..) {
            match command {
                Command::Send(Outgoing { id, .. }) if told => unsent.push(id),
                Command::Send(Outgoing { id, send_by, .. }) if send_by < now => late.push(id),
                Command::Send(Outgoing { id, frame, .. }) => {
                    if self.framing.put(&frame, bytes).is_err() {
                        late.push(id);
                    }
                }
                Command::Disconnect => told = true,
                Command::Connect => {}
            }
        }
        if !late.is_empty() {
            self.report_unsent(late).await;
        }
        told
    }

    async fn write(&self, write: &mut OwnedWriteHalf, bytes: &mut BytesMut) -> bool {
        let patience = Duration::from_millis(self.settings.write_timeout_ms);
        let written = timeout(patience, write.write_all(bytes)).await;
        bytes.clear();
        matches!(written, Ok(Ok(())))
    }

    async fn report_unsent(&self, sends: Vec<SendId>) {
        self.report(Event::Unsent { link: self.link, sends }).await;
    }

    async fn report(&self, event: Event) {
        // The switch outlives its links; after it there is nobody to tell.
        let _ = self.events.send(event).await;
    }
}

/// The reading half of a connection.
struct Reader {
    link: LinkId,
    read: OwnedReadHalf,
    events: mpsc::Sender<Event>,
    /// Told when the peer polls and expects an empty frame back; many polls before an answer are one.
    polled: Arc<Notify>,
}

impl Reader {
    async fn run(mut self, mut framer: Framer) {
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        while self.take_frames(&mut framer, &mut buffer).await {
            match self.read.read_buf(&mut buffer).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return tracing::info!(link = self.link.0, %error, "the line to the bank broke"),
            }
        }
    }

    /// Reports the whole frames of the buffer; `false` where the connection cannot go on.
    async fn take_frames(&self, framer: &mut Framer, buffer: &mut BytesMut) -> bool {
        loop {
            match framer.decode(buffer) {
                Ok(Some(Frame::Message(frame))) => {
                    if self.events.send(Event::Arrived { link: self.link, frame }).await.is_err() {
                        return false;
                    }
                }
                Ok(Some(Frame::KeepAlive)) => self.polled.notify_one(),
                Ok(None) => return true,
                Err(error) => {
                    tracing::warn!(link = self.link.0, %error, "the bank sent what is no frame");
                    return false;
                }
            }
        }
    }
}
