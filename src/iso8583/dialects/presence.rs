//! Which elements a message type carries, out of `[codec.messages]`.

use super::division::condition;
use super::section::Entry;
use crate::iso8583::error::SpecError;
use crate::iso8583::mti::Mti;
use crate::iso8583::presence::Rule;

const EXPECTED: &str = "an array of element numbers, such as [2, 3, 4]";

/// The rule of one message type.
pub(super) fn rule(mti: &str, entry: &Entry<'_>) -> Result<(Mti, Rule), SpecError> {
    let mti = mti.parse().map_err(|_| entry.fault("a message type of four digits"))?;
    let mut rule = Rule::default();
    for (key, entry) in entry.table("a table with mandatory, conditional, forbidden and echoed")? {
        match key {
            "mandatory" => rule.mandatory = numbers(&entry)?,
            "forbidden" => rule.forbidden = numbers(&entry)?,
            "echoed" => rule.echoed = numbers(&entry)?,
            "conditional" => {
                for (number, entry) in entry.table("a table of elements and their conditions")? {
                    let expected = "\"otherwise\", \"mti 08\" or \"element 39 is 00\"";
                    let number = number.parse().map_err(|_| entry.fault("an element number"))?;
                    let when = condition(entry.text(expected)?).ok_or_else(|| entry.fault(expected))?;
                    rule.conditional.push((number, when));
                }
            }
            _ => return Err(entry.fault("mandatory, conditional, forbidden or echoed")),
        }
    }
    Ok((mti, rule))
}

fn numbers(entry: &Entry<'_>) -> Result<Vec<u8>, SpecError> {
    let number = |entry: Entry<'_>| u8::try_from(entry.number(EXPECTED)?).map_err(|_| entry.fault(EXPECTED));
    entry.array(EXPECTED)?.into_iter().map(number).collect()
}
