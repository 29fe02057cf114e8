//! What any bank does: answers, books, goes on after a restart, and bears with its peers.

use std::time::Duration;

use bytes::BytesMut;
use isthmus::framing::{Framing, KeepAlive};
use isthmus::simulator::{Kind, Server, ServerError, Settings, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::peer::*;

#[tokio::test(flavor = "multi_thread")]
async fn sales_are_answered_after_sign_on_and_kept_in_the_ledger() {
    let scratch = Scratch::new("sales");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::connect(bank.addr()).await;
    assert_eq!(peer.code("0200", &purchase(CARD, "100000000001", "000000001299")).await, "91");
    drop(peer);
    let mut peer = Peer::signed_on(bank.addr()).await;
    let answer = peer.ask("0200", &purchase(CARD, "100000000002", "000000001299")).await;
    assert_eq!((answer.mti().to_string().as_str(), answer.text(39).unwrap().as_ref()), ("0210", "00"));
    // An answer leaves after its entry is durable, so whoever has the answer finds the entry.
    let entries = ledger(&scratch.ledger());
    assert_eq!((entries.len(), entries[0].net, entries[0].kind), (1, -1_299, Kind::Sale));
    assert_eq!(peer.code("0200", &purchase("4000000000000515", "100000000003", "000000000100")).await, "51");
    bank.shutdown().await.unwrap();
    assert_eq!(peer.receive_bytes().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_bank_books_and_its_reversal_takes_back() {
    let scratch = Scratch::new("silent");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let sale = purchase(SILENT, "100000000004", "000000001299");
    peer.send("0200", &sale).await;
    let original = named("0200", "000004");
    let reversal = with(&with(&sale, 11, "000005"), 90, &original);
    let answer = peer.ask("0420", &reversal).await;
    assert_eq!((answer.mti().to_string().as_str(), answer.text(11).unwrap().as_ref()), ("0430", "000005"));
    let net: Vec<i64> = ledger(&scratch.ledger()).iter().map(|entry| entry.net).collect();
    assert_eq!(net, [-1_299, 1_299]);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_ledger() {
    let scratch = Scratch::new("restart");
    let sale = purchase(CARD, "100000000006", "000000001299");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let first = peer.ask("0200", &sale).await;
    let unseen = named("0200", "000077");
    let early = with(&with(&sale, 11, "000008"), 90, &unseen);
    assert_eq!(peer.code("0420", &early).await, "00");
    bank.shutdown().await.unwrap();

    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.ask("0201", &sale).await.as_bytes(), first.as_bytes());
    assert_eq!(peer.code("0200", &with(&sale, 11, "000077")).await, "05", "it was reversed before it came");
    assert_eq!(ledger(&scratch.ledger()).len(), 3);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_overtake_each_other_and_links_stand_apart() {
    let scratch = Scratch::new("order");
    let bank = start(settings(scratch.ledger())).await;
    let (mut one, mut two) = (Peer::signed_on(bank.addr()).await, Peer::signed_on(bank.addr()).await);
    one.send("0200", &purchase("4000000000010100", "100000000010", "000000000100")).await;
    one.send("0200", &purchase(CARD, "100000000011", "000000000100")).await;
    two.send("0200", &purchase(CARD, "100000000012", "000000000100")).await;
    assert_eq!(one.receive().await.text(11).unwrap(), "000011");
    assert_eq!(two.receive().await.text(11).unwrap(), "000012");
    assert_eq!(one.receive().await.text(11).unwrap(), "000010", "two seconds later");
    // A copied answer comes as often as it was copied; a dropped link is closed.
    one.send("0200", &purchase("4000000000010407", "100000000013", "000000000100")).await;
    for _ in 0..3 {
        assert_eq!(one.receive().await.text(11).unwrap(), "000013");
    }
    one.send("0200", &purchase("4000000000010605", "100000000014", "000000000100")).await;
    assert_eq!(one.receive_bytes().await, None);
    assert_eq!(two.code("0200", &purchase(CARD, "100000000015", "000000000100")).await, "00");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_requests_is_answered_once_each() {
    let scratch = Scratch::new("crowd");
    let bank = start(settings(scratch.ledger())).await;
    let mut tasks = tokio::task::JoinSet::new();
    for link in 0..4 {
        let mut peer = Peer::signed_on(bank.addr()).await;
        tasks.spawn(async move {
            let rrns: Vec<String> = (0..250).map(|number| format!("200000{:06}", 1 + link * 1_000 + number)).collect();
            let mut all = BytesMut::new();
            for rrn in &rrns {
                all.extend(peer.frame("0200", &purchase("4500000012345678", rrn, "000000000100")));
            }
            peer.stream.write_all(&all).await.unwrap();
            let mut answered = Vec::new();
            for _ in &rrns {
                answered.push(peer.receive().await.text(37).unwrap().into_owned());
            }
            assert_eq!(answered, rrns);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let entries = ledger(&scratch.ledger());
    assert_eq!(entries.len(), 1_000);
    assert_eq!(entries.iter().map(|entry| entry.net).sum::<i64>(), -100_000);
    assert!(entries.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_malformed_frames_harm_nobody() {
    let scratch = Scratch::new("malformed");
    let bank = start(settings(scratch.ledger())).await;
    let mut good = Peer::signed_on(bank.addr()).await;
    let sale = purchase(CARD, "100000000020", "000000000100");
    let mut random = fastrand::Rng::with_seed(4);
    let pattern = good.frame("0200", &sale).split_off(2);
    for _ in 0..20 {
        let mut peer = Peer::signed_on(bank.addr()).await;
        let mut bytes = BytesMut::new();
        for _ in 0..250 {
            let mut message = pattern.to_vec();
            message.truncate(random.usize(1..=message.len()));
            // The type stays no request, so that nothing is booked by accident.
            let at = random.usize(..message.len());
            message[at] = random.u8(..);
            message[0] = b'9';
            Framing::default().put(&message, &mut bytes).unwrap();
        }
        // The last one lies about its length, which ends the link.
        bytes.extend_from_slice(&[0xFF, 0xFF, b'x']);
        peer.stream.write_all(&bytes).await.unwrap();
        // Some can be read after all and are told that their type isn't supported.
        while peer.receive_bytes().await.is_some() {}
    }
    assert_eq!(good.code("0200", &sale).await, "00");
    assert!(bank.counters().unreadable > 1_000, "{:?}", bank.counters());
    assert_eq!(ledger(&scratch.ledger()).len(), 1);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_loses_its_link_and_holds_up_nobody() {
    let scratch = Scratch::new("deaf");
    let bank = start(settings(scratch.ledger())).await;
    let mut deaf = Peer::signed_on(bank.addr()).await;
    let echo = deaf.frame("0800", &[(7, "1122120000"), (11, "000001"), (70, "301")]);
    let flood: BytesMut = (0..1_000).flat_map(|_| echo.to_vec()).collect();
    let deafness = tokio::spawn(async move {
        // Writing on and on ends when the bank has had enough, or when its answers block both ways.
        while tokio::time::timeout(Duration::from_secs(1), deaf.stream.write_all(&flood)).await.is_ok_and(|w| w.is_ok())
        {
        }
    });
    deafness.await.unwrap();
    let mut good = Peer::signed_on(bank.addr()).await;
    assert_eq!(good.code("0200", &purchase(CARD, "100000000021", "000000000100")).await, "00");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_bounded_and_polls_are_answered() {
    let scratch = Scratch::new("bounds");
    let polled = isthmus::framing::Settings { keep_alive: KeepAlive::Answer, ..Default::default() };
    let framing = Framing::new(&polled).unwrap();
    let bank = start(Settings { max_links: 1, framing, ..settings(scratch.ledger()) }).await;
    let mut first = Peer::signed_on(bank.addr()).await;
    let mut second = Peer::connect(bank.addr()).await;
    assert_eq!(second.receive_bytes().await, None);
    first.stream.write_all(&[0, 0]).await.unwrap();
    let mut poll = [9; 2];
    first.stream.read_exact(&mut poll).await.unwrap();
    assert_eq!(poll, [0, 0]);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_ledger_the_bank_answers_nothing_and_stops() {
    let scratch = Scratch::new("unwritable");
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let holder = rusqlite::Connection::open(scratch.ledger()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    peer.send("0200", &purchase(CARD, "100000000040", "000000001299")).await;
    assert_eq!(peer.receive_bytes().await, None, "closed without an answer");
    tokio::time::timeout(SOON, bank.stopped()).await.unwrap();
    assert!(bank.has_failed());
    assert!(bank.shutdown().await.is_err());
    drop(holder);
    // What was not booked didn't happen: the same message is a new one to the bank that comes back.
    let bank = start(settings(scratch.ledger())).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.code("0201", &purchase(CARD, "100000000040", "000000001299")).await, "00");
    assert_eq!(ledger(&scratch.ledger()).len(), 1);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bank_asks_for_echoes_too() {
    let scratch = Scratch::new("echo");
    let echo_every = Some(Duration::from_millis(50));
    let bank = start(Settings { echo_every, ..settings(scratch.ledger()) }).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let question = peer.receive().await;
    assert_eq!((question.mti().to_string().as_str(), question.text(70).unwrap().as_ref()), ("0800", "301"));
    let (time, stan) = (question.text(7).unwrap().into_owned(), question.text(11).unwrap().into_owned());
    peer.send("0810", &[(7, &time), (11, &stan), (39, "00"), (70, "301")]).await;
    while bank.counters().echoes_answered == 0 {
        assert!(peer.receive().await.has(70), "the next question");
    }
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ledger_has_one_bank() {
    let scratch = Scratch::new("taken");
    let bank = start(settings(scratch.ledger())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = Server::start(settings(scratch.ledger()), listener);
    assert!(matches!(second, Err(ServerError::Store(StoreError::Taken(_)))));
    bank.shutdown().await.unwrap();
    start(settings(scratch.ledger())).await.shutdown().await.unwrap();
}
