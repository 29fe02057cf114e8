//! One merchant: its proofs, its payload key, its terminals.

use super::{Ceilings, PayloadKey, Scopes, Share, SignatureKey};
use crate::network::Network;
use crate::payment::{Acceptor, MerchantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

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
    pub signature_keys: Vec<TrustedKey>,
    /// Whether the check digit of a card number is checked before a bank sees it.
    pub luhn: bool,
    /// Whether it may only read.
    pub suspended: bool,
    /// What it may ask for.
    pub operations: Scopes,
    /// For how much.
    pub amount_max: Ceilings,
    /// How often, and how much at once.
    pub share: Arc<Share>,
    pub(super) addresses: Vec<Network>,
    pub(super) terminals: Vec<Acceptor>,
}

/// An API key of a merchant, without the key.
#[derive(Debug)]
pub struct ApiKey {
    /// Whose it is.
    pub merchant: Arc<Merchant>,
    /// What it may be used for, within what its merchant may do.
    pub scopes: Scopes,
    /// From when on it proves nothing.
    pub expires: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it still proves something.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A key by which a merchant's signatures are verified.
#[derive(Debug)]
pub struct TrustedKey {
    /// The key.
    pub key: SignatureKey,
    /// What its signatures may ask for, within what its merchant may do.
    pub scopes: Scopes,
    /// From when on they hold no longer.
    pub expires: Option<Timestamp>,
}

impl TrustedKey {
    /// Whether a signature of it holds now.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Merchant {
    /// Its signature keys that count now.
    pub fn signature_keys_at(&self, now: Timestamp) -> impl Iterator<Item = &TrustedKey> {
        self.signature_keys.iter().filter(move |key| key.is_valid_at(now))
    }

    /// Whether it may ask from this address.
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.holds(address))
    }

    /// The terminal of an identification, or the first one where the request names none.
    pub fn terminal(&self, identification: Option<&str>) -> Option<&Acceptor> {
        match identification {
            Some(wanted) => self.terminals.iter().find(|acceptor| acceptor.terminal == wanted),
            None => self.terminals.first(),
        }
    }
}

/// What a merchant must prove itself by. Whatever else it presents must be its own as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// Plain and sealed requests are taken.
    #[default]
    Optional,
    /// Only sealed ones.
    Required,
}

/// Whether payloads must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// What has no signature is taken; a signature that is there must hold.
    #[default]
    Optional,
    /// Only signed ones.
    Required,
}
