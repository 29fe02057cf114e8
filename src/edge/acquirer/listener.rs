//! Connections of acquirers: accepted, known for who they are before they are read from, drained.

use super::Desk;
use super::conversation::converse;
use crate::edge::connections::Handle;
use crate::edge::measure::ACQUIRER_REFUSED;
use crate::edge::tls::{Acceptor, client_key_hash};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Pause after an accept that failed, which it does when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the handle says otherwise.
pub(super) fn accept(listener: TcpListener, tls: Option<Acceptor>, desk: Arc<Desk>) -> std::io::Result<Handle> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let places = Arc::new(Semaphore::new(desk.own.settings.connections));
    let hall = Hall { desk, tls, places, stopping };
    Ok(Handle::new(address, stop, tokio::spawn(hall.accept_all(listener))))
}

#[derive(Clone)]
struct Hall {
    desk: Arc<Desk>,
    tls: Option<Acceptor>,
    places: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Hall {
    async fn accept_all(self, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                (stream, peer, place) = self.next(&listener) => {
                    open.spawn(self.clone().attend(stream, peer, place));
                }
            }
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        let _ = timeout(self.desk.door.limits.drain_timeout(), all).await;
        open.shutdown().await;
    }

    /// A place first, then a connection for it: what is beyond the bound waits in the listener's queue.
    async fn next(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection of an acquirer could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn attend(self, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
        let settings = &self.desk.own.settings;
        if !settings.allow.is_empty() && !settings.allow.iter().any(|network| network.holds(peer.ip())) {
            return self.refused(peer, "address");
        }
        // Without it small answers wait for acknowledgements; where it cannot be set they are merely late.
        let _ = stream.set_nodelay(true);
        tracing::info!(door = settings.name, %peer, "an acquirer is connected");
        let Some(tls) = &self.tls else {
            return converse(stream, peer.ip(), self.desk, self.stopping).await;
        };
        match timeout(self.desk.door.limits.handshake_timeout(), tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let key = client_key_hash(stream.get_ref().1);
                let pins = &self.desk.own.pins;
                if !pins.is_empty() && !key.is_some_and(|key| pins.contains(&key)) {
                    return self.refused(peer, "certificate");
                }
                converse(stream, peer.ip(), self.desk, self.stopping).await;
            }
            Ok(Err(_)) => self.refused(peer, "handshake"),
            Err(_) => self.refused(peer, "handshake_timeout"),
        }
    }

    fn refused(&self, peer: SocketAddr, reason: &'static str) {
        let door = self.desk.own.settings.name.clone();
        tracing::warn!(door, %peer, reason, "a connection of an acquirer is refused");
        metrics::counter!(ACQUIRER_REFUSED, "door" => door, "reason" => reason).increment(1);
    }
}
