//! A line between the switch and the bank on which frames get lost, doubled, late, torn, or into the wrong order.
//!
//! It reads frames with our own framer, so that a fault hits a message and not some bytes; what it carries it never
//! understands. One fault at a time, drawn frame by frame from a seed. Where the line is under TLS, it ends here: the
//! switch's side is sealed, the bank's is not.

use crate::seal::{Read, Seal, Write};
use bytes::{BufMut, Bytes, BytesMut};
use isthmus::framing::{Frame, Framer, Framing};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What goes wrong on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WireFault {
    /// A message in four never arrives.
    Lost,
    /// One in four arrives twice.
    Doubled,
    /// One in four is held up, and all behind it.
    Late,
    /// One in four arrives behind the one that follows it.
    Swapped,
    /// The line closes in the middle of a message.
    Torn,
    /// The line is reset.
    Reset,
    /// The line stays open, and nothing that the switch writes arrives.
    DeafBank,
    /// The line stays open, and nothing that the bank writes arrives.
    DumbBank,
    /// Messages arrive in crumbs, and several in one piece.
    Crumbled,
    /// A bit is wrong in a length or in a character. What leaves a message readable and changes its meaning is for a
    /// MAC to find: only a bit that no character of the standard has is touched.
    Garbled,
    /// Lines are refused.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToBank,
    ToSwitch,
}

/// What becomes of a frame.
enum Fate {
    Passes,
    Vanishes,
    Repeats,
    Waits(Duration),
    IsOvertaken,
    Tears(usize),
    Resets,
    Crumbles,
    Garbles,
}

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// How long one that is overtaken waits for the one that overtakes it.
const OVERTAKEN_AT_MOST: Duration = Duration::from_millis(300);

/// Who makes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialler {
    Switch,
    Bank,
}

/// The line; it ends with its value.
pub struct Proxy {
    /// Where the dialler finds it.
    pub address: SocketAddr,
    line: Arc<Line>,
    listening: JoinHandle<()>,
}

struct Line {
    /// The end that is dialled.
    far: SocketAddr,
    dialler: Dialler,
    seal: Seal,
    state: Mutex<State>,
    /// Lines are to end.
    refused: Notify,
}

struct State {
    fault: Option<WireFault>,
    hit: u64,
    random: fastrand::Rng,
}

impl Proxy {
    /// Carries to the far end what comes to an address of its own.
    pub async fn start(far: SocketAddr, dialler: Dialler, seal: Seal, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(State { fault: None, hit: 0, random: fastrand::Rng::with_seed(seed) });
        let line = Arc::new(Line { far, dialler, seal, state, refused: Notify::new() });
        let listening = tokio::spawn(listen(listener, Arc::clone(&line)));
        Proxy { address, line, listening }
    }

    /// From now on this goes wrong.
    pub fn inflict(&self, fault: WireFault) {
        let mut state = self.line.state();
        (state.fault, state.hit) = (Some(fault), 0);
        drop(state);
        if fault == WireFault::Refused {
            self.line.refused.notify_waiters();
        }
    }

    /// How many frames or lines it has hit.
    pub fn hit(&self) -> u64 {
        self.line.state().hit
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.line.state().fault = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        if line.refuses() {
            let _ = near.set_zero_linger();
            continue;
        }
        tokio::spawn(carry(near, Arc::clone(&line)));
    }
}

/// One connection, from its dialler to its end. It ends at once where nobody is at the far end.
async fn carry(near: TcpStream, line: Arc<Line>) {
    let Ok(far) = TcpStream::connect(line.far).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (switch, bank) = match line.dialler {
        Dialler::Switch => (near, far),
        Dialler::Bank => (far, near),
    };
    let (Some((switch, switch_end)), Some((bank, bank_end))) = (second_hand(switch), second_hand(bank)) else { return };
    let Some((from_switch, to_switch)) = line.seal.open(switch).await else { return };
    let (from_bank, to_bank) = bank.into_split();
    let mut there = Pump::new(Way::ToBank, from_switch, Box::new(to_bank), Arc::clone(&line));
    let mut back = Pump::new(Way::ToSwitch, Box::new(from_bank), to_switch, Arc::clone(&line));
    let end = tokio::select! {
        end = there.run() => end,
        end = back.run() => end,
        () = line.refused.notified() => {
            line.state().hit += 1;
            End::Closed
        }
    };
    if end == End::Reset {
        let _ = (switch_end.set_zero_linger(), bank_end.set_zero_linger());
    }
}

