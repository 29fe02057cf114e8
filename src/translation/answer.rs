//! What an acquirer is answered: the response to its message (ISO 8583 clause 4: function + 1, repeat cleared), with what the
//! dialect has every answer repeat and the code that tells the outcome.

use super::Translation;
use super::template::Value;
use crate::iso8583::Message;
use crate::payment::{Amount, ApprovalCode, Balance, BusinessDate, ResultCode, Rrn};
use bytes::Bytes;

/// An outcome, in our words.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    /// What it is.
    pub result: ResultCode,
    /// Whether a reversal was accepted, for which some dialects have a code of its own.
    pub is_reversal: bool,
    /// The bank's own code.
    pub response_code: Option<&'a str>,
    /// Approval code.
    pub approval_code: Option<ApprovalCode>,
    /// What was approved, where it is less than what was asked.
    pub approved: Option<Amount>,
    /// The day it is booked on.
    pub business_date: Option<BusinessDate>,
    /// Our reference towards the bank, for a message that bears none.
    pub rrn: Option<Rrn>,
    /// What is on the account.
    pub balances: &'a [Balance],
}

impl Said<'_> {
    /// Nothing but a result.
    pub fn only(result: ResultCode) -> Said<'static> {
        Said {
            result,
            is_reversal: false,
            response_code: None,
            approval_code: None,
            approved: None,
            business_date: None,
            rrn: None,
            balances: &[],
        }
    }
}

impl Translation {
    /// Writes the answer to a message; `None` where its type has none, or the dialect no way to say it. A message of
    /// which only a part could be read is answered with what is known of it.
    pub fn answer(&self, asked: &Message, said: &Said<'_>) -> Option<Bytes> {
        let (mapping, inbound) = (&self.mapping, &self.mapping.inbound);
        let mut answer = asked.response()?;
        for element in &inbound.echo {
            if let Some(value) = asked.value(*element) {
                answer.set(*element, value.whole_text());
            }
        }
        answer.set(mapping.reply.response_code, self.code_of(said)?);
        if let Some(code) = &said.approval_code {
            answer.set(mapping.reply.approval_code, code.as_str());
        }
        if let Some(approved) = said.approved {
            answer.set(mapping.reply.amount, format!("{:012}", approved.minor()));
        }
        let day = said.business_date.zip(mapping.element(mapping.reply.business_date));
        if let Some(day) = day.and_then(|(day, template)| template.time(day.midnight())) {
            answer.set(mapping.reply.business_date, day);
        }
        if let Some((rrn, element)) = said.rrn.zip(mapping.element_of(Value::Rrn)).filter(|(_, at)| !asked.has(*at)) {
            answer.set(element, rrn.as_str());
        }
        if let Some(element) = mapping.reply.balances.filter(|_| !said.balances.is_empty()) {
            answer.set(element, Balance::write_all(said.balances));
        }
        self.spec.encode_to_bytes(&answer).ok()
    }

    fn code_of<'s>(&'s self, said: &'s Said<'_>) -> Option<&'s str> {
        let accepted = self.mapping.inbound.reversal_accepted.as_deref();
        if let Some(code) = accepted.filter(|_| said.is_reversal && said.result == ResultCode::Approved) {
            return Some(code);
        }
        let of_bank = said.response_code.map(|code| (code, self.mapping.known_result(code)));
        self.mapping.inbound.code(said.result, of_bank)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{request, speaking};
    use super::*;
    use crate::payment::{Currency, Wall};

    #[test]
    fn an_answer_repeats_what_it_answers_and_tells_the_outcome() {
        let translation = speaking("iso8583-1987-bcd");
        let asked = request(&translation, "0201", &[]);
        let day = BusinessDate::of(Wall(1_795_000_000_000_000));
        let said = Said {
            approval_code: ApprovalCode::parse("A1B2C3").ok(),
            business_date: Some(day),
            rrn: Some(Rrn::from_sequence(7)),
            ..Said::only(ResultCode::Approved)
        };
        let answer = translation.spec().decode(translation.answer(&asked, &said).unwrap()).unwrap();
        assert_eq!(answer.mti().to_string(), "0210");
        let text = |element| answer.text(element).unwrap().into_owned();
        for element in [3, 4, 7, 11, 12, 13, 32, 41, 42, 49] {
            assert_eq!(text(element), asked.text(element).unwrap(), "{element}");
        }
        assert_eq!(
            (text(39), text(38), text(15), text(37)),
            ("00".into(), "A1B2C3".into(), day.mmdd(), "000000000007".into())
        );
    }

    #[test]
    fn each_edition_tells_in_its_own_codes() {
        let code = |dialect: &str, mti, said: &Said<'_>| {
            let translation = speaking(dialect);
            let answer = translation.answer(&request(&translation, mti, &[]), said).unwrap();
            translation.spec().decode(answer).unwrap().text(39).unwrap().into_owned()
        };
        let poor = Said { response_code: Some("116"), ..Said::only(ResultCode::InsufficientFunds) };
        assert_eq!(code("iso8583-1987-bcd", "0200", &poor), "51");
        assert_eq!(code("iso8583-1993-ascii", "1200", &poor), "116");
        let lost = Said { response_code: Some("43"), ..Said::only(ResultCode::LostStolen) };
        assert_eq!(code("iso8583-1987-bcd", "0200", &lost), "43", "stolen, and not lost");
        assert_eq!(code("iso8583-1993-ascii", "1200", &lost), "208");
        let taken_back = Said { is_reversal: true, ..Said::only(ResultCode::Approved) };
        assert_eq!(code("iso8583-1993-ascii", "1420", &taken_back), "400");
        assert_eq!(code("iso8583-1987-ascii", "0420", &taken_back), "00");
        for result in ResultCode::ALL {
            let told = code("iso8583-1987-ascii", "0200", &Said::only(*result));
            let read = speaking("iso8583-1987-ascii").mapping.known_result(&told).unwrap();
            let approves = |result: ResultCode| result.class() == crate::payment::ResultClass::Approved;
            assert_eq!(approves(read), approves(*result), "{}", result.name());
        }
    }

    #[test]
    fn a_part_and_a_balance_are_told() {
        let translation = speaking("iso8583-1987-ascii");
        let eur = |minor| Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap();
        let balance = Balance { account_type: 0, amount_type: 2, amount: eur(2_500), is_negative: true };
        let said = Said { approved: Some(eur(400)), balances: &[balance], ..Said::only(ResultCode::ApprovedPartly) };
        let answer = translation.answer(&request(&translation, "0100", &[]), &said).unwrap();
        let answer = translation.spec().decode(answer).unwrap();
        assert_eq!((answer.text(39).unwrap().as_ref(), answer.number(4)), ("10", Some(400)));
        assert_eq!(Balance::read_all(&answer.text(54).unwrap()), [balance]);
    }
}
