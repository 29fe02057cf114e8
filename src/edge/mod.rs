//! The merchants' doors: TLS, HTTP or frames, envelopes, JSON and XML to payment values and back.
//!
//! One request walks straight through: `connections` shakes hands and hands the verified client key on,
//! `authentication` says who asks, `body` reads what was sent within its bounds, a credit of the `switchboard` is
//! taken, `wrapping` opens the envelope, [`request`] and `command` turn JSON (or [`xml`]) into a checked submission, and
//! the switch's answer comes back as `payment_json`. Every refusal is a row of `problem`. What comes in frames instead of
//! HTTP is asked and answered by `framed` through the same routes.
//!
//! The door decides nothing about money and keeps nothing: the switch works on when a client hangs up, and a repeated
//! request is recognised by the store, not here.

mod access_log;
mod acquirer;
mod answering;
#[cfg(test)]
mod anything;
mod archive;
mod authentication;
mod body;
mod cape;
mod client_certificate;
mod command;
mod connections;
pub mod envelope;
mod fingerprint;
mod framed;
mod inquiries;
mod inquiry_json;
mod keys;
mod listing;
mod manners;
pub mod measure;
mod meters;
mod payment_json;
mod payments;
mod posting;
mod problem;
mod reference;
pub mod request;
mod sealed_body;
mod settings;
pub mod signing;
mod switchboard;
mod tls;
mod tokens;
mod version;
mod wrapping;
pub mod xml;

pub use acquirer::{AcquirerDoor, AcquirerSettings, UnknownOriginal};
pub use archive::{Archive, ArchiveUnavailable};
pub use connections::Handle;
pub use fingerprint::FingerprintKey;
pub use payment_json::{PaymentJson, PaymentsJson};
pub use problem::{Code, Problem};
pub use reference::OPENAPI;
pub use settings::{Limits, Public, Settings};
pub use switchboard::{Credit, Switchboard, Waiters};
pub use tls::SetupError;
pub use version::VERSIONS;

use crate::merchants::LiveRegister;
use crate::vault::Tokens;
use access_log::AccessLog;
use axum::Router;
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use connections::Speech;
use envelope::Opener;
use std::path::Path;
use std::sync::Arc;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What the door works with.
pub struct Parts {
    /// The merchants.
    pub register: LiveRegister,
    /// The way to the switch.
    pub switchboard: Switchboard,
    /// The way to the store.
    pub archive: Arc<dyn Archive>,
    /// The cards that merchants have left.
    pub tokens: Arc<Tokens>,
    /// The key of the requests' fingerprints.
    pub fingerprint_key: FingerprintKey,
}

/// What every request works with.
struct Door {
    register: LiveRegister,
    switchboard: Switchboard,
    archive: Arc<dyn Archive>,
    tokens: Arc<Tokens>,
    store_reads: Arc<Semaphore>,
    bodies: Semaphore,
    fingerprint_key: FingerprintKey,
    opener: Opener,
    jwks: Bytes,
    signer: Option<xml::Signer>,
    nonces: signing::Nonces,
    /// The host that signatures must be for, where it is known.
    audience: Option<String>,
    limits: Arc<Limits>,
}

/// What every request is counted and noted with.
#[derive(Default)]
struct Manners {
    meters: meters::Meters,
    access_log: Option<Arc<AccessLog>>,
}

/// Where the doors are opened.
pub struct Listeners {
    /// For HTTPS.
    pub https: TcpListener,
    /// For framed TLS.
    pub framed: Option<TcpListener>,
    /// For acquirers, each with the door that it is for.
    pub acquirers: Vec<(TcpListener, AcquirerDoor)>,
}

/// The open doors.
#[derive(Debug)]
pub struct Doors {
    /// Of HTTPS.
    pub https: Handle,
    /// Of framed TLS.
    pub framed: Option<Handle>,
    /// Of acquirers, in the order of their listeners.
    pub acquirers: Vec<Handle>,
    tls: Tls,
    access_log: Option<Arc<AccessLog>>,
}

impl Doors {
    /// Reads the files of TLS again, all or none of them: certificate, key, issuers of client certificates and what
    /// they have taken back. Connections that are open go on.
    pub fn reload_tls(&self) -> Result<(), SetupError> {
        self.tls.reload()
    }

    /// Closes all of them, each as [`Handle::drain`] says.
    pub async fn drain(self) {
        let framed = async {
            if let Some(framed) = self.framed {
                framed.drain().await;
            }
        };
        let acquirers = async {
            for acquirer in self.acquirers {
                acquirer.drain().await;
            }
        };
        tokio::join!(self.https.drain(), framed, acquirers);
        if let Some(log) = self.access_log {
            // The last lines are written, or given up, without holding anything else up.
            let _ = tokio::task::spawn_blocking(move || log.flush()).await;
        }
    }
}

