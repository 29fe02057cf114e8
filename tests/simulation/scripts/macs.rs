//! Banks whose messages bear a MAC.

use super::*;
use isthmus::security::KeySettings;
use isthmus::switch::NO_KEY;

/// How many seals each frame had.
fn seals(desk: &Desk) -> Vec<usize> {
    desk.seals.iter().map(Vec::len).collect()
}

/// A desk whose bank's financial messages bear a MAC, with a sale on its way.
fn sale_with_mac() -> Desk {
    let keys = KeySettings::read(["[keys.mac]\nmethod = 'x9.19'"].into_iter()).unwrap();
    let mut settings = Desk::settings();
    settings.hosts[0].keys = Arc::new(keys);
    let mut desk = Desk::with(settings);
    assert_eq!(seals(&desk), [0], "the sign-on bears none");
    desk.sale(1, 7);
    desk.commit();
    desk
}

#[test]
fn room_for_a_mac_is_the_last_element() {
    let desk = sale_with_mac();
    let last = desk.last().elements().last().unwrap();
    assert!(matches!(last, 64 | 128), "{last}");
    assert_eq!(seals(&desk), [0, 1]);
}

#[test]
fn what_is_not_authentic_makes_the_outcome_unknown() {
    for mac in [MacVerdict::Bad, MacVerdict::Absent] {
        let mut desk = sale_with_mac();
        let sale = desk.frames.last().unwrap().clone();
        desk.reply_as(LinkId(0), &sale, "00", mac);
        desk.commit();
        assert_eq!(desk.told().first().state, OperationState::Reversing, "an approval that nobody vouches for");
        assert_eq!((desk.mti().as_str(), seals(&desk).last()), ("0420", Some(&1)));
        assert_eq!(desk.key_faults, [mac.name()]);
        let reversal = desk.frames.last().unwrap().clone();
        desk.reply_as(LinkId(0), &reversal, "00", mac);
        desk.commit();
        assert_eq!(desk.switch.snapshot().hosts[0].owed, 1, "nobody vouches for the acknowledgement either");
        desk.pass(3);
        desk.commit();
        assert_eq!((desk.mti().as_str(), seals(&desk).last()), ("0421", Some(&1)), "with a MAC of its own");
        let repeat = desk.frames.last().unwrap().clone();
        desk.reply_as(LinkId(0), &repeat, "00", MacVerdict::Good);
        desk.commit();
        assert_eq!(desk.folded(7).first().state, OperationState::Reversed);
    }
}

#[test]
fn an_authentic_answer_is_believed() {
    let mut desk = sale_with_mac();
    let sale = desk.frames.last().unwrap().clone();
    desk.reply_as(LinkId(0), &sale, "00", MacVerdict::Good);
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Approved);
    assert!(desk.key_faults.is_empty());
}

#[test]
fn a_frame_without_a_key_was_never_sent() {
    let mut desk = sale_with_mac();
    let sends = vec![desk.last_way().1];
    desk.handle(Event::Unsealed { link: LinkId(0), sends, fault: NO_KEY });
    desk.commit();
    assert_eq!(desk.told().first().state, OperationState::Failed);
    assert_eq!(desk.key_faults, ["no_key"]);
    assert_eq!((desk.mti().as_str(), desk.switch.snapshot().hosts[0].owed), ("0200", 0), "nothing is owed for it");
}
