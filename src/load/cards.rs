//! Test cards from a file: one a line, `NUMBER [MM/YYYY [CODE]]`, `#` begins a comment.

use std::fmt;

/// A card to pay with. It prints without its number.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    /// Digits.
    pub number: String,
    /// 1 to 12.
    pub month: u8,
    /// Four digits.
    pub year: u16,
    /// Security code.
    pub code: String,
}

/// A line that is no card. It does not repeat the line: somebody may have put a real card there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardsError {
    /// By its number, from 1.
    #[error("line {0}: expected NUMBER [MM/YYYY [CODE]]")]
    Line(usize),
    /// Nothing there.
    #[error("no card in it")]
    Empty,
}

impl Card {
    /// The card of the demo that approves.
    pub fn approving() -> Card {
        Card { number: "4242424242424242".to_owned(), month: 12, year: 2030, code: "123".to_owned() }
    }

    fn parse(line: &str) -> Option<Card> {
        let mut words = line.split_whitespace();
        let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let number = words.next().filter(|number| digits(number, 8..=19))?;
        let (month, year) = words.next().unwrap_or("12/2030").split_once('/')?;
        let month = month.parse().ok().filter(|month| (1..=12).contains(month))?;
        let year = year.parse().ok().filter(|year| (2000..=2099).contains(year))?;
        let code = words.next().unwrap_or("123");
        let whole = digits(code, 3..=4) && words.next().is_none();
        whole.then(|| Card { number: number.to_owned(), month, year, code: code.to_owned() })
    }
}

/// Reads the cards of a file.
pub fn read(text: &str) -> Result<Vec<Card>, CardsError> {
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.split('#').next().unwrap_or_default()));
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let cards: Vec<Card> =
        lines.map(|(number, line)| Card::parse(line).ok_or(CardsError::Line(number))).collect::<Result<_, _>>()?;
    if cards.is_empty() { Err(CardsError::Empty) } else { Ok(cards) }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_cards_with_defaults() {
        let cards = read("# test cards\n4111111111111111\n\n378282246310005 11/2031 1234 # fifteen digits\n").unwrap();
        assert_eq!((cards.len(), cards[0].month, cards[0].year), (2, 12, 2030));
        assert_eq!((cards[1].month, cards[1].year, &*cards[1].code), (11, 2031, "1234"));
        assert_eq!(format!("{:?}", cards[0]), "Card(***)");
    }

    #[test]
    fn what_is_no_card_is_told_by_its_line_alone() {
        for wrong in ["4111", "4111111111111111 13/2030", "4111111111111111 12/2030 12", "4111111111111111 1 2 3", "x"]
        {
            assert_eq!(read(&format!("\n{wrong}")), Err(CardsError::Line(2)), "{wrong}");
        }
        assert_eq!(read("# none\n"), Err(CardsError::Empty));
    }
}
