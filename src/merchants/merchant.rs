//! One merchant: its proofs, its payload key, its terminals.

use super::{PayloadKey, SignatureKey};
use crate::payment::{Acceptor, MerchantId};
use serde::Deserialize;

/// A merchant of the register.
#[derive(Debug)]
pub struct Merchant {
    /// Its identifier.
    pub id: MerchantId,
    /// What people call it.
    pub name: String,
    /// What it must prove itself by.
    pub require: Proof,
    /// Whether its payloads must be sealed.
    pub sealing: Sealing,
    /// The key to which its answers are sealed.
    pub payload_key: Option<PayloadKey>,
    /// Whether its payloads must be signed.
    pub signing: Signing,
    /// The keys by which its signatures are verified; more than one while they change.
    pub signature_keys: Vec<SignatureKey>,
    /// Whether the check digit of a card number is checked before a bank sees it.
    pub luhn: bool,
    pub(super) terminals: Vec<Acceptor>,
}

impl Merchant {
    /// The terminal of an identification, or the first one where the request names none.
    pub fn terminal(&self, identification: Option<&str>) -> Option<&Acceptor> {
        match identification {
            Some(wanted) => self.terminals.iter().find(|acceptor| acceptor.terminal == wanted),
            None => self.terminals.first(),
        }
    }
}

/// What a merchant must prove itself by. Whatever else it presents must be its own as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// An API key or a client certificate.
    #[default]
    Any,
    /// An API key.
    Key,
    /// A client certificate.
    Certificate,
    /// Both.
    Both,
}

/// Whether payloads must be sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// Plain and sealed requests are taken.
    #[default]
    Optional,
    /// Only sealed ones.
    Required,
}

/// Whether payloads must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// What has no signature is taken; a signature that is there must hold.
    #[default]
    Optional,
    /// Only signed ones.
    Required,
}
