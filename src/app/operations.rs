//! Health and metrics, on an address of their own.

use crate::switch::Snapshot;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is known of the switch at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    pub snapshot: Snapshot,
    pub writable: bool,
    pub draining: bool,
}

impl Status {
    pub(super) fn is_bank_online(&self) -> bool {
        self.snapshot.hosts.iter().flat_map(|host| &host.links).any(|(_, state)| *state == "online")
    }
}

/// One recorder a process, however many switches run in it (tests run several).
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Bounds of the histograms in seconds: from a fast commit to a slow bank.
const BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

pub(super) fn install() -> Option<PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            let seconds = Matcher::Suffix("_seconds".to_owned());
            let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS).ok()?;
            builder.install_recorder().ok()
        })
        .clone()
}

#[derive(Clone)]
struct Door {
    status: watch::Receiver<Status>,
    requires_bank: bool,
}

pub(super) async fn serve(listener: TcpListener, status: watch::Receiver<Status>, requires_bank: bool) {
    let router = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Door { status, requires_bank });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "health and metrics are no longer served");
    }
}

/// Ready: the journal can be written and nothing is draining; the banks' states stand in the body.
async fn ready(State(door): State<Door>) -> Response {
    let status = door.status.borrow().clone();
    // Until the first numbers are durable, every payment would be refused.
    let has_numbers = status.snapshot.hosts.iter().all(|host| host.has_numbers);
    let serves = status.writable && !status.draining && has_numbers;
    let is_ready = serves && (!door.requires_bank || status.is_bank_online());
    let hosts: Vec<_> = status.snapshot.hosts.iter().map(host_json).collect();
    let body = serde_json::json!({
        "ready": is_ready,
        "journal_writable": status.writable,
        "draining": status.draining,
        "numbers_reserved": has_numbers,
        "hosts": hosts,
    });
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

fn host_json(host: &crate::switch::HostSnapshot) -> serde_json::Value {
    let links: Vec<_> = host.links.iter().map(|(_, state)| *state).collect();
    serde_json::json!({
        "name": host.name.as_str(),
        "mode": host.mode.name(),
        "business_date": host.day.to_string(),
        "links": links,
        "pending": host.pending,
        "owed": host.owed,
    })
}

async fn metrics() -> Response {
    match install() {
        Some(handle) => {
            handle.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
