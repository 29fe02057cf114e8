//! Where tokens stand in a sealed body: the body is one, one member holds one, or members of the body are sealed.
//!
//! `encData` is Visa's member, `encryptedData` Mastercard's; the latter's clients also seal single members, which then
//! hold an object of that one member (`{"card":{"encryptedData":"..."}}`). What surprises: the members are put back as
//! text, so that a member that stands twice is still seen by whoever reads the body.

use super::problem::{Code, Problem};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroizing;

/// The most members of a body that are opened: each costs a private-key operation.
const SEALED_MEMBERS: usize = 2;

/// The member that holds the token of a whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// `encData`.
    EncData,
    /// `encryptedData`.
    EncryptedData,
}

/// An object of nothing but a token, under either name.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    #[serde(rename = "encData", skip_serializing_if = "Option::is_none")]
    enc_data: Option<String>,
    #[serde(rename = "encryptedData", skip_serializing_if = "Option::is_none")]
    encrypted_data: Option<String>,
}

impl Holder {
    fn token(self) -> Option<(Member, Zeroizing<Vec<u8>>)> {
        match (self.enc_data, self.encrypted_data) {
            (Some(token), None) => Some((Member::EncData, Zeroizing::new(token.into_bytes()))),
            (None, Some(token)) => Some((Member::EncryptedData, Zeroizing::new(token.into_bytes()))),
            _ => None,
        }
    }
}

/// The token of a body that is nothing else.
pub(super) fn whole(body: &[u8]) -> Option<(Member, Zeroizing<Vec<u8>>)> {
    serde_json::from_slice::<Holder>(body).ok()?.token()
}

/// A token as the body of an answer.
pub(super) fn holding(member: Member, token: String) -> Vec<u8> {
    let holder = match member {
        Member::EncData => Holder { enc_data: Some(token), ..Holder::default() },
        Member::EncryptedData => Holder { encrypted_data: Some(token), ..Holder::default() },
    };
    serde_json::to_vec(&holder).expect("one text becomes JSON")
}

/// A body of which some members are sealed.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    members: Members<'a>,
    /// Places among the members, each with its token.
    pub tokens: Vec<(usize, Zeroizing<Vec<u8>>)>,
}

impl<'a> Parts<'a> {
    /// `None` where no member is sealed.
    pub fn of(body: &'a [u8]) -> Result<Option<Parts<'a>>, Problem> {
        if !body.windows(6).any(|text| text == b"\"encry" || text == b"\"encDa") {
            return Ok(None);
        }
        let Ok(members) = serde_json::from_slice::<Members<'a>>(body) else { return Ok(None) };
        let sealed = members.0.iter().enumerate().filter_map(|(place, (_, value))| {
            let (_, token) = whole(value.get().as_bytes())?;
            Some((place, token))
        });
        let tokens: Vec<_> = sealed.collect();
        match tokens.len() {
            0 => Ok(None),
            count if count > SEALED_MEMBERS => Err(Code::PayloadUnreadable.into()),
            _ => Ok(Some(Parts { members, tokens })),
        }
    }

    /// Whether a member of this name came in clear.
    pub fn shows(&self, name: &str) -> bool {
        let is_clear = |value: &RawValue| whole(value.get().as_bytes()).is_none();
        self.members.0.iter().any(|(member, value)| member == name && is_clear(value))
    }

    /// The body with what was in its tokens, by place; `None` where that is no JSON.
    pub fn with(&self, opened: &[(usize, Zeroizing<Vec<u8>>)]) -> Option<Zeroizing<Vec<u8>>> {
        let mut pieces: Vec<&[u8]> = Vec::new();
        let names: Vec<String> = self.members.0.iter().map(|(name, _)| serde_json::json!(name).to_string()).collect();
        for (place, ((_, value), name)) in self.members.0.iter().zip(&names).enumerate() {
            let content = match opened.iter().find(|(opened, _)| *opened == place) {
                Some((_, content)) => serde_json::from_slice::<&RawValue>(content).ok()?.get(),
                None => value.get(),
            };
            pieces.extend([if place == 0 { b"{" as &[u8] } else { b"," }, name.as_bytes(), b":", content.as_bytes()]);
        }
        pieces.push(b"}");
        // Its size from the beginning: a vector that grows leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
        pieces.into_iter().for_each(|piece| body.extend_from_slice(piece));
        Some(body)
    }
}

/// The members of an object, in order, their values unread.
#[derive(Debug)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_body_that_is_one_token_is_known_by_its_member() {
        let of = |body: &str| whole(body.as_bytes()).map(|(member, token)| (member, token.to_vec()));
        assert_eq!(of(r#"{"encData":"t"}"#), Some((Member::EncData, b"t".to_vec())));
        assert_eq!(of(r#"{"encryptedData":"t"}"#), Some((Member::EncryptedData, b"t".to_vec())));
        for other in [r#"{}"#, r#"{"encData":"t","encryptedData":"t"}"#, r#"{"encData":"t","a":1}"#, r#"{"encData":1}"#]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(holding(Member::EncryptedData, "t".to_owned()), br#"{"encryptedData":"t"}"#);
    }

    #[test]
    fn sealed_members_are_put_back_as_text() {
        let body = br#"{"a": [1, 2],"card":{"encryptedData":"t"},"a":3}"#;
        let parts = Parts::of(body).unwrap().unwrap();
        let (place, token) = &parts.tokens[0];
        assert_eq!((*place, token.as_slice()), (1, b"t" as &[u8]));
        let opened = |content: &[u8]| parts.with(&[(1, Zeroizing::new(content.to_vec()))]).map(|body| body.to_vec());
        assert_eq!(opened(br#" {"number":"4"} "#).unwrap(), br#"{"a":[1, 2],"card":{"number":"4"},"a":3}"#);
        assert_eq!(opened(br#"1,"b":2"#), None, "what was sealed is one value");
        assert!(parts.shows("a") && !parts.shows("card") && !parts.shows("b"));
        let twice = Parts::of(br#"{"card":{"encryptedData":"t"},"c\u0061rd":1}"#).unwrap().unwrap();
        assert!(twice.shows("card"), "however it is written");
        assert_eq!(opened(b""), None);
    }

    #[test]
    fn a_plain_body_has_no_parts_and_few_members_are_opened() {
        assert!(Parts::of(br#"{"reference":"encryptedData"}"#).unwrap().is_none());
        assert!(Parts::of(br#"["encryptedData"]"#).unwrap().is_none());
        assert!(Parts::of(br#"{"a":{"encryptedData":1}}"#).unwrap().is_none());
        let many: Vec<String> = (0..=SEALED_MEMBERS).map(|n| format!(r#""m{n}":{{"encryptedData":"t"}}"#)).collect();
        assert!(Parts::of(format!("{{{}}}", many.join(",")).as_bytes()).is_err());
    }
}
