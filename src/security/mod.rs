//! Keys and what is made with them: check values, message authentication codes, PIN blocks, DUKPT and key blocks.
//!
//! Keys and randomness are handed in; nothing here knows where a key lies. The ciphers (DES, TDES, AES) and CMAC come
//! from the RustCrypto crates; what stands here is how the payment standards put them together. Read on in this
//! order: [`Key`], [`CheckValue`], [`MacMethod`], [`Seal`], [`PinBlockFormat`], [`dukpt`], [`KeyBlock`], [`Wrapped`];
//! [`KeySettings`] are what a dialect says of all this, [`ExchangeSettings`] how keys come over the line.

mod check_value;
mod cipher;
pub mod dukpt;
mod exchange;
mod hex;
mod key;
mod key_block;
mod mac;
mod method_name;
mod pin;
mod pin_block;
mod seal;
mod settings;
mod slot;
mod translation;
mod wrapped;

pub use check_value::CheckValue;
pub use exchange::{Bringer, ExchangeSettings, KeyForm, OfferedKey, ProtectedKey, Renewed};
pub use key::{Key, KeyFault, KeyKind, KeyUsage};
pub use key_block::{KeyBlock, KeyBlockFault, KeyBlockHeader, KeyBlockVersion};
pub use mac::{Mac, MacMethod, Padding};
pub use method_name::{MethodName, PaddingName};
pub use pin::Pin;
pub use pin_block::{PinBlock, PinBlockFormat, PinFault, decipher, encipher};
pub use seal::{MAC_ELEMENT, MacPlace, MacSeal, PinSeal, Seal};
pub use settings::{KeySettings, KeySettingsError, MacSettings, PinSettings};
pub use slot::{Direction, KeySlot, SlotUse};
pub use translation::{PinZone, translate};
pub use wrapped::Wrapped;
