//! Keys that are exchanged with a bank and changed while messages are in flight, under the shipped key service.

use super::*;
use isthmus::keys::{HostKeys, KeyService, SoftwareKeys};
use isthmus::payment::Name;
use isthmus::security::{CheckValue, Key, KeyKind, KeySettings, KeyUsage, MAC_ELEMENT, Seal, Wrapped};
use isthmus::switch::{LinkOrder, Operate, OperatorId, Order};

const ZONE: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
const FIRST: &str = "0123456789ABCDEFFEDCBA9876543210";
const SECOND: &str = "133457799BBCDFF1F0E1D2C3B4A59687";
const MAC: &str = "[keys.mac]\nmethod = 'x9.19'\n[keys.exchange]\nelement = 48\n\
    keys = [{ use = 'mac', length = 16, check_value = 3 }]\nmax_age_ms = 3600000\ncomplaints = ['88']\n";

/// A switch, its key service, and a bank that speaks under keys of its own.
struct Room {
    desk: Desk,
    service: SoftwareKeys,
    keys: Arc<KeySettings>,
}

fn mac_key(digits: &str) -> Key {
    Key::parse(KeyKind::Tdes2, KeyUsage::Mac, digits).unwrap()
}

/// A key as a bank sends it.
fn offered(digits: &str) -> String {
    let zone = Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, ZONE).unwrap();
    let key = mac_key(digits);
    let bytes = [Wrapped::wrap(&zone, &key).unwrap().as_bytes(), &CheckValue::of(&key).shown()].concat();
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

impl Room {
    /// Connected, with the sign-on on its way.
    fn signing_on(by: &str) -> Room {
        let keys = Arc::new(KeySettings::read([format!("{MAC}by = '{by}'").as_str()].into_iter()).unwrap());
        let mut settings = Desk::settings();
        settings.hosts[0].keys = Arc::clone(&keys);
        let desk = Desk::offline(settings);
        let mut host = HostKeys::new(Name::from("bank"), vec![LinkId(0)], Arc::clone(&desk.spec), Arc::clone(&keys));
        host.set_zone(Key::parse(KeyKind::Tdes2, KeyUsage::KeyWrapping, ZONE).unwrap());
        let mut service = SoftwareKeys::default();
        service.add(host);
        let mut room = Room { desk, service, keys };
        room.desk.handle(Event::Start);
        room.desk.commit();
        room.desk.others.clear();
        room.desk.handle(Event::Connected { link: LinkId(0) });
        room
    }

    /// Online under the first key.
    fn online() -> Room {
        let mut room = Room::signing_on("answer");
        room.desk.reply("00");
        room.bring(FIRST);
        room.serve();
        assert_eq!(room.state(), "online");
        room
    }

