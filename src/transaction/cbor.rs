//! How records are written: a format number, then CBOR (RFC 8949) with numbered fields.
//!
//! Every format number ever written stays readable. Domain values are written as the plain values below and checked
//! again when read: a record that does not make sense is an error, never a guess.

use super::provenance::TraceParent;
use super::record::{Fingerprint, IdempotencyKey, Record};
use crate::payment::{
    Acceptor, Amount, ApprovalCode, Balance, Brand, BusinessDate, CardId, CardPrint, Currency, MerchantId, Name,
    OperationKind, PaymentId, ResultCode, Rrn, Stan, Wall,
};
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Decoder, Encode, Encoder, decode as de, encode as en};
use smol_str::SmolStr;

/// The format that is written.
pub const FORMAT: u8 = 1;

/// Why stored bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Nothing there.
    #[error("an empty record")]
    Empty,
    /// Written by a later version of this program.
    #[error("record format {0} is not known to this version")]
    Format(u8),
    /// Damaged or not a record.
    #[error("a record that cannot be read: {0}")]
    Damaged(String),
}

/// The stored form of a record.
pub fn encode(record: &Record) -> Vec<u8> {
    let mut stored = Vec::with_capacity(512);
    stored.push(FORMAT);
    minicbor::encode(record, &mut stored).expect("writing to a Vec does not fail");
    stored
}

/// Reads a stored record of any format.
pub fn decode(stored: &[u8]) -> Result<Record, RecordError> {
    match stored.split_first() {
        None => Err(RecordError::Empty),
        Some((1, cbor)) => minicbor::decode(cbor).map_err(|error| RecordError::Damaged(error.to_string())),
        Some((format, _)) => Err(RecordError::Format(*format)),
    }
}

/// What is shared in memory is stored as what it is.
pub(super) mod shared {
    use super::*;
    use std::sync::Arc;

    pub fn encode<C, T: Encode<C>, W: en::Write>(
        shared: &Option<Arc<T>>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), en::Error<W::Error>> {
        shared.as_deref().encode(e, ctx)
    }

    pub fn decode<'b, C, T: Decode<'b, C>>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Option<Arc<T>>, de::Error> {
        Ok(Option::<T>::decode(d, ctx)?.map(Arc::new))
    }

    pub fn is_nil<T>(shared: &Option<Arc<T>>) -> bool {
        shared.is_none()
    }

    /// What is absent.
    pub fn nil<T>() -> Option<Option<Arc<T>>> {
        Some(None)
    }
}

/// Text that is kept in place where it is short.
pub(super) mod short_text {
    use super::*;

    pub fn encode<C, W: en::Write>(text: &SmolStr, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), en::Error<W::Error>> {
        text.as_str().encode(e, ctx)
    }

    pub fn decode<'b, C>(d: &mut Decoder<'b>, _ctx: &mut C) -> Result<SmolStr, de::Error> {
        d.str().map(SmolStr::new)
    }
}

/// Writes a domain value as a plain one, and reads it back through its own check.
macro_rules! stored_as {
    ($($domain:ty: $plain:ty, $write:expr, $read:expr;)*) => {$(
        impl<C> Encode<C> for $domain {
            fn encode<W: en::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), en::Error<W::Error>> {
                let write: fn(&$domain) -> $plain = $write;
                write(self).encode(e, ctx)
            }
        }

        impl<'b, C> Decode<'b, C> for $domain {
            fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, de::Error> {
                let read: fn($plain) -> Option<$domain> = $read;
                read(<$plain>::decode(d, ctx)?).ok_or_else(|| de::Error::message(concat!("not a ", stringify!($domain))))
            }
        }
    )*};
}

