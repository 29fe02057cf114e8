//! The numbers by which a payment is known on the wire: STAN, retrieval reference, approval code.

use std::fmt;

/// Why a reference was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed reference")]
pub struct ReferenceError;

/// Systems trace audit number, 000001 to 999999 (data element 11). 000000 is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stan(u32);

impl Stan {
    /// How many there are before they begin anew.
    pub const SPACE: u32 = 999_999;

    /// 1 to 999999.
    pub fn new(number: u32) -> Result<Stan, ReferenceError> {
        match number {
            1..=Self::SPACE => Ok(Stan(number)),
            _ => Err(ReferenceError),
        }
    }

    /// Reads six digits.
    pub fn parse(text: &str) -> Result<Stan, ReferenceError> {
        match text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
            true => Stan::new(text.parse().map_err(|_| ReferenceError)?),
            false => Err(ReferenceError),
        }
    }

    /// As a number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Retrieval reference number, twelve alphanumeric characters (data element 37), constant through a payment's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rrn([u8; 12]);

impl Rrn {
    const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// The `number`th of a sequence, in base 36 (4.7e18 of them; beyond that they begin anew).
    pub fn from_sequence(number: u64) -> Rrn {
        let mut rest = number;
        let mut characters = [b'0'; 12];
        for place in characters.iter_mut().rev() {
            *place = Self::ALPHABET[(rest % 36) as usize];
            rest /= 36;
        }
        Rrn(characters)
    }

    /// Reads twelve letters or digits.
    pub fn parse(text: &str) -> Result<Rrn, ReferenceError> {
        let characters: [u8; 12] = text.as_bytes().try_into().map_err(|_| ReferenceError)?;
        characters.iter().all(u8::is_ascii_alphanumeric).then_some(Rrn(characters)).ok_or(ReferenceError)
    }

    /// The twelve characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an Rrn holds ASCII")
    }
}

impl fmt::Display for Rrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Rrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rrn({self})")
    }
}

/// Authorisation identification response, six characters (data element 38).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApprovalCode([u8; 6]);

impl ApprovalCode {
    /// Reads one to six printable ASCII characters; shorter ones are padded with spaces as the wire does.
    pub fn parse(text: &str) -> Result<ApprovalCode, ReferenceError> {
        let given = text.as_bytes();
        if given.is_empty() || given.len() > 6 || !given.iter().all(|b| matches!(b, b' '..=b'~')) {
            return Err(ReferenceError);
        }
        let mut characters = [b' '; 6];
        characters[..given.len()].copy_from_slice(given);
        Ok(ApprovalCode(characters))
    }

    /// The characters without the padding.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an ApprovalCode holds ASCII").trim_end()
    }
}

impl fmt::Debug for ApprovalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApprovalCode({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_stan() {
        assert_eq!(Stan::parse("000000"), Err(ReferenceError));
        assert_eq!(Stan::parse("1"), Err(ReferenceError));
        assert_eq!(Stan::new(7).map(|s| s.to_string()), Ok("000007".to_owned()));
    }

    #[test]
    fn retrieval_references_count_in_base_36() {
        assert_eq!(Rrn::from_sequence(0).as_str(), "000000000000");
        assert_eq!(Rrn::from_sequence(36 * 36 - 1).as_str(), "0000000000ZZ");
        assert_eq!(Rrn::parse("0000000000ZZ"), Ok(Rrn::from_sequence(36 * 36 - 1)));
        assert_eq!(Rrn::parse("short"), Err(ReferenceError));
    }
}
