use std::hint::black_box; use std::time::Instant;
use isthmus::iso8583::*; use isthmus_bench_codec::*;
fn time(name:&str, mut f: impl FnMut()){ let mut best=f64::MAX; for _ in 0..15 { let t=Instant::now(); for _ in 0..20000 { f() } let n=t.elapsed().as_nanos() as f64/20000.0; if n<best {best=n} } println!("{name:30} {best:8.1} ns"); }
fn main(){
 for c in cases(){
  let mut m=Message::empty(&c.spec);
  time(&format!("{} decode_into {}",c.name,c.wire.len()),||{ c.spec.decode_into(black_box(c.wire.clone()),&mut m).unwrap(); black_box(&m);});
  time(&format!("{} decode",c.name),||{ black_box(c.spec.decode(black_box(c.wire.clone())).unwrap()); });
  let mut out=bytes::BytesMut::with_capacity(4096);
  time(&format!("{} encode",c.name),||{ out.clear(); black_box(c.spec.encode(black_box(&c.builder),&mut out).unwrap()); });
 }
 { use iso8583_codec as o;
  let spec=o::Spec::iso8583_1987();
  let c=&cases()[0];
  let m=o::Message::parse(&spec,&c.wire).unwrap();
  time("iso8583-codec decode",||{black_box(o::Message::parse(&spec,black_box(&c.wire)).unwrap());});
  time("iso8583-codec encode",||{black_box(black_box(&m).encode(&spec).unwrap());});
 }
}