/// A second hand on a connection, by which it can be reset whatever lies around the first.
fn second_hand(stream: TcpStream) -> Option<(TcpStream, TcpStream)> {
    let stream = stream.into_std().ok()?;
    let second = stream.try_clone().ok()?;
    Some((TcpStream::from_std(stream).ok()?, TcpStream::from_std(second).ok()?))
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn refuses(&self) -> bool {
        let mut state = self.state();
        let refuses = state.fault == Some(WireFault::Refused);
        state.hit += u64::from(refuses);
        refuses
    }

    fn fate(&self, way: Way, length: usize) -> Fate {
        let mut state = self.state();
        let one_in = |random: &mut fastrand::Rng, n: u32| random.u32(..n) == 0;
        let random = &mut state.random.fork();
        let fate = match state.fault {
            Some(WireFault::Lost) if one_in(random, 4) => Fate::Vanishes,
            Some(WireFault::Doubled) if one_in(random, 4) => Fate::Repeats,
            Some(WireFault::Late) if one_in(random, 4) => Fate::Waits(Duration::from_millis(random.u64(20..1500))),
            Some(WireFault::Swapped) if one_in(random, 4) => Fate::IsOvertaken,
            Some(WireFault::Torn) if one_in(random, 12) => Fate::Tears(random.usize(1..length)),
            Some(WireFault::Reset) if one_in(random, 12) => Fate::Resets,
            Some(WireFault::DeafBank) if way == Way::ToBank => Fate::Vanishes,
            Some(WireFault::DumbBank) if way == Way::ToSwitch => Fate::Vanishes,
            Some(WireFault::Crumbled) => Fate::Crumbles,
            Some(WireFault::Garbled) if one_in(random, 4) => Fate::Garbles,
            _ => return Fate::Passes,
        };
        state.hit += 1;
        fate
    }

    fn random(&self) -> fastrand::Rng {
        self.state().random.fork()
    }
}

/// One direction of a connection.
struct Pump {
    way: Way,
    read: Read,
    write: Write,
    line: Arc<Line>,
    framer: Framer,
    buffer: BytesMut,
    /// Waits for the one that overtakes it.
    overtaken: Option<Bytes>,
}

impl Pump {
    fn new(way: Way, read: Read, write: Write, line: Arc<Line>) -> Pump {
        let framer = Framer::new(Framing::default());
        Pump { way, read, write, line, framer, buffer: BytesMut::new(), overtaken: None }
    }

    async fn run(&mut self) -> End {
        loop {
            let step = match self.next() {
                Some(Frame::Message(frame)) => self.forward(frame).await,
                Some(Frame::KeepAlive) => Ok(()),
                None => self.read_more().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Both ends are ours and frame alike: what is no frame can't come.
    fn next(&mut self) -> Option<Frame> {
        tokio_util::codec::Decoder::decode(&mut self.framer, &mut self.buffer).unwrap()
    }

    async fn read_more(&mut self) -> Result<(), End> {
        let patience = if self.overtaken.is_some() { OVERTAKEN_AT_MOST } else { Duration::from_secs(3600) };
        match tokio::time::timeout(patience, self.read.read_buf(&mut self.buffer)).await {
            Ok(Ok(0) | Err(_)) => Err(End::Closed),
            Ok(Ok(_)) => Ok(()),
            Err(_) => self.let_overtaken_go().await,
        }
    }

    async fn forward(&mut self, frame: Bytes) -> Result<(), End> {
        let framed = framed(&frame);
        match self.line.fate(self.way, framed.len()) {
            Fate::Passes => self.put(&framed).await?,
            Fate::Vanishes => {}
            Fate::Repeats => {
                self.put(&framed).await?;
                self.put(&framed).await?;
            }
            Fate::Waits(pause) => {
                tokio::time::sleep(pause).await;
                self.put(&framed).await?;
            }
            Fate::IsOvertaken => {
                self.let_overtaken_go().await?;
                self.overtaken = Some(framed);
                return Ok(());
            }
            Fate::Tears(at) => {
                self.put(&framed[..at]).await?;
                return Err(End::Closed);
            }
            Fate::Resets => return Err(End::Reset),
            Fate::Crumbles => self.put_crumbs(framed).await?,
            Fate::Garbles => {
                let garbled = self.garble(framed);
                self.put(&garbled).await?;
            }
        }
        self.let_overtaken_go().await
    }

    async fn let_overtaken_go(&mut self) -> Result<(), End> {
        match self.overtaken.take() {
            Some(overtaken) => self.put(&overtaken).await,
            None => Ok(()),
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        let written = async {
            self.write.write_all(bytes).await?;
            self.write.flush().await
        };
        written.await.map_err(|_: std::io::Error| End::Closed)
    }

    /// All that is there in one piece, cut where no message ends.
    async fn put_crumbs(&mut self, first: Bytes) -> Result<(), End> {
        let mut all = BytesMut::from(&first[..]);
        while let Some(Frame::Message(frame)) = self.next() {
            all.put(framed(&frame));
        }
        let mut random = self.line.random();
        while !all.is_empty() {
            let crumb = all.split_to(random.usize(1..90).min(all.len()));
            self.put(&crumb).await?;
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        Ok(())
    }

    fn garble(&self, framed: Bytes) -> Bytes {
        let mut random = self.line.random();
        let mut garbled = BytesMut::from(&framed[..]);
        let place = if random.u32(..4) == 0 { 0 } else { random.usize(2..framed.len()) };
        garbled[place] ^= 0x80;
        garbled.freeze()
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    Framing::default().put(message, &mut framed).unwrap();
    framed.freeze()
}
