//! The switch alone: translate, record, match, answer. No socket, no disk, no other thread.
//!
//! `switch_alone CONFIG [PAYMENTS [IN_FLIGHT]]` prints one JSON object. The bank is the simulator's issuer; what it and
//! the store take is not counted: the clock runs while the switch handles events, and stands while they are made.

use isthmus::config::Config;
use isthmus::load::cards::Card as Drawn;
use isthmus::payment::{
    Acceptor, Amount, Card, CardId, CardPrint, Currency, Cvc, Expiry, MerchantId, Monotonic, Now, OperationKind, Pan,
    PaymentId, PosEntry, Wall,
};
use isthmus::simulator::{Action, DEMO, Issuer, Profile, Scenario};
use isthmus::switch::{Answer, Begin, Command, Effect, Event, MacVerdict, Submission, Switch, WaiterId};
use isthmus::transaction::{Fingerprint, IdempotencyKey, OperationState};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

/// How the bank reads and answers.
const PROFILE: &str = include_str!("../../../../../specs/issuer/iso8583-1987.toml");

fn main() -> Result<(), Failure> {
    let usage = "switch_alone CONFIG [PAYMENTS [IN_FLIGHT]]";
    let mut arguments = std::env::args().skip(1);
    let config = arguments.next().ok_or(usage)?;
    let payments: u64 = arguments.next().as_deref().unwrap_or("100000").parse()?;
    let in_flight: u64 = arguments.next().as_deref().unwrap_or("256").parse()?;
    let mut world = World::begin(Path::new(&config))?;
    // Tables grow to their size and the first numbers are reserved before anything counts.
    world.pay(1, in_flight)?;
    world.took = Duration::ZERO;
    let mut next = 1 + in_flight;
    while next <= payments + in_flight {
        world.pay(next, in_flight.min(payments + in_flight + 1 - next))?;
        next += in_flight;
    }
    let seconds = world.took.as_secs_f64();
    let report = serde_json::json!({
        "payments": payments,
        "in_flight": in_flight,
        "per_second": payments as f64 / seconds,
        "cpu_us_each": seconds * 1e6 / payments as f64,
    });
    println!("{report}");
    Ok(())
}

/// The switch, and all that it has to do with.
struct World {
    switch: Switch,
    issuer: Issuer,
    card: Card,
    now: Now,
    /// What the switch took so far.
    took: Duration,
    approved: u64,
}

impl World {
    fn begin(config: &Path) -> Result<World, Failure> {
        let config = Config::load(config).map_err(|mistakes| format!("{mistakes:?}"))?;
        let settings = config.build_hosts(&config.folder).map_err(|mistakes| format!("{mistakes:?}"))?.settings;
        let spec = Arc::clone(settings.hosts.first().ok_or("a host")?.translation.spec());
        let profile = Profile::read("profile", PROFILE).map_err(|mistakes| format!("{mistakes:?}"))?;
        let scenario = Scenario::read("scenario", DEMO).map_err(|mistakes| format!("{mistakes:?}"))?;
        let drawn = Drawn::approving();
        let card = Card {
            pan: Pan::parse(drawn.number.as_str())?,
            expiry: Expiry::new(drawn.year, drawn.month)?,
            cvc: Some(Cvc::parse(&drawn.code)?),
            cryptogram: None,
            present: None,
        };
        let now = Now { monotonic: Monotonic(0), wall: Wall(1_700_000_000_000_000) };
        let issuer = Issuer::new(spec, Arc::new(profile), Arc::new(scenario), 1);
        let switch = Switch::new(settings, 1);
        let mut world = World { switch, issuer, card, now, took: Duration::ZERO, approved: 0 };
        world.run(vec![Event::Start])?;
        // Numbers are reserved and a link signs on.
        for _ in 0..100 {
            let links = world.switch.snapshot().hosts.into_iter().flat_map(|host| host.links);
            if links.into_iter().any(|(_, state)| state == "online") {
                return Ok(world);
            }
            let due = world.switch.next_deadline().unwrap_or(world.now.monotonic);
            world.now.wall = world.now.wall.after(due.since(world.now.monotonic));
            world.now.monotonic = world.now.monotonic.max(due);
            world.run(vec![Event::Wake])?;
        }
        Err("no link comes online".into())
    }

    /// So many payments at once, from the first request to the last answer.
    fn pay(&mut self, first: u64, count: u64) -> Result<(), Failure> {
        let before = self.approved;
        let submissions = (first..first + count).map(|number| self.submission(number)).collect::<Option<Vec<_>>>();
        self.run(submissions.ok_or("a submission of plain values")?)?;
        let approved = self.approved - before;
        if approved == count { Ok(()) } else { Err(format!("{approved} of {count} payments are approved").into()) }
    }

    fn submission(&self, number: u64) -> Option<Event> {
        let amount = Amount::new(1299, Currency::from_code("EUR")?).ok()?;
        let begin = Begin {
            payment: PaymentId(u128::from(number)),
            kind: OperationKind::Sale,
            amount,
            allow_partial: false,
            reference: format!("order-{number}"),
            card: self.card.clone(),
            card_id: CardId(u128::from(number)),
            card_print: CardPrint([7; 32]),
            acceptor: Acceptor {
                terminal: "TERM0001".into(),
                identification: "ACCEPTOR0000001".into(),
                category_code: "5999".into(),
                name: "Corner shop".into(),
                city: "Panama".into(),
                country: "PA".into(),
            },
            entry: PosEntry::Ecommerce,
            consent: None,
            purchase: None,
            metadata: BTreeMap::new(),
        };
        Some(Event::Submit(Box::new(Submission {
            waiter: WaiterId(number),
            merchant: MerchantId::new("acme")?,
            key: IdempotencyKey::new(&format!("order-{number}-attempt-1"))?,
            fingerprint: Fingerprint([9; 32]),
            command: Command::Begin(Box::new(begin)),
            provenance: None,
        })))
    }

    /// Until nothing follows any more.
    fn run(&mut self, mut events: Vec<Event>) -> Result<(), Failure> {
        while !events.is_empty() {
            self.now.monotonic = self.now.monotonic.after(Duration::from_micros(100));
            self.now.wall = self.now.wall.after(Duration::from_micros(100));
            let began = Instant::now();
            let effects: Vec<Effect> = events.drain(..).flat_map(|event| self.switch.handle(self.now, event)).collect();
            self.took += began.elapsed();
            for effect in effects {
                self.act(effect, &mut events)?;
            }
        }
        Ok(())
    }

    fn act(&mut self, effect: Effect, events: &mut Vec<Event>) -> Result<(), Failure> {
        match effect {
            Effect::Append { ticket, .. } => events.push(Event::Recorded { ticket, result: Ok(()) }),
            Effect::Connect { link } => {
                self.issuer.link_up(u64::from(link.0));
                events.push(Event::Connected { link });
            }
            Effect::Send { link, frame, .. } => {
                for planned in self.issuer.receive(u64::from(link.0), frame.into_bytes(), self.now.wall) {
                    if let Action::Send(frame) = planned.action {
                        events.push(Event::Arrived { link, frame: frame.into(), mac: MacVerdict::NotAsked });
                    }
                }
                self.issuer.take_entries();
            }
            Effect::Answer { answer: Answer::Told { payment, .. }, .. } => {
                self.approved += u64::from(payment.first().state == OperationState::Approved);
            }
            Effect::Answer { answer: Answer::Refused(refusal), .. } => return Err(refusal.into()),
            Effect::Observe(_) => {}
            other => return Err(format!("the switch asks for {other:?}").into()),
        }
        Ok(())
    }
}
