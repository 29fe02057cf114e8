//! The journal as its users see it.

use super::samples::*;
use super::*;
use crate::payment::{CardId, Wall};
use crate::switch::{Entry, NotRecorded, Ticket};
use crate::transaction::{Body, Discharge, Listing, Page, PaymentStatus, Provenance, Record};
use crate::vault::{KeyRing, Keys, Resealed};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn what_waits_is_committed_together() {
    let scratch = Scratch::new();
    let (commit, commits) = channel();
    let (release, released) = channel();
    let released = Mutex::new(released);
    let committed = Box::new(move |results: Vec<(Ticket, _)>| {
        commit.send(results.len()).unwrap();
        released.lock().unwrap().recv_timeout(SOON).unwrap();
    });
    let (journal, _) = Journal::open(&scratch.settings(), keys(), committed, Box::new(|_, _| {})).unwrap();
    journal.append(Ticket(0), sale_entry(1, "acme", "k0"));
    assert_eq!(commits.recv_timeout(SOON), Ok(1), "nobody waits for company");
    for number in 1..=500_u128 {
        journal.append(Ticket(1), sale_entry(number + 1, "acme", &format!("k{number}")));
    }
    release.send(()).unwrap();
    assert_eq!(commits.recv_timeout(SOON), Ok(500), "one commit for all that came meanwhile");
    release.send(()).unwrap();
    journal.close();
}

#[test]
fn a_commit_has_a_largest_size() {
    let scratch = Scratch::new();
    let settings = Settings { max_batch_records: count(10), ..scratch.settings() };
    let opened = open(&settings);
    for number in 1..=100_u128 {
        opened.journal.append(Ticket(1), sale_entry(number, "acme", &format!("k{number}")));
    }
    let mut done = 0;
    while done < 100 {
        let results = opened.commits.recv_timeout(SOON).unwrap();
        assert!(results.len() <= 10);
        done += results.len();
    }
}

#[test]
fn a_payment_is_read_back_with_its_card_and_without_its_code() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k1")).unwrap();
    opened.append(entry(approved(5, 2, 1))).unwrap();
    let expected = vec![sale(5, "acme", "k1"), approved(5, 2, 1)];
    for _ in 0..2 {
        let stored = opened.load(PaymentId(5)).unwrap();
        assert_eq!(stored.records, expected);
        assert_eq!(stored.card, Some(card().without_cvc()));
        opened.wait_for_views();
    }
    assert!(opened.load(PaymentId(6)).is_none());
    let reader = opened.journal.reader();
    assert_eq!(reader.payment(PaymentId(5)).unwrap(), Some(expected));
    assert_eq!(reader.payment(PaymentId(6)).unwrap(), None);
    let places: Vec<_> = reader.records(PaymentId(5)).unwrap().iter().map(|p| (p.node, p.sequence)).collect();
    assert_eq!(places, [(1, 1), (1, 2)]);
}

#[test]
fn a_purged_card_is_none() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k1")).unwrap();
    Connection::open(scratch.settings().store.journal()).unwrap().execute("DELETE FROM cards", []).unwrap();
    assert_eq!(opened.load(PaymentId(5)).unwrap().card, None);
}

#[test]
fn payments_are_found_by_key_and_reference_at_once_and_later() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k1")).unwrap();
    opened.append(sale_entry(6, "acme", "k2")).unwrap();
    opened.append(sale_entry(7, "other", "k1")).unwrap();
    opened.append(entry(refund(5, 2, "k3"))).unwrap();
    let reader = opened.journal.reader();
    for _ in 0..2 {
        let by_key = |name: &str, text: &str| reader.by_key(&merchant(name), &key(text)).unwrap();
        assert_eq!(by_key("acme", "k1"), [PaymentId(5)]);
        assert_eq!(by_key("acme", "k3"), [PaymentId(5)], "a later operation's key belongs to its payment's merchant");
        assert_eq!(by_key("other", "k1"), [PaymentId(7)]);
        assert_eq!(by_key("other", "k3"), []);
        let by_reference = |name: &str| found(&reader.list(&listing(name, Some("order-17"))).unwrap());
        assert_eq!(by_reference("acme"), [6, 5]);
        assert_eq!(by_reference("third"), []);
        opened.wait_for_views();
    }
}

