//! Where something stands in a message: in an element of its own, or in a part of one ("60.3").

use serde::{Deserialize, Deserializer, de::Error};

use crate::iso8583::Message;

/// An element, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Place {
    Element(u8),
    /// The path of a part in a divided element.
    Part(String),
}

impl Place {
    /// What stands there, filling taken off; empty where nothing does.
    pub(super) fn text(&self, message: &Message) -> String {
        let text = match self {
            Self::Element(number) => message.text(*number),
            Self::Part(path) => message.get(path).map(|value| value.text()),
        };
        text.map_or_else(String::new, |text| text.trim_end().to_owned())
    }

    /// The element, where it is one of its own.
    pub(super) fn element(&self) -> Option<u8> {
        match self {
            Self::Element(number) => Some(*number),
            Self::Part(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Element(u8),
            Part(String),
        }
        let expected = || D::Error::custom("invalid place, expected an element's number, or a part of one as \"60.3\"");
        match Written::deserialize(from).map_err(|_| expected())? {
            Written::Element(number) => Ok(Self::Element(number)),
            Written::Part(path) => {
                let is_path = path.split_once('.').is_some_and(|(element, _)| element.parse::<u8>().is_ok());
                is_path.then_some(Self::Part(path)).ok_or_else(expected)
            }
        }
    }
}
