//! Conversations with the issuer, message by message.
#![allow(clippy::unwrap_used, clippy::panic)]

mod advices;
mod answers;
mod captures;
mod days;
mod drill;
mod edition_1993;
mod edition_2003;
mod increments;
mod keys;
mod links;
mod macs;
mod memory;
mod pins;
mod requests;
mod reversals;
mod unionpay;

use super::super::ledger::Effect;
use super::*;
use crate::iso8583::{MessageBuilder, dialects};

const NOON: Wall = Wall(1_795_348_800_000_000); // 2026-11-22T12:00:00Z
const CARD: &str = "4111111111111111";
const LINK: Link = 7;

/// A message as a switch would build it, by element.
#[derive(Clone)]
struct Sent {
    mti: &'static str,
    elements: BTreeMap<u8, String>,
}

impl Sent {
    fn new(mti: &'static str, stan: u32) -> Self {
        let stan = format!("{stan:06}");
        let time = format!("1122{stan}");
        let mut sent = Self { mti, elements: BTreeMap::new() };
        for (element, text) in [(7, time.as_str()), (11, &stan), (32, "12345"), (37, "RRN000000001"), (41, "TERM0001")]
        {
            sent = sent.with(element, text);
        }
        sent
    }

    /// A purchase of so many cents.
    fn purchase(mti: &'static str, stan: u32, card: &str, cents: i64) -> Self {
        let sent = Self::new(mti, stan).with(2, card).with(3, "000000").with(4, &format!("{cents:012}"));
        sent.with(14, "3012").with(25, "59").with(42, "MERCHANT0000001").with(49, "978")
    }

    fn with(mut self, element: u8, text: &str) -> Self {
        self.elements.insert(element, text.to_owned());
        self
    }

    fn without(mut self, element: u8) -> Self {
        self.elements.remove(&element);
        self
    }

    fn again(&self, mti: &'static str) -> Self {
        Self { mti, ..self.clone() }
    }

    fn text(&self, element: u8) -> &str {
        &self.elements[&element]
    }

    /// What DE90 says of this message.
    fn named(&self) -> String {
        format!("{}{}{}{:0>11}{:0>11}", self.mti, self.text(11), self.text(7), self.text(32), "")
    }

    /// A reversal of this message with a STAN of its own.
    fn reversal(&self, stan: u32) -> Self {
        let mut reversal = Self::new("0420", stan).with(90, &self.named());
        for element in [2, 3, 4, 14, 25, 42, 49] {
            reversal = reversal.with(element, self.text(element));
        }
        reversal
    }

    /// A completion of this authorisation.
    fn capture(&self, stan: u32, cents: i64) -> Self {
        self.reversal(stan).again("0220").with(4, &format!("{cents:012}")).with(25, "06")
    }
}

struct Bank {
    issuer: Issuer,
    spec: Arc<Spec>,
    now: Wall,
}

impl Bank {
    fn new() -> Self {
        Self::with(Scenario::demo().unwrap())
    }

    fn with(scenario: Scenario) -> Self {
        Self::of("iso8583-1987", scenario)
    }

    fn of(profile: &str, scenario: Scenario) -> Self {
        Self::speaking("iso8583-1987-ascii", profile, scenario)
    }

    fn speaking(dialect: &str, profile: &str, scenario: Scenario) -> Self {
        let spec = dialects::builtin(dialect).unwrap().unwrap();
        let profile = Profile::builtin(profile).unwrap().unwrap();
        let mut issuer = Issuer::new(spec.clone(), Arc::new(profile), Arc::new(scenario), 42);
        issuer.link_up(LINK);
        let mut bank = Self { issuer, spec, now: NOON };
        let sign_on = match bank.issuer.profile.network_request().version() {
            0 => Sent::new("0800", 999_999).with(70, "001"),
            1 => Sent::new("1804", 999_999).with(24, "801"),
            _ => Sent::new("2804", 0).with(11, "000000999999").with(24, "801"),
        };
        assert!(["00", "800", "8000"].contains(&bank.code(&sign_on).as_str()));
        bank
    }

    fn send(&mut self, sent: &Sent) -> Vec<Planned> {
        let mut builder = MessageBuilder::new(sent.mti.parse().unwrap());
        for (element, text) in &sent.elements {
            builder.set(*element, text);
        }
        let bytes = self.spec.encode_to_bytes(&builder).unwrap();
        self.issuer.receive(LINK, bytes, self.now)
    }

    fn read(&self, planned: &Planned) -> Message {
        match &planned.action {
            Action::Send(bytes) => self.spec.decode(bytes.clone()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The one answer.
    fn ask(&mut self, sent: &Sent) -> Message {
        let planned = self.send(sent);
        assert_eq!(planned.len(), 1, "{planned:?}");
        self.read(&planned[0])
    }

    /// The code of the one answer.
    fn code(&mut self, sent: &Sent) -> String {
        self.ask(sent).text(39).unwrap().into_owned()
    }

    fn effect(&self) -> Effect {
        let key = ("12345".to_owned(), "RRN000000001".to_owned());
        self.issuer.ledger().effects().get(&key).copied().unwrap_or_default()
    }

    fn money(&self) -> (i64, i64) {
        (self.effect().net, self.effect().held)
    }

    /// The same bank after a restart.
    fn restarted(&self) -> Self {
        let (spec, profile) = (self.spec.clone(), self.issuer.profile.clone());
        let mut issuer = Issuer::new(spec.clone(), profile, self.issuer.scenario.clone(), 42);
        for entry in self.issuer.ledger().entries() {
            issuer.restore(entry);
            issuer.ledger.append(entry.clone());
        }
        issuer.links.insert(LINK, Session::Working);
        Self { issuer, spec, now: self.now }
    }
}
