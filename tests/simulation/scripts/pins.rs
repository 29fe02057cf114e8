//! PINs: with their request and with nothing else, in no record.

use super::*;
use isthmus::payment::{CardPresent, Emv, OfferedPin, PinKeyName, PosEntry, Track2};
use isthmus::security::{KeySettings, Seal};

const TRACK: &str = "4111111111111111=30122010000012345678";

/// A desk whose bank says this of keys.
fn desk(keys: &str) -> Desk {
    let mut settings = Desk::settings();
    settings.hosts[0].keys = Arc::new(KeySettings::read([keys].into_iter()).unwrap());
    Desk::with(settings)
}

/// What a reader gives, with a PIN.
pub(super) fn reading() -> CardPresent {
    let pin = OfferedPin::new(0, vec![0xAB; 8], PinKeyName::Static("till".to_owned()));
    let (track2, emv) = (Track2::parse(TRACK).unwrap(), Emv::parse("9F2608A1B2C3D4E5F60718"));
    CardPresent { track2, emv, pin }
}

impl Desk {
    fn sale_with_pin(&mut self) {
        let mut begin = begin(PaymentId(7), OperationKind::Sale, 1000, false, CARD);
        begin.entry = PosEntry::Chip;
        begin.card.present = Some(Box::new(reading()));
        self.submit(1, "sale-7", Command::Begin(Box::new(begin)));
    }
}

#[test]
fn a_pin_goes_with_its_request_and_with_nothing_else() {
    let control = "control = { element = 53, text = '2600000000000000' }";
    let mut desk = desk(&format!("[keys.mac]\nmethod = 'x9.19'\n[keys.pin]\nformat = 0\n{control}"));
    desk.sale_with_pin();
    let recorded = format!("{:?}", desk.appends);
    assert!(!recorded.contains(TRACK) && !recorded.contains("171, 171") && !recorded.contains("A1B2C3"));
    desk.commit();
    let sale = desk.last();
    let text = |element| sale.text(element).unwrap().into_owned();
    assert_eq!((text(22).as_str(), text(25).as_str(), text(35).as_str()), ("051", "00", TRACK));
    assert_eq!(sale.get("55.9F26").unwrap().text(), "A1B2C3D4E5F60718");
    assert_eq!((text(52).as_str(), text(53).as_str()), ("0000000000000000", "2600000000000000"), "room for it");
    let seals = desk.seals.last().unwrap().as_slice();
    assert!(matches!(seals, [Seal::Pin(pin), Seal::Mac(_)] if pin.offered.block == [0xAB; 8]), "{seals:?}");
    assert!(!format!("{seals:?}").contains("171, 171"));
    desk.pass(5);
    desk.commit();
    let reversal = desk.last();
    assert_eq!(desk.mti(), "0420");
    assert!([35, 52, 53, 55].into_iter().all(|element| !reversal.has(element)));
    assert_eq!(desk.seals.last().unwrap().len(), 1);
}

#[test]
fn a_bank_that_takes_no_pins_is_not_asked() {
    let mut desk = desk("[keys.mac]\nmethod = 'x9.19'");
    let sent = desk.frames.len();
    desk.sale_with_pin();
    assert!(matches!(desk.answers.last().unwrap().1, Answer::Refused(Refusal::NotSupported)));
    assert_eq!((desk.frames.len(), desk.appends.len()), (sent, 0));
}

#[test]
fn a_pin_that_cannot_be_translated_was_never_sent() {
    let mut desk = desk("[keys.pin]\nformat = 3");
    desk.sale_with_pin();
    desk.commit();
    let (link, send) = desk.last_way();
    desk.handle(Event::Unsealed { link, sends: vec![send], fault: "pin_block_unreadable" });
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Failed);
    assert_eq!((desk.mti().as_str(), desk.key_faults.as_slice()), ("0200", &["pin_block_unreadable"][..]));
}
