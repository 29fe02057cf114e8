//! In which form each operation is told to a host. Banks differ in this more than in anything else, and each
//! difference is one of these settings of `[[hosts]]`.
//!
//! A *request* (x100, x200) and an *awaited* advice wait for the bank's answer and can be declined; an *advice* is told
//! as done once it is recorded. Where the answer stays unknown, a request owes a reversal, and an awaited advice or a
//! 0400 owes itself once more (0221, 0401).

use crate::payment::{MessageKind, OperationKind};
use serde::Deserialize;

/// How operations are told to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// A sale.
    pub sale: SaleForm,
    /// A capture.
    pub capture: CaptureForm,
    /// A refund.
    pub refund: RefundForm,
    /// A void.
    pub void: VoidForm,
    /// The reversal that is owed after an unknown outcome, and whatever else is taken back without being asked.
    pub reversal: ReversalForm,
    /// Whether the host wants to be told (data element 95) what a final capture left of its authorisation.
    pub release: bool,
}

/// How a sale is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaleForm {
    /// Authorised and captured by one message (0200).
    #[default]
    Single,
    /// Authorised (0100) and, once that is approved, completed by an advice (0220).
    Dual,
}

/// How a capture is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureForm {
    /// By an advice (0220): done once recorded.
    #[default]
    Advice,
    /// By a request (0200): can be declined.
    Request,
}

/// How a refund is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefundForm {
    /// By a request (0200): can be declined.
    #[default]
    Request,
    /// By an advice whose answer is awaited (0220): can be declined.
    Awaited,
    /// By an advice (0220): done once recorded.
    Advice,
}

/// How a void is told. What waits for an answer does so only while nothing else of the payment is owed to the bank: a
/// void never overtakes what it is about, and follows it as a reversal told once recorded. So does the void of what the
/// host refused or never acknowledged: asked about that, it could only say that it knows nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum VoidForm {
    /// By a reversal advice (0420): done once recorded.
    #[default]
    #[serde(rename = "0420")]
    Advice,
    /// By a reversal request (0400): can be declined.
    #[serde(rename = "0400")]
    ReversalRequest,
    /// By a request with a processing code of its own (0100, 0200): can be declined.
    #[serde(rename = "request")]
    Request,
}

/// How a reversal is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ReversalForm {
    /// By advice (0420, repeated as 0421, answered by 0430).
    #[default]
    #[serde(rename = "0420")]
    Advice,
    /// By request (0400, repeated as 0401, answered by 0410).
    #[serde(rename = "0400")]
    Request,
}

impl Forms {
    /// The kinds of messages that the dialect of such a host has to describe, each with the setting that asks for it.
    pub fn asked_of_dialect(&self) -> Vec<(&'static str, MessageKind)> {
        let mut asked = vec![("reversal", self.reversal())];
        if self.capture == CaptureForm::Request {
            asked.push(("capture", MessageKind::CaptureRequest));
        }
        if self.refund != RefundForm::Request {
            asked.push(("refund", MessageKind::RefundAdvice));
        }
        match self.void {
            VoidForm::Advice => {}
            VoidForm::ReversalRequest => asked.push(("void", MessageKind::ReversalRequest)),
            VoidForm::Request => asked.extend(VOIDS.iter().map(|kind| ("void", *kind))),
        }
        if self.release {
            asked.push(("release", self.release_kind()));
        }
        asked
    }

    /// What takes a message back that is not asked about.
    pub(super) fn reversal(&self) -> MessageKind {
        match self.reversal {
            ReversalForm::Advice => MessageKind::Reversal,
            ReversalForm::Request => MessageKind::ReversalRequest,
        }
    }

    /// What gives the rest of an authorisation back.
    pub(super) fn release_kind(&self) -> MessageKind {
        match self.reversal {
            ReversalForm::Advice => MessageKind::Release,
            ReversalForm::Request => MessageKind::ReleaseRequest,
        }
    }

    /// What begins a payment.
    pub(super) fn first_kind(&self, kind: OperationKind) -> MessageKind {
        match (kind, self.sale) {
            (OperationKind::Verification, _) => MessageKind::Verification,
            (OperationKind::BalanceInquiry, _) => MessageKind::BalanceInquiry,
            (OperationKind::Sale, SaleForm::Single) => MessageKind::Sale,
            _ => MessageKind::Authorisation,
        }
    }
}

const VOIDS: &[MessageKind] = &[MessageKind::VoidAuthorisation, MessageKind::VoidSale, MessageKind::VoidCapture];
