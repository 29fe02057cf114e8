//! Links over real sockets of the loopback: who is let in, who is not, and a peer that stops reading.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::framing;
use crate::iso8583::{MessageBuilder, dialects};
use crate::keys::{HostKeys, SoftwareKeys};
use crate::payment::Name;
use crate::security::{Direction, Key, KeyKind, KeySettings, KeySlot, KeyUsage, MAC_ELEMENT, MacSeal, SlotUse};
use crate::switch::MacVerdict;
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Links under test, and what they report.
struct House {
    links: Links,
    events: mpsc::Receiver<Event>,
    clock: Clock,
}

async fn start(settings: Vec<LinkSettings>) -> House {
    start_with(settings, SoftwareKeys::default()).await
}

async fn start_with(settings: Vec<LinkSettings>, keys: SoftwareKeys) -> House {
    let keys: Arc<dyn KeyService> = Arc::new(keys);
    let framing = Framing::new(&framing::Settings::default()).unwrap();
    let (sender, events) = mpsc::channel(8192);
    let clock = Clock::start();
    let links = settings.into_iter().map(|link| (link, framing.clone())).collect();
    House { links: Links::start(links, &sender, clock, &keys, 8192).await.unwrap(), events, clock }
}

fn link(text: &str) -> LinkSettings {
    let link: LinkSettings = toml::from_str(text).unwrap();
    assert_eq!(link.mistakes(), [], "{text}");
    link
}

impl House {
    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("links report")
    }

    async fn is_connected(&mut self, link: u16) {
        let event = self.next().await;
        assert!(matches!(event, Event::Connected { link: LinkId(on) } if on == link), "{event:?}");
    }

    async fn is_disconnected(&mut self, link: u16) {
        let event = self.next().await;
        assert!(matches!(event, Event::Disconnected { link: LinkId(on), .. } if on == link), "{event:?}");
    }

    fn send(&self, link: u16, id: u64, frame: Bytes, within: Duration) -> bool {
        self.links.send(LinkId(link), SendId(id), frame, Vec::new(), self.clock.monotonic().after(within))
    }
}

