//! ISO 8583: bytes to message and back, under a spec.
//!
//! The standard without any meaning: it knows how a field lies on the wire and not what a purchase
//! is. A [`Spec`] describes a dialect and is data; [`Spec::decode`] turns bytes into a [`Message`],
//! [`Spec::encode`] turns a [`MessageBuilder`] into bytes. Nothing here reads a file, a clock or a
//! socket, and no bytes make it panic.
//!
//! Reading order: [`Mti`], [`Bitmap`], [`Element`] (class x encoding x length x padding),
//! [`Division`] (what an element is divided into), [`Spec`], [`Message`] and [`Value`],
//! [`MessageBuilder`], [`Scan`]; under the feature `dialects` the TOML reader with the built-in
//! dialects and the JSON view.
#![cfg_attr(
    feature = "dialects",
    doc = "
```
use bytes::Bytes;
use isthmus::iso8583::{MessageBuilder, Mti, dialects};

let spec = dialects::builtin(\"iso8583-1987-ascii\").unwrap().unwrap();
let mut builder = MessageBuilder::new(Mti::new(800).unwrap());
builder.set(7, \"0420090613\").set(11, \"900001\").set(70, \"301\");
let bytes = spec.encode_to_bytes(&builder).unwrap();

let message = spec.decode(bytes).unwrap();
assert_eq!(message.mti().to_string(), \"0800\");
assert_eq!(message.text(11).as_deref(), Some(\"900001\"));
assert_eq!(message.number(70), Some(301));
```
"
)]

mod assemble;
mod bitmap;
mod builder;
mod charset;
mod class;
mod composite;
mod decode;
mod divide;
mod element;
mod emv;
mod encode;
mod error;
mod message;
mod mti;
mod presence;
#[cfg(feature = "dialects")]
pub(crate) mod sampling;
mod scan;
mod short;
mod spec;
mod tags;
mod total_length;
mod value;
mod wire;

#[cfg(feature = "dialects")]
pub mod describe;
#[cfg(feature = "dialects")]
pub mod dialects;
#[cfg(feature = "dialects")]
pub mod view;

pub use bitmap::{Bitmap, Elements, LAST_ELEMENT};
pub use builder::MessageBuilder;
pub use charset::Charset;
pub use class::Class;
pub use composite::{Condition, Division, Key, Presence, TagEncoding, Tagged};
pub use element::{Element, Encoding, Length, Odd, Padding, Prefix, PrefixEncoding, Sensitivity, Side, Unit};
pub use emv::emv_tags;
pub use encode::{Encoded, to_hex};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, SpecError};
pub use message::Message;
pub use mti::{Mti, NotAnMti};
pub use presence::{Rule, Violation, ViolationKind};
pub use scan::Scan;
pub use spec::{
    BitmapEncoding, Blocks, DEFAULT_MAX_BYTES, HeaderPresence, MtiEncoding, Spec, SpecBuilder, SpecRow, ThirdBitmap,
};
pub use value::Value;
#[cfg(feature = "dialects")]
pub use view::{MessageJson, View, builder_from, view};
