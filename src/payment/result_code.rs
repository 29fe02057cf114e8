//! What a bank's answer means: one list of our own, to which each dialect maps its data element 39.

use std::time::Duration;

/// How an answer binds us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultClass {
    /// Approved in full.
    Approved,
    /// Approved for less than was asked.
    ApprovedPartly,
    /// Refused by the bank; money did not move.
    Declined(DeclineKind),
    /// Certainly not done: the bank could not process it.
    NotDone,
    /// The answer settles nothing; money may have moved.
    Unknown,
}

/// Whether a declined card may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclineKind {
    /// May work later or with a change.
    Soft,
    /// Do not send again.
    Hard,
}

/// Why a payment was declined, in words for a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decline {
    /// Stable name of the category.
    pub category: &'static str,
    /// Soft or hard.
    pub kind: DeclineKind,
    /// A sentence.
    pub message: &'static str,
    /// After how long another attempt may go better; none where waiting alone changes nothing.
    pub retry_after: Option<Duration>,
}

macro_rules! result_codes {
    ($($variant:ident, $name:literal, $class:expr, $message:literal;)*) => {
        /// The internal result codes. Each dialect maps its own codes to these in its `[mapping]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ResultCode {
            $(#[doc = $message] $variant,)*
        }

        impl ResultCode {
            /// All of them, in the order of the table.
            pub const ALL: &'static [ResultCode] = &[$(ResultCode::$variant,)*];

            /// The stable name used in dialect files, records and the API.
            pub fn name(self) -> &'static str {
                match self { $(ResultCode::$variant => $name,)* }
            }

            /// How it binds us.
            pub fn class(self) -> ResultClass {
                match self { $(ResultCode::$variant => $class,)* }
            }

            /// A sentence for a merchant.
            pub fn message(self) -> &'static str {
                match self { $(ResultCode::$variant => $message,)* }
            }
        }
    };
}

use ResultClass::{Approved, ApprovedPartly, NotDone, Unknown};
const SOFT: ResultClass = ResultClass::Declined(DeclineKind::Soft);
const HARD: ResultClass = ResultClass::Declined(DeclineKind::Hard);

result_codes! {
    Approved, "approved", Approved, "Approved.";
    Verified, "verified", Approved, "Nothing speaks against the card.";
    ApprovedPartly, "approved_partly", ApprovedPartly, "Approved for a part of the amount.";
    Generic, "generic", SOFT, "The bank declined without giving a reason.";
    CallIssuer, "call_issuer", SOFT, "The cardholder should contact the card's bank.";
    CallAcquirer, "call_acquirer", SOFT, "The merchant should contact its bank.";
    InsufficientFunds, "insufficient_funds", SOFT, "The account does not hold enough money.";
    LimitExceeded, "limit_exceeded", SOFT, "A limit of the card is exceeded.";
    Authentication, "authentication", SOFT, "The PIN or the authentication is wrong.";
    CvvFailed, "cvv_failed", SOFT, "The card verification code is wrong.";
    ScaRequired, "sca_required", SOFT, "The bank asks for strong customer authentication.";
    ReEnter, "re_enter", SOFT, "The bank asks to enter the transaction again.";
    PartialRefused, "partial_refused", SOFT, "The bank approved only a part, which was not wanted.";
    MerchantConfig, "merchant_config", HARD, "The bank does not know the merchant.";
    CardBlocked, "card_blocked", HARD, "The card is blocked.";
    CardRestricted, "card_restricted", HARD, "The card is restricted.";
    LostStolen, "lost_stolen", HARD, "The card was reported lost or stolen.";
    ExpiredCard, "expired_card", HARD, "The card has expired, or the expiry is wrong.";
    InvalidCard, "invalid_card", HARD, "The card number is not known.";
    InvalidAccount, "invalid_account", HARD, "There is no such account.";
    AccountClosed, "account_closed", HARD, "The account is closed.";
    Fraud, "fraud", HARD, "The bank suspects fraud.";
    Security, "security", HARD, "The bank refused for security reasons.";
    PinTriesExceeded, "pin_tries_exceeded", HARD, "The PIN was entered wrongly too often.";
    NotAllowed, "not_allowed", HARD, "The card or the merchant may not do this.";
    NotSupported, "not_supported", HARD, "The bank does not support this.";
    BadData, "bad_data", HARD, "The bank found wrong data in the request.";
    Customer, "customer", HARD, "The cardholder cancelled.";
    MandateRevoked, "mandate_revoked", HARD, "The cardholder stopped recurring payments.";
    NotFound, "not_found", HARD, "The bank does not find the original.";
    DuplicateRecord, "duplicate_record", HARD, "The bank has the record already.";
    FormatError, "format_error", NotDone, "The bank could not read the request.";
    IssuerDown, "issuer_down", NotDone, "The card's bank cannot be reached.";
    ProcessingError, "processing_error", NotDone, "The bank could not process the request.";
    NotSent, "not_sent", NotDone, "The request could not be sent to the bank.";
    InProgress, "in_progress", Unknown, "The bank is still working on it.";
    InvalidResponse, "invalid_response", Unknown, "The answer does not fit the request.";
    Timeout, "timeout", Unknown, "The bank did not answer in time.";
    Duplicate, "duplicate", Unknown, "The bank takes it for a duplicate.";
    LinkLost, "link_lost", Unknown, "The line to the bank broke before the answer.";
    Restarted, "restarted", Unknown, "The switch restarted before the answer.";
}

impl ResultCode {
    /// By stable name.
    pub fn from_name(name: &str) -> Option<ResultCode> {
        ResultCode::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// The decline a merchant is shown, where it is one.
    pub fn decline(self) -> Option<Decline> {
        match self.class() {
            ResultClass::Declined(kind) => {
                Some(Decline { category: self.name(), kind, message: self.message(), retry_after: self.retry_after() })
            }
            _ => None,
        }
    }

    /// Money comes with the days, and so do limits; what has no reason may pass.
    fn retry_after(self) -> Option<Duration> {
        const HOUR: Duration = Duration::from_secs(3600);
        match self {
            ResultCode::ReEnter => Some(Duration::ZERO),
            ResultCode::Generic => Some(HOUR),
            ResultCode::InsufficientFunds | ResultCode::LimitExceeded => Some(HOUR.saturating_mul(24)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for code in ResultCode::ALL {
            assert_eq!(ResultCode::from_name(code.name()), Some(*code));
        }
        assert_eq!(ResultCode::from_name("nonsense"), None);
    }

    #[test]
    fn only_declines_are_declines() {
        assert!(ResultCode::Approved.decline().is_none());
        assert!(ResultCode::Timeout.decline().is_none());
        assert_eq!(ResultCode::InsufficientFunds.decline().map(|d| d.kind), Some(DeclineKind::Soft));
        let hard = |decline: &Decline| decline.kind == DeclineKind::Hard;
        let mut declines = ResultCode::ALL.iter().filter_map(|code| code.decline());
        assert!(declines.all(|decline| !(hard(&decline) && decline.retry_after.is_some())), "hard is for ever");
    }
}
