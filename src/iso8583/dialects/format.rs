//! The format of an element as the standard writes it: "n6", "LL n..19", "LLL ans..999", "x+n8", "b8".
//!
//! As many L as the length prefix has digits. Without any L, "n..19" is all that is left of what the
//! part stands in, and "b.." is that without a limit.

use crate::iso8583::class::Class;

/// A format taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) class: Class,
    pub(super) extent: Extent,
}

/// The length of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Fixed(u32),
    /// Up to so many behind this many digits of length.
    Variable(u8, u32),
    /// Up to so many, without a length of its own.
    Rest(u32),
}

pub(super) const EXPECTED: &str = "a format such as \"n6\", \"b8\", \"x+n8\", \"LL n..19\" or \"LLL ans..999\"";

/// Reads a format; `None` where it is none.
pub(super) fn parse(text: &str) -> Option<Format> {
    let body = text.trim_start_matches('L');
    let width = u8::try_from(text.len() - body.len()).ok()?;
    // Some write LLVAR; `Element::format` does.
    let body = body.strip_prefix("VAR").filter(|_| width > 0).unwrap_or(body).trim_start();
    let end = body.find(|c: char| c == '.' || c == ' ' || c.is_ascii_digit())?;
    let class = Class::from_notation(&body[..end])?;
    let length = body[end..].trim_start();
    let extent = match (length.strip_prefix(".."), width) {
        (Some(""), 0) => Extent::Rest(u32::MAX),
        (Some(max), 0) => Extent::Rest(max.parse().ok()?),
        (Some(max), 1..=6) => Extent::Variable(width, max.parse().ok()?),
        (None, 0) => {
            let sign = u32::from(class.has_sign());
            Extent::Fixed(length.parse::<u32>().ok()?.checked_add(sign)?)
        }
        _ => return None,
    };
    Some(Format { class, extent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_read_as_the_standard_writes_them() {
        let cases = [
            ("n6", Class::Numeric, Extent::Fixed(6)),
            ("n 6", Class::Numeric, Extent::Fixed(6)),
            ("x+n8", Class::Signed, Extent::Fixed(9)),
            ("LL n..19", Class::Numeric, Extent::Variable(2, 19)),
            ("LLVAR n..19", Class::Numeric, Extent::Variable(2, 19)),
            ("LLL ans..999", Class::Text, Extent::Variable(3, 999)),
            ("b..", Class::Binary, Extent::Rest(u32::MAX)),
            ("b..16", Class::Binary, Extent::Rest(16)),
        ];
        for (text, class, extent) in cases {
            assert_eq!(parse(text), Some(Format { class, extent }), "{text}");
        }
        for text in ["", "n", "6", "VAR n..6", "q6", "LL n19", "LLLLLLL n..9", "n-6", "LL n..x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
