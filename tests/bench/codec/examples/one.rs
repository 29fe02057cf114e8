use isthmus::iso8583::*; use isthmus_bench_codec::*; use std::hint::black_box;
fn main(){ let which=std::env::args().nth(1).unwrap(); let mode=std::env::args().nth(2).unwrap();
 let cs=cases(); let c=cs.iter().find(|c|c.name==which).unwrap(); let mut m=Message::empty(&c.spec); let mut out=bytes::BytesMut::with_capacity(4096);
 let theirs=iso8583_codec::Spec::iso8583_1987(); let tm=iso8583_codec::Message::parse(&theirs,&cs[0].wire).unwrap();
 for _ in 0..10000 { match &*mode { "decode"=>{c.spec.decode_into(black_box(c.wire.clone()),&mut m).unwrap();} "encode"=>{out.clear(); black_box(c.spec.encode(&c.builder,&mut out).unwrap());} "tdecode"=>{black_box(iso8583_codec::Message::parse(&theirs,black_box(&c.wire)).unwrap());} "tencode"=>{black_box(tm.encode(&theirs).unwrap());} _=>{} } } }
