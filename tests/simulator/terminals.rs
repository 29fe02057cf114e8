//! UnionPay's terminals at the host of `fixtures/scenarios/unionpay-pos.toml`.

use std::path::Path;

use bytes::BytesMut;
use isthmus::framing::{Framer, Framing};
use isthmus::iso8583::MessageBuilder;
use isthmus::simulator::{Config, Handle, Server};

use crate::peer::*;

const TEXT: &str = include_str!("../../fixtures/scenarios/unionpay-pos.toml");

async fn host(scratch: &Scratch) -> (Handle, Peer) {
    let text = TEXT.replace("127.0.0.1:8583", "127.0.0.1:0");
    let config = Config::read("unionpay-pos.toml", &text, &scratch.0).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let bank = Server::open(&config).await.unwrap();
    let stream = tokio::net::TcpStream::connect(bank.addr()).await.unwrap();
    let (framer, buffer) = (Framer::new(Framing::default()), BytesMut::new());
    (bank, Peer { stream, framer, buffer, spec: config.spec })
}

/// Asks as terminal TERM0001 in batch 000007, and gives type and code of the answer.
async fn ask(peer: &mut Peer, mti: &str, trace: &str, kind: &str, more: &[(u8, &str)]) -> (String, String) {
    send(peer, mti, trace, kind, more).await;
    let answer = peer.receive().await;
    assert_eq!((answer.text(11).unwrap().as_ref(), answer.has(37)), (trace, true));
    (answer.mti().to_string(), answer.text(39).unwrap().into_owned())
}

async fn send(peer: &mut Peer, mti: &str, trace: &str, kind: &str, more: &[(u8, &str)]) {
    let header = [0x60, 0x00, 0x03, 0x00, 0x00, 0x60, 0x31, 0x00, 0x31, 0x01, 0x00];
    let mut builder = MessageBuilder::new(mti.parse().unwrap()).header(&header);
    builder.set(11, trace).set(22, "011").set(25, "00").set(41, "TERM0001").set(42, "MERCHANT0000001");
    builder.set(49, "156").set(60, format!("{kind}000007000601"));
    for (element, text) in more {
        builder.set(*element, text);
    }
    let mut frame = BytesMut::new();
    Framing::default().put(&peer.spec.encode_to_bytes(&builder).unwrap(), &mut frame).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &frame).await.unwrap();
}

fn paying<'a>(card: &'a str, amount: &'a str) -> Vec<(u8, &'a str)> {
    vec![(2, card), (3, "000000"), (4, amount), (14, "3012")]
}

fn is(answer: (String, String), mti: &str, code: &str) {
    assert_eq!(answer, (mti.to_owned(), code.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_of_a_terminal() {
    let scratch = Scratch::new("terminal");
    let (bank, mut peer) = host(&scratch).await;
    let good = "6200000000000005";
    is(ask(&mut peer, "0200", "000001", "22", &paying(good, "000000001299")).await, "0210", "00");
    is(ask(&mut peer, "0200", "000002", "22", &paying("6200000000000518", "000000001299")).await, "0210", "51");
    is(ask(&mut peer, "0200", "000003", "22", &paying("4111111111111111", "000000001299")).await, "0210", "14");
    is(ask(&mut peer, "0200", "000004", "22", &paying(good, "000000000097")).await, "0210", "97");
    send(&mut peer, "0200", "000005", "22", &paying(good, "000000000209")).await;
    let reversal = with(&paying(good, "000000000209"), 39, "98");
    is(ask(&mut peer, "0400", "000005", "22", &reversal).await, "0410", "00");
    let void = with(&paying(good, "000000001299"), 61, "0000070000011122");
    is(ask(&mut peer, "0200", "000006", "23", &void).await, "0210", "00");
    bank.shutdown().await.unwrap();
    let entries = ledger(&scratch.0.join("unionpay-ledger.sqlite"));
    let net: Vec<i64> = entries.iter().map(|entry| entry.net).collect();
    assert_eq!(net, [-1_299, 0, 0, 0, -209, 209, 1_299]);
    assert_eq!(entries[0].rrn, entries[6].rrn, "one payment");
}

#[test]
fn every_example_of_a_bank_has_no_mistakes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let files = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut checked = 0;
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "toml")) {
        let told = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").arg(&file).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        checked += 1;
    }
    assert!(checked >= 4, "{checked}");
}
