//! The control port: a running bank looked at and changed, by `isthmus bank ctl` and by plain HTTP.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use isthmus::simulator::{Handle, Settings};
use serde_json::Value;

use crate::peer::*;

async fn controlled(scratch: &Scratch) -> Handle {
    let control = Some("127.0.0.1:0".parse().unwrap());
    start(Settings { control, ..settings(scratch.ledger()) }).await
}

/// What `isthmus bank ctl --json` prints, or what it complains of.
fn ctl(bank: &Handle, arguments: &[&str]) -> Result<Value, String> {
    let control = bank.control().unwrap().to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus"));
    let done = command.args(["bank", "ctl", "--json", "--control", &control]).args(arguments).output().unwrap();
    match done.status.success() {
        true => Ok(serde_json::from_slice(&done.stdout).unwrap()),
        false => Err(String::from_utf8(done.stderr).unwrap()),
    }
}

/// The status of a plain HTTP request.
fn status(control: SocketAddr, request: &str) -> u16 {
    let mut stream = std::net::TcpStream::connect(control).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_added_counts_and_is_taken_away() {
    let scratch = Scratch::new("ctl-rules");
    let bank = controlled(&scratch).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let rule = "[[rule]]\nname = \"busy\"\nabout = \"\"\nthen = { code = \"91\" }\n";
    let scenario = ctl(&bank, &["rule", "add", "--toml", rule]).unwrap();
    assert_eq!(scenario["rules"][0]["name"], "busy");
    assert_eq!(peer.code("0200", &purchase(CARD, "400000000001", "000000000100")).await, "91");
    assert_eq!(ctl(&bank, &["scenario"]).unwrap()["rules"][0]["applied"], 1);
    ctl(&bank, &["rule", "remove", "busy"]).unwrap();
    assert_eq!(peer.code("0200", &purchase(CARD, "400000000002", "000000000100")).await, "00");
    assert!(ctl(&bank, &["rule", "remove", "busy"]).unwrap_err().contains("GET /scenario lists"));
    let unnamed = "[[rule]]\nabout = \"\"\nthen = { code = \"05\" }\n";
    for name in ["added-1", "added-2"] {
        assert_eq!(ctl(&bank, &["rule", "add", "--toml", unnamed]).unwrap()["rules"][0]["name"], name);
    }
    let wrong = ctl(&bank, &["rule", "add", "--toml", "[[rule]]\nabout = \"\"\nthen = { code = \"0\" }\n"]);
    assert!(wrong.unwrap_err().contains("rules:3: rule[0].then.code: expected 2 to 4 letters or digits"));
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_scenario_is_put_in_force() {
    let scratch = Scratch::new("ctl-scenario");
    let bank = controlled(&scratch).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    let file = scratch.0.join("night.toml");
    std::fs::write(&file, "description = \"night\"\n[[range]]\nprefix = \"41\"\nabout = \"\"\nbalance_minor = 50\n")
        .unwrap();
    let report = ctl(&bank, &["scenario", "replace", file.to_str().unwrap()]).unwrap();
    assert_eq!((&report["description"], report["cards"].as_u64()), (&"night".into(), Some(0)));
    assert_eq!(peer.code("0200", &purchase(CARD, "400000000003", "000000000100")).await, "51");
    assert_eq!(peer.code("0200", &purchase(SILENT, "400000000004", "000000000100")).await, "14");
    assert!(ctl(&bank, &["scenario", "replace", "nowhere.toml"]).unwrap_err().contains("nowhere.toml"));
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_listed_half_opened_reset_and_closed() {
    let scratch = Scratch::new("ctl-links");
    let bank = controlled(&scratch).await;
    let (mut one, mut two) = (Peer::signed_on(bank.addr()).await, Peer::signed_on(bank.addr()).await);
    let links = ctl(&bank, &["links"]).unwrap();
    assert_eq!((links[0]["link"].as_u64(), &links[1]["state"]), (Some(1), &"signed-on".into()));
    assert_eq!(links[0]["peer"], one.stream.local_addr().unwrap().to_string());
    ctl(&bank, &["link", "1", "half-open"]).unwrap();
    one.send("0800", &[(7, "1122120000"), (11, "900009"), (70, "301")]).await;
    ctl(&bank, &["link", "2", "reset"]).unwrap();
    let mut byte = [0];
    let reset = tokio::time::timeout(SOON, tokio::io::AsyncReadExt::read(&mut two.stream, &mut byte)).await.unwrap();
    assert_eq!(reset.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(ctl(&bank, &["links"]).unwrap()[0]["state"], "half-open");
    assert!(ctl(&bank, &["link", "2", "close"]).unwrap_err().contains("GET /links lists them"));
    assert_eq!(ctl(&bank, &["link", "all", "close"]).unwrap()["links"], 1);
    assert_eq!(one.receive_bytes().await, None, "without the echo's answer");
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_a_cutover_come_at_a_word() {
    let scratch = Scratch::new("ctl-outage");
    let bank = controlled(&scratch).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    ctl(&bank, &["outage", "deaf"]).unwrap();
    peer.send("0800", &[(7, "1122120000"), (11, "900009"), (70, "301")]).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), peer.receive_bytes()).await.is_err());
    ctl(&bank, &["outage", "closed"]).unwrap();
    assert_eq!(peer.receive_bytes().await, None);
    assert_eq!(ctl(&bank, &["state"]).unwrap()["outage"], "closed");
    ctl(&bank, &["outage", "off"]).unwrap();
    let mut peer = Peer::signed_on(bank.addr()).await;
    let before = ctl(&bank, &["state"]).unwrap()["business_date"].as_str().unwrap().to_owned();
    ctl(&bank, &["act", "cutover"]).unwrap();
    let told = peer.receive().await;
    let after = ctl(&bank, &["state"]).unwrap()["business_date"].as_str().unwrap().to_owned();
    assert!(told.text(70).unwrap() == "201" && after > before, "{before} {after}");
    assert_eq!(ledger(&scratch.ledger()).last().unwrap().business_date.to_string(), after);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_accounts_and_masked_messages_are_told() {
    let scratch = Scratch::new("ctl-told");
    let bank = controlled(&scratch).await;
    let mut peer = Peer::signed_on(bank.addr()).await;
    assert_eq!(peer.code("0100", &purchase(CARD, "400000000005", "000000001299")).await, "00");
    let entries = ctl(&bank, &["ledger"]).unwrap();
    assert_eq!((entries[0]["kind"].as_str(), entries[0]["held"].as_i64()), (Some("authorisation"), Some(1_299)));
    let account = &ctl(&bank, &["accounts"]).unwrap()[0];
    assert_eq!((account["held"].as_i64(), account["available"].as_i64()), (Some(1_299), Some(100_000_000 - 1_299)));
    let messages = ctl(&bank, &["messages", "--after", "2"]).unwrap();
    let directions: Vec<&str> = messages.as_array().unwrap().iter().map(|m| m["direction"].as_str().unwrap()).collect();
    assert_eq!(directions, ["in", "out"]);
    assert_eq!(messages[0]["message"]["fields"]["2"], "411111******1111");
    assert!(!messages.to_string().contains(CARD));
    let unmasked = ctl(&bank, &["messages", "--unmasked", "--most", "3"]).unwrap();
    assert_eq!(unmasked[2]["message"]["fields"]["2"], CARD);
    bank.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_gives_orders() {
    let scratch = Scratch::new("ctl-page");
    let bank = controlled(&scratch).await;
    let control = bank.control().unwrap();
    let ask = |host: &str, more: &str| {
        let request = format!(
            "PUT /outage/closed HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\nContent-Length: 0\r\n\r\n"
        );
        status(control, &request)
    };
    assert_eq!(ask("evil.example:8590", ""), 403);
    assert_eq!(ask("127.0.0.1:8590", "Origin: http://evil.example\r\n"), 403);
    assert_eq!(ask("localhost:8590", ""), 200);
    let unknown = status(
        control,
        "POST /acts/dance HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(unknown, 400);
    bank.shutdown().await.unwrap();
}

#[test]
fn a_bank_that_does_not_run_is_told_so() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let told = command.args(["bank", "ctl", "--control", &free, "state"]).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).contains("does the bank run"));
}
