//! The journal across processes: killed at any instant, and asked for by two at once.
//!
//! The other process is this test binary, started again with the name of a test that only works when it is told to.

use super::log::Log;
use super::samples::*;
use super::*;
use crate::transaction::Record;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

const STORE: &str = "ISTHMUS_TEST_STORE";

fn start_child(name: &str, settings: &Settings) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("journal::crash_tests::{name}"), "--ignored", "--nocapture"])
        .env(STORE, settings.store.journal())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

fn told_store() -> Settings {
    settings(std::env::var_os(STORE).unwrap().as_ref())
}

/// The record of the nth append: sales, each followed by its approval.
fn nth(number: u64) -> Record {
    let payment = u128::from(number.div_ceil(2));
    match number % 2 {
        1 => sale(payment, "acme", &format!("k{payment}")),
        _ => approved(payment, 2, 1),
    }
}

#[test]
#[ignore = "the other process of `what_was_reported_survives_a_kill`"]
fn appends_until_it_is_killed() {
    let committed = |results: Vec<(Ticket, Result<(), NotRecorded>)>| {
        let mut out = std::io::stdout().lock();
        for (Ticket(number), result) in results {
            result.unwrap();
            writeln!(out, "durable {number}").unwrap();
        }
        out.flush().unwrap();
    };
    let (journal, _) = Journal::open(&told_store(), keys(), Box::new(committed), Box::new(|_, _| {})).unwrap();
    for number in 1.. {
        journal.append(Ticket(number), entry(nth(number)));
        if number % 32 == 0 {
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }
}

#[test]
fn what_was_reported_survives_a_kill() {
    for kill_after in [1, 40, 700, 3000] {
        let scratch = Scratch::new();
        let (mut child, lines) = start_child("appends_until_it_is_killed", &scratch.settings());
        let mut reported = 0;
        for line in lines.lines().map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("durable ") {
                reported = number.parse().unwrap();
            }
            if reported >= kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(reported >= kill_after, "the child ended by itself at {reported}");
        check_prefix(&scratch.settings(), reported);
    }
}

/// What is there is a prefix of what was appended, and holds all that was reported.
fn check_prefix(settings: &Settings, reported: u64) {
    let opened = open(settings);
    let rows = Log::open_reader(&settings.store).unwrap().rows_after(0, usize::MAX).unwrap();
    assert!(rows.len() as u64 >= reported, "{} rows, {reported} reported", rows.len());
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(row.record(), Some(&nth(number)));
    }
    let in_motion = opened.recovered.open.iter().map(|stored| stored.records[0].payment).collect::<Vec<_>>();
    let last = PaymentId(u128::from((rows.len() as u64).div_ceil(2)));
    assert_eq!(in_motion, if rows.len() % 2 == 1 { vec![last] } else { vec![] });
    let next = entry(nth(rows.len() as u64 + 1));
    assert_eq!(opened.append(next), Ok(()), "it goes on where it was");
}

#[test]
fn a_commit_that_is_torn_at_the_end_of_the_log_never_was() {
    let scratch = Scratch::new();
    let settings = scratch.settings();
    let opened = open(&settings);
    opened.append(entry(nth(1))).unwrap();
    let whole = std::fs::read(settings.store.wal()).unwrap();
    opened.append(entry(nth(2))).unwrap();
    let longer = std::fs::read(settings.store.wal()).unwrap();
    let changed: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] != longer[*place]).collect();
    for kept in [1, changed.len() / 3, changed.len() / 2, changed.len() - 1] {
        // As a crash leaves it: the files as they were, and of the last commit only its first bytes.
        let other = Scratch::new();
        let left = other.settings();
        std::fs::copy(settings.store.journal(), left.store.journal()).unwrap();
        let mut torn = whole.clone();
        changed[..kept].iter().for_each(|place| torn[*place] = longer[*place]);
        std::fs::write(left.store.wal(), torn).unwrap();
        let rows = Log::open_reader(&left.store).unwrap().rows_after(0, usize::MAX).unwrap();
        assert_eq!(rows.len(), 1, "{kept} of {} changed bytes", changed.len());
        check_prefix(&left, 1);
    }
    opened.journal.close();
}

#[test]
#[ignore = "the other process of `a_second_process_is_refused_by_name`"]
fn holds_the_store() {
    let opened = open(&told_store());
    println!("held");
    std::thread::sleep(std::time::Duration::from_secs(60));
    opened.journal.close();
}

#[test]
fn a_second_process_is_refused_by_name() {
    let scratch = Scratch::new();
    let (mut child, lines) = start_child("holds_the_store", &scratch.settings());
    assert!(lines.lines().map_while(Result::ok).any(|line| line.contains("held")));
    match try_open(&scratch.settings()) {
        Err(JournalError::Held { holder, .. }) => assert_eq!(holder, Some(child.id())),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two hold one store"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(try_open(&scratch.settings()).is_ok(), "the lock goes with its holder");
}