#[tokio::test]
async fn a_peer_that_stops_reading_stalls_nobody_and_nothing_is_said_twice() {
    let bank = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = |listener: &TcpListener| {
        link(&format!("connect = \"{}\"\nwrite_timeout_ms = 400", listener.local_addr().unwrap()))
    };
    let mut house = start(vec![to(&bank), to(&other)]).await;
    house.links.connect(LinkId(0));
    let (mut deaf, _) = bank.accept().await.unwrap();
    house.is_connected(0).await;
    house.links.connect(LinkId(1));
    let (mut hears, _) = other.accept().await.unwrap();
    house.is_connected(1).await;

    // Far more than the buffers of the kernel hold; each frame begins with its number.
    let frame = |id: u64| Bytes::from([&id.to_be_bytes()[..], &[b'x'; 3_990]].concat());
    let began = Instant::now();
    let count = 8_000;
    // Some have to leave at once or never, the others can wait for longer than the write may take.
    let within = |id: u64| if id.is_multiple_of(2) { PATIENCE } else { Duration::from_millis(100) };
    (1..=count).for_each(|id| assert!(house.send(0, id, frame(id), within(id)), "{id}"));
    assert!(began.elapsed() < Duration::from_secs(5), "handing over does not wait for the peer");
    assert!(house.send(1, count + 1, Bytes::from_static(b"another bank"), PATIENCE));
    let mut heard = [0; 14];
    timeout(PATIENCE, hears.read_exact(&mut heard)).await.unwrap().unwrap();

    let mut unsent = BTreeSet::new();
    loop {
        match house.next().await {
            Event::Unsent { sends, .. } => unsent.extend(sends),
            Event::Disconnected { link: LinkId(0), unsent: named } => {
                unsent.extend(named);
                break;
            }
            event => panic!("{event:?}"),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(15), "the line was given up after its write deadline");
    while let Ok(Some(event)) = timeout(Duration::from_millis(500), house.events.recv()).await {
        let Event::Unsent { sends, .. } = event else { panic!("{event:?}") };
        unsent.extend(sends);
    }
    let mut got = Vec::new();
    timeout(PATIENCE, deaf.read_to_end(&mut got)).await.unwrap().ok();
    let arrived: BTreeSet<SendId> = got.chunks(4_000).filter(|frame| frame.len() >= 10).map(number).collect();
    assert!(!arrived.is_empty() && !unsent.is_empty());
    assert!(arrived.is_disjoint(&unsent), "what was reported unsent never arrives");
    house.links.stop().await;
}

fn number(frame: &[u8]) -> SendId {
    SendId(u64::from_be_bytes(frame[2..10].try_into().unwrap()))
}

#[tokio::test]
async fn each_attempt_takes_the_next_address() {
    let bank = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut house = start(vec![link(&format!("connect = [\"{gone}\", \"{}\"]", bank.local_addr().unwrap()))]).await;
    house.links.connect(LinkId(0));
    house.is_disconnected(0).await;
    house.links.connect(LinkId(0));
    house.is_connected(0).await;
    house.links.stop().await;
}

fn listening(more: &str) -> LinkSettings {
    link(&format!("listen = \"127.0.0.1:0\"\n{more}"))
}

async fn dial(house: &House) -> TcpStream {
    TcpStream::connect(house.links.listening()[0]).await.unwrap()
}

async fn is_closed(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0])).await.expect("it is closed in time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn banks_dial_in_to_the_links_there_are() {
    let mut house = start(vec![listening("allow = [\"127.0.0.0/8\"]"), listening("allow = [\"127.0.0.0/8\"]")]).await;
    house.links.connect(LinkId(0));
    house.links.connect(LinkId(1));
    let mut first = dial(&house).await;
    house.is_connected(0).await;
    let _second = dial(&house).await;
    house.is_connected(1).await;
    let mut third = dial(&house).await;
    is_closed(&mut third).await;
    assert!(house.send(0, 1, Bytes::from_static(b"hello"), PATIENCE));
    let mut heard = [0; 7];
    first.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard[2..], b"hello");
    first.write_all(b"\x00\x02hi").await.unwrap();
    assert!(matches!(house.next().await, Event::Arrived { link: LinkId(0), frame, .. } if &frame[..] == b"hi"));
    drop(first);
    house.is_disconnected(0).await;
    house.links.connect(LinkId(0));
    let _again = dial(&house).await;
    house.is_connected(0).await;
    house.links.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_heard() {
    let mut house = start(vec![listening("allow = [\"192.0.2.0/24\"]")]).await;
    house.links.connect(LinkId(0));
    is_closed(&mut dial(&house).await).await;
    assert!(house.events.try_recv().is_err());
    house.links.stop().await;
}

#[tokio::test]
async fn a_further_connection_takes_the_place_of_the_first_where_links_say_so() {
    let mut house = start(vec![listening("duplicate = \"replace\"")]).await;
    house.links.connect(LinkId(0));
    let mut first = dial(&house).await;
    house.is_connected(0).await;
    let _second = dial(&house).await;
    house.is_disconnected(0).await;
    is_closed(&mut first).await;
    house.links.connect(LinkId(0));
    house.is_connected(0).await;
    house.links.stop().await;
}

#[tokio::test]
async fn nobody_is_waited_for_when_the_switch_drains() {
    let mut house = start(vec![listening("")]).await;
    house.links.connect(LinkId(0));
    house.links.let_nobody_in();
    house.is_disconnected(0).await;
    house.links.connect(LinkId(0));
    house.is_disconnected(0).await;
    house.links.stop().await;
}

// -- TLS --------------------------------------------------------------------------------------------------------------

/// A folder with two authorities and what they issued; gone when dropped.
struct Material {
    folder: PathBuf,
    bank_pin: String,
    ours_pin: String,
}

