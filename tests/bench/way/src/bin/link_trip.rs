//! A bank link that carries frames to an echo and back: the shell of the links, its framing, and nothing else.
//!
//! `link_trip SECONDS IN_FLIGHT` prints one JSON object: round trips, and processor time of both ends together.

use bytes::{Bytes, BytesMut};
use isthmus::bank::{LinkSettings, Links};
use isthmus::clock::Clock;
use isthmus::framing::{Frame, Framer, Framing, Settings};
use isthmus::keys::{KeyService, SoftwareKeys};
use isthmus::load::processor::Usage;
use isthmus::switch::{Event, LinkId, SendId};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::Decoder;

/// About what an authorisation takes.
const FRAME_BYTES: usize = 150;
/// How long a frame may wait to be written.
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().ok_or("link_trip SECONDS IN_FLIGHT")?.parse()?;
    let in_flight: u64 = arguments.next().ok_or("link_trip SECONDS IN_FLIGHT")?.parse()?;
    let bank = TcpListener::bind("127.0.0.1:0").await?;
    let settings: LinkSettings = toml::from_str(&format!("connect = \"{}\"", bank.local_addr()?))?;
    let framing = Framing::new(&Settings::default())?;
    tokio::spawn(echo(bank, framing.clone()));

    let (events, mut reported) = mpsc::channel(8192);
    let clock = Clock::start();
    let keys: Arc<dyn KeyService> = Arc::new(SoftwareKeys::default());
    let links = Links::start(vec![(settings, framing)], &events, clock, &keys, 8192).await?;
    links.connect(LinkId(0));
    let (mut trips, mut sent, mut batch) = (0_u64, 0_u64, Vec::new());
    let before = Usage::own().ok_or("no account of processor time")?;
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        reported.recv_many(&mut batch, 512).await;
        for event in batch.drain(..) {
            let more = match event {
                Event::Connected { .. } => in_flight,
                Event::Arrived { .. } => {
                    trips += 1;
                    1
                }
                other => return Err(format!("the link reports {other:?}").into()),
            };
            for _ in 0..more {
                sent += 1;
                let frame = Bytes::from_static(&[b'7'; FRAME_BYTES]);
                if !links.send(LinkId(0), SendId(sent), frame, Vec::new(), clock.monotonic().after(PATIENCE)) {
                    return Err("the link has no room".into());
                }
            }
        }
    }
    let took = began.elapsed();
    let used = Usage::own().ok_or("no account of processor time")?.since(&before);
    let report = serde_json::json!({
        "round_trips": trips,
        "per_second": trips as f64 / took.as_secs_f64(),
        "cpu_us_each": used.whole.as_secs_f64() * 1e6 / trips.max(1) as f64,
    });
    println!("{report}");
    Ok(())
}

/// The bank's end: whatever is there is answered in one write.
async fn echo(bank: TcpListener, framing: Framing) -> Result<(), Failure> {
    let (mut stream, _): (TcpStream, _) = bank.accept().await?;
    stream.set_nodelay(true)?;
    let (mut framer, mut came, mut goes) = (Framer::new(framing.clone()), BytesMut::new(), BytesMut::new());
    loop {
        while let Some(frame) = framer.decode(&mut came)? {
            match frame {
                Frame::Message(message) => framing.put(&message, &mut goes)?,
                Frame::KeepAlive => framing.put_keep_alive(&mut goes),
            }
        }
        stream.write_all(&goes).await?;
        goes.clear();
        if stream.read_buf(&mut came).await? == 0 {
            return Ok(());
        }
    }
}