fn listing(name: &str, reference: Option<&str>) -> Listing {
    let (from, to) = (Wall(i64::MIN), Wall(i64::MAX));
    let reference = reference.map(str::to_owned);
    Listing { merchant: merchant(name), reference, from, to, status: None, after: None, limit: 100 }
}

fn found(page: &Page) -> Vec<u128> {
    page.places.iter().map(|place| place.payment.0).collect()
}

/// The first record of a sale at a second of its own, so that payments have an order.
fn sale_at(payment: u128, second: i64, reference: &str) -> Entry {
    let mut record = sale(payment, "acme", &format!("k{payment}"));
    record.at = Wall(second * 1_000_000);
    let Body::Requested(requested) = &mut record.body else { panic!("a sale is requested") };
    Arc::make_mut(requested.origin.as_mut().unwrap()).reference = reference.to_owned();
    Entry::Payment { records: vec![record], card: Some((CardId(payment), Box::new(card()))) }
}

/// All pages one behind the other.
fn walk(reader: &Reader, mut listing: Listing) -> Vec<u128> {
    let mut walked = Vec::new();
    loop {
        let page = reader.list(&listing).unwrap();
        assert!(page.places.len() <= listing.limit);
        walked.extend(found(&page));
        match page.next {
            Some(next) => listing.after = Some(next),
            None => return walked,
        }
    }
}

#[test]
fn a_list_goes_page_by_page_over_tail_and_views() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    let reader = opened.journal.reader();
    let all = Listing { limit: 3, ..listing("acme", None) };
    for (payment, second) in [(90, 1), (10, 2), (50, 3), (20, 4), (21, 4), (5, 6)] {
        let reference = if payment % 20 == 10 { "a" } else { "b" };
        opened.append(sale_at(payment, second, reference)).unwrap();
        opened.append(sale_entry(1000 + payment, "other", &format!("k{payment}"))).unwrap();
        if second == 3 {
            opened.wait_for_views();
        }
    }
    for _ in 0..2 {
        assert_eq!(walk(&reader, all.clone()), [5, 21, 20, 50, 10, 90], "the latest first, whatever the ids");
        assert_eq!(walk(&reader, Listing { limit: 1, ..all.clone() }), [5, 21, 20, 50, 10, 90]);
        assert_eq!(walk(&reader, Listing { limit: 1, ..listing("acme", Some("a")) }), [50, 10, 90]);
        let within = Listing { from: Wall(2_000_000), to: Wall(4_000_000), ..all.clone() };
        assert_eq!(walk(&reader, within), [50, 10], "from the first moment, before the last");
        opened.wait_for_views();
    }
    let first = reader.list(&all).unwrap();
    opened.append(sale_at(1, 7, "a")).unwrap();
    let second = reader.list(&Listing { after: first.next, ..all.clone() }).unwrap();
    assert_eq!((found(&first), found(&second)), (vec![5, 21, 20], vec![50, 10, 90]), "new payments shift nothing");
    assert_eq!(reader.list(&all).unwrap().places[0].payment, PaymentId(1));
}

#[test]
fn the_payments_of_a_period_are_those_of_which_an_operation_counts_in_it() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    let reader = opened.journal.reader();
    let of_period = |mut record: Record, period: &str| {
        let Body::Requested(requested) = &mut record.body else { panic!("it is requested") };
        let period = Some(period.to_owned());
        requested.provenance = Provenance { period, ..Provenance::default() }.kept();
        record
    };
    let sale_of = |payment, name: &str, period: &str| {
        let record = of_period(sale(payment, name, &format!("k{payment}")), period);
        Entry::Payment { records: vec![record], card: Some((CardId(payment), Box::new(card()))) }
    };
    for (payment, name, period) in [(5, "acme", "17"), (6, "acme", "18"), (7, "other", "17"), (9, "acme", "17")] {
        opened.append(sale_of(payment, name, period)).unwrap();
    }
    opened.append(sale_at(8, 1, "r")).unwrap();
    opened.append(entry(approved(6, 2, 1))).unwrap();
    opened.append(entry(of_period(refund(6, 3, "k-refund"), "17"))).unwrap();
    for _ in 0..2 {
        let found = |limit| reader.of_period(&merchant("acme"), "17", limit).unwrap();
        assert_eq!(found(10), [PaymentId(5), PaymentId(6), PaymentId(9)]);
        assert_eq!(found(2), [PaymentId(5), PaymentId(6)]);
        assert_eq!(reader.of_period(&merchant("acme"), "19", 10).unwrap(), []);
        opened.wait_for_views();
    }
}

