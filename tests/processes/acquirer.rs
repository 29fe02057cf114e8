//! ISO 8583 on both sides: terminals that speak the edition of 1987 in packed digits, a bank that speaks that of 1993 in
//! ASCII, and the switch between them. What the terminals were told is what the bank booked.

use crate::house::{APPROVES, DECLINES, House, SILENT, SLOW};
use isthmus::framing::{Frame, Framer, Framing};
use isthmus::iso8583::{Message, MessageBuilder, Spec, dialects};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Decoder;

/// How long an answer may take; the bank is given up long before.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the demo's merchant.
const TERMINAL: &str = "DEMO0001";
const ACCEPTOR: &str = "DEMOSHOP0000001";

/// The switch: the demo's merchant at a door of terminals, and behind it a bank of another edition.
fn hosts(house: &House, door: SocketAddr) -> String {
    format!(
        "[[hosts]]\nname = \"demo-bank\"\nacquirer = \"123456\"\ndialect = \"iso8583-1993-ascii\"\n\
         answer_timeout_ms = 1000\nsend_timeout_ms = 1000\n[hosts.retry]\npause_min_ms = 200\npause_max_ms = 1000\n\
         [[hosts.links]]\nconnect = \"{}\"\n\n\
         [[acquirers]]\nname = \"terminals\"\nlisten = \"{door}\"\ndialect = \"iso8583-1987-bcd\"\n\
         merchants = [\"demo-shop\"]\nacquirer_ids = [\"777\"]\nallow = [\"127.0.0.0/8\"]\npassed_over = [60]\n\n",
        house.bank_addr(0)
    )
}

fn bank(house: &House) -> String {
    format!(
        "listen = \"{}\"\ncontrol = \"{}\"\nledger = {:?}\ndialect = \"iso8583-1993-ascii\"\n",
        house.bank_addr(0),
        house.bank_control(0),
        house.bank_ledger(0)
    )
}

/// A terminal network on a connection of its own.
struct Terminals {
    stream: TcpStream,
    framer: Framer,
    buffer: bytes::BytesMut,
    spec: Arc<Spec>,
}

/// A message on its way: type and elements.
#[derive(Clone)]
struct Asked {
    mti: &'static str,
    elements: BTreeMap<u8, String>,
}

impl Asked {
    /// A message of a card under a trace number and a time of its own.
    fn new(mti: &'static str, card: &str, minor: u64) -> Asked {
        static STANS: AtomicU32 = AtomicU32::new(1);
        let stan = STANS.fetch_add(1, Ordering::Relaxed);
        let usual = [
            (2, card.to_owned()),
            (3, "000000".to_owned()),
            (4, format!("{minor:012}")),
            (7, format!("1122{stan:06}")),
            (11, format!("{stan:06}")),
            (12, format!("{stan:06}")),
            (13, "1122".to_owned()),
            (14, "3012".to_owned()),
            (22, "810".to_owned()),
            (25, "59".to_owned()),
            (32, "777".to_owned()),
            (41, TERMINAL.to_owned()),
            (42, ACCEPTOR.to_owned()),
            (49, "978".to_owned()),
        ];
        Asked { mti, elements: usual.into() }
    }

    fn with(mut self, element: u8, text: &str) -> Asked {
        self.elements.insert(element, text.to_owned());
        self
    }

    fn without(mut self, element: u8) -> Asked {
        self.elements.remove(&element);
        self
    }

    fn again(&self, mti: &'static str) -> Asked {
        Asked { mti, ..self.clone() }
    }

    /// A later message about this one, with a trace number and times of its own; it names this one (90).
    fn followed(&self, mti: &'static str, minor: u64) -> Asked {
        let named = format!("{}{}{}{:0>11}{:011}", self.mti, self.elements[&11], self.elements[&7], "777", 0);
        Asked::new(mti, &self.elements[&2], minor).with(90, &named)
    }

    /// The same as a terminal takes it back that was not answered: under its own number and times.
    fn taken_back(&self) -> Asked {
        let named = format!("{}{}{}{:0>11}{:011}", self.mti, self.elements[&11], self.elements[&7], "777", 0);
        self.again("0420").with(90, &named).with(39, "68")
    }

