//! Conversations that a bank records, and that are played again; and a bank that dials out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use isthmus::framing::Framing;
use isthmus::iso8583::dialects;
use isthmus::simulator::replay::{self, Conversation, Manner};
use isthmus::simulator::{Direction, Handle, MessageLine, Recording, Settings, read_recording};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::peer::*;

fn manner() -> Manner {
    Manner {
        spec: dialects::builtin("iso8583-1987-ascii").unwrap().unwrap(),
        framing: Framing::default(),
        key: vec![7, 11, 41],
        ignored: vec![15, 38],
        patience: Duration::from_secs(2),
    }
}

async fn recording(scratch: &Scratch, unmasked: bool) -> (Handle, PathBuf) {
    let path = scratch.0.join("talk.jsonl");
    let recording = Some(Recording { path: path.clone(), unmasked });
    (start(Settings { recording, ..settings(scratch.ledger()) }).await, path)
}

/// The recording, once so many messages stand in it.
async fn recorded(path: &Path, messages: usize) -> Vec<MessageLine> {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        let lines = read_recording(path).unwrap_or_default();
        if lines.len() >= messages || tokio::time::Instant::now() > until {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A sale, one that is declined, one that is never answered, and its reversal.
async fn talk(bank: &Handle) {
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.code("0200", &purchase(CARD, "500000000001", "000000001299")).await, "00");
    assert_eq!(peer.code("0200", &purchase("4000000000000515", "500000000002", "000000001299")).await, "51");
    let silent = purchase(SILENT, "500000000003", "000000001299");
    peer.send("0200", &silent).await;
    let original = named("0200", "000003");
    assert_eq!(peer.code("0420", &with(&with(&silent, 11, "000004"), 90, &original)).await, "00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_conversation_is_the_same_with_the_same_bank_and_told_apart_with_another() {
    let scratch = Scratch::new("replay");
    let (bank, path) = recording(&scratch, true).await;
    talk(&bank).await;
    bank.shutdown().await.unwrap();
    let lines = recorded(&path, 9).await;
    assert_eq!(lines.len(), 9);
    let conversation = Conversation::of(&lines, &manner()).unwrap();

    let elsewhere = Scratch::new("replay-same");
    let same = start(settings(elsewhere.ledger())).await;
    let outcome = replay::ask(&conversation, same.addr(), &manner()).await.unwrap();
    assert!(outcome.is_same() && (outcome.sent, outcome.same) == (5, 4), "{outcome:?}");
    same.shutdown().await.unwrap();

    let elsewhere = Scratch::new("replay-other");
    let rule = "[[rule]]\nabout = \"\"\nwhen = { card = [\"4111111111111111\"] }\nthen = { code = \"05\" }\n\
                [[rule]]\nabout = \"\"\nwhen = { mti = [\"0420\"] }\nthen = { reply = \"silence\" }\n";
    let other = start(under(elsewhere.ledger(), rule)).await;
    let outcome = replay::ask(&conversation, other.addr(), &manner()).await.unwrap();
    let codes: Vec<String> =
        outcome.different.iter().map(|difference| difference.elements[&39].1.clone().unwrap().to_string()).collect();
    assert_eq!(codes, ["\"05\"", "\"14\""], "{outcome:?}");
    assert_eq!(
        (outcome.missing.len(), outcome.unexpected),
        (1, 1),
        "the reversal's; and the silent card is unknown here"
    );
    other.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversation_of_the_readme_is_the_demos() {
    let scratch = Scratch::new("readme");
    let bank = start(settings(scratch.ledger())).await;
    let lines = read_recording(Path::new("fixtures/conversations/first.jsonl")).unwrap();
    let manner = Manner { patience: SOON, ..manner() };
    let conversation = Conversation::of(&lines, &manner).unwrap();
    let outcome = replay::ask(&conversation, bank.addr(), &manner).await.unwrap();
    assert!(outcome.is_same() && (outcome.sent, outcome.same) == (11, 10), "{outcome:?}");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_answers_in_the_banks_place() {
    let scratch = Scratch::new("replay-bank");
    let (bank, path) = recording(&scratch, true).await;
    talk(&bank).await;
    bank.shutdown().await.unwrap();
    let lines = recorded(&path, 9).await;
    // By amount and card in place of STAN and time, so that new requests find their answers.
    let manner = Manner { key: vec![2, 4, 70], ..manner() };
    let conversation = Conversation::of(&lines, &manner).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let stopped = stop.clone();
    let answering = tokio::spawn(async move { replay::answer(&conversation, listener, &manner, stopped).await });
    let mut peer = Peer::signed_on(addr).await;
    let answer = peer.ask("0200", &purchase(CARD, "600000000009", "000000001299")).await;
    let said = [39, 11, 37].map(|element| answer.text(element).unwrap().into_owned());
    assert_eq!(said, ["00", "000009", "600000000009"].map(str::to_owned));
    assert_eq!(peer.code("0200", &purchase("4000000000000515", "600000000010", "000000001299")).await, "51");
    peer.send("0200", &purchase(CARD, "600000000011", "000000000005")).await;
    let heard = tokio::time::timeout(Duration::from_millis(200), peer.receive_bytes()).await;
    assert!(heard.is_err(), "what wasn't recorded isn't answered");
    stop.cancel();
    answering.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_recording_shows_everything_but_cards_and_cannot_be_played() {
    let scratch = Scratch::new("masked");
    let (bank, path) = recording(&scratch, false).await;
    talk(&bank).await;
    bank.shutdown().await.unwrap();
    let lines = recorded(&path, 9).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(CARD) && !text.contains(SILENT) && text.contains("411111******1111"));
    let out = lines.iter().filter(|line| line.direction == Direction::Out).count();
    assert_eq!((lines.len(), out), (9, 4));
    let told = Conversation::of(&lines, &manner()).unwrap_err().to_string();
    assert!(told.contains("messages_unmasked"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_dials_out_signs_on_and_dials_again() {
    let scratch = Scratch::new("dialling");
    let switch = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = vec![switch.local_addr().unwrap()];
    let settings = Settings { connect, signs_on: true, ..settings(scratch.ledger()) };
    let bank = isthmus::simulator::Server::start_on(settings, Vec::new()).unwrap();
    for round in 1..=2 {
        let (stream, _) = tokio::time::timeout(SOON, switch.accept()).await.unwrap().unwrap();
        let mut peer = Peer::over(stream);
        let question = peer.receive().await;
        assert_eq!(question.text(70).unwrap(), "001");
        let rrn = format!("70000000000{round}");
        assert_eq!(peer.code("0200", &purchase(CARD, &rrn, "000000000100")).await, "91", "not yet");
        let (time, stan) = (question.text(7).unwrap().into_owned(), question.text(11).unwrap().into_owned());
        peer.send("0810", &[(7, &time), (11, &stan), (39, "00"), (70, "001")]).await;
        let rrn = format!("71000000000{round}");
        assert_eq!(peer.code("0200", &purchase(CARD, &rrn, "000000000100")).await, "00");
    }
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bank_listens_at_several_addresses() {
    let scratch = Scratch::new("several");
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let settings = Settings { max_links: 2, ..settings(scratch.ledger()) };
    let bank = isthmus::simulator::Server::start_on(settings, listeners.into()).unwrap();
    let (first, second) = (bank.addrs()[0], bank.addrs()[1]);
    let (mut one, mut two) = (Peer::signed_on(first).await, Peer::signed_on(second).await);
    let sale = purchase(CARD, "800000000001", "000000000100");
    let answer = one.ask("0200", &sale).await;
    assert_eq!(two.ask("0201", &sale).await.as_bytes(), answer.as_bytes(), "the same books behind both");
    assert_eq!(Peer::connect(first).await.receive_bytes().await, None, "the bound is the bank's");
    bank.shutdown().await.unwrap();
}
