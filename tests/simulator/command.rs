//! `isthmus bank` as a command and a process.

use isthmus::simulator::Config;

use crate::peer::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_is_killed_goes_on_where_it_was() {
    let scratch = Scratch::new("killed");
    let config = scratch.0.join("bank.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nledger = \"ledger.sqlite\"\n").unwrap();
    let sale = purchase(CARD, "100000000030", "000000001299");
    let mut bank = Process::start(&config);
    let first = Peer::signed_on(bank.addr).await.ask("0200", &sale).await;
    bank.kill();

    let bank = Process::start(&config);
    let mut peer = Peer::signed_on(bank.addr).await;
    assert_eq!(peer.ask("0201", &sale).await.as_bytes(), first.as_bytes());
    let printed = isthmus(&config, &["ledger", "--json"]).output().unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("one line, while the bank runs");
    for (key, value) in [("rrn", "100000000030"), ("stan", "000030"), ("mti", "0200"), ("kind", "sale")] {
        assert_eq!(entry[key], value);
    }
    assert_eq!((entry["amount"].as_i64(), entry["net"].as_i64()), (Some(1_299), Some(-1_299)));
    assert_eq!((&entry["response_code"], &entry["currency"]), (&"00".into(), &"EUR".into()));
    assert_eq!(entry["business_date"].as_str().map(str::len), Some(10));
    assert!(!String::from_utf8_lossy(&printed.stdout).contains(CARD));
}

#[test]
fn a_wrong_configuration_is_told_and_ends_with_2() {
    let scratch = Scratch::new("wrong");
    let config = scratch.0.join("bank.toml");
    std::fs::write(&config, "listen = 5\n").unwrap();
    let told = isthmus(&config, &[]).output().unwrap();
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).ends_with("bank.toml:1: listen: expected a string\n"));
}

#[test]
fn the_demos_cards_are_those_the_tests_use() {
    let config = Config::demo().unwrap();
    let about = |number: &str| {
        let card = config.scenario.cards.iter().find(|card| card.number.reveal() == number);
        card.map(|card| card.about.clone()).unwrap_or_else(|| panic!("{number}"))
    };
    assert!(about(SILENT).contains("never answers"));
    assert!(about("4000000000010100").contains("2 seconds"));
    assert!(about("4000000000010407").contains("three times"));
    assert!(about("4000000000010605").contains("closes the link"));
    assert!(about("4000000000000515").contains("51"));
}