    fn bytes(&self, spec: &Spec) -> bytes::Bytes {
        let mut builder = MessageBuilder::new(self.mti.parse().unwrap());
        for (element, text) in &self.elements {
            builder.set(*element, text);
        }
        spec.encode_to_bytes(&builder).unwrap()
    }
}

impl Terminals {
    async fn connect(address: SocketAddr) -> Terminals {
        let stream = TcpStream::connect(address).await.unwrap();
        let spec = dialects::builtin("iso8583-1987-bcd").unwrap().unwrap();
        Terminals { stream, framer: Framer::new(Framing::default()), buffer: bytes::BytesMut::new(), spec }
    }

    async fn send(&mut self, asked: &Asked) {
        let bytes = asked.bytes(&self.spec);
        self.send_bytes(&bytes).await;
    }

    async fn send_bytes(&mut self, message: &[u8]) {
        let mut frame = bytes::BytesMut::new();
        self.framer.framing().put(message, &mut frame).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.read()).await.expect("an answer in time").expect("an answer")
    }

    async fn read(&mut self) -> Option<Message> {
        loop {
            if let Some(Frame::Message(message)) = self.framer.decode(&mut self.buffer).unwrap() {
                return Some(self.spec.decode(message).unwrap());
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn ask(&mut self, asked: &Asked) -> Message {
        self.send(asked).await;
        self.next().await
    }

    /// Message type and response code of the answer.
    async fn code(&mut self, asked: &Asked) -> (String, String) {
        told(&self.ask(asked).await)
    }
}

fn told(answer: &Message) -> (String, String) {
    (answer.mti().to_string(), answer.text(39).unwrap().into_owned())
}

fn is(mti: &str, code: &str) -> (String, String) {
    (mti.to_owned(), code.to_owned())
}

fn text(answer: &Message, element: u8) -> String {
    answer.text(element).unwrap_or_default().into_owned()
}

/// What the bank booked and set aside, by reference.
fn books(house: &House, after: u64) -> BTreeMap<String, (i64, i64)> {
    let mut books = BTreeMap::new();
    for entry in house.ledger_after(0, after) {
        let reference = entry["rrn"].as_str().unwrap_or_default().to_owned();
        let sums: &mut (i64, i64) = books.entry(reference).or_default();
        *sums = (sums.0 + entry["net"].as_i64().unwrap(), sums.1 + entry["held"].as_i64().unwrap());
    }
    books
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_of_one_edition_pay_at_a_bank_of_another() {
    let house = House::build();
    let door = house.link_addr(0);
    house.configure_bank(0, &bank(&house));
    house.configure_hosts(&hosts(&house, door));
    let _bank = house.bank();
    let mut serve = house.serve();
    house.until_paid().await;
    house.until_at_rest().await;
    let before = house.ledger().last().map_or(0, |entry| entry["sequence"].as_u64().unwrap());
    // What each reference comes to: what left the account, and what is set aside.
    let mut expected: BTreeMap<String, (i64, i64)> = BTreeMap::new();

    let mut terminals = Terminals::connect(door).await;
    let network = |function: &str| {
        let message = Asked { mti: "0800", elements: BTreeMap::new() };
        message.with(7, "1122000000").with(11, "900001").with(70, function)
    };
    for (function, code) in [("001", "00"), ("301", "00"), ("201", "00"), ("101", "40")] {
        assert_eq!(terminals.code(&network(function)).await, is("0810", code), "{function}");
    }

    // A sale; again, and for another amount.
    let sale = Asked::new("0200", APPROVES, 1_299);
    let answer = terminals.ask(&sale).await;
    assert_eq!(told(&answer), is("0210", "00"));
    for element in [2, 3, 4, 7, 11, 12, 13, 32, 41, 42, 49] {
        assert_eq!(text(&answer, element), sale.elements[&element], "{element}");
    }
    assert_eq!((text(&answer, 38).len(), text(&answer, 15).len(), text(&answer, 37).len()), (6, 4, 12));
    expected.insert(text(&answer, 37), (-1_299, 0));
    let again = terminals.ask(&sale.again("0201")).await;
    assert_eq!(again.as_bytes(), answer.as_bytes(), "a repeat is told the same");
    assert_eq!(terminals.code(&sale.clone().with(4, "000000001298")).await, is("0210", "94"));

    // The bank says no, in its own words.
    let declined = terminals.ask(&Asked::new("0200", DECLINES, 500)).await;
    assert_eq!(told(&declined), is("0210", "51"));
    expected.insert(text(&declined, 37), (0, 0));

    // Who is not let through, and what is not understood, is told; nothing of it reaches the bank.
    for (asked, code) in [
        (sale.clone().with(41, "NOBODY01").with(11, "800001"), "03"),
        (sale.clone().with(32, "778").with(11, "800002"), "57"),
        (sale.clone().with(52, "0123456789ABCDEF").with(11, "800003"), "40"),
        (sale.clone().with(3, "010000").with(11, "800004"), "40"),
        (sale.clone().with(49, "999").with(11, "800005"), "30"),
        (sale.clone().without(22).with(11, "800006"), "30"),
        (sale.clone().with(2, "4242424242424241").with(11, "800007"), "14"),
    ] {
        assert_eq!(terminals.code(&asked).await, is("0210", code));
    }
    assert_eq!(terminals.code(&Asked::new("0500", APPROVES, 0)).await, is("0510", "40"));
    assert_eq!(terminals.code(&Asked::new("0120", APPROVES, 500)).await, is("0130", "40"), "approved by the terminal");

    // Authorised, completed for less by an advice that comes twice.
    let held = Asked::new("0100", APPROVES, 2_000).with(60, "000017");
    let answer = terminals.ask(&held).await;
    assert_eq!(told(&answer), is("0110", "00"));
    let completion = held.followed("0220", 1_500).with(38, &text(&answer, 38));
    assert_eq!(terminals.code(&completion).await, is("0230", "00"));
    assert_eq!(terminals.code(&completion.again("0221")).await, is("0230", "00"));
    assert_eq!(terminals.code(&held.followed("0220", 1)).await, is("0230", "57"), "the completion was the last one");
    let completed = text(&answer, 37);
    // The rest stays set aside: the bank is not told of it in this edition.
    expected.insert(completed.clone(), (-1_500, 500));
    assert_eq!(terminals.code(&completion.taken_back()).await, is("0430", "40"));

    // A sale that is given back in part, found by its reference.
    let given_back = Asked::new("0200", APPROVES, 800);
    let answer = terminals.ask(&given_back).await;
    let refund = given_back.followed("0200", 300).with(3, "200000");
    let refunded = terminals.ask(&refund).await;
    assert_eq!(told(&refunded), is("0210", "00"));
    expected.insert(text(&answer, 37), (-800, 0));
    expected.insert(text(&refunded, 37), (300, 0));

    // Taken back: as it was sent and not answered, again, by a later message, and by request.
    for how in 0..3 {
        let sale = Asked::new("0200", APPROVES, 700 + how);
        let answer = terminals.ask(&sale).await;
        let (reversal, code) = match how {
            0 => (sale.taken_back(), "0430"),
            1 => (sale.followed("0420", 701), "0430"),
            _ => (sale.again("0400"), "0410"),
        };
        assert_eq!(terminals.code(&reversal.clone().with(4, "000000000001").with(11, "810000")).await.0, code);
        assert_eq!(terminals.code(&reversal).await, is(code, "00"), "{how}");
        let again = if code == "0430" { "0421" } else { "0401" };
        assert_eq!(terminals.code(&reversal.again(again)).await, is(code, "00"), "{how}");
        expected.insert(text(&answer, 37), (0, 0));
    }
    assert_eq!(terminals.code(&Asked::new("0200", APPROVES, 1).taken_back()).await, is("0430", "25"), "never asked");

    // The bank says nothing: nobody knows, it is being taken back, and the terminal's own reversal is as good as done.
    let unknown = Asked::new("0200", SILENT, 600);
    let answer = terminals.ask(&unknown).await;
    assert_eq!(told(&answer), is("0210", "68"));
    expected.insert(text(&answer, 37), (0, 0));
    assert_eq!(terminals.code(&unknown.again("0201")).await, is("0210", "68"));
    assert_eq!(terminals.code(&unknown.taken_back()).await, is("0430", "00"));

    // Taken back while the bank has not answered yet: each is answered, and nothing stands.
    let slow = Asked::new("0200", SLOW, 900);
    let reversal = slow.taken_back();
    terminals.send(&slow).await;
    terminals.send(&reversal).await;
    terminals.send(&slow.again("0201")).await;
    let answers = [terminals.next().await, terminals.next().await, terminals.next().await];
    let sales: Vec<_> = answers.iter().filter(|answer| answer.mti().to_string() == "0210").collect();
    assert_eq!(sales.len(), 2, "{answers:?}");
    assert_eq!(sales[0].as_bytes(), sales[1].as_bytes());
    let reversed = answers.iter().find(|answer| answer.mti().to_string() == "0430").unwrap();
    assert_eq!(told(reversed), is("0430", "00"));
    expected.insert(text(sales[0], 37), (0, 0));

    // What is on an account.
    let balance = terminals.ask(&Asked::new("0100", APPROVES, 0).with(3, "310000")).await;
    assert_eq!(told(&balance), is("0110", "00"));
    assert!(text(&balance, 54).len() >= 20 && text(&balance, 54).contains("978"), "{}", text(&balance, 54));
    expected.insert(text(&balance, 37), (0, 0));

    // Many at once, on two lines; each answer is its own.
    let mut other = Terminals::connect(door).await;
    let many: Vec<Asked> = (0..40).map(|number| Asked::new("0200", APPROVES, 100 + number)).collect();
    for (place, asked) in many.iter().enumerate() {
        let line = if place % 2 == 0 { &mut terminals } else { &mut other };
        line.send(asked).await;
    }
    let mut left: BTreeMap<String, &Asked> = many.iter().map(|asked| (asked.elements[&11].clone(), asked)).collect();
    for place in 0..many.len() {
        let line = if place % 2 == 0 { &mut terminals } else { &mut other };
        let answer = line.next().await;
        let asked = left.remove(&text(&answer, 11)).expect("each is answered once");
        assert_eq!(told(&answer), is("0210", "00"));
        assert_eq!(text(&answer, 4), asked.elements[&4]);
        expected.insert(text(&answer, 37), (-asked.elements[&4].parse::<i64>().unwrap(), 0));
    }

    // Bytes that are a message only as far as its trace number are answered; bytes that are no frame end the line.
    let whole = Asked::new("0200", APPROVES, 1);
    let bytes = whole.bytes(&terminals.spec);
    terminals.send_bytes(&bytes[..bytes.len() - 10]).await;
    let answer = terminals.next().await;
    assert_eq!(told(&answer), is("0210", "30"));
    assert_eq!(text(&answer, 11), whole.elements[&11]);
    terminals.send_bytes(&[0xFF; 40]).await;
    assert_eq!(terminals.code(&network("301")).await, is("0810", "00"), "what means nothing is not answered");
    terminals.stream.write_all(&[0xFF, 0xFF]).await.unwrap();
    terminals.stream.write_all(&[0; 64]).await.unwrap();
    assert!(timeout(PATIENCE, terminals.stream.read_u8()).await.unwrap().is_err(), "the line is closed");
    assert_eq!(other.code(&network("301")).await, is("0810", "00"));

    // A switch that starts again knows all of it.
    assert!(serve.terminate(), "SIGTERM drains and exits 0");
    let _serve = house.serve();
    house.until_at_rest().await;
    let mut later = Terminals::connect(door).await;
    assert_eq!(later.ask(&sale.again("0201")).await.as_bytes(), again.as_bytes());

    let began = Instant::now();
    loop {
        let booked = books(&house, before);
        let wrong: Vec<_> = expected
            .iter()
            .map(|(reference, sums)| (reference, sums, booked.get(reference).copied().unwrap_or_default()))
            .filter(|(_, sums, booked)| *sums != booked)
            .collect();
        if wrong.is_empty() {
            let strange =
                booked.iter().filter(|(reference, sums)| **sums != (0, 0) && !expected.contains_key(*reference));
            assert_eq!(strange.count(), 0, "the bank booked what nobody was told of: {booked:?}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "told and booked differ: {wrong:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
