//! The fingerprint of a request: a keyed hash that tells a repeat under its idempotency key from another content.
//!
//! It is taken over values, not bytes, so that wrapping, order and spacing do not matter; and without the verification
//! code, because whoever asks again may not have stored it (PCI DSS 3.3.1).

use super::request::TokenFields;
use crate::payment::{Amount, Card, CardPrint, Consent, Pan, Purchase, StoredCredential};
use crate::transaction::Fingerprint;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The key of all fingerprints. It outlives restarts: with another one every repeated request looks like a new content.
#[derive(Clone)]
pub struct FingerprintKey(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(***)")
    }
}

impl FingerprintKey {
    /// The keyed hash by which a card is told from others. The method of a request is never `card`.
    pub fn card_print(&self, pan: &Pan) -> CardPrint {
        let mut canonical = Canonical::new(self, "card", "");
        canonical.text(pan.reveal());
        CardPrint(canonical.finish().0)
    }
}

/// A request as a sequence of values, each with its length, on its way into a keyed hash.
pub(super) struct Canonical(Hmac<Sha256>);

impl Canonical {
    pub fn new(key: &FingerprintKey, method: &str, target: &str) -> Canonical {
        let mut canonical = Canonical(Hmac::new_from_slice(&*key.0).expect("HMAC takes a key of any length"));
        canonical.text(method).text(target);
        canonical
    }

    pub fn text(&mut self, text: &str) -> &mut Canonical {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Canonical {
        self.text(if flag { "yes" } else { "no" })
    }

    pub fn optional(&mut self, text: Option<&str>) -> &mut Canonical {
        self.flag(text.is_some()).text(text.unwrap_or_default())
    }

    pub fn card(&mut self, card: &Card) -> &mut Canonical {
        self.text(card.pan.reveal()).text(&card.expiry.yymm())
    }

    /// A card, or the token by which it was named: whoever has both still asks for two things.
    pub fn instrument(&mut self, card: &Card, token: Option<&TokenFields>) -> &mut Canonical {
        match token {
            Some(token) => self.text("token").text(&token.id),
            None => self.card(card),
        }
    }

    pub fn amount(&mut self, amount: Option<Amount>) -> &mut Canonical {
        let text = amount.map(|amount| format!("{}{}", amount.currency(), amount.minor()));
        self.optional(text.as_deref())
    }

    /// Nothing is added where there is none, so that a request of old has the fingerprint it always had.
    pub fn consent(&mut self, consent: Option<&Consent>) -> &mut Canonical {
        let Some(consent) = consent else { return self };
        self.text("consent").optional(consent.eci.as_deref()).optional(consent.authentication.as_deref());
        self.optional(consent.stored.map(StoredCredential::name)).optional(consent.network_reference.as_deref())
    }

    /// As with the consent.
    pub fn purchase(&mut self, purchase: Option<&Purchase>) -> &mut Canonical {
        let Some(purchase) = purchase else { return self };
        self.text("purchase").optional(purchase.customer_reference.as_deref());
        self.optional(purchase.invoice.as_deref()).amount(purchase.tax)
    }

    pub fn metadata(&mut self, metadata: &BTreeMap<String, String>) -> &mut Canonical {
        for (name, text) in metadata {
            self.text("metadata").text(name).text(text);
        }
        self
    }

    pub fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into_bytes().into())
    }
}