#[test]
fn a_list_by_status_follows_the_payments() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    let reader = opened.journal.reader();
    for number in 1..=4 {
        opened.append(sale_at(number, number as i64, "r")).unwrap();
    }
    opened.append(entry(approved(2, 2, 1))).unwrap();
    opened.append(entry(unknown(3, 2))).unwrap();
    opened.wait_for_views();
    let of = |status| walk(&reader, Listing { status: Some(status), limit: 1, ..listing("acme", None) });
    assert_eq!(of(PaymentStatus::Pending), [4, 1]);
    assert_eq!(of(PaymentStatus::Captured), [2]);
    assert_eq!(of(PaymentStatus::Reversing), [3]);
    assert_eq!(of(PaymentStatus::Refunded), []);
}

#[test]
fn a_key_counts_once_in_the_batch_in_the_tail_and_in_the_views() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    for number in 1..=3_u64 {
        opened.journal.append(Ticket(number), sale_entry(u128::from(number) + 10, "acme", "same"));
    }
    opened.journal.append(Ticket(4), sale_entry(20, "acme", "another"));
    let mut results = BTreeMap::new();
    while results.len() < 4 {
        results.extend(opened.commits.recv_timeout(SOON).unwrap());
    }
    assert_eq!(results[&Ticket(1)], Ok(()));
    assert_eq!(results[&Ticket(2)], Err(NotRecorded::KeyUsed(PaymentId(11))));
    assert_eq!(results[&Ticket(3)], Err(NotRecorded::KeyUsed(PaymentId(11))));
    assert_eq!(results[&Ticket(4)], Ok(()), "a refused entry refuses no other");
    opened.wait_for_views();
    assert_eq!(opened.append(sale_entry(30, "acme", "same")), Err(NotRecorded::KeyUsed(PaymentId(11))));
    assert_eq!(opened.append(entry(refund(20, 2, "same"))), Err(NotRecorded::KeyUsed(PaymentId(11))));
    assert_eq!(opened.append(sale_entry(30, "other", "same")), Ok(()), "keys are the merchant's own");
    opened.journal.close();
    let opened = open(&scratch.settings());
    assert_eq!(opened.append(sale_entry(40, "acme", "same")), Err(NotRecorded::KeyUsed(PaymentId(11))));
    assert_eq!(opened.journal.reader().payment(PaymentId(12)).unwrap(), None, "nothing of a refused entry is there");
}

#[test]
fn a_version_counts_once_and_none_is_left_out() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k1")).unwrap();
    let taken = Err(NotRecorded::VersionTaken);
    for _ in 0..2 {
        assert_eq!(opened.append(sale_entry(5, "acme", "k2")), taken);
        assert_eq!(opened.append(entry(approved(5, 3, 1))), taken, "a gap");
        assert_eq!(opened.append(entry(approved(4, 2, 1))), taken, "a payment that is not there");
        opened.wait_for_views();
    }
    let both = Entry::Payment { records: vec![approved(5, 2, 1), refund(5, 3, "k3")], card: None };
    assert_eq!(opened.append(both), Ok(()));
    assert_eq!(opened.append(entry(approved(5, 2, 1))), taken);
    let begun_twice = Record { version: 4, ..sale(5, "acme", "k4") };
    assert_eq!(opened.append(entry(begun_twice)), taken);
    let one_key_twice = Entry::Payment { records: vec![refund(5, 4, "k5"), refund(5, 5, "k5")], card: None };
    assert_eq!(opened.append(one_key_twice), Err(NotRecorded::KeyUsed(PaymentId(5))));
    opened.journal.close();
    let opened = open(&scratch.settings());
    assert_eq!(opened.append(entry(approved(5, 3, 2))), taken);
    assert_eq!(opened.append(entry(approved(5, 4, 2))), Ok(()));
}

