//! The decision on one financial message: a response code and what it does to the account.
//!
//! A pure function of the request, the scenario, the profile and the books. It books nothing; what it
//! decides becomes an entry, and the entry changes the books.

use crate::payment::{BusinessDate, Currency};

use super::books::{Books, Handled};
use super::entry::{AccountName, Balances, Kind, Sequence};
use super::profile::{LesserReversal, Profile, Rest};
use super::request::{OriginalKey, Request};
use super::scenario::{Behaviour, Scenario, Status, Terms};

/// What is decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Decision {
    pub(super) code: String,
    pub(super) approved: i64,
    pub(super) net: i64,
    pub(super) held: i64,
    pub(super) account: Option<AccountName>,
    /// The original's, where there is one.
    pub(super) currency: Option<Currency>,
    pub(super) original: Option<Sequence>,
    pub(super) standing: i64,
    pub(super) unseen: Option<OriginalKey>,
    pub(super) balances: Option<Balances>,
    /// The approval code of what it completes.
    pub(super) approval_of: Option<String>,
    /// An approval code of its own.
    pub(super) gives_approval: bool,
    /// The day of the original.
    pub(super) day: Option<BusinessDate>,
    /// How many wrong PINs in a row it then is, where a PIN was looked at.
    pub(super) pin_tries: Option<u8>,
    /// Refused for now: no entry is made of it, so that a repeat is decided anew.
    pub(super) leaves_no_trace: bool,
}

/// What the PIN of a request turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PinVerdict {
    /// None was sent, or nobody compares it.
    Unasked,
    Right,
    Wrong,
    /// Not to be read under any of the keys in force.
    Broken,
}

/// The bank at the moment of a decision.
pub(super) struct Bench<'a> {
    pub(super) profile: &'a Profile,
    pub(super) scenario: &'a Scenario,
    pub(super) books: &'a Books,
    pub(super) behaviour: &'a Behaviour,
    /// The account of the request's card.
    pub(super) account: Option<AccountName>,
    pub(super) today: BusinessDate,
    pub(super) pin: PinVerdict,
}

