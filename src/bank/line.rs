//! The task of one link.
//!
//! Frames that wait are gathered into one write. What was put into a write may have reached the peer, however the
//! write ended; what was still waiting certainly did not, and is reported so. A write that the peer does not take in
//! time ends the line: nothing waits behind it for longer.

use super::listener::Dialled;
use super::source::{Connection, Dialler};
use super::{Command, LinkSettings, Outgoing};
use crate::clock::Clock;
use crate::framing::{Frame, Framer, Framing};
use crate::keys::{KeyService, SealFault};
use crate::security::Seal;
use crate::switch::{Event, LinkId, SendId};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::Decoder;

/// The most frames that are gathered into one write.
const GATHERED: usize = 256;
/// How long a peer may take to hear that the line ends.
const GOODBYE: Duration = Duration::from_millis(500);

/// A link's task.
pub(super) struct Line {
    pub link: LinkId,
    pub settings: LinkSettings,
    pub source: Source,
    pub framing: Framing,
    pub keys: Arc<dyn KeyService>,
    pub events: mpsc::Sender<Event>,
    pub clock: Clock,
    /// Whether nobody is waited for any more.
    pub closes: watch::Receiver<bool>,
}

/// Where a link's connections come from.
pub(super) enum Source {
    Dials(Dialler),
    IsDialled(Dialled),
}

/// Why a connection ended, or none was made.
enum Ended {
    /// The peer closed it, it broke, or what came is no frame.
    Broken,
    /// We were told to.
    Told,
    /// The switch is gone.
    Over,
}

