//! Operators who meddle in the middle of load: `isthmus operator`, as a process of its own, through the control socket.
//!
//! What was ordered stands until something else is: over a kill of the switch too. Every order is in the audit.

use crate::fault::Scene;
use crate::house::House;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What an operator does, and takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meddling {
    HostDown,
    HostInMaintenance,
    LinksOff,
    Drain,
    Cutover,
}

/// How long an order may take until it shows.
const SHOWS_WITHIN: Duration = Duration::from_secs(20);

/// The orders that were given, as the audit tells them.
#[derive(Default)]
pub struct Orders {
    given: Vec<String>,
}

impl Orders {
    fn give(&mut self, house: &House, words: &[&str]) {
        let command = words.join(" ");
        let done = house.order(&[words, &["--why", "a round of faults", "--as", "ada"]].concat());
        assert_eq!(done.as_ref().map(|done| &done["done"]), Ok(&Value::Bool(true)), "{command}");
        self.given.push(command);
    }

    /// Holds the audit against what was ordered: no order is missing in it, and none is there that nobody gave. Gives
    /// their number.
    pub fn audit(&self, house: &House) -> u64 {
        let audit = house.order(&["audit", "--limit", "100000"]).unwrap();
        let mut listed = Vec::new();
        for order in audit["audit"].as_array().unwrap() {
            assert_eq!(order["why"], "a round of faults");
            assert!(order["who"].as_str().unwrap().ends_with("ada"), "{order}");
            listed.push(order["command"].as_str().unwrap().to_owned());
        }
        let mut given = self.given.clone();
        listed.sort();
        given.sort();
        assert_eq!(listed, given, "the audit lists what was ordered");
        given.len() as u64
    }
}

impl Scene<'_> {
    /// Gives the orders and takes them back; how many they were, or how many requests were on their way.
    pub async fn meddle(&mut self, meddling: Meddling) -> u64 {
        let (busy, before) = (self.busy_moment().await, self.orders.given.len());
        let place = self.any_bank();
        let host = self.standing.setup.hosts[place].name;
        match meddling {
            Meddling::HostDown => self.host_in(host, "down").await,
            Meddling::HostInMaintenance => self.host_in(host, "maintenance").await,
            Meddling::LinksOff => self.links_off(host).await,
            Meddling::Cutover => self.orders.give(self.house, &["cutover", host]),
            Meddling::Drain => {
                self.orders.give(self.house, &["drain"]);
                assert!(self.standing.serve.ended().success(), "a drain that was ordered exits 0");
                self.standing.serve = self.house.serve();
                return busy;
            }
        }
        (self.orders.given.len() - before) as u64
    }

    async fn host_in(&mut self, host: &str, mode: &str) {
        self.orders.give(self.house, &["host", mode, host]);
        self.last(200..1500).await;
        self.kill_switch_perhaps();
        assert_eq!(self.shown(host)["mode"], mode, "what was ordered stands");
        self.last(100..800).await;
        self.orders.give(self.house, &["host", "up", host]);
    }

    fn kill_switch_perhaps(&mut self) {
        if self.random.bool() {
            self.standing.serve.kill();
            self.standing.serve = self.house.serve();
        }
    }

    /// One link of a host, or all of them.
    async fn links_off(&mut self, host: &str) {
        let links: Vec<String> =
            self.shown(host)["links"].as_array().unwrap().iter().map(|link| link["link"].to_string()).collect();
        let links = &links[self.random.usize(..links.len())..];
        let (how, state) = if self.random.bool() { ("sign-off", "signed_off") } else { ("drain", "down") };
        links.iter().for_each(|link| self.orders.give(self.house, &["link", how, link]));
        self.until_links(host, links, state).await;
        self.kill_switch_perhaps();
        self.last(100..1500).await;
        self.until_links(host, links, state).await;
        links.iter().for_each(|link| self.orders.give(self.house, &["link", "sign-on", link]));
    }

    async fn until_links(&self, host: &str, links: &[String], state: &str) {
        let began = Instant::now();
        let of_these = |link: &&Value| links.contains(&link["link"].to_string());
        loop {
            let shown = self.shown(host);
            if shown["links"].as_array().unwrap().iter().filter(of_these).all(|link| link["state"] == state) {
                return;
            }
            assert!(began.elapsed() < SHOWS_WITHIN, "links {links:?} are not {state}: {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A host as operators see it.
    fn shown(&self, host: &str) -> Value {
        let shown = self.house.order(&["hosts"]).unwrap();
        shown["hosts"].as_array().unwrap().iter().find(|shown| shown["host"] == host).unwrap().clone()
    }
}