#[test]
fn what_is_in_motion_comes_back_and_what_rests_does_not() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k5")).unwrap();
    opened.append(sale_entry(6, "acme", "k6")).unwrap();
    opened.append(entry(approved(6, 2, 1))).unwrap();
    opened.append(sale_entry(7, "acme", "k7")).unwrap();
    opened.append(entry(approved(7, 2, 1))).unwrap();
    opened.wait_for_views();
    opened.append(entry(refund(7, 3, "k8"))).unwrap();
    opened.append(Entry::Numbers(numbers("400001", 1000, 2000))).unwrap();
    opened.append(Entry::Numbers(numbers("400002", 10, 20))).unwrap();
    opened.append(Entry::Numbers(numbers("400001", 3000, 4000))).unwrap();
    opened.journal.close();

    let Opened { journal, recovered, .. } = open(&scratch.settings());
    let open_payments: Vec<_> = recovered.open.iter().map(|stored| stored.records[0].payment).collect();
    assert_eq!(open_payments, [PaymentId(5), PaymentId(7)]);
    assert_eq!(recovered.open[1].records, [sale(7, "acme", "k7"), approved(7, 2, 1), refund(7, 3, "k8")]);
    assert_eq!(recovered.open[1].card, Some(card().without_cvc()));
    assert_eq!(recovered.numbers, [numbers("400001", 3000, 4000), numbers("400002", 10, 20)]);
    journal.close();
}

#[test]
fn what_a_person_must_settle_is_listed_until_it_is_settled() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    let discharged = |version, discharge| entry(record(5, version, Body::Discharged { obligation: 1, discharge }));
    let listed = || {
        opened.wait_for_views();
        opened.journal.reader().exceptions().unwrap()
    };
    opened.append(sale_entry(5, "acme", "k1")).unwrap();
    opened.append(entry(unknown(5, 2))).unwrap();
    assert_eq!(listed(), []);
    opened.append(discharged(3, Discharge::Parked(None))).unwrap();
    assert_eq!(listed(), [(PaymentId(5), 1)]);
    opened.append(entry(record(5, 4, Body::Reopened { obligation: 1 }))).unwrap();
    assert_eq!(listed(), []);
    opened.append(discharged(5, Discharge::Acknowledged(None))).unwrap();
    assert_eq!(listed(), []);
    opened.journal.close();
    assert!(open(&scratch.settings()).recovered.open.is_empty());
}

#[test]
fn lost_or_foreign_or_outdated_views_are_made_anew() {
    let scratch = Scratch::new();
    let other = Scratch::new();
    open(&other.settings()).append(sale_entry(1, "acme", "foreign")).unwrap();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(5, "acme", "k5")).unwrap();
    opened.append(sale_entry(6, "acme", "k6")).unwrap();
    opened.append(entry(approved(6, 2, 1))).unwrap();
    opened.journal.close();

    let views = scratch.settings().store.views();
    let harm: [&dyn Fn(); 4] = [
        &|| std::fs::remove_file(&views).unwrap(),
        &|| std::fs::write(&views, "this is no database, but it is long enough to be read as one").unwrap(),
        &|| Connection::open(&views).unwrap().pragma_update(None, "user_version", 99).unwrap(),
        &|| assert!(std::fs::copy(other.settings().store.views(), &views).unwrap() > 0),
    ];
    for harm in harm {
        harm();
        let opened = open(&scratch.settings());
        assert_eq!(opened.recovered.open.len(), 1);
        let reader = opened.journal.reader();
        assert_eq!(reader.by_key(&merchant("acme"), &key("k6")).unwrap(), [PaymentId(6)]);
        assert_eq!(reader.by_key(&merchant("acme"), &key("foreign")).unwrap(), []);
        assert_eq!(reader.payment(PaymentId(6)).unwrap().unwrap().len(), 2);
        opened.journal.close();
    }
}

