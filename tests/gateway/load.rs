//! The load generator at a door: what it reports is what the door was asked.

use crate::stage::{self, Stage};
use isthmus::load::cards::Card;
use isthmus::load::pace::Pace;
use isthmus::load::{self, Customers, Errands, LoadError, Plan, Report};
use std::time::Duration;

fn plan(stage: &Stage, mix: &str) -> Plan {
    Plan {
        customers: Customers::Merchants(Box::new(Errands {
            target: stage.target(),
            in_flight: None,
            is_xml: false,
            mix: mix.parse().unwrap(),
            cards: vec![Card::approving()],
            amounts: 100..=104,
            currency: "EUR".to_owned(),
            run: "run".to_owned(),
        })),
        connections: 4,
        threads: 2,
        pace: Pace::Closed,
        ramp: Duration::ZERO,
        duration: Duration::from_secs(60),
        most: 40,
        timeout: Duration::from_secs(30),
        seed: 1,
        server_pid: Some(std::process::id()),
    }
}

fn errands(plan: &mut Plan) -> &mut Errands {
    match &mut plan.customers {
        Customers::Merchants(errands) => errands,
        Customers::Acquirers(_) => panic!("merchants ask at a door"),
    }
}

async fn run(plan: Plan) -> Report {
    load::run(plan, |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_stops_at_its_count_and_every_answer_is_counted() {
    let mut stage = stage::open_with(Default::default(), "", 64).await;
    let report = run(plan(&stage, "sale=1,authorize=1,capture=1,void=1,refund=1,read=1,repeat=1")).await;
    let tally = &report.tally;
    assert_eq!((tally.ended(), tally.failed, tally.refused), (40, 0, 0), "{:?}", tally.outcomes);
    assert!(tally.operations.contains_key("sale") && tally.operations.contains_key("authorize"));
    let asked = std::iter::from_fn(|| stage.seen.try_recv().ok()).count() as u64;
    let read = tally.operations.get("read").map_or(0, load::Times::count);
    assert_eq!(asked + read, 40);
    assert_eq!(tally.operations.values().map(load::Times::count).sum::<u64>(), 40);
    assert_eq!(report.to_json()["answered"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_asks_what_is_due_and_no_more() {
    let stage = stage::open_with(Default::default(), "", 64).await;
    let pace = Pace::Open { rate: 100.0 };
    let report = run(Plan { pace, most: 1_000, duration: Duration::from_millis(500), ..plan(&stage, "sale=1") }).await;
    assert_eq!(report.tally.ended() + report.not_begun, 50, "{:?}", report.tally.outcomes);
    assert_eq!(report.tally.latency.count(), report.tally.answered);
    let limited = run(Plan { pace, most: 7, ..plan(&stage, "sale=1") }).await;
    assert_eq!((limited.tally.ended(), limited.not_begun), (7, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_silence_are_told_apart() {
    let stage = stage::open_with(Default::default(), "", 64).await;
    let mut unknown = plan(&stage, "sale=1");
    errands(&mut unknown).target.api_key = Some("isk_nobody".to_owned());
    let report = run(Plan { most: 8, ..unknown }).await;
    assert_eq!((report.tally.refused, report.tally.answered), (8, 0));
    assert!(report.tally.outcomes.keys().all(|outcome| outcome.starts_with("401 ")), "{:?}", report.tally.outcomes);
    let mut silent = plan(&stage, "sale=1");
    errands(&mut silent).amounts = 198..=198;
    let report = run(Plan { most: 4, timeout: Duration::from_millis(100), ..silent }).await;
    assert_eq!(report.tally.outcomes["no answer: timeout"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_bodies_are_understood() {
    use isthmus::client::{Cipher, Envelope, Form};
    let stage = stage::open_with(Default::default(), "", 64).await;
    let material = stage::material();
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let own = read(&material.merchant_payload_private_key_pem);
    let envelope = Envelope::new(&read(&material.gateway_payload_key), &own, Cipher::A256Gcm, Form::Jose);
    let mut sealed = plan(&stage, "sale=1,capture=1");
    errands(&mut sealed).target.envelope = Some(envelope.unwrap());
    let report = run(Plan { most: 6, connections: 2, ..sealed }).await;
    assert_eq!((report.tally.answered, report.tally.ended()), (6, 6), "{:?}", report.tally.outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_carry_all_notations_and_many_requests_at_once() {
    let mut stage = stage::open_with(Default::default(), "", 64).await;
    for (is_xml, prefix) in [(false, "json"), (true, "xml")] {
        let mut framed = plan(&stage, "sale=1,authorize=1,capture=1,void=1,refund=1,read=1,repeat=1");
        let errands = errands(&mut framed);
        (errands.in_flight, errands.is_xml, errands.run) = (Some(8), is_xml, prefix.to_owned());
        errands.target.url = format!("tls://localhost:{}", stage.framed.port());
        let report = run(Plan { most: 200, ..framed }).await;
        let tally = &report.tally;
        assert_eq!((tally.ended(), tally.failed, tally.refused), (200, 0, 0), "{:?}", tally.outcomes);
        let asked = std::iter::from_fn(|| stage.seen.try_recv().ok()).count() as u64;
        let read = tally.operations.get("read").map_or(0, load::Times::count);
        assert!(read > 0, "{:?}", tally.operations.keys());
        assert_eq!(asked + read, 200, "a name was read out of every answer that a reading needs");
        assert_eq!(report.to_json()["in_flight"], 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_is_understood_and_its_answers_are_read() {
    let stage = stage::open_with(Default::default(), "", 64).await;
    let mut plan = plan(&stage, "sale=1,capture=1,refund=1,void=1,read=1");
    errands(&mut plan).is_xml = true;
    let report = run(plan).await;
    let tally = &report.tally;
    assert_eq!((tally.answered, tally.ended()), (40, 40), "{:?}", tally.outcomes);
    assert!(tally.outcomes.contains_key("refunded") && tally.outcomes.contains_key("voided"), "{:?}", tally.outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_timed_by_their_code() {
    let stage = stage::open_with(Default::default(), "", 64).await;
    let mut plan = plan(&stage, "sale=1");
    let errands = errands(&mut plan);
    (errands.in_flight, errands.currency) = (Some(2), "XXX".to_owned());
    errands.target.url = format!("tls://localhost:{}", stage.framed.port());
    let report = run(Plan { most: 6, ..plan }).await;
    let [(code, times)] = &report.tally.refusals.iter().collect::<Vec<_>>()[..] else { panic!("{report}") };
    assert!(code.starts_with("422 ") && times.count() == 6, "{code} {}", times.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_told_at_once() {
    let stage = stage::open().await;
    let mut plan = plan(&stage, "sale=1");
    stage.doors.drain().await;
    let told = load::run(plan.clone(), |_| ()).await.unwrap_err();
    assert!(matches!(told, LoadError::Connect { connected: 0, wanted: 4, .. }), "{told}");
    errands(&mut plan).target.url = "http://localhost:1".to_owned();
    assert!(matches!(load::run(plan, |_| ()).await.unwrap_err(), LoadError::Target(_)));
}
