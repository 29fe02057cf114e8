//! What a merchant can ask for.

use std::fmt;

/// The kind of an operation on a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationKind {
    /// Hold an amount; money moves with a later capture.
    Authorisation,
    /// Authorise and capture in one.
    Sale,
    /// Take what an authorisation holds, wholly or in part.
    Capture,
    /// Undo an authorisation or a sale before the bank settles it.
    Void,
    /// Give captured money back.
    Refund,
    /// Hold more on top of what an authorisation holds.
    Increment,
    /// Ask whether a card is good, for a zero amount. Moves nothing.
    Verification,
    /// Ask what is on an account. Moves nothing.
    BalanceInquiry,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [OperationKind; 8] = [
        OperationKind::Authorisation,
        OperationKind::Sale,
        OperationKind::Capture,
        OperationKind::Void,
        OperationKind::Refund,
        OperationKind::Increment,
        OperationKind::Verification,
        OperationKind::BalanceInquiry,
    ];

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<OperationKind> {
        OperationKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in the API and in records.
    pub fn name(self) -> &'static str {
        match self {
            OperationKind::Authorisation => "authorisation",
            OperationKind::Sale => "sale",
            OperationKind::Capture => "capture",
            OperationKind::Void => "void",
            OperationKind::Refund => "refund",
            OperationKind::Increment => "increment",
            OperationKind::Verification => "verification",
            OperationKind::BalanceInquiry => "balance_inquiry",
        }
    }

    /// Whether it begins a payment; the others act on one, or only ask.
    pub fn begins_payment(self) -> bool {
        matches!(self, OperationKind::Authorisation | OperationKind::Sale)
    }

    /// Whether it only asks: nothing is held or moved by it, and so nothing has ever to be taken back.
    pub fn is_inquiry(self) -> bool {
        matches!(self, OperationKind::Verification | OperationKind::BalanceInquiry)
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
