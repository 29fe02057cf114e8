//! Decode and encode three messages, beside the published Rust codecs in the same run.
//!
//! The others know neither packed digits of both paddings nor tags, so they stand beside the ASCII message
//! alone. Compare ratios within one run: absolute times belong to the machine and what else it does.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use isthmus::iso8583::Message;
use isthmus_bench_codec::{Case, VALUES, cases};

fn ours(c: &mut Criterion) {
    for Case { name, spec, builder, wire } in cases() {
        let mut message = Message::empty(&spec);
        spec.decode_into(wire.clone(), &mut message).expect("decodes");
        let allocations = allocation_counter::measure(|| {
            spec.decode_into(wire.clone(), &mut message).expect("decodes");
        });
        assert_eq!(allocations.count_total, 0, "decoding into a used message allocates nothing");
        c.bench_function(&format!("isthmus decode {name}"), |b| {
            b.iter(|| spec.decode_into(black_box(&wire).clone(), &mut message));
        });
        c.bench_function(&format!("isthmus decode {name}, new message"), |b| {
            b.iter(|| spec.decode(black_box(&wire).clone()));
        });
        let mut out = BytesMut::with_capacity(4096);
        c.bench_function(&format!("isthmus encode {name}"), |b| {
            b.iter(|| {
                out.clear();
                spec.encode(black_box(&builder), &mut out)
            });
        });
    }
}

fn iso8583_codec(c: &mut Criterion) {
    let spec = ::iso8583_codec::Spec::iso8583_1987();
    let [Case { wire, .. }, ..] = cases();
    let message = ::iso8583_codec::Message::parse(&spec, &wire).expect("decodes");
    c.bench_function("iso8583-codec decode ascii", |b| {
        b.iter(|| ::iso8583_codec::Message::parse(&spec, black_box(&wire)));
    });
    c.bench_function("iso8583-codec encode ascii", |b| b.iter(|| black_box(&message).encode(&spec)));
}

fn iso8583_rs(c: &mut Criterion) {
    let [Case { wire, .. }, ..] = cases();
    // Its spec is named by the environment: set by the one who runs the bench.
    if std::env::var("SPEC_FILE").is_err() {
        println!("iso8583_rs is left out: set SPEC_FILE to iso8583_rs.yaml beside this package's manifest");
        return;
    }
    let spec = ::iso8583_rs::iso8583::iso_spec::spec("");
    let segment = spec.get_message_from_header("0100").expect("the segment");
    let mut message = ::iso8583_rs::iso8583::iso_spec::new_msg(spec, segment);
    message.set("message_type", "0100").expect("sets");
    for (number, value) in VALUES {
        message.set_on(u32::from(number), value).expect("sets");
    }
    c.bench_function("iso8583_rs decode ascii", |b| {
        b.iter(|| spec.parse(&mut black_box(&wire).to_vec()));
    });
    c.bench_function("iso8583_rs encode ascii", |b| b.iter(|| black_box(&message).assemble()));
}

criterion_group!(codec, ours, iso8583_codec, iso8583_rs);
criterion_main!(codec);
