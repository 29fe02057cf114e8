//! Decode and encode three messages, beside the published Rust codecs in the same run.
//!
//! Compare ratios within one run: absolute times belong to the machine and what else it does. `counts` beside this
//! file gives numbers that do not.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use isthmus_bench_codec::{Case, WORK, cases, rounds};

fn codecs(c: &mut Criterion) {
    for (codec, message) in WORK {
        if codec == "iso8583_rs" && std::env::var("SPEC_FILE").is_err() {
            println!("iso8583_rs is left out: set SPEC_FILE to iso8583_rs.yaml beside this package's manifest");
            continue;
        }
        let [mut decode, mut encode] = rounds(codec, message).expect("is in the list");
        c.bench_function(&format!("{codec} decode {message}"), |b| b.iter(&mut decode));
        c.bench_function(&format!("{codec} encode {message}"), |b| b.iter(&mut encode));
    }
}

fn new_message(c: &mut Criterion) {
    for Case { name, spec, wire, .. } in cases() {
        c.bench_function(&format!("isthmus decode {name}, new message"), |b| {
            b.iter(|| spec.decode(black_box(&wire).clone()));
        });
    }
}

criterion_group!(codec, codecs, new_message);
criterion_main!(codec);
