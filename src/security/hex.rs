//! Hexadecimal digits of bytes, upper case: key blocks and the UnionPay MAC calculate over them.

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The upper-case digits of bytes, two a byte.
pub(super) fn digits(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]).collect()
}

/// The bytes of upper- or lower-case digits; `None` where there is another character or an odd number of them.
pub(super) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(nibble(pair.first()?)? << 4 | nibble(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digits_and_bytes() {
        assert_eq!(digits(&[0x0F, 0xA9]), b"0FA9");
        assert_eq!(bytes("0fA9").unwrap(), [0x0F, 0xA9]);
        assert_eq!(bytes("0fA"), None);
        assert_eq!(bytes("0g"), None);
    }
}
