//! How the cardholder's consent was established: by 3-D Secure, or by an earlier consent that a stored card rests on.
//!
//! What is here goes to the bank and may be recorded. The cryptogram of 3-D Secure may not: it proves one
//! authentication, travels with the [`super::Card`] like its verification code, and is forgotten with it.

use minicbor::{Decode, Encode};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How the cardholder's consent was established.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Consent {
    /// Electronic commerce indicator of 3-D Secure, two digits.
    #[n(0)]
    pub eci: Option<String>,
    /// Transaction identifier of 3-D Secure, as its directory server gave it.
    #[n(1)]
    pub authentication: Option<String>,
    /// What the card is stored for, where it is stored.
    #[n(2)]
    pub stored: Option<StoredCredential>,
    /// The network's reference of the payment by which the card was stored.
    #[n(3)]
    pub network_reference: Option<String>,
}

/// In which part of a series of payments with a stored card this one stands, and who began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum StoredCredential {
    /// The one by which the card is stored, with the cardholder present.
    #[n(0)]
    First,
    /// A later one that the cardholder began.
    #[n(1)]
    Subsequent,
    /// A later one that the merchant began when something was due.
    #[n(2)]
    Unscheduled,
    /// A later one that the merchant began by an agreed calendar.
    #[n(3)]
    Recurring,
    /// A part of one price, that the merchant began.
    #[n(4)]
    Instalment,
}

impl StoredCredential {
    /// All of them.
    pub const ALL: [StoredCredential; 5] = [
        StoredCredential::First,
        StoredCredential::Subsequent,
        StoredCredential::Unscheduled,
        StoredCredential::Recurring,
        StoredCredential::Instalment,
    ];

    /// By its name in dialect files and in the API.
    pub fn from_name(name: &str) -> Option<StoredCredential> {
        StoredCredential::ALL.into_iter().find(|stored| stored.name() == name)
    }

    /// Name in dialect files and in the API.
    pub fn name(self) -> &'static str {
        match self {
            StoredCredential::First => "first",
            StoredCredential::Subsequent => "subsequent",
            StoredCredential::Unscheduled => "unscheduled",
            StoredCredential::Recurring => "recurring",
            StoredCredential::Instalment => "instalment",
        }
    }

    /// Whether it rests on an earlier payment.
    pub fn is_later(self) -> bool {
        self != StoredCredential::First
    }
}

/// What 3-D Secure proves an authentication by (CAVV, AAV, UCAF): 28 characters of base64, which are 20 bytes.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Cryptogram(String);

impl Cryptogram {
    const LENGTH: usize = 28;

    /// `None` for anything but 20 bytes in base64.
    pub fn parse(text: &str) -> Option<Cryptogram> {
        let (content, filler) = text.split_at_checked(Self::LENGTH - 1)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        (filler == "=" && content.bytes().all(allowed)).then(|| Cryptogram(text.to_owned()))
    }

    /// In clear, for the message to the bank alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cryptogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cryptogram(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cryptogram_is_twenty_bytes_and_never_prints() {
        let text = "AAABBJg0VhI0VniQEjRWAAAAAAA=";
        let cryptogram = Cryptogram::parse(text).unwrap();
        assert_eq!((cryptogram.reveal(), format!("{cryptogram:?}")), (text, "Cryptogram(***)".to_owned()));
        for wrong in ["", "AAABBJg0VhI0VniQEjRWAAAAAAAA", "AAABBJg0VhI0VniQEjRWAAAAAA==", "ÄAABBJg0VhI0VniQEjRWAAAAAA="]
        {
            assert!(Cryptogram::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn names_are_found_again() {
        assert!(StoredCredential::ALL.iter().all(|stored| StoredCredential::from_name(stored.name()) == Some(*stored)));
    }
}