    fn state(&self) -> &'static str {
        self.desk.switch.snapshot().hosts[0].links[0].1
    }

    fn function(&self) -> String {
        self.desk.last().text(70).unwrap().into_owned()
    }

    /// The bank answers the last message and brings a key.
    fn bring(&mut self, digits: &str) {
        self.bring_text(&offered(digits));
    }

    fn bring_text(&mut self, text: &str) {
        let asked = self.desk.last();
        let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
        for element in [7, 11, 70] {
            reply.set(element, asked.text(element).unwrap());
        }
        reply.set(39, "00").set(48, text);
        self.arrive(&reply);
    }

    /// The bank's own request that brings a key.
    fn push(&mut self, stan: &str, text: &str) {
        let mut request = MessageBuilder::new("0800".parse().unwrap());
        request.set(7, "1122120000").set(11, stan).set(70, "101").set(48, text);
        self.arrive(&request);
    }

    fn arrive(&mut self, message: &MessageBuilder) {
        let frame = self.desk.spec.encode_to_bytes(message).unwrap();
        let mac = self.service.verify(LinkId(0), &frame);
        self.desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac });
    }

    /// The key service does what it was asked, and what it says is heard.
    fn serve(&mut self) {
        for effect in std::mem::take(&mut self.desk.others) {
            match effect {
                Effect::TakeKeys { host, number, offered } => {
                    let fault = self.service.take(&host, number, &offered).err().map(|fault| fault.code());
                    self.desk.handle(Event::KeysTaken { host, number, fault });
                }
                Effect::ForgetKey(slot) => self.service.forget(&slot),
                Effect::Judge { link, frame } => {
                    let mac = self.service.verify(link, &frame);
                    self.desk.handle(Event::Judged { link, frame, mac });
                }
                other => self.desk.others.push(other),
            }
        }
    }

    fn is_disconnected(&self) -> bool {
        self.desk.others.iter().any(|effect| matches!(effect, Effect::Disconnect { .. }))
    }

    /// Whether the last frame, as the link would write it, has the MAC of this key.
    fn is_sealed_under(&self, digits: &str) -> bool {
        let (mut frame, seals) = (self.desk.frames.last().unwrap().to_vec(), self.desk.seals.last().unwrap());
        self.service.seal(&mut frame, seals).unwrap();
        matches!(seals.as_slice(), [Seal::Mac(seal)] if seal.place.check(&mac_key(digits), &frame))
    }

    fn sale(&mut self, payment: u128) -> Bytes {
        self.desk.sale(payment as u64, payment);
        self.desk.commit();
        self.desk.frames.last().unwrap().clone()
    }

    /// The bank approves a request under a key.
    fn approve(&mut self, request: &Bytes, digits: &str) {
        let asked = self.desk.spec.decode(request.clone()).unwrap();
        let mut reply = MessageBuilder::new(asked.mti().response().unwrap());
        for element in [3, 4, 7, 11, 32, 37, 41, 42, 49] {
            reply.set(element, asked.text(element).unwrap());
        }
        reply.set(39, "00").set_binary(64, &[0; MAC_ELEMENT]);
        let bare = self.desk.spec.encode_to_bytes(&reply).unwrap();
        let decoded = self.desk.spec.decode(bare.clone()).unwrap();
        let place = self.keys.mac.as_ref().unwrap().place(decoded.mti_span(), decoded.span(64).unwrap());
        let mut frame = bare.to_vec();
        place.fill(&mac_key(digits), &mut frame).unwrap();
        let frame = Bytes::from(frame);
        let mac = self.service.verify(LinkId(0), &frame);
        self.desk.handle(Event::Arrived { link: LinkId(0), frame: frame.into(), mac });
        self.serve();
        self.desk.commit();
    }

    fn order_keys(&mut self) {
        let (waiter, who, why) = (OperatorId(1), "ada".to_owned(), "a test".to_owned());
        let order = Order::Link { link: LinkId(0), what: LinkOrder::ChangeKeys };
        self.desk.handle(Event::Operate(Box::new(Operate { waiter, who, why, order })));
        self.desk.commit();
    }

    fn outcome(&self, payment: u128) -> OperationState {
        self.desk.folded(payment).first().state
    }
}

#[test]
fn nothing_is_online_before_its_keys() {
    let mut room = Room::signing_on("answer");
    room.desk.reply("00");
    assert_eq!((room.state(), room.function().as_str()), ("keys", "101"));
    room.bring(FIRST);
    assert_eq!(room.state(), "keys", "the key service has not taken them yet");
    room.serve();
    assert_eq!(room.state(), "online");
    room.sale(7);
    assert!(room.is_sealed_under(FIRST));
    assert!(room.desk.key_faults.is_empty());
}

#[test]
fn keys_that_are_not_what_their_check_value_says_are_refused() {
    let mut room = Room::signing_on("answer");
    room.desk.reply("00");
    let mut text = offered(FIRST);
    text.replace_range(32.., "000000");
    room.bring_text(&text);
    room.serve();
    assert_eq!((room.desk.key_faults.as_slice(), room.is_disconnected()), (&["key_check_value"][..], true));
    assert_ne!(room.state(), "online");
    // On the next connection it is tried again.
    room.desk.handle(Event::Disconnected { link: LinkId(0), unsent: Vec::new() });
    room.desk.pass(60);
    room.desk.handle(Event::Connected { link: LinkId(0) });
    room.desk.reply("00");
    room.bring(FIRST);
    room.serve();
    assert_eq!(room.state(), "online");
}

