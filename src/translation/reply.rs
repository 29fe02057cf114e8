//! What a bank's reply says, in our words.

use super::mapping::Mapping;
use super::template::{self, Terms};
use crate::iso8583::Message;
use crate::payment::{Amount, ApprovalCode, Balance, BusinessDate, MessageValues, ResultClass, ResultCode};
use zeroize::Zeroizing;

/// A reply, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it means, with the amount taken into account.
    pub result: ResultCode,
    /// The bank's code (data element 39), as it stands.
    pub response_code: Option<String>,
    /// What was approved; the asked amount, or less with a partial approval.
    pub approved: Option<Amount>,
    /// Approval code.
    pub approval_code: Option<ApprovalCode>,
    /// The bank's day.
    pub business_date: Option<BusinessDate>,
    /// What it says of the account.
    pub balances: Vec<Balance>,
    /// Whether its code asks to send a reversal or advice again later.
    pub wants_retry: bool,
    /// Whether its code says that the original of a reversal is not known.
    pub original_unknown: bool,
    /// Whether its code says that the bank has the message already.
    pub is_duplicate: bool,
    /// Whether its code ends a reversal or advice as well as an approval does.
    pub is_done: bool,
    /// Whether its code says that a reversal or advice will never be understood, however often it is sent.
    pub is_poison: bool,
}

pub(super) fn code(mapping: &Mapping, reply: &Message) -> (Option<String>, ResultCode) {
    let response_code = reply.text(mapping.reply.response_code).map(|code| code.into_owned());
    let named = response_code.as_deref().map_or(ResultCode::InvalidResponse, |code| mapping.result(code));
    (response_code, named)
}

pub(super) fn read(mapping: &Mapping, reply: &Message, sent: &MessageValues) -> Reply {
    let elements = mapping.reply;
    let (response_code, named) = code(mapping, reply);
    let amount = reply.number(elements.amount);
    let (result, approved) = judge(named, amount, reply.has(elements.amount), sent.amount);
    let given = response_code.as_deref().unwrap_or_default();
    Reply {
        result,
        approved,
        approval_code: reply.text(elements.approval_code).and_then(|text| ApprovalCode::parse(text.trim()).ok()),
        business_date: reply
            .text(elements.business_date)
            .and_then(|digits| BusinessDate::from_element(&digits, sent.transmitted_at)),
        balances: elements
            .balances
            .and_then(|element| reply.text(element))
            .map_or_else(Vec::new, |text| Balance::read_all(&text)),
        wants_retry: mapping.is_retry(given),
        original_unknown: mapping.is_original_unknown(given),
        is_duplicate: mapping.is_duplicate(given),
        is_done: mapping.is_done(given),
        is_poison: mapping.is_poison(given),
        response_code,
    }
}

/// A code and an amount that contradict each other settle nothing: an amount that differs from what was sent is only
/// right when it is lower, above zero, and stands beside a code for a partial approval.
fn judge(named: ResultCode, amount: Option<u64>, present: bool, sent: Amount) -> (ResultCode, Option<Amount>) {
    let lower = amount.filter(|minor| (1..sent.minor()).contains(minor));
    let same = !present || amount == Some(sent.minor());
    match (named.class(), lower) {
        (ResultClass::ApprovedPartly, Some(minor)) => (named, Amount::new(minor, sent.currency()).ok()),
        (ResultClass::ApprovedPartly, None) => (ResultCode::InvalidResponse, None),
        _ if !same => (ResultCode::InvalidResponse, None),
        // A code for cards that are good says nothing of money.
        _ if named == ResultCode::Verified && sent.minor() > 0 => (ResultCode::InvalidResponse, None),
        _ if named == ResultCode::Verified => (ResultCode::Approved, Some(sent)),
        (ResultClass::Approved, _) => (named, Some(sent)),
        _ => (named, None),
    }
}

pub(super) fn contradiction(mapping: &Mapping, reply: &Message, terms: &Terms<'_>) -> Option<u8> {
    let compared = [mapping.reply.pan, mapping.reply.currency, mapping.reply.terminal];
    // A bank may give the card number back masked: only digits can contradict.
    let in_clear = |element: u8| element != mapping.reply.pan || reply.number(element).is_some();
    compared.into_iter().find(|element| in_clear(*element) && differs(mapping, reply, terms, *element))
}

fn differs(mapping: &Mapping, reply: &Message, terms: &Terms<'_>, element: u8) -> bool {
    let (Some(template), Some(got)) = (mapping.element(element), reply.text(element)) else { return false };
    let mut sent = Zeroizing::new(String::with_capacity(template::ROOM));
    template.fill(terms, &mut sent).is_some() && sent.trim_end() != got.trim_end()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::payment::Currency;

    fn eur(minor: u64) -> Amount {
        Amount::new(minor, Currency::from_code("EUR").unwrap()).unwrap()
    }

    #[test]
    fn code_and_amount_are_judged_together() {
        use ResultCode::{Approved, ApprovedPartly, InsufficientFunds, InvalidResponse};
        let judged = |code, amount: Option<u64>| judge(code, amount, amount.is_some(), eur(1000));
        assert_eq!(judged(Approved, Some(1000)), (Approved, Some(eur(1000))));
        assert_eq!(judged(Approved, None), (Approved, Some(eur(1000))));
        assert_eq!(judged(Approved, Some(999)), (InvalidResponse, None), "less without saying so");
        assert_eq!(judged(Approved, Some(1001)), (InvalidResponse, None));
        assert_eq!(judged(ApprovedPartly, Some(400)), (ApprovedPartly, Some(eur(400))));
        assert_eq!(judged(ApprovedPartly, Some(1000)), (InvalidResponse, None), "all, and yet a part");
        assert_eq!(judged(ApprovedPartly, Some(0)), (InvalidResponse, None));
        assert_eq!(judged(ApprovedPartly, None), (InvalidResponse, None));
        assert_eq!(judged(InsufficientFunds, Some(1000)), (InsufficientFunds, None));
        assert_eq!(judged(InsufficientFunds, Some(1)), (InvalidResponse, None));
        assert_eq!(judged(ResultCode::Verified, Some(1000)), (InvalidResponse, None), "it moves no money");
        assert_eq!(judge(ResultCode::Verified, Some(0), true, eur(0)), (Approved, Some(eur(0))));
    }

    #[test]
    fn an_amount_that_is_no_number_contradicts() {
        assert_eq!(judge(ResultCode::Approved, None, true, eur(1)), (ResultCode::InvalidResponse, None));
    }
}