impl Bench<'_> {
    /// Decides on a message that isn't a duplicate.
    pub(super) fn decide(&self, request: &Request) -> Decision {
        if request.kind == Kind::Reversal {
            return self.reverse(request);
        }
        if self.books.was_reversed_unseen(&request.identity) {
            return self.decline(&self.profile.codes.reversed_before);
        }
        if let Some(code) = self.refusal() {
            let leaves_no_trace = request.is_advice();
            return Decision { leaves_no_trace, ..self.decline(code) };
        }
        let Some(terms) = request.pan.as_ref().and_then(|pan| self.scenario.card(pan)).map(|(_, terms)| terms) else {
            return self.decline(&self.profile.codes.unknown_card);
        };
        match request.kind {
            Kind::Capture => self.capture(request),
            Kind::Void => self.void(request),
            Kind::Refund => self.refund(request),
            _ if request.is_advice() => self.book_advice(request),
            _ => {
                let decision = match self.objection(request, terms) {
                    Some(code) => self.decline(code),
                    None => self.approve(request, terms),
                };
                Decision { pin_tries: self.tries_then(), ..decision }
            }
        }
    }

    /// The code that the scenario wants, where it isn't an approving one.
    fn refusal(&self) -> Option<&str> {
        let code = self.behaviour.code.as_deref()?;
        (!self.profile.codes.approving.iter().any(|approving| approving == code)).then_some(code)
    }

    fn decline(&self, code: &str) -> Decision {
        Decision { code: code.to_owned(), account: self.account.clone(), ..Decision::default() }
    }

    fn granted(&self, ordinary: &str) -> Decision {
        let code = self.behaviour.code.as_deref().unwrap_or(ordinary);
        Decision { gives_approval: true, ..self.decline(code) }
    }

    /// What speaks against the card itself, before the balance is asked.
    fn objection(&self, request: &Request, terms: &Terms) -> Option<&str> {
        let codes = &self.profile.codes;
        let by_status = match terms.status {
            Status::Open => None,
            Status::Lost => Some(&codes.lost),
            Status::Stolen => Some(&codes.stolen),
            Status::Restricted => Some(&codes.restricted),
            Status::Blocked => Some(&codes.blocked),
            Status::Closed => Some(&codes.closed),
        };
        let expired = || request.expiry.is_some_and(|expiry| self.is_past(expiry.year(), expiry.month()));
        let differs = || terms.expiry.is_some() && request.expiry.is_some() && request.expiry != terms.expiry;
        let wrong_cvc = || terms.cvc.is_some() && request.cvc.is_some() && request.cvc != terms.cvc;
        let foreign = || terms.currency.is_some() && request.currency.is_some() && request.currency != terms.currency;
        match by_status {
            Some(code) => Some(code),
            None if self.pin == PinVerdict::Broken => Some(&codes.broken_pin),
            None if self.has_no_tries() => Some(&codes.pin_tries),
            None if self.pin == PinVerdict::Wrong => Some(&codes.wrong_pin),
            None if expired() || differs() => Some(&codes.expired),
            None if wrong_cvc() => Some(&codes.wrong_cvc),
            None if foreign() => Some(&codes.other_currency),
            None if terms.limit.is_some_and(|limit| request.amount > limit) => Some(&codes.over_limit),
            None => None,
        }
    }

    fn tries(&self) -> u8 {
        self.account.as_deref().map_or(0, |account| self.books.pin_tries(account))
    }

    /// Whether the PIN is blocked, or this wrong one is the one too many.
    fn has_no_tries(&self) -> bool {
        match self.pin {
            PinVerdict::Right => self.tries() >= self.profile.pin.tries,
            PinVerdict::Wrong => self.tries().saturating_add(1) >= self.profile.pin.tries,
            PinVerdict::Unasked | PinVerdict::Broken => false,
        }
    }

    fn tries_then(&self) -> Option<u8> {
        match self.pin {
            PinVerdict::Right if self.has_no_tries() => None,
            PinVerdict::Right => Some(0),
            PinVerdict::Wrong => Some(self.tries().saturating_add(1)),
            PinVerdict::Unasked | PinVerdict::Broken => None,
        }
    }

    /// A card is good to the last day of its month.
    fn is_past(&self, year: u16, month: u8) -> bool {
        let today = self.today.to_string();
        let this_month = today.get(..7).unwrap_or_default();
        format!("{year:04}-{month:02}").as_str() < this_month
    }

    fn balances(&self, request: &Request, terms: &Terms) -> Option<Balances> {
        let purse = self.books.purse(self.account.as_deref()?, request.currency?);
        let booked = terms.balance.saturating_add(purse.net);
        Some(Balances { booked, available: booked.saturating_sub(purse.held) })
    }

    fn approve(&self, request: &Request, terms: &Terms) -> Decision {
        let codes = &self.profile.codes;
        match request.kind {
            Kind::Verification => return self.granted(&codes.verified),
            Kind::Balance => {
                return Decision { balances: self.balances(request, terms), ..self.granted(&codes.approved) };
            }
            _ => {}
        }
        if request.kind == Kind::Increment && self.raised(request).is_none() {
            return self.decline(&codes.original_missing);
        }
        let available = self.balances(request, terms).map_or(0, |balances| balances.available);
        let approved = self.behaviour.cap(request.amount);
        if request.amount == 0 || approved > available || approved == 0 {
            return self.decline(&codes.insufficient_funds);
        }
        let ordinary = if approved < request.amount { &codes.partial } else { &codes.approved };
        self.booked(request, approved, self.granted(ordinary))
    }

    /// Money set aside by class 1, taken by class 2.
    fn booked(&self, request: &Request, approved: i64, granted: Decision) -> Decision {
        match request.kind {
            Kind::Increment => Decision { approved, held: approved, original: self.raised(request), ..granted },
            Kind::Authorisation => Decision { approved, held: approved, ..granted },
            _ => Decision { approved, net: -approved, ..granted },
        }
    }

    /// An advice tells what has happened already, whatever the balance says.
    fn book_advice(&self, request: &Request) -> Decision {
        let granted = self.granted(&self.profile.codes.approved);
        match request.kind {
            Kind::Increment if self.raised(request).is_none() => self.decline(&self.profile.codes.original_missing),
            Kind::Authorisation | Kind::Increment | Kind::Sale => self.booked(request, request.amount, granted),
            _ => granted,
        }
    }

    fn refund(&self, request: &Request) -> Decision {
        let granted = self.granted(&self.profile.codes.approved);
        Decision { approved: request.amount, net: request.amount, ..granted }
    }

    /// The authorisation that an increment adds to: one that stands, and of which nothing was captured.
    fn raised(&self, request: &Request) -> Option<Sequence> {
        let found = self.books.original(request, &[Kind::Authorisation]);
        let standing = found.filter(|found| self.completes(request, found) && found.captured == 0);
        standing.map(|found| found.entry.sequence)
    }

    fn capture(&self, request: &Request) -> Decision {
        let codes = &self.profile.codes;
        let found = self.books.original(request, &[Kind::Authorisation]);
        let Some(authorisation) = found.filter(|found| self.completes(request, found)) else {
            return self.decline(&codes.original_missing);
        };
        if request.amount == 0 || request.amount > authorisation.held {
            return self.decline(&codes.original_amount);
        }
        let released = match self.profile.practice.rest_after_capture {
            Rest::Held => request.amount,
            Rest::Released => authorisation.held,
        };
        Decision {
            approved: request.amount,
            net: -request.amount,
            held: -released,
            original: Some(authorisation.entry.sequence),
            approval_of: authorisation.entry.approval_code.clone(),
            gives_approval: false,
            ..self.granted(&codes.approved)
        }
    }

    /// An authorisation that was approved, stands, and is the one quoted.
    fn completes(&self, request: &Request, found: &Handled) -> bool {
        !found.reversed
            && found.entry.approved > 0
            && found.entry.account == self.account
            && found.entry.currency == request.currency
            && quotes_rightly(request, found)
    }

    fn void(&self, request: &Request) -> Decision {
        let codes = &self.profile.codes;
        let voidable = [Kind::Authorisation, Kind::Increment, Kind::Sale, Kind::Capture, Kind::Refund];
        let found = self.books.original(request, &voidable);
        let found = found.filter(|found| found.entry.account == self.account && quotes_rightly(request, found));
        match found.filter(|found| !found.reversed && found.entry.approved > 0) {
            None => self.decline(&codes.original_missing),
            Some(found) => {
                let approved = found.standing;
                Decision { approved, ..self.undo(found, 0, self.granted(&codes.approved)) }
            }
        }
    }

    fn reverse(&self, request: &Request) -> Decision {
        if let Some(code) = self.refusal() {
            return Decision { leaves_no_trace: true, ..self.decline(code) };
        }
        let codes = &self.profile.codes;
        let kinds = [
            Kind::Authorisation,
            Kind::Increment,
            Kind::Sale,
            Kind::Capture,
            Kind::Refund,
            Kind::Void,
            Kind::Balance,
            Kind::Verification,
        ];
        let found = self.books.original(request, &kinds);
        let Some(found) = found.filter(|found| self.account.is_none() || found.entry.account == self.account) else {
            return self.reverse_unseen(request);
        };
        let acknowledged = Decision { gives_approval: false, ..self.granted(&codes.reversal_approved) };
        let target = self.target(request, found);
        if found.withdrawn || (target > 0 && target >= found.standing) {
            let day = Some(found.entry.business_date);
            return Decision { day, ..acknowledged };
        }
        let was_said = [found.entry.amount, found.entry.approved, found.standing];
        let partly = target > 0;
        let is_part = self.is_part(request, found);
        if (request.amount != 0 && !is_part && !was_said.contains(&request.amount))
            || (partly && found.entry.kind == Kind::Void)
        {
            return self.decline(&codes.original_amount);
        }
        self.undo(found, target, acknowledged)
    }

    /// How much of the original is to stand afterwards.
    fn target(&self, request: &Request, found: &Handled) -> i64 {
        match self.is_part(request, found) {
            true => found.standing - request.amount,
            false => request.replacement,
        }
    }

    /// Whether a reversal that says less than its original means that part of it.
    fn is_part(&self, request: &Request, found: &Handled) -> bool {
        let lesser = request.replacement == 0 && (1..found.standing).contains(&request.amount);
        lesser && self.profile.practice.lesser_reversal == LesserReversal::Part
    }

    /// An original that never came: acknowledged, and remembered in case that it still comes.
    fn reverse_unseen(&self, request: &Request) -> Decision {
        let acknowledged = self.decline(&self.profile.codes.reversal_unseen);
        let Some(named) = &request.original else {
            return acknowledged;
        };
        Decision { unseen: Some(named.clone()), ..acknowledged }
    }

    /// Takes `found` back until `target` of it stands.
    fn undo(&self, found: &Handled, target: i64, acknowledged: Decision) -> Decision {
        let taken_back = found.standing - target;
        let (net, held) = self.change(found, target);
        Decision {
            approved: taken_back,
            net,
            held,
            account: found.entry.account.clone(),
            currency: found.entry.currency,
            original: Some(found.entry.sequence),
            standing: target,
            day: Some(found.entry.business_date),
            ..acknowledged
        }
    }

    /// What it does to the account when `target` of a message stands instead of what stands now.
    fn change(&self, found: &Handled, target: i64) -> (i64, i64) {
        let taken_back = found.standing - target;
        match found.entry.kind {
            Kind::Sale => (taken_back, 0),
            Kind::Refund => (-taken_back, 0),
            Kind::Authorisation => (0, self.hold_after(found, target, found.captured) - found.held),
            Kind::Capture => (taken_back, self.hold_change(found, taken_back)),
            Kind::Increment => (0, self.hold_lowered(found, taken_back)),
            // A void stands as long as what it took back doesn't.
            Kind::Void => match self.original_of(found).filter(|voided| !voided.withdrawn) {
                Some(voided) => self.change(voided, taken_back),
                None => (0, 0),
            },
            _ => (0, 0),
        }
    }

    fn hold_after(&self, authorisation: &Handled, standing: i64, captured: i64) -> i64 {
        match standing {
            0 => 0,
            standing => (standing - captured).clamp(0, authorisation.entry.approved + authorisation.raised),
        }
    }

    /// What taking a capture back sets aside again, where its authorisation stands.
    fn hold_change(&self, capture: &Handled, taken_back: i64) -> i64 {
        match self.original_of(capture).filter(|authorisation| !authorisation.reversed) {
            None => 0,
            Some(authorisation) => {
                let captured = authorisation.captured - taken_back;
                self.hold_after(authorisation, authorisation.standing, captured) - authorisation.held
            }
        }
    }

    /// What taking an increment back does to the hold of its authorisation, where that stands.
    fn hold_lowered(&self, increment: &Handled, taken_back: i64) -> i64 {
        match self.original_of(increment).filter(|authorisation| !authorisation.reversed) {
            None => 0,
            Some(authorisation) => {
                let standing = authorisation.standing - taken_back;
                self.hold_after(authorisation, standing, authorisation.captured) - authorisation.held
            }
        }
    }

    fn original_of(&self, handled: &Handled) -> Option<&Handled> {
        handled.entry.original.and_then(|original| self.books.handled(original))
    }
}

/// No approval code quoted, or the one that was given.
fn quotes_rightly(request: &Request, found: &Handled) -> bool {
    request.approval.is_none() || found.entry.approval_code == request.approval
}