impl Material {
    fn make(name: &str) -> Material {
        let folder = std::env::temp_dir().join(format!("isthmus-links-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority = authority();
        std::fs::write(folder.join("ca.pem"), authority.as_ref().pem()).unwrap();
        std::fs::write(folder.join("other-ca.pem"), self::authority().as_ref().pem()).unwrap();
        let bank_pin = issue(&authority, "bank.example", &folder, "bank");
        let ours_pin = issue(&authority, "switch.example", &folder, "ours");
        Material { folder, bank_pin, ours_pin }
    }

    fn link(&self, text: &str) -> LinkSettings {
        link(text).relative_to(&self.folder)
    }
}

impl Drop for Material {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate with its key; gives the pin of the key.
fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, folder: &Path, file: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{file}-key.pem")), key.serialize_pem()).unwrap();
    data_encoding::HEXLOWER.encode(&Sha256::digest(key.subject_public_key_info()))
}

/// A link of a bank that listens under TLS and asks for a certificate, and one of ours that dials it.
async fn shake(material: &Material, listens: &str, dials: &str) -> (House, House) {
    let own = "ca_file = \"ca.pem\"\ncertificate_file = \"bank.pem\"\nkey_file = \"bank-key.pem\"";
    let bank = start(vec![material.link(&format!("listen = \"127.0.0.1:0\"\n[tls]\n{own}\n{listens}"))]).await;
    bank.links.connect(LinkId(0));
    let address = bank.links.listening()[0];
    let ours = start(vec![material.link(&format!("connect = \"{address}\"\n[tls]\n{dials}"))]).await;
    ours.links.connect(LinkId(0));
    (bank, ours)
}

const OURS: &str = "ca_file = \"ca.pem\"\ncertificate_file = \"ours.pem\"\nkey_file = \"ours-key.pem\"";

#[tokio::test]
async fn both_ends_are_known_by_certificate_name_and_pin() {
    let material = Material::make("mutual");
    let pinned = |pin: &str| format!("pin_sha256 = [\"{}\", \"{pin}\"]", "0".repeat(64));
    let dials =
        format!("{OURS}\nserver_name = \"bank.example\"\nmin_version = \"1.3\"\n{}", pinned(&material.bank_pin));
    let (mut bank, mut ours) = shake(&material, &pinned(&material.ours_pin), &dials).await;
    ours.is_connected(0).await;
    bank.is_connected(0).await;
    assert!(ours.send(0, 1, Bytes::from_static(b"over TLS"), PATIENCE));
    assert!(matches!(bank.next().await, Event::Arrived { frame, .. } if &frame[..] == b"over TLS"));
    ours.links.disconnect(LinkId(0));
    ours.is_disconnected(0).await;
    bank.is_disconnected(0).await;
    ours.links.stop().await;
    bank.links.stop().await;
}

#[tokio::test]
async fn a_bank_that_is_not_who_it_should_be_gets_nothing() {
    let material = Material::make("strangers");
    let other_pin = format!("pin_sha256 = [\"{}\"]", material.ours_pin);
    for wrong in [
        format!("{OURS}\nserver_name = \"another.example\""),
        format!("{OURS}\nserver_name = \"bank.example\"\n{other_pin}"),
        OURS.replace("\"ca.pem\"", "\"other-ca.pem\"") + "\nserver_name = \"bank.example\"",
        OURS.to_owned(),
    ] {
        let (bank, mut ours) = shake(&material, "", &wrong).await;
        ours.is_disconnected(0).await;
        ours.links.stop().await;
        bank.links.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_is_not_known_is_given_no_link() {
    let material = Material::make("callers");
    let named = "ca_file = \"ca.pem\"\nserver_name = \"bank.example\"";
    let other_pin = format!("pin_sha256 = [\"{}\"]", material.bank_pin);
    for (listens, dials) in [("", named.to_owned()), (&*other_pin, format!("{OURS}\nserver_name = \"bank.example\""))] {
        let (mut bank, mut ours) = shake(&material, listens, &dials).await;
        // Under TLS 1.3 the caller may think for a moment that it was let in.
        while !matches!(ours.next().await, Event::Disconnected { .. }) {}
        assert!(bank.events.try_recv().is_err(), "the bank's switch hears nothing of it");
        ours.links.stop().await;
        bank.links.stop().await;
    }
}

#[test]
fn mistakes_of_a_link_are_told_with_their_keys() {
    let mistakes = |text: &str| -> Vec<&str> {
        let link: LinkSettings = toml::from_str(text).unwrap();
        link.mistakes().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(mistakes(""), ["connect"]);
    assert_eq!(mistakes("connect = \"a:1\"\nlisten = \"127.0.0.1:1\""), ["connect"]);
    assert_eq!(mistakes("connect = [\"a:1\", \"b\"]\nallow = [\"127.0.0.1\"]"), ["connect", "allow"]);
    assert_eq!(mistakes("listen = \"127.0.0.1:1\"\nwrite_timeout_ms = 0"), ["write_timeout_ms"]);
    assert_eq!(mistakes("connect = \"a:1\"\n[tls]\nkey_file = \"k\""), ["tls.ca_file", "tls.key_file"]);
    assert_eq!(
        mistakes("listen = \"127.0.0.1:1\"\n[tls]\npin_sha256 = [\"12\"]\nserver_name = \"a\""),
        ["tls.certificate_file", "tls.pin_sha256", "tls.ca_file", "tls.server_name"]
    );
}

/// Keys of a bank on link 0 whose requests bear a MAC, a request with room for it, and what fills that.
fn sealing() -> (SoftwareKeys, Bytes, MacSeal) {
    let spec = dialects::builtin("iso8583-1987-ascii").unwrap().unwrap();
    let settings = KeySettings::read(["[keys.mac]\nmethod = 'x9.19'"].into_iter()).unwrap();
    let mac = settings.mac.clone().unwrap();
    let mut builder = MessageBuilder::new("0200".parse().unwrap());
    builder.set(3, "000000").set(11, "000001").set_binary(64, &[0; MAC_ELEMENT]);
    let roomy = spec.decode(spec.encode_to_bytes(&builder).unwrap()).unwrap();
    let place = mac.place(roomy.mti_span(), roomy.span(64).unwrap());
    let mut host = HostKeys::new(Name::from("bank"), vec![LinkId(0)], spec, Arc::new(settings));
    let key = Key::parse(KeyKind::Tdes2, KeyUsage::Mac, "0123456789ABCDEFFEDCBA9876543210").unwrap();
    host.add(SlotUse::Mac, Direction::Send, key.clone());
    host.add(SlotUse::Mac, Direction::Receive, key);
    let mut keys = SoftwareKeys::default();
    keys.add(host);
    let slot = KeySlot { host: Name::from("bank"), usage: SlotUse::Mac, direction: Direction::Send, epoch: 0 };
    (keys, roomy.as_bytes().clone(), MacSeal { slot, place })
}

#[tokio::test]
async fn frames_leave_sealed_and_arrive_judged() {
    let bank = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (keys, roomy, seal) = sealing();
    let mut house = start_with(vec![link(&format!("connect = \"{}\"", bank.local_addr().unwrap()))], keys).await;
    house.links.connect(LinkId(0));
    let (mut peer, _) = bank.accept().await.unwrap();
    house.is_connected(0).await;
    let send_by = house.clock.monotonic().after(PATIENCE);
    assert!(house.links.send(LinkId(0), SendId(1), roomy.clone(), vec![Seal::Mac(seal.clone())], send_by));
    let mut heard = vec![0; 2 + roomy.len()];
    timeout(PATIENCE, peer.read_exact(&mut heard)).await.unwrap().unwrap();
    let (before, mac) = roomy.split_at(seal.place.element.start);
    assert_eq!(heard[2..2 + before.len()], *before);
    assert_ne!(heard[2 + before.len()..], *mac, "the room is filled");

    // The peer sends back what it heard, once as it was and once with another digit.
    let mut changed = heard.clone();
    changed[2 + before.len() - 1] ^= 1;
    let echoes = [(heard.clone(), MacVerdict::Good), (changed, MacVerdict::Bad)];
    for (frame, expected) in echoes {
        peer.write_all(&frame).await.unwrap();
        let event = house.next().await;
        assert!(matches!(event, Event::Arrived { mac, .. } if mac == expected), "{event:?}");
    }

    let missing = MacSeal { slot: KeySlot { epoch: 9, ..seal.slot.clone() }, ..seal };
    assert!(house.links.send(LinkId(0), SendId(2), roomy, vec![Seal::Mac(missing)], send_by));
    let event = house.next().await;
    assert!(matches!(&event, Event::Unsealed { sends, fault: "no_key", .. } if *sends == [SendId(2)]), "{event:?}");
    house.links.stop().await;
}