#[test]
fn a_damaged_or_missing_row_is_never_passed_over() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    for number in 1..=5_u128 {
        opened.append(sale_entry(number, "acme", &format!("k{number}"))).unwrap();
    }
    opened.journal.close();
    let harm = |sql: &str| {
        Connection::open(settings.store.journal()).unwrap().execute(sql, []).unwrap();
        std::fs::remove_file(settings.store.views()).unwrap();
        match try_open(&settings) {
            Ok(_) => panic!("the store was opened"),
            Err(error) => error,
        }
    };
    let flipped = "UPDATE records SET content = CAST(substr(content, 1, 60) || x'ff' || substr(content, 62) AS BLOB)";
    let error = harm(&format!("{flipped} WHERE sequence = 3"));
    assert!(matches!(error, JournalError::Damaged { sequence: 3, fault: RowError::Checksum }), "{error}");
    assert!(error.to_string().contains("row 3 "), "{error}");
    let error =
        harm("UPDATE records SET content = (SELECT content FROM records WHERE sequence = 2) WHERE sequence = 3");
    assert!(matches!(error, JournalError::Damaged { sequence: 3, fault: RowError::Checksum }), "another row's bytes");
    let error = harm("DELETE FROM records WHERE sequence = 3");
    assert!(matches!(error, JournalError::Missing { sequence: 3 }), "{error}");
}

#[test]
fn a_store_keeps_its_node_and_its_keys() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    open(&settings).journal.close();
    let other_node = Settings { node: 2, ..settings.clone() };
    assert!(matches!(try_open(&other_node), Err(JournalError::Node { found: 1, configured: 2 })));
    let other_key = Keys::new(crate::vault::KeyId::new("test-1").unwrap(), &[43; 32]);
    let opened = Journal::open(&settings, other_key, Box::new(|_| {}), Box::new(|_, _| {}));
    assert!(matches!(opened, Err(JournalError::WrongKey(_))));
}

#[test]
fn cards_move_to_another_key_while_others_are_written() {
    let id = |name: &str| crate::vault::KeyId::new(name).unwrap();
    let scratch = Scratch::new();
    let ring = KeyRing::from(keys());
    let opened = open_under(&scratch.settings(), ring.clone()).unwrap();
    for payment in 1..=5 {
        opened.append(sale_entry(payment, "acme", &format!("k{payment}"))).unwrap();
    }
    let mut resealer = opened.journal.resealer().unwrap();
    let step = |resealed, stuck, is_done| Resealed { resealed, stuck, is_done };
    assert_eq!(resealer.step(9).unwrap(), step(0, 0, true), "there is one key");
    let rotated = Keys::new(id("test-2"), &[43; 32]).with_older(id("test-1"), &[42; 32]).unwrap();
    resealer.know(rotated.clone()).unwrap();
    ring.replace(rotated);
    assert_eq!(resealer.step(2).unwrap(), step(2, 0, false));
    opened.append(sale_entry(6, "acme", "k6")).unwrap();
    let damage = "UPDATE cards SET sealed = x'01' WHERE sequence = 4";
    Connection::open(scratch.settings().store.journal()).unwrap().execute(damage, []).unwrap();
    assert_eq!(resealer.step(9).unwrap(), step(2, 1, true));
    opened.append(sale_entry(7, "acme", "k7")).unwrap();
    assert_eq!(resealer.step(9).unwrap(), step(0, 0, true), "the newest lie under the newest key");
    let wrong = Keys::new(id("test-1"), &[44; 32]);
    assert!(matches!(resealer.know(wrong), Err(JournalError::WrongKey(_))));
    opened.journal.close();
    assert!(resealer.know(keys()).is_err(), "the writer is gone");
    let settings = scratch.settings();
    let hand = Connection::open(settings.store.journal()).unwrap();
    let alone = || KeyRing::from(Keys::new(id("test-2"), &[43; 32]));
    assert!(matches!(open_under(&settings, alone()), Err(JournalError::Card(_))), "one still lies under the other");
    hand.execute("DELETE FROM cards WHERE key = 'test-1'", []).unwrap();

    let opened = open_under(&settings, alone()).unwrap();
    for payment in [1, 2, 3, 5, 6, 7] {
        assert_eq!(opened.load(PaymentId(payment)).unwrap().card, Some(card().without_cvc()), "{payment}");
    }
    opened.journal.close();
    let refused = Journal::open(&settings, keys(), Box::new(|_| {}), Box::new(|_, _| {}));
    assert!(matches!(refused, Err(JournalError::Card(_))), "what was written last could not be opened");
}