#[test]
fn a_bank_that_brings_no_keys_is_left() {
    type Answer = fn(&mut Room);
    let answers: [(Answer, &str); 4] = [
        (|room| room.desk.pass(10), "no_answer"),
        (|room| room.desk.reply("05"), "refused"),
        (|room| room.desk.reply("00"), "no_keys"),
        (|room| room.bring_text("none"), "no_keys"),
    ];
    for (answer, fault) in answers {
        let mut room = Room::signing_on("answer");
        room.desk.reply("00");
        answer(&mut room);
        room.serve();
        assert_eq!((room.desk.key_faults.as_slice(), room.is_disconnected()), (&[fault][..], true));
        assert_eq!(room.state(), "down");
    }
}

#[test]
fn the_bank_may_bring_them_by_itself_and_is_told_what_became_of_them() {
    let mut room = Room::signing_on("host");
    room.desk.reply("00");
    assert_eq!((room.state(), room.function().as_str()), ("keys", "001"), "nothing is asked");
    room.push("000900", &offered(FIRST));
    assert_eq!(room.desk.mti(), "0800", "no answer before it is known whether they are good");
    room.serve();
    assert_eq!((room.desk.mti().as_str(), room.desk.last().text(39).unwrap().as_ref()), ("0810", "00"));
    assert_eq!(room.state(), "online");
    room.push("000901", "0011");
    assert_eq!(room.desk.last().text(39).unwrap(), "96");
    assert_eq!((room.state(), room.desk.key_faults.as_slice()), ("online", &["no_keys"][..]));
    room.sale(7);
    assert!(room.is_sealed_under(FIRST), "the old ones go on");
    room.push("000902", &offered(SECOND));
    room.serve();
    room.sale(8);
    assert!(room.is_sealed_under(SECOND));
}

#[test]
fn the_sign_on_may_bring_them() {
    let mut room = Room::signing_on("sign-on");
    room.bring(FIRST);
    room.serve();
    assert_eq!((room.state(), room.desk.frames.len()), ("online", 1));
    room.order_keys();
    assert_eq!(room.function(), "001");
    room.bring(SECOND);
    room.serve();
    room.sale(7);
    assert!(room.is_sealed_under(SECOND));
}

#[test]
fn what_is_in_flight_across_a_change_is_good_under_either_key() {
    let mut room = Room::online();
    let (first, second) = (room.sale(7), room.sale(8));
    room.order_keys();
    room.bring(SECOND);
    // The bank speaks under the new key at once; the key service does not have it yet.
    room.desk.others.reverse();
    let taking = room.desk.others.pop();
    room.approve(&first, SECOND);
    assert_eq!(room.outcome(7), OperationState::Pending, "nobody can tell yet");
    room.desk.others.extend(taking);
    room.serve();
    room.serve();
    room.desk.commit();
    assert_eq!(room.outcome(7), OperationState::Approved);
    assert!(matches!(room.desk.said.last(), Some(Ok(Told::Done))), "the operator is told");
    room.approve(&second, FIRST);
    assert_eq!(room.outcome(8), OperationState::Approved, "its answer was on the way");
    assert!(room.desk.key_faults.is_empty());
}

#[test]
fn the_key_before_is_good_no_longer_than_agreed() {
    let mut room = Room::online();
    room.order_keys();
    room.bring(SECOND);
    room.serve();
    room.desk.pass(59);
    room.serve();
    let sale = room.sale(7);
    room.approve(&sale, FIRST);
    assert_eq!(room.outcome(7), OperationState::Approved);
    room.desk.pass(1);
    room.serve();
    let sale = room.sale(8);
    room.approve(&sale, FIRST);
    assert_eq!((room.outcome(8), room.desk.key_faults.as_slice()), (OperationState::Reversing, &["bad"][..]));
}

