//! From elements to values that serde describes: a shape asks for what it wants, and text gives it where it can.
//!
//! An object is an element with the members as elements in it, in any order; a list is an element whose items carry
//! its name in the singular ([`item_name`]). Numbers, booleans and enumerations are written as XML Schema writes them
//! and may stand between white space; text is taken as it stands.

use super::element::{Element, is_white};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;
use std::slice::Iter;

/// What the items of a list are called: `operations` holds `operation`, `data` holds `item`.
pub fn item_name(list: &str) -> &str {
    list.strip_suffix('s').filter(|name| !name.is_empty()).unwrap_or("item")
}

/// Why an element is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// There is no such field.
    Unknown(String),
    /// It is missing.
    Missing(&'static str),
    /// It stands twice.
    Duplicate(&'static str),
    /// It is of another type.
    Type,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the element that was asked for")
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(_message: T) -> Mismatch {
        Mismatch::Type
    }

    fn unknown_field(field: &str, _expected: &'static [&'static str]) -> Mismatch {
        Mismatch::Unknown(field.to_owned())
    }

    fn missing_field(field: &'static str) -> Mismatch {
        Mismatch::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Mismatch {
        Mismatch::Duplicate(field)
    }
}

/// An element as a value.
#[derive(Clone, Copy)]
pub struct Value<'a>(pub &'a Element);

impl<'a> Value<'a> {
    /// Its text, where there is nothing else in it.
    fn text(self) -> Result<&'a str, Mismatch> {
        if self.0.children.is_empty() { Ok(&self.0.text) } else { Err(Mismatch::Type) }
    }

    /// Its text without the white space around it.
    fn token(self) -> Result<&'a str, Mismatch> {
        Ok(self.text()?.trim_matches(is_white))
    }

    /// The elements in it, where there is no text besides.
    fn children(self) -> Result<Iter<'a, Element>, Mismatch> {
        if self.0.has_text() { Err(Mismatch::Type) } else { Ok(self.0.children.iter()) }
    }

    /// An integer, however long; `None` for other text.
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<Result<V::Value, Mismatch>, V> {
        let Ok(token) = self.token() else { return Err(visitor) };
        let digits = token.strip_prefix(['-', '+']).unwrap_or(token);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(visitor);
        }
        Ok(match (token.parse::<i64>(), token.parse::<u64>(), token.parse::<f64>()) {
            (Ok(number), _, _) => visitor.visit_i64(number),
            (_, Ok(number), _) => visitor.visit_u64(number),
            (_, _, Ok(number)) => visitor.visit_f64(number),
            _ => Err(Mismatch::Type),
        })
    }
}

impl<'de> de::Deserializer<'de> for Value<'_> {
    type Error = Mismatch;

    /// For shapes that take more than one type: elements make an object, digits a number, the rest is text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if !self.0.children.is_empty() {
            return self.deserialize_map(visitor);
        }
        match self.number(visitor) {
            Ok(visited) => visited,
            Err(visitor) => visitor.visit_str(self.text()?),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.token()? {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(Mismatch::Type),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.number(visitor).unwrap_or(Err(Mismatch::Type))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_map(Members { rest: self.children()?, value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(Items { name: item_name(&self.0.name), rest: self.children()? })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let variant: StrDeserializer<'_, Mismatch> = self.token()?.into_deserializer();
        visitor.visit_enum(variant)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// The elements of an object.
struct Members<'a> {
    rest: Iter<'a, Element>,
    value: Option<&'a Element>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        self.value = self.rest.next();
        let Some(element) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, Mismatch> = element.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        seed.deserialize(Value(self.value.take().ok_or(Mismatch::Type)?))
    }
}

/// The elements of a list.
struct Items<'a> {
    name: &'a str,
    rest: Iter<'a, Element>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some(element) = self.rest.next() else { return Ok(None) };
        if element.name != self.name {
            return Err(Mismatch::Unknown(element.name.clone()));
        }
        seed.deserialize(Value(element)).map(Some)
    }
}
