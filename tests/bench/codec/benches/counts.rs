//! Instructions and allocations a message, counted by valgrind: numbers that do not depend on what else the machine does.
//!
//! The bench starts itself again under valgrind with one piece of work and a number of rounds; the difference of two
//! runs is what the rounds cost, without the start. Nothing is linked in to count, so that nobody's allocations become
//! dearer by being counted.

use std::process::{Command, ExitCode};

use isthmus_bench_codec::{WORK, rounds};

const ROUNDS: u64 = 200;

/// What decoding or encoding one message costs.
#[derive(Clone, Copy)]
struct Cost {
    instructions: u64,
    allocations: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [counted, codec, message, action, repeats] = &arguments[..]
        && counted == "--counted"
    {
        let mut actions = rounds(codec, message).expect("is in the list");
        let place = usize::from(action == "encode");
        (0..repeats.parse().expect("a number")).for_each(|_| actions[place]());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("NOT COUNTED: instructions and allocations (valgrind is not installed: apt-get install valgrind)");
        return ExitCode::SUCCESS;
    }
    report()
}

fn report() -> ExitCode {
    println!("{:21} {:>22} {:>22}", "", "decode", "encode");
    println!("{:21} {:>14} {:>7} {:>14} {:>7}", "", "instructions", "allocs", "instructions", "allocs");
    let costs = WORK.map(|(codec, message)| {
        let costs = ["decode", "encode"].map(|action| cost([codec, message, action]));
        let tell = |cost: Cost| format!("{:14} {:7}", cost.instructions, cost.allocations);
        println!("{codec:14} {message:6} {} {}", tell(costs[0]), tell(costs[1]));
        costs
    });
    let [ascii, bcd, tlv, codec, rs] = costs;
    let compare = |title: &str, one: [Cost; 2], other: [Cost; 2]| {
        let times = |action: usize| one[action].instructions as f64 / other[action].instructions as f64;
        println!("{title:32} decode {:6.2}, encode {:6.2}", times(0), times(1));
    };
    println!("instructions, as a multiple:");
    compare("iso8583-codec to isthmus, ascii", codec, ascii);
    compare("iso8583_rs to isthmus, ascii", rs, ascii);
    compare("isthmus, bcd to ascii", bcd, ascii);
    compare("isthmus, tlv to ascii", tlv, ascii);
    if [ascii, bcd, tlv].iter().any(|[decode, _]| decode.allocations > 0) {
        println!("WRONG: decoding into a used message has to allocate nothing");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn cost(work: [&str; 3]) -> Cost {
    let each = |counter: fn([&str; 3], u64) -> u64| {
        let extra = counter(work, 2 * ROUNDS) - counter(work, ROUNDS);
        (extra + ROUNDS / 2) / ROUNDS
    };
    Cost { instructions: each(instructions), allocations: each(allocations) }
}

fn instructions(work: [&str; 3], repeats: u64) -> u64 {
    let told = valgrind(&["--tool=callgrind", "--callgrind-out-file=/dev/null"], work, repeats);
    number_behind(&told, "Collected :")
}

fn allocations(work: [&str; 3], repeats: u64) -> u64 {
    let told = valgrind(&["--tool=memcheck", "--undef-value-errors=no"], work, repeats);
    number_behind(&told, "total heap usage:")
}

/// Does the work under a tool of valgrind; what the tool has to say.
fn valgrind(tool: &[&str], work: [&str; 3], repeats: u64) -> String {
    let own = std::env::current_exe().expect("a running program has a file");
    let spec_file = concat!(env!("CARGO_MANIFEST_DIR"), "/iso8583_rs.yaml");
    let mut command = Command::new("valgrind");
    command.args(tool).arg(own).arg("--counted").args(work).arg(repeats.to_string()).env("SPEC_FILE", spec_file);
    let done = command.output().expect("valgrind starts");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{work:?}: {told}");
    told
}

/// A number such as 1,234.
fn number_behind(told: &str, title: &str) -> u64 {
    let (_, rest) = told.split_once(title).unwrap_or_else(|| panic!("{title} is missing in: {told}"));
    let number = rest.trim_start().split(|c: char| !c.is_ascii_digit() && c != ',').next().unwrap_or_default();
    number.replace(',', "").parse().expect("a number")
}
