//! House rules as a test: which module may know which, where a secret's library may be used, what no file may hold.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others, from the bottom of the house up. Floors 2 and 3 stand above all of these.
const MAY_KNOW: &[(&str, &[&str])] = &[
    // floor 0
    ("payment", &[]),
    ("iso8583", &[]),
    ("framing", &[]),
    ("xml", &[]),
    ("security", &["payment"]),
    // floor 1
    ("translation", &["payment", "iso8583"]),
    ("routing", &["payment"]),
    ("link", &["iso8583", "payment"]),
    ("host", &["iso8583", "payment"]),
    ("transaction", &["payment"]),
    ("switch", &["payment", "iso8583", "security", "translation", "link", "host", "transaction", "routing"]),
    // floor 2
    ("clock", &["payment"]),
    ("network", &[]),
    ("simulator", &["iso8583", "framing", "payment", "security"]),
    ("keys", &["payment", "iso8583", "security", "switch"]),
    ("bank", &["framing", "payment", "security", "switch", "clock", "keys", "network"]),
    ("vault", &["payment", "transaction"]),
    ("journal", &["payment", "switch", "transaction", "vault"]),
    ("merchants", &["payment", "network"]),
    (
        "edge",
        &[
            "payment",
            "iso8583",
            "framing",
            "xml",
            "translation",
            "link",
            "switch",
            "transaction",
            "vault",
            "network",
            "merchants",
        ],
    ),
    ("control", &["payment", "switch", "transaction", "journal"]),
    ("client", &[]),
    ("load", &["client", "clock", "iso8583", "framing", "payment", "translation", "link"]),
    ("telemetry", &["payment", "switch"]),
];

/// Modules that move messages and know no money: of `payment` they use times and references alone.
const KNOW_NO_MONEY: &[&str] = &["link", "host"];
const NO_MONEY: &[&str] = &["Monotonic", "Now", "Wall", "BusinessDate", "CutoverClock", "Stan", "Rrn"];

/// Floors 0 and 1: no clock, no socket, no file, no random source, no hidden order.
const PURE: &[&str] = &[
    "payment",
    "iso8583",
    "framing",
    "xml",
    "security",
    "translation",
    "routing",
    "link",
    "host",
    "transaction",
    "switch",
];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "tokio::",
    "async fn",
    "getrandom",
    "OsRng",
    "Rng::new()",
    "fastrand::u",
    "Uuid",
];

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module at the top of the house that a file belongs to.
fn module_of(path: &Path) -> String {
    let first = path.strip_prefix(src()).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code of a file without its comments and without its tests, which may know more.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Files that are compiled for tests only.
fn is_test_support(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| ["tests", "samples"].contains(&stem.to_str().unwrap()))
}

/// The modules named behind `crate::`, single or in braces.
fn known(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split("};").next().unwrap();
                found.extend(list.split(',').map(|item| item.trim().split("::").next().unwrap().to_owned()));
            }
            None => found.push(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn no_module_knows_what_lies_above_it() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    let modules: Vec<String> = sources(&src()).iter().map(|path| module_of(path)).collect();
    let mut wrong = Vec::new();
    for path in sources(&src()).iter().filter(|path| !is_test_support(path)) {
        let module = module_of(path);
        let Some(may_know) = allowed.get(module.as_str()) else { continue };
        for name in known(&code(path)) {
            let is_module = modules.contains(&name);
            if is_module && name != module && !may_know.contains(&name.as_str()) {
                wrong.push(format!("{} knows {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_floor() {
    let composition = ["app", "config", "cli", "lib", "main", "fuzzing"];
    let on_a_floor = |module: &str| MAY_KNOW.iter().any(|(known, _)| *known == module) || composition.contains(&module);
    let homeless: Vec<String> = sources(&src()).iter().map(|path| module_of(path)).filter(|m| !on_a_floor(m)).collect();
    assert!(homeless.is_empty(), "{homeless:?}");
}

#[test]
fn what_moves_messages_knows_no_money() {
    for path in sources(&src()).iter().filter(|path| KNOW_NO_MONEY.contains(&module_of(path).as_str())) {
        let code = code(path);
        for rest in code.split("crate::payment::").skip(1) {
            let names = rest.trim_start_matches('{').split(['}', ';']).next().unwrap();
            for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                assert!(NO_MONEY.contains(&name), "{} knows payment::{name}", path.display());
            }
        }
    }
}

#[test]
fn the_lower_floors_are_pure() {
    for path in sources(&src()).iter().filter(|path| PURE.contains(&module_of(path).as_str())) {
        let code = code(path);
        for impure in IMPURE {
            assert!(!code.contains(impure), "{} uses {impure}", path.display());
        }
    }
}

#[test]
fn the_rsa_crate_stays_off_the_network_path() {
    // RUSTSEC-2023-0071: private-key operations that an attacker can time are done by aws-lc-rs. `rsa` makes keys,
    // seals as a merchant would, and is the independent second implementation.
    let may_use = ["client", "cli", "merchants"];
    for path in sources(&src()) {
        let code = code(&path);
        let uses = code.contains("use rsa::") || code.contains(" rsa::") || code.contains("(rsa::");
        assert!(!uses || may_use.contains(&module_of(&path).as_str()), "{} uses rsa", path.display());
    }
}

#[test]
fn every_file_says_what_it_is() {
    for path in sources(&src()) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no header", path.display());
    }
}

#[test]
fn nothing_is_left_open_in_the_code() {
    for path in sources(&src()) {
        let text = fs::read_to_string(&path).unwrap();
        for open in ["todo!(", "unimplemented!(", "#[ignore]", concat!("FIX", "ME"), "dbg!("] {
            assert!(!text.contains(open), "{} has {open}", path.display());
        }
    }
}

#[test]
fn no_card_number_stands_in_the_code_that_is_not_a_test_card() {
    // Ranges that networks and gateways publish for tests, and numbers made for our own scenarios.
    let test_prefixes =
        ["4111", "4242", "4000", "5555", "3782", "6200", "6212", "2223", "9999", "5018", "5100", "4999"];
    for path in sources(&src()) {
        let text = fs::read_to_string(&path).unwrap();
        for run in text.split(|c: char| !c.is_ascii_digit()).filter(|run| (15..=19).contains(&run.len())) {
            let plausible = luhn(run) && run.starts_with(['3', '4', '5', '6']);
            let known = test_prefixes.iter().any(|prefix| run.starts_with(prefix));
            assert!(!plausible || known, "{} holds {}…", path.display(), &run[..6]);
        }
    }
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * (1 + (place % 2) as u32);
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}
