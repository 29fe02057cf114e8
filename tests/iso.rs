//! `isthmus iso` as a user runs it: messages in, JSON or a drawing out, errors as JSON and exit codes.
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(feature = "switch")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// An 0800 echo test.
const ECHO: &str =
    "30383030383232303030303030303030303030303034303030303030303030303030303030343230303930363133393030303031333031";

fn iso(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .arg("iso")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// The command in the README is shown with what it really prints.
#[test]
fn the_readme_shows_what_a_broken_message_looks_like() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, command) = readme.split_once("$ isthmus iso decode --spec iso8583-1987-ascii --describe --hex").unwrap();
    let [_, hex, rest] = command.splitn(3, '\'').collect::<Vec<_>>()[..] else { panic!("a quoted message") };
    let (shown, _) = rest.trim_start().split_once("```").unwrap();
    let drawn = iso(&["decode", "--spec", "iso8583-1987-ascii", "--describe", "--hex", hex], b"");
    assert_eq!(drawn.status.code(), Some(1));
    assert_eq!(String::from_utf8(drawn.stdout).unwrap().trim(), shown.trim());
}

#[test]
fn what_decode_prints_encode_takes() {
    let decoded = iso(&["decode", "--spec", "iso8583-1987-ascii", "--unmasked", "--hex", ECHO], b"");
    assert_eq!(json(decoded.stdout.as_slice())["fields"]["70"], "301");
    let encoded = iso(&["encode", "--spec", "iso8583-1987-ascii"], &decoded.stdout);
    assert_eq!(out(&encoded).trim(), ECHO);
}

#[test]
fn a_line_in_is_a_line_out_and_an_error_stands_in_its_place() {
    let lines = format!("{ECHO}\n{}\n\nnot hex\n{ECHO}\n", &ECHO[..60]);
    let decoded = out(&iso(&["decode", "--spec", "iso8583-1987-ascii", "-"], lines.as_bytes()));
    let objects: Vec<Value> = decoded.lines().map(|line| json(line.as_bytes())).collect();
    assert_eq!(objects.len(), 4, "{decoded}");
    assert_eq!(objects[0]["mti"], "0800");
    assert_eq!((&objects[1]["code"], &objects[1]["path"]), (&"truncated".into(), &"bitmap".into()));
    assert!(objects[2]["error"].as_str().unwrap().contains("hexadecimal"));
    assert_eq!(objects[3]["mti"], "0800");
}

#[test]
fn an_error_is_one_object_on_stderr_and_exit_code_1() {
    let failed = iso(&["decode", "--spec", "iso8583-1987-ascii", "--hex", &ECHO[..60]], b"");
    assert_eq!(failed.status.code(), Some(1));
    let told = json(&failed.stderr);
    assert_eq!(told["offset"], 20);
    let unknown = iso(&["decode", "--spec", "nothing", "--hex", ECHO], b"");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(json(&unknown.stderr)["error"].as_str().unwrap().contains("isthmus iso specs"));
    assert_eq!(iso(&["decode"], b"").status.code(), Some(2), "a missing argument");
}

#[test]
fn a_value_that_is_no_text_is_refused_without_repeating_it() {
    let input = br#"{"mti":"0800","fields":{"2":4242424242424242}}"#;
    let failed = iso(&["encode", "--spec", "iso8583-1987-ascii"], input);
    assert_eq!(failed.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&failed.stderr).contains("4242"));
}

#[test]
fn the_dialects_are_listed_and_drawn() {
    let names = out(&iso(&["specs"], b""));
    assert_eq!(names.lines().count(), 16, "{names}");
    let table = out(&iso(&["specs", "unionpay-pos"], b""));
    assert!(table.contains("60.1") && table.contains("Batch number"), "{table}");
    let described = out(&iso(&["decode", "--spec", "iso8583-1987-ascii", "--describe", "--hex", ECHO], b""));
    assert!(described.contains("network management") && described.contains("900001"), "{described}");
}

#[test]
fn a_framed_stream_and_a_difference() {
    let message: Vec<u8> = ECHO
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut stream = Vec::new();
    for _ in 0..2 {
        stream.extend((message.len() as u16).to_be_bytes());
        stream.extend(&message);
    }
    let decoded = out(&iso(&["decode", "--spec", "iso8583-1987-ascii", "--frame", "binary2"], &stream));
    assert_eq!(decoded.lines().count(), 2);
    let other = ECHO.replace("393030303031", "393030303032");
    let differ = iso(&["diff", "--spec", "iso8583-1987-ascii", "--json", ECHO, &other], b"");
    assert_eq!(differ.status.code(), Some(1));
    assert_eq!(json(&differ.stdout)["path"], "11");
    assert_eq!(iso(&["diff", "--spec", "iso8583-1987-ascii", ECHO, ECHO], b"").status.code(), Some(0));
}
