//! `[mapping.inbound]`: what an acquirer at a door of ours may say beside the elements of `[mapping]`, and what it is
//! answered.
//!
//! `[mapping.messages]` says which elements a message has whichever way it goes. An element that stands neither there nor
//! in `passed_over` is refused: a switch that drops what it does not understand (a cash-back, a PIN, a plan of
//! instalments) books something else than was asked for.

use crate::payment::{ResultClass, ResultCode};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The section, read and checked. One without codes answers nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbound {
    /// Elements that say nothing to us and change nothing.
    pub passed_over: BTreeSet<u8>,
    /// Elements that an answer repeats where the message has them.
    pub echo: BTreeSet<u8>,
    /// The answer to a reversal that was accepted, where it is not that to an approval.
    pub reversal_accepted: Option<String>,
    codes: BTreeMap<ResultCode, String>,
}

/// As it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawInbound {
    passed_over: Option<BTreeSet<u8>>,
    echo: Option<BTreeSet<u8>>,
    reversal_accepted: Option<String>,
    codes: BTreeMap<String, String>,
}

impl RawInbound {
    /// What a later layer says over what an earlier one said; of the codes each by itself.
    pub fn over(self, base: RawInbound) -> RawInbound {
        let mut codes = base.codes;
        codes.extend(self.codes);
        RawInbound {
            passed_over: self.passed_over.or(base.passed_over),
            echo: self.echo.or(base.echo),
            reversal_accepted: self.reversal_accepted.or(base.reversal_accepted),
            codes,
        }
    }
}

impl Inbound {
    /// The key that is wrong and what was expected, or the section. A code may not tell an approval of what is none.
    pub fn of(raw: RawInbound, results: &BTreeMap<String, ResultCode>) -> Result<Inbound, (String, String)> {
        let mut codes = BTreeMap::new();
        for (name, code) in raw.codes {
            let key = format!("codes.{name}");
            let Some(result) = ResultCode::from_name(&name) else {
                let names: Vec<&str> = ResultCode::ALL.iter().map(|code| code.name()).collect();
                return Err((key, format!("one of {}", names.join(", "))));
            };
            let Some(read) = results.get(&code) else {
                return Err((key, "a code that mapping.results describes".to_owned()));
            };
            if approves(*read) != approves(result) {
                return Err((key, "a code that says the same of an approval as mapping.results".to_owned()));
            }
            codes.insert(result, code);
        }
        let needed = [ResultCode::Approved, ResultCode::Generic, ResultCode::FormatError];
        if let Some(missing) = needed.iter().find(|needed| !codes.is_empty() && !codes.contains_key(needed)) {
            return Err((format!("codes.{}", missing.name()), "its response code".to_owned()));
        }
        Ok(Inbound {
            passed_over: raw.passed_over.unwrap_or_default(),
            echo: raw.echo.unwrap_or_default(),
            reversal_accepted: raw.reversal_accepted,
            codes,
        })
    }

    /// Whether there is anything to answer with.
    pub fn answers(&self) -> bool {
        !self.codes.is_empty()
    }

    /// The code that tells a result: the bank's own where it `means` the same here and is as long as ours, so that two
    /// ends that speak one edition lose nothing between them.
    pub fn code<'c>(&'c self, result: ResultCode, of_bank: Option<(&'c str, Option<ResultCode>)>) -> Option<&'c str> {
        let told = self.codes.get(&result).or_else(|| self.codes.get(&fallback(result)))?;
        let same = of_bank.filter(|(code, means)| *means == Some(result) && code.len() == told.len());
        Some(same.map_or(told, |(code, _)| code))
    }
}

fn approves(result: ResultCode) -> bool {
    matches!(result.class(), ResultClass::Approved | ResultClass::ApprovedPartly)
}

/// What is told where a dialect has no code of its own.
fn fallback(result: ResultCode) -> ResultCode {
    match result.class() {
        ResultClass::Approved => ResultCode::Approved,
        ResultClass::ApprovedPartly => ResultCode::ApprovedPartly,
        ResultClass::Declined(_) => ResultCode::Generic,
        ResultClass::NotDone => ResultCode::ProcessingError,
        ResultClass::Unknown => ResultCode::Timeout,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(codes: &str) -> Result<Inbound, (String, String)> {
        let results = BTreeMap::from([
            ("00".to_owned(), ResultCode::Approved),
            ("05".to_owned(), ResultCode::Generic),
            ("11".to_owned(), ResultCode::Approved),
            ("30".to_owned(), ResultCode::FormatError),
        ]);
        Inbound::of(toml::from_str(&format!("[codes]\n{codes}")).unwrap(), &results)
    }

    #[test]
    fn a_result_is_told_in_the_banks_own_code_where_that_means_the_same_here() {
        let inbound = read("approved = '00'\ngeneric = '05'\nformat_error = '30'").unwrap();
        let approved = ResultCode::Approved;
        assert_eq!(inbound.code(approved, None), Some("00"));
        assert_eq!(inbound.code(approved, Some(("11", Some(approved)))), Some("11"));
        assert_eq!(inbound.code(approved, Some(("000", Some(approved)))), Some("00"), "of another edition");
        assert_eq!(inbound.code(approved, Some(("05", Some(ResultCode::Generic)))), Some("00"));
        assert_eq!(inbound.code(ResultCode::LostStolen, None), Some("05"));
        assert_eq!(inbound.code(ResultCode::Timeout, None), None);
    }

    #[test]
    fn no_code_tells_an_approval_of_what_is_none() {
        let key = |codes: &str| read(codes).unwrap_err().0;
        assert_eq!(key("generic = '00'"), "codes.generic");
        assert_eq!(key("approved = '05'"), "codes.approved");
        assert_eq!(key("approved = '99'"), "codes.approved");
        assert_eq!(key("nonsense = '00'"), "codes.nonsense");
        assert_eq!(key("approved = '00'"), "codes.generic");
        assert!(!read("").unwrap().answers());
    }
}
