//! What a payment is, without any wire: cards, amounts, acceptors, operations, outcomes, references and times.
//!
//! These are values. Whoever holds one holds a checked thing: there is no card number of three digits, no amount
//! without a currency, no unknown currency. Parsing happens once, at the border, with an error that names the fault
//! and never repeats a card number.

mod acceptor;
mod amount;
mod balance;
mod card;
mod card_present;
mod consent;
mod cutover;
mod expiry;
mod identity;
mod message;
mod operation;
mod purchase;
mod reference;
mod result_code;
mod time;

pub use acceptor::Acceptor;
pub use amount::{Amount, AmountError, Currency};
pub use balance::Balance;
pub use card::{Brand, Card, CardError, Cvc, Pan};
pub use card_present::{CardPresent, Emv, OfferedPin, PinKeyName, Track2};
pub use consent::{Consent, Cryptogram, StoredCredential};
pub use cutover::CutoverClock;
pub use expiry::Expiry;
pub use identity::{CardId, CardPrint, MerchantId, Name, PaymentId, TokenId};
pub use message::{MessageKind, MessageValues, Original, PosEntry, ReversalReason};
pub use operation::OperationKind;
pub use purchase::Purchase;
pub use reference::{ApprovalCode, ReferenceError, Rrn, Stan};
pub use result_code::{Decline, DeclineKind, ResultClass, ResultCode};
pub use time::{BusinessDate, Monotonic, Now, Wall};
