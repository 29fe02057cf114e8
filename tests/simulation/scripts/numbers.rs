//! Trace numbers that came round: a million messages later a new payment bears the number of an old one.

use super::*;

/// Type, trace number and transmission time: what the bank tells messages of one acquirer by.
fn identity(message: &Message) -> (String, String, String) {
    let text = |element| message.text(element).unwrap().into_owned();
    (message.mti().without_repeat().to_string(), text(11), text(7))
}

impl Desk {
    /// The switch is killed, and a million messages pass before the next one starts: it signs on under the number
    /// before this one's.
    fn killed_for_a_million(self, last: &Message) -> Desk {
        let mut after = self.killed();
        after.journal.use_numbers_up_to(last.text(11).unwrap().parse::<u32>().unwrap() - 1);
        after
    }
}

#[test]
fn two_originals_of_one_number_are_taken_back_in_different_seconds() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let first = desk.last();
    desk.reply("00");
    desk.commit();
    let mut desk = desk.killed_for_a_million(&first);
    desk.now += 60_000_000;
    desk.starts();
    desk.commit();
    desk.connects();
    desk.sale(2, 8);
    desk.commit();
    let second = desk.last();
    assert_eq!(first.text(11), second.text(11));
    // The one is unknown, and the other voided in the same second.
    desk.pass(5);
    desk.commit();
    let reversal = desk.last();
    desk.reply("00");
    desk.commit();
    desk.submit(3, "void-7", Command::Void { payment: PaymentId(7) });
    desk.load();
    desk.commit();
    let void = desk.last();
    assert_eq!((reversal.mti(), reversal.text(11)), (void.mti(), void.text(11)));
    assert_ne!(identity(&reversal), identity(&void), "a bank would take the second for a repeat of the first");
}

#[test]
fn a_number_is_held_until_what_is_owed_of_it_is_durable() {
    let mut desk = Desk::online();
    desk.sale(1, 7);
    desk.commit();
    let unknown = desk.last();
    let mut desk = desk.killed_for_a_million(&unknown);
    desk.starts();
    // The block of numbers is durable, and the outcome of the first sale, with its reversal, is not yet.
    let (numbers, outcome) = std::mem::take(&mut desk.appends).into_iter().partition(|(_, entry)| is_numbers(entry));
    desk.appends = numbers;
    desk.commit();
    desk.appends = outcome;
    desk.connects();
    desk.sale(2, 8);
    desk.commit();
    let sent: Vec<Message> = desk.frames.iter().map(|frame| desk.spec.decode(frame.clone()).unwrap()).collect();
    let borne = |class: u8| sent.iter().find(|message| message.mti().class() == class).unwrap().text(11);
    assert_eq!(borne(4), unknown.text(11), "the reversal bears it");
    assert_ne!(borne(2), unknown.text(11), "the new sale does not");
}

fn is_numbers(entry: &Entry) -> bool {
    matches!(entry, Entry::Numbers(_))
}