#[test]
fn wrong_macs_and_complaints_and_age_ask_for_new_keys() {
    let mut room = Room::online();
    let asked = |room: &Room| room.desk.frames.iter().filter(|frame| room.desk.asks(frame, "101")).count();
    for payment in 7..10 {
        assert_eq!(asked(&room), 1, "at the sign-on");
        let sale = room.sale(payment);
        room.approve(&sale, SECOND);
        // The reversal that follows is acknowledged.
        let reversal = room.desk.frames.iter().rfind(|frame| room.desk.is(frame, "0420")).unwrap().clone();
        room.approve(&reversal, FIRST);
    }
    assert_eq!(asked(&room), 2, "once at the sign-on, once after the third");
    let mut room = Room::online();
    for payment in 7..10 {
        let sale = room.sale(payment);
        room.desk.reply_to(&sale, "88");
        room.desk.commit();
    }
    assert_eq!((asked(&room), room.desk.key_faults.as_slice()), (2, &["complaint"; 3][..]));
    let mut room = Room::online();
    room.desk.pass(3599);
    assert_eq!(asked(&room), 1);
    room.desk.pass(1);
    assert_eq!(asked(&room), 2);
}

#[test]
fn a_drain_asks_for_no_new_keys() {
    let mut room = Room::online();
    room.desk.pass(3598);
    room.sale(7);
    let frames = room.desk.frames.len();
    room.desk.handle(Event::Drain);
    room.desk.pass(3);
    assert!(!room.desk.drained, "the sale is in flight while the keys grow too old");
    assert!(!room.desk.frames[frames..].iter().any(|frame| room.desk.asks(frame, "101")));
}

#[test]
fn what_the_bank_did_not_believe_is_said_again() {
    let mut room = Room::online();
    room.sale(7);
    room.desk.pass(5);
    room.desk.commit();
    let reversal = room.desk.frames.iter().rfind(|frame| room.desk.is(frame, "0420")).unwrap().clone();
    room.desk.reply_to(&reversal, "88");
    room.desk.commit();
    assert_eq!(room.desk.switch.snapshot().hosts[0].owed, 1, "it is nobody's to look at");
    room.desk.pass(3);
    room.desk.commit();
    let repeat = room.desk.frames.iter().rfind(|frame| room.desk.is(frame, "0421")).unwrap().clone();
    room.desk.reply_to(&repeat, "00");
    room.desk.commit();
    assert_eq!(room.outcome(7), OperationState::Reversed);
}

#[test]
fn a_change_that_fails_leaves_the_keys_as_they_are() {
    let mut room = Room::online();
    room.order_keys();
    room.desk.pass(10);
    assert!(matches!(room.desk.said.last(), Some(Err(OrderRefusal::KeysRefused))));
    assert_eq!(room.state(), "online");
    room.sale(7);
    assert!(room.is_sealed_under(FIRST));
}

#[test]
fn a_bank_without_exchange_is_not_asked() {
    let mut desk = Desk::online();
    let (waiter, who, why) = (OperatorId(1), "ada".to_owned(), "a test".to_owned());
    let order = Order::Link { link: LinkId(0), what: LinkOrder::ChangeKeys };
    desk.handle(Event::Operate(Box::new(Operate { waiter, who, why, order })));
    assert!(matches!(desk.said.last(), Some(Err(OrderRefusal::NoKeys))));
}

impl Desk {
    fn is(&self, frame: &Bytes, mti: &str) -> bool {
        self.spec.decode(frame.clone()).unwrap().mti().to_string() == mti
    }

    fn asks(&self, frame: &Bytes, function: &str) -> bool {
        self.spec.decode(frame.clone()).unwrap().text(70).as_deref() == Some(function)
    }
}