stored_as! {
    PaymentId: ByteArray<16>, |id| id.0.to_be_bytes().into(), |bytes| Some(PaymentId(u128::from_be_bytes(bytes.into())));
    CardId: ByteArray<16>, |id| id.0.to_be_bytes().into(), |bytes| Some(CardId(u128::from_be_bytes(bytes.into())));
    CardPrint: ByteArray<32>, |print| print.0.into(), |bytes| Some(CardPrint(bytes.into()));
    TraceParent: ByteArray<25>, |trace| trace.0.into(), |bytes| Some(TraceParent(bytes.into()));
    Fingerprint: ByteArray<32>, |hash| hash.0.into(), |bytes| Some(Fingerprint(bytes.into()));
    Wall: i64, |wall| wall.0, |micros| Some(Wall(micros));
    Stan: u32, |stan| stan.number(), |number| Stan::new(number).ok();
    OperationKind: u8, |kind| kind_number(*kind), kind_of;
    Balance: (u8, u8, Amount, bool), |b| (b.account_type, b.amount_type, b.amount, b.is_negative), |parts| Some(balance_of(parts));
    Amount: (u64, u16), |amount| (amount.minor(), amount.currency().numeric()), amount_of;
}

/// Six texts, in the order of their elements.
impl<C> Encode<C> for Acceptor {
    fn encode<W: en::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), en::Error<W::Error>> {
        let Acceptor { terminal, identification, category_code, name, city, country } = self;
        let texts = [terminal, identification, category_code, name, city, country];
        texts.map(SmolStr::as_str).encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Acceptor {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, de::Error> {
        let texts = <[&'b str; 6]>::decode(d, ctx)?;
        let [terminal, identification, category_code, name, city, country] = texts.map(SmolStr::new);
        Ok(Acceptor { terminal, identification, category_code, name, city, country })
    }
}

/// Writes a domain value as its text.
macro_rules! stored_as_text {
    ($($domain:ty: $write:expr, $read:expr;)*) => {$(
        impl<C> Encode<C> for $domain {
            fn encode<W: en::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), en::Error<W::Error>> {
                e.str(($write as fn(&$domain) -> &str)(self))?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $domain {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, de::Error> {
                let read: fn(&str) -> Option<$domain> = $read;
                read(d.str()?).ok_or_else(|| de::Error::message(concat!("not a ", stringify!($domain))))
            }
        }
    )*};
}

stored_as_text! {
    MerchantId: MerchantId::as_str, MerchantId::new;
    Name: Name::as_str, |text| Some(text.into());
    IdempotencyKey: IdempotencyKey::as_str, IdempotencyKey::new;
    Rrn: Rrn::as_str, |text| Rrn::parse(text).ok();
    ApprovalCode: ApprovalCode::as_str, |text| ApprovalCode::parse(text).ok();
    ResultCode: |code| code.name(), ResultCode::from_name;
    Brand: |brand| brand.name(), Brand::from_name;
}

impl<C> Encode<C> for BusinessDate {
    fn encode<W: en::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), en::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for BusinessDate {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, de::Error> {
        BusinessDate::parse(d.str()?).ok_or_else(|| de::Error::message("not a BusinessDate"))
    }
}

fn kind_number(kind: OperationKind) -> u8 {
    match kind {
        OperationKind::Authorisation => 1,
        OperationKind::Sale => 2,
        OperationKind::Capture => 3,
        OperationKind::Void => 4,
        OperationKind::Refund => 5,
        OperationKind::Verification => 6,
        OperationKind::BalanceInquiry => 7,
        OperationKind::Increment => 8,
    }
}

fn kind_of(number: u8) -> Option<OperationKind> {
    Some(match number {
        1 => OperationKind::Authorisation,
        2 => OperationKind::Sale,
        3 => OperationKind::Capture,
        4 => OperationKind::Void,
        5 => OperationKind::Refund,
        6 => OperationKind::Verification,
        7 => OperationKind::BalanceInquiry,
        8 => OperationKind::Increment,
        _ => return None,
    })
}

fn amount_of((minor, currency): (u64, u16)) -> Option<Amount> {
    Amount::new(minor, Currency::from_numeric(currency)?).ok()
}

fn balance_of((account_type, amount_type, amount, is_negative): (u8, u8, Amount, bool)) -> Balance {
    Balance { account_type, amount_type, amount, is_negative }
}
