//! Connections: accepted, shaken hands with, served, cut off, drained. Every wait here has an end.
//!
//! An HTTP connection without an open request lives as long as its idle limit and no longer, whatever trickles in: half a
//! header is no request. That one clock covers silent, slow and finished clients under HTTP/1.1 and HTTP/2 alike.

use super::authentication::Peer;
use super::framed;
use super::measure::{HANDSHAKES_FAILED, OPEN_CONNECTIONS};
use super::settings::Limits;
use super::tls::{Acceptor, client_key_hash};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// How long a connection that was asked to end may take before it is dropped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The open door.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Handle {
    /// Of a task that accepts connections until it is told to stop.
    pub(super) fn new(address: SocketAddr, stop: watch::Sender<bool>, accepting: JoinHandle<()>) -> Handle {
        Handle { address, stop, accepting }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the door: accepts no more, awaits open requests up to the drain limit, then cuts off what is left.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        // The task ends by itself; it has nothing to tell.
        let _ = self.accepting.await;
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Http,
    Frames,
}

impl Speech {
    pub fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Speech::Http => &[b"h2", b"http/1.1"],
            Speech::Frames => &[],
        }
    }
}

/// Accepts connections until the handle says otherwise.
pub(super) fn accept(
    (listener, speech): (TcpListener, Speech),
    tls: Acceptor,
    router: Router,
    limits: Arc<Limits>,
) -> std::io::Result<Handle> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let hall = Hall {
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        places: Arc::new(Semaphore::new(limits.connections)),
        speech,
        tls,
        router,
        limits,
        stopping,
    };
    let accepting = tokio::spawn(hall.accept_all(listener));
    Ok(Handle { address, stop, accepting })
}

/// What all connections share.
#[derive(Clone)]
struct Hall {
    speech: Speech,
    tls: Acceptor,
    router: Router,
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Hall {
    async fn accept_all(self, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                (stream, address, place) = self.next(&listener) => {
                    open.spawn(self.clone().attend(stream, address, place));
                }
            }
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        let _ = timeout(self.limits.drain_timeout(), all).await;
        open.shutdown().await;
    }

    /// A place first, then a connection for it: what is beyond the bound waits in the listener's queue.
    async fn next(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, address)) => return (stream, address, place),
                // Out of descriptors, or the client is gone already: neither gets better by asking at once.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn attend(self, stream: TcpStream, address: SocketAddr, _place: OwnedSemaphorePermit) {
        let _counted = Counted::new();
        // Without it small answers wait for acknowledgements; where it cannot be set they are merely late.
        let _ = stream.set_nodelay(true);
        let shaken = timeout(self.limits.handshake_timeout(), self.shake_hands(stream)).await;
        match shaken {
            Ok(Ok(stream)) => {
                let certificate_key = client_key_hash(stream.get_ref().1);
                let peer = Peer { certificate_key, address: address.ip(), signed: None, asked: None };
                match self.speech {
                    Speech::Http => self.serve(stream, peer).await,
                    Speech::Frames => framed::converse(stream, peer, self.router, self.limits, self.stopping).await,
                }
            }
            Ok(Err(_)) => metrics::counter!(HANDSHAKES_FAILED, "reason" => "refused").increment(1),
            Err(_) => metrics::counter!(HANDSHAKES_FAILED, "reason" => "timeout").increment(1),
        }
    }

    async fn shake_hands(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let _turn = self.handshakes.acquire().await.expect("the semaphore is never closed");
        self.tls.accept(stream).await
    }

    async fn serve(mut self, stream: TlsStream<TcpStream>, peer: Peer) {
        let server = http_server(&self.limits, stream.get_ref().1.alpn_protocol());
        let pulse = Pulse::new(&self.limits);
        let router = self.router;
        let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
            let beat = pulse.beat();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let answer = router.clone().oneshot(request);
            async move {
                let _beat = beat;
                answer.await
            }
        });
        let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = pulse.silence() => {}
            _ = self.stopping.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        let last_words = async {
            pulse.rest().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            _ended = connection => {}
            () = last_words => {}
        }
    }
}

fn http_server(limits: &Limits, protocol: Option<&[u8]>) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(limits.header_bytes).max_headers(limits.headers);
    server
        .http2()
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_per_connection);
    // The handshake has settled it; guessing from the first bytes would be one more wait without an end.
    if protocol == Some(b"h2") { server.http2_only() } else { server.http1_only() }
}

/// Whether a connection has an open request, and since when not.
///
/// Nobody is woken when a request begins or ends, unless the connection is asked to end: whoever looks for silence looks
/// again when it could have lasted long enough.
#[derive(Clone)]
struct Pulse(Arc<PulseState>);

struct PulseState {
    open: Mutex<Open>,
    rested: Notify,
    idle_limit: Duration,
}

#[derive(Clone, Copy)]
struct Open {
    requests: usize,
    /// Where no request is open: when the connection is idle for too long.
    idle_until: Instant,
}

impl Pulse {
    fn new(limits: &Limits) -> Pulse {
        let idle_until = Instant::now() + limits.first_request_timeout();
        let open = Mutex::new(Open { requests: 0, idle_until });
        Pulse(Arc::new(PulseState { open, rested: Notify::new(), idle_limit: limits.idle_timeout() }))
    }

    /// A request begins; it ends when the beat is dropped.
    fn beat(&self) -> Beat {
        self.0.open().requests += 1;
        Beat(self.clone())
    }

    /// Ends when no request was open for too long.
    async fn silence(&self) {
        loop {
            let now = Instant::now();
            let Open { requests, idle_until } = *self.0.open();
            match requests {
                0 if now >= idle_until => return,
                0 => sleep_until(idle_until).await,
                // Silence that begins from here on cannot be too long before that.
                _ => sleep_until(now + self.0.idle_limit).await,
            }
        }
    }

    /// Ends when no request is open.
    async fn rest(&self) {
        loop {
            let rested = self.0.rested.notified();
            if self.0.open().requests == 0 {
                return;
            }
            rested.await;
        }
    }
}

impl PulseState {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Beat(Pulse);

impl Drop for Beat {
    fn drop(&mut self) {
        let state = &self.0.0;
        let mut open = state.open();
        open.requests -= 1;
        open.idle_until = Instant::now() + state.idle_limit;
        if open.requests == 0 {
            state.rested.notify_waiters();
        }
    }
}

/// One open connection in the gauge.
struct Counted;

impl Counted {
    fn new() -> Counted {
        metrics::gauge!(OPEN_CONNECTIONS).increment(1.0);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(OPEN_CONNECTIONS).decrement(1.0);
    }
}
