//! A door that does nothing: the TLS and HTTP of the merchants' door, with its settings, and one answer for all.
//!
//! `still_door ADDRESS [CERTIFICATE KEY]`; without a certificate it speaks plain HTTP. One thread: what it does in a
//! second of processor time is what this stack can do at best.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use isthmus::edge::Limits;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// As long as the answer to a sale.
const ANSWER: &str = r#"{"id":"pay_019ab0f0b3a27c50b1d0f5a5c0ffee00","status":"captured","amount":{"value":1299,"currency":"EUR"},"authorized":1299,"captured":1299,"refunded":0,"partial":false,"business_date":"2026-11-22","card":{"brand":"visa","first6":"424242","last4":"4242"},"approval_code":"123456","retrieval_reference":"000000000001","operations":[{"id":1,"kind":"sale","amount":{"value":1299,"currency":"EUR"},"status":"approved","response_code":"00","stan":"000001","retrieval_reference":"000000000001","business_date":"2026-11-22","created_at":"2026-11-22T10:00:00.000Z"}],"created_at":"2026-11-22T10:00:00.000Z"}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, acceptor) = match arguments.as_slice() {
        [address] => (address, None),
        [address, certificate, key] => (address, Some(acceptor(certificate, key)?)),
        _ => return Err("still_door ADDRESS [CERTIFICATE KEY]".into()),
    };
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(attend(stream, acceptor.clone()));
    }
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn attend(stream: TcpStream, acceptor: Option<TlsAcceptor>) {
    match acceptor {
        None => serve(stream).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let limits = Limits::default();
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server.http1().max_buf_size(limits.header_bytes).max_headers(limits.headers);
    // A connection that ends badly is its client's affair.
    let _ = server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let whole = request.into_body().collect().await.is_ok();
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    *response.status_mut() = if whole { StatusCode::CREATED } else { StatusCode::BAD_REQUEST };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
