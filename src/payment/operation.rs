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
}

impl OperationKind {
    /// The name in the API and in records.
    pub fn name(self) -> &'static str {
        match self {
            OperationKind::Authorisation => "authorisation",
            OperationKind::Sale => "sale",
            OperationKind::Capture => "capture",
            OperationKind::Void => "void",
            OperationKind::Refund => "refund",
        }
    }

    /// Whether it begins a payment; the others act on one.
    pub fn begins_payment(self) -> bool {
        matches!(self, OperationKind::Authorisation | OperationKind::Sale)
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
