//! Links under TLS: those the bank takes, with and without client certificates, and those it dials.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isthmus::simulator::{Config, Handle, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::peer::*;

/// An authority, and certificates of it as files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(directory: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), issuer.as_ref().pem()).unwrap();
        Self { issuer }
    }

    fn issue(&self, directory: &Path, name: &str) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn roots(file: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
    roots
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(directory: &Path, name: &str) -> Own {
    let chain = CertificateDer::pem_file_iter(directory.join(format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
    (chain.collect::<Result<_, _>>().unwrap(), key)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A peer over TLS, showing the certificate of that name.
async fn sealed(bank: &Handle, scratch: &Scratch, shown: Option<&str>) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots(&scratch.0.join("ca.pem")));
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let (chain, key) = own(&scratch.0, name);
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let stream = TcpStream::connect(bank.addr()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Peer::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

async fn configured(scratch: &Scratch, text: &str) -> Handle {
    let text = format!("ledger = \"ledger.sqlite\"\n{text}");
    let config = Config::read("bank.toml", &text, &scratch.0).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    Server::open(&config).await.unwrap()
}

const TAKES: &str = "listen = \"127.0.0.1:0\"\n[tls]\ncertificate_file = \"bank.pem\"\nkey_file = \"bank.key\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_link_carries_money_and_can_be_reset() {
    let scratch = Scratch::new("tls");
    Authority::new(&scratch.0, "ca").issue(&scratch.0, "bank");
    let rule = "[[rule]]\nabout = \"\"\nwhen = { amount_minor = 666 }\nthen = { reply = \"reset\" }\n";
    let bank = configured(&scratch, &format!("{TAKES}{rule}")).await;
    let mut peer = sealed(&bank, &scratch, None).await.unwrap();
    peer.sign_on().await;
    for number in 1..=50 {
        let rrn = format!("600000{number:06}");
        assert_eq!(peer.code("0200", &purchase(CARD, &rrn, "000000001299")).await, "00");
    }
    peer.send("0200", &purchase(CARD, "600000000099", "000000000666")).await;
    let ended = tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read_u8(&mut peer.stream)).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    // An open word on a sealed port is answered with no message.
    let mut open = Peer::connect(bank.addr()).await;
    open.send("0800", &[(7, "1122120000"), (11, "900001"), (70, "001")]).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read_to_end(&mut open.stream, &mut answer)).await;
    assert!(answer.len() < 20, "at most an alert: {answer:?}");
    assert_eq!(bank.counters().received, 52);
    bank.shutdown().await.unwrap();
    assert_eq!(ledger(&scratch.ledger()).len(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_the_authority_get_in_where_it_is_named() {
    let scratch = Scratch::new("mtls");
    let authority = Authority::new(&scratch.0, "ca");
    authority.issue(&scratch.0, "bank");
    authority.issue(&scratch.0, "switch");
    Authority::new(&scratch.0, "other-ca").issue(&scratch.0, "stranger");
    let bank = configured(&scratch, &format!("{TAKES}client_ca_file = \"ca.pem\"\n")).await;
    for shown in [None, Some("stranger")] {
        // Under TLS 1.3 a client learns only by its first read that it was not let in.
        if let Ok(mut peer) = sealed(&bank, &scratch, shown).await {
            let frame = peer.frame("0800", &[(7, "1122120000"), (11, "900001"), (70, "001")]);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &frame).await;
            assert_eq!(peer.receive_bytes().await, None, "{shown:?}");
        }
    }
    assert_eq!(bank.counters().received, 0);
    let mut peer = sealed(&bank, &scratch, Some("switch")).await.unwrap();
    peer.sign_on().await;
    assert_eq!(peer.code("0200", &purchase(CARD, "600000000001", "000000001299")).await, "00");
    bank.shutdown().await.unwrap();
    assert_eq!(peer.receive_bytes().await, None, "ended with a farewell");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_dials_under_tls_and_believes_no_other_authority() {
    let scratch = Scratch::new("tls-dials");
    let authority = Authority::new(&scratch.0, "ca");
    authority.issue(&scratch.0, "bank");
    authority.issue(&scratch.0, "switch");
    Authority::new(&scratch.0, "other-ca");
    let (chain, key) = own(&scratch.0, "switch");
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&scratch.0.join("ca.pem"))), provider()).build();
    let config = builder.with_client_cert_verifier(verifier.unwrap()).with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dials = |ca: &str| {
        format!(
            "listen = \"none\"\nconnect = [\"{}\"]\nsigns_on = true\n[connect_tls]\nca_file = \"{ca}\"\n\
             certificate_file = \"bank.pem\"\nkey_file = \"bank.key\"\n",
            listener.local_addr().unwrap()
        )
    };
    let bank = configured(&scratch, &dials("other-ca.pem")).await;
    let (stream, _) = tokio::time::timeout(SOON, listener.accept()).await.unwrap().unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(5), acceptor.accept(stream)).await.unwrap();
    if let Ok(stream) = refused {
        assert_eq!(Peer::over(stream).receive_bytes().await, None);
    }
    bank.shutdown().await.unwrap();

    let bank = configured(&scratch, &dials("ca.pem")).await;
    loop {
        // The refused one may have dialled again meanwhile.
        let (stream, _) = tokio::time::timeout(SOON, listener.accept()).await.unwrap().unwrap();
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        assert!(stream.get_ref().1.peer_certificates().is_some());
        let mut peer = Peer::over(stream);
        let question = peer.receive().await;
        assert_eq!((question.mti().to_string().as_str(), question.text(70).unwrap().as_ref()), ("0800", "001"));
        break;
    }
    bank.shutdown().await.unwrap();
}
