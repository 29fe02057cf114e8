//! Which payments of a merchant are asked for, and where in their order a page ends.
//!
//! Payments are listed newest first, by the moment they were recorded and their id. Records are appended in that order,
//! so what begins while somebody reads on stands before the first page and never shifts the next one.

use super::payment::PaymentStatus;
use crate::payment::{MerchantId, PaymentId, Wall};

/// A payment's place in the order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it began.
    pub created: Wall,
    /// Which one.
    pub payment: PaymentId,
}

/// What a list is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whose payments.
    pub merchant: MerchantId,
    /// Under this reference only.
    pub reference: Option<String>,
    /// Not before this moment.
    pub from: Wall,
    /// Before this moment.
    pub to: Wall,
    /// Of this status only. A store may give some more, whose status has just changed.
    pub status: Option<PaymentStatus>,
    /// Behind this place only.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first. Fewer than asked for does not mean that nothing follows.
    pub places: Vec<Place>,
    /// Behind which place the list goes on; `None` at its end.
    pub next: Option<Place>,
}

impl Listing {
    /// Whether a place lies within its bounds.
    pub fn admits(&self, place: Place) -> bool {
        (self.from..self.to).contains(&place.created) && self.after.is_none_or(|after| place < after)
    }

    /// Places above this one are out of its bounds.
    pub fn ceiling(&self) -> Place {
        let end = Place { created: self.to, payment: PaymentId(0) };
        self.after.map_or(end, |after| after.min(end))
    }
}
