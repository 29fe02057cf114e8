//! What a scenario makes of the bank, seen over a real socket.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use isthmus::simulator::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::*;

/// A bank under one rule.
async fn ruled(scratch: &Scratch, rule: &str) -> Handle {
    start(under(scratch.ledger(), &format!("[[rule]]\nabout = \"\"\n{rule}"))).await
}

fn sale(number: u32) -> Vec<(u8, String)> {
    let rrn = format!("{:012}", 300_000_000_000_u64 + u64::from(number));
    purchase(CARD, &rrn, "000000000100").into_iter().map(|(element, text)| (element, text.to_owned())).collect()
}

async fn send(peer: &mut Peer, number: u32) {
    let sale = sale(number);
    let sale: Vec<(u8, &str)> = sale.iter().map(|(element, text)| (*element, text.as_str())).collect();
    peer.send("0200", &sale).await;
}

async fn stan(peer: &mut Peer) -> String {
    peer.receive().await.text(11).unwrap().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_comes_in_pieces_and_is_whole() {
    let scratch = Scratch::new("pieces");
    let bank = ruled(&scratch, "when = { nth = 1 }\nthen = { pieces = 4, piece_pause_ms = 200 }\n").await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    send(&mut peer, 1).await;
    send(&mut peer, 2).await;
    // The second answer waits behind the pieces of the first.
    let (mut reads, mut bytes, began) = (0, BytesMut::new(), Instant::now());
    while began.elapsed() < Duration::from_millis(400) || reads < 3 {
        assert!(began.elapsed() < SOON, "{reads} reads");
        let read = tokio::time::timeout(Duration::from_millis(50), peer.stream.read_buf(&mut bytes)).await;
        reads += usize::from(read.is_ok());
    }
    peer.buffer = bytes;
    assert_eq!([stan(&mut peer).await, stan(&mut peer).await], ["000001", "000002"]);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_change_places_or_come_as_one() {
    for (reply, order) in [("overtaken", ["000002", "000001"]), ("merged", ["000001", "000002"])] {
        let scratch = Scratch::new(reply);
        let bank = ruled(&scratch, &format!("when = {{ nth = 1 }}\nthen = {{ reply = \"{reply}\" }}\n")).await;
        let mut peer = Peer::signed_on(bank.addr()).await;
        send(&mut peer, 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(&mut peer, 2).await;
        assert_eq!([stan(&mut peer).await, stan(&mut peer).await], order);
        bank.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_does_not_read_lets_messages_wait() {
    let scratch = Scratch::new("slow-reader");
    let bank = ruled(&scratch, "when = { nth = 1 }\nthen = { read_pause_ms = 2000 }\n").await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    send(&mut peer, 1).await;
    assert_eq!(stan(&mut peer).await, "000001");
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    send(&mut peer, 2).await;
    assert_eq!(stan(&mut peer).await, "000002");
    assert!(began.elapsed() > Duration::from_millis(1_000), "{:?}", began.elapsed());
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_not_a_close() {
    let scratch = Scratch::new("reset");
    let bank = ruled(&scratch, "then = { reply = \"reset\" }\n").await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    send(&mut peer, 1).await;
    let ended = tokio::time::timeout(SOON, peer.stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(ledger(&scratch.ledger()).len(), 1, "it was booked");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_takes_everything_and_says_nothing() {
    let scratch = Scratch::new("half-open");
    let bank = ruled(&scratch, "when = { nth = 1 }\nthen = { reply = \"stall\" }\n").await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    for number in 1..20 {
        send(&mut peer, number).await;
    }
    let heard = tokio::time::timeout(Duration::from_millis(300), peer.stream.read_u8()).await;
    assert!(heard.is_err(), "neither an answer nor an end: {heard:?}");
    let mut other = Peer::signed_on(bank.addr()).await;
    send(&mut other, 30).await;
    assert_eq!(stan(&mut other).await, "000030");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_closes_links_and_takes_none_until_it_is_over() {
    let scratch = Scratch::new("outage");
    let outage = "[[outage]]\nabout = \"\"\nfrom_ms = 2000\nto_ms = 4000\nlinks = \"closed\"\n";
    let bank = start(under(scratch.ledger(), outage)).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.receive_bytes().await, None, "closed when it begins");
    let mut early = Peer::connect(bank.addr()).await;
    let echo = early.frame("0800", &[(7, "1122120000"), (11, "900001"), (70, "301")]);
    let _ = early.stream.write_all(&echo).await;
    let mut byte = [0];
    assert!(!matches!(early.stream.read(&mut byte).await, Ok(1..)), "closed before it can say anything");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut late = Peer::signed_on(bank.addr()).await;
    send(&mut late, 1).await;
    assert_eq!(stan(&mut late).await, "000001");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bank_cuts_over_and_demands_keys_by_the_clock() {
    let scratch = Scratch::new("events");
    let events = "[[event]]\nabout = \"\"\ndo = \"cutover\"\nat_ms = 2000\n\
                  [[event]]\nabout = \"\"\ndo = \"key-change\"\nat_ms = 2500\n";
    let bank = start(under(scratch.ledger(), events)).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let (cutover, demand) = (peer.receive().await, peer.receive().await);
    assert_eq!((cutover.text(70).unwrap().as_ref(), demand.text(70).unwrap().as_ref()), ("201", "101"));
    let day = cutover.text(15).unwrap().into_owned();
    send(&mut peer, 1).await;
    assert_eq!(peer.receive().await.text(15).unwrap(), day);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_busy_host_take_their_time() {
    let scratch = Scratch::new("percentiles");
    let bank = ruled(&scratch, "then = { delay_p50_ms = 60, delay_p99_ms = 400, delay_most_ms = 800 }\n").await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let began = Instant::now();
    for number in 1..=100 {
        send(&mut peer, number).await;
    }
    let mut order = Vec::new();
    for _ in 0..100 {
        order.push(stan(&mut peer).await);
    }
    // The slowest of a hundred is far beyond the median, whatever the machine adds.
    assert!(began.elapsed() > Duration::from_millis(150), "{:?}", began.elapsed());
    assert!(!order.is_sorted(), "{order:?}");
    bank.shutdown().await.unwrap();
}