/// Opens the doors. Must be called within a tokio runtime.
pub fn serve(settings: &Settings, listeners: Listeners, parts: Parts) -> Result<Doors, SetupError> {
    let mut tls = Tls::read(settings, parts.register.clone())?;
    let limits = Arc::new(settings.limits.clone());
    let keyring = Arc::new(keys::keyring(&settings.payload_key_files)?);
    let mut jwks = keyring.jwks();
    let signer = settings.signature_key_file.as_deref().map(keys::signer).transpose()?.map(|(signer, jwk)| {
        // Behind the keys to seal to: a client that takes the first one for that finds it.
        jwks["keys"].as_array_mut().into_iter().for_each(|keys| keys.push(jwk.clone()));
        signer
    });
    let jwks = Bytes::from(jwks.to_string());
    let opener = Opener::start(keyring, limits.envelope_threads, parts.switchboard.capacity())?;
    let is_first = parts.tokens.is_new();
    let door = Arc::new(Door {
        register: parts.register,
        switchboard: parts.switchboard,
        archive: parts.archive,
        tokens: parts.tokens,
        store_reads: Arc::new(Semaphore::new(limits.store_reads)),
        bodies: Semaphore::new(limits.bodies),
        fingerprint_key: parts.fingerprint_key,
        opener,
        jwks,
        signer,
        nonces: signing::Nonces::new(wrapping::seconds_since_epoch(), is_first, limits.sealed_window()),
        audience: settings.public.url.as_deref().and_then(signing::audience),
        limits: Arc::clone(&limits),
    });
    let access_log = settings.access_log_file.as_deref().map(open_log).transpose()?.map(Arc::new);
    let router = router(Arc::clone(&door), Manners { access_log: access_log.clone(), ..Manners::default() });
    let mut open = |listener: TcpListener, speech: Speech| -> Result<Handle, SetupError> {
        let acceptor = tls.acceptor(speech.protocols())?;
        Ok(connections::accept((listener, speech), acceptor, router.clone(), Arc::clone(&limits))?)
    };
    let https = open(listeners.https, Speech::Http)?;
    let framed = listeners.framed.map(|listener| open(listener, Speech::Frames)).transpose()?;
    let mut acquirers = Vec::with_capacity(listeners.acquirers.len());
    for (listener, own) in listeners.acquirers {
        let acceptor = own.settings.tls.then(|| tls.acceptor(&[])).transpose()?;
        acquirers.push(acquirer::serve(Arc::clone(&door), own, listener, acceptor)?);
    }
    Ok(Doors { https, framed, acquirers, tls, access_log })
}

/// The resources of `specs/openapi.json`.
fn resources() -> Vec<(&'static str, MethodRouter<Arc<Door>>)> {
    vec![
        ("/v1/payments", get(listing::read).post(payments::create)),
        ("/v1/payments/{id}", get(payments::read)),
        ("/v1/payments/{id}/captures", post(payments::capture)),
        ("/v1/payments/{id}/increments", post(payments::increment)),
        ("/v1/payments/{id}/voids", post(payments::void)),
        ("/v1/payments/{id}/refunds", post(payments::refund)),
        ("/v1/verifications", post(inquiries::verify)),
        ("/v1/verifications/{id}", get(inquiries::read_verification)),
        ("/v1/balance-inquiries", post(inquiries::ask_balance)),
        ("/v1/balance-inquiries/{id}", get(inquiries::read_balance)),
        ("/v1/tokens", get(tokens::list).post(tokens::create)),
        ("/v1/tokens/{id}", get(tokens::read).delete(tokens::delete)),
        ("/v1/keys", get(keys::read)),
    ]
}

/// Their paths.
pub fn paths() -> Vec<&'static str> {
    resources().into_iter().map(|(path, _)| path).collect()
}

fn open_log(path: &Path) -> Result<AccessLog, SetupError> {
    let expected = "a file that can be made and written to";
    AccessLog::open(path).map_err(|_| SetupError::File { path: path.to_owned(), expected })
}

fn router(door: Arc<Door>, manners: Manners) -> Router {
    let resources = resources().into_iter();
    let router = resources.fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router
        .route("/v1/cape", post(cape::ask))
        .route("/v1/openapi.json", get(reference::openapi))
        .route("/v1/docs", get(reference::page))
        .route("/v1/isthmus.xsd", get(xml::schema))
        .method_not_allowed_fallback(async || Problem::from(Code::MethodNotAllowed))
        .fallback(async || Problem::from(Code::RouteNotFound))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&door), signing::attend))
        .layer(axum::middleware::from_fn(version::attend))
        .layer(axum::middleware::from_fn_with_state(Arc::new(manners), manners::attend))
        .with_state(door)
}