#[test]
fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let settings = settings(&scratch.settings().store.journal().with_file_name("deeper").join("store.db"));
    let opened = open(&settings);
    opened.append(sale_entry(1, "acme", "k1")).unwrap();
    for file in [settings.store.journal().into(), settings.store.wal(), settings.store.views()] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn no_file_holds_a_card_number() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    opened.append(sale_entry(1, "acme", "k1")).unwrap();
    opened.append(entry(approved(1, 2, 1))).unwrap();
    opened.wait_for_views();
    opened.journal.close();
    let number = card().pan.reveal().to_owned();
    let packed = data_encoding::HEXLOWER.decode(number.as_bytes()).unwrap();
    let directory = scratch.settings().store.journal().parent().unwrap().to_owned();
    for file in std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        let content = std::fs::read(&file).unwrap();
        let holds = |secret: &[u8]| content.windows(secret.len()).any(|bytes| bytes == secret);
        assert!(!holds(number.as_bytes()) && !holds(&packed), "{}", file.display());
    }
}

#[test]
fn a_full_store_refuses_says_so_and_recovers() {
    let scratch = Scratch::new();
    let settings = Settings { max_journal_mib: 1, ..scratch.settings() };
    let opened = open(&settings);
    let mut number = 0;
    let refused = loop {
        number += 1;
        if let Err(refused) = opened.append(sale_entry(number, "acme", &format!("k{number}"))) {
            break refused;
        }
        assert!(number < 10_000, "1 MiB does not hold all this");
    };
    assert_eq!(refused, NotRecorded::Unavailable);
    assert!(!opened.journal.health().writable);
    assert_eq!(opened.journal.reader().payment(PaymentId(number)).unwrap(), None);
    assert_eq!(opened.append(sale_entry(number, "acme", "still-full")), Err(NotRecorded::Unavailable));

    opened.journal.set_max_journal_mib(8);
    while !opened.journal.health().writable {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(opened.append(sale_entry(number, "acme", &format!("k{number}"))), Ok(()), "nothing of it was left");
    opened.wait_for_views();
    let all = (1..=number).filter(|id| opened.journal.reader().payment(PaymentId(*id)).unwrap().is_some());
    assert_eq!(all.count() as u128, number);
}

#[test]
fn a_commit_that_failed_but_is_in_the_file_counts() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    opened.append(sale_entry(1, "acme", "k1")).unwrap();
    let other = Connection::open(settings.store.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let row = row::Row { sequence: 2, content: row::Content::Record(approved(1, 2, 1)) };
    other.execute("INSERT INTO records VALUES (2, ?1)", [row.encode()]).unwrap();
    opened.journal.append(Ticket(1), entry(approved(1, 2, 1)));
    std::thread::sleep(Duration::from_millis(100));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(opened.commits.recv_timeout(SOON).unwrap(), [(Ticket(1), Ok(()))], "the same row stood there");
    assert_eq!(opened.append(entry(refund(1, 3, "k2"))), Ok(()));
}

#[test]
fn what_was_told_as_lost_and_turns_up_in_the_file_is_taken_back() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    opened.append(sale_entry(1, "acme", "k1")).unwrap();
    let other = Connection::open(settings.store.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(opened.append(sale_entry(2, "acme", "k2")), Err(NotRecorded::Unavailable));
    let row = row::Row { sequence: 2, content: row::Content::Record(sale(2, "acme", "k2")) };
    other.execute("INSERT INTO records VALUES (2, ?1)", [row.encode()]).unwrap();
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(opened.append(entry(approved(1, 2, 1))), Ok(()));
    assert!(opened.journal.health().writable);
    assert_eq!(opened.append(sale_entry(3, "acme", "k2")), Ok(()), "a key that was told as not used can be used");
    opened.wait_for_views();
    let reader = opened.journal.reader();
    assert_eq!(reader.payment(PaymentId(2)).unwrap(), None, "what the merchant was told did not happen did not");
    assert_eq!(reader.records(PaymentId(3)).unwrap()[0].sequence, 3);
}

#[test]
fn what_is_settled_stands_in_the_file_without_its_log() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    opened.append(sale_entry(1, "acme", "k1")).unwrap();
    let copy = settings.store.journal().with_file_name("copy.db");
    let in_the_file_alone = || {
        std::fs::copy(settings.store.journal(), &copy).unwrap();
        let copy = Connection::open(&copy).unwrap();
        copy.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0)).ok()
    };
    assert_ne!(in_the_file_alone(), Some(1), "a commit goes to the write-ahead log");
    let log = Log::open_writer(&settings.store, 0).unwrap();
    log.settle().unwrap();
    assert_eq!(in_the_file_alone(), Some(1));

    opened.append(entry(approved(1, 2, 1))).unwrap();
    let reader = Connection::open(settings.store.journal()).unwrap();
    reader.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(log.settle(), Err(JournalError::Unsettled)), "what somebody is writing is not settled");
}

