//! A bank that dials out: it keeps a link to each of its peers, and dials again when one is gone.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::Lines;

/// The pauses between two dials, the last one again and again; a link that stood begins anew.
const PAUSES_MS: [u64; 5] = [100, 200, 500, 1_000, 2_000];

/// How long a peer may take to be reached.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);

/// Keeps a link to one peer until the stop.
pub(super) async fn dial(peer: SocketAddr, lines: Lines) {
    let stop = lines.stop.clone();
    let mut pauses = PAUSES_MS.iter();
    loop {
        let dialled = tokio::select! {
            () = stop.cancelled() => return,
            dialled = tokio::time::timeout(DIAL_DEADLINE, TcpStream::connect(peer)) => dialled,
        };
        match dialled {
            Ok(Ok(stream)) => {
                pauses = PAUSES_MS.iter();
                if let Some(link) = lines.admit(peer) {
                    lines.converse(link, stream, peer, true).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "not reached"),
            Err(_) => tracing::debug!(%peer, "not reached in time"),
        }
        let pause = *pauses.next().unwrap_or(&2_000);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }
}
