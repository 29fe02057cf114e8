//! An answer as XML: the members of the JSON become elements of the same names, in the same order.
//!
//! There is no declaration before it, which UTF-8 does not need and what is sealed must not have. What is null is left
//! out; the items of a list carry its name in the singular. The JSON is read once and written as it comes, so nothing
//! has to know the shape of an answer twice.

use super::NAMESPACE;
use crate::xml::{is_xml, item_name};
use quick_xml::escape::partial_escape;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeSeed};
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroizing;

/// Writes a document. `None` where `json` is not JSON.
pub fn write(root: &str, json: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = String::with_capacity(json.len() * 2 + 256);
    let mut json = serde_json::Deserializer::from_slice(json);
    Writer { name: root, is_root: true, out: &mut out }.deserialize(&mut json).ok()?;
    Some(Zeroizing::new(out.into_bytes()))
}

/// Writes the value that comes as an element of a name.
struct Writer<'a> {
    name: &'a str,
    is_root: bool,
    out: &'a mut String,
}

impl Writer<'_> {
    fn begin(&mut self) {
        self.out.extend(["<", self.name]);
        if self.is_root {
            self.out.extend([" xmlns=\"", NAMESPACE, "\""]);
        }
        self.out.push('>');
    }

    fn end(&mut self) {
        self.out.extend(["</", self.name, ">"]);
    }

    fn text(mut self, text: &str) {
        self.begin();
        // What XML cannot say, not even escaped.
        let sayable: Cow<'_, str> = match text.chars().all(is_xml) {
            true => text.into(),
            false => text.chars().map(|c| if is_xml(c) { c } else { char::REPLACEMENT_CHARACTER }).collect(),
        };
        self.out.push_str(&partial_escape(sayable));
        self.end();
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.text(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.begin();
        let name = item_name(self.name);
        while items.next_element_seed(Writer { name, is_root: false, out: &mut *self.out })?.is_some() {}
        self.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.begin();
        while let Some(Name(name)) = members.next_key()? {
            members.next_value_seed(Writer { name: &name, is_root: false, out: &mut *self.out })?;
        }
        self.end();
        Ok(())
    }
}

/// The name of a member.
#[derive(Deserialize)]
struct Name(String);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn members_become_elements() {
        let json = br#"{"b":1,"a":{"t":"<&>\u0001","none":null,"yes":true},"operations":[{"n":-1},{}],"data":[1.5]}"#;
        let xml = write("payment", json).unwrap();
        let expected = "<payment xmlns=\"urn:isthmus:v1\"><b>1</b>\
                        <a><t>&lt;&amp;&gt;\u{fffd}</t><yes>true</yes></a><operations><operation><n>-1</n></operation>\
                        <operation></operation></operations><data><item>1.5</item></data></payment>";
        assert_eq!(std::str::from_utf8(&xml).unwrap(), expected);
        assert!(write("payment", b"{").is_none());
    }
}