#[test]
fn commits_wait_for_views_that_are_too_far_behind() {
    let scratch = Scratch::new();
    let settings = Settings { max_view_lag_records: count(50), max_batch_records: count(10), ..scratch.settings() };
    let opened = open(&settings);
    let views = Connection::open(settings.store.views()).unwrap();
    views.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 1..=200_u128 {
        opened.journal.append(Ticket(1), sale_entry(number, "acme", &format!("k{number}")));
    }
    let mut done = 0;
    while done < 50 {
        done += opened.commits.recv_timeout(SOON).unwrap().len();
    }
    assert!(opened.commits.recv_timeout(Duration::from_millis(200)).is_err(), "commits wait for the views");
    let lag = opened.journal.health().view_lag_records;
    assert!((50..60).contains(&lag), "the bound, and at most one commit above it: {lag}");
    views.execute_batch("ROLLBACK").unwrap();
    while done < 200 {
        done += opened.commits.recv_timeout(SOON).unwrap().iter().filter(|(_, result)| result.is_ok()).count();
    }
    assert!(opened.journal.health().writable);
}

#[test]
fn a_reader_sees_each_durable_record_whatever_the_views_are_doing() {
    let scratch = Scratch::new();
    let opened = open(&scratch.settings());
    let reader = opened.journal.reader();
    let (durable, to_check) = channel::<u128>();
    let checker = std::thread::spawn(move || {
        for payment in to_check {
            let records = reader.payment(PaymentId(payment)).unwrap().unwrap();
            let versions: Vec<_> = records.iter().map(|record| record.version).collect();
            assert!(versions == [1] || versions == [1, 2], "{versions:?}");
            let used = reader.by_key(&merchant("acme"), &key(&format!("k{payment}"))).unwrap();
            assert_eq!(used, [PaymentId(payment)]);
        }
    });
    const COUNT: u64 = 3000;
    for number in 1..=COUNT {
        opened.journal.append(Ticket(number), sale_entry(u128::from(number), "acme", &format!("k{number}")));
        opened.journal.append(Ticket(COUNT + number), entry(approved(u128::from(number), 2, 1)));
    }
    let mut done = 0;
    while done < 2 * COUNT {
        for (Ticket(number), result) in opened.commits.recv_timeout(SOON).unwrap() {
            result.unwrap();
            done += 1;
            durable.send(u128::from((number - 1) % COUNT + 1)).unwrap();
        }
    }
    drop(durable);
    checker.join().unwrap();
    opened.wait_for_views();
    opened.journal.close();
    assert!(open(&scratch.settings()).recovered.open.is_empty());
}

#[test]
fn checkpoints_keep_the_write_ahead_log_small() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    for number in 1..=6000_u64 {
        opened.journal.append(Ticket(number), sale_entry(u128::from(number), "acme", &format!("k{number}")));
        if number % 20 == 0 {
            let mut done = 0;
            while done < 20 {
                done += opened.commits.recv_timeout(SOON).unwrap().len();
            }
        }
    }
    opened.journal.close();
    let journal = std::fs::metadata(settings.store.journal()).unwrap().len();
    let wal = std::fs::metadata(settings.store.wal()).unwrap().len();
    assert!(journal > 2 << 20, "the file holds what was written: {journal}");
    assert!((1 << 20..4 << 20).contains(&wal), "the log is kept and began anew several times: {wal}");
}
