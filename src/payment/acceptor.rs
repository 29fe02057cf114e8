//! The card acceptor: which merchant, at which terminal, in the words the bank knows it by.

use smol_str::SmolStr;

/// Identity of the card acceptor as a bank sees it (data elements 18, 41, 42 and 43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptor {
    /// Card acceptor terminal identification, 1 to 8 characters (data element 41).
    pub terminal: SmolStr,
    /// Card acceptor identification code, 1 to 15 characters (data element 42).
    pub identification: SmolStr,
    /// Merchant category code, four digits (data element 18; ISO 18245).
    pub category_code: SmolStr,
    /// Name, at most 25 characters of data element 43.
    pub name: SmolStr,
    /// City, at most 13 characters of data element 43.
    pub city: SmolStr,
    /// Country, two letters of data element 43 (ISO 3166-1).
    pub country: SmolStr,
}