impl Line {
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut replacement = None;
        while let Some(command) = commands.recv().await {
            match command {
                Command::Connect => {
                    if matches!(self.connect(&mut commands, &mut replacement).await, Ended::Over) {
                        return;
                    }
                }
                Command::Disconnect => {}
                Command::Send(outgoing) => self.report_unsent(vec![outgoing.id]).await,
            }
        }
    }

    /// One connection, from the attempt to its end.
    async fn connect(&mut self, commands: &mut mpsc::Receiver<Command>, replacement: &mut Option<Connection>) -> Ended {
        let mut unsent = Vec::new();
        let made = match (replacement.take(), &mut self.source) {
            (Some(connection), _) => Ok(connection),
            (None, Source::Dials(dialler)) => dialler.dial().await.map_err(|(address, why)| {
                tracing::warn!(link = self.link.0, to = address, %why, "cannot connect to the bank");
                Ended::Broken
            }),
            (None, Source::IsDialled(dialled)) => dialled.wait(commands, &mut self.closes, &mut unsent).await,
        };
        let ended = match made {
            Ok(connection) => self.carry(connection, commands, replacement, &mut unsent).await,
            Err(ended) => ended,
        };
        self.report(Event::Disconnected { link: self.link, unsent }).await;
        ended
    }

    async fn carry(
        &mut self,
        connection: Connection,
        commands: &mut mpsc::Receiver<Command>,
        replacement: &mut Option<Connection>,
        unsent: &mut Vec<SendId>,
    ) -> Ended {
        tracing::info!(link = self.link.0, peer = %connection.peer, "a line to the bank stands");
        self.report(Event::Connected { link: self.link }).await;
        let polled = Arc::new(Notify::new());
        let (read, mut write) = (connection.read, connection.write);
        let (events, keys) = (self.events.clone(), Arc::clone(&self.keys));
        let reader = Reader { link: self.link, read, events, keys, polled: Arc::clone(&polled) };
        let mut reading = tokio::spawn(reader.run(Framer::new(self.framing.clone())));
        let ended = self.write_until_end(&mut write, commands, replacement, &mut reading, &polled, unsent).await;
        let _ = timeout(GOODBYE, write.shutdown()).await;
        if let (Source::IsDialled(dialled), None) = (&self.source, &replacement) {
            dialled.taken.free();
        }
        ended
    }

    /// Writes until the connection ends on either side; the reader is over by then, so that nothing it read is
    /// reported behind the end.
    async fn write_until_end(
        &mut self,
        write: &mut (impl AsyncWrite + Unpin),
        commands: &mut mpsc::Receiver<Command>,
        replacement: &mut Option<Connection>,
        reading: &mut JoinHandle<()>,
        polled: &Notify,
        unsent: &mut Vec<SendId>,
    ) -> Ended {
        let mut gathered = Vec::with_capacity(GATHERED);
        let mut bytes = BytesMut::with_capacity(16 * 1024);
        let ended = loop {
            tokio::select! {
                biased;
                // A task that has ended is not to be waited for again.
                _ = &mut *reading => return Ended::Broken,
                () = polled.notified() => {
                    self.framing.put_keep_alive(&mut bytes);
                    if !self.write(write, &mut bytes).await {
                        break Ended::Broken;
                    }
                }
                next = self.source.replaced() => {
                    *replacement = Some(next);
                    break Ended::Broken;
                }
                count = commands.recv_many(&mut gathered, GATHERED) => {
                    if count == 0 {
                        break Ended::Over;
                    }
                    let told = self.gather(&mut gathered, &mut bytes, unsent).await;
                    if !self.write(write, &mut bytes).await {
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
        let (now, mut late, mut unsealed, mut told) = (self.clock.monotonic(), Vec::new(), Vec::new(), false);
        for command in gathered.drain(..) {
            match command {
                Command::Send(Outgoing { id, .. }) if told => unsent.push(id),
                Command::Send(Outgoing { id, send_by, .. }) if send_by < now => late.push(id),
                Command::Send(Outgoing { id, frame, seals, .. }) => match self.sealed(frame.into_bytes(), &seals) {
                    Err(fault) => unsealed.push((id, fault.code())),
                    Ok(frame) if self.framing.put(&frame, bytes).is_err() => late.push(id),
                    Ok(_) => {}
                },
                Command::Disconnect => told = true,
                Command::Connect => {}
            }
        }
        if !late.is_empty() {
            self.report_unsent(late).await;
        }
        for (id, fault) in unsealed {
            self.report(Event::Unsealed { link: self.link, sends: vec![id], fault }).await;
        }
        told
    }

    /// The frame with everything filled in.
    fn sealed(&self, frame: Bytes, seals: &[Seal]) -> Result<Bytes, SealFault> {
        if seals.is_empty() {
            return Ok(frame);
        }
        let mut sealed = BytesMut::from(frame);
        self.keys.seal(&mut sealed, seals).inspect_err(|fault| {
            tracing::error!(link = self.link.0, %fault, "a frame could not be sealed");
        })?;
        Ok(sealed.freeze())
    }

    async fn write(&self, write: &mut (impl AsyncWrite + Unpin), bytes: &mut BytesMut) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let patience = Duration::from_millis(self.settings.write_timeout_ms);
        let written = timeout(patience, async {
            write.write_all(bytes).await?;
            // TLS may hold a part of it back.
            write.flush().await
        });
        let written = written.await;
        bytes.clear();
        if written.is_err() {
            tracing::warn!(link = self.link.0, "the bank does not read what it is sent");
        }
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

impl Source {
    /// A connection that takes the place of the one that stands; never comes where we dial.
    async fn replaced(&mut self) -> Connection {
        match self {
            Source::IsDialled(dialled) => match dialled.connections.recv().await {
                Some(connection) => connection,
                None => std::future::pending().await,
            },
            Source::Dials(_) => std::future::pending().await,
        }
    }
}

impl Dialled {
    /// Waits for the bank to dial in, for as long as nobody has anything against it.
    async fn wait(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        closes: &mut watch::Receiver<bool>,
        unsent: &mut Vec<SendId>,
    ) -> Result<Connection, Ended> {
        loop {
            tokio::select! {
                biased;
                _ = closes.wait_for(|closing| *closing) => return Err(Ended::Told),
                command = commands.recv() => match command {
                    None => return Err(Ended::Over),
                    Some(Command::Disconnect) => return Err(Ended::Told),
                    Some(Command::Send(outgoing)) => unsent.push(outgoing.id),
                    Some(Command::Connect) => {}
                },
                Some(connection) = self.connections.recv() => return Ok(connection),
            }
        }
    }
}

/// The reading half of a connection.
struct Reader<R> {
    link: LinkId,
    read: R,
    events: mpsc::Sender<Event>,
    keys: Arc<dyn KeyService>,
    /// Told when the peer polls and expects an empty frame back; many polls before an answer are one.
    polled: Arc<Notify>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
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
                    let mac = self.keys.verify(self.link, &frame);
                    if self.events.send(Event::Arrived { link: self.link, frame: frame.into(), mac }).await.is_err() {
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
