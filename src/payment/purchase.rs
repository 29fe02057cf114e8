//! What one business buys of another (level-2 data of card networks): by which reference of the buyer, on which invoice,
//! with how much tax in it.
//!
//! Nothing is decided by it: banks of corporate cards pass it on to the buyer's books. The items of an invoice (level 3)
//! belong to clearing files and are not here.

use super::Amount;
use minicbor::{Decode, Encode};

/// What one business buys of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Purchase {
    /// The buyer's own reference: a purchase order, a cost centre.
    #[n(0)]
    pub customer_reference: Option<String>,
    /// Number of the invoice.
    #[n(1)]
    pub invoice: Option<String>,
    /// The tax within the amount.
    #[n(2)]
    pub tax: Option<Amount>,
}
