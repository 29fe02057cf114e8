//! XML documents, without any meaning: bytes to a tree of elements within bounds, and elements to values.
//!
//! [`Element`] is a document; [`Value`] gives its text to whatever shape asks for it. Neither knows a schema. Nothing
//! here writes, and nothing resolves: what stands in a document is all that it says.

mod element;
mod reading;

pub use element::{Element, Fault, is_content, is_xml};
pub use reading::{Mismatch, Value, item_name};
