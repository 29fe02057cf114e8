//! The names under which files speak of MAC methods and their paddings: those of a dialect, and those of an issuer profile.

use super::mac::{MacMethod, Padding};
use serde::Deserialize;

/// A method without its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MethodName {
    /// ANSI X9.9.
    #[serde(rename = "x9.9")]
    X99,
    /// ANSI X9.19, the retail MAC.
    #[serde(rename = "x9.19")]
    X919,
    /// CMAC under AES.
    #[serde(rename = "aes-cmac")]
    Cmac,
    /// The method of UnionPay's terminals.
    #[serde(rename = "unionpay-ecb")]
    UnionPayEcb,
}

/// A padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingName {
    /// Method 1 of ISO/IEC 9797-1.
    #[default]
    Zeros,
    /// Method 2.
    Bit,
}

impl MethodName {
    /// Whether it can be padded in more than one way.
    pub fn is_padded(self) -> bool {
        matches!(self, MethodName::X99 | MethodName::X919)
    }

    /// The method; the padding is that of those which have a choice.
    pub fn with(self, padding: PaddingName) -> MacMethod {
        let padding = match padding {
            PaddingName::Zeros => Padding::Zeros,
            PaddingName::Bit => Padding::Bit,
        };
        match self {
            MethodName::X99 => MacMethod::Chained(padding),
            MethodName::X919 => MacMethod::Retail(padding),
            MethodName::Cmac => MacMethod::Cmac,
            MethodName::UnionPayEcb => MacMethod::UnionPayEcb,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Deserialize)]
    struct Table {
        method: MethodName,
        #[serde(default)]
        padding: PaddingName,
    }

    #[test]
    fn names_are_those_of_the_standards() {
        let method = |text: &str| {
            let Table { method, padding } = toml::from_str(text).unwrap();
            (method.with(padding), method.is_padded())
        };
        assert_eq!(method("method = 'x9.9'"), (MacMethod::Chained(Padding::Zeros), true));
        assert_eq!(method("method = 'x9.19'\npadding = 'bit'"), (MacMethod::Retail(Padding::Bit), true));
        assert_eq!(method("method = 'aes-cmac'"), (MacMethod::Cmac, false));
        assert_eq!(method("method = 'unionpay-ecb'"), (MacMethod::UnionPayEcb, false));
        assert!(toml::from_str::<Table>("method = 'md5'").is_err());
    }
}
