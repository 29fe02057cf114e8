//! What things are called inside and in the API. All are made in the shells: no random source lives down here.

use std::fmt;
use std::str::FromStr;

/// A payment, 128 bits, time-ordered where it is made; `pay_` and 32 hex digits in the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(pub u128);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pay_{:032x}", self.0)
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PaymentId {
    type Err = ();

    fn from_str(text: &str) -> Result<PaymentId, ()> {
        let hex = text.strip_prefix("pay_").filter(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        u128::from_str_radix(hex.ok_or(())?, 16).map(PaymentId).map_err(|_| ())
    }
}

/// A card that a merchant has left with us, by the name under which it pays with it: 128 bits, time-ordered where it is
/// made; `tok_` and 32 hex digits in the API. It says nothing of the number, and only its merchant can use it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u128);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tok_{:032x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenId {
    type Err = ();

    /// Takes a name only as it is written here: no other text is the same token.
    fn from_str(text: &str) -> Result<TokenId, ()> {
        let hex = text.strip_prefix("tok_").ok_or(())?;
        let id = u128::from_str_radix(hex, 16).map(TokenId).map_err(|_| ())?;
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

/// A card at rest. Says nothing of the number: it is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardId(pub u128);

/// A card as it is compared with others without being known: a keyed hash of its number (HMAC-SHA-256), made where the
/// key is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CardPrint(pub [u8; 32]);

impl fmt::Debug for CardPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardPrint(..)")
    }
}

/// A merchant of the register: 1 to 64 of the characters `a-z A-Z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantId(std::sync::Arc<str>);

impl MerchantId {
    /// `None` where the text is not an identifier.
    pub fn new(text: &str) -> Option<MerchantId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| MerchantId(text.into()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MerchantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name from the configuration (a host, a dialect, an acquiring institution): cheap to copy, any text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(std::sync::Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name(text.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_ids_go_both_ways() {
        let id = PaymentId(0x0197_0000_0000_7000_8000_0000_0000_002a);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("pay_+1".parse::<PaymentId>(), Err(()));
        assert_eq!("01970000000070008000000000000002a".parse::<PaymentId>(), Err(()));
    }

    #[test]
    fn a_token_has_one_name() {
        let id = TokenId(0x0197_0000_0000_7000_8000_0000_0000_00af);
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in
            ["tok_019700000000700080000000000000AF", "tok_+1970000000070008000000000000af", "tok_1", "tok_", ""]
        {
            assert_eq!(other.parse::<TokenId>(), Err(()), "{other}");
        }
    }

    #[test]
    fn merchant_ids_are_plain_words() {
        assert!(MerchantId::new("acme-shop_1").is_some());
        assert!(MerchantId::new("").is_none());
        assert!(MerchantId::new("acme shop").is_none());
    }
}
